"""What the theorems of Andriushchenko & Flammarion 2022 share: the setting, its hypotheses, random problems.

Letters: n samples, d dimension, r the teacher's nonzero coordinates, alpha initial scale (w₊ = w₋ = alpha; the paper's
u₀ = 2 alpha, v₀ = 0), rho radius of the unnormalised perturbation, m block size of m-SAM (n: n-SAM, 1: 1-SAM), gamma
step size. Losses are L = (1/4n)‖X beta − y‖². The paper's code perturbs 1-SAM by twice its rho: ours is that product.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Hypothesis
from theory.domain import Choice, Domain, Range
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.diagonal_run import DiagonalSpec
    from simulate.regression import RegressionInstance, SparseRegression

NOMINAL = {"n": 20, "d": 30, "r": 3, "alpha": 0.1, "rho": 0.1, "m": 1}

REALISABLE = Hypothesis(
    "realisable", "y in the range of X (sure for a teacher without noise; for any y if d ≥ n)",
    lambda a: a["d"] / a["n"],
)  # fmt: skip
SPARSE = Hypothesis("sparse", "r ≪ n: the teacher can be found from n samples", lambda a: a["n"] / a["r"])
SMALL_ALPHA = Hypothesis("alpha", "alpha → 0", lambda a: 1.0 / a["alpha"])
SMALL_RHO = Hypothesis("rho", "rho → 0, the first-order regime", lambda a: 1.0 / max(a["rho"], 1e-200))
WIDE = Hypothesis("wide", "d ≫ n: rows nearly orthogonal", lambda a: a["d"] / a["n"])


def seeds(settings: Settings) -> range:
    """Return the run seeds of settings that hold a base `seed` and a number `seeds`."""
    return range(settings["seed"], settings["seed"] + settings["seeds"])


def flow_rule(m: int, n: int) -> dict[str, Any]:
    """Return the name of the flow with blocks of m of n rows, and the block that goes with it."""
    if m == n:
        return {"rule": "n-sam-flow"}
    return {"rule": "1-sam-flow"} if m == 1 else {"rule": "m-sam-flow", "block": m}


def regression(a: Mapping[str, Any] = NOMINAL, **changes: Any) -> "SparseRegression":
    """Return the data of a setting by its letters."""
    from simulate.regression import SparseRegression

    return SparseRegression(**{"samples": a["n"], "dimension": a["d"], "sparsity": a["r"], **changes})


def random_flows(settings: Settings, **run: Any) -> "list[DiagonalSpec]":
    """Return specifications of flows on random problems: design, sign of teacher, alpha and rho drawn for each seed.

    alpha is log-uniform in 0.02 … 0.5 and rho uniform in 0 … 0.3, m one of settings["blocks"], unless `run` or the
    settings (see FLOWS) give them.
    The shifted design is left out: at these rho it collapses (`collapse`).
    """
    from simulate.diagonal_run import DiagonalSpec
    from simulate.streams import stream

    n = settings["n"]
    d = round(settings["d/n"] * n) if "d/n" in settings else settings["d"]
    specs = []
    for seed in seeds(settings):
        rng = stream("problems", seed)
        design = ("isotropic", "equicorrelated", "absolute")[rng.integers(3)]
        teacher = ("positive", "signed")[rng.integers(2)]
        alpha, rho = float(np.exp(rng.uniform(np.log(0.02), np.log(0.5)))), float(rng.uniform(0.0, 0.3))
        alpha, rho = settings.get("alpha", alpha), settings.get("rho", rho)
        shape = {"design": settings.get("design", design), "teacher": settings.get("teacher", teacher)}
        data = regression(**shape, samples=n, dimension=d, test_samples=0)
        m = settings.get("m", settings["blocks"][seed % len(settings["blocks"])])
        drawn = {"alpha": alpha, "radius": rho, "seed": seed, **flow_rule(n if m == "n" else m, n), **run}
        specs.append(DiagonalSpec(data, **drawn))
    return specs


FLOWS = Domain(
    {
        "n": Range(3, 20, 10, integer=True),
        "d/n": Range(1.5, 4.0, 1.5),
        "alpha": Range(0.02, 0.5, 0.1, log=True),
        "rho": Range(0.0, 0.3, 0.1),
        "m": Choice((1, 2, 3, "n")),
        "design": Choice(("isotropic", "equicorrelated", "absolute")),
        "teacher": Choice(("positive", "signed")),
        "seed": Range(0, 1000, 0, integer=True),
    },
    settings={"seeds": 1},
    budget=200,
)
"""The domain of claims about `random_flows`: one flow, its data drawn from the seed.

At d = n the rows may be so near dependent that the flow's stopping rule is looser than the claims' tolerance.
"""


def minimisers(X: Sequence[FloatArray], y: Sequence[FloatArray], log_alpha: Sequence[FloatArray]) -> FloatArray:
    """Return the minimisers of phi_alpha over {X beta = y}, one a problem, (problems, d)."""
    from theory.andriushchenko2022.potential import minimiser

    return np.stack([minimiser(*problem)[0] for problem in zip(X, y, log_alpha, strict=True)])


def limits(
    specs: "Sequence[DiagonalSpec]", runner: Runner
) -> "tuple[list[Any], list[DiagonalSpec], list[FloatArray], list[FloatArray]]":
    """Return (results of the flows that reached an interpolator, their specifications, the problems' X and y)."""
    from simulate.regression import load_regression

    pairs = [(r, s) for r, s in zip(runner.run(specs), specs, strict=True) if r.status == "stopped"]
    problems = [load_regression(spec.data, spec.seed) for _, spec in pairs]
    return [r for r, _ in pairs], [s for _, s in pairs], [p.X for p in problems], [p.y for p in problems]


def published_problem() -> "RegressionInstance":
    """Return the problem of the paper's code: NumPy's legacy generator at seed 0, n = 20, d = 30, r = 3, 1000 to test.

    That code draws rows with `multivariate_normal` at the identity, which passes standard normals through unchanged.
    """
    from simulate.regression import RegressionInstance

    rng = np.random.RandomState(0)
    X, X_test, teacher = rng.standard_normal((20, 30)), rng.standard_normal((1000, 30)), rng.standard_normal(30)
    teacher[3:] = 0.0
    teacher = np.abs(teacher) / np.linalg.norm(teacher)
    return RegressionInstance(X, X @ teacher, X_test, X_test @ teacher, teacher)


def train_on(problem: "RegressionInstance", **run: Any) -> tuple[str, float, dict[str, FloatArray]]:
    """Train on a given problem; return (status, test loss of the printed convention (1/2n), history)."""
    from simulate.diagonal import DiagonalNetwork
    from simulate.diagonal_run import DiagonalSpec, train_network
    from simulate.runner import single_threaded

    spec = DiagonalSpec(regression(), **run)
    with single_threaded(), np.errstate(over="ignore", invalid="ignore"):
        status, _, history = train_network(spec, DiagonalNetwork(problem, spec.alpha))
    return status, 2.0 * float(history["test_loss"][-1]), history

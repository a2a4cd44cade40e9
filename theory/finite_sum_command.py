"""`simulate finite-sum`: Unified SAM on finite sums, the papers' letters and `theory` resolved to a specification."""

import math
from dataclasses import astuple, replace
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from simulate.parameters import choice, integer, real, reject
from theory.parameter_types import COUNT, NUMBERS, NumberOr
from theory.simulate_output import Shown, every, given, run_and_print, run_options

if TYPE_CHECKING:
    from simulate.finite_sum_run import FiniteSumSpec
    from simulate.objective import FiniteSum
    from theory.oikonomou2025.setting import Constants

RULES = ("gd", "sgd", "usam", "sam", "unified")
SAMPLINGS = ("full", "nice", "replacement", "single", "importance")
OBJECTIVES = ("least-squares", "ridge", "quadratic", "logistic", "pl", "nonconvex", "wave")
THEORY_SHARE = 0.5  # of the theorem's largest radius, so that its step is not 0


def finite_sum_spec(
    *, objective: str = "least-squares", data: str | None = None, n: int | None = None, d: int | None = None,
    condition: float | None = None, noise_std: float | None = None, spread: float | None = None, reg: float = 0.0,
    rule: str = "gd", lam: float | None = None, rho: float | str | None = None, gamma: float | str = "theory",
    sampling: str | None = None, batch: int | None = None, probabilities: tuple[float, ...] | None = None,
    schedule: str = "constant", steps: int = 1000, seed: int = 0, data_seed: int | None = None,
    record: tuple[int, ...] = (),
) -> "FiniteSumSpec":  # fmt: skip
    """Return a `FiniteSumSpec` from the papers' letters.

    data is the path of the user's own A, b (`simulate.finite_sum_data.read_sum`), which replaces n … spread. rho and
    gamma are numbers or "theory": half of Theorem 3.2's largest radius and its largest step at the radius (Oikonomou &
    Loizou 2025), as caps with the schedule `decreasing` (Theorem 3.5); 1/beta each with `horizon`, divided by T^¼ and
    √T (Andriushchenko & Flammarion 2022). They are those of the problem of `seed`, and stay when a specification is
    simulated at further seeds: give data_seed to keep the problem too. Given where it has no effect, a letter is an
    error. Raises ParameterError.
    """
    from simulate.finite_sum import SCHEDULES
    from simulate.finite_sum_data import DrawnSum, SumFile
    from simulate.finite_sum_run import FiniteSumSpec

    choice("objective", objective, OBJECTIVES)
    drawn: dict[str, Any] = {"samples (n)": n, "dimension (d)": d, "condition": condition, "noise_std": noise_std,
                             "spread": spread}  # fmt: skip
    drawn = {name: value for name, value in drawn.items() if value is not None}
    if data is not None:
        for name, value in drawn.items():
            reject(name, value, "left out with data, whose file decides it")
        if objective in ("quadratic", "wave"):
            reject("objective", objective, "another with data, whose samples have one row each and any targets")
        if data_seed is not None:
            reject("data_seed", data_seed, "left out with data, where no problem is drawn")
        source: DrawnSum | SumFile = SumFile(data)
    else:
        letters = {name.partition(" ")[0]: value for name, value in drawn.items()}
        source = DrawnSum(**letters, full_rank=objective == "quadratic")

    choice("rule", rule, RULES)
    choice("sampling", sampling, (None, *SAMPLINGS))
    perturbs = rule not in ("gd", "sgd")
    if lam is not None and rule != "unified":
        reject("lam", lam, f"left out with rule {rule}, which decides it")
    if rule == "unified" and lam is None:
        reject("lam", lam, "given with rule unified, a number >= 0 and <= 1")
    if rho is not None and not perturbs:
        reject("rho", rho, f"left out with rule {rule}, which perturbs nothing")
    if rule == "gd" and sampling not in (None, "full"):
        reject("sampling", sampling, "full or left out with rule gd (sgd draws samples)")
    if rule == "sgd" and sampling == "full":
        reject("sampling", sampling, "another than full with rule sgd (gd takes every sample)")
    sampling = sampling or ("single" if rule == "sgd" else "full")
    if batch is not None and sampling not in ("nice", "replacement"):
        reject("batch (tau)", batch, f"left out with sampling {sampling}")
    choice("schedule", schedule, SCHEDULES)
    for name, value in (("rho", rho), ("gamma", gamma)):
        if value is not None and not _by_theory(value):
            real(name, value, strict=name == "gamma")
    spec = FiniteSumSpec(
        source, objective=objective, reg=reg, radius=0.0, step_size=1.0,
        normalisation=lam if lam is not None else 0.0 if rule == "usam" else 1.0,
        schedule=schedule, radii="decreasing" if schedule == "decreasing" else "constant", sampling=sampling,
        batch_size=1 if batch is None else batch, probabilities=probabilities, max_steps=integer("steps", steps, 0),
        seed=seed, data_seed=data_seed, record=record,
    )  # fmt: skip
    return _resolve(spec, ("theory" if rho is None else rho) if perturbs else 0.0, gamma)


def _by_theory(value: object) -> bool:
    return isinstance(value, str) and value == "theory"


@np.errstate(all="ignore")  # beyond float64 a cap is 0, infinite or NaN, and refused as such
def _resolve(spec: "FiniteSumSpec", rho: Any, gamma: Any) -> "FiniteSumSpec":
    """Return `spec` with radius rho and step gamma, numbers or "theory"."""
    if not (_by_theory(rho) or _by_theory(gamma) or spec.schedule == "decreasing"):
        return replace(spec, radius=rho, step_size=gamma)
    _, c = _load(spec)
    lam = spec.normalisation
    if spec.schedule == "horizon":
        own = 1.0 / c.L
        if not 0.0 < own < math.inf:
            reject("gamma", "theory", f"a number where 1/L is none (L = {c.L:.6g})")
        rho, gamma = (float(own) if _by_theory(value) else value for value in (rho, gamma))
        return replace(spec, radius=rho, step_size=gamma)
    if not c.mu > 0.0:
        where = f"where no PL constant is known (objective {spec.objective}, mu = 0)"
        if spec.schedule == "decreasing":
            reject("schedule", spec.schedule, f"constant or horizon {where}")
        reject("gamma" if _by_theory(gamma) else "rho", "theory", f"a number, or the schedule horizon, {where}")
    cap = c.radius_cap(lam)
    rho = THEORY_SHARE * cap if _by_theory(rho) else rho
    if _by_theory(gamma):
        if rho > 0.0 and not rho < cap:
            reject("rho", rho, f"< rho* = {cap:.6g} with gamma theory, whose step is 0 from there on")
        gamma = c.step_cap(rho, lam)
        if not 0.0 < gamma < math.inf:
            reject("gamma", "theory", f"a number: gamma* is beyond float64 (L = {c.L:.6g}, D = {c.D:.6g})")
    return replace(spec, radius=float(rho), step_size=float(gamma), decay=float(1.0 / c.mu))


def _load(spec: "FiniteSumSpec") -> "tuple[FiniteSum, Constants]":
    """Return the problem of a specification and its `Constants`, whose arithmetic gives infinities, no errors."""
    from simulate.runner import single_threaded
    from theory.oikonomou2025.setting import Constants
    from theory.oikonomou2025.setting import constants as constants_of

    with single_threaded():
        problem, draws, _ = spec.load()
        return problem, Constants(*map(np.float64, astuple(constants_of(problem, draws))))


@np.errstate(all="ignore")
def constants(spec: "FiniteSumSpec") -> dict[str, float]:
    """Return the constants of the problem and sampling of a specification, by the papers' letters, and its steps.

    L bounds Lip(∇f) and Lip(g_S); mu is 0 where no PL constant is known; f* is a lower bound if no minimiser is known;
    N is the floor of Theorem 3.2, NaN without mu, beyond its caps or where the steps are not constant.
    """
    problem, c = _load(spec)
    rho, gamma, lam = spec.radius, spec.step_size, spec.normalisation
    found = {
        "L": c.L, "L_max": problem.sample_lipschitz.max(), "mu": c.mu, "sigma*": problem.noise,
        "f*": problem.infimum, "A": c.A, "B": c.B, "C": c.C, "rho": rho, "gamma": gamma,
    }  # fmt: skip
    inside = spec.schedule == "constant" and c.mu > 0.0 and rho <= c.radius_cap(lam)
    inside = inside and gamma <= c.step_cap(rho, lam) * (1.0 + 1e-12)
    return {name: float(value) for name, value in found.items()} | {
        "N": float(c.floor(gamma, rho, lam)) if inside else math.nan
    }


SHOWN = Shown(
    ("status", "steps", "gap", "gradient_norm", "distance", "x"),
    columns={}, mean="gap", figures=".4g", series=("gap", "gradient_norm"),
)  # fmt: skip


@click.command(name="finite-sum")
@click.option(
    "--objective", type=click.Choice(OBJECTIVES), default="least-squares", show_default=True,
    help="quadratic: samples of full rank; pl: r²/2 + sin² r; nonconvex: r²/(2 + 2r²); wave: x²/2 ± cos(10x)/10.",
)  # fmt: skip
@click.option("--data", metavar="FILE.npz", help="Your own A, b (and x0) in place of a draw.")
@click.option("--n", type=COUNT, default=20, show_default=True, help="Samples n.")
@click.option("--d", type=COUNT, default=10, show_default=True, help="Dimension d.")
@click.option(
    "--condition",
    type=float,
    default=10.0,
    show_default=True,
    help="Ratio of the eigenvalues of AᵀA, which go from 1 down.",
)
@click.option("--noise-std", type=float, default=0.1, show_default=True, help="Noise of the targets b.")
@click.option(
    "--spread", type=float, default=1.0, show_default=True, help="Rows scaled so that L_i spread by this ratio."
)
@click.option("--reg", type=float, default=0.0, show_default=True, help="Ridge parameter of ridge and logistic.")
@click.option("--rule", type=click.Choice(RULES), default="gd", show_default=True, help="Training rule.")
@click.option("--lam", type=float, help="Normalisation lam of rule unified: 0 is USAM, 1 is SAM.")
@click.option("--rho", type=NumberOr("theory"), help="SAM's radius rho, or `theory`. [default: theory]")
@click.option(
    "--gamma",
    type=NumberOr("theory"),
    default="theory",
    show_default=True,
    help="Step size gamma, or the theorem's own.",
)
@click.option(
    "--sampling", type=click.Choice(SAMPLINGS),
    help="Samples of a step. [default: single with sgd, else full]",
)  # fmt: skip
@click.option("--batch", type=COUNT, help="Samples tau of nice and replacement. [default: 1]")
@click.option("--probabilities", type=NUMBERS, help="p_1,…,p_n of sampling single. [default: equal]")
@click.option(
    "--schedule", type=click.Choice(["constant", "decreasing", "horizon"]), default="constant", show_default=True,
    help="gamma and rho: as they are; as caps of (2t+1)/((t+1)² mu) and 1/(2t+1); over √T and T^¼.",
)  # fmt: skip
@click.option("--steps", type=COUNT, default=1000, show_default=True, help="Steps T.")
@click.option("--data-seed", type=COUNT, help="Draw the problem from this seed for every run. [default: the run's]")
@run_options
@click.pass_context
def finite_sum(
    context: click.Context, /, seeds: int, record: int, save: str | None, workers: int, as_json: bool, **letters: Any
) -> None:
    """Follow Unified SAM, and (S)GD, USAM and SAM at its corners, on a finite sum f = (1/n) sum f_i.

    Prints f − f* at the end and, with --record, on the way, and the constants that the theorems are made of: Oikonomou
    & Loizou 2025 (arXiv:2503.02225), Andriushchenko & Flammarion 2022 (arXiv:2206.06232).
    """
    letters["steps"] = steps = integer("steps", letters["steps"], 0)
    letters = given(context, letters) | {"record": tuple(every(record, steps))}
    first = letters.pop("seed", 0)
    specs = [finite_sum_spec(**letters, seed=first + k) for k in range(integer("seeds", seeds, 1, 1_000_000))]
    run_and_print(specs, SHOWN, record, save, workers, as_json, constants)

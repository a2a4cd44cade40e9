"""What claims about finite sums share: random small problems and samplings, exact expectations, given runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.parameters import reject
from theory.domain import Choice, Range

if TYPE_CHECKING:
    from simulate.finite_sum_run import FiniteSumSpec
    from simulate.objective import FiniteSum
    from simulate.sampling import Sampling

PL_FAMILIES = ("square", "interpolated", "ridge", "full rank", "logistic", "sine")


def random_problem(rng: np.random.Generator, family: str) -> "FiniteSum":
    """Return a small random finite sum: n = 2 … 4 functions of d = 1 … 3 variables, rows and targets Gaussian."""
    from simulate.objective import finite_sum

    n, d = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    if family in ("sine", "robust"):
        d = max(d, n)
    rows = d if family == "full rank" else 1
    A = rng.standard_normal((n * rows, d)) * np.exp(rng.uniform(-1.0, 1.0, (n, 1))).repeat(rows, 0)
    b = rng.standard_normal(n * rows)
    if family in ("interpolated", "sine", "robust"):
        x = rng.standard_normal(d)
        return finite_sum({"interpolated": "square"}.get(family, family), A, A @ x, minimiser=x)
    if family == "logistic":
        return finite_sum("logistic", A, np.where(b > 0.0, 1.0, -1.0), float(np.exp(rng.uniform(-4.0, 0.0))))
    reg = float(np.exp(rng.uniform(-4.0, 1.0))) if family == "ridge" else 0.0
    return finite_sum("square", A, b, reg, n)


SEARCHED: dict[str, Any] = {
    "family": Choice(("square", "interpolated", "ridge", "logistic", "sine")),
    "n": Range(1, 4, 2, integer=True),
    "d": Range(1, 3, 1, integer=True),
    "rows": Range(-1.0, 1.0, 1.0, size=12),
    "scales": Range(0.1, 10.0, 1.0, log=True, size=4),
    "targets": Range(-1.0, 1.0, 1.0, size=4),
    "noise": Range(0.01, 100.0, 1.0, log=True),
    "reg": Range(1e-3, 10.0, 1.0, log=True),
    "sampling": Choice(("single", "importance", "nice", "replacement", "full")),
    "tau": Range(1, 3, 1, integer=True),
    "weights": Range(1e-3, 1.0, 1.0, log=True, size=4),
    "start": Range(-1.0, 1.0, 1.0, size=3),
    "distance": Range(1e-3, 1e3, 1.0, log=True),
}
"""A finite sum, its sampling and a start by their own numbers, see `searched`."""


def searched(settings: Mapping[str, Any]) -> "tuple[FiniteSum, Sampling, np.ndarray]":
    """Return (problem, sampling, x_0 − x* (d,)) by their own numbers.

    Rows are the first n·d of `rows` times the samples' `scales`, targets `noise` times the first n of `targets` (their
    signs: labels), fitted exactly by "interpolated", "sine" and "robust"; p_i ∝ weights; x_0 − x* is distance · start.
    """
    from simulate.objective import finite_sum
    from simulate.sampling import sampling

    n, d, family = settings["n"], settings["d"], settings["family"]
    A = np.reshape(settings["rows"][: n * d], (n, d)) * np.array(settings["scales"][:n])[:, None]
    b = settings["noise"] * np.array(settings["targets"][:n])
    if family in ("interpolated", "sine", "robust"):
        loss = {"interpolated": "square"}.get(family, family)
        problem = finite_sum(loss, A, 0.0 * b, minimiser=np.zeros(d))
    elif family == "logistic":
        problem = finite_sum("logistic", A, np.where(b > 0.0, 1.0, -1.0), settings["reg"])
    else:
        problem = finite_sum("square", A, b, settings["reg"] if family == "ridge" else 0.0)
    kind, weights = settings["sampling"], np.array(settings["weights"][:n])
    tau = settings["tau"] if kind in ("nice", "replacement") else 1
    draws = sampling(kind, problem, tau, weights / weights.sum() if kind == "single" else None)
    return problem, draws, settings["distance"] * np.array(settings["start"][:d])


def random_sampling(rng: np.random.Generator, problem: "FiniteSum") -> "Sampling":
    """Return a random sampling of a problem."""
    from simulate.sampling import SAMPLINGS, sampling

    n, kind = problem.samples, SAMPLINGS[rng.integers(len(SAMPLINGS))]
    tau = int(rng.integers(1, n)) if kind == "nice" else int(rng.integers(1, 3)) if kind == "replacement" else 1
    p = rng.dirichlet(np.ones(n)) * 0.95 + 0.05 / n if kind == "single" else None
    return sampling(kind, problem, tau, p)


def random_normalisations(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return lam (count,): 0, 1 and uniform in between, a third of each."""
    return np.where(rng.random(count) < 1 / 3, 0.0, np.where(rng.random(count) < 0.5, 1.0, rng.random(count)))


def enumerate_instances(
    problem: "FiniteSum", draws: "Sampling", starts: np.ndarray, gammas: Any, radii: Any, lam: np.ndarray,
    steps: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return exact E[f(x_t) − f*] and E‖∇f(x_t)‖² (count, steps + 1) of constant steps: starts − x* (count, d)."""
    from simulate.finite_sum import enumerate_paths
    from simulate.lanes import padded

    count, k = len(starts), problem.rows
    V, P = draws.law()

    def all_of(array: Any) -> np.ndarray:
        return np.ascontiguousarray(np.broadcast_to(array, (count, *np.shape(array))))

    gaps, squares = np.empty((count, steps + 1)), np.empty((count, steps + 1))
    enumerate_paths(
        problem.code, all_of(problem.padded_A), all_of(problem.offsets), all_of(problem.targets), all_of(problem.reg),
        all_of(problem.padded_anchor), padded(starts), all_of(np.repeat(V, k, axis=1) / k), all_of(P),
        np.repeat(gammas[:, None], steps, axis=1), np.repeat(radii[:, None], steps, axis=1), lam,
        all_of(problem.floor), gaps, squares,
    )  # fmt: skip
    return gaps, squares


def instances(
    settings: Mapping[str, Any], families: Sequence[str] = PL_FAMILIES
) -> "Iterator[tuple[FiniteSum, Sampling, np.random.Generator]]":
    """Yield (problem, draws, rng) of settings["problems"] random problems, each family in turn."""
    from simulate.streams import stream

    for k in range(settings["problems"]):
        rng = stream("instances", settings["seed"] + k)
        problem = random_problem(rng, families[k % len(families)])
        yield problem, random_sampling(rng, problem), rng


def given_spec(problem: "FiniteSum", draws: "Sampling", start: np.ndarray, **run: Any) -> "FiniteSumSpec":
    """Return the specification of a run on a given problem and sampling from `start` (d,)."""
    from simulate.finite_sum_data import OBJECTIVES, GivenSum
    from simulate.finite_sum_run import FiniteSumSpec

    names = {loss: name for name, loss in OBJECTIVES.items()} | {"square": "ridge" if problem.reg else "quadratic"}
    A, b, x = (array.tolist() for array in (problem.A, problem.targets, start))
    data = GivenSum(tuple(map(tuple, A)), tuple(b), tuple(x), problem.samples)
    drawn: dict[str, Any] = {"sampling": draws.kind}
    if draws.kind in ("nice", "replacement"):
        drawn["batch_size"] = draws.batch_size
    if draws.kind == "single" and draws.probabilities is not None:
        drawn["probabilities"] = tuple(draws.probabilities.tolist())
    return FiniteSumSpec(data, objective=names[problem.loss], reg=problem.reg, **drawn, **run)


def changes(start: np.ndarray | float, observed: np.ndarray, bound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is observed and its bound, each less the start.

    A short step leaves nearly all of the start, and every bound on what is left near equality: a search for the least
    bound/observed would go there and find nothing else. ParameterError where rounding hides a change so small.
    """
    if not np.all(np.abs(bound - start) >= 1e-3 * start):
        reject("change", float(np.min(np.abs(bound - start) / start)), ">= 0.001 of the start: more than rounding")
    return observed - start, bound - start


def slack_notes(bound: np.ndarray, observed: np.ndarray, count: int) -> dict[str, float]:
    """Return what is printed of bound/observed where observed > 0: the least, the median, and how many instances."""
    ratios = bound[observed > 0.0] / observed[observed > 0.0]
    if not ratios.size:
        return {"instances": int(count)}
    return {"least bound/observed": float(ratios.min()), "median bound/observed": float(np.median(ratios)),
            "instances": int(count)}  # fmt: skip

"""The worst that deterministic USAM can do over a whole class of functions, by performance estimation.

Over all beta-smooth f of a class, in any dimension, the worst f for k steps x ← x − gamma ∇f(x + rho ∇f(x)) is found by
a semidefinite program in the inner products of the points and gradients met (Drori & Teboulle 2014; Taylor, Hendrickx &
Glineur 2017; PEPit). It is exact for mu-strongly convex f; for PL and for nonconvex f the program's conditions are
necessary only, and its value is at least the worst case. PEPit is the extra `pep`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from theory.claim import Kind, Samples

CLASSES = {
    "strongly convex": "SmoothStronglyConvexFunction",
    "pl": "SmoothQuadraticLojasiewiczFunctionCheap",
    "nonconvex": "SmoothFunction",
}
"""PEPit's name of each class; smooth is beta = 1."""


def worst_case(
    family: str, gammas: Iterable[float], radii: Iterable[float], mu: float | None = None, average: bool = False
) -> float:
    """Return the largest f(x_k) − f*, or mean_{t<k} ‖∇f(x_t)‖² where `average`, of USAM's steps gammas, radii (k,).

    beta = 1 and f(x_0) − f* ≤ 1. NaN where the solver finds nothing.
    """
    import warnings

    from PEPit import PEP, functions

    program = PEP()
    given = {"L": 1.0} if mu is None else {"L": 1.0, "mu": mu}
    f = program.declare_function(getattr(functions, CLASSES[family]), **given)
    minimum = f(f.stationary_point())
    x = program.set_initial_point()
    program.set_initial_condition(f(x) - minimum <= 1.0)
    squares, visited = [], []
    for gamma, rho in zip(gammas, radii, strict=True):
        squares.append(f.gradient(x) ** 2)
        visited += [x, x + rho * f.gradient(x)]
        x = x - gamma * f.gradient(visited[-1])
    if family == "nonconvex":
        for point in (*visited, x):  # elsewhere implied: a smooth f would fall below its minimum
            program.add_constraint(f(point) - minimum >= 0.5 * f.gradient(point) ** 2)
    program.set_performance_metric(sum(squares) / len(squares) if average else f(x) - minimum)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Solution may be inaccurate")  # to 5e-5, which the tolerance allows for
        value = program.solve(wrapper="cvxpy", solver="CLARABEL", verbose=0)
    return np.nan if value is None else float(value)


def samples(pairs: Sequence[tuple[float, float]], trivial: float = 1.0) -> Samples:
    """Return the samples of pairs (worst case, bound); `trivial` is what holds of any descent."""
    observed, bounds = np.array(pairs).T
    ratio = observed / bounds
    notes = {"nearest to its bound": float(ratio.max()), "median": float(np.median(ratio))}
    return Samples(observed, {"bound": bounds, "trivial": np.full(len(observed), trivial), "notes": notes})


def share_of_bound(share: float) -> Callable[[Samples], Any]:
    """Return the prediction `share` times the bound."""
    return lambda samples: share * samples.given["bound"]


CLAIM: dict[str, Any] = {
    "kind": Kind.UPPER_BOUND, "tolerance": 1e-4, "extra": ("pep", "PEPit"),
    "tolerance_reason": "the accuracy to which the semidefinite solver may stop, 5e-5",
}  # fmt: skip
"""What the claims about worst cases share."""

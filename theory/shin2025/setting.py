"""What the claims about linear stability share: letters, closed forms, and families at the edge of stability.

Letters: eta step size, rho radius of SAM's unnormalised perturbation (0: SGD), H_i the samples' Hessians at an
interpolating minimum, J_i = I − eta H_i − eta rho H_i², M_k = E H_i^k, H = M_1, a = lambda_max(H),
s_k² = lambda_max(M_k − H^k); a* is the root of a*(1 + rho a*) = 2/eta, the curvature at which one sample alone would be
at the edge. Only eta · H and rho/eta matter, and rho is given as a share of eta.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Hypothesis, Samples
from theory.domain import Domain, Range
from theory.types import Numbers, Settings

if TYPE_CHECKING:
    from simulate.linear_stability import HessianFamily

NOMINAL = {"eta": 1.0, "rho": 0.2}

LARGE_STEP = Hypothesis(
    "eta, rho", "eta ≥ 2 rho", lambda a: max(a["eta"], 1e-100) / max(2.0 * a["rho"], 1e-100), required=1.0
)

SOURCE = "Shin, Lee, Andriushchenko & Lee 2025, Theorem 1"

QUICK = {"eta": (1.0, 0.1), "share": (0.05, 0.25, 0.45), "d": (1, 2, 3, 4), "seeds": 70}
FULL = {"eta": (1.0, 0.1, 7.0), "share": (0.01, 0.05, 0.15, 0.25, 0.35, 0.45), "d": (1, 2, 3, 4, 6), "seeds": 100}
"""Every step, radius over step and dimension with that many families of every kind; see `families`."""

Kinds = tuple[tuple[str, int], ...]

KINDS: Kinds = (("dense", 1), ("dense", 2), ("dense", 6), ("low-rank", 5), ("commuting", 4), ("rank-one", 7))
"""Kinds of random families (`simulate.linear_stability.draw_families`) with their numbers of Hessians."""

SEARCHED = {
    "share": Range(0.0, 0.6, 0.0),
    "d": Range(1, 5, 1, integer=True),
    "n": Range(1, 6, 1, integer=True),
    "rank": Range(1, 2, 1, integer=True),
    "entries": Range(-1.0, 1.0, 0.0, size=60),
    "ridge": Range(1e-6, 1.0, 1.0, log=True),
    "weights": Range(1e-3, 1.0, 1.0, log=True, size=6),
}
"""A family by its own numbers, see `searched`; the domain of every claim that speaks of families at the edge."""

ANY_RADIUS = Range(1e-3, 10.0, 0.1, log=True)
MOMENTS = Range(0.01, 0.6, 0.25)
"""rho/eta where a claim asks nothing of it, and where every bound on s_2, s_3, s_4 is finite."""

COMMUTING, EQUAL_NORM = (("commuting", 2), ("commuting", 5)), (("equal-norm", 7),)


def largest_curvature(eta: Numbers, rho: Numbers) -> Any:
    """Return a*, the root of a(1 + rho a) = 2/eta: 2/eta at rho = 0."""
    return 4.0 / (eta * (1.0 + np.sqrt(1.0 + 8.0 * rho / eta)))


def moment_bound(k: int, eta: Numbers, rho: Numbers) -> Any:
    """Return the bound on s_k²: 1/(eta(eta − 2 rho)), 1/(2 eta² rho), 1/(eta² rho²) at k = 2, 3, 4."""
    if k == 2:
        return 1.0 / (eta * (eta - 2.0 * rho))
    return 1.0 / (2.0 * eta**2 * rho) if k == 3 else 1.0 / (eta * rho) ** 2


@dataclass(frozen=True, eq=False)
class Instances:
    """A stack of families (`simulate.linear_stability.HessianFamily`) with the eta and rho they are looked at."""

    family: Any
    eta: float
    rho: float


@lru_cache(4)
def _at_edge(
    notion: str, kinds: Kinds, etas: tuple[float, ...], shares: tuple[float, ...], dimensions: tuple[int, ...],
    count: int, seed: int,
) -> tuple[Instances, ...]:  # fmt: skip
    """Random families at the edge of one-step or mean-square stability, every second one somewhere inside."""
    from simulate import linear_stability
    from simulate.streams import stream

    growth = getattr(linear_stability, f"{notion}_growth")
    inside = np.where(np.arange(count) % 2, stream("scales", seed, count=count).uniform(0.3, 1.0, count), 1.0)
    found = []
    for kind, members in kinds:
        for d in dimensions:
            family = linear_stability.draw_families(kind, count, members, d, seed)
            for eta in etas:
                for share in shares:
                    edge = linear_stability.stable_scale(family, eta, share * eta, growth)
                    found.append(Instances(family.scaled(inside * edge), eta, share * eta))
    return tuple(found)


def searched(settings: Settings) -> "HessianFamily":
    """Return a stack of one family by its own numbers: H_i = A_i A_iᵀ + ridge · I, p_i ∝ weights.

    The entries of A_i (d, rank), i < n, are the first of `entries`; of commuting Hessians those are the roots of the
    eigenvalues (n, d), and of equal norms every A_i has norm 1.
    """
    from simulate.linear_stability import HessianFamily

    n, d, kind = settings["n"], settings["d"], settings.get("kind")
    rank = settings.get("rank", 1)
    A = np.reshape(settings["entries"][: n * d * rank], (1, n, d, rank))
    if kind == "commuting":
        A = A * np.eye(d)
    if kind == "equal-norm":
        A = A / np.maximum(np.linalg.norm(A, axis=(2, 3), keepdims=True), 1e-100)
    p = np.array([settings["weights"][:n]])
    return HessianFamily(A @ np.swapaxes(A, 2, 3) + settings.get("ridge", 0.0) * np.eye(d), p / p.sum())


def searched_domain(share: Range = SEARCHED["share"], without: Sequence[str] = (), **given: Any) -> Domain:
    """Return the domain of a claim: rho/eta within `share`, some coordinates left out, other fields of `Domain`."""
    coordinates = {name: c for name, c in (SEARCHED | {"share": share}).items() if name not in without}
    return Domain(coordinates, letters=lambda s: {"eta": 1.0, "rho": s["share"]}, **given)


def families(settings: Settings, notion: str, kinds: Kinds = KINDS) -> tuple[Instances, ...]:
    """Return the stacks of random families of settings: `eta`, `share`, `d`, `seeds` of each kind, `seed`.

    With `entries` it is the one family that they give (see `searched`), at eta = 1.

    They are scaled to the edge of the `notion` of stability, one_step or mean_square, every second one to somewhere
    within, and by settings["beyond"], if given, out of it.
    """
    if "entries" in settings:
        from simulate import linear_stability

        family, rho = searched(settings), settings["share"]
        edge = linear_stability.stable_scale(family, 1.0, rho, getattr(linear_stability, f"{notion}_growth"))
        return (Instances(family.scaled(edge * settings.get("beyond", 1.0)), 1.0, rho),)
    beyond = settings.get("beyond", 1.0)
    keys = ("eta", "share", "d", "seeds", "seed")
    found = _at_edge(notion, kinds, *(settings[key] for key in keys))
    if beyond == 1.0:
        return found
    return tuple(Instances(one.family.scaled(beyond), one.eta, one.rho) for one in found)


def gather(
    instances: Sequence[Instances], observe: "Callable[[HessianFamily, float, float], FloatArray]",
    bound: Callable[[float, float], float],
) -> Samples:  # fmt: skip
    """Return Samples of observe(family, eta, rho) over the bound(eta, rho) they shall not exceed, flat.

    Observed and bound are in units of the bound, for eta and rho differ along the points. The notes tell how close
    to 1 the points come.
    """
    ratios = np.concatenate(
        [np.ravel(observe(one.family, one.eta, one.rho)) / bound(one.eta, one.rho) for one in instances]
    )
    return Samples(ratios, {"notes": {"median slack": float(np.median(1.0 - ratios))}})


def moment_samples(
    instances: Sequence[Instances], spread: str, orders: Sequence[int] = (2, 3, 4)
) -> dict[str, Samples]:
    """Return, for every order k, the samples of family.`spread`(k) over its bound; `spread` or `mean_spread`."""

    def of(k: int) -> Samples:
        return gather(
            instances,
            lambda family, eta, rho: getattr(family, spread)(k),
            lambda eta, rho: moment_bound(k, eta, rho),
        )

    return {f"s_{k}²": of(k) for k in orders}


def climb(
    score: "Callable[[HessianFamily], FloatArray]", rng: np.random.Generator, count: int, members: int, dimension: int,
    steps: int,
) -> "HessianFamily":  # fmt: skip
    """Return the families (count, n, d, d) that as many random walks uphill in score(families) (count,) end at.

    H_i = A Aᵀ + 1e-6 I; a random move of A and of log p_i is kept if the score grew, and its size follows success.
    """
    from simulate.linear_stability import HessianFamily

    def build(A: FloatArray, weights: FloatArray) -> "HessianFamily":
        p = np.exp(weights - weights.max(axis=-1, keepdims=True))
        H = A @ np.swapaxes(A, -1, -2) + 1e-6 * np.eye(dimension)
        return HessianFamily(H, p / p.sum(axis=-1, keepdims=True))

    A, weights = rng.standard_normal((count, members, dimension, dimension)), rng.standard_normal((count, members))
    best, size = score(build(A, weights)), np.full(count, 0.3)
    for _ in range(steps):
        moved = A + size[:, None, None, None] * rng.standard_normal(A.shape)
        shifted = weights + size[:, None] * rng.standard_normal(weights.shape)
        found = score(build(moved, shifted))
        up = found > best
        A, weights = np.where(up[:, None, None, None], moved, A), np.where(up[:, None], shifted, weights)
        best, size = np.where(up, found, best), size * np.where(up, 1.5, 0.9)
    return build(A, weights)


def unit(samples: Samples) -> FloatArray:
    """Return the bound in its own units."""
    return np.ones_like(samples.observed)


AT_EDGE = {
    "tolerance": 1e-12,
    "tolerance_reason": "rounding; at the edge growth is 1 up to 1e-13, and the bounds are proportional to growth",
}
BEYOND = {"beyond": 2.0}

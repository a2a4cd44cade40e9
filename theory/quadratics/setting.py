"""Random quadratics and paths on them, as every file here has them.

f = ½ wᵀ H w with H positive definite, in a random basis; SAM's step w ← w − eta H(w + rho Hw/‖Hw‖), USAM's without the
norm. The top eigenvalue lam_max is kept apart from the others, so that what is a limit is reached.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from simulate.types import FloatArray
from theory.domain import Range
from theory.types import Settings

if TYPE_CHECKING:
    from simulate.objective import FiniteSum

NOMINAL = {"d": 8, "eta": 0.5, "rho": 0.1, "lam": 1.0}


def seeds(settings: Settings) -> range:
    """Return the seeds of settings that hold a base `seed` and a number `seeds`, one problem each."""
    return range(settings["seed"], settings["seed"] + settings["seeds"])


RATIOS = Range(0.05, 0.9, 0.5)
SEARCHED = {
    "d": Range(2, 8, 2, integer=True),
    "ratios": replace(RATIOS, size=7),
    "lam": Range(0.01, 100.0, 1.0, log=True),
    "rho": Range(1e-3, 10.0, 0.1, log=True),
    "start": Range(0.01, 1.0, 1.0, log=True, size=8),
}
"""A quadratic in its eigenbasis and a start by their own numbers: signs are free there, but for rounding."""


def searched(settings: Settings) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (eigenvalues, the largest first, basis I, start), d of each, by their own numbers."""
    d = settings["d"]
    eigenvalues = settings["lam"] * np.array([1.0, *sorted(settings["ratios"][: d - 1], reverse=True)])
    return eigenvalues, np.eye(d), np.array(settings["start"][:d])


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number between low and high, uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def spectrum(rng: np.random.Generator) -> FloatArray:
    """Return 2 to 8 eigenvalues, falling: lam_max in 0.01 … 100, the others 0.05 … 0.9 times as large."""
    ratios = np.sort(rng.uniform(0.05, 0.9, rng.integers(1, 8)))[::-1]
    return log_uniform(rng, 0.01, 100.0) * np.concatenate([[1.0], ratios])


def basis(rng: np.random.Generator, d: int) -> FloatArray:
    """Return a random orthogonal matrix (d, d)."""
    return np.linalg.qr(rng.standard_normal((d, d)))[0]


def quadratic(eigenvalues: FloatArray, Q: FloatArray) -> "FiniteSum":
    """Return ½ wᵀ Q diag(eigenvalues) Qᵀ w as a finite sum of d squares, minimised at 0."""
    from simulate.objective import finite_sum

    d = len(eigenvalues)
    return finite_sum("square", np.sqrt(d * eigenvalues)[:, None] * Q.T, np.zeros(d), minimiser=np.zeros(d))


def path(
    problem: "FiniteSum", start: FloatArray, eta: float, rho: float, lam: float, steps: int, record: Sequence[int] = ()
) -> tuple[str, dict[str, FloatArray]]:
    """Take full-batch steps of Unified SAM from `start` (d,); return (status, history), see `FiniteSumResult`."""
    from simulate.finite_sum import Descent, Schedule
    from simulate.sampling import sampling
    from simulate.update import Phase, Rule, train

    full = sampling("full", problem)
    with np.errstate(over="ignore", invalid="ignore"):
        descent = Descent(problem, full, Schedule(float(eta), float(rho)), start)
        phases = [Phase(Rule(float(rho), lam), steps)]
        status, _, history = train(descent, phases, full.batches(None), float(eta), -1.0, record)
    return status, history


def critical_value(above: Callable[[float], bool], low: float, high: float, halvings: int) -> float:
    """Return where `above` turns from false to true between low and high, by halving in the logarithm; else NaN."""
    if above(low) or not above(high):
        return np.nan
    low, high = np.log(low), np.log(high)
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if above(np.exp(middle)) else (middle, high)
    return float(np.exp(0.5 * (low + high)))

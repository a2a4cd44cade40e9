"""The interpolator that a diagonal network's flow finds, as a minimum of the potential, against `scipy.optimize`.

n = 20, d = 100. A peer that leaves beta further than 1e-4 (relative) from ours is not timed but said to have failed.
"""

import warnings
from collections.abc import Iterator

import numpy as np

from benchmarks.machine import one_core
from benchmarks.measure import Row, clocked, costs, paired
from benchmarks.peers.potential_scipy import WAYS
from simulate.regression import SparseRegression, draw_regression
from theory.andriushchenko2022.potential import minimiser

LOOSEST = 1e-4


def minima() -> Iterator[Row]:
    """Yield the rows."""
    with one_core(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of methods that give up, which is seen by what they leave
        for alpha in (0.5, 0.1, 0.02):
            for way in WAYS:
                yield against_scipy(alpha, way)


def against_scipy(alpha: float, way: str, repetitions: int = 3, calls: int = 20) -> Row:
    """Return the row of one way to ask scipy."""
    problem = draw_regression(SparseRegression(samples=20, dimension=100), 0)
    X, y, solve, job = problem.X, problem.y, WAYS[way], f"least potential, n 20, d 100, alpha {alpha}"
    best = minimiser(X, y, np.log(alpha))[0]
    off = f"theirs off by {(error := abs(solve(X, y, alpha) - best).max() / abs(best).max()):.0e}"
    if not error <= LOOSEST:
        return Row(job, f"scipy.optimize, {way}", note=off)
    theirs, ours = paired(
        lambda: clocked(lambda: solve(X, y, alpha)),
        lambda: clocked(lambda: [minimiser(X, y, np.log(alpha)) for _ in range(calls)], calls),
        repetitions,
    )
    return Row(job, f"scipy.optimize, {way}", theirs / ours, note=f"{costs(theirs, ours)}; {off}")

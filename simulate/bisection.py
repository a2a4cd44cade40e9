"""Critical values by bisection with common random numbers, many at a time."""

from collections.abc import Callable, Sequence

import numpy as np

from simulate.conv_run import ConvSpec
from simulate.runner import Runner


def critical_values(
    runner: Runner,
    points: Sequence[Callable[[float], list[ConvSpec]]],
    level: float,
    brackets: np.ndarray,
    halvings: int = 5,
    average: Callable[[np.ndarray], float] = np.mean,
) -> np.ndarray:
    """Return for each point the value at which the average clean error of its runs falls through `level`.

    `points[k](value)` gives the runs of point k at a value; they should share their random streams across values.
    `brackets` (points, 2) holds a value with error above and one with error below the level; both ends are
    tried first, and the result is NaN where they do not bracket. All points are halved (in the logarithm) in step,
    so that their runs fill the workers together; the last bracket is interpolated linearly.
    """

    def errors(values):
        specs = [point(float(value)) for point, value in zip(points, values, strict=True)]
        results = iter(runner.run([spec for group in specs for spec in group]))
        return np.array([average(np.array([next(results).clean_error for _ in group])) for group in specs])

    low, high = np.log(np.asarray(brackets, float)).T
    above, below = errors(np.exp(low)), errors(np.exp(high))
    bracketed = (above >= level) & (below < level)
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        error = errors(np.exp(middle))
        up = error >= level
        low, above = np.where(up, middle, low), np.where(up, error, above)
        high, below = np.where(up, high, middle), np.where(up, below, error)
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = (above - level) / (above - below)
        return np.where(bracketed, np.exp(low + fraction * (high - low)), np.nan)

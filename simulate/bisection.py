"""Critical values by bisection with common random numbers, many at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from simulate.parameters import ParameterError
from simulate.run import Result, Specification
from simulate.runner import Runner
from simulate.types import FloatArray

Runs = Callable[[float], list[Specification]]
"""The runs of a point at a value; they should share their random streams across values."""


def clean_error(result: Any) -> float:
    """Return what is averaged unless the caller says otherwise."""
    error: float = result.clean_error
    return error


def _averages(
    runner: Runner,
    groups: Sequence[list[Specification]],
    average: Callable[[FloatArray], float],
    value: Callable[[Result], float],
) -> FloatArray:
    """Return the average of value(result) over the runs of every group, (groups,)."""
    results = iter(runner.run([spec for group in groups for spec in group]))
    return np.array([average(np.array([value(next(results)) for _ in group])) for group in groups])


def critical_values(
    runner: Runner,
    points: Sequence[Runs],
    level: float,
    brackets: FloatArray,
    halvings: int = 5,
    average: Callable[[FloatArray], float] = np.mean,
    value: Callable[[Result], float] = clean_error,
) -> FloatArray:
    """Return for each point the value at which the average of value(result) over its runs meets `level` (or (points,)).

    `brackets` (points, 2) holds a value with an average at or above and one with an average below the level, in this
    order, whichever is the larger; both ends are tried first, and the result is NaN where they do not bracket. All
    points are halved (in the logarithm) in step, so that their runs fill the workers together; the last bracket is
    interpolated linearly, or halved once more where an average is infinite.
    """

    def averages(values: FloatArray) -> FloatArray:
        groups = [point(float(at)) for point, at in zip(points, values, strict=True)]
        return _averages(runner, groups, average, value)

    low, high = np.log(np.asarray(brackets, float)).T
    above, below = averages(np.exp(low)), averages(np.exp(high))
    bracketed = (above >= level) & (below < level)
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        error = averages(np.exp(middle))
        up = error >= level
        low, above = np.where(up, middle, low), np.where(up, error, above)
        high, below = np.where(up, high, middle), np.where(up, below, error)
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = (above - level) / (above - below)
        fraction = np.where(np.isinf(above) | np.isinf(below), 0.5, fraction)
        return np.where(bracketed & ~np.isnan(below), np.exp(low + fraction * (high - low)), np.nan)


def find_brackets(
    runner: Runner,
    points: Sequence[Runs],
    level: float,
    between: tuple[float, float],
    doublings: int = 0,
    average: Callable[[FloatArray], float] = np.mean,
    value: Callable[[Result], float] = clean_error,
) -> tuple[FloatArray, list[str]]:
    """Return brackets (points, 2) for `critical_values`, and for each point "" or why it has none (a row of NaN).

    Where the two ends of `between` lie on one side of the level, both move outwards by a factor of 2, at most
    `doublings` times, until one of them is on the other side. An end stays where it is from the first value on that
    the model refuses or whose average is NaN. Raises ParameterError where the model refuses the ends given.
    """
    levels = np.broadcast_to(np.asarray(level, float), len(points))
    brackets, words = np.full((len(points), 2), np.nan), [""] * len(points)
    ends = np.array([between] * len(points), float).reshape(-1, 2)
    groups = [point(float(end)) for point, pair in zip(points, ends, strict=True) for end in pair]
    first = _averages(runner, groups, average, value).reshape(-1, 2) if groups else np.empty((0, 2))
    moving: dict[int, dict[int, float]] = {}
    above = first >= levels[:, None]
    for k, (one, other) in enumerate(above):
        if np.isnan(first[k]).any():
            words[k] = "not finite"
        elif one != other:
            brackets[k] = ends[k] if one else ends[k, ::-1]
        else:
            words[k], moving[k] = "above" if one else "below", {0: 0.5, 1: 2.0}
    for _ in range(doublings):
        tried = {}
        for k, side in [(one, side) for one, sides in moving.items() for side in sides]:
            end = float(ends[k, side] * moving[k][side])
            try:
                tried[k, side] = end, points[k](end)
            except ParameterError:
                del moving[k][side]
        groups = [group for _, group in tried.values()]
        found = _averages(runner, groups, average, value) if groups else np.empty(0)
        crossed: dict[int, list[tuple[float, float]]] = {}
        for ((k, side), (end, _)), now in zip(tried.items(), found, strict=True):
            if np.isnan(now):
                del moving[k][side]
            elif (now >= levels[k]) != above[k, 0]:
                crossed.setdefault(k, []).append((ends[k, side], end))
            else:
                ends[k, side] = end
        for k, pairs in crossed.items():
            del moving[k]
            words[k] = "" if len(pairs) == 1 else "met twice"
            if len(pairs) == 1:
                brackets[k] = pairs[0] if above[k, 0] else pairs[0][::-1]
    for k in [k for k, word in enumerate(words) if word in ("above", "below")]:
        words[k] = f"{words[k]} the level from {ends[k, 0]:.4g} to {ends[k, 1]:.4g}"
    return brackets, words

"""Test error of the convolutional network on fresh samples, without a d-vector.

For a fresh xi ~ N(0, sigma_p² I), ⟨W, xi⟩ ~ N(0, sigma_p² W Wᵀ), so the clean error

    e = ½ P(a₊ + X < 0) + ½ P(a₋ + X > 0),    X = (c/m) Σ_r J_r relu⟨w_r, xi⟩,

with a± the exact logits of the signal patch alone, is an integral over 2m normals (2m (P − 1) for independent
noise patches). f = 0 counts one half. The error against observed labels is p + (1 − 2p) e.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from simulate.compiled import kernel
from simulate.conv import Network
from simulate.types import FloatArray, IntArray

REPLICATES, LOG2_POINTS = 8, 10
MAXIMUM_DIMENSION = qmc.Sobol.MAXDIM
WIDE, LOG2_LINES = 64, (5, 7, 9)  # so many rows that lines are cheaper than points; lines a replicate, in turn
_PRECISION = 0.3  # standard error of what points reach, in that of as many independent draws


@lru_cache(maxsize=8)
def _normal_points(dimension: int, log2_points: int = LOG2_POINTS) -> FloatArray:
    """Independently scrambled Sobol nets mapped to normals, (REPLICATES, 2^log2_points, dimension)."""
    nets = [qmc.Sobol(dimension, rng=np.random.default_rng(k)).random_base2(log2_points) for k in range(REPLICATES)]
    smallest = 2.0**-54  # a scrambled net may hold an exact 0
    points: FloatArray = ndtri(np.clip(np.stack(nets), smallest, 1.0 - 2.0**-53))
    return points


def clean_error(network: Network, noise_std: float) -> tuple[float, float]:
    """Return (e, standard error of e) of a network by randomised quasi-Monte Carlo.

    The standard error comes from `REPLICATES` independent scramblings of 2^LOG2_POINTS points each; networks of `WIDE`
    rows and one noise vector a sample take as many lines as make it as small, from 2^5 on (`smoothed_error`). Weights
    whose projections or W Wᵀ are not finite give (nan, nan).
    """
    instance = network.instance
    if len(network.coefficients) >= WIDE and instance.noise_count == 1:
        return smoothed_error(network, noise_std, LOG2_LINES)
    found = _response(network, noise_std)
    if found is None:
        return np.nan, np.nan
    positive, negative, covariance = found
    signs, m, count = network.signs, len(covariance) // 2, instance.noise_count
    if instance.noise_weight == 0.0 or count == 0:
        X: Any = np.zeros((REPLICATES, 1))
    else:
        points, factor = _normal_points(2 * m * count), _principal_factor(covariance)
        patches = points.reshape(*points.shape[:2], 2 * m, count) if count > 1 else points[..., None]
        X = sum(np.maximum(patches[..., q] @ factor, 0.0) @ signs for q in range(count))
        X *= instance.noise_weight / m
    return _summary(0.5 * (_below(X, -positive) + _below(-X, negative)))


def smoothed_error(
    network: Network, noise_std: float, log2_lines: Sequence[int] = (LOG2_POINTS,)
) -> tuple[float, float]:
    """Return (e, standard error of e) as `clean_error` does, on lines in the place of points.

    Σ_r J_r⟨w_r, xi⟩ is the part of X that is linear, up to a factor. Along it X is piecewise linear, so that
    P(X < level | the other coordinates) is a sum of normal probabilities over the pieces. One noise vector a sample.
    Nets of 2^k lines are taken for k of `log2_lines` in turn, until the standard error is that of points.
    """
    found = _response(network, noise_std)
    if found is None:
        return np.nan, np.nan
    positive, negative, covariance = found
    J = network.signs * network.instance.noise_weight / (len(covariance) // 2)
    leading = covariance @ J
    variance = J @ leading
    leading = leading / math.sqrt(variance) if variance > 0.0 else np.zeros_like(leading)
    factor = _quick_factor(covariance - np.outer(leading, leading))
    for log2 in log2_lines:
        # the h of X(t) = Σ J relu(t leading + h)
        lines = (_normal_points(len(factor), log2) @ factor).reshape(-1, len(J))
        with np.errstate(divide="ignore", invalid="ignore"):
            kinks = np.where(leading == 0.0, np.inf, -lines / leading)
        wrong = np.empty(len(lines))
        _wrong_on_lines(J, leading, lines, kinks, np.argsort(kinks, axis=1), positive, negative, wrong)
        e, error = _summary(wrong.reshape(REPLICATES, -1))
        if error <= _PRECISION * math.sqrt(max(e * (1.0 - e), 0.0) / (REPLICATES * 2.0**LOG2_POINTS)):
            break
    return e, error


@kernel
def _wrong_on_lines(
    J: FloatArray, leading: FloatArray, lines: FloatArray, kinks: FloatArray, order: IntArray, positive: float,
    negative: float, wrong: FloatArray,
) -> None:  # fmt: skip
    """Write ½ P(X < −positive) + ½ P(X > −negative) of every line (N, K) into wrong (N,); a tie counts one half."""
    for i in range(len(lines)):
        below = _below_on_line(J, leading, lines[i], kinks[i], order[i], -positive)
        wrong[i] = 0.5 * (below + (1.0 - _below_on_line(J, leading, lines[i], kinks[i], order[i], -negative)))


@kernel
def _below_on_line(
    J: FloatArray, leading: FloatArray, h: FloatArray, kinks: FloatArray, order: IntArray, level: float
) -> float:
    """Return P(X < level) + ½ P(X = level) for X = Σ J relu(t leading + h) and t ~ N(0, 1)."""
    slope, offset = 0.0, 0.0
    for r in range(h.size):
        if leading[r] < 0.0:  # active at t = −∞
            slope, offset = slope + J[r] * leading[r], offset + J[r] * h[r]
        elif leading[r] == 0.0:
            offset += J[r] * max(h[r], 0.0)
    total, weight, since, low = 0.0, 0.0, -math.inf, -math.inf  # X < level with this weight since then
    for place in range(h.size + 1):
        high = kinks[order[place]] if place < h.size else math.inf
        middle, first, second = low, 0.0, 0.0
        if slope == 0.0:
            second = 1.0 if offset < level else (0.5 if offset == level else 0.0)
        else:
            middle = min(max((level - offset) / slope, low), high)
            first, second = (1.0, 0.0) if slope > 0.0 else (0.0, 1.0)
        if low < middle and first != weight:
            total, weight, since = total + weight * (_normal(low) - _normal(since)), first, low
        if middle < high and second != weight:
            total, weight, since = total + weight * (_normal(middle) - _normal(since)), second, middle
        if high == math.inf:
            break
        r, low = order[place], high
        slope, offset = slope + J[r] * abs(leading[r]), offset + J[r] * (h[r] if leading[r] > 0.0 else -h[r])
    return total + weight * (1.0 - _normal(since))


@kernel
def _normal(x: float) -> float:
    """Return the probability that a standard normal is below x."""
    return 0.5 * math.erfc(-x * math.sqrt(0.5))


def _response(network: Network, noise_std: float) -> tuple[float, float, FloatArray] | None:
    """Return a₊, a₋ and the covariance of ⟨W, xi⟩; None if they are not finite."""
    signal = network.projections()[:, 0]
    covariance = network.covariance() * noise_std**2
    if not (np.isfinite(signal).all() and np.isfinite(covariance).all()):
        return None
    signs, m = network.signs, len(signal) // 2
    return float(signs @ np.maximum(signal, 0.0)) / m, float(signs @ np.maximum(-signal, 0.0)) / m, covariance


def _principal_factor(C: FloatArray) -> FloatArray:
    """F with Fᵀ F = C, its rows by falling size: the leading coordinates of a Sobol net are its best."""
    values, vectors = np.linalg.eigh(C)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)), float)[:, ::-1].T


def _quick_factor(C: FloatArray, leading: int = 8) -> FloatArray:
    """F (8 rows more than C) with Fᵀ F = C; a few leading rows are nearly `_principal_factor`'s, the others Cholesky's.

    Rounding is met by 1e-12 of the mean variance, added to every one.
    """
    size = len(C)
    if size <= 4 * leading:
        return _principal_factor(C)
    tested = np.linalg.qr(C @ np.random.default_rng(0).standard_normal((size, leading)))[0]
    values, vectors = np.linalg.eigh(tested.T @ C @ tested)
    kept = values > 1e-12 * values[-1]
    first = ((vectors[:, kept] / np.sqrt(values[kept])).T @ (tested.T @ C))[::-1]
    rest = C - first.T @ first
    rest[np.diag_indices(size)] += 1e-12 * np.trace(C) / size
    try:
        return np.vstack([first, np.linalg.cholesky(rest).T])
    except np.linalg.LinAlgError:
        return _principal_factor(C)


def _summary(wrong: FloatArray) -> tuple[float, float]:
    """Return the mean of `wrong` (REPLICATES, points) and its standard error."""
    means = wrong.mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(REPLICATES))


def _below(X: FloatArray, level: float) -> FloatArray:
    """1 where X < level, ½ where X = level."""
    return 0.5 * (level > X) + 0.5 * (level >= X)


def test_error(clean: float, flip_rate: float) -> float:
    """Return the error against observed labels, p + (1 − 2p) e."""
    return flip_rate + (1.0 - 2.0 * flip_rate) * clean


test_error.__test__ = False  # type: ignore[attr-defined]  # a quantity, not a test

"""Test error of the convolutional network on fresh samples, without a d-vector.

For a fresh xi ~ N(0, sigma_p² I), ⟨W, xi⟩ ~ N(0, sigma_p² W Wᵀ), so the clean error

    e = ½ P(a₊ + X < 0) + ½ P(a₋ + X > 0),    X = (c/m) Σ_r J_r relu⟨w_r, xi⟩,

with a± the exact logits of the signal patch alone, is an integral over 2m normals (2m (P − 1) for independent
noise patches). f = 0 counts one half. The error against observed labels is p + (1 − 2p) e.
"""

from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import qmc

REPLICATES, LOG2_POINTS = 8, 10
MAXIMUM_DIMENSION = qmc.Sobol.MAXDIM


@lru_cache(maxsize=8)
def _normal_points(dimension):
    """Independently scrambled Sobol nets mapped to normals, (REPLICATES, 2^LOG2_POINTS, dimension)."""
    nets = [qmc.Sobol(dimension, rng=np.random.default_rng(k)).random_base2(LOG2_POINTS) for k in range(REPLICATES)]
    smallest = 2.0**-54  # a scrambled net may hold an exact 0
    return ndtri(np.clip(np.stack(nets), smallest, 1.0 - 2.0**-53))


def clean_error(network, noise_std: float) -> tuple[float, float]:
    """Return (e, standard error of e) of a network by randomised quasi-Monte Carlo.

    The standard error comes from `REPLICATES` independent scramblings of 2^LOG2_POINTS points each. Weights whose
    projections or W Wᵀ are not finite give (nan, nan).
    """
    found = _response(network, noise_std)
    if found is None:
        return np.nan, np.nan
    positive, negative, factor = found
    signs, m, instance = network.signs, len(factor) // 2, network.instance
    count = instance.noise_count
    if instance.noise_weight == 0.0 or count == 0:
        X = np.zeros((REPLICATES, 1))
    else:
        points = _normal_points(2 * m * count)
        patches = points.reshape(*points.shape[:2], 2 * m, count) if count > 1 else points[..., None]
        X = sum(np.maximum(patches[..., q] @ factor, 0.0) @ signs for q in range(count))
        X *= instance.noise_weight / m
    wrong = 0.5 * (_below(X, -positive) + _below(-X, negative))
    return float(wrong.mean()), float(wrong.std(ddof=1) / np.sqrt(REPLICATES))


def smoothed_error(network, noise_std: float) -> tuple[float, float]:
    """Return (e, standard error of e) as `clean_error` does, the leading coordinate of ⟨W, xi⟩ integrated exactly.

    Along it X is piecewise linear, so that P(X < level | the other coordinates) is a sum of normal probabilities over
    the pieces. Much the more precise where one direction, that of the signal, dominates W. One noise vector a sample.
    """
    found = _response(network, noise_std)
    if found is None:
        return np.nan, np.nan
    positive, negative, factor = found
    signs, rows = network.signs, len(factor)
    J = signs * network.instance.noise_weight / (rows // 2)
    leading, others = factor[0], _normal_points(rows - 1) @ factor[1:]  # h, with X(t) = Σ J relu(t leading + h)
    wrong = np.empty(REPLICATES)
    for k, h in enumerate(others):
        with np.errstate(divide="ignore", invalid="ignore"):
            places = np.where(leading == 0.0, np.inf, -h / leading)
        order = np.argsort(places, axis=1, kind="stable")
        edges = np.take_along_axis(places, order, axis=1)
        falling = leading < 0.0  # active at t = −∞
        start = np.where(leading == 0.0, J * np.maximum(h, 0.0), np.where(falling, J * h, 0.0)).sum(axis=1)
        slope = (J * leading)[falling].sum() + _sums((J * np.abs(leading))[order])
        offset = start[:, None] + _sums(np.take_along_axis(J * np.sign(leading) * h, order, axis=1))
        below = _pieces_below(edges, slope, offset, -positive)
        above = _pieces_below(edges, -slope, -offset, negative)
        wrong[k] = 0.5 * (below + above).mean()
    return float(wrong.mean()), float(wrong.std(ddof=1) / np.sqrt(REPLICATES))


def _sums(steps):
    """Return sums of the first 0, 1, … steps, along the last axis."""
    return np.concatenate([np.zeros_like(steps[:, :1]), np.cumsum(steps, axis=1)], axis=1)


def _pieces_below(edges, slope, offset, level):
    """P(X < level) + ½ P(X = level) for X = slope t + offset, t ~ N(0, 1), between the edges (N, K); slope (N, K+1)."""
    ends = np.full((len(edges), 1), np.inf)
    low, high = np.hstack([-ends, edges]), np.hstack([edges, ends])
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.clip((level - offset) / slope, low, high)
    flat = np.heaviside(level - offset, 0.5) * (ndtr(high) - ndtr(low))
    steep = np.where(slope > 0.0, ndtr(root) - ndtr(low), ndtr(high) - ndtr(root))
    return np.where(slope == 0.0, flat, steep).sum(axis=1)


def _response(network, noise_std):
    """Return a₊, −a₋ and a factor F (2m, 2m) with ⟨W, xi⟩ = Fᵀz, z normal, leading row first; None if not finite."""
    signal = network.projections()[:, 0]
    covariance = network.covariance()
    if not (np.isfinite(signal).all() and np.isfinite(covariance).all()):
        return None
    signs, m = network.signs, len(signal) // 2
    positive = signs @ np.maximum(signal, 0.0) / m
    negative = signs @ np.maximum(-signal, 0.0) / m
    values, vectors = np.linalg.eigh(covariance)
    # largest variance first: the leading coordinates of a Sobol net are its best
    return positive, negative, (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1].T * noise_std


def _below(X, level):
    """P(X < level) + ½ P(X = level), along the last axis."""
    return 0.5 * ((level > X).mean(axis=-1) + (level >= X).mean(axis=-1))


def test_error(clean: float, flip_rate: float) -> float:
    """Return the error against observed labels, p + (1 − 2p) e."""
    return flip_rate + (1.0 - 2.0 * flip_rate) * clean


test_error.__test__ = False  # type: ignore[attr-defined]  # a quantity, not a test

"""The clean error of a network by scrambled Sobol points in the covariance's eigenbasis, points kept between calls."""

from functools import lru_cache

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from simulate.types import FloatArray


@lru_cache(maxsize=1)
def points(dimension: int, replicates: int = 8, log2_points: int = 10) -> FloatArray:
    """Return independently scrambled nets of normals, (replicates, 2^log2_points, dimension)."""
    nets = [qmc.Sobol(dimension, rng=np.random.default_rng(k)).random_base2(log2_points) for k in range(replicates)]
    found: FloatArray = ndtri(np.clip(np.stack(nets), 2.0**-54, 1.0 - 2.0**-53))
    return found


def clean_error(signal: FloatArray, covariance: FloatArray) -> tuple[float, float]:
    """Return (e, its standard error), given ⟨w_r, mu⟩ (2m,) and the covariance (2m, 2m) of ⟨w_r, xi⟩."""
    m = len(signal) // 2
    signs = np.repeat([1.0, -1.0], m)
    values, vectors = np.linalg.eigh(covariance)
    factor = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1].T
    X = np.maximum(points(2 * m) @ factor, 0.0) @ signs / m
    right, wrong = signs @ np.maximum(signal, 0.0) / m, signs @ np.maximum(-signal, 0.0) / m
    errors = 0.5 * ((right + X < 0.0).mean(axis=1) + (wrong + X > 0.0).mean(axis=1))
    return float(errors.mean()), float(errors.std(ddof=1) / np.sqrt(len(errors)))

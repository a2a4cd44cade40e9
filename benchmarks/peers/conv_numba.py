"""The two-layer convolutional ReLU network on the d-vectors themselves, in numba: loops, and BLAS for the products."""

import math
from collections.abc import Callable

import numba
import numpy as np

from simulate.signal_noise import DenseInstance
from simulate.types import FloatArray


@numba.njit()
def gradient(W: FloatArray, V: FloatArray, columns: FloatArray, y: FloatArray, signal_labels: FloatArray) -> FloatArray:
    """Return ∇L (2m, d); columns is V transposed."""
    m, n = len(W) // 2, len(y)
    H = np.dot(W, columns)
    f = np.zeros(n)
    for r in range(2 * m):
        J = 1.0 if r < m else -1.0
        for i in range(n):
            f[i] += J * (max(H[r, 0] * signal_labels[i], 0.0) + max(H[r, i + 1], 0.0)) / m
    D = np.zeros_like(H)
    for i in range(n):
        g = -y[i] / (1.0 + math.exp(y[i] * f[i])) / (n * m)
        for r in range(2 * m):
            J = 1.0 if r < m else -1.0
            if H[r, 0] * signal_labels[i] > 0.0:
                D[r, 0] += J * g * signal_labels[i]
            if H[r, i + 1] > 0.0:
                D[r, i + 1] = J * g
    found: FloatArray = np.dot(D, V)
    return found


@numba.njit()
def take_steps(
    W: FloatArray, V: FloatArray, columns: FloatArray, y: FloatArray, signal_labels: FloatArray, radius: float,
    step_size: float, steps: int,
) -> None:  # fmt: skip
    """Take full-batch steps on W (2m, d) in place."""
    for _ in range(steps):
        G = gradient(W, V, columns, y, signal_labels)
        if radius > 0.0:
            norm = math.sqrt(np.sum(G * G))
            G = gradient(W + radius / norm * G, V, columns, y, signal_labels)
        W -= step_size * G


def training(instance: DenseInstance, radius: float, step_size: float) -> Callable[[int], FloatArray]:
    """Return train(steps) → W (2m, d): full-batch steps of SGD, or of SAM if radius > 0, from the initial weights."""
    columns = np.ascontiguousarray(instance.vectors.T)

    def train(steps: int) -> FloatArray:
        W = instance.weights.copy()
        take_steps(W, instance.vectors, columns, instance.labels, instance.signal_labels, radius, step_size, steps)
        return W

    return train

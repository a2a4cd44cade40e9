"""The two-layer convolutional ReLU network on the d-vectors themselves, in numba: loops, and BLAS for the products."""

import math

import numba
import numpy as np


@numba.njit
def gradient(W, V, columns, y, signal_labels):
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
    return np.dot(D, V)


@numba.njit
def take_steps(W, V, columns, y, signal_labels, radius, step_size, steps):
    """Take full-batch steps on W (2m, d) in place."""
    for _ in range(steps):
        G = gradient(W, V, columns, y, signal_labels)
        if radius > 0.0:
            norm = math.sqrt(np.sum(G * G))
            G = gradient(W + radius / norm * G, V, columns, y, signal_labels)
        W -= step_size * G


def training(instance, radius, step_size):
    """Return train(steps) → W (2m, d): full-batch steps of SGD, or of SAM if radius > 0, from the initial weights."""
    columns = np.ascontiguousarray(instance.vectors.T)

    def train(steps):
        W = instance.weights.copy()
        take_steps(W, instance.vectors, columns, instance.labels, instance.signal_labels, radius, step_size, steps)
        return W

    return train

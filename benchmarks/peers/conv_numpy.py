"""The two-layer convolutional ReLU network on the d-vectors themselves, in NumPy, gradients by hand."""

from collections.abc import Callable

import numpy as np

from simulate.signal_noise import DenseInstance


def training(
    instance: DenseInstance, radius: float, step_size: float, dtype: type[np.floating] = np.float64
) -> Callable[[int], np.ndarray]:
    """Return train(steps) → W (2m, d): full-batch steps of SGD, or of SAM if radius > 0, from the initial weights."""
    V = instance.vectors.astype(dtype)
    y, signal_labels = instance.labels.astype(dtype), instance.signal_labels.astype(dtype)
    m, n = len(instance.weights) // 2, len(y)
    J = np.repeat(np.array([1, -1], dtype), m)

    def gradient(W: np.ndarray) -> np.ndarray:
        H = W @ V.T
        signal, noise = H[:, :1] * signal_labels, H[:, 1:]
        f = J @ (np.maximum(signal, 0) + np.maximum(noise, 0)) / m
        g = -y / (1 + np.exp(y * f)) / (n * m)
        D = np.empty_like(H)
        D[:, 0] = J * ((signal > 0) @ (g * signal_labels))
        D[:, 1:] = J[:, None] * np.where(noise > 0, g, 0)
        found: np.ndarray = D @ V
        return found

    def train(steps: int) -> np.ndarray:
        W = instance.weights.astype(dtype)
        for _ in range(steps):
            G = gradient(W)
            if radius > 0:
                G = gradient(W + radius / np.linalg.norm(G) * G)
            W -= step_size * G
        return W

    return train

"""Mini-batch steps in Gram space as one writes them down in numba: the batch's columns, and BLAS for D G."""

import math

import numba
import numpy as np

from simulate.types import FloatArray, IntArray


@numba.njit()
def descent(H: FloatArray, y: FloatArray, signal_labels: FloatArray, batch: IntArray) -> FloatArray:
    """Return D (2m, B + 1), minus the gradient's coefficients on the signal and on the batch's noise vectors."""
    rows, m = len(H), len(H) // 2
    D = np.zeros((rows, len(batch) + 1))
    for k in range(len(batch)):
        i = batch[k]
        f = 0.0
        for r in range(rows):
            J = 1.0 if r < m else -1.0
            f += J * (max(H[r, 0] * signal_labels[i], 0.0) + max(H[r, i + 1], 0.0)) / m
        g = y[i] / (1.0 + math.exp(y[i] * f)) / (len(batch) * m)
        for r in range(rows):
            J = 1.0 if r < m else -1.0
            if H[r, 0] * signal_labels[i] > 0.0:
                D[r, 0] += J * g * signal_labels[i]
            if H[r, i + 1] > 0.0:
                D[r, k + 1] = J * g
    return D


@numba.njit()
def take_steps(
    H: FloatArray, A: FloatArray, G: FloatArray, y: FloatArray, signal_labels: FloatArray, order: IntArray,
    batch_size: int, radius: float, step_size: float, steps: int,
) -> None:  # fmt: skip
    """Take steps on H and A (2m, n + 1) in place, along the permutations `order` (epochs, n), in turn."""
    per_epoch = len(y) // batch_size
    for step in range(steps):
        place = step % per_epoch * batch_size
        batch = order[step // per_epoch % len(order)][place : place + batch_size]
        columns = np.zeros(batch_size + 1, np.int64)
        columns[1:] = batch + 1
        rows_of_G = G[columns]
        D = descent(H, y, signal_labels, batch)
        DG = np.dot(D, rows_of_G)
        if radius > 0.0:
            squared = np.sum(D * DG[:, columns])
            D = descent(H - radius / math.sqrt(squared) * DG, y, signal_labels, batch)
            DG = np.dot(D, rows_of_G)
        A[:, columns] += step_size * D
        H += step_size * DG

"""Steps of the convolutional network on its d-vectors, plain: the reference; `simulate.conv` has the equations."""

import math

import numpy as np

from simulate.compiled import kernel
from simulate.gram_step import mean_loss
from simulate.types import FloatArray, IntArray
from simulate.update import DIVERGED, RUNNING, STOPPED, perturbation_scale


@kernel
def logits(
    H: FloatArray, signal_labels: FloatArray, noise_weight: float, noise_count: int, sums: FloatArray, f: FloatArray
) -> None:
    """Write f_i = (1/m) Σ_r J_r (relu(ŷ_i H[r, 0]) + c Σ_k relu(H[r, k])), k over i's noise vectors, into `f` (n,).

    H (2m, columns), columns ≥ N+1; `sums` (columns,) is scratch for the sums over r.
    """
    rows, columns = H.shape
    m = rows // 2
    sums[:] = 0.0
    opposite = 0.0
    for r in range(rows):
        J = 1.0 if r < m else -1.0
        h = H[r]
        opposite += J * max(-h[0], 0.0)
        for k in range(columns):
            sums[k] += J * max(h[k], 0.0)
    for i in range(f.size):
        noise = 0.0
        for q in range(noise_count):
            noise += sums[1 + i * noise_count + q]
        f[i] = ((sums[0] if signal_labels[i] > 0.0 else opposite) + noise_weight * noise) / m


@kernel
def descent(
    H: FloatArray, labels: FloatArray, signal_labels: FloatArray, noise_weight: float, noise_count: int,
    batch: IntArray, s: FloatArray, c: FloatArray, D: FloatArray,
) -> None:  # fmt: skip
    """Write the D (2m, columns) of `simulate.conv` on `batch`; s (n,) holds 1/(1 + e^{y f}) there.

    Up to J_r and the mask, column k of D is one number c_k and column 0 one of two, by the sign of H[r, 0]; `c`
    (columns,) is scratch for them. Columns past N come out as zeros.
    """
    rows, columns = H.shape
    m = rows // 2
    scale = 1.0 / (m * batch.size)
    positive, negative = 0.0, 0.0
    c[:] = 0.0
    for i in batch:
        g = scale * s[i] * labels[i]
        if signal_labels[i] > 0.0:
            positive += g
        else:
            negative -= g
        for q in range(noise_count):
            c[1 + i * noise_count + q] = noise_weight * g
    for r in range(rows):
        J = 1.0 if r < m else -1.0
        h, d = H[r], D[r]
        for k in range(columns):
            d[k] = J * c[k] if h[k] > 0.0 else 0.0
        d[0] = J * positive if h[0] > 0.0 else (J * negative if h[0] < 0.0 else 0.0)


@kernel
def add_scaled(X: FloatArray, scale: float, Y: FloatArray) -> None:
    """X += scale · Y, in place."""
    for r in range(X.shape[0]):
        x, y = X[r], Y[r]
        for k in range(x.size):
            x[k] += scale * y[k]


@kernel
def decay_weights(X: FloatArray, shrink: float) -> None:
    """X *= shrink, in place; at 1 it is left alone."""
    if shrink != 1.0:
        for r in range(X.shape[0]):
            x = X[r]
            for k in range(x.size):
                x[k] *= shrink


@kernel
def batch_slopes(f: FloatArray, labels: FloatArray, batch: IntArray, s: FloatArray) -> float:
    """Write s_i = 1/(1 + e^{y_i f_i}) for i in `batch` and return their mean, a lower bound of the loss.

    s_i is within 2 ulps for any f; NaN stays NaN. Two loops, for what is live across a call of exp is spilled.
    """
    for i in batch:
        s[i] = math.exp(-abs(f[i]))
    total = 0.0
    for i in batch:
        e = s[i]
        s[i] = (e if labels[i] * f[i] >= 0.0 else 1.0) / (1.0 + e)
        total += s[i]
    return total / batch.size


@kernel
def reached(f: FloatArray, labels: FloatArray, everyone: IntArray, s: FloatArray, stop_loss: float) -> int:
    """Return RUNNING, STOPPED or DIVERGED for the logits f (log1p is skipped while mean(s) exceeds `stop_loss`)."""
    bound = batch_slopes(f, labels, everyone, s)
    if not bound >= 0.0:
        return DIVERGED
    if bound <= stop_loss and mean_loss(labels * f) <= stop_loss:
        return STOPPED
    return RUNNING


@kernel
def advance_dense(
    W: FloatArray, A: FloatArray, V: FloatArray, masks: FloatArray | None, labels: FloatArray,
    signal_labels: FloatArray, noise_weight: float, noise_count: int, order: IntArray, first_epoch: int, first: int,
    last: int, batch_size: int, step_size: float, radius: float, normalisation: float, stop_loss: float, shrink: float,
) -> tuple[int, int]:  # fmt: skip
    """`advance_gram` on the weights W (2m, d) and vectors V (N+1, d) themselves; A is kept beside W.

    masks (2m, d) are 1 where a weight may move, or None.
    """
    n = labels.size
    per_epoch = -(-n // batch_size)
    everyone = np.arange(n)
    f, s = np.empty(n), np.empty(n)
    c, D = np.empty(len(V)), np.empty_like(A)
    columns = np.ascontiguousarray(V.T)
    for step in range(first, last):
        epoch, place = step // per_epoch, step % per_epoch
        H = np.dot(W, columns)
        logits(H, signal_labels, noise_weight, noise_count, c, f)
        if place == 0:
            code = reached(f, labels, everyone, s, stop_loss)
            if code != RUNNING:
                return step, code
        batch = order[(epoch - first_epoch) % len(order), place * batch_size : min((place + 1) * batch_size, n)]
        if batch_size < n:
            batch_slopes(f, labels, batch, s)
        descent(H, labels, signal_labels, noise_weight, noise_count, batch, s, c, D)
        gradient = np.dot(D, V)  # minus ∇L, as vectors
        if masks is not None:
            gradient *= masks
        if radius > 0.0:
            squared = 0.0
            for r in range(gradient.shape[0]):
                squared += np.dot(gradient[r], gradient[r])
            scale = perturbation_scale(radius, normalisation, math.sqrt(squared))
            H = np.dot(W - scale * gradient, columns)
            logits(H, signal_labels, noise_weight, noise_count, c, f)
            batch_slopes(f, labels, batch, s)
            descent(H, labels, signal_labels, noise_weight, noise_count, batch, s, c, D)
            gradient = np.dot(D, V)
            if masks is not None:
                gradient *= masks
        decay_weights(A, shrink)
        decay_weights(W, shrink)
        add_scaled(A, step_size, D)
        add_scaled(W, step_size, gradient)
    return last, RUNNING

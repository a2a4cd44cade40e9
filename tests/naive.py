"""Plain twins of the kernels: slow, obvious, and written from the equations alone.

A sample is its patches: x has shape (n, P, d). Rows of W (2m, d) are neurons, the m of class +1 first.

    f(x) = (1/m) Σ_r J_r Σ_p relu⟨w_r, x⁽ᵖ⁾⟩,    L = mean of log(1 + exp(−y f)).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from simulate.conv import Network
from simulate.signal_noise import DenseInstance, GramInstance
from simulate.types import FloatArray, IntArray
from simulate.update import Rule

Batch = Sequence[int] | IntArray
DiagonalRule = tuple[float, float, int | None]  # (radius, normalisation, block)


def sigmoid(z: float) -> float:
    """Return 1/(1 + e^z)."""
    if z > 0:
        return math.exp(-z) / (1.0 + math.exp(-z))
    return 1.0 / (1.0 + math.exp(z))


def log_loss(z: float) -> float:
    """Return log(1 + e^−z)."""
    return math.log1p(math.exp(-z)) if z > 0 else -z + math.log1p(math.exp(z))


def sign_of_row(r: int, rows: int) -> float:
    """Return J_r: +1 in the first half of the rows, −1 in the second."""
    return 1.0 if r < rows // 2 else -1.0


def patches(instance: DenseInstance) -> FloatArray:
    """Return x (n, P, d) of a dense instance: the patch ŷ·mu, then every noise vector as often as it is used."""
    mu, noise = instance.vectors[0], instance.vectors[1:]
    samples = []
    for i, signal_label in enumerate(instance.signal_labels):
        x = [signal_label * mu]
        for q in range(instance.noise_count):
            x += [noise[i * instance.noise_count + q]] * int(instance.noise_weight)
        samples.append(x)
    return np.array(samples)


def logit(W: FloatArray, x: FloatArray) -> float:
    """Return f of one sample x (P, d)."""
    total = 0.0
    for r in range(len(W)):
        for patch in x:
            total += sign_of_row(r, len(W)) * max(float(W[r] @ patch), 0.0)
    return total / (len(W) // 2)


def loss(W: FloatArray, x: FloatArray, y: FloatArray, batch: Batch | None = None) -> float:
    """Return the mean loss over `batch`, or over all samples."""
    batch = range(len(y)) if batch is None else batch
    return sum(log_loss(y[i] * logit(W, x[i])) for i in batch) / len(batch)


def gradient(W: FloatArray, x: FloatArray, y: FloatArray, batch: Batch) -> FloatArray:
    """Return ∇L (2m, d) on `batch`, with relu'(0) = 0."""
    m, result = len(W) // 2, np.zeros_like(W)
    for i in batch:
        outer = -y[i] * sigmoid(y[i] * logit(W, x[i]))  # dℓ/df
        for r in range(len(W)):
            for patch in x[i]:
                if W[r] @ patch > 0.0:
                    result[r] += outer * sign_of_row(r, len(W)) / m * patch
    return result / len(batch)


def perturbation(W: FloatArray, x: FloatArray, y: FloatArray, batch: Batch, radius: float) -> FloatArray:
    """Return SAM's eps = radius · ∇L/‖∇L‖, zero where the gradient is."""
    g = gradient(W, x, y, batch)
    norm = math.sqrt(float((g * g).sum()))
    return np.zeros_like(g) if norm == 0.0 else radius / norm * g


def step(W: FloatArray, x: FloatArray, y: FloatArray, batch: Batch, step_size: float, radius: float) -> FloatArray:
    """Return the weights after one step; radius = 0 is SGD."""
    at = W + perturbation(W, x, y, batch, radius) if radius else W
    return W - step_size * gradient(at, x, y, batch)


def epoch_batches(permutation: IntArray, batch_size: int) -> list[IntArray]:
    """Return the batches of one epoch, the last one as small as it comes."""
    return [permutation[k : k + batch_size] for k in range(0, len(permutation), batch_size)]


def train(
    W: FloatArray, x: FloatArray, y: FloatArray, permutations: Iterable[IntArray], batch_size: int, step_size: float,
    radii: Iterable[float], stop_loss: float = -1.0,
) -> tuple[FloatArray, str, int]:  # fmt: skip
    """Return (weights, status, steps) after len(radii) steps, one radius a step.

    `permutations` yields one permutation an epoch; the loss is tested before each epoch and at the end of the last.
    """
    W, taken = W.copy(), 0
    queue: list[IntArray] = []
    permutations = iter(permutations)
    for radius in radii:
        if not queue:
            if loss(W, x, y) <= stop_loss:
                return W, "stopped", taken
            queue = epoch_batches(next(permutations), batch_size)
        W = step(W, x, y, queue.pop(0), step_size, radius)
        taken += 1
    if not queue and loss(W, x, y) <= stop_loss:
        return W, "stopped", taken
    return W, "max-steps", taken


def gram_descent(H: FloatArray, instance: GramInstance, batch: Batch) -> FloatArray:
    """Return D (2m, N+1), minus the gradient's coefficients, in matrix form on pre-activations H."""
    y, signal = instance.labels, instance.signal_labels
    m, n, count, c = len(H) // 2, len(y), instance.noise_count, instance.noise_weight
    J = np.diag([sign_of_row(r, 2 * m) for r in range(2 * m)])
    signal_patch = np.maximum(np.outer(H[:, 0], signal), 0.0)
    noise_patch = np.maximum(H[:, 1:], 0.0) @ np.kron(np.eye(n), np.ones((count, 1)))
    f = np.ones(2 * m) @ J @ (signal_patch + c * noise_patch) / m
    weight = np.zeros(n)
    for i in batch:
        weight[i] = sigmoid(y[i] * f[i]) * y[i] / (m * len(batch))
    D = np.zeros_like(H)
    D[:, 0] = J @ (np.outer(H[:, 0], signal) > 0) @ (weight * signal)
    D[:, 1:] = J @ (H[:, 1:] > 0) @ np.diag(c * np.repeat(weight, count))
    return D


def gram_step(
    H: FloatArray, A: FloatArray, instance: GramInstance, batch: Batch, step_size: float, radius: float
) -> tuple[FloatArray, FloatArray]:
    """Return (H, A) after one step in Gram space: D, D G, and Σ D ∘ (D G) as the squared gradient norm."""
    D = gram_descent(H, instance, batch)
    if radius:
        norm = math.sqrt(float(np.sum(D * (D @ instance.gram))))
        if norm > 0.0:
            D = gram_descent(H - radius / norm * D @ instance.gram, instance, batch)
    return H + step_size * D @ instance.gram, A + step_size * D


def monte_carlo_error(
    W: FloatArray, mu: FloatArray, noise_std: float, patch_count: int, shared: bool, trials: int, rng: Generator,
    chunk: int = 20_000,
) -> tuple[float, float]:  # fmt: skip
    """Return (clean error, standard error) on fresh real samples; f = 0 counts one half."""
    m, d, wrong = len(W) // 2, len(mu), []
    for start in range(0, trials, chunk):
        size = min(chunk, trials - start)
        y = np.where(rng.random(size) < 0.5, 1.0, -1.0)
        own = [y[:, None] * mu]
        if shared and patch_count > 1:
            own += [noise_std * rng.standard_normal((size, d))] * (patch_count - 1)
        elif not shared:
            own += [noise_std * rng.standard_normal((size, d)) for _ in range(patch_count - 1)]
        f = sum(np.maximum(x @ W[:m].T, 0.0).sum(1) - np.maximum(x @ W[m:].T, 0.0).sum(1) for x in own) / m
        wrong.append(np.where(f == 0.0, 0.5, y * f < 0.0))
    each = np.concatenate(wrong)
    return float(each.mean()), float(each.std() / math.sqrt(trials))


def error_of_two_neurons(W: FloatArray, mu: FloatArray, noise_std: float, weight: float, points: int = 20_000) -> float:
    """Return the exact clean error at m = 1 for one noise vector a sample, by an integral over the angle.

    (⟨w_1, xi⟩, ⟨w_2, xi⟩) = R (‖w_1‖ cos θ, ‖w_2‖ cos(θ − φ)) with R Rayleigh and θ uniform, so that
    P(R g(θ) > t) = exp(−t²/(2 g²)) for t, g > 0.
    """
    first, second = W
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    angle = math.acos(np.clip(first @ second / (lengths[0] * lengths[1]), -1.0, 1.0))
    theta = 2.0 * math.pi * (np.arange(points) + 0.5) / points
    g = np.maximum(lengths[0] * np.cos(theta), 0.0) - np.maximum(lengths[1] * np.cos(theta - angle), 0.0)
    g *= weight * noise_std

    def below(level: float, g: FloatArray) -> float:
        """P(R g < level), level ≠ 0."""
        tail = np.zeros_like(g)
        same = g * level > 0.0
        tail[same] = np.exp(-0.5 * (level / g[same]) ** 2)
        return float((1.0 - tail).mean()) if level > 0.0 else float(tail.mean())

    plus = max(float(first @ mu), 0.0) - max(float(second @ mu), 0.0)
    minus = max(-float(first @ mu), 0.0) - max(-float(second @ mu), 0.0)
    return 0.5 * below(-plus, g) + 0.5 * below(minus, -g)


def bartlett(rows: int, dimension: int, rng: Generator, shift: int = 1) -> FloatArray:
    """Return the Gram matrix (rows, rows) of standard normals in R^d by Bartlett's factor, diagonal chi(d − shift − i).

    shift = 1 beside one separate coordinate is the right law; any other is wrong, for negative controls.
    """
    S = np.outer(*[rng.standard_normal(rows)] * 2)
    L = np.zeros((rows, rows))
    for i in range(rows):
        for j in range(min(i, dimension - 1)):
            L[i, j] = rng.standard_normal()
        if i < dimension - 1:
            L[i, i] = math.sqrt(rng.chisquare(dimension - shift - i))
    return S + L @ L.T


class Watched:
    """A network that records its whole state: H, the perturbed H, and A."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on."""
        return getattr(self.network, name)

    def advance(self, *arguments: Any) -> tuple[int, int, dict[str, np.ndarray]]:
        """Advance with this class's `observe`."""
        return type(self.network).advance(cast(Network, self), *arguments)

    def observe(self, batch: IntArray, rule: Rule) -> dict[str, np.ndarray]:
        """Return what masks and coefficients are made of."""
        H = self.network.projections().copy()
        return {
            "H": H,
            "perturbed": H + self.network.perturbation(batch, rule),
            "A": self.network.coefficients.copy(),
            "batch": np.pad(batch, (0, len(self.network.instance.labels) - len(batch)), constant_values=-1),
        }


# diagonal linear networks: W (2, d) = (w₊, w₋), beta = w₊² − w₋², L(w) = (1/4n) Σ_i (⟨x_i, beta⟩ − y_i)²


def diagonal_loss(W: FloatArray, X: FloatArray, y: FloatArray) -> float:
    """Return L."""
    total = 0.0
    for x, target in zip(X, y, strict=True):
        total += (float(x @ (W[0] ** 2 - W[1] ** 2)) - target) ** 2
    return total / (4 * len(y))


def diagonal_gradient(W: FloatArray, X: FloatArray, y: FloatArray) -> FloatArray:
    """Return ∇L (2, d), the chain rule through dL/dbeta."""
    slope = X.T @ (X @ (W[0] ** 2 - W[1] ** 2) - y) / (2 * len(y))
    return np.array([slope * 2.0 * W[0], slope * -2.0 * W[1]])


def diagonal_step(
    W: FloatArray, X: FloatArray, y: FloatArray, rows: IntArray, step_size: float, radius: float = 0.0,
    normalisation: float = 0.0, block: int | None = None, weighted: bool = True,
) -> FloatArray:  # fmt: skip
    """Return W after one step on the batch `rows`, each block of it perturbed along its own gradient.

    Blocks count by their sizes; without `weighted` they count alike, which is wrong where they differ.
    """
    total, blocks = np.zeros_like(W), epoch_batches(rows, block or len(rows))
    for b in blocks:
        g = diagonal_gradient(W, X[b], y[b])
        norm = math.sqrt(float((g * g).sum()))
        scale = radius * (1.0 - normalisation + normalisation / norm) if norm > 0.0 else 0.0
        share = len(b) / len(rows) if weighted else 1.0 / len(blocks)
        total += share * diagonal_gradient(W + scale * g, X[b], y[b])
    return W - step_size * total


def diagonal_train(
    alpha: ArrayLike, X: FloatArray, y: FloatArray, batches: Iterable[IntArray], step_size: float,
    rules: Iterable[DiagonalRule], weighted: bool = True,
) -> FloatArray:  # fmt: skip
    """Return W after a step on each of `batches`, each by its own of `rules`: (radius, normalisation, block)."""
    W = np.full((2, X.shape[1]), alpha)
    for rows, rule in zip(batches, rules, strict=True):
        W = diagonal_step(W, X, y, rows, step_size, *rule, weighted)
    return W


def product_form_1sam(
    alpha: float, X: FloatArray, y: FloatArray, step_size: float, radius: float, steps: int
) -> tuple[FloatArray, FloatArray]:
    """Return (u, v) of 1-SAM in the usual variables u = w₊ + w₋, v = w₊ − w₋, beta = u ∘ v."""
    u, v = np.full(X.shape[1], 2.0 * alpha), np.zeros(X.shape[1])
    for _ in range(steps):
        G = (X @ (u * v) - y)[:, None] * X  # a row a sample
        us, vs = u + radius * G * v, v + radius * G * u
        G = ((X * us * vs).sum(axis=1) - y)[:, None] * X
        u, v = u - step_size * (G * vs).mean(axis=0), v - step_size * (G * us).mean(axis=0)
    return u, v


# finite sums: f = (1/n) Σ f_i, f_i the mean of phi(⟨a, x⟩, b) over its k rows, plus (reg/2)‖x‖²

Scalar = Callable[[float, float], float]
PHI: dict[str, tuple[Scalar, Scalar]] = {
    "square": (lambda z, b: 0.5 * (z - b) ** 2, lambda z, b: z - b),
    "logistic": (lambda z, b: log_loss(b * z), lambda z, b: -b * sigmoid(b * z)),
    "sine": (
        lambda z, b: 0.5 * (z - b) ** 2 + math.sin(z - b) ** 2,
        lambda z, b: z - b + 2.0 * math.sin(z - b) * math.cos(z - b),
    ),
    "robust": (
        lambda z, b: 0.5 * (z - b) ** 2 / (1.0 + (z - b) ** 2),
        lambda z, b: (z - b) / (1.0 + (z - b) ** 2) ** 2,
    ),
    "wave": (
        lambda z, b: 0.5 * z * z + b * math.cos(10.0 * z) / 10.0,
        lambda z, b: z - b * math.sin(10.0 * z),
    ),
}


def sum_value(loss: str, A: FloatArray, b: FloatArray, reg: float, v: FloatArray, x: FloatArray) -> float:
    """Return Σ_i v_i f_i(x); A (n·k, d), b (n·k,), v (n,): 1/n each for f itself."""
    k, total = len(A) // len(v), 0.0
    for row in range(len(A)):
        total += v[row // k] / k * PHI[loss][0](float(A[row] @ x), b[row])
    return total + 0.5 * reg * sum(v) * float(x @ x)


def sum_gradient(loss: str, A: FloatArray, b: FloatArray, reg: float, v: FloatArray, x: FloatArray) -> FloatArray:
    """Return Σ_i v_i ∇f_i(x) (d,)."""
    k, g = len(A) // len(v), reg * sum(v) * x
    for row in range(len(A)):
        if v[row // k]:
            g = g + v[row // k] / k * PHI[loss][1](float(A[row] @ x), b[row]) * A[row]
    return g


def sum_step(
    loss: str, A: FloatArray, b: FloatArray, reg: float, v: FloatArray, x: FloatArray, gamma: float, radius: float,
    lam: float,
) -> FloatArray:  # fmt: skip
    """Return x after one step of Unified SAM whose gradient is Σ_i v_i ∇f_i in both places."""
    g = sum_gradient(loss, A, b, reg, v, x)
    norm = math.sqrt(float(g @ g))
    scale = radius * (1.0 - lam + lam / norm) if norm else 0.0
    return x - gamma * sum_gradient(loss, A, b, reg, v, x + scale * g)


def sum_path(
    loss: str, A: FloatArray, b: FloatArray, reg: float, weights: FloatArray, x: FloatArray, gammas: Iterable[float],
    radii: Iterable[float], lam: float,
) -> FloatArray:  # fmt: skip
    """Return the points (T + 1, d) of T steps with the gradients' weights (T, n)."""
    path = [x]
    for v, gamma, radius in zip(weights, gammas, radii, strict=True):
        path.append(sum_step(loss, A, b, reg, v, path[-1], gamma, radius, lam))
    return np.array(path)

"""Diagonal linear networks: linear regression whose coefficients are differences of squares, trained exactly.

    beta = w₊² − w₋²,   L(w) = (1/4n) Σ_i r_i²,   r = X beta − y,   ∇_{w±} L = ± (Xᵀr/n) ∘ w±,   s = w₊² + w₋²,

from w₊ = w₋ = alpha (Woodworth et al. 2020; Andriushchenko & Flammarion 2022, arXiv:2206.06232, where u = w₊ + w₋ and
v = w₊ − w₋). Every rule multiplies the weights: with blocks b of m_b of the batch's B rows, g_b = X_bᵀr_b/m_b,
rho_b = radius · (1 − lam + lam/‖∇L_b‖), ‖∇L_b‖² = Σ g_b² s, and g̃_b the same as g_b at the perturbed coefficients

    beta̜_b = (w₊(1 + rho_b g_b))² − (w₋(1 − rho_b g_b))² = beta (1 + rho_b² g_b²) + 2 rho_b g_b s,

a step of size gamma is

    w± ← w± (1 ∓ gamma (G ± Q)),   G = Σ_b (m_b/B) g̃_b,   Q = Σ_b (m_b/B) rho_b g_b g̃_b.

Weights are only ever multiplied: stored as u and v they would cancel, u ± v to exactly 0, and a coordinate that
was small for a while could never come back. One block a row (1-SAM) needs no loop over perturbed copies:
r̃ = r (1 + 2 rho X² s) + rho² r² X³ beta, powers elementwise.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from simulate.compiled import kernel
from simulate.diagonal_rows import all_single_rows, powers_of, residual_gradient, single_rows, sum_of_squares
from simulate.lanes import LANES, across, borrowed, column, number, padded, row, write, zeros
from simulate.linear_stability import HessianFamily
from simulate.parameters import reject
from simulate.regression import RegressionInstance
from simulate.types import FloatArray, IntArray
from simulate.update import COLLAPSED, DIVERGED, RUNNING, STOPPED, Rule, perturbation_scale

DIVERGENCE = 1e6
"""A run whose loss exceeds so many times its first has diverged."""

COLLAPSE = 1e-8
"""A run whose weights all fell below so many times their first has collapsed to w = 0."""


@kernel(inline=True)
def descent(
    X: FloatArray, powers: FloatArray, y: FloatArray, rows: IntArray, block: int, beta: FloatArray, s: FloatArray,
    radius: float, normalisation: float, curved: bool, rows_of: FloatArray, G: FloatArray, Q: FloatArray, g: FloatArray,
    h: FloatArray, v: FloatArray,
) -> float:  # fmt: skip
    """Write B times the module's G and Q/radius of the batch `rows`; return its loss Σ r²/(4B) at the weights.

    `curved` asks for Q also at radius 0, where it is Σ_b (m_b/B) g_b²; without it Q is left alone there. `powers` may
    be `powers_of` X where `rows` are all in order, else it is empty. rows_of[0] (≥ B,) gets the residuals; the rest of
    it and g, h, v (d,) are scratch.
    """
    B = rows.size
    r, t, c = rows_of[0], rows_of[1], rows_of[2]
    if radius == 0.0 and not curved:
        residual_gradient(X, y, rows, beta, r, G)
    elif block == 1 and len(powers):
        all_single_rows(powers, X, y, beta, s, radius, normalisation, rows_of, G, Q)
    elif block == 1:
        single_rows(X, y, rows, beta, s, radius, normalisation, r, G, Q, t, c)
    else:
        G[:] = 0.0
        Q[:] = 0.0
        for start in range(0, B, block):
            part = rows[start : min(start + block, B)]
            residual_gradient(X, y, part, beta, r[start : start + part.size], g)
            if normalisation > 0.0:
                squares = zeros(1)
                for j in range(0, g.size, LANES):
                    squares = squares + row(g, j) * row(g, j) * row(s, j)
                norm = math.sqrt(number(across(squares))) / part.size
            else:
                norm = 1.0
            share = perturbation_scale(1.0, normalisation, norm) / part.size  # g is m_b times the module's g_b
            rho = radius * share
            for j in range(0, g.size, LANES):
                e = rho * row(g, j)
                write(v, j, row(beta, j) * (1.0 + e * e) + 2.0 * e * row(s, j))
            residual_gradient(X, y, part, v, t, h)
            for j in range(0, g.size, LANES):
                write(G, j, row(G, j) + row(h, j))
                write(Q, j, row(Q, j) + share * (row(g, j) * row(h, j)))
    return sum_of_squares(r, B) / (4.0 * B)


@kernel(inline=True)
def multiply(
    plus: FloatArray, minus: FloatArray, G: FloatArray, Q: FloatArray, scale: float, bend: float, beta: FloatArray,
    s: FloatArray,
) -> None:  # fmt: skip
    """Do w± ← w± (1 ∓ scale G − bend Q), then write beta = w₊² − w₋² and s = w₊² + w₋², all (d,)."""
    for j in range(0, beta.size, LANES):
        a, b = scale * row(G, j), bend * row(Q, j)
        p, m = row(plus, j) * (1.0 - a - b), row(minus, j) * (1.0 + a - b)
        write(plus, j, p)
        write(minus, j, m)
        write(beta, j, p * p - m * m)
        write(s, j, p * p + m * m)


@kernel
def advance_diagonal(
    W: FloatArray, X: FloatArray, powers: FloatArray, y: FloatArray, order: IntArray, first_epoch: int, first: int,
    last: int, batch_size: int, step_size: float, block: int, radius: float, normalisation: float, stop_loss: float,
    largest_loss: float, totals: FloatArray, marks: IntArray, kept: FloatArray, kept_totals: FloatArray,
    columns: FloatArray, rows_of: FloatArray, everyone: IntArray,
) -> tuple[int, int, int]:  # fmt: skip
    """Take steps first … last − 1 on W (2, d) in place; return the step reached, its code and the marks kept.

    X (n, d), d a multiple of 8, columns past the data's being 0; y (≥ n,); powers as `descent` takes them. `order`
    (epochs, n) holds the samples from epoch `first_epoch` on, in turn. The loss of the batch is tested before each step
    (full batch: the training loss; the training loss before each epoch if `stop_loss` > 0 otherwise). totals[0] grows
    by gamma times the batch's loss. W and totals are copied into kept (marks, 2, d) and kept_totals (marks,) before
    each step of `marks`. columns (7, d) and rows_of (3, ≥ n) are scratch, everyone = (0, …, n − 1).
    """
    W, X, powers, y = borrowed(W), borrowed(X), borrowed(powers), borrowed(y)
    order, marks = borrowed(order), borrowed(marks)
    kept, columns, rows_of, everyone = borrowed(kept), borrowed(columns), borrowed(rows_of), borrowed(everyone)
    n = len(X)
    per_epoch = -(-n // batch_size)
    beta, s, G, Q, g, h, v = columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], columns[6]
    r = rows_of[0]
    G[:] = 0.0
    Q[:] = 0.0  # and so it stays at radius 0
    multiply(W[0], W[1], G, Q, 0.0, 0.0, beta, s)
    count, epoch, place = 0, (first // per_epoch - first_epoch) % len(order), first % per_epoch
    for step in range(first, last):
        if count < marks.size and marks[count] == step:
            kept[count] = W
            kept_totals[count] = totals[0]
            count += 1
        if batch_size < n and place == 0 and stop_loss > 0.0:
            residual_gradient(X, y, everyone, beta, r, g)
            if sum_of_squares(r, n) / (4.0 * n) <= stop_loss:
                return step, STOPPED, count
        rows = order[epoch, place * batch_size : min((place + 1) * batch_size, n)]
        loss = descent(
            X, powers, y, rows, min(block, rows.size), beta, s, radius, normalisation, False, rows_of, G, Q, g, h, v
        )
        if not loss <= largest_loss:
            return step, DIVERGED, count
        if batch_size == n and loss <= stop_loss:
            return step, STOPPED, count
        totals[0] += step_size * loss
        scale = step_size / rows.size
        multiply(W[0], W[1], G, Q, scale, scale * radius, beta, s)
        place += 1
        if place == per_epoch:
            epoch, place = (epoch + 1) % len(order), 0
    return last, RUNNING, count


def initial_scale(alpha: ArrayLike, dimension: int) -> FloatArray:
    """Return alpha as (d,); raises ParameterError where its length is another."""
    scale = np.atleast_1d(np.asarray(alpha, float))
    if scale.shape not in ((1,), (dimension,)):
        reject("alpha", f"{scale.size} numbers", f"one number > 0, or {dimension}, one a coordinate")
    return np.broadcast_to(scale, dimension).copy()


@kernel
def squared_distances(X: FloatArray, y: FloatArray, beta: FloatArray, totals: FloatArray) -> None:
    """Write Σ_i (⟨x_i, beta_k⟩ − y_i)² (K/8, 8); X (n/8, d, 8) and beta (K/8, d, 8) as of `eights`, y (n/8, 8)."""
    for k in range(len(beta)):
        squares = zeros(8)
        for i in range(len(X)):
            r = zeros(8)
            for j in range(X.shape[1]):
                r = r + column(beta[k, j], 0, 8) * row(X[i, j], 0)
            r = r - row(y[i], 0)
            squares = squares + r * r
        write(totals[k], 0, across(squares))


def eights(values: FloatArray) -> FloatArray:
    """Return the rows of values (m, d) as the lanes of tiles (m/8, d, 8), zeros for those missing."""
    missing = -len(values) % LANES
    filled = np.concatenate([values, np.zeros((missing, values.shape[1]))])
    return filled.reshape(-1, LANES, values.shape[1]).transpose(0, 2, 1).copy()


def describe(instance: RegressionInstance, beta: FloatArray) -> dict[str, np.ndarray]:
    """Return train_loss, test_loss (NaN without test samples) and l1_norm of coefficients beta (states, d)."""
    states = eights(beta)

    def losses(X: FloatArray, y: FloatArray) -> FloatArray:
        if not len(y):
            return np.full(len(beta), np.nan)
        totals = np.empty((len(states), LANES))
        squared_distances(eights(X), padded(y).reshape(-1, LANES), states, totals)
        return totals.ravel()[: len(beta)] / (4.0 * len(y))

    train, test = losses(instance.X, instance.y), losses(instance.X_test, instance.y_test)
    return {"train_loss": train, "test_loss": test, "l1_norm": np.abs(beta).sum(axis=1)}


class DiagonalNetwork:
    """The network and its multiplicative weights W (2, d) = (w₊, w₋), trained in place by `update.train`."""

    def __init__(self, instance: RegressionInstance, alpha: ArrayLike, sharpness: bool = False) -> None:
        self.instance, self._sharpness = instance, sharpness
        self.dimension = instance.X.shape[1]
        self.alpha = initial_scale(alpha, self.dimension)
        self._X, self._y = padded(instance.X), padded(instance.y)
        self._powers = powers_of(instance.X)
        self._W = padded(np.stack([self.alpha, self.alpha]))
        self._totals = np.zeros(1)
        samples, width = self._X.shape
        self._scratch = padded(np.zeros((7, width))), padded(np.zeros((3, samples))), np.arange(samples)
        self._largest_loss = DIVERGENCE * self.loss()

    @property
    def weights(self) -> FloatArray:
        """Return W (2, d)."""
        return self._W[:, : self.dimension]

    def beta(self) -> FloatArray:
        """Return w₊² − w₋² (d,)."""
        beta: FloatArray = self.weights[0] ** 2 - self.weights[1] ** 2
        return beta

    def loss(self) -> float:
        """Return the training loss (1/4n) Σ r²."""
        r = self.instance.X @ self.beta() - self.instance.y
        return float(r @ r / (4.0 * len(r)))

    def finite(self) -> bool:
        """Return whether every weight is finite."""
        return bool(np.isfinite(self._W).all())

    def collapsed(self) -> bool:
        """Return whether every weight has fallen below `COLLAPSE` times its start."""
        return bool((np.abs(self.weights) < COLLAPSE * self.alpha).all())

    def advance(
        self, order: IntArray, first_epoch: int, first: int, last: int, batch_size: int, step_size: float, rule: Rule,
        stop_loss: float, marks: Sequence[int] | IntArray = (),
    ) -> tuple[int, int, dict[str, np.ndarray]]:  # fmt: skip
        """See `simulate.update.Model`."""
        marks = np.asarray(marks, dtype=np.int64)
        kept, totals = np.empty((marks.size, *self._W.shape)), np.empty(marks.size)
        all_alone = (rule.block or batch_size) == 1 and batch_size == len(self._X) and (order == self._scratch[2]).all()
        step, code, count = advance_diagonal(
            self._W, self._X, self._powers[: None if all_alone else 0], self._y,
            order, first_epoch, first, last, batch_size, step_size,
            rule.block or batch_size, rule.radius, rule.normalisation, stop_loss, self._largest_loss,
            self._totals, marks, kept, totals, *self._scratch,
        )  # fmt: skip
        if code == RUNNING and self.collapsed():
            code = COLLAPSED
        return step, code, {"W": kept[:count], "total": totals[:count]} if count else {}

    def observe(self, batch: IntArray, rule: Rule) -> dict[str, np.ndarray]:
        """Return the present state, W and Σ gamma L; `describe` makes records of it."""
        return {"W": self._W.copy(), "total": self._totals[0]}

    def describe(self, states: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the records of stacked states.

        beta (states, d), train_loss, test_loss, l1_norm, loss_integral = Σ gamma L, log_alpha_eff = ½ log|w₊ w₋|
        (states, d), −inf where a weight fell below the smallest float, and sharpness if it was asked for.
        """
        W, loss_integral = states["W"][:, :, : self.dimension], states["total"]
        beta = W[:, 0] ** 2 - W[:, 1] ** 2
        with np.errstate(divide="ignore"):
            log_alpha_eff = 0.5 * np.log(np.abs(W)).sum(axis=1)
        records = {"beta": beta, **describe(self.instance, beta)}
        records |= {"loss_integral": loss_integral, "log_alpha_eff": log_alpha_eff}
        if self._sharpness:
            records["sharpness"] = np.array([sharpness(self.instance, state) for state in W])
        return records


def weights_of(beta: FloatArray, log_scale: FloatArray) -> FloatArray:
    """Return the W > 0 (2, d) with w₊² − w₋² = beta and w₊ w₋ = exp(2 log_scale), e.g. of a run's log_alpha_eff.

    Each is within 4 ulps, where it is a float: neither weight is a difference, and no square leaves the floats.
    """
    scale, root = np.exp(log_scale), np.sqrt(0.5 * np.abs(beta))
    size = np.maximum(scale, root)
    with np.errstate(invalid="ignore"):
        a, b = np.where(size > 0.0, np.stack([scale, root]) / size, 1.0)
    ratio = np.sqrt(b * b + np.sqrt(a**4 + b**4))  # of the larger weight to size
    larger, smaller = size * ratio, scale * (a / ratio)
    return np.where(beta < 0.0, [smaller, larger], [larger, smaller])


def sample_hessians(X: FloatArray, W: FloatArray) -> HessianFamily:
    """Return the samples' Hessians at an interpolator W (2, d), in coordinates (n) of a space that holds their span.

    There H_i = 2 z_i z_iᵀ, z_i = (x_i ∘ w₊, −x_i ∘ w₋), and any r_i with the inner products of the z_i will do.
    """
    Z = np.hstack([X * W[0], -X * W[1]])
    values, vectors = np.linalg.eigh(Z @ Z.T)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return HessianFamily(2.0 * root[:, :, None] * root[:, None, :])


_DENSE_HESSIAN = 400  # largest d whose Hessian (2d, 2d) is formed


def hessian(X: FloatArray, y: FloatArray, W: FloatArray) -> FloatArray:
    """Return ∇²L (2d, 2d) in (w₊, w₋): diag(g, −g) + (2/n) ZᵀZ with g = Xᵀr/n and Z = [X w₊, −X w₋]."""
    r = X @ (W[0] ** 2 - W[1] ** 2) - y
    g = X.T @ r / len(y)
    Z = np.hstack([X * W[0], -X * W[1]])
    curvature: FloatArray = 2.0 / len(y) * Z.T @ Z
    return np.diag(np.concatenate([g, -g])) + curvature


def sharpness(instance: RegressionInstance, W: FloatArray) -> float:
    """Return the largest eigenvalue of ∇²L at W (2, d); NaN where it is not finite."""
    X, y = instance.X, instance.y
    with np.errstate(over="ignore", invalid="ignore"):
        r = X @ (W[0] ** 2 - W[1] ** 2) - y
        bound = (X * X).sum() * (W * W).sum()  # of the entries of XᵀX and what multiplies them
    if not (np.isfinite(r).all() and np.isfinite(bound)):
        return np.nan
    if W.shape[1] <= _DENSE_HESSIAN:
        return float(np.linalg.eigvalsh(hessian(X, y, W))[-1])
    from scipy.sparse.linalg import LinearOperator, eigsh

    g, signed = X.T @ r / len(y), np.concatenate([W[0], -W[1]])
    diagonal = np.concatenate([g, -g])

    def apply(x: FloatArray) -> FloatArray:
        x = np.ravel(x)
        folded: FloatArray = (signed * x).reshape(2, -1).sum(axis=0)
        return diagonal * x + 2.0 / len(y) * signed * np.tile(X.T @ (X @ folded), 2)

    operator = LinearOperator((signed.size, signed.size), matvec=apply, dtype=float)
    start = np.random.default_rng(0).standard_normal(signed.size)  # fixed, for the same bits; ones may be in the kernel
    if not apply(start).any():
        return 0.0  # no Hessian at all
    return float(eigsh(operator, k=1, which="LA", v0=start, return_eigenvectors=False)[0])


def field_jacobian(instance: RegressionInstance, W: FloatArray, rule: Rule) -> FloatArray:
    """Return the Jacobian (2d, 2d) of the full-batch field Σ_b p_b ∇L_b(w + rho ∇L_b(w)) at W, unnormalised rules.

    A step of size gamma is unstable where gamma times its largest eigenvalue exceeds 2. At radius 0 it is ∇²L.
    """
    if rule.normalisation != 0.0 and rule.radius > 0.0:
        reject("normalisation", rule.normalisation, "0: only unnormalised rules have a smooth field")
    n, d = instance.X.shape
    block = rule.block or n
    total = np.zeros((2 * d, 2 * d))
    for start in range(0, n, block):
        X, y = instance.X[start : start + block], instance.y[start : start + block]
        g = X.T @ (X @ (W[0] ** 2 - W[1] ** 2) - y) / len(y)
        perturbed = np.stack([W[0] * (1.0 + rule.radius * g), W[1] * (1.0 - rule.radius * g)])
        inner_jacobian = np.eye(2 * d) + rule.radius * hessian(X, y, W)
        total += len(y) / n * hessian(X, y, perturbed) @ inner_jacobian
    return total

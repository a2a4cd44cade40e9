"""Smooth finite sums f = (1/n) Σ f_i, with every constant exact or a certified bound.

    f_i(x) = (1/k) Σ_l phi(⟨a_il, x⟩, b_il) + (reg/2)‖x‖²,      k rows a_il a sample

    loss       phi(z, b), r = z − b          phi''            what it is for
    square     ½ r²                          1                least squares, ridge, quadratics
    logistic   log(1 + exp(−b z)), b = ±1    (0, ¼]           logistic regression
    sine       ½ r² + sin² r                 [−1, 3]          not convex, but PL where all rows can be fitted
    robust     ½ r²/(1 + r²)                 [−¼, 1]          not convex, bounded
    wave       ½ z² + b cos(10 z)/10         1 ± 10           samples far rougher than their mean

A problem is kept about an anchor x*: a minimiser of f wherever one is known. Kernels follow y = x − x* and see the
rows' offsets r* = ⟨a, x*⟩ − b (⟨a, x*⟩ for the losses of z), exactly 0 where x* is known to fit all rows; f − f* is
then summed from terms that are never negative (`excess`), and loses no digit however small it becomes as y → 0. (What y
keeps in the kernel of A, where x* is one minimiser of many, rounds each ⟨a, y⟩: f − f* ends near 1e-32 ‖y‖².)
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from simulate.compiled import kernel
from simulate.lanes import LANES, across, borrowed, number, padded, row, write, zeros
from simulate.minimiser import find_anchor, least_squares_infimum
from simulate.parameters import choice, integer, reject
from simulate.types import FloatArray, IntArray

LOSSES = ("square", "logistic", "sine", "robust", "wave")
SQUARE, LOGISTIC, SINE, ROBUST, WAVE = range(len(LOSSES))
CURVATURE = {"square": 1.0, "logistic": 0.25, "sine": 3.0, "robust": 1.0, "wave": 11.0}
"""sup |phi''| of each loss."""

SINE_PL = 0.2525794464399921
"""inf over r of phi'(r)²/(2 phi(r)) of the loss sine, at r = ±2.16469: mu of f is so much times λ_min(A Aᵀ)/n."""

LARGEST = 1e100
"""The largest number that data may hold."""

_NODES, _WEIGHTS = (0.5 * column for column in np.polynomial.legendre.leggauss(12))
_NODES = _NODES + 0.5


@kernel(inline=True)
def inner(x: FloatArray, y: FloatArray) -> float:
    """Return Σ x y of two arrays of one length, a multiple of 8: block j of 8 goes to sum j mod 4 while 4 are left."""
    a, b, c, d = zeros(1), zeros(1), zeros(1), zeros(1)
    whole = x.size - x.size % (4 * LANES)
    for j in range(0, whole, 4 * LANES):  # four sums, for none to wait for the one before
        a = a + row(x, j) * row(y, j)
        b = b + row(x, j + LANES) * row(y, j + LANES)
        c = c + row(x, j + 2 * LANES) * row(y, j + 2 * LANES)
        d = d + row(x, j + 3 * LANES) * row(y, j + 3 * LANES)
    for j in range(whole, x.size, LANES):
        a = a + row(x, j) * row(y, j)
    return number(across((a + b) + (c + d)))


@kernel
def sigmoid(z: float) -> float:
    """Return 1/(1 + exp(−z)), within 2 ulps for any z."""
    if z >= 0.0:
        return 1.0 / (1.0 + math.exp(-z))
    p = math.exp(z)
    return p / (1.0 + p)


@kernel
def softplus(z: float) -> float:
    """Return log(1 + exp(z)), within 2 ulps for any z."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


@kernel
def slope(loss: int, u: float, b: float) -> float:
    """Return phi' at the residual, or for the losses of z at the product, u.

    It is within 4 ulps, of |u| + |b| min(1, 10|u|) for wave, whose terms cancel, of itself for the others.
    """
    if loss == SQUARE:
        return u
    if loss == LOGISTIC:
        return -b * sigmoid(-b * u)
    if loss == SINE:
        return u + math.sin(2.0 * u)
    if loss == ROBUST:
        q = 1.0 + u * u
        return u / q / q
    return u - b * math.sin(10.0 * u)


@kernel
def value(loss: int, u: float, b: float) -> float:
    """Return phi at u, see `slope`; within 3 ulps, of u²/2 + |b|/10 for wave, of itself for the others."""
    if loss == SQUARE:
        return 0.5 * u * u
    if loss == LOGISTIC:
        return softplus(-b * u)
    if loss == SINE:
        s = math.sin(u)
        return 0.5 * u * u + s * s
    if loss == ROBUST:
        s = u / math.hypot(1.0, u)
        return 0.5 * s * s
    return 0.5 * u * u + b * math.cos(10.0 * u) / 10.0


@kernel
def excess(loss: int, e: float, b: float, t: float) -> float:
    """Return phi(e + t) − phi(e) − phi'(e) t of the convex losses, phi(e + t) of the others; t = ⟨a, y⟩.

    The linear terms add up to −reg ⟨x*, y⟩ over the rows at a minimiser x*. Logistic, which is even in (e, t) and free
    of b: t² ∫₀¹ (1−s) phi''(e + s t) ds by 12 Gauss nodes while |t| ≤ 1, where the difference would cancel, as it would
    from e > 0. e + t is not formed below 0, for its rounding would be that of the exponential: logistic is within
    9 ulps while |e| ≤ 700.
    """
    if loss == SQUARE:
        return 0.5 * t * t
    if loss == LOGISTIC:
        if e > 0.0:
            e, t = -e, -t
        p = math.exp(e)
        if abs(t) > 1.0:
            moved = softplus(e + t) if e + t > 0.0 else math.log1p(p * math.exp(t))
            return moved - math.log1p(p) - p / (1.0 + p) * t
        total = 0.0
        for k in range(_NODES.size):
            q = p * math.exp(_NODES[k] * t)
            total += _WEIGHTS[k] * (1.0 - _NODES[k]) * q / (1.0 + q) / (1.0 + q)
        return t * t * total
    return value(loss, e + t, b)


@kernel(inline=True)
def gradient(
    loss: int, A: FloatArray, offsets: FloatArray, targets: FloatArray, rows: IntArray, weights: FloatArray, reg: float,
    anchor: FloatArray, y: FloatArray, g: FloatArray,
) -> float:  # fmt: skip
    """Write g = Σ_k w_k phi'_k a_k + reg (Σ_k w_k)(x* + y) (d,) over the rows A[rows], at x* + y; return ‖g‖²."""
    for j in range(g.size):
        g[j] = 0.0
    share = 0.0
    for k in range(rows.size):
        i = rows[k]
        a = A[i]
        c = weights[k] * slope(loss, offsets[i] + inner(a, y), targets[i])
        share += weights[k]
        for j in range(0, g.size, LANES):
            write(g, j, row(g, j) + c * row(a, j))
    if reg > 0.0:
        share *= reg
        for j in range(g.size):
            g[j] += share * (anchor[j] + y[j])
    return inner(g, g)


@kernel
def _measure(
    loss: int, A: FloatArray, offsets: FloatArray, targets: FloatArray, reg: float, anchor: FloatArray, Y: FloatArray,
    gaps: FloatArray, gradients: FloatArray,
) -> None:  # fmt: skip
    """Write the mean excess + (reg/2)‖y‖² (states,) and ∇f (states, d) at the points x* + Y (states, d)."""
    A, Y, gradients = borrowed(A), borrowed(Y), borrowed(gradients)
    R = len(A)
    for s in range(len(Y)):
        y, g, total = Y[s], gradients[s], 0.0
        for j in range(g.size):
            g[j] = reg * (anchor[j] + y[j])
        for k in range(R):
            a = A[k]
            t = inner(a, y)
            total += excess(loss, offsets[k], targets[k], t)
            c = slope(loss, offsets[k] + t, targets[k]) / R
            for j in range(0, g.size, LANES):
                write(g, j, row(g, j) + c * row(a, j))
        gaps[s] = total / R + 0.5 * reg * inner(y, y)


def singular_values(A: FloatArray) -> FloatArray:
    """Return the singular values of A, largest first: those of R in A = QR, which is far cheaper for a long A."""
    return np.linalg.svd(np.linalg.qr(A if len(A) >= A.shape[1] else A.T, mode="r"), compute_uv=False)


@dataclass(frozen=True, eq=False)
class FiniteSum:
    """A problem and its constants; made by `finite_sum`.

    A (n·k, d) rows, sample by sample; targets and offsets (n·k,); reg ≥ 0; anchor x* (d,); `minimised`: whether x* is
    a minimiser, so that infimum = f(x*) = f*; elsewhere the infimum is a lower bound of f.
    """

    loss: str
    A: FloatArray
    targets: FloatArray
    offsets: FloatArray
    reg: float
    anchor: FloatArray
    samples: int
    infimum: float
    minimised: bool

    @property
    def rows(self) -> int:
        """Rows k of a sample."""
        return len(self.A) // self.samples

    @property
    def code(self) -> int:
        """The number of the loss in the kernels."""
        return LOSSES.index(self.loss)

    @cached_property
    def padded_A(self) -> FloatArray:
        """A with columns of 0 up to a multiple of 8, as the kernels want it."""
        return padded(self.A)

    @cached_property
    def padded_anchor(self) -> FloatArray:
        """x* filled up likewise."""
        return padded(self.anchor)

    @property
    def curvature(self) -> float:
        """sup |phi''|."""
        return CURVATURE[self.loss]

    def weighted_lipschitz(self, weights: FloatArray) -> float:
        """Return Lip(Σ_i v_i ∇f_i), an upper bound for losses other than square; v (n,) ≥ 0."""
        A = self.A * np.sqrt(np.repeat(weights, self.rows) / self.rows)[:, None]
        return float(self.curvature * singular_values(A)[0] ** 2 + self.reg * np.sum(weights))

    @cached_property
    def lipschitz(self) -> float:
        """Lip(∇f): exact for square, an upper bound elsewhere."""
        return self.weighted_lipschitz(np.full(self.samples, 1.0 / self.samples))

    @cached_property
    def sample_lipschitz(self) -> FloatArray:
        """L_i (n,)."""
        blocks = self.A.reshape(self.samples, self.rows, -1)
        if self.rows == 1:
            norms: FloatArray = np.einsum("ikd,ikd->i", blocks, blocks)
        else:
            norms = np.asarray(np.linalg.norm(blocks, 2, axis=(1, 2)), float) ** 2 / self.rows
        return self.curvature * norms + self.reg

    @cached_property
    def pl_constant(self) -> float:
        """A mu > 0 with ‖∇f‖² ≥ 2 mu (f − f*), the largest for square; 0 where none is known.

        For square it is within 8 ulps of the condition number of A times itself, as far as A counts as of full rank.
        """
        if self.loss in ("square", "sine"):
            singular = singular_values(self.A)
            if self.loss == "sine":
                return float(SINE_PL * singular[-1] ** 2 / len(self.A))
            kept = singular[singular > singular[0] * max(self.A.shape) * np.finfo(float).eps]  # as in lstsq
            smallest = kept[-1] ** 2 / len(self.A) if len(kept) else 0.0
            kernel_left = len(kept) < self.A.shape[1]  # where reg > 0 is the only curvature
            return float(self.reg if kernel_left and self.reg > 0.0 else smallest + self.reg)
        return self.reg if self.loss == "logistic" else 0.0

    @cached_property
    def sample_infima(self) -> FloatArray:
        """inf f_i (n,): exact for square, logistic and robust; a lower bound for the others."""
        norms = np.einsum("rd,rd->r", self.A, self.A)
        if self.loss == "square":
            if self.rows == 1:
                share = self.reg / np.where(norms + self.reg > 0.0, norms + self.reg, 1.0)
                return 0.5 * self.targets**2 * np.where(norms > 0.0, share, 1.0)
            return np.array([least_squares_infimum(rows, targets, self.reg) for rows, targets in self._blocks()])
        if self.loss == "logistic" and self.reg > 0.0:
            return np.array([_logistic_infimum(norm, self.reg) for norm in norms])
        return np.full(self.samples, -0.1 if self.loss == "wave" else 0.0)

    def _blocks(self) -> list[tuple[FloatArray, FloatArray]]:
        k = self.rows
        return [(self.A[i : i + k], self.targets[i : i + k]) for i in range(0, len(self.A), k)]

    @property
    def noise(self) -> float:
        """sigma* = f* − mean inf f_i ≥ 0: 0 where the samples are minimised together."""
        return max(0.0, self.infimum - float(self.sample_infima.mean()))

    def measure(self, Y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return f − f* (states,), in residual form, and ∇f (states, d) at the points x* + Y (states, d)."""
        Y = padded(Y)
        gaps, gradients = np.empty(len(Y)), np.empty_like(Y)
        arrays = self.padded_A, self.offsets, self.targets, self.reg, self.padded_anchor
        _measure(self.code, *arrays, Y, gaps, gradients)
        return gaps - self.floor, gradients[:, : len(self.anchor)]

    @property
    def floor(self) -> float:
        """What the mean of `excess` is at the infimum: 0 for the losses whose excess is a difference already."""
        return 0.0 if self.loss in ("square", "logistic") else self.infimum

    def at_anchor(self) -> float:
        """Return f(x*)."""
        values = [value(self.code, *row) for row in zip(self.offsets, self.targets, strict=True)]
        return math.fsum(values) / len(values) + 0.5 * self.reg * float(self.anchor @ self.anchor)


def finite_sum(
    loss: str, A: ArrayLike, targets: ArrayLike, reg: float = 0.0, samples: int | None = None,
    minimiser: ArrayLike | None = None, infimum: float | None = None,
) -> FiniteSum:  # fmt: skip
    """Return the problem of rows A (n·k, d) and targets (n·k,), n `samples` of k rows (None: k = 1).

    A known `minimiser` (d,) that fits all rows at once makes every residual exactly 0 there; otherwise it is computed:
    by least squares, or Newton's method for logistic. `infimum` is f* where only the caller knows it (loss robust or
    wave). Raises ParameterError: numbers beyond 1e100; loss sine whose rows cannot all be fitted; logistic without a
    minimiser, or with one that float64 does not reach.
    """
    choice("loss", loss, LOSSES)
    A, targets = np.ascontiguousarray(A, float), np.asarray(targets, float)
    samples = len(A) if samples is None else integer("samples (n)", samples, 1)
    if len(A) % samples:
        reject("samples (n)", samples, f"a divisor of the number of rows, {len(A)}")
    if loss in ("sine", "robust", "wave") and reg > 0.0:
        reject("reg", reg, f"0 with the loss {loss}, whose constants are certified without it")
    for name, values in (("A", A), ("b", targets), ("reg", reg)):
        if not (largest := float(np.max(np.abs(values)))) <= LARGEST:
            reject(name, largest, f"of finite numbers of size <= {LARGEST:g}, so that products are finite")
    if loss == "wave" and not (largest := float(np.abs(targets).max())) <= 1.0:
        reject("b", largest, "within [-1, 1] with the loss wave, whose curvature is certified there")
    if loss == "logistic" and not np.isin(targets, (-1.0, 1.0)).all():
        reject("b", "other numbers", "-1 or 1: the labels of logistic regression")
    if loss == "logistic" and samples < len(A):
        reject("samples (n)", samples, "the number of rows with the loss logistic")
    if loss == "sine" and (rank := np.linalg.matrix_rank(A)) < len(A):
        wanted = "linearly independent rows with the loss sine, which is PL only then"
        reject("A", f"{len(A)} rows of rank {rank}", wanted)
    if minimiser is not None:
        anchor, minimised = np.asarray(minimiser, float), True
    else:
        anchor, minimised = find_anchor(loss, A, targets, reg)
    if loss not in ("square", "sine", "robust"):
        offsets = A @ anchor
    else:
        offsets = A @ anchor - targets if minimiser is None else np.zeros(len(A))
    problem = FiniteSum(loss, A, targets, offsets, float(reg), anchor, samples, 0.0, minimised)
    if infimum is None:
        fitted = loss in ("sine", "robust") or not minimised  # the samples' own infima add up, or are all that is known
        infimum = problem.sample_infima.mean() if fitted else problem.at_anchor()
    return replace(problem, infimum=float(infimum))


def _logistic_infimum(norm: float, reg: float) -> float:
    """min over s of log(1 + exp(−s q)) + ½ reg q s², q = ‖a‖²: at u = s q with u reg = q sigmoid(−u); within 3 ulps."""
    from scipy.optimize import brentq

    q = float(norm)
    if q == 0.0:
        return math.log(2.0)
    u: float = brentq(lambda u: u * reg - q * sigmoid(-u), 0.0, math.log1p(q / reg), xtol=1e-14, rtol=8.9e-16)
    return softplus(-u) + 0.5 * reg * u * u / q

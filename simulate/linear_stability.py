"""Linear stability of an interpolating minimum under stochastic steps: families of Hessians and their growth factors.

Where every sample's gradient vanishes, a step on sample i moves x, the distance from the minimum, by

    x ← J_i x,    J_i = I − eta H_i − eta rho H_i²,    i drawn with probability p_i,

H_i the sample's Hessian, PSD: unnormalised SAM of radius rho, linearised; SGD at rho = 0. Two growth factors:

    one-step       lambda_max(E J_i²), the largest E‖J_i x‖²/‖x‖²;
    mean-square    the spectral radius of T: Sigma → E J_i Sigma J_i, the rate at which E x xᵀ grows in the end.

T is self-adjoint for tr(A B) and maps PSD matrices to such, so its radius is its largest eigenvalue, found at a PSD
matrix (Perron–Frobenius), and symmetric eigensolvers apply on the d(d+1)/2 symmetric matrices.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simulate.parameters import choice, integer, real, reject
from simulate.streams import stream
from simulate.types import FloatArray

DENSE = 12
"""Up to this dimension T is written out, d(d+1)/2 numbers a side; above it is only applied."""

FAMILIES = ("dense", "low-rank", "commuting", "rank-one", "equal-norm")


@dataclass(frozen=True, eq=False)
class HessianFamily:
    """Hessians H_i (..., n, d, d), PSD, with probabilities p_i (..., n), uniform if None: one family, or a stack.

    Matrices may be asymmetric by rounding (they are symmetrised) and indefinite by rounding, both up to 1e-10 of their
    largest entry; probabilities may miss 1 by 1e-9 (they are normalised). Raises ParameterError.
    """

    hessians: FloatArray
    probabilities: FloatArray | Any = None

    def __post_init__(self) -> None:
        """Check both once."""
        H = _numbers("hessians", self.hessians)
        if H.ndim < 3 or H.shape[-1] != H.shape[-2] or 0 in H.shape:
            reject("hessians", f"shape {H.shape}", "shape (..., n, d, d), none of them 0")
        scale = 1e-10 * np.abs(H).max(axis=(-2, -1))
        transposed = np.swapaxes(H, -1, -2)
        if (np.abs(H - transposed).max(axis=(-2, -1)) > scale).any():
            reject("hessians", "not its transpose", "symmetric, up to 1e-10 of the largest entry")
        H = 0.5 * (H + transposed)
        smallest = np.linalg.eigvalsh(H)[..., 0]
        if (smallest < -scale).any():
            reject("hessians", f"smallest eigenvalue {smallest.min():g}", ">= 0, up to 1e-10 of the largest entry")
        n = H.shape[-3]
        p = np.full(n, 1.0 / n) if self.probabilities is None else _numbers("probabilities", self.probabilities)
        if p.shape not in ((n,), H.shape[:-2]):
            reject("probabilities", f"shape {p.shape}", f"shape {(n,)} or {H.shape[:-2]}, one a Hessian")
        total = p.sum(axis=-1, keepdims=True)
        if (p < 0.0).any() or (np.abs(total - 1.0) > 1e-9).any():
            reject("probabilities", f"smallest {p.min():g}, sums {np.unique(total)[:3]}", ">= 0 with sum 1")
        object.__setattr__(self, "hessians", H)
        object.__setattr__(self, "probabilities", np.broadcast_to(p / total, H.shape[:-2]))

    def mean(self, matrices: FloatArray) -> FloatArray:
        """Return E A_i (..., d, d) of matrices A_i (..., n, d, d)."""
        mean: FloatArray = np.einsum("...i,...iab->...ab", self.probabilities, matrices)
        return mean

    def moment(self, k: int) -> FloatArray:
        """Return M_k = E H_i^k (..., d, d)."""
        return self.mean(np.linalg.matrix_power(self.hessians, k))

    def excess(self, k: int) -> FloatArray:
        """Return M_k − H^k (..., d, d), H = M_1: PSD at k = 2, possibly indefinite above."""
        power: FloatArray = np.linalg.matrix_power(self.moment(1), k)
        return self.moment(k) - power

    def curvature(self) -> FloatArray:
        """Return a = lambda_max(H) (...)."""
        return _largest(self.moment(1))

    def spread(self, k: int) -> FloatArray:
        """Return s_k² = lambda_max(M_k − H^k) (...)."""
        return _largest(self.excess(k))

    def mean_spread(self, k: int) -> FloatArray:
        """Return tr(M_k − H^k)/d (...), at least 0."""
        spread: FloatArray = np.trace(self.excess(k), axis1=-2, axis2=-1) / self.hessians.shape[-1]
        return spread

    def scaled(self, factor: ArrayLike) -> "HessianFamily":
        """Return the family with every Hessian times a factor ≥ 0, one for all or one a family (...)."""
        return HessianFamily(_factor("factor", factor) * self.hessians, self.probabilities)


def _largest(symmetric: FloatArray) -> FloatArray:
    """Return the largest eigenvalue (...) of symmetric matrices (..., d, d)."""
    return np.asarray(np.linalg.eigvalsh(symmetric), float)[..., -1]


def _numbers(name: str, values: ArrayLike) -> FloatArray:
    try:
        array = np.asarray(values)
    except ValueError:
        reject(name, "ragged lists", "an array of numbers")
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        reject(name, f"array of {array.dtype}", "finite real numbers")
    return array.astype(float)


# growth


def step_matrices(family: HessianFamily, step_size: ArrayLike = 1.0, radius: ArrayLike = 0.0) -> FloatArray:
    """Return J_i = I − eta H_i − eta rho H_i² (..., n, d, d); eta and rho ≥ 0, one for all or one a family (...)."""
    eta, rho = (_factor(name, value) for name, value in (("step_size", step_size), ("radius", radius)))
    H = family.hessians
    return np.eye(H.shape[-1]) - eta * (H + rho * (H @ H))


def _factor(name: str, values: ArrayLike) -> FloatArray:
    array = _numbers(name, values)
    if (array < 0.0).any():
        reject(name, float(array.min()), ">= 0")
    return array[..., None, None, None]


def mean_square_step(family: HessianFamily, step_size: ArrayLike = 1.0, radius: ArrayLike = 0.0) -> FloatArray:
    """Return E J_i² (..., d, d)."""
    J = step_matrices(family, step_size, radius)
    return family.mean(J @ J)


def one_step_growth(family: HessianFamily, step_size: ArrayLike = 1.0, radius: ArrayLike = 0.0) -> FloatArray:
    """Return lambda_max(E J_i²) (...), the largest E‖x‖² after a step from ‖x‖ = 1."""
    return _largest(mean_square_step(family, step_size, radius))


def mean_square_growth(
    family: HessianFamily, step_size: ArrayLike = 1.0, radius: ArrayLike = 0.0, dense: bool | None = None
) -> FloatArray:
    """Return the spectral radius (...) of Sigma → E J_i Sigma J_i.

    `dense` writes the operator out (by default if d ≤ DENSE); otherwise Lanczos iteration applies it, O(n d³) a time.
    """
    J = step_matrices(family, step_size, radius)
    d = J.shape[-1]
    if d <= DENSE if dense is None else dense:
        return _largest(_operator(family.probabilities, J))
    shape = J.shape[:-3]
    found = [_by_lanczos(family.probabilities[at], J[at]) for at in np.ndindex(shape)]
    growth: FloatArray = np.reshape(found, shape)[()]
    return growth


def _operator(p: FloatArray, J: FloatArray) -> FloatArray:
    """T in the orthonormal basis (e_a e_bᵀ + e_b e_aᵀ)/√2, a < b, and e_a e_aᵀ: (..., D, D), D = d(d+1)/2."""
    d = J.shape[-1]
    rows = J.reshape(*J.shape[:-2], d * d)
    K = (np.swapaxes(p[..., None] * rows, -1, -2) @ rows).reshape(*J.shape[:-3], d, d, d, d)  # E J_ac J_bd
    a, b = (index[:, None] for index in np.triu_indices(d))
    c, e = a.T, b.T
    weight = np.where(a == b, 1.0, math.sqrt(2.0)) * np.where(c == e, 1.0, math.sqrt(2.0))
    return 0.5 * weight * (K[..., a, c, b, e] + K[..., a, e, b, c])


def _by_lanczos(p: FloatArray, J: FloatArray) -> float:
    from scipy.sparse.linalg import LinearOperator, eigsh

    d = J.shape[-1]
    upper = np.triu_indices(d)
    weight = np.where(upper[0] == upper[1], 1.0, math.sqrt(2.0))

    def apply(packed: FloatArray) -> FloatArray:
        Sigma = np.zeros((d, d))
        Sigma[upper] = packed.ravel() / weight
        Sigma = Sigma + np.triu(Sigma, 1).T
        mean: FloatArray = np.einsum("i,iab->ab", p, J @ Sigma @ J)
        return weight * mean[upper]

    size = len(weight)
    if size < 3:  # too small for Lanczos iteration
        return float(_operator(p, J)[0, 0])
    start = (weight == 1.0).astype(float)  # the identity: never orthogonal to a PSD matrix
    operator = LinearOperator((size, size), apply, dtype=float)
    return float(eigsh(operator, 1, which="LA", v0=start, return_eigenvectors=False)[0])


def stable_scale(
    family: HessianFamily, step_size: ArrayLike = 1.0, radius: ArrayLike = 0.0,
    growth: Callable[[HessianFamily, FloatArray, FloatArray], FloatArray] = mean_square_growth,
) -> FloatArray:  # fmt: skip
    """Return the largest factor c (...) at which the family times c has a growth of at most 1: the edge of stability.

    H = E H_i must be positive definite, eta > 0. ⟨Sigma, T Sigma⟩ − ⟨Sigma, Sigma⟩ is −A c + B c² + C c³ + D c⁴ with
    A, C, D ≥ 0 for every PSD Sigma, one change of sign: the stable factors are an interval [0, c]. Growth at the c that
    is returned lies in [1, 1 + 1e-13].
    """
    eta, rho = _factor("step_size", step_size)[..., 0, 0, 0], _factor("radius", radius)[..., 0, 0, 0]
    if (eta == 0.0).any():
        reject("step_size", 0.0, "> 0")
    if (np.linalg.eigvalsh(family.moment(1))[..., 0] <= 1e-12 * family.curvature()).any():
        reject("hessians", "a mean that is singular", "positive definite on average: some x stays put otherwise")

    shape, (n, d) = family.hessians.shape[:-3], family.hessians.shape[-3:-1]
    H, p = family.hessians.reshape(-1, n, d, d), family.probabilities.reshape(-1, n)
    eta, rho = (np.broadcast_to(value, shape).ravel() for value in (eta, rho))

    def excess(c: FloatArray) -> FloatArray:
        return (growth(current, c * eta, c * rho) - 1.0) / c

    current = HessianFamily(H, p)
    high = 1.0 / (eta * H.max(axis=(-3, -2, -1)))
    while ((value_high := excess(high)) < 0.0).any():
        high = np.where(value_high < 0.0, 2.0 * high, high)
    low = 0.1 * high
    while ((value_low := excess(low)) > 0.0).any():
        low = np.where(value_low > 0.0, 0.1 * low, low)
    last, width = np.zeros(len(H)), 2.0 * (high - low)
    found, left = high.copy(), np.arange(len(H))
    for step in range(200):  # regula falsi, the end that stays halved in weight (Illinois), all families in step
        slow = (step > 12) & (high - low > 0.5 * width)  # a kink: bisect
        width = np.where(slow, width, high - low)
        rise = value_high - value_low
        middle = (low * value_high - high * value_low) / np.where(rise > 0.0, rise, 1.0)
        found[left] = middle = np.where(slow, 0.5 * (low + high), np.clip(middle, low, high))
        value = excess(middle)
        below = value <= 0.0
        value_high = np.where(below, np.where(last < 0, 0.5, 1.0) * value_high, value)
        value_low = np.where(below, value, np.where(last > 0, 0.5, 1.0) * value_low)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
        last = np.where(below, -1.0, 1.0)
        going = (value < 0.0) | (value * middle > 1e-13)  # from above: below the edge growth may be as near to 1
        if not going.any():
            break
        if not going.all():
            state = (left, eta, rho, low, high, value_low, value_high, last, width)
            left, eta, rho, low, high, value_low, value_high, last, width = (part[going] for part in state)
            current = HessianFamily(H[left], p[left])
    factors: FloatArray = found.reshape(shape)[()]
    return factors


# dynamics


def second_moments(
    family: HessianFamily, step_size: float, radius: float, initial: FloatArray, steps: int
) -> FloatArray:
    """Return E x_t x_tᵀ for t = 0 … steps, (steps + 1, d, d), from E x_0 x_0ᵀ = `initial`, exactly; one family."""
    J = step_matrices(family, step_size, radius)
    moments = [np.asarray(initial, float)]
    for _ in range(integer("steps", steps, 0)):
        moments.append(family.mean(J @ moments[-1] @ J))
    return np.stack(moments)


def sample_paths(
    family: HessianFamily, step_size: float, radius: float, initial: FloatArray, steps: int, paths: int, seed: int
) -> FloatArray:
    """Return `paths` independent runs of x ← J_i x from x_0 = `initial` (d,): (steps + 1, paths, d); one family."""
    J = step_matrices(family, step_size, radius)
    rng = stream("linearised steps", seed, paths=integer("paths", paths, 1))
    x = [np.tile(np.asarray(initial, float), (paths, 1))]
    for _ in range(integer("steps", steps, 0)):
        drawn = rng.choice(len(J), size=paths, p=family.probabilities)
        x.append(np.einsum("rab,rb->ra", J[drawn], x[-1]))
    return np.stack(x)


# families


def draw_families(kind: str, count: int, members: int, dimension: int, seed: int) -> HessianFamily:
    """Draw `count` random families of n = `members` Hessians: (count, n, d, d), probabilities Dirichlet(1).

    dense: A Aᵀ/d, A Gaussian d × d, times e^N(0, 1); low-rank: of rank ⌈d/2⌉ instead; commuting: common eigenvectors,
    eigenvalues e^N(0, 1), half of them 0 in all members but the first; rank-one: g gᵀ, g Gaussian, times e^N(0, 1);
    equal-norm: g gᵀ with ‖g‖ = 1. The last two need n ≥ d for a definite mean.
    """
    choice("kind", kind, FAMILIES)
    count, n, d = integer("count", count, 1), integer("members", members, 1), integer("dimension", dimension, 1)
    rng = stream("hessians", seed, kind=kind, count=count, members=n, dimension=d)
    p = rng.dirichlet(np.ones(n), count)
    if kind == "commuting":
        Q = np.linalg.qr(rng.standard_normal((count, 1, d, d)))[0]
        values = np.exp(rng.standard_normal((count, n, d)))
        values[:, 1:] *= rng.random((count, n - 1, d)) < 0.5
        return HessianFamily((Q * values[..., None, :]) @ np.swapaxes(Q, -1, -2), p)
    rank = {"dense": d, "low-rank": -(-d // 2)}.get(kind, 1)
    A = rng.standard_normal((count, n, d, rank))
    if kind == "equal-norm":
        A /= np.linalg.norm(A, axis=-2, keepdims=True)
    else:
        A *= np.exp(0.5 * rng.standard_normal((count, n, 1, 1))) / math.sqrt(rank)
    return HessianFamily(A @ np.swapaxes(A, -1, -2), p)


def balanced_signs(size: int) -> FloatArray:
    """Return ± the rows of a Hadamard matrix, (2 size, size): orthogonal sign patterns whose columns average to 0."""
    from scipy.linalg import hadamard

    rows = hadamard(size)
    return np.concatenate([rows, -rows]).astype(float)


def star_family(centre: float, leaf: float, coupling: float, leaves: int) -> HessianFamily:
    """Return the family diag(h, q, …, q) with c · e in the first row and column, e over `balanced_signs`; uniform.

    h = `centre`, q = `leaf`, c = `coupling`; d = 1 + leaves. On average the coupling cancels; squared, it piles up on
    the centre: M_2 − H² = diag(leaves c², c², …, c²). PSD if h q ≥ leaves c².
    """
    signs = balanced_signs(leaves)
    H = np.tile(np.diag([centre, *[leaf] * leaves]), (len(signs), 1, 1))
    H[:, 0, 1:] = H[:, 1:, 0] = coupling * signs
    return HessianFamily(H)


@dataclass(frozen=True)
class SpikedFamily:
    """With probability 1 − P, diag(h, q, …, q); else a spike x ĝĝᵀ, ĝ = (√s, ±√(1−s) on one of m leaves), all alike.

    h = `centre`, q = `leaf`, x = `spike`, s = `share`, P = `weight`, m = `leaves`; d = m + 1. Growth is exact at any m:
    diag(u, v, …, v) stays of that form under the steps, and its positive eigenmatrix has the radius.
    """

    centre: float
    leaf: float
    spike: float
    share: float
    weight: float
    leaves: int

    def _factors(self, eta: float, rho: float) -> FloatArray:
        h = np.array([self.centre, self.leaf, self.spike])
        return 1.0 - eta * h * (1.0 + rho * h)

    def one_step_growth(self, step_size: float, radius: float) -> float:
        """Return lambda_max(E J²), within 3 ulps of itself, or of 1 where it is less."""
        centre, leaf, spike = self._factors(step_size, radius) ** 2
        s, P, m = self.share, self.weight, self.leaves
        along = (1.0 - P) * centre + P * (1.0 - s + s * spike)
        return float(max(along, (1.0 - P) * leaf + P * (1.0 + (spike - 1.0) * (1.0 - s) / m)))

    def mean_square_growth(self, step_size: float, radius: float) -> float:
        """Return the spectral radius of Sigma → E J Sigma J, that of its action on (u, v) within 3 ulps likewise."""
        centre, leaf, spike = self._factors(step_size, radius)
        s, P, m, kappa = self.share, self.weight, self.leaves, 1.0 - spike
        coupling = P * kappa**2 * s * (1.0 - s)
        stays = P * ((m - 1.0) / m + (1.0 - kappa * (1.0 - s)) ** 2 / m)
        first, last = (1.0 - P) * centre**2 + P * (1.0 - kappa * s) ** 2, (1.0 - P) * leaf**2 + stays
        growth: float = 0.5 * (first + last) + math.hypot(0.5 * (first - last), coupling / math.sqrt(m))
        return growth

    def written_out(self) -> HessianFamily:
        """Return the 2m + 1 Hessians themselves, (2m + 1, d, d)."""
        m = self.leaves
        g = np.concatenate([np.eye(m), -np.eye(m)]) * math.sqrt(1.0 - self.share)
        g = np.column_stack([np.full(2 * m, math.sqrt(self.share)), g])
        body = np.diag([self.centre, *[self.leaf] * m])
        return mixture((1.0 - self.weight, body[None]), (self.weight, self.spike * g[:, :, None] * g[:, None, :]))


def cone(share: float, dimension: int = 3) -> FloatArray:
    """Return the unit vectors (√s, ± √((1−s)/(d−1)), …), s = `share`, over all sign patterns: (2^(d−1), d)."""
    share, d = real("share", share, below=1.0), integer("dimension", dimension, 2, 20)
    signs = np.stack(np.meshgrid(*[[1.0, -1.0]] * (d - 1), indexing="ij"), axis=-1).reshape(-1, d - 1)
    return np.column_stack([np.full(len(signs), math.sqrt(share)), math.sqrt((1.0 - share) / (d - 1)) * signs])


def mixture(*parts: tuple[float, FloatArray]) -> HessianFamily:
    """Return the family of several groups: pairs (total probability, Hessians (k, d, d)), alike within a group."""
    p = np.concatenate([np.full(len(group), weight / len(group)) for weight, group in parts])
    return HessianFamily(np.concatenate([group for _, group in parts]), p)

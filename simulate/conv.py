"""The two-layer convolutional ReLU network, trained exactly in two spaces.

    F_j(W_j, x) = (1/m) Σ_r Σ_patches relu⟨w_{j,r}, x⁽ᵖ⁾⟩,  f = F_{+1} − F_{−1},  L = mean log(1 + exp(−y f)),

second layer fixed (Chen et al. 2023, arXiv:2310.07269, Section 2). With J_r = ±1 the sign of row r, every update
lies in the span of v = (mu, xi_1, …, xi_N), so the state is H = (⟨w_r, v_k⟩) and the coefficients A with
W = W_0 + A v. A batch of size B with s_i = 1/(1 + exp(y_i f_i)) moves them along D,

    D[r, 0] = J_r/(mB) Σ_i s_i y_i ŷ_i 1{ŷ_i H[r, 0] > 0},    D[r, k] = J_r/(mB) · c · s_i y_i 1{H[r, k] > 0},

k running over the noise vectors of sample i and c being the number of patches each fills: A += eta D,
H += eta D G with G the Gram matrix of v, and ‖∇L‖² = Σ D ∘ (D G). SAM takes D at H − scale · D G. Neurons that keep
only the coordinates of a mask have a Gram matrix each, G_r = v diag(mask_r) vᵀ, in the place of G. Decoupled weight
decay multiplies W by 1 − eta · decay before each step, hence H and A.

`GramNetwork` carries H and A (`simulate.gram_step`); `DenseNetwork` carries W itself and is the plain reference, by the
kernels below. Conventions: relu'(0) = 0; a zero gradient gives a zero perturbation.
"""

import math

import numpy as np

from simulate.compiled import kernel
from simulate.gram_step import advance_gram, aligned, mean_loss, panels_of
from simulate.lanes import LANES
from simulate.signal_noise import DenseInstance, GramInstance
from simulate.update import DIVERGED, RUNNING, STOPPED, Rule, observe_at_marks, perturbation_scale


@kernel
def logits(H, signal_labels, noise_weight, noise_count, sums, f):
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
def descent(H, labels, signal_labels, noise_weight, noise_count, batch, s, c, D):
    """Write D (2m, columns) of the module's equation on `batch`; s (n,) holds 1/(1 + e^{y f}) there.

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
def add_scaled(X, scale, Y):
    """X += scale · Y, in place."""
    for r in range(X.shape[0]):
        x, y = X[r], Y[r]
        for k in range(x.size):
            x[k] += scale * y[k]


@kernel
def decay_weights(X, shrink):
    """X *= shrink, in place; at 1 it is left alone."""
    if shrink != 1.0:
        for r in range(X.shape[0]):
            x = X[r]
            for k in range(x.size):
                x[k] *= shrink


@kernel
def batch_slopes(f, labels, batch, s):
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
def reached(f, labels, everyone, s, stop_loss):
    """Return RUNNING, STOPPED or DIVERGED for the logits f (log1p is skipped while mean(s) exceeds `stop_loss`)."""
    bound = batch_slopes(f, labels, everyone, s)
    if not bound >= 0.0:
        return DIVERGED
    if bound <= stop_loss and mean_loss(labels * f) <= stop_loss:
        return STOPPED
    return RUNNING


@kernel
def advance_dense(
    W, A, V, masks, labels, signal_labels, noise_weight, noise_count,
    order, first_epoch, first, last, batch_size, step_size, radius, normalisation, stop_loss, shrink,
):  # fmt: skip
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


class Network:
    """What the two spaces share: labels, coefficients A, logits, loss and records."""

    def __init__(self, instance: GramInstance | DenseInstance, rows: int, vectors: int, decay: float):
        self.instance, self._decay = instance, decay
        self.coefficients = np.zeros((rows, vectors))
        self._structure = (
            instance.labels, instance.signal_labels, float(instance.noise_weight), int(instance.noise_count)
        )  # fmt: skip

    @property
    def signs(self) -> np.ndarray:
        """J (2m,): +1.0 for the first m rows, −1.0 for the others."""
        m = len(self.coefficients) // 2
        return np.repeat([1.0, -1.0], m)

    def projections(self) -> np.ndarray:
        """Return H (2m, N+1) = ⟨w_r, v_k⟩."""
        raise NotImplementedError

    def squared_norms(self) -> np.ndarray:
        """Return (‖mu‖², ‖xi_1‖², …), (N+1,), or (2m, N+1) where neurons are masked."""
        raise NotImplementedError

    def covariance(self) -> np.ndarray:
        """Return W Wᵀ (2m, 2m), which times sigma_p² is the covariance of ⟨W, xi⟩ for a fresh xi."""
        raise NotImplementedError

    def logits(self) -> np.ndarray:
        """Return f (n,)."""
        H, f = self.projections(), np.empty(len(self.instance.labels))
        logits(H, *self._structure[1:], np.empty(H.shape[1]), f)
        return f

    def loss(self) -> float:
        """Return the full-batch training loss."""
        return mean_loss(self.instance.labels * self.logits())

    def signal_coefficients(self) -> np.ndarray:
        """Return gamma (2m,) = J A_0 ‖mu‖²."""
        return self.signs * self.coefficients[:, 0] * self.squared_norms()[..., 0]

    def noise_coefficients(self) -> np.ndarray:
        """Return rho (2m, N) = c A_k ‖xi_k‖², c patches a vector; rho_bar where J = y_i, rho_under elsewhere."""
        return self.instance.noise_weight * self.coefficients[:, 1:] * self.squared_norms()[..., 1:]

    def perturbation(self, batch: np.ndarray, rule: Rule) -> np.ndarray:
        """Return ⟨eps_r, v_k⟩ (2m, N+1) for the rule's perturbation eps on `batch` at the present weights."""
        raise NotImplementedError

    def deactivated(self, batch: np.ndarray, rule: Rule) -> float:
        """Return the share of active own-class pairs on `batch` that the rule's perturbation turns off.

        Pairs (r, k), k a noise vector of a sample i in the batch, with J_r = y_i and ⟨w_r, xi_k⟩ ≥ 0; turned off
        means ⟨w_r + eps_r, xi_k⟩ < 0. NaN where no pair is eligible.
        """
        count = self.instance.noise_count
        columns = (1 + batch[:, None] * count + np.arange(count)).ravel()
        own = self.signs[:, None] == np.repeat(self.instance.labels[batch], count)
        H = self.projections()[:, columns]
        eligible = own & (H >= 0.0)
        off = eligible & (H + self.perturbation(batch, rule)[:, columns] < 0.0)
        return float(off.sum() / eligible.sum()) if eligible.any() else math.nan

    def take_steps(self, order, first_epoch, first, last, batch_size, step_size, rule, stop_loss) -> tuple[int, int]:
        """Take steps first … last − 1; return the step reached and its code."""
        raise NotImplementedError

    def advance(self, order, first_epoch, first, last, batch_size, step_size, rule, stop_loss, marks=()):
        """See `simulate.update.Model`."""

        def take(start, stop):
            return self.take_steps(order, first_epoch, start, stop, batch_size, step_size, rule, stop_loss)

        return observe_at_marks(self, take, order, first_epoch, first, last, batch_size, rule, marks)

    def observe(self, batch: np.ndarray, rule: Rule) -> dict[str, np.ndarray]:
        """Return loss, logits, gamma, rho and the deactivated share at the present weights."""
        f = self.logits()
        return {
            "loss": np.float64(mean_loss(self.instance.labels * f)),
            "logits": f,
            "gamma": self.signal_coefficients(),
            "rho": self.noise_coefficients(),
            "deactivated": np.float64(self.deactivated(batch, rule)),
        }

    def describe(self, states: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the records as they are: `observe` made them."""
        return states

    def _batch_descent(self, batch):
        """D on `batch` at the present weights."""
        H, f = self.projections(), self.logits()
        s, D = np.empty_like(f), np.empty_like(H)
        batch_slopes(f, self.instance.labels, batch, s)
        descent(H, *self._structure, batch, s, np.empty(H.shape[1]), D)
        return D


class GramNetwork(Network):
    """The network in Gram space: a step costs 2m (N+1)² multiply-adds at most, whatever d is."""

    def __init__(self, instance: GramInstance, decay: float = 0.0):
        super().__init__(instance, *instance.projections.shape, decay)
        self._H = instance.projections.copy()
        panels, strips = panels_of(self._H.shape[1])
        self._columns, self._panel = panels * strips * LANES, (0,) * strips
        self._G = self._padded(instance.gram, self._columns)
        self._initial_share, self._taken = 1.0, 0  # what decay leaves of the initial weights, after so many steps

    def projections(self):
        """Return H, the state itself."""
        return self._H

    def squared_norms(self):
        """Return the diagonal of the Gram matrix."""
        return np.diag(self.instance.gram)

    def covariance(self):
        """Return W Wᵀ from the Gram matrices alone."""
        A, U, share = self.coefficients, self.instance.projections, self._initial_share
        cross = share * (A @ U.T)
        return share * share * self.instance.weight_gram + cross + cross.T + A @ self.instance.gram @ A.T

    def perturbation(self, batch, rule):
        """Return −scale · D G."""
        D = self._batch_descent(batch)
        DG = self._project(D)
        return -perturbation_scale(rule.radius, rule.normalisation, math.sqrt(max(np.sum(D * DG), 0.0))) * DG

    def _project(self, D):
        """D G."""
        return D @ self.instance.gram

    def take_steps(self, order, first_epoch, first, last, batch_size, step_size, rule, stop_loss):
        """Take steps first … last − 1; return the step reached and its code."""
        rows, vectors = self._H.shape
        H, A = self._padded(self._H, rows), self._padded(self.coefficients, rows)
        shrink = 1.0 - step_size * self._decay
        step, code = advance_gram(
            H, A, self._G, *self._structure,
            order, first_epoch, first, last, batch_size, step_size, rule.radius, rule.normalisation, stop_loss, shrink,
            self._panel,
        )  # fmt: skip
        self._H[:], self.coefficients[:] = H[:, :vectors], A[:, :vectors]
        self._taken += step - first
        self._initial_share = shrink**self._taken
        return step, code

    def _padded(self, X, rows):
        """X, or every X of a stack, filled up with zeros to the shape that the kernel wants."""
        stack = X.shape[:-2]
        Y = aligned(math.prod(stack) * rows, self._columns).reshape(*stack, rows, self._columns)
        Y[..., : X.shape[-2], : X.shape[-1]] = X
        return Y

    def finite(self):
        """Return whether H and A are finite."""
        return bool(np.isfinite(self._H).all() and np.isfinite(self.coefficients).all())


class MaskedNetwork(GramNetwork):
    """The network in Gram space whose neurons keep the coordinates of a mask each, by their own Gram matrices.

    Different neurons' weights meet in the covariance alone, which is taken of the weights themselves.
    """

    def __init__(self, instance: DenseInstance, decay: float = 0.0):
        super().__init__(instance.to_gram(), decay)
        self._dense = instance

    def squared_norms(self):
        """Return the diagonals of the Gram matrices, (2m, N+1)."""
        return np.diagonal(self.instance.gram, axis1=1, axis2=2)

    def covariance(self):
        """Return W Wᵀ."""
        dense = self._dense
        W = self._initial_share * dense.weights + dense.masks * (self.coefficients @ dense.vectors)
        return W @ W.T

    def _project(self, D):
        """Row r of D times G_r."""
        return np.einsum("rk,rkl->rl", D, self.instance.gram)


class DenseNetwork(Network):
    """The network on its d-vectors: the reference that the Gram kernel is held against."""

    def __init__(self, instance: DenseInstance, decay: float = 0.0):
        super().__init__(instance, len(instance.weights), len(instance.vectors), decay)
        self.weights = instance.weights.copy()

    def projections(self):
        """Return W Vᵀ."""
        return self.weights @ self.instance.vectors.T

    def squared_norms(self):
        """Return ‖v_k‖², of masked neurons each one's own."""
        V, masks = self.instance.vectors, self.instance.masks
        return np.einsum("kd,kd->k", V, V) if masks is None else masks @ (V * V).T

    def covariance(self):
        """Return W Wᵀ."""
        return self.weights @ self.weights.T

    def perturbation(self, batch, rule):
        """Return −scale · ⟨(D V)_r, v_k⟩."""
        gradient = self._batch_descent(batch) @ self.instance.vectors
        if self.instance.masks is not None:
            gradient *= self.instance.masks
        scale = perturbation_scale(rule.radius, rule.normalisation, float(np.linalg.norm(gradient)))
        return -scale * (gradient @ self.instance.vectors.T)

    def take_steps(self, order, first_epoch, first, last, batch_size, step_size, rule, stop_loss):
        """Take steps first … last − 1; return the step reached and its code."""
        return advance_dense(
            self.weights, self.coefficients, self.instance.vectors, self.instance.masks, *self._structure,
            order, first_epoch, first, last, batch_size, step_size, rule.radius, rule.normalisation, stop_loss,
            1.0 - step_size * self._decay,
        )  # fmt: skip

    def finite(self):
        """Return whether W is finite."""
        return bool(np.isfinite(self.weights).all())

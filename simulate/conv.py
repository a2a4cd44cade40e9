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

`GramNetwork` carries H and A (`simulate.gram_step`); `DenseNetwork` carries W itself and is the plain reference
(`simulate.dense_step`). Conventions: relu'(0) = 0; a zero gradient gives a zero perturbation.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from simulate.dense_step import advance_dense, batch_slopes, descent, logits
from simulate.gram_step import advance_gram, aligned, mean_loss, panels_of
from simulate.lanes import LANES
from simulate.signal_noise import DenseInstance, GramInstance
from simulate.types import FloatArray, IntArray
from simulate.update import Rule, observe_at_marks, perturbation_scale


class Network:
    """What the two spaces share: labels, coefficients A, logits, loss and records."""

    def __init__(self, instance: GramInstance | DenseInstance, rows: int, vectors: int, decay: float) -> None:
        self.instance, self._decay = instance, decay
        self.coefficients = np.zeros((rows, vectors))
        self._structure = (
            instance.labels, instance.signal_labels, float(instance.noise_weight), int(instance.noise_count)
        )  # fmt: skip

    @property
    def signs(self) -> FloatArray:
        """J (2m,): +1.0 for the first m rows, −1.0 for the others."""
        m = len(self.coefficients) // 2
        return np.repeat([1.0, -1.0], m)

    def projections(self) -> FloatArray:
        """Return H (2m, N+1) = ⟨w_r, v_k⟩."""
        raise NotImplementedError

    def squared_norms(self) -> FloatArray:
        """Return (‖mu‖², ‖xi_1‖², …), (N+1,), or (2m, N+1) where neurons are masked."""
        raise NotImplementedError

    def covariance(self) -> FloatArray:
        """Return W Wᵀ (2m, 2m), which times sigma_p² is the covariance of ⟨W, xi⟩ for a fresh xi."""
        raise NotImplementedError

    def logits(self) -> FloatArray:
        """Return f (n,)."""
        H, f = self.projections(), np.empty(len(self.instance.labels))
        logits(H, *self._structure[1:], np.empty(H.shape[1]), f)
        return f

    def loss(self) -> float:
        """Return the full-batch training loss."""
        return mean_loss(self.instance.labels * self.logits())

    def signal_coefficients(self) -> FloatArray:
        """Return gamma (2m,) = J A_0 ‖mu‖²."""
        return self.signs * self.coefficients[:, 0] * self.squared_norms()[..., 0]

    def noise_coefficients(self) -> FloatArray:
        """Return rho (2m, N) = c A_k ‖xi_k‖², c patches a vector; rho_bar where J = y_i, rho_under elsewhere."""
        return self.instance.noise_weight * self.coefficients[:, 1:] * self.squared_norms()[..., 1:]

    def perturbation(self, batch: IntArray, rule: Rule) -> FloatArray:
        """Return ⟨eps_r, v_k⟩ (2m, N+1) for the rule's perturbation eps on `batch` at the present weights."""
        raise NotImplementedError

    def deactivated(self, batch: IntArray, rule: Rule) -> float:
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

    def finite(self) -> bool:
        """Return whether the state is finite."""
        raise NotImplementedError

    def take_steps(
        self, order: IntArray, first_epoch: int, first: int, last: int, batch_size: int, step_size: float, rule: Rule,
        stop_loss: float,
    ) -> tuple[int, int]:  # fmt: skip
        """Take steps first … last − 1; return the step reached and its code."""
        raise NotImplementedError

    def advance(
        self, order: IntArray, first_epoch: int, first: int, last: int, batch_size: int, step_size: float, rule: Rule,
        stop_loss: float, marks: Iterable[int] = (),
    ) -> tuple[int, int, dict[str, np.ndarray]]:  # fmt: skip
        """See `simulate.update.Model`."""

        def take(start: int, stop: int) -> tuple[int, int]:
            return self.take_steps(order, first_epoch, start, stop, batch_size, step_size, rule, stop_loss)

        return observe_at_marks(self, take, order, first_epoch, first, last, batch_size, rule, marks)

    def observe(self, batch: IntArray, rule: Rule) -> dict[str, Any]:
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

    def _batch_descent(self, batch: IntArray) -> FloatArray:
        """D on `batch` at the present weights."""
        H, f = self.projections(), self.logits()
        s, D = np.empty_like(f), np.empty_like(H)
        batch_slopes(f, self.instance.labels, batch, s)
        descent(H, *self._structure, batch, s, np.empty(H.shape[1]), D)
        return D


class GramNetwork(Network):
    """The network in Gram space: a step costs 2m (N+1)² multiply-adds at most, whatever d is."""

    instance: GramInstance

    def __init__(self, instance: GramInstance, decay: float = 0.0) -> None:
        rows, vectors = instance.projections.shape
        super().__init__(instance, rows, vectors, decay)
        self._H = instance.projections.copy()
        panels, strips = panels_of(self._H.shape[1])
        self._columns, self._panel = panels * strips * LANES, (0,) * strips
        self._G = self._padded(instance.gram, self._columns)
        self._initial_share, self._taken = 1.0, 0  # what decay leaves of the initial weights, after so many steps

    def projections(self) -> FloatArray:
        """Return H, the state itself."""
        return self._H

    def squared_norms(self) -> FloatArray:
        """Return the diagonal of the Gram matrix."""
        return np.diag(self.instance.gram)

    def covariance(self) -> FloatArray:
        """Return W Wᵀ from the Gram matrices alone."""
        A, U, share = self.coefficients, self.instance.projections, self._initial_share
        cross = share * (A @ U.T)
        return share * share * self.instance.weight_gram + cross + cross.T + A @ self.instance.gram @ A.T

    def perturbation(self, batch: IntArray, rule: Rule) -> FloatArray:
        """Return −scale · D G."""
        D = self._batch_descent(batch)
        DG = self._project(D)
        return -perturbation_scale(rule.radius, rule.normalisation, math.sqrt(max(np.sum(D * DG), 0.0))) * DG

    def _project(self, D: FloatArray) -> FloatArray:
        """D G."""
        return D @ self.instance.gram

    def take_steps(
        self, order: IntArray, first_epoch: int, first: int, last: int, batch_size: int, step_size: float, rule: Rule,
        stop_loss: float,
    ) -> tuple[int, int]:  # fmt: skip
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

    def _padded(self, X: FloatArray, rows: int) -> FloatArray:
        """X, or every X of a stack, filled up with zeros to the shape that the kernel wants."""
        stack = X.shape[:-2]
        Y = aligned(math.prod(stack) * rows, self._columns).reshape(*stack, rows, self._columns)
        Y[..., : X.shape[-2], : X.shape[-1]] = X
        return Y

    def finite(self) -> bool:
        """Return whether H and A are finite."""
        return bool(np.isfinite(self._H).all() and np.isfinite(self.coefficients).all())


class MaskedNetwork(GramNetwork):
    """The network in Gram space whose neurons keep the coordinates of a mask each, by their own Gram matrices.

    Different neurons' weights meet in the covariance alone, which is taken of the weights themselves.
    """

    def __init__(self, instance: DenseInstance, decay: float = 0.0) -> None:
        super().__init__(instance.to_gram(), decay)
        self._dense = instance

    def squared_norms(self) -> FloatArray:
        """Return the diagonals of the Gram matrices, (2m, N+1)."""
        return np.diagonal(self.instance.gram, axis1=1, axis2=2)

    def covariance(self) -> FloatArray:
        """Return W Wᵀ."""
        dense, masks = self._dense, np.asarray(self._dense.masks)
        W: FloatArray = self._initial_share * dense.weights + masks * (self.coefficients @ dense.vectors)
        return W @ W.T

    def _project(self, D: FloatArray) -> FloatArray:
        """Row r of D times G_r."""
        rows: FloatArray = np.einsum("rk,rkl->rl", D, self.instance.gram)
        return rows


class DenseNetwork(Network):
    """The network on its d-vectors: the reference that the Gram kernel is held against."""

    instance: DenseInstance

    def __init__(self, instance: DenseInstance, decay: float = 0.0) -> None:
        super().__init__(instance, len(instance.weights), len(instance.vectors), decay)
        self.weights = instance.weights.copy()

    def projections(self) -> FloatArray:
        """Return W Vᵀ."""
        return self.weights @ self.instance.vectors.T

    def squared_norms(self) -> FloatArray:
        """Return ‖v_k‖², of masked neurons each one's own."""
        V, masks = self.instance.vectors, self.instance.masks
        return np.einsum("kd,kd->k", V, V) if masks is None else masks @ (V * V).T

    def covariance(self) -> FloatArray:
        """Return W Wᵀ."""
        return self.weights @ self.weights.T

    def perturbation(self, batch: IntArray, rule: Rule) -> FloatArray:
        """Return −scale · ⟨(D V)_r, v_k⟩."""
        gradient = self._batch_descent(batch) @ self.instance.vectors
        if self.instance.masks is not None:
            gradient *= self.instance.masks
        scale = perturbation_scale(rule.radius, rule.normalisation, float(np.linalg.norm(gradient)))
        return -scale * (gradient @ self.instance.vectors.T)

    def take_steps(
        self, order: IntArray, first_epoch: int, first: int, last: int, batch_size: int, step_size: float, rule: Rule,
        stop_loss: float,
    ) -> tuple[int, int]:  # fmt: skip
        """Take steps first … last − 1; return the step reached and its code."""
        return advance_dense(
            self.weights, self.coefficients, self.instance.vectors, self.instance.masks, *self._structure,
            order, first_epoch, first, last, batch_size, step_size, rule.radius, rule.normalisation, stop_loss,
            1.0 - step_size * self._decay,
        )  # fmt: skip

    def finite(self) -> bool:
        """Return whether W is finite."""
        return bool(np.isfinite(self.weights).all())

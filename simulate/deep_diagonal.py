"""Diagonal linear networks of any depth on one sample, trained by SAM in the Euclidean or the largest norm.

    f = Σ_j mu_j Π_l w_lj,   loss ell(f), ell' < 0,   −∇_l L = c u_l,   u_l = mu ∘ Π_{k ≠ l} w_k,   c = −ell'(f) > 0.

SAM steps along u at w + e, e = −rho u/‖u‖₂ ("euclidean") or −rho sign u ("largest", ℓ∞-SAM; the sign of 0 is 0). The
slope c of the loss, taken at the perturbed weights, enters neither e nor the direction of a step: it is SAM's clock,
and steps here are in units of it. Networks are stacked along axis 0: mu (B, d), W (B, L, d), radius (B,).
"""

import numpy as np
from numpy.typing import ArrayLike

from simulate.parameters import choice
from simulate.types import FloatArray

NORMS = ("euclidean", "largest")


def ascent(mu: FloatArray, W: FloatArray) -> FloatArray:
    """Return u (B, L, d), mu times the product of the other layers."""
    L = W.shape[1]
    u = np.repeat(mu[:, None], L, axis=1)
    for layer in range(L):
        for other in range(L):
            if other != layer:
                u[:, layer] *= W[:, other]
    return u


def perturbed(mu: FloatArray, W: FloatArray, radius: ArrayLike, norm: str) -> FloatArray:
    """Return w + e (B, L, d)."""
    u, rho = ascent(mu, W), np.asarray(radius, float)[:, None, None]
    if choice("norm", norm, NORMS) == "largest":
        signs: FloatArray = np.sign(u)
        return W - rho * signs
    size = np.sqrt((u * u).sum(axis=(1, 2), keepdims=True))
    return W - rho * u / np.where(size > 0.0, size, 1.0)


def step(mu: FloatArray, W: FloatArray, size: ArrayLike, radius: ArrayLike, norm: str) -> FloatArray:
    """Return the weights (B, L, d) after one step of SAM, `size` (B,) times the slope of the loss."""
    return W + np.asarray(size, float)[:, None, None] * ascent(mu, perturbed(mu, W, radius, norm))


def flow(
    mu: FloatArray, W: FloatArray, radius: ArrayLike, norm: str, steps: int, share: float = 0.05,
    largest: ArrayLike = np.inf,
) -> FloatArray:  # fmt: skip
    """Follow SAM's flow; return the weights (B, L, d) after `steps` steps, or where a weight is beyond `largest`.

    Runge and Kutta's steps of order 4, `share` over the fastest rate (L−1) max_j mu_j |w_j + e_j|^(L−2) long.
    """
    L = W.shape[1]

    def field(W: FloatArray) -> FloatArray:
        return ascent(mu, perturbed(mu, W, radius, norm))

    for _ in range(steps):
        going = np.abs(W).max(axis=(1, 2)) < largest
        if not going.any():
            break
        bent = np.abs(perturbed(mu, W, radius, norm)).max(axis=1)
        h = np.where(going, share / ((L - 1) * (mu * bent ** (L - 2)).max(axis=1)), 0.0)[:, None, None]
        a = field(W)
        b = field(W + 0.5 * h * a)
        c = field(W + 0.5 * h * b)
        d = field(W + h * c)
        W = W + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
    return W

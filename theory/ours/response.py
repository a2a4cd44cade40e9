"""The error that a fresh noise vector causes: Gaussian responses of the neurons, met by the signal's logit g.

In units √(n/d) the 2m responses z of a network to a fresh noise vector are Gaussian, of variance K_d, covariance K_o
between neurons of one class and K_x across classes, and the clean error is

    e = P(g + T < 0),    T = (1/m)(Σ relu z₊ − Σ relu z₋).

Given each class's common part, √K_o Z±, the m others average out to a normal of variance v/m about psi, the mean and
variance of relu(√K_o Z + √(K_d − K_o) eps): what is left is an integral over the two Z, correlated at K_x/K_o. At
finite d the learned signal is met by the noise too, which adds ± shift · u inside every relu, u ~ N(0, 1): a third
axis. The normal of variance v/m is the one approximation: below 0.003 of e at m = 10 (tests/theory/test_ours.py).
"""

from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import erfcx, ndtr

from simulate.parameters import reject
from simulate.types import FloatArray
from theory.types import Numbers

RANGE, POINTS, MOST_POINTS = 7.0, 121, 2001
"""Half-width, least and largest number of points of the trapezoid rule, spectrally accurate on smooth integrands."""

FAR, TERMS = 2.0, 80
"""Where the recurrence of `_ratios` begins to be used, and the r_n that it starts from."""


def _ratios(s: FloatArray) -> tuple[Any, Any]:
    """Return r_1 and r_2 of `relu_moments`, s ≥ FAR, by the recurrence from r_TERMS down."""
    r, before = 2.0 / (s + np.sqrt(s * s + 4.0 * TERMS)), None  # where r_n and r_(n+1) would be the same
    for n in range(TERMS, 0, -1):
        r, before = 1.0 / (s + (n + 1) * r), r
    return r, before


def relu_moments(mean: Numbers, std: Numbers) -> tuple[Any, Any]:
    """Return mean psi and variance v of relu(mean + std · eps), eps ~ N(0, 1); mean, std > 0 broadcast.

    Both are within 20 ulps above 0, and below it of 1 + t² times themselves, t = mean/std, as the density is. Above 0
    the terms of order mean² are gathered into mean² Phi (1 − Phi). Below it psi ∝ 1 − s M and E relu² ∝ (1 + s²) M − s,
    s = −t, M Mills' ratio, cancel from s = 2 on. There I_n = ∫ (x − s)^n phi(x) dx/n!, x > s, has the ratios r_n =
    I_n/I_(n−1) = 1/(s + (n + 1) r_(n+1)), and they are M r_1 and 2 M r_1 r_2.
    """
    t = np.asarray(mean, float) / std
    s = np.abs(t)
    density = np.exp(-0.5 * t * t) / np.sqrt(2.0 * np.pi)
    mills = np.sqrt(np.pi / 2.0) * erfcx(s / np.sqrt(2.0))
    tail = density * mills  # Phi(−|t|)
    r_1, r_2 = _ratios(np.maximum(s, FAR))
    low = density * np.where(s > FAR, mills * r_1, 1.0 - s * mills)
    low_variance = density * np.where(s > FAR, 2.0 * mills * r_1 * r_2, (1.0 + s * s) * mills - s) - low * low
    high_variance = 1.0 - tail + s * s * tail * (1.0 - tail) - s * density * (1.0 - 2.0 * tail) - density * density
    return std * np.where(t < 0.0, low, s + low), std * std * np.where(t < 0.0, low_variance, high_variance)


def _moments(K_d: Numbers, K_o: Numbers, m: int, z: FloatArray, offset: Numbers) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of (1/m) Σ relu at common parts z and an offset, both broadcast."""
    mean, variance = relu_moments(np.sqrt(K_o) * z + offset, np.sqrt(K_d - K_o))
    return mean, variance / m


def misclassified(
    g: float, K_d: Numbers, K_o: Numbers, K_x: float, m: int, shift: Numbers = 0.0, points: int = POINTS
) -> float:
    """Return P(g + T < 0), where g + T = 0 counts one half; K_d > K_o ≥ |K_x|, units of the module, shift ≥ 0.

    K_d, K_o and shift may be pairs, the class of g first; `points` at least an axis. Raises ParameterError where the K
    are no such covariances.
    """
    (K_d, other_d), (K_o, other_o), (shift, other) = (np.broadcast_to(value, 2) for value in (K_d, K_o, shift))
    common = np.sqrt(K_o * other_o)
    if not (K_d > K_o and other_d > other_o and common >= abs(K_x) >= 0.0):
        reject("K_d, K_o, K_x", ((K_d, other_d), (K_o, other_o), K_x), "K_d > K_o >= |K_x|")
    # the normal's width, seen from Z, is to span a step
    width = np.sqrt((K_d - K_o) / (K_o * m)) if K_o > 0.0 else np.inf
    count = int(np.clip(2.0 * RANGE / width, points, MOST_POINTS)) | 1
    z = np.linspace(-RANGE, RANGE, count)
    correlation = K_x / common if common > 0.0 else 0.0
    weights = np.exp(-0.5 * (z[:, None] ** 2 - 2.0 * correlation * z[:, None] * z + z * z) / (1.0 - correlation**2))
    weights /= weights.sum()

    def wrong(u: float) -> float:
        mean, variance = _moments(K_d, K_o, m, z, shift * u)
        mean_other, variance_other = _moments(other_d, other_o, m, z, -other * u)
        margin, spread = g + mean[:, None] - mean_other, np.sqrt(variance[:, None] + variance_other)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float((weights * np.where(margin == 0.0, 0.5, ndtr(-margin / spread))).sum())

    if other == 0.0:
        return wrong(0.0)
    step, sharp = 2.0 * RANGE / (POINTS - 1), np.sqrt(other_d) / other
    if sharp > 1.0:  # Gauss–Hermite, whose error falls by 1 + sharp² a node
        u, mass = np.polynomial.hermite_e.hermegauss(max(3, int(np.ceil(30.0 / np.log1p(sharp * sharp)))))
        return float(sum(w * wrong(v) for v, w in zip(u, mass, strict=True)) / np.sqrt(2.0 * np.pi))
    if sharp > step:
        u = np.linspace(-RANGE, RANGE, POINTS)
        return float(step * sum(np.exp(-0.5 * v * v) * wrong(v) for v in u) / np.sqrt(2.0 * np.pi))
    # in u a step at −g/other, of that width: a normal's distribution function is taken off, whose share is known
    u = -g / other + sharp * np.linspace(-12.0, 12.0, POINTS)
    rest = sum(np.exp(-0.5 * v * v) * (wrong(v) - ndtr((-g / other - v) / sharp)) for v in u)
    known = ndtr(-g / other / np.sqrt(1.0 + sharp * sharp))
    return float(known + (u[1] - u[0]) * rest / np.sqrt(2.0 * np.pi))


def signal_needed(level: float, K_d: float, K_o: float, K_x: float, m: int) -> float:
    """Return the g at which the clean error is `level`, in (0, ½)."""
    if not 0.0 < level < 0.5:
        reject("level", level, "a number > 0 and < 0.5")
    scale = np.sqrt(K_d)
    while misclassified(scale, K_d, K_o, K_x, m) > level:
        scale *= 2.0
    return float(brentq(lambda g: misclassified(g, K_d, K_o, K_x, m) - level, 0.0, scale, xtol=1e-13 * scale))

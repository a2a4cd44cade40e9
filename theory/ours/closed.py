"""The closed form: every sample alike, the active fraction a function of sigma = S/c alone.

While a neuron is off its field is c z + Y, Y Gaussian with the covariance in time that the neurons already on give it;
it switches on at its first passage through 0. With x the same for all samples that problem has one parameter,
sigma = S/c, and its solution was computed once and fitted: a(0) = ½, and with Y taken at one time alone the fraction
would be ½ + atan(sigma/2)/(2 pi) at leading order. From a(sigma) everything follows by quadrature:

    x = ∫ a dS,    tau = ∫ (1 + eˣ) dS,    I = ∫ a(u) (S − u) du,    K_d = c² + I,    K_o = (½ x² − I/m)/(1 − 1/m).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from simulate.parameters import integer, real
from simulate.types import FloatArray
from theory.ours.asymptotics import Asymptotics
from theory.types import Numbers

NODES, WEIGHTS = np.polynomial.legendre.leggauss(80)


def active_fraction(sigma: Numbers) -> Any:
    """Return a(sigma), within 0.0015 of the first-passage curve up to sigma = 10³; a fit, not a theorem."""
    sigma = np.asarray(sigma, float)
    drift = 1.0 + 0.0296 * sigma / (sigma + 0.329) + 0.00862 * np.log1p(sigma / 0.336)
    return 0.5 + np.arctan(sigma / 2.0) / (2.0 * np.pi) * drift


def margin_at_loss(eps: Numbers) -> Any:
    """Return x with log(1 + e^−x) = eps, within 2 ulps of itself, or of 1 near eps = log 2."""
    return -np.log(np.expm1(eps))


def predict(
    c: float, m: int, p: float = 0.1, eps: float = 0.01, e0: float = 0.1, active: Callable[[Any], Any] = active_fraction
) -> Asymptotics:
    """Return the closed form at initial scale c, width m, flip rate p and training loss eps < log 2.

    e0 scales what pairs of the other class get in the one step that they are on, hence K_x. `active` may be another
    non-decreasing function of S/c, from ½ up.
    """
    from scipy.integrate import cumulative_simpson
    from scipy.special import expit

    c, m = real("c", c, strict=True), integer("m", m, 2)
    p, eps = real("p", p, below=0.5), real("eps", eps, below=np.log(2.0), strict=True)
    x = float(margin_at_loss(eps))
    S = 2.0 * x  # as a ≥ ½, from above, where Newton's steps are monotone for a rising a
    for _ in range(50):
        S, before = S - (_margin(S, c, active) - x) / float(active(S / c)), S
        if abs(S - before) <= 1e-14 * S:
            break
    y = np.linspace(0.0, np.arcsinh(S / c), 801)  # dS = c cosh y dy: small S count as much as large ones
    path, rate = c * np.sinh(y), c * np.cosh(y)
    a = active(path / c) + 0.0 * y

    def integral(values: FloatArray) -> Any:
        return cumulative_simpson(values * rate, x=y, initial=0.0)

    margin = integral(a)
    spread = float(integral(a * (S - path))[-1])
    slope = expit(-margin)
    tau = integral(1.0 + np.exp(margin))
    kick = e0 * (0.5 * a[0] + float(np.diff(a) @ (slope[1:] + slope[:-1])) / 2.0)
    return Asymptotics(
        m, p, 0.0, tau, a, margin, path, np.log1p(np.exp(-margin)),
        0.5 * (1.0 - 2.0 * p) * path, c * c + spread, (0.5 * x * x - spread / m) / (1.0 - 1.0 / m), -x * kick,
        time=float(tau[-1]),
    )  # fmt: skip


def _margin(S: float, c: float, active: Callable[[Any], Any]) -> Any:
    """∫ a dS up to S, by Gauss–Legendre in y, S = c sinh y."""
    half = 0.5 * np.arcsinh(S / c)
    y = half * (1.0 + NODES)
    return c * half * float(WEIGHTS @ (active(np.sinh(y)) * np.cosh(y)))

"""The closed forms of Andriushchenko & Flammarion 2022 and Chen et al. 2023 with their exact values: `ulps.Form`."""

import math

import numpy as np
from mpmath import mp, mpf
from ulps import root, spread, table

from theory.andriushchenko2022.deterministic_usam import contraction, gain
from theory.andriushchenko2022.effect_size import effect
from theory.andriushchenko2022.first_order import log_alpha_eff
from theory.andriushchenko2022.potential import dual_coefficients, entropy, potential
from theory.andriushchenko2022.stochastic_usam import gap_bound, mean_gradient_bound
from theory.chen2023.coefficient_growth import coefficient_curve, growth_rate
from theory.chen2023.deactivation import deactivated_at_start
from theory.chen2023.decomposition import decompose
from theory.chen2023.sam_boundary import sam_floor
from theory.chen2023.setting import (
    benign_parameter,
    sam_radius,
    scaled_init_std,
    scaled_step_size,
    signal_to_noise_ratio,
)
from theory.chen2023.sgd_boundary import critical_signal
from theory.chen2023.signal_growth import growth_per_step
from theory.chen2023.training_time import training_time

FORMS, form = table()

# andriushchenko2022

U = (0.0, 1e-300, 1e-9, 0.5, 1.0 - 2.0**-53, 1.0)
form(
    contraction,
    lambda u, q, k: 1 - u * k * (2 - u - q**2),
    [(u, q, k) for u in U for q in U for k in U] + spread(u=(0.0, 1.0), q=(0.0, 1.0), k=(1e-6, 1.0)),
    digits=700,
)
form(gain, lambda u, q, k: k * u * (1 - u) * (2 - q) * q * k, spread(u=(0.0, 1.0), q=(0.0, 1.0), k=(1e-6, 1.0)))
form(effect, lambda d, m, integral: 4 * d / m * integral, spread(d=(1.0, 1e6), m=(1.0, 1e3), integral=(1e-6, 1e6)))
form(
    log_alpha_eff,
    lambda a, r, delta: mp.log(a) - r * delta,
    spread(alpha=(1e-6, 0.9), rho=(1e-6, 10.0), delta=(1e-6, 1e3)),
)
ROOT = [1e-160, 1e-20, 1e-8, 1e-4, 0.01, 1.0, 2.0, 100.0, 1e8, 1e150, 1e300]
form(
    entropy,
    lambda z: 2 - mp.sqrt(4 + z**2) + z * mp.asinh(z / 2),
    [(s * z,) for z in (0.0, *ROOT) for s in (1.0, -1.0)] + spread(z=(1e-6, 1e6)),
    digits=700,
)


def kl(beta: mpf, log_alpha: mpf) -> mpf:
    """Return the potential, with alpha² itself."""
    square = mp.exp(2 * log_alpha)
    return 2 * square - mp.sqrt(4 * square**2 + beta**2) + beta * mp.asinh(beta / square / 2)


ALPHAS = (-700.0, -373.0, -350.0, -70.0, -20.0, -1.0, 0.0, 5.0)
form(
    potential,
    kl,
    [(b, a) for a in ALPHAS for b in (1e-160, 1e-30, -1e-3, 0.5, -1.0, 3.0, 1e10) if a > -100.0 or b > 1e-100]
    + spread(beta=(1e-6, 10.0), log_alpha=(-75.0, -0.01)),
    digits=1400,
    call=lambda b, a: potential(np.array([b]), np.array([a])),
)
form(
    dual_coefficients,
    lambda z, a: 2 * mp.exp(2 * a) * mp.sinh(z),
    [
        (s * z, a)
        for z in (0.0, 1e-300, 1e-9, 1e-3, 1.0, 40.0, 140.0, 700.0, 1400.0)
        for s in (1.0, -1.0)
        for a in (-700.0, -350.0, -70.0, -5.0, 0.0)
        if z + 2.0 * a < 700.0 and (z > 0.5 or a > -100.0)
    ]
    + spread(z=(-160.0, 160.0), a=(-75.0, 0.0)),
    size=lambda z, a: 2 * mp.exp(2 * a) * mp.sinh(z) * (1 + abs(2 * a + abs(z))),
    call=lambda z, a: dual_coefficients(np.ones((1, 1)), np.array([z]), np.array([a]))[0],
    digits=400,
)
form(
    mean_gradient_bound,
    lambda beta, d, s2, b, T: 4 * beta * d / mp.sqrt(T) + 8 * s2 / (b * mp.sqrt(T)),
    spread(beta=(1e-3, 1e3), delta=(1e-6, 1e6), s2=(1e-6, 1e6), b=(1.0, 100.0), T=(7.0, 1e9)),
)
form(
    gap_bound,
    lambda beta, mu, d, s2, b, T: 3 * beta**2 * d / (mu**2 * T**2) + 22 * beta * s2 / (b * mu**2 * T),
    spread(beta=(1e-3, 1e3), mu=(1e-6, 1.0), delta=(1e-6, 1e6), s2=(1e-6, 1e6), b=(1.0, 100.0), T=(7.0, 1e9)),
)

# chen2023

PLACE = {"n": (1.0, 1e4), "P": (2.0, 5.0), "sigma_p": (1e-3, 1e3), "d": (1.0, 1e12)}
form(
    signal_to_noise_ratio,
    lambda mu, P, s, d: mu / ((P - 1) * s * mp.sqrt(d)),
    spread(mu=(1e-3, 1e3), P=(2.0, 5.0), sigma_p=(1e-3, 1e3), d=(1.0, 1e12)),
)
form(
    scaled_init_std,
    lambda n, d, s, P, c: c * mp.sqrt(n) / ((P - 1) * s * d),
    spread(n=(1.0, 1e4), d=(1.0, 1e12), sigma_p=(1e-3, 1e3), P=(2.0, 5.0), c=(1e-3, 10.0)),
)
form(
    scaled_step_size,
    lambda n, m, P, s, d, e0: e0 * n * m / ((P - 1) ** 2 * s**2 * d),
    spread(n=(1.0, 1e4), m=(1.0, 1e4), P=(2.0, 5.0), sigma_p=(1e-3, 1e3), d=(1.0, 1e12), e0=(1e-3, 1.0)),
)
form(
    sam_radius,
    lambda m, B, P, s, d, C3: m * mp.sqrt(B) / (C3 * P * s * mp.sqrt(d)),
    spread(m=(1.0, 1e4), B=(1.0, 1e4), P=(2.0, 5.0), sigma_p=(1e-3, 1e3), d=(1.0, 1e12), C3=(1e-3, 1e3)),
)
form(
    benign_parameter,
    lambda n, mu, P, s, d: n * mu**4 / ((P - 1) ** 4 * s**4 * d),
    spread(n=(1.0, 1e4), mu=(1e-3, 1e3), P=(2.0, 5.0), sigma_p=(1e-3, 1e3), d=(1.0, 1e12)),
)
form(critical_signal, lambda n, P, s, d, C: mp.root(C * d / n, 4) * (P - 1) * s, spread(**PLACE, C=(1e-3, 1e3)))
form(
    growth_per_step,
    lambda eta, p, mu, m: eta * (1 - 2 * p) * mu**2 / (4 * m),
    spread(eta=(1e-9, 1.0), p=(0.0, 0.5), mu=(1e-3, 1e3), m=(1.0, 1e4)),
)
form(
    growth_rate,
    lambda eta, P, s, d, n, m: eta * (P - 1) ** 2 * s**2 * d / (n * m),
    spread(eta=(1e-9, 1.0), P=(2.0, 5.0), sigma_p=(1e-3, 1e3), d=(1.0, 1e12), n=(1.0, 1e4), m=(1.0, 1e4)),
)
form(
    training_time,
    lambda n, m, P, s, d, eta, eps: n * m / (eta * eps * d * (P - 1) ** 2 * s**2),
    spread(
        n=(1.0, 1e4), m=(1.0, 1e4), P=(2.0, 5.0), sigma_p=(1e-3, 1e3), d=(1.0, 1e12), eta=(1e-9, 1.0), eps=(1e-9, 1.0)
    ),
)
for column, exact in ((0, lambda g, r, mu2, xi2: -g / mu2), (1, lambda g, r, mu2, xi2: r / (2 * xi2))):
    form(
        decompose,
        exact,
        spread(gamma=(1e-6, 1e2), rho=(1e-6, 1e2), mu2=(1e-6, 1e6), xi2=(1e-3, 1e12)),
        call=lambda g, r, mu2, xi2, column=column: decompose(
            np.array([g]), np.array([[r]]), np.array([-1.0]), mu2, xi2, 2.0
        )[0, column],
    )
form(
    coefficient_curve,
    lambda t, b, c: root(lambda x: x + b * mp.expm1(x) - c * t, 0, min(c * t, mp.log1p(c * t / b))) if t else mpf(0),
    [
        (t, b, c)
        for t in (0.0, 1e-300, 1e-12, 1e-3, 1.0, 1e3, 1e9, 1e100, 1e300)
        for b in (1e-3, math.exp(-0.05), 1.0, 50.0)
        for c in (1e-9, 0.02, 1.0)
    ]
    + spread(128, t=(1e-6, 1e9), b=(1e-3, 1e3), c=(1e-6, 1.0)),
)
form(
    deactivated_at_start,
    lambda r: mp.erf(r / mp.sqrt(2)),
    [(r,) for r in (0.0, 1e-300, 1e-17, 1e-3, 1.0, 6.0, 8.3, 40.0, 1e300)] + spread(ratio=(1e-6, 10.0)),
)


def upper_quantile(p: mpf) -> mpf:
    """Return z with Phi(−z) = p < 1/2."""
    if p > mpf("1e-5"):
        return mp.sqrt(2) * mp.erfinv(1 - 2 * p)
    return root(lambda z: p - mp.erfc(z / mp.sqrt(2)) / 2, 0, 40)


form(
    sam_floor,
    lambda level, P, s: upper_quantile(level) * (P - 1) * s,
    [(level, 2.0, 1.0) for level in (1e-300, 1e-100, 1e-16, 1e-6, 0.02, 0.135, 0.4, 0.499999, 0.5 - 2.0**-54)]
    + spread(64, level=(1e-12, 0.5), P=(2.0, 5.0), sigma_p=(1e-3, 1e3)),
    size=lambda level, P, s: max(1, upper_quantile(level)) * (P - 1) * s,
)

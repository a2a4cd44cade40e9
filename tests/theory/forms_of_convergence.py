"""The closed forms of Oikonomou & Loizou 2025 with their exact values: see `ulps.Form`."""

from collections.abc import Callable, Iterable

import numpy as np
from mpmath import mp, mpf
from ulps import Point, spread, table

from theory.oikonomou2025.constant_steps import linear_rate, rare_moments
from theory.oikonomou2025.decreasing_steps import decreasing_bound, first_decreasing
from theory.oikonomou2025.expected_residual import residual_bound
from theory.oikonomou2025.nonconvex import curvature_cost, gradient_bound
from theory.oikonomou2025.setting import Constants, expected_residual

FORMS, form = table()

# oikonomou2025


def method(name: str) -> Callable[..., float]:
    return lambda L, mu, A, B, C, *rest: getattr(Constants(L, mu, A, B, C), name)(*rest)


GIVEN = {"L": (1e-3, 1e3), "mu": (1e-9, 1e-3), "A": (1e-6, 1e3), "B": (0.0, 1.0), "C": (0.0, 10.0)}
LAM = {"lam": (0.0, 1.0)}
EDGES = [(1.0, 1e-3, 1.0, 0.5, 1.0, lam) for lam in (0.0, 2.0**-53, 0.5, 1.0 - 2.0**-53)]


def radius_cap(L: mpf, mu: mpf, A: mpf, B: mpf, C: mpf, lam: mpf) -> mpf:
    return mu / (L * (mu + 2 * (B * mu + A) * (1 - lam) ** 2))


def sharper_radius_cap(L: mpf, mu: mpf, A: mpf, B: mpf, C: mpf, lam: mpf) -> mpf:
    return mpf(3) / 4 * mu / (L * (1 - lam) * (mu + B * mu + A))


def denominator(L: mpf, mu: mpf, A: mpf, B: mpf, rho: mpf, lam: mpf) -> mpf:
    return 2 * L * (B * mu + A) * (1 + 2 * L**2 * rho**2 * (1 - lam) ** 2)


def step_cap(L: mpf, mu: mpf, A: mpf, B: mpf, C: mpf, rho: mpf, lam: mpf) -> mpf:
    free = mu - L * rho * (mu + 2 * (B * mu + A) * (1 - lam) ** 2)
    return free / denominator(L, mu, A, B, rho, lam)


def sharper_step_cap(L: mpf, mu: mpf, A: mpf, B: mpf, C: mpf, rho: mpf, lam: mpf) -> mpf:
    free = mpf(3) / 4 * mu - L * rho * (1 - lam) * (mu + B * mu + A)
    return free / denominator(L, mu, A, B, rho, lam)


def near(cap: Callable[..., mpf], points: Iterable[Point]) -> list[Point]:
    """Return points with a radius at shares of its cap, up to a part in 10¹² of it."""
    shares = (0.0, 0.3, 0.9, 1.0 - 1e-6, 1.0 - 1e-12)
    found = []
    for k, (*given, lam) in enumerate(points):
        rho = shares[k % len(shares)] * float(cap(*map(mpf, given), mpf(lam)))
        found.append((*given, rho, lam))
    return found


form(Constants.radius_cap, radius_cap, EDGES + spread(**GIVEN, **LAM), call=method("radius_cap"))
form(
    Constants.sharper_radius_cap, sharper_radius_cap, EDGES + spread(**GIVEN, **LAM), call=method("sharper_radius_cap")
)
form(
    Constants.step_cap,
    step_cap,
    near(radius_cap, EDGES + spread(**GIVEN, **LAM)),
    call=method("step_cap"),
    size=lambda L, mu, A, B, C, rho, lam: mu / denominator(L, mu, A, B, rho, lam),
)
form(
    Constants.sharper_step_cap,
    sharper_step_cap,
    near(sharper_radius_cap, EDGES + spread(**GIVEN, **LAM)),
    call=method("sharper_step_cap"),
    size=lambda L, mu, A, B, C, rho, lam: mu / denominator(L, mu, A, B, rho, lam),
)
MOVES = {"gamma": (1e-9, 1.0), "rho": (1e-9, 10.0), **LAM}
form(
    Constants.floor,
    lambda L, mu, A, B, C, g, r, lam: (
        L / mu * (C * (g + r * (1 - lam) ** 2 * (1 + 2 * L**2 * g * r)) + r * lam**2 * (1 + 2 * L**2 * g * r))
    ),
    spread(**GIVEN, **MOVES),
    call=method("floor"),
)
form(
    Constants.sharper_floor,
    lambda L, mu, A, B, C, g, r, lam: (
        L
        / mu
        * (C * (g + r * (1 - lam) / 2 + 2 * L**2 * g * r**2 * (1 - lam) ** 2) + 2 * L * r**2 * lam**2 * (1 + L * g))
    ),
    spread(**GIVEN, **MOVES),
    call=method("sharper_floor"),
)
for place, exact in (
    (0, lambda n, tau, L: (n - tau) * L / (tau * (n - 1))),
    (1, lambda n, tau, L: n * (tau - 1) / (tau * (n - 1))),
):
    form(
        expected_residual,
        exact,
        [(float(n), float(t), 0.3) for n in (2, 3, 50, 10**6) for t in {1, 2, n // 2, n - 1} if t],
        call=lambda n, tau, L, place=place: expected_residual("nice", n, tau, np.array([L, 0.1]))[place],
    )
form(
    linear_rate,
    lambda d, g, mu, t, floor: (1 - g * mu) ** int(t) * d + floor,
    [(1.0, g, 1.0, t, 0.0) for g in (1e-15, 1e-9, 1e-3, 0.5) for t in (0.0, 1.0, 500.0, 1e6, 1e9) if g * t <= 500.0]
    + [
        (d, g, mu, float(int(t)), floor)
        for d, g, mu, t, floor in spread(
            delta=(1e-6, 1e6), gamma=(1e-9, 0.5), mu=(1e-6, 1.0), t=(1.0, 1e7), floor=(0.0, 1.0)
        )
    ],
    size=lambda d, g, mu, t, floor: (1 - g * mu) ** int(t) * d * (1 + t * g * mu) + floor,
)
form(
    first_decreasing,
    lambda mu, cap: max(1, mp.ceil((1 + mp.sqrt(max(1 - cap * mu, 0))) / (cap * mu) - 1)),
    spread(mu=(1e-4, 1.0), cap=(1e-4, 2.0)),
)


def decreasing(L: mpf, mu: mpf, A: mpf, B: mpf, C: mpf, lam: mpf, cap: mpf, rho: mpf, delta: mpf, T: mpf) -> mpf:
    """Return the bound, term by term."""
    t = next(t for t in range(1, 10**6) if (2 * t + 1) / (t + 1) ** 2 <= cap * mu)
    floor = (
        L
        / mu
        * (C * (cap + rho * (1 - lam) ** 2 * (1 + 2 * L**2 * cap * rho)) + rho * lam**2 * (1 + 2 * L**2 * cap * rho))
    )
    first = ((1 - cap * mu) ** t * delta + floor) * t**2 / T**2
    bent = C * (1 - lam) ** 2 + lam**2
    return first + 4 * L * C / (mu**2 * T) + L * bent / (mu * T) + 2 * L**3 * bent / (mu**2 * T**2 * t)


form(
    decreasing_bound,
    decreasing,
    [
        (L, mu, A, B, C, lam, cap, rho, delta, T)
        for L, mu, A, B, C, lam, cap, rho, delta, T in spread(
            L=(1.0, 10.0),
            mu=(0.01, 1.0),
            A=(1e-3, 10.0),
            B=(0.0, 1.0),
            C=(0.0, 10.0),
            lam=(0.0, 1.0),
            cap=(0.01, 1.0),
            rho=(1e-6, 1.0),
            delta=(1e-6, 1e3),
            T=(1e4, 1e9),
        )
    ],
    call=lambda L, mu, A, B, C, *rest: decreasing_bound(Constants(L, mu, A, B, C), *rest),
)
form(
    residual_bound,
    lambda A, B, C, gap, square: 2 * A * gap + B * square + C,
    spread(A=(0.0, 10.0), B=(0.0, 1.0), C=(0.0, 10.0), gap=(1e-9, 1e9), square=(1e-9, 1e9)),
)
form(
    curvature_cost,
    lambda L, g, r, lam: r * L * (1 - lam) ** 2 + L * g * (1 + 2 * L**2 * r**2 * (1 - lam) ** 2),
    spread(L=(1e-3, 1e3), gamma=(1e-9, 1.0), rho=(1e-9, 10.0), lam=(0.0, 1.0)),
    call=lambda L, *rest: curvature_cost(Constants(L, 1.0, 0.0, 0.0, 0.0), *rest),
)


def smallest_gradient(L: mpf, A: mpf, C: mpf, g: mpf, r: mpf, lam: mpf, delta: mpf, T: mpf) -> mpf:
    kap = r * L * (1 - lam) ** 2 + L * g * (1 + 2 * L**2 * r**2 * (1 - lam) ** 2)
    start = 4 * A * kap * delta / (1 - (1 + 2 * A * g * kap) ** -int(T)) if A else 2 * delta / (g * T)
    return start + 2 * (C * kap + lam**2 * L * r * (1 + 2 * L**2 * g * r))


form(
    gradient_bound,
    smallest_gradient,
    [
        (L, A, C, g, r, lam, delta, float(int(T)))
        for L, A, C, g, r, lam, delta, T in spread(
            L=(0.1, 10.0),
            A=(1e-12, 10.0),
            C=(0.0, 10.0),
            gamma=(1e-6, 0.1),
            rho=(1e-6, 1.0),
            lam=(0.0, 1.0),
            delta=(1e-6, 1e3),
            T=(1.0, 1e9),
        )
    ]
    + [(1.0, 0.0, 1.0, 0.01, 0.1, 0.5, 1.0, 100.0)],
    call=lambda L, A, C, *rest: gradient_bound(Constants(L, 1.0, A, 0.0, C), *rest),
)


def stationary(which: int) -> Callable[..., mpf]:
    """Return the mean or deviation of x ← a_i x + b_i, from the moments' own equations."""

    def exact(p: mpf, lam: mpf, rho: mpf, gamma: mpf, s: mpf) -> mpf:
        mean = second = change = square = mpf(0)
        for q, c in ((p, s), (1 - p, -s)):
            w = 1 / (2 * q)
            a = 1 - gamma * w * (1 + rho * (1 - lam) * w)
            b = gamma * w * (c * (1 + rho * (1 - lam) * w) + rho * lam * mp.sign(c))
            mean, change = mean + q * b, change + q * (1 - a)
            second, square = second + q * b * b, square + q * (1 - a * a)
        mean /= change
        for q, c in ((p, s), (1 - p, -s)):
            w = 1 / (2 * q)
            a = 1 - gamma * w * (1 + rho * (1 - lam) * w)
            b = gamma * w * (c * (1 + rho * (1 - lam) * w) + rho * lam * mp.sign(c))
            second += 2 * q * a * b * mean
        return mean if which == 0 else mp.sqrt(second / square - mean**2)

    return exact


for which in (0, 1):
    form(
        rare_moments,
        stationary(which),
        spread(p=(1e-4, 0.49), lam=(0.0, 0.99), rho=(1e-6, 1e-3), gamma=(1e-12, 1e-5), s=(1e-3, 1e3)),
        call=lambda *point, which=which: rare_moments(*point)[which],
    )

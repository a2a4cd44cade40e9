"""The closed forms of Kim 2023, Luo 2025, Wen 2023 and Moon 2026 with their exact values: see `ulps.Form`."""

import numpy as np
from mpmath import mpf
from ulps import spread, table

from theory.kim2023.saddles import critical_radius, critical_step
from theory.luo2025.expected_step import finite_population, noise_weight
from theory.luo2025.vanishing_steps import displacement
from theory.moon2026.minor_first import passing
from theory.moon2026.winner import final, score
from theory.wen2023.drift import amplification

FORMS, form = table()

# kim2023

form(critical_radius, lambda lam: -1 / lam, [(-1e-300,), (-1e300,), *((-lam,) for (lam,) in spread(lam=(1e-9, 1e9)))])


def largest(a: mpf, b: mpf, c: mpf, rho: mpf) -> mpf:
    return max(lam * (1 + rho * lam) for lam in (a, -b, -c))


form(
    critical_step,
    lambda a, b, c, rho: 2 / largest(a, b, c, rho),
    spread(a=(1e-3, 1e3), b=(1e-3, 1e3), c=(1e-3, 1e3), rho=(1e-6, 1e3)),
    call=lambda a, b, c, rho: critical_step(np.array([a, -b, -c]), np.array(rho)),
    size=lambda a, b, c, rho: 2 / largest(a, b, c, rho) * (1 + max(b, c) / largest(a, b, c, rho)),
    name="critical_step of a saddle",
)

# luo2025

form(noise_weight, lambda m: 1 / m, [(1.0,), (3.0,), (1e6,)])
form(
    finite_population,
    lambda m, n: (n - m) / (m * (n - 1)),
    [(m, n) for n in (2.0, 3.0, 10.0, 1e3, 1e6) for m in (1.0, 2.0, np.floor(n / 3.0) + 1.0, n - 1.0, n)],
)


def means(
    h1: mpf, h2: mpf, h3: mpf, c1: mpf, c2: mpf, c3: mpf
) -> tuple[mpf, mpf, list[mpf], tuple[mpf, ...], mpf, tuple[mpf, ...]]:
    h, c = (h1, h2, h3), (c1, c2, c3)
    mean = sum(h) / 3
    at = sum(x * y for x, y in zip(h, c, strict=True)) / 3 / mean
    return mean, sum(x * x for x in h) / 3, [x * (at - y) for x, y in zip(h, c, strict=True)], h, at, c


def exact_displacement(*given: mpf) -> mpf:
    *problem, rho, weight = given
    mean, square, g, h, *_ = means(*problem)
    above = sum(x * y for x, y in zip(h, g, strict=True)) / 3
    return -rho * weight * above / (mean + rho * (mean**2 + weight * (square - mean**2)))


def uncancelled(*given: mpf) -> mpf:
    """Return the displacement with every term of its numerator and the weight's of its denominator at their sizes."""
    *problem, rho, weight = given
    mean, square, _, h, at, c = means(*problem)
    size = sum(x * x for x in map(abs, c)) ** mpf("0.5")
    above = sum(x * x * (abs(at) + size) for x in h) / 3
    return rho * weight * above / (mean + rho * (mean**2 + weight * (square - mean**2)))


CENTRES = {f"c{k}": (-2.0, 2.0) for k in (1, 2, 3)}
form(
    displacement,
    exact_displacement,
    spread(**{f"h{k}": (1e-2, 1e2) for k in (1, 2, 3)}, **CENTRES, rho=(1e-6, 10.0), weight=(0.0, 1.0)),
    call=lambda *z: displacement(np.array(z[:3]), np.array(z[3:6]), *z[6:]),
    size=uncancelled,
)

# wen2023

form(
    amplification,
    lambda u: (2 / (2 - u)) ** 2,
    [(0.0,), (1e-300,), (2.0 - 1e-15,), (2.0 - 1e-9,), *spread(u=(1e-6, 1.99))],
)

# moon2026

form(passing, lambda rho, a, b: rho * (a + b), spread(rho=(1e-6, 10.0), minor=(1e-3, 1.0), major=(1e-3, 10.0)))

POWERS = spread(mu=(1e-3, 1e3), excess=(-10.0, 10.0))
for depth in (3, 4, 5, 8):
    form(
        score,
        lambda mu, v, depth=depth: mu * v ** (depth - 2),
        POWERS,
        call=lambda mu, v, depth=depth: score(depth, mu, v),
        name=f"score at depth {depth}",
    )


def loser(depth: int, mu: mpf, other: mpf, v: mpf, u: mpf, rho: mpf) -> tuple[mpf, mpf]:
    """Return (w of a coordinate that starts at rho + u and loses to mu, rho + v; how far from a tie it is)."""
    power = 1 - other * u ** (depth - 2) / (mu * v ** (depth - 2))
    if u < 0 and depth % 2 == 0:
        power = max(power, (-u / rho) ** (depth - 2))
    return rho + u * power ** (mpf(-1) / (depth - 2)), power


def conditioned(depth: int, mu: mpf, other: mpf, v: mpf, u: mpf, rho: mpf) -> mpf:
    """Return |w| plus what roundings of the two starts, and of the scores near a tie, make of it."""
    w, power = loser(depth, mu, other, v, u, rho)
    near = other * abs(u) ** (depth - 2) / (mu * v ** (depth - 2)) / power
    return abs(w) + abs(w - rho) * (1 + near) * (2 + rho / abs(u) + rho / v)


# starts are rho + v, rho + u: exact where all three are multiples of 2^-12
STARTS = [
    (mu, np.ceil(v * 4096) / 4096, share, np.ceil(rho * 4096) / 4096, sign)
    for mu, v, share, rho in spread(mu=(0.1, 10.0), v=(0.01, 2.0), share=(0.01, 0.999), rho=(0.01, 1.0))
    for sign in (1.0, -1.0)
]
for depth in (3, 4, 5, 8):
    points = []
    for mu, v, share, rho, sign in STARTS:
        u = sign * max(np.floor(4096 * min(v if sign > 0.0 else rho, 1.0) * share) / 4096, 2.0**-12)
        if share * abs(u / v) ** (depth - 2) < 0.9999:
            points.append((mu, mu * share, v, u, rho))
    form(
        final,
        lambda *point, depth=depth: loser(depth, *point)[0],
        points,
        call=lambda mu, other, v, u, rho, depth=depth: final(
            depth, np.array([[mu, other]]), np.array([[rho + v, rho + u]]), np.array([rho])
        )[0, 1],
        size=lambda *point, depth=depth: conditioned(depth, *point),
        name=f"final at depth {depth}",
    )

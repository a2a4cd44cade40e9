"""The closed forms of `theory` against mpmath, over their domains and at the edges of these: see `ulps.Form`."""

import math

import numpy as np
import pytest
from forms_of_convergence import FORMS as CONVERGENCE
from forms_of_further import FORMS as FURTHER
from forms_of_networks import FORMS as NETWORKS
from mpmath import mp, mpf
from ulps import Form, assert_promises, root, spread, table

import theory
from theory.interval import mean_interval
from theory.ours.averaged import signal_met
from theory.ours.closed import active_fraction, margin_at_loss
from theory.ours.response import relu_moments
from theory.ours.sam_phase import phase_time, saturation, signal_learned
from theory.quadratics.edge_of_stability import edge
from theory.quadratics.two_cycle import amplitude
from theory.quadratics.usam_threshold import critical_step
from theory.quadratics.vanishing_steps import gap_at_minimiser, gap_between
from theory.shin2025.linear_rate import largest_radius, published_margin, rate, sharper_margin, step_size
from theory.shin2025.mean_square import star_spread
from theory.shin2025.setting import largest_curvature, moment_bound
from theory.shin2025.test_error_width import floor
from theory.shin2025.uniform_moments import largest_spread

FORMS, form = table()

# ours

SHARES = (0.0, 1e-100, 1e-16, 1e-3, 0.1, 0.24, 0.26, 0.4, 0.499, 0.5 - 1e-9, 0.5 - 2.0**-54)
form(
    active_fraction,
    lambda s: (
        mpf(1) / 2
        + mp.atan(s / 2)
        / (2 * mp.pi)
        * (1 + mpf(0.0296) * s / (s + mpf(0.329)) + mpf(0.00862) * mp.log1p(s / mpf(0.336)))
    ),
    [(s,) for s in (0.0, 1e-300, 1e-9, 1.0, 1e3, 1e9)] + spread(sigma=(1e-6, 1e6)),
)
form(
    margin_at_loss,
    lambda eps: -mp.log(mp.expm1(eps)),
    [(e,) for e in (1e-300, 1e-100, 1e-17, 1e-9, 0.01, 0.5, 0.69, 0.6931471805599)] + spread(eps=(1e-12, 0.69)),
    size=lambda eps: max(1, -mp.log(mp.expm1(eps))),
)
form(saturation, lambda p: mp.log((1 - p) / p) if p else mp.inf, [(p,) for p in SHARES] + spread(p=(1e-9, 0.5)))


def time_to(gamma, p):
    """Return ∫ dgamma/(sigmoid(−gamma) − p) from 0."""
    return (gamma - mp.log((1 - p - p * mp.exp(gamma)) / (1 - 2 * p)) / p) / (1 - p) if p else gamma + mp.expm1(gamma)


def conditioned(gamma, p):
    """Return T plus gamma dT/dgamma and p dT/dp: what a rounding of gamma or p alone makes of it."""
    at = gamma / (1 / (1 + mp.exp(gamma)) - p)
    return time_to(gamma, p) + at + (p * abs(mp.diff(lambda q: time_to(gamma, q), p)) if p > 1e-9 else 0)


PHASES = [
    (share * min(math.log(1.0 - p) - math.log(p), 20.0) if p else 20.0 * share, p)
    for p in SHARES[:-2]
    for share in (0.0, 1e-100, 1e-17, 1e-9, 1e-3, 0.3, 0.9, 0.999, 1.0 - 1e-9)
]
PHASES += [(share * (math.log(1.0 - p) - math.log(p)), p) for share, p in spread(share=(1e-6, 0.999), p=(1e-6, 0.49))]
form(phase_time, time_to, PHASES, size=conditioned, digits=400)
form(
    signal_learned,
    lambda T, p: (
        root(lambda g: time_to(g, p) - T, 0, min(mp.log1p(T), mp.log((1 - p) / p) if p else mp.inf)) if T else mpf(0)
    ),
    [(T, p) for T in (0.0, 1e-12, 1e-3, 1.0, 10.0, 100.0) for p in SHARES[3:-2]]
    + spread(128, T=(1e-3, 1e2), p=(1e-3, 0.49)),
    digits=60,
)


def relu_mean(t):
    return mp.npdf(t) + t * mp.ncdf(t)


def relu_variance(t):
    return (1 + t * t) * mp.ncdf(t) + t * mp.npdf(t) - relu_mean(t) ** 2


TS = [
    (s * t, 1.0)
    for t in (0.0, 1e-300, 1e-9, 0.1, 0.756, 1.0, 1.4, 1.999, 2.0, 2.001, 5.0, 8.3, 12.0, 20.0, 26.0)
    for s in (1.0, -1.0)
]
TS += [(40.0, 1.0), (1e6, 0.5), (1e20, 2.0)] + [(t, 1.0) for (t,) in spread(128, t=(-26.0, 26.0))]
for which, exact in (
    (0, lambda mean, std: std * relu_mean(mean / std)),
    (1, lambda mean, std: std**2 * relu_variance(mean / std)),
):
    form(
        relu_moments,
        exact,
        TS,
        call=lambda mean, std, which=which: relu_moments(mean, std)[which],
        digits=100,
        size=lambda mean, std, exact=exact: exact(mean, std) * max(1, (min(mean, 0) / std) ** 2),
    )
form(
    signal_met,
    lambda gamma, n, d, P, mu, s: gamma * (P - 1) * s * mp.sqrt(d / n) / mu,
    spread(gamma=(1e-3, 10.0), n=(1.0, 1e4), d=(1.0, 1e12), P=(2.0, 5.0), mu=(1e-3, 1e3), sigma_p=(1e-3, 1e3)),
)

# quadratics

form(
    edge,
    lambda eta, rho, g: g / (2 * rho) * (mp.sqrt(1 + 8 * rho / (eta * g)) - 1),
    [(0.5, rho, g) for rho in (1e-300, 1e-12, 1.0, 1e12) for g in (1e-12, 1.0, 1e12)]
    + spread(eta=(1e-6, 1e3), rho=(1e-9, 1e3), g=(1e-9, 1e9)),
    digits=700,
)
form(
    amplitude,
    lambda eta, lam, rho: eta * lam * rho / (2 - eta * lam),
    [(1.0, 2.0 - gap, 0.3) for gap in (1e-15, 1e-9, 1e-3, 1.0)]
    + spread(eta=(1e-3, 1.99), lam=(1e-3, 1.0), rho=(1e-6, 10.0)),
    size=lambda eta, lam, rho: eta * lam * rho / (2 - eta * lam) * (1 + eta * lam / (2 - eta * lam)),
)
form(critical_step, lambda lam, rho: 2 / (lam + rho * lam**2), spread(lam=(1e-6, 1e6), rho=(1e-9, 1e3)))
form(
    gap_between,
    lambda a, b, rho: (rho * (a - b) / 2) ** 2 / (a + b),
    spread(a=(1e-3, 1e3), b=(1e-3, 1e3), rho=(1e-6, 10.0)),
)
form(
    gap_at_minimiser, lambda a, b, rho: min(a, b) ** 2 / (a + b), spread(a=(1e-3, 1e3), b=(1e-3, 1e3), rho=(1e-6, 10.0))
)

# shin2025

SAM = [(eta, rho) for eta in (1e-9, 1.0, 1e3) for rho in (0.0, 1e-300, 1e-12, 0.2, 1e3)] + spread(
    eta=(1e-6, 1e3), rho=(1e-9, 1e3)
)
form(
    largest_curvature,
    lambda eta, rho: (mp.sqrt(1 + 8 * rho / eta) - 1) / (2 * rho) if rho else 2 / eta,
    SAM,
    digits=700,
)
form(
    largest_spread,
    lambda eta, rho: ((mp.sqrt(1 + 8 * rho / eta) - 1) / (4 * rho)) ** 2 if rho else 1 / eta**2,
    SAM,
    digits=700,
)
for k, exact in (
    (2, lambda eta, rho: 1 / (eta * (eta - 2 * rho))),
    (3, lambda eta, rho: 1 / (2 * eta**2 * rho)),
    (4, lambda eta, rho: 1 / (eta * rho) ** 2),
):
    form(
        moment_bound,
        exact,
        [(1.0, 0.5 - gap) for gap in (1e-15, 1e-9, 0.1)]
        + [(eta, eta * share) for eta, share in spread(eta=(1e-6, 1e3), share=(1e-9, 0.5))],
        call=lambda eta, rho, k=k: moment_bound(k, eta, rho),
    )
form(star_spread, lambda m: 4 * m / (1 + mp.sqrt(m)) ** 2, spread(m=(1.0, 1e6)))
LINEAR = spread(64, alpha=(1e-9, 1.0), beta=(1.0, 1e3), share=(0.0, 1.0))
for name, margin, exact in (
    ("published", published_margin, lambda a, b, r: a - (b + a / 2) * b * r),
    ("sharper", sharper_margin, lambda a, b, r: a - b * r * mp.sqrt(2 * a * b)),
):
    form(
        largest_radius,
        lambda a, b, exact=exact: root(lambda r: -exact(a, b, r), 0, 1),
        [(a, b) for a, b, _ in LINEAR],
        call=lambda a, b, name=name: largest_radius(a, b, name),
    )
    form(
        margin,
        exact,
        [
            (a, b, (share if k % 2 else 1.0 - 1e-9 * share) * float(largest_radius(a, b, name)))
            for k, (a, b, share) in enumerate(LINEAR)
        ],
        size=lambda a, b, r: a,
    )
form(
    step_size,
    lambda m, b, smooth, r: m / (2 * smooth * b * (1 + b * r) ** 2),
    spread(margin=(1e-9, 1.0), beta=(1e-3, 1e3), smooth=(1e-3, 1e3), rho=(0.0, 1.0)),
)
form(rate, lambda m, eta: 1 - m * eta / 2, spread(margin=(1e-9, 1.0), eta=(1e-9, 1.0)))
form(
    floor,
    lambda mu, P, s: mp.erfc(mu / ((P - 1) * s) / mp.sqrt(2)) / 2,
    [(mu, 2.0, 1.0) for mu in (0.0, 1e-300, 0.1, 5.0, 20.0, 37.0)]
    + spread(mu=(1e-3, 20.0), P=(2.0, 5.0), sigma_p=(0.9, 3.0)),
    size=lambda mu, P, s: mp.erfc(mu / ((P - 1) * s) / mp.sqrt(2)) / 2 * (1 + (mu / ((P - 1) * s)) ** 2),
)


def student(count, false_alarm):
    """Return the half-width of the interval of `count` numbers of deviation √count: the quantile of Student's law."""
    nu = count - 1

    def tail(t):
        return mp.betainc(nu / 2, mpf(1) / 2, 0, nu / (nu + t * t), regularized=True)

    return root(lambda t: false_alarm - tail(t), 0, mpf(10) ** 20)


def half_width(count, false_alarm):
    x = np.zeros(int(count))
    x[0], x[1] = 1.0, -1.0
    return mean_interval(x, false_alarm).half_width / (x.std(ddof=1) / np.sqrt(count))


form(
    mean_interval,
    student,
    [(float(n), alarm) for n in (2, 3, 4, 5, 8, 16, 64, 1000) for alarm in (0.05, 1e-4, 1e-8, 1e-12)],
    call=half_width,
    digits=60,
)


EVERY = [*NETWORKS, *CONVERGENCE, *FURTHER, *FORMS]


@pytest.mark.parametrize("form", EVERY, ids=str)
def test_within_what_its_docstring_promises(form):
    worst, point = form.worst
    assert worst <= form.bound, point


def test_promises_are_kept_and_no_larger_than_need_be():
    assert_promises(EVERY, theory)


def test_a_form_that_cancels_is_seen():
    """The control: the root by the formula of the school, which cancels as rho → 0."""
    lossy = Form(
        lambda eta, rho: (np.sqrt(1.0 + 8.0 * rho / eta) - 1.0) / (2.0 * rho),
        lambda eta, rho: (mp.sqrt(1 + 8 * rho / eta) - 1) / (2 * rho),
        [(1.0, rho) for rho in (1e-6, 1e-9)],
    )
    assert lossy.worst[0] > 1e6 > lossy.bound

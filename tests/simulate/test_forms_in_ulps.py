"""The closed forms of `simulate` against mpmath, over their domains and at the edges of these: see `ulps.Form`."""

import numpy as np
import pytest
from mpmath import mp, mpf
from ulps import Form, assert_promises, root, spread

import simulate
from simulate.dense_step import batch_slopes
from simulate.diagonal import weights_of
from simulate.finite_sum import Schedule
from simulate.generalisation import test_error as error_of_flipped
from simulate.gram_step import mean_loss, slopes
from simulate.lanes import LANES
from simulate.limit_system import flow, gained
from simulate.linear_stability import SpikedFamily
from simulate.objective import (
    LOGISTIC,
    LOSSES,
    ROBUST,
    SINE,
    SINE_PL,
    SQUARE,
    WAVE,
    FiniteSum,
    _logistic_infimum,
    excess,
    finite_sum,
    sigmoid,
    slope,
    softplus,
    value,
)
from simulate.strips import exponential
from simulate.update import perturbation_scale

SIZES = [5e-324, 1e-300, 1e-17, 1e-8, 0.1, 0.7, 1.0, 3.0, 20.0, 36.7, 40.0, 300.0, 700.0, 708.0]
FAR = [709.0, 745.0, 1e3, 1e6, 1e300]
NORMAL = [(s * x,) for x in (0.0, *SIZES) for s in (1.0, -1.0)] + spread(z=(-50.0, 50.0)) + spread(z=(-708.0, 708.0))
EVERYWHERE = NORMAL + [(s * x,) for x in FAR for s in (1.0, -1.0)] + spread(z=(-760.0, 760.0))
LABEL = {SQUARE: 0.7, LOGISTIC: -1.0, SINE: 0.7, ROBUST: 0.7, WAVE: 0.9}
RESIDUALS = [(s * x,) for x in (0.0, *SIZES, 1e6) for s in (1.0, -1.0)] + spread(u=(-30.0, 30.0))
HUGE = [(s * x,) for x in (1e70, 1e78, 1e100, 1e154, 1e200) for s in (1.0, -1.0)]


def of_loss(loss, points):
    """Return points of `slope` and `value`."""
    return [(loss, u, LABEL[loss]) for (u,) in points]


def phi(loss, u, b):
    """Return phi at the residual, or the product, u: the table of `simulate.objective`."""
    return {
        "square": lambda: u**2 / 2,
        "logistic": lambda: mp.log1p(mp.exp(-b * u)),
        "sine": lambda: u**2 / 2 + mp.sin(u) ** 2,
        "robust": lambda: u**2 / 2 / (1 + u**2),
        "wave": lambda: u**2 / 2 + b * mp.cos(10 * u) / 10,
    }[LOSSES[loss]]()


def derivative(loss, u, b):
    """Return phi'."""
    return {
        "square": lambda: u,
        "logistic": lambda: -b / (1 + mp.exp(b * u)),
        "sine": lambda: u + mp.sin(2 * u),
        "robust": lambda: u / (1 + u**2) ** 2,
        "wave": lambda: u - b * mp.sin(10 * u),
    }[LOSSES[loss]]()


def excess_of_logistic(e, t):
    return phi(LOGISTIC, e + t, 1) - phi(LOGISTIC, e, 1) - derivative(LOGISTIC, e, 1) * t


def infimum_of_logistic(norm, reg):
    """At u with u · reg = norm · sigmoid(−u)."""
    u = root(lambda u: u * reg - norm / (1 + mp.exp(u)), 0, mp.log1p(norm / reg) + 1)
    return mp.log1p(mp.exp(-u)) + reg * u**2 / norm / 2


def ratio_of_sine(r):
    return derivative(SINE, r, 0) ** 2 / (2 * phi(SINE, r, 0))


def rows(seed, condition):
    """Return five rows in three dimensions whose singular values are 1, ½ and 1/condition, to rounding."""
    rng = np.random.default_rng(int(seed))
    left, right = np.linalg.qr(rng.standard_normal((5, 3)))[0], np.linalg.qr(rng.standard_normal((3, 3)))[0]
    return left * np.array([1.0, 0.5, 1.0 / float(condition)]) @ right


def constant(name):
    """Return mu or L of least squares with those rows: its definition, and how it is called."""

    def exact(seed, condition):
        A = mp.matrix(rows(seed, condition).tolist())
        eigenvalues = mp.eigsy(A.T * A / 5, eigvals_only=True)
        return max(eigenvalues) if name == "lipschitz" else min(eigenvalues)

    return exact, lambda seed, condition: getattr(finite_sum("square", rows(seed, condition), np.zeros(5)), name)


def slope_of_logit(z):
    """Return s = 1/(1 + e^z) as the Gram kernel has it, of one sample with y f = z."""
    margins, s = np.zeros((1, 1 + LANES)), np.zeros((1, 1 + LANES))
    margins[0, 0] = z
    return slopes(margins, 1, s)


def slope_of_plain_logit(z):
    """Return the same as the dense kernel has it."""
    s = np.empty(1)
    batch_slopes(np.array([z]), np.ones(1), np.arange(1), s)
    return s[0]


def weight(sign):
    """Return the larger (sign of beta) or the smaller of w±, of w₊² − w₋² = beta and w₊ w₋ = e^2l."""

    def exact(beta, log_scale):
        squared = mp.sqrt(beta**2 / 4 + mp.exp(4 * log_scale)) + abs(beta) / 2
        return mp.sqrt(squared) if sign * beta >= 0 else mp.exp(2 * log_scale) / mp.sqrt(squared)

    def call(beta, log_scale):
        return weights_of(np.array([beta]), np.array([log_scale]))[0 if sign > 0 else 1, 0]

    return exact, call


def growth(rise, b):
    return root(lambda x: x + b * mp.expm1(x) - rise, 0, min(rise, mp.log1p(rise / b))) if rise else mpf(0)


def flowed(margin, active, time):
    return margin + growth(active * time, mp.exp(margin))


def spiked(notion):
    """Return lambda_max of E J², or of the d² numbers of Sigma → E J Sigma J, the 2m + 1 Hessians written out."""

    def exact(centre, leaf, spike, share, weight, eta, rho, m):
        d, family = m + 1, [(1 - weight, mp.diag([centre] + [leaf] * m))]
        for k in range(m):
            for sign in (1, -1):
                g = mp.matrix([mp.sqrt(share)] + [sign * mp.sqrt(1 - share) if j == k else 0 for j in range(m)])
                family.append((weight / (2 * m), spike * g * g.T))
        total = mp.zeros(d if notion == "one_step" else d * d)
        for p, H in family:
            J = mp.eye(d) - eta * H - eta * rho * H * H
            total += p * (J * J if notion == "one_step" else kronecker(J))
        return max(mp.eigsy(total, eigvals_only=True))

    def call(centre, leaf, spike, share, weight, eta, rho, m):
        return getattr(SpikedFamily(centre, leaf, spike, share, weight, m), f"{notion}_growth")(eta, rho)

    return exact, call


def kronecker(J):
    d = J.rows
    return mp.matrix(d * d, d * d) + mp.matrix(
        [[J[a, c] * J[b, e] for c in range(d) for e in range(d)] for a in range(d) for b in range(d)]
    )


def schedule(part, **given):
    """Call the step size (part 0) or the radius (1) of a `Schedule` at a step."""
    return lambda gamma, rho, decay, t: Schedule(gamma, rho, decay=decay, **given).at(int(t), int(t) + 1)[part][0]


STEPS = [(gamma, rho, decay, float(int(t))) for gamma, rho, decay, t in
         spread(64, gamma=(1e-6, 10.0), rho=(1e-6, 10.0), decay=(1e-3, 1e3), t=(0.0, 1e9))]  # fmt: skip
ROWS = [(float(seed), condition) for seed in range(4) for condition in (2.0, 1e3, 1e6, 1e9, 1e12, 1e14)]
SPIKES = [(*numbers, 2) for numbers in spread(
    32, centre=(0.0, 2.0), leaf=(0.0, 2.0), spike=(0.1, 50.0), share=(0.01, 0.99), weight=(1e-6, 0.9), eta=(0.1, 1.2),
    rho=(0.0, 0.4),
)]  # fmt: skip
FORMS = [
    Form(sigmoid, lambda z: 1 / (1 + mp.exp(-z)), EVERYWHERE),
    Form(softplus, lambda z: mp.log1p(mp.exp(z)), EVERYWHERE),
    Form(mean_loss, lambda z: mp.log1p(mp.exp(-z)), EVERYWHERE,
         call=lambda z: mean_loss(np.array([z]))),
    Form(slopes, lambda z: 1 / (1 + mp.exp(z)), NORMAL + [(-x,) for x in FAR], call=slope_of_logit),
    Form(batch_slopes, lambda z: 1 / (1 + mp.exp(z)), EVERYWHERE, call=slope_of_plain_logit),
    Form(exponential, mp.exp, [(-abs(z),) for (z,) in NORMAL] + [(-x,) for x in np.linspace(707.0, 708.7, 99).tolist()],
         call=lambda x: getattr(exponential, "py_func", exponential)(np.full((1, LANES), x))[0, 0]),
    *(Form(slope, derivative, of_loss(loss, RESIDUALS + HUGE * (loss == ROBUST)), name=f"slope of {LOSSES[loss]}",
           digits=700) for loss in (SQUARE, LOGISTIC, SINE, ROBUST)),
    Form(slope, derivative, of_loss(WAVE, RESIDUALS), name="slope of wave", digits=700,
         size=lambda _, u, b: abs(u) + abs(b) * min(1, 10 * abs(u))),
    *(Form(value, phi, of_loss(loss, RESIDUALS + HUGE * (loss == ROBUST)), name=f"value of {LOSSES[loss]}", digits=700)
      for loss in (SQUARE, LOGISTIC, SINE, ROBUST)),
    Form(value, phi, of_loss(WAVE, RESIDUALS), name="value of wave", size=lambda _, u, b: u**2 / 2 + abs(b) / 10),
    Form(excess, excess_of_logistic, [
        (s * e, r * t) for e in (0.0, 1e-3, 0.7, 5.0, 50.0, 700.0) for s in (1.0, -1.0) for r in (1.0, -1.0)
        for t in (1e-30, 1e-9, 1e-3, 0.3, np.nextafter(1.0, 0.0), 1.0, np.nextafter(1.0, 2.0), 1.5, 7.0, 40.0, 900.0)
    ] + spread(e=(-40.0, 40.0), t=(-10.0, 10.0)), call=lambda e, t: excess(LOGISTIC, e, 1.0, t), digits=800),
    Form(_logistic_infimum, infimum_of_logistic, spread(norm=(1e-6, 1e6), reg=(1e-8, 1e3))),
    Form(ratio_of_sine, lambda r: ratio_of_sine(mp.findroot(lambda r: mp.diff(ratio_of_sine, r), r)), [(2.16469,)],
         call=lambda r: SINE_PL, name="SINE_PL"),
    Form(perturbation_scale, lambda radius, lam, norm: radius * (1 - lam + lam / norm),
         spread(radius=(1e-8, 1e3), lam=(0.0, 1.0), norm=(1e-150, 1e100))),
    Form(error_of_flipped, lambda e, p: p + (1 - 2 * p) * e, spread(e=(1e-12, 0.5), p=(1e-9, 0.5))),
    *(Form(weights_of, exact, [
        (beta, log) for beta in (0.0, 1e-300, 1e-160, 1e-20, 1.0, 1e10, 1e200, -1.0, -1e-5)
        for log in (-740.0, -400.0, -372.0, -186.0, -70.0, -5.0, 0.0, 3.0)
    ] + spread(beta=(-3.0, 3.0), log=(-80.0, 1.0)), call=call, digits=700) for exact, call in map(weight, (1, -1))),
    Form(gained, growth, [
        (rise, b) for b in (1e-300, 1e-20, 1e-3, 0.5, 1.0, 2.0, 50.0, 1e5, 1e100, 1e290)
        for rise in (0.0, 1e-300, 1e-18, 1e-9, 1e-6, 1e-5, 1e-3, 0.1, 1.0, 5.0, 100.0, 1e5, 1e20, 1e100, 1e300)
    ] + spread(rise=(1e-8, 1e8), b=(1e-8, 1e8))),
    Form(flow, flowed, [
        (margin, active, time) for margin in (-700.0, -40.0, -3.0, -1e-9, 0.0, 1e-9, 0.3, 5.0, 40.0, 690.0)
        for active in (0.0, 1e-3, 1.0) for time in (0.0, 1e-12, 1e-3, 1.0, 1e3, 1e9)
    ], size=lambda *point: max(abs(point[0]), abs(flowed(*point)))),
    Form(FiniteSum.lipschitz.func, constant("lipschitz")[0], ROWS, call=constant("lipschitz")[1]),
    Form(FiniteSum.pl_constant.func, constant("pl_constant")[0], ROWS, call=constant("pl_constant")[1],
         size=lambda seed, condition: constant("pl_constant")[0](seed, condition) * condition),
    *(Form(getattr(SpikedFamily, f"{notion}_growth"), exact, SPIKES, call=call,
           size=lambda *point, exact=exact: max(1, exact(*point)))
      for notion in ("one_step", "mean_square") for exact, call in [spiked(notion)]),
    Form(Schedule.at, lambda gamma, rho, decay, t: min(gamma, decay * (2 * t + 1) / (t + 1) ** 2), STEPS,
         call=schedule(0, steps="decreasing"), name="decreasing steps"),
    Form(Schedule.at, lambda gamma, rho, decay, t: min(rho, 1 / (2 * t + 1)), STEPS,
         call=schedule(1, radii="decreasing"), name="decreasing radii"),
    Form(Schedule.at, lambda gamma, rho, decay, t: rho / mp.root(1000, 4), STEPS,
         call=schedule(1, steps="horizon", horizon=1000), name="radius of a horizon"),
    Form(Schedule.at, lambda gamma, rho, decay, t: rho * mp.sqrt(gamma), STEPS,
         call=schedule(1, radii="root"), name="radius of a root"),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_within_what_its_docstring_promises(form):
    worst, point = form.worst
    assert worst <= form.bound, point


def test_promises_are_kept_and_no_larger_than_need_be():
    assert_promises(FORMS, simulate)


def test_a_form_that_loses_digits_is_seen():
    """The control: 1 − 1/(1 + e^−z) for the sigmoid at −z."""
    lossy = Form(lambda z: 1.0 - sigmoid(z), lambda z: 1 / (1 + mp.exp(z)), [(x,) for x in (1.0, 5.0, 20.0)])
    assert lossy.worst[0] > 1e6 > lossy.bound

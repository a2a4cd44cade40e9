"""Finite sums: gradients and gaps against the plain twins, long decimals, and every constant against a search."""

import math
from decimal import Decimal, localcontext

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from simulate.objective import (
    CURVATURE,
    LOGISTIC,
    LOSSES,
    ROBUST,
    SINE,
    SINE_PL,
    SQUARE,
    WAVE,
    excess,
    finite_sum,
    sigmoid,
    slope,
    softplus,
    value,
)
from simulate.parameters import ParameterError


def problem(loss, n=8, d=5, k=1, reg=0.0, seed=0, **known):
    """Return a problem with rows of several sizes that the loss allows: sine's are independent, logistic's many."""
    rng = np.random.default_rng(seed)
    d = n * k + 2 if loss == "sine" else d
    if loss == "logistic":
        n, d = max(n, 12), 2
    A = rng.standard_normal((n * k, d)) * rng.uniform(0.5, 2.0, (n * k, 1))
    signs = np.where(rng.random(n * k) < 0.5, -1.0, 1.0)
    return finite_sum(loss, A, signs if loss in ("logistic", "wave") else rng.standard_normal(n * k), reg, n, **known)


CASES = [(loss, k, reg) for loss in LOSSES for k in (1, 3) for reg in (0.0, 0.3)
         if (k == 1 or loss != "logistic") and (reg == 0.0 or loss in ("square", "logistic"))]  # fmt: skip


def points(p, count, size=1.0, seed=1):
    """Return displacements y (count, d) from x*, of all sizes up to a few `size`."""
    rng = np.random.default_rng(seed)
    return size * rng.standard_normal((count, len(p.anchor))) * rng.random((count, 1))


def f(p, x):
    """Return f(x) by the plain twin."""
    return naive.sum_value(p.loss, p.A, p.targets, p.reg, np.full(p.samples, 1.0 / p.samples), x)


# values and gradients


@pytest.mark.parametrize(("loss", "k", "reg"), CASES)
def test_gradient_of_the_twin_is_the_slope_of_its_value(loss, k, reg):
    """By central differences, for unequal weights; and the control, with one weight wrong."""
    p, rng, h = problem(loss, k=k, reg=reg), np.random.default_rng(2), 1e-6
    v = rng.random(p.samples)
    for y in points(p, 3):
        x, e = p.anchor + y, rng.standard_normal(len(y))
        ends = [naive.sum_value(loss, p.A, p.targets, reg, v, x + s * h * e) for s in (1, -1)]
        g = naive.sum_gradient(loss, p.A, p.targets, reg, v, x)
        assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(e @ g, abs=1e-7)
        wrong = naive.sum_gradient(loss, p.A, p.targets, reg, v + 0.1 * (v == v.max()), x)
        assert np.abs(wrong - g).max() > 1e-4


@pytest.mark.parametrize(("loss", "k", "reg"), CASES)
def test_measure_is_the_twin_s_gap_and_gradient(loss, k, reg):
    p = problem(loss, k=k, reg=reg)
    Y = points(p, 6)
    gaps, gradients = p.measure(Y)
    for y, gap, gradient in zip(Y, gaps, gradients, strict=True):
        expected = naive.sum_gradient(loss, p.A, p.targets, reg, np.full(p.samples, 1.0 / p.samples), p.anchor + y)
        assert gap == pytest.approx(f(p, p.anchor + y) - p.infimum, rel=1e-12, abs=1e-14)
        assert np.abs(gradient - expected).max() <= 1e-13 * max(1.0, np.abs(expected).max())


def phi(loss, z, b):
    """Return phi in long decimals: square and robust by + × /, logistic by exp and ln."""
    if loss == LOGISTIC:
        return (1 + (-b * z).exp()).ln()
    r = (z - b) ** 2 / 2
    return r if loss == SQUARE else r / (1 + 2 * r)


OFFSETS = [0.0, 1e-3, 0.7, 5.0, 50.0, 700.0]
STEPS = [1e-30, 1e-9, 1e-3, 0.3, math.nextafter(1.0, 0.0), 1.0, math.nextafter(1.0, 2.0), 1.5, 7.0, 40.0, 900.0]


@pytest.mark.parametrize("offset", OFFSETS + [-e for e in OFFSETS[1:]])
@pytest.mark.parametrize("b", [-1.0, 1.0])
def test_excess_of_logistic_has_every_digit(offset, b):
    """Against long decimals, to 1e-13 of itself, near and far, on the right side of the boundary and deep in the wrong.

    Offsets of 50 are where 1 − p and the differences of softplus are lost.
    """
    for t in STEPS + [-t for t in STEPS]:
        with localcontext() as context:
            context.prec = int(60 + 0.44 * (abs(offset) + abs(t)) + 2 * max(0.0, -math.log10(abs(t))))
            e, move, label = Decimal(offset), Decimal(t), Decimal(b)
            slope_at_e = -label / (1 + (label * e).exp())
            expected = phi(LOGISTIC, e + move, label) - phi(LOGISTIC, e, label) - slope_at_e * move
            if expected > Decimal("1e-306"):
                error = abs(Decimal(excess(LOGISTIC, offset, b, t)) / expected - 1)
                assert error < Decimal("1e-13"), t


def test_excess_of_logistic_goes_on_through_the_change_of_method():
    for offset in OFFSETS:
        for side in (1.0, -1.0):
            low, high = (excess(LOGISTIC, offset, 1.0, side * math.nextafter(1.0, end)) for end in (0.0, 2.0))
            assert low == pytest.approx(high, rel=2e-15 * 30)


@given(st.floats(-800, 800), st.floats(-800, 800), st.sampled_from([-1.0, 1.0]))
def test_excess_of_logistic_is_never_negative(e, t, b):
    assert excess(LOGISTIC, e, b, t) >= 0.0
    assert excess(LOGISTIC, e, b, t) == excess(LOGISTIC, -e, b, -t) == excess(LOGISTIC, e, -b, t)


@pytest.mark.parametrize("t", [1e-150, 1e-30, 1e-8, 0.1, 2.0, 1e3, 1e100])
def test_excess_of_the_others(t):
    """Square and robust in decimals; sine in numpy's long double; each from an offset of 0 at any size."""
    for sign in (t, -t):
        with localcontext() as context:
            context.prec = 500
            for loss in (SQUARE, ROBUST):
                expected = phi(loss, Decimal(sign), Decimal(0))
                assert abs(Decimal(excess(loss, 0.0, 0.3, sign)) / expected - 1) < Decimal("1e-15")
        if t < 1e10:
            long = np.longdouble(sign)
            expected = long * long / 2 + np.sin(long) ** 2
            assert excess(SINE, 0.0, 0.3, sign) == pytest.approx(float(expected), rel=1e-15)
    assert excess(WAVE, 0.2, 1.0, 0.1) == value(WAVE, 0.2 + 0.1, 1.0)


def test_sigmoid_and_softplus_at_every_size():
    for z in (-700.0, -40.0, -1.0, 0.0, 1e-9, 1.0, 40.0, 700.0, 1e300, -1e300):
        with localcontext() as context:
            context.prec = 400
            if abs(z) < 1e3:
                power = (-Decimal(z)).exp()
                assert sigmoid(z) == pytest.approx(float(1 / (1 + power)), rel=1e-15)
                assert softplus(z) == pytest.approx(float((1 + 1 / power).ln()), rel=1e-15)
            else:
                assert (sigmoid(z), softplus(z)) == ((1.0, z) if z > 0.0 else (0.0, 0.0))


@pytest.mark.parametrize("loss", ["square", "sine", "robust"])
def test_gap_goes_on_to_1e_200_where_all_rows_are_fitted(loss):
    """f − f* of s y is s² times the quadratic of phi''(0): 1 for square and robust, 3 for sine."""
    rng = np.random.default_rng(0)
    A, x = rng.standard_normal((4, 6)), rng.standard_normal(6)
    p, y = finite_sum(loss, A, A @ x, minimiser=x), rng.standard_normal(6)
    curvature = 3.0 if loss == "sine" else 1.0
    for size in (1e-5, 1e-50, 1e-100, 1e-150):
        gap, gradient = (found[0] for found in p.measure(size * y[None]))
        assert gap == pytest.approx(curvature * np.sum((size * (A @ y)) ** 2) / 8, rel=1e-8)
        assert np.allclose(gradient, curvature * A.T @ (A @ (size * y)) / 4, rtol=1e-8, atol=1e-9 * size)
    assert (p.infimum, p.noise) == (0.0, 0.0)


def test_gap_is_never_negative():
    """Down to the anchor itself, also where rounding leaves residuals there."""
    for loss, k, reg in CASES:
        p = problem(loss, k=k, reg=reg)
        Y = np.concatenate([points(p, 20), points(p, 20, 1e-9), points(p, 5, 1e-17), 0.0 * points(p, 1)])
        assert p.measure(Y)[0].min() >= 0.0


# constants


def second_slope(loss, r, b=1.0, h=1e-5):
    """Return phi''(r) by central differences of phi'."""
    return (slope(LOSSES.index(loss), r + h, b) - slope(LOSSES.index(loss), r - h, b)) / (2 * h)


@pytest.mark.parametrize("loss", LOSSES)
def test_curvature_is_the_supremum(loss):
    """Never beaten on a fine grid, and attained there to 1e-3."""
    grid = np.linspace(-12.0, 12.0, 20_001)
    for b in (1.0, -1.0):
        found = max(abs(second_slope(loss, r, b)) for r in grid)
        assert 0.999 * CURVATURE[loss] < found < CURVATURE[loss] * (1.0 + 1e-6)


def test_constant_of_the_sine_by_search():
    """The least of phi'²/(2 phi) over a grid, refined; beyond |r| = 20 it is above (r − 1)²/(r² + 2) > 0.8."""

    def ratio(r):
        return slope(SINE, r, 0.0) ** 2 / (2.0 * value(SINE, r, 0.0))

    grid = np.linspace(1e-3, 20.0, 20_000)
    values = np.array([ratio(r) for r in grid])
    candidates = [grid[i] for i in range(1, len(grid) - 1) if values[i] <= min(values[i - 1], values[i + 1])]
    refined = [minimize_scalar(ratio, bounds=(r - 2e-3, r + 2e-3), options={"xatol": 1e-12}, method="bounded")
               for r in candidates]  # fmt: skip
    least = min(refined, key=lambda found: found.fun)
    assert least.fun == pytest.approx(SINE_PL, rel=1e-13)
    assert least.x == pytest.approx(2.16469, abs=1e-5)
    assert min(values) < 1.001 * SINE_PL


def hessian(p, v, x, h=1e-5):
    """Return the Hessian of Σ v_i f_i at x by central differences of the twin's gradient."""
    E = h * np.eye(len(x))
    g = [[naive.sum_gradient(p.loss, p.A, p.targets, p.reg, v, x + s * e) for e in E] for s in (1, -1)]
    return (np.array(g[0]) - np.array(g[1])) / (2 * h)


@pytest.mark.parametrize(("loss", "k", "reg"), CASES)
def test_lipschitz_constants(loss, k, reg):
    """No Hessian is beyond L, an L_i or Lip(Σ v_i ∇f_i); square attains them, and the others with one row a sample."""
    p, rng = problem(loss, n=3, d=3, k=k, reg=reg), np.random.default_rng(4)
    n = p.samples
    laws = [(np.full(n, 1.0 / n), p.lipschitz), *((np.eye(n)[i], p.sample_lipschitz[i]) for i in range(n))]
    laws += [(v, p.weighted_lipschitz(v)) for v in rng.random((2, n))]
    for v, bound in laws:
        norms = [np.abs(np.linalg.eigvalsh(hessian(p, v, p.anchor + y))).max() for y in points(p, 4, 3.0)]
        assert max(norms) <= bound * (1.0 + 1e-6)
        if loss == "square":
            assert max(norms) == pytest.approx(bound, rel=1e-7)
    assert p.lipschitz <= p.sample_lipschitz.mean() * (1.0 + 1e-14)
    if k == 1:
        assert p.sample_lipschitz == pytest.approx(CURVATURE[loss] * np.sum(p.A**2, axis=1) + reg, rel=1e-14)


def pl_ratios(p, Y):
    """Return ‖∇f‖²/(2 (f − f*)) at the points."""
    gaps, gradients = p.measure(Y)
    return np.sum(gradients**2, axis=1) / (2.0 * gaps)


@pytest.mark.parametrize("shape", [(8, 5), (4, 7), (5, 5)])
@pytest.mark.parametrize("reg", [0.0, 0.3])
def test_pl_constant_of_square_is_the_largest(shape, reg):
    """Never beaten at random points, attained along one eigenvector; rows that repeat do not make it 0."""
    n, d = shape
    for p in (problem("square", n, d, reg=reg), finite_sum("square", np.ones((n, d)), np.arange(n), reg)):
        mu = p.pl_constant
        assert mu > 0.0
        assert pl_ratios(p, points(p, 300)).min() >= mu * (1.0 - 1e-9)  # near the kernel both sides lose digits
        values, vectors = np.linalg.eigh(p.A.T @ p.A / n + reg * np.eye(d))
        kept = values > 1e-9
        assert pl_ratios(p, vectors.T[kept]).min() == pytest.approx(mu, rel=1e-9)


def test_pl_constant_sees_every_direction_that_is_fitted():
    p = finite_sum("square", np.diag([1.0, 1e-12]), np.ones(2))
    assert p.pl_constant == pytest.approx(0.5e-24, rel=1e-9)
    assert pl_ratios(p, np.array([[0.0, 1e3]])) == pytest.approx(p.pl_constant, rel=1e-9)


@pytest.mark.parametrize("k", [1, 3])
def test_pl_constant_of_sine_and_logistic(k):
    """Never beaten; sine's is attained to a tenth with one row, at r = 2.16469."""
    p = problem("sine", 3, k=k)
    assert pl_ratios(p, points(p, 400, 3.0)).min() >= p.pl_constant
    one = finite_sum("sine", [[2.0, 0.0]], [0.5])
    Y = np.stack([np.linspace(0.05, 5.0, 5000), np.zeros(5000)], axis=1)
    assert one.pl_constant * (1.0 - 1e-12) <= pl_ratios(one, Y).min() < one.pl_constant * 1.0001
    logistic = problem("logistic", reg=0.3)
    assert logistic.pl_constant == 0.3
    assert pl_ratios(logistic, points(logistic, 300, 5.0)).min() >= 0.3
    assert (problem("robust").pl_constant, problem("wave").pl_constant) == (0.0, 0.0)
    assert problem("logistic").pl_constant == 0.0


@pytest.mark.parametrize(("loss", "k", "reg"), [case for case in CASES if case[0] != "wave"])
def test_infima_and_noise_by_search(loss, k, reg):
    """f* and inf f_i by scipy from several starts: found where they are exact, never below."""
    p = problem(loss, n=4, d=3 if k == 1 else 2, k=k, reg=reg)

    def search(v):
        def objective(x):
            return naive.sum_value(loss, p.A, p.targets, reg, v, x)

        def gradient(x):
            return naive.sum_gradient(loss, p.A, p.targets, reg, v, x)

        starts = [p.anchor, *(p.anchor + points(p, 2, 0.5))]
        return min(minimize(objective, x, jac=gradient, tol=1e-12).fun for x in starts)

    found = search(np.full(p.samples, 1.0 / p.samples))
    assert found >= p.infimum - 1e-12
    if p.minimised:
        assert found == pytest.approx(p.infimum, abs=1e-9)
    samples = np.array([search(v) for v in np.eye(p.samples)[:4]])
    assert (samples >= p.sample_infima[:4] - 1e-12).all()
    if not (loss == "robust" and k > 1):
        assert samples == pytest.approx(p.sample_infima[:4], abs=1e-3 if loss == "logistic" and reg == 0.0 else 1e-9)
    assert p.noise == pytest.approx(max(0.0, p.infimum - p.sample_infima.mean()), abs=1e-15)


def test_wave_is_above_its_bound():
    p = problem("wave")
    assert not p.minimised
    assert p.infimum == pytest.approx(-0.1)
    assert p.measure(points(p, 200, 2.0))[0].min() > 0.0


def test_infimum_and_minimiser_of_the_caller_are_kept():
    """Samples rougher than their mean: two waves of opposite signs are a parabola with f* = 0 at 0."""
    p = finite_sum("wave", [[1.0], [1.0]], [1.0, -1.0], minimiser=[0.0], infimum=0.0)
    gaps, gradients = p.measure(np.array([[0.3], [1e-3], [0.0]]))
    assert gaps == pytest.approx([0.045, 0.5e-6, 0.0], abs=1e-16)
    assert gradients.ravel() == pytest.approx([0.3, 1e-3, 0.0], abs=1e-15)
    assert (p.infimum, p.minimised) == (0.0, True)
    moved = finite_sum("logistic", [[1.0], [1.0]], [1.0, -1.0], 0.1, minimiser=[0.0])
    assert moved.at_anchor() == pytest.approx(math.log(2.0), rel=1e-15)


# bad input

ROWS, TARGETS = np.eye(3, 4), np.array([1.0, -1.0, 1.0])
BAD = {
    "loss": ("loss", {"loss": "cubic"}),
    "a sample of part of a row": ("samples (n)", {"samples": 2}),
    "no sample": ("samples (n)", {"samples": 0}),
    "half a sample": ("samples (n)", {"samples": 1.5}),
    "reg with sine": ("reg", {"loss": "sine", "reg": 0.1}),
    "reg with robust": ("reg", {"loss": "robust", "reg": 0.1}),
    "reg with wave": ("reg", {"loss": "wave", "reg": 0.1}),
    "huge reg": ("reg", {"reg": 1e101}),
    "labels": ("b", {"loss": "logistic", "targets": TARGETS + 1.0, "reg": 1.0}),
    "samples of logistic": ("samples (n)", {"loss": "logistic", "samples": 1, "reg": 1.0}),
    "dependent rows": ("A", {"loss": "sine", "A": np.ones((3, 4))}),
    "more rows than columns": ("A", {"loss": "sine", "A": np.eye(3, 2)}),
    "huge rows": ("A", {"A": 1e101 * ROWS}),
    "rows that are not finite": ("A", {"A": np.nan * ROWS}),
    "huge targets": ("b", {"targets": 1e101 * TARGETS}),
    "large waves": ("b", {"loss": "wave", "targets": 1.1 * TARGETS}),
}


@pytest.mark.parametrize(("name", "changes"), BAD.values(), ids=BAD)
def test_bad_problem_is_named(name, changes):
    good = {"loss": "square", "A": ROWS, "targets": TARGETS, "reg": 0.0}
    finite_sum(**good)
    with pytest.raises(ParameterError, match="must be") as caught:
        finite_sum(**{**good, **changes})
    assert str(caught.value).startswith(f"{name} = ")

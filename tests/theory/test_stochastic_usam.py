"""Stochastic USAM under bounded variance: closed forms by hand, the variance and smoothness that they are used with."""

import numpy as np
import pytest

from simulate.finite_sum import Schedule
from simulate.runner import Runner
from theory.andriushchenko2022.stochastic_usam import (
    FAMILIES,
    bounded_losses,
    centred_quadratics,
    constant_schedule,
    falling_schedule,
    gap_bound,
    mean_gradient_bound,
    runs,
    waves,
)
from theory.oikonomou2025.expected_residual import weighted_gradients

SETTINGS = {"seed": 0, "seeds": 2}


def variance(problem, Y):
    """Return E‖∇f_i − ∇f‖² (states,), i uniform, at the points x* + Y."""
    each = np.array([weighted_gradients(problem, row, Y) for row in np.eye(problem.samples)])
    return ((each - each.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0)


# the bounds and their schedules


def test_bounds_by_hand():
    assert mean_gradient_bound(1.0, 0.5, 1.0, 1, 100) == pytest.approx(1.0)
    assert mean_gradient_bound(2.0, 3.0, 5.0, 4, 16) == pytest.approx((24.0 + 10.0) / 4.0)
    assert gap_bound(2.0, 0.5, 3.0, 5.0, 4, 10) == pytest.approx(1.44 + 22.0)
    assert gap_bound(1.0, 1.0, 0.0, 1.0, 1, 22) == pytest.approx(1.0)


def test_bounds_fall_as_they_should():
    for s2, order in ((0.0, -2.0), (1.0, -1.0)):
        a, b = (gap_bound(2.0, 0.5, 3.0, s2, 1, T) for T in (1e8, 1e9))
        assert np.log10(b / a) == pytest.approx(order, abs=1e-6)
    assert mean_gradient_bound(2.0, 3.0, 5.0, 4, 4e4) == 0.1 * mean_gradient_bound(2.0, 3.0, 5.0, 4, 4e2)


@pytest.mark.parametrize(("beta", "mu"), [(1.0, 1.0), (5.0, 0.2), (0.3, 0.01)])
def test_schedules_are_the_theorems(beta, mu):
    """As the engine takes its steps."""
    T, t = 400, np.arange(400.0)
    chosen = constant_schedule(T)(beta, mu)
    gamma, rho = Schedule(chosen["step_size"], chosen["radius"]).at(0, T)
    assert gamma == pytest.approx(np.full(T, 1.0 / (20.0 * beta)))
    assert rho == pytest.approx(np.full(T, 1.0 / (np.sqrt(20.0) * beta)))
    chosen = falling_schedule(beta, mu)
    gamma, rho = Schedule(*(chosen[name] for name in ("step_size", "radius", "schedule", "decay", "radii"))).at(0, T)
    assert gamma == pytest.approx(np.minimum((8.0 * t + 4.0) / (3.0 * mu * (t + 1.0) ** 2), 0.5 / beta))
    assert rho == pytest.approx(np.sqrt(gamma / beta))
    assert gamma[-1] < gamma[0] or mu == 0.01


# what the constants are


@pytest.mark.parametrize("seed", range(5))
def test_quadratics_of_one_hessian(seed):
    """The variance is s² at every point, and beta and mu are the extreme eigenvalues of every sample."""
    rng = np.random.default_rng(seed)
    problem, s2 = centred_quadratics(rng)
    d = len(problem.anchor)
    assert variance(problem, 10.0 * rng.standard_normal((20, d))) == pytest.approx(s2, rel=1e-10)
    H = problem.A[:d].T @ problem.A[:d] / d
    assert problem.rows == d
    assert problem.sample_lipschitz == pytest.approx(np.linalg.eigvalsh(H)[-1])
    assert problem.pl_constant == pytest.approx(np.linalg.eigvalsh(H)[0])
    assert problem.measure(np.zeros((1, d)))[1] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_variance_of_bounded_losses(seed):
    """Never above s², whose share max phi'² is reached at r² = 1/3."""
    rng = np.random.default_rng(seed)
    problem, s2 = bounded_losses(rng)
    Y = rng.standard_normal((2000, len(problem.anchor))) * np.exp(rng.uniform(-3.0, 3.0, (2000, 1)))
    assert 0.0 < variance(problem, Y).max() <= s2
    r = np.linspace(0.0, 5.0, 200_001)
    slopes = r / (1.0 + r**2) ** 2
    assert slopes.max() ** 2 == pytest.approx(27.0 / 256.0, rel=1e-8)
    assert r[slopes.argmax()] ** 2 == pytest.approx(1.0 / 3.0, abs=1e-4)
    assert s2 == pytest.approx((problem.A**2).sum(axis=1).mean() * slopes.max() ** 2, rel=1e-8)


def test_waves_are_rougher_than_their_mean():
    problem, s2 = waves(np.random.default_rng(0))
    x = np.linspace(-3.0, 3.0, 2001)[:, None]
    gaps, gradients = problem.measure(x)
    assert gaps == pytest.approx(0.5 * x[:, 0] ** 2)
    assert gradients == pytest.approx(x)
    found = variance(problem, x)
    assert found == pytest.approx(np.sin(10.0 * x[:, 0]) ** 2, abs=1e-14)
    assert s2 == 1.0 >= found.max() > 0.999
    assert problem.sample_lipschitz.tolist() == [11.0, 11.0]


@pytest.mark.parametrize("family", FAMILIES)
def test_runs_are_the_theorems(family):
    problem, s2, b, beta, gap, specs = runs(SETTINGS, family, 3, constant_schedule(50), tuple(range(50)), 50)
    assert beta == problem.sample_lipschitz.max()
    assert b in (1, 2)
    assert [spec.seed for spec in specs] == [0, 1]
    for result in Runner().run(specs):
        known = gap if family != "wave" else gap + 0.1  # a specification knows −0.1, a lower bound, alone
        assert result.history["gap"][0] == pytest.approx(known, rel=1e-9)
        assert len(result.history["gap"]) == 51
    assert {(spec.normalisation, spec.sampling, spec.batch_size) for spec in specs} == {(0.0, "replacement", b)}
    assert s2 > 0.0
    if family == "wave":
        assert (gap, b, specs[0].data.x0) == (0.5, 1, (1.0,))


# the negative control under bounded variance


def wave_ratio(T, seeds=64):
    """Return the mean over seeds of (1/T) Σ x_t², ∇f = x, over the bound with beta = 1, step by step."""
    rng = np.random.default_rng(T)
    gamma, rho, x, total = 1.0 / np.sqrt(T), T**-0.25, np.ones(seeds), 0.0
    for _ in range(T):
        sign = rng.choice((-1.0, 1.0), seeds)
        total += np.mean(x**2)
        moved = x + rho * (x - sign * np.sin(10.0 * x))
        x = x - gamma * (moved - sign * np.sin(10.0 * moved))
    return total / T / mean_gradient_bound(1.0, 0.5, 1.0, 1, T)


@pytest.mark.parametrize(("T", "times"), [(1000, 2.0), (10_000, 2.9), (40_000, 1.5)])
def test_waves_violate_the_bound_of_their_mean(T, times):
    assert wave_ratio(T) == pytest.approx(times, rel=0.1)


def test_waves_keep_the_bound_early_on():
    assert wave_ratio(100) < 1.0


def test_waves_by_the_engine():
    T = 1000
    *_, specs = runs({"seed": 0, "seeds": 64}, "wave", 0, constant_schedule(T), tuple(range(T)), T, beta=1.0)
    found = [np.mean(result.history["gradient_norm"][:-1] ** 2) for result in Runner().run(specs)]
    error = np.std(found, ddof=1) / 8.0 / mean_gradient_bound(1.0, 0.5, 1.0, 1, T)
    mean = np.mean(found) / mean_gradient_bound(1.0, 0.5, 1.0, 1, T)
    assert abs(mean - wave_ratio(T)) < 5.0 * np.sqrt(2.0) * error  # 5 standard errors of a difference
    assert mean - 5.0 * error > 1.0

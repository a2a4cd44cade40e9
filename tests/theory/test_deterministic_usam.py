"""Deterministic USAM: its forms by hand, its paths against plain loops, the claims, and worst cases beside bounds."""

import importlib.util

import numpy as np
import pytest

from simulate.finite_sum_data import DrawnSum, load_sum
from simulate.sampling import sampling
from theory.andriushchenko2022.deterministic_usam import contraction, gain, stretch
from theory.check import check
from theory.claim import Outcome
from theory.finite_sums import enumerate_instances
from theory.oikonomou2025.worst_case import largest_step
from theory.performance_estimation import worst_case
from theory.registry import claims

NAMES = ("rate", "rate-sharper", "stationary-points", "standing-still", "stationary-points-convex")
WORST = [name for name, claim in claims().items() if claim.extra]
pep = pytest.mark.skipif(importlib.util.find_spec("PEPit") is None, reason="needs the extra pep")


@pytest.mark.compiled
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_claims_come_out_as_expected(name, seed):
    record = check(claims()[f"andriushchenko2022/usam-{name}"], "quick", seed)
    assert record.passed, record.verdict
    assert record.verdict.outcome is Outcome.HOLDS
    if name == "rate":
        assert record.verdict.points >= 10_000
        assert abs(record.verdict.value) < 1e-12  # attained


# the forms


def test_contraction_by_hand():
    """As it is written, with u = gamma beta, q = rho beta and kappa = mu/beta, and where that would cancel."""
    u, q, kappa = np.random.default_rng(0).uniform(0.0, 1.0, (3, 200))
    assert contraction(u, q, kappa) == pytest.approx(1.0 - u * kappa * (2.0 - u - q**2))
    assert gain(u, q, kappa) == pytest.approx(u * kappa * (1.0 - u) * (2.0 - q) * q * kappa)
    assert (gain(u, q, kappa) >= 0.0).all()
    assert contraction(1.0, 1e-9, 1.0) == pytest.approx(1e-18, rel=1e-12)
    assert contraction(0.5, 0.0, 0.1) == pytest.approx(1.0 - 0.5 * 0.1 * 1.5)  # GD
    assert contraction(u, 0.0, 1.0) == pytest.approx((1.0 - u) ** 2)  # what GD does to beta ‖x‖²/2


def test_forms_bound_every_eigenvalue():
    """delta's factor on an eigenvector, (1 − u s (1 + q s))², s = lam/beta ≥ kappa; equal at u = s = kappa = 1."""
    u, q, kappa, share = np.random.default_rng(1).uniform(0.0, 1.0, (4, 100_000))
    s = kappa + (1.0 - kappa) * share
    factor = (1.0 - u * s * (1.0 + q * s)) ** 2
    sharper = contraction(u, q, kappa) - gain(u, q, kappa)
    assert (factor <= sharper + 1e-15).all()
    assert contraction(1.0, 0.3, 1.0) == pytest.approx((1.0 - 1.3) ** 2)
    twice = contraction(u, q, kappa) - 2.0 * gain(u, q, kappa)
    assert (factor > twice).any()  # the control


@pytest.mark.parametrize("objective", ["least-squares", "pl", "logistic"])
def test_gaps_are_those_of_a_plain_loop(objective):
    reg = 0.1 if objective == "logistic" else 0.0
    problem, _ = load_sum(DrawnSum(3 if objective == "pl" else 9, 4, 2.0, 0.5 if reg else 0.0), objective, reg, 1)
    Y = start = np.random.default_rng(0).standard_normal((5, 4))
    gammas, radii = np.linspace(0.1, 0.3, 5), np.linspace(0.1, 0.4, 5)
    plain = np.empty((5, 4))
    for t in range(4):
        plain[:, t], g = problem.measure(Y)
        Y = Y - gammas[:, None] * problem.measure(Y + radii[:, None] * g)[1]
    full, lam = sampling("full", problem), np.zeros(5)
    assert enumerate_instances(problem, full, start, gammas, radii, lam, 3)[0] == pytest.approx(plain, rel=1e-10)
    other = enumerate_instances(problem, full, start, gammas, 0.9 * radii, lam, 3)[0]  # the control
    assert np.abs(other[:, 1:] / plain[:, 1:] - 1.0).min() > 1e-6


def test_stretch_by_hand():
    X, radii = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([0.25, 0.5])
    assert stretch(lambda X: -2.0 * X, X, radii) == pytest.approx([0.5, 0.0])
    assert stretch(lambda X: 2.0 * X, X, radii) == pytest.approx([1.5, 2.0])


# worst cases


@pytest.fixture
def without_extras(monkeypatch):
    monkeypatch.setattr("theory.claim.find_spec", lambda name: None)


def test_largest_steps_of_the_bound():
    """gamma* = (1 − 3 rho)/(2 (1 + 2 rho²)) whatever mu, at beta = 1."""
    assert largest_step(0.1, 0.0) == pytest.approx(0.5)
    assert largest_step(0.3, 1.0 / 3.0) == pytest.approx(0.0, abs=1e-15)
    assert largest_step(0.3, 0.1) == pytest.approx(0.7 / 2.04)
    assert (1.0 - largest_step(0.1, 0.0) * 0.1) ** 10 == pytest.approx(0.5987, abs=5e-5)


@pep
def test_worst_case_of_gradient_descent():
    """0.95²⁰, the slowest quadratic's, against the bound 0.95¹⁰; and beta ‖x‖²/2 where the step is too long."""
    assert worst_case("strongly convex", [0.5] * 10, [0.0] * 10, 0.1) == pytest.approx(0.3585, abs=5e-5)
    assert worst_case("strongly convex", [1.9], [0.0], 0.1) == pytest.approx(0.81, rel=1e-4)


@pep
@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_worst_case_is_no_less_than_quadratics(rho):
    mu, gammas = 0.2, [0.6, 0.9]
    lam = np.linspace(mu, 1.0, 200)
    factor = np.prod([(1.0 - gamma * lam * (1.0 + rho * lam)) ** 2 for gamma in gammas], axis=0)
    convex = worst_case("strongly convex", gammas, [rho] * 2, mu)
    assert factor.max() - 1e-4 <= convex <= worst_case("pl", gammas, [rho] * 2, mu) + 1e-4


@pep
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", WORST)
def test_worst_cases_come_out_as_expected(name):
    record = check(claims()[name])
    assert record.passed
    assert record.verdict.outcome is Outcome.HOLDS
    assert record.missing is None


@pytest.mark.parametrize("name", WORST)
def test_without_the_extra_nothing_is_checked(name, without_extras):
    record = check(claims()[name])
    assert record.passed
    assert not record.rejected
    assert record.missing == "pep"
    assert record.verdict.outcome is Outcome.OUT_OF_SCOPE
    assert record.verdict.points == 0
    assert "pep is not installed" in record.verdict.measure

"""Saddles that attract USAM: closed forms against the spectrum of the linear step, the claims themselves."""

import numpy as np
import pytest

from theory.check import check
from theory.claim import Outcome
from theory.kim2023.saddles import critical_radius, critical_step, leaves, problems, saddle
from theory.quadratics.setting import basis
from theory.registry import claims

NAMES = [name for name in claims() if name.startswith("kim2023/")]
EIGENVALUES = np.array([-1.0, -0.4, 0.9])
Q = basis(np.random.default_rng(0), 3)
H = Q @ np.diag(EIGENVALUES) @ Q.T


def growth(eta, rho):
    """Spectral radius of a step of USAM at the saddle, from the matrix."""
    return np.abs(np.linalg.eigvalsh(np.eye(3) - eta * H @ (np.eye(3) + rho * H))).max()


@pytest.mark.compiled
@pytest.mark.parametrize("name", NAMES)
def test_claims_come_out_as_expected(name):
    record = check(claims()[name], "quick", 1)
    assert record.passed, record.verdict
    assert (record.verdict.outcome is Outcome.VIOLATED) == (name == "kim2023/saddle-attracts-least")


def test_radius_of_the_matrix():
    """It contracts from −1/lam of the negative eigenvalue nearest to 0 on, not from that of the least."""
    radius = critical_radius(-0.4)
    assert radius == 2.5
    assert growth(1e-3, 0.999 * radius) > 1.0 > growth(1e-3, 1.001 * radius)
    assert critical_radius(EIGENVALUES[0]) == 1.0
    assert growth(1e-3, 1.001) > 1.0


@pytest.mark.parametrize("rho", [2.6, 4.0, 30.0])
def test_step_of_the_matrix(rho):
    eta = critical_step(EIGENVALUES, np.array(rho))
    assert growth(0.999 * eta, rho) < 1.0 < growth(1.001 * eta, rho)
    assert growth(eta, rho) == pytest.approx(1.0, rel=1e-12)
    padded = np.append(EIGENVALUES, 0.0)
    assert critical_step(np.stack([padded, padded]), np.array([rho, rho])) == pytest.approx([eta, eta])


def test_negative_eigenvalue_can_decide_the_step():
    assert critical_step(EIGENVALUES, np.array(30.0)) == pytest.approx(2.0 / (30.0 - 1.0))
    assert critical_step(EIGENVALUES, np.array(2.6)) == pytest.approx(2.0 / (0.9 * (1.0 + 2.6 * 0.9)))


def test_saddle_has_its_hessian():
    problem = saddle(EIGENVALUES, Q)
    assert (problem.anchor == 0.0).all()
    h = 1e-7
    gradients = problem.measure(h * np.vstack([np.eye(3), -np.eye(3), np.zeros((1, 3))]))[1]
    assert (gradients[6] == 0.0).all()
    assert (gradients[:3] - gradients[3:6]) / (2.0 * h) == pytest.approx(H, rel=1e-9, abs=1e-9)


def test_drawn_saddles():
    for negative in (1, 2):
        for values, *_ in problems({"seed": 0, "seeds": 50, "negative": negative}):
            assert (values[:negative] < 0.0).all()
            assert (values[negative:] >= 0.2).all()
            assert (np.diff(values[:negative]) > 0.0).all()
            assert 2 <= len(values) <= 6


def test_paths_on_either_side():
    """A hundredth beyond either boundary a path leaves; it is told even where it is no longer small."""
    problem, start = saddle(EIGENVALUES, Q), np.array([0.3, -0.2, 0.5])
    assert leaves(problem, Q, start, 0.1, 0.99 * critical_radius(-0.4), 1000)
    assert not leaves(problem, Q, start, 0.1, 1.01 * critical_radius(-0.4), 1000)
    assert leaves(problem, Q, start, 0.1, 0.5, 1000)
    eta = critical_step(EIGENVALUES, np.array(3.0))
    assert leaves(problem, Q, start, 1.01 * eta, 3.0, 1000)
    assert not leaves(problem, Q, start, 0.99 * eta, 3.0, 1000)

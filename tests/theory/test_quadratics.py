"""SAM on quadratics: closed forms by hand and at their limits, paths against plain loops, the claims themselves."""

import numpy as np
import pytest
from click.testing import CliRunner

from sharpbounds import main
from theory.check import check
from theory.claim import Outcome
from theory.quadratics import vanishing_steps
from theory.quadratics.edge_of_stability import edge
from theory.quadratics.setting import basis, critical_value, path, quadratic, spectrum
from theory.quadratics.two_cycle import amplitude
from theory.quadratics.usam_threshold import critical_step
from theory.quadratics.vanishing_steps import gap_at_minimiser, gap_between
from theory.registry import claims

NAMES = [name for name in claims() if name.startswith("quadratics/")]
EIGENVALUES = np.array([4.0, 2.5, 0.7])
Q = basis(np.random.default_rng(0), 3)
H = Q @ np.diag(EIGENVALUES) @ Q.T
START = np.array([0.3, -0.2, 0.5])


@pytest.mark.compiled
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_claims_come_out_as_expected(name, seed):
    record = check(claims()[name], "quick", seed)
    assert record.passed, record.verdict
    violated = name == "quadratics/sam-misses-optimum-beyond"
    assert record.verdict.outcome is (Outcome.VIOLATED if violated else Outcome.HOLDS)


# the problems


def test_quadratic_has_its_hessian():
    problem = quadratic(EIGENVALUES, Q)
    gaps, gradients = problem.measure(START[None])
    assert gaps[0] == pytest.approx(0.5 * START @ H @ START, rel=1e-14)
    assert gradients[0] == pytest.approx(H @ START, rel=1e-13)
    assert problem.lipschitz == pytest.approx(4.0)
    assert problem.pl_constant == pytest.approx(0.7)


def test_spectra_keep_the_top_apart():
    for seed in range(50):
        values = spectrum(np.random.default_rng(seed))
        assert 2 <= len(values) <= 8
        assert (np.diff(values) < 0.0).all()
        assert 0.04 * values[0] < values[-1] <= values[1] <= 0.9 * values[0]


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_path_is_the_plain_loop(lam):
    """Unified SAM in three lines."""
    w, eta, rho = START.copy(), 0.2, 0.3
    for _ in range(20):
        g = H @ w
        w = w - eta * H @ (w + rho * (1.0 - lam + lam / np.linalg.norm(g)) * g)
    _, history = path(quadratic(EIGENVALUES, Q), START, eta, rho, lam, 20)
    assert history["x"][-1] == pytest.approx(w, rel=1e-11)
    assert np.abs(path(quadratic(EIGENVALUES, Q), START, eta, 0.2, lam, 20)[1]["x"][-1] - w).max() > 1e-3


def test_critical_values():
    assert critical_value(lambda x: x > 3.0, 1e-3, 1e3, 50) == pytest.approx(3.0, rel=1e-13)
    assert np.isnan(critical_value(lambda x: x > 3.0, 4.0, 8.0, 5))
    assert np.isnan(critical_value(lambda x: x > 3.0, 1.0, 2.0, 5))


# the two-cycle


def test_amplitude_by_hand():
    assert amplitude(0.5, 1.0, 0.1) == pytest.approx(0.05 / 1.5)
    assert amplitude(1e-9, 2.0, 3.0) == pytest.approx(3e-9)  # eta lam rho/2 for small steps
    assert amplitude(1.0 - 1e-9, 2.0, 1.0) == pytest.approx(1e9, rel=1e-6)  # no bound at eta lam = 2
    c = amplitude(0.3, 4.0, 0.7)
    assert c - 0.3 * 4.0 * (c + 0.7) == pytest.approx(-c)  # one step reverses it


@pytest.mark.parametrize("eta", [0.05, 0.25, 0.45])
def test_plain_loop_ends_in_the_cycle(eta):
    w, rho = START.copy(), 0.3
    for _ in range(2000):
        g = H @ w
        before, w = w, w - eta * H @ (w + rho * g / np.linalg.norm(g))
    c = amplitude(eta, 4.0, rho)
    assert w == pytest.approx(-before, rel=1e-12)
    assert np.abs(w) == pytest.approx(c * np.abs(Q[:, 0]), rel=1e-12)
    assert 0.5 * w @ H @ w == pytest.approx(0.5 * 4.0 * c**2, rel=1e-12)
    assert np.linalg.norm(w) != pytest.approx(amplitude(eta, 2.5, rho), rel=0.1)  # the control: another eigenvector's


def test_other_cycles_are_left():
    """The second eigenvector's cycle, disturbed by a billionth, ends in the first's."""
    eta, rho = 0.3, 0.1
    start = amplitude(eta, 2.5, rho) * (Q[:, 1] + 1e-9 * Q[:, 0])
    problem = quadratic(EIGENVALUES, Q)
    distance = path(problem, start, eta, rho, 1.0, 500, (5,))[1]["distance"]
    assert distance[0] == pytest.approx(amplitude(eta, 2.5, rho), rel=1e-6)
    assert distance[-1] == pytest.approx(amplitude(eta, 4.0, rho), rel=1e-12)


# the edge


def test_edge_by_hand_and_at_its_limits():
    """It solves eta rho lam² + eta ‖g‖ lam = 2‖g‖, is 2/eta for SGD and far away, and √(2‖g‖/(eta rho)) near."""
    eta, rho, g = np.random.default_rng(1).uniform(0.1, 3.0, (3, 100))
    lam = edge(eta, rho, g)
    assert eta * rho * lam**2 + eta * g * lam == pytest.approx(2.0 * g)
    assert lam == pytest.approx(g / (2.0 * rho) * (np.sqrt(1.0 + 8.0 * rho / (eta * g)) - 1.0))
    assert (lam < 2.0 / eta).all()
    assert edge(0.5, 0.0, 1.0) == 4.0
    assert edge(0.5, 0.3, 1e20) == pytest.approx(4.0)
    assert edge(0.5, 0.3, 1e-20) == pytest.approx(np.sqrt(2e-20 / 0.15), rel=1e-6)
    assert edge(1.0, 1.0, 1.0) == 1.0


def test_two_cycle_is_at_the_edge():
    eta, rho, lam = 0.3, 0.7, 4.0
    assert edge(eta, rho, lam * amplitude(eta, lam, rho)) == pytest.approx(lam)


# USAM's threshold


def test_critical_step_by_hand():
    assert critical_step(4.0, 0.0) == 0.5
    assert critical_step(4.0, 0.25) == 0.25
    eta = critical_step(3.0, 0.7)
    assert eta * 3.0 * (1.0 + 0.7 * 3.0) == pytest.approx(2.0)


@pytest.mark.compiled
def test_runs_on_either_side_of_the_threshold():
    """One per cent below they vanish, one above they diverge; SAM, at the same step, ends in its two-cycle."""
    problem, rho = quadratic(EIGENVALUES, Q), 0.25
    critical = critical_step(4.0, rho)
    status, history = path(problem, START, 0.99 * critical, rho, 0.0, 20_000)
    assert status == "max-steps"
    assert history["distance"][-1] < 1e-100
    status, _ = path(problem, START, 1.01 * critical, rho, 0.0, 20_000)
    assert status == "diverged"
    _, history = path(problem, START, 1.01 * critical, rho, 1.0, 20_000)
    assert history["distance"][-1] == pytest.approx(amplitude(1.01 * critical, 4.0, rho), rel=1e-12)


def test_at_the_threshold_the_top_component_stays():
    _, history = path(quadratic(EIGENVALUES, Q), START, critical_step(4.0, 0.25), 0.25, 0.0, 401, (400,))
    assert history["x"][1] == pytest.approx(-history["x"][0], rel=1e-10)
    assert history["distance"][1] == pytest.approx(abs(Q[:, 0] @ START), rel=1e-10)


# the missed optimum


def test_gaps_by_hand():
    assert gap_between(5.0, 1.0, 0.2) == pytest.approx(2.667e-2, rel=2e-4)
    assert gap_at_minimiser(50.0, 1.0, 0.2) == pytest.approx(0.0196, rel=1e-3)
    assert gap_between(50.0, 1.0, 0.2) == pytest.approx(0.471, rel=1e-3)
    assert gap_at_minimiser(1.0, 50.0, 9.0) == gap_at_minimiser(50.0, 1.0, 0.2)
    rho = 6.0 / 4.0 - 1.0  # (1 + rho)(a − b) = a + b: the two meet
    assert gap_between(5.0, 1.0, rho) == pytest.approx(gap_at_minimiser(5.0, 1.0, rho))


@pytest.mark.parametrize(("a", "b", "rho", "limit"), [(5.0, 1.0, 0.2, 0.8), (1.0, 3.0, 0.5, -0.75)])
def test_mean_step_vanishes_at_the_limit(a, b, rho, limit):
    """In plain SAM steps of each sample; at the optimum, the control, it does not."""

    def mean_step(x):
        gradients = ((lambda z: a * (z - 1.0)), (lambda z: b * (z + 1.0)))
        return 0.5 * sum(g(x + rho * np.sign(g(x))) for g in gradients)

    optimum = (a - b) / (a + b)
    assert limit == pytest.approx((1.0 + rho) * optimum)
    assert mean_step(limit) == pytest.approx(0.0, abs=1e-12)
    assert abs(mean_step(optimum)) > 0.1
    assert gap_between(a, b, rho) == pytest.approx(0.25 * (a + b) * (limit - optimum) ** 2)


def test_scopes_of_the_two_forms():
    first, second = claims()["quadratics/sam-misses-optimum"], claims()["quadratics/sam-sticks"]
    for pairs, claim, other in ((vanishing_steps.PAIRS, first, second), (vanishing_steps.STUCK, second, first)):
        for a, b, rho in pairs.values():
            assert claim.in_scope(a=a, b=b, rho=rho)
            assert not other.in_scope(a=a, b=b, rho=rho)


def test_there_is_a_cycle_to_sit_at_the_edge_only_below_two():
    for name in ("two-cycle", "cycle-at-the-edge"):
        claim = claims()[f"quadratics/{name}"]
        assert claim.in_scope(eta=1.99)
        assert not claim.in_scope(eta=2.01)


def test_show_answers_for_ones_own_numbers():
    def shown(*words):
        return CliRunner().invoke(main, ["show", *words]).output

    assert "out of scope" not in shown("quadratics/two-cycle", "--eta", "3", "--lam", "0.5")
    assert "out of scope" in shown("quadratics/two-cycle", "--eta", "3", "--lam", "0.7")
    assert "out of scope" in shown("quadratics/sam-misses-optimum", "--a", "50", "--b", "1")
    assert "out of scope" not in shown("quadratics/sam-sticks", "--a", "0", "--b", "1")
    assert "NOT met" in shown("andriushchenko2022/usam-rate", "--gamma", "0.3", "--beta", "4")
    assert "NOT met" not in shown("andriushchenko2022/usam-rate", "--gamma", "0", "--rho", "0.25", "--beta", "4")
    assert "Out of scope" in shown("quadratics/sam-sticks", "--a", "0", "--b", "0")

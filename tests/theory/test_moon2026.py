"""Deep diagonal networks under SAM: closed forms against integrated equations and by hand, the claims themselves."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from theory.check import check
from theory.claim import Outcome
from theory.moon2026.minor_first import passing
from theory.moon2026.setting import draws
from theory.moon2026.winner import end, final, winner
from theory.registry import claims

NAMES = [name for name in claims() if name.startswith("moon2026/")]
MU, ALPHA, RHO = np.array([[1.0, 1.3, 0.7, 1.1]]), np.array([[0.9, 0.7, 0.45, 0.1]]), np.array([0.5])


@pytest.mark.parametrize("name", NAMES)
def test_claims_come_out_as_expected(name):
    record = check(claims()[name], "quick", 1)
    assert record.passed, record.verdict
    assert (record.verdict.outcome is Outcome.VIOLATED) == (name == "moon2026/below-radius-beside")


@pytest.mark.parametrize("depth", [3, 4, 5, 6])
def test_ends_of_the_integrated_flow(depth):
    """w_j' = mu_j (w_j − rho)^(L−1), held at 0, until just before the first diverges."""
    k = winner(depth, MU, ALPHA, RHO)[0].argmax()
    time = 1.0 / ((depth - 2) * MU[0, k] * (ALPHA[0, k] - RHO[0]) ** (depth - 2))
    expected = final(depth, MU, ALPHA, RHO)[0]
    assert expected[k] == np.inf
    for j in set(range(4)) - {k}:
        mu = MU[0, j]

        def reaches_zero(t, w):
            return w[0]

        reaches_zero.terminal = True
        path = solve_ivp(
            lambda t, w, mu=mu: mu * (w - RHO[0]) ** (depth - 1), (0.0, time), [ALPHA[0, j]], rtol=1e-11, atol=1e-13,
            method="DOP853", events=reaches_zero,
        )  # fmt: skip
        last = 0.0 if path.status == 1 else path.y[0, -1]
        assert expected[j] == pytest.approx(last, rel=1e-7, abs=1e-12)


def test_ends_by_hand():
    """L = 3, v = 0.4, 0.2: 1/v − 1/v_0 of the second is −(1.3/1)/0.4, and the third's and fourth's rise towards rho."""
    power = end(3, MU, ALPHA, RHO)[0]
    assert power == pytest.approx([0.0, 1.0 - 0.26 / 0.4, 1.0 + 0.035 / 0.4, 1.0 + 0.44 / 0.4], abs=1e-15)
    assert final(3, MU, ALPHA, RHO)[0, 3] == pytest.approx(0.5 - 0.4 / 2.1)
    even = end(4, MU, ALPHA, RHO)[0]  # the fourth would be below 0: it stops there
    assert even[3] == pytest.approx((0.4 / 0.5) ** 2)
    assert final(4, MU, ALPHA, RHO)[0, 3] == pytest.approx(0.0, abs=1e-15)


def test_winner_is_not_that_of_gradient_flow():
    mu, alpha = np.array([[1.0, 1.5]]), np.array([[1.0, 0.8]])
    assert winner(3, mu, alpha, np.array([0.0])).tolist() == [[0.0, 1.0]]
    assert winner(3, mu, alpha, np.array([0.5])).tolist() == [[1.0, 0.0]]
    edge = 0.4  # 1 · (1 − rho) = 1.5 (0.8 − rho)
    assert winner(3, mu, alpha, np.array([edge - 1e-9])).tolist() == [[0.0, 1.0]]
    assert winner(3, mu, alpha, np.array([edge + 1e-9])).tolist() == [[1.0, 0.0]]


def test_nobody_above_the_radius_nobody_wins():
    assert (end(3, MU, ALPHA / 2.0, RHO) == 1.0).all()


def test_lead_passes_where_the_rates_agree():
    rng = np.random.default_rng(0)
    minor, major, rho = rng.uniform(0.1, 1.0, 50), rng.uniform(1.1, 2.0, 50), rng.uniform(0.1, 3.0, 50)

    def lead(n):
        return minor * (1.0 - rho * minor / n) - major * (1.0 - rho * major / n)

    n = passing(rho, minor, major)
    assert lead(n) == pytest.approx(np.zeros(50), abs=1e-12)
    assert (lead(0.99 * n) > 0.0).all()
    assert (lead(1.01 * n) < 0.0).all()


def test_draws_are_above_and_below():
    settings = {"seed": 0, "problems": 30, "depths": (2, 3), "ratios": (0.1, 0.9)}
    for above in (False, True):
        for _, mu, alpha, rho in draws(settings | {"above": above}):
            over = alpha / rho[:, None]
            assert mu.shape == alpha.shape == (30, 4)
            assert (over[:, 1:] < 0.9).all()
            assert (over[:, 0] > 1.3).all() == above

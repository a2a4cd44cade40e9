"""The closed forms of Oikonomou & Loizou 2025: worked out by hand, at their limits, and computed otherwise."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate.finite_sum import Schedule, expected_path
from simulate.objective import finite_sum
from simulate.sampling import sampling
from theory.finite_sums import (
    given_spec,
)
from theory.oikonomou2025 import constant_steps, importance, nonconvex
from theory.oikonomou2025.constant_steps import RARE, linear_rate, rare_constants, rare_moments
from theory.oikonomou2025.decreasing_steps import decreasing_bound, first_decreasing
from theory.oikonomou2025.nonconvex import curvature_cost, gradient_bound, random_steps
from theory.oikonomou2025.setting import Constants, constants
from theory.registry import claims

UNIT = st.floats(0.0, 1.0)


@st.composite
def some_constants(draw):
    """Constants of any size with mu ≤ L and D ≥ mu, as every problem and sampling has them."""
    L = 10.0 ** draw(st.floats(-3.0, 3.0))
    mu = L * 10.0 ** draw(st.floats(-4.0, 0.0))
    B = draw(UNIT)
    return Constants(L, mu, max((1.0 - B) * mu, L * draw(UNIT)), B, draw(st.floats(0.0, 100.0)))


# the caps and floors


def published_step(c, gamma, rho, lam):
    """Return what one step leaves of ‖∇f‖², and adds, over gamma: L‖∇f‖‖e‖ ≤ L rho ‖∇f‖²/2 + L‖e‖²/(2 rho).

    ‖e‖² ≤ 2rho²((1−lam)²‖g‖² + lam²), ‖g(x+e)‖² ≤ 2‖g‖² + 2L²‖e‖², E‖g‖² ≤ (D/mu)‖∇f‖² + C.
    """
    moved = 2.0 * rho**2 * np.array([(1.0 - lam) ** 2, lam**2])  # ‖e‖² by ‖g‖² and 1
    noise = moved * c.L / (2.0 * rho) + 0.5 * c.L * gamma * (np.array([2.0, 0.0]) + 2.0 * c.L**2 * moved)
    return 1.0 - 0.5 * c.L * rho - noise[0] * c.D / c.mu, noise @ [c.C, 1.0]


def sharper_step(c, gamma, rho, lam):
    """Return the same where L‖∇f‖‖e‖ ≤ ½ L rho (1−lam)(‖∇f‖² + ‖g‖²) + ‖∇f‖²/8 + 2L²rho²lam²."""
    moved = 2.0 * rho**2 * np.array([(1.0 - lam) ** 2, lam**2])
    noise = np.array([0.5 * c.L * rho * (1.0 - lam), 2.0 * (c.L * rho * lam) ** 2])
    noise += 0.5 * c.L * gamma * (np.array([2.0, 0.0]) + 2.0 * c.L**2 * moved)
    return 0.875 - 0.5 * c.L * rho * (1.0 - lam) - noise[0] * c.D / c.mu, noise @ [c.C, 1.0]


@given(some_constants(), UNIT, st.floats(1e-3, 1.0))
def test_caps_and_floors_are_those_of_one_step(c, lam, share):
    """At the largest step half of ‖∇f‖² is left, mu (f − f*) by PL; the floor is what is added over gamma mu."""
    for step, radius, cap, floor in (
        (published_step, c.radius_cap(lam), c.step_cap, c.floor),
        (sharper_step, min(c.sharper_radius_cap(lam), 3.0 / c.L), c.sharper_step_cap, c.sharper_floor),
    ):
        rho = 0.99 * share * radius
        gamma = cap(rho, lam)
        assert gamma > 0.0
        left, added = step(c, gamma, rho, lam)
        assert left == pytest.approx(0.5, abs=1e-11)
        assert added / c.mu == pytest.approx(floor(gamma, rho, lam), rel=1e-11)
        assert step(c, 1.01 * gamma, rho, lam)[0] < 0.5  # the control: a larger step leaves less
        assert gamma * c.mu <= 0.5


@given(some_constants(), st.floats(0.0, 0.999))
def test_largest_radius_leaves_no_step(c, lam):
    """In the scale of the step without a perturbation, which every radius below the largest keeps a part of."""
    for radius, cap in ((c.radius_cap(lam), c.step_cap), (c.sharper_radius_cap(lam), c.sharper_step_cap)):
        assert cap(radius, lam) == pytest.approx(0.0, abs=1e-13 * cap(0.0, lam))
        assert cap(0.5 * radius, lam) > 0.0 > cap(2.0 * radius, lam)


def test_caps_at_special_values():
    c = Constants(L=4.0, mu=0.5, A=2.0, B=0.5, C=3.0)
    assert c.D == 2.25
    assert c.radius_cap(1.0) == 0.25  # 1/L
    assert c.radius_cap(0.0) == 0.5 / (4.0 * 5.0)
    assert c.step_cap(0.0, 0.3) == pytest.approx(0.5 / 18.0)  # mu/(2LD), whatever lam
    assert c.sharper_step_cap(0.0, 0.3) == pytest.approx(0.75 * 0.5 / 18.0)
    assert c.sharper_radius_cap(1.0) == np.inf
    assert c.sharper_step_cap(1e9, 1.0) == pytest.approx(0.75 * 0.5 / 18.0)  # no radius is too large for SAM
    assert c.floor(0.1, 0.0, 0.5) == c.sharper_floor(0.1, 0.0, 0.5) == pytest.approx(8.0 * 3.0 * 0.1)  # L C gamma/mu
    quiet = replace(c, C=0.0)
    assert quiet.floor(0.1, 0.2, 0.0) == quiet.sharper_floor(0.1, 0.2, 0.0) == 0.0
    assert linear_rate(3.0, 0.1, 0.5, 2, 0.25) == pytest.approx(0.95**2 * 3.0 + 0.25)


def test_scope_of_the_sharper_floor():
    """SAM takes any radius, at steps below the cap; elsewhere none that leaves no step."""
    claim = claims()["oikonomou2025/constant-steps-sharper"]
    cap = Constants(1.0, 0.1, 1.0, 0.0, 0.0).sharper_step_cap
    for rho, lam in ((1e6, 1.0), (0.05, 0.5)):
        assert claim.in_scope(rho=rho, lam=lam, gamma=cap(rho, lam))
        assert not claim.in_scope(rho=rho, lam=lam, gamma=1.01 * cap(rho, lam))
    assert not claim.in_scope(rho=0.2, lam=0.5, gamma=1e-9)


def test_full_gradients_allow_radii_up_to_a_third():
    claim = claims()["oikonomou2025/worst-case"]
    for mu in (0.01, 0.5):
        assert claim.in_scope(mu=mu, rho=0.33, gamma=1e-3)
        assert not claim.in_scope(mu=mu, rho=0.34, gamma=1e-3)


@given(some_constants(), st.floats(0.02, 50.0), UNIT)
def test_sharper_floor_of_sam_is_smaller_up_to_half(c, L_rho, share):
    """At lam = 1 and any equal step: N' < N exactly where L rho < ½."""
    rho, gamma = L_rho / c.L, share / c.L
    difference = c.floor(gamma, rho, 1.0) - c.sharper_floor(gamma, rho, 1.0)
    expected = c.L / c.mu * rho * (1.0 - 2.0 * L_rho)
    assert difference == pytest.approx(expected, abs=1e-12 * c.floor(gamma, rho, 1.0) * (1.0 + L_rho))


def test_neither_floor_is_always_the_smaller():
    c = Constants(1.0, 1.0, 1.0, 0.0, 100.0)
    assert c.floor(0.0, 0.1, 0.9) == pytest.approx(0.181)
    assert c.sharper_floor(0.0, 0.1, 0.9) == pytest.approx(0.5162)


@pytest.mark.parametrize("lam", [1.0, 0.5])
def test_orders_of_the_floors(lam):
    """In rho, without noise: 1 of N, 2 of N'; with noise and lam < 1 both are 1."""
    for C in (0.0, 3.0):
        c = Constants(2.0, 0.5, 1.0, 0.5, C)
        for floor, order in ((c.floor, 1), (c.sharper_floor, 2 if C == 0.0 or lam == 1.0 else 1)):
            a, b = (floor(0.0, rho, lam) for rho in (1e-6, 1e-5))
            assert np.log10(b / a) == pytest.approx(order, abs=1e-4)


def test_floors_over_the_exact_one():
    """SAM on eigenvalues 1 and 0.1 at gamma = 0.375 ends in a cycle ±a along the first, a = gamma rho/(2 − gamma)."""
    c, rho = Constants(1.0, 0.1, 0.0, 1.0, 0.0), 0.01
    gamma = c.sharper_step_cap(rho, 1.0)
    assert gamma == pytest.approx(0.375)
    assert gamma < c.step_cap(rho, 1.0)
    problem = finite_sum("square", np.sqrt([[2.0, 0.0], [0.0, 0.2]]), np.zeros(2))
    assert (problem.lipschitz, problem.pl_constant) == pytest.approx((1.0, 0.1))
    spec = given_spec(problem, sampling("full", problem), np.array([1.0, 1.0]), normalisation=1.0, radius=rho,
                      step_size=gamma, max_steps=4000)  # fmt: skip
    exact = 0.5 * (gamma * rho / (2.0 - gamma)) ** 2
    assert spec.run().gap == pytest.approx(exact, rel=1e-9)
    assert c.floor(gamma, rho, 1.0) / exact == pytest.approx(37_837.2, abs=0.1)
    assert c.sharper_floor(gamma, rho, 1.0) / exact == pytest.approx(1032.8, abs=0.1)


# the counterexample


def test_rare_sample_by_its_own_recursion():
    """The moments as the fixed point of E (1, x, x²), the step taken literally at two points."""
    p, lam, rho, gamma, s = RARE.values()
    P, centres = (p, 1.0 - p), (s, -s)

    def step(i, x):
        w = 1.0 / (2.0 * P[i])
        g = w * (x - centres[i])
        e = rho * (1.0 - lam + lam / abs(g)) * g
        return x - gamma * w * (x + e - centres[i])

    M = np.zeros((3, 3))
    for i, share in enumerate(P):
        b, a = step(i, 0.0), step(i, 1.0) - step(i, 0.0)
        assert step(i, 9.0) == pytest.approx(a * 9.0 + b)  # affine between the centres
        M += share * np.array([[1.0, 0.0, 0.0], [b, a, 0.0], [b * b, 2.0 * a * b, a * a]])
    first, second = np.linalg.solve(np.eye(2) - M[1:, 1:], M[1:, 0])
    mean, std = rare_moments(**RARE)
    assert (mean, std) == pytest.approx((first, np.sqrt(second - first**2)), rel=1e-8)
    assert mean == pytest.approx(3.3222, abs=5e-5)
    assert std == pytest.approx(0.2775, abs=5e-5)
    assert 0.5 * second == pytest.approx(5.557, abs=5e-4)
    assert mean + 20.0 * std < s  # so that the step stays affine


def test_rare_sample_is_inside_the_caps_of_the_wrong_constant_alone():
    wrong, right = (rare_constants(L, RARE["p"], RARE["distance"]) for L in (1.0, 200.0))
    rho, gamma, lam = RARE["rho"], RARE["gamma"], RARE["lam"]
    assert rho < wrong.radius_cap(lam)
    assert gamma < wrong.step_cap(rho, lam)
    assert wrong.floor(gamma, rho, lam) == pytest.approx(1.730, abs=5e-4)
    assert rho > 100.0 * right.radius_cap(lam)
    problem = finite_sum("square", np.ones((2, 1)), np.array([10.0, -10.0]))
    draws = sampling("single", problem, 1, (RARE["p"], 1.0 - RARE["p"]))
    found = constants(problem, draws)
    assert vars(found) == pytest.approx(vars(right))
    assert problem.sample_lipschitz.max() == wrong.L == 1.0


# decreasing steps


@pytest.mark.parametrize("mu", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("share", [0.5, 0.4375, 0.4374, 0.1, 0.003, 1e-4])
def test_first_decreasing_by_search(mu, share):
    """With equality at t = 3, where (2t+1)/(t+1)² = 7/16."""
    cap = share / mu
    assert first_decreasing(mu, cap) == next(t for t in itertools.count(1) if (2 * t + 1) <= cap * mu * (t + 1) ** 2)


def test_decreasing_bound_by_hand():
    """mu gamma_cap = 7/16, so that t* = 3, and T = 6 leaves a quarter of what is there."""
    c, lam = Constants(2.0, 0.5, 1.5, 0.5, 5.0), 0.4
    bent = 5.0 * 0.36 + 0.16
    start = (9.0 / 16.0) ** 3 * 40.0 + c.floor(0.875, 0.1, lam)
    expected = start / 4.0 + 4.0 / 6.0 * (40.0 + bent) + 16.0 / (0.25 * 36.0 * 3.0) * bent
    assert decreasing_bound(c, lam, 0.875, 0.1, 40.0, 6) == pytest.approx(expected)


@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("C", [0.0, 5.0])
def test_decreasing_bound_bounds_its_recursion(lam, C):
    """delta ← (1 − gamma_t mu) delta + gamma_t mu N(gamma_t, rho_t), the one-step inequality at equality."""
    c = Constants(2.0, 0.5, 1.5, 0.5, C)
    rho_cap = 0.5 * c.radius_cap(lam)
    gamma_cap = c.step_cap(rho_cap, lam)
    t_star, delta = first_decreasing(c.mu, gamma_cap), 40.0
    gammas, radii = Schedule(gamma_cap, rho_cap, "decreasing", 1.0 / c.mu, "decreasing").at(0, 400 * t_star)
    assert (gammas[:t_star] == gamma_cap).all()
    assert gammas[t_star] < gamma_cap
    assert (gammas <= c.step_cap(radii, lam)).all()
    deltas = [delta]
    for gamma, rho in zip(gammas, radii, strict=True):
        deltas.append((1.0 - gamma * c.mu) * deltas[-1] + gamma * c.mu * c.floor(gamma, rho, lam))
    T = np.arange(t_star + 1, 400 * t_star + 1)
    bound = decreasing_bound(c, lam, gamma_cap, rho_cap, delta, T)
    ratio = bound / np.array(deltas)[t_star + 1 :]
    assert ratio.min() >= 1.0 - 1e-12
    assert ratio[-1] < 1.06  # far out; a tenth less, the control, is violated
    if C > 0.0:  # rate 1/T; without noise and normalisation 1/T²
        assert bound[-1] / bound[len(T) // 10] == pytest.approx(0.1, rel=0.1)
    elif lam == 0.0:
        assert bound * T**2 == pytest.approx(bound[0] * T[0] ** 2)
        assert ratio == pytest.approx(1.0)


# without convexity


@pytest.mark.parametrize(("A", "T"), [(1.0, 1), (3.0, 10), (0.1, 1000), (1e-9, 7)])
def test_gradient_bound_uses_up_the_start(A, T):
    """Without noise: delta ← (1 + 2A gamma kap) delta − ½ gamma G, with G the bound, is 0 after T steps exactly."""
    c = Constants(2.0, 0.0, A, 0.5, 0.0)
    gamma, rho, delta = 0.05, 0.03, 7.0
    bound, kap = gradient_bound(c, gamma, rho, 0.0, delta, T), curvature_cost(c, gamma, rho, 0.0)
    assert kap == pytest.approx(0.06 + 0.1 * (1.0 + 2.0 * 0.06**2))
    left, scale = delta, delta
    for _ in range(T):
        left = (1.0 + 2.0 * A * gamma * kap) * left - 0.5 * gamma * bound
        scale *= 1.0 + 2.0 * A * gamma * kap
    assert left == pytest.approx(0.0, abs=1e-12 * scale * T)


def test_gradient_bound_at_its_limits():
    at = {A: gradient_bound(Constants(2.0, 0.0, A, 1.0, 3.0), 0.1, 0.05, 0.5, 2.0, 50) for A in (0.0, 1e-13, 1e-6, 1.0)}
    kap = 0.1 * 0.25 + 0.2 * (1.0 + 2.0 * 0.05**2)
    assert at[0.0] == pytest.approx(2.0 * 2.0 / (0.1 * 50) + 2.0 * (3.0 * kap + 0.25 * 0.1 * (1.0 + 0.8 * 0.05)))
    assert at[1e-13] == pytest.approx(at[0.0], rel=1e-12)
    assert at[0.0] < at[1e-6] < at[1.0]
    noise = 2.0 * (3.0 * kap + 0.25 * 0.1 * (1.0 + 0.8 * 0.05))
    forever = gradient_bound(Constants(2.0, 0.0, 1.0, 1.0, 3.0), 0.1, 0.05, 0.5, 2.0, 10**6)
    assert forever == pytest.approx(4.0 * kap * 2.0 + noise)


@given(some_constants(), UNIT, UNIT, st.floats(0.0, 0.999))
def test_random_steps_are_in_scope(c, lam, u, v):
    gamma, rho = random_steps(c, lam, u, v)
    used = rho * c.L / 2.0 + c.B * curvature_cost(c, gamma, rho, lam)
    assert used <= 0.5 * u * (1.0 + 1e-12) or c.B == 0.0
    assert 0.0 <= gamma <= 1.0 / c.L
    assert gamma == 1.0 / c.L or used == pytest.approx(0.5 * u)  # all of it, unless the step is large already


# importance sampling


def test_importance_lowers_the_constants():
    problem, start = importance.problem_of({"n": 10, "d": 3, "noise": 0.1, "spread": 30.0}, 0)
    L = problem.sample_lipschitz
    draws = {kind: importance.draws_of(problem, kind) for kind in ("single", "importance", "adverse")}
    found = {kind: constants(problem, each) for kind, each in draws.items()}
    assert pytest.approx((L.max(), L.max())) == (found["single"].A, found["single"].L)
    assert pytest.approx((L.mean(), L.mean())) == (found["importance"].A, found["importance"].L)
    assert 2.0 * L.max() < found["adverse"].A
    for kind, c in found.items():  # the gap that is compared, by enumeration instead of by moments
        rho = 0.5 * c.radius_cap(0.0)
        gaps, _ = expected_path(problem, draws[kind], Schedule(c.step_cap(rho, 0.0), rho), 0.0, start, 3)
        assert importance.expected_gap(problem, start, kind, 3) == pytest.approx(gaps[-1], rel=1e-10)


def test_shares_of_the_caps():
    c, lam = Constants(2.0, 0.5, 1.5, 0.5, 5.0), np.array([0.0, 0.5, 1.0])
    for form, radius, cap in (
        (constant_steps.published_steps, c.radius_cap(lam), c.step_cap),
        (constant_steps.sharper_steps, np.minimum(c.sharper_radius_cap(lam), 1.5), c.sharper_step_cap),
    ):
        gamma, rho, floor = form(c, lam, 0.5, 0.5)
        assert rho == pytest.approx(0.5 * radius)
        assert gamma == pytest.approx(0.75 * cap(rho, lam))
        assert (floor > 0.0).all()
    assert set(constant_steps.FORMS) == {"published", "sharper"}
    assert nonconvex.FAMILIES[0] == "robust"

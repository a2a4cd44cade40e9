"""The closed forms of Oikonomou & Loizou 2025: worked out by hand, at their limits, and computed otherwise."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate.finite_sum import Schedule, expected_path
from simulate.objective import finite_sum
from simulate.sampling import SAMPLINGS, sampling
from simulate.streams import stream
from theory.finite_sums import (
    PL_FAMILIES,
    enumerate_instances,
    given_spec,
    instances,
    random_normalisations,
    random_problem,
    random_sampling,
    slack_notes,
)
from theory.oikonomou2025 import constant_steps, importance, nonconvex
from theory.oikonomou2025.constant_steps import RARE, linear_rate, rare_constants, rare_moments
from theory.oikonomou2025.decreasing_steps import decreasing_bound, first_decreasing
from theory.oikonomou2025.expected_residual import residual_bound, weighted_gradients
from theory.oikonomou2025.nonconvex import curvature_cost, gradient_bound, random_steps
from theory.oikonomou2025.setting import Constants, constants, expected_residual

FAMILIES = (*PL_FAMILIES, "robust")
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


# expected residual


def test_expected_residual_table():
    L = np.array([1.0, 5.0, 2.0, 4.0])
    p = np.array([0.1, 0.2, 0.3, 0.4])
    assert expected_residual("full", 4, 4, L) == (0.0, 1.0)
    assert expected_residual("nice", 4, 2, L) == pytest.approx((5.0 / 3.0, 2.0 / 3.0))
    assert expected_residual("nice", 4, 1, L) == expected_residual("replacement", 4, 1, L) == (5.0, 0.0)
    assert expected_residual("nice", 4, 4, L) == (0.0, 1.0)
    assert expected_residual("replacement", 4, 2, L) == (2.5, 0.5)
    assert expected_residual("single", 4, 1, L, p) == pytest.approx((5.0 / 0.8, 0.0))
    assert expected_residual("single", 4, 1, L, np.full(4, 0.25)) == (5.0, 0.0)
    assert expected_residual("importance", 4, 1, L, L / L.sum()) == pytest.approx((3.0, 0.0))


DRAWN = {  # the outcomes of each sampling of 4, one by one, with their probabilities
    "full": lambda p: [((0, 1, 2, 3), 1.0)],
    "nice": lambda p: [(draw, 1 / 24) for draw in itertools.permutations(range(4), 3)],
    "replacement": lambda p: [(draw, 1 / 64) for draw in itertools.product(range(4), repeat=3)],
    "single": lambda p: [((i,), p[i]) for i in range(4)],
    "importance": lambda p: [((i,), p[i]) for i in range(4)],
}


@pytest.mark.parametrize("kind", SAMPLINGS)
def test_expected_residual_bounds_what_is_drawn(kind):
    """E‖g_S‖² by listing every draw in order; equal parabolas of one variable attain the bound."""
    rng = np.random.default_rng(3)
    a, b, x = rng.standard_normal((4, 2)), rng.standard_normal(4), rng.standard_normal(2)
    for A, point, attained in ((a, x, False), (np.full((4, 1), 1.7), np.array([0.6]), True)):
        problem = finite_sum("square", A, np.zeros(4) if attained else b)
        tau = 3 if kind in ("nice", "replacement") else 1
        p = np.array([0.1, 0.2, 0.3, 0.4]) if kind == "single" and not attained else None
        draws = sampling(kind, problem, tau, p)
        c, total = constants(problem, draws), 0.0
        for drawn, share in DRAWN[kind](draws.probabilities):
            weights = {"full": 0.25, "nice": 1 / 3, "replacement": 1 / 3}.get(kind)
            each = [(weights or 0.25 / draws.probabilities[i]) * (A[i] @ point - problem.targets[i]) for i in drawn]
            g = np.array(each) @ A[list(drawn)]
            total += share * (g @ g)
        gap, gradient = problem.measure((point - problem.anchor)[None])
        bound = residual_bound(c.A, c.B, c.C, gap[0], (gradient**2).sum())
        assert total <= bound * (1.0 + 1e-12)
        if attained:
            assert total == pytest.approx(bound)
        V, P = draws.law()
        found = [(weighted_gradients(problem, v, (point - problem.anchor)[None]) ** 2).sum() for v in V]
        assert P @ found == pytest.approx(total, rel=1e-12)


# random problems and samplings


@pytest.fixture(scope="module")
def drawn():
    """Return 200 random (problem, draws) of each family."""
    return {family: [i[:2] for i in instances({"problems": 200, "seed": 0}, (family,))] for family in FAMILIES}


def test_every_family_meets_every_sampling(drawn):
    for family, found in drawn.items():
        assert {draws.kind for _, draws in found} == set(SAMPLINGS), family
        assert {problem.samples for problem, _ in found} == {2, 3, 4}
        assert {draws.batch_size for _, draws in found if draws.kind == "replacement"} == {1, 2}
        assert {draws.batch_size for _, draws in found if draws.kind == "nice"} == {1, 2, 3}
        assert all(np.ptp(draws.probabilities) > 0.0 for _, draws in found if draws.kind == "single")
    in_turn = [problem for problem, *_ in instances({"problems": 14, "seed": 0}, FAMILIES)]
    assert [problem.loss for problem in in_turn[:7]] == [problem.loss for problem in in_turn[7:]]
    assert {problem.loss for problem in in_turn} == {"square", "logistic", "sine", "robust"}


def test_families_are_what_they_are_called(drawn):
    problems = {family: [problem for problem, _ in found] for family, found in drawn.items()}
    assert all(p.rows == p.A.shape[1] for p in problems["full rank"])
    assert all(p.noise == 0.0 and not p.offsets.any() for p in problems["interpolated"] + problems["sine"])
    assert all(p.reg > 0.0 for p in problems["ridge"] + problems["logistic"])
    assert any(p.noise > 0.0 for p in problems["square"])
    assert any(p.samples < p.A.shape[1] for p in problems["square"])  # PL, yet not strongly convex
    assert {p.A.shape[1] for p in problems["square"]} == {1, 2, 3}


@pytest.mark.parametrize("family", PL_FAMILIES)
def test_constants_of_instances(drawn, family):
    """mu > 0 and PL with it at random points, D ≥ mu; twice mu fails somewhere for quadratics, whose mu is exact."""
    rng, twice = np.random.default_rng(0), False
    for problem, draws in drawn[family]:
        c = constants(problem, draws)
        assert 0.0 < c.mu <= c.D * (1.0 + 1e-12)
        assert c.mu <= c.L * (1.0 + 1e-12)
        Y = rng.standard_normal((40, len(problem.anchor))) * np.exp(rng.uniform(-5.0, 5.0, (40, 1)))
        gaps, gradients = problem.measure(Y)
        squares = (gradients**2).sum(axis=1)
        assert (squares >= 2.0 * c.mu * gaps * (1.0 - 1e-9) - 1e-13 * squares.max()).all()
        twice = twice or bool((squares < 4.0 * c.mu * gaps).any())
    assert twice or family in ("logistic", "sine")


def test_normalisations_are_in_three_parts():
    lam = random_normalisations(np.random.default_rng(0), 30_000)
    assert [np.mean(lam == value) for value in (0.0, 1.0)] == pytest.approx([1 / 3, 1 / 3], abs=0.02)
    between = lam[(lam > 0.0) & (lam < 1.0)]
    assert np.histogram(between, 4, (0.0, 1.0))[0] / len(between) == pytest.approx(0.25, abs=0.03)


# exact expectations


@pytest.mark.parametrize("family", FAMILIES)
def test_enumerated_instances_are_expected_paths(family):
    """All at once, and one by one; x − x* is rounded where x is given."""
    rng = stream("test", 5)
    problem = random_problem(rng, family)
    draws = random_sampling(rng, problem)
    starts, lam = rng.standard_normal((3, len(problem.anchor))), np.array([0.0, 0.6, 1.0])
    gammas, radii = np.array([0.1, 0.02, 0.3]), np.array([0.2, 0.0, 0.05])
    gaps, squares = enumerate_instances(problem, draws, starts, gammas, radii, lam, 2)
    for k in range(3):
        one = expected_path(problem, draws, Schedule(gammas[k], radii[k]), lam[k], problem.anchor + starts[k], 2)
        assert np.array(one) == pytest.approx(np.array([gaps[k], squares[k]]), rel=1e-11)
    first, gradients = problem.measure(starts)
    assert gaps[:, 0] == pytest.approx(first)
    assert squares[:, 0] == pytest.approx((gradients**2).sum(axis=1))


@pytest.mark.parametrize("family", PL_FAMILIES)
def test_given_runs_are_the_same_problem(family):
    """A sampled path of a full batch is the expected one, on the specification made of plain numbers."""
    rng = stream("test", 6)
    problem = random_problem(rng, family)
    draws, start = sampling("full", problem), problem.anchor + rng.standard_normal(len(problem.anchor))
    run = {"radius": 0.05, "normalisation": 0.5, "step_size": 0.1, "max_steps": 3, "record": range(3)}
    spec = given_spec(problem, draws, start, **run)
    expected, squares = expected_path(problem, draws, Schedule(0.1, 0.05), 0.5, start, 3)
    history = spec.run().history
    assert history["gap"] == pytest.approx(expected, rel=1e-9)
    assert history["gradient_norm"] == pytest.approx(np.sqrt(squares), rel=1e-9)


def test_given_runs_keep_the_sampling():
    problem = random_problem(stream("test", 7), "square")
    for kind, tau in (("nice", problem.samples - 1), ("replacement", 2), ("single", 1), ("importance", 1)):
        p = np.arange(1.0, problem.samples + 1.0) if kind == "single" else None
        draws = sampling(kind, problem, tau, None if p is None else p / p.sum())
        again = given_spec(problem, draws, problem.anchor, step_size=0.1).load()[1]
        assert (again.kind, again.batch_size) == (kind, tau)
        assert np.array_equal(again.law()[0], draws.law()[0])
        assert np.array_equal(again.law()[1], draws.law()[1])


def test_slack_notes():
    notes = slack_notes(np.array([3.0, 1.5, 1.0, 0.0, 2.0]), np.array([1.0, 1.0, 0.0, 0.0, 1.0]), 7)
    assert notes == {"least bound/observed": 1.5, "median bound/observed": 2.0, "instances": 7}


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

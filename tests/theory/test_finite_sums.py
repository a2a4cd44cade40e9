"""Expected residual and expectations on finite sums: random problems and samplings, exact against enumerated."""

import itertools

import numpy as np
import pytest

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
from theory.oikonomou2025.expected_residual import residual_bound, weighted_gradients
from theory.oikonomou2025.setting import constants, expected_residual

# expected residual

FAMILIES = (*PL_FAMILIES, "robust")


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

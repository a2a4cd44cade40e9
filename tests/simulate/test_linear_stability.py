"""Families of Hessians and their growth factors: against loops, Kronecker products and the dynamics themselves."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate.linear_stability import (
    DENSE,
    FAMILIES,
    HessianFamily,
    SpikedFamily,
    balanced_signs,
    cone,
    draw_families,
    mean_square_growth,
    mean_square_step,
    mixture,
    one_step_growth,
    sample_paths,
    second_moments,
    stable_scale,
    star_family,
    step_matrices,
)
from simulate.parameters import ParameterError

ETA, RHO = 0.7, 0.3


def one(kind="dense", members=4, dimension=3, seed=0, scale=1.0):
    """Return a single random family."""
    drawn = draw_families(kind, 1, members, dimension, seed)
    return HessianFamily(scale * drawn.hessians[0], drawn.probabilities[0])


def naive_steps(family, eta, rho):
    """Return the J_i, by loops."""
    eye = np.eye(family.hessians.shape[-1])
    return [eye - eta * H - eta * rho * H @ H for H in family.hessians]


def naive_radius(family, eta, rho):
    """Return the spectral radius of E J ⊗ J on all d × d matrices, by a general eigensolver."""
    pairs = zip(family.probabilities, naive_steps(family, eta, rho), strict=True)
    return np.abs(np.linalg.eigvals(sum(p * np.kron(J, J) for p, J in pairs))).max()


# moments


@pytest.mark.parametrize("kind", FAMILIES)
def test_moments_by_loops(kind):
    family = one(kind, 5, 4)
    H = sum(p * h for p, h in zip(family.probabilities, family.hessians, strict=True))
    for k in (1, 2, 3, 4):
        M = sum(p * np.linalg.matrix_power(h, k) for p, h in zip(family.probabilities, family.hessians, strict=True))
        excess = M - np.linalg.matrix_power(H, k)
        assert family.moment(k) == pytest.approx(M, rel=1e-12)
        assert family.spread(k) == pytest.approx(np.linalg.eigvalsh(excess)[-1], abs=1e-12 * np.abs(M).max())
        assert family.mean_spread(k) == pytest.approx(np.trace(excess) / 4, abs=1e-12 * np.abs(M).max())
    assert family.curvature() == pytest.approx(np.linalg.norm(H, 2))


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize(("eta", "rho"), [(ETA, 0.0), (ETA, RHO), (0.1, 2.0)])
def test_growth_by_loops(kind, eta, rho):
    family = one(kind, 5, 4, seed=1)
    J = naive_steps(family, eta, rho)
    assert step_matrices(family, eta, rho) == pytest.approx(np.stack(J), rel=1e-13, abs=1e-13)
    E = sum(p * j @ j for p, j in zip(family.probabilities, J, strict=True))
    assert mean_square_step(family, eta, rho) == pytest.approx(E, rel=1e-12, abs=1e-12)
    assert one_step_growth(family, eta, rho) == pytest.approx(np.linalg.eigvalsh(E)[-1], rel=1e-12)
    assert mean_square_growth(family, eta, rho) == pytest.approx(naive_radius(family, eta, rho), rel=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 3, 5, 9, DENSE, DENSE + 3])
def test_applied_operator_agrees_with_the_written_one(dimension):
    """And both with np.kron on all d × d matrices, symmetric or not; the control, another radius, does not."""
    for kind, scale in itertools.product(FAMILIES, (0.3, 1.0, 3.0)):
        family = one(kind, max(4, dimension), dimension, seed=2, scale=scale)
        written = mean_square_growth(family, ETA, RHO, dense=True)
        assert mean_square_growth(family, ETA, RHO, dense=False) == pytest.approx(written, rel=1e-10)
        assert mean_square_growth(family, ETA, RHO) == pytest.approx(written, rel=1e-10)
        assert mean_square_growth(family, ETA, 1.01 * RHO) != pytest.approx(written, rel=1e-10)
        if dimension <= 5:
            assert naive_radius(family, ETA, RHO) == pytest.approx(written, rel=1e-10)


def test_stacks_are_their_members():
    stack = draw_families("dense", 6, 4, 3, 0)
    eta, rho = np.linspace(0.1, 1.0, 6), np.linspace(0.0, 0.5, 6)
    for growth in (one_step_growth, mean_square_growth, lambda *a: mean_square_growth(*a, dense=False)):
        members = [HessianFamily(H, p) for H, p in zip(stack.hessians, stack.probabilities, strict=True)]
        each = [growth(family, eta[k], rho[k]) for k, family in enumerate(members)]
        assert growth(stack, eta, rho) == pytest.approx(np.array(each), rel=1e-12)
    shared = HessianFamily(stack.hessians, [0.1, 0.2, 0.3, 0.4])
    assert shared.probabilities.shape == (6, 4)
    assert HessianFamily(stack.hessians).probabilities[3] == pytest.approx(np.full(4, 0.25))


def test_growth_of_simple_families():
    """One Hessian: ‖J‖² in both; H ∈ {0, h}, halves: (1 + (1 − eta h)²)/2; rank one never decays across itself."""
    single = HessianFamily(np.diag([1.0, 3.0])[None])
    for growth in (one_step_growth, mean_square_growth):
        assert growth(single, 0.5, 0.1) == pytest.approx(max((1 - 0.55) ** 2, (1 - 1.95) ** 2))
        assert growth(HessianFamily([[[0.0]], [[3.0]]]), 0.5) == pytest.approx(0.5 + 0.5 * 0.25)
        assert growth(HessianFamily(np.diag([1.0, 0.0])[None]), 0.5, 0.7) == 1.0


@given(st.integers(0, 10**6), st.floats(0.01, 3.0), st.floats(0.0, 2.0), st.integers(1, 4))
def test_notions_are_ordered(seed, eta, rho, d):
    """tr E J²/d ≤ radius ≤ lambda_max(E J²), the same rescaled: H → cH is eta, rho → c eta, c rho."""
    family = one("dense", 3, d, seed)
    radius, step = mean_square_growth(family, eta, rho), mean_square_step(family, eta, rho)
    assert np.trace(step) / d <= radius * (1 + 1e-12)
    assert radius <= one_step_growth(family, eta, rho) * (1 + 1e-12)
    assert mean_square_growth(family.scaled(0.3), eta, rho) == pytest.approx(
        mean_square_growth(family, 0.3 * eta, 0.3 * rho), rel=1e-12
    )


@given(st.integers(0, 10**6), st.integers(2, 4))
def test_growth_does_not_depend_on_the_basis(seed, d):
    family = one("rank-one", 5, d, seed)
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    turned = HessianFamily(Q @ family.hessians @ Q.T, family.probabilities)
    for growth in (one_step_growth, mean_square_growth):
        assert growth(turned, ETA, RHO) == pytest.approx(growth(family, ETA, RHO), rel=1e-11)
    for k in (2, 3, 4):
        assert turned.spread(k) == pytest.approx(family.spread(k), rel=1e-10)


# the edge of stability


@pytest.mark.parametrize("growth", [one_step_growth, mean_square_growth])
@pytest.mark.parametrize(("kind", "members"), [("dense", 1), ("dense", 3), ("commuting", 3), ("rank-one", 6)])
@pytest.mark.parametrize(("eta", "rho"), [(1.0, 0.0), (0.1, 0.02), (3.0, 9.0)])
def test_edge_is_where_growth_passes_one(growth, kind, members, eta, rho):
    """Growth is 1 there, below 1 on all of a grid inside, above 1 beyond."""
    family = draw_families(kind, 40, members, 3, 4)
    edge = stable_scale(family, eta, rho, growth)
    assert np.abs(growth(family.scaled(edge), eta, rho) - 1.0).max() < 1e-12
    for factor in (0.01, 0.3, 0.7, 0.99, 1 - 1e-6):
        assert (growth(family.scaled(factor * edge), eta, rho) <= 1.0 + 1e-13).all()
    for factor in (1 + 1e-6, 1.01, 1.5, 10.0):
        assert (growth(family.scaled(factor * edge), eta, rho) > 1.0).all()


def test_edge_of_simple_families():
    single = HessianFamily(np.eye(2)[None])
    assert stable_scale(single, 0.5) == pytest.approx(4.0, rel=1e-12)
    assert stable_scale(single, 1.0, 1.0, one_step_growth) == pytest.approx(1.0, rel=1e-12)  # c + c² = 2
    assert stable_scale(HessianFamily([[[0.0]], [[8.0]]]), 1.0) == pytest.approx(0.25, rel=1e-12)
    exact = HessianFamily(np.ones((7, 1, 1, 1)) * 2.0)  # the first guesses are the edge itself
    assert stable_scale(exact, 1.0).tolist() == [1.0] * 7


def test_edge_needs_every_direction():
    with pytest.raises(ParameterError, match=r"hessians = .*singular.*positive definite on average"):
        stable_scale(HessianFamily(np.diag([1.0, 0.0])[None]))
    with pytest.raises(ParameterError, match=r"step_size = 0\.0: must be > 0"):
        stable_scale(one(), 0.0)


# dynamics


def test_second_moments_enumerate_every_path():
    """E x_t x_tᵀ by all n^t products of J; the control, ordinary squares of E J, is not it."""
    family, t = one("dense", 3, 2), 4
    x = np.array([1.0, -2.0])
    J, expected = naive_steps(family, ETA, RHO), 0.0
    for drawn in itertools.product(range(3), repeat=t):
        y = x
        for i in drawn:
            y = J[i] @ y
        expected = expected + math.prod(family.probabilities[i] for i in drawn) * np.outer(y, y)
    found = second_moments(family, ETA, RHO, np.outer(x, x), t)
    assert found.shape == (5, 2, 2)
    assert found[-1] == pytest.approx(expected, rel=1e-12)
    mean = np.linalg.matrix_power(family.mean(np.stack(J)), t) @ x
    assert np.abs(found[-1] - np.outer(mean, mean)).max() > 1e-3 * np.abs(found[-1]).max()


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("kind", ["dense", "rank-one"])
def test_radius_is_the_growth_rate(kind, scale):
    """E‖x_t‖² grows by the radius a step in the end, on either side of 1; lambda_max(E J²) is a first step's only."""
    family = one(kind, 5, 3, seed=3)
    family = family.scaled(scale * stable_scale(family, ETA, RHO))
    traces = np.trace(second_moments(family, ETA, RHO, np.eye(3), 400), axis1=1, axis2=2)
    radius = mean_square_growth(family, ETA, RHO)
    assert traces[-1] / traces[-2] == pytest.approx(radius, rel=1e-4)
    assert scale == 1.0 or (radius > 1.0) == (scale > 1.0)
    first = one_step_growth(family, ETA, RHO)
    assert np.all(traces[1:] <= traces[:-1] * first * (1 + 1e-12))
    assert first > radius * (1 + 1e-3)


def test_paths_have_the_second_moments():
    """Mean of x xᵀ over 40 000 paths within 6 standard errors at every step; another radius is outside."""
    family, x = one("dense", 4, 2, seed=5, scale=0.5), np.array([1.0, 1.0])
    paths = sample_paths(family, ETA, RHO, x, 6, 40_000, 0)
    assert paths.shape == (7, 40_000, 2)
    squares = (paths**2).sum(axis=2)

    def scores(rho):
        exact = np.trace(second_moments(family, ETA, rho, np.outer(x, x), 6), axis1=1, axis2=2)[1:]
        return np.abs(squares[1:].mean(axis=1) - exact) / (squares[1:].std(axis=1) / 200.0)

    assert scores(RHO).max() < 6.0
    assert scores(1.2 * RHO).max() > 6.0
    assert np.array_equal(paths, sample_paths(family, ETA, RHO, x, 6, 40_000, 0))
    assert np.array_equal(paths[:3], sample_paths(family, ETA, RHO, x, 2, 40_000, 0))
    assert not np.array_equal(paths, sample_paths(family, ETA, RHO, x, 6, 40_000, 1))


# families


@pytest.mark.parametrize("kind", FAMILIES)
def test_drawn_families_are_what_they_are_called(kind):
    family = draw_families(kind, 5, 6, 4, 0)
    H = family.hessians
    assert H.shape == (5, 6, 4, 4)
    assert family.probabilities.sum(axis=1) == pytest.approx(np.ones(5))
    ranks = np.linalg.matrix_rank(H, hermitian=True)
    products = H[:, :, None] @ H[:, None]
    commute = np.abs(products - np.swapaxes(products, -1, -2)).max() < 1e-10
    norms = np.linalg.eigvalsh(H)[..., -1]
    assert commute == (kind == "commuting")
    assert (np.abs(norms - 1.0).max() < 1e-12) == (kind == "equal-norm")
    assert ranks.max() == {"dense": 4, "low-rank": 2, "commuting": 4}.get(kind, 1)
    assert (np.linalg.eigvalsh(family.moment(1))[:, 0] > 1e-6).all()
    assert np.array_equal(H, draw_families(kind, 5, 6, 4, 0).hessians)
    assert not np.array_equal(H, draw_families(kind, 5, 6, 4, 1).hessians)


@pytest.mark.parametrize("leaves", [1, 2, 4, 8])
def test_star_by_hand(leaves):
    """M_2 − H² = diag(m c², c², …), and the radius that of (u, v) → ((1−h)² u + m c² v, c² u + (1−q)² v)."""
    h, q, c = 1.3, 0.9, 1.0 / math.sqrt(leaves)
    family = star_family(h, q, c, leaves)
    signs = balanced_signs(leaves)
    assert signs.sum(axis=0).tolist() == [0.0] * leaves
    assert signs.T @ signs == pytest.approx(2 * leaves * np.eye(leaves))
    assert family.moment(1) == pytest.approx(np.diag([h] + [q] * leaves))
    assert family.excess(2) == pytest.approx(np.diag([leaves * c**2] + [c**2] * leaves))
    pair = np.array([[(1 - h) ** 2, leaves * c**2], [c**2, (1 - q) ** 2]])
    assert mean_square_growth(family) == pytest.approx(np.abs(np.linalg.eigvals(pair)).max(), rel=1e-12)
    assert one_step_growth(family) == pytest.approx(max(pair[0, 0] + leaves * c**2, pair[1, 1] + c**2), rel=1e-12)


@pytest.mark.parametrize("leaves", [1, 2, 5, DENSE + 4])
@pytest.mark.parametrize(("eta", "rho"), [(1.0, 0.0), (0.5, 0.4), (0.1, 3.0)])
def test_spiked_family_is_its_hessians(leaves, eta, rho):
    """Closed forms of both growths against all 2m + 1 matrices; the control is one leaf more."""
    given = {"centre": 1.7, "leaf": 0.9, "spike": 4.0, "share": 0.2, "weight": 0.3}
    family = SpikedFamily(**given, leaves=leaves)
    written, other = family.written_out(), SpikedFamily(**given, leaves=leaves + 1)
    assert written.hessians.shape == (2 * leaves + 1, leaves + 1, leaves + 1)
    for name, growth in (("one_step_growth", one_step_growth), ("mean_square_growth", mean_square_growth)):
        found = float(growth(written, eta, rho))
        assert getattr(family, name)(eta, rho) == pytest.approx(found, rel=1e-11)
    assert other.mean_square_growth(eta, rho) != pytest.approx(found, rel=1e-6)


def test_cone_and_mixture():
    g = cone(0.3, 4)
    assert g.shape == (8, 4)
    assert np.linalg.norm(g, axis=1) == pytest.approx(np.ones(8))
    assert g[:, 0] == pytest.approx(np.full(8, math.sqrt(0.3)))
    assert g.mean(axis=0)[1:] == pytest.approx(np.zeros(3))
    family = mixture((0.25, np.stack([np.eye(2), 2 * np.eye(2)])), (0.75, np.zeros((1, 2, 2))))
    assert family.probabilities.tolist() == [0.125, 0.125, 0.75]
    assert family.moment(2) == pytest.approx(0.125 * 5 * np.eye(2))


# bad input

EYE = np.eye(2)[None]
BAD = {
    "ragged": ("hessians", {"hessians": [[[1.0, 0.0], [0.0]]]}),
    "a matrix": ("hessians", {"hessians": np.eye(2)}),
    "a number": ("hessians", {"hessians": 1.0}),
    "not square": ("hessians", {"hessians": np.ones((1, 2, 3))}),
    "none": ("hessians", {"hessians": np.ones((0, 2, 2))}),
    "no dimension": ("hessians", {"hessians": np.ones((1, 0, 0))}),
    "text": ("hessians", {"hessians": [[["a"]]]}),
    "complex": ("hessians", {"hessians": EYE * 1j}),
    "NaN": ("hessians", {"hessians": EYE * np.nan}),
    "infinite": ("hessians", {"hessians": np.full((1, 2, 2), np.inf)}),
    "asymmetric": ("hessians", {"hessians": np.array([[[1.0, 0.1], [0.0, 1.0]]])}),
    "asymmetric beyond rounding": ("hessians", {"hessians": np.array([[[1.0, 1e-9], [0.0, 1.0]]])}),
    "indefinite": ("hessians", {"hessians": np.array([[[1.0, 2.0], [2.0, 1.0]]])}),
    "negative beyond rounding": ("hessians", {"hessians": np.diag([1.0, -1e-9])[None]}),
    "one is indefinite": ("hessians", {"hessians": np.stack([np.eye(2), -np.eye(2)])}),
    "too many probabilities": ("probabilities", {"probabilities": [0.5, 0.5]}),
    "a probability matrix": ("probabilities", {"probabilities": [[1.0]]}),
    "negative": ("probabilities", {"hessians": np.stack([np.eye(2)] * 2), "probabilities": [1.5, -0.5]}),
    "sum": ("probabilities", {"probabilities": [0.999]}),
    "sum beyond rounding": ("probabilities", {"probabilities": [1.0 + 1e-8]}),
    "NaN probability": ("probabilities", {"probabilities": [np.nan]}),
    "boolean": ("probabilities", {"probabilities": [True]}),
}


@pytest.mark.parametrize(("name", "changes"), BAD.values(), ids=BAD)
def test_bad_family_is_named(name, changes):
    with pytest.raises(ParameterError, match=rf"^{name} = .*: must be "):
        HessianFamily(**{"hessians": EYE, **changes})


def test_rounding_is_forgiven():
    family = HessianFamily(np.array([[[1.0, 1e-12], [0.0, -1e-13]]]), [1.0 + 1e-12])
    assert np.array_equal(family.hessians[0], family.hessians[0].T)
    assert family.probabilities.tolist() == [1.0]


@pytest.mark.parametrize(
    ("name", "call"),
    {
        "step_size": lambda: one_step_growth(one(), -1.0),
        "radius": lambda: mean_square_growth(one(), 1.0, -0.1),
        "factor": lambda: one().scaled(-1.0),
        "steps": lambda: second_moments(one(), 1.0, 0.0, np.eye(3), -1),
        "paths": lambda: sample_paths(one(), 1.0, 0.0, np.ones(3), 1, 0, 0),
        "kind": lambda: draw_families("sparse", 1, 1, 1, 0),
        "count": lambda: draw_families("dense", 0, 1, 1, 0),
        "members": lambda: draw_families("dense", 1, 0, 1, 0),
        "dimension": lambda: cone(0.5, 1),
        "share": lambda: cone(1.5),
    }.items(),
)
def test_bad_argument_is_named(name, call):
    with pytest.raises(ParameterError, match=rf"^{name} = .*: must be "):
        call()


def test_families_cannot_be_changed():
    with pytest.raises(AttributeError):
        one().hessians = EYE

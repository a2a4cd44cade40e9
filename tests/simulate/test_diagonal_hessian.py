"""The diagonal network's Hessian, the Jacobian of its field, and the samples' own Hessians."""

import math

import naive
import numpy as np
import pytest
from diagonal_problems import D, N, instance, problem, state
from hypothesis import given
from hypothesis import strategies as st

from simulate import diagonal
from simulate.diagonal import (
    field_jacobian,
    hessian,
    sample_hessians,
    sharpness,
    weights_of,
)
from simulate.parameters import ParameterError
from simulate.update import Rule

# the Hessian and the Jacobian of the field


def difference_quotient(field, W, h=1e-6):
    """Return the Jacobian (2d, 2d) of a field of W (2, d) by central differences."""
    columns = []
    for k in range(W.size):
        E = np.zeros(W.size)
        E[k] = h
        E = E.reshape(W.shape)
        columns.append((field(W + E) - field(W - E)).ravel() / (2 * h))
    return np.stack(columns, axis=1)


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 99))
def test_hessian_is_the_derivative_of_the_gradient(n, d, seed):
    rng = np.random.default_rng(seed)
    X, y, W = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal((2, d))
    H = hessian(X, y, W)
    expected = difference_quotient(lambda V: naive.diagonal_gradient(V, X, y), W)
    assert np.abs(H - expected).max() < 1e-7 * max(1.0, np.abs(H).max())
    assert np.allclose(H, H.T, rtol=0, atol=1e-14 * np.abs(H).max())
    assert sharpness(instance(X, y), W) == pytest.approx(np.linalg.eigvalsh(expected).max(), abs=1e-6 * abs(H).max())


def test_hessian_needs_its_diagonal():
    """The negative control: without diag(g, −g) the comparison fails, unless the residuals are zero."""
    (X, y), W = problem(), state()
    expected = difference_quotient(lambda V: naive.diagonal_gradient(V, X, y), W)
    fitted = X @ (W[0] ** 2 - W[1] ** 2)
    assert np.abs(hessian(X, fitted, W) - expected).max() > 1e-2
    assert np.linalg.eigvalsh(hessian(X, fitted, W)).min() > -1e-14


@pytest.mark.parametrize("block", [None, 1, 2, 4, 6])
@pytest.mark.parametrize("radius", [0.0, 0.3])
def test_jacobian_of_the_field_is_its_derivative(block, radius):
    """Blocks that divide n and that do not; the control is another radius."""
    (X, y), W = problem(), state()

    def field(V, radius=radius):
        return V - naive.diagonal_step(V, X, y, np.arange(N), 1.0, radius, 0.0, block)

    J = field_jacobian(instance(X, y), W, Rule(radius, 0.0, block))
    assert np.abs(J - difference_quotient(field, W)).max() < 1e-7
    assert np.abs(J - difference_quotient(lambda V: field(V, radius + 0.1), W)).max() > 1e-2
    if radius == 0.0:
        assert np.allclose(J, hessian(X, y, W), rtol=0, atol=1e-14)


def test_jacobian_of_a_normalised_rule_is_refused():
    (X, y), W = problem(), state()
    with pytest.raises(ParameterError, match=r"normalisation = 1\.0"):
        field_jacobian(instance(X, y), W, Rule(0.1))
    assert np.allclose(field_jacobian(instance(X, y), W, Rule(0.0)), hessian(X, y, W), rtol=0, atol=1e-14)


def interpolator(X, y):
    """Return weights whose beta fits y exactly (to rounding)."""
    beta = np.linalg.lstsq(X, y, rcond=None)[0]
    return np.sqrt(np.stack([np.maximum(beta, 0.0) + 0.01, np.maximum(-beta, 0.0) + 0.01]))


STATES = {
    "start": lambda X, y: (y, np.full((2, X.shape[1]), 0.1)),
    "anywhere": lambda X, y: (y, state(X.shape[1])),
    "interpolator": lambda X, y: (y, interpolator(X, y)),
    "nothing to learn": lambda X, y: (0.0 * y, np.full((2, X.shape[1]), 0.1)),
    "all zero": lambda X, y: (0.0 * y, np.zeros((2, X.shape[1]))),
}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize(("n", "d"), [(1, 1), (1, 9), (20, 30), (3, 100)])
def test_large_problems_are_iterated_to_the_same_sharpness(monkeypatch, name, n, d):
    """With a Hessian and without one: both ways agree, and each with itself to the last bit."""
    X, y = np.random.default_rng(d).standard_normal((n, d)), np.random.default_rng(n).standard_normal(n)
    y, W = STATES[name](X, y)
    found = []
    for limit in (10**6, 0):
        monkeypatch.setattr(diagonal, "_DENSE_HESSIAN", limit)
        found.append(sharpness(instance(X, y), W))
        assert sharpness(instance(X, y), W) == found[-1]
    assert found[1] == pytest.approx(found[0], rel=1e-10, abs=1e-15)
    assert found[0] > 0.0 or name == "all zero"


def test_no_hessian_is_formed_above_400_dimensions(monkeypatch):
    """Where y is fitted, ∇²L = (2/n) ZᵀZ, whose largest eigenvalue is that of (2/n) ZZᵀ (n, n)."""
    X, W = np.random.default_rng(0).standard_normal((3, 401)), state(401)
    y = X @ (W[0] ** 2 - W[1] ** 2)
    expected = np.linalg.eigvalsh(2.0 / 3.0 * (X * (W**2).sum(axis=0)) @ X.T)[-1]
    monkeypatch.setattr(diagonal, "hessian", None)
    assert sharpness(instance(X, y), W) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(TypeError):
        sharpness(instance(X[:, :400], y), W[:, :400])


@pytest.mark.parametrize("d", [30, 410])
@pytest.mark.parametrize("size", [1e100, 1.2e154, 1e155, math.inf, math.nan])
def test_sharpness_that_is_not_finite_is_nan(d, size):
    """Also where the residuals still are: w₊ = w₋ and w² is beyond all floats in the Hessian alone."""
    X, W = np.random.default_rng(0).standard_normal((4, d)), np.full((2, d), size)
    with np.errstate(over="ignore", invalid="ignore"):
        found = sharpness(instance(X, np.ones(4)), W)
    assert np.isnan(found) == (not size < 1e150)


def test_step_is_unstable_beyond_two_over_the_sharpness():
    """Along the sharpest direction off an interpolator, a step multiplies the distance by 1 − gamma λ."""
    X, y = problem()
    W = interpolator(X, y)
    values, vectors = np.linalg.eigh(hessian(X, y, W))
    assert values[-1] == pytest.approx(sharpness(instance(X, y), W), rel=1e-12)
    E = 1e-7 * vectors[:, -1].reshape(2, D)
    for c, grows in ((1.9, False), (2.1, True)):
        moved = naive.diagonal_step(W + E, X, y, np.arange(N), c / values[-1]) - W
        assert np.allclose(moved, (1.0 - c) * E, rtol=0, atol=1e-12)
        assert (np.linalg.norm(moved) > np.linalg.norm(E)) == grows


# the samples' own Hessians


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(("n", "d"), [(5, 9), (12, 4)])
def test_sample_hessians_are_each_sample_s(n, d, order):
    """At an interpolator: eigenvalues of M_k − H^k off 0 from each ∇²L_i; the control is beside it."""
    rng = np.random.default_rng(n)
    X, W = rng.standard_normal((n, d)), rng.uniform(0.1, 1.0, (2, d))
    fitted = X @ (W[0] ** 2 - W[1] ** 2)

    def written_out(y):
        each = np.stack([hessian(X[i : i + 1], y[i : i + 1], W) for i in range(n)])
        assert np.allclose(each.mean(axis=0), hessian(X, y, W))
        moment = np.linalg.matrix_power(each, order).mean(axis=0)
        return np.linalg.eigvalsh(moment - np.linalg.matrix_power(each.mean(axis=0), order) * (order > 1))

    family = sample_hessians(X, W)
    found = np.linalg.eigvalsh(family.excess(order) if order > 1 else family.moment(1))
    assert found[-1] == pytest.approx(written_out(fitted)[-1], rel=1e-12)
    assert found.sum() == pytest.approx(written_out(fitted).sum(), rel=1e-11)
    assert abs(written_out(fitted + 2.0)[-1] / found[-1] - 1.0) > 1e-2


def test_weights_of_coefficients_and_their_product():
    """Positive, also where one of them is far below the rounding of the other."""
    W = np.array([[0.7, 1e-9, 1.0, 0.3], [0.2, 1.5, 1e-150, 0.3]])
    found = weights_of(W[0] ** 2 - W[1] ** 2, 0.5 * np.log(W).sum(axis=0))
    assert found == pytest.approx(W, rel=1e-12, abs=0.0)

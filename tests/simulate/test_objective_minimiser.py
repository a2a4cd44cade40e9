"""The minimiser of logistic regression: reached, or refused."""

import math

import numpy as np
import pytest
from test_objective import points, problem

from simulate.objective import (
    finite_sum,
    softplus,
)
from simulate.parameters import ParameterError


@pytest.mark.parametrize("reg", [0.0, 1e-12, 1e-8, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e6])
def test_logistic_minimiser_to_rounding(reg, scale):
    """Labels that cannot be separated: what is left of the gradient is 1e-15 of its terms, at any scale."""
    rng = np.random.default_rng(5)
    A, b = scale * rng.standard_normal((40, 3)), np.where(rng.random(40) < 0.5, -1.0, 1.0)
    p = finite_sum("logistic", A, b, reg)
    left = np.abs(p.measure(np.zeros((1, 3)))[1]).max()
    assert left <= 1e-15 * scale
    assert p.minimised


@pytest.mark.parametrize("reg", [1e-1, 1e-6, 1e-12])
@pytest.mark.parametrize("shape", [(20, 5), (5, 20), (3, 3)])
def test_logistic_minimiser_of_separated_labels(reg, shape):
    """Far out, where every slope is of order reg: the gradient's terms cancel to 1e-9 of themselves or better."""
    rng = np.random.default_rng(6)
    A = rng.standard_normal(shape)
    b = np.where(A @ rng.standard_normal(shape[1]) > 0.0, 1.0, -1.0)
    p = finite_sum("logistic", A, b, reg)
    g = p.measure(np.zeros((1, shape[1])))[1]
    assert np.abs(g).max() <= 1e-9 * reg * np.linalg.norm(p.anchor)
    assert p.measure(points(p, 50, 0.1))[0].min() >= 0.0


@pytest.mark.parametrize("shape", [(20, 5), (5, 20), (1, 1), (6, 6)])
def test_separable_labels_need_reg(shape):
    rng = np.random.default_rng(7)
    A = rng.standard_normal(shape)
    b = np.where(A @ rng.standard_normal(shape[1]) > 0.0, 1.0, -1.0)
    with pytest.raises(ParameterError, match=r"reg = 0\.0: must be > 0 here: labels that can be separated"):
        finite_sum("logistic", A, b)


@pytest.mark.parametrize("reg", [1e-30, 1e-300])
def test_minimiser_beyond_float64_is_refused(reg):
    """It lies where the slopes are 1e-30: no gap would be right."""
    A = np.random.default_rng(8).standard_normal((20, 5))
    with pytest.raises(ParameterError, match=r"reg = 1e-\d+: must be larger here"):
        finite_sum("logistic", A, np.where(A[:, 0] > 0.0, 1.0, -1.0), reg)


@pytest.mark.parametrize("norm", [0.0, 1e-12, 1.0, 1e12])
def test_sample_infimum_of_logistic_at_every_reg(norm):
    """At the minimiser s of log(1 + exp(−s q)) + ½ reg q s², to be no more than at any s on a wide grid."""
    for reg in (1e-200, 1e-8, 1.0, 1e8):
        p = problem("logistic", reg=1.0)
        p = type(p)(**{**vars_of(p), "A": np.full((1, 1), math.sqrt(norm)), "reg": reg, "samples": 1})
        (found,) = p.sample_infima
        grid = np.concatenate([np.linspace(0.0, 1e3, 20_001), np.geomspace(1e-12, 1.0, 1000)])  # u = s q
        values = [softplus(-u) + (0.5 * reg * u * u / norm if norm else 0.0) for u in (grid if norm else [0.0])]
        assert found <= min(values) * (1.0 + 1e-14)
        assert found == pytest.approx(min(values), rel=1e-3, abs=1e-300)


def vars_of(p):
    """Return the fields of a problem by name."""
    return {name: getattr(p, name) for name in p.__dataclass_fields__}


@pytest.mark.parametrize(("n", "d"), [(6, 3), (3, 6), (1, 50)])
def test_ridge_has_its_minimiser_in_any_shape(n, d):
    """(AᵀA/n + reg I) x* = Aᵀb/n; with more columns than rows it is sought in their span."""
    p = problem("square", n, d, reg=0.2)
    x = np.linalg.solve(p.A.T @ p.A / n + 0.2 * np.eye(d), p.A.T @ p.targets / n)
    assert np.allclose(p.anchor, x, rtol=1e-12, atol=1e-14)
    assert np.abs(p.measure(np.zeros((1, d)))[1]).max() < 1e-14


def test_many_columns_need_no_square_matrix():
    """d = 60,000: a Hessian of that size would be 29 GB."""
    A = np.random.default_rng(0).standard_normal((2, 60_000))
    for loss in ("square", "logistic"):
        p = finite_sum(loss, A, np.array([1.0, -1.0]), 0.1)
        assert np.abs(p.measure(np.zeros((1, 60_000)))[1]).max() < 1e-12

"""Rows perturbed alone: all of them in order by columns, or a few at a time, are the same sums."""

import numba
import numpy as np
import pytest

from simulate.diagonal_rows import all_single_rows, powers_of, single_rows
from simulate.lanes import padded


@numba.njit(error_model="numpy")
def by_columns(powers, X, y, beta, s, radius, normalisation, rows_of, G, Q):
    all_single_rows(powers, X, y, beta, s, radius, normalisation, rows_of, G, Q)


@numba.njit(error_model="numpy")
def by_rows(X, y, rows, beta, s, radius, normalisation, r, G, Q, t, c):
    single_rows(X, y, rows, beta, s, radius, normalisation, r, G, Q, t, c)


@pytest.mark.parametrize("normalisation", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (8, 7), (13, 30), (20, 33), (40, 64), (70, 50)])
def test_both_ways_are_one(n, d, normalisation):
    """Strips of one, two, three and four eights, and more than four, with and without a rest."""
    rng = np.random.default_rng([n, d])
    X, y, beta, s = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d), rng.random(d) + 0.1
    XP, yP, betaP, sP = padded(X), padded(y), padded(beta), padded(s)
    powers, rows_of = powers_of(X), padded(np.zeros((3, n)))
    assert powers.shape == (3 * d, yP.size)
    found, other = np.full((2, 2, XP.shape[1]), np.nan)
    by_columns(powers, XP, yP, betaP, sP, 0.3, normalisation, rows_of, *found)
    r, t, c = np.zeros((3, n))
    by_rows(XP, y, np.arange(n), betaP, sP, 0.3, normalisation, r, *other, t, c)
    size = np.abs(t) @ np.abs(X)
    assert np.allclose(rows_of[:, :n], [r, t, c], rtol=1e-11, atol=1e-12)
    assert (np.abs(found - other)[0, :d] <= 1e-12 * size + 1e-13).all()
    assert np.allclose(found[1], other[1], rtol=1e-10, atol=1e-11)
    a, b, cube = X @ beta - y, X**2 @ s, X**3 @ beta  # and the module's closed form
    share = np.ones(n) if normalisation == 0.0 else 1.0 - normalisation + normalisation / np.sqrt(a * a * b)
    rho = 0.3 * share
    assert np.allclose(t, a * (1.0 + 2.0 * rho * b) + rho**2 * a**2 * cube, rtol=1e-10, atol=1e-12)


def test_a_large_problem_keeps_no_powers():
    assert powers_of(np.ones((100, 400))).shape == (0, 104)

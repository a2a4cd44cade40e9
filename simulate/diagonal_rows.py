"""Residuals and gradients of rows of data, for `simulate.diagonal`: a few rows at a time, or all of them in order."""

import math

import numpy as np

from simulate.compiled import kernel
from simulate.lanes import (
    LANES,
    across,
    chosen,
    column,
    down,
    number,
    padded,
    pick,
    row,
    tile,
    write,
    zeros,
)
from simulate.strips import blank, lay, strip
from simulate.types import FloatArray, IntArray
from simulate.update import perturbation_scale

_NEAR = 4096  # numbers that stay in the nearest cache


@kernel(inline=True)
def residual_gradient(
    X: FloatArray, y: FloatArray, rows: IntArray, v: FloatArray, r: FloatArray, g: FloatArray
) -> None:
    """Write r_k = ⟨x, v⟩ − y (rows,) and g = Σ_k r_k x (d,) over the rows X[rows].

    By eights, each used twice while it is near; a small X is near as a whole, and no step need wait for the one before.
    """
    g[:] = 0.0
    near = rows.size if X.size <= _NEAR else 8
    for start in range(0, rows.size, near):
        stop = min(start + near, rows.size)
        eights, fours = stop - (stop - start) % 8, stop - (stop - start) % 4
        residuals(X, y, rows, v, r, start, eights, 8)
        residuals(X, y, rows, v, r, eights, fours, 4)
        residuals(X, y, rows, v, r, fours, stop, 1)
        combine(X, rows, r, g, start, eights, 8)
        combine(X, rows, r, g, eights, fours, 4)
        combine(X, rows, r, g, fours, stop, 1)


@kernel(inline=True)
def residuals(
    X: FloatArray, y: FloatArray, rows: IntArray, v: FloatArray, r: FloatArray, first: int, stop: int, count: int
) -> None:
    """Write r_k for k from `first` to `stop`, `count` (a constant) rows at a time."""
    for k in range(first, stop, count):
        some, total = pick(X, rows, k, count), zeros(count)
        for j in range(0, v.size, LANES):
            total = total + tile(some, j) * row(v, j)
        write(r, k, across(total) - chosen(y, rows, k, count))


@kernel(inline=True)
def combine(X: FloatArray, rows: IntArray, r: FloatArray, g: FloatArray, first: int, stop: int, count: int) -> None:
    """Add Σ_k r_k x to g for k from `first` to `stop`, `count` (a constant) rows at a time."""
    for k in range(first, stop, count):
        some, weights = pick(X, rows, k, count), column(r, k, count)
        for j in range(0, g.size, LANES):
            write(g, j, row(g, j) + down(weights * tile(some, j)))


@kernel(inline=True)
def single_rows(
    X: FloatArray, y: FloatArray, rows: IntArray, beta: FloatArray, s: FloatArray, radius: float, normalisation: float,
    r: FloatArray, G: FloatArray, Q: FloatArray, t: FloatArray, c: FloatArray,
) -> None:  # fmt: skip
    """Write r (rows,), Σ r̃ x into G and Σ c r r̃ x² into Q (d,), every row perturbed alone, rho = radius · c.

    Rows in the order of `residual_gradient`; t and c are left with r̃ and c r r̃.
    """
    G[:] = 0.0
    Q[:] = 0.0
    c[: rows.size] = 1.0
    near = rows.size if X.size <= _NEAR else 8
    for start in range(0, rows.size, near):
        stop = min(start + near, rows.size)
        eights, fours = stop - (stop - start) % 8, stop - (stop - start) % 4
        perturbed_residuals(X, y, rows, beta, s, radius, normalisation, r, t, c, start, eights, 8)
        perturbed_residuals(X, y, rows, beta, s, radius, normalisation, r, t, c, eights, fours, 4)
        perturbed_residuals(X, y, rows, beta, s, radius, normalisation, r, t, c, fours, stop, 1)
        combine_squares(X, rows, t, c, G, Q, start, eights, 8)
        combine_squares(X, rows, t, c, G, Q, eights, fours, 4)
        combine_squares(X, rows, t, c, G, Q, fours, stop, 1)


@kernel(inline=True)
def perturbed_residuals(
    X: FloatArray, y: FloatArray, rows: IntArray, beta: FloatArray, s: FloatArray, radius: float, normalisation: float,
    r: FloatArray, t: FloatArray, c: FloatArray, first: int, stop: int, count: int,
) -> None:  # fmt: skip
    """Write r_k, r̃_k into t and c r r̃ into c for k from `first` to `stop`, `count` (a constant) rows at a time."""
    for k in range(first, stop, count):
        some, products, squares, cubes = pick(X, rows, k, count), zeros(count), zeros(count), zeros(count)
        for j in range(0, beta.size, LANES):
            x = tile(some, j)
            square, product = x * x, x * row(beta, j)
            products, squares, cubes = products + product, squares + square * row(s, j), cubes + square * product
        a, b = across(products) - chosen(y, rows, k, count), across(squares)
        write(r, k, a)
        if normalisation > 0.0:
            write(c, k, a * a * b)
            for i in range(k, k + count):
                c[i] = perturbation_scale(1.0, normalisation, math.sqrt(c[i]))
        share = column(c, k, count)
        rho = radius * share
        perturbed = a * (1.0 + 2.0 * rho * b) + rho * rho * a * a * across(cubes)
        write(t, k, perturbed)
        write(c, k, share * a * perturbed)


@kernel(inline=True)
def combine_squares(
    X: FloatArray, rows: IntArray, t: FloatArray, c: FloatArray, G: FloatArray, Q: FloatArray, first: int, stop: int,
    count: int,
) -> None:  # fmt: skip
    """Add Σ_k t_k x_k to G and Σ_k c_k x_k² to Q for k from `first` to `stop`, `count` (a constant) rows at a time."""
    for k in range(first, stop, count):
        some, a, b = pick(X, rows, k, count), column(t, k, count), column(c, k, count)
        for j in range(0, G.size, LANES):
            x = tile(some, j)
            write(G, j, row(G, j) + down(a * x))
            write(Q, j, row(Q, j) + down(b * (x * x)))


@kernel(inline=True)
def sum_of_squares(r: FloatArray, size: int) -> float:
    """Return Σ r_k² over the first `size` entries."""
    lanes, whole = zeros(1), size - size % LANES
    for k in range(0, whole, LANES):
        lanes = lanes + row(r, k) * row(r, k)
    total = number(across(lanes))
    for k in range(whole, size):
        total += r[k] * r[k]
    return total


def powers_of(X: FloatArray) -> FloatArray:
    """Return x, x² and x³ of the rows of X (n, d) as columns, one below the other, (3d, n filled up with zeros).

    Nothing, (0, n filled up), of an X that is not near: reading three arrays would cost more than it saves.
    """
    return padded(np.concatenate([X.T, X.T**2, X.T**3])[: None if X.size <= _NEAR else 0])


@kernel(inline=True)
def all_single_rows(
    powers: FloatArray, X: FloatArray, y: FloatArray, beta: FloatArray, s: FloatArray, radius: float,
    normalisation: float, rows_of: FloatArray, G: FloatArray, Q: FloatArray,
) -> None:  # fmt: skip
    """Do what `single_rows` does for all rows of X in order, and sum nothing across a register.

    `powers` as of `powers_of`; y (n filled up with zeros,); rows_of (3, ≥ n) gets r, r̃ and c r r̃.
    """
    samples, dimensions = powers.shape[1], G.size
    y, G, Q = y.reshape(1, y.size), G.reshape(1, G.size), Q.reshape(1, Q.size)
    four = samples - samples % (4 * LANES)
    for at in range(0, four, 4 * LANES):
        perturb_columns(powers, y, beta, s, radius, normalisation, rows_of, at, (0, 0, 0, 0))
    left = samples - four
    if left == LANES:
        perturb_columns(powers, y, beta, s, radius, normalisation, rows_of, four, (0,))
    elif left == 2 * LANES:
        perturb_columns(powers, y, beta, s, radius, normalisation, rows_of, four, (0, 0))
    elif left == 3 * LANES:
        perturb_columns(powers, y, beta, s, radius, normalisation, rows_of, four, (0, 0, 0))
    four = dimensions - dimensions % (4 * LANES)
    for at in range(0, four, 4 * LANES):
        combine_columns(X, rows_of, G, Q, at, (0, 0, 0, 0))
    for at in range(four, dimensions, LANES):
        combine_columns(X, rows_of, G, Q, at, (0,))


@kernel
def perturb_columns(
    powers: FloatArray, y: FloatArray, beta: FloatArray, s: FloatArray, radius: float, normalisation: float,
    rows_of: FloatArray, at: int, like: tuple[int, ...],
) -> None:  # fmt: skip
    """Write r, r̃ and c r r̃ of the samples from `at` on, eight for every item of `like`."""
    d = len(powers) // 3
    products, squares, cubes = blank(like), blank(like), blank(like)
    for j in range(d):
        products = products + beta[j] * strip(powers, j, at, like)
        squares = squares + s[j] * strip(powers, d + j, at, like)
        cubes = cubes + beta[j] * strip(powers, 2 * d + j, at, like)
    a = products - strip(y, 0, at, like)
    lay(rows_of, 0, at, a)
    share = blank(like) + 1.0
    if normalisation > 0.0:
        lay(rows_of, 2, at, a * a * squares)
        for i in range(at, at + LANES * len(like)):
            rows_of[2, i] = perturbation_scale(1.0, normalisation, math.sqrt(rows_of[2, i]))
        share = strip(rows_of, 2, at, like)
    rho = radius * share
    perturbed = a * (1.0 + 2.0 * rho * squares) + rho * rho * a * a * cubes
    lay(rows_of, 1, at, perturbed)
    lay(rows_of, 2, at, share * a * perturbed)


@kernel
def combine_columns(
    X: FloatArray, rows_of: FloatArray, G: FloatArray, Q: FloatArray, at: int, like: tuple[int, ...]
) -> None:
    """Write Σ r̃ x into G and Σ c r r̃ x² into Q for the coordinates from `at` on, eight for every item of `like`."""
    g, q = blank(like), blank(like)
    for k in range(len(X)):
        x = strip(X, k, at, like)
        g = g + rows_of[1, k] * x
        q = q + rows_of[2, k] * (x * x)
    lay(G, 0, at, g)
    lay(Q, 0, at, q)

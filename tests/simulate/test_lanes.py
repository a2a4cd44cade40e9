"""Tiles: NumPy's arithmetic and the documented order of sums, to the last bit, compiled or not."""

import math
import operator
import sys

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError

from simulate.lanes import LANES, across, borrowed, chosen, column, down, number, pick, row, tile, write, zeros

COUNTS = (1, 4, 8)
ULPS = 2 * np.finfo(float).eps  # relative to the sum of magnitudes: three levels of a tree


def numbers(*shape, seed=0):
    """Return numbers that differ by many orders of magnitude."""
    rng = np.random.default_rng([seed, *shape])
    return rng.standard_normal(shape) * np.exp(3.0 * rng.standard_normal(shape))


def over_tiles(count, step):
    """Return f(X, rows, y, columns (count,), out): `step` of a row, a column and a block of tiles; out is flat."""
    step = numba.njit(step)

    @numba.njit
    def compiled(X, rows, y, v, columns, out):
        step(out, tile(pick(X, rows, 1, count), 8), row(v, 3), column(columns, 2, count), chosen(y, rows, 1, count))

    return compiled


def arguments(count):
    """Return what `over_tiles` takes, and as NumPy arrays the block, the row, the column and the chosen column."""
    X, y, v, columns, rows = numbers(12, 24), numbers(12), numbers(20), numbers(11), np.array([7, *range(11, 0, -1)])
    found = X[rows[1 : 1 + count], 8:16], v[None, 3:11], columns[2 : 2 + count, None], y[rows[1 : 1 + count], None]
    return (X, rows, y, v, columns), found


def halves(terms):
    """Return the sum in the order of the module's text, one addition at a time."""
    terms = [float(term) for term in terms]
    while len(terms) > 1:
        half = len(terms) // 2
        terms = [terms[k] + terms[half + k] for k in range(half)]
    return terms[0]


def same_bits(found, expected):
    """Return whether two arrays are one, the sign of zeros and NaN included."""
    return np.array_equal(np.asarray(found).view(np.int64), np.asarray(expected, dtype=float).view(np.int64))


# what they are


@pytest.mark.parametrize("count", COUNTS)
def test_tiles_are_what_is_read(count):
    """Written row by row or not at all: a block must be summed first."""

    def step(out, block, line, side, other):
        write(out, 0, line)
        write(out, 8, side)
        write(out, 16, other)
        write(out, 24, block)

    given, (block, line, side, other) = arguments(count)
    out = np.full(100, np.nan)
    over_tiles(count, step)(*given, out)
    assert same_bits(out[:8], line.ravel())
    assert same_bits(out[8 : 8 + count], side.ravel())
    assert same_bits(out[16 : 16 + count], other.ravel())
    assert same_bits(out[24 : 24 + 8 * count], block.ravel())
    assert np.isnan(out[24 + 8 * count :]).all()
    assert np.isnan(out[8 + count : 16]).all()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul])
def test_arithmetic_broadcasts(count, operation):
    """A block, a row, a column and a number with one another, in either order."""

    def step(out, block, line, side, other):
        size = 8 * count
        write(out, 0 * size, operation(block, line))
        write(out, 1 * size, operation(line, block))
        write(out, 2 * size, operation(block, side))
        write(out, 3 * size, operation(side, line))
        write(out, 4 * size, operation(block, 0.3))
        write(out, 5 * size, operation(0.3, block))
        write(out, 6 * size, operation(block, block))
        write(out, 7 * size, operation(side, other))

    given, (block, line, side, other) = arguments(count)
    pairs = [(block, line), (line, block), (block, side), (side, line), (block, 0.3), (0.3, block), (block, block)]
    out = np.zeros(64 * count)
    over_tiles(count, step)(*given, out)
    for k, (a, b) in enumerate(pairs):
        assert same_bits(out[8 * count * k :][: 8 * count], operation(a, b).ravel())
    assert same_bits(out[56 * count :][:count], operation(side, other).ravel())


@numba.njit
def sum_across_of_zeros(out):
    """Write what a tile begins with, and its sum."""
    write(out, 0, zeros(4))
    out[32] = number(across(zeros(1)))


def test_zeros():
    out = np.ones(34)
    sum_across_of_zeros(out)
    assert out.tolist() == [0.0] * 33 + [1.0]


# sums


def sums(out, block, line, side, other):
    """Write both sums of a block, and of a row."""
    write(out, 0, across(block))
    write(out, 8, down(block))
    write(out, 16, across(line))
    out[17] = number(across(line))


@pytest.mark.parametrize("count", COUNTS)
def test_sums_are_in_the_documented_order(count):
    """Plain loops, plain Python and compiled code: one. The controls are NumPy's own order, and one row left out."""
    given, (block, line, *_) = arguments(count)
    out = np.full(18, np.nan)
    over_tiles(count, sums)(*given, out)
    expected = [halves(terms) for terms in block]
    assert same_bits(out[:count], expected)
    assert same_bits(across(block).ravel(), expected)
    assert same_bits(out[8:16], [halves(terms) for terms in block.T])
    assert same_bits(down(block).ravel(), out[8:16])
    assert out[16] == out[17] == halves(line[0])
    for terms, found in [*zip(block, out[:count], strict=True), *zip(block.T, out[8:16], strict=True)]:
        scale = math.fsum(abs(terms))
        assert abs(found - math.fsum(terms)) <= ULPS * scale
        assert abs(found - math.fsum(np.delete(terms, abs(terms).argmax()))) > ULPS * scale


def test_another_order_has_other_bits():
    """The negative control: the comparison above would see a sum from left to right, or of neighbours."""
    same = np.zeros(2)
    for seed in range(100):
        terms = numbers(8, seed=seed)
        found = across(terms[None]).item()
        same += found == sum(terms.tolist()), found == halves(terms.reshape(4, 2).T.ravel())
    assert (same < 60).all()


@pytest.mark.parametrize("count", COUNTS)
def test_bits_depend_neither_on_memory_nor_on_neighbours(count):
    """Wherever the arrays lie and whatever stands beside them; a row has the sum that it has alone."""
    (X, rows, *rest), _ = arguments(count)
    one, expected = over_tiles(count, sums), np.full(18, np.nan)
    one(X, rows, *rest, expected)
    for offset in range(1, 9):
        buffer, out = np.full(X.size + 20, np.nan), np.full(30, np.nan)[offset : offset + 18]
        moved = buffer[offset : offset + X.size].reshape(X.shape)
        moved[:] = X
        one(moved, rows, *rest, out)
        assert np.array_equal(out, expected, equal_nan=True)
    alone = over_tiles(1, sums)
    for k in range(count):
        alone(X, rows[k:].copy(), *rest, out)
        assert out[0] == expected[k]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_kept(value):
    """Wherever it stands, and nowhere else."""
    summed = over_tiles(8, sums)
    for i in range(8):
        for j in range(LANES):
            (X, rows, *rest), _ = arguments(8)
            X[rows[1 + i], 8 + j] = value
            out = np.full(18, np.nan)
            summed(X, rows, *rest, out)
            assert np.array_equal(out[i], value, equal_nan=True)
            assert np.array_equal(out[8 + j], value, equal_nan=True)
            assert np.isfinite(np.delete(out[:16], [i, 8 + j])).all()


# what is no tile


@pytest.mark.compiled
def test_count_must_be_a_constant():
    @numba.njit
    def uncounted(array, count):
        return number(across(column(array, 0, count)))

    with pytest.raises(TypingError):
        uncounted(np.ones(8), 1)


@pytest.mark.compiled
def test_arrays_must_be_contiguous():
    given, _ = arguments(4)
    with pytest.raises(TypingError, match="is not contiguous"):
        over_tiles(4, sums)(np.asfortranarray(given[0]), *given[1:], np.zeros(18))
    with pytest.raises(TypingError, match="is not contiguous"):
        over_tiles(4, sums)(*given, np.zeros(36)[::2])


@numba.njit
def write_through(x):
    """Write into a view of a borrowed array."""
    view = borrowed(x)[1:3]
    view[0] = 7.0
    return view[1]


def test_borrowed_array_is_the_caller_s_own():
    """The same memory, and neither released nor kept."""
    x = np.arange(10.0)
    before = sys.getrefcount(x)
    assert [write_through(x) for _ in range(1000)] == [2.0] * 1000
    assert x.tolist() == [0.0, 7.0, *range(2, 10)]
    assert sys.getrefcount(x) == before


def test_plain_tiles_are_copies():
    """As in registers: what is written to the array afterwards does not change them."""
    for read in (lambda x: row(x, 0), lambda x: column(x, 0, 4), lambda x: chosen(x, np.arange(8), 0, 4)):
        array = np.ones(8)
        found = read(array)
        array[:] = 2.0
        assert (found == 1.0).all()

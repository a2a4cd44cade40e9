"""Inner products in eight lanes: exact to a few ulps, in one order, compiled or not."""

import math
import sys

import numba
import numpy as np
import pytest

from simulate.lanes import _tree, borrowed, inner, moments

LENGTHS = [0, 8, 16, 24, 32, 40, 800]
ULPS = 4 * np.finfo(float).eps  # 25 terms an accumulator at most, then 5 levels of a tree


@numba.njit
def compiled_inner(x, y):
    """Call `inner`, which only compiled code can."""
    return inner(x, y)


@numba.njit
def compiled_moments(x, y, z):
    """Call `moments`, which only compiled code can."""
    return moments(x, y, z)


@numba.njit
def write_through(x):
    """Write into a view of a borrowed array."""
    view = borrowed(x)[1:3]
    view[0] = 7.0
    return view[1]


def vectors(length, seed=0, count=3):
    """Return vectors whose terms differ by many orders of magnitude."""
    rng = np.random.default_rng([seed, length])
    return rng.standard_normal((count, length)) * np.exp(3.0 * rng.standard_normal((count, length)))


def documented_order(terms):
    """Return the sum in the order of the module's text, one addition at a time."""
    sums = [[0.0] * 8 for _ in range(4)]
    for j, term in enumerate(terms):
        sums[j // 8 % 4][j % 8] += float(term)
    lanes = [(a + b) + (c + d) for a, b, c, d in zip(*sums, strict=True)]
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = [lanes[k] + lanes[half + k] for k in range(half)]
    return lanes[0]


def products(x, y, z):
    """Return the terms of `inner` and of the three `moments`."""
    return [x * y, x * y, (x * x) * z, (x * x) * (x * y)]


def sums(x, y, z):
    """Return what the module makes of them."""
    return [compiled_inner(x, y), *compiled_moments(x, y, z)]


@pytest.mark.parametrize("length", LENGTHS)
def test_sums_are_exact_to_a_few_ulps(length):
    """Against fsum, relative to the sum of magnitudes; the control leaves one term out."""
    for seed in range(5):
        x, y, z = vectors(length, seed)
        for found, terms in zip(sums(x, y, z), products(x, y, z), strict=True):
            scale = math.fsum(abs(terms))
            assert abs(found - math.fsum(terms)) <= ULPS * scale
            assert length == 0 or abs(found - math.fsum(np.delete(terms, abs(terms).argmax()))) > ULPS * scale


def test_small_integers_are_exact():
    x, y, z = (np.random.default_rng(0).integers(-9, 9, size=(3, 800))).astype(float)
    assert sums(x, y, z) == [math.fsum(terms) for terms in products(x, y, z)]


@pytest.mark.parametrize("length", LENGTHS)
def test_order_is_the_documented_one(length):
    """The bits of plain loops, of `_tree` and of the compiled code are one."""
    for seed in range(5):
        x, y, z = vectors(length, seed)
        expected = [documented_order(terms) for terms in products(x, y, z)]
        assert sums(x, y, z) == expected
        assert [_tree(terms) for terms in products(x, y, z)] == expected


def test_another_order_has_other_bits():
    """The negative control: the comparison above would see a sum from left to right, or reversed."""
    same = np.zeros(2)
    for seed in range(25):
        x, y, z = np.random.default_rng(seed).standard_normal((3, 800))
        for found, terms in zip(sums(x, y, z), products(x, y, z), strict=True):
            same += found == sum(terms.tolist()), found == documented_order(terms[::-1])
    assert (same < 50).all()  # of 100


@pytest.mark.parametrize("length", LENGTHS)
def test_order_depends_on_nothing_but_the_length(length):
    """Neither where the arrays lie in memory nor what lies beside them changes a bit."""
    x, y, z = vectors(length)
    expected = sums(x, y, z)
    for offset in range(1, 9):
        beside = np.full((3, length + 20), np.nan)
        moved = beside[:, offset : offset + length]
        moved[:] = x, y, z
        assert sums(*moved) == expected
    x.setflags(write=False)
    assert sums(x, y, z) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_kept(value):
    """Wherever it stands."""
    for place in range(40):
        x = np.ones(40)
        x[place] = value
        found = sums(x, np.ones(40), np.ones(40))
        assert np.array_equal(found, [value, value, value * value, value**3], equal_nan=True)


def test_borrowed_array_is_the_caller_s_own():
    """The same memory, and neither released nor kept."""
    x = np.arange(10.0)
    before = sys.getrefcount(x)
    assert [write_through(x) for _ in range(1000)] == [2.0] * 1000
    assert x.tolist() == [0.0, 7.0, *range(2, 10)]
    assert sys.getrefcount(x) == before

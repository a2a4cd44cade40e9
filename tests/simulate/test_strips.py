"""Strips: NumPy's arithmetic to the last bit, compiled or not; an exponential that loses no digit."""

import math
import operator

import numba
import numpy as np
import pytest

from simulate.lanes import LANES
from simulate.strips import (
    at_least,
    blank,
    exponential,
    lay,
    lowest,
    masked,
    positive_bits,
    power_of_two,
    strip,
    summed,
)

COUNTS = (1, 3, 8)
AWKWARD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1.0])


def numbers(count, seed=0):
    """Return (2, 8 (count + 2)) numbers of many sizes, the awkward ones among them."""
    rng = np.random.default_rng([count, seed])
    found = rng.standard_normal((2, LANES * (count + 2))) * np.exp(3.0 * rng.standard_normal((2, LANES * (count + 2))))
    found[:, LANES : 2 * LANES] = AWKWARD
    found[1, :LANES] = rng.permutation(AWKWARD)
    return found


def same_bits(found, expected):
    return np.array_equal(np.asarray(found).view(np.int64), np.asarray(expected, dtype=float).view(np.int64))


def both_ways(change, count):
    """Return what `change(X, out, like)` writes into out, compiled and in plain Python; they must be the same bits."""
    X, like = numbers(count), (0,) * count
    compiled, plain = np.zeros_like(X), np.zeros_like(X)
    numba.njit(error_model="numpy")(change)(X, compiled, like)
    with np.errstate(all="ignore"):
        change(X, plain, like)
    nan = np.isnan(plain)  # whose sign and payload nobody promises
    assert np.array_equal(nan, np.isnan(compiled))
    assert same_bits(compiled[~nan], plain[~nan])
    return X, compiled


@pytest.mark.parametrize("count", COUNTS)
def test_a_strip_is_what_is_read_and_written(count):
    X, out = both_ways(lambda X, out, like: lay(out, 1, 5, strip(X, 0, 3, like)), count)
    expected = np.zeros_like(X)
    expected[1, 5 : 5 + LANES * count] = X[0, 3 : 3 + LANES * count]
    assert np.array_equal(out, expected, equal_nan=True)


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul, operator.truediv])
@pytest.mark.parametrize("count", COUNTS)
def test_arithmetic(operation, count):
    def change(X, out, like):
        lay(out, 0, 0, operation(operation(strip(X, 0, 0, like), strip(X, 1, 0, like)), 3.0))
        lay(out, 1, 0, operation(-0.1, strip(X, 1, 0, like)))

    X, out = both_ways(change, count)
    size = LANES * count
    with np.errstate(all="ignore"):
        assert np.array_equal(out[1, :size], operation(-0.1, X[1, :size]), equal_nan=True)
        expected = operation(operation(X[0, :size], X[1, :size]), 3.0)
    assert np.array_equal(out[0, :size], expected, equal_nan=True)


@pytest.mark.parametrize("count", COUNTS)
def test_bits_are_the_places_of_positive_numbers(count):
    X, like = numbers(count), (0,) * count
    find = numba.njit(lambda X, like: positive_bits(strip(X, 0, 0, like)))
    bits = int(find(X, like))
    assert [bits >> k & 1 for k in range(64)] == [*(X[0, : LANES * count] > 0.0), *[False] * (64 - LANES * count)]
    assert bits == int(positive_bits(strip(X, 0, 0, like)))


@pytest.mark.parametrize("count", COUNTS)
def test_masked_and_at_least(count):
    def change(X, out, like):
        lay(out, 0, 0, masked(strip(X, 0, 0, like), positive_bits(strip(X, 1, 0, like))))
        lay(out, 1, 0, at_least(strip(X, 1, 0, like), -0.5))

    X, out = both_ways(change, count)
    size = LANES * count
    assert np.array_equal(out[0, :size], np.where(X[1, :size] > 0.0, X[0, :size], 0.0), equal_nan=True)
    assert np.array_equal(out[1, :size], np.maximum(X[1, :size], -0.5), equal_nan=True)


@pytest.mark.parametrize("count", COUNTS)
def test_summed_adds_in_the_order_it_says(count):
    X, like = np.random.default_rng(count).standard_normal((1, LANES * count)), (0,) * count
    total = numba.njit(lambda X, like: summed(strip(X, 0, 0, like)))(X, like)
    assert total == summed(strip(X, 0, 0, like))
    assert total == pytest.approx(math.fsum(X[0, : LANES * count]), abs=1e-13 * count)


def test_blank():
    _, out = both_ways(lambda X, out, like: lay(out, 0, 0, blank(like) + 2.0), 3)
    assert same_bits(out[0], [2.0] * 24 + [0.0] * 16)


@pytest.mark.parametrize("place", [0, 1, 31, 62, 63])
def test_lowest(place):
    bits = np.uint64(1 << place | 1 << 63)
    assert numba.njit(lambda bits: lowest(bits))(bits) == lowest(bits) == place


def values(x):
    """Return `exponential` of an array, compiled."""

    @numba.njit(error_model="numpy")
    def write(X, out):
        for i in range(len(X)):
            lay(out, i, 0, exponential(strip(X, i, 0, (0,))))

    x = np.reshape(np.asarray(x, float), (-1, LANES))
    out = np.empty_like(x)
    write(x, out)
    with np.errstate(all="ignore"):
        assert same_bits(out, [exponential.py_func(row[None])[0] for row in x])
    return out.ravel()


def test_exponential_is_within_an_ulp():
    """Against extended precision, whose own rounding is a thousandth of an ulp."""
    rng = np.random.default_rng(0)
    x = -np.concatenate([rng.uniform(0, high, 4000) for high in (1e-3, 1.0, 40.0, 708.3)])
    exact = np.exp(x.astype(np.longdouble))
    assert np.finfo(np.longdouble).eps < 1e-3 * np.finfo(float).eps
    error = np.abs(values(x) - exact) / np.spacing(exact.astype(float))
    assert error.max() < 1.0
    assert error.mean() < 0.3


def test_exponential_at_the_ends():
    x = [0.0, -0.0, -5e-324, -708.3, -708.75, -709.0, -1e300, -np.inf]
    assert same_bits(values(x)[[0, 1, 2, 4, 5, 6, 7]], [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    assert values(x)[3] == pytest.approx(math.exp(-708.3), rel=1e-15)
    assert np.isnan(values([np.nan] * LANES)).all()


def test_powers_of_two():
    exponents = np.array([-1023.0, -1022.0, -1.0, 0.0, 1.0, 1023.0, -2000.0, np.nan])[None]
    compiled = np.empty_like(exponents)
    numba.njit(lambda X, out: lay(out, 0, 0, power_of_two(strip(X, 0, 0, (0,)))))(exponents, compiled)
    assert same_bits(compiled, [[0.0, 2.0**-1022, 0.5, 1.0, 2.0, 2.0**1023, 0.0, 0.0]])
    assert same_bits(power_of_two(exponents), compiled)

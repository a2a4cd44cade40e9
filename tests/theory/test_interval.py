"""The statistics of judging: coverage at a stated rate, exact slopes, and what is refused."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from theory.interval import Interval, mean_interval, slopes

FALSE_ALARM = 1e-6  # of each statistical test here; seeds are fixed


def test_ends_of_an_interval():
    interval = Interval(2.0, 0.5)
    assert (interval.low, interval.high) == (1.5, 2.5)


def test_interval_by_hand():
    """Of 1, 2, 3: mean 2, standard error 1/√3, and t(2 degrees, 97.5 %) = 4.302653."""
    interval = mean_interval(np.array([1.0, 2.0, 3.0]), 0.05)
    assert interval.value == 2.0
    assert interval.half_width == pytest.approx(4.302652729911275 / np.sqrt(3.0), rel=1e-9)


def _missed(rate, replicates, draws=20_000):
    """How many of `draws` intervals of a normal sample miss its mean, and how many with a normal's quantile would."""
    samples = 3.0 + 2.0 * np.random.default_rng(5).standard_normal((draws, replicates))
    intervals = [mean_interval(sample, rate) for sample in samples]
    student = sum(abs(i.value - 3.0) > i.half_width for i in intervals)
    error = samples.std(axis=1, ddof=1) / np.sqrt(replicates)
    normal = int((np.abs(samples.mean(axis=1) - 3.0) > norm.isf(rate / 2) * error).sum())
    return student, normal, binom.interval(1.0 - FALSE_ALARM, draws, rate)


@pytest.mark.parametrize("rate", [0.01, 0.1])
@pytest.mark.parametrize("replicates", [2, 5, 24])
def test_coverage_at_the_stated_rate(rate, replicates):
    student, _, (low, high) = _missed(rate, replicates)
    assert low <= student <= high


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_normal_quantiles_do_not_cover(rate):
    """The negative control: with five replicates a normal's quantile misses far too often."""
    _, normal, (_, high) = _missed(rate, 5)
    assert normal > high


def test_interval_widens_with_certainty_and_shrinks_with_replicates():
    sample = np.random.default_rng(0).standard_normal(400)
    widths = [mean_interval(sample, rate).half_width for rate in (0.1, 1e-2, 1e-4, 1e-8)]
    assert widths == sorted(widths)
    assert mean_interval(sample, 0.01).half_width < 0.3 * mean_interval(sample[:20], 0.01).half_width


def test_replicates_that_agree_have_no_width():
    assert mean_interval(np.full(7, 1.5), 1e-4) == Interval(1.5, 0.0)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_replicates_are_refused(count):
    with pytest.raises(ValueError, match=f"replicates = {count}: must be at least 2"):
        mean_interval(np.ones(count), 0.05)
    assert mean_interval(np.ones(2), 0.05).half_width == 0.0


@pytest.mark.parametrize("exponent", [-2.0, -0.25, 0.0, 0.5, 3.0])
def test_slopes_are_exact_on_power_laws(exponent):
    """Whatever the constants, the order of the points and their number (two are enough)."""
    x = np.array([1e3, 3e3, 1e5, 7e8])
    constants = np.array([1e-5, 1.0, 2.5e7])
    y = constants * x[:, None] ** exponent
    for rows in (slice(None), slice(None, None, -1), slice(2)):
        found = slopes(x[rows], y[rows])
        assert found.shape == (3,)
        assert np.abs(found - exponent).max() < 1e-13
    assert np.abs(slopes(x, y * x[:, None] ** 1e-6) - exponent).min() > 5e-7


def test_slope_of_scattered_points_is_least_squares():
    rng = np.random.default_rng(1)
    x, y = np.exp(rng.standard_normal(9)), np.exp(rng.standard_normal((9, 4)))
    expected = np.polyfit(np.log(x), np.log(y), 1)[0]
    assert slopes(x, y) == pytest.approx(expected, rel=1e-12)

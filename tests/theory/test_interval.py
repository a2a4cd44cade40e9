"""The statistics of judging: coverage at a stated rate, exact slopes, and what is refused."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from theory.interval import Interval, bounded_interval, interval_of, mean_interval, slopes

FALSE_ALARM = 1e-6  # of each statistical test here; seeds are fixed


def test_half_width_is_to_the_farther_end():
    assert Interval(2.0, 1.5, 2.25).half_width == 0.5
    assert Interval(2.0, 1.9, 2.25).half_width == 0.25


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


@pytest.mark.parametrize(("replicates", "share"), [(6, 0.5), (6, 0.9), (24, 0.02), (24, 0.9), (160, 0.99)])
def test_shares_are_missed_no_more_often_than_stated(replicates, share):
    """Zeros and ones, by their exact probabilities; the control: Student's, without a width where all agree."""
    exact = student = 0.0
    for ones in range(replicates + 1):
        sample = np.repeat([1.0, 0.0], [ones, replicates - ones])
        probability = binom.pmf(ones, replicates, share)
        mean, interval = mean_interval(sample, 0.01), bounded_interval(sample, 0.01, 0.0, 1.0)
        assert interval.value == mean.value
        exact += probability * (not interval.low <= share <= interval.high)
        student += probability * (not mean.low <= share <= mean.high)
    assert exact <= 0.01
    assert student > 0.025


@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_rare_outliers_are_covered(scale):
    """Errors about 0.01, one in a hundred 0.1; the control: Student's interval is far too narrow."""
    rng = np.random.default_rng(8)
    missed = np.zeros(2)
    for _ in range(2000):
        sample = scale * np.where(rng.random(32) < 0.01, 0.1, rng.normal(0.01, 0.0005, 32))
        for k, found in enumerate((bounded_interval(sample, 1e-4, 0.0, scale), mean_interval(sample, 1e-4))):
            missed[k] += not found.low <= 0.0109 * scale <= found.high
    assert missed[0] <= binom.isf(FALSE_ALARM, 2000, 1e-4)
    assert missed[1] > 200


def test_bounded_interval_by_hand():
    """All of 24 at an end: the share at which that has probability 0.005 is 0.005^(1/24), or as far from 0."""
    edge = 0.005 ** (1 / 24)
    ones, zeros = (bounded_interval(np.full(24, value), 0.01, 0.0, 1.0) for value in (1.0, 0.0))
    assert (ones.value, ones.low, ones.high) == (1.0, pytest.approx(edge, rel=1e-9), 1.0)
    assert (zeros.value, zeros.low, zeros.high) == (0.0, 0.0, pytest.approx(1.0 - edge, rel=1e-9))
    moved = bounded_interval(np.full(24, 5.0), 0.01, 2.0, 5.0)
    assert (moved.value, moved.low, moved.high) == (5.0, pytest.approx(2.0 + 3.0 * edge, rel=1e-9), 5.0)
    half = bounded_interval(np.repeat([0.0, 1.0], 50), 0.01, 0.0, 1.0)
    for p in (half.low, half.high):
        assert 100 * (0.5 * np.log(0.5 / p) + 0.5 * np.log(0.5 / (1.0 - p))) == pytest.approx(np.log(200.0), rel=1e-6)


def test_samples_say_what_they_are():
    sample = np.array([0.2, 0.4, 0.9])
    assert interval_of({"range": (0.0, 2.0)})(sample, 0.1) == bounded_interval(sample, 0.1, 0.0, 2.0)
    assert interval_of({}) is interval_of({"x": 1.0}) is mean_interval


def test_interval_widens_with_certainty_and_shrinks_with_replicates():
    sample = np.random.default_rng(0).standard_normal(400)
    widths = [mean_interval(sample, rate).half_width for rate in (0.1, 1e-2, 1e-4, 1e-8)]
    assert widths == sorted(widths)
    assert mean_interval(sample, 0.01).half_width < 0.3 * mean_interval(sample[:20], 0.01).half_width


def test_replicates_that_agree_have_no_width():
    assert mean_interval(np.full(7, 1.5), 1e-4) == Interval(1.5, 1.5, 1.5)


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

"""Critical values: roots of known error curves, met by a runner that computes nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import ndtr

from simulate.bisection import critical_values, find_brackets
from simulate.conv_run import ConvSpec
from simulate.parameters import ParameterError
from simulate.runner import Runner
from simulate.signal_noise import SignalNoise


class Curve:
    """A runner whose runs are numbers or tuples (value, …), their error a known function of them."""

    def __init__(self, error):
        self.error, self.asked = error, []

    def run(self, specs):
        """Return a result for each."""
        self.asked.append(list(specs))
        return [SimpleNamespace(clean_error=self.error(spec)) for spec in specs]


def one_run(value):
    """Return a point's runs at a value: one, known by it."""
    return [value]


LEVEL = 0.125


@pytest.mark.parametrize("halvings", [0, 5, 12])
@pytest.mark.parametrize("root", [0.7, 3.0, 9.5])
def test_root_of_a_power_law(root, halvings):
    """e = LEVEL (root/v)², to a share of the last bracket, log(40)/2^halvings, that interpolation makes smaller."""
    found = critical_values(Curve(lambda v: LEVEL * (root / v) ** 2), [one_run], LEVEL, [(0.5, 20.0)], halvings)
    assert found.shape == (1,)
    assert abs(np.log(found[0] / root)) < np.log(40.0) / 2**halvings
    if halvings == 12:
        assert found[0] == pytest.approx(root, rel=1e-5)
        assert found[0] != pytest.approx(1.01 * root, rel=1e-3)  # the control


def test_interpolation_is_exact_where_the_error_is_linear_in_the_logarithm():
    found = critical_values(Curve(lambda v: LEVEL - 0.1 * np.log(v / 2.2)), [one_run], LEVEL, [(1.0, 5.0)], 2)
    assert found[0] == pytest.approx(2.2, rel=1e-12)


def test_bracket_is_halved_that_many_times():
    curve = Curve(lambda v: ndtr(-v))
    critical_values(curve, [one_run], LEVEL, [(0.5, 4.0)], 6)
    values = np.array([specs[0] for specs in curve.asked])
    assert len(values) == 2 + 6
    assert values[:3] == pytest.approx([0.5, 4.0, np.sqrt(2.0)])
    assert abs(values[-1] - 1.15035) < 0.05
    steps = np.abs(np.diff(np.log(values[2:])))
    assert steps == pytest.approx(np.log(8.0) / 2.0 ** np.arange(2, 7))


def test_points_are_solved_together_and_apart():
    """One call of the runner a halving, whatever the number of points; each has its own root and bracket."""
    roots = np.array([0.3, 1.0, 7.0])

    def point(k):
        return lambda value: [(k, value)] * 2

    curve = Curve(lambda spec: LEVEL * roots[spec[0]] / spec[1])
    brackets = np.outer(roots, (0.2, 3.0))
    found = critical_values(curve, [point(k) for k in range(3)], LEVEL, brackets, 10)
    assert found == pytest.approx(roots, rel=1e-4)
    assert [len(specs) for specs in curve.asked] == [6] * 12
    for k in range(3):
        alone = critical_values(Curve(curve.error), [point(k)], LEVEL, brackets[k : k + 1], 10)
        assert alone[0] == found[k]


@pytest.mark.parametrize("bracket", [(0.5, 0.9), (2.0, 9.0), (9.0, 0.1)])
def test_root_outside_the_bracket_is_nan(bracket):
    """Too low, too high or the wrong way round; the other points are not disturbed."""
    curve = Curve(lambda v: LEVEL / v)
    found = critical_values(curve, [one_run, one_run], LEVEL, [bracket, (0.5, 3.0)], 8)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("error", [0.0, 0.5, np.nan])
def test_constant_errors_have_no_root(error):
    assert np.isnan(critical_values(Curve(lambda v: error), [one_run], LEVEL, [(0.5, 3.0)], 4)).all()


def test_level_met_exactly_at_the_lower_end():
    """The lower end may have the level itself: the root is that end."""
    found = critical_values(Curve(lambda v: LEVEL / v), [one_run], LEVEL, [(1.0, 4.0)], 12)
    assert found[0] == pytest.approx(1.0, rel=1e-4)
    assert np.isnan(critical_values(Curve(lambda v: LEVEL / v), [one_run], LEVEL, [(0.25, 1.0)], 12)[0])


@pytest.mark.parametrize(("average", "expected"), [(np.mean, 2.0), (np.median, 1.0), (np.max, 4.0)])
def test_average_of_the_runs_is_held_at_the_level(average, expected):
    """Errors LEVEL r/v with r = 1, 1, 4: mean 2, median 1."""
    curve = Curve(lambda spec: LEVEL * spec[0] / spec[1])
    found = critical_values(curve, [lambda v: [(r, v) for r in (1.0, 1.0, 4.0)]], LEVEL, [(0.3, 9.0)], 12, average)
    assert found[0] == pytest.approx(expected, rel=1e-4)


def test_with_real_runs():
    """Signal alone, no noise patch and no hidden luck: the error is ½ at mu = 0 and falls as mu grows."""

    def point(mu):
        return [
            ConvSpec(SignalNoise(6, 50, 2, mu, 1.0, 0.0), 3, 0.01, step_size=0.05, max_steps=60, seed=seed)
            for seed in range(3)
        ]

    def error(mu):
        return np.mean([result.clean_error for result in Runner().run(point(mu))])

    found = critical_values(Runner(), [point], LEVEL, [(0.1, 20.0)], 7)[0]
    assert 0.1 < found < 20.0
    assert error(0.95 * found) > LEVEL > error(1.05 * found)


# brackets, values, directions


def test_rising_averages_are_bracketed_the_other_way_round():
    """The first end is the one above the level, whichever is the larger."""
    curve = Curve(lambda v: LEVEL * v / 3.0)
    assert critical_values(curve, [one_run], LEVEL, [(20.0, 0.5)], 12)[0] == pytest.approx(3.0, rel=1e-5)
    assert np.isnan(critical_values(curve, [one_run], LEVEL, [(0.5, 20.0)], 12)[0])


def test_another_value_and_a_level_for_each_point():
    class Losses(Curve):
        def run(self, specs):
            return [SimpleNamespace(clean_error=0.0, loss=self.error(spec)) for spec in specs]

    found = critical_values(Losses(lambda v: 1.0 / v), [one_run] * 2, np.array([0.25, 0.5]), [(0.5, 9.0)] * 2, 14,
                            value=lambda result: result.loss)  # fmt: skip
    assert found == pytest.approx([4.0, 2.0], rel=1e-5)


def test_an_infinite_average_is_above_and_one_that_is_not_a_number_nowhere():
    found = critical_values(Curve(lambda v: np.inf if v > 3.0 else 0.0), [one_run], LEVEL, [(20.0, 0.5)], 12)
    assert found[0] == pytest.approx(3.0, rel=1e-3)
    assert np.isnan(critical_values(Curve(lambda v: np.nan if v > 3.0 else LEVEL), [one_run], LEVEL, [(0.5, 20.0)])[0])


@pytest.mark.parametrize("root", [0.013, 0.9, 1.1, 70.0])
@pytest.mark.parametrize("power", [-1.0, 1.0])
def test_bracket_is_found_by_doubling(root, power):
    brackets, words = find_brackets(Curve(lambda v: LEVEL * (v / root) ** power), [one_run], LEVEL, (1.0, 1.0), 10)
    above, below = brackets[0] if power < 0.0 else brackets[0, ::-1]
    assert words == [""]
    assert above < root < below == 2.0 * above


def test_bracket_that_is_given_is_turned_and_not_left():
    curve = Curve(lambda v: LEVEL * v / 3.0)
    brackets, words = find_brackets(curve, [one_run], LEVEL, (1.0, 5.0))
    assert (brackets.tolist(), words) == ([[5.0, 1.0]], [""])
    brackets, words = find_brackets(curve, [one_run], LEVEL, (5.0, 9.0))
    assert np.isnan(brackets).all()
    assert words == ["above the level from 5 to 9"]
    assert curve.asked == [[1.0, 5.0], [5.0, 9.0]]


def test_search_is_bounded_and_stops_where_the_model_refuses():
    def refusing(value):
        if value > 5.0:
            raise ParameterError("too large")
        return [value]

    curve = Curve(lambda v: 0.0)
    brackets, words = find_brackets(curve, [refusing, one_run], LEVEL, (1.0, 1.0), 4)
    assert np.isnan(brackets).all()
    assert words == ["below the level from 0.0625 to 4", "below the level from 0.0625 to 16"]
    with pytest.raises(ParameterError):
        find_brackets(curve, [refusing], LEVEL, (6.0, 6.0), 4)


def test_level_met_on_both_sides_is_told_and_so_is_what_is_not_finite():
    for error, word in ((lambda v: abs(np.log(v)), "met twice"), (lambda v: np.nan, "not finite")):
        brackets, words = find_brackets(Curve(error), [one_run], LEVEL, (1.0, 1.0), 4)
        assert np.isnan(brackets).all()
        assert words == [word]

"""The judges: every outcome each of them can give, drift towards a limit, missing numbers, and false alarms."""

import numpy as np
import pytest

from theory.claim import Kind, Outcome, Samples
from theory.verdict import JUDGES, judge

HOLDS, VIOLATED, VACUOUS = Outcome.HOLDS, Outcome.VIOLATED, Outcome.VACUOUS
INCONCLUSIVE = Outcome.INCONCLUSIVE
RATE = 1e-4
X = 10.0 ** np.arange(3, 9)  # towards large x


def spread(centre, scale, replicates=8):
    """Return replicates with exactly that mean and a standard deviation of about `scale`: (…, replicates)."""
    steps = np.linspace(-1.5, 1.5, replicates)
    return np.asarray(centre, float)[..., None] + scale * steps


def outcome(kind, samples, prediction, tolerance=0.0, rate=RATE):
    """Return the outcome alone."""
    return judge(kind, samples, prediction, tolerance, rate).outcome


def power_law(exponent, scale=1e-5, correction=lambda x: 0.0 * x, x=X):
    """Return samples of x^exponent · e^correction(x), replicates with slopes `scale` · (1/decades) apart."""
    noise = spread(np.zeros(1), scale)
    y = np.exp(exponent * np.log(x) + correction(x))[:, None] * x[:, None] ** noise
    return Samples(y, {"x": x})


def test_every_kind_has_a_judge():
    assert set(JUDGES) == set(Kind)


# identities


def test_identity():
    predicted = np.array([1.0, -4.0, 2.0])
    exact = judge(Kind.IDENTITY, Samples(predicted), predicted, 0.0, RATE)
    assert (exact.outcome, exact.value, exact.interval, exact.points) == (HOLDS, 0.0, None, 3)
    near = Samples(predicted + np.array([0.0, 0.0, 4e-6]))
    off = judge(Kind.IDENTITY, near, predicted, 1e-5, RATE)
    assert off.value == pytest.approx(1e-6, rel=1e-6)  # relative to the largest, 4
    assert off.outcome is HOLDS
    assert outcome(Kind.IDENTITY, near, predicted, 1e-7) is VIOLATED


def test_identity_with_a_prediction_of_zero():
    """There is nothing to be relative to: the error is the absolute one."""
    verdict = judge(Kind.IDENTITY, Samples(np.array([0.0, 1e-9])), 0.0, 1e-8, RATE)
    assert (verdict.outcome, verdict.value) == (HOLDS, 1e-9)
    assert outcome(Kind.IDENTITY, Samples(np.array([0.0, 1e-7])), 0.0, 1e-8) is VIOLATED


# bounds


BOUNDS = [(Kind.UPPER_BOUND, 1.0), (Kind.LOWER_BOUND, -1.0)]


@pytest.mark.parametrize(("kind", "side"), BOUNDS)
def test_bound_at_every_point(kind, side):
    bound = np.array([1.0, 2.0, -4.0])
    inside = judge(kind, Samples(bound - side * 0.1), bound, 0.0, RATE)
    assert inside.outcome is HOLDS
    assert inside.value == pytest.approx(0.1 / 4.0)
    assert inside.details["share inside"] == 1.0
    one_out = judge(kind, Samples(bound - side * np.array([0.1, -0.1, 0.1])), bound, 0.0, RATE)
    assert one_out.outcome is VIOLATED
    assert one_out.value == pytest.approx(-0.05)
    assert one_out.details["share inside"] == pytest.approx(2 / 3)
    assert outcome(kind, Samples(bound - side * np.array([0.1, -0.1, 0.1])), bound, 0.06) is HOLDS
    assert outcome(kind, Samples(bound), bound) is HOLDS  # equality is inside


@pytest.mark.parametrize(("kind", "side"), BOUNDS)
def test_bound_of_zero_has_absolute_slack(kind, side):
    assert judge(kind, Samples(np.array([-side * 0.5])), np.zeros(1), 0.0, RATE).value == 0.5
    assert outcome(kind, Samples(np.array([side * 0.5])), np.zeros(1)) is VIOLATED


@pytest.mark.parametrize(("kind", "side"), BOUNDS)
def test_bound_of_a_mean(kind, side):
    """The mean of the replicates is bounded, not each of them, and the interval decides."""
    bound = np.array([1.0, 2.0])
    deep = judge(kind, Samples(spread(bound - side * 0.5, 0.01)), bound, 0.0, RATE)
    assert deep.outcome is HOLDS
    assert deep.interval[0] < deep.value < deep.interval[1]
    assert deep.value == pytest.approx(0.25)
    assert outcome(kind, Samples(spread(bound - side * np.array([0.5, -0.5]), 0.01)), bound) is VIOLATED
    assert outcome(kind, Samples(spread(bound - side * np.array([0.5, 0.001]), 0.01)), bound) is INCONCLUSIVE
    assert outcome(kind, Samples(spread(bound - side * np.array([0.5, -0.001]), 0.01)), bound) is INCONCLUSIVE
    assert outcome(kind, Samples(spread(bound + side * 0.01, 1e-4)), bound, 0.02) is HOLDS
    shadowed = Samples(np.stack([spread(bound[0] + side * 0.5, 0.001), spread(bound[1] - side * 0.1, 2.0)]))
    assert outcome(kind, shadowed, bound) is VIOLATED  # a wide interval elsewhere does not hide it
    assert deep.details == {"observed mean there": pytest.approx(2.0 - side * 0.5), "bound there": 2.0}


@pytest.mark.parametrize(("kind", "side"), BOUNDS)
@pytest.mark.parametrize("replicates", [False, True])
def test_bound_that_says_nothing_is_vacuous(kind, side, replicates):
    trivial = 0.5
    observed = np.array([trivial - side * 0.3] * 2)
    observed = spread(observed, 0.001) if replicates else observed
    samples = Samples(observed, {"trivial": trivial})
    assert outcome(kind, samples, np.full(2, trivial)) is VACUOUS
    assert outcome(kind, samples, np.full(2, trivial + side)) is VACUOUS
    assert outcome(kind, samples, np.array([trivial + side, trivial - side * 0.1])) is HOLDS  # says something at one
    assert outcome(kind, Samples(observed), np.full(2, trivial + side)) is HOLDS  # no trivial value known
    beyond = Samples(observed + side * 2.0, {"trivial": trivial})
    assert outcome(kind, beyond, np.full(2, trivial)) is VIOLATED  # false is not vacuous


# rates


def test_rate():
    verdict = judge(Kind.RATE, power_law(0.25), 0.25, 0.01, RATE)
    assert verdict.outcome is HOLDS
    assert verdict.value == pytest.approx(0.25, abs=1e-6)
    assert verdict.details["decades"] == pytest.approx(5.0)
    assert verdict.details["implied constant"] == pytest.approx(1.0, rel=1e-6)
    assert verdict.points == X.size * 8
    assert outcome(Kind.PHASE_BOUNDARY, power_law(0.25), 0.25, 0.01) is HOLDS
    assert outcome(Kind.RATE, power_law(0.25), 0.5, 0.01) is VIOLATED


def test_rate_towards_small_x():
    """Points are ordered towards the limit: x may fall."""
    assert outcome(Kind.RATE, power_law(-1.0, x=X[::-1] * 1e-9), -1.0, 0.01) is HOLDS
    assert outcome(Kind.RATE, power_law(-1.0, x=X[::-1] * 1e-9), 1.0, 0.01) is VIOLATED


def test_interval_too_wide_to_tell():
    """An exponent that is right on average, known to ± 0.1 only, does not hold within 0.01."""
    assert outcome(Kind.RATE, power_law(0.25, scale=0.1), 0.25, 0.01) is INCONCLUSIVE
    assert outcome(Kind.RATE, power_law(0.25, scale=0.1), 0.30, 0.01) is INCONCLUSIVE
    assert outcome(Kind.RATE, power_law(0.25, scale=0.1), 0.25, 0.5) is HOLDS


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-4])
@pytest.mark.parametrize("power", [-0.25, -0.5, -1.0])
@pytest.mark.parametrize("size", [-3.0, -0.3, 0.3, 3.0])
def test_approach_to_a_true_limit_is_never_violated(scale, power, size):
    """x^¼ (1 + finite-size term that at least halves), known very precisely, at any tolerance."""
    samples = power_law(0.25, scale, lambda x: size * (x / X[0]) ** power)
    for tolerance in (0.0, 1e-6, 1e-3, 0.05):
        assert outcome(Kind.RATE, samples, 0.25, tolerance) in (HOLDS, INCONCLUSIVE)
        wrong = 0.25 - 0.5 * np.sign(size)  # the control: as precise, and wrong (on the side it does not come from)
        assert outcome(Kind.RATE, samples, wrong, tolerance) is VIOLATED


def test_precise_deviation_beyond_tolerance_is_inconclusive():
    samples = power_law(0.25, 1e-9, lambda x: (x / X[0]) ** -0.5)
    assert outcome(Kind.RATE, samples, 0.25, 0.001) is INCONCLUSIVE
    assert outcome(Kind.RATE, samples, 0.25, 0.2) is HOLDS


def test_receding_slope_is_inconclusive():
    """Inside the tolerance on the whole, but further from the prediction the nearer the limit."""
    bent = power_law(0.25, 1e-6, lambda x: 2e-3 * np.log(x / X[0]) ** 2)
    verdict = judge(Kind.RATE, bent, 0.25 + 0.02, 0.015, RATE)
    assert abs(verdict.value - 0.27) < 0.015
    assert verdict.outcome is INCONCLUSIVE
    assert abs(verdict.details["near the limit"] - 0.27) > abs(verdict.details["far from the limit"] - 0.27)
    straight = power_law(verdict.value, 1e-6)
    assert outcome(Kind.RATE, straight, 0.27, 0.015) is HOLDS


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_rate_of_what_is_not_positive_is_inconclusive(value):
    samples = power_law(0.25)
    samples.observed[2, 3] = value
    verdict = judge(Kind.RATE, samples, 0.25, 0.01, RATE)
    assert verdict.outcome is INCONCLUSIVE
    assert list(verdict.details.values()) == [1]


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_rate_of_two_points_has_no_drift_to_judge():
    """Neither half has a slope."""
    assert outcome(Kind.RATE, power_law(0.25, x=X[:2]), 0.25, 0.01) is INCONCLUSIVE
    assert outcome(Kind.RATE, power_law(0.25, x=X[:3]), 0.25, 0.01) is HOLDS


@pytest.mark.parametrize("x", [0.0, np.nan, X[1]])
def test_rate_along_a_broken_axis_is_inconclusive(x):
    broken = power_law(0.25)
    samples = Samples(broken.observed, {"x": np.concatenate([[x], X[1:]])})
    assert outcome(Kind.RATE, samples, 0.25, 0.01) is INCONCLUSIVE


# limits


def test_limit():
    falling = spread(2.0 * (1.0 + np.array([0.3, 0.05, 0.001])), 1e-4)
    verdict = judge(Kind.LIMIT, Samples(falling), 2.0, 0.01, RATE)
    assert verdict.outcome is HOLDS
    assert verdict.value == pytest.approx(0.001)
    assert verdict.details["observed"] == pytest.approx(2.002)
    assert verdict.details["form"] == 2.0
    assert outcome(Kind.LIMIT, Samples(falling), np.array([3.0, 2.5, 2.0]), 0.01) is HOLDS  # one at every point
    assert outcome(Kind.LIMIT, Samples(falling), 3.0, 0.01) is VIOLATED
    assert outcome(Kind.LIMIT, Samples(spread([2.6, 2.002], 0.5)), 2.0, 0.01) is INCONCLUSIVE  # too wide
    assert outcome(Kind.LIMIT, Samples(spread([2.0, 2.018], 1e-6)), 2.0, 0.01) is HOLDS
    assert outcome(Kind.LIMIT, Samples(spread([2.0, 2.022], 1e-6)), 2.0, 0.01) is VIOLATED


@pytest.mark.parametrize("scale", [1e-9, 1e-5])
@pytest.mark.parametrize("tolerance", [0.0, 1e-4, 0.01])
def test_deviation_that_halves_is_not_violated(scale, tolerance):
    approaching = Samples(spread(2.0 + np.array([0.4, 0.19]), scale))
    assert outcome(Kind.LIMIT, approaching, 2.0, tolerance) is INCONCLUSIVE
    slower = Samples(spread(2.0 + np.array([0.4, 0.21]), scale))
    assert outcome(Kind.LIMIT, slower, 2.0, tolerance) is VIOLATED


def test_receding_limit():
    """Within the interval but not within the tolerance: the interval must have shrunk for it to matter."""
    receding = Samples(np.stack([spread(np.array(2.0), 1e-9), spread(np.array(2.0 * 1.02), 0.01)]))
    assert outcome(Kind.LIMIT, receding, 2.0, 0.01) in (INCONCLUSIVE, VIOLATED)
    assert outcome(Kind.LIMIT, receding, 2.0, 0.05) is HOLDS


# orderings


def test_ordering():
    given = {"first": np.array([1.0, 3.0]), "second": np.zeros(2)}
    verdict = judge(Kind.ORDERING, Samples(spread(np.array(0.5), 0.01), given), 0.2, 0.0, RATE)
    assert verdict.outcome is HOLDS
    assert verdict.details == {"first": 2.0, "second": 0.0}
    assert verdict.interval[0] < 0.5 < verdict.interval[1]
    assert outcome(Kind.ORDERING, Samples(spread(np.array(0.1), 0.01)), 0.2) is VIOLATED
    assert outcome(Kind.ORDERING, Samples(spread(np.array(0.21), 0.1)), 0.2) is INCONCLUSIVE
    assert outcome(Kind.ORDERING, Samples(spread(np.array(0.5), 0.01)), 0.2, tolerance=0.4) is INCONCLUSIVE
    assert outcome(Kind.ORDERING, Samples(np.zeros(8)), 0.2) is VIOLATED  # a rule against itself


# missing numbers


def _case(kind):
    """Return samples and prediction of each kind that clearly hold, and a false prediction."""
    if kind in (Kind.RATE, Kind.PHASE_BOUNDARY):
        return power_law(0.25), 0.25, 0.75
    if kind is Kind.LIMIT:
        return Samples(spread([2.2, 2.02, 2.0], 1e-4)), 2.0, 3.0
    if kind is Kind.ORDERING:
        return Samples(spread(np.array(0.5), 0.01)), 0.2, 0.9
    if kind is Kind.IDENTITY:
        return Samples(np.ones(6)), np.ones(6), np.full(6, 2.0)
    side = 1.0 if kind is Kind.UPPER_BOUND else -1.0
    samples = Samples(spread(np.ones(3), 1e-3), {"trivial": 99.0 * side})
    return samples, np.full(3, 1.0 + side / 2), np.full(3, 1.0 - side / 2)


KINDS = [pytest.param(kind, id=str(kind)) for kind in Kind]
MISSING = [pytest.param(value, id=str(value)) for value in (np.nan, np.inf, -np.inf)]


@pytest.mark.parametrize("kind", KINDS)
def test_cases_hold_and_can_fail(kind):
    """The control of the tests below."""
    samples, true, false = _case(kind)
    assert outcome(kind, samples, true, 0.01) is HOLDS
    assert outcome(kind, samples, false, 0.01) is VIOLATED


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("value", MISSING)
@pytest.mark.parametrize("kind", KINDS)
def test_missing_number_never_holds(kind, value):
    """Wherever it stands among the points and replicates: a run that diverged tells nothing, so neither side wins."""
    samples, true, false = _case(kind)
    for place in np.ndindex(samples.observed.shape):
        observed = samples.observed.copy()
        observed[place] = value
        broken = Samples(observed, samples.given)
        assert outcome(kind, broken, true, 0.01) is INCONCLUSIVE
        assert outcome(kind, broken, false, 0.01) is INCONCLUSIVE  # else a control is rejected by a crash


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize(("kind", "side"), BOUNDS)
def test_missing_number_in_a_bound_at_every_point(kind, side):
    for place in range(3):
        observed = np.ones(3)
        observed[place] = np.nan
        assert outcome(kind, Samples(observed), np.full(3, 1.0 + side)) is INCONCLUSIVE


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("value", MISSING)
@pytest.mark.parametrize("kind", KINDS)
def test_missing_prediction_never_holds(kind, value):
    samples, true, _ = _case(kind)
    assert outcome(kind, samples, np.asarray(true) * value, 0.01) is INCONCLUSIVE


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_missing_number_in_one_axis(kind):
    samples, true, _ = _case(kind)
    broken = Samples(np.full_like(samples.observed, np.nan), samples.given)
    for order in (("a", "b"), ("b", "a")):
        cases = {"a": samples, "b": broken}
        axes = {name: cases[name] for name in order}
        assert judge(kind, axes, dict.fromkeys(axes, true), 0.01, RATE).outcome is INCONCLUSIVE


# several axes


def axes_of(*exponents):
    """Return one axis an exponent."""
    return {f"axis {e:g}": power_law(e) for e in exponents}


def test_worst_axis_is_the_verdict():
    axes = axes_of(0.25, 0.5, 1.0)
    same = judge(Kind.RATE, axes, {name: float(name[5:]) for name in axes}, 0.01, RATE)
    assert same.outcome is HOLDS
    assert set(same.details) == set(axes)
    assert same.points == 3 * X.size * 8
    wrong = judge(Kind.RATE, axes, dict.fromkeys(axes, 0.25), 0.01, RATE)
    assert wrong.outcome is VIOLATED
    assert wrong.measure == "exponent in axis 1"
    assert wrong.value == pytest.approx(1.0, abs=1e-6)


def test_control_is_rejected_only_if_every_axis_is():
    axes = axes_of(0.25, 0.5)
    half = {"axis 0.25": 0.25, "axis 0.5": 0.25}
    assert judge(Kind.RATE, axes, half, 0.01, RATE, worst=True).outcome is VIOLATED
    assert judge(Kind.RATE, axes, half, 0.01, RATE, worst=False).outcome is HOLDS
    none = dict.fromkeys(axes, 2.0)
    best = judge(Kind.RATE, axes, none, 0.01, RATE, worst=False)
    assert best.outcome is VIOLATED
    assert best.measure == "exponent in axis 0.5"


def test_worst_of_bounds_and_identities_is_shown():
    bound = np.ones(2)
    axes = {"near": Samples(bound - 0.1), "far": Samples(bound - 0.9), "out": Samples(bound + 0.1)}
    assert judge(Kind.UPPER_BOUND, axes, dict.fromkeys(axes, bound), 0.0, RATE).measure == "smallest slack in out"
    del axes["out"]
    shown = judge(Kind.UPPER_BOUND, axes, dict.fromkeys(axes, bound), 0.0, RATE)
    assert shown.measure == "smallest slack in near"
    errors = {"small": Samples(bound + 1e-9), "large": Samples(bound + 1e-6)}
    shown = judge(Kind.IDENTITY, errors, dict.fromkeys(errors, bound), 1e-3, RATE)
    assert shown.measure == "relative error in large"


def test_axes_share_the_rate():
    """Each of four axes is judged at a quarter of the rate."""
    samples = Samples(spread(np.array(0.5), 0.1))
    alone = judge(Kind.ORDERING, samples, 0.0, 0.0, RATE / 4)
    among = judge(Kind.ORDERING, dict.fromkeys("abcd", samples), dict.fromkeys("abcd", 0.0), 0.0, RATE)
    assert among.interval == alone.interval
    assert among.interval != judge(Kind.ORDERING, samples, 0.0, 0.0, RATE).interval

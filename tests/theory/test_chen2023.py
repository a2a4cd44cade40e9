"""The closed forms of Chen et al. 2023: numbers worked out by hand, limits, and independent computations."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq
from scipy.special import ndtr

from simulate.conv_run import build_network, train_network
from simulate.parameters import ParameterError
from simulate.runner import Runner
from simulate.signal_noise import SignalNoise
from simulate.update import Rule
from theory.check import SEED_STRIDE
from theory.chen2023.coefficient_growth import coefficient_curve, growth_rate, lower_curve, upper_curve
from theory.chen2023.coefficient_growth import observe as observe_growth
from theory.chen2023.deactivation import deactivated_at_start, leading_perturbation
from theory.chen2023.decomposition import decompose
from theory.chen2023.sam_boundary import boundary_spec, sam_floor
from theory.chen2023.sam_then_sgd import demo_spec
from theory.chen2023.setting import (
    benign_parameter,
    resulting_flip_rate,
    sam_radius,
    sam_steps,
    scaled_init_std,
    scaled_spec,
    scaled_step_size,
    seeds,
    signal_to_noise_ratio,
)
from theory.chen2023.sgd_boundary import SHAPES, critical_signal
from theory.chen2023.sgd_boundary_constant import critical_parameter, observe, response_quantile
from theory.chen2023.signal_growth import growth_per_step
from theory.chen2023.signal_to_noise import margin_ratio
from theory.chen2023.training_time import EXPONENTS, training_time
from theory.claim import Samples

# coefficient growth

BC = [(b, c) for b in (np.exp(-0.05), 1.0, np.exp(0.05), 1e-3, 50.0) for c in (1.0, 0.02)]
TIMES = np.concatenate([[0.0], np.geomspace(1e-3, 1e300, 400)])


def residual(x, t, b, c):
    """Return (x + b eˣ − c t − b) relative to c t + b."""
    with np.errstate(over="ignore"):
        return np.abs(x + b * np.exp(x) - c * t - b) / (c * t + b)


@pytest.mark.parametrize(("b", "c"), BC)
def test_coefficient_curve_solves_its_equation(b, c):
    x = coefficient_curve(TIMES, b, c)
    assert np.isfinite(x).all()
    assert residual(x, TIMES, b, c).max() < 1e-12
    assert residual(x * (1 + 1e-9), TIMES, b, c)[c * TIMES > b].min() > 1e-12  # the control
    assert np.all(np.diff(x) > 0.0)


@pytest.mark.parametrize(("b", "c"), BC)
def test_coefficient_curve_starts_at_zero(b, c):
    assert abs(coefficient_curve(0.0, b, c)) <= 1e-15
    assert coefficient_curve(1e-6, b, c) == pytest.approx(1e-6 * c / (1 + b), abs=1e-13)


def test_coefficient_curve_grows_logarithmically():
    t = 10.0 ** np.arange(50, 300, 50)
    assert np.diff(coefficient_curve(t, 1.0, 0.1)) == pytest.approx(50 * np.log(10.0), rel=1e-12)


@pytest.mark.parametrize(("strength", "crossed"), [(0.18, True), (0.1, False)])
def test_stronger_signals_cross_the_upper_curve(strength, crossed):
    """Four networks in which a sample does at n · SNR² = 0.18: what is called weak ends below."""
    settings = {"m": 100, "points": ((20_000, strength),), "seeds": 4, "seed": 1061 * SEED_STRIDE}
    with Runner(1) as runner:
        samples = observe_growth(settings, runner)
    assert (samples.observed > upper_curve(samples)).any() == crossed


def test_coefficient_curve_is_vectorised():
    t, b, c = np.linspace(0, 9, 4)[:, None], np.array([0.9, 1.0, 1.1]), 0.3
    table = coefficient_curve(t, b, c)
    assert table.shape == (4, 3)
    assert np.array_equal(table, [[coefficient_curve(s, v, c) for v in b] for s in t.ravel()])
    assert np.ndim(coefficient_curve(2.0, 1.0, 1.0)) == 0


@pytest.mark.parametrize(("b", "c"), [(np.exp(0.05), 0.2), (np.exp(-0.05), 1.5), (3.0, 0.7)])
def test_coefficient_curve_against_the_differential_equation(b, c):
    t = np.linspace(0.0, 400.0, 30)
    solved = solve_ivp(lambda t, x: c / (1 + b * np.exp(x)), (0, 400), [0.0], "DOP853", t, rtol=1e-12, atol=1e-13)
    assert solved.y[0] == pytest.approx(coefficient_curve(t, b, c), abs=1e-9)
    assert np.abs(solved.y[0] - coefficient_curve(t, 1.01 * b, c)).max() > 1e-3  # the control


def test_the_two_curves_are_a_sandwich():
    samples = Samples(np.zeros(50), {"t": np.geomspace(1, 1e6, 50), "c0": np.full(50, 0.1)})
    assert (lower_curve(samples) < upper_curve(samples)).all()
    x = upper_curve(samples)
    assert residual(x, samples.given["t"], np.exp(-0.05), 0.15).max() < 1e-12
    x = lower_curve(samples)
    assert residual(x, samples.given["t"], np.exp(0.05), 0.02).max() < 1e-12


def test_growth_rate():
    assert growth_rate(0.01, 3, 2.0, 1000, 20, 10) == pytest.approx(0.01 * 4 * 4 * 1000 / 200)


# scalings


def test_scalings_by_hand():
    assert signal_to_noise_ratio(3.0, 4, 0.5, 400) == pytest.approx(3.0 / (3 * 0.5 * 20))
    assert scaled_init_std(25, 1000, 2.0, 3, 0.1) == pytest.approx(0.1 * 5 / (2 * 2 * 1000))
    assert scaled_step_size(20, 10, 3, 2.0, 10**5, 0.1) == pytest.approx(0.1 * 200 / (4 * 4 * 10**5))
    assert benign_parameter(20, 3.0, 2, 1.0, 20_000) == pytest.approx(0.081)
    assert benign_parameter(20, 3.0, 3, 1.0, 20_000) == pytest.approx(0.081 / 16)
    assert critical_signal(20, 3, 2.0, 2 * 10**9) == pytest.approx(100.0 * 2 * 2.0)
    assert benign_parameter(7, critical_signal(7, 5, 0.3, 10**7, 2.5), 5, 0.3, 10**7) == pytest.approx(2.5)


def test_sam_radius_by_hand():
    assert sam_radius(10, 10, 2, 1.0, 20_000, 1.0) == pytest.approx(0.1118033988749895, rel=1e-12)
    assert sam_radius(10, 1, 4, 0.5, 100, 2.0) == pytest.approx(10 / (2 * 4 * 0.5 * 10))
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ParameterError, match="C3"):
            sam_radius(10, 10, 2, 1.0, 100, bad)
    with pytest.raises(ParameterError, match="sigma_p"):
        sam_radius(10, 10, 2, 0.0, 100, 1.0)


def test_sam_steps_by_hand():
    """κ · 4m/(eta ‖mu‖² (1 − 2p)), to the nearest whole step."""
    assert sam_steps(0.5, 10, 0.01, 3.0, 0.1) == 278  # 277.78
    assert sam_steps(0.25, 10, 1.0, 1.0, 0.0) == 10
    assert sam_steps(0.26, 10, 1.0, 1.0, 0.0) == 10  # 10.4
    assert sam_steps(0.265, 10, 1.0, 1.0, 0.0) == 11  # 10.6
    assert sam_steps(0.0, 10, 0.01, 3.0, 0.1) == 0
    assert isinstance(sam_steps(0.5, 10, 0.01, np.float64(3.0), 0.1), int)
    for arguments in ((0.5, 10, 0.01, 0.0, 0.1), (0.5, 10, 0.01, 3.0, 0.5), (-1.0, 10, 0.01, 3.0, 0.1)):
        with pytest.raises(ParameterError, match="kappa"):
            sam_steps(*arguments)


def test_signal_grows_by_kappa_over_the_sam_phase():
    """The two closed forms belong together: growth a step × steps = kappa (up to the rounding of the steps)."""
    steps = sam_steps(0.5, 10, 1e-4, 3.0, 0.1)
    assert steps * growth_per_step(1e-4, 0.1, 3.0, 10) == pytest.approx(0.5, rel=1e-4)


def test_growth_per_step_by_hand():
    assert growth_per_step(0.01, 0.1, 3.0, 10) == pytest.approx(0.0018)
    assert growth_per_step(0.01, 0.5, 3.0, 10) == 0.0


@pytest.mark.parametrize(
    ("n", "p", "rate"), [(20, 0.1, 0.1), (10, 0.1, 0.0), (30, 0.1, 4 / 30), (7, 0.3, 2 / 7), (1, 0.4, 0.0)]
)
def test_resulting_flip_rate(n, p, rate):
    """Balanced labels flip round-half-even(p n/2) in either class: 1, 0 (of ½), 2 (of 1½), 1 (of 1.05), 0."""
    assert resulting_flip_rate(SignalNoise(samples=n, flip_rate=p, labels="balanced")) == pytest.approx(rate)
    assert resulting_flip_rate(SignalNoise(samples=n, flip_rate=p)) == p


def test_flip_rate_is_that_of_the_draw():
    """What the formula says is what a network's labels have."""
    for n, p in ((20, 0.1), (30, 0.1), (7, 0.3)):
        spec = scaled_spec(3, n, 100, p=p)
        instance = build_network(spec).instance
        assert np.mean(instance.labels != instance.signal_labels) == pytest.approx(resulting_flip_rate(spec.data))


def test_scaled_spec():
    spec = scaled_spec(4, 20, 1e6, 10, 3, 2.0, 0.5, rule="sam", radius=0.3)
    assert (spec.seed, spec.rule, spec.radius, spec.data.labels) == (4, "sam", 0.3, "balanced")
    assert spec.init_std == scaled_init_std(20, 10**6, 0.5, 3)
    assert spec.step_size == scaled_step_size(20, 10, 3, 0.5, 10**6)
    assert scaled_spec(4, init_std=0.01, step_size=0.2).init_std == 0.01
    assert scaled_spec(4, init_std=0.01, step_size=0.2).step_size == 0.2
    assert list(seeds({"seed": 5, "seeds": 3})) == [5, 6, 7]


def test_demonstration_setting():
    spec = demo_spec(0)
    assert (spec.sam_steps, spec.batch_size, spec.rule) == (278, 10, "sam-then-sgd")
    assert spec.radius == pytest.approx(0.1118033988749895)
    assert demo_spec(0, "sgd").radius == 0.0
    assert demo_spec(0, kappa=1 / 48).sam_steps == 12  # 11.57


def test_sam_phase_of_the_boundary_grows_with_d():
    short, long = (boundary_spec(0, 2.0, d) for d in (10**3, 10**5))
    assert long.sam_steps == pytest.approx(100 * short.sam_steps, rel=0.01)
    assert long.max_steps - long.sam_steps == short.max_steps - short.sam_steps == 20_000
    assert boundary_spec(0, 2.0, 10**3, "sgd").radius == 0.0


def test_collapse_compares_settings_that_differ():
    assert len(set(SHAPES)) == 9
    signals = [critical_signal(n, P, sigma_p, d) for n, d, P, sigma_p in SHAPES]
    assert [benign_parameter(n, mu, P, s, d) for (n, d, P, s), mu in zip(SHAPES, signals, strict=True)] == (
        pytest.approx(np.ones(9))
    )
    assert max(signals) > 20 * min(signals)


# deactivation


def test_deactivated_at_start_at_its_limits():
    assert deactivated_at_start(0.0) == 0.0
    assert deactivated_at_start(np.inf) == 1.0
    assert deactivated_at_start(2.58) == pytest.approx(0.99, abs=2e-4)
    assert deactivated_at_start([0.0, 1.0]) == pytest.approx([0.0, 2 * ndtr(1.0) - 1])
    assert abs(deactivated_at_start(2.58 / np.sqrt(2.0)) - 0.99) > 0.05  # the control: a √2 forgotten


def _relative_error(d, signal=True, trained=True):
    spec = scaled_spec(1, 20, d, 10, 3, np.sqrt(d / 20), rule="sgd", max_steps=30 if trained else 0, stop_loss=0.0)
    network = build_network(spec)
    train_network(spec, network)
    batch = np.arange(3, 13)
    exact = network.perturbation(batch, Rule(0.7))[:, 1 + batch]
    formula = leading_perturbation(network, batch, 0.7, signal)
    active = network.projections()[:, 1 + batch] > 0.0
    assert exact.shape == formula.shape == (20, 10)
    assert 0 < active.sum() < active.size
    return np.abs(exact - formula)[active].max() / np.abs(exact[active]).max()


@pytest.mark.parametrize("trained", [False, True])
def test_leading_perturbation_at_large_d(trained):
    """Its error falls as d^(−1/2); without mu's part of the norm it stays."""
    error = {d: _relative_error(d, trained=trained) for d in (10**6, 10**10, 10**14)}
    assert error[10**10] < 1e-4
    assert error[10**14] < 1e-6
    assert error[10**6] > 10 * error[10**10] > 100 * error[10**14]
    assert _relative_error(10**10, signal=False) > 0.01


def test_leading_perturbation_is_proportional_to_the_radius():
    network = build_network(scaled_spec(1, 20, 10**6))
    batch = np.arange(20)
    one, two = (leading_perturbation(network, batch, radius) for radius in (1.0, 2.0))
    assert two == pytest.approx(2.0 * one)
    own = network.signs[:, None] * network.instance.labels
    assert (own * one < 0.0).all()  # down where J = y, up elsewhere


# decomposition


def test_decompose_by_hand():
    found = decompose(
        np.array([2.0, 3.0]), np.array([[4.0, 5.0], [6.0, 7.0]]), np.array([1.0, -1.0]), 4.0, np.array([2.0, 8.0]), 2.0
    )
    assert np.array_equal(found, [[0.5, 1.0, 5 / 16], [-0.75, 1.5, 7 / 16]])


# the boundary's constant


def exact_quantile(level):
    """Return q with P(relu z − relu z′ > q) = level for independent normals: m = 1, or a = 1 at any m."""

    def exceeds(t):
        density = lambda z: np.exp(-z * z / 2) / np.sqrt(2 * np.pi)  # noqa: E731
        return 0.5 * ndtr(-t) + quad(lambda z: density(z) * ndtr(-t - z), 0.0, 12.0)[0]

    return brentq(lambda t: exceeds(t) - level, 1e-6, 6.0, xtol=1e-12)


@pytest.mark.parametrize("level", [0.125, 0.05])
@pytest.mark.parametrize(("a", "m"), [(0.3, 1), (0.7, 1), (1.0, 5)])
def test_response_quantile_where_it_can_be_solved(a, m, level):
    assert response_quantile(a, m, level) == pytest.approx(exact_quantile(level), rel=0.01)
    assert response_quantile(a, m, level) != pytest.approx(exact_quantile(1.2 * level), rel=0.02)  # the control


@pytest.mark.parametrize(("a", "m"), [(0.5, 10), (0.69, 10), (0.0, 4)])
def test_response_quantile_against_plain_monte_carlo(a, m):
    """400 000 draws: q ± 5 standard errors of a sample quantile, √(level (1 − level)/N)/density."""
    rng, count, level = np.random.default_rng(8), 400_000, 0.125
    T = np.zeros(count)
    for sign in (1.0, -1.0):
        z = np.sqrt(a) * rng.standard_normal((count, 1)) + np.sqrt(1 - a) * rng.standard_normal((count, m))
        T += sign * np.maximum(z, 0.0).sum(axis=1) / m
    q, below, above = np.quantile(T, 1 - np.array([level, level * 1.05, level * 0.95]))
    error = np.sqrt(level * (1 - level) / count) * (above - below) / (0.1 * level)
    assert abs(response_quantile(a, m, level) - q) < 5 * error + 0.01 * q
    assert abs(response_quantile(min(a + 0.1, 1.0), m, level) - q) > 5 * error + 0.01 * q  # the control


def test_response_quantile_is_odd_in_the_level():
    assert response_quantile(0.5, 4, 0.5) == pytest.approx(0.0, abs=0.01)
    assert response_quantile(0.5, 4, 0.875) == pytest.approx(-response_quantile(0.5, 4, 0.125), rel=0.02)


def test_critical_parameter():
    """mu_c (n/d)^¼ = q_c^¼ at m = 10 and p = 0.1."""
    assert critical_parameter(0.5, 10, 0.1, 0.125) ** 0.25 == pytest.approx(0.877, rel=0.03)
    assert critical_parameter(0.69, 10, 0.1, 0.125) ** 0.25 == pytest.approx(1.025, rel=0.03)
    assert critical_parameter(0.69, 10, 0.1, 0.125) ** 0.25 != pytest.approx(0.877, rel=0.03)  # the two are apart
    clean, flipped = (critical_parameter(0.6, 10, p, 0.125) for p in (0.0, 0.25))
    assert flipped == pytest.approx(4.0 * clean)


class _NothingFound:
    """A runner whose errors never fall below the level, as where a bracket misses the boundary."""

    def run(self, specs):
        """Return an error of one half at every specification, which is checked when it is made."""
        return [SimpleNamespace(clean_error=0.5, class_correlation=0.7) for _ in specs]


def test_boundary_that_is_not_bracketed_gives_nan_and_no_error():
    """What is missing is for the judge to say, not for a parameter check."""
    found = observe({"d": (10**5, 10**9), "m": 10, "groups": 2, "seeds": 2, "seed": 0}, _NothingFound())
    assert np.isnan(found.observed).all()


# the rest


def test_sam_floor():
    assert sam_floor(0.125) == pytest.approx(1.1503493803760079, rel=1e-12)
    assert sam_floor(0.5) == 0.0
    assert sam_floor(0.125, 4, 0.5) == pytest.approx(1.1503493803760079 * 1.5)
    assert ndtr(-sam_floor(0.03)) == pytest.approx(0.03)


def test_training_time():
    base = {"n": 20, "m": 10, "P": 3, "sigma_p": 2.0, "d": 1000, "eta": 0.1, "eps": 0.01}
    assert training_time(**base) == pytest.approx(200 / (0.1 * 0.01 * 1000 * 4 * 4))
    for name, exponent in EXPONENTS.items():
        changes = {"P": 1 + 3 * (base["P"] - 1)} if name == "P − 1" else {name: 3 * base[name]}
        assert training_time(**{**base, **changes}) / training_time(**base) == pytest.approx(3.0**exponent), name


def test_margin_ratio():
    assert margin_ratio(Samples(np.zeros(1), {"n_snr2": 0.5, "p": 0.1})) == pytest.approx(0.4)

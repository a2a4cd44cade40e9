"""The flows against an independent integrator and tiny steps, where they end, and what they record."""

import itertools
import math

import naive
import numpy as np
import pytest
from scipy.integrate import simpson, solve_ivp

from simulate import diagonal_flow
from simulate.diagonal import sharpness
from simulate.diagonal_flow import LARGEST_DIMENSION, integrate_flow, realisable_part
from simulate.diagonal_run import DiagonalSpec, run
from simulate.parameters import ParameterError
from simulate.regression import RegressionFile, RegressionInstance, SparseRegression, draw_regression
from simulate.update import Rule

WIDE = SparseRegression(5, 9, test_samples=3)  # n < d: realisable
TALL = SparseRegression(12, 5, 2, noise_std=0.3, test_samples=3)  # n > d with noise: not realisable
EXACT = SparseRegression(12, 5, 2, test_samples=3)  # n > d, realisable: one interpolator
RULES = {
    "gradient-flow": (0.0, None),
    "n-sam-flow": (0.1, None),
    "1-sam-flow": (0.1, 1),
    "m divides n": (0.1, 4),
    "m does not divide n": (0.1, 3),
}


def spec(data=WIDE, rule="1-sam-flow", **changes):
    """Return a flow on small data."""
    return DiagonalSpec(data, **{"alpha": 0.1, "radius": 0.1, "rule": rule, **changes})


def saved(folder, X, y):
    """Write a problem and return it as data."""
    np.savez(folder / "data.npz", X=X, y=y)
    return RegressionFile(str(folder / "data.npz"))


def instance(X, y):
    """Return a problem without a test set."""
    return RegressionInstance(X, y, np.empty((0, X.shape[1])), np.empty(0), None)


def least_squares(data, seed=0):
    """Return the coefficients of least squares."""
    problem = draw_regression(data, seed)
    return np.linalg.lstsq(problem.X, problem.y, rcond=None)[0]


def rounding(history):
    """Return the gap of log alpha_eff and ½ log(w₊ w₋), relative to their size where it is large."""
    one, two = history["log_alpha_eff"], history["log_product"]
    return float((np.abs(one - two) / np.maximum(1.0, np.abs(one))).max())


# the path


@pytest.mark.parametrize(("radius", "block"), RULES.values(), ids=RULES)
@pytest.mark.parametrize("data", [WIDE, TALL], ids=["realisable", "not realisable"])
def test_path_is_that_of_another_integrator(data, radius, block):
    """An eighth-order Runge-Kutta on the plain field of w±, to 1e-9 at three times; the control moves the radius."""
    problem, times = draw_regression(data, 1), (1.0, 5.0, 20.0)
    everyone = np.arange(len(problem.y))

    def plain(radius):
        def field(_, w):
            W = w.reshape(2, -1)
            return (naive.diagonal_step(W, problem.X, problem.y, everyone, 1.0, radius, 0.0, block) - W).ravel()

        start = np.full(2 * data.dimension, 0.1)
        W = solve_ivp(field, (0.0, 20.0), start, "DOP853", times, rtol=1e-12, atol=1e-13).y.T.reshape(3, 2, -1)
        return W[:, 0] ** 2 - W[:, 1] ** 2, 0.5 * np.log(W[:, 0] * W[:, 1])

    status, _, history = integrate_flow(problem, 0.1, Rule(radius, 0.0, block), 20.0, 1e-11, times[:2])
    beta, log_product = plain(radius)
    assert status in ("t-max", "no limit")
    assert history["time"].tolist() == list(times)
    assert np.abs(history["beta"] - beta).max() < 1e-9
    assert np.abs(history["log_product"] - log_product).max() < 1e-9
    assert np.abs(history["beta"] - plain(radius + 0.01)[0]).max() > 1e-5


@pytest.mark.parametrize(
    ("flow", "steps", "block"),
    [("gradient-flow", "gd", None), ("n-sam-flow", "n-sam", None), ("1-sam-flow", "1-sam", None),
     ("m-sam-flow", "m-sam", 2)],
)  # fmt: skip
def test_steps_tend_to_the_flow(flow, steps, block):
    """The gap falls by the factor of the step size, and by its square once extrapolated; the control, another rule."""
    T, end = 10.0, run(spec(rule=flow, block=block, max_time=10.0))
    assert (end.status, end.time) == ("t-max", T)
    found = []
    for gamma in (0.04, 0.02, 0.01):
        one = spec(rule=steps, block=block, step_size=gamma, max_steps=round(T / gamma))
        found.append(np.concatenate([run(one).beta, run(one).log_alpha_eff]))
    limit = np.concatenate([end.beta, end.log_alpha_eff])
    gaps = [np.abs(one - limit).max() for one in found]
    assert 1.9 < gaps[0] / gaps[1] < 2.1
    assert 1.9 < gaps[1] / gaps[2] < 2.1
    better = [np.abs(2.0 * two - one - limit).max() for one, two in itertools.pairwise(found)]
    assert 3.5 < better[0] / better[1] < 4.5
    assert better[1] < gaps[2] / 20
    other = run(spec(rule="n-sam-flow" if flow != "n-sam-flow" else "1-sam-flow", max_time=10.0))
    assert np.abs(other.beta - end.beta).max() > 10 * better[1]


@pytest.mark.parametrize("rule", ["gradient-flow", "n-sam-flow", "1-sam-flow", "m-sam-flow"])
@pytest.mark.parametrize("data", [WIDE, EXACT], ids=["wide", "tall"])
@pytest.mark.parametrize("alpha", [0.5, 0.1, 0.01])
def test_effective_scale_is_the_product_of_the_weights(data, rule, alpha):
    """log alpha − radius ∫ against ½ log(w₊ w₋), which are integrated apart, to 1e-11 wherever they were recorded."""
    block = 2 if rule.startswith("m") else None
    result = run(spec(data, rule, alpha=alpha, block=block, record=(0.0, 1.0, 10.0, 100.0)))
    assert result.status == "stopped"
    assert np.abs(result.history["log_alpha_eff"] - result.history["log_product"]).max() < 1e-11
    integral = (math.log(alpha) - result.history["log_alpha_eff"]) / 0.1
    if rule == "gradient-flow":
        assert np.array_equal(result.log_alpha_eff, np.full(data.dimension, math.log(alpha)))
        assert (result.history["bias_integral"][1:] > 0.0).all()
    else:
        assert np.allclose(integral, result.history["bias_integral"], rtol=0, atol=1e-13)
        assert np.abs(integral[-1]).max() > 1e-3  # the control: it moves


@pytest.mark.parametrize("radius", [0.0, 0.1])
@pytest.mark.parametrize("block", [1, 2, 5])
def test_integrals_by_quadrature(radius, block):
    """∫ L and, at radius 0, ∫ Σ_b p_b g_b², by Simpson on the recorded path; the control has other blocks."""
    grid, problem = np.linspace(0.0, 10.0, 2001), draw_regression(WIDE, 0)
    status, _, history = integrate_flow(problem, 0.1, Rule(radius, 0.0, block), 10.0, 1e-11, grid)
    assert (status, len(history["time"])) == ("t-max", 2001)
    loss = history["train_loss"]
    assert history["loss_integral"][-1] == pytest.approx(simpson(loss, x=grid), rel=1e-9)
    assert history["loss_integral"][1000] == pytest.approx(simpson(loss[:1001], x=grid[:1001]), rel=1e-9)
    r = history["beta"] @ problem.X.T - problem.y

    def squares(size):
        blocks = naive.epoch_batches(np.arange(5), size)
        rate = sum(len(b) / 5 * (r[:, b] @ problem.X[b] / len(b)) ** 2 for b in blocks)
        return simpson(rate, x=grid, axis=0)

    if radius == 0.0:
        assert np.allclose(history["bias_integral"][-1], squares(block), rtol=1e-8)
        assert not np.allclose(history["bias_integral"][-1], squares(3), rtol=0.1)


def test_rows_shift_the_bias_of_one_sam_only():
    """One row given twice has the same interpolators and gradient flow, but another 1-SAM: all given twice, the same.

    To 1e-8 where nothing may move, and more than 1e-4 where something must.
    """
    problem = draw_regression(WIDE, 0)

    def limit(rows, radius, block):
        X, y = problem.X[rows], problem.y[rows]
        status, _, history = integrate_flow(instance(X, y), 0.1, Rule(radius, 0.0, block), 1e9, 1e-12)
        assert status == "stopped"
        return history["beta"][-1]

    once, one_twice, all_twice = np.arange(5), np.array([0, 0, 1, 2, 3, 4]), np.repeat(np.arange(5), 2)
    for rows in (one_twice, all_twice):
        assert np.abs(limit(rows, 0.0, None) - limit(once, 0.0, None)).max() < 1e-8
    assert np.abs(limit(one_twice, 0.1, 1) - limit(once, 0.1, 1)).max() > 1e-4
    assert np.abs(limit(all_twice, 0.1, 1) - limit(once, 0.1, 1)).max() < 1e-8


@pytest.mark.parametrize("alpha", [1e-8, 1e-20, 1e-40, 1e-100])
@pytest.mark.parametrize("rule", ["gradient-flow", "1-sam-flow"])
def test_tiny_initial_scale_is_no_divergence(alpha, rule):
    """While all is flat the solver's steps grow until a trial step overflows; it is taken back. All alphas learn."""
    result = run(spec(rule=rule, alpha=alpha, residual=1e-6, radius=0.02))
    assert result.status == "stopped"
    problem = draw_regression(WIDE, 0)
    assert np.linalg.norm(problem.X @ result.beta - problem.y) <= 1e-6 * np.linalg.norm(problem.y)
    assert rounding(result.history) < 1e-11
    larger = run(spec(rule="gradient-flow", alpha=0.1))
    assert result.l1_norm < larger.l1_norm


# where flows end


@pytest.mark.parametrize("rule", ["gradient-flow", "n-sam-flow", "1-sam-flow", "m-sam-flow"])
def test_realisable_flows_reach_an_interpolator(rule):
    """status `stopped`, ‖X beta − y‖ ≤ residual ‖y‖ after the solver's last step and after none before."""
    block = 2 if rule.startswith("m") else None
    for residual in (1e-4, 1e-11):
        result = run(spec(rule=rule, block=block, residual=residual, record=range(0, 2000, 10)))
        problem = draw_regression(WIDE, 0)
        distance = np.linalg.norm(result.history["beta"] @ problem.X.T - problem.y, axis=1) / np.linalg.norm(problem.y)
        assert result.status == "stopped"
        assert distance[-1] <= residual < distance[result.history["step"] < result.steps].min()


@pytest.mark.parametrize("rule", ["gradient-flow", "n-sam-flow", "1-sam-flow", "m-sam-flow"])
def test_one_interpolator_is_left_where_n_exceeds_d(rule):
    """n > d, realisable: whatever the rule, the teacher; the control has n < d, where each finds its own."""
    block = 3 if rule.startswith("m") else None
    result = run(spec(EXACT, rule, block=block))
    assert result.status == "stopped"
    assert np.abs(result.beta - result.teacher).max() < 1e-9
    assert np.abs(result.beta - least_squares(EXACT)).max() < 1e-9
    other = run(spec(WIDE, rule, block=min(block, 2) if block else None))
    assert np.abs(other.beta - other.teacher).max() > 1e-3
    assert np.abs(other.beta - least_squares(WIDE)).max() > 1e-3


@pytest.mark.parametrize("rule", ["gradient-flow", "n-sam-flow"])
def test_without_blocks_flows_reach_least_squares(rule):
    """y not realisable: the residual that counts is that of the projection."""
    result = run(spec(TALL, rule))
    assert result.status == "stopped"
    assert np.abs(result.beta - least_squares(TALL)).max() < 1e-9
    assert result.train_loss > 1e-3


@pytest.mark.parametrize("changes", [{"rule": "1-sam-flow"}, {"rule": "m-sam-flow", "block": 5}], ids=str)
@pytest.mark.parametrize("max_time", [10.0, 1e5])
def test_with_blocks_there_is_no_limit_but_of_realisable_targets(changes, max_time):
    """log alpha_eff drifts for ever, at a rate that does not vanish; without noise, or with one block, it ends."""
    result = run(spec(TALL, **changes, max_time=max_time, record=(max_time / 4, max_time / 2)))
    assert (result.status, result.time) == ("no limit", max_time)
    assert np.abs(result.beta - least_squares(TALL)).max() > 1e-3
    assert rounding(result.history) < 1e-11
    if max_time == 1e5:
        first, second = np.diff(result.history["log_alpha_eff"], axis=0)
        assert np.allclose(second, 2.0 * first, rtol=0.05)
        assert (second < -1.0).all()
    for other in (spec(EXACT, **changes), spec(TALL, "m-sam-flow", block=12), spec(TALL, "1-sam-flow", radius=0.0)):
        assert run(other).status == "stopped"


def test_targets_orthogonal_to_the_range_are_no_limit_either():
    """The start fits their projection, 0; blocks move the weights all the same."""
    problem = instance(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1.0, -1.0]))
    assert integrate_flow(problem, 0.1, Rule(0.1, 0.0, 1), 10.0, 1e-11)[0] == "no limit"
    moved = integrate_flow(problem, 0.1, Rule(0.1, 0.0, 1), 10.0, 1e-11)[2]["log_alpha_eff"][-1]
    assert moved[0] < math.log(0.1) - 0.5
    assert integrate_flow(problem, 0.1, Rule(0.1, 0.0, None), 10.0, 1e-11)[:2] == ("stopped", 0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("design", ["isotropic", "shifted"])
def test_one_sam_collapses_beyond_its_largest_radius(design, seed):
    """Small alpha: no weight can grow where radius > max_j |Xᵀy|_j / ((X²)ᵀy²)_j; just below it, one does."""
    data = SparseRegression(5, 9, design=design, test_samples=0)
    problem = draw_regression(data, seed)
    edge = (np.abs(problem.X.T @ problem.y) / ((problem.X**2).T @ problem.y**2)).max()
    for factor, expected in ((1.1, "collapsed"), (10.0, "collapsed"), (0.9, "t-max")):
        result = run(spec(data, alpha=1e-4, radius=factor * edge, seed=seed, max_time=2000.0, residual=1e-8))
        if expected == "collapsed":
            assert result.status == "collapsed"
            assert np.abs(result.beta).max() < 1e-20
            assert result.train_loss == pytest.approx((problem.y @ problem.y) / 20, rel=1e-12)
            assert (result.history["log_product"][-1] < math.log(1e-12)).all()
        else:
            assert result.status in ("t-max", "stopped")
            assert np.abs(result.beta).max() > 1e-3


@pytest.mark.parametrize("rule", ["gradient-flow", "1-sam-flow"])
@pytest.mark.parametrize("max_time", [0.0, 0.5, 3.0])
def test_time_ends_a_flow_to_the_last_bit(rule, max_time):
    result = run(spec(rule=rule, max_time=max_time))
    assert (result.status, result.time) == ("t-max", max_time)
    assert result.history["time"].tolist() == [max_time]
    assert (result.steps == 0) == (max_time == 0.0)


@pytest.mark.parametrize("rule", ["gradient-flow", "n-sam-flow", "1-sam-flow", "m-sam-flow"])
def test_nothing_to_learn_stops_at_once(rule):
    """y = 0; also before any time is left, and whatever the residual."""
    data = SparseRegression(5, 9, 0, test_samples=3)
    for changes in ({}, {"max_time": 0.0}, {"residual": 1e-300}, {"record": (0.0, 1.0)}):
        result = run(spec(data, rule, block=2 if rule.startswith("m") else None, **changes))
        assert (result.status, result.steps, result.time) == ("stopped", 0, 0.0)
        assert not result.beta.any()
        assert result.history["time"].tolist() == [0.0]
    assert run(spec(WIDE, "gradient-flow", residual=1.0)).steps == 0
    assert run(spec(WIDE, "gradient-flow", residual=0.999)).steps > 0


def test_most_steps_is_a_status(monkeypatch):
    monkeypatch.setattr(diagonal_flow, "MOST_STEPS", 20)
    for data, expected in ((WIDE, "max-steps"), (TALL, "no limit")):
        result = run(spec(data))
        assert (result.status, result.steps) == (expected, 20)
        assert 0.0 < result.time < 1e9


@pytest.mark.parametrize("alpha", [1e22, 1e200])
@pytest.mark.parametrize("rule", ["gradient-flow", "1-sam-flow"])
def test_weights_beyond_all_scales_are_a_divergence(alpha, rule):
    """The solver gives up, or there is not even a first loss: a status and what was recorded, not a warning."""
    result = run(spec(rule=rule, alpha=alpha, record=(0.0, 1.0)))
    assert result.status == "diverged"
    assert result.history["time"][0] == 0.0
    assert np.isfinite(result.history["log_alpha_eff"][0]).all()
    assert np.isnan(result.history["train_loss"][0]) == (alpha == 1e200)
    assert run(spec(rule=rule, alpha=10.0, record=(0.0, 1.0))).status == "stopped"


# what is recorded


def test_records_at_their_times():
    """In order, once each, those that were reached, and the end; values are those of a run that ends there."""
    asked = (5.0, 0.0, 1.0, 1.0, 0.25, 1e12)
    result = run(spec(record=asked, sharpness=True))
    h = result.history
    assert h["time"].tolist() == [0.0, 0.25, 1.0, 5.0, result.time]
    assert h["step"][0] == 0
    assert (np.diff(h["step"]) >= 0).all()
    assert h["step"][-1] == result.steps
    problem = draw_regression(WIDE, 0)
    for k, time in enumerate(h["time"][:-1]):
        alone = run(spec(max_time=time, sharpness=True))
        assert alone.time == time
        for name in ("beta", "log_alpha_eff", "log_product", "bias_integral", "loss_integral", "train_loss"):
            assert np.allclose(h[name][k], alone.history[name][-1], rtol=0, atol=1e-10), name
        scale = np.exp(h["log_product"][k])  # w± = scale · e^±θ, beta = 2 scale² sinh 2θ
        W = scale * np.exp(np.outer([0.5, -0.5], np.arcsinh(h["beta"][k] / (2.0 * scale**2))))
        assert np.allclose(W[0] ** 2 - W[1] ** 2, h["beta"][k], rtol=0, atol=1e-12)
        assert h["sharpness"][k] == pytest.approx(sharpness(problem, W), rel=1e-9)


@pytest.mark.parametrize("rule", ["gradient-flow", "1-sam-flow"])
def test_records_change_nothing(rule):
    """The solver takes the same steps: the end is the same to the last bit."""
    plain = run(spec(rule=rule))
    for record in ((0.0,), np.linspace(0.0, 3000.0, 500), (1e-300, 1e300)):
        other = run(spec(rule=rule, record=tuple(record)))
        assert (other.steps, other.time) == (plain.steps, plain.time)
        for name, value in plain.history.items():
            assert np.array_equal(other.history[name][-1], value[-1]), name


def test_record_at_the_end_is_the_end():
    plain = run(spec(max_time=3.0))
    again = run(spec(max_time=3.0, record=(3.0, 4.0)))
    assert again.history["time"].tolist() == [3.0]
    assert np.array_equal(again.beta, plain.beta)


def test_history_has_the_shapes_it_promises():
    names = ("beta", "log_alpha_eff", "log_product", "bias_integral")
    for with_sharpness in (False, True):
        history = run(spec(record=(1.0, 2.0), sharpness=with_sharpness)).history
        shapes = {name: value.shape for name, value in history.items()}
        expected = dict.fromkeys(("step", "time", "train_loss", "test_loss", "l1_norm", "loss_integral"), (3,))
        expected |= dict.fromkeys(names, (3, 9)) | ({"sharpness": (3,)} if with_sharpness else {})
        assert shapes == expected


def test_dimension_beyond_the_integrator_is_one_error():
    """LSODA counts its workspace in 32 bits; beyond them it would fail, which reads as a divergence."""
    d = LARGEST_DIMENSION
    assert (3 * d + 1) * (3 * d + 10) + 22 < 2**31 <= (3 * d + 4) * (3 * d + 13) + 22
    data = SparseRegression(1, d + 1, test_samples=0)
    with pytest.raises(ParameterError, match=rf"dimension \(d\) of a flow = {d + 1}: must be .* <= {d}"):
        run(spec(data, max_time=1e-3))
    assert run(spec(data, "gd", max_steps=1)).status == "max-steps"


# realisable targets


def test_realisable_part():
    """y itself where it is in the range of X to 1e-10, its projection elsewhere; rank counts, not shape."""
    rng = np.random.default_rng(0)
    for n, d, rank in ((3, 7, 3), (7, 3, 3), (7, 7, 4), (1, 1, 1)):
        X = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
        y = X @ rng.standard_normal(d)
        assert realisable_part(X, y) == (y, True) or realisable_part(X, y)[0] is y
        if rank < n:
            Q = np.linalg.svd(X)[0]
            off = Q[:, rank] * np.linalg.norm(y)
            assert realisable_part(X, y + 1e-11 * off)[1]
            projection, found = realisable_part(X, y + 1e-9 * off)
            assert not found
            assert np.allclose(projection, y, rtol=0, atol=1e-13 * np.linalg.norm(y) * 10)
    assert realisable_part(X, np.zeros(1)) == (np.zeros(1), True)


def test_files_end_as_their_arrays_do(tmp_path):
    """A file with two equal rows and different targets is not realisable; with equal ones it is."""
    X = np.random.default_rng(0).standard_normal((3, 5))[[0, 0, 1, 2]]
    assert run(spec(saved(tmp_path, X, np.array([1.0, 1.0, 2.0, 3.0])))).status == "stopped"
    data = saved(tmp_path, X, np.array([1.0, 1.1, 2.0, 3.0]))
    assert run(spec(data, max_time=100.0)).status == "no limit"
    assert run(spec(data, "gradient-flow")).status == "stopped"

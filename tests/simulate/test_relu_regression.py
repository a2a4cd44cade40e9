"""ReLU networks on the line: kernel against a plain twin, gradient and Hessian against differences, kinks by hand."""

import math

import numpy as np
import pytest

from simulate.parameters import ParameterError
from simulate.relu_regression import Curve, ReluNetwork, ReluSpec, draw_theta, hessian, kinks, run
from simulate.update import Batches, Phase, Rule, train

X, Y = Curve(7).draw(3)
THETA = draw_theta(5, 2)


# the plain twin, written from the equations alone


def value(theta, x):
    """Return f at one x."""
    return sum(a * max(w * x + b, 0.0) for w, b, a in theta.T)


def loss(theta, x=X, y=Y):
    """Return L."""
    return sum((value(theta, p) - q) ** 2 for p, q in zip(x, y, strict=True)) / (2 * len(x))


def gradient(theta, x=X, y=Y):
    """Return ∇L (3, m)."""
    g = np.zeros_like(theta)
    for p, q in zip(x, y, strict=True):
        r = (value(theta, p) - q) / len(x)
        for k, (w, b, a) in enumerate(theta.T):
            if w * p + b > 0.0:
                g[:, k] += [r * a * p, r * a, r * (w * p + b)]
    return g


def step(theta, step_size, radius, normalisation=1.0):
    """Return theta after one step."""
    g = gradient(theta)
    norm = math.sqrt(float((g * g).sum()))
    scale = radius * (1.0 - normalisation + normalisation / norm) if norm > 0.0 else 0.0
    return theta - step_size * gradient(theta + scale * g)


def network(theta=THETA):
    """Return a network at theta."""
    return ReluNetwork(X, Y, theta)


def fit(model, steps, radius=0.0, normalisation=1.0, step_size=0.05, stop_loss=0.0, record=()):
    """Train in place by full batches."""
    phases = [Phase(Rule(radius, normalisation), steps)]
    return train(model, phases, Batches(len(model.x), len(model.x), None), step_size, stop_loss, record)


def differences(function, theta, h=1e-6):
    """Return the central differences of a function of theta, along each coordinate in turn."""
    rows = []
    for k in range(theta.size):
        e = np.zeros(theta.size)
        e[k] = h
        e = e.reshape(theta.shape)
        rows.append((np.ravel(function(theta + e)) - np.ravel(function(theta - e))) / (2.0 * h))
    return np.array(rows)


def test_gradient_of_the_plain_twin_is_the_slope_of_its_loss():
    """The control, the gradient at other weights, is far off."""
    slope = differences(loss, THETA).ravel()
    assert np.abs(slope - gradient(THETA).ravel()).max() < 1e-8
    assert np.abs(slope - gradient(1.1 * THETA).ravel()).max() > 1e-3


@pytest.mark.parametrize(("radius", "normalisation"), [(0.0, 1.0), (0.3, 1.0), (0.3, 0.0), (0.3, 0.4)])
@pytest.mark.parametrize("width", [1, 5, 8, 19])
def test_steps_are_the_twin_s(width, radius, normalisation):
    theta = draw_theta(width, 1)
    model, expected = network(theta), theta
    status, steps, history = fit(model, 12, radius, normalisation, record=(0, 5))
    kept = []
    for k in range(12):
        kept += [expected] if k in (0, 5) else []
        expected = step(expected, 0.05, radius, normalisation)
    assert (status, steps) == ("max-steps", 12)
    assert np.abs(model.theta - expected).max() < 1e-13
    assert np.abs(history["theta"] - [*kept, expected]).max() < 1e-13
    assert history["loss"] == pytest.approx([loss(theta) for theta in (*kept, expected)], rel=1e-12)
    if radius:  # the control: the same steps without the perturbation
        plain = network(theta)
        fit(plain, 12)
        assert np.abs(plain.theta - expected).max() > 1e-5


def test_hessian_is_the_slope_of_the_gradient():
    """The control, without the coupling of a neuron's weights by the residual, is not."""
    H = hessian(THETA, X, Y)
    slope = differences(gradient, THETA)
    assert np.array_equal(H, H.T)
    assert np.abs(slope - H).max() < 1e-8
    fitted = np.array([value(THETA, x) for x in X])
    assert np.abs(slope - hessian(THETA, X, fitted)).max() > 1e-3


def test_nothing_moves_where_the_gradient_is_zero():
    """At w = b = 0 no neuron is active, and SAM's perturbation is zero, not NaN."""
    theta = np.zeros((3, 4))
    theta[2] = 1.0
    model = network(theta)
    fit(model, 5, radius=1.0)
    assert np.array_equal(model.theta, theta)


def test_kinks_by_hand():
    """Places 0, 0.5 and 0.505 (one cell of 0.02), 2 (outside), and none at w = 0."""
    w, place, a = np.array([1.0, -2.0, 1.0, 3.0]), np.array([0.0, 0.5, 0.505, 2.0]), np.array([1.0, 1.0, -0.5, 9.0])
    theta = np.array([[*w, 0.0], [*(-w * place), 1.0], [*a, 5.0]])
    line = np.linspace(-1.0, 1.0, 3)
    assert kinks(theta, line) == (2, pytest.approx(1.0 + 1.5))  # |1 · 1|, |2 − 0.5|
    theta[2, 0] = 0.04  # less than 5 % of all
    assert kinks(theta, line) == (1, pytest.approx(1.54))
    assert kinks(np.zeros((3, 2)), line) == (0, 0.0)


def test_kinks_are_those_of_the_function():
    """The variation of f's slope from its values on a fine grid, kinks in cells of their own."""
    theta = np.array([[1.0, -1.0, 0.5], [0.35, 0.15, -0.3], [0.7, -0.4, 1.1]])
    grid = np.linspace(-1.0, 1.0, 100_001)
    slope = np.diff(np.maximum(np.outer(grid, theta[0]) + theta[1], 0.0) @ theta[2]) / np.diff(grid)
    assert kinks(theta, X)[1] == pytest.approx(np.abs(np.diff(slope)).sum(), rel=1e-6)


# runs


SPEC = ReluSpec(width=12, step_size=0.02, max_steps=400)


def test_a_run_describes_its_last_state():
    result = run(SPEC)
    x, y = SPEC.data.draw(0)
    theta = result.history["theta"][-1]
    assert result.train_loss == pytest.approx(loss(theta, x, y), rel=1e-12)
    assert result.sharpness == np.linalg.eigvalsh(hessian(theta, x, y))[-1]
    assert (result.kinks, result.slope_variation) == kinks(theta, x)
    assert np.array_equal(run(SPEC).history["theta"], result.history["theta"])


def test_draws():
    """Of mean slope 1/m for a; widths and seeds have draws of their own, and noise scales."""
    theta = draw_theta(100_000, 0)
    assert theta[:2].std() == pytest.approx(1.0, abs=0.01)
    assert theta[2].std() == pytest.approx(100_000**-0.5, rel=0.01)
    (x, quiet), (_, loud) = Curve(9, 4.0, 0.0).draw(1), Curve(9, 4.0, 0.2).draw(1)
    (_, louder) = Curve(9, 4.0, 0.4).draw(1)
    assert x[[0, -1]].tolist() == [-1.0, 1.0]
    assert louder - quiet == pytest.approx(2.0 * (loud - quiet))
    assert not np.array_equal(Curve(9).draw(1)[1], Curve(9).draw(2)[1])


@pytest.mark.compiled
def test_gd_stops_at_the_loss_asked_for():
    stopped = run(ReluSpec(width=40, step_size=0.02, max_steps=50_000, stop_loss=0.01))
    assert stopped.status == "stopped"
    assert 0.0099 < stopped.train_loss <= 0.01
    assert run(ReluSpec(width=40, step_size=0.02, max_steps=stopped.steps - 1)).train_loss > 0.01


def test_divergence_is_a_status():
    with np.errstate(all="raise"):
        result = run(ReluSpec(width=12, step_size=50.0, max_steps=1000))
    assert result.status == "diverged"
    assert np.isnan([result.sharpness, result.kinks, result.slope_variation]).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Curve(1), "samples (n) = 1: must be an integer >= 2"),
        (lambda: Curve(frequency=-1.0), "frequency = -1.0: must be"),
        (lambda: Curve(noise_std=math.nan), "noise_std = nan: must be"),
        (lambda: ReluSpec(data=None), "data = None: must be a Curve"),
        (lambda: ReluSpec(width=0), "width (m) = 0: must be"),
        (lambda: ReluSpec(rule="adam"), "rule = 'adam': must be one of gd, sam"),
        (lambda: ReluSpec(radius=-0.1), "radius (rho) = -0.1: must be"),
        (lambda: ReluSpec(step_size=0.0), "step_size (eta) = 0.0: must be"),
        (lambda: ReluSpec(max_steps=-1), "max_steps = -1: must be"),
        (lambda: ReluSpec(stop_loss=-1.0), "stop_loss = -1.0: must be"),
        (lambda: ReluSpec(seed=-1), "seed = -1: must be"),
        (lambda: ReluSpec(record=3), "record = 3: must be"),
    ],
)
def test_bad_input_is_one_clear_error(make, message):
    with pytest.raises(ParameterError) as error:
        make()
    assert message in str(error.value)

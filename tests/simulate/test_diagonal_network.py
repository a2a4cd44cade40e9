"""The diagonal network: what the theory says of any run, how it starts, what it records, and how it ends."""

import math

import naive
import numba
import numpy as np
import pytest
from diagonal_problems import ALPHA, STEP, D, N, gap, instance, problem, spec, state
from test_diagonal import evaluate, steps_from

from simulate.diagonal import (
    COLLAPSE,
    DiagonalNetwork,
    initial_scale,
    sharpness,
)
from simulate.diagonal_run import DiagonalSpec, run, train_network
from simulate.lanes import padded
from simulate.parameters import ParameterError
from simulate.regression import RegressionInstance, SparseRegression, draw_regression, load_regression

# what the theory says of any run


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_product_of_the_weights_shrinks_by_the_gradients(problem_file, noise):
    """GD: w₊ w₋ = alpha² Π (1 − gamma² g²) along the path, g the twin's; the control takes (1 − gamma g²)."""
    (X, y), steps = problem(noise=noise), 500
    network = DiagonalNetwork(instance(X, y), ALPHA)
    _, _, records = train_network(spec(problem_file, rule="gd", max_steps=steps), network)
    W, log_product, control = np.full((2, D), ALPHA), np.zeros(D), np.zeros(D)
    for _ in range(steps):
        g = naive.diagonal_gradient(W, X, y)[0] / W[0]
        log_product += np.log1p(-((STEP * g) ** 2))
        control += np.log1p(-STEP * g**2)
        W = naive.diagonal_step(W, X, y, np.arange(N), STEP)
    found = np.log(network.weights.prod(axis=0) / ALPHA**2)
    assert np.abs(found - log_product).max() < 1e-12
    assert np.abs(found - control).max() > 1e-2
    assert np.allclose(records["log_alpha_eff"][-1], math.log(ALPHA) + 0.5 * log_product, rtol=0, atol=1e-12)


def test_permuting_the_coordinates_permutes_the_weights(problem_file):
    """And flipping the sign of a column swaps its w₊ and w₋."""
    (X, y), order = problem(), np.random.default_rng(0).permutation(D)
    sign = np.where(np.arange(D) % 3 == 0, -1.0, 1.0)
    for rule in ("gd", "n-sam", "1-sam"):
        networks = [DiagonalNetwork(instance(Z, y), ALPHA) for Z in (X, X[:, order], X * sign)]
        for network in networks:
            train_network(spec(problem_file, rule=rule), network)
        W, permuted, flipped = (network.weights for network in networks)
        assert gap(permuted, W[:, order]) < 1e-13
        assert gap(np.where(sign > 0, flipped, flipped[::-1]), W) < 1e-13


def test_permuting_the_samples_is_nothing_but_to_blocks():
    """Full-batch rules do not see the order of the rows; m-SAM does, through who shares a block: the control."""
    (X, y), W, order = problem(), state(), np.array([3, 0, 5, 1, 4, 2])
    for block, same in ((6, True), (1, True), (3, False)):
        one, two = evaluate(X, y, W, block, 0.4)[1], evaluate(X[order], y[order], W, block, 0.4)[1]
        assert (np.abs(one - two).max() < 1e-14) == same


ROUNDED = {"published": 0.6, "drawn, 0.54": 0.54, "drawn, 0.56": 0.56}  # radius


def rounding_problem(name):
    """Return an instance on which a coordinate of the teacher shrinks far before it grows."""
    if name.startswith("drawn"):
        return draw_regression(SparseRegression(20, 30, 3), 11)
    rng = np.random.RandomState(0)  # the draw of the published code
    X, X_test, beta = rng.standard_normal((20, 30)), rng.standard_normal((1000, 30)), rng.standard_normal(30)
    beta = np.where(np.arange(30) < 3, np.abs(beta), 0.0)
    beta /= np.linalg.norm(beta)
    return RegressionInstance(X, X @ beta, X_test, X_test @ beta, beta)


def loss_on_test_set(problem, beta):
    """Return (1/4N) of the squared residuals on the test set."""
    return float(((problem.X_test @ beta - problem.y_test) ** 2).sum() / (4 * len(problem.y_test)))


def one_sam(problem, radius, steps):
    """Return the network and the record of 1-SAM from 0.01 at gamma = 5/30."""
    network = DiagonalNetwork(problem, 0.01)
    run_ = DiagonalSpec(alpha=0.01, rule="1-sam", radius=radius, step_size=5 / 30, max_steps=steps)
    return network, train_network(run_, network)[2]


@pytest.mark.compiled
@pytest.mark.parametrize("name", ROUNDED)
def test_stored_as_sum_and_difference_the_weights_cancel(name):
    """1-SAM, alpha 0.01: u + v rounds to 0 on a coordinate of the teacher, for good; multiplied weights learn it.

    The test loss of the u, v loop is more than a thousand times larger.
    """
    problem, radius, steps = rounding_problem(name), ROUNDED[name], 10_000
    u, v = naive.product_form_1sam(0.01, problem.X, problem.y, 5 / 30, radius, steps)
    network, records = one_sam(problem, radius, steps)
    lost = (problem.teacher > 0.0) & (u + v == 0.0)
    assert lost.any()
    assert np.abs(u * v)[lost].max() < 1e-100
    assert (network.weights[0] > 0.0).all()
    assert np.allclose(network.beta()[lost], problem.teacher[lost], rtol=0.1)
    assert records["test_loss"][-1] == pytest.approx(loss_on_test_set(problem, network.beta()), rel=1e-12)
    assert loss_on_test_set(problem, u * v) > 1e3 * records["test_loss"][-1]


@pytest.mark.parametrize("seed", range(5))
def test_without_cancellation_both_forms_agree(seed):
    """The negative control: at a radius of 0.1 nothing of the teacher is lost, and the two losses are one."""
    problem, steps = draw_regression(SparseRegression(20, 30, 3), seed), 2000 if not numba.config.DISABLE_JIT else 200
    u, v = naive.product_form_1sam(0.01, problem.X, problem.y, 5 / 30, 0.1, steps)
    _, records = one_sam(problem, 0.1, steps)
    assert not np.any((problem.teacher > 0.0) & (u + v == 0.0))
    assert loss_on_test_set(problem, u * v) == pytest.approx(records["test_loss"][-1], rel=1e-9)


# the network


def test_padding():
    """Zeros up to a multiple of eight, on a cache line; the values are those given, and a copy."""
    for shape in ((1,), (8,), (2, 3), (5, 16), (4, 17)):
        values = np.random.default_rng(0).standard_normal(shape)
        wide = padded(values)
        assert wide.shape == (*shape[:-1], 8 * math.ceil(shape[-1] / 8))
        assert np.array_equal(wide[..., : shape[-1]], values)
        assert not wide[..., shape[-1] :].any()
        assert wide.ctypes.data % 64 == 0
        assert wide.flags.c_contiguous
        wide[:] = 7.0
        assert not np.any(values == 7.0)


def test_initial_scale():
    assert initial_scale(0.3, 3).tolist() == [0.3] * 3
    assert initial_scale((0.3,), 3).tolist() == [0.3] * 3
    assert initial_scale((0.1, 0.2, 0.3), 3).tolist() == [0.1, 0.2, 0.3]
    for wrong in ((0.1, 0.2), (0.1,) * 4, np.ones((1, 3))):
        with pytest.raises(ParameterError, match=r"alpha = '\d numbers': must be one number > 0, or 3"):
            initial_scale(wrong, 3)


def test_network_at_its_start():
    """beta = 0, loss (1/4n)‖y‖², alpha as the effective scale; building and training leave the instance alone."""
    X, y = problem()
    kept = X.copy(), y.copy()
    network = DiagonalNetwork(instance(X, y), ALPHA, sharpness=True)
    assert np.array_equal(network.weights, np.full((2, D), ALPHA))
    assert not network.beta().any()
    assert network.loss() == pytest.approx((y @ y) / (4 * N), rel=1e-14)
    seen = train_network(DiagonalSpec(alpha=ALPHA, max_steps=0), network)[2]
    assert np.allclose(seen["log_alpha_eff"], math.log(ALPHA), rtol=1e-15)
    assert seen["train_loss"] == pytest.approx([network.loss()], rel=1e-14)
    assert (seen["l1_norm"], seen["loss_integral"]) == (0.0, 0.0)
    assert seen["sharpness"] == sharpness(instance(X, y), network.weights)
    assert np.isnan(seen["test_loss"])
    train_network(DiagonalSpec(alpha=ALPHA, max_steps=10), network)
    assert np.array_equal(X, kept[0])
    assert np.array_equal(y, kept[1])


def test_records_are_what_they_are_called():
    """By loops; a weight of zero has the logarithm of zero."""
    problem_ = draw_regression(SparseRegression(4, 5, test_samples=3, noise_std=0.1), 0)
    for seed, zero in ((1, []), (2, [2])):
        W = state(5, seed)
        W[0, zero] = 0.0
        W[1, 0] *= -1.0
        _, records = steps_from(problem_, W, 0)
        records, (plus, minus) = {name: value[0] for name, value in records.items()}, W
        beta = plus * plus - minus * minus
        assert np.allclose(records["beta"], beta, rtol=1e-14)
        assert records["train_loss"] == pytest.approx(naive.diagonal_loss(W, problem_.X, problem_.y))
        assert records["test_loss"] == pytest.approx(naive.diagonal_loss(W, problem_.X_test, problem_.y_test))
        assert records["l1_norm"] == pytest.approx(math.fsum(abs(beta)))
        scale = [0.5 * math.log(abs(p * m)) if p * m else -math.inf for p, m in zip(plus, minus, strict=True)]
        assert np.allclose(records["log_alpha_eff"], scale, rtol=1e-14)
        assert np.flatnonzero(np.isinf(records["log_alpha_eff"])).tolist() == zero
        assert "sharpness" not in records
        assert steps_from(problem_, W, 0, sharp=True)[1]["sharpness"] == sharpness(problem_, W)


def test_collapse_and_divergence_are_read_off_the_weights():
    network = DiagonalNetwork(instance(*problem()), ALPHA)
    network.weights[:] = 0.99 * COLLAPSE * ALPHA
    assert network.collapsed()
    network.weights[1, 3] *= -1.0
    assert network.collapsed()
    network.weights[1, 3] = 1.01 * COLLAPSE * ALPHA
    assert not network.collapsed()
    assert network.finite()
    network.weights[0, 0] = math.inf
    assert not network.finite()


@pytest.mark.parametrize("rule", ["gd", "n-sam", "1-sam", "stochastic-1-sam"])
def test_last_record_is_the_state(problem_file, rule):
    one = spec(problem_file, rule=rule, record=(0, 50))
    network = DiagonalNetwork(load_regression(one.data, 0), one.alpha)
    _, _, records = train_network(one, network)
    assert np.array_equal(records["beta"][-1], network.beta())
    assert records["train_loss"][-1] == pytest.approx(network.loss(), rel=1e-12)
    assert np.array_equal(run(one).beta, network.beta())

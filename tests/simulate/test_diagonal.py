"""The diagonal network's kernels against the plain twins, its identities, its Hessian, and the arithmetic it needs."""

import dataclasses
import math

import naive
import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate import diagonal
from simulate.diagonal import (
    COLLAPSE,
    DiagonalNetwork,
    describe,
    eights,
    field_jacobian,
    hessian,
    initial_scale,
    sample_hessians,
    sharpness,
    weights_of,
)
from simulate.diagonal_run import DiagonalSpec, run, train_network
from simulate.lanes import padded
from simulate.parameters import ParameterError
from simulate.regression import RegressionFile, RegressionInstance, SparseRegression, draw_regression, load_regression
from simulate.streams import stream
from simulate.update import Batches, Phase, Rule, train

N, D, ALPHA, STEP, RADIUS = 6, 11, 0.1, 0.05, 0.2
BETA = np.array([0.8, -0.5, 0.3] + [0.0] * (D - 3))


def problem(n=N, d=D, seed=5, noise=0.0):
    """Return X (n, d) and y, realisable without noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, X[:, :3] @ BETA[:3] + noise * rng.standard_normal(n)


def instance(X, y):
    """Return a problem without a test set."""
    return RegressionInstance(X, y, np.empty((0, X.shape[1])), np.empty(0), None)


def state(d=D, seed=1):
    """Return weights in general position."""
    return 0.3 + 0.2 * np.random.default_rng(seed).standard_normal((2, d))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Return the path of the problem as a user would give it."""
    X, y = problem()
    path = tmp_path_factory.mktemp("data") / "problem.npz"
    np.savez(path, X=X, y=y)
    return path


def spec(path, **changes):
    """Return a run on the file."""
    common = {"alpha": ALPHA, "radius": RADIUS, "step_size": STEP, "max_steps": 100}
    return DiagonalSpec(RegressionFile(str(path)), **{**common, **changes})


def trained(spec):
    """Return the weights that the engine ends with."""
    network = DiagonalNetwork(load_regression(spec.data, spec.seed), spec.alpha)
    status, steps, _ = train_network(spec, network)
    assert (status, steps) == ("max-steps", spec.max_steps)
    return network.weights


def twin(spec, **changes):
    """Return the weights of the plain twin; `changes` are the rule's, or `weighted`, for controls, or the `problem`."""
    X, y = changes.pop("problem", problem())
    weighted = changes.pop("weighted", True)
    spec, rules = dataclasses.replace(spec, **changes), []
    for name, steps in ((spec.rule, spec.switch_step), (spec.then or spec.rule, spec.max_steps - spec.switch_step)):
        radius = 0.0 if name in ("gd", "sgd") else spec.radius
        rules += [(radius, spec.normalisation, {"1-sam": 1, "m-sam": spec.block}.get(name))] * steps
    n = len(y)
    batches = [np.arange(n)] * spec.max_steps
    if spec.rule in ("sgd", "stochastic-1-sam"):
        rng = stream("batches", spec.seed, samples=n, batch_size=1, sampling=spec.sampling)
        drawn = Batches(n, 1, rng, spec.sampling == "replacement").order(0, -(-spec.max_steps // n))
        batches = list(drawn.reshape(-1, 1)[: spec.max_steps])
    return naive.diagonal_train(spec.alpha, X, y, batches, spec.step_size, rules, weighted)


def gap(W, V):
    """Return the largest relative difference of two arrays, entry by entry."""
    return float(np.abs(W / V - 1.0).max())


# the plain twins themselves


def test_gradient_of_the_plain_twin_is_the_slope_of_its_loss():
    (X, y), W, rng, h = problem(), state(), np.random.default_rng(0), 1e-6
    g = naive.diagonal_gradient(W, X, y)
    for _ in range(5):
        E = rng.standard_normal(W.shape)
        slope = (naive.diagonal_loss(W + h * E, X, y) - naive.diagonal_loss(W - h * E, X, y)) / (2 * h)
        assert abs(slope - (E * g).sum()) < 1e-8
        assert abs(slope - (abs(E) * g).sum()) > 1e-3


def test_twins_in_both_variables_agree():
    """200 steps of 1-SAM in w± and in u, v: one rule, before rounding tells them apart."""
    X, y = problem()
    W = naive.diagonal_train(ALPHA, X, y, [np.arange(N)] * 200, STEP, [(RADIUS, 0.0, 1)] * 200)
    u, v = naive.product_form_1sam(ALPHA, X, y, STEP, RADIUS, 200)
    assert np.abs(W[0] + W[1] - u).max() < 1e-13
    assert np.abs(W[0] - W[1] - v).max() < 1e-13


# every rule against the twin

SMOOTH = {
    "gd": {"rule": "gd"},
    "sgd": {"rule": "sgd"},
    "sgd, epochs": {"rule": "sgd", "sampling": "epochs"},
    "n-sam": {"rule": "n-sam"},
    "1-sam": {"rule": "1-sam"},
    "m divides n": {"rule": "m-sam", "block": 3},
    "m does not divide n": {"rule": "m-sam", "block": 4},
    "stochastic-1-sam": {"rule": "stochastic-1-sam"},
    "stochastic-1-sam, epochs": {"rule": "stochastic-1-sam", "sampling": "epochs"},
    "gd then 1-sam": {"rule": "gd", "then": "1-sam", "switch_step": 137},
    "m-sam then gd": {"rule": "m-sam", "block": 4, "then": "gd", "switch_step": 137},
    "stochastic-1-sam then sgd": {"rule": "stochastic-1-sam", "then": "sgd", "switch_step": 137},
}


@pytest.mark.parametrize("changes", SMOOTH.values(), ids=SMOOTH)
def test_long_run_matches_the_twin(path, many_steps, changes):
    """1e-12, relative, in every weight."""
    one = spec(path, max_steps=many_steps, **changes)
    assert gap(trained(one), twin(one)) < 1e-12


PERTURBED = {name: c for name, c in SMOOTH.items() if c["rule"] not in ("gd", "sgd") and "then" not in c}


@pytest.mark.parametrize("normalisation", [0.5, 1.0])
@pytest.mark.parametrize("changes", PERTURBED.values(), ids=PERTURBED)
def test_normalised_rules_match_the_twin(path, changes, normalisation):
    """1e-12 after 200 steps: a perturbation that does not vanish near a minimum makes longer runs chaotic."""
    one = spec(path, max_steps=200, normalisation=normalisation, **changes)
    assert gap(trained(one), twin(one)) < 1e-12


@pytest.mark.parametrize("changes", PERTURBED.values(), ids=PERTURBED)
def test_long_normalised_run_matches_the_twin(tmp_path, many_steps, changes):
    """Where nothing fits, no block's gradient vanishes and long runs stay smooth; n-SAM's does, so its steps are small.

    The control: a radius changed by a millionth shows.
    """
    X, y = problem(11, 4, noise=1.0)
    np.savez(tmp_path / "noisy.npz", X=X, y=y)
    step = 2e-4 if changes["rule"] == "n-sam" else 0.01
    common = {"radius": 0.02, "normalisation": 1.0, "step_size": step, "max_steps": many_steps, "alpha": 0.3}
    one = spec(tmp_path / "noisy.npz", **common, **changes)
    assert gap(trained(one), twin(one, problem=(X, y))) < 1e-12
    assert gap(trained(one), twin(one, problem=(X, y), radius=0.02 * (1 + 1e-6))) > 1e-10


CONTROLS = {
    "radius": ("n-sam", {"radius": 1.01 * RADIUS}),
    "no radius": ("1-sam", {"radius": 0.0}),
    "normalisation": ("1-sam", {"normalisation": 0.1}),
    "block": ("m divides n", {"block": 2}),
    "weights of unequal blocks": ("m does not divide n", {"weighted": False}),
    "step": ("gd", {"step_size": 1.01 * STEP}),
    "seed": ("sgd", {"seed": 1}),
    "sampling": ("stochastic-1-sam", {"sampling": "epochs"}),
    "switch": ("gd then 1-sam", {"switch_step": 130}),
    "no switch": ("m-sam then gd", {"then": "m-sam"}),
}


@pytest.mark.parametrize(("name", "changes"), CONTROLS.values(), ids=CONTROLS)
def test_comparison_sees_every_part_of_a_rule(path, name, changes):
    """The negative control: a twin with one part changed is far off after 150 steps; unchanged it is not."""
    one = spec(path, max_steps=150, **SMOOTH[name])
    W = trained(one)
    assert gap(W, twin(one, **changes)) > 1e-5
    assert gap(W, twin(one)) < 1e-12


def test_equal_blocks_may_be_weighted_alike(path):
    one = spec(path, **SMOOTH["m divides n"])
    assert gap(twin(one, weighted=False), twin(one)) < 1e-14


def test_alpha_may_differ_by_coordinate(path):
    alpha = tuple(np.linspace(0.05, 0.2, D))
    X, y = problem()
    for rule, block in (("n-sam", None), ("1-sam", 1)):
        W = naive.diagonal_train(alpha, X, y, [np.arange(N)] * 100, STEP, [(RADIUS, 0.0, block)] * 100)
        assert gap(trained(spec(path, rule=rule, alpha=alpha)), W) < 1e-12


# one evaluation


def steps_from(problem, W, steps, rule=None, sharp=False):
    """Return the network and the records after some full-batch steps of size 1 from W."""
    n, network = len(problem.y), DiagonalNetwork(problem, 1.0, sharp)
    network.weights[:] = W
    batches = Batches(n, n, np.random.default_rng(0))
    return network, train(network, [Phase(rule or Rule(), steps)], batches, 1.0, 0.0)[2]


def evaluate(X, y, W, block, radius, normalisation=0.0):
    """Return (loss, G, radius · Q) of one full-batch step of size 1 from W, w± ← w± (1 ∓ (G ± radius · Q))."""
    network, records = steps_from(instance(X, y), W, 1, Rule(radius, normalisation, block))
    plus, minus = network.weights / W
    return records["loss_integral"][-1], (minus - plus) / 2.0, 1.0 - (plus + minus) / 2.0


@pytest.mark.parametrize("normalisation", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [*range(1, 10), 13])
def test_one_pass_over_single_rows_is_the_general_code(n, normalisation):
    """Each row twice, in blocks of two, is the same rule by the other code; the control perturbs fours."""
    (X, y), W = problem(n), state()
    one = evaluate(X, y, W, 1, 0.4, normalisation)
    twice, targets = np.repeat(X, 2, axis=0), np.repeat(y, 2)
    for a, b in zip(one, evaluate(twice, targets, W, 2, 0.4, normalisation), strict=True):
        assert np.abs(a - b).max() < 1e-14 * max(1.0, np.abs(a).max())
    if n > 1:
        assert np.abs(one[1] - evaluate(twice, targets, W, 4, 0.4, normalisation)[1]).max() > 1e-4


@pytest.mark.parametrize("n", [*range(1, 10), 12, 13, 20, 24])
def test_loss_and_gradient_by_loops(n):
    """Whatever the number of rows modulo eight."""
    (X, y), W = problem(n), state()
    r = [math.fsum(x * (W[0] ** 2 - W[1] ** 2)) - target for x, target in zip(X, y, strict=True)]
    loss, G, Q = evaluate(X, y, W, None, 0.0)
    assert loss == pytest.approx(math.fsum(a * a for a in r) / (4 * n), rel=1e-13)
    assert np.allclose(G, [math.fsum(r * X[:, j]) / n for j in range(D)], rtol=0, atol=1e-14)
    assert np.abs(Q).max() < 1e-15


def halves(terms):
    """Return the sum over the last axis, first half plus second half until one is left."""
    while terms.shape[-1] > 1:
        terms = terms[..., : terms.shape[-1] // 2] + terms[..., terms.shape[-1] // 2 :]
    return terms[..., 0]


def gradient_by_eights(X, y, beta, sizes=(8, 4, 1)):
    """Return Σ_k r_k x_k (d,) in the kernels' order: the sums in eight lanes, the rows by eights, fours and ones."""
    X, beta, lanes, g, k = padded(X), padded(beta), 0.0, 0.0, 0
    for j in range(0, len(beta), 8):
        lanes = lanes + X[:, j : j + 8] * beta[j : j + 8]
    r = halves(lanes) - y
    while k < len(X):
        size = next(size for size in sizes if k + size <= len(X))
        g = g + halves((r[k : k + size, None] * X[k : k + size]).T)
        k += size
    return g


@pytest.mark.parametrize("n", [1, 3, 4, 7, 8, 9, 20, 29])
@pytest.mark.parametrize("d", [1, 8, 30, 600])
def test_bits_of_a_step_are_those_of_the_documented_order(n, d):
    """Whether X is small or large (beyond 4096 numbers); the control: rows by ones have other bits."""
    (X, y), W = (np.random.default_rng([n, d]).standard_normal(shape) for shape in ((n, d), n)), state(d)
    network, _ = steps_from(instance(X, y), W, 1)
    moves = [1.0 / n * gradient_by_eights(X, y, W[0] * W[0] - W[1] * W[1], s)[:d] for s in ((8, 4, 1), (1,))]
    found, control = (np.stack([W[0] * (1.0 - a), W[1] * (1.0 + a)]) for a in moves)
    assert np.array_equal(network.weights, found)
    assert n < 4 or d < 30 or not np.array_equal(found, control)


@pytest.mark.parametrize("states", [1, 7, 8, 17])
def test_records_do_not_depend_on_those_beside_them(states):
    """To the last bit; by loops they are the same to rounding."""
    data = draw_regression(SparseRegression(5, 11, test_samples=21), 0)
    beta = np.random.default_rng(0).standard_normal((states, 11))
    records = describe(data, beta)
    for k, one in enumerate(beta):
        alone = describe(data, one[None])
        assert all(records[name][k] == alone[name][0] for name in records)
        for name, X, y in (("train_loss", data.X, data.y), ("test_loss", data.X_test, data.y_test)):
            assert alone[name][0] == pytest.approx(math.fsum((X @ one - y) ** 2) / (4 * len(y)), rel=1e-13)


def test_eights():
    """Rows become lanes; those missing are zeros."""
    for rows in (1, 8, 13):
        values = np.random.default_rng(0).standard_normal((rows, 3))
        found = eights(values)
        assert found.shape == (-(-rows // 8), 3, 8)
        assert found.flags.c_contiguous
        lanes = found.transpose(0, 2, 1).reshape(-1, 3)
        assert np.array_equal(lanes[:rows], values)
        assert not lanes[rows:].any()


@pytest.mark.parametrize("block", [1, 2, 4, 6])
@pytest.mark.parametrize("normalisation", [0.0, 0.7])
def test_step_is_the_gradient_at_the_perturbed_weights(block, normalisation):
    """w± (G ± radius Q) is the twin's total gradient, and the loss is the twin's."""
    (X, y), W = problem(), state()
    loss, G, Q = evaluate(X, y, W, block, 0.4, normalisation)
    expected = W - naive.diagonal_step(W, X, y, np.arange(N), 1.0, 0.4, normalisation, block)
    assert np.abs(W * np.stack([G + Q, -G + Q]) - expected).max() < 1e-14
    assert loss == pytest.approx(naive.diagonal_loss(W, X, y), rel=1e-14)


def test_blocks_of_all_rows_are_n_sam(path):
    """To the last bit, as are blocks of one and 1-SAM; blocks of n − 1 are neither."""
    n_sam, one_sam = (trained(spec(path, rule=rule)) for rule in ("n-sam", "1-sam"))
    assert np.array_equal(trained(spec(path, rule="m-sam", block=N)), n_sam)
    assert np.array_equal(trained(spec(path, rule="m-sam", block=1)), one_sam)
    assert gap(trained(spec(path, rule="m-sam", block=N - 1)), n_sam) > 1e-4


def test_radius_zero_is_gradient_descent(path):
    plain = trained(spec(path, rule="gd"))
    for changes in ({"rule": "n-sam"}, {"rule": "1-sam"}, {"rule": "m-sam", "block": 4, "normalisation": 1.0}):
        assert np.array_equal(trained(spec(path, radius=0.0, **changes)), plain)
        assert not np.array_equal(trained(spec(path, radius=1e-6, **changes)), plain)
    assert np.array_equal(trained(spec(path, rule="gd", radius=5.0, normalisation=1.0)), plain)


def test_one_sample_makes_all_rules_one(tmp_path):
    """n = 1: a batch, a block and a sample are the same thing."""
    X, y = problem(1)
    np.savez(tmp_path / "one.npz", X=X, y=y)
    rules = ({"rule": "n-sam"}, {"rule": "1-sam"}, {"rule": "m-sam", "block": 1}, {"rule": "stochastic-1-sam"})
    first, *others = (trained(spec(tmp_path / "one.npz", normalisation=0.5, **c)) for c in rules)
    assert all(np.array_equal(first, other) for other in others)
    assert np.array_equal(*(trained(spec(tmp_path / "one.npz", rule=rule)) for rule in ("gd", "sgd")))


# what the theory says of any run


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_product_of_the_weights_shrinks_by_the_gradients(path, noise):
    """GD: w₊ w₋ = alpha² Π (1 − gamma² g²) along the path, g the twin's; the control takes (1 − gamma g²)."""
    (X, y), steps = problem(noise=noise), 500
    network = DiagonalNetwork(instance(X, y), ALPHA)
    _, _, records = train_network(spec(path, rule="gd", max_steps=steps), network)
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


def test_permuting_the_coordinates_permutes_the_weights(path):
    """And flipping the sign of a column swaps its w₊ and w₋."""
    (X, y), order = problem(), np.random.default_rng(0).permutation(D)
    sign = np.where(np.arange(D) % 3 == 0, -1.0, 1.0)
    for rule in ("gd", "n-sam", "1-sam"):
        networks = [DiagonalNetwork(instance(Z, y), ALPHA) for Z in (X, X[:, order], X * sign)]
        for network in networks:
            train_network(spec(path, rule=rule), network)
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


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="10⁴ steps are the point")
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


# the Hessian and the Jacobian of the field


def difference_quotient(field, W, h=1e-6):
    """Return the Jacobian (2d, 2d) of a field of W (2, d) by central differences."""
    columns = []
    for k in range(W.size):
        E = np.zeros(W.size)
        E[k] = h
        E = E.reshape(W.shape)
        columns.append((field(W + E) - field(W - E)).ravel() / (2 * h))
    return np.stack(columns, axis=1)


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 99))
def test_hessian_is_the_derivative_of_the_gradient(n, d, seed):
    rng = np.random.default_rng(seed)
    X, y, W = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal((2, d))
    H = hessian(X, y, W)
    expected = difference_quotient(lambda V: naive.diagonal_gradient(V, X, y), W)
    assert np.abs(H - expected).max() < 1e-7 * max(1.0, np.abs(H).max())
    assert np.allclose(H, H.T, rtol=0, atol=1e-14 * np.abs(H).max())
    assert sharpness(instance(X, y), W) == pytest.approx(np.linalg.eigvalsh(expected).max(), abs=1e-6 * abs(H).max())


def test_hessian_needs_its_diagonal():
    """The negative control: without diag(g, −g) the comparison fails, unless the residuals are zero."""
    (X, y), W = problem(), state()
    expected = difference_quotient(lambda V: naive.diagonal_gradient(V, X, y), W)
    fitted = X @ (W[0] ** 2 - W[1] ** 2)
    assert np.abs(hessian(X, fitted, W) - expected).max() > 1e-2
    assert np.linalg.eigvalsh(hessian(X, fitted, W)).min() > -1e-14


@pytest.mark.parametrize("block", [None, 1, 2, 4, 6])
@pytest.mark.parametrize("radius", [0.0, 0.3])
def test_jacobian_of_the_field_is_its_derivative(block, radius):
    """Blocks that divide n and that do not; the control is another radius."""
    (X, y), W = problem(), state()

    def field(V, radius=radius):
        return V - naive.diagonal_step(V, X, y, np.arange(N), 1.0, radius, 0.0, block)

    J = field_jacobian(instance(X, y), W, Rule(radius, 0.0, block))
    assert np.abs(J - difference_quotient(field, W)).max() < 1e-7
    assert np.abs(J - difference_quotient(lambda V: field(V, radius + 0.1), W)).max() > 1e-2
    if radius == 0.0:
        assert np.allclose(J, hessian(X, y, W), rtol=0, atol=1e-14)


def test_jacobian_of_a_normalised_rule_is_refused():
    (X, y), W = problem(), state()
    with pytest.raises(ParameterError, match=r"normalisation = 1\.0"):
        field_jacobian(instance(X, y), W, Rule(0.1))
    assert np.allclose(field_jacobian(instance(X, y), W, Rule(0.0)), hessian(X, y, W), rtol=0, atol=1e-14)


def interpolator(X, y):
    """Return weights whose beta fits y exactly (to rounding)."""
    beta = np.linalg.lstsq(X, y, rcond=None)[0]
    return np.sqrt(np.stack([np.maximum(beta, 0.0) + 0.01, np.maximum(-beta, 0.0) + 0.01]))


STATES = {
    "start": lambda X, y: (y, np.full((2, X.shape[1]), 0.1)),
    "anywhere": lambda X, y: (y, state(X.shape[1])),
    "interpolator": lambda X, y: (y, interpolator(X, y)),
    "nothing to learn": lambda X, y: (0.0 * y, np.full((2, X.shape[1]), 0.1)),
    "all zero": lambda X, y: (0.0 * y, np.zeros((2, X.shape[1]))),
}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize(("n", "d"), [(1, 1), (1, 9), (20, 30), (3, 100)])
def test_large_problems_are_iterated_to_the_same_sharpness(monkeypatch, name, n, d):
    """With a Hessian and without one: both ways agree, and each with itself to the last bit."""
    X, y = np.random.default_rng(d).standard_normal((n, d)), np.random.default_rng(n).standard_normal(n)
    y, W = STATES[name](X, y)
    found = []
    for limit in (10**6, 0):
        monkeypatch.setattr(diagonal, "_DENSE_HESSIAN", limit)
        found.append(sharpness(instance(X, y), W))
        assert sharpness(instance(X, y), W) == found[-1]
    assert found[1] == pytest.approx(found[0], rel=1e-10, abs=1e-15)
    assert found[0] > 0.0 or name == "all zero"


def test_no_hessian_is_formed_above_400_dimensions(monkeypatch):
    """Where y is fitted, ∇²L = (2/n) ZᵀZ, whose largest eigenvalue is that of (2/n) ZZᵀ (n, n)."""
    X, W = np.random.default_rng(0).standard_normal((3, 401)), state(401)
    y = X @ (W[0] ** 2 - W[1] ** 2)
    expected = np.linalg.eigvalsh(2.0 / 3.0 * (X * (W**2).sum(axis=0)) @ X.T)[-1]
    monkeypatch.setattr(diagonal, "hessian", None)
    assert sharpness(instance(X, y), W) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(TypeError):
        sharpness(instance(X[:, :400], y), W[:, :400])


@pytest.mark.parametrize("d", [30, 410])
@pytest.mark.parametrize("size", [1e100, 1.2e154, 1e155, math.inf, math.nan])
def test_sharpness_that_is_not_finite_is_nan(d, size):
    """Also where the residuals still are: w₊ = w₋ and w² is beyond all floats in the Hessian alone."""
    X, W = np.random.default_rng(0).standard_normal((4, d)), np.full((2, d), size)
    with np.errstate(over="ignore", invalid="ignore"):
        found = sharpness(instance(X, np.ones(4)), W)
    assert np.isnan(found) == (not size < 1e150)


def test_step_is_unstable_beyond_two_over_the_sharpness():
    """Along the sharpest direction off an interpolator, a step multiplies the distance by 1 − gamma λ."""
    X, y = problem()
    W = interpolator(X, y)
    values, vectors = np.linalg.eigh(hessian(X, y, W))
    assert values[-1] == pytest.approx(sharpness(instance(X, y), W), rel=1e-12)
    E = 1e-7 * vectors[:, -1].reshape(2, D)
    for c, grows in ((1.9, False), (2.1, True)):
        moved = naive.diagonal_step(W + E, X, y, np.arange(N), c / values[-1]) - W
        assert np.allclose(moved, (1.0 - c) * E, rtol=0, atol=1e-12)
        assert (np.linalg.norm(moved) > np.linalg.norm(E)) == grows


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
def test_last_record_is_the_state(path, rule):
    one = spec(path, rule=rule, record=(0, 50))
    network = DiagonalNetwork(load_regression(one.data, 0), one.alpha)
    _, _, records = train_network(one, network)
    assert np.array_equal(records["beta"][-1], network.beta())
    assert records["train_loss"][-1] == pytest.approx(network.loss(), rel=1e-12)
    assert np.array_equal(run(one).beta, network.beta())


# the samples' own Hessians


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(("n", "d"), [(5, 9), (12, 4)])
def test_sample_hessians_are_each_sample_s(n, d, order):
    """At an interpolator: eigenvalues of M_k − H^k off 0 from each ∇²L_i; the control is beside it."""
    rng = np.random.default_rng(n)
    X, W = rng.standard_normal((n, d)), rng.uniform(0.1, 1.0, (2, d))
    fitted = X @ (W[0] ** 2 - W[1] ** 2)

    def written_out(y):
        each = np.stack([hessian(X[i : i + 1], y[i : i + 1], W) for i in range(n)])
        assert np.allclose(each.mean(axis=0), hessian(X, y, W))
        moment = np.linalg.matrix_power(each, order).mean(axis=0)
        return np.linalg.eigvalsh(moment - np.linalg.matrix_power(each.mean(axis=0), order) * (order > 1))

    family = sample_hessians(X, W)
    found = np.linalg.eigvalsh(family.excess(order) if order > 1 else family.moment(1))
    assert found[-1] == pytest.approx(written_out(fitted)[-1], rel=1e-12)
    assert found.sum() == pytest.approx(written_out(fitted).sum(), rel=1e-11)
    assert abs(written_out(fitted + 2.0)[-1] / found[-1] - 1.0) > 1e-2


def test_weights_of_coefficients_and_their_product():
    """Positive, also where one of them is far below the rounding of the other."""
    W = np.array([[0.7, 1e-9, 1.0, 0.3], [0.2, 1.5, 1e-150, 0.3]])
    found = weights_of(W[0] ** 2 - W[1] ** 2, 0.5 * np.log(W).sum(axis=0))
    assert found == pytest.approx(W, rel=1e-12, abs=0.0)

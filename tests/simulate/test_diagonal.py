"""The diagonal network's kernels against the plain twins, and one evaluation down to its bits."""

import math

import naive
import numpy as np
import pytest
from diagonal_problems import ALPHA, RADIUS, STEP, D, N, gap, instance, problem, spec, state, trained, twin

from simulate.diagonal import (
    DiagonalNetwork,
    describe,
    eights,
)
from simulate.lanes import padded
from simulate.regression import SparseRegression, draw_regression
from simulate.update import Batches, Phase, Rule, train

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
def test_long_run_matches_the_twin(problem_file, many_steps, changes):
    """1e-12, relative, in every weight."""
    one = spec(problem_file, max_steps=many_steps, **changes)
    assert gap(trained(one), twin(one)) < 1e-12


PERTURBED = {name: c for name, c in SMOOTH.items() if c["rule"] not in ("gd", "sgd") and "then" not in c}


@pytest.mark.parametrize("normalisation", [0.5, 1.0])
@pytest.mark.parametrize("changes", PERTURBED.values(), ids=PERTURBED)
def test_normalised_rules_match_the_twin(problem_file, changes, normalisation):
    """1e-12 after 200 steps: a perturbation that does not vanish near a minimum makes longer runs chaotic."""
    one = spec(problem_file, max_steps=200, normalisation=normalisation, **changes)
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
def test_comparison_sees_every_part_of_a_rule(problem_file, name, changes):
    """The negative control: a twin with one part changed is far off after 150 steps; unchanged it is not."""
    one = spec(problem_file, max_steps=150, **SMOOTH[name])
    W = trained(one)
    assert gap(W, twin(one, **changes)) > 1e-5
    assert gap(W, twin(one)) < 1e-12


def test_equal_blocks_may_be_weighted_alike(problem_file):
    one = spec(problem_file, **SMOOTH["m divides n"])
    assert gap(twin(one, weighted=False), twin(one)) < 1e-14


def test_alpha_may_differ_by_coordinate(problem_file):
    alpha = tuple(np.linspace(0.05, 0.2, D))
    X, y = problem()
    for rule, block in (("n-sam", None), ("1-sam", 1)):
        W = naive.diagonal_train(alpha, X, y, [np.arange(N)] * 100, STEP, [(RADIUS, 0.0, block)] * 100)
        assert gap(trained(spec(problem_file, rule=rule, alpha=alpha)), W) < 1e-12


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


def test_blocks_of_all_rows_are_n_sam(problem_file):
    """To the last bit, as are blocks of one and 1-SAM; blocks of n − 1 are neither."""
    n_sam, one_sam = (trained(spec(problem_file, rule=rule)) for rule in ("n-sam", "1-sam"))
    assert np.array_equal(trained(spec(problem_file, rule="m-sam", block=N)), n_sam)
    assert np.array_equal(trained(spec(problem_file, rule="m-sam", block=1)), one_sam)
    assert gap(trained(spec(problem_file, rule="m-sam", block=N - 1)), n_sam) > 1e-4


def test_radius_zero_is_gradient_descent(problem_file):
    plain = trained(spec(problem_file, rule="gd"))
    for changes in ({"rule": "n-sam"}, {"rule": "1-sam"}, {"rule": "m-sam", "block": 4, "normalisation": 1.0}):
        assert np.array_equal(trained(spec(problem_file, radius=0.0, **changes)), plain)
        assert not np.array_equal(trained(spec(problem_file, radius=1e-6, **changes)), plain)
    assert np.array_equal(trained(spec(problem_file, rule="gd", radius=5.0, normalisation=1.0)), plain)


def test_one_sample_makes_all_rules_one(tmp_path):
    """n = 1: a batch, a block and a sample are the same thing."""
    X, y = problem(1)
    np.savez(tmp_path / "one.npz", X=X, y=y)
    rules = ({"rule": "n-sam"}, {"rule": "1-sam"}, {"rule": "m-sam", "block": 1}, {"rule": "stochastic-1-sam"})
    first, *others = (trained(spec(tmp_path / "one.npz", normalisation=0.5, **c)) for c in rules)
    assert all(np.array_equal(first, other) for other in others)
    assert np.array_equal(*(trained(spec(tmp_path / "one.npz", rule=rule)) for rule in ("gd", "sgd")))

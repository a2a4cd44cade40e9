"""The network in its two spaces, against each other, the plain twin, and what the theory says of any run."""

import copy
import dataclasses

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate.conv import DenseNetwork, GramNetwork
from simulate.conv_run import ConvSpec, build_network, run
from simulate.signal_noise import DenseInstance, SignalNoise, draw_dense
from simulate.update import Batches, Phase, Rule, train

SPACES = {"gram": lambda dense, decay=0.0: GramNetwork(dense.to_gram(), decay), "dense": DenseNetwork}


def problem(samples=7, dimension=200, patches=2, shared=True, width=3, init_std=0.1, seed=0, **data):
    """Return a dense problem with a few flipped labels and a signal that matters."""
    kind = "shared" if shared else "independent"
    data = {"signal_norm": 3.0, "flip_rate": 0.25, "noise_patches": kind, **data}
    return draw_dense(SignalNoise(samples, dimension, patches, **data), width, init_std, seed)


def fit(network, steps, batch_size=None, step_size=0.01, radius=0.0, record=(), seed=3):
    """Train in place with a known stream of batches; return what `train` does."""
    n = len(network.instance.labels)
    batches = Batches(n, batch_size or n, np.random.default_rng(seed))
    return train(network, [Phase(Rule(radius), steps)], batches, step_size, 0.0, record)


def permutations(samples, batch_size, epochs, seed=3):
    """Return the permutations that `fit` uses, one an epoch."""
    order = Batches(samples, batch_size or samples, np.random.default_rng(seed)).order(0, epochs)
    return np.resize(order, (epochs, samples))


def scaled_gap(a, b):
    """Return max |a − b| over the larger of 1 and max |b|."""
    return float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))


# the plain twin itself


@pytest.mark.parametrize("shared", [True, False])
def test_gradient_of_the_plain_twin_is_the_slope_of_its_loss(shared):
    """Central differences along random directions; the control, a gradient without its mask, is far off."""
    dense = problem(4, 6, 3, shared, 2, 0.7)
    x, W, everyone = naive.patches(dense), dense.weights, range(4)
    g, rng, h = naive.gradient(W, x, dense.labels, everyone), np.random.default_rng(0), 1e-6
    linear = naive.gradient(np.abs(W), np.abs(x), dense.labels, everyone)
    for _ in range(5):
        E = rng.standard_normal(W.shape)
        slope = (naive.loss(W + h * E, x, dense.labels) - naive.loss(W - h * E, x, dense.labels)) / (2 * h)
        assert abs(slope - (E * g).sum()) < 1e-8
        assert abs(slope - (E * linear).sum()) > 1e-3


def test_sigmoid_of_the_plain_twin_is_stable():
    assert [naive.sigmoid(z) for z in (-1e6, 0.0, 1e6)] == [1.0, 0.5, 0.0]
    assert [naive.log_loss(z) for z in (-1e6, 1e6)] == [1e6, 0.0]
    assert naive.log_loss(0.0) == pytest.approx(np.log(2.0), rel=1e-15)


# one state


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4), st.booleans(), st.integers(1, 3), st.integers(0, 99))
def test_logits_loss_and_perturbation_are_the_twin_s(samples, dimension, patches, shared, width, seed):
    dense = problem(samples, dimension, patches, shared, width, 1.0, seed)
    x, W, V, batch = naive.patches(dense), dense.weights, dense.vectors, np.arange(samples)[::2]
    f = [naive.logit(W, sample) for sample in x]
    eps = naive.perturbation(W, x, dense.labels, batch, 0.7)
    if 0.0 < np.linalg.norm(naive.gradient(W, x, dense.labels, batch)) < 1e-6:
        return  # the direction of a gradient that cancels is rounding
    for make in SPACES.values():
        network = make(dense)
        assert scaled_gap(network.logits(), f) < 1e-12
        assert scaled_gap(network.loss(), naive.loss(W, x, dense.labels)) < 1e-12
        assert scaled_gap(network.perturbation(batch, Rule(0.7)), eps @ V.T) < 1e-9
        assert scaled_gap(network.covariance(), W @ W.T) < 1e-12


@given(st.integers(-4, 4), st.integers(0, 50), st.booleans())
def test_scaling_the_data_up_and_the_weights_down_changes_no_logit(power, seed, shared):
    """f is of degree one in both: a power of two cancels to the last bit. The control scales the data alone."""
    dense, a = problem(5, 9, 3, shared, 2, 1.0, seed), 2.0**power
    scaled = dataclasses.replace(dense, vectors=a * dense.vectors, weights=dense.weights / a)
    control = dataclasses.replace(dense, vectors=a * dense.vectors)
    for make in SPACES.values():
        assert np.array_equal(make(scaled).logits(), make(dense).logits())
        assert np.array_equal(make(control).logits(), a * make(dense).logits())


@pytest.mark.parametrize("make", SPACES.values(), ids=SPACES)
def test_relu_has_no_slope_at_zero(make):
    """Zero weights have a zero gradient, so nothing is perturbed and nothing moves, NaN included."""
    network = make(problem(init_std=0.0))
    fit(network, 5, radius=1.0)
    assert not network.coefficients.any()
    assert not network.projections().any()
    assert not network.perturbation(np.arange(7), Rule(1.0)).any()
    assert network.loss() == pytest.approx(np.log(2.0), rel=1e-15)


@pytest.mark.parametrize("make", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("batch_size", [7, 3])
def test_deactivated_share_is_counted_pair_by_pair(make, batch_size):
    """Own-class pairs on the batch with ⟨w, xi⟩ ≥ 0 and ⟨w + eps, xi⟩ < 0, by loops; the control forgets the class."""
    dense, batch = problem(patches=3, shared=False, width=5), np.arange(7)[:batch_size]
    x, W, y = naive.patches(dense), dense.weights, dense.labels
    eps, seen, control = naive.perturbation(W, x, y, batch, 0.15), [], []
    for r in range(10):
        for i in batch:
            for patch in x[i][1:]:
                if W[r] @ patch >= 0.0:
                    control.append((W[r] + eps[r]) @ patch < 0.0)
                    if naive.sign_of_row(r, 10) == y[i]:
                        seen.append(control[-1])
    share = make(dense).deactivated(batch, Rule(0.15))
    assert share == np.mean(seen)
    assert 0.0 < share < 1.0
    assert share != np.mean(control)


@pytest.mark.parametrize("make", SPACES.values(), ids=SPACES)
def test_deactivated_share_of_nothing_is_undefined(make):
    """NaN where no own-class neuron is active, and where P = 1 leaves no noise vector; 0 where one stays active."""
    dense, batch = problem(1, 5, 2, width=1), np.array([0])
    side = np.sign(dense.weights @ dense.vectors[1])[:, None]
    dead, alive = (dataclasses.replace(dense, weights=J * side * dense.weights) for J in (-1.0, 1.0))
    assert np.isnan(make(dead).deactivated(batch, Rule(1.0)))
    assert make(alive).deactivated(batch, Rule(0.0)) == 0.0
    alone = problem(3, 5, 1, shared=False)
    assert alone.vectors.shape == (1, 5)
    assert np.isnan(make(alone).deactivated(np.arange(3), Rule(1.0)))


@pytest.mark.parametrize("make", SPACES.values(), ids=SPACES)
def test_logits_of_a_million_are_finite(make):
    """At |f| ~ 1e6 the wrong samples have slope one and loss |f|, the right ones next to none; no warning, no NaN."""
    dense = problem(init_std=1.0)
    dense = dataclasses.replace(dense, weights=1e6 * dense.weights)
    network, f = make(dense), [naive.logit(dense.weights, sample) for sample in naive.patches(dense)]
    margins = dense.labels * f
    assert min(abs(margins)) > 1e5
    assert margins.min() < 0.0 < margins.max()
    assert network.loss() == pytest.approx(np.maximum(-margins, 0.0).mean(), rel=1e-12)
    status, steps, records = fit(network, 10, radius=0.1, record=range(10))
    assert (status, steps) == ("max-steps", 10)
    assert all(np.isfinite(records[name]).all() for name in ("loss", "logits", "gamma", "rho"))
    moved = np.any(abs(records["rho"][1]) > 1e-200, axis=0)
    assert np.array_equal(moved, margins < 0.0)


# a short run against the plain twin


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("patches", [1, 2, 3])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("radius", [0.0, 0.4])
@pytest.mark.parametrize("batch_size", [None, 3])
def test_hundred_steps_match_the_twin(space, patches, shared, radius, batch_size):
    """H, W, gamma and rho after 100 steps, to 1e-12; the control leaves the radius or one patch out."""
    dense, steps, step_size = problem(7, 25, patches, shared, 2), 100, 0.02
    network, x = SPACES[space](dense), naive.patches(dense)
    fit(network, steps, batch_size, step_size, radius)
    order = permutations(7, batch_size, steps)
    W, _, _ = naive.train(dense.weights, x, dense.labels, order, batch_size or 7, step_size, [radius] * steps)
    assert scaled_gap(network.projections(), W @ dense.vectors.T) < 1e-12
    assert scaled_gap(network.covariance(), W @ W.T) < 1e-12
    if space == "dense":
        assert scaled_gap(network.weights, W) < 1e-12
    other = x[:, :-1] if patches > 1 else -x
    for broken, radii in ((x, [1.0 - radius] * steps), (other, [radius] * steps)):
        wrong, _, _ = naive.train(dense.weights, broken, dense.labels, order, batch_size or 7, step_size, radii)
        assert scaled_gap(network.projections(), wrong @ dense.vectors.T) > 1e-4


@pytest.mark.parametrize("samples", [32, 63, 64, 130, 200])
@pytest.mark.parametrize("batch_size", [None, 17])
@pytest.mark.parametrize("radius", [0.0, 0.4])
def test_many_samples_match_the_matrix_form(samples, batch_size, radius):
    """Panels of bits from one to seven, two noise vectors a sample, batches that begin and end within a word."""
    instance = problem(samples, 400, 3, False, 2).to_gram()
    network, H, A = GramNetwork(instance), instance.projections, np.zeros_like(instance.projections)
    order = permutations(samples, batch_size, 12)
    queue = [batch for row in order for batch in naive.epoch_batches(row, batch_size or samples)][:12]
    fit(network, len(queue), batch_size, 0.2, radius)
    for batch in queue:
        H, A = naive.gram_step(H, A, instance, batch, 0.2, radius)
    assert scaled_gap(network.projections(), H) < 1e-12
    assert scaled_gap(network.coefficients, A) < 1e-12
    assert scaled_gap(network.projections(), instance.projections) > 1e-3


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("radius", [0.0, 0.4])
def test_gram_state_matches_the_matrix_form(shared, radius):
    """H and A after 60 minibatch steps against D G in matrix form."""
    instance = problem(7, 25, 3, shared, 2).to_gram()
    network, H, A = GramNetwork(instance), instance.projections, np.zeros_like(instance.projections)
    fit(network, 60, 3, 0.02, radius)
    queue = [batch for row in permutations(7, 3, 20) for batch in naive.epoch_batches(row, 3)]
    for batch in queue:
        H, A = naive.gram_step(H, A, instance, batch, 0.02, radius)
    assert len(queue) == 60
    assert scaled_gap(network.projections(), H) < 1e-12
    assert scaled_gap(network.coefficients, A) < 1e-12


# a long run, Gram against dense


def compare_until_flip(gram, dense):
    """Return (steps compared, largest gap in H and A) of two watched runs, up to a mask that rounding flipped.

    Masks are the signs of H and of the perturbed H. Where they part, the pre-activations must be within 1e-12 of
    zero (relative to the largest): anything else is a real difference, and fails.
    """
    steps = len(gram["step"])
    for name in ("H", "perturbed"):
        apart = np.sign(gram[name]) != np.sign(dense[name])
        first = int(np.argmax(apart.any(axis=(1, 2)))) if apart.any() else len(apart)
        if first < steps:
            near = np.maximum(abs(gram[name][first]), abs(dense[name][first]))[apart[first]].max()
            assert near < 1e-12 * max(1.0, abs(dense[name][first]).max()), f"{name} parts at step {first}: {near}"
            steps = first
    return steps, max(scaled_gap(gram[name][:steps], dense[name][:steps]) for name in ("H", "A"))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("batch_size", "radius", "patches", "shared"),
    [(None, 0.0, 2, True), (3, 0.0, 2, True), (None, 0.3, 3, True), (3, 0.3, 3, False)],
    ids=["GD", "SGD with a smaller last batch", "SAM", "stochastic SAM, independent patches"],
)
def test_gram_agrees_with_dense_over_a_long_run(many_steps, batch_size, radius, patches, shared, seed):
    """1e-10 after 1e4 steps, masks watched at every step."""
    dense = problem(patches=patches, shared=shared, seed=seed)
    watched = []
    for make in SPACES.values():
        model = naive.Watched(make(dense))
        status, steps, records = fit(model, many_steps, batch_size, 0.01, radius, range(many_steps))
        assert (status, steps) == ("max-steps", many_steps)
        watched.append(records)
    compared, gap = compare_until_flip(*watched)
    assert compared > many_steps // 10
    assert gap < 1e-10
    assert np.abs(watched[0]["A"][-1]).max() > 0.01  # something was learned


def test_comparison_sees_what_it_must():
    """The negative control: a step size off by 1e-9 leaves a gap, a mask flipped in the open is an error."""
    dense, records = problem(), []
    for make, step_size in ((SPACES["gram"], 0.01 * (1 + 1e-9)), (SPACES["dense"], 0.01)):
        records.append(fit(naive.Watched(make(dense)), 200, None, step_size, 0.3, range(200))[2])
    _, gap = compare_until_flip(*records)
    assert gap > 1e-10
    flipped = copy.deepcopy(records[1])
    flipped["H"][100, 0, 0] *= -1.0
    with pytest.raises(AssertionError, match="H parts at step 100"):
        compare_until_flip(records[1], flipped)
    rounded = copy.deepcopy(records[1])
    for run_, tiny in ((records[1], 1e-14), (rounded, -1e-14)):
        run_["H"][150, 0, 0] = tiny
    assert compare_until_flip(records[1], rounded) == (150, 0.0)


# what the theory says of any run


@pytest.mark.parametrize("patches", [2, 3])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("radius", [0.0, 0.5])
def test_weights_decompose(patches, shared, radius):
    """w = w0 + J gamma mu/‖mu‖² + (1/c) Σ rho_k xi_k/‖xi_k‖², c patches a vector; each term is needed."""
    dense = problem(dimension=60, patches=patches, shared=shared)
    network, c = DenseNetwork(dense), dense.noise_weight
    fit(network, 300, 3, 0.02, radius)
    units = dense.vectors / (dense.vectors**2).sum(1)[:, None]
    signal = np.outer(network.signs * network.signal_coefficients(), units[0])
    noise = network.noise_coefficients() @ units[1:] / c
    assert scaled_gap(dense.weights + signal + noise, network.weights) < 1e-12
    for broken in (noise, signal, signal - noise, signal + 1.01 * noise, network.signs[:, None] * signal + noise):
        assert scaled_gap(dense.weights + broken, network.weights) > 1e-4
    gram = GramNetwork(dense.to_gram())
    fit(gram, 300, 3, 0.02, radius)
    assert scaled_gap(gram.signal_coefficients(), network.signal_coefficients()) < 1e-10
    assert scaled_gap(gram.noise_coefficients(), network.noise_coefficients()) < 1e-10


@pytest.mark.parametrize("space", ["gram", "dense"])
@pytest.mark.parametrize("noise_patches", ["shared", "independent"])
@pytest.mark.parametrize(("rule", "batch_size"), [("sgd", None), ("sgd", 3), ("sam", None), ("sam", 3)])
def test_signs_and_monotonicity_of_rho(space, noise_patches, rule, batch_size):
    """rho_bar ≥ 0 and never falls, rho_under ≤ 0 and never rises; the control swaps the classes."""
    data = SignalNoise(8, 300, 3, flip_rate=0.3, noise_patches=noise_patches)
    result = run(
        ConvSpec(data, 4, 0.1, rule, 0.5, batch_size=batch_size, max_steps=200, space=space, record=range(200))
    )
    rho, own = result.history["rho"], result.own_class()
    assert rho.shape[0] > 50
    assert not rho[0].any()
    change = np.diff(rho, axis=0)
    assert change[:, own].min() >= 0.0
    assert change[:, ~own].max() <= 0.0
    assert change[:, own].max() > 0.0 > change[:, ~own].min()


@given(st.permutations(range(6)), st.integers(0, 20))
def test_permuting_the_samples_permutes_rho(order, seed):
    """Full batch: the order of the samples is a name and no more (to the rounding of the sums)."""
    dense, order = problem(6, 30, 3, False, 2, seed=seed), np.array(order)
    blocks = dense.vectors[1:].reshape(6, 2, -1)[order].reshape(12, -1)
    shuffled = DenseInstance(
        np.vstack([dense.vectors[:1], blocks]), dense.weights, dense.labels[order], dense.signal_labels[order],
        dense.noise_weight, dense.noise_count,
    )  # fmt: skip
    one, two = SPACES["gram"](dense), SPACES["gram"](shuffled)
    for network in (one, two):
        fit(network, 30, radius=0.2)
    rho = one.noise_coefficients().reshape(4, 6, 2)
    assert scaled_gap(rho[:, order].reshape(4, 12), two.noise_coefficients()) < 1e-11
    assert scaled_gap(one.signal_coefficients(), two.signal_coefficients()) < 1e-11


@pytest.mark.parametrize("space", ["gram", "dense"])
@pytest.mark.parametrize("batch_size", [None, 3])
def test_sam_of_radius_zero_is_sgd_to_the_last_bit(space, batch_size):
    """The control: radius 1e-6 differs."""
    data = SignalNoise(7, 100, 3, flip_rate=0.3)
    spec = ConvSpec(data, 3, 0.1, batch_size=batch_size, max_steps=100, space=space, record=range(0, 100, 7))
    plain = run(spec)
    for changes in ({"rule": "sam"}, {"rule": "sam-then-sgd", "sam_steps": 50}):
        same = run(dataclasses.replace(spec, **changes))
        close = run(dataclasses.replace(spec, radius=1e-6, **changes))
        for name in ("step", "loss", "logits", "gamma", "rho"):
            assert np.array_equal(plain.history[name], same.history[name])
        assert (plain.clean_error, plain.steps, plain.status) == (same.clean_error, same.steps, same.status)
        assert not np.array_equal(plain.rho, close.rho)
        assert np.allclose(plain.rho, close.rho, atol=1e-2)


@pytest.mark.parametrize("rule", ["sgd", "sam"])
def test_gradient_that_cancels_is_no_error(many_steps, rule):
    """d = 1, more vectors than dimensions: Σ D ∘ (D G) of a stationary point rounds below zero for some of 20 seeds."""
    data = SignalNoise(12, 1, 2, 1.0, 1.0, 0.3)
    spec = ConvSpec(data, 2, 0.5, rule, 1e-9, step_size=0.3, max_steps=many_steps, stop_loss=0)
    for seed in range(20):
        result = run(dataclasses.replace(spec, seed=seed, record=range(0, many_steps, many_steps // 20)))
        assert result.status == "max-steps"
        assert np.isfinite(result.history["loss"]).all()


def test_building_leaves_the_instance_alone():
    """Training moves the network's own state, never the drawn problem."""
    dense = problem()
    kept = copy.deepcopy(dense)
    for make in SPACES.values():
        fit(make(dense), 20, 3, radius=0.2)
    assert np.array_equal(dense.weights, kept.weights)
    assert np.array_equal(dense.vectors, kept.vectors)
    spec = ConvSpec(SignalNoise(5, 20), max_steps=5)
    network = build_network(spec)
    before = network.instance.projections.copy()
    fit(network, 5)
    assert np.array_equal(network.instance.projections, before)
    assert not np.array_equal(network.projections(), before)

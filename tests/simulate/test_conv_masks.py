"""Masked neurons and weight decay, in both spaces."""

import dataclasses

import naive
import numpy as np
import pytest
from test_conv import SPACES, fit, problem, scaled_gap

from simulate.conv import DenseNetwork, GramNetwork, MaskedNetwork
from simulate.conv_run import ConvSpec, build_network, run
from simulate.parameters import ParameterError
from simulate.signal_noise import SignalNoise
from simulate.update import Rule


def masked(density=0.3, **given):
    """Return a problem whose neurons keep a share of their weights each."""
    return problem(**given).masked(density, 5)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("batch_size", "radius", "decay"), [(None, 0.0, 0.0), (None, 0.4, 0.0), (3, 0.4, 0.5)])
def test_masked_gram_space_is_masked_dense_space(shared, batch_size, radius, decay):
    """To rounding over 200 steps; the control, masks of another draw on the same weights, is far off."""
    dense = masked(patches=3, shared=shared)
    one, two = MaskedNetwork(dense, decay), DenseNetwork(dense, decay)
    first, second = (fit(network, 200, batch_size, 0.02, radius, (0, 50))[2] for network in (one, two))
    other = MaskedNetwork(dataclasses.replace(dense, masks=masked().masks[::-1].copy()), decay)
    fit(other, 200, batch_size, 0.02, radius)
    for name in first:
        assert scaled_gap(first[name], second[name]) < 1e-12
    assert scaled_gap(one.covariance(), two.covariance()) < 1e-12
    assert scaled_gap(one.perturbation(np.arange(5), Rule(0.3)), two.perturbation(np.arange(5), Rule(0.3))) < 1e-12
    assert scaled_gap(other.projections(), one.projections()) > 1e-2
    assert not two.weights[dense.masks == 0.0].any()
    assert two.weights[dense.masks == 1.0].all()


def test_one_masked_step_is_rounding_from_dense_space():
    """2e-15 of a step's change; the control, the common Gram matrix, is not."""
    dense = masked(dimension=2000)
    control = GramNetwork(dataclasses.replace(dense, masks=None).to_gram())
    networks = MaskedNetwork(dense), DenseNetwork(dense), control
    for network in networks:
        fit(network, 1, step_size=0.1)
    one, two, other = (network.projections() for network in networks)
    assert np.abs(one - two).max() < 2e-15 * np.abs(two).max()
    assert np.abs(other - two).max() > 1e-3 * np.abs(two).max()


def test_full_masks_are_no_masks():
    """Density 1 keeps every weight: the same numbers as without masks, to the last bit."""
    dense = problem()
    networks = MaskedNetwork(dense.masked(1.0, 5)), SPACES["gram"](dense)
    for network in networks:
        fit(network, 100, 3, radius=0.2)
    assert np.array_equal(*(network.projections() for network in networks))
    assert np.array_equal(*(network.coefficients for network in networks))


@pytest.mark.parametrize("make", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("radius", [0.0, 0.3])
def test_decay_shrinks_the_weights_before_each_step(make, radius):
    """W ← (1 − eta · decay) W − eta ∇L, by the plain twin; the control, without decay, is elsewhere."""
    dense, eta, decay = problem(5, 30), 0.05, 0.8
    x, W, everyone = naive.patches(dense), dense.weights, np.arange(5)
    for _ in range(20):
        W = naive.step(W, x, dense.labels, everyone, eta, radius) - eta * decay * W
    network, control = make(dense, decay), make(dense)
    for model in (network, control):
        fit(model, 20, step_size=eta, radius=radius)
    assert scaled_gap(network.projections(), W @ dense.vectors.T) < 1e-11
    assert scaled_gap(network.covariance(), W @ W.T) < 1e-11
    assert scaled_gap(control.covariance(), W @ W.T) > 1e-2
    whole, parts = make(dense, decay), make(dense, decay)
    fit(whole, 20, step_size=eta)
    fit(parts, 20, step_size=eta, record=range(20))
    assert np.array_equal(whole.covariance(), parts.covariance())  # however the steps are divided


def test_masks_keep_a_share_and_are_nested():
    """In density; the share is binomial, 6 standard deviations wide."""
    dense = problem(dimension=5000)
    thin, thick = (dense.masked(q, 5).masks for q in (0.1, 0.4))
    assert ((thin == 0.0) | (thin == 1.0)).all()
    assert (thin <= thick).all()
    assert abs(thin.mean() - 0.1) < 6.0 * np.sqrt(0.09 / thin.size)
    assert not np.array_equal(thin, dense.masked(0.1, 6).masks)


def test_runs_of_either_space_share_their_masked_draw():
    """Both spaces draw the vectors; mu has all coordinates alike, and density 1 draws none."""
    data = SignalNoise(6, 300, 3, flip_rate=0.3)
    spec = ConvSpec(data, 4, 0.1, "sam", 0.3, step_size=0.05, max_steps=80, density=0.2, decay=0.1)
    one, two = run(spec), run(dataclasses.replace(spec, space="dense"))
    assert scaled_gap(one.rho, two.rho) < 1e-12
    assert one.clean_error == pytest.approx(two.clean_error, abs=1e-3)
    mu = build_network(dataclasses.replace(spec, space="dense")).instance.vectors[0]
    assert mu == pytest.approx(np.full(300, 3.0 / np.sqrt(300.0)))
    assert isinstance(build_network(spec), MaskedNetwork)
    assert type(build_network(dataclasses.replace(spec, density=1.0))) is GramNetwork


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"density": 0.0}, "density = 0.0: must be"),
        ({"density": 1.5}, "density = 1.5: must be a finite number > 0 and <= 1"),
        ({"decay": -1.0}, "decay = -1.0: must be"),
        ({"decay": 20.0, "step_size": 0.05}, "decay = 20.0: must be < 1/step_size = 20"),
        ({"smoothed": 2}, "smoothed = 2: must be one of"),
    ],
)
def test_bad_masks_and_decay(changes, message):
    with pytest.raises(ParameterError) as error:
        ConvSpec(**changes)
    assert message in str(error.value)


def test_masks_beyond_memory_are_refused():
    spec = ConvSpec(SignalNoise(20, 10**9), density=0.5)
    with pytest.raises(ParameterError, match="dimension"):
        build_network(spec)
    with pytest.raises(ParameterError, match=r"\(N \+ 1\)²"):
        build_network(ConvSpec(SignalNoise(20_000, 1), 3, density=0.5))

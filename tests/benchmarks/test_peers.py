"""The peers that speed is measured against compute what the engine computes."""

import numpy as np
import pytest

from benchmarks.peers import conv_numba, conv_numpy, gram_numba
from simulate.conv import GramNetwork
from simulate.signal_noise import SignalNoise, draw_dense
from simulate.update import Rule

STEP_SIZE, STEPS = 0.01, 40
DOUBLE, SINGLE = 1e-9, 1e-3  # relative, of float64 and of float32


@pytest.fixture(scope="module")
def dense():
    return draw_dense(SignalNoise(samples=9, dimension=50, flip_rate=0.3), 3, 0.1, seed=2)


def off(dense, train, radius, network_radius=None):
    """Return how far a peer's projections are from ours, relative to the largest of ours, after the same steps."""
    network, n = GramNetwork(dense.to_gram()), len(dense.labels)
    rule = Rule(radius if network_radius is None else network_radius)
    network.take_steps(np.arange(n)[None], 0, 0, STEPS, n, STEP_SIZE, rule, 0.0)
    H = network.projections()
    assert abs(H - dense.weights @ dense.vectors.T).max() > 0.1 * abs(H).max()  # it has moved
    return abs(train(STEPS) @ dense.vectors.T - H).max() / abs(H).max()


@pytest.mark.parametrize("radius", [0.0, 0.1])
@pytest.mark.parametrize("peer", [conv_numpy, conv_numba])
def test_compiled_and_plain_dense_peers(dense, peer, radius):
    train = peer.training(dense, radius, STEP_SIZE)
    assert off(dense, train, radius) < DOUBLE
    assert off(dense, train, radius, network_radius=radius + 0.01) > 1e3 * DOUBLE  # the control


@pytest.mark.parametrize("radius", [0.0, 0.1])
@pytest.mark.parametrize("library", ["jax", "torch"])
def test_differentiating_dense_peers(dense, library, radius):
    pytest.importorskip(library)
    if library == "jax":
        from benchmarks.peers.conv_jax import training
    else:
        from benchmarks.peers.conv_torch import training
    assert off(dense, training(dense, radius, STEP_SIZE), radius) < DOUBLE
    single = off(dense, training(dense, radius, STEP_SIZE, dtype=np.float32), radius)
    assert DOUBLE < single < SINGLE


@pytest.mark.parametrize("radius", [0.0, 0.1])
def test_plain_kernel_on_mini_batches(dense, radius):
    gram, n, B = dense.to_gram(), 9, 3
    order = np.random.default_rng(0).permuted(np.tile(np.arange(n), (4, 1)), axis=1)
    network = GramNetwork(gram)
    network.take_steps(order, 0, 0, STEPS, B, STEP_SIZE, Rule(radius), 0.0)
    H, A = gram.projections.copy(), np.zeros_like(gram.projections)
    gram_numba.take_steps(H, A, gram.gram, gram.labels, gram.signal_labels, order, B, radius, STEP_SIZE, STEPS)
    np.testing.assert_allclose(H, network.projections(), rtol=0, atol=DOUBLE * abs(H).max())
    np.testing.assert_allclose(A, network.coefficients, rtol=0, atol=DOUBLE * abs(A).max())

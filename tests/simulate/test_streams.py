"""Which fields move which random numbers: a run shares everything that its comparison must share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate.conv_run import ConvSpec, build_network, run
from simulate.signal_noise import SignalNoise, draw_dense, draw_gram, draw_labels
from simulate.streams import stream
from simulate.update import Batches

DATA = {"samples": 6, "dimension": 30, "patches": 3, "flip_rate": 0.3}


def network(space="gram", width=2, init_std=0.1, seed=0, **changes):
    """Return the untrained network of DATA with `changes` to data or specification."""
    fields = {name: changes.pop(name) for name in list(changes) if name in SignalNoise.__dataclass_fields__}
    data = SignalNoise(**{**DATA, **fields})
    return build_network(ConvSpec(data, width=width, init_std=init_std, space=space, seed=seed, **changes))


def drawn(instance):
    """Return the arrays of an instance by name."""
    return {name: value for name, value in vars(instance).items() if isinstance(value, np.ndarray)}


def permutations(samples, batch_size, seed, epochs=5):
    """Return the batches that `run` uses."""
    rng = stream("batches", seed, samples=samples, batch_size=batch_size)
    return Batches(samples, batch_size, rng).order(0, epochs)


def test_stream_is_named_by_all_of_its_fields():
    """Equal names give equal numbers; a change of any field gives others; the order of fields is nothing."""
    first = stream("data", 3, n=5, d=7).random(4)
    assert np.array_equal(first, stream("data", 3, d=7, n=5).random(4))
    for other in (stream("date", 3, n=5, d=7), stream("data", 4, n=5, d=7), stream("data", 3, n=6, d=7),
                  stream("data", 3, n=5), stream("data", 3, n=5, e=7)):  # fmt: skip
        assert not np.any(first == other.random(4))


@pytest.mark.parametrize("space", ["gram", "dense"])
@pytest.mark.parametrize(
    "change",
    [
        {"rule": "sam"}, {"rule": "sam-then-sgd", "sam_steps": 3}, {"radius": 0.5}, {"step_size": 0.5},
        {"stop_loss": 0.2}, {"max_steps": 7}, {"batch_size": 2}, {"record": (1, 2)},
    ],
    ids=str,
)  # fmt: skip
def test_schedule_moves_no_draw(space, change):
    """Rule, radius, step size, batch size and schedule leave data, labels and weights untouched."""
    plain, changed = drawn(network(space).instance), drawn(network(space, **change).instance)
    assert all(np.array_equal(plain[name], changed[name]) for name in plain)


def test_seed_moves_every_draw():
    """The negative control of the invariances here: another seed changes every random array."""
    for space in ("gram", "dense"):
        one, two = drawn(network(space, samples=40).instance), drawn(network(space, samples=40, seed=1).instance)
        assert not any(np.array_equal(one[name], two[name]) for name in one)


def test_signal_norm_moves_no_noise():
    """‖mu‖ scales the first row and column alone: noise, weights and labels are shared."""
    one, two = network(signal_norm=1.0).instance, network(signal_norm=4.0).instance
    assert np.array_equal(one.gram[1:, 1:], two.gram[1:, 1:])
    assert np.array_equal(one.projections[:, 1:], two.projections[:, 1:])
    assert np.array_equal(one.weight_gram, two.weight_gram)
    assert np.array_equal(4.0 * one.gram[0, 1:], two.gram[0, 1:])
    assert np.array_equal(4.0 * one.projections[:, 0], two.projections[:, 0])
    one, two = network("dense", signal_norm=1.0).instance, network("dense", signal_norm=4.0).instance
    assert np.array_equal(one.vectors[1:], two.vectors[1:])
    assert np.array_equal(one.weights, two.weights)


@pytest.mark.parametrize("space", ["gram", "dense"])
def test_scales_multiply_the_same_numbers(space):
    """sigma_p and sigma_0 scale draws and change nothing else (powers of two: exactly)."""
    one, two = network(space).instance, network(space, noise_std=2.0, init_std=0.2).instance
    if space == "dense":
        assert np.array_equal(2.0 * one.vectors[1:], two.vectors[1:])
        assert np.array_equal(2.0 * one.weights, two.weights)
    else:
        assert np.array_equal(4.0 * one.gram[1:, 1:], two.gram[1:, 1:])
        assert np.array_equal(4.0 * one.projections[:, 1:], two.projections[:, 1:])
        assert np.array_equal(4.0 * one.weight_gram, two.weight_gram)
    assert np.array_equal(one.labels, two.labels)


def test_dimension_moves_no_label():
    """Labels know only n, p and how they are drawn."""
    one = draw_labels(SignalNoise(50, 10, 2), 5)
    assert np.array_equal(one, draw_labels(SignalNoise(50, 1000, 4, 7.0, 2.0, noise_patches="independent"), 5))
    assert not np.array_equal(one[1], draw_labels(SignalNoise(50, 10, 2), 6)[1])


def test_dense_weights_know_no_data():
    """The dense initial weights depend on d, m and the seed; n does not move them."""
    one = draw_dense(SignalNoise(4, 20), 3, 1.0, 0).weights
    assert np.array_equal(one, draw_dense(SignalNoise(9, 20), 3, 1.0, 0).weights)
    assert not np.array_equal(one, draw_dense(SignalNoise(4, 20), 3, 1.0, 1).weights)


def test_width_moves_no_data():
    """More neurons see the same noise vectors."""
    one, two = draw_gram(SignalNoise(4, 20), 2, 1.0, 0), draw_gram(SignalNoise(4, 20), 5, 1.0, 0)
    assert np.array_equal(one.gram, two.gram)
    assert one.projections.shape != two.projections.shape


def test_spaces_are_two_samples():
    """Gram and dense draws of one seed share labels but no numbers: they are two samples of one law."""
    data = SignalNoise(4, 20)
    gram, dense = draw_gram(data, 2, 1.0, 0), draw_dense(data, 2, 1.0, 0).to_gram()
    assert np.array_equal(gram.labels, dense.labels)
    assert not np.any(gram.gram[1:] == dense.gram[1:])
    assert not np.any(gram.weight_gram == dense.weight_gram)


def test_batch_size_changes_batches():
    """B enters the stream of the batches and no other (see test_schedule_moves_no_draw)."""
    assert not np.array_equal(permutations(8, 2, 0), permutations(8, 3, 0))
    assert not np.array_equal(permutations(8, 2, 0), permutations(8, 2, 1))
    assert np.array_equal(permutations(8, 2, 0), permutations(8, 2, 0))


@pytest.mark.parametrize("change", [{"rule": "sam", "radius": 0.3}, {"step_size": 0.3}, {"init_std": 0.7}], ids=str)
def test_rules_see_the_same_batches(change):
    """The samples whose rho moved in the first step are its batch, whatever rule or step size is used."""
    seen = []
    for changes in ({}, change):
        fields = {"batch_size": 2, "init_std": 0.1, "max_steps": 1, "stop_loss": 0, **changes}
        spec = ConvSpec(SignalNoise(9, 500), **fields)
        seen.append(np.flatnonzero(np.any(run(spec).rho != 0.0, axis=0)))
    batch = permutations(9, 2, 0)[0, :2]
    assert np.array_equal(seen[0], np.sort(batch))
    assert np.array_equal(seen[1], np.sort(batch))


@given(st.integers(2, 7), st.integers(1, 6), st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_chunks_change_no_permutation(samples, batch_size, chunks):
    """However many epochs are asked for at a time, overlapping or not, each epoch has its one permutation."""
    batch_size = min(batch_size, samples - 1)
    whole = Batches(samples, batch_size, np.random.default_rng(0)).order(0, sum(chunks) + 4)
    split, first = Batches(samples, batch_size, np.random.default_rng(0)), 0
    for chunk in chunks:
        assert np.array_equal(split.order(first, 1), whole[first : first + 1])
        assert np.array_equal(split.order(first, chunk), whole[first : first + chunk])
        first += chunk - 1  # the last epoch is asked for again, as `train` does in the middle of one

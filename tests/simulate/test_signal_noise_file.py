"""The user's own vectors: what a file may hold, and what is wrong with another one."""

import math
import pickle

import numpy as np
import pytest
from trap import Trap

from simulate.conv_run import ConvSpec, VectorFile, build_network, run
from simulate.signal_noise import (
    SignalNoise,
    draw_dense,
    draw_weights,
    load_instance,
)


def arrays(**changes):
    """Return a well-formed data file's arrays, n = 4 and d = 3, with changes; None drops a key."""
    rng = np.random.default_rng(0)
    good = {"mu": np.array([2.0, 0.0, 1.0]), "noise": rng.standard_normal((4, 3)), "labels": np.array([1, -1, 1, -1])}
    return {key: value for key, value in {**good, **changes}.items() if value is not None}


def saved(folder, **changes):
    """Write `arrays` and return the path."""
    path = folder / "data.npz"
    np.savez(path, **arrays(**changes))
    return path


def test_file_becomes_the_instance(tmp_path):
    """Defaults: P = 2, signal labels equal to the labels, drawn weights."""
    got, want = load_instance(saved(tmp_path), 2, 0.3, 5), arrays()
    assert np.array_equal(got.vectors, np.vstack([want["mu"], want["noise"]]))
    assert got.labels.tolist() == got.signal_labels.tolist() == [1.0, -1.0, 1.0, -1.0]
    assert got.labels.dtype == got.vectors.dtype == np.float64
    assert np.array_equal(got.weights, draw_weights(3, 2, 0.3, 5))
    assert (got.noise_count, got.noise_weight) == (1, 1.0)


def test_file_with_every_key(tmp_path):
    W0, signal = np.arange(12.0).reshape(4, 3), np.array([1, 1, 1, -1])
    got = load_instance(saved(tmp_path, W0=W0, signal_labels=signal, patches=5), 2, 0.3, 5)
    assert np.array_equal(got.weights, W0)
    assert got.signal_labels.tolist() == [1.0, 1.0, 1.0, -1.0]
    assert (got.noise_count, got.noise_weight) == (1, 4.0)


def test_file_with_independent_patches(tmp_path):
    noise = np.random.default_rng(1).standard_normal((4, 2, 3))
    got = load_instance(saved(tmp_path, noise=noise), 1, 0.3, 5)
    assert (got.noise_count, got.noise_weight) == (2, 1.0)
    assert np.array_equal(got.vectors[1:], [noise[i, q] for i in range(4) for q in range(2)])


@pytest.mark.parametrize("space", ["gram", "dense"])
def test_file_of_drawn_data_runs_as_the_draw(tmp_path, space):
    """A dense draw saved and read back trains to the same bits."""
    data = SignalNoise(6, 30, 3, flip_rate=0.3, noise_std=0.8)
    drawn = draw_dense(data, 2, 0.1, 7)
    path = saved(
        tmp_path, mu=drawn.vectors[0], noise=drawn.vectors[1:], labels=drawn.labels,
        signal_labels=drawn.signal_labels, patches=3, W0=drawn.weights,
    )  # fmt: skip
    spec = ConvSpec(VectorFile(str(path), 0.8, 0.3), 2, 0.1, "sam", 0.2, max_steps=50, seed=7, space=space)
    loaded = build_network(spec).instance
    direct = drawn.to_gram() if space == "gram" else drawn
    for name, value in vars(direct).items():
        assert np.array_equal(getattr(loaded, name), value)
    result, again = run(spec), run(ConvSpec(data, 2, 0.1, "sam", 0.2, max_steps=50, seed=7, space="dense"))
    assert np.allclose(result.rho, again.rho, rtol=0, atol=1e-11)
    assert result.test_error == pytest.approx(again.test_error, abs=1e-3)


NAN = np.array([2.0, math.nan, 1.0])
MALFORMED = {
    "no mu": ("mu", {"mu": None}),
    "no noise": ("noise", {"noise": None}),
    "no labels": ("labels", {"labels": None}),
    "unknown key": ("eta", {"eta": np.array(0.1)}),
    "NaN in mu": ("mu", {"mu": NAN}),
    "infinite noise": ("noise", {"noise": np.full((4, 3), np.inf)}),
    "NaN label": ("labels", {"labels": np.array([1, math.nan, 1, -1])}),
    "NaN in W0": ("W0", {"W0": np.full((4, 3), math.nan)}),
    "mu a matrix": ("mu", {"mu": np.ones((1, 3))}),
    "mu a number": ("mu", {"mu": np.array(2.0)}),
    "mu empty": ("mu", {"mu": np.ones(0), "noise": np.ones((4, 0))}),
    "noise of another d": ("noise", {"noise": np.ones((4, 5))}),
    "noise a vector": ("noise", {"noise": np.ones(3)}),
    "noise of four axes": ("noise", {"noise": np.ones((4, 1, 1, 3))}),
    "no samples": ("noise", {"noise": np.ones((0, 3)), "labels": np.ones(0)}),
    "too few labels": ("labels", {"labels": np.array([1, -1])}),
    "labels a column": ("labels", {"labels": np.ones((4, 1))}),
    "labels 0 and 1": ("labels", {"labels": np.array([0, 1, 0, 1])}),
    "label of 2": ("labels", {"labels": np.array([1, -1, 2, 1])}),
    "signal labels of another n": ("signal_labels", {"signal_labels": np.ones(5)}),
    "signal labels 0 and 1": ("signal_labels", {"signal_labels": np.array([0, 1, 0, 1])}),
    "complex mu": ("mu", {"mu": np.ones(3) + 0j}),
    "complex noise": ("noise", {"noise": np.ones((4, 3)) + 1j}),
    "text labels": ("labels", {"labels": np.array(["a", "b", "c", "d"])}),
    "boolean labels": ("labels", {"labels": np.array([True, False, True, False])}),
    "W0 of another width": ("W0", {"W0": np.ones((6, 3))}),
    "W0 of another d": ("W0", {"W0": np.ones((4, 2))}),
    "W0 a vector": ("W0", {"W0": np.ones(12)}),
    "no patch": ("patches", {"patches": np.array(0)}),
    "half a patch": ("patches", {"patches": np.array(2.5)}),
    "two patch numbers": ("patches", {"patches": np.array([2, 3])}),
}


@pytest.mark.parametrize(("key", "changes"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_file_names_the_key(tmp_path, key, changes):
    with pytest.raises(ValueError, match=rf"\b{key}\b"):
        load_instance(saved(tmp_path, **changes), 2, 0.3, 5)


@pytest.mark.parametrize("patches", [3, 7])
def test_patches_that_contradict_the_noise_are_named(tmp_path, patches):
    """noise (n, P − 1, d) fixes P; the key `patches` belongs to noise (n, d) alone."""
    path = saved(tmp_path, noise=np.ones((4, 1, 3)), patches=patches)
    with pytest.raises(ValueError, match="patches"):
        load_instance(path, 2, 0.3, 5)


@pytest.mark.parametrize("key", ["mu", "labels", "eta"])
def test_nothing_is_unpickled(tmp_path, key):
    """An object array is refused and its pickle never runs; the control runs it."""
    path = saved(tmp_path, **{key: np.array([Trap(), 1.0, 1.0], dtype=object)})
    Trap.sprung = False
    with pytest.raises(ValueError, match="allow_pickle"):
        load_instance(path, 2, 0.3, 5)
    assert not Trap.sprung
    with np.load(path, allow_pickle=True) as file:
        assert file[key].dtype == object
    assert Trap.sprung


@pytest.mark.parametrize("key", ["mu", "labels", "eta"])
def test_object_array_is_named(tmp_path, key):
    path = saved(tmp_path, **{key: np.array([None, 1.0, 1.0], dtype=object)})
    with pytest.raises(ValueError, match=rf"\b{key}\b"):
        load_instance(path, 2, 0.3, 5)


def npy(path):
    with path.open("wb") as file:
        np.save(file, np.ones(3))


NOT_A_FILE = {
    "text": lambda path: path.write_text("mu = 3"),
    "nothing": lambda path: path.write_bytes(b""),
    "a bare array": npy,
    "half a zip": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "a damaged zip": lambda path: path.write_bytes(path.read_bytes().replace(b"NUMPY", b"NUMPI")),
    "a pickle": lambda path: path.write_bytes(pickle.dumps({"mu": [Trap()]})),
}


@pytest.mark.parametrize("write", NOT_A_FILE.values(), ids=NOT_A_FILE)
def test_file_of_another_kind_is_named(tmp_path, write):
    path = saved(tmp_path)
    write(path)
    Trap.sprung = False
    with pytest.raises(ValueError, match=r"data.*must be"):
        load_instance(path, 2, 0.3, 5)
    assert not Trap.sprung


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"data = .*nowhere\.npz"):
        VectorFile(str(tmp_path / "nowhere.npz"))


def test_batch_larger_than_the_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"batch_size \(B\) = 5"):
        run(ConvSpec(VectorFile(str(saved(tmp_path))), 2, batch_size=5))
    assert run(ConvSpec(VectorFile(str(saved(tmp_path))), 2, batch_size=4, max_steps=2)).steps == 2

"""The run store: every field comes back, damaged parts are set aside, and nothing half-written is ever read."""

import dataclasses
import os
import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest

from simulate import store as store_module
from simulate.compiled import fingerprint
from simulate.conv_run import ConvSpec, run
from simulate.diagonal_run import DiagonalSpec
from simulate.regression import RegressionFile, SparseRegression
from simulate.runner import Runner
from simulate.signal_noise import SignalNoise
from simulate.store import Store

SMALL = SignalNoise(samples=6, dimension=40, patches=3, signal_norm=2.0, flip_rate=0.3)


def spec(data=SMALL, **changes):
    """Return a small specification."""
    return ConvSpec(data, **{"width": 2, "init_std": 0.1, "step_size": 0.05, "max_steps": 40, **changes})


CASES = {
    "plain": spec(),
    "recorded": spec(record=(0, 3, 4, 39)),
    "independent": spec(dataclasses.replace(SMALL, noise_patches="independent"), record=(0, 9)),
    "no noise": spec(dataclasses.replace(SMALL, patches=1, noise_patches="independent"), record=(0, 9)),
    "no noise, shared": spec(dataclasses.replace(SMALL, patches=1), record=(0, 9)),
    "one sample, one neuron": spec(dataclasses.replace(SMALL, samples=1), width=1),
    "no steps": spec(max_steps=0),
    "nothing active": spec(init_std=0.0, rule="sam", radius=0.1, record=(0,)),
    "diverged": spec(step_size=1e308, record=tuple(range(4))),
}


def bits(result):
    """Return every field of a result as (type, shape, bytes), NaN payloads and signs of zero included."""
    leaves = [(f.name, getattr(result, f.name)) for f in dataclasses.fields(result) if f.name != "history"]
    leaves += sorted(result.history.items())
    arrays = [(name, np.asarray(value)) for name, value in leaves]
    return [(name, a.dtype.str, a.shape, a.tobytes()) for name, a in arrays]


@pytest.fixture(scope="module")
def results():
    """Return a result of every case, by key."""
    return {s.key(): run(s) for s in CASES.values()}


def test_cases_are_what_they_are_called(results):
    found = {name: results[s.key()] for name, s in CASES.items()}
    assert found["no noise"].rho.shape == (4, 0)
    assert found["no noise, shared"].rho.shape == (4, 6)
    assert found["independent"].rho.shape == (4, 12)
    assert found["diverged"].status == "diverged"
    assert np.isnan(found["diverged"].clean_error)
    assert np.isnan(found["no noise"].history["deactivated"]).all()
    assert np.isnan(found["one sample, one neuron"].class_correlation)
    assert found["no steps"].steps == 0


@pytest.mark.parametrize("name", CASES)
def test_round_trip(results, tmp_path, name):
    """Every field, its type and its shape, from memory and from the file, alone and among others."""
    key = CASES[name].key()
    alone, among = Store(tmp_path / "alone"), Store(tmp_path / "among")
    alone.put({key: results[key]})
    among.put(results)
    for store in (alone, among, Store(tmp_path / "alone"), Store(tmp_path / "among")):
        assert key in store
        assert bits(store.get(key)) == bits(results[key])


REGRESSION = SparseRegression(6, 11, test_samples=3)
DIAGONAL = {
    "steps": DiagonalSpec(REGRESSION, max_steps=40),
    "recorded": DiagonalSpec(REGRESSION, rule="1-sam", radius=0.1, max_steps=40, record=(0, 3, 39), sharpness=True),
    "drawn rows": DiagonalSpec(REGRESSION, rule="sgd", max_steps=40, record=(0, 3)),
    "flow": DiagonalSpec(REGRESSION, rule="1-sam-flow", radius=0.1, max_time=5.0),
    "recorded flow": DiagonalSpec(REGRESSION, rule="gradient-flow", max_time=5.0, record=(0, 1, 2.5), sharpness=True),
    "no test set": DiagonalSpec(SparseRegression(6, 11, test_samples=0), max_steps=3),
    "diverged": DiagonalSpec(REGRESSION, step_size=1e300, record=(0, 1, 2), sharpness=True),
    "one sample, one dimension": DiagonalSpec(SparseRegression(1, 1, 1), max_steps=3),
}


@pytest.fixture(scope="module")
def diagonal_results(tmp_path_factory):
    """Return a result of every case of the diagonal network, by key, a file's among them."""
    path = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(path, X=np.eye(3, 5), y=np.ones(3))
    DIAGONAL["file"] = DiagonalSpec(RegressionFile(str(path)), max_steps=3)
    return {s.key(): s.run() for s in DIAGONAL.values()}


def test_diagonal_cases_are_what_they_are_called(diagonal_results):
    found = {name: diagonal_results[s.key()] for name, s in DIAGONAL.items()}
    assert np.isnan(found["no test set"].test_loss)
    assert found["diverged"].status == "diverged"
    assert np.isnan(found["diverged"].beta).any()
    assert found["file"].teacher.shape == (0,)
    assert found["recorded flow"].history["bias_integral"].shape == (4, 11)
    assert found["recorded"].history["step"].dtype == found["recorded flow"].history["step"].dtype == np.int64
    assert ["sharpness" in found[name].history for name in ("steps", "recorded", "flow", "recorded flow")] == [
        False, True, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("name", [*DIAGONAL, "file"])
def test_round_trip_of_diagonal_results(results, diagonal_results, tmp_path, name):
    """Alone, and among the results of both networks; the class, every field, its type and its shape."""
    key = DIAGONAL[name].key()
    alone, among = Store(tmp_path / "alone"), Store(tmp_path / "among")
    alone.put({key: diagonal_results[key]})
    among.put({**results, **diagonal_results})
    for store in (alone, among, Store(tmp_path / "alone"), Store(tmp_path / "among")):
        found = store.get(key)
        assert type(found) is type(diagonal_results[key])
        assert bits(found) == bits(diagonal_results[key])
        assert type(found.steps) is int
        assert type(found.train_loss) is float
    assert len(among) == len(results) + len(DIAGONAL)
    key = CASES["recorded"].key()
    assert bits(among.get(key)) == bits(results[key])


def test_results_can_be_written_to(results, tmp_path):
    """What the store gives is the caller's own."""
    store = Store(tmp_path)
    store.put(results)
    key = CASES["plain"].key()
    store.get(key).history["gamma"][:] = 0.0
    assert bits(store.get(key)) == bits(results[key])


def test_contents(results, tmp_path):
    store = Store(tmp_path)
    assert len(store) == 0
    store.put({})
    assert not list(tmp_path.iterdir())
    keys = list(results)
    store.put({key: results[key] for key in keys[:2]})
    store.put({key: results[key] for key in keys[2:4]})
    assert len(list(tmp_path.glob("*.parquet"))) == 2
    again = Store(tmp_path)
    assert [key in again for key in keys[:5]] == [True] * 4 + [False]
    assert len(again) == 4
    assert again.get(keys[4]) is None


def part_of(folder, results):
    """Write one part with the plain case and return its path."""
    key = CASES["plain"].key()
    Store(folder).put({key: results[key]})
    (part,) = folder.glob("*.parquet")
    return part


def opened(folder, key):
    """Return a store that has been asked for a key, so that the part of that key has been read."""
    store = Store(folder)
    store.get(key)
    return store


DAMAGE = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "other text": lambda data: b"not parquet",
    "footer": lambda data: data[:-20] + bytes(20),
    "head": lambda data: bytes(8) + data[8:],
    "one bit": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
    "something added": lambda data: data[:4] + b"more" + data[4:],
    "no text": lambda data: data.replace(CASES["plain"].key().encode(), b"\xff" * 64),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_part_is_set_aside(results, tmp_path, how):
    """With one warning that names it; its runs are computed again and the other parts still count."""
    part = part_of(tmp_path, results)
    other = CASES["recorded"].key()
    Store(tmp_path).put({other: results[other]})
    part.write_bytes(DAMAGE[how](part.read_bytes()))
    with pytest.warns(UserWarning, match=rf"(?s){part.name} cannot be read .* set aside"):
        store = opened(tmp_path, CASES["plain"].key())
    assert not part.exists()
    assert part.with_suffix(".damaged").exists()
    assert other in store
    runner = Runner(store=store)
    (again,) = runner.run([CASES["plain"]])
    assert (runner.computed, runner.found) == (1, 0)
    assert bits(again) == bits(results[CASES["plain"].key()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(Store(tmp_path)) == 2  # it is not met again


def test_flipped_bits_never_change_a_result(results, tmp_path):
    """One bit of a part, anywhere: the part is set aside, or its runs are not found, or nothing has changed."""
    case = CASES["recorded"]
    Store(tmp_path).put({case.key(): results[case.key()]})
    (part,) = tmp_path.glob("*.parquet")
    whole, expected = part.read_bytes(), bits(results[case.key()])
    rng, seen = np.random.default_rng(0), 0
    for place in rng.choice(len(whole), 150, replace=False):
        data = bytearray(whole)
        data[place] ^= 1 << int(rng.integers(8))
        part.write_bytes(data)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            store = Store(tmp_path)
            found = store.get(case.key())
            seen += bool(caught)
            assert found is None or bits(found) == expected, place
    assert seen > 100  # the control: most flips are noticed


def test_temporary_files_are_ignored(results, tmp_path):
    """A writer that died leaves a `.part`; it is neither read nor complained about, and no part stays behind."""
    part = part_of(tmp_path, results)
    (tmp_path / "half.part").write_bytes(part.read_bytes()[:50])
    (tmp_path / "note.txt").write_text("not ours")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = Store(tmp_path)
    assert len(store) == 1
    store.put({"k": results[CASES["recorded"].key()]})
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".parquet", ".parquet", ".part", ".txt"]


def test_interrupted_write_leaves_nothing(results, tmp_path, monkeypatch):
    def dies(table, file, *rest, **options):
        file.write(b"PAR1 half a part")
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", dies)
    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).put(results)
    assert list(tmp_path.iterdir()) == []


def test_two_writers_do_not_meet(results, tmp_path):
    """Both opened before either wrote; the same run in two parts is one run."""
    one, two = Store(tmp_path), Store(tmp_path)
    key = CASES["plain"].key()
    one.put({key: results[key]})
    two.put({key: results[key]})
    both = Store(tmp_path)
    assert len(both) == 1
    assert bits(both.get(key)) == bits(results[key])


def test_folder_is_that_of_the_kernels(monkeypatch, tmp_path):
    """Runs of other sources live in other folders, so that they never meet."""
    monkeypatch.setenv("SHARPBOUNDS_CACHE", str(tmp_path))
    assert Store().folder == tmp_path / f"runs-{fingerprint()}"
    runner = Runner(store=Store())
    runner.run([CASES["plain"]])
    assert runner.computed == 1
    assert len(Store()) == 1
    monkeypatch.setattr(store_module, "fingerprint", lambda: "0123456789abcdef")
    assert Store().folder == tmp_path / "runs-0123456789abcdef"
    assert len(Store()) == 0


def test_key_knows_the_kernels(monkeypatch):
    before = CASES["plain"].key()
    monkeypatch.setattr("simulate.run.fingerprint", lambda: "0123456789abcdef")
    assert CASES["plain"].key() != before


def test_folder_that_cannot_be_written_is_one_warning(tmp_path):
    """Finished runs are worth more than the store: they are kept in memory, with one warning for all."""
    (tmp_path / "file").write_text("")
    runner = Runner(store=Store(tmp_path / "file" / "runs"))
    with pytest.warns(UserWarning, match="runs cannot be stored"):
        first = runner.run([CASES["plain"]])
    runner.run([CASES["recorded"]])  # a second warning would be an error here
    again = runner.run([CASES["plain"]])
    assert (runner.computed, runner.found) == (2, 1)
    assert bits(first[0]) == bits(again[0])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_is_one_warning(results, tmp_path):
    part = part_of(tmp_path, results)
    os.chmod(tmp_path, 0o555)
    try:
        runner = Runner(store=Store(tmp_path))
        with pytest.warns(UserWarning, match="runs cannot be stored"):
            runner.run([CASES["plain"], CASES["recorded"]])
        assert (runner.computed, runner.found) == (1, 1)
        part.write_bytes(b"")
        with pytest.warns(UserWarning, match="cannot be read"):
            assert len(Store(tmp_path)) == 0
    finally:
        os.chmod(tmp_path, 0o755)

"""The user's own files: what is read comes back as it was written, anything else is one error."""

import io
import os
import pickle
import tracemalloc
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import torn
from trap import Trap

import sharpbounds
from simulate.data_file import read_arrays
from simulate.parameters import ParameterError

X, Y = np.round(4.0 * np.random.default_rng(0).standard_normal((4, 3))) / 4.0, np.array([1, -2, 3, 4])


def read(path):
    """Read a file that must hold X and y and may hold z."""
    return read_arrays(path, ("X", "y"), ("z",))


@pytest.fixture
def path(tmp_path):
    """Return the path of a good file."""
    np.savez(tmp_path / "data.npz", X=X, y=Y)
    return tmp_path / "data.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(tmp_path, save):
    """With their type and shape; optional keys only where they are there."""
    save(tmp_path / "data.npz", X=X.astype(np.float32), y=Y)
    found = read(tmp_path / "data.npz")
    assert sorted(found) == ["X", "y"]
    assert (found["X"].dtype, found["y"].dtype) == (np.float32, np.int64)
    assert np.array_equal(found["X"], X)
    assert np.array_equal(found["y"], Y)
    save(tmp_path / "more.npz", X=X, y=Y, z=np.array(2, dtype=np.uint8))
    assert read(str(tmp_path / "more.npz"))["z"] == 2


def test_columns_may_be_first(path):
    np.savez(path, X=np.asfortranarray(X), y=Y)
    assert np.array_equal(read(path)["X"], X)


KEYS = {
    "no X": ("X", {"y": Y}),
    "no y": ("y", {"X": X}),
    "neither": ("X, y", {"z": Y}),
    "another key": ("w", {"X": X, "y": Y, "w": Y}),
    "a key of another case": ("x", {"X": X, "y": Y, "x": X}),
    "NaN": ("X", {"X": X + np.array([0.0, np.nan, 0.0]), "y": Y}),
    "infinite": ("y", {"X": X, "y": np.array([1.0, np.inf, 0.0, 0.0])}),
    "finite in a longer float alone": ("y", {"X": X, "y": np.full(4, np.finfo(np.longdouble).max)}),
    "NaN in an optional key": ("z", {"X": X, "y": Y, "z": np.array(np.nan)}),
    "complex": ("X", {"X": X + 0j, "y": Y}),
    "boolean": ("y", {"X": X, "y": Y > 0}),
    "text": ("y", {"X": X, "y": np.array(["1", "2", "3", "4"])}),
    "dates": ("y", {"X": X, "y": np.zeros(4, "M8[s]")}),
    "records": ("y", {"X": X, "y": np.zeros(4, [("a", float)])}),
    "objects": ("X", {"X": X.astype(object), "y": Y}),
}


@pytest.mark.parametrize(("key", "arrays"), KEYS.values(), ids=KEYS)
def test_key_at_fault_is_named(path, key, arrays):
    np.savez(path, **arrays)
    with pytest.raises(ParameterError, match=rf"\b{key}\b"):
        read(path)


@pytest.mark.parametrize("key", ["X", "y", "w"])
def test_nothing_is_unpickled(path, key):
    """An object array is refused and its pickle never runs; the control runs it."""
    np.savez(path, **{"X": X, "y": Y, key: np.array([Trap()], dtype=object)})
    Trap.sprung = False
    with pytest.raises(ParameterError, match=rf"key {key}: .*allow_pickle"):
        read(path)
    assert not Trap.sprung
    with np.load(path, allow_pickle=True) as file:
        assert file[key].dtype == object
    assert Trap.sprung


def bare_array():
    """Return the bytes of an .npy file."""
    file = io.BytesIO()
    np.save(file, X)
    return file.getvalue()


NOT_A_FILE = {
    "text": b"X = 3",
    "nothing": b"",
    "a bare array": bare_array(),
    "a pickle": pickle.dumps({"X": [Trap()]}),
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("data", NOT_A_FILE.values(), ids=NOT_A_FILE)
def test_file_of_another_kind_is_named(path, data):
    path.write_bytes(data)
    Trap.sprung = False
    with pytest.raises(ParameterError, match=r"data = .*data\.npz.*must be an \.npz file"):
        read(path)
    assert not Trap.sprung


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"data = .*nowhere\.npz"):
        read(tmp_path / "nowhere.npz")
    with pytest.raises(ParameterError, match="data = "):
        read(tmp_path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_is_one_error_or_no_change(path, save):
    """Files cut short, or with one bit flipped: a ParameterError that names the file, or the arrays as they were."""
    save(path, X=X, y=Y)
    whole, rng, noticed = path.read_bytes(), np.random.default_rng(0), 0
    damaged = [whole[:length] for length in range(0, len(whole), 11)]
    for place in range(0, len(whole), 3):
        data = bytearray(whole)
        data[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(data))
    for data in damaged:
        path.write_bytes(data)
        try:
            found = read(path)
        except ParameterError as error:
            noticed += "data" in str(error)
        else:
            assert np.array_equal(found["X"], X)
            assert np.array_equal(found["y"], Y)
    assert noticed > len(damaged) // 2  # the control: damage is met


@pytest.mark.parametrize("shape", [(10**15,), (10**30,), (-1,)], ids=str)
def test_shape_beyond_memory_is_one_error(path, shape):
    """A file of a few bytes may claim any shape."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("X.npy", header.getvalue() + bytes(80))
    with pytest.raises(ParameterError, match=r"data = .*key X"):
        read(path)


def header(shape, kind="<f8"):
    """Return the header of an .npy file."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue()


def peak_of(path):
    """Return the bytes that refusing a file takes, and what is said."""
    tracemalloc.start()
    try:
        with pytest.raises(ParameterError) as caught:
            read(path)
        return tracemalloc.get_traced_memory()[1], str(caught.value)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((10**8,), "<f8"), ((10**4, 10**4), "<f8"), ((1,), "|V999999999"), ((3, 0, -1), "<f8"), ((), "<f4")], ids=str,
)  # fmt: skip
def test_declared_shape_is_checked_before_it_is_allocated(path, shape, kind):
    """A member whose header declares more than it holds, or less."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("X.npy", header(shape, kind) + bytes(64))
    peak, said = peak_of(path)
    assert "key X" in said
    assert "bytes" in said
    assert peak < 2e6


def test_small_file_that_unpacks_to_a_large_one(path, monkeypatch):
    """Zeros, all declared: refused by their size before they are unpacked; the control is read."""
    large = np.zeros(2_000_000)
    np.savez_compressed(path, X=large, y=Y)
    assert path.stat().st_size < 10**5
    assert read(path)["X"].size == large.size
    monkeypatch.setattr("simulate.data_file._ALWAYS", 10**6)
    peak, said = peak_of(path)
    assert "unpack to 16000" in said
    assert peak < 2e6


@pytest.mark.parametrize("name", ["../X", "/X", "X/../../y", "C:\\X", "", "X\n"])
def test_name_of_a_member_is_no_path(path, name):
    """Nothing is unpacked to disk, whatever a member is called."""
    np.savez(path, X=X, y=Y)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(f"{name}.npy", bare_array())
    before = sorted(path.parent.parent.rglob("*"))
    with pytest.raises(ParameterError, match="data file key"):
        read(path)
    assert sorted(path.parent.parent.rglob("*")) == before


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_key_that_stands_there_twice(path):
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("X.npy", bare_array())
    with pytest.raises(ParameterError, match="different"):
        read(path)


@given(st.data())
def test_torn_file_is_read_or_refused(tmp_path_factory, data):
    """Whatever is done to its bytes: what is read is what was written, or one error."""
    path = tmp_path_factory.getbasetemp() / "torn.npz"
    np.savez(path, X=X, y=Y)
    path.write_bytes(data.draw(torn(path.read_bytes())))
    with suppress(ParameterError):
        found = read(path)
        assert np.array_equal(found["X"], X)
        assert np.array_equal(found["y"], Y)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no such device here")
@pytest.mark.parametrize("rule", ["conv", "diagonal", "finite_sum"])
def test_device_is_no_file(rule):
    """It has no end to be read to."""
    with pytest.raises(ParameterError, match="/dev/zero"):
        getattr(sharpbounds, rule)(data="/dev/zero")

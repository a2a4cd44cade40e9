"""Bad input gets one kind of error, which names the parameter, its value and what is allowed."""

import math

import numpy as np
import pytest

from simulate.conv_run import ConvSpec, VectorFile
from simulate.parameters import choice, integer, real, sequence
from simulate.signal_noise import SignalNoise

NEVER = [math.nan, math.inf, -math.inf, True, False, np.True_, "1", None, [1], 1 + 0j]
INTEGERS = {
    (SignalNoise, "samples", "samples (n)"): [0, -1, 1.5],
    (SignalNoise, "dimension", "dimension (d)"): [0, -1, 2.5, 10**15 + 1],
    (SignalNoise, "patches", "patches (P)"): [0, -1, 1.5],
    (ConvSpec, "width", "width (m)"): [0, -1, 1.5],
    (ConvSpec, "sam_steps", "sam_steps"): [-1, 1.5],
    (ConvSpec, "max_steps", "max_steps"): [-1, 0.5],
    (ConvSpec, "seed", "seed"): [-1, 0.5],
    (ConvSpec, "batch_size", "batch_size (B)"): [0, -1, 1.5, 21],
}
REALS = {
    (SignalNoise, "signal_norm", "signal_norm (mu)"): [-1.0, -1e-300],
    (SignalNoise, "noise_std", "noise_std (sigma_p)"): [-1.0],
    (SignalNoise, "flip_rate", "flip_rate (p)"): [-0.1, 0.5, 0.7, 1],
    (ConvSpec, "init_std", "init_std (sigma_0)"): [-1.0],
    (ConvSpec, "radius", "radius (tau)"): [-1.0],
    (ConvSpec, "step_size", "step_size (eta)"): [-1.0, 0, 0.0],
    (ConvSpec, "stop_loss", "stop_loss"): [-1.0],
}
CHOICES = {
    (SignalNoise, "labels", "labels"): ["IID", "", 1, None, True],
    (SignalNoise, "noise_patches", "noise_patches"): ["both", 1, None],
    (ConvSpec, "rule", "rule"): ["SAM", "adam", 0, None, ["sgd"]],
    (ConvSpec, "space", "space"): ["sparse", 0, None],
}


def cases():
    """Every (class, field, printed name, bad value)."""
    for table, never in ((INTEGERS, NEVER), (REALS, NEVER), (CHOICES, [])):
        for (owner, field, name), values in table.items():
            for value in never + values:
                if not (field == "batch_size" and value is None):  # None is the full batch
                    yield pytest.param(owner, field, name, value, id=f"{field}={value!r}")


@pytest.mark.parametrize(("owner", "field", "name", "value"), list(cases()))
def test_bad_value_is_named(owner, field, name, value):
    with pytest.raises(ValueError, match="must be") as caught:
        owner(**{field: value})
    assert str(caught.value).startswith(f"{name} = {value!r}: must be ")


@pytest.mark.parametrize("value", [(-1,), (1.5,), ("1",), (math.nan,), (True,), "12"], ids=repr)
def test_bad_record_is_named(value):
    with pytest.raises(ValueError, match="record = "):
        ConvSpec(record=value)


@pytest.mark.parametrize("value", [5, None, 2.0], ids=repr)
def test_record_that_is_no_sequence_is_named(value):
    with pytest.raises(ValueError, match="record = "):
        ConvSpec(record=value)


@pytest.mark.parametrize("value", ["file.npz", None, 5, {"samples": 3}], ids=repr)
def test_data_of_another_kind_is_named(value):
    with pytest.raises(ValueError, match="data = "):
        ConvSpec(data=value)


@pytest.mark.parametrize("value", [-1, 0.5, math.nan, True, "0"], ids=repr)
def test_bad_value_of_a_vector_file_is_named(tmp_path, value):
    path = tmp_path / "data.npz"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="flip_rate"):
        VectorFile(str(path), flip_rate=value)
    if value != 0.5:
        with pytest.raises(ValueError, match="noise_std"):
            VectorFile(str(path), noise_std=value)


@pytest.mark.parametrize(("owner", "field"), [(o, f) for o, f, _ in [*INTEGERS, *REALS]])
@pytest.mark.parametrize("kind", [int, float, np.int64, np.float64, np.float32])
def test_good_number_becomes_plain(owner, field, kind):
    """The negative control: every field takes a number inside its range, of any real type, and stores Python's own."""
    value = kind(0) if field == "flip_rate" else kind(3)
    stored = getattr(owner(**{field: value}), field)
    assert stored == value
    assert type(stored) is (int if (owner, field) in {key[:2] for key in INTEGERS} else float)


def test_edges_are_allowed():
    """The closed ends of every range."""
    SignalNoise(samples=1, dimension=1, patches=1, signal_norm=0, noise_std=0, flip_rate=0)
    SignalNoise(dimension=10**15, flip_rate=math.nextafter(0.5, 0.0))
    ConvSpec(width=1, init_std=0, radius=0, sam_steps=0, batch_size=20, max_steps=0, stop_loss=0, seed=0)
    ConvSpec(batch_size=1, step_size=5e-324, record=())


def test_checks_themselves():
    assert integer("k", 3.0, 1, 3) == 3
    assert real("x", -2, minimum=-2) == -2.0
    assert choice("c", "b", ("a", "b")) == "b"
    with pytest.raises(ValueError, match=r"^k = 4: must be an integer >= 1 and <= 3$"):
        integer("k", 4, 1, 3)
    with pytest.raises(ValueError, match=r"^x = 0\.5: must be a finite number >= 0 and < 0\.5$"):
        real("x", 0.5, below=0.5)
    with pytest.raises(ValueError, match=r"^x = 0: must be a finite number > 0$"):
        real("x", 0, strict=True)
    with pytest.raises(ValueError, match=r"^c = 'd': must be one of a, b$"):
        choice("c", "d", ("a", "b"))
    assert sequence("s", range(2), "") == sequence("s", np.arange(2), "") == (0, 1)


@pytest.mark.parametrize("value", [10**400, -(10**400)], ids=["+", "-"])
def test_integer_beyond_the_floats_is_no_number(value):
    with pytest.raises(ValueError, match=r"x = .*must be a finite number"):
        real("x", value)


@pytest.mark.parametrize("value", [["a"], np.array("a"), np.array(["a", "b"])], ids=repr)
def test_container_is_no_choice(value):
    with pytest.raises(ValueError, match=r"c = .*must be one of a, b"):
        choice("c", value, ("a", "b"))


@pytest.mark.parametrize("value", [5, None, "12", b"12", np.array(5)], ids=repr)
def test_what_is_no_sequence(value):
    with pytest.raises(ValueError, match=r"s = .*must be numbers"):
        sequence("s", value, "numbers")

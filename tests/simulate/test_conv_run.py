"""From a specification to a result: edges, identity, and what is recorded."""

import dataclasses
import itertools
import shutil

import numpy as np
import pytest

from simulate.conv_run import ConvSpec, VectorFile, build_network, class_correlation, run, train_network
from simulate.signal_noise import SignalNoise

SMALL = SignalNoise(samples=6, dimension=40, patches=3, signal_norm=2.0, flip_rate=0.3)
SPACES = ["gram", "dense"]
EVERYWHERE = [
    pytest.param(space, rule, batch_size, id=f"{space} {rule} B={batch_size}")
    for space, rule, batch_size in itertools.product(SPACES, ["sgd", "sam"], [None, 1, 4])
]


def spec(data=SMALL, **changes):
    """Return a small specification with changes."""
    return ConvSpec(data, **{"width": 2, "init_std": 0.1, "step_size": 0.05, "max_steps": 60, "radius": 0.3, **changes})


def equal(one, two):
    """Return whether two results are the same to the last bit, NaN equal to NaN."""
    return all(
        np.array_equal(np.asarray(a), np.asarray(b), equal_nan=np.asarray(a).dtype.kind == "f")
        for name in (f.name for f in dataclasses.fields(one))
        for a, b in zip(*(_leaves(getattr(result, name)) for result in (one, two)), strict=True)
    )


def _leaves(value):
    return [value[key] for key in sorted(value)] if isinstance(value, dict) else [value]


def sound(result):
    """Return whether every number that must be finite is."""
    numbers = [result.train_loss, result.clean_error, result.test_error, result.gamma, result.rho]
    return all(np.isfinite(x).all() for x in numbers) and 0.0 <= result.clean_error <= 1.0


# identity


def test_run_is_pure():
    assert equal(run(spec()), run(spec()))
    assert not equal(run(spec()), run(spec(seed=1)))


FIELDS = {
    "width": 3, "init_std": 0.2, "rule": "sam", "radius": 0.4, "sam_steps": 5, "batch_size": 2, "step_size": 0.06,
    "max_steps": 61, "stop_loss": 0.02, "seed": 1, "space": "dense", "record": (1,), "density": 0.5, "decay": 0.1,
    "smoothed": True,
}  # fmt: skip
DATA_FIELDS = {
    "samples": 7, "dimension": 41, "patches": 4, "signal_norm": 2.5, "noise_std": 1.5, "flip_rate": 0.2,
    "labels": "balanced", "noise_patches": "independent",
}  # fmt: skip


def test_key_is_stable():
    """Equal specifications have equal keys, however their numbers were written."""
    written = spec(SignalNoise(6.0, np.int64(40), 3, 2, 1, np.float64(0.3)), seed=0.0, record=[np.int64(3), 2.0])
    assert written == spec(record=(3, 2))
    assert written.key() == spec(record=(3, 2)).key()
    assert len(written.key()) == 64


@pytest.mark.parametrize("field", ["radius", "init_std", "stop_loss"])
def test_key_knows_one_zero(field):
    one, two = spec(**{field: 0.0}), spec(**{field: -0.0})
    assert one == two
    assert one.key() == two.key()


@pytest.mark.parametrize("field", FIELDS)
def test_key_changes_with_each_field(field):
    assert spec(**{field: FIELDS[field]}).key() != spec().key()


@pytest.mark.parametrize("field", DATA_FIELDS)
def test_key_changes_with_each_data_field(field):
    data = dataclasses.replace(SMALL, **{field: DATA_FIELDS[field]})
    assert spec(data).key() != spec().key()


def test_every_field_is_tried():
    assert FIELDS.keys() | {"data"} == {f.name for f in dataclasses.fields(ConvSpec)}
    assert DATA_FIELDS.keys() == {f.name for f in dataclasses.fields(SignalNoise)}


def test_files_are_known_by_content(tmp_path):
    """A copy has the same key; a changed file of the same name, noise level or flip rate another."""
    one, copy = tmp_path / "one.npz", tmp_path / "copy.npz"
    np.savez(one, mu=np.ones(3), noise=np.ones((2, 3)), labels=np.array([1, -1]))
    shutil.copy(one, copy)
    key = spec(VectorFile(str(one))).key()
    assert spec(VectorFile(str(copy))).key() == key
    assert spec(VectorFile(str(copy), noise_std=0.5)).key() != key
    assert spec(VectorFile(str(copy), flip_rate=0.1)).key() != key
    np.savez(one, mu=np.ones(3), noise=np.ones((2, 3)), labels=np.array([-1, -1]))
    assert spec(VectorFile(str(one))).key() != key
    assert "path" in spec(VectorFile(str(one))).to_dict()["data"]


def test_plain_data_rebuilds_the_specification():
    plain = spec(record=(1, 2)).to_dict()
    assert plain.pop("model") == "conv"
    assert ConvSpec(SignalNoise(**plain.pop("data")), **plain) == spec(record=(1, 2))


# phases


@pytest.mark.parametrize(
    ("rule", "sam_steps", "expected"),
    [
        ("sgd", 5, [(0.0, 60)]),
        ("sam", 5, [(0.3, 60)]),
        ("sam-then-sgd", 0, [(0.3, 0), (0.0, 60)]),
        ("sam-then-sgd", 20, [(0.3, 20), (0.0, 40)]),
        ("sam-then-sgd", 60, [(0.3, 60), (0.0, 0)]),
        ("sam-then-sgd", 1000, [(0.3, 60), (0.0, 0)]),
    ],
)
def test_phases(rule, sam_steps, expected):
    phases = spec(rule=rule, sam_steps=sam_steps).phases()
    assert [(phase.rule.radius, phase.steps) for phase in phases] == expected
    assert {phase.rule.normalisation for phase in phases} == {1.0}


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("batch_size", [None, 4])
def test_sam_then_sgd_lies_between_its_ends(space, batch_size):
    """No SAM steps are SGD, more than there are steps are SAM, and in between it is neither."""
    common = {"space": space, "batch_size": batch_size, "record": range(60), "stop_loss": 0.0}
    sgd, sam = (run(spec(rule=rule, **common)) for rule in ("sgd", "sam"))
    none, half, more = (run(spec(rule="sam-then-sgd", sam_steps=k, **common)) for k in (0, 30, 10**6))
    for name in ("loss", "logits", "gamma", "rho"):
        assert np.array_equal(none.history[name], sgd.history[name])
        assert np.array_equal(half.history[name][:31], sam.history[name][:31])
    assert equal(more, sam)
    assert not np.array_equal(half.rho, sam.rho)
    assert not np.array_equal(half.rho, sgd.rho)


# edges


@pytest.mark.parametrize(("space", "rule", "batch_size"), EVERYWHERE)
@pytest.mark.parametrize(
    "changes",
    [
        {"patches": 1}, {"patches": 1, "noise_patches": "independent"}, {"dimension": 1}, {"dimension": 2},
        {"dimension": 3}, {"noise_std": 0.0}, {"signal_norm": 0.0}, {"noise_std": 0.0, "signal_norm": 0.0},
        {"flip_rate": 0.0}, {"labels": "balanced"}, {"noise_patches": "independent"},
    ],
    ids=str,
)  # fmt: skip
def test_edges_of_the_data_run(space, rule, batch_size, changes):
    data = dataclasses.replace(SMALL, **changes)
    result = run(spec(data, space=space, rule=rule, batch_size=batch_size))
    assert sound(result)
    assert result.status in ("max-steps", "stopped")
    assert result.train_loss != pytest.approx(np.log(2.0)) or not (data.noise_std or data.signal_norm)
    if data.signal_norm == 0.0:
        assert (result.clean_error, result.clean_error_se) == (0.5, 0.0)
        assert not result.gamma.any()
    if data.patches == 1 or data.noise_std == 0.0:
        assert not result.rho.any()
        assert result.clean_error in (0.0, 0.25, 0.5, 0.75, 1.0)


@pytest.mark.parametrize(("space", "rule", "batch_size"), EVERYWHERE)
def test_zero_weights_stay(space, rule, batch_size):
    """sigma_0 = 0: loss log 2, error ½, nothing moves, no NaN; the control, 1e-9, leaves."""
    result = run(spec(init_std=0.0, space=space, rule=rule, batch_size=batch_size, record=range(60)))
    assert (result.status, result.steps) == ("max-steps", 60)
    assert (result.clean_error, result.clean_error_se, result.test_error) == (0.5, 0.0, 0.5)
    assert np.array_equal(result.history["loss"], np.full(61, result.train_loss))
    assert result.train_loss == pytest.approx(np.log(2.0), rel=1e-15)
    for name in ("logits", "gamma", "rho"):
        assert not result.history[name].any()
    assert np.isnan(result.class_correlation)
    assert run(spec(init_std=1e-9, space=space, radius=0.0, rule=rule, batch_size=batch_size)).rho.any()


@pytest.mark.parametrize(("space", "rule"), list(itertools.product(SPACES, ["sgd", "sam"])))
def test_one_sample_one_neuron_a_class(space, rule):
    result = run(spec(SignalNoise(1, 5, 2), width=1, space=space, rule=rule))
    assert sound(result)
    assert result.rho.shape == (2, 1)
    assert np.isnan(result.class_correlation)


@pytest.mark.parametrize("space", SPACES)
def test_no_steps(space):
    """max_steps = 0 tests the untrained network and records its state."""
    result = run(spec(max_steps=0, space=space))
    network = build_network(spec(space=space))
    assert (result.status, result.steps) == ("max-steps", 0)
    assert result.history["step"].tolist() == [0]
    assert result.train_loss == network.loss()
    assert not result.rho.any()
    assert run(spec(max_steps=0, stop_loss=100.0, space=space)).status == "stopped"


@pytest.mark.parametrize(("space", "rule", "batch_size"), EVERYWHERE)
def test_large_stop_loss_stops_at_once(space, rule, batch_size):
    result = run(spec(stop_loss=100.0, space=space, rule=rule, batch_size=batch_size))
    assert (result.status, result.steps) == ("stopped", 0)
    assert result.history["step"].tolist() == [0]


def test_stops_at_the_first_step_below_the_level():
    """Full batch: every recorded loss before the last is above stop_loss, the last is not."""
    result = run(spec(stop_loss=0.3, max_steps=10_000, record=range(10_000)))
    assert result.status == "stopped"
    assert result.history["step"].tolist() == list(range(result.steps + 1))
    assert (result.history["loss"][:-1] > 0.3).all()
    assert result.train_loss == result.history["loss"][-1] <= 0.3


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("batch_size", [None, 4])
def test_huge_step_diverges_and_keeps_records(space, batch_size):
    """Weights that overflow are a status; what was recorded before is kept, finite, and no warning is raised."""
    changes = {"space": space, "batch_size": batch_size, "stop_loss": 0.0, "record": (0, 1, 50)}
    result = run(spec(step_size=1.7e308, **changes))
    assert result.status == "diverged"
    assert 0 < result.steps < 50
    assert result.history["step"][0] == 0
    assert result.history["step"][-1] == result.steps
    assert np.isfinite(result.history["loss"][0])
    assert np.isfinite(result.history["rho"][0]).all()
    assert not np.isfinite(result.history["rho"][-1]).all()
    assert np.isnan([result.clean_error, result.clean_error_se, result.test_error]).all()
    assert run(spec(**changes)).status == "max-steps"


@pytest.mark.parametrize("space", SPACES)
def test_divergence_does_not_depend_on_what_is_recorded(space):
    """A record in the middle of an epoch must not move the step at which divergence is found."""
    common = {"space": space, "batch_size": 2, "stop_loss": 0.0, "step_size": 1.7e308}
    steps = {run(spec(record=record, **common)).steps for record in ((), (1,), range(60))}
    assert len(steps) == 1


@pytest.mark.parametrize("max_steps", [0, 1])
def test_loss_that_is_not_finite_is_divergence(max_steps):
    """Finite weights whose logits overflow: status `diverged`, whether or not a step was left to see it."""
    result = run(spec(init_std=1e307, max_steps=max_steps, seed=1))
    assert not np.isfinite(result.train_loss)
    assert result.status == "diverged"


def test_record_beyond_the_end_is_left_out():
    result = run(spec(record=(0, 30, 60, 61, 10**9)))
    assert result.history["step"].tolist() == [0, 30, 60]
    assert run(spec(record=())).history["step"].tolist() == [60]


@pytest.mark.parametrize("space", SPACES)
def test_history_has_the_shapes_it_promises(space):
    data = dataclasses.replace(SMALL, noise_patches="independent")
    result = run(spec(data, space=space, record=(0, 5)))
    shapes = {name: value.shape for name, value in result.history.items()}
    assert shapes == {
        "step": (3,), "loss": (3,), "logits": (3, 6), "gamma": (3, 4), "rho": (3, 4, 12), "deactivated": (3,),
    }  # fmt: skip
    assert np.array_equal(result.gamma, result.history["gamma"][-1])
    assert result.train_loss == result.history["loss"][-1]
    margins = result.labels * result.history["logits"]
    assert np.allclose(np.log1p(np.exp(-margins)).mean(1), result.history["loss"], rtol=1e-12)
    assert result.test_error == 0.3 + 0.4 * result.clean_error


def test_own_class_masks_and_means():
    """rho_bar where J_r = y_i, pair by pair, two noise vectors a sample."""
    result = run(spec(dataclasses.replace(SMALL, noise_patches="independent")))
    own = result.own_class()
    for r, k in np.ndindex(own.shape):
        assert own[r, k] == ((1.0 if r < 2 else -1.0) == result.labels[k // 2])
    mine = [rho for rho, o in zip(result.rho.flat, own.flat, strict=True) if o]
    assert result.rho_bar_mean == pytest.approx(np.mean(mine), rel=1e-12)
    assert result.rho_under_mean < 0.0 < result.rho_bar_mean
    alone = run(spec(dataclasses.replace(SMALL, patches=1, noise_patches="independent")))
    assert (alone.rho_bar_mean, alone.rho_under_mean) == (0.0, 0.0)


def test_class_correlation_by_pairs():
    """Σ over ordered pairs of neurons of one class, over (m − 1) Σ of squared lengths."""
    network = build_network(spec(width=3, space="dense"))
    train_network(spec(width=3, space="dense"), network)
    W = network.weights
    pairs = [W[r] @ W[s] for c in (range(3), range(3, 6)) for r in c for s in c if r != s]
    assert class_correlation(network) == pytest.approx(sum(pairs) / (2 * (W * W).sum()), rel=1e-12)
    network.weights[:] = 1.0
    assert class_correlation(network) == pytest.approx(1.0)
    gram = build_network(spec(width=3))
    assert -0.5 <= class_correlation(gram) <= 1.0


@pytest.mark.parametrize("space", SPACES)
def test_full_batch_may_be_said_in_two_ways(space):
    assert equal(run(spec(space=space)), run(spec(space=space, batch_size=6)))
    assert not equal(run(spec(space=space)), run(spec(space=space, batch_size=5)))


def test_batch_larger_than_the_data_is_named():
    with pytest.raises(ValueError, match=r"batch_size \(B\) = 7"):
        spec(batch_size=7)


def test_shared_noise_is_independent_noise_at_two_patches():
    """P = 2 has one noise patch, so the two kinds are one problem, to the last bit."""
    one, two = (dataclasses.replace(SMALL, patches=2, noise_patches=kind) for kind in ("shared", "independent"))
    assert equal(run(spec(one)), run(spec(two)))
    one, two = (dataclasses.replace(SMALL, patches=3, noise_patches=kind) for kind in ("shared", "independent"))
    assert run(spec(one)).rho.shape != run(spec(two)).rho.shape

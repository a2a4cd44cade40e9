"""From a specification to a result: identity, phases, how runs end, what is recorded, and bad input."""

import dataclasses
import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulate.diagonal import COLLAPSE, DiagonalNetwork
from simulate.diagonal_run import (
    FLOW_RULES,
    SAMPLINGS,
    STEP_RULES,
    STOCHASTIC,
    DiagonalSpec,
    run,
    train_network,
)
from simulate.parameters import ParameterError
from simulate.regression import DESIGNS, TEACHERS, RegressionFile, SparseRegression, draw_regression
from simulate.streams import stream
from simulate.update import Batches, Rule

ROOT = Path(__file__).resolve().parents[2]
SMALL = SparseRegression(6, 11, test_samples=7)
TOGETHER = [rule for rule in STEP_RULES if rule not in STOCHASTIC]
EVERY = [
    pytest.param({"rule": rule, "block": 4 if rule.startswith("m-sam") else None}, id=rule)
    for rule in STEP_RULES + FLOW_RULES
]
DISCRETE = EVERY[: len(STEP_RULES)]


def spec(data=SMALL, **changes):
    """Return a small specification with changes."""
    common = {"alpha": 0.1, "radius": 0.1, "step_size": 0.05, "max_steps": 200, "max_time": 50.0}
    return DiagonalSpec(data, **{**common, **changes})


def leaves(result):
    """Return every field of a result by name."""
    found = {f.name: getattr(result, f.name) for f in dataclasses.fields(result) if f.name != "history"}
    return {name: np.asarray(value) for name, value in {**found, **result.history}.items()}


def equal(one, two):
    """Return whether two results are the same to the last bit, NaN equal to NaN."""
    one, two = leaves(one), leaves(two)
    return one.keys() == two.keys() and all(
        (one[name].dtype, one[name].shape, one[name].tobytes())
        == (two[name].dtype, two[name].shape, two[name].tobytes())
        for name in one
    )


# identity


@pytest.mark.parametrize("changes", EVERY)
def test_run_is_pure(changes):
    one = spec(record=(0, 10, 30), sharpness=True, **changes)
    assert equal(run(one), run(one))
    assert equal(one.run(), run(one))
    assert not equal(run(one), run(dataclasses.replace(one, seed=1)))


FIELDS = {
    "alpha": 0.2, "rule": "n-sam", "radius": 0.4, "block": 2, "then": "gd", "switch_step": 5, "normalisation": 0.5,
    "sampling": "epochs", "step_size": 0.06, "max_steps": 201, "stop_loss": 1e-3, "max_time": 51.0, "residual": 1e-9,
    "seed": 1, "record": (1,), "sharpness": True,
}  # fmt: skip
DATA_FIELDS = {
    "samples": 7, "dimension": 12, "sparsity": 4, "design": "shifted", "correlation": 0.5, "shift": 1.0,
    "teacher": "signed", "noise_std": 0.1, "test_samples": 8,
}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_key_changes_with_each_field(field):
    common = {"rule": "m-sam", "block": 4} if field == "block" else {}
    assert spec(**{**common, field: FIELDS[field]}).key() != spec(**common).key()


@pytest.mark.parametrize("field", DATA_FIELDS)
def test_key_changes_with_each_data_field(field):
    assert spec(dataclasses.replace(SMALL, **{field: DATA_FIELDS[field]})).key() != spec().key()


def test_every_field_is_tried():
    assert FIELDS.keys() | {"data"} == {f.name for f in dataclasses.fields(DiagonalSpec)}
    assert DATA_FIELDS.keys() == {f.name for f in dataclasses.fields(SparseRegression)}


def test_key_is_stable():
    """Equal specifications have equal keys, however their numbers were written; zero has one sign."""
    data = SparseRegression(6.0, np.int64(11), test_samples=7)
    written = spec(
        data, alpha=np.float64(0.1), seed=0.0, record=[np.int64(3), 2.0], sharpness=np.False_, stop_loss=-0.0
    )
    assert written == spec(record=(3, 2))
    assert written.key() == spec(record=(3, 2)).key()
    assert spec(alpha=[0.1, 0.2]).key() == spec(alpha=np.array([0.1, 0.2])).key() == spec(alpha=(0.1, 0.2)).key()
    assert spec(rule="n-sam-flow", record=(1, 2)).key() == spec(rule="n-sam-flow", record=(1.0, 2.0)).key()


def test_plain_data_rebuilds_the_specification():
    one = spec(record=(1, 2), alpha=(0.1,) * 11, rule="m-sam", block=4, then="gd")
    plain = one.to_dict()
    assert plain.pop("model") == "diagonal"
    assert DiagonalSpec(SparseRegression(**plain.pop("data")), **plain) == one


# rules and phases


def test_rules_are_radius_and_block():
    found = {rule: spec(rule=rule, block=4 if rule.startswith("m") else None).update_rule(rule, 6) for rule in
             STEP_RULES + FLOW_RULES}  # fmt: skip
    blocks = {"gd": 6, "sgd": 6, "n-sam": 6, "1-sam": 1, "m-sam": 4, "stochastic-1-sam": 1, "gradient-flow": 6,
              "n-sam-flow": 6, "1-sam-flow": 1, "m-sam-flow": 4}  # fmt: skip
    assert {name: rule.block for name, rule in found.items()} == blocks
    assert {name for name, rule in found.items() if rule.radius == 0.0} == {"gd", "sgd", "gradient-flow"}
    assert {rule.radius for rule in found.values()} == {0.0, 0.1}
    assert spec(normalisation=0.5).update_rule("n-sam", 6) == Rule(0.1, 0.5, 6)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [(0.0, 200)]),
        ({"rule": "1-sam", "switch_step": 50}, [(0.1, 200)]),  # nothing to switch to
        ({"rule": "1-sam", "then": "gd"}, [(0.1, 0), (0.0, 200)]),
        ({"rule": "1-sam", "then": "gd", "switch_step": 50}, [(0.1, 50), (0.0, 150)]),
        ({"rule": "gd", "then": "1-sam", "switch_step": 200}, [(0.0, 200), (0.1, 0)]),
        ({"rule": "sgd", "then": "stochastic-1-sam", "switch_step": 10**6}, [(0.0, 200), (0.1, 0)]),
    ],
)
def test_phases(changes, expected):
    assert [(phase.rule.radius, phase.steps) for phase in spec(**changes).phases(6)] == expected


@pytest.mark.parametrize(("first", "second"), [("1-sam", "gd"), ("gd", "n-sam"), ("stochastic-1-sam", "sgd")])
def test_switched_run_lies_between_its_ends(first, second):
    common = {"record": range(200)}
    one, two = run(spec(rule=first, **common)), run(spec(rule=second, **common))
    none, half, more = (run(spec(rule=first, then=second, switch_step=k, **common)) for k in (0, 100, 10**6))
    assert equal(none, two)
    assert equal(more, one)
    assert np.array_equal(half.history["beta"][:101], one.history["beta"][:101])
    assert not np.array_equal(half.beta, one.beta)
    assert not np.array_equal(half.beta, two.beta)


def test_m_sam_may_follow_or_lead():
    one = run(spec(rule="gd", then="m-sam", block=4, switch_step=100, record=(100,)))
    assert np.array_equal(one.history["beta"][0], run(spec(max_steps=100)).beta)
    assert not np.array_equal(one.beta, run(spec()).beta)


# how runs end


@pytest.mark.parametrize("rule", TOGETHER)
def test_full_batch_stops_at_the_first_step_below_the_level(rule):
    """Every recorded loss before the last is above stop_loss, the last is not; one step earlier it had not stopped."""
    block = 4 if rule == "m-sam" else None
    common = {"rule": rule, "block": block, "stop_loss": 1e-3, "record": range(5000)}
    result = run(spec(max_steps=5000, **common))
    assert result.status == "stopped"
    assert result.history["step"].tolist() == list(range(result.steps + 1))
    assert result.history["train_loss"][:-1].min() > 1e-3
    assert result.train_loss == result.history["train_loss"][-1] <= 1e-3
    assert run(spec(max_steps=result.steps - 1, **common)).status == "max-steps"
    assert run(spec(max_steps=result.steps, **common)).status == "stopped"


@pytest.mark.parametrize("rule", STOCHASTIC)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_drawn_rows_stop_before_an_epoch(rule, sampling):
    """The training loss is tested every n steps; in between it may fall below the level unseen."""
    result = run(spec(rule=rule, sampling=sampling, stop_loss=1e-3, max_steps=5000, record=range(5000)))
    loss = result.history["train_loss"]
    assert result.status == "stopped"
    assert result.steps % 6 == 0
    assert loss[-1] <= 1e-3 < loss[:-1:6].min()


@pytest.mark.parametrize("changes", DISCRETE)
def test_large_stop_loss_stops_at_once(changes):
    result = run(spec(stop_loss=100.0, **changes))
    assert (result.status, result.steps, result.time) == ("stopped", 0, 0.0)
    assert not result.beta.any()


@pytest.mark.parametrize("changes", DISCRETE)
def test_no_steps(changes):
    result, problem = run(spec(max_steps=0, **changes)), draw_regression(SMALL, 0)
    assert (result.status, result.steps, result.loss_integral) == ("max-steps", 0, 0.0)
    assert result.train_loss == pytest.approx(problem.y @ problem.y / 24, rel=1e-14)
    assert np.allclose(result.log_alpha_eff, math.log(0.1), rtol=1e-15)


@pytest.mark.parametrize("changes", EVERY)
def test_nothing_to_learn_is_learnt(changes):
    """y = 0: no weight moves, and nothing is NaN."""
    result = run(spec(SparseRegression(6, 11, 0, test_samples=7), sharpness=True, normalisation=0.0, **changes))
    drawn = changes["rule"] in STOCHASTIC  # tested before an epoch only, and 200 steps end within one
    assert (result.status, result.steps) == (("max-steps", 200) if drawn else ("stopped", 0))
    assert (result.train_loss, result.test_loss, result.loss_integral, result.l1_norm) == (0.0, 0.0, 0.0, 0.0)
    assert np.allclose(result.log_alpha_eff, math.log(0.1), rtol=1e-15)


@pytest.mark.parametrize("changes", DISCRETE)
@pytest.mark.parametrize("step_size", [100.0, 1e10, 1e155, 1.7e308])
def test_huge_step_diverges_and_keeps_records(changes, step_size):
    """A status, without a warning; what was recorded before is kept, and finite."""
    result = run(spec(step_size=step_size, record=(0, 1, 150), sharpness=True, **changes))
    assert result.status == "diverged"
    assert 0 < result.steps < 150
    assert result.history["step"][0] == 0
    assert result.history["step"][-1] == result.steps
    for name in ("beta", "train_loss", "test_loss", "log_alpha_eff", "sharpness", "loss_integral"):
        assert np.isfinite(result.history[name][0]).all()
    assert not result.train_loss <= 1e6 * result.history["train_loss"][0]
    assert run(spec(**changes)).status == "max-steps"


def test_divergence_does_not_depend_on_what_is_recorded():
    steps = {run(spec(step_size=100.0, record=record)).steps for record in ((), (1,), range(200))}
    assert len(steps) == 1


@pytest.mark.parametrize("alpha", [1e155, 1e200, 1e308])
def test_loss_that_is_not_finite_at_the_start_is_divergence(alpha):
    for max_steps in (0, 1):
        result = run(spec(alpha=alpha, max_steps=max_steps, sharpness=True))
        assert (result.status, result.steps) == ("diverged", 0)
        assert np.isnan(result.train_loss)


@pytest.mark.parametrize("changes", EVERY)
def test_targets_beyond_float64_are_a_divergence(changes):
    """Without a warning."""
    result = run(spec(dataclasses.replace(SMALL, noise_std=1e308), **changes))
    assert result.status == "diverged"
    assert not math.isfinite(result.train_loss)


@pytest.mark.parametrize("rule", ["1-sam", "stochastic-1-sam"])
def test_collapse_is_a_status(rule):
    """A radius far too large at small steps shrinks every weight below 1e-8 of its start, and the loss is that of 0."""
    common = {"rule": rule, "radius": 3.0, "step_size": 0.01, "max_steps": 10**5, "alpha": 1e-3}
    result = run(spec(**common, record=(0, 100)))
    assert result.status == "collapsed"
    assert result.steps < 10**4
    assert (result.log_alpha_eff < math.log(COLLAPSE * 1e-3)).all()
    assert result.train_loss == pytest.approx(result.history["train_loss"][0], rel=1e-12)
    assert result.history["step"].tolist() == [0, 100, result.steps]
    for record in ((), range(0, 10**5, 37)):
        assert run(spec(**common, record=record)).steps == result.steps
    assert run(spec(**{**common, "radius": 0.1, "max_steps": 1000})).status == "max-steps"


@pytest.mark.parametrize("rule", TOGETHER)
@pytest.mark.parametrize("test_samples", [0, 5])
def test_more_samples_than_dimensions(rule, test_samples):
    """n ≥ d: with realisable targets every rule ends at the teacher, with noise none fits."""
    block = 4 if rule == "m-sam" else None
    data = SparseRegression(12, 3, 2, test_samples=test_samples)
    result = run(spec(data, rule=rule, block=block, max_steps=20_000, stop_loss=1e-20))
    assert result.status == "stopped"
    assert np.abs(result.beta - result.teacher).max() < 1e-8
    assert np.isnan(result.test_loss) == (test_samples == 0)
    noisy = dataclasses.replace(data, noise_std=0.5)
    result = run(spec(noisy, rule=rule, block=block, max_steps=2000, stop_loss=1e-20))
    assert result.status == "max-steps"
    assert result.train_loss > 1e-3


# what is recorded


@pytest.mark.parametrize("changes", DISCRETE)
@pytest.mark.parametrize("normalisation", [0.0, 1.0])
def test_records_and_segments_change_nothing(changes, normalisation):
    """Marks are copied in passing: the same bits at every step, however many are asked for, to the end."""
    common = {"normalisation": normalisation, "max_steps": 400, "sharpness": True, **changes}
    every, plain = run(spec(record=range(400), **common)), run(spec(**common))
    assert every.history["step"].tolist() == list(range(401))
    assert plain.history["step"].tolist() == [400]
    for record in ((0,), (127, 128, 129), (0, 5, 6, 383, 384, 399, 400, 401), range(0, 400, 7)):
        some = run(spec(record=record, **common))
        steps = some.history["step"]
        assert steps.tolist() == sorted({step for step in record if step < 400} | {400})
        for name, values in some.history.items():
            assert np.array_equal(values, every.history[name][steps], equal_nan=True), name
    for name, values in plain.history.items():
        assert np.array_equal(values[-1], every.history[name][-1], equal_nan=True), name


@pytest.mark.parametrize("changes", DISCRETE)
def test_shorter_run_is_a_prefix(changes):
    """However the work is cut into segments; the control is another step size."""
    long = run(spec(record=range(300), max_steps=300, **changes))
    for steps in (1, 127, 128, 129, 200):
        short = run(spec(max_steps=steps, **changes))
        assert np.array_equal(short.beta, long.history["beta"][steps])
        assert short.loss_integral == long.history["loss_integral"][steps]
        assert short.time == long.history["time"][steps] == steps * 0.05
    assert not np.array_equal(run(spec(max_steps=300, step_size=0.051, **changes)).beta, long.beta)


@pytest.mark.parametrize("rule", TOGETHER)
def test_loss_integral_of_full_batches_sums_the_recorded_losses(rule):
    result = run(spec(rule=rule, block=4 if rule == "m-sam" else None, record=range(200)))
    loss, integral = result.history["train_loss"], result.history["loss_integral"]
    for step in (0, 1, 50, 200):
        assert integral[step] == pytest.approx(0.05 * math.fsum(loss[:step]), rel=1e-12)
    assert result.loss_integral == integral[-1]
    assert result.loss_integral != pytest.approx(0.05 * math.fsum(loss), rel=1e-9)  # the last state takes no step


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_loss_integral_of_drawn_rows_sums_the_batch_losses(sampling):
    """Of the row that is drawn, at the weights before the step; the control sums training losses."""
    result, problem = run(spec(rule="sgd", sampling=sampling, record=range(200))), draw_regression(SMALL, 0)
    rng = stream("batches", 0, samples=6, batch_size=1, sampling=sampling)
    rows = Batches(6, 1, rng, sampling == "replacement").order(0, 34).ravel()[:200]
    r = (result.history["beta"][:-1] * problem.X[rows]).sum(axis=1) - problem.y[rows]
    assert result.loss_integral == pytest.approx(0.05 * math.fsum(r * r / 4), rel=1e-11)
    assert result.loss_integral != pytest.approx(0.05 * result.history["train_loss"][:-1].sum(), rel=1e-3)


@pytest.mark.parametrize("changes", EVERY)
def test_result_is_the_last_record(changes):
    result = run(spec(record=(0, 10), **changes))
    for name in ("time", "train_loss", "test_loss", "l1_norm", "loss_integral"):
        assert getattr(result, name) == result.history[name][-1]
        assert type(getattr(result, name)) is float
    assert np.array_equal(result.beta, result.history["beta"][-1])
    assert np.array_equal(result.log_alpha_eff, result.history["log_alpha_eff"][-1])
    assert result.steps == result.history["step"][-1]
    problem, beta = draw_regression(SMALL, 0), result.beta
    assert result.train_loss == pytest.approx(((problem.X @ beta - problem.y) ** 2).mean() / 4, rel=1e-12)
    assert result.test_loss == pytest.approx(((problem.X_test @ beta - problem.y_test) ** 2).mean() / 4, rel=1e-12)
    assert result.l1_norm == pytest.approx(np.abs(beta).sum(), rel=1e-14)
    assert np.array_equal(result.teacher, problem.teacher)


def test_history_has_the_shapes_it_promises():
    for with_sharpness in (False, True):
        result = run(spec(record=(0, 5), sharpness=with_sharpness))
        shapes = {name: value.shape for name, value in result.history.items()}
        expected = dict.fromkeys(("step", "time", "train_loss", "test_loss", "l1_norm", "loss_integral"), (3,))
        expected |= dict.fromkeys(("beta", "log_alpha_eff"), (3, 11)) | ({"sharpness": (3,)} if with_sharpness else {})
        assert shapes == expected
        assert (result.beta.shape, result.log_alpha_eff.shape, result.teacher.shape) == ((11,), (11,), (11,))


def test_weight_of_zero_is_recorded_as_minus_infinity():
    """n = d = 1, y = 1/2: w₊ ← w₊ (1 + γ/2), w₋ ← w₋ (1 − γ/2) is exactly zero at γ = 2."""
    network = DiagonalNetwork(draw_regression(SparseRegression(1, 1, 0), 0), 1.0)
    network.instance.X[:], network.instance.y[:] = 1.0, 0.5
    network = DiagonalNetwork(network.instance, 1.0)
    _, _, records = train_network(spec(step_size=2.0, max_steps=1, alpha=1.0), network)
    assert network.weights.tolist() == [[2.0], [0.0]]
    assert records["log_alpha_eff"].tolist() == [[-math.inf]]


def test_sampling_is_that_of_the_specification():
    """`epochs` takes each row once an epoch, `replacement` does not; a full batch takes no notice."""
    one, two = (run(spec(rule="sgd", sampling=s, record=range(200))) for s in SAMPLINGS)
    assert not np.array_equal(one.beta, two.beta)
    assert equal(*(run(spec(rule="1-sam", sampling=s)) for s in SAMPLINGS))
    assert equal(*(run(spec(rule="stochastic-1-sam", radius=0.0, seed=3)), run(spec(rule="sgd", seed=3)))) is True


# modes: compiled kernels and the same sources run as plain Python

MODES = """
import sys
import numpy as np
from simulate.diagonal_run import DiagonalSpec, run
from simulate.regression import SparseRegression
found = {}
cases = (
    ("gd", None, 0.0), ("n-sam", None, 0.0), ("1-sam", None, 0.0), ("m-sam", "gd", 0.0),
    ("stochastic-1-sam", "sgd", 0.0), ("1-sam", None, 0.5), ("n-sam", None, 1.0),
)
for n, d, steps in ((7, 45, 150), (21, 200, 15)):
    for rule, then, lam in cases:
        result = run(DiagonalSpec(
            SparseRegression(n, d, test_samples=30), alpha=0.1, rule=rule, then=then, switch_step=2 * steps // 3,
            block=3 if rule == "m-sam" else None, radius=0.1, step_size=0.02, max_steps=steps, normalisation=lam,
            record=(0, steps // 3, steps - 1),
        ))
        for name in ("beta", "log_alpha_eff", "loss_integral", "train_loss", "test_loss"):
            found[f"{rule} {lam} {n} {name}"] = result.history[name]
for rule in ("gradient-flow", "1-sam-flow"):
    found[f"{rule} beta"] = run(DiagonalSpec(SparseRegression(5, 9), rule=rule, radius=0.1, max_time=5.0)).beta
np.savez(sys.argv[1], **found)
"""


@pytest.fixture(scope="module")
def modes(tmp_path_factory):
    """Return the arrays of compiled and of plain runs, by name."""
    folder, found = tmp_path_factory.mktemp("modes"), []
    for disable in ("0", "1"):
        path = folder / f"{disable}.npz"
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disable, "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", MODES, str(path)], cwd=ROOT, env=environment, check=True)
        with np.load(path) as file:
            found.append(dict(file))
    assert found[0].keys() == found[1].keys()
    return found


def test_steps_are_equal_in_both_modes(modes):
    """Steps are + × / and, normalised, √: equal to the last bit, whether X is near as a whole or not."""
    compiled, plain = modes
    for name in (name for name in compiled if "flow" not in name):
        assert np.array_equal(compiled[name], plain[name]), name
        assert np.isfinite(compiled[name]).all()


def test_flows_agree_to_rounding(modes):
    """exp is each mode's own, some ulps apart; the control: the two flows are far apart."""
    compiled, plain = modes
    for name in ("gradient-flow beta", "1-sam-flow beta"):
        assert np.abs(compiled[name] - plain[name]).max() < 1e-9
    assert np.abs(compiled["gradient-flow beta"] - compiled["1-sam-flow beta"]).max() > 1e-4


# bad values

NEVER = [math.nan, math.inf, -math.inf, True, "1", None, [1], 1 + 0j]
BAD = {
    "alpha": ("alpha", [math.nan, math.inf, True, "1", None, 1 + 0j, 0, 0.0, -1.0]),
    "rule": ("rule", ["GD", "sam", 0, None, ["gd"], ""]),
    "radius": ("radius (rho)", [*NEVER, -1.0]),
    "then": ("then", ["sgd", "stochastic-1-sam", "gradient-flow", 0, ""]),
    "switch_step": ("switch_step", [*NEVER, -1, 1.5]),
    "normalisation": ("normalisation (lam)", [*NEVER, -0.1, math.nextafter(1.0, 2.0), 2]),
    "sampling": ("sampling", ["Epochs", 0, None]),
    "step_size": ("step_size (gamma)", [*NEVER, 0, -1.0]),
    "max_steps": ("max_steps", [*NEVER, -1, 0.5]),
    "stop_loss": ("stop_loss", [*NEVER, -1.0]),
    "max_time": ("max_time", [*NEVER, -1.0]),
    "residual": ("residual", [*NEVER, 0, -1.0]),
    "seed": ("seed", [*NEVER, -1, 0.5]),
    "sharpness": ("sharpness", ["no", "", None, 2, 0.5]),
}


@pytest.mark.parametrize(
    ("field", "name", "value"),
    [(field, name, value) for field, (name, values) in BAD.items() for value in values],
    ids=repr,
)
def test_bad_value_is_named(field, name, value):
    if field == "then" and value is None:
        return
    for rule in ("gd", "gradient-flow") if field not in ("rule", "then") else ("gd",):
        with pytest.raises(ParameterError, match="must be") as caught:
            spec(**{"rule": rule, field: value})
        assert str(caught.value).startswith(f"{name} = {value!r}: must be ")


def test_every_field_is_tried_with_bad_values():
    apart = {"data", "block", "record"}
    assert BAD.keys() | apart == {f.name for f in dataclasses.fields(DiagonalSpec)}


@pytest.mark.parametrize("value", ["file.npz", None, 5, {"samples": 3}], ids=repr)
def test_data_of_another_kind_is_named(value):
    with pytest.raises(ParameterError, match="data = "):
        DiagonalSpec(data=value)


@pytest.mark.parametrize("value", [(), (0.1, 0.0), (0.1, -1.0), (0.1, math.nan), ("a",), [[0.1]], np.ones((2, 2)),
                                   np.array(0.1), b"1", 10**400, (10**400,)], ids=repr)  # fmt: skip
def test_bad_alpha_of_a_coordinate_is_named(value):
    with pytest.raises(ParameterError, match="alpha = "):
        spec(alpha=value)


@pytest.mark.parametrize("rule", ["gd", "1-sam", "gradient-flow"])
@pytest.mark.parametrize("count", [2, 10, 12])
def test_alpha_of_another_length_is_named(rule, count):
    with pytest.raises(ParameterError, match=rf"alpha = .*{count} numbers.*or 11, one a coordinate"):
        run(spec(rule=rule, alpha=(0.1,) * count))
    assert equal(run(spec(rule=rule, alpha=(0.1,) * 11)), run(spec(rule=rule, alpha=(0.1,))))


@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, True, "2", None, 7])
@pytest.mark.parametrize(
    "changes", [{"rule": "m-sam"}, {"rule": "m-sam-flow"}, {"rule": "gd", "then": "m-sam"}], ids=str
)
def test_bad_block_is_named(changes, value):
    with pytest.raises(ParameterError, match=r"block \(m\) = .*integer >= 1 and <= 6"):
        spec(**changes, block=value)


@pytest.mark.parametrize("rule", [r for r in STEP_RULES + FLOW_RULES if not r.startswith("m-sam")])
def test_block_of_another_rule_is_named(rule):
    with pytest.raises(ParameterError, match=r"block \(m\) = 2: must be left out"):
        spec(rule=rule, block=2)


@pytest.mark.parametrize("rule", ["m-sam", "m-sam-flow"])
def test_block_larger_than_the_file_is_named(tmp_path, rule):
    """n is known when the file is read."""
    np.savez(tmp_path / "data.npz", X=np.eye(4), y=np.ones(4))
    data = RegressionFile(str(tmp_path / "data.npz"))
    with pytest.raises(ParameterError, match=r"block \(m\) = 5: must be an integer >= 1 and <= 4"):
        run(spec(data, rule=rule, block=5))
    assert run(spec(data, rule=rule, block=4)).status in ("max-steps", "t-max", "stopped")


@pytest.mark.parametrize(("first", "second"), list(itertools.product(STEP_RULES, STEP_RULES)))
def test_phases_share_the_way_batches_are_drawn(first, second):
    block = 4 if "m-sam" in (first, second) else None
    if (first in STOCHASTIC) == (second in STOCHASTIC):
        assert spec(rule=first, then=second, block=block).then == second
    else:
        with pytest.raises(ParameterError, match=f"then = '{second}'"):
            spec(rule=first, then=second, block=block)


@pytest.mark.parametrize("rule", FLOW_RULES)
def test_what_a_flow_has_not_is_named(rule):
    block = 4 if rule.startswith("m-sam") else None
    with pytest.raises(ParameterError, match="then = 'gd': must be left out with a flow"):
        spec(rule=rule, block=block, then="gd")
    with pytest.raises(ParameterError, match=r"normalisation \(lam\) = 0\.5: must be 0 with a flow"):
        spec(rule=rule, block=block, normalisation=0.5)


@pytest.mark.parametrize("value", [5, None, 2.0, "12", (-1,), ("1",), (math.nan,), (True,), (math.inf,)], ids=repr)
@pytest.mark.parametrize("rule", ["gd", "gradient-flow"])
def test_bad_record_is_named(rule, value):
    with pytest.raises(ParameterError, match="record = "):
        spec(rule=rule, record=value)


def test_steps_are_whole_and_times_need_not_be():
    with pytest.raises(ParameterError, match=r"record = 1\.5"):
        spec(record=(1.5,))
    assert spec(rule="gradient-flow", record=(1.5, 2)).record == (1.5, 2.0)


def test_edges_are_allowed():
    spec(alpha=5e-324, radius=0, normalisation=1, step_size=5e-324, max_steps=0, stop_loss=0, max_time=0, record=())
    spec(rule="m-sam", block=1)
    spec(rule="m-sam-flow", block=6, residual=5e-324)
    assert [type(getattr(spec(alpha=1, radius=np.float32(1), max_steps=3.0), f)) for f in ("alpha", "radius",
            "max_steps")] == [float, float, int]  # fmt: skip


# any run at all


@st.composite
def specifications(draw):
    """Return any valid specification of a short run on small data."""
    n, d = draw(st.integers(1, 7)), draw(st.integers(1, 10))
    data = SparseRegression(
        n, d, draw(st.integers(0, d)), draw(st.sampled_from(DESIGNS)), draw(st.floats(0.0, 0.99)),
        draw(st.floats(0.0, 10.0)), draw(st.sampled_from(TEACHERS)), draw(st.sampled_from([0.0, 0.1, 10.0])),
        draw(st.integers(0, 3)),
    )  # fmt: skip
    rule = draw(st.sampled_from(STEP_RULES + FLOW_RULES))
    flow = rule in FLOW_RULES
    group = STOCHASTIC if rule in STOCHASTIC else TOGETHER
    then = None if flow else draw(st.sampled_from([None, *group]))
    scale = st.floats(-12.0, 3.0).map(lambda x: 10.0**x)
    return DiagonalSpec(
        data,
        alpha=draw(st.one_of(scale, st.lists(scale, min_size=d, max_size=d).map(tuple))),
        rule=rule,
        radius=draw(st.one_of(st.just(0.0), st.floats(-6.0, 1.5).map(lambda x: 10.0**x))),
        block=draw(st.integers(1, n)) if "m-sam" in f"{rule} {then}" else None,
        then=then,
        switch_step=draw(st.integers(0, 60)),
        normalisation=0.0 if flow else draw(st.sampled_from([0.0, 0.3, 1.0])),
        sampling=draw(st.sampled_from(SAMPLINGS)),
        step_size=draw(st.floats(-6.0, 4.0).map(lambda x: 10.0**x)),
        max_steps=draw(st.integers(0, 300)),
        stop_loss=draw(st.sampled_from([0.0, 1e-3, 10.0])),
        max_time=draw(st.floats(0.0, 100.0)),
        residual=draw(st.sampled_from([1e-11, 1e-3, 2.0])),
        seed=draw(st.integers(0, 10)),
        record=tuple(draw(st.lists(st.integers(0, 300), max_size=4))),
        sharpness=draw(st.booleans()),
    )


@given(specifications())
def test_any_run_ends_and_says_how(one):
    """No exception, no warning, the same bits twice; NaN only where a run diverged or there is no test set."""
    result = run(one)
    assert equal(result, run(one))
    statuses = ["stopped", "diverged", "collapsed", "t-max" if one.is_flow else "max-steps"]
    assert result.status in statuses + (["no limit", "max-steps"] if one.is_flow else [])
    found = leaves(result)
    for name in ("status", "teacher", *(["test_loss"] if one.data.test_samples == 0 else [])):
        found.pop(name)
    if result.status != "diverged":
        scale = found.pop("log_alpha_eff")
        assert not np.isnan(scale).any()
        assert (scale < math.inf).all()
        assert all(np.isfinite(value).all() for value in found.values())
    assert np.isnan(result.test_loss) or one.data.test_samples
    assert (np.diff(result.history["step"]) >= (0 if one.is_flow else 1)).all()
    assert (np.diff(result.history["time"]) > 0.0).all()
    assert not one.is_flow or result.time <= one.max_time
    assert one.is_flow or result.steps <= one.max_steps


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(10**400), st.floats(), st.complex_numbers(), st.text(max_size=3),
    st.binary(max_size=3), st.fractions(), st.sampled_from(STEP_RULES + FLOW_RULES + SAMPLINGS),
    st.lists(st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=2)), max_size=3),
    st.builds(np.array, st.one_of(st.floats(), st.text(max_size=2), st.lists(st.floats(), max_size=3))),
)  # fmt: skip


@settings(max_examples=200)
@given(specifications(), st.sampled_from([f.name for f in dataclasses.fields(DiagonalSpec)]), ANYTHING)
def test_any_value_is_taken_or_named(one, field, value):
    """No error but ParameterError, which says what is allowed; what is taken has an identity and can be written."""
    taken, message = one, None
    try:
        taken = dataclasses.replace(one, **{field: value})
    except ParameterError as error:
        message = str(error)
    assert message is None or ": must be " in message
    assert dataclasses.replace(taken) == taken
    assert len(taken.key()) == 64


@given(specifications().filter(lambda s: not s.is_flow and s.rule not in STOCHASTIC and s.normalisation == 0.0))
def test_any_first_step_is_the_twin_s(one):
    """One step from anywhere, to 1e-9 of its own size; the twin knows neither blocks of one nor padding."""
    problem, alpha = draw_regression(one.data, one.seed), np.asarray(one.alpha)
    network = DiagonalNetwork(problem, one.alpha)
    train_network(dataclasses.replace(one, max_steps=1, then=None, stop_loss=0.0, sharpness=False,
                                      block=one.block if one.rule == "m-sam" else None), network)  # fmt: skip
    radius, block = (0.0, None) if one.rule == "gd" else (one.radius, {"1-sam": 1, "m-sam": one.block}.get(one.rule))
    W = naive.diagonal_train(alpha, problem.X, problem.y, [np.arange(len(problem.y))], one.step_size,
                             [(radius, 0.0, block)])  # fmt: skip
    start = np.full_like(W, alpha)
    assert np.abs(network.weights - W).max() <= 1e-9 * max(np.abs(W - start).max(), np.abs(start).max())

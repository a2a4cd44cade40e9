"""From a specification to a result: identity, phases, how runs end, what is recorded, and bad input."""

import dataclasses
import math

import numpy as np
import pytest

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
from simulate.regression import SparseRegression, draw_regression
from simulate.streams import stream
from simulate.update import Batches, Rule

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

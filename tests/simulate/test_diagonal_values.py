"""Runs of diagonal networks at any values: bad ones are one error, all others run."""

import dataclasses
import itertools
import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_diagonal_run import TOGETHER, equal, leaves, spec

from simulate.diagonal import DiagonalNetwork
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

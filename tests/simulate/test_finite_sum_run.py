"""From a specification to a result on finite sums: identity, how runs end, what is recorded, and bad input."""

import dataclasses
import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate.finite_sum import RADII, SCHEDULES, Schedule
from simulate.finite_sum_data import OBJECTIVES, DrawnSum, GivenSum, SumFile, load_sum
from simulate.finite_sum_run import FiniteSumSpec, run
from simulate.parameters import ParameterError
from simulate.runner import Runner
from simulate.sampling import SAMPLINGS, sampling
from simulate.store import Store
from simulate.streams import stream

SMALL, WIDE, FULL_RANK = DrawnSum(6, 4), DrawnSum(4, 9), DrawnSum(3, 4, full_rank=True)
P = (0.1, 0.2, 0.3, 0.4)
GIVEN = GivenSum([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0], [1.0, 1.0]], [1.0, -1.0, 1.0, 2.0], [0.5, 0.5])
WAVES = dataclasses.replace(GIVEN, b=[1.0, -1.0, 1.0, -1.0])  # from 0, where every wave is stationary, nothing moves


def spec(data=SMALL, **changes):
    """Return a small specification with changes."""
    return FiniteSumSpec(data, **{"radius": 0.1, "step_size": 0.1, "max_steps": 60, **changes})


EVERY = {
    "gd": {"radius": 0.0},
    "usam": {"normalisation": 0.0},
    "between": {"normalisation": 0.3, "sampling": "single"},
    "nice": {"sampling": "nice", "batch_size": 2, "record": (0, 7)},
    "replacement": {"sampling": "replacement", "batch_size": 3},
    "probabilities": {"data": GIVEN, "sampling": "single", "probabilities": P, "record": (3, 4)},
    "importance": {"sampling": "importance", "schedule": "decreasing", "decay": 0.3, "radii": "decreasing"},
    "ridge": {"objective": "ridge", "reg": 0.1, "sampling": "single", "schedule": "horizon"},
    "quadratic": {"data": FULL_RANK, "objective": "quadratic", "radii": "root", "sampling": "nice"},
    "logistic": {"objective": "logistic", "reg": 0.1, "sampling": "single", "record": (0, 59)},
    "pl": {"data": WIDE, "objective": "pl", "sampling": "nice", "batch_size": 2},
    "nonconvex": {"objective": "nonconvex", "sampling": "single"},
    "wave": {"data": WAVES, "objective": "wave", "sampling": "nice", "batch_size": 2, "step_size": 0.02},
    "data of another seed": {"data_seed": 3, "sampling": "single"},
    "parts of samples": {"data": dataclasses.replace(GIVEN, samples=2), "sampling": "single"},
    "no steps": {"max_steps": 0},
    "diverged": {"step_size": 1e5, "record": (0, 1, 50)},
    "diverged alone": {"step_size": 1e300, "sampling": "single", "record": (0, 1)},
}
CASES = {name: spec(**changes) for name, changes in EVERY.items()}
each = pytest.mark.parametrize("one", CASES.values(), ids=CASES)


def bits(result):
    """Return every field of a result as (name, type, shape, bytes)."""
    leaves = [(f.name, getattr(result, f.name)) for f in dataclasses.fields(result) if f.name != "history"]
    arrays = [(name, np.asarray(value)) for name, value in leaves + sorted(result.history.items())]
    return [(name, a.dtype.str, a.shape, a.tobytes()) for name, a in arrays]


# identity


@each
def test_run_is_pure(one):
    assert bits(run(one)) == bits(run(one)) == bits(one.run())


def test_seed_moves_data_and_draws():
    assert not np.array_equal(run(spec()).x, run(spec(seed=1)).x)
    one, two = (run(spec(GIVEN, sampling="single", seed=seed)) for seed in (0, 1))
    assert np.array_equal(one.anchor, two.anchor)
    assert not np.array_equal(one.x, two.x)
    assert bits(run(spec(GIVEN))) == bits(run(spec(GIVEN, seed=1)))


FIELDS = {
    "objective": "quadratic", "reg": 0.2, "radius": 0.2, "normalisation": 0.5, "step_size": 0.2,
    "schedule": "decreasing", "decay": 2.0, "radii": "root", "sampling": "single", "batch_size": 2,
    "probabilities": P, "max_steps": 61, "seed": 1, "data_seed": 0, "record": (1,),
}  # fmt: skip
DATA_FIELDS = {"samples": 7, "dimension": 5, "condition": 3.0, "noise_std": 0.2, "spread": 2.0, "full_rank": True}


@pytest.mark.parametrize("field", FIELDS)
def test_key_changes_with_each_field(field):
    common = {"objective": "quadratic", "reg": 0.1} if field == "reg" else {}
    assert spec(**{**common, field: FIELDS[field]}).key() != spec(**common).key()


@pytest.mark.parametrize("field", DATA_FIELDS)
def test_key_changes_with_each_data_field(field):
    assert spec(dataclasses.replace(SMALL, **{field: DATA_FIELDS[field]})).key() != spec().key()


def test_every_field_is_tried():
    assert FIELDS.keys() | {"data"} == {f.name for f in dataclasses.fields(FiniteSumSpec)}
    assert DATA_FIELDS.keys() == {f.name for f in dataclasses.fields(DrawnSum)}


def test_key_is_stable():
    """Equal specifications have equal keys, however their numbers were written; zero has one sign."""
    written = spec(DrawnSum(6.0, np.int64(4)), radius=np.float64(0.1), seed=0.0, record=[np.int64(3), 2.0], reg=-0.0)
    assert written == spec(record=(3, 2))
    assert written.key() == spec(record=(3, 2)).key()
    arrays = GivenSum(np.array(GIVEN.A), list(GIVEN.b), np.array(GIVEN.x0))
    assert (
        spec(arrays, sampling="single", probabilities=np.array(P)).key()
        == spec(GIVEN, sampling="single", probabilities=list(P)).key()
    )


def test_plain_data_rebuilds_the_specification():
    for one in (spec(record=(1, 2)), CASES["probabilities"]):
        plain = one.to_dict()
        assert plain.pop("model") == "finite-sum"
        assert FiniteSumSpec(type(one.data)(**plain.pop("data")), **plain) == one


def test_file_is_known_by_its_content(tmp_path):
    arrays = {"A": np.array(GIVEN.A), "b": np.array(GIVEN.b), "x0": np.array(GIVEN.x0)}
    for name, b in (("one", 1.0), ("two", 1.0), ("other", 2.0)):
        np.savez(tmp_path / name, **{**arrays, "b": b * arrays["b"]})
    one, two, other = (spec(SumFile(str(tmp_path / f"{name}.npz"))) for name in ("one", "two", "other"))
    assert one.key() == two.key() != other.key()
    assert bits(run(one)) == bits(run(spec(GIVEN)))


# the same bits, whatever the way


@pytest.fixture(scope="module")
def alone():
    """Return the results of every case, one by one."""
    return [run(one) for one in CASES.values()]


def test_workers_and_store_change_no_bit(alone, tmp_path):
    """From two processes, into the store and out of a file again; the class and every field."""
    specs = list(CASES.values())
    with Runner(2, Store(tmp_path)) as runner:
        fresh = runner.run(specs)
    read = Runner(store=Store(tmp_path)).run(specs)
    for results in (fresh, read, Runner().run(specs)):
        assert [bits(result) for result in results] == [bits(result) for result in alone]
        assert {type(result) for result in results} == {type(alone[0])}
    assert len({str(bits(result)) for result in alone}) == len(specs)
    assert type(read[0].gap) is float


@each
def test_record_changes_no_bit(one):
    """Recorded or not, in any pieces: the last state is the same, and what is recorded is where the path was."""
    results = [run(dataclasses.replace(one, record=record)) for record in ((), (0, 5), range(61), (61, 10**6))]
    for result in results:
        assert bits(result)[:7] == bits(results[0])[:7]
        steps = result.history["step"]
        assert np.array_equal(result.history["x"], results[2].history["x"][steps], equal_nan=True)


@pytest.mark.parametrize("name", ["gd", "between", "nice", "replacement", "importance", "ridge", "logistic"])
def test_longer_run_begins_with_the_shorter(name):
    """300 steps and 60: chunks of 128 steps leave no trace; a horizon is part of the rule."""
    short = CASES[name]
    long = run(dataclasses.replace(short, max_steps=300, record=(60,)))
    assert np.array_equal(long.history["x"][0], run(short).x) == (short.schedule != "horizon")


# what a run is


@each
def test_result_is_the_last_record(one):
    result = run(one)
    for name in ("gap", "gradient_norm", "distance"):
        assert np.array_equal(getattr(result, name), result.history[name][-1], equal_nan=True)
        assert type(getattr(result, name)) is float
    d = len(result.x)
    assert result.steps == result.history["step"][-1] <= one.max_steps
    rows = len(result.history["step"])
    assert {name: value.shape for name, value in result.history.items()} == {
        "step": (rows,), "gap": (rows,), "gradient_norm": (rows,), "distance": (rows,), "x": (rows, d),
    }  # fmt: skip
    assert (result.status == "diverged") == any(one == CASES[name] for name in ("diverged", "diverged alone"))


@pytest.mark.parametrize("name", [name for name in CASES if "diverged" not in name])
def test_run_is_the_twin_s(name):
    """Problem, draws, schedule and lam of the specification, put together by hand: 12 steps to 1e-12."""
    one = dataclasses.replace(CASES[name], max_steps=min(12, CASES[name].max_steps))
    p, start = load_sum(one.data, one.objective, one.reg, one.seed if one.data_seed is None else one.data_seed)
    s = sampling(one.sampling, p, one.batch_size, one.probabilities)
    fields = {"samples": p.samples, "sampling": one.sampling, "batch_size": s.batch_size}
    rows = s.batches(stream("batches", one.seed, **fields)).order(0, one.max_steps)
    rows = np.repeat(rows, one.max_steps, axis=0) if s.kind == "full" else rows
    v = np.zeros((one.max_steps, p.samples))
    for weights, row in zip(v, rows, strict=True):
        np.add.at(weights, row, s.weights[row])
    schedule = Schedule(one.step_size, one.radius, one.schedule, one.decay, one.radii, max(one.max_steps, 1))
    schedules = schedule.at(0, one.max_steps)
    path = naive.sum_path(p.loss, p.A, p.targets, p.reg, v, start, *schedules, one.normalisation)
    found = run(dataclasses.replace(one, record=range(13))).history["x"]
    assert np.abs(found - path).max() <= 1e-12 * max(1.0, np.abs(path).max())
    assert one.max_steps == 0 or np.abs(path[-1] - path[0]).max() > 1e-3


@pytest.mark.parametrize("lam", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["full", "nice", "single"])
@pytest.mark.parametrize(("objective", "reg"), [("least-squares", 0.0), ("ridge", 0.5), ("logistic", 0.5)])
@pytest.mark.parametrize("step_size", [1e4, 1e150, 1.7e308])
def test_step_too_large_diverges_and_keeps_records(objective, reg, kind, lam, step_size):
    """A status, without a warning; what was recorded before is kept, and finite."""
    common = {"objective": objective, "reg": reg, "sampling": kind, "normalisation": lam, "max_steps": 400}
    result = run(spec(step_size=step_size, record=(0, 1, 399), **common))
    assert result.status == "diverged"
    assert 0 < result.steps < 399
    assert all(np.isfinite(value[0]).all() for value in result.history.values())
    assert run(spec(step_size=0.1, **common)).status == "max-steps"


def test_huge_radius_diverges():
    """Also where only the perturbed gradient leaves float64."""
    for kind, lam in (("full", 0.0), ("single", 0.0), ("full", 1.0), ("single", 1.0)):
        for radius in (1e150, 1.7e308):
            result = run(spec(radius=radius, sampling=kind, normalisation=lam, max_steps=300))
            assert (result.status, result.steps < 300) == ("diverged", True)


def test_usam_converges_and_sam_stays_off():
    """USAM with a constant radius reaches x*; SAM jumps about it at a distance of order gamma rho."""
    usam, sam = (run(spec(normalisation=lam, max_steps=1500, step_size=0.5)) for lam in (0.0, 1.0))
    assert usam.gap < 1e-28
    assert 1e-6 < sam.gap < 1e-1


# bad values

NEVER = [math.nan, math.inf, -math.inf, True, "1", None, [1], 1 + 0j]
BAD = {
    "objective": ("objective", ["square", 0, None, ["ridge"], ""]),
    "reg": ("reg", [*NEVER, -1.0]),
    "radius": ("radius (rho)", [*NEVER, -1.0]),
    "normalisation": ("normalisation (lam)", [*NEVER, -0.1, math.nextafter(1.0, 2.0), 2]),
    "step_size": ("step_size (gamma)", [*NEVER, 0, -1.0]),
    "schedule": ("schedule", ["cosine", 0, None]),
    "decay": ("decay", [*NEVER, 0, -1.0]),
    "radii": ("radii", ["linear", 0, None]),
    "sampling": ("sampling", ["epochs", 0, None]),
    "batch_size": ("batch_size (tau)", [*NEVER, 0, -1, 1.5]),
    "probabilities": ("probabilities", [5, 1.0, math.nan, True, "text", (0.0, 1.0), (-1.0, 2.0), (math.nan,), (None,)]),
    "max_steps": ("max_steps", [*NEVER, -1, 0.5]),
    "seed": ("seed", [*NEVER, -1, 0.5]),
    "data_seed": ("data_seed", [value for value in NEVER if value is not None] + [-1, 0.5]),
    "record": ("record", [5, None, 2.0, "12", (-1,), (1.5,), ("1",), (math.nan,), (True,)]),
    "data": ("data", ["file.npz", None, 5, {"samples": 3}]),
}


@pytest.mark.parametrize(
    ("field", "name", "value"), [(f, name, v) for f, (name, values) in BAD.items() for v in values], ids=repr
)
def test_bad_value_is_named(field, name, value):
    objectives = ("logistic", "least-squares", "ridge") if field == "reg" else ("least-squares",)
    for objective in objectives:
        with pytest.raises(ParameterError, match="must be") as caught:
            FiniteSumSpec(**{"objective": objective, field: value})
        assert str(caught.value).startswith(f"{name} = ")


def test_every_field_is_tried_with_bad_values():
    assert BAD.keys() == {f.name for f in dataclasses.fields(FiniteSumSpec)}


TOGETHER = {
    "reg with least squares": ("reg", {"reg": 0.1}),
    "reg with pl": ("reg", {"data": WIDE, "objective": "pl", "reg": 0.1}),
    "reg with nonconvex": ("reg", {"objective": "nonconvex", "reg": 0.1}),
    "ridge without reg": ("reg", {"objective": "ridge"}),
    "huge reg": ("reg", {"objective": "ridge", "reg": 1e200}),
    "dependent rows": ("A", {"objective": "pl"}),
    "separable": ("reg", {"objective": "logistic", "data": DrawnSum(5, 8)}),
    "samples of rows": ("samples (n)", {"objective": "logistic", "data": DrawnSum(5, 3, full_rank=True), "reg": 1.0}),
    "labels": ("b", {"objective": "logistic", "data": GIVEN, "reg": 1.0}),
    "a batch of more": ("batch_size (tau)", {"sampling": "nice", "batch_size": 7}),
    "a batch of single": ("batch_size (tau)", {"sampling": "single", "batch_size": 2}),
    "nice of one": ("sampling", {"data": DrawnSum(1, 3), "sampling": "nice"}),
    "probabilities of full": ("probabilities", {"data": GIVEN, "probabilities": P}),
    "sum": ("probabilities", {"data": GIVEN, "sampling": "single", "probabilities": (0.1, 0.2, 0.3, 0.5)}),
    "length": ("probabilities", {"sampling": "single", "probabilities": P}),
    "no probabilities": ("probabilities", {"sampling": "single", "probabilities": ()}),
    "a row of zeros": ("sampling", {"data": GivenSum([[1.0], [0.0]], [1.0, 1.0], [0.0]), "sampling": "importance"}),
    "huge numbers": ("A", {"data": GivenSum([[1e200]], [1.0], [0.0])}),
}


@pytest.mark.parametrize(("name", "changes"), TOGETHER.values(), ids=TOGETHER)
def test_what_does_not_fit_is_named(name, changes):
    """When the specification is made or, where it takes the data, when it is run."""
    with pytest.raises(ParameterError, match="must be") as caught:
        run(spec(**changes))
    assert str(caught.value).startswith(f"{name} = ")


def test_edges_are_allowed():
    run(spec(DrawnSum(1, 1), radius=0, normalisation=1, step_size=5e-324, max_steps=0, record=()))
    run(spec(DrawnSum(1, 1), sampling="importance", max_steps=3.0))
    run(spec(GivenSum([[0.0]], [0.0], [0.0]), max_steps=3))
    assert run(spec(GivenSum([[0.0]], [2.0], [1.0]), max_steps=3)).gap == 0.0
    one = spec(radius=np.float32(1), max_steps=3.0)
    assert (type(one.radius), type(one.max_steps)) == (float, int)


# any run at all


@st.composite
def specifications(draw):
    """Return any valid specification of a short run on small data."""
    objective = draw(st.sampled_from(sorted(OBJECTIVES)))
    n = draw(st.integers(1, 6))
    d = n + draw(st.integers(0, 4)) if objective == "pl" else draw(st.integers(1, 9))
    data = DrawnSum(
        n, d, draw(st.sampled_from([1.0, 10.0, 1e4])), draw(st.sampled_from([0.0, 0.1, 1e3])),
        draw(st.sampled_from([1.0, 100.0])), objective == "quadratic" and draw(st.booleans()),
    )  # fmt: skip
    kind = draw(st.sampled_from([kind for kind in SAMPLINGS if n > 1 or kind != "nice"]))
    batch = {"nice": st.integers(1, n), "replacement": st.integers(1, 9)}.get(kind, st.just(1))
    shares = draw(st.lists(st.floats(0.01, 1.0), min_size=n, max_size=n))
    own = kind == "single" and draw(st.booleans())
    positive = st.floats(-6.0, 1.0).map(lambda x: 10.0**x)
    reg = {"ridge": positive, "logistic": positive, "quadratic": st.one_of(st.just(0.0), positive)}
    return FiniteSumSpec(
        data,
        objective=objective,
        reg=draw(reg.get(objective, st.just(0.0))),
        radius=draw(st.one_of(st.just(0.0), st.floats(-6.0, 4.0).map(lambda x: 10.0**x))),
        normalisation=draw(st.floats(0.0, 1.0)),
        step_size=draw(st.floats(-6.0, 4.0).map(lambda x: 10.0**x)),
        schedule=draw(st.sampled_from(SCHEDULES)),
        decay=draw(positive),
        radii=draw(st.sampled_from(RADII)),
        sampling=kind,
        batch_size=draw(batch),
        probabilities=tuple(share / math.fsum(shares) for share in shares) if own else None,
        max_steps=draw(st.integers(0, 300)),
        seed=draw(st.integers(0, 10)),
        record=tuple(draw(st.lists(st.integers(0, 300), max_size=4))),
    )


@given(specifications())
def test_any_run_ends_and_says_how(one):
    """No exception, no warning, the same bits twice; nothing is NaN or negative unless a run diverged."""
    result = run(one)
    assert bits(result) == bits(run(one))
    assert result.status in ("max-steps", "diverged")
    assert (np.diff(result.history["step"]) > 0).all()
    assert result.steps == one.max_steps or result.status == "diverged"
    if result.status != "diverged":
        assert all(np.isfinite(value).all() for value in result.history.values())
        assert result.history["gap"].min() >= 0.0


@given(specifications().filter(lambda s: s.max_steps > 0))
def test_any_first_step_is_the_twin_s(one):
    """One step from the start, to 1e-9 of its own size."""
    one = dataclasses.replace(one, max_steps=1, record=())
    p, start = load_sum(one.data, one.objective, one.reg, one.seed)
    s = sampling(one.sampling, p, one.batch_size, one.probabilities)
    fields = {"samples": p.samples, "sampling": one.sampling, "batch_size": s.batch_size}
    (row,) = s.batches(stream("batches", one.seed, **fields)).order(0, 1)
    v = np.zeros(p.samples)
    np.add.at(v, row, s.weights[row])
    (gamma,), (rho,) = Schedule(one.step_size, one.radius, one.schedule, one.decay, one.radii, 1).at(0, 1)
    x = naive.sum_step(p.loss, p.A, p.targets, p.reg, v, start, gamma, rho, one.normalisation)
    assert np.abs(run(one).x - x).max() <= 1e-9 * max(np.abs(x - start).max(), np.abs(p.anchor).max(), 1e-3)

"""What a record keeps: series of every kind, the power of a check, the schema, and files that are refused."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reports import CLAIMS, RATE, records, written

import theory
from simulate.parameters import ParameterError
from theory.claim import Kind, Outcome, Samples
from theory.commands import plain_json
from theory.record import SHOWN, environment, histogram, read_records, record_text, select_records, series, text_hash
from theory.verdict import detectable, judge

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = json.loads((Path(theory.__file__).parent / "record.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rows():
    """Return records of one toy claim of every kind."""
    return records()


# series


def test_bound_by_hand():
    observed, bound = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 4.0])
    (kept,) = series(Kind.UPPER_BOUND, Samples(observed), bound, 0.01).values()
    assert kept["observed"] == [2.0, 3.0, 1.0]  # worst first
    assert kept["predicted"] == [2.0, 4.0, 2.0]
    assert kept["quantiles"][0] == 0.0
    assert kept["quantiles"][-1] == 0.5
    assert kept["of"] == "slack"
    (other,) = series(Kind.LOWER_BOUND, Samples(observed), bound, 0.01).values()
    assert other["quantiles"][0] == -0.5


def test_bound_of_means_has_their_intervals():
    observed = np.array([[1.0, 3.0, 2.0, 2.0], [5.0, 5.0, 5.0, 5.0]])
    (kept,) = series(Kind.UPPER_BOUND, Samples(observed), np.array([4.0, 6.0]), 0.01).values()
    assert kept["observed"] == [2.0, 5.0]  # the interval that comes nearest its bound first, as it is judged
    assert kept["low"][1] == kept["high"][1] == 5.0
    assert kept["low"][0] < 2.0 < kept["high"][0]
    verdict = judge(Kind.UPPER_BOUND, Samples(observed), np.array([4.0, 6.0]), 0.0, 0.01)
    assert (verdict.value, verdict.interval[0]) == pytest.approx((0.5, 0.5 - (kept["high"][0] - 2.0) / 4.0), rel=1e-5)
    assert kept["quantiles"][0] == pytest.approx(1.0 / 6.0, rel=1e-5)


def test_identity_rate_limit_and_ordering_by_hand():
    (kept,) = series(Kind.IDENTITY, Samples(np.array([1.0, 2.5])), np.array([1.0, 2.0]), 0.01).values()
    assert (kept["observed"], kept["quantiles"][-1]) == ([2.5, 1.0], 0.25)
    x, y = np.array([1.0, 10.0, 100.0]), np.array([[3.0, 6.0], [30.0, 60.0], [300.0, 600.0]])
    (kept,) = series(Kind.RATE, Samples(y, {"x": x}), 1.0, 0.01).values()
    assert kept["x"] == [1.0, 10.0, 100.0]
    assert kept["predicted"] == kept["fitted"] == pytest.approx(np.sqrt(18.0) * x, rel=1e-5)
    assert kept["quantiles"] == [1.0] * 7
    (kept,) = series(Kind.LIMIT, Samples(np.array([[4.0, 4.0], [1.0, 3.0]])), 2.0, 0.01).values()
    assert (kept["observed"], kept["predicted"], kept["quantiles"][3]) == ([4.0, 2.0], [2.0, 2.0], 0.0)
    (kept,) = series(Kind.ORDERING, Samples(np.array([0.3, -0.1])), 0.1, 0.01).values()
    assert (kept["observed"], kept["predicted"]) == ([-0.1, 0.3], [0.1, 0.1])


def test_many_points_are_thinned_and_the_worst_stays():
    observed = np.linspace(0.0, 1.0, 100_000)
    observed[77_777] = 7.0
    samples = Samples(observed)
    (kept,) = series(Kind.UPPER_BOUND, samples, np.ones(100_000), 0.01).values()
    assert len(kept["observed"]) == len(kept["predicted"]) == SHOWN
    assert kept["observed"][0] == 7.0
    assert kept["observed"][-1] == 0.0
    assert sum(kept["histogram"]["counts"]) == 100_000
    assert np.median(kept["observed"]) == pytest.approx(0.5, abs=0.01)
    (whole,) = series(Kind.UPPER_BOUND, Samples(observed[:SHOWN]), np.ones(SHOWN), 0.01).values()
    assert sorted(whole["observed"]) == pytest.approx(sorted(observed[:SHOWN]), rel=1e-5)


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_not_finite_leaves_nothing(kind):
    samples = Samples(np.array([[1.0, np.nan], [1.0, 2.0], [2.0, 3.0]]), {"x": np.array([1.0, 2.0, 3.0])})
    (kept,) = series(kind, samples, 1.0 if kind in (Kind.RATE, Kind.LIMIT) else np.ones(3), 0.01).values()
    assert kept["observed"] == []
    assert kept["histogram"] is None


def test_axes_are_kept_by_name():
    both = {"a": Samples(np.ones(3)), "b": Samples(np.zeros(3))}
    kept = series(Kind.UPPER_BOUND, both, dict.fromkeys(both, np.ones(3)), 0.01)
    assert {axis: each["observed"] for axis, each in kept.items()} == {"a": [1.0] * 3, "b": [0.0] * 3}


@pytest.mark.parametrize(
    ("values", "log"),
    [
        (np.geomspace(1e-12, 1.0, 50), True), (np.linspace(0.0, 1.0, 50), False), (np.array([1.0, 1.0]), False),
        (np.r_[np.zeros(5), np.geomspace(1e-15, 1e-3, 50)], True), (np.r_[np.linspace(-0.1, 1.0, 99), 50.0], False),
        (np.linspace(-3.0, 2.0, 50), False),
    ],
)  # fmt: skip
def test_histogram_counts_every_value_once(values, log):
    found = histogram(values)
    assert sum(found["counts"]) == len(values)
    assert len(found["edges"]) == len(found["counts"]) + 1
    assert found["log"] == log
    assert np.all(np.diff(found["edges"]) >= 0.0)
    assert found["edges"][-1] <= 5.0  # what lies far beyond the others does not squeeze them into one bin


# power


def test_power_by_hand():
    samples = Samples(np.array([0.0, 1.0, 2.0]))
    verdict = judge(Kind.ORDERING, samples, 0.0, 0.1, 0.05)
    low, high = verdict.interval
    assert detectable(verdict, 0.1) == pytest.approx(0.1 + high - low)
    assert detectable(judge(Kind.IDENTITY, samples, np.ones(3), 0.1, 0.05), 0.1) is None
    axes = {"a": samples, "b": Samples(10.0 * samples.observed)}
    both = judge(Kind.ORDERING, axes, dict.fromkeys(axes, 0.0), 0.1, 0.05)
    widest = both.details["b"]["interval"]
    assert detectable(both, 0.1) == pytest.approx(0.1 + widest[1] - widest[0])


def test_violation_of_that_size_is_called_so():
    """2000 draws of means: a violation by the power is missed hardly ever, one of half its size often."""
    rng = np.random.default_rng(1)
    draws, tolerance, alpha = rng.standard_normal((2000, 24)), 0.2, 0.02
    power = np.mean([detectable(judge(Kind.ORDERING, Samples(d), 0.0, tolerance, alpha), tolerance) for d in draws])
    caught = {
        share: np.mean([
            judge(Kind.ORDERING, Samples(d - share * power), 0.0, tolerance, alpha).outcome is Outcome.VIOLATED
            for d in draws
        ])
        for share in (0.5, 1.0)
    }  # fmt: skip
    assert caught[1.0] > 0.95
    assert caught[0.5] < 0.5


# the schema


def test_records_follow_the_schema(rows):
    VALIDATOR.check_schema(SCHEMA)
    assert {row["kind"] for row in rows} >= {"identity", "upper bound", "rate", "limit", "ordering"}
    assert not list(VALIDATOR.iter_errors(rows))


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"id": "../x"}, {"kind": "miracle"}, {"verdict": {}}, {"control": None}, {"tolerance": "0"},
        {"power": []}, {"text_sha256": "0"}, {"unknown": 1}, {"environment": {}}, {"twin": 3},
    ],
    ids=str,
)  # fmt: skip
def test_schema_refuses(rows, change):
    """The negative control."""
    assert list(VALIDATOR.iter_errors([{**rows[0], **change}]))


def test_text_hash_is_that_of_the_text():
    assert text_hash(RATE) == text_hash(replace(RATE, tolerance=1.0, title="x"))
    for name in ("statement", "formula", "source"):
        assert text_hash(RATE) != text_hash(replace(RATE, **{name: "other"}))


def test_environment_imports_nothing():
    code = "import sys; from theory.record import environment; environment(); print('numba' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
    assert set(environment()["versions"]) == {"python", "numpy", "scipy", "numba", "sharpbounds"}


# files


def test_file_is_read_back(rows, tmp_path):
    assert read_records(written(rows, tmp_path)) == rows
    assert json.loads(record_text(rows)) == rows
    text = record_text([{"a": [1.0, None, 2.5], "b": ["[\n 1", "x"], "c": [], "d": [[1, 2], [3]]}])
    assert '"a": [ 1.0, null, 2.5 ]' in text
    assert json.loads(text)[0]["b"] == ["[\n 1", "x"]
    assert json.loads(text)[0]["d"] == [[1, 2], [3]]


def test_records_are_selected_by_glob(rows):
    assert select_records(rows) == rows
    assert [row["id"] for row in select_records(rows, ("*/rate", "toy2000/lim*"))] == ["toy2000/rate", "toy2000/limit"]
    with pytest.raises(ParameterError, match="claim = 'nothing'"):
        select_records(rows, ("nothing",))


@pytest.mark.parametrize(
    ("change", "naming"),
    [
        ({"format": 0}, "format 0"), ({"id": "../../x/y"}, "no id"), ({"id": "Toy/x"}, "no id"),
        ({"title": 3}, "title"), ({"kind": "x"}, "no kind"), ({"verdict": {}}, "outcome is missing"),
        ({"twin": {"title": "x"}}, "outcome is missing"),
        ({"control": []}, "control"), ({"seconds": None}, "seconds"), ({"expected": "x"}, "no kind and outcome"),
    ],
    ids=str,
)  # fmt: skip
def test_other_files_are_refused(rows, tmp_path, change, naming):
    with pytest.raises(ParameterError, match="record file = ") as error:
        read_records(written([{**rows[0], **change}], tmp_path))
    assert naming in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '["a"]', "null"])
def test_no_records_are_refused(tmp_path, text):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(ParameterError, match="record file = "):
        read_records(tmp_path / "bad.json")


def test_an_id_stands_once(rows, tmp_path):
    with pytest.raises(ParameterError, match="twice"):
        read_records(written([rows[0], rows[0]], tmp_path))
    with pytest.raises(ParameterError, match="read as JSON"):
        read_records(tmp_path / "none.json")


def test_every_toy_passes(rows):
    """The control of what the report's tests rest on."""
    assert len(rows) == len(CLAIMS)
    assert all(row["passed"] for row in rows)
    assert plain_json(rows) == rows

"""The repeats of claims: the store, what is counted, a judge or an observer that is wrong, and the kept table."""

import json
from dataclasses import replace

import interval_coverage
import numpy as np
import pytest
import reports
import verdict_rates
import verdict_table
from scipy.stats import binom

from theory.claim import Control, Kind, Outcome, Samples
from theory.registry import claims
from theory.verdict import judge

FALSE_ALARM = 1e-6  # of each statistical test here; seeds are fixed
TOYS = {
    claim.id: claim for claim in (reports.IDENTITY, reports.MEANS, reports.RATE, reports.LIMIT, reports.ORDERING)
}


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    """Make the toys the registry, which a test may change."""
    there = dict(TOYS)
    for module in (verdict_rates, verdict_table):
        monkeypatch.setattr(module, "claims", lambda: there)
    return there


def repeated(there, folder, repeats):
    """Run the toys; return the results, read anew."""
    failed = verdict_rates.run(verdict_rates.Results(folder, there.values()), repeats)
    assert failed == []
    return verdict_rates.Results(folder, there.values())


def row_of(claim, folder, repeats, there):
    """Return the table's row of one claim."""
    there.clear()
    there[claim.id] = claim
    (row,) = verdict_table.summary(repeated(there, folder, repeats))
    return row


# the store


def test_samples_are_kept_to_the_last_bit():
    drawn = reports.RATE.observe({"seed": 3, "seeds": 24}, None)
    axes = verdict_rates.axes_of(drawn, {"d": 0.5, "n": -0.25})
    again = verdict_rates.unpacked(verdict_rates.packed(axes))
    assert list(again) == ["d", "n"]
    for axis, (samples, prediction) in again.items():
        assert np.array_equal(samples.observed, drawn[axis].observed)
        assert np.array_equal(samples.given["x"], drawn[axis].given["x"])
        assert prediction == axes[axis][1]
    bound = {"": (Samples(np.ones((2, 3)), {"trivial": 0.5, "notes": {"a": 1}}), np.zeros(2))}
    ((samples, prediction),) = verdict_rates.unpacked(verdict_rates.packed(bound)).values()
    assert samples.given == {"trivial": 0.5}
    assert prediction.tolist() == [0.0, 0.0]


def test_killed_run_is_carried_on(toys, tmp_path):
    """Half a line is left: all else is kept as it is, and what is added is what would have been there."""
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    repeated(toys, whole, 3)
    repeated(toys, torn, 2)
    (path,) = torn.glob("*rate.jsonl")
    kept = path.read_bytes()
    path.write_bytes(kept[: len(kept) * 3 // 4])
    found = repeated(toys, torn, 3)
    assert path.read_bytes().startswith(kept[: len(kept) * 3 // 4] + b"\n")
    for name, rows in verdict_rates.Results(whole, toys.values()).rows.items():
        assert rows.keys() == found.rows[name].keys() == {0, 1, 2}
        assert [rows[k]["digest"] for k in range(3)] == [found.rows[name][k]["digest"] for k in range(3)]


def test_other_settings_are_other_results(toys, tmp_path):
    repeated(toys, tmp_path, 2)
    toys[reports.RATE.id] = replace(reports.RATE, quick={"seeds": 25})
    rows = verdict_rates.Results(tmp_path, toys.values()).rows
    assert rows[reports.RATE.id] == {}
    assert len(rows[reports.MEANS.id]) == 2


def test_what_does_not_depend_on_seeds_is_observed_twice(toys, tmp_path):
    fixed = replace(reports.IDENTITY, observe=lambda settings, runner: Samples(np.linspace(-1.0, 1.0, 1000)))
    row = row_of(fixed, tmp_path, 20, toys)
    assert (row["repeats"], row["fixed"]) == (2, True)
    assert row_of(reports.IDENTITY, tmp_path / "drawn", 20, toys)["repeats"] == 20


def test_failure_is_told_and_the_rest_is_run(toys, tmp_path):
    def broken(settings, runner):
        raise ValueError("no samples")

    toys[reports.RATE.id] = replace(reports.RATE, observe=broken)
    results = verdict_rates.Results(tmp_path, toys.values())
    failed = verdict_rates.run(results, 2)
    assert [(name, k, str(error)) for name, k, error in failed] == [(reports.RATE.id, k, "no samples") for k in (0, 1)]
    assert all(len(rows) == 2 for name, rows in results.rows.items() if name != reports.RATE.id)


def test_no_observation_is_begun_late(toys, tmp_path):
    results = verdict_rates.Results(tmp_path, toys.values())
    assert verdict_rates.run(results, 5, until=0.0) == []
    assert not any(results.rows.values())


# what is counted


def test_repeat_without_an_interval_is_not_averaged(toys, tmp_path):
    """One value of a rate is 0: that repeat's axis is left out of what is missed and passed, and no other."""

    def powers(settings, runner):
        found = reports.RATE.observe(settings, runner)
        found["d"].observed[0, 0] *= settings["seed"] != (verdict_rates.FIRST + 1) * verdict_rates.SEED_STRIDE
        return found

    row = row_of(replace(reports.RATE, observe=powers), tmp_path, 4, toys)
    assert row["outcomes"] == {"holds": 3, "inconclusive": 1}
    assert [row["missed"][1], row["passed"][1]] == [7, 7]


def test_true_claims_are_compatible(toys, tmp_path):
    rows = verdict_table.summary(repeated(toys, tmp_path, 12))
    assert len(rows) == len(TOYS)
    assert all(row["compatible"] and row["wrong"] == 0 and row["repeats"] == 12 for row in rows)
    assert [row["missed"] is None for row in rows] == [True, False, False, False, False]
    text = verdict_table.table(rows)
    assert text.count("\n|") == len(TOYS) + 2
    assert text.count("| 0 of 12 (0–26 %) |") == len(TOYS)
    assert text.startswith("Wrong verdicts: 0 of 60 (0–6 %), at 5%: 0 of 48 (0–7.4 %). Controls rejected: 60 of 60. ")
    assert "Repeats: 12 to 12, 12 in the median." in text


def drawn(settings, runner):
    """Paired differences of mean 1."""
    return Samples(1.0 + np.random.default_rng(settings["seed"]).standard_normal(24))


EDGE = replace(reports.ORDERING, observe=drawn, predict=lambda samples: 1.0, tolerance=0.0)
"""A claim that is as nearly false as a true one can be."""


def test_edge_of_a_true_claim(toys, tmp_path):
    """Its intervals miss as often as they say, half of the time below; the power is what it says."""
    row = row_of(replace(EDGE, control=Control("4", lambda samples: 4.0)), tmp_path, 300, toys)
    assert row["outcomes"]["inconclusive"] >= 298
    assert row["compatible"]
    low, high = binom.interval(1.0 - FALSE_ALARM, 300, verdict_table.LARGE)
    assert low <= row["missed"][0] <= high
    assert row["wrong at large"][0] <= binom.isf(FALSE_ALARM, 300, verdict_table.LARGE / 2)
    assert row["passed"][0] <= 2


def test_intervals_that_are_too_narrow_are_seen(toys, tmp_path):
    """The control: every replicate counted four times."""

    def repeats(settings, runner):
        return Samples(np.repeat(drawn(settings, runner).observed, 4))

    row = row_of(replace(EDGE, observe=repeats), tmp_path, 100, toys)
    assert row["missed"][0] > binom.isf(FALSE_ALARM, 100, verdict_table.LARGE)
    assert row["wrong at large"][0] > 10
    assert not row["compatible"]


def test_wrong_verdicts_and_standing_controls_are_seen(toys, tmp_path):
    false = row_of(replace(EDGE, predict=lambda samples: 3.0), tmp_path / "false", 4, toys)
    assert (false["wrong"], false["compatible"]) == (4, False)
    expected = replace(EDGE, predict=lambda samples: -3.0, expected=Outcome.VIOLATED)
    assert row_of(expected, tmp_path / "true", 4, toys)["wrong"] == 4
    weak = row_of(replace(EDGE, control=Control("1.1", lambda samples: 1.1)), tmp_path / "weak", 4, toys)
    assert (weak["control"], weak["compatible"]) == ({"inconclusive": 4}, False)


@pytest.mark.parametrize("kind", [Kind.RATE, Kind.LIMIT, Kind.ORDERING, Kind.UPPER_BOUND, Kind.LOWER_BOUND])
def test_forms_at_the_power_are_at_the_edge(kind):
    """Where the truth is the mean itself it is broken by the power: half that much is not surely seen, and it is."""
    rng = np.random.default_rng(1)
    x = np.geomspace(1.0, 1e4, 5)
    samples = {
        Kind.RATE: Samples(x[:, None] ** 0.5 * np.exp(0.1 * rng.standard_normal((5, 24))), {"x": x}),
        Kind.LIMIT: Samples(2.0 + 0.1 * rng.standard_normal((2, 24))),
        Kind.ORDERING: Samples(1.0 + 0.1 * rng.standard_normal(24)),
    }.get(kind, Samples(2.0 + 0.1 * rng.standard_normal((3, 24))))
    prediction = {Kind.RATE: 0.5, Kind.LIMIT: 2.0, Kind.ORDERING: 0.5}.get(kind, np.full(3, 2.0))
    rows = verdict_table.figures(kind, samples, np.asarray(prediction))
    verdict = verdict_table.beyond(kind, samples, np.asarray(prediction), 0.02, 1e-4, rows.mean(axis=-1))
    assert verdict.outcome is Outcome.VIOLATED
    assert judge(kind, samples, prediction, 0.02, 1e-4).outcome is not Outcome.VIOLATED
    low, high = verdict.interval
    if kind is Kind.RATE:
        gap = verdict.details["predicted"] - verdict.value
    elif kind is Kind.ORDERING:
        return
    else:
        gap = verdict.value
    assert abs(gap) == pytest.approx(0.02 + (high - low), rel=0.02)


# the intervals


@pytest.mark.parametrize("law", ["normal", "exponents"])
@pytest.mark.parametrize("replicates", [6, 24])
def test_intervals_miss_as_often_as_they_say(law, replicates):
    rates, draws = (0.05, 0.01), 2000
    counts = interval_coverage.missed(interval_coverage.STUDENT, law, replicates, rates, draws)
    for count, rate in zip(counts, rates, strict=True):
        low, high = binom.interval(1.0 - FALSE_ALARM, draws, rate)
        assert low <= count <= high


def test_laws_that_are_covered_and_not():
    """Tails that are heavy on both sides miss no more often than stated, nor anything in a range; lognormals do."""

    def missed(given, law):
        return interval_coverage.missed(given, law, 24, (0.05,), 2000)[0]

    most = binom.isf(FALSE_ALARM, 2000, 0.05)
    student, hoeffding = interval_coverage.STUDENT, interval_coverage.HOEFFDING
    assert max(missed(student, "uniform"), missed(student, "Student's, 3 degrees")) <= most
    assert max(missed(hoeffding, "two values, 1 in 4"), missed(hoeffding, "rare outliers")) <= most
    assert min(missed(student, "lognormal"), missed(student, "rare outliers")) > most  # the control


# the table that is kept


def test_page_has_the_table_of_every_claim():
    rows = json.loads(verdict_table.JSON.read_text(encoding="utf-8"))
    before, inner, after = verdict_table.marked(verdict_table.PAGE.read_text(encoding="utf-8"))
    assert inner == verdict_table.table(rows)
    wanted = {name for name, claim in claims().items() if claim.extra is None}
    missing = wanted - {row["id"] for row in rows}
    assert not missing, f"python tests/verdict_rates.py {' '.join(sorted(missing))} --repeats 10 --write"
    for name in wanted:
        parts = [row["part"] for row in rows if row["id"] == name]
        assert parts == ["claim", "twin"][: 1 + bool(claims()[name].twin)]
    assert min(row["repeats"] for row in rows if not row["fixed"]) >= 2
    assert verdict_table.marked(before + inner.replace("yes", "no") + after)[1] != inner


def test_writing_some_claims_keeps_the_others(toys, tmp_path, monkeypatch):
    monkeypatch.setattr(verdict_table, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(verdict_table, "JSON", tmp_path / "rows.json")
    verdict_table.PAGE.write_text("\n".join(verdict_table.MARKS))
    rows = verdict_table.summary(repeated(toys, tmp_path, 2))
    verdict_table.write(rows[::-1])
    verdict_table.write([{**rows[2], "repeats": 7}])
    kept = json.loads(verdict_table.JSON.read_text())
    assert [row["id"] for row in kept] == list(toys)
    assert [row["repeats"] for row in kept] == [2, 2, 7, 2, 2]
    assert verdict_table.marked(verdict_table.PAGE.read_text())[1] == verdict_table.table(kept)


def test_tables_stand_between_their_marks(tmp_path, monkeypatch):
    """Into a space that is empty or not; what stands around it stays."""
    monkeypatch.setattr(verdict_table, "PAGE", tmp_path / "page.md")
    verdict_table.PAGE.write_text("before\n<!-- a -->\n<!-- b -->\nafter\n")
    for text in ("| 1 |", "| 2 |\n| 3 |"):
        verdict_table.put(text, ("<!-- a -->", "<!-- b -->"))
        assert verdict_table.PAGE.read_text() == f"before\n<!-- a -->\n\n{text}\n\n<!-- b -->\nafter\n"
    with pytest.raises(ValueError, match="must have <!-- c --> and <!-- b -->"):
        verdict_table.put("", ("<!-- c -->", "<!-- b -->"))


def test_smaller_settings_are_of_claims():
    """What is set is set in their quick settings too, and is less."""
    for name, changes in verdict_rates.SMALLER.items():
        quick = claims()[name].quick
        for key, value in changes.items():
            size = len if isinstance(value, list | dict) else float
            assert size(value) < size(quick[key]), (name, key)

"""The commands about records: what `diff` calls a change, and tables that another program reads back."""

import csv
import io
import re

import pytest
from click.testing import CliRunner
from reports import CLAIMS, records, written

import sharpbounds
from theory.record_command import COLUMNS, as_latex, cells, changes


@pytest.fixture(scope="module")
def rows():
    """Return records of one toy claim of every kind."""
    return records()


def call(*arguments):
    return CliRunner(catch_exceptions=False).invoke(sharpbounds.main, list(map(str, arguments)))


def changed(row, **parts):
    """Return a record with entries of its parts changed: verdict={"value": 3}."""
    return {**row, **{name: {**row[name], **entries} for name, entries in parts.items()}}


# diff


def test_nothing_differs(rows, tmp_path):
    old = written(rows, tmp_path)
    slower = written([{**row, "seconds": 1e3, "passed": True} for row in reversed(rows)], tmp_path, "b.json")
    result = call("diff", old, slower)
    assert (result.exit_code, result.stdout) == (0, "7 claims as they were, nothing differs.\n")


def test_another_seed_is_another_check(rows):
    """Intervals still meet; without any, other samples are not compared."""
    other = records(seed=1)
    assert all(found[0].startswith("seed: 0 → 1") for found in map(changes, rows, other))
    assert {text.partition(":")[0] for found in map(changes, rows, other) for text in found} == {"seed"}


@pytest.mark.parametrize(
    ("index", "parts", "naming"),
    [
        (0, {"verdict": {"outcome": "violated"}}, "verdict: holds → violated"),
        (0, {"verdict": {"value": 0.06}}, "verdict, relative error"),
        (0, {"verdict": {"points": 999}}, "points: 1000 → 999"),
        (0, {"control": {"outcome": "holds"}}, "control: violated → holds"),
        (0, {"control": {"value": 0.9}}, "control, relative error: 0.5 → 0.9"),
        (5, {"twin": {"outcome": "violated"}}, "twin: holds → violated"),
        (5, {"twin": {"value": -7.0}}, "twin, smallest slack"),
        (3, {"verdict": {"value": 1.0, "interval": [0.9, 1.1]}}, "verdict, deviation"),
        (4, {"control": {"value": 7.0, "interval": [6.0, 8.0]}}, "control, difference"),
    ],
)
def test_change_is_named(rows, tmp_path, index, parts, naming):
    new = list(rows)
    new[index] = changed(rows[index], **parts)
    (found,) = [text for text in changes(rows[index], new[index]) if naming in text]
    result = call("diff", written(rows, tmp_path), written(new, tmp_path, "new.json"))
    assert result.exit_code == 1
    assert f"~ {rows[index]['id']}   {found}" in result.stdout
    assert "6 claims as they were, the others differ." in result.stdout


def test_change_within_interval_or_tolerance_is_none(rows):
    """The control: intervals that meet, errors below the tolerance, rounding."""
    low, high = rows[3]["verdict"]["interval"]
    assert changes(rows[3], changed(rows[3], verdict={"value": high, "interval": [high, 2 * high - low]})) == []
    assert changes(rows[0], changed(rows[0], verdict={"value": 0.04})) == []
    value = rows[5]["verdict"]["value"]
    assert changes(rows[5], changed(rows[5], verdict={"value": value + 1e-8})) == []
    assert changes(rows[5], changed(rows[5], verdict={"value": value + 0.06})) != []


def test_text_settings_and_claims(rows, tmp_path):
    assert changes(rows[1], {**rows[1], "text_sha256": "0" * 64})[0].startswith("text: ")
    settings = {**rows[1]["settings"], "seeds": 25}
    assert changes(rows[1], {**rows[1], "settings": settings})[0].startswith("settings: ")
    result = call("diff", written(rows[:-1], tmp_path), written(rows[1:], tmp_path, "new.json"))
    assert result.exit_code == 1
    assert f"- {rows[0]['id']}   only in" in result.stdout
    assert f"+ {rows[-1]['id']}   only in" in result.stdout
    assert "5 claims as they were" in result.stdout


def test_versions_are_named_and_do_not_count(rows, tmp_path):
    place = {**rows[0]["environment"], "versions": {**rows[0]["environment"]["versions"], "numpy": "9.9"}}
    new = written([{**row, "environment": place} for row in rows], tmp_path, "new.json")
    result = call("diff", written(rows, tmp_path), new)
    assert result.exit_code == 0
    assert re.search(r"^  numpy \S+ → 9.9$", result.stdout, re.MULTILINE)


def test_diff_refuses(rows, tmp_path):
    result = call("diff", written(rows, tmp_path), tmp_path / "none.json")
    assert result.exit_code == 2
    assert "record file = " in result.stderr


# table


def test_csv_is_read_back(rows, tmp_path):
    result = call("table", "--from", written(rows, tmp_path), "--to", "csv")
    assert result.exit_code == 0
    head, *body = csv.reader(io.StringIO(result.stdout))
    assert tuple(head) == COLUMNS
    assert [tuple(line) for line in body] == [cells(row) for row in rows]
    by_id = {line[0]: line for line in body}
    assert by_id["toy2000/false"][3] == "violated"
    assert by_id["toy2000/missing"][3::4] == ["not checked", "not run"]
    assert re.fullmatch(r"\[-?[\d.e-]+, -?[\d.e-]+\]", by_id["toy2000/limit"][5])


def test_markdown(rows, tmp_path):
    source = written([{**rows[0], "source": "a | b"}, *rows[1:]], tmp_path)
    result = call("table", "*/identity", "*/rate", "--from", source, "--to", "markdown")
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    assert all(len(re.findall(r"(?<!\\)\|", line)) == len(COLUMNS) + 1 for line in lines)
    assert "a \\| b" in lines[2]


def test_latex_is_escaped(rows):
    text = as_latex([{**rows[0], "source": r"50% & \more $x_1$ #2 {a} ~ ^ ≤ – Θ(d²)"}])
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert r"50\% \& \textbackslash{}more \$x\_1\$ \#2 \{a\} \textasciitilde{} \^{} $\le$ -- $\Theta$(d$^2$)" in body
    assert len(re.findall(r"(?<!\\)&", body)) == len(COLUMNS) - 1
    assert text.startswith(r"\begin{tabular}{llllllll}")


def test_table_of_a_check(monkeypatch):
    """Without --from the claims are checked; the table alone is printed."""
    monkeypatch.setattr("theory.registry.claims", lambda: {claim.id: claim for claim in CLAIMS[:2]})
    result = call("table", "--workers", 1, "--no-cache", "--to", "csv")
    assert result.exit_code == 0
    assert [line.partition(",")[0] for line in result.stdout.splitlines()] == [
        "claim", "toy2000/identity", "toy2000/means",
    ]  # fmt: skip
    assert "Every verdict is the expected one." in result.stderr

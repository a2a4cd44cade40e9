"""What is measured: the verdict of a row, and that sides which differ are not compared."""

import json

import numpy as np
import pytest

from benchmarks.__main__ import JOBS, chosen, measure
from benchmarks.measure import Disagreement, Row, agree, paired, write


def test_verdict_is_that_of_the_median():
    assert Row("j", "a", [1, 5, 100], target=5).verdict() == "reached"
    assert Row("j", "a", [1, 4.9, 100], target=5).verdict() == "missed"
    assert Row("j", "a", [1, 4.9, 100], target=5, at_most=True).verdict() == "reached"
    assert Row("j", "a", [1, 5.1, 100], target=5, at_most=True).verdict() == "missed"
    assert Row("j", "a", [1]).verdict() == Row("j", "a", target=5).verdict() == ""


def test_sides_that_differ_are_not_compared():
    agree("same", np.array([1.0, 0.0]), np.array([1.0, 1e-10]), 1e-9)
    with pytest.raises(Disagreement, match="other: the two sides differ by 1e-08"):
        agree("other", np.array([1.0, 0.0]), np.array([1.0, 1e-8]), 1e-9)
    with pytest.raises(Disagreement):
        agree("NaN", np.array([1.0, np.nan]), np.array([1.0, 0.0]), 1e-9)


def test_sides_alternate_and_a_first_call_does_not_count():
    calls = []
    theirs, ours = paired(lambda: calls.append("a") or len(calls), lambda: calls.append("b") or len(calls), 3)
    assert "".join(calls) == "abababab"
    assert theirs.tolist() == [3, 5, 7]
    assert ours.tolist() == [4, 6, 8]


def test_names_choose_jobs():
    assert chosen([]) == list(JOBS)
    assert chosen(["conv.s", "scan"]) == ["conv.steps", "scan.workers"]
    with pytest.raises(SystemExit, match="begins no job"):
        chosen(["nonsense"])


def test_missing_library_is_said_and_disagreement_kept(monkeypatch, tmp_path):
    from benchmarks import conv, potential

    def differing():
        yield Row("first", "a", [2.0, 4.0, 3.0], target=3)
        agree("second", np.ones(1), np.zeros(1), 0.5)

    monkeypatch.setattr(conv, "PEERS", {"a library": ("absent", {}, 1e-9)})
    monkeypatch.setattr(potential, "minima", differing)
    rows, failures = measure(["conv.steps", "potential.minima"])
    assert [row.spread() for row in rows] == ["skipped", "skipped", "2 – 3 – 4 ×"]
    assert "ModuleNotFoundError: No module named 'benchmarks.peers.absent'" in rows[0].note
    assert failures == ["potential.minima: second: the two sides differ by 1e+00, more than 5e-01"]
    write(tmp_path / "found.json", {"cpu": "x"}, rows)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["machine"] == {"cpu": "x"}
    assert [row["median"] for row in found["rows"]] == [None, None, 3.0]
    assert found["rows"][2]["verdict"] == "reached"

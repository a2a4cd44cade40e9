"""The judge of what the tests have run, given figures of its own."""

import json
from collections import Counter

import pytest
from coverage_check import LEAST, by_room, main, share


def summary(lines, branches, of=200):
    return {"covered_lines": lines, "num_statements": of, "covered_branches": branches, "num_branches": of}


@pytest.mark.parametrize(
    ("lines", "branches", "short"),
    [(190, 180, []), (189, 180, ["lines"]), (190, 179, ["branches"]), (0, 0, ["lines", "branches"])],
)
def test_each_is_judged_by_itself(tmp_path, capsys, lines, branches, short):
    """At 95 and 90 of a hundred, whatever the other is; files in the order of what is left of them."""
    files = {"one/a.py": summary(100, 100, 100), "one/b.py": summary(lines, branches), "c.py": summary(0, 0, 0)}
    found = {"files": {name: {"summary": of} for name, of in files.items()}, "totals": summary(lines, branches)}
    (tmp_path / "found.json").write_text(json.dumps(found))
    assert main(tmp_path / "found.json") == short
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown if line][1:4] == ["c.py", "one", "all"]
    assert next(line for line in shown if ".py" in line and "b.py" in line) == shown[shown.index("") + 2]


def test_a_room_is_the_sum_of_its_files():
    """Not the mean of their shares: 30 of 400 lines are 7.5 per cent. What is no count, as shares in words, is left."""
    one = {**summary(10, 0), "percent_covered_display": "2"}
    rooms = by_room({"a/x.py": {"summary": one}, "a/y/z.py": {"summary": summary(20, 200)}})
    assert rooms == {"a": Counter(summary(30, 200, 400))}
    assert [share(rooms["a"], kind) for kind in LEAST] == [7.5, 50.0]
    assert share(summary(0, 0, 0), "lines") == 100.0

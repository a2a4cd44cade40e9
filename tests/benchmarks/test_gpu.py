"""What a GPU could gain at most is the share of everything but the steps."""

import sys

import numpy as np

from benchmarks import gpu


def test_steps_for_nothing():
    row = gpu.bound("SGD", 10, np.array([[10.0, 10.0, 10.0], [9.0, 8.0, 7.5]]))
    assert list(row.values) == [10.0, 5.0, 4.0]
    assert row.verdict() == "reached"


def test_both_rules_are_measured(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "LENGTHS", {3: 1})
    monkeypatch.setattr(sys, "argv", ["gpu", "--workers", "1", "--repeats", "1"])
    gpu.main()
    assert capsys.readouterr().out.count("runs, 3 steps") == 2

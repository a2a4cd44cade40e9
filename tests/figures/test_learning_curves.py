"""Exact curves follow the three predictions; the figure shows all four."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import learning_curves as figure
from simulate.runner import Runner
from theory.ours.closed import predict

mpl.use("Agg")


@pytest.mark.compiled
def test_exact_curves_follow_the_predictions(monkeypatch):
    for name, value in {
        "SHAPE": {"n": 40, "d": 10**9, "m": 20}, "SCALES": {0.1: ("k", "o")}, "SEEDS": 12, "EPS": 0.05,
        "DRAWS": {"limit": 24, "effective": 2},
    }.items():  # fmt: skip
        monkeypatch.setattr(figure, name, value)
    data = figure.compute(Runner())
    exact = data["exact/0.1"].mean(axis=2)
    tau = figure.E0 * np.array(figure.STEPS)
    early = tau < 15.0  # the predictions end at training loss 0.05
    assert exact.shape == (4, len(tau))
    for level, allowed in {"limit": 0.04, "effective": 0.04, "closed": 0.08}.items():
        curve = data[f"{level}/0.1"]
        for seen, predicted in zip(exact, curve[1:], strict=True):
            assert seen[early] == pytest.approx(np.interp(tau[early], curve[0], predicted), rel=allowed), level
    half = predict(0.1, 20, 0.1, 0.05, active=lambda sigma: 0.5)  # the control
    assert np.interp(10.0, half.tau, half.margin) < 0.9 * np.interp(10.0, tau, exact[1])


def test_every_level_and_quantity_is_drawn():
    rng = np.random.default_rng(0)
    exact, curves = (4, len(figure.STEPS), 5), (5, 9)
    data = {f"exact/{c}": rng.uniform(0.1, 1.0, exact) for c in figure.SCALES}
    data |= {f"{level}/{c}": rng.uniform(0.1, 1.0, curves) for level in figure.LEVELS for c in figure.SCALES}
    axes = figure.draw(data).axes
    shown = {}
    for axis in axes:
        assert axis.get_xlabel()
        assert axis.get_ylabel()
        for container in axis.containers:
            shown.setdefault(container.get_label(), []).append(container.lines[0].get_ydata())
    for row, name in enumerate(figure.QUANTITIES):
        expected = [data[f"exact/{c}"][row].mean(axis=1) for c in figure.SCALES]
        assert np.allclose(shown[name], expected)
    drawn = [one.get_xydata().T for axis in axes for one in axis.lines]
    for key, curve in data.items():
        if not key.startswith("exact"):
            for row in curve[1:]:
                assert any(np.array_equal(one, [curve[0], row]) for one in drawn), key

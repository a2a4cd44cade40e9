"""SAM's steps learn gamma(T) and bring the error down as predicted; the figure shows it, with the floors."""

import matplotlib as mpl
import numpy as np
import pytest
from scipy.special import ndtr

from figures import sam_steps as figure
from simulate.runner import Runner
from theory.ours.sam_phase import phase_time

mpl.use("Agg")


@pytest.mark.compiled
def test_gamma_and_error_are_predicted(monkeypatch):
    for name, value in {
        "SIGNALS": {3.0: ("k", "o", "-")}, "STEPS": (0, 2000), "GRID": (0, 2000), "SEEDS": 5, "GROUPS": 1,
    }.items():  # fmt: skip
        monkeypatch.setattr(figure, name, value)
    data = figure.compute(Runner())
    gamma = data["gamma"][0].mean(axis=1)
    assert gamma[0] == pytest.approx(0.0, abs=1e-12)
    assert phase_time(gamma[1], 0.1) == pytest.approx(figure.time(3.0, 2000), rel=0.05)
    assert np.median(data["error"][0], axis=1) == pytest.approx(data["predicted"][0], rel=0.15)
    assert data["predicted"][0, 1] < 0.05 * data["predicted"][0, 0]


def test_points_lines_and_floors():
    rng = np.random.default_rng(0)
    shape = len(figure.SIGNALS), len(figure.STEPS), 5
    data = {
        "gamma": rng.random(shape), "error": rng.uniform(0.01, 0.4, shape),
        "predicted": rng.uniform(0.01, 0.4, (len(figure.SIGNALS), len(figure.GRID))),
    }  # fmt: skip
    left, right = figure.draw(data).axes
    drawn = [one.get_xydata() for one in right.lines]
    for k, mu in enumerate(figure.SIGNALS):
        for axis, name in ((left, "gamma"), (right, "error")):
            points = np.column_stack([figure.STEPS, np.median(data[name][k], axis=1)])
            assert np.allclose(axis.containers[k].lines[0].get_xydata(), points)
        predicted = np.column_stack([figure.GRID, data["predicted"][k]])
        assert any(np.array_equal(one, predicted) for one in drawn)
        assert any(np.array_equal(one[:, 1], [ndtr(-mu)] * 2) for one in drawn)
        curves = [one.get_xydata() for one in left.lines if len(one.get_xydata()) == 200]
        steps, gamma = curves[2 * k].T
        assert phase_time(gamma, 0.1) == pytest.approx(figure.time(mu, steps), rel=1e-9, abs=1e-12)
        assert np.allclose(curves[2 * k + 1][:, 1], 0.4 * figure.time(mu, steps))

"""Errors at large d lie on the predicted curve and at d = 10³ above it; what is drawn is what was computed."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import error_curve as figure
from simulate.runner import Runner
from theory.chen2023.setting import benign_parameter, resulting_flip_rate, scaled_spec
from theory.ours.closed import predict

mpl.use("Agg")


@pytest.mark.compiled
def test_large_d_on_the_curve_and_small_d_above_it(monkeypatch):
    for name, value in {
        "CASES": figure.CASES[1:], "DIMENSIONS": (10**3, 10**9), "FINITE": 1, "PARAMETERS": (1.0,), "SEEDS": 16,
        "GRID": (0.5, 1.0), "REPLICAS": 2,
    }.items():  # fmt: skip
        monkeypatch.setattr(figure, name, value)
    data = figure.compute(Runner())
    case = figure.CASES[0]
    assert data["closed"][0] == pytest.approx(predict(case["c"], case["m"], 0.1, 0.01).clean_error([0.5, 1.0]))
    curve = data["curve"][0].mean(axis=0)
    assert curve == pytest.approx(data["closed"][0], abs=0.02)
    near, far = data["errors"][0, 0].mean(axis=1)
    assert far == pytest.approx(curve[1], abs=0.015)
    assert near > curve[1] + data["finite"][0, 0, 1] > curve[1] + 0.02


def test_every_case_has_its_flip_rate_and_q():
    for case in figure.CASES:
        mu = figure.critical_signal(case["n"], case["P"], case["sigma_p"], 10**6, 0.7)
        spec = scaled_spec(0, mu=mu, d=10**6, **case)
        assert resulting_flip_rate(spec.data) == figure.FLIPPED
        q = benign_parameter(case["n"], spec.data.signal_norm, case["P"], case["sigma_p"], 10**6)
        assert q == pytest.approx(0.7)


def test_points_curves_and_band():
    rng = np.random.default_rng(0)
    points, grid, cases = len(figure.PARAMETERS), len(figure.GRID), len(figure.CASES)
    data = {
        "errors": rng.uniform(0.0, 0.4, (cases, points, len(figure.DIMENSIONS), 5)),
        "curve": rng.uniform(0.1, 0.2, (cases, 4, grid)), "closed": rng.random((cases, grid)),
        "finite": rng.random((cases, figure.FINITE, grid)),
    }  # fmt: skip
    axes = np.reshape(figure.draw(data).axes, (2, cases))
    for k, (above, below) in enumerate(axes.T):
        line = data["curve"][k].mean(axis=0)
        shown = np.interp(np.log(figure.PARAMETERS), np.log(figure.GRID), line)
        assert np.allclose(above.lines[0].get_ydata(), line)
        assert np.allclose(above.lines[1].get_ydata(), data["closed"][k])
        assert np.allclose(below.lines[1].get_ydata(), data["closed"][k] - line)
        (band,) = above.collections[:1]
        width = 2.0 * data["curve"][k].std(axis=0, ddof=1) / 2.0
        assert band.get_paths()[0].get_extents().ymax == pytest.approx((line + width).max())
        assert len(above.containers) == len(below.containers) == len(figure.DIMENSIONS)
        for j, (high, low) in enumerate(zip(above.containers, below.containers, strict=True)):
            mean = data["errors"][k, :, j].mean(axis=1)
            assert np.allclose(high.lines[0].get_xydata(), np.column_stack([figure.PARAMETERS, mean]))
            assert np.allclose(low.lines[0].get_ydata(), mean - shown)
        formulas = [one for one in below.lines if one.get_label().startswith("formula at")]
        assert np.allclose([one.get_ydata() for one in formulas], data["finite"][k])

"""Errors of nine shapes fall on the closed form's curve of q, and at equal n · SNR² far apart."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import data_collapse as figure
from simulate.runner import Runner
from theory.chen2023.setting import benign_parameter

mpl.use("Agg")


@pytest.mark.compiled
def test_one_curve(monkeypatch):
    monkeypatch.setattr(figure, "PARAMETERS", (0.5,))
    monkeypatch.setattr(figure, "SEEDS", 16)
    monkeypatch.setattr(figure, "LEVELS", (0.3, 0.2, 0.1))
    data = figure.compute(Runner())
    mean = data["errors"].mean(axis=2)[0]
    q, level = data["curve"]
    assert (np.diff(q) > 0.0).all()
    assert np.ptp(mean) < 0.06
    assert mean.mean() == pytest.approx(np.interp(np.log(0.5), np.log(q), level), abs=0.03)
    assert 0.6 < float(data["a"]) < 0.8


def test_noise_parameter_is_another_function_of_the_shape():
    q = 0.7
    found = [figure.noise_parameter(q, *shape) for shape in figure.SHAPES]
    for (n, d, P, sigma_p), strength in zip(figure.SHAPES, found, strict=True):
        mu = figure.critical_signal(n, P, sigma_p, d, q)
        assert benign_parameter(n, mu, P, sigma_p, d) == pytest.approx(q)
        assert strength == pytest.approx(np.sqrt(q * n / d))
    assert max(found) > 100.0 * min(found)


def test_every_shape_is_shown():
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.0, 0.4, (len(figure.PARAMETERS), len(figure.SHAPES), 5))
    curve = np.array([np.geomspace(0.01, 10.0, 7), np.linspace(0.4, 0.0, 7)])
    left, right = figure.draw({"errors": errors, "a": np.array(0.69), "curve": curve}).axes
    assert np.array_equal(left.lines[0].get_xydata().T, curve)
    for k, shape in enumerate(figure.SHAPES):
        x, y = left.containers[k].lines[0].get_xydata().T
        assert np.allclose(x, figure.PARAMETERS)
        assert np.allclose(y, errors[:, k].mean(axis=1))
        x, y = right.containers[k].lines[0].get_xydata().T
        assert np.allclose(x, figure.noise_parameter(np.array(figure.PARAMETERS), *shape))
        assert np.allclose(y, errors[:, k].mean(axis=1))

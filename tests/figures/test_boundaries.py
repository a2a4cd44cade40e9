"""SGD's critical signal moves with d and n, SAM's hardly; the lines are those of the fitted exponents."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import boundaries, critical_signal
from simulate.runner import Runner

mpl.use("Agg")


@pytest.mark.compiled
def test_only_sgds_boundary_moves(monkeypatch):
    few = {"seed": 0, "groups": 2, "seeds": 3}
    monkeypatch.setattr(boundaries, "SETTINGS", few)
    monkeypatch.setattr(boundaries, "SAMPLES", (20, 80))
    monkeypatch.setattr(boundaries, "SAM_DIMENSION", 20_000)
    monkeypatch.setattr(critical_signal, "SETTINGS", few)
    monkeypatch.setattr(critical_signal, "SGD_DIMENSIONS", (10**4, 10**8))
    monkeypatch.setattr(critical_signal, "SAM_DIMENSIONS", (10**4,))
    found = {key: values.mean(axis=1) for key, values in boundaries.compute(Runner()).items()}
    assert found["sgd/d"][1] / found["sgd/d"][0] == pytest.approx(10.0, rel=0.1)
    assert found["sgd/n"][1] / found["sgd/n"][0] == pytest.approx(4.0**-0.25, rel=0.1)
    assert found["sam/n"][1] / found["sam/n"][0] == pytest.approx(1.0, abs=0.15)
    assert found["sam/d"][0] < 0.4 * found["sgd/d"][0]


def test_fit_of_a_power_law():
    x = np.array([1.0, 10.0, 100.0])
    exponent, line = boundaries.fit(x, 3.0 * np.outer(x**0.25, np.ones(4)))
    assert exponent.value == pytest.approx(0.25)
    assert exponent.half_width == pytest.approx(0.0, abs=1e-12)
    assert np.allclose(line, 3.0 * x**0.25)
    noisy, _ = boundaries.fit(x, np.outer(x**0.25, np.ones(4)) * np.exp(np.random.default_rng(0).normal(size=(3, 4))))
    assert noisy.half_width > 0.05


def test_points_lines_and_exponents():
    rng = np.random.default_rng(0)
    data = {
        key: np.outer(np.array(x, float) ** 0.5, rng.uniform(1.0, 1.1, 6))
        for series in boundaries.SERIES.values() for key, x, *_ in series
    }  # fmt: skip
    for axis, (letter, series) in zip(boundaries.draw(data).axes, boundaries.SERIES.items(), strict=True):
        assert letter in axis.get_xlabel()
        for container, (key, x, *_) in zip(axis.containers, series, strict=True):
            assert np.allclose(container.lines[0].get_xydata(), np.column_stack([x, data[key].mean(axis=1)]))
            assert "0.500 ± 0.000" in container.get_label()

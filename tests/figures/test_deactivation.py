"""At large d the share turned off is the error function; along SAM it falls as C3 grows."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import deactivation as figure
from simulate.runner import Runner
from theory.chen2023.deactivation import deactivated_at_start

mpl.use("Agg")


@pytest.mark.compiled
def test_compute(monkeypatch):
    monkeypatch.setattr(figure, "RATIOS", (0.5, 2.0))
    monkeypatch.setattr(figure, "DIVISORS", (0.5, 64.0))
    monkeypatch.setattr(figure, "ALONG", {"seed": 0, "seeds": 3, "phases": 1})
    data = figure.compute(Runner())
    start = data["start"].mean(axis=2)
    form = deactivated_at_start(np.array([0.5, 2.0]))
    assert start[:, -1] == pytest.approx(form, abs=0.02)
    assert start[1, 0] < form[1] - 0.02  # not at d = 100
    assert data["along"][0].min() > 0.95
    assert data["along"][1].max() < 0.3


def test_ratio_of_the_demonstration():
    """tau = m√B/(P sigma_p √d C3) over sigma_0 √(mB): √m/(P √d sigma_0 C3) at sigma_p = 1."""
    assert figure.demo_ratio(4.0) == pytest.approx(np.sqrt(10) / (2 * np.sqrt(20_000) * 0.001 * 4.0))


def test_points_are_means():
    rng = np.random.default_rng(0)
    data = {
        "start": rng.random((len(figure.RATIOS), len(figure.DIMENSIONS), 4)),
        "along": rng.random((len(figure.DIVISORS), 4)),
    }
    left, right = figure.draw(data).axes
    for k, container in enumerate(left.containers):
        x, y = container.lines[0].get_xydata().T
        assert np.allclose(x * np.sqrt(2.0), figure.RATIOS)
        assert np.allclose(y, data["start"][:, k].mean(axis=1))
    shown = {line.get_label(): line.get_xydata() for line in right.lines}
    assert np.allclose(shown["mean over SAM's phase"][:, 1], data["along"].mean(axis=1))

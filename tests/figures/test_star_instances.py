"""Stars follow 4m/(1 + √m)², every counterexample is stable with its spread above the bound."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import star_instances as figure
from theory.shin2025.mean_square import star_spread

mpl.use("Agg")


@pytest.fixture(scope="module")
def data():
    """Compute with few leaves and random families."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure, "LEAVES", (1, 4, 16))
        patch.setattr(figure, "RANDOM", 5)
        patch.setattr(figure, "SCALES", np.linspace(0.0, 1.0, 9))
        return figure.compute(None)


def test_stars_and_counterexamples(data):
    assert data["stars"] == pytest.approx(star_spread(np.array([1, 4, 16])))
    marked = [value for key, value in data.items() if key.endswith("/at")]
    assert len(marked) == 5
    for spread, growth in marked:
        assert spread > 1.0
        assert growth < 1.0


def test_paths_lead_to_the_edge(data):
    for key in ("random", "s_2²/0", "s_2²/1", "s_3²/0", "s_4²/0", "rank one/0"):
        spread, growth = data[key]
        assert growth[..., [0, -1]] == pytest.approx(1.0, abs=1e-9)
        assert (growth[..., 1:-1] < 1.0).all()
        assert (np.diff(spread[..., :], axis=-1) > 0.0).all()


def test_draw(data, monkeypatch):
    monkeypatch.setattr(figure, "LEAVES", (1, 4, 16))
    left, right = figure.draw(data).axes
    assert np.array_equal(left.lines[1].get_xydata(), np.column_stack([(1, 4, 16), data["stars"]]))
    shown = [line.get_xydata().T for line in right.lines]
    for key in (key for key in data if "/" in key):
        assert any(line.shape == data[key].shape and np.allclose(line, data[key]) for line in shown), key

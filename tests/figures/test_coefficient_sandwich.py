"""Wide networks stay between the curves, and a point outside is marked."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import coefficient_sandwich as figure
from simulate.runner import Runner
from theory.chen2023.coefficient_growth import coefficient_curve

mpl.use("Agg")


def titles(data):
    """Return the panels' titles and marked points."""
    axes = figure.draw(data).axes
    marked = [next(line for line in axis.lines if line.get_label() == "outside").get_xydata() for axis in axes]
    return [axis.get_title(loc="left") for axis in axes], marked


@pytest.mark.compiled
def test_a_wide_network_stays_inside(monkeypatch):
    monkeypatch.setattr(figure, "SETTINGS", {"seed": 0, "seeds": 3, "points": ((20_000, 0.01),)})
    data = figure.compute(Runner())
    assert np.allclose(data["100/c0"], 0.1)
    names, marked = titles(data)
    assert "every sample between" in names[0]
    assert len(marked[0]) == 0
    worse = data | {"100/x": 0.3 * data["100/x"]}  # the control: slower growth falls out
    assert len(titles(worse)[1][0]) > 100


def test_the_point_outside_is_marked():
    t = np.tile([10.0, 100.0, 1000.0], 8)
    x = coefficient_curve(t, 1.0, 0.05)
    data = {}
    for m in figure.WIDTHS:
        data |= {f"{m}/x": x.copy(), f"{m}/t": t, f"{m}/c0": np.full(len(t), 0.1)}
    data["10/x"][1] = 0.0
    names, marked = titles(data)
    assert names[1] == f"$m=10$: {100 / 24:.2g} % of points outside"
    assert np.allclose(marked[1], [[10.0, 0.0]])
    assert len(marked[0]) == 0

"""The gain's two curves are the claims' runs, and the ticks stand at 0.005 √m."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import gain_against_width as figure
from figures.figure_command import save
from simulate.runner import Runner
from theory.shin2025.overparameterisation import gains

mpl.use("Agg")


def test_compute_takes_the_claims_runs(monkeypatch):
    monkeypatch.setattr(figure, "WIDTHS", (3, 5))
    monkeypatch.setattr(figure, "SETTINGS", {"seed": 0, "seeds": 2})
    monkeypatch.setattr(figure, "CURVES", {})
    runner = Runner()
    data = figure.compute(runner)
    assert np.array_equal(data["gd"][1] - data["fixed"][1], gains(figure.SETTINGS, runner, 5, tau_width=3))
    assert np.array_equal(data["rescaled"][0], data["fixed"][0])  # of m = 3 both
    assert not np.array_equal(data["rescaled"][1], data["fixed"][1])


@pytest.fixture
def given():
    """Return data of the right shapes."""
    rng, widths = np.random.default_rng(0), len(figure.WIDTHS)
    data = {"gd": 0.3 + 0.01 * rng.random((widths, 4))}
    data |= {name: 0.02 * rng.random((widths, 4)) for name in ("rescaled", "fixed")}
    return data | {f"{m}": np.tile(np.linspace(0.3, 0.0, len(figure.RADII))[:, None], (1, 3)) for m in figure.CURVES}


def test_draw(given):
    left, right = figure.draw(given).axes
    for bars, name in zip(left.containers, ("rescaled", "fixed"), strict=True):
        assert np.allclose(bars.lines[0].get_ydata(), (given["gd"] - given[name]).mean(axis=1))
    ticks = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "|"]
    assert np.allclose(ticks, 0.005 * np.sqrt(list(figure.CURVES)))


def test_a_figure_is_the_same_file_again(tmp_path, given):
    other = given | {"fixed": given["fixed"] + 0.1}
    one, two, three = (save(figure.draw(data), tmp_path, name) for name, data in (
        ("one", given), ("two", given), ("three", other),
    ))  # fmt: skip
    for a, b, c in zip(one, two, three, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert a.read_bytes() != c.read_bytes()

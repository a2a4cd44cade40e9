"""Functions of equal training loss, and ratios of GD's to SAM's."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import flatness_against_width as figure
from figures.figure_command import save
from simulate.runner import Runner

mpl.use("Agg")


@pytest.mark.compiled
def test_functions_are_those_of_the_runs(monkeypatch):
    """Drawn functions fit the samples to one training loss; the control, GD's beside shifted samples, does not."""
    monkeypatch.setattr(figure, "WIDTHS", (8, 40))
    monkeypatch.setattr(figure, "SETTINGS", {"seed": 1, "seeds": 2, "steps": 20_000})
    data = figure.compute(Runner())
    assert data["sam/sharpness"].shape == (2, 2)
    assert (data["gd/sharpness"] > data["sam/sharpness"]).all()
    losses = [
        ((np.interp(data["x"], figure.GRID, data[name]) - data["y"]) ** 2).mean() / 2.0 for name in ("gd", "sam")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert ((np.interp(data["x"], figure.GRID, data["gd"]) - np.roll(data["y"], 3)) ** 2).mean() > 20.0 * losses[0]


@pytest.fixture
def given():
    """Return data of the right shapes."""
    rng, shape = np.random.default_rng(0), (len(figure.WIDTHS), 5)
    data = {f"{rule}/{m}": 1.0 + rng.random(shape) for rule in ("gd", "sam") for m in figure.MEASURES}
    return data | {"x": np.linspace(-1, 1, 4), "y": np.zeros(4), "gd": figure.GRID, "sam": -figure.GRID}


def test_draw(given):
    _, flat, simple = figure.draw(given).axes
    for line, rule in zip(flat.lines, ("gd", "sam"), strict=True):
        assert np.allclose(line.get_ydata(), np.median(given[f"{rule}/sharpness"], axis=1))
    for line, measure in zip(simple.lines, figure.MEASURES[1:], strict=False):
        assert np.allclose(line.get_ydata(), np.median(given[f"gd/{measure}"] / given[f"sam/{measure}"], axis=1))


def test_a_figure_is_the_same_file_again(tmp_path, given):
    other = given | {"gd": 2.0 * figure.GRID}
    one, two, three = (save(figure.draw(data), tmp_path, name) for name, data in (
        ("one", given), ("two", given), ("three", other),
    ))  # fmt: skip
    for a, b, c in zip(one, two, three, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert a.read_bytes() != c.read_bytes()

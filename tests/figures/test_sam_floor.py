"""SAM's floor is of order rho², and the rare sample's f − f* ends above the bound."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import sam_floor
from figures.figure_command import save

mpl.use("Agg")


@pytest.fixture
def given():
    """Return data of the shapes that `compute` returns."""
    floors = np.outer(0.03 * sam_floor.RADII**2, np.ones(sam_floor.PROBLEMS))
    paths = np.outer([1.0, 1.1, 0.9], np.linspace(0.1, 5.6, len(sam_floor.TIMES)))
    return {"floors": floors, "paths": paths}


def test_bounds_are_above_each_other():
    """Ours is below the published one wherever L rho < ½ or so, and both are above the 2-cycle's exact floor."""
    published, ours = sam_floor.bounds()
    exact = 0.5 * (sam_floor.GAMMA * sam_floor.RADII / (2.0 - sam_floor.GAMMA)) ** 2
    assert (ours < published).all()
    assert (exact < ours).all()
    slope = np.polyfit(np.log(sam_floor.RADII), np.log([published, ours]).T, 1)[0]
    assert slope == pytest.approx([1.0, 2.0], abs=0.02)


def test_drawing_is_the_same_twice(given, tmp_path):
    """The same bytes, and other data draw otherwise."""
    first, second = ([p.read_bytes() for p in save(sam_floor.draw(given), tmp_path, name)] for name in "aa")
    assert first == second
    other = save(sam_floor.draw({**given, "floors": 2.0 * given["floors"]}), tmp_path, "b")
    assert [p.read_bytes() for p in other] != first

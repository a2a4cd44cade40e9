"""SAM at the formula's radius is benign where SGD is not; cells and contour are where the numbers are."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import heat_maps
from simulate.runner import Runner

mpl.use("Agg")


@pytest.mark.compiled
def test_the_order_of_the_radii(monkeypatch):
    monkeypatch.setattr(heat_maps, "DIMENSIONS", (20_000,))
    monkeypatch.setattr(heat_maps, "SIGNALS", (3.0,))
    data = heat_maps.compute(Runner())
    error = {key: float(values.mean()) for key, values in data.items()}
    assert error["formula/0.001"] < heat_maps.BENIGN < error["sgd/0.001"] - 0.1
    assert error["formula/0.01"] < error["sgd/0.01"] - 0.1
    assert abs(error["fixed/0.01"] - error["sgd/0.01"]) < 0.05  # too small a radius for these weights
    assert data["sgd/0.001"].shape == (1, 1, heat_maps.SEEDS)
    assert error["sgd/0.001/stopped"] == 1.0


def test_the_rules_differ_in_radius_and_phase_alone():
    sgd, fixed, formula = (heat_maps.cell_spec(3, 4000, 2.0, 0.01, radius) for radius in heat_maps.RADII)
    assert sgd.rule == "sgd"
    assert (fixed.radius, fixed.sam_steps) == (0.03, 1250)  # 4 · 10/(0.01 · 4 · 0.8)
    assert formula.radius == pytest.approx(10 * np.sqrt(20) / (2 * np.sqrt(4000)))
    assert sgd.data == fixed.data == formula.data


def test_cells_and_contour():
    rows, columns = len(heat_maps.SIGNALS), len(heat_maps.DIMENSIONS)
    slope = np.linspace(0.5, 0.1, rows)[:, None, None] * np.ones((rows, columns, 2))
    keys = [f"{radius}/{init_std}" for init_std in heat_maps.INIT_STDS for radius in heat_maps.RADII]
    data = {key: slope if k % 2 else np.full_like(slope, 0.4) for k, key in enumerate(keys)}
    stopped = np.ones((rows, columns, 2), bool)
    stopped[0, 1] = False
    axes = heat_maps.draw(data | {f"{key}/stopped": stopped for key in keys}).axes[:6]
    for k, (axis, key) in enumerate(zip(axes, keys, strict=True)):
        mesh, *contours = axis.collections
        assert np.allclose(mesh.get_array(), data[key].mean(axis=2))
        assert np.allclose(axis.lines[0].get_xydata(), [[heat_maps.DIMENSIONS[1], heat_maps.SIGNALS[0]]])
        levels = [path.vertices for contour in contours for path in contour.get_paths() if len(path.vertices)]
        assert bool(levels) == bool(k % 2)  # without an error of p + 0.1 there is no contour
        for line in levels:
            assert np.ptp(line[:, 1]) == pytest.approx(0.0, abs=1e-9)
            assert np.interp(line[0, 1], heat_maps.SIGNALS, slope[:, 0, 0]) == pytest.approx(heat_maps.BENIGN)


def test_edges_enclose_their_centres():
    edges = heat_maps.edges(heat_maps.SIGNALS)
    assert (edges[:-1] < heat_maps.SIGNALS).all()
    assert (edges[1:] > heat_maps.SIGNALS).all()
    assert np.allclose(heat_maps.edges((1.0, 4.0)), (0.5, 2.0, 8.0))

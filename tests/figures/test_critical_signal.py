"""The figure shows the data it is given."""

import importlib

import matplotlib as mpl
import numpy as np

from figures import FIGURES, critical_signal

mpl.use("Agg")


def test_every_figure_has_its_two_functions():
    for name in FIGURES:
        module = importlib.import_module(f"figures.{name}")
        assert callable(module.compute)
        assert callable(module.draw)


def test_points_are_the_group_means():
    rng = np.random.default_rng(0)
    data = {key: rng.uniform(1.0, 2.0, (len(d), 8)) for key, d, *_ in critical_signal.SERIES} | {"a": np.array(0.69)}
    figure = critical_signal.draw(data)
    (axis,) = figure.axes
    shown = {container.get_label(): container.lines[0].get_xydata() for container in axis.containers}
    for key, dimensions, *_, label in critical_signal.SERIES:
        assert np.allclose(shown[label], np.column_stack([dimensions, data[key].mean(axis=1)]))
    assert axis.get_xlabel()
    assert axis.get_ylabel()

"""Ratios of SAM's to GD's, geometric means with two standard errors."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import hessian_moments as figure
from figures.figure_command import save
from simulate.runner import Runner
from theory.shin2025.hessian_moments import log_spreads

mpl.use("Agg")


@pytest.mark.compiled
def test_compute_is_sam_over_gd(monkeypatch):
    monkeypatch.setattr(figure, "DIMENSIONS", (160,))
    monkeypatch.setattr(figure, "SETTINGS", {"seed": 0, "seeds": 3})
    runner = Runner()
    data = figure.compute(runner)
    sam, gd = (log_spreads(figure.SETTINGS, runner, 160, rule) for rule in ("1-sam", "gd"))
    assert np.allclose(data["1-sam"][:, 0], sam - gd)
    assert (data["1-sam"] < data["n-sam"]).all()
    assert data["n-sam/test"].shape == (1, 3)


@pytest.fixture
def given():
    """Return data of the right shapes, one problem not fitted."""
    rng, shape = np.random.default_rng(0), (len(figure.DIMENSIONS), 5)
    data = {rule: -0.3 * rng.random((2, *shape)) for rule in figure.RULES}
    data["n-sam"][:, 0, 0] = np.nan
    return data | {f"{rule}/test": rng.standard_normal(shape) for rule in figure.RULES}


def test_draw(given):
    left, right = figure.draw(given).axes
    logs = [given[rule][k] for rule in figure.RULES for k in range(2)]
    for bars, log in zip(left.containers, logs, strict=True):
        assert np.allclose(bars.lines[0].get_ydata(), np.exp(np.nanmean(log, axis=1)))
    assert len(right.containers) == 2


def test_a_figure_is_the_same_file_again(tmp_path, given):
    other = given | {"1-sam": 0.5 * given["1-sam"]}
    one, two, three = (save(figure.draw(data), tmp_path, name) for name, data in (
        ("one", given), ("two", given), ("three", other),
    ))  # fmt: skip
    for a, b, c in zip(one, two, three, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert a.read_bytes() != c.read_bytes()

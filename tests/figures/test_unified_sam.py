"""Constant steps end at a floor that grows with lam, decreasing ones fall below it; the bounds are above."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import unified_sam as figure
from simulate.runner import Runner

mpl.use("Agg")


@pytest.mark.compiled
def test_floors_and_bounds(monkeypatch):
    monkeypatch.setattr(figure, "SEEDS", 6)
    monkeypatch.setattr(figure, "STEPS", 40_000)
    monkeypatch.setattr(figure, "RECORD", (100, 1000, 10_000, 40_000))
    data = figure.compute(Runner())
    means = {key: values.mean(axis=0) for key, values in data.items() if not key.endswith("bound")}
    for key, mean in means.items():
        bound = data[f"{key}/bound"]
        known = np.isfinite(bound)
        assert known[-1]
        assert (mean[known] <= bound[known]).all()
    floors = [means[f"constant/{lam}"][-1] for lam in figure.NORMALISATIONS]
    assert floors[-1] > 5.0 * floors[0]
    assert np.isnan(data["decreasing/1.0/bound"][0])  # t ≤ t*: no bound
    assert means["decreasing/1.0"][-1] < 0.1 * floors[0]


def test_lines_are_means_and_bounds():
    rng = np.random.default_rng(0)
    keys = [f"{schedule}/{lam}" for schedule in figure.SCHEDULES for lam in figure.NORMALISATIONS]
    data = {key: rng.uniform(0.1, 1.0, (3, len(figure.RECORD))) for key in keys}
    data |= {f"{key}/bound": rng.uniform(1.0, 2.0, len(figure.RECORD)) for key in keys}
    for axis, schedule in zip(figure.draw(data).axes, figure.SCHEDULES, strict=True):
        for k, lam in enumerate(figure.NORMALISATIONS):
            observed, bound = axis.lines[2 * k : 2 * k + 2]
            assert np.allclose(observed.get_ydata(), data[f"{schedule}/{lam}"].mean(axis=0))
            assert np.array_equal(bound.get_ydata(), data[f"{schedule}/{lam}/bound"])

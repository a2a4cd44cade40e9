"""1-SAM suppresses what the teacher does not have; its run is the published one."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import recovered_beta
from theory.andriushchenko2022.rounding import PRINTED

mpl.use("Agg")


@pytest.mark.compiled
def test_only_one_sam_is_sparse():
    data = recovered_beta.compute(None)
    printed = {run[:4]: run[4] for run in PRINTED}
    assert float(data["1-sam/test"]) == pytest.approx(printed["1-sam", 0.1, 10.0, 0.2], rel=1e-7)
    off = {rule: np.abs(data[rule][data["teacher"] == 0.0]) for rule in recovered_beta.RULES}
    assert np.median(off["gd"] / off["1-sam"]) > 30.0
    assert off["1-sam"].min() < 1e-8
    assert (off["n-sam"] > off["gd"]).mean() > 0.7  # and n-SAM is not, with the same radius
    on = data["teacher"] > 0.0
    assert np.allclose(data["1-sam"][on], data["teacher"][on], atol=0.003)
    assert (data["gd"][on] < 0.9 * data["teacher"][on]).all()


def test_without_a_radius_the_rules_agree(monkeypatch):
    """The control: the difference comes from rho."""
    monkeypatch.setattr(recovered_beta, "RUN", recovered_beta.RUN | {"radius": 0.0, "max_steps": 100})
    data = recovered_beta.compute(None)
    assert np.allclose(data["n-sam"], data["gd"], rtol=1e-9)
    assert np.allclose(data["1-sam"], data["gd"], rtol=1e-9)


def test_every_coordinate_is_shown():
    rng = np.random.default_rng(0)
    data = {rule: rng.standard_normal(9) for rule in recovered_beta.RULES} | {"teacher": np.arange(9) % 4 * 1.0}
    left, right = recovered_beta.draw(data).axes
    on, off = np.flatnonzero(data["teacher"]), np.flatnonzero(data["teacher"] == 0.0)
    order = off[np.argsort(-np.abs(data["gd"][off]))]
    shown = {line.get_label(): line.get_ydata() for line in right.lines}
    for line, (rule, (*_, label)) in zip(left.lines, recovered_beta.RULES.items(), strict=True):
        assert np.array_equal(shown[label], np.abs(data[rule][order]))
        assert np.array_equal(line.get_ydata(), data[rule][on])
    assert [text.get_text() for text in left.get_xticklabels()] == [str(j + 1) for j in on]

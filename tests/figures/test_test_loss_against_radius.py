"""n-SAM hurts on isotropic features and helps on absolute ones, 1-SAM helps on both, and curves end where runs do."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import test_loss_against_radius as radius_figure
from simulate.runner import Runner

mpl.use("Agg")


@pytest.fixture(scope="module")
def data():
    """Return what is drawn, with fewer radii, seeds and steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(radius_figure, "RADII", (0.0, 0.2, 1.0))
        patch.setattr(radius_figure, "SEEDS", 8)
        patch.setattr(radius_figure, "RUN", radius_figure.RUN | {"max_steps": 12_000})
        return radius_figure.compute(Runner())


@pytest.mark.compiled
def test_the_design_decides_about_n_sam(data):
    """And nothing at rho = 0, the control, where every rule is GD."""
    gd = {design: np.log(data[f"{design}/gd"][0]) for design in radius_figure.DESIGNS}
    for design in gd:
        for rule in radius_figure.RULES:
            assert np.allclose(np.log(data[f"{design}/{rule}"][0]), gd[design], rtol=1e-9)
        assert np.median(np.log(data[f"{design}/1-sam"][1])) < np.median(gd[design]) - np.log(2.0)
    for k in (1, 2):
        assert np.median(np.log(data["isotropic/n-sam"][k])) > np.median(gd["isotropic"])
        assert (np.log(data["isotropic/n-sam"][k]) > gd["isotropic"]).sum() >= 7
        assert (np.log(data["absolute/n-sam"][k]) < gd["absolute"]).sum() >= 7
    assert np.median(np.log(data["isotropic/n-sam"][2]) - gd["isotropic"]) > np.log(3.0)


@pytest.mark.compiled
def test_one_sam_collapses_where_its_threshold_says(data):
    """Below rho_c runs fit; above it they end with the test loss of beta = 0."""
    for design in radius_figure.DESIGNS:
        critical = np.median(data[f"{design}/1-sam/critical"])
        assert 0.2 < critical < 1.3
        assert data[f"{design}/1-sam/fits"][1].all()
        assert not data[f"{design}/1-sam/fits"][2].any()
    assert np.allclose(np.median(data["isotropic/1-sam"][2]), np.median(data["isotropic/zero"]), rtol=0.2)


def given(fits):
    """Return data in which a share of 1-SAM's runs fits at every radius."""
    rng, seeds, data = np.random.default_rng(0), 24, {}
    for design in radius_figure.DESIGNS:
        data[f"{design}/gd"] = rng.uniform(1e-4, 1e-3, (1, seeds))
        data[f"{design}/zero"] = rng.uniform(0.2, 0.3, seeds)
        for rule in radius_figure.RULES:
            shape = (len(radius_figure.RADII), seeds)
            share = np.array(fits if rule == "1-sam" else np.ones(shape[0]))
            data[f"{design}/{rule}"] = rng.uniform(1e-5, 1e-4, shape)
            data[f"{design}/{rule}/fits"] = np.arange(seeds) < share[:, None] * seeds
            data[f"{design}/{rule}/critical"] = np.full(seeds, 0.7 if rule == "1-sam" else 200.0)
    return data


@pytest.mark.parametrize("end", [0, 4, len(radius_figure.RADII)])
def test_a_curve_ends_where_too_few_runs_fit(end):
    radii = np.array(radius_figure.RADII)
    data = given(np.where(np.arange(len(radii)) < end, 1.0, 0.75))
    figure = radius_figure.draw(data)
    for axis, design in zip(figure.axes, radius_figure.DESIGNS, strict=True):
        medians = np.median(data[f"{design}/1-sam"], axis=1)
        squares = [line for line in axis.lines if line.get_marker() == "s"]
        (curve,) = (line for line in squares if line.get_label() == "1-SAM")
        (beyond,) = (line for line in squares if line is not curve)
        assert np.allclose(curve.get_xydata(), np.column_stack([radii, medians])[:end])
        assert np.allclose(beyond.get_xydata(), np.column_stack([radii, medians])[end:])
        assert beyond.get_markerfacecolor() == "white"
        (whole,) = (line for line in axis.lines if line.get_label() == "n-SAM")
        assert len(whole.get_xdata()) == len(radii)
        assert axis.get_title(loc="left")
        assert axis.get_xlabel()

"""The path's product is the exact integral, not the first-order form; n-SAM singles out the support, 1-SAM does not."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import effective_alpha

mpl.use("Agg")


@pytest.mark.compiled
def test_the_integral_is_exact_and_the_support_is_singled_out():
    data = effective_alpha.compute(None)
    assert list(data["support"]) == [0, 1, 2]
    for rule in effective_alpha.RULES:
        observed, exact, first_order = data[rule]
        assert np.allclose(observed, exact, rtol=1e-6, atol=1e-9)
        assert not np.allclose(observed, first_order, rtol=0.02)  # the control
        assert (observed < 0.0).all()
    assert effective_alpha.ratio(data["n-sam"][0], data["support"]) > 4.0
    assert 0.8 < effective_alpha.ratio(data["1-sam"][0], data["support"]) < 1.2
    stronger = data["1-sam"][0] / data["n-sam"][0]
    assert 70.0 < np.median(stronger) < 100.0
    assert ((stronger[:3] > 9.0) & (stronger[:3] < 40.0)).all()
    observed, _, first_order = data["1-sam"]
    assert 0.15 < (1.0 - first_order / observed).max() < 0.17


def test_ratio_of_means():
    assert effective_alpha.ratio(np.array([-6.0, -1.0, -4.0, -3.0]), np.array([0, 2])) == pytest.approx(2.5)


def test_the_three_forms_are_shown():
    rng = np.random.default_rng(0)
    data = {rule: -rng.uniform(1.0, 2.0, (3, 7)) for rule in effective_alpha.RULES} | {"support": np.array([1, 4])}
    figure = effective_alpha.draw(data)
    for axis, rule in zip(figure.axes, effective_alpha.RULES, strict=True):
        assert np.array_equal([line.get_ydata() for line in axis.lines], data[rule])
        assert all(np.array_equal(line.get_xdata(), np.arange(1, 8)) for line in axis.lines)
        shaded = sorted(patch.get_x() for patch in axis.patches)
        assert np.allclose(shaded, [1.5, 4.5])
        assert f"{effective_alpha.ratio(data[rule][0], data['support']):.1f}" in axis.get_title(loc="left")

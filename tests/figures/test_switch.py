"""The gain of ERM → 1-SAM is there at the published, unstable step and gone at a quarter of it."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import switch
from figures.figure_command import save
from theory.andriushchenko2022.switching import PRINTED

mpl.use("Agg")


@pytest.mark.compiled
def test_the_gain_vanishes_with_the_instability():
    data = switch.compute(None)
    printed = {run[:2]: run[3] for run in PRINTED}
    last = {name: [data[f"{refine}/{name}"][1, -1] for refine in switch.REFINEMENTS] for name in switch.ORDERS}
    for name, (first, second, *_) in switch.ORDERS.items():
        assert last[name][0] == pytest.approx(printed[first, second], rel=1e-7)
    assert last["erm-sam"][0] < 0.02 * last["erm"][0]
    assert last["erm-sam"][1] > 0.9 * last["erm"][1]
    assert max(last["sam-erm"]) < 0.01 * min(last["erm"])  # the control: this order keeps its gain
    one, four = (float(data[f"{refine}/product"]) for refine in switch.REFINEMENTS)
    assert one > 2.0 > four
    assert one == pytest.approx(4.0 * four, rel=0.01)
    ends = [data[f"{refine}/{name}"][0, -1] for refine in switch.REFINEMENTS for name in switch.ORDERS]
    assert np.allclose(ends, ends[0])


@pytest.fixture
def given():
    """Return data in which only the first step is unstable."""
    curve = np.stack([np.linspace(0.0, 10.0, 20), np.geomspace(0.5, 0.01, 20)])
    data = {f"{refine}/{name}": curve * [[1.0], [k + refine]] for refine in switch.REFINEMENTS
            for k, name in enumerate(switch.ORDERS)}  # fmt: skip
    return data | {"1/product": np.array(2.5), "4/product": np.array(0.625)}


def test_the_verdict_follows_the_product(given):
    figure = switch.draw(given)
    for axis, refine, verdict in zip(figure.axes, switch.REFINEMENTS, ("> 2$: unstable", "< 2$: stable"), strict=True):
        (text,) = axis.texts
        assert verdict in text.get_text()
        for line, name in zip(axis.lines, switch.ORDERS, strict=False):
            assert np.array_equal(line.get_xydata().T, given[f"{refine}/{name}"])


def test_a_figure_is_the_same_file_again(tmp_path, given):
    one, two, other = (save(switch.draw(data), tmp_path, name) for name, data in (
        ("one", given), ("two", given), ("other", given | {"1/product": np.array(2.6)}),
    ))  # fmt: skip
    assert [path.suffix for path in one] == [".png", ".svg"]
    for a, b, c in zip(one, two, other, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert a.read_bytes() != c.read_bytes()

"""The simulated boundary lies on the predicted line at large d, above it at small d, and far from a = ½."""

import matplotlib as mpl
import numpy as np
import pytest

from figures import boundary_constant as figure
from simulate.runner import Runner
from theory.chen2023.setting import resulting_flip_rate, scaled_spec
from theory.ours.closed import predict

mpl.use("Agg")


@pytest.mark.compiled
def test_the_line_is_met(monkeypatch):
    for name, value in {
        "SETTINGS": {"seed": 0, "groups": 3, "seeds": 4}, "PANELS": {"d": (10**3, 10**9), "n": (20,)}, "DRAWS": 2,
        "GRIDS": {"d": (10**3, 10**9), "n": (20,)},
    }.items():  # fmt: skip
        monkeypatch.setattr(figure, name, value)
    data = figure.compute(Runner())
    effective, closed, half = data["q"]
    assert closed == pytest.approx(predict(0.1, 20, 0.1, 0.05).critical_q(0.125))
    near, far = data["d"].mean(axis=1) / figure.line("d", (10**3, 10**9), effective)
    assert far == pytest.approx(1.0, abs=0.03)
    assert near > 1.05
    assert data["n"].mean() == pytest.approx(figure.line("n", 20, effective), rel=0.05)
    finite = data["finite/d"] / figure.line("d", (10**3, 10**9), effective)
    assert finite[0] > 1.04
    assert finite[1] == pytest.approx(1.0, abs=1e-3)
    assert half < 0.6 * effective


def test_line_and_flip_rate():
    assert figure.line("d", 10**8, 2.0) == pytest.approx((2.0 * 10**8 / 40) ** 0.25)
    assert figure.line("n", 80, 2.0) == pytest.approx((2.0 * 10**9 / 80) ** 0.25)
    for n in (*figure.SAMPLES, figure.AT["n"]):
        assert resulting_flip_rate(scaled_spec(0, n=n).data) == figure.FLIPPED


def test_points_and_lines():
    rng = np.random.default_rng(0)
    data = {letter: rng.uniform(2.0, 9.0, (len(x), 5)) for letter, x in figure.PANELS.items()}
    data |= {f"finite/{letter}": rng.uniform(2.0, 9.0, len(grid)) for letter, grid in figure.GRIDS.items()}
    data["q"] = np.array([1.1, 1.2, 0.5])
    axes = np.reshape(figure.draw(data).axes, (2, 2))
    for (letter, x), (above, below) in zip(figure.PANELS.items(), axes.T, strict=True):
        mean, unit = data[letter].mean(axis=1), figure.line(letter, x, 1.1)
        assert np.allclose(above.containers[0].lines[0].get_xydata(), np.column_stack([x, mean]))
        assert np.allclose(below.containers[0].lines[0].get_xydata(), np.column_stack([x, mean / unit]))
        grid = figure.GRIDS[letter]
        assert any(np.allclose(one.get_ydata(), figure.line(letter, grid, 1.1)) for one in above.lines
                   if len(one.get_ydata()) == len(grid))  # fmt: skip
        levels = [one.get_ydata()[0] for one in below.lines if len(set(one.get_ydata())) == 1]
        assert np.allclose(levels[:3], [1.0, (1.2 / 1.1) ** 0.25, (0.5 / 1.1) ** 0.25])

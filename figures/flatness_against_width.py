"""What SAM finds and GD does not at equal training loss, against width: flatness, and fewer kinks.

One-hidden-layer ReLU networks on the line, 12 points, normalised SAM with rho = 0.3, eta = 1/m, 300,000 steps
(`theory.shin2025.flatness`): the functions of one seed at m = 300; lambda_max(∇²L), and GD's kinks (those that carry 95
per cent of the slope's variation) and slope variation over SAM's, medians and quartiles over 24 seeds. The claims are
`shin2025/flatness`, `kinks`, `kinks-with-width` and `slope-variation`.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import FLOOR, GD, SAM, THEORY, TWO_PANELS
from simulate.relu_regression import Curve
from theory.shin2025.flatness import pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import HashableList

    from simulate.runner import Runner

WIDTHS = (10, 30, 100, 300)
SETTINGS = {"seed": 0, "seeds": 24, "steps": 300_000}
MEASURES = ("sharpness", "kinks", "slope_variation")
GRID = np.linspace(-1.15, 1.15, 1151)


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return by "gd/measure" and "sam/measure" (widths, seeds); x, y (n,) and the functions "gd", "sam" on GRID."""
    found = [pairs(SETTINGS, runner, m) for m in WIDTHS]
    data = {
        f"{name}/{measure}": np.array([[getattr(pair[k], measure) for pair in row] for row in found])
        for k, name in enumerate(("gd", "sam")) for measure in MEASURES
    }  # fmt: skip
    data["x"], data["y"] = Curve().draw(SETTINGS["seed"])
    for k, name in enumerate(("gd", "sam")):
        w, b, a = found[-1][0][k].history["theta"][-1]
        data[name] = np.maximum(np.outer(GRID, w) + b, 0.0) @ a
    return data


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    styles = {"gd": (GD, "o", "--", "GD"), "sam": (SAM, "s", "-", "SAM")}
    ratios = {
        "kinks": (SAM, "s", "-", "kinks carrying 95 %"),
        "slope_variation": (THEORY, "^", ":", "slope variation"),
    }
    with plt.rc_context(TWO_PANELS):
        layout: list[HashableList[str]] = [["f", "f"], ["flat", "simple"]]
        figure, axes = plt.subplot_mosaic(layout, figsize=(6.8, 5.0), height_ratios=(1.0, 1.3))
        for name, (colour, _, line, label) in styles.items():
            axes["f"].plot(GRID, data[name], color=colour, ls=line, lw=1.5, label=label)
        axes["f"].plot(data["x"], data["y"], color=THEORY, marker="o", ls="", ms=4.5, label="samples")
        axes["f"].set(xlabel="$x$", ylabel="$f(x)$", xlim=(GRID[0], GRID[-1]))
        axes["f"].set_title(f"Two functions of equal training loss, $m={WIDTHS[-1]}$")
        axes["f"].legend(loc="best")
        for name, (colour, marker, line, label) in styles.items():
            curve(axes["flat"], data[f"{name}/sharpness"], color=colour, marker=marker, ls=line, label=label)
        axes["flat"].set(yscale="log", ylabel=r"$\lambda_{\max}(\nabla^2L)$")
        axes["flat"].set_title("SAM stays flat as width grows")
        for measure, (colour, marker, line, label) in ratios.items():
            ratio = data[f"gd/{measure}"] / data[f"sam/{measure}"]
            curve(axes["simple"], ratio, color=colour, marker=marker, ls=line, label=label)
        axes["simple"].axhline(1.0, color=FLOOR, lw=0.8)
        axes["simple"].set(ylabel="GD's over SAM's", ylim=(0.0, None))
        axes["simple"].set_title("Fewer kinks, no less variation")
        for name in ("flat", "simple"):
            axes[name].set(xscale="log", xlabel="width $m$")
            axes[name].set_xticks(WIDTHS, [f"{m}" for m in WIDTHS], minor=False)
            axes[name].minorticks_off()
        axes["flat"].legend(loc="upper left")
        axes["simple"].legend(loc="lower right")
    return figure


def curve(axis: "Axes", values: np.ndarray, **style: Any) -> None:
    """Draw the medians of values (widths, seeds) and shade their quartiles."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=1)
    axis.fill_between(WIDTHS, low, high, color=style["color"], alpha=0.15, lw=0)
    axis.plot(WIDTHS, middle, lw=1.5, ms=4.5, **style)

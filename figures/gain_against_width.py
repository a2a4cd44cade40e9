"""SAM's gain in test error against width, and the radius it takes.

The convolutional network at d = 20000, n = 20, ‖mu‖ = 3, p = 0.1 (`theory.shin2025.width`): the gain in clean error,
e(GD) − e(SAM → GD), with tau growing as m and with that of m = 3 at every width, means and two standard errors over 24
seeds; and SAM's error against tau, means over 12 of them, with the radius at which half the gain is there. The claims
are `shin2025/gain-with-width`, `gain-with-width-beyond`, `gain-at-fixed-radius` and `best-radius`.
"""

from typing import TYPE_CHECKING

import numpy as np

from figures.style import FLOOR, SAM, THEORY, TWO_PANELS, Style
from theory.shin2025.overparameterisation import clean_errors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

WIDTHS = (3, 5, 10, 30, 100, 300)
SETTINGS = {"seed": 0, "seeds": 24}
CURVES = {10: "o", 30: "s", 100: "^"}  # widths of the right panel and their markers
RADII = tuple(np.geomspace(0.003, 3.0, 13))
ONSET = 0.005  # tau/√m of half the gain, as `best-radius` finds it


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return clean errors "gd", "rescaled" and "fixed" (widths, seeds), and by width (radii, seeds)."""
    rules = {"gd": ("sgd", None), "rescaled": ("sam-then-sgd", None), "fixed": ("sam-then-sgd", WIDTHS[0])}
    data = {
        name: np.array([clean_errors(SETTINGS, runner, m, rule, tau_width=tau_width) for m in WIDTHS])
        for name, (rule, tau_width) in rules.items()
    }
    few = SETTINGS | {"seeds": 12}
    for m in CURVES:
        data[f"{m}"] = np.array([clean_errors(few, runner, m, "sam-then-sgd", radius=float(tau)) for tau in RADII])
    return data


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    with plt.rc_context(TWO_PANELS):
        figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.4))
        curves = {"rescaled": (SAM, "s", "-", r"$\tau\propto m$"), "fixed": (THEORY, "o", "--", r"$\tau$ of $m=3$")}
        for name, (colour, marker, line, label) in curves.items():
            gain = data["gd"] - data[name]
            error = 2.0 * gain.std(axis=1, ddof=1) / np.sqrt(gain.shape[1])
            style: Style = {"color": colour, "marker": marker, "ls": line, "ms": 4.5, "lw": 1.5, "capsize": 2.5}
            left.errorbar(WIDTHS, gain.mean(axis=1), error, label=label, **style)
        left.axvline(10, color=FLOOR, lw=0.8, ls=":")
        left.set(xscale="log", xlabel=r"width $m$", ylabel=r"gain $e_{\mathrm{GD}}-e_{\mathrm{SAM\to GD}}$")
        left.set_ylim(0.0, 0.4)
        left.set_title(r"The gain grows up to $m\approx10$")
        left.legend(loc="lower left", bbox_to_anchor=(0.28, 0.05))
        shades = plt.get_cmap("viridis")(np.linspace(0.15, 0.75, len(CURVES)))
        half = 0.5 * data["gd"][[WIDTHS.index(m) for m in CURVES]].mean()
        for (m, marker), shade in zip(CURVES.items(), shades, strict=True):
            style = {"color": shade, "marker": marker, "ms": 4.0, "lw": 1.5, "label": f"$m={m}$"}
            right.plot(RADII, data[f"{m}"].mean(axis=1), **style)
            right.plot(ONSET * np.sqrt(m), half, marker="|", ms=16, mew=1.4, color=shade)
        right.axhline(half, color=FLOOR, lw=0.8, ls=":")
        right.annotate(
            r"ticks: $\tau=0.005\sqrt{m}$", (RADII[-1], half), (0, 4), textcoords="offset points", ha="right",
            color=THEORY,
        )  # fmt: skip
        right.set(xscale="log", xlabel=r"radius $\tau$", ylabel=r"clean error $e_{\mathrm{SAM\to GD}}$")
        right.set_ylim(0.0, 0.4)
        right.set_title(r"Half of it is there at $\tau\propto\sqrt{m}$")
        right.legend(loc="upper right")
    return figure

"""Uniformity of the samples' Hessians and the test loss on diagonal networks, against the dimension.

n = 20, r = 3, alpha = 0.05, rho = 0.2 (`theory.shin2025.hessian_moments`): s_2 and s_4 at 1-SAM's and n-SAM's minima
over those at GD's, and the test losses' ratio; geometric means and two standard errors over 24 problems, the same for
every rule. The claims are `shin2025/hessian-moments`, `hessian-moments-with-dimension`, `hessian-moments-n-sam` and
`test-gain-with-dimension`.
"""

from typing import TYPE_CHECKING

import numpy as np

from figures.style import FLOOR, N_SAM, ONE_SAM, TWO_PANELS, Style
from theory.shin2025.hessian_moments import ORDERS, advantages, loss_ratios

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from simulate.runner import Runner

DIMENSIONS = (25, 40, 80, 160, 320)
SETTINGS = {"seed": 0, "seeds": 24}
RULES = {"1-sam": (ONE_SAM, "s", "1-SAM"), "n-sam": (N_SAM, "^", "n-SAM")}
LINES = dict(zip(ORDERS, ("-", "--"), strict=True))


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return by rule the logarithm of SAM's over GD's s_k (orders, dimensions, seeds), "rule/test" the test losses'."""
    data = {}
    for rule in RULES:
        settings = SETTINGS | {"rule": rule}
        data[rule] = -np.stack([advantages(settings, runner, d) for d in DIMENSIONS], axis=1)
        data[f"{rule}/test"] = -np.array([loss_ratios(settings, runner, d) for d in DIMENSIONS])
    return data


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    with plt.rc_context(TWO_PANELS):
        figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.4))
        for rule, (colour, marker, label) in RULES.items():
            for k, logs in zip(ORDERS, data[rule], strict=True):
                points(left, logs, colour, marker, LINES[k], rf"{label}, $s_{k}$")
            points(right, data[f"{rule}/test"], colour, marker, "-", label)
        for axis in (left, right):
            axis.axhline(1.0, color=FLOOR, lw=0.8)
            axis.set(xscale="log", xlabel="dimension $d$")
            axis.set_xticks(DIMENSIONS, [f"{d}" for d in DIMENSIONS])
            axis.minorticks_off()
        left.set(ylabel=r"$s_k$ of SAM's minimum over GD's", ylim=(0.5, 1.08))
        left.set_title("1-SAM's Hessians grow more uniform")
        left.legend(loc="lower left")
        right.set(yscale="log", ylabel="test loss of SAM over GD")
        right.set_title("Its gain in test loss shrinks")
        right.legend(loc="lower right")
    return figure


def points(axis: "Axes", logs: np.ndarray, colour: str, marker: str, line: str, label: str) -> None:
    """Draw exp of the means of logs (dimensions, seeds), and two standard errors."""
    middle = np.nanmean(logs, axis=1)
    error = 2.0 * np.nanstd(logs, axis=1, ddof=1) / np.sqrt(np.isfinite(logs).sum(axis=1))
    bars = np.exp(middle) - np.exp(middle - error), np.exp(middle + error) - np.exp(middle)
    style: Style = {"color": colour, "marker": marker, "ls": line, "ms": 4.5, "lw": 1.5, "capsize": 2.5, "label": label}
    axis.errorbar(DIMENSIONS, np.exp(middle), bars, **style)

"""Whether SAM's bias helps, by the design: test loss against the radius of GD, n-SAM and 1-SAM at equal step size.

Teachers of r = 3 coordinates in d = 30, n = 20 samples, alpha = 0.05, gamma = 0.05, to a training loss of 1e-9 or
60,000 steps: medians and quartiles over 24 seeds, the same problems for every rule and radius. The claims are
`andriushchenko2022/one-sam-helps`, `n-sam-helps-correlated` and `n-sam-isotropic`. A curve ends where a quarter of the
runs or more do not fit their samples: beyond (open markers), runs fall to beta = 0 or stay near an equilibrium that is
no interpolator. rho_c of each rule is the radius above which w = 0 attracts its flow as alpha → 0
(`andriushchenko2022/collapse-threshold`), the median over problems; n-SAM's is 187 on isotropic features.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import FLOOR, GD, N_SAM, ONE_SAM, THEORY, TWO_PANELS, Style
from simulate.diagonal_run import DiagonalSpec
from simulate.regression import load_regression
from theory.andriushchenko2022.collapse import thresholds
from theory.andriushchenko2022.setting import regression

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from simulate.runner import Runner

SEEDS = 24
DESIGNS = {"isotropic": r"Isotropic $X$: n-SAM hurts, 1-SAM helps", "absolute": r"Absolute values, $X=|Z|$: both help"}
RADII = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0, 1.5, 2.0)
SHARE = 0.75  # more runs than this must fit for their median to be part of a curve
FITS = 1e-3  # the largest training loss of a run that fits; that of beta = 0 is near 0.3
RUN: dict[str, Any] = {"alpha": 0.05, "step_size": 0.05, "max_steps": 60_000, "stop_loss": 1e-9}
RULES = {"n-sam": (N_SAM, "^", "--", "n"), "1-sam": (ONE_SAM, "s", "-", "1")}


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return by "design/rule" the test losses, by "design/rule/fits" whether runs fit, (radii, seeds); see the code.

    GD's have one row. "design/zero" holds the test losses of beta = 0 (seeds,), "design/rule/critical" every rho_c.
    """
    runs: list[tuple[str, str, tuple[float, ...]]] = [(design, "gd", (0.0,)) for design in DESIGNS]
    runs += [(design, rule, RADII) for design in DESIGNS for rule in RULES]
    specs = [
        DiagonalSpec(regression(design=design), rule=rule, radius=rho, seed=seed, **RUN)
        for design, rule, radii in runs for rho in radii for seed in range(SEEDS)
    ]  # fmt: skip
    computed: list[Any] = runner.run(specs)
    results = iter(computed)
    data = {}
    for design, rule, radii in runs:
        group = [[next(results) for _ in range(SEEDS)] for _ in radii]
        data[f"{design}/{rule}"] = np.array([[r.test_loss for r in row] for row in group])
        data[f"{design}/{rule}/fits"] = np.array([[r.train_loss <= FITS for r in row] for row in group])
    for design in DESIGNS:
        problems = [load_regression(regression(design=design), seed) for seed in range(SEEDS)]
        data[f"{design}/zero"] = np.array([(p.y_test**2).mean() / 4.0 for p in problems])
        for rule, m in (("n-sam", 20), ("1-sam", 1)):
            data[f"{design}/{rule}/critical"] = np.array([thresholds(p.X, p.y, m).max() for p in problems])
    return data


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    with plt.rc_context(TWO_PANELS):
        figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.6), sharey=True)
        for axis, (design, title) in zip(axes, DESIGNS.items(), strict=True):
            axis.set(xscale="log", yscale="log", xlabel=r"radius $\rho$", xlim=(0.042, 2.4), ylim=(3e-7, 3.0))
            axis.set_xticks([0.1, 1.0], ["0.1", "1"])
            axis.set_title(title)
            low, middle, high = np.quantile(data[f"{design}/gd"][0], (0.25, 0.5, 0.75))
            axis.axhspan(low, high, color=GD, alpha=0.12, lw=0)
            axis.axhline(middle, color=GD, lw=1.6, ls=":", label=r"GD ($\rho=0$)")
            zero = np.median(data[f"{design}/zero"])
            axis.axhline(zero, color=FLOOR, lw=1.0, zorder=1)
            axis.annotate(r"$\beta=0$", (0.047, zero), (0, 3), textcoords="offset points", color=THEORY)
            for rule, style in RULES.items():
                draw_rule(axis, data, design, rule, *style)
        axes[0].set_ylabel(r"test loss $\|X\beta-y\|^2/4N$")
        handles, labels = axes[0].get_legend_handles_labels()
        handles += axes[0].plot([], [], color=THEORY, ls="", marker="o", ms=4.5, mfc="white")
        labels.append("open: a quarter of the runs or more do not fit")
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), columnspacing=1.4)
    return figure


def draw_rule(
    axis: "Axes", data: dict[str, np.ndarray], design: str, rule: str, colour: str, marker: str, line: str, block: str
) -> None:
    """Draw the curve of a rule as far as runs fit, open markers beyond, and its rho_c where that is in sight."""
    radii = np.array(RADII)
    low, middle, high = np.quantile(data[f"{design}/{rule}"], (0.25, 0.5, 0.75), axis=1)
    fits = data[f"{design}/{rule}/fits"].mean(axis=1) > SHARE
    end = len(fits) if fits.all() else int(np.argmin(fits))
    style: Style = {"color": colour, "marker": marker, "ms": 4.5}
    axis.plot(radii[max(end - 1, 0) :], middle[max(end - 1, 0) :], color=colour, lw=0.7, ls=line, alpha=0.6)
    axis.plot(radii[end:], middle[end:], ls="", mfc="white", **style)
    axis.fill_between(radii[:end], low[:end], high[:end], color=colour, alpha=0.15, lw=0)
    axis.plot(radii[:end], middle[:end], ls=line, lw=1.6, label=f"{block}-SAM", **style)
    critical = np.median(data[f"{design}/{rule}/critical"])
    if critical < radii[-1]:
        axis.axvline(critical, color=colour, lw=0.9, ls=(0, (1, 2)))
        at = (critical, axis.get_ylim()[0])
        axis.annotate(rf"$\rho_c^{{({block})}}$", at, (-2, 5), textcoords="offset points", color=colour, ha="right")

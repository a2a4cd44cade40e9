"""Unified SAM on its way to the optimum, from USAM (lam = 0) to SAM (lam = 1), and the theorems' bounds.

Ridge regression, n = 20, d = 10, importance sampling; the theorems' own radius and step for each lam (half the largest
radius, and the largest step that goes with it; `sharpbounds simulate finite-sum --rule unified`). f − f*, means over 32
paths on one problem from one start, against the bounds of Oikonomou & Loizou 2025: Theorem 3.2 at constant steps, a
linear rate down to a floor, and Theorem 3.5 with the constants worked out here at decreasing ones, 1/t for t > t*.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import THEORY, TWO_PANELS
from theory.finite_sum_command import finite_sum_spec
from theory.oikonomou2025.constant_steps import linear_rate
from theory.oikonomou2025.decreasing_steps import decreasing_bound, first_decreasing
from theory.oikonomou2025.setting import constants

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.finite_sum_run import FiniteSumSpec
    from simulate.runner import Runner

NORMALISATIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
SCHEDULES = ("constant", "decreasing")
WIDTHS = (4.0, 3.2, 2.4, 1.6, 0.9)  # so that lines show that lie upon each other
SEEDS, STEPS = 32, 10**6
RECORD = tuple(int(t) for t in np.unique(np.geomspace(1, STEPS, 61).astype(int)))
PROBLEM: dict[str, Any] = {
    "objective": "ridge", "reg": 0.1, "noise_std": 0.1, "rule": "unified", "sampling": "importance", "data_seed": 0,
}  # fmt: skip


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return by "schedule/lam" the gaps (seeds, times), "schedule/lam/bound" the bound, NaN where there is none."""
    data = {}
    for schedule in SCHEDULES:
        for lam in NORMALISATIONS:
            given = {**PROBLEM, "schedule": schedule, "lam": lam, "steps": STEPS, "record": (0, *RECORD)}
            specs = [finite_sum_spec(**given, seed=seed) for seed in range(SEEDS)]
            results: list[Any] = runner.run(specs)
            gaps = np.array([result.history["gap"] for result in results])
            data[f"{schedule}/{lam}"] = gaps[:, 1:]
            data[f"{schedule}/{lam}/bound"] = bound(specs[0], gaps[0, 0])
    return data


def bound(spec: "FiniteSumSpec", start: float) -> np.ndarray:
    """Return the bound on E[f(x_t) − f*] at RECORD from the gap at the start."""
    problem, draws, _ = spec.load()
    c, times, lam = constants(problem, draws), np.array(RECORD), spec.normalisation
    gamma, rho = spec.step_size, spec.radius
    if spec.schedule == "constant":
        return np.asarray(linear_rate(start, gamma, c.mu, times, c.floor(gamma, rho, lam)))
    late = times > first_decreasing(c.mu, gamma)
    return np.where(late, decreasing_bound(c, lam, gamma, rho, start, times), np.nan)


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    titles = {
        "constant": "Constant steps: down to a floor", "decreasing": r"Decreasing steps: as $1/t$, whatever $\lambda$",
    }  # fmt: skip
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, len(NORMALISATIONS)))
    with plt.rc_context(TWO_PANELS):
        figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.7), sharey=True)
        for axis, schedule in zip(axes, SCHEDULES, strict=True):
            for lam, colour, width in zip(NORMALISATIONS, colours, WIDTHS, strict=True):
                gaps = data[f"{schedule}/{lam}"]
                axis.loglog(RECORD, gaps.mean(axis=0), color=colour, lw=width, label=rf"$\lambda={lam:g}$")
                axis.loglog(RECORD, data[f"{schedule}/{lam}/bound"], color=colour, lw=1.0, ls="--")
            axis.set(xlabel="step $t$", xlim=(10, STEPS))
            axis.set_title(titles[schedule])
        axes[0].set_ylabel(r"$\mathbb{E} f(x_t)-f^*$")
        handles, labels = axes[0].get_legend_handles_labels()
        handles += axes[0].plot([], [], color=THEORY, ls="--", lw=1.0)
        figure.legend(handles, [*labels, "bounds"], loc="outside lower center", ncols=6, handlelength=1.6)
    return figure

"""SGD's boundary with its constant: the theorem gives a slope, the asymptotics a line.

Critical ‖mu‖ at clean error 1/8, m = 20, training loss 0.05 (`ours/boundary-constant`): eight groups of four seeds,
their mean and two standard errors, along d at n = 40 and along n at d = 10⁹. Grey: some of the lines of the theorem's
exponents, ¼ and −¼. Below, in units of the line (q_c d/n)^(1/4), q_c from the effective process: with the formula at
finite d, the closed form, and the same with a = ½, no neuron newly switched on.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from figures.style import FLOOR, N_SAM, SAM, SGD, THEORY, TWO_PANELS, Style
from theory.chen2023.sgd_boundary import LEVEL, critical_signal, observe_boundary
from theory.ours.boundary_constant import EPS, C, M

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

SETTINGS = {"seed": 0, "groups": 8, "seeds": 4}
DIMENSIONS = tuple(10**k for k in (3, 4, 5, 7, 9, 11, 13, 15))
SAMPLES = (20, 40, 80, 160)
AT = {"n": 40, "d": 10**9}
PANELS = {"d": DIMENSIONS, "n": SAMPLES}
GRIDS = {"d": (*np.geomspace(10**3, 10**7, 9), 10**15), "n": (20, 160)}
FLIPPED, DRAWS = 0.1, 16  # the first exactly, at these n


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return critical signals, observed and predicted.

    "d" and "n" (abscissae, groups); "finite/d" and "finite/n", those that finite d predicts on GRIDS; and "q", the
    constants q_c of the effective process, the closed form and a = ½.
    """
    from theory.ours.averaged import effective_process
    from theory.ours.closed import predict

    effective = effective_process(C, M, FLIPPED, EPS, draws=DRAWS)
    closed, half = predict(C, M, FLIPPED, EPS), predict(C, M, FLIPPED, EPS, active=lambda sigma: 0.5)
    data = {"q": np.array([level.critical_q(LEVEL) for level in (effective, closed, half)])}
    for letter, values in PANELS.items():
        points = [AT | {letter: value} for value in values]
        form = np.array([critical_signal(point["n"], 2, 1.0, point["d"]) for point in points])
        runs = [point | {"m": M, "stop_loss": EPS} for point in points]
        data[letter] = observe_boundary(runs, SETTINGS, runner, np.outer(form, (0.6, 2.0)))
        at = [AT | {letter: value} for value in GRIDS[letter]]
        data[f"finite/{letter}"] = np.array([effective.critical_signal(LEVEL, p["n"], p["d"], 2, 1.0) for p in at])
    return data


def line(letter: str, values: ArrayLike, q: float) -> Any:
    """Return (q d/n)^(1/4) along d or n."""
    at = AT | {letter: np.asarray(values, float)}
    return critical_signal(at["n"], 2, 1.0, at["d"], q)


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    titles = {"d": f"Along $d$, at $n={AT['n']}$", "n": "Along $n$, at $d=10^9$"}
    names = {"d": "dimension $d$", "n": "samples $n$"}
    effective, closed, half = data["q"]
    with plt.rc_context(TWO_PANELS):
        figure, axes = plt.subplots(
            2, 2, figsize=(6.8, 5.0), sharex="col", sharey="row", height_ratios=(1.5, 1.0), width_ratios=(1.4, 1.0)
        )
        for (letter, x), (above, below) in zip(PANELS.items(), axes.T, strict=True):
            grid = np.array(GRIDS[letter], float)
            finite = data[f"finite/{letter}"] / line(letter, grid, effective)
            for factor in 4.0 ** np.arange(-6, 7):
                above.plot(grid, factor * line(letter, grid, 1.0), color=FLOOR, lw=0.6, zorder=1)
            above.plot(grid, line(letter, grid, effective), color=THEORY, lw=1.6)
            mean, unit = data[letter].mean(axis=1), line(letter, x, effective)
            bars = 2.0 * data[letter].std(axis=1, ddof=1) / np.sqrt(data[letter].shape[1])
            style: Style = {"fmt": "o", "color": SGD, "ms": 5, "mfc": "white", "capsize": 2.5, "zorder": 3}
            above.errorbar(x, mean, bars, **style)
            below.axhline(1.0, color=THEORY, lw=1.6, label="effective process")
            below.plot(grid, finite, color=SGD, lw=1.1, label="the same at finite $d$")
            below.axhline((closed / effective) ** 0.25, color=SAM, lw=1.2, ls="--", label="closed form")
            below.axhline((half / effective) ** 0.25, color=N_SAM, lw=1.2, ls="-.", label=r"$a=\frac{1}{2}$")
            below.errorbar(x, mean / unit, bars / unit, label="exact simulation", **style)
            above.set(xscale="log", yscale="log")
            above.set_title(titles[letter])
            below.set(xlabel=names[letter])
        axes[0, 0].set(ylabel=r"critical $\|\mu\|_c$ (units of $(P-1)\sigma_p$)", ylim=(1.5, 4e3))
        axes[1, 0].set(ylabel=r"$\|\mu\|_c$ over $(q_c d/n)^{1/4}$")
        axes[1, 1].set_xticks(SAMPLES, [f"{n}" for n in SAMPLES])
        axes[1, 1].minorticks_off()
        axes[1, 1].set_xlim(17, 190)
        handles, labels = axes[1, 0].get_legend_handles_labels()
        handles.insert(1, above.plot([], [], color=FLOOR, lw=0.6)[0])
        labels.insert(1, "the theorem's exponents")
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        title = "SGD's boundary: the theorem gives its slope, the asymptotics the line itself"
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure

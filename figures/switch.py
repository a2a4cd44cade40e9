"""ERM and 1-SAM in turn: which gain of the switching experiment is the step's, not SAM's.

The published problem, alpha = 0.05, rho = 20 after ERM and 0.35 before it: at the published step gamma = 1/30 and at a
quarter of it, equal total time. 1-SAM leaves an interpolator iff gamma lambda > 2, lambda its field's largest curvature
there (`andriushchenko2022/switch-instability`; the experiment is `published-switch`, `erm-then-sam`, `sam-then-erm`).
Test losses in the printed convention, (1/2N)‖X beta − y‖².
"""

from typing import TYPE_CHECKING

import numpy as np

from figures.style import FLOOR, GD, ONE_SAM, THEORY, TWO_PANELS
from simulate.diagonal import DiagonalNetwork
from simulate.diagonal_run import DiagonalSpec, train_network
from simulate.runner import single_threaded
from theory.andriushchenko2022.setting import published_problem, regression, train_on
from theory.andriushchenko2022.switching import EARLY, FINAL, curvature, schedule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

REFINEMENTS = (1, 4)  # the step is gamma = 1/(30 refine)
ORDERS = {
    "erm": ("gd", "gd", 0.0, "ERM"),
    "erm-sam": ("gd", "1-sam", FINAL, r"ERM $\to$ 1-SAM"),
    "sam-erm": ("1-sam", "gd", EARLY, r"1-SAM $\to$ ERM"),
}


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return "refine/order" = times and test losses (2, records), "refine/product" = gamma lambda at the switch."""
    problem, data = published_problem(), {}
    for refine in REFINEMENTS:
        run = schedule("gd", "gd", 0.0, refine)
        gamma, switch, last = run["step_size"], run["switch_step"], run["max_steps"]
        near = switch + np.arange(400 * refine)  # every step: there the loss may jump
        record = {*np.geomspace(1, last, 200).astype(int), *near, *range(0, last, last // 400)}
        for name, (*order, rho, _) in ORDERS.items():
            history = train_on(problem, **schedule(order[0], order[1], rho, refine), record=sorted(record))[2]
            data[f"{refine}/{name}"] = np.stack([gamma * history["step"], 2.0 * history["test_loss"]])
        spec = DiagonalSpec(regression(), **schedule("gd", None, 0.0, refine))
        with single_threaded():
            network = DiagonalNetwork(problem, spec.alpha)
            train_network(spec, network)
            data[f"{refine}/product"] = np.array(gamma * curvature(problem.X, network.weights, FINAL))
    return data


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    styles = {"erm": (GD, ":"), "erm-sam": (THEORY, "-"), "sam-erm": (ONE_SAM, "--")}
    titles = (r"As published, $\gamma=1/30$: both orders gain", r"At $\gamma=1/120$, only 1-SAM first gains")
    with plt.rc_context(TWO_PANELS):
        figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.4), sharey=True)
        for axis, refine, title in zip(axes, REFINEMENTS, titles, strict=True):
            for name, (*_, label) in ORDERS.items():
                colour, line = styles[name]
                axis.plot(*data[f"{refine}/{name}"], color=colour, ls=line, lw=1.6, label=label)
            switch = data[f"{refine}/erm"][0, -1] / 2.0
            axis.axvline(switch, color=FLOOR, lw=0.8)
            product = float(data[f"{refine}/product"])
            verdict = "> 2$: unstable" if product > 2.0 else "< 2$: stable"
            text = rf"1-SAM at $\rho={FINAL:g}$:" + "\n" + rf"$\gamma\lambda={product:.1f}{verdict}"
            axis.annotate(text, (switch, 0.5), (5, 0), textcoords="offset points", va="top", linespacing=1.4)
            axis.set(yscale="log", xlabel=r"time $\gamma\,k$", xlim=(0, 2 * switch))
            axis.set_title(title)
        axes[0].set_ylabel(r"test loss $\|X\beta-y\|^2/2N$")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure

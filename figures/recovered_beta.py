"""What each rule makes of the teacher's coordinates and of all the others, on the published problem.

GD, n-SAM and 1-SAM at alpha = 0.05, gamma = 1/3 and equal rho = 0.4, 10,001 steps: 1-SAM's run is the best of the
published ones (test loss 1.56e-5 in the printed convention, `andriushchenko2022/published-runs`). Off the support the
teacher is 0; the coordinates there are in the order of GD's.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import GD, N_SAM, ONE_SAM, THEORY, TWO_PANELS, Style
from theory.andriushchenko2022.setting import published_problem, train_on

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

RUN = {"alpha": 0.05, "step_size": 1.0 / 3.0, "max_steps": 10_001, "radius": 0.4}
RULES = {
    "gd": (GD, "o", "GD"),
    "n-sam": (N_SAM, "^", r"n-SAM, $\rho=0.4$"),
    "1-sam": (ONE_SAM, "s", r"1-SAM, $\rho=0.4$"),
}


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return the coefficients (d,) of the teacher and by rule, and by "rule/test" the test loss as printed."""
    problem = published_problem()
    data: dict[str, Any] = {"teacher": problem.teacher}
    for rule in RULES:
        _, test, history = train_on(problem, rule=rule, **RUN)
        data |= {rule: history["beta"][-1], f"{rule}/test": np.array(test)}
    return data


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    on = np.flatnonzero(data["teacher"])
    off = np.flatnonzero(data["teacher"] == 0.0)
    off = off[np.argsort(-np.abs(data["gd"][off]))]
    with plt.rc_context(TWO_PANELS):
        figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.4), width_ratios=(1.0, 2.2))
        places = np.arange(len(on), dtype=float)
        left.hlines(data["teacher"][on], places - 0.36, places + 0.36, color=THEORY, lw=1.4, label="teacher")
        for shift, (rule, (colour, marker, label)) in zip((-0.22, 0.0, 0.22), RULES.items(), strict=True):
            style: Style = {"color": colour, "marker": marker, "ls": "", "ms": 5}
            if rule == "n-sam":  # open, larger: it lies on GD's
                style |= {"mfc": "none", "ms": 6.5, "mew": 1.1}
            left.vlines(places + shift, 0.0, data[rule][on], color=colour, lw=1.0)
            left.plot(places + shift, data[rule][on], **style)
            right.plot(np.arange(1, len(off) + 1), np.abs(data[rule][off]), label=label, **style)
        left.set(ylabel=r"$\beta_j$", xlabel="coordinate $j$", ylim=(0.0, 1.0), xlim=(-0.6, len(on) - 0.4))
        left.set_xticks(places, [str(j + 1) for j in on])
        left.grid(axis="x", visible=False)
        left.set_title("On the support")
        right.set(yscale="log", ylabel=r"$|\beta_j|$", xlabel=r"coordinates off the support, by GD's $|\beta_j|$")
        right.set_xlim(0.2, len(off) + 0.8)
        right.set_title("Off the support, only 1-SAM falls by decades")
        handles, labels = (a + b for a, b in zip(*(x.get_legend_handles_labels() for x in (left, right)), strict=True))
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure

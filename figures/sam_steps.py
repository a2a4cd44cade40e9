"""What SAM's steps buy: the signal they learn, and the clean error after SGD has fitted the rest.

n = 20, m = 50, d = 20,000, sigma_0 = 0.5/√d, SAM at C3 = ½, then SGD to training loss 0.01: medians and quartiles over
9 seeds, for two signal norms. Left, gamma at the end of SAM's phase against its closed form (`ours/sam-signal`) and, in
grey, the slope of its start carried on, (1 − 2p) T/2. Right, the final clean error against the limit system started
from there, at finite d, and the floor Phi(−‖mu‖/((P−1) sigma_p)) of a network that knows mu alone.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from figures.style import FLOOR, SAM, SGD, THEORY, TWO_PANELS, Style
from theory.chen2023.setting import sam_radius, scaled_spec, scaled_step_size
from theory.ours.sam_phase import signal_learned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

SHAPE: dict[str, Any] = {"n": 20, "d": 20_000, "m": 50}
SIGNALS = {2.0: (SGD, "o", "-"), 3.0: (SAM, "s", "--")}
STEPS = (0, 250, 500, 1000, 2000, 3000, 4500, 6000, 8000)
GRID = tuple(np.unique((8000 * np.linspace(0.0, 1.0, 13) ** 2).round()))
FLIPPED, EPS, C3, SEEDS, GROUPS = 0.1, 0.01, 0.5, 9, 3
INIT_STD = 0.5 / np.sqrt(SHAPE["d"])
ETA = float(scaled_step_size(**SHAPE, P=2, sigma_p=1.0))


def time(mu: float, steps: ArrayLike) -> Any:
    """Return T = eta ‖mu‖² steps/(2m)."""
    return ETA * mu**2 * np.asarray(steps, float) / (2.0 * SHAPE["m"])


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return "gamma" and "error" (signals, steps, seeds), and "predicted" (signals, grid), the error."""
    n, d, m = SHAPE.values()
    sam: dict[str, Any] = {"init_std": INIT_STD, "rule": "sam-then-sgd", "radius": sam_radius(m, n, 2, 1.0, d, C3)}
    specs = [
        scaled_spec(seed, **SHAPE, mu=mu, **sam, sam_steps=steps, record=(steps,), stop_loss=EPS)
        for mu in SIGNALS for steps in STEPS for seed in range(SEEDS)
    ]  # fmt: skip
    results: list[Any] = runner.run(specs)
    shape = len(SIGNALS), len(STEPS), SEEDS
    return {
        "gamma": np.reshape([result.history["gamma"][0].mean() for result in results], shape),
        "error": np.reshape([result.clean_error for result in results], shape),
        "predicted": np.array([[predicted(mu, steps) for steps in GRID] for mu in SIGNALS]),
    }


def predicted(mu: float, steps: float) -> float:
    """Return the clean error after `steps` of SAM and SGD to the end: the median over groups of limit systems."""
    from theory.ours.averaged import limit_system, signal_met

    n, d, m = SHAPE.values()
    gamma = float(signal_learned(time(mu, steps), FLIPPED))
    start = {"start": gamma, "met": signal_met(gamma, n, d, 2, mu, 1.0)}
    scale = INIT_STD * d / np.sqrt(n)
    groups = [limit_system(n, scale, m, FLIPPED, EPS, draws=4, seed=4 * k, **start) for k in range(GROUPS)]
    return float(np.median([group.clean_error_at(n, d, 2, mu, 1.0) for group in groups]))


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt
    from scipy.special import ndtr

    smooth = np.linspace(0.0, GRID[-1], 200)
    with plt.rc_context(TWO_PANELS):
        figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.7))
        for k, (mu, (colour, marker, dashes)) in enumerate(SIGNALS.items()):
            style: Style = {"color": colour, "fmt": marker, "ms": 5, "mfc": "white", "capsize": 2.5, "zorder": 3}
            for axis, values in ((left, data["gamma"][k]), (right, data["error"][k])):
                low, median, high = np.quantile(values, (0.25, 0.5, 0.75), axis=1)
                bars = [median - low, high - median]
                axis.errorbar(STEPS, median, bars, label=rf"$\|\mu\|={mu:g}$", **style)
            left.plot(smooth, signal_learned(time(mu, smooth), FLIPPED), color=colour, lw=1.3, ls=dashes)
            left.plot(smooth, 0.5 * (1.0 - 2.0 * FLIPPED) * time(mu, smooth), color=FLOOR, lw=0.9, zorder=1)
            right.plot(GRID, data["predicted"][k], color=colour, lw=1.3, ls=dashes)
            floor = ndtr(-mu)
            right.axhline(floor, color=colour, lw=0.9, ls=":")
            right.text(GRID[-1], 0.92 * floor, rf"$\Phi(-{mu:g})$", color=colour, ha="right", va="top")
        left.set(ylabel=r"signal coefficient $\gamma$ after SAM's phase")
        left.set_title("SAM learns the signal as predicted")
        right.set(ylabel="clean test error after SGD", yscale="log", ylim=(8e-4, 0.6))
        right.set_title("SGD then ends near the floor")
        for axis in (left, right):
            axis.set(xlabel="steps of SAM before SGD")
        handles, labels = right.get_legend_handles_labels()
        looks = {"predicted": (1.3, "-", THEORY), "slope of the start": (0.9, "-", FLOOR), "floor": (0.9, ":", THEORY)}
        handles += [left.plot([], [], color=colour, lw=width, ls=dashes)[0] for width, dashes, colour in looks.values()]
        figure.legend(handles, [*labels, *looks], loc="outside lower center", ncols=5)
    return figure

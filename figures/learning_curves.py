"""SGD's learning curves along tau = e0 · steps, exact and predicted: who is on, what is memorised, what is learned.

Exact simulation at n = 100, m = 50, d = 10⁹, q = 1, means over 32 seeds and their standard deviation, for two scales c
of the initial weights; the limit system at the same n, the effective process (n → ∞) and the closed form. S_i is the
coefficient of a neuron that sample i had on from the start, the largest of all: until then ∫ s_i dtau.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import SAM, SGD, THEORY, TWO_PANELS, Style
from theory.chen2023.setting import scaled_spec, signal_to_noise_ratio
from theory.chen2023.sgd_boundary import critical_signal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

SHAPE: dict[str, Any] = {"n": 100, "d": 10**9, "m": 50}
SCALES = {0.1: (SGD, "o"), 2.0: (SAM, "s")}  # c
FLIPPED, E0, EPS = 0.1, 0.1, 0.01
STEPS = tuple(int(t) for t in np.unique(np.geomspace(1, 1000, 16).round()))
RECORD = tuple(sorted({*STEPS, *(t + 1 for t in STEPS)}))
SEEDS, DRAWS = 32, {"limit": 32, "effective": 8}
QUANTITIES = ("active", "margin", "S", "ratio")
LEVELS: dict[str, Style] = {  # key: line style of the curve
    "limit": {"lw": 4.5, "alpha": 0.3, "solid_capstyle": "butt"},
    "effective": {"lw": 1.2},
    "closed": {"lw": 1.2, "ls": "--"},
}


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return "exact/c" (quantities, steps, seeds), and for every level "level/c" (1 + quantities, times), tau first.

    The ratio is gamma/x in units of n · SNR² (1 − 2p), which S/(2x) predicts.
    """
    from theory.ours.averaged import effective_process, limit_system
    from theory.ours.closed import predict

    mu, n, m = float(critical_signal(SHAPE["n"], 2, 1.0, SHAPE["d"])), SHAPE["n"], SHAPE["m"]
    unit = n * signal_to_noise_ratio(mu, 2, 1.0, SHAPE["d"]) ** 2 * (1.0 - 2.0 * FLIPPED)
    data: dict[str, np.ndarray] = {}
    for c in SCALES:
        run: dict[str, Any] = {"mu": mu, "c": c, "e0": E0, "stop_loss": 0.0, "max_steps": RECORD[-1], "record": RECORD}
        results = runner.run([scaled_spec(seed, **SHAPE, **run) for seed in range(SEEDS)])
        data[f"exact/{c}"] = np.moveaxis(np.array([observed(result, unit) for result in results]), 0, -1)
        levels = {
            "limit": limit_system(n, c, m, FLIPPED, EPS, E0, draws=DRAWS["limit"]),
            "effective": effective_process(c, m, FLIPPED, EPS, E0, draws=DRAWS["effective"]),
            "closed": predict(c, m, FLIPPED, EPS, E0),
        }
        for level, r in levels.items():
            shown = r.tau >= 0.5 * E0
            ratio = r.signal[shown] / ((1.0 - 2.0 * FLIPPED) * r.margin[shown])
            rows = [r.tau[shown], r.active[shown], r.margin[shown], r.S[shown], ratio]
            data[f"{level}/{c}"] = np.array(rows)
    return data


def observed(result: Any, unit: float) -> np.ndarray:
    """Return a run's QUANTITIES at STEPS (quantities, steps)."""
    at = np.searchsorted(RECORD, STEPS)
    rho, own = result.history["rho"], result.own_class()
    margin = rho[at][:, own].mean(axis=1)
    gamma = result.history["gamma"][at].mean(axis=1)
    active = (rho[at + 1][:, own] > 0.0).mean(axis=1)  # a step on, all that were on have grown
    return np.array([active, margin, np.where(own, rho[at], 0.0).max(axis=1).mean(axis=1), gamma / margin / unit])


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    titles = ("Neurons switch on", "Noise is memorised", "Signal falls behind noise")
    ylabels = (
        "active fraction $a$", r"noise margin $x$, and $S=\int s\,d\tau$",
        r"$\gamma/x$ (units of $(1-2p)\,n\,\mathrm{SNR}^2$)",
    )  # fmt: skip
    tau = E0 * np.array(STEPS)
    with plt.rc_context(TWO_PANELS):
        figure, axes = plt.subplots(1, 3, figsize=(7.6, 3.4))
        for name, quantity in zip(QUANTITIES, (0, 1, 1, 2), strict=True):
            axis, row = axes[quantity], QUANTITIES.index(name)
            for c, (colour, marker) in SCALES.items():
                for level, style in LEVELS.items():
                    curve = data[f"{level}/{c}"]
                    axis.plot(curve[0], curve[1 + row], color=colour, **style)
                values = data[f"exact/{c}"][row]
                style = {"color": colour, "fmt": marker, "ms": 4.0, "mfc": "white", "lw": 0.9, "zorder": 3}
                axis.errorbar(tau, values.mean(axis=1), values.std(axis=1, ddof=1), label=name, **style)
        for axis, title, label in zip(axes, titles, ylabels, strict=True):
            axis.set(xscale="log", xlabel=r"$\tau=e_0\cdot$ steps", ylabel=label, xlim=(0.08, 125))
            axis.set_title(title)
        axes[1].set(yscale="log")
        for name, place in (("$S$", (1.6, 1.5)), ("$x$", (2.5, 0.3))):
            axes[1].text(*place, name, ha="center", va="center", fontsize=11)
        handles = [axes[0].errorbar([], [], fmt=mark, color=col, mfc="white", ms=4.0) for col, mark in SCALES.values()]
        labels = [f"exact, $c={c:g}$" for c in SCALES]
        handles += [axes[0].plot([], [], color=THEORY, **style)[0] for style in LEVELS.values()]
        labels += ["limit system", "effective process", "closed form"]
        figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return figure

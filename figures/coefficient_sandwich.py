"""What SGD memorises of each sample, between the two closed forms of Kou et al. 2023.

x_i(t) = (1/m) Σ_r rho_bar_{y_i,r,i} against c0 t, eight seeds at each of the dimensions and signals of
`chen2023/coefficient-growth-lower`, n = 20: bands over samples and seeds, while at least half of them train. The curves
solve x + b eˣ = c t + b (Lambert W) with c = c0/5 and 3 c0/2. Left m = 100; right m = 10, where a sample that few
neurons are on for falls below.
"""

from typing import TYPE_CHECKING

import numpy as np

from figures.style import SAM, SGD, THEORY, TWO_PANELS, Style
from theory.chen2023.coefficient_growth import lower_curve, observe, upper_curve
from theory.claim import Samples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

WIDTHS = (100, 10)
SETTINGS = {
    "seed": 0, "seeds": 8,
    "points": tuple((d, strength) for d in (2000, 20_000, 200_000) for strength in (0.01, 0.1)),
}  # fmt: skip


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return by width "m/x", "m/t" and "m/c0": coefficients, steps and growth rates, flat."""
    data: dict[str, np.ndarray] = {}
    for m in WIDTHS:
        samples = observe(SETTINGS | {"m": m}, runner)
        data |= {f"{m}/x": samples.observed, f"{m}/t": samples.given["t"], f"{m}/c0": samples.given["c0"]}
    return data


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    with plt.rc_context(TWO_PANELS):
        figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.4), sharey=True)
        for axis, m in zip(axes, WIDTHS, strict=True):
            x, t, c0 = (data[f"{m}/{key}"] for key in ("x", "t", "c0"))
            points = Samples(x, {"t": t, "c0": c0})
            out = (x < lower_curve(points)) | (x > upper_curve(points))
            scaled = c0 * t
            times, count = np.unique(scaled.round(9), return_counts=True)
            times = times[count >= 0.5 * count.max()]
            quantiles = np.array([np.quantile(x[np.isclose(scaled, u)], (0.0, 0.05, 0.5, 0.95, 1.0)) for u in times]).T
            axis.fill_between(times, quantiles[0], quantiles[4], color=SAM, alpha=0.15, lw=0, label="every sample")
            axis.fill_between(times, quantiles[1], quantiles[3], color=SAM, alpha=0.3, lw=0, label="nine in ten")
            axis.plot(times, quantiles[2], color=SAM, lw=1.6, label="median")
            curve = Samples(times, {"t": times, "c0": 1.0})
            axis.plot(times, upper_curve(curve), color=THEORY, lw=1.2, ls="--", label="upper curve")
            axis.plot(times, lower_curve(curve), color=THEORY, lw=1.2, ls="-.", label="lower curve")
            axis.plot(scaled[out], x[out], "x", color=SGD, ms=3, mew=0.8, label="outside")
            share = f"{100.0 * out.mean():.2g} % of points outside" if out.any() else "every sample between the curves"
            axis.set_title(rf"$m={m}$: {share}")
            axis.set(xscale="log", xlabel=r"time $c_0t$", xlim=(times[0], times[-1]))
        axes[0].set_ylabel(r"mean noise coefficient $x_i$")
        handles, labels = axes[1].get_legend_handles_labels()
        style: Style = {"ncols": len(labels), "columnspacing": 1.0, "handlelength": 1.7}
        figure.legend(handles, labels, loc="outside lower center", **style)
    return figure

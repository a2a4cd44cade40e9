"""Both boundaries between benign and harmful overfitting, along the dimension and along the sample size.

The signal norm at which the clean error falls through 1/8, labels balanced. Left: the groups of `critical_signal`: SGD
at the scaling of the theorem's condition and SAM then SGD at sigma_0 = 0.5/√d. Right: SGD along n at d = 10⁸
(`chen2023/sgd-boundary-samples`) and SAM then SGD along n at d = 10⁵. A power law is fitted to each group of seeds; the
exponents are means over groups with 95 % intervals. The theory says ¼, 0, −¼ and 0. The dashed line is the floor that
no network can pass which knows mu alone (`chen2023/sam-boundary-floor`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from figures import critical_signal
from figures.style import FLOOR, SAM, SGD, TWO_PANELS, Style
from theory.chen2023 import sam_boundary, sgd_boundary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner
    from theory.interval import Interval

SETTINGS = {"seed": 0, "groups": 8, "seeds": 5}
SAMPLES = (20, 40, 80, 160)
SAM_DIMENSION = 10**5
SERIES = {  # of each panel: key, abscissae, colour, marker, label
    "d": (
        ("sgd/d", critical_signal.SGD_DIMENSIONS, SGD, "o", "SGD"),
        ("sam/d", critical_signal.SAM_DIMENSIONS, SAM, "s", "SAM then SGD"),
    ),
    "n": (
        ("sgd/n", SAMPLES, SGD, "o", r"$d=10^8$"),
        ("sam/n", SAMPLES, SAM, "s", r"$d=10^5$"),
    ),
}


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return the critical signals (abscissae, groups) of SERIES by key."""
    along_d = critical_signal.compute(runner)
    points = [{"n": n, "d": SAM_DIMENSION} for n in SAMPLES]
    build = sam_boundary.boundary_spec
    return {
        "sgd/d": along_d["sgd"],
        "sam/d": along_d["sam"],
        "sgd/n": sgd_boundary.observe_samples(SETTINGS | {"n": SAMPLES}, runner).observed,
        "sam/n": sgd_boundary.observe_boundary(points, SETTINGS, runner, (0.8, 3.2), np.median, build),
    }


def fit(x: Sequence[float], values: np.ndarray) -> "tuple[Interval, np.ndarray]":
    """Return the exponent's 95 % interval over groups, and the fitted line at x (points,)."""
    from theory.interval import mean_interval, slopes

    exponent = mean_interval(slopes(np.array(x, float), values), 0.05)
    logs = np.log(x) - np.log(x).mean()
    return exponent, np.exp(np.log(values).mean() + exponent.value * logs)


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    titles = {"d": "SGD's boundary grows as $d^{1/4}$, SAM's stays", "n": "SGD's falls as $n^{-1/4}$, SAM's stays"}
    names = {"d": "dimension $d$", "n": "samples $n$"}
    with plt.rc_context(TWO_PANELS):
        figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.8), sharey=True, width_ratios=(1.2, 1.0))
        for axis, (letter, series) in zip(axes, SERIES.items(), strict=True):
            axis.set(xscale="log", yscale="log", xlabel=names[letter], ylim=(0.9, 500))
            for key, x, colour, marker, label in series:
                values = data[key]
                exponent, line = fit(x, values)
                mean, error = values.mean(axis=1), 2.0 * values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
                power = f"{exponent.value:.3f} ± {exponent.half_width:.3f}".replace("-", "−")
                style: Style = {"fmt": marker, "color": colour, "ms": 4.5, "capsize": 2.5}
                axis.errorbar(x, mean, error, label=f"{label}: {power}", **style)
                axis.plot(x, line, color=colour, lw=1.2)
            axis.axhline(sam_boundary.sam_floor(sgd_boundary.LEVEL), color=FLOOR, ls="--", lw=1.0)
            axis.set_title(titles[letter])
            axis.legend(loc="upper left", title=f"fitted exponent of ${letter}$", alignment="left")
        axes[0].set_ylabel(r"critical signal norm $\|\mu\|_c$ (units of $(P-1)\sigma_p$)")
        axes[0].set_yticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
        axes[0].minorticks_off()
        axes[1].set_xticks(SAMPLES, [f"{n}" for n in SAMPLES])
        axes[1].minorticks_off()
        axes[1].set_xlim(17, 190)
    return figure

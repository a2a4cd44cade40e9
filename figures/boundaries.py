"""Both boundaries between benign and harmful overfitting, along the dimension and along the sample size.

The signal norm at which the clean error falls through 1/8. Left: the groups of `critical_signal`, SGD at the scaling of
the theorem's condition and SAM then SGD at sigma_0 = 0.5/√d. Right: SGD along n at d = 10⁸
(`chen2023/sgd-boundary-samples`) and SAM then SGD along n at d = 10⁴. A power law is fitted to each group of seeds; the
exponents are means over groups with 95 % intervals, beside the theory's ¼, 0, −¼ and 0.
"""

import numpy as np

from figures import critical_signal
from figures.style import FLOOR, SAM, SGD, TWO_PANELS
from theory.chen2023 import sam_boundary, sgd_boundary

SETTINGS = {"seed": 0, "groups": 16, "seeds": 5}
SAMPLES = (20, 40, 80, 160, 320)
AXES = {  # of each panel: key, abscissae, colour, marker, label
    "d": (
        ("sgd", critical_signal.SGD_DIMENSIONS, SGD, "o", "SGD"),
        ("sam", critical_signal.SAM_DIMENSIONS, SAM, "s", "SAM, then SGD"),
    ),
    "n": (
        ("sgd/n", SAMPLES, SGD, "o", r"SGD, $d=10^8$"),
        ("sam/n", SAMPLES, SAM, "s", r"SAM, then SGD, $d=10^4$"),
    ),
}


def compute(runner) -> dict[str, np.ndarray]:
    """Return the critical signals (abscissae, groups) of AXES by key."""
    d = critical_signal.compute(runner)
    along_n = SETTINGS | {"n": SAMPLES}
    points = [{"n": n, "d": 10**4} for n in SAMPLES]
    sam = sgd_boundary.observe_boundary(
        points, SETTINGS, runner, (0.8, 3.2), np.median, sam_boundary.boundary_spec
    )  # fmt: skip
    return {
        "sgd": d["sgd"], "sam": d["sam"], "sgd/n": sgd_boundary.observe_samples(along_n, runner).observed, "sam/n": sam,
    }  # fmt: skip


def draw(data):
    """Return the figure."""
    import matplotlib.pyplot as plt

    from theory.interval import mean_interval, slopes

    titles = {"d": "Along the dimension", "n": "Along the sample size"}
    with plt.rc_context(TWO_PANELS):
        figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.6), width_ratios=(1.25, 1.0))
        for axis, (letter, series) in zip(axes, AXES.items(), strict=True):
            axis.set(xscale="log", yscale="log")
            for key, x, colour, marker, label in series:
                values = data[key]
                fit = mean_interval(slopes(np.array(x, float), values), 0.05)
                exponent = rf"{label}: $\|\mu\|_c\propto {letter}^{{{fit.value:.3f}\pm{fit.half_width:.3f}}}$"
                mean, error = values.mean(axis=1), 2.0 * values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
                axis.errorbar(x, mean, error, fmt=marker, color=colour, ms=4.5, capsize=2.5, label=exponent)
                logs, centre = np.log(x), np.log(values).mean()
                axis.plot(x, np.exp(centre + fit.value * (logs - logs.mean())), color=colour, lw=1.2)
            axis.axhline(sam_boundary.sam_floor(sgd_boundary.LEVEL), color=FLOOR, ls="--", lw=1.0)
            axis.set_title(titles[letter])
            axis.legend(loc="upper left")
    return figure

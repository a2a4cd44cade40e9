"""The signal needed to generalise, against the dimension: SGD's grows as d^(1/4), SAM's does not.

Three sets of points, critical values of a group's mean (SGD) or median (SAM) clean error: SGD at the scaling of the
theorem's condition, where it does best; SAM then SGD at sigma_0 = 0.5/√d; and SGD on SAM's own draws. They are those of
the claims `chen2023/sgd-boundary` and `chen2023/sam-boundary`, with the closed forms beside them: SGD's
line is (2 a q_T(a)²/(1−2p)² · d/n)^(1/4), its constant from the neurons' correlation a; SAM's floor is the signal at
which a fresh noise vector alone flips the sign.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import FLOOR, RC, SAM, SGD, THEORY, Style
from theory.chen2023 import sam_boundary, sgd_boundary, sgd_boundary_constant
from theory.chen2023.setting import scaled_spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

SETTINGS = {"seed": 0, "groups": 8, "seeds": 5}
SGD_DIMENSIONS = tuple(10**k for k in range(3, 10))
SAM_DIMENSIONS = tuple(10**k for k in range(3, 7))
SERIES = (  # key, dimensions, colour, marker, filled, label
    ("sgd", SGD_DIMENSIONS, SGD, "o", True, r"SGD, $\sigma_0 \propto 1/d$"),
    ("sgd_same", SAM_DIMENSIONS, SGD, "^", False, r"SGD, $\sigma_0 = 0.5/\sqrt{d}$"),
    ("sam", SAM_DIMENSIONS, SAM, "s", True, r"SAM, then SGD, $\sigma_0 = 0.5/\sqrt{d}$"),
)


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return critical signals (dimensions, groups) of both rules and the observed correlation a."""
    sgd = sgd_boundary.observe_dimension(SETTINGS | {"d": SGD_DIMENSIONS}, runner).observed
    at_sam = SETTINGS | {"d": SAM_DIMENSIONS}
    sam = sam_boundary.observe(at_sam, runner).observed
    sgd_same = sam_boundary.observe(at_sam | {"rule": "sgd", "bracket": (1.0, 300.0)}, runner).observed
    largest = [scaled_spec(seed, d=SGD_DIMENSIONS[-1], mu=float(sgd[-1].mean())) for seed in range(40)]
    results: list[Any] = runner.run(largest)
    a = float(np.mean([result.class_correlation for result in results]))
    return {"sgd": sgd, "sgd_same": sgd_same, "sam": sam, "a": np.array(a)}


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    q = sgd_boundary_constant.critical_parameter(round(float(data["a"]), 6), 10, 0.1, sgd_boundary.LEVEL)
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(6.8, 4.2))
        line = np.geomspace(5e2, 2e9, 50)
        form = sgd_boundary.critical_signal(20, 2, 1.0, line, q)
        axis.loglog(line, form, color=THEORY, lw=1.2, label=r"$(C\,d/n)^{1/4}$, $C$ from our closed form")
        axis.axhline(sam_boundary.sam_floor(sgd_boundary.LEVEL), color=FLOOR, ls="--", lw=1.2,
                     label=r"floor $\Phi^{-1}(7/8)$")  # fmt: skip
        for name, dimensions, colour, marker, filled, label in SERIES:
            values = data[name]
            spread = 2.0 * values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
            style: Style = {"color": colour, "fmt": marker, "ms": 6, "capsize": 3, "label": label}
            style["mfc"] = colour if filled else "white"
            axis.errorbar(dimensions, values.mean(axis=1), spread, **style)
        axis.set(xlabel=r"dimension $d$", ylabel=r"critical signal norm $\|\mu\|_c$ (units of $(P-1)\sigma_p$)")
        axis.set_title("The signal SGD needs grows with the dimension; SAM's does not")
        axis.set_ylim(0.8, 200)
        axis.legend(loc="upper left")
    return figure

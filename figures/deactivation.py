"""The share of noise neurons that SAM's perturbation turns off, at the start of training and along it.

Left: m = 50, n = B = 20, without signal to speak of, at initialisation: shares over 24 seeds, two standard errors, for
growing dimension, against the closed form erf(tau/(sigma_0 √(2mB))). Right: over SAM's phase of the demonstration
(`chen2023/deactivation`), by the constant C3 in tau = m√B/(C3 P sigma_p √d): every seed's mean over steps
(dots), their mean, and the closed form at the phase's start.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import FLOOR, N_SAM, SAM, SGD, THEORY, TWO_PANELS, Style
from theory.chen2023.deactivation import DEMO, deactivated_at_start, observe_along_sam, observe_start
from theory.chen2023.setting import sam_radius

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

RATIOS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
DIMENSIONS = {10**2: (SGD, "^"), 10**4: (N_SAM, "s"), 10**8: (SAM, "o")}
DIVISORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
START = {"seed": 0, "seeds": 24}
ALONG = {"seed": 0, "seeds": 24, "phases": 1}


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return "start" (ratios, dimensions, seeds) and "along" (divisors, seeds), shares turned off."""
    start = observe_start(START | {"ratios": RATIOS, "d": tuple(DIMENSIONS)}, runner)
    along = observe_along_sam(ALONG | {"C3": DIVISORS}, runner)
    return {"start": np.array([samples.observed for samples in start.values()]), "along": along.observed}


def demo_ratio(C3: float | np.ndarray) -> Any:
    """Return tau/(sigma_0 √(mB)) of the demonstration at a constant C3 (array or number)."""
    demo: dict[str, Any] = DEMO
    m, B, P, sigma_p, d = (demo[letter] for letter in ("m", "B", "P", "sigma_p", "d"))
    return sam_radius(m, B, P, sigma_p, d, 1.0) / C3 / (demo["sigma_0"] * np.sqrt(m * B))


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    with plt.rc_context(TWO_PANELS):
        figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.3), sharey=True)
        ratios = np.linspace(0.0, 4.2, 200)
        left.plot(ratios / np.sqrt(2.0), deactivated_at_start(ratios), color=THEORY, lw=1.2, label="erf(x)")
        for k, (d, (colour, marker)) in enumerate(DIMENSIONS.items()):
            shares = data["start"][:, k]
            error = 2.0 * shares.std(axis=1, ddof=1) / np.sqrt(shares.shape[1])
            label = rf"$d=10^{{{round(np.log10(d))}}}$"
            face = "white" if k < 2 else colour
            style: Style = {"fmt": marker, "color": colour, "mfc": face, "ms": 4.5, "capsize": 2}
            left.errorbar(np.array(RATIOS) / np.sqrt(2.0), shares.mean(axis=1), error, label=label, **style)
        left.set(xlabel=r"$x=\tau/(\sigma_0\sqrt{2mB})$", ylabel="share of noise neurons turned off", ylim=(0.0, 1.03))
        left.set_title("At the start: an error function")
        left.legend(loc="lower right")
        along = data["along"]
        right.plot(DIVISORS, along, ".", color=FLOOR, ms=3)
        right.plot(DIVISORS, along.mean(axis=1), "o-", color=SAM, ms=4.5, lw=1.2, label="mean over SAM's phase")
        divisors = np.geomspace(DIVISORS[0], DIVISORS[-1], 100)
        at_start = deactivated_at_start(demo_ratio(divisors))
        right.plot(divisors, at_start, color=THEORY, ls="--", lw=1.0, label="closed form at its start")
        right.legend(loc="lower left")
        right.set(xscale="log", xlabel=r"$C_3$ in $\tau=m\sqrt{B}/(C_3P\sigma_p\sqrt{d})$")
        right.set_xticks([0.125, 1, 8, 64], ["1/8", "1", "8", "64"])
        right.minorticks_off()
        right.set_title("Along SAM: fewer, unless $C_3$ is small")
    return figure

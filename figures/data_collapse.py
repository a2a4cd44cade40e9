"""SGD's clean error for nine shapes of data: one curve of q, and no curve of n · SNR².

Nine (n, d, P, sigma_p), a Latin square over n = 20 … 60, d = 10⁵ … 10⁹, P = 2 … 5, sigma_p = ½ … 2 (those of
`chen2023/sgd-collapse`), at equal q = n‖mu‖⁴/((P−1)⁴ sigma_p⁴ d): means over 48 seeds, two standard errors. The curve
is our closed form for d → ∞ (`chen2023/sgd-boundary-constant`), its one parameter, the neurons' correlation a, measured
on the same networks. Right: the same points against n · SNR² = √(q n/d).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import N_SAM, SAM, SGD, THEORY, TWO_PANELS, Style
from theory.chen2023.setting import scaled_spec, signal_to_noise_ratio
from theory.chen2023.sgd_boundary import LEVEL, SHAPES, critical_signal
from theory.chen2023.sgd_boundary_constant import critical_parameter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

PARAMETERS = tuple(np.geomspace(0.03, 30.0, 11))
SEEDS = 48
LEVELS = (*np.geomspace(0.001, 0.04, 8), *np.linspace(0.06, 0.4, 18))
STYLES = {10**5: (SGD, ":"), 10**7: (N_SAM, "--"), 10**9: (SAM, "-")}  # by dimension
MARKERS = {20: "o", 40: "s", 60: "^"}


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return clean "errors" (parameters, shapes, seeds), "a" and the "curve": q and error (2, levels)."""
    specs = [
        scaled_spec(seed, n, d, 10, P, critical_signal(n, P, sigma_p, d, q), sigma_p)
        for q in PARAMETERS for n, d, P, sigma_p in SHAPES for seed in range(SEEDS)
    ]  # fmt: skip
    results: list[Any] = runner.run(specs)
    shape = len(PARAMETERS), len(SHAPES), SEEDS
    correlations = np.reshape([r.class_correlation for r in results], shape)
    a = round(float(correlations.mean()), 6)
    curve = [[critical_parameter(a, 10, 0.1, level) for level in LEVELS], LEVELS]
    return {"errors": np.reshape([r.clean_error for r in results], shape), "a": np.array(a), "curve": np.array(curve)}


def noise_parameter(q: float | np.ndarray, n: int, d: float, P: int, sigma_p: float) -> Any:
    """Return n · SNR² of a shape at q (array or number)."""
    return n * signal_to_noise_ratio(critical_signal(n, P, sigma_p, d, q), P, sigma_p, d) ** 2


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    q, errors = np.array(PARAMETERS), data["errors"]
    mean, bars = errors.mean(axis=2), 2.0 * errors.std(axis=2, ddof=1) / np.sqrt(errors.shape[2])
    with plt.rc_context(TWO_PANELS):
        figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.6), sharey=True)
        label = rf"closed form, $a={float(data['a']):.2f}$"
        left.plot(*data["curve"], color=THEORY, lw=1.4, zorder=1, label=label)
        left.legend(loc="upper right")
        for k, (n, d, P, sigma_p) in enumerate(SHAPES):
            colour, line = STYLES[d]
            style: Style = {"color": colour, "fmt": MARKERS[n], "ms": 4.5, "mfc": "white", "lw": 0.8, "capsize": 0}
            left.errorbar(q, mean[:, k], bars[:, k], **style)
            right.errorbar(noise_parameter(q, n, d, P, sigma_p), mean[:, k], bars[:, k], ls=line, **style)
        for axis in (left, right):
            axis.axhline(LEVEL, color=THEORY, lw=0.6, ls="--")
            axis.set(xscale="log", ylim=(-0.01, 0.42))
        left.set(xlabel=r"$q=n\|\mu\|^4/((P-1)^4\sigma_p^4\,d)$", ylabel="clean test error")
        left.set_title("One curve of $q$, and the closed form")
        right.set(xlabel=r"$n\cdot\mathrm{SNR}^2$")
        right.set_title(r"No curve of $n\cdot$SNR²")
        handles = [left.plot([], [], line, color=colour)[0] for colour, line in STYLES.values()]
        handles += [left.plot([], [], marker, color=THEORY, mfc="white", ms=4.5)[0] for marker in MARKERS.values()]
        labels = [rf"$d=10^{{{round(np.log10(d))}}}$" for d in STYLES] + [f"$n={n}$" for n in MARKERS]
        figure.legend(handles, labels, loc="outside lower center", ncols=6)
    return figure

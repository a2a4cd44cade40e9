"""SGD's clean error against q over twelve decades of d: a curve that is predicted, nothing observed.

Two settings (n, m, P, sigma_p, c), means over 16 seeds, two standard errors. The line is the effective process
(`ours/test-error`), its band two standard errors over eight independent pairs of populations; dashed, the closed form
(`ours/test-error-closed`). Below, the same less the line. Thin lines there are the formula for finite d, drawn where
its difference from the limit can be seen: it knows that fresh noise meets the learned signal, and not that d is below
n² at d = 10³.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import N_SAM, SAM, SGD, THEORY, TWO_PANELS, Style
from theory.chen2023.setting import scaled_spec
from theory.chen2023.sgd_boundary import LEVEL, critical_signal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

CASES: tuple[dict[str, Any], ...] = (
    {"n": 60, "m": 50, "P": 2, "sigma_p": 1.0, "c": 0.1},
    {"n": 40, "m": 20, "P": 3, "sigma_p": 0.5, "c": 4.0},
)
DIMENSIONS = (10**3, 10**4, 10**6, 10**9, 10**15)
FINITE = 2  # so many of them have a line of their own
PARAMETERS = tuple(np.geomspace(0.03, 30.0, 10))
GRID = tuple(np.geomspace(0.02, 45.0, 34))
SEEDS, REPLICAS = 16, 8
FLIPPED = 0.1  # exactly, at these n
STYLES = ((SGD, "o"), ("#E69F00", "D"), (N_SAM, "^"), (SAM, "s"), ("#CC79A7", "v"))


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return test errors, observed and predicted.

    "errors" (cases, parameters, dimensions, seeds); over GRID "curve" (cases, replicas, grid), "closed" (cases, grid)
    and "finite" (cases, FINITE, grid), the difference that finite d makes.
    """
    from theory.ours.averaged import effective_process
    from theory.ours.closed import predict

    specs = [
        scaled_spec(seed, mu=critical_signal(case["n"], case["P"], case["sigma_p"], d, q), d=d, **case)
        for case in CASES for q in PARAMETERS for d in DIMENSIONS for seed in range(SEEDS)
    ]  # fmt: skip
    results: list[Any] = runner.run(specs)
    errors = np.array([result.clean_error for result in results])
    curve, closed, finite = [], [], []
    for case in CASES:
        n, m, P, sigma_p, c = case.values()
        pairs = [effective_process(c, m, FLIPPED, draws=2, seed=2 * k) for k in range(REPLICAS)]
        curve.append([pair.clean_error(GRID) for pair in pairs])
        closed.append(predict(c, m, FLIPPED).clean_error(GRID))
        finite.append([
            [pairs[0].clean_error_at(n, d, P, critical_signal(n, P, sigma_p, d, q), sigma_p) for q in GRID]
            - curve[-1][0] for d in DIMENSIONS[:FINITE]
        ])  # fmt: skip
    errors = errors.reshape(len(CASES), len(PARAMETERS), len(DIMENSIONS), SEEDS)
    return {"errors": errors, "curve": np.array(curve), "closed": np.array(closed), "finite": np.array(finite)}


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    with plt.rc_context(TWO_PANELS):
        figure, axes = plt.subplots(2, 2, figsize=(6.8, 5.0), sharex=True, sharey="row", height_ratios=(1.8, 1.0))
        for k, (case, (above, below)) in enumerate(zip(CASES, axes.T, strict=True)):
            curve, closed = data["curve"][k], data["closed"][k]
            line, band = curve.mean(axis=0), 2.0 * curve.std(axis=0, ddof=1) / np.sqrt(len(curve))
            at_points = np.interp(np.log(PARAMETERS), np.log(GRID), line)
            for axis, less in ((above, 0.0), (below, line)):
                axis.plot(GRID, line - less, color=THEORY, lw=1.4, zorder=1, label="effective process")
                axis.plot(GRID, closed - less, color=THEORY, lw=1.1, ls="--", zorder=1, label="closed form")
                axis.fill_between(GRID, line - less - band, line - less + band, color=THEORY, alpha=0.3, lw=0)
            for j, (d, (colour, marker)) in enumerate(zip(DIMENSIONS, STYLES, strict=True)):
                errors = data["errors"][k, :, j]
                mean, bars = errors.mean(axis=1), 2.0 * errors.std(axis=1, ddof=1) / np.sqrt(errors.shape[1])
                style: Style = {"color": colour, "fmt": marker, "ms": 4.5, "mfc": "white", "lw": 0.8}
                label = rf"$d=10^{{{round(np.log10(d))}}}$"
                above.errorbar(PARAMETERS, mean, bars, label=label, **style)
                below.errorbar(PARAMETERS, mean - at_points, bars, **style)
                if j < FINITE:
                    below.plot(GRID, data["finite"][k, j], color=colour, lw=1.0, label=f"formula at {label}")
            above.axhline(LEVEL, color=THEORY, lw=0.6, ls=":")
            above.set_title("$n={n}$, $m={m}$, $P={P}$, $\\sigma_p={sigma_p:g}$, $c={c:g}$".format(**case))
            below.set(xscale="log", xlabel=r"$q=n\|\mu\|^4/((P-1)^4\sigma_p^4\,d)$", xlim=(GRID[0], GRID[-1]))
        axes[0, 0].set(ylabel="clean test error $e$")
        axes[1, 0].set(ylabel=r"$e-e(q)$", ylim=(-0.02, 0.08))
        title = "SGD's clean error is one curve of $q$ from $d=10^6$ to $10^{15}$, predicted and not fitted"
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        axes[0, 0].legend(handles[:2], labels[:2], loc="upper right")
        formulas = [found[2:] for found in axes[1, 0].get_legend_handles_labels()]
        axes[1, 0].legend(*formulas, loc="upper left", fontsize=8)
        figure.legend(handles[2:], labels[2:], loc="outside lower center", ncols=len(DIMENSIONS))
    return figure

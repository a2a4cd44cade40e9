"""Test error of SGD and of SAM then SGD over dimension and signal: the heat maps of Chen et al. 2023.

n = 20, m = 10, P = 2, p = 0.1, labels iid, eta = 0.01, full batch, to training loss 0.01 or 20,000 steps; errors
against observed labels, means over eight seeds, the same draws for every rule. SAM runs for 4m/(eta ‖mu‖² (1−2p)) steps
(kappa = 1), at the radius 0.03 and at the formula's, m√B/(C3 P sigma_p √d) with C3 = 1, and SGD after it. The contour
is at p + 0.1, the paper's border of benign overfitting; in dotted cells half of the runs or more did not reach the loss
in time and count with the errors they had.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from figures.style import BACKGROUND, THEORY, TWO_PANELS
from theory.chen2023.setting import sam_radius, sam_steps, scaled_spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.conv_run import ConvSpec
    from simulate.runner import Runner

DIMENSIONS = (1000, 2000, 4000, 6000, 8000, 10_000, 12_000, 14_000, 17_000, 20_000)
SIGNALS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0)
SEEDS = 8
INIT_STDS = (0.01, 0.001)
RADII = {
    "sgd": "SGD", "fixed": r"SAM then SGD, $\tau=0.03$",
    "formula": r"SAM then SGD, $\tau=m\sqrt{B}/(P\sigma_p\sqrt{d})$",
}  # fmt: skip
N, M, P, FLIP_RATE, STEP_SIZE = 20, 10, 2, 0.1, 0.01
BENIGN = FLIP_RATE + 0.1


def cell_spec(seed: int, d: int, mu: float, init_std: float, radius: str) -> "ConvSpec":
    """Return one run; `radius` one of RADII."""
    phase: dict[str, Any] = {}
    if radius != "sgd":
        tau = 0.03 if radius == "fixed" else sam_radius(M, N, P, 1.0, d, 1.0)
        phase = {"rule": "sam-then-sgd", "radius": tau, "sam_steps": sam_steps(1.0, M, STEP_SIZE, mu, FLIP_RATE)}
    spec: ConvSpec = scaled_spec(
        seed, N, d, M, P, mu, p=FLIP_RATE, labels="iid", init_std=init_std, step_size=STEP_SIZE, max_steps=20_000,
        **phase,
    )  # fmt: skip
    return spec


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return by "radius/sigma_0" the test errors (signals, dimensions, seeds), "…/stopped" who reached 0.01."""
    shape = len(SIGNALS), len(DIMENSIONS), SEEDS
    cells = [(radius, init_std) for radius in RADII for init_std in INIT_STDS]
    runs: list[Any] = runner.run([
        cell_spec(seed, d, mu, init_std, radius)
        for radius, init_std in cells for mu in SIGNALS for d in DIMENSIONS for seed in range(SEEDS)
    ])  # fmt: skip
    results = iter(runs)
    data = {}
    for radius, init_std in cells:
        group = [next(results) for _ in range(np.prod(shape))]
        data[f"{radius}/{init_std}"] = np.reshape([r.test_error for r in group], shape)
        data[f"{radius}/{init_std}/stopped"] = np.reshape([r.status == "stopped" for r in group], shape)
    return data


def edges(centres: ArrayLike) -> np.ndarray:
    """Return the borders of cells around values, halfway between neighbours in the logarithm."""
    logs = np.log(centres)
    middle = 0.5 * (logs[1:] + logs[:-1])
    return np.exp([2 * logs[0] - middle[0], *middle, 2 * logs[-1] - middle[-1]])


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    with plt.rc_context(TWO_PANELS):
        figure, axes = plt.subplots(2, 3, figsize=(8.0, 5.2), sharex=True, sharey=True)
        for row, init_std in zip(axes, INIT_STDS, strict=True):
            for axis, (radius, label) in zip(row, RADII.items(), strict=True):
                error = data[f"{radius}/{init_std}"].mean(axis=2)
                axis.grid(False)
                image = axis.pcolormesh(
                    edges(DIMENSIONS), edges(SIGNALS), error, cmap="cividis", vmin=FLIP_RATE, vmax=0.5, lw=0
                )
                axis.contour(DIMENSIONS, SIGNALS, error, [BENIGN], colors=[BACKGROUND], linewidths=3.0)
                axis.contour(DIMENSIONS, SIGNALS, error, [BENIGN], colors=[THEORY], linewidths=1.4)
                short = data[f"{radius}/{init_std}/stopped"].mean(axis=2) <= 0.5
                rows, columns = np.nonzero(short)
                axis.plot(np.array(DIMENSIONS)[columns], np.array(SIGNALS)[rows], ".", color=BACKGROUND, ms=2.5)
                axis.set(xscale="log", yscale="log")
                if init_std == INIT_STDS[0]:
                    axis.set_title(label)
            row[0].set_ylabel(rf"$\sigma_0={init_std:g}$" + "\n" + r"signal norm $\|\mu\|$ (units of $\sigma_p$)")
        for axis in axes[1]:
            axis.set_xlabel(r"dimension $d$ / 1000")
        axes[0, 0].set_yticks([1, 2, 3, 5, 10], ["1", "2", "3", "5", "10"])
        axes[0, 0].set_xticks([1000, 2000, 5000, 10_000, 20_000], ["1", "2", "5", "10", "20"])
        axes[0, 0].minorticks_off()
        bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, label="test error (observed labels)")
        bar.ax.axhline(BENIGN, color=THEORY, lw=1.4)
        title = "SAM generalises (dark) where SGD does not, if its radius suits the initial weights"
        figure.suptitle(title, x=0.01, ha="left")
    return figure

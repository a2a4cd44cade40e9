"""SAM's advantage in flatness grows with width.

Setting. One-hidden-layer ReLU networks on the line (`simulate/relu_regression.py`), n = 12 equally spaced points of a
noisy sine, normalised SAM with rho = 0.3, eta = 1/m. GD from the same weights is stopped at the very training loss at
which SAM ends, so that a worse fit does not pass for flatness.

Claim. lambda_max(∇²L) of GD over that of SAM grows with m, as a power of at least 1/4.

Why. The m neurons' gradients are of one size and add up in ∇²L, so lambda_max ∝ m at the start, and GD ends near there;
SAM keeps on drifting to where a perturbation of fixed length changes the loss little, whatever m is.

Source. Shin et al. 2025, experiments on the flatness of SAM's minima against width. Model, protocol and power are ours.
"""

from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.chen2023.setting import seeds
from theory.claim import Claim, Control, Kind, Samples
from theory.shin2025.overparameterisation import SOURCE
from theory.types import Runner, Settings

RELU = {"n": 12, "rho": 0.3, "m": 100}
QUICK = {"widths": (10, 30, 100), "steps": 70_000, "seeds": 32}
FULL = {"widths": (10, 30, 100, 300), "steps": 300_000, "seeds": 48}


def pairs(settings: Settings, runner: Runner, m: int) -> list[tuple[Any, Any]]:
    """Return the (GD, SAM) results of width m, one pair a seed, GD stopped at SAM's training loss."""
    from simulate.relu_regression import ReluSpec

    run = {"width": m, "step_size": 1.0 / m, "max_steps": settings["steps"]}
    sam = runner.run([ReluSpec(rule="sam", radius=RELU["rho"], seed=seed, **run) for seed in seeds(settings)])
    losses = [result.train_loss for result in sam]
    gd = runner.run([ReluSpec(stop_loss=L, seed=s, **run) for s, L in zip(seeds(settings), losses, strict=True)])
    return list(zip(gd, sam, strict=True))


def log_ratios(settings: Settings, runner: Runner, measure: str) -> tuple[FloatArray, int]:
    """Return log(GD's / SAM's) of a field of the results, (widths, seeds), and how many GD runs missed SAM's loss.

    A straight line, which a narrow network that learned nothing may be, has no kink and counts as having one.
    """
    least, rows, missed = 1.0 if measure == "kinks" else 0.0, [], 0

    def size(result: Any) -> float:
        return max(float(getattr(result, measure)), least)

    for m in settings["widths"]:
        results = pairs(settings, runner, m)
        rows.append([np.log(size(gd) / size(sam)) for gd, sam in results])
        missed += sum(gd.status != "stopped" for gd, _ in results)
    return np.array(rows), missed


def observe(settings: Settings, runner: Runner) -> Samples:
    """Exponent of GD's over SAM's measure in m, one a seed."""
    from theory.interval import slopes

    logs, missed = log_ratios(settings, runner, settings["measure"])
    means = dict(zip(settings["widths"], np.exp(logs.mean(axis=1)), strict=True))
    notes = {"GD/SAM": {f"m = {m}": float(ratio) for m, ratio in means.items()}, "GD above SAM's loss": missed}
    return Samples(slopes(np.array(settings["widths"], float), np.exp(logs)), {"notes": notes})


CLAIMS = (
    Claim(
        id="shin2025/flatness",
        title="SAM's advantage in flatness grows with width",
        statement="lambda_max of GD over that of SAM at equal training loss grows faster than m^(1/4)",
        formula=(
            r"\frac{\lambda_{\max}(\mathrm{GD})}{\lambda_{\max}(\mathrm{SAM})}\propto m^s \qquad \mathbb{E}\,s>\frac14"
        ),
        source=SOURCE,
        kind=Kind.ORDERING,
        hypotheses=(),
        parameters=RELU,
        observe=observe,
        predict=lambda samples: 0.25,
        tolerance=0.0,
        tolerance_reason="the power is in the claim",
        control=Control("faster than m^(5/4)", lambda samples: 1.25),
        quick={"measure": "sharpness", **QUICK},
        full={"measure": "sharpness", **FULL},
    ),
)

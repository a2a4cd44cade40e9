"""Sparse wide networks: SAM's gain at an equal number of weights.

Setting. As in `width`, at d = 2000 and ‖mu‖ = 2.2, mu with all coordinates alike. Each neuron keeps a random share
delta of its weights, the others being 0 for good; delta m is 5, so that every network has the same number of weights. A
neuron meets delta d coordinates and delta ‖mu‖² of signal: tau and the length of SAM's phase are those of such a patch.

Claims. (1) At delta ≤ 0.2 the gain e(GD) − e(SAM → GD) exceeds that of the dense network. (2) But not because SAM
generalises better there: its own error does not fall by 0.1, as the gain grows; GD's rises.

Source. Shin et al. 2025, experiments on sparsified networks, where SAM's gain grows with sparsity at equal numbers of
parameters. Tested in our model.
"""

from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.shin2025.overparameterisation import CONV, SOURCE, clean_errors
from theory.types import Runner, Settings

SPARSE = CONV | {"d": 2000, "mu": 2.2, "m": 50, "delta": 0.1}
WEIGHTS = 5  # delta m


def errors(settings: Settings, runner: Runner, rule: str) -> FloatArray:
    """Return clean errors by density, dense first, (1 + densities, seeds)."""
    run = {"mu": SPARSE["mu"], "d": SPARSE["d"]}
    return np.array([
        clean_errors(settings, runner, round(WEIGHTS / share), rule, density=share, **run)
        for share in (1.0, *settings["densities"])
    ])  # fmt: skip


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Gain of the sparse minus that of the dense network, paired by seed, at every density."""
    gain = errors(settings, runner, "sgd") - errors(settings, runner, "sam-then-sgd")
    return _differences(settings, gain)


def observe_error(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Error of the dense minus that of the sparse network under settings["rule"], times the sign, at every density."""
    return _differences(settings, -settings["sign"] * errors(settings, runner, settings["rule"]))


def _differences(settings: Settings, values: FloatArray) -> dict[str, Samples]:
    dense, sparse = values[0], zip(settings["densities"], values[1:], strict=True)
    return {f"delta = {share:g}": Samples(e - dense, {"first": e, "second": dense}) for share, e in sparse}


COMMON: dict[str, Any] = {
    "source": SOURCE,
    "kind": Kind.ORDERING,
    "hypotheses": (),
    "parameters": SPARSE,
    "tolerance": 0.0,
    "tolerance_reason": "the margin is in the claim",
}
QUICK = {"densities": (0.2,), "seeds": 32}
FULL = {"densities": (0.2, 0.1, 0.05), "seeds": 64}

CLAIMS = (
    Claim(
        id="shin2025/sparsity",
        title="Sparsity widens SAM's gain",
        statement="e(GD) − e(SAM → GD) at delta m = 5, delta = 0.2 (full: to 0.05), exceeds that at delta = 1",
        formula=r"\mathbb{E}[G(\delta)-G(1)]>0 \qquad \delta m=5 \qquad G=e(\mathrm{GD})-e(\mathrm{SAM}\to\mathrm{GD})",
        observe=observe,
        predict=lambda samples: 0.0,
        control=Control("by 0.3", lambda samples: 0.3),
        quick=QUICK,
        full=FULL,
        **COMMON,
    ),
    Claim(
        id="shin2025/sparsity-lowers-error",
        title="Because SAM generalises better on sparse networks",
        statement="the error of SAM → GD is lower there by 0.1 than on the dense network",
        formula=r"\mathbb{E}[e_{\delta=1}(\mathrm{SAM}\to\mathrm{GD})-e_\delta(\mathrm{SAM}\to\mathrm{GD})]>0.1",
        observe=observe_error,
        predict=lambda samples: 0.1,
        control=Control("by 0.25", lambda samples: 0.25),
        twin=Control("GD's is higher", lambda samples: 0.0, changes={"rule": "sgd", "sign": -1.0}),
        quick={"rule": "sam-then-sgd", "sign": 1.0, **QUICK},
        full={"rule": "sam-then-sgd", "sign": 1.0, **FULL},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
)

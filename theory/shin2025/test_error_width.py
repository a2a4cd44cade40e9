"""Width and test error: it falls as 1/m or faster, to a floor.

Setting. SAM's phase alone on the convolutional network of `width` (kappa = 1/2, tau ∝ m), before noise is fitted; the
error of fresh samples, its leading coordinate integrated exactly (`simulate.generalisation.smoothed_error`).

Claims. (1) Test error epsilon needs width ∝ 1/epsilon: the error, taken as it is, would fall as 1/m. It does not. (2)
It falls to a floor, and to that about as fast as 1/m or faster: differences e(m) − e(2m) have no floor, and where
e = e_∞ + c m^−s they fall as m^−s. (3) The floor is near Phi(−‖mu‖/((P−1) sigma_p)).

Why (3). With the noise turned off w_r ∝ J_r mu, so f < 0 on a sample of class +1 iff its noise patches outweigh the
signal, (P−1)⟨mu, xi⟩ < −‖mu‖². No width mends that.

Source. Shin et al. 2023, arXiv:2311.17539v3, Theorem 3 (two-layer ReLU networks: test error epsilon from width ∝
1/epsilon), whose data are others; tested in our model. Exponents and floor are ours.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.chen2023.setting import seeds
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.shin2025.overparameterisation import CONV, conv_spec
from theory.types import Runner, Settings


def floor(mu: float, P: int = 2, sigma_p: float = 1.0) -> float:
    """Return Phi(−z), z = ‖mu‖/((P−1) sigma_p), within 2 ulps of 1 + z² times itself."""
    return 0.5 * math.erfc(mu / ((P - 1) * sigma_p) / math.sqrt(2.0))


def errors(settings: Settings, runner: Runner, mu: float) -> FloatArray:
    """Return the clean errors at the end of SAM's phase, (widths, seeds)."""
    rows = []
    for m in settings["widths"]:
        whole = [conv_spec(seed, m, mu=mu, stop_loss=0.0, smoothed=True) for seed in seeds(settings)]
        phase = [replace(spec, rule="sam", max_steps=spec.sam_steps) for spec in whole]
        rows.append([result.clean_error for result in runner.run(phase)])
    return np.array(rows)


def observe_rate(settings: Settings, runner: Runner) -> Samples:
    """Return the error against m, or with settings["differences"] what it loses from each width to the next."""
    e, x = errors(settings, runner, settings["mu"]), np.array(settings["widths"], float)
    return Samples(e[:-1] - e[1:], {"x": x[:-1]}) if settings["differences"] else Samples(e, {"x": x})


def observe_exponents(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """s in e(m) − e(2m) ∝ m^−s, one a seed, for every ‖mu‖."""
    from theory.interval import slopes

    x, axes = np.array(settings["widths"][:-1], float), {}
    for mu in settings["signals"]:
        e = errors(settings, runner, mu)
        axes[f"mu = {mu:g}"] = Samples(-slopes(x, e[:-1] - e[1:]))
    return axes


def observe_floor(settings: Settings, runner: Runner) -> Samples:
    """Return the error at the first and last width."""
    mu, widths = settings["mu"], settings["widths"]
    e = errors({**settings, "widths": (widths[0], widths[-1])}, runner, mu)
    return Samples(e, {"x": np.array([widths[0], widths[-1]], float), "form": floor(mu), "two": floor(mu, 3)})


SOURCE = "Shin et al., arXiv:2311.17539v3, Theorem 3, tested in our model"
COMMON: dict[str, Any] = {"hypotheses": (), "parameters": CONV | {"mu": 2.0}}
QUICK = {"widths": (5, 10, 20, 40), "seeds": 24}
FULL = {"widths": (5, 10, 20, 40, 80), "seeds": 48}

CLAIMS = (
    Claim(
        id="shin2025/test-error-vanishes",
        title="The test error vanishes with width",
        statement="clean error after SAM's phase ∝ 1/m",
        formula=r"e\propto m^{-1}",
        source=SOURCE,
        kind=Kind.RATE,
        observe=observe_rate,
        predict=lambda samples: -1.0,
        tolerance=0.2,
        tolerance_reason="the next order in 1/m",
        control=Control("1/m²", lambda samples: -2.0),
        twin=Control("without its floor, e(m) − e(2m), on the same runs", changes={"differences": True}),
        quick={"mu": 2.0, "differences": False, **QUICK},
        full={"mu": 2.0, "differences": False, **FULL},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
    Claim(
        id="shin2025/test-error-width",
        title="Above its floor the test error falls about as fast as 1/m, or faster",
        statement="e(m) − e(2m) ∝ m^−s with s > 0.9 at ‖mu‖ = 2 and 3",
        formula=r"e(m)-e(2m)\propto m^{-s} \qquad \mathbb{E}\,s>0.9",
        source=SOURCE,
        kind=Kind.ORDERING,
        observe=observe_exponents,
        predict=lambda samples: 0.9,
        tolerance=0.0,
        tolerance_reason="the exponent is in the claim",
        control=Control("s > 3/2", lambda samples: 1.5),
        quick={"signals": (2.0, 3.0), **QUICK},
        full={"signals": (2.0, 3.0), **FULL},
        ours=True,
        **COMMON,
    ),
    Claim(
        id="shin2025/test-error-floor",
        title="The floor of the test error is the signal's own",
        statement="e → Phi(−‖mu‖/((P−1) sigma_p)) as m → ∞, nearly",
        formula=r"e\to\Phi\left(-\frac{\lVert\mu\rVert}{(P-1)\sigma_p}\right) \qquad m\to\infty",
        source="derived here (this file)",
        kind=Kind.LIMIT,
        observe=observe_floor,
        predict=lambda samples: samples.given["form"],
        tolerance=0.05,
        tolerance_reason="what SAM's phase leaves in W besides the signal",
        control=Control("P = 3", lambda samples: samples.given["two"]),
        quick={"mu": 2.0, **QUICK},
        full={"mu": 2.0, **FULL},
        ours=True,
        **COMMON,
    ),
)

"""SAM then SGD's boundary does not move with d.

Setting. SAM (C3 = 1, kappa = 1/2), then SGD to training loss 0.01; sigma_0 = 0.5/√d, eta = n m/((P−1)² sigma_p² d).

Claim. SAM then SGD overfits benignly iff ‖mu‖ ≥ C (P−1) sigma_p, whatever d is, where SGD needs ‖mu‖ ∝ d^(1/4).

Ours. A network that has learned mu alone errs where a fresh noise vector flips the sign of the signal, with probability
Phi(−‖mu‖/((P−1) sigma_p)). What else it has learned of the noise only adds to that: the critical ‖mu‖ at error 1/8 lies
above Phi⁻¹(7/8) (P−1) sigma_p, and near it if SAM works.

The initial weights. sigma_0 is larger here than the theorem's condition allows (its margin is printed), and on
purpose: with sigma_0 ∝ 1/d the learned signal, met through ⟨mu, xi_k⟩, outweighs the initial weights as d grows, and
samples lose all their own-class neurons, which SGD then fits very slowly or not at all (`sam_then_sgd`). A run that
has not reached its loss after SGD's 20000 steps counts with the error it has; medians over seeds forgive a few.

Source. Chen et al. 2023, Theorem 4.1 (SAM).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from theory.chen2023.setting import CONDITION, NOMINAL, sam_radius, sam_steps, scaled_spec
from theory.chen2023.sgd_boundary import LEVEL, observe_boundary
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.conv_run import ConvSpec

E0, SGD_STEPS = 1.0, 20_000


def sam_floor(level: Numbers, P: Numbers = 2, sigma_p: Numbers = 1.0) -> Any:
    """Return the ‖mu‖ with Phi(−‖mu‖/((P−1) sigma_p)) = level, critical for a network that has learned mu alone.

    It is within 4 ulps, of (P−1) sigma_p where it is less than that, for levels from 1e-300 up to ½.
    """
    from scipy.special import ndtri

    return -ndtri(level) * (P - 1) * sigma_p


def boundary_spec(seed: int, mu: float, d: float, rule: str = "sam-then-sgd", n: int = 20) -> "ConvSpec":
    """Return one run at the setting above; SAM's phase grows with d, SGD's after it is given 20000 steps."""
    m, P, p = 10, 2, 0.1
    eta = E0 * n * m / d
    first = sam_steps(0.5, m, eta, mu, p) if rule != "sgd" else 0
    return scaled_spec(
        seed, n, d, m, P, mu, e0=E0, init_std=0.5 / np.sqrt(d), rule=rule, sam_steps=first,
        radius=sam_radius(m, n, P, 1.0, d, 1.0) if rule != "sgd" else 0.0, max_steps=first + SGD_STEPS,
    )  # fmt: skip


def observe(settings: Settings, runner: Runner) -> Samples:
    """Critical ‖mu‖ along d, the median over each group's seeds being held at the level."""
    points = [{"d": d, "rule": settings.get("rule", "sam-then-sgd")} for d in settings["d"]]
    bracket = settings.get("bracket", (0.8, 3.2))
    observed = observe_boundary(points, settings, runner, bracket, np.median, boundary_spec)
    return Samples(observed, {"x": np.array(settings["d"], float)})


SOURCE = "Chen et al. 2023, Theorem 4.1 (SAM)"
PARAMETERS = NOMINAL | {
    "mu": 1.5, "d": 10**5, "sigma_0": lambda a: 0.5 / np.sqrt(a["d"]), "eta": lambda a: E0 * a["n"] * a["m"] / a["d"],
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "quick": {"d": (10**3, 10**4, 10**5), "groups": 12, "seeds": 5},
    "full": {"d": (10**3, 10**4, 10**5, 10**6), "groups": 24, "seeds": 9},
}

CLAIMS = (
    Claim(
        id="chen2023/sam-boundary",
        title="SAM's critical signal does not grow with d",
        statement="benign iff ‖mu‖ ≥ C (P−1) sigma_p, hence ‖mu‖_c ∝ d⁰ (sigma_0 = 0.5/√d, beyond Condition 3.1)",
        formula=r"\lVert\mu\rVert_c\propto d^0",
        source=SOURCE,
        kind=Kind.PHASE_BOUNDARY,
        hypotheses=CONDITION,
        parameters=PARAMETERS,
        observe=observe,
        predict=lambda samples: 0.0,
        tolerance=0.08,
        tolerance_reason="finite d at the low end, where ‖mu‖_c approaches its floor from above",
        control=Control(
            "SGD on the same draws: ‖mu‖_c grows", changes={"rule": "sgd", "bracket": (1.0, 100.0)}
        ),
        **SETTINGS,
    ),
    Claim(
        id="chen2023/sam-boundary-floor",
        title="SAM's critical signal lies above the floor",
        statement="‖mu‖_c ≥ Phi⁻¹(7/8) (P−1) sigma_p at every d, the critical signal of a network that knows mu alone",
        formula=r"\lVert\mu\rVert_c\ge\Phi^{-1}\left(\frac78\right)(P-1)\sigma_p",
        source="derived here (this file); " + SOURCE,
        kind=Kind.LOWER_BOUND,
        hypotheses=CONDITION,
        parameters=PARAMETERS,
        observe=observe,
        predict=lambda samples: np.full(len(samples.observed), sam_floor(LEVEL)),
        tolerance=0.0,
        tolerance_reason="the floor is to hold at every size",
        control=Control("a floor twice as high", lambda samples: np.full(len(samples.observed), 2 * sam_floor(LEVEL))),
        ours=True,
        **SETTINGS,
    ),
)

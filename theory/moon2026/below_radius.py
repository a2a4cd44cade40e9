"""What starts below the radius of ℓ∞-SAM is switched off, or stops at the radius, as the depth is even or odd.

Setting. `setting`: depth L, one sample, ℓ∞-SAM's flow.

Claims. (1) If alpha_j < rho for every j, beta_j → 0 (L even) and beta_j → rho^L (L odd). (2) At depth L ≥ 3 that is
false beside a coordinate that starts above rho: it diverges before the others get there, and they end, as `winner` has
it, at

    w_j = rho + v_j (1 − mu_j v_j^(L−2)/max_k mu_k (alpha_k − rho)₊^(L−2))^(−1/(L−2)),   v_j = alpha_j − rho,

or at 0 where L is even and this is negative.

Why. The perturbed weight is w_j − rho, and the flow w_j' = c mu_j (w_j − rho)^(L−1), c > 0: with an odd power it falls
to 0, where the gradient vanishes, with an even one it rises to rho, where the perturbed gradient does.

Source. Moon, Si & Yun 2026; what ends it beside a winner is ours.
"""

from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.moon2026.setting import ABOVE, BELOW, DEEP, draws, run
from theory.moon2026.winner import final
from theory.types import Runner, Settings


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """beta_j/rho^L at the end, (problems, coordinates), one axis a depth; all coordinates, or all but one above rho."""
    axes = {}
    for depth, mu, alpha, rho in draws(settings):
        beta = (run(settings, depth, mu, alpha, rho) / rho[:, None]) ** depth
        given = {"depth": depth, "mu": mu, "alpha": alpha, "rho": rho}
        axes[f"L = {depth}"] = Samples(beta[:, 1:] if settings["above"] else beta, given)
    return axes


def parity(samples: Samples) -> FloatArray:
    """Return beta_j/rho^L: 0 at even depths, 1 at odd ones."""
    return np.full(samples.observed.shape, samples.given["depth"] % 2)


def beside(samples: Samples) -> Any:
    """Return beta_j/rho^L beside a winner, the first coordinate."""
    depth, mu, alpha, rho = (samples.given[name] for name in ("depth", "mu", "alpha", "rho"))
    return ((final(depth, mu, alpha, rho) / rho[:, None]) ** depth)[:, 1:]


COMMON: dict[str, Any] = {
    "kind": Kind.IDENTITY, "observe": observe, "predict": parity,
    "formula": r"\beta_j\to0\ (L\text{ even}) \qquad \beta_j\to\rho^L\ (L\text{ odd})",
}  # fmt: skip
RUNS = {"above": False, "ratios": (0.1, 0.8), "depths": (2, 3, 4), "steps": 2500, "share": 0.05}
BESIDE = RUNS | {"above": True, "ratios": (0.1, 0.9), "depths": (3, 4, 5), "steps": 2000, "share": 0.1}

CLAIMS = (
    Claim(
        id="moon2026/below-radius",
        title="What starts below ℓ∞-SAM's radius ends at 0 or at the radius, by the depth's parity",
        statement="if alpha_j < rho for every j, beta_j → 0 at even depth L and rho^L at odd depth",
        source="Moon, Si & Yun 2026",
        hypotheses=(BELOW,),
        parameters={"depth": 3, "alpha/rho": 0.5},
        tolerance=0.01,
        tolerance_reason="steps overshoot 0, by share/(L − 1) of rho",
        control=Control("the other parity", lambda samples: 1.0 - parity(samples)),
        quick=RUNS | {"problems": 20},
        full=RUNS | {"depths": (2, 3, 4, 5), "problems": 200, "steps": 5000},
        **COMMON,
    ),
    Claim(
        id="moon2026/below-radius-beside",
        title="So does it beside a coordinate that starts above the radius",
        statement="wherever alpha_j < rho, beta_j → 0 at even depth L and rho^L at odd depth, L ≥ 3",
        source="the form above without its condition; its failure is derived here (this file)",
        hypotheses=(ABOVE, DEEP),
        parameters={"depth": 3, "alpha/rho": 1.5},
        tolerance=1e-5,
        tolerance_reason="the integrator's steps, and a first that is 10⁹ rho and not ∞",
        twin=Control("where the divergence of the first leaves it", beside),
        control=Control(
            "where it starts",
            lambda samples: ((samples.given["alpha"] / samples.given["rho"][:, None]) ** samples.given["depth"])[:, 1:],
        ),
        quick=BESIDE | {"problems": 20},
        full=BESIDE | {"depths": (3, 4, 5, 6), "problems": 200},
        expected=Outcome.VIOLATED,
        ours=True,
        **COMMON,
    ),
)

"""Which coordinate ℓ∞-SAM's flow chooses, and where it leaves the others.

Setting. `setting`: depth L ≥ 3, one sample, ℓ∞-SAM's flow; some coordinate starts above rho.

Claims. (1) beta/‖beta‖₁ → e_k, k = argmax mu_j (alpha_j − rho)^(L−2) over alpha_j > rho. (2) Every coordinate ends
where

    ((w_j − rho)/(alpha_j − rho))^(2−L) = 1 − mu_j (alpha_j − rho)^(L−2)/max_k mu_k (alpha_k − rho)₊^(L−2),

those below rho included, but at 0 where L is even and w_j would be negative.

Why. v_j = w_j − rho obeys v_j' = c mu_j v_j^(L−1) with one clock c > 0 for all, until a w_j comes to 0. So v_j^(2−L)
falls at the rate (L−2) mu_j in that clock's time, and the first to reach 0, at the time
1/((L−2) max_k mu_k (alpha_k − rho)₊^(L−2)), diverges and stops the clock: the loss is 0 there.

Source. Moon, Si & Yun 2026, for (1); (2) is ours.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Kind, Prediction, Samples
from theory.domain import Choice, Domain, Range
from theory.moon2026.setting import ABOVE, DEEP, draws, run
from theory.types import Runner, Settings


def score(depth: int, mu: FloatArray, excess: FloatArray) -> FloatArray:
    """Return mu_j v_j^(L−2), v_j = alpha_j − rho of either sign."""
    return mu * excess ** (depth - 2)


def winner(depth: int, mu: FloatArray, alpha: FloatArray, rho: FloatArray) -> FloatArray:
    """Return e_k (B, d), k = argmax mu_j (alpha_j − rho)₊^(L−2)."""
    scores = score(depth, mu, np.maximum(alpha - rho[..., None], 0.0))
    return np.asarray(scores == scores.max(axis=-1, keepdims=True), float)


def end(depth: int, mu: FloatArray, alpha: FloatArray, rho: FloatArray) -> FloatArray:
    """Return (v_j/v_j0)^(2−L) (B, d) at the end; 1 where no coordinate starts above rho."""
    excess = alpha - rho[..., None]
    best = score(depth, mu, np.maximum(excess, 0.0)).max(axis=-1, keepdims=True)
    power = 1.0 - score(depth, mu, excess) / np.where(best > 0.0, best, np.inf)
    if depth % 2 == 0:  # w_j = 0 is v_j = −rho
        return np.where(excess < 0.0, np.maximum(power, (-excess / rho[..., None]) ** (depth - 2)), power)
    return power


def final(depth: int, mu: FloatArray, alpha: FloatArray, rho: FloatArray) -> FloatArray:
    """Return w_j (B, d) at the end; ∞ for the winner."""
    with np.errstate(divide="ignore"):
        growth = end(depth, mu, alpha, rho) ** (-1.0 / (depth - 2.0))
    return rho[..., None] + (alpha - rho[..., None]) * growth


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """beta/‖beta‖₁ and (v_j/v_j0)^(2−L), (problems, coordinates) each, one axis a depth."""
    axes = {}
    for depth, mu, alpha, rho in draws(settings):
        w = run(settings, depth, mu, alpha, rho)
        given = {"depth": depth, "mu": mu, "alpha": alpha, "rho": rho}
        if settings["ends"]:
            observed = ((w - rho[:, None]) / (alpha - rho[:, None])) ** (2.0 - depth)
        else:
            beta = w**depth
            observed = beta / np.abs(beta).sum(axis=1, keepdims=True)
        axes[f"L = {depth}"] = Samples(observed, given)
    return axes


def on(form: Callable[[int, FloatArray, FloatArray, FloatArray], FloatArray]) -> Prediction:
    """Return the prediction of a form of (L, mu, alpha, rho)."""
    return lambda samples: form(*(samples.given[name] for name in ("depth", "mu", "alpha", "rho")))


DOMAIN = Domain(
    {
        "depth": Choice((3, 4, 5)),
        "mu": Range(0.6, 1.6, 1.0, size=4),
        "alpha/rho": Range(0.1, 2.0, 0.5, size=4),
        "rho": Range(0.1, 3.0, 1.0, log=True),
    },
    budget=60,
)
COMMON: dict[str, Any] = {
    "kind": Kind.IDENTITY, "observe": observe, "hypotheses": (ABOVE, DEEP),
    "parameters": {"depth": 3, "alpha/rho": 1.5},
}  # fmt: skip
RUNS = {"above": True, "ratios": (0.1, 2.5), "depths": (3, 4, 5), "steps": 2000, "share": 0.1}

CLAIMS = (
    Claim(
        id="moon2026/winner",
        title="ℓ∞-SAM's flow ends at one coordinate, chosen by what it exceeds the radius by",
        statement="beta/‖beta‖₁ → e_k, k = argmax mu_j (alpha_j − rho)^(L−2) over alpha_j > rho, depth L ≥ 3",
        formula=(
            r"\frac{\beta}{\lVert\beta\rVert_1}\to e_k \qquad "
            r"k=\operatorname{argmax}_{\alpha_j>\rho}\mu_j(\alpha_j-\rho)^{L-2}"
        ),
        source="Moon, Si & Yun 2026",
        predict=on(winner),
        tolerance=0.01,
        tolerance_reason="the second of two that are nearly as good, when the first is 10⁹ rho",
        control=Control("gradient flow's, at rho = 0", on(lambda L, mu, alpha, rho: winner(L, mu, alpha, 0.0 * rho))),
        quick=RUNS | {"ends": False, "problems": 120},
        full=RUNS | {"ends": False, "problems": 400, "depths": (3, 4, 5, 6)},
        **COMMON,
    ),
    Claim(
        id="moon2026/ends",
        title="Where ℓ∞-SAM's flow leaves every coordinate",
        statement="(v/v_0)^(2−L) → 1 − mu_j v_j0^(L−2)/max_k mu_k (v_k0)₊^(L−2), v = w − rho, or w_j → 0; depth L ≥ 3",
        formula=(
            r"\left(\frac{w_j-\rho}{\alpha_j-\rho}\right)^{2-L}\to"
            r"1-\frac{\mu_j(\alpha_j-\rho)^{L-2}}{\max_k\mu_k(\alpha_k-\rho)_+^{L-2}}"
        ),
        source="derived here (this file)",
        predict=on(end),
        tolerance=1e-5,
        tolerance_reason="the integrator's steps, and a first that is 10⁹ rho and not ∞",
        control=Control(
            "without the perturbation's sign: all as if above rho",
            on(lambda L, mu, alpha, rho: end(L, mu, rho[:, None] + np.abs(alpha - rho[:, None]), rho)),
        ),
        quick=RUNS | {"ends": True, "problems": 40},
        full=RUNS | {"ends": True, "problems": 400, "depths": (3, 4, 5, 6)},
        domain=DOMAIN,
        ours=True,
        **COMMON,
    ),
)

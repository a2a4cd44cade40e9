"""Which interpolator gradient flow finds.

Setting. beta = w₊² − w₋², gradient flow on L from w₊ = w₋ = alpha, y in the range of X.

Claim. The flow converges to argmin phi_alpha(beta) subject to X beta = y: between the least ℓ1 norm (alpha → 0) and
the least ℓ2 norm (alpha → ∞).

Formula. phi_alpha(beta) = Σ alpha² q(beta/alpha²), q(z) = 2 − √(4 + z²) + z arcsinh(z/2); see `potential`.

Source. Woodworth et al. 2020, Theorem 1; Andriushchenko & Flammarion 2022, Section 4.1, where it is the yardstick.
"""

import numpy as np

from simulate.types import FloatArray
from theory.andriushchenko2022.setting import FLOWS, NOMINAL, REALISABLE, limits, minimisers, random_flows
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Runner, Settings


def observe(settings: Settings, runner: Runner) -> Samples:
    """Limits of gradient flow on random problems, (problems, d)."""
    flows = random_flows(settings, rule="gradient-flow", block=None)
    results, specs, X, y = limits(flows, runner)
    alpha = np.array([spec.alpha for spec in specs])
    notes = {"flows": len(flows), "with a limit": len(results)}
    return Samples(np.stack([r.beta for r in results]), {"X": X, "y": y, "log_alpha": np.log(alpha), "notes": notes})


def predict(samples: Samples) -> FloatArray:
    """Return the potential's minimisers."""
    return minimisers(samples.given["X"], samples.given["y"], samples.given["log_alpha"])


def least_norm(samples: Samples) -> FloatArray:
    """Return the interpolators of least ℓ2 norm."""
    pairs = zip(samples.given["X"], samples.given["y"], strict=True)
    return np.stack([np.linalg.lstsq(X, y, rcond=None)[0] for X, y in pairs])


CLAIMS = (
    Claim(
        id="andriushchenko2022/gradient-flow-bias",
        title="Gradient flow finds the potential's minimiser",
        statement="lim beta(t) = argmin phi_alpha(beta) s.t. X beta = y",
        formula=(
            r"\lim_{t\to\infty}\beta(t)=\operatorname{arg}\min_{X\beta=y}\phi_\alpha(\beta) \qquad "
            r"\phi_\alpha(\beta)=\sum_j\alpha^2q(\beta_j/\alpha^2) \qquad "
            r"q(z)=2-\sqrt{4+z^2}+z\,\operatorname{arcsinh}(z/2)"
        ),
        source="Woodworth et al. 2020, Theorem 1; Andriushchenko & Flammarion 2022, Section 4.1",
        kind=Kind.IDENTITY,
        hypotheses=(REALISABLE,),
        parameters=NOMINAL,
        observe=observe,
        predict=predict,
        tolerance=1e-9,
        tolerance_reason="the flow is stopped at a relative residual of 1e-11",
        control=Control("the interpolator of least ℓ2 norm", least_norm),
        quick={"n": 10, "d": 15, "blocks": ("n",), "seeds": 40},
        full={"n": 20, "d": 30, "blocks": ("n",), "seeds": 200},
        domain=FLOWS,
    ),
)

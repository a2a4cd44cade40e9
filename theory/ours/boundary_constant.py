"""The constant of SGD's boundary, at finite n and m, with nothing observed.

Setting. SGD to training loss 0.05, balanced labels, d → ∞; sigma_0 and eta as in `test_error_curve`.

Claim. ‖mu_c‖ → (q_c d/n)^(1/4) (P − 1) sigma_p with q_c that of the limit system at n samples and width m, where no
data are drawn: `chen2023/sgd-boundary-constant` reads the neurons' correlation off the trained networks, here it is
predicted.

Source. derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD). Derivation: docs/asymptotics.md.
"""

from typing import Any

import numpy as np

from theory.chen2023.setting import CONDITION, NOMINAL
from theory.chen2023.sgd_boundary import LEVEL, critical_signal, observe_boundary
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Runner, Settings

N, M, P_FLIP, EPS, C = 20, 20, 0.1, 0.05, 0.1


def observe(settings: Settings, runner: Runner) -> Samples:
    """Return ‖mu_c‖ (n/d)^(1/4) towards large d, (points, groups)."""
    points = [{"d": d, "m": M, "stop_loss": EPS} for d in settings["d"]]
    form = np.array([critical_signal(N, 2, 1.0, d) for d in settings["d"]])
    critical = observe_boundary(points, settings, runner, np.outer(form, (0.5, 2.0)))
    return Samples(critical / form[:, None])


def predict(samples: Samples) -> Any:
    """Return q_c^(1/4) of the limit system."""
    from theory.ours.averaged import limit_system

    return limit_system(N, C, M, P_FLIP, EPS, draws=256).critical_q(LEVEL) ** 0.25


def predict_half(samples: Samples) -> Any:
    """Return the closed form's q_c^(1/4) with a = ½."""
    from theory.ours.closed import predict as closed

    return closed(C, M, P_FLIP, EPS, active=lambda sigma: 0.5).critical_q(LEVEL) ** 0.25


CLAIMS = (
    Claim(
        id="ours/boundary-constant",
        title="The constant of SGD's boundary, predicted",
        statement="‖mu_c‖ (n/d)^(1/4) / ((P−1) sigma_p) → q_c^(1/4), q_c that of the limit system, as d → ∞",
        formula=r"\frac{\lVert\mu_c\rVert(n/d)^{1/4}}{(P-1)\sigma_p}\to q_c^{1/4} \qquad d\to\infty",
        source="derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD)",
        kind=Kind.LIMIT,
        hypotheses=CONDITION,
        parameters=NOMINAL | {"m": M, "mu": float(critical_signal(N, 2, 1.0, 10**6))},
        observe=observe,
        predict=predict,
        tolerance=0.03,
        tolerance_reason="the mean over draws of the responses' covariances at n = 20 in place of each draw's own",
        control=Control("a = ½: no neuron newly switched on", predict_half),
        quick={"d": (10**5, 10**9), "groups": 48, "seeds": 3},
        full={"d": (10**5, 10**7, 10**9, 10**11), "groups": 64, "seeds": 8},
        ours=True,
    ),
)

"""The clean error of SGD as a function of q, with its constant and without d.

Setting. SGD to training loss eps, balanced labels; sigma_0 = c √n/((P − 1) sigma_p d) and
eta = 0.1 n m/((P − 1)² sigma_p² d), d → ∞ at q = n ‖mu‖⁴/((P − 1)⁴ sigma_p⁴ d).

Claim. The clean error tends to e(q) of the effective process, for n → ∞ too: a curve without a free parameter, the same
for every d, n, P, sigma_p and ‖mu‖ of one q; beside q only c, m, p and the training loss enter. The closed form, which
takes all samples to be alike, is near it.

Where it ends. At e0 = 10 the loss is reached in two steps, and what other-class neurons get in the one step that they
are on is no longer small. The limit system still holds there, the effective process does not.

Source. derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD). Derivation: docs/asymptotics.md.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.chen2023.setting import CONDITION, NOMINAL, resulting_flip_rate, scaled_spec, seeds
from theory.chen2023.sgd_boundary import critical_signal
from theory.claim import Claim, Control, Kind, Outcome, Prediction, Samples
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from theory.ours.asymptotics import Asymptotics


def observe(settings: Settings, runner: Runner) -> Samples:
    """Signed deviations of clean errors from a prediction, at every q and shape (d, P, sigma_p): (2 · points, seeds).

    settings["level"] names the prediction (see `prediction`), settings["power"] the power of P − 1 in q.
    """
    n, m, c, eps = (settings[name] for name in ("n", "m", "c", "eps"))
    points = [(q, *shape) for q in settings["q"] for shape in settings["shapes"]]
    specs = [
        scaled_spec(
            seed, n, d, m, P, critical_signal(n, 2, sigma_p, d, q) * (P - 1) ** (settings["power"] / 4), sigma_p,
            c=c, e0=settings["e0"], stop_loss=eps,
        )
        for q, d, P, sigma_p in points for seed in seeds(settings)
    ]  # fmt: skip
    errors = np.reshape([result.clean_error for result in runner.run(specs)], (len(points), -1))
    data: Any = specs[0].data
    p = resulting_flip_rate(data)
    predicted = prediction(settings["level"], n, c, m, p, eps, settings["e0"])
    deviation = errors - predicted.clean_error([q for q, *_ in points])[:, None]
    return Samples(np.concatenate([deviation, -deviation]), {"trivial": 0.5})


@cache
def prediction(level: str, n: int, c: float, m: int, p: float, eps: float, e0: float) -> "Asymptotics":
    """Return the asymptotics of a level: limit, effective, closed, or half, the closed form with a = ½."""
    from theory.ours.averaged import effective_process, limit_system
    from theory.ours.closed import predict

    if level == "limit":
        return limit_system(n, c, m, p, eps, e0, draws=128)
    if level == "effective":
        return effective_process(c, m, p, eps, e0, samples=500)
    return predict(c, m, p, eps, e0) if level == "closed" else predict(c, m, p, eps, e0, active=lambda sigma: 0.5)


def within(allowance: float) -> Prediction:
    """Return the bound: no deviation beyond `allowance`."""
    return lambda samples: np.full(len(samples.observed), allowance)


SHAPES = ((10**6, 2, 1.0), (10**9, 3, 0.5))
SETTING = {"n": 40, "m": 20, "c": 0.1, "power": 4, "e0": 0.1}
QUICK = {"q": (0.5, 2.0), "shapes": SHAPES, "eps": 0.05, "seeds": 24, **SETTING}
FULL = {"q": (0.1, 0.3, 1.0, 3.0, 10.0), "shapes": (*SHAPES, (10**11, 5, 2.0)), "eps": 0.01, "seeds": 64, **SETTING}
COMMON: dict[str, Any] = {
    "source": "derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD)",
    "kind": Kind.UPPER_BOUND,
    "hypotheses": CONDITION,
    "parameters": NOMINAL | {"n": 40, "m": 20, "mu": float(critical_signal(40, 2, 1.0, 10**6))},
    "observe": observe,
    "tolerance": 0.0,
    "tolerance_reason": "the allowance for finite n and d is in the bound",
    "ours": True,
}

CLAIMS = (
    Claim(
        id="ours/test-error",
        title="SGD's clean error is one curve of q, without d and without a free parameter",
        statement="|e − e(q)| ≤ 0.03, e(q) that of the effective process, at d from 10⁶ on, any P and sigma_p",
        formula=r"|e-e(q)|\le0.03 \qquad q=\frac{n\lVert\mu\rVert^4}{(P-1)^4\sigma_p^4d}",
        predict=within(0.03),
        control=Control("q with (P−1)² in place of (P−1)⁴", changes={"power": 2}),
        quick={"level": "effective", **QUICK},
        full={"level": "effective", **FULL},
        **COMMON,
    ),
    Claim(
        id="ours/test-error-closed",
        title="The closed form of SGD's clean error",
        statement="|e − e(q)| ≤ 0.03, e(q) that of the closed form with active fraction a(S/c)",
        formula=(
            r"|e-e(q)|\le0.03 \qquad K_d=c^2+I,\ K_o=\frac{x^2/2-I/m}{1-1/m} \qquad "
            r"x=\int a\,dS,\ I=\int a(u)(S-u)\,du"
        ),
        predict=within(0.03),
        control=Control("a = ½: no neuron newly switched on", changes={"level": "half"}),
        quick={"level": "closed", **QUICK},
        full={"level": "closed", **FULL},
        **COMMON,
    ),
    Claim(
        id="ours/test-error-large-steps",
        title="The same curve at a hundred times the step size",
        statement="|e − e(q)| ≤ 0.02 at e0 = 10, e(q) that of the effective process",
        formula=r"|e-e(q)|\le0.02 \qquad e_0=\frac{(P-1)^2\sigma_p^2d\,\eta}{nm}=10",
        predict=within(0.02),
        control=Control("a = ½: no neuron newly switched on, at e0 = 0.1", changes={"level": "half", "e0": 0.1}),
        twin=Control("the limit system, on the same runs", changes={"level": "limit"}),
        quick={"level": "effective", **QUICK, "e0": 10.0},
        full={"level": "effective", **FULL, "eps": 0.05, "e0": 10.0},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
)

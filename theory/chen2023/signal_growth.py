"""How the signal grows under SAM, once the noise is silent.

Setting. SAM's phase, balanced labels, d → ∞; √d steps: the noise has fallen silent, the signal is still small.

Claim. The mean signal coefficient grows by eta (1 − 2p) ‖mu‖²/(4m) a step: each neuron is on for one
sign of ŷ, n/2 samples, whose loss slopes are ½; clean ones add theirs, flipped ones take it away.

The first steps are faster. Turned against the labels, the perturbation pushes the active neurons of the other class
up by √m/(C3 P) on every noise vector, whatever d is, and lifts the slopes to sigmoid(√m (P−1)/(2 C3 P)) until
those neurons have been unlearned. The mean over √d steps forgets it.

Source. Chen et al. 2023, the signal-learning phase in the proof of Theorem 4.1; the constant is worked out here.
"""

from typing import Any

import numpy as np

from theory.chen2023.setting import CONDITION, NOMINAL, sam_radius, scaled_spec, seeds
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Numbers, Runner, Settings


def growth_per_step(eta: Numbers, p: Numbers, mu: Numbers, m: Numbers) -> Any:
    """Return eta (1 − 2p) ‖mu‖²/(4m)."""
    return eta * (1.0 - 2.0 * p) * mu**2 / (4.0 * m)


def observe(settings: Settings, runner: Runner) -> Samples:
    """Growth of the mean gamma per step over its predicted value, towards large d: (d, seeds)."""
    n, m, mu = 20, 10, 3.0
    specs = [
        scaled_spec(
            seed, n, d, m, 2, mu, init_std=0.14 / np.sqrt(d), rule="sam", radius=sam_radius(m, n, 2, 1.0, d, 1.0),
            max_steps=round(np.sqrt(d)),
        )
        for d in settings["d"] for seed in seeds(settings)
    ]  # fmt: skip
    pairs = zip(specs, runner.run(specs), strict=True)
    growth = [result.gamma.mean() / (result.steps * spec.step_size) for spec, result in pairs]
    return Samples(np.reshape(growth, (len(settings["d"]), -1)), {"p": 0.1, "mu": mu, "m": m})


def predict(samples: Samples, p: float | None = None) -> Any:
    """Return the growth per unit of step size at the given flip rate."""
    given = samples.given
    return growth_per_step(1.0, given["p"] if p is None else p, given["mu"], given["m"])


CLAIMS = (
    Claim(
        id="chen2023/signal-growth",
        title="Growth of the signal at the start of SAM",
        statement="gamma grows by eta (1−2p) ‖mu‖²/(4m) a step over √d steps as d → ∞",
        formula=r"\frac{\gamma(t)}{t}\to\frac{\eta(1-2p)\lVert\mu\rVert^2}{4m} \qquad t=\sqrt d,\ d\to\infty",
        source="Chen et al. 2023, proof of Theorem 4.1; constant worked out here",
        kind=Kind.LIMIT,
        hypotheses=CONDITION,
        parameters=NOMINAL | {"mu": 3.0, "sigma_0": 0.14e-3},
        observe=observe,
        predict=predict,
        tolerance=0.01,
        tolerance_reason="the first steps' larger slopes, shared out over √d steps",
        control=Control("flips not counted: eta ‖mu‖²/(4m)", lambda samples: predict(samples, 0.0)),
        quick={"d": (10**4, 10**6, 10**8), "seeds": 24},
        full={"d": (10**4, 10**6, 10**8, 10**10), "seeds": 200},
        ours=True,
    ),
)

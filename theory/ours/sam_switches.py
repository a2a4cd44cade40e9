"""SAM's phase switches noise on: what its perturbation does to pairs that are off.

Setting. Full batches, n = 20, m = 10, sigma_0 = √n/((P − 1) sigma_p d) (c = 1), eta with e0 = 1: SAM at C3 = 1 for
kappa = 0.02 (d/10⁶)^(−1/4), then SGD to training loss 0.01, ‖mu‖ = 6 (d/10⁶)^(1/4).

Claim. SAM's ascent moves the weights of a neuron by tau/√(2m) along noise vectors of other samples, against sigma_0 √d
of their own: r = tau/(sigma_0 √(2md)). In the perturbed step an own-class pair that is off is then on with probability
atan(r)/pi, for r is the ratio of two independent normals; it gains Phi = e0 s at once and is on from then on, so that
SGD starts with it. Active share, steps and error after SGD are those of the limit system that has followed SAM's phase.

Source. derived here; sharpens Chen et al. 2023, Theorem 4.1 (SAM), whose noise is silent. Derivation:
docs/asymptotics.md.
"""

from functools import partial
from typing import Any

import numpy as np

from theory.chen2023.setting import CONDITION, NOMINAL, sam_radius, sam_steps, scaled_spec, seeds
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Runner, Settings

N, M, C, E0, P_FLIP, EPS = 20, 10, 1.0, 1.0, 0.1, 0.01


def shape(d: float) -> tuple[float, float, float]:
    """Return ‖mu‖, kappa and eta at d."""
    growth = (d / 1e6) ** 0.25
    return 6.0 * growth, 0.02 / growth, E0 * N * M / d


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Return the final active share, steps and clean error, one replicate a run.

    In one of ten thousand no neuron of a sample's class is on for it, and it is not fitted in the steps that there are:
    its steps are none to the loss, and it is left out. Where more than one in ten are such, none is.
    """
    d, axes = settings["d"], {}
    mu, kappa, eta = shape(d)
    steps = sam_steps(kappa, M, eta, mu, P_FLIP)
    specs = [
        scaled_spec(
            seed, N, d, M, mu=mu, p=P_FLIP, c=C, e0=E0, rule="sam-then-sgd", radius=sam_radius(M, N, 2, 1.0, d, 1.0),
            sam_steps=steps, stop_loss=EPS,
        )
        for seed in seeds(settings)
    ]  # fmt: skip
    results = runner.run(specs)
    fitted = [result for result in results if result.status == "stopped"]
    unfitted = {"runs above the loss": len(results) - len(fitted)}
    if len(fitted) >= 0.9 * len(results):
        results = fitted
    for name, values in {
        "active share": [(result.rho[result.own_class()] > 0.0).mean() for result in results],
        "steps": [result.steps for result in results],
        "clean error": [result.clean_error for result in results],
    }.items():
        axes[name] = Samples(np.array([values], float), {"name": name, "d": d, "steps": steps, "notes": unfitted})
    return axes


def predict(samples: Samples, silent: bool = False) -> Any:
    """Return the limit system's value after SAM's phase, followed, or its closed form with the noise silent."""
    from theory.ours.averaged import limit_system, sam_phase, signal_met
    from theory.ours.sam_phase import signal_learned

    d, steps = samples.given["d"], samples.given["steps"]
    mu, _, eta = shape(d)
    if silent:
        gamma = float(signal_learned(eta * mu**2 * steps / (2 * M), P_FLIP))
        before = {"start": gamma, "met": signal_met(gamma, N, d, 2, mu, 1.0)}
    else:
        before = {"sam": sam_phase(steps, N, d, M, 2, mu, 1.0, eta, sam_radius(M, N, 2, 1.0, d, 1.0))}
    run = limit_system(N, C, M, P_FLIP, EPS, E0, 200, **before)
    return {
        "active share": run.active[-1],
        "steps": steps + run.time / E0 + 0.5,
        "clean error": run.clean_error_at(N, d, 2, mu, 1.0),
    }[samples.given["name"]]


CLAIMS = (
    Claim(
        id="ours/sam-switches",
        title="SAM's phase switches noise on",
        statement="active share, steps and clean error after SGD are those of the limit system that follows SAM too",
        formula=(
            r"\Pr[\text{off}\to\text{on in the first step}]=\frac1\pi\arctan r \qquad "
            r"r=\frac{\tau}{\sigma_0\sqrt{2md}}=1.1"
        ),
        source="derived here; sharpens Chen et al. 2023, Theorem 4.1 (SAM)",
        kind=Kind.LIMIT,
        hypotheses=CONDITION,
        parameters=NOMINAL | {"mu": 6.0, "sigma_0": float(20**0.5 / 10**6), "eta": 2e-4},
        observe=observe,
        predict=predict,
        tolerance=0.03,
        tolerance_reason="finite d, and the prediction's own Monte-Carlo error, 0.3 %",
        control=Control("the noise silent in SAM's phase", partial(predict, silent=True)),
        quick={"d": 10**6, "seeds": 96},
        full={"d": 10**6, "seeds": 1000},
        ours=True,
    ),
)

"""SGD's learning curves: active share, noise margin and signal as functions of tau alone.

Setting. SGD, balanced labels, sigma_0 and eta as in `test_error_curve`, d → ∞; tau = e0 · steps.

Claim. As n → ∞ the share of own-class pairs that are on, the mean noise margin x and gamma/(n SNR²) follow those of the
effective process at every tau. What decides the share is that the noise vectors' inner products are symmetric, g_ik =
g_ki: samples that switch on answer to the field that made them do so. The reaction term accounts for it; without it,
or with g drawn without symmetry, too many pairs switch on.

Source. derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD). Derivation: docs/asymptotics.md.
"""

from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.chen2023.setting import CONDITION, NOMINAL, scaled_spec, seeds, signal_to_noise_ratio
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.conv_run import ConvResult
    from theory.ours.asymptotics import Asymptotics

C, D, MU, E0, EPS_CURVES, EPS_SHARE = 0.1, 10**8, 100.0, 0.1, 0.01, 0.03
CURVES = ("active", "margin", "signal")


def observe_curves(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Values of the three curves at every tau, towards large n: (n, seeds) for each curve and tau."""
    steps = [round(tau / E0) for tau in settings["tau"]]
    specs = [
        scaled_spec(seed, n, D, settings["m"], mu=MU, c=C, stop_loss=0.0, max_steps=steps[-1], record=tuple(steps))
        for n in settings["n"] for seed in seeds(settings)
    ]  # fmt: skip
    found = np.array([_curves(result, steps) for result in runner.run(specs)])
    found = found.reshape(len(settings["n"]), -1, *found.shape[1:])
    return {
        f"{name} at tau = {tau:g}": Samples(found[:, :, i, k], {"curve": name, "tau": tau, "m": settings["m"]})
        for i, name in enumerate(CURVES) for k, tau in enumerate(settings["tau"])
    }  # fmt: skip


def _curves(result: "ConvResult", steps: Sequence[int]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the three curves at the recorded steps; an own-class pair is on iff its coefficient has grown."""
    at = [list(result.history["step"]).index(step) for step in steps]
    own, n = result.own_class(), len(result.labels)
    rho = result.history["rho"][at][:, own]
    unit = n * signal_to_noise_ratio(MU, 2, 1.0, D) ** 2
    return (rho > 0.0).mean(axis=1), rho.mean(axis=1), result.history["gamma"][at].mean(axis=1) / unit


@cache
def _process(m: int) -> "Asymptotics":
    from theory.ours.averaged import effective_process

    return effective_process(C, m, eps=EPS_CURVES, samples=1000)


def _at(curves: "Asymptotics", samples: Samples) -> float:
    return float(np.interp(samples.given["tau"], curves.tau, getattr(curves, samples.given["curve"])))


def predict_curve(samples: Samples) -> float:
    """Return the effective process's curve at the samples' tau."""
    return _at(_process(samples.given["m"]), samples)


def predict_half(samples: Samples) -> float:
    """Return the same of the closed form with a = ½."""
    from theory.ours.closed import predict

    return _at(predict(C, samples.given["m"], eps=EPS_CURVES, active=lambda sigma: 0.5), samples)


def observe_share(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Return the final share of own-class pairs that are on at training loss 0.03, one replicate a run."""
    n, m = settings["n"], settings["m"]
    specs = [scaled_spec(seed, n, D, m, mu=MU, c=C, stop_loss=EPS_SHARE) for seed in seeds(settings)]
    share = [(result.rho[result.own_class()] > 0.0).mean() for result in runner.run(specs)]
    samples = Samples(np.array([share]), {"n": n, "m": m})
    return {"the effective process": samples, "the limit system": samples}


def share_of_process(samples: Samples, reaction: bool = True) -> float:
    """Return the effective process's final share."""
    from theory.ours.averaged import effective_process

    run = effective_process(C, samples.given["m"], eps=EPS_SHARE, samples=1000, draws=6, reaction=reaction)
    return float(run.active[-1])


def share_of_system(samples: Samples, symmetric: bool = True) -> float:
    """Return the limit system's final share."""
    from theory.ours.averaged import limit_system

    run = limit_system(samples.given["n"], C, samples.given["m"], eps=EPS_SHARE, draws=250, symmetric=symmetric)
    return float(run.active[-1])


COMMON: dict[str, Any] = {
    "source": "derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD)",
    "kind": Kind.LIMIT,
    "hypotheses": CONDITION,
    "parameters": NOMINAL | {"d": D, "mu": MU, "m": 20},
    "ours": True,
}

CLAIMS = (
    Claim(
        id="ours/learning-curves",
        title="SGD's learning curves",
        statement="active share, x and gamma/(n SNR²) at tau → those of the effective process as n → ∞",
        formula=(
            r"a(\tau),\ x(\tau),\ \frac{\gamma(\tau)}{n\,\mathrm{SNR}^2} \to "
            r"a_\infty(\tau),\ x_\infty(\tau),\ \frac{(1-p)S_+(\tau)-pS_-(\tau)}{2}"
        ),
        observe=observe_curves,
        predict=predict_curve,
        tolerance=0.02,
        tolerance_reason="finite n: the shares of single samples spread, and heavy tails at small n and m",
        control=Control("a = ½: no neuron newly switched on", predict_half),
        quick={"n": (20, 60), "m": 20, "tau": (10.0, 30.0, 90.0), "seeds": 240},
        full={"n": (20, 60, 120), "m": 20, "tau": (3.0, 10.0, 30.0, 90.0), "seeds": 400},
        **COMMON,
    ),
    Claim(
        id="ours/symmetric-coupling",
        title="How many pairs switch on: the coupling is symmetric",
        statement="the final active share → that of the effective process, and of the limit system, as d → ∞",
        formula=r"F_{ri}=c\,z_{ri}+\sum_kJ_ry_k\Phi_{rk}g_{ki} \qquad g_{ki}=g_{ik}\sim N(0,1/n)",
        observe=observe_share,
        predict={"the effective process": share_of_process, "the limit system": share_of_system},
        tolerance=0.008,
        tolerance_reason="finite n, and the predictions' own Monte-Carlo errors, 0.3 % each",
        control=Control(
            "no reaction term; g without symmetry",
            {
                "the effective process": partial(share_of_process, reaction=False),
                "the limit system": partial(share_of_system, symmetric=False),
            },
        ),
        quick={"n": 50, "m": 20, "seeds": 1500},
        full={"n": 100, "m": 20, "seeds": 3000},
        **COMMON,
    ),
)

"""SAM's phase at C3 ≤ 1: the noise is silent, the signal grows by itself.

Setting. SAM with tau = m √B/(C3 P sigma_p √d), full batch, balanced labels, d → ∞ at fixed n, m and ‖mu‖.

Claim. Every neuron learns from the n/2 samples whose signal it is on for: clean ones, margin gamma, push by their slope
sigmoid(−gamma), flipped ones, margin −gamma, pull by sigmoid(gamma). With T = eta ‖mu‖² steps/(2m)

    dgamma/dT = sigmoid(−gamma) − p,    T(gamma) = [gamma − log((1 − p − p e^gamma)/(1 − 2p))/p]/(1 − p),

which saturates at log((1 − p)/p); without flips T = gamma + e^gamma − 1.

Where it ends. The perturbation is shared out by slope. Clean samples' slopes fall to p while flipped samples' rise to
1 − p, so that a clean sample's falls from 1 to √(p/(1 − p)) of the root mean square: at C3 = 1, p = 0.2 that no longer
silences its noise, which is then learned too, and gamma stays short of its saturation. With C3 = 1/8 it gets there.

Source. derived here; sharpens the signal-learning phase of Chen et al. 2023, Theorem 4.1 (`chen2023/signal-growth`
is its start). Derivation: docs/asymptotics.md.
"""

from typing import Any

import numpy as np

from simulate.parameters import integer, real, reject
from theory.chen2023.setting import CONDITION, NOMINAL, sam_radius, sam_steps, scaled_spec, scaled_step_size, seeds
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.types import Numbers, Runner, Settings


def saturation(p: Numbers) -> Any:
    """Return log((1 − p)/p), where gamma ends, within 2 ulps up to p = ½; infinite at p = 0."""
    p = np.asarray(p, float)
    with np.errstate(divide="ignore"):
        return np.log1p((1.0 - 2.0 * p) / p)


def phase_time(gamma: Numbers, p: Numbers) -> Any:
    """Return T(gamma) for gamma in [0, saturation), p in [0, ½); vectorised. Infinite from saturation on.

    It is within 2 ulps of T + gamma dT/dgamma + p |dT/dp|, which a rounding of gamma or p alone may change it by.
    """
    gamma, p = np.asarray(gamma, float), np.asarray(p, float)
    grown = np.expm1(gamma) / (1.0 - 2.0 * p)
    share = np.minimum(p * grown, 1.0)  # of the way to saturation, in e^gamma − 1
    with np.errstate(divide="ignore", invalid="ignore"):
        slowed = np.where(share > 0.0, -np.log1p(-share) / share, 1.0)
    return (gamma + slowed * grown) / (1.0 - p)


def signal_learned(T: Numbers, p: Numbers) -> Any:
    """Return gamma(T), the inverse of `phase_time`, for T ≥ 0; by bisection, within 4 ulps; vectorised."""
    T = np.asarray(T, float)
    low, high = np.zeros(np.broadcast(T, p).shape), np.minimum(np.log1p(T), saturation(p))  # above: as if p = 0
    for _ in range(70):
        middle = 0.5 * (low + high)
        late = phase_time(middle, p) > T
        low, high = np.where(late, low, middle), np.where(late, middle, high)
    return 0.5 * (low + high)


def steps_to_learn(gamma: float, m: int, eta: float, mu: float, p: float) -> int:
    """Return the number of SAM's steps, rounded, that take the signal coefficient from 0 to gamma."""
    m, eta, mu = integer("m", m, 1), real("eta", eta, strict=True), real("mu", mu, strict=True)
    p = real("p", p, below=0.5)
    if not 0.0 <= gamma < saturation(p):
        reject("gamma", gamma, f">= 0 and < log((1 - p)/p) = {float(saturation(p)):g}, where it saturates")
    return round(float(2.0 * m / (eta * mu**2) * phase_time(gamma, p)))


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Mean gamma after SAM's steps for kappa = (1 − 2p) T/2, towards large d: (d, seeds) for every kappa."""
    n, m, P, mu, p = 20, 10, 2, 3.0, 0.1
    marks, specs = [], []
    for d in settings["d"]:
        eta = scaled_step_size(n, m, P, 1.0, d, 1.0)
        marks.append([sam_steps(kappa, m, eta, mu, p) for kappa in settings["kappa"]])
        specs += [
            scaled_spec(
                seed, n, d, m, P, mu, 1.0, p, init_std=0.14 / np.sqrt(d), step_size=eta, rule="sam",
                radius=sam_radius(m, n, P, 1.0, d, 1.0), max_steps=max(marks[-1]), record=tuple(marks[-1]),
            )
            for seed in seeds(settings)
        ]  # fmt: skip
    results = np.reshape(np.array(runner.run(specs), object), (len(marks), -1))
    axes = {}
    for k, kappa in enumerate(settings["kappa"]):
        gamma = [
            [r.history["gamma"][list(r.history["step"]).index(row[k])].mean() for r in line]
            for row, line in zip(marks, results, strict=True)
        ]
        axes[f"kappa = {kappa:g}"] = Samples(np.array(gamma), {"T": 2.0 * kappa / (1.0 - 2.0 * p), "p": p})
    return axes


def observe_end(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Mean gamma after SAM's phase of settings["T"], C3 given, towards large d: (d, seeds) for every p."""
    n, m, P, mu, axes = 20, 10, 2, 3.0, {}
    for p in settings["p"]:
        gamma = []
        for d in settings["d"]:
            eta = scaled_step_size(n, m, P, 1.0, d, 1.0)
            specs = [
                scaled_spec(
                    seed, n, d, m, P, mu, 1.0, p, init_std=0.14 / np.sqrt(d), step_size=eta, rule="sam", stop_loss=0.0,
                    radius=sam_radius(m, n, P, 1.0, d, settings["C3"]),
                    max_steps=round(2.0 * m * settings["T"] / (eta * mu**2)),
                )
                for seed in seeds(settings)
            ]  # fmt: skip
            gamma.append([result.gamma.mean() for result in runner.run(specs)])
        axes[f"p = {p:g}"] = Samples(np.array(gamma), {"p": p})
    return axes


def predict_end(samples: Samples) -> float:
    """Return log((1 − p)/p)."""
    return float(saturation(samples.given["p"]))


def predict(samples: Samples) -> float:
    """Return gamma(T)."""
    return float(signal_learned(samples.given["T"], samples.given["p"]))


def predict_linear(samples: Samples) -> Any:
    """Return (1 − 2p) T/2, the start of gamma(T) carried on."""
    return 0.5 * (1.0 - 2.0 * samples.given["p"]) * samples.given["T"]


COMMON: dict[str, Any] = {
    "source": "derived here; sharpens Chen et al. 2023, Theorem 4.1 (SAM), whose signal grows as Θ(steps)",
    "kind": Kind.LIMIT,
    "hypotheses": CONDITION,
    "parameters": NOMINAL | {"mu": 3.0, "d": 10**5, "sigma_0": 0.14e-2 / 10**0.5, "eta": 2e-3},
    "ours": True,
}

CLAIMS = (
    Claim(
        id="ours/sam-signal",
        title="The signal that SAM's phase learns",
        statement="gamma(T) solves dgamma/dT = sigmoid(−gamma) − p, T = eta ‖mu‖² steps/(2m), as d → ∞",
        formula=r"\frac{d\gamma}{dT}=\frac{1}{1+e^\gamma}-p \qquad T=\frac{\eta\lVert\mu\rVert^2t}{2m}",
        observe=observe,
        predict=predict,
        tolerance=0.01,
        tolerance_reason="finite d: the first steps' larger slopes, and noise that is not quite silent",
        control=Control("growth at the slope of its start: gamma = (1−2p) T/2", predict_linear),
        quick={"d": (10**3, 10**4, 10**5), "kappa": (0.25, 0.5, 1.0), "seeds": 48},
        full={"d": (10**3, 10**4, 10**5, 10**6), "kappa": (0.25, 0.5, 1.0, 1.5), "seeds": 96},
        **COMMON,
    ),
    Claim(
        id="ours/sam-saturation",
        title="Where the signal of SAM's phase ends, at C3 = 1",
        statement="gamma → log((1−p)/p) as T → ∞, at C3 = 1 as d → ∞",
        formula=r"\gamma(T)\to\ln\frac{1-p}{p}",
        observe=observe_end,
        predict=predict_end,
        tolerance=0.02,
        tolerance_reason="T = 60 leaves e^(−p (1−p) T), 7e-5 at p = 0.2; the rest is finite d",
        control=Control("gamma ends at log(1/p)", lambda samples: -float(np.log(samples.given["p"]))),
        twin=Control("C3 = 1/8: eight times the radius", changes={"C3": 0.125}),
        quick={"d": (10**3, 10**4), "p": (0.2, 0.3), "T": 60.0, "C3": 1.0, "seeds": 64},
        full={"d": (10**3, 10**4, 10**5), "p": (0.2, 0.3, 0.4), "T": 60.0, "C3": 1.0, "seeds": 96},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
)

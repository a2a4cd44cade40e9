"""What is learned of the signal against the noise.

Setting. Full-batch SGD to a small training loss, weak signal.

Claim. gamma / Σ_i rho_bar = Θ(SNR²): the ratio of the mean signal coefficient to the mean over neurons of
Σ_i rho_bar is proportional to SNR², along d and along ‖mu‖.

Ours. When the initial weights are large against the cross-talk between samples (sigma_0 sigma_p d/√n ≫ 1) the sets
of own-class neurons that are on never change, half of them are on for each sample, and gamma/x = n · SNR² (1 − 2p), x
being the mean noise coefficient over own-class pairs: x grows by c0 s/2 a step, gamma by eta(1 − 2p)‖mu‖² s/(2m).

Where it fails. Of single neurons it is not true: one that is on for few samples collects little noise and as much
signal as the others.

Source. Chen et al. 2023, the coefficient ratio in the proof of Theorem 3.2; Kou et al. 2023, Lemma on the ratio of
signal and noise learning.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.chen2023.setting import (
    CONDITION,
    NOMINAL,
    scaled_spec,
    seeds,
    signal_to_noise_ratio,
)
from theory.claim import Claim, Control, Kind, Outcome, Prediction, Samples
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.conv_run import ConvResult


def _observe(
    points: Sequence[Mapping[str, Any]], settings: Settings, runner: Runner, figure: "Callable[[ConvResult], float]"
) -> FloatArray:
    """Return figure(result) for every point and seed, (points, seeds)."""
    results = runner.run([scaled_spec(seed, **point) for point in points for seed in seeds(settings)])
    return np.reshape([figure(result) for result in results], (len(points), settings["seeds"]))


def learned_ratio(result: "ConvResult") -> float:
    """Return mean_r gamma / mean_r Σ_i rho_bar of a finished run."""
    noise = np.where(result.own_class(), result.rho, 0.0).sum(axis=1)
    return float(result.gamma.mean() / noise.mean())


def ratio_over_margin(result: "ConvResult") -> float:
    """Return mean gamma over the mean noise margin, (1/m) Σ_r rho_bar averaged over samples."""
    margin = result.rho[result.own_class()].mean()
    return float(result.gamma.mean() / margin)


def margin_ratio(samples: Samples) -> Any:
    """Return n · SNR² · (1 − 2p), the large-initialisation value of gamma/x."""
    return samples.given["n_snr2"] * (1.0 - 2.0 * samples.given["p"])


def observe_rates(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Observe the learned ratio along d (mu fixed) and along mu (d fixed), towards small SNR²."""
    axes = {
        "d": [{"d": d, "m": 20, "mu": 2.0} for d in settings["d"]],
        "mu": [{"d": settings["d"][-1], "m": 20, "mu": mu} for mu in settings["mu"]],
    }
    return {
        axis: Samples(
            _observe(points, settings, runner, learned_ratio),
            {"x": np.array([signal_to_noise_ratio(a["mu"], 2, 1.0, a["d"]) ** 2 for a in points])},
        )
        for axis, points in axes.items()
    }


def observe_margin_ratio(settings: Settings, runner: Runner) -> Samples:
    """Observe gamma/x at growing sigma_0, towards the large-initialisation limit."""
    n, d, mu, p = 20, settings["d"], 2.0, 0.1
    points = [{"n": n, "d": d, "m": 100, "mu": mu, "p": p, "c": c} for c in settings["c"]]
    observed = _observe(points, settings, runner, ratio_over_margin)
    return Samples(observed, {"n_snr2": n * signal_to_noise_ratio(mu, 2, 1.0, d) ** 2, "p": p})


def observe_constants(settings: Settings, runner: Runner) -> Samples:
    """Every neuron's gamma (or each run's mean), with SNR² · Σ_i rho_bar given, at one small SNR²; flat."""
    d, m, mu = 10**6, 20, 2.0
    gammas, noises = [], []
    for result in runner.run([scaled_spec(seed, d=d, m=m, mu=mu) for seed in seeds(settings)]):
        noise = np.where(result.own_class(), result.rho, 0.0).sum(axis=1)
        gammas.append(result.gamma if settings["per_neuron"] else result.gamma.mean(keepdims=True))
        noises.append(noise if settings["per_neuron"] else noise.mean(keepdims=True))
    noise = np.concatenate(noises) * signal_to_noise_ratio(mu, 2, 1.0, d) ** 2
    return Samples(np.concatenate(gammas), {"noise": noise, "p": 0.1})


def constant_bound(constant: float) -> Prediction:
    """Return the prediction constant · 2(1 − 2p) · SNR² · Σ_i rho_bar."""
    return lambda samples: constant * 2.0 * (1.0 - 2.0 * samples.given["p"]) * samples.given["noise"]


CLAIMS = (
    Claim(
        id="chen2023/signal-to-noise-learned",
        title="Learned signal over learned noise is proportional to SNR²",
        statement="gamma / Σ_i rho_bar = Θ(SNR²), neurons averaged",
        formula=r"\frac{\gamma}{\sum_i\bar\rho_i}=\Theta(\mathrm{SNR}^2)",
        source="Chen et al. 2023, proof of Theorem 3.2; Kou et al. 2023, ratio of signal and noise coefficients",
        kind=Kind.RATE,
        hypotheses=CONDITION,
        parameters=NOMINAL | {"m": 20, "mu": 2.0},
        observe=observe_rates,
        predict=lambda samples: 1.0,
        tolerance=0.03,
        tolerance_reason="finite d and finite mu; the slope over six decades of SNR²",
        control=Control("proportional to SNR", lambda samples: 0.5),
        quick={"d": (10**4, 10**5, 10**6, 10**7), "mu": (4.0, 2.0, 1.0, 0.5), "seeds": 48},
        full={"d": tuple(10**k for k in range(4, 11)), "mu": (16.0, 8.0, 4.0, 2.0, 1.0, 0.5), "seeds": 192},
    ),
    Claim(
        id="chen2023/signal-to-noise-per-neuron",
        title="The same for every single neuron",
        statement="gamma_r ≤ 3 · 2(1−2p) SNR² Σ_i rho_bar_{r,i} for every neuron r, a hidden constant of 3 granted",
        formula=r"\gamma_r\le3\cdot2(1-2p)\,\mathrm{SNR}^2\sum_i\bar\rho_{r,i}",
        source="Chen et al. 2023, proof of Theorem 3.2; Kou et al. 2023, ratio of signal and noise coefficients",
        kind=Kind.UPPER_BOUND,
        hypotheses=CONDITION,
        parameters=NOMINAL | {"m": 20, "mu": 2.0},
        observe=observe_constants,
        predict=constant_bound(3.0),
        tolerance=0.0,
        tolerance_reason="the constant is in the bound",
        control=Control("a constant of ½, for the means over neurons", constant_bound(0.5), {"per_neuron": False}),
        twin=Control("the means over neurons, on the same runs", changes={"per_neuron": False}),
        quick={"per_neuron": True, "seeds": 800},
        full={"per_neuron": True, "seeds": 1024},
        expected=Outcome.VIOLATED,
    ),
    Claim(
        id="chen2023/signal-to-noise-large-init",
        title="Large initial weights: the ratio's constant",
        statement="gamma / x → n · SNR² · (1 − 2p) as sigma_0 sigma_p d/√n grows, x the mean noise margin",
        formula=r"\frac\gamma x\to n\,\mathrm{SNR}^2(1-2p) \qquad \frac{\sigma_0\sigma_pd}{\sqrt n}\to\infty",
        source="derived here (this file); sharpens the ratio in the proof of Theorem 3.2 of Chen et al. 2023",
        kind=Kind.LIMIT,
        hypotheses=(),
        parameters=NOMINAL | {"d": 10**8, "m": 100, "mu": 2.0},
        observe=observe_margin_ratio,
        predict=margin_ratio,
        tolerance=0.02,
        tolerance_reason="finite sigma_0: neurons that still switch on",
        control=Control("without the flips' factor 1 − 2p", lambda samples: samples.given["n_snr2"]),
        quick={"d": 10**8, "c": (1.0, 10.0, 100.0), "seeds": 128},
        full={"d": 10**9, "c": (1.0, 3.0, 10.0, 30.0, 100.0), "seeds": 256},
        ours=True,
    ),
)

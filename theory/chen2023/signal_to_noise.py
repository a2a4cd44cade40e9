"""What is learned of the signal against the noise.

Setting. Full-batch SGD to a small training loss, weak signal.

Claim. gamma / Σ_i rho_bar = Θ(SNR²): the ratio of the mean signal coefficient to the mean over neurons of
Σ_i rho_bar is proportional to SNR², along d and along ‖mu‖.

Ours. To leading order the constant is 2(1 − 2p) · (S̄/2x̄) with S̄ = ∫ s dt over the run. When the initial weights are
large against what is learned (sigma_0 sigma_p d/√n ≫ 1) the active sets never change, half of each class's neurons
are on, and gamma/x = n · SNR² (1 − 2p) exactly, x being the mean noise margin y f of the samples: a sample's margin
grows by c0 s/2 a step, gamma by eta(1 − 2p)‖mu‖² s/(2m).

Source. Chen et al. 2023, the coefficient ratio in the proof of Theorem 3.2; Kou et al. 2023, Lemma on the ratio of
signal and noise learning.
"""

import numpy as np

from theory.chen2023.setting import (
    CONDITION,
    NOMINAL,
    scaled_spec,
    scaled_step_size,
    seeds,
    signal_to_noise_ratio,
)
from theory.claim import Claim, Control, Kind, Samples


def _observe(points, settings, runner, figure):
    """Return figure(result) for every point and seed, (points, seeds)."""
    results = runner.run([scaled_spec(seed, **point) for point in points for seed in seeds(settings)])
    return np.reshape([figure(result) for result in results], (len(points), settings["seeds"]))


def learned_ratio(result):
    """Return mean_r gamma / mean_r Σ_i rho_bar of a finished run."""
    noise = np.where(result.own_class(), result.rho, 0.0).sum(axis=1)
    return result.gamma.mean() / noise.mean()


def ratio_over_margin(result):
    """Return mean gamma over the mean noise margin, (1/m) Σ_r rho_bar averaged over samples."""
    margin = result.rho[result.own_class()].mean()
    return result.gamma.mean() / margin


def margin_ratio(samples):
    """Return n · SNR² · (1 − 2p), the large-initialisation value of gamma/x."""
    return samples.given["n_snr2"] * (1.0 - 2.0 * samples.given["p"])


def observe_rates(settings, runner):
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


def observe_margin_ratio(settings, runner):
    """Observe gamma/x at growing sigma_0, towards the large-initialisation limit."""
    n, d, mu, p = 20, settings["d"], 2.0, 0.1
    points = [{"n": n, "d": d, "m": 100, "mu": mu, "p": p, "c": c} for c in settings["c"]]
    observed = _observe(points, settings, runner, ratio_over_margin)
    return Samples(observed, {"n_snr2": n * signal_to_noise_ratio(mu, 2, 1.0, d) ** 2, "p": p})


CLAIMS = (
    Claim(
        id="chen2023/signal-to-noise-learned",
        title="Learned signal over learned noise is proportional to SNR²",
        statement="gamma / Σ_i rho_bar = Θ(SNR²), neurons averaged",
        source="Chen et al. 2023, proof of Theorem 3.2; Kou et al. 2023, ratio of signal and noise coefficients",
        kind=Kind.RATE,
        hypotheses=CONDITION,
        parameters=NOMINAL | {"m": 20, "mu": 2.0, "eta": scaled_step_size(20, 20, 2, 1.0, 10**6)},
        observe=observe_rates,
        predict=lambda samples: 1.0,
        tolerance=0.03,
        tolerance_reason="finite d and finite mu; the slope over six decades of SNR²",
        control=Control("proportional to SNR", lambda samples: 0.5),
        quick={"d": (10**4, 10**5, 10**6, 10**7), "mu": (4.0, 2.0, 1.0, 0.5), "seeds": 48},
        full={"d": tuple(10**k for k in range(4, 11)), "mu": (16.0, 8.0, 4.0, 2.0, 1.0, 0.5), "seeds": 192},
    ),
    Claim(
        id="chen2023/signal-to-noise-large-init",
        title="Large initial weights: the ratio's constant",
        statement="gamma / x → n · SNR² · (1 − 2p) as sigma_0 sigma_p d/√n grows, x the mean noise margin",
        source="derived here (this file); sharpens the ratio in the proof of Theorem 3.2 of Chen et al. 2023",
        kind=Kind.LIMIT,
        hypotheses=(),
        parameters=NOMINAL,
        observe=observe_margin_ratio,
        predict=margin_ratio,
        tolerance=0.02,
        tolerance_reason="finite sigma_0: neurons that still switch on",
        control=Control("without the flips' factor 1 − 2p", lambda samples: samples.given["n_snr2"]),
        quick={"d": 10**8, "c": (1.0, 10.0, 100.0), "seeds": 64},
        full={"d": 10**9, "c": (1.0, 3.0, 10.0, 30.0, 100.0), "seeds": 256},
        ours=True,
    ),
)

"""Growth of the noise coefficients under SGD: a sandwich of two closed forms.

Setting. Full-batch SGD, small initial weights, weak signal: n · SNR² small.

Claim. The mean noise coefficient of sample i over its own class's neurons, x_i(t) = (1/m) Σ_r rho_bar_{y_i,r,i},
lies between the solutions x(0) = 0 of dx/dt = c/(1 + b eˣ) with (b, c) = (e^κ/², c0/5) and (e^−κ/², 3 c0/2),
c0 = eta (P−1)² sigma_p² d/(n m).

Formula. x + b eˣ = c t + b, so x = log(ω/b) with ω + log ω = c t + b + log b (the Wright omega function, which is
Lambert's W in the log domain: e^{ct} would overflow, and c t + b − ω would cancel). Near x = 0 the logarithm has no
digits left: there a Newton step on x + b(eˣ − 1) = c t restores them.

Source. Kou et al. 2023, the two-sided bound of the noise coefficients (Stage 2), which Chen et al. 2023 use for SGD.
κ is a constant of the proof; 0.1 is ours.
"""

from typing import Any

import numpy as np

from theory.chen2023.setting import CONDITION, NOMINAL, positive, scaled_spec, seeds, signal_to_noise_ratio
from theory.claim import Claim, Control, Hypothesis, Kind, Outcome, Samples
from theory.domain import Domain, Range
from theory.types import Numbers, Runner, Settings

KAPPA = 0.1


def coefficient_curve(t: Numbers, b: Numbers, c: Numbers) -> Any:
    """Return the solution x(t) of x + b eˣ = c t + b, within 3 ulps for any c t ≥ 0; t, b, c broadcast."""
    from simulate.limit_system import gained

    return gained(c * np.asarray(t, float), b)


def growth_rate(eta: Numbers, P: Numbers, sigma_p: Numbers, d: Numbers, n: Numbers, m: Numbers) -> Any:
    """Return c0 = eta (P−1)² sigma_p² d / (n m)."""
    return eta * (P - 1) ** 2 * sigma_p**2 * d / (n * m)


def lower_curve(samples: Samples) -> Any:
    """Return the lower solution, b = e^{κ/2}, c = c0/5."""
    return coefficient_curve(samples.given["t"], np.exp(KAPPA / 2), samples.given["c0"] / 5.0)


def upper_curve(samples: Samples) -> Any:
    """Return the upper solution, b = e^{−κ/2}, c = 3 c0/2."""
    return coefficient_curve(samples.given["t"], np.exp(-KAPPA / 2), samples.given["c0"] * 1.5)


def observe(settings: Settings, runner: Runner) -> Samples:
    """Return x_i(t) at geometric steps for every (d, n·SNR²), seed and sample."""
    n, m, P, sigma_p = 20, settings["m"], 2, 1.0
    record = tuple(np.unique(np.geomspace(1, 5000, 40).astype(int)).tolist())
    specs = [
        scaled_spec(
            seed, n, d, m, P, np.sqrt(strength / n) / signal_to_noise_ratio(1.0, P, sigma_p, d),
            labels="iid", max_steps=5000, record=record,
        )
        for d, strength in settings["points"] for seed in seeds(settings)
    ]  # fmt: skip
    means, times, rates = [], [], []
    for spec, result in zip(specs, runner.run(specs), strict=True):
        x = np.where(result.own_class(), result.history["rho"], 0.0).sum(axis=1) / m
        data: Any = spec.data
        c0 = growth_rate(spec.step_size, P, sigma_p, data.dimension, n, m)
        means.append(x.ravel())
        times.append(np.repeat(result.history["step"], n))
        rates.append(np.full(x.size, c0))
    return Samples(np.concatenate(means), {"t": np.concatenate(times), "c0": np.concatenate(rates)})


WEAK_SIGNAL = Hypothesis(
    "weak signal", "n · SNR² ≤ 0.1",
    lambda a: 0.1 / positive(a["n"] * signal_to_noise_ratio(a["mu"], a["P"], a["sigma_p"], a["d"]) ** 2), 1.0,
)  # fmt: skip
WIDE = NOMINAL | {"d": 20_000, "m": 100, "mu": 9.9}
QUICK = {"m": 100, "points": ((2000, 0.01), (20_000, 0.1)), "seeds": 4}
FULL = {
    "m": 100, "seeds": 16,
    "points": tuple((d, strength) for d in (2000, 20_000, 200_000) for strength in (0.001, 0.01, 0.05, 0.1)),
}  # fmt: skip
SOURCE = "Kou et al. 2023, two-sided bound of the noise coefficients in its Stage 2; used for SGD by Chen et al. 2023"

LOWER = (
    r"\frac1m\sum_r\bar\rho_{y_i,r,i}(t)\ge x(t) \qquad x+be^x=ct+b \qquad b=e^{0.05},\ c=\frac{c_0}{5} \qquad "
    r"c_0=\frac{\eta(P-1)^2\sigma_p^2d}{nm}"
)
DOMAIN = Domain(
    {
        "d": Range(500, 50_000, 2000, log=True, integer=True),
        "n SNR²": Range(0.001, 0.4, 0.1, log=True),
        "seed": Range(0, 1000, 0, integer=True),
    },
    lambda settings, runner: observe(settings | {"points": ((settings["d"], settings["n SNR²"]),)}, runner),
    letters=lambda s: {"d": s["d"], "mu": np.sqrt(s["n SNR²"] / 20) / signal_to_noise_ratio(1.0, 2, 1.0, s["d"])},
    settings={"seeds": 1},
    budget=100,
)

CLAIMS = (
    Claim(
        id="chen2023/coefficient-growth-lower",
        title="Noise coefficients grow at least logarithmically",
        statement="(1/m) Σ_r rho_bar_{y_i,r,i}(t) ≥ x(t), where x + b eˣ = c t + b, b = e^0.05, c = c0/5",
        formula=LOWER,
        source=SOURCE,
        kind=Kind.LOWER_BOUND,
        hypotheses=(*CONDITION, WEAK_SIGNAL),
        parameters=WIDE,
        observe=observe,
        predict=lower_curve,
        tolerance=0.0,
        tolerance_reason="every sample at every recorded step",
        control=Control("the upper curve asserted as lower bound", upper_curve),
        quick=QUICK,
        full=FULL,
        domain=DOMAIN,
    ),
    Claim(
        id="chen2023/coefficient-growth-upper",
        title="Noise coefficients grow at most logarithmically",
        statement="(1/m) Σ_r rho_bar_{y_i,r,i}(t) ≤ x(t), where x + b eˣ = c t + b, b = e^−0.05, c = 3 c0/2",
        formula=(
            r"\frac1m\sum_r\bar\rho_{y_i,r,i}(t)\le x(t) \qquad x+be^x=ct+b \qquad "
            r"b=e^{-0.05},\ c=\frac{3c_0}{2} \qquad c_0=\frac{\eta(P-1)^2\sigma_p^2d}{nm}"
        ),
        source=SOURCE,
        kind=Kind.UPPER_BOUND,
        hypotheses=(*CONDITION, WEAK_SIGNAL),
        parameters=WIDE,
        observe=observe,
        predict=upper_curve,
        tolerance=0.0,
        tolerance_reason="every sample at every recorded step",
        control=Control("the lower curve asserted as upper bound", lower_curve),
        quick=QUICK,
        full=FULL,
        domain=DOMAIN,
    ),
    Claim(
        id="chen2023/coefficient-growth-narrow",
        title="The lower curve for a narrow network, m = 10",
        statement="(1/m) Σ_r rho_bar_{y_i,r,i}(t) ≥ x(t) for every sample also at m = 10",
        formula=LOWER + r" \qquad m=10",
        source=SOURCE,
        kind=Kind.LOWER_BOUND,
        hypotheses=(*CONDITION, WEAK_SIGNAL),
        parameters=WIDE | {"m": 10},
        observe=observe,
        predict=lower_curve,
        tolerance=0.0,
        tolerance_reason="every sample at every recorded step; a few start with none or one of ten neurons on",
        control=Control("the upper curve asserted as lower bound", upper_curve),
        twin=Control("m = 100, the same dimensions", changes={"m": 100, "seeds": 4}),
        quick={"m": 10, "points": ((2000, 0.1), (20_000, 0.1)), "seeds": 64},
        full={"m": 10, "points": ((2000, 0.1), (20_000, 0.1), (200_000, 0.01)), "seeds": 256},
        domain=DOMAIN,
        expected=Outcome.VIOLATED,
    ),
    Claim(
        id="chen2023/coefficient-growth-strong-signal",
        title="The lower curve, outside its scope: strong signal, d = 100",
        statement="(1/m) Σ_r rho_bar_{y_i,r,i}(t) ≥ x(t) also at n · SNR² = 2 and d = 100",
        formula=LOWER + r" \qquad n\,\mathrm{SNR}^2=2,\ d=100",
        source=SOURCE,
        kind=Kind.LOWER_BOUND,
        hypotheses=(*CONDITION, WEAK_SIGNAL),
        parameters=NOMINAL | {"d": 100, "mu": 10**0.5},
        observe=observe,
        predict=lower_curve,
        tolerance=0.0,
        tolerance_reason="every sample at every recorded step",
        control=Control("the upper curve asserted as lower bound", upper_curve),
        quick={"m": 10, "points": ((100, 2.0),), "seeds": 8},
        full={"m": 10, "points": ((100, 2.0),), "seeds": 64},
        expected=Outcome.OUT_OF_SCOPE,
        judged=Outcome.VIOLATED,
    ),
)

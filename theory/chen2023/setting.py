"""What the theorems of Chen et al. 2023 share: signal-to-noise ratio, scalings, step counts and conditions.

Letters: n samples, d dimension, m width, P patches, mu = ‖mu‖ signal norm, sigma_p noise, sigma_0 initial weights,
p flip rate, eta step size, B batch size, tau SAM's radius, C3 its divisor, kappa the length of SAM's phase in
units of the signal's growth time. Closed forms are plain functions of numbers or arrays.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.parameters import real, reject
from simulate.signal_noise import SignalNoise, balanced_flips
from theory.claim import Hypothesis
from theory.types import Numbers, Settings

if TYPE_CHECKING:
    from simulate.conv_run import ConvSpec


def signal_to_noise_ratio(mu: Numbers, P: Numbers, sigma_p: Numbers, d: Numbers) -> Any:
    """Return SNR = ‖mu‖ / ((P − 1) sigma_p √d)."""
    return mu / ((P - 1) * sigma_p * np.sqrt(d))


def scaled_init_std(n: Numbers, d: Numbers, sigma_p: Numbers, P: Numbers = 2, c: Numbers = 0.1) -> Any:
    """Return sigma_0 = c √n / ((P − 1) sigma_p d), at which the theorem's condition on sigma_0 keeps its margin."""
    return c * np.sqrt(n) / ((P - 1) * sigma_p * d)


def scaled_step_size(n: Numbers, m: Numbers, P: Numbers, sigma_p: Numbers, d: Numbers, e0: Numbers = 0.1) -> Any:
    """Return eta = e0 n m / ((P − 1)² sigma_p² d): a noise margin grows by about e0/2 a step at the start."""
    return e0 * n * m / ((P - 1) ** 2 * sigma_p**2 * d)


@np.errstate(over="ignore", divide="ignore")  # beyond float64 it is no radius
def sam_radius(m: int, B: int, P: int, sigma_p: float, d: float, C3: float) -> float:
    """Return tau = m √B / (C3 P sigma_p √d), Theorem 4.1's radius with its constant written out."""
    if not sigma_p > 0.0:
        reject("sigma_p", sigma_p, "a finite number > 0 where tau is given by C3")
    return float(m * np.sqrt(B) / (real("C3", C3, strict=True) * P * sigma_p * np.sqrt(d)))


def sam_steps(kappa: float, m: int, eta: float, mu: float, p: float) -> int:
    """Return kappa · 4m / (eta ‖mu‖² (1 − 2p)), rounded: the steps in which gamma grows from 0 to about kappa."""
    kappa = real("kappa", kappa)
    growth = eta * (mu * mu) * (1.0 - 2.0 * p)
    if mu == 0.0 or growth == 0.0 < 1.0 - 2.0 * p:
        reject("mu", mu, "> 0 where kappa sets the number of SAM's steps (or give sam_steps)")
    if p >= 0.5:
        reject("resulting flip rate", p, "< 1/2 where kappa sets the number of SAM's steps (or give sam_steps)")
    steps = kappa * 4.0 * m / growth
    if not steps < 1e15:
        reject("kappa", kappa, "smaller: it asks for 1e15 steps or more")
    return round(steps)


def resulting_flip_rate(data: SignalNoise) -> float:
    """Return the flip rate that predictions use: p for iid labels, the share flipped exactly for balanced ones."""
    if data.labels == "iid":
        return data.flip_rate
    return 2 * balanced_flips(data.samples, data.flip_rate) / data.samples


def benign_parameter(n: Numbers, mu: Numbers, P: Numbers, sigma_p: Numbers, d: Numbers) -> Any:
    """Return q = n ‖mu‖⁴ / ((P − 1)⁴ sigma_p⁴ d): SGD overfits benignly iff q ≥ C (Theorem 3.2)."""
    return n * mu**4 / ((P - 1) ** 4 * sigma_p**4 * d)


# Nominal parameters, by paper symbol; claims override what they vary.
NOMINAL = {
    "n": 20, "d": 10**6, "m": 10, "P": 2, "mu": 10.0, "sigma_p": 1.0, "p": 0.1,
    "B": lambda a: a["n"],
    "sigma_0": lambda a: scaled_init_std(a["n"], a["d"], a["sigma_p"], a["P"]),
    "eta": lambda a: scaled_step_size(a["n"], a["m"], a["P"], a["sigma_p"], a["d"]),
}  # fmt: skip

CONDITION = (
    Hypothesis(
        "d, signal", "d ≥ C n ‖mu‖² / (P² sigma_p²)",
        lambda a: a["d"] * (a["P"] * a["sigma_p"]) ** 2 / positive(a["n"] * a["mu"] ** 2),
    ),
    Hypothesis("d, samples", "d ≥ C n²", lambda a: a["d"] / a["n"] ** 2),
    Hypothesis(
        "d, width", "d ≥ C B m / (P² sigma_p²)",
        lambda a: a["d"] * (a["P"] * a["sigma_p"]) ** 2 / (a["B"] * a["m"]),
    ),
    Hypothesis("n", "n ≥ C log m", lambda a: a["n"] / np.log(max(a["m"], 2))),
    Hypothesis("m", "m ≥ C log n", lambda a: a["m"] / np.log(max(a["n"], 2))),
    Hypothesis("signal", "‖mu‖ ≥ C P sigma_p", lambda a: a["mu"] / positive(a["P"] * a["sigma_p"])),
    Hypothesis("flips", "p < 1/2 (p ≤ 1/C)", lambda a: 0.5 / positive(a["p"])),
    Hypothesis(
        "sigma_0", "sigma_0 ≤ 1 / (C max{P sigma_p d/√n, ‖mu‖})",
        lambda a: 1.0 / positive(a["sigma_0"] * max(a["P"] * a["sigma_p"] * a["d"] / np.sqrt(a["n"]), a["mu"])),
    ),
    Hypothesis(
        "eta", "eta ≤ 1 / (C max{P² sigma_p² d^1.5/(B m), P² sigma_p² d/B})",
        lambda a: a["B"]
        / positive(a["eta"] * (a["P"] * a["sigma_p"]) ** 2 * a["d"] * max(np.sqrt(a["d"]) / a["m"], 1.0)),
    ),
)  # fmt: skip
"""Condition 3.1 of the paper without its logarithms and without the terms of its bound on eta in ‖mu‖, sigma_0 and eps.

Its C is not given. With eta ∝ 1/d, as here, the margin of the condition on eta falls as 1/√d: the claims are checked
beyond it.
"""


def positive(value: float) -> float:
    """Return `value`, or a tiny positive number in place of 0: a margin is then huge, not a division by zero."""
    return max(float(value), 1e-200)


def scaled_spec(
    seed: int, n: int = 20, d: float = 10**6, m: int = 10, P: int = 2, mu: float = 2.0, sigma_p: float = 1.0,
    p: float = 0.1, labels: str = "balanced", c: float = 0.1, e0: float = 0.1, **run: Any,
) -> "ConvSpec":  # fmt: skip
    """Return the specification of a run whose sigma_0 and eta follow the scalings above; `run` overrides any field."""
    from simulate.conv_run import ConvSpec

    scaled = {
        "data": SignalNoise(n, int(d), P, float(mu), sigma_p, p, labels),
        "width": m,
        "init_std": scaled_init_std(n, d, sigma_p, P, c),
        "step_size": scaled_step_size(n, m, P, sigma_p, d, e0),
        "seed": seed,
    }
    return ConvSpec(**{**scaled, **run})


def seeds(settings: Settings) -> range:
    """Return the run seeds of settings that hold a base `seed` and a number `seeds`."""
    return range(settings["seed"], settings["seed"] + settings["seeds"])

"""Time to a training loss under SGD.

Setting. Full-batch SGD stopped at training loss eps, small initial weights.

Claim. The number of steps is Θ(n m / (eta eps d (P−1)² sigma_p²)) (the paper writes P² for (P−1)², which it does not
distinguish).

Source. Chen et al. 2023, Theorem 3.2 (SGD), part 1, with the iteration count of Kou et al. 2023, Theorem 4.2.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from theory.chen2023.setting import CONDITION, NOMINAL, scaled_spec, seeds
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.conv_run import ConvSpec

CENTRE = {"n": 20, "m": 20, "d": 10**6, "P": 2, "e0": 0.1, "eps": 0.01}
EXPONENTS = {"eps": -1.0, "d": -1.0, "eta": -1.0, "n": 1.0, "m": 1.0, "P − 1": -2.0}


def training_time(n: Numbers, m: Numbers, P: Numbers, sigma_p: Numbers, d: Numbers, eta: Numbers, eps: Numbers) -> Any:
    """Return n m / (eta eps d (P−1)² sigma_p²), the steps to loss eps up to a constant."""
    return n * m / (eta * eps * d * (P - 1) ** 2 * sigma_p**2)


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Return medians of the steps taken along each axis of the formula, the others at the centre."""
    c = CENTRE
    eta = c["e0"] * c["n"] * c["m"] / c["d"]
    axes = {
        "eps": [{"eps": e} for e in settings["eps"]],
        "d": [{"d": d} for d in settings["d"]],
        "eta": [{"eta": eta * f} for f in settings["eta"]],
        "n": [{"n": n} for n in settings["n"]],
        "m": [{"m": m} for m in settings["m"]],
        "P − 1": [{"P": q + 1, "eta": eta / 8} for q in settings["P − 1"]],  # c0 ∝ (P−1)² must stay small
    }

    def spec(a: dict[str, Any], seed: int) -> "ConvSpec":
        a = c | {"eta": eta} | a
        fixed = {"step_size": a["eta"], "max_steps": 5_000_000, "stop_loss": a["eps"]}
        return scaled_spec(seed, a["n"], a["d"], a["m"], a["P"], **fixed)

    specs = [spec(a, seed) for points in axes.values() for a in points for seed in seeds(settings)]
    steps = iter(r.steps if r.status == "stopped" else np.nan for r in runner.run(specs))
    samples = {}
    for axis, points in axes.items():
        # medians of three runs: a rare one starts with a sample that no own-class neuron is on for, and takes ages
        taken = np.array([[next(steps) for _ in seeds(settings)] for _ in points], float)
        medians = np.median(taken.reshape(len(points), -1, 3), axis=2)
        samples[axis] = Samples(medians, {"x": np.array(settings[axis], float)})
    return samples


CLAIMS = (
    Claim(
        id="chen2023/training-time",
        title="Steps to training loss eps",
        statement="T = Θ(n m / (eta eps d (P−1)² sigma_p²)), in each of its six parameters",
        formula=r"T=\Theta\left(\frac{nm}{\eta\varepsilon d(P-1)^2\sigma_p^2}\right)",
        source="Chen et al. 2023, Theorem 3.2 (SGD); Kou et al. 2023, Theorem 4.2",
        kind=Kind.RATE,
        hypotheses=CONDITION,
        parameters=NOMINAL | {"m": 20, "mu": 2.0},
        observe=observe,
        predict={axis: (lambda samples, exponent=exponent: exponent) for axis, exponent in EXPONENTS.items()},  # type: ignore[misc]
        tolerance=0.05,
        tolerance_reason="logarithms: T grows as 1/eps + O(log 1/eps), and n, m enter active sets of 10 to 80 neurons",
        control=Control(
            "half of every exponent",
            {axis: (lambda samples, exponent=exponent: exponent / 2) for axis, exponent in EXPONENTS.items()},  # type: ignore[misc]
        ),
        quick={
            "eps": (0.03, 0.01, 0.003, 0.001), "d": (10**5, 5 * 10**5, 25 * 10**5), "eta": (3.0, 1.0, 0.3),
            "n": (20, 40, 80, 160), "m": (20, 40, 80), "P − 1": (1, 2, 4), "seeds": 96,
        },
        full={
            "eps": (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003), "d": (10**4, 10**5, 10**6, 10**7),
            "eta": (3.0, 1.0, 0.3, 0.1, 0.03), "n": (20, 40, 80, 160), "m": (20, 40, 80, 160),
            "P − 1": (1, 2, 4), "seeds": 150,
        },
    ),
)  # fmt: skip

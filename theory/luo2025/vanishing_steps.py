"""Where USAM ends when its steps vanish and its radius does not: at the minimiser of the penalised loss.

Setting. f = (1/n) Σ h_i (x − c_i)²/2, h_i > 0; USAM with batches of m of the n samples, without replacement, rho
constant, steps like 1/t.

Claim. With F = (n − m)/(m (n − 1)), h the mean of h_i, x* the minimiser of f and g_i = h_i (x* − c_i),

    x_t → x* − rho F mean(h_i g_i)/(h + rho [h² + F (mean h_i² − h²)]):

the minimiser of f + (rho/2) f'² + ½ rho F V (`expected_step`). At m = n, n-SAM, it is x* itself.

Why. With y = x − x* sample i's gradient is h_i y + g_i and f' = h y: the mean step is along h y + rho [h² y +
F (mean h_i² y + mean h_i g_i − h² y)], which rises with y and vanishes at one point.

Source. Ours (derived above).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Kind, Prediction, Samples
from theory.domain import Domain, Range
from theory.luo2025.expected_step import BATCH, finite_population, noise_weight
from theory.quadratics.setting import seeds
from theory.types import Runner, Settings

CURVATURES, MINIMISERS = (4.0, 1.0, 0.5, 2.5), (1.0, -1.0, -0.5, 0.0)


def displacement(h: FloatArray, c: FloatArray, rho: float, weight: float) -> Any:
    """Return where x − x* ends, for a weight F of the noise; h, c (n,)."""
    mean = np.mean(h)
    g = h * (np.mean(h * c) / mean - c)
    return -rho * weight * np.mean(h * g) / (mean + rho * (mean**2 + weight * (np.mean(h**2) - mean**2)))


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """x − x* after each of the horizons, for every batch size: (horizons, seeds)."""
    from simulate.finite_sum_data import GivenSum
    from simulate.finite_sum_run import FiniteSumSpec

    h, c, rho = np.array(settings["h"]), np.array(settings["c"]), settings["rho"]
    root, horizons, axes = np.sqrt(h), settings["steps"], {}
    data = GivenSum(tuple((r,) for r in root), tuple(root * c), (0.0,))
    slope = h.mean() + rho * np.mean(h**2)  # at least the mean step's own
    for m in settings["m"]:
        results = runner.run([
            FiniteSumSpec(
                data, radius=rho, normalisation=0.0, step_size=1.0 / (h.max() * (1.0 + rho * h.max())),
                schedule="decreasing", decay=1.0 / slope, sampling=settings["sampling"],
                batch_size=m if settings["sampling"] == "nice" else 1, max_steps=horizons[-1], seed=seed,
                record=horizons,
            )
            for seed in seeds(settings)
        ])  # fmt: skip
        observed = np.array([r.history["x"][:, 0] - r.anchor[0] for r in results]).T
        axes[f"m = {m}"] = Samples(observed, {"h": h, "c": c, "rho": rho, "m": m, "n": len(h)})
    return axes


def on(weight: Callable[[int, int], float]) -> Prediction:
    """Return the prediction of a weight of (m, n)."""

    def predict(samples: Samples) -> Any:
        a = samples.given
        return displacement(a["h"], a["c"], a["rho"], weight(a["m"], a["n"]))

    return predict


DOMAIN = Domain(
    {
        "curvature": Range(0.2, 5.0, 4.0, log=True),
        "place": Range(0.5, 2.0, 1.0),
        "rho": Range(0.1, 2.0, 0.5, log=True),
        "batch": Range(1, 3, 2, integer=True),
    },
    lambda settings, runner: observe(
        settings
        | {
            "h": (settings["curvature"], *CURVATURES[1:]), "c": (settings["place"], *MINIMISERS[1:]),
            "m": (settings["batch"],),
        },
        runner,
    ),
    settings={"steps": (300, 10_000), "seeds": 8},
    sure={"steps": (3000, 300_000), "seeds": 40},
    budget=100,
)  # fmt: skip

CLAIMS = (
    Claim(
        id="luo2025/vanishing-steps",
        title="USAM with vanishing steps ends at the minimiser of the penalised loss",
        statement="x_t → x* − rho F mean(h_i g_i)/(h + rho[h² + F (mean h_i² − h²)]), F = (n − m)/(m (n − 1))",
        formula=(
            r"x_t-x^*\to-\frac{\rho F\,\overline{h_ig_i}}{h+\rho\left[h^2+F(\overline{h_i^2}-h^2)\right]} \qquad "
            r"F=\frac{n-m}{m(n-1)}"
        ),
        source="derived here (this file)",
        kind=Kind.LIMIT,
        hypotheses=(BATCH,),
        parameters={"n": 4, "m": 2, "rho": 0.5},
        observe=observe,
        predict=on(finite_population),
        tolerance=0.03,
        tolerance_reason="a finite number of steps",
        control=Control("1/m, as if samples were drawn one by one", on(lambda m, n: noise_weight(m))),
        quick={"h": CURVATURES, "c": MINIMISERS, "rho": 1.0, "m": (2, 3), "sampling": "nice", "steps": (1000, 150_000),
               "seeds": 48},
        full={"h": CURVATURES, "c": MINIMISERS, "rho": 1.0, "m": (2, 3), "sampling": "nice", "steps": (1000, 1_000_000),
              "seeds": 64},
        domain=DOMAIN,
        ours=True,
    ),
)  # fmt: skip

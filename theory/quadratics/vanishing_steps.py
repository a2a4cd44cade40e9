"""Stochastic SAM with a constant radius misses the optimum, however small its steps become.

Setting. f = ¼[a(x − 1)² + b(x + 1)²], the mean of two quadratics with minimisers ±1, one of them drawn for each step;
SAM's radius rho is constant, the steps vanish like 1/t. f is minimised at x* = (a − b)/(a + b).

Claims. (1) If (1 + rho)|a − b| < a + b,

    x_t → x* + rho (a − b)/(a + b),   f − f* → rho² (a − b)²/(4(a + b)).

(2) If (1 + rho)|a − b| > a + b, x_t → sign(a − b) and f − f* → min(a, b)²/(a + b). (3) Form (1) without its condition
is false.

Why. Each sample is perturbed away from its own minimiser: between −1 and 1 the mean step is along
½[a(1 + rho − x) − b(1 + rho + x)], which vanishes at (1 + rho) x*. If that is beyond the nearer minimiser, ±1, then
there the sign of that sample's perturbation flips, both sides push towards it, and x stays.

Source. After Si & Yun 2023, which proves that SAM with a constant rho need not reach the optimum; the limits are ours.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from theory.claim import Claim, Control, Hypothesis, Kind, Outcome, Prediction, Samples
from theory.domain import Domain, Range
from theory.quadratics.setting import seeds
from theory.types import Runner, Settings

PAIRS = {"a = 5, b = 1": (5.0, 1.0, 0.2), "a = 1, b = 3": (1.0, 3.0, 0.5)}
STUCK = {"a = 50, b = 1": (50.0, 1.0, 0.2), "a = 2, b = 7": (2.0, 7.0, 1.5)}


def gap_between(a: float, b: float, rho: float) -> float:
    """Return rho² (a − b)²/(4(a + b))."""
    return rho**2 * (a - b) ** 2 / (4.0 * (a + b))


def gap_at_minimiser(a: float, b: float, rho: float) -> float:
    """Return min(a, b)²/(a + b), whatever rho."""
    return min(a, b) ** 2 / (a + b)


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """f − f* after each of the horizons, for every pair: (horizons, seeds).

    Steps min{1/(2h), (2t + 1)/(h (t + 1)²)}, h = (a + b)/2 the curvature of f.
    """
    from simulate.finite_sum_data import GivenSum
    from simulate.finite_sum_run import FiniteSumSpec

    axes, horizons = {}, settings["steps"]
    for name, (a, b, rho) in settings["pairs"].items():
        data = GivenSum(((a**0.5,), (b**0.5,)), (a**0.5, -(b**0.5)), (0.0,))
        h = 0.5 * (a + b)
        results = runner.run([
            FiniteSumSpec(
                data, radius=settings["share"] * rho, step_size=0.5 / h, schedule="decreasing", decay=1.0 / h,
                sampling="single", max_steps=horizons[-1], seed=seed, record=horizons,
            )
            for seed in seeds(settings)
        ])  # fmt: skip
        observed = np.array([r.history["gap"] for r in results]).T
        axes[name] = Samples(observed, {"a": a, "b": b, "rho": rho, "notes": {"spread": float(observed[-1].std())}})
    return axes


def predicted(form: Callable[[float, float, float], float]) -> Prediction:
    """Return the prediction of a form of (a, b, rho)."""
    return lambda samples: form(*(samples.given[letter] for letter in ("a", "b", "rho")))


BETWEEN = Hypothesis(
    "between", "(1 + rho)|a − b| < a + b: the limit lies between the samples' minimisers",
    lambda p: (p["a"] + p["b"]) / max((1.0 + p["rho"]) * abs(p["a"] - p["b"]), 1e-200), 1.0,
)  # fmt: skip
BEYOND = Hypothesis(
    "beyond", "(1 + rho)|a − b| > a + b: it would lie beyond one of them",
    lambda p: (1.0 + p["rho"]) * abs(p["a"] - p["b"]) / max(p["a"] + p["b"], 1e-200), 1.0,
)  # fmt: skip
DOMAIN = Domain(
    {
        "a": Range(0.1, 50.0, 5.0, log=True),
        "b": Range(0.1, 50.0, 1.0, log=True),
        "rho": Range(0.05, 3.0, 0.2, log=True),
    },
    lambda settings, runner: observe(
        settings | {"pairs": {"searched": tuple(settings[name] for name in ("a", "b", "rho"))}}, runner
    ),
    letters=lambda settings: {name: settings[name] for name in ("a", "b", "rho")},
    settings={"steps": (300, 10_000), "seeds": 8},
    sure={"steps": (3000, 300_000), "seeds": 40},
    budget=300,
)

COMMON: dict[str, Any] = {
    "kind": Kind.LIMIT,
    "observe": observe,
    "tolerance": 0.03,
    "ours": True,
    "source": "derived here (this file)",
}
COMMON["domain"] = DOMAIN
COMMON["tolerance_reason"] = "a finite number of steps"
GD = Control("SGD, rho = 0", changes={"share": 0.0})
QUICK = {"share": 1.0, "steps": (3000, 300_000), "seeds": 40}
FULL = {"share": 1.0, "steps": (3000, 2_000_000), "seeds": 80}

CLAIMS = (
    Claim(
        id="quadratics/sam-misses-optimum",
        title="Stochastic SAM with vanishing steps misses the optimum",
        statement="f − f* → rho² (a − b)²/(4(a + b)) on ¼[a(x − 1)² + b(x + 1)²], if (1 + rho)|a − b| < a + b",
        formula=r"f-f^*\to\frac{\rho^2(a-b)^2}{4(a+b)} \qquad (1+\rho)|a-b|<a+b",
        hypotheses=(BETWEEN,),
        parameters={"a": 5.0, "b": 1.0, "rho": 0.2},
        predict=predicted(gap_between),
        control=GD,
        quick=QUICK | {"pairs": PAIRS},
        full=FULL | {"pairs": PAIRS},
        **COMMON,
    ),
    Claim(
        id="quadratics/sam-sticks",
        title="Stochastic SAM with vanishing steps sticks at one sample's minimiser",
        statement="f − f* → min(a, b)²/(a + b) on ¼[a(x − 1)² + b(x + 1)²], if (1 + rho)|a − b| > a + b",
        formula=r"f-f^*\to\frac{\min(a,b)^2}{a+b} \qquad (1+\rho)|a-b|>a+b",
        hypotheses=(BEYOND,),
        parameters={"a": 50.0, "b": 1.0, "rho": 0.2},
        predict=predicted(gap_at_minimiser),
        control=GD,
        quick=QUICK | {"pairs": STUCK},
        full=FULL | {"pairs": STUCK},
        **COMMON,
    ),
    Claim(
        id="quadratics/sam-misses-optimum-beyond",
        title="Stochastic SAM misses the optimum by the same form for every a, b and rho",
        statement="f − f* → rho² (a − b)²/(4(a + b)) without a condition on rho",
        formula=r"f-f^*\to\frac{\rho^2(a-b)^2}{4(a+b)}",
        hypotheses=(),
        parameters={"a": 50.0, "b": 1.0, "rho": 0.2},
        predict=predicted(gap_between),
        control=GD,
        twin=Control("min(a, b)²/(a + b)", predicted(gap_at_minimiser)),
        quick=QUICK | {"pairs": STUCK},
        full=FULL | {"pairs": STUCK},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
)

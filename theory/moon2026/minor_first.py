"""At depth 2 SAM amplifies minor features first, and turns to larger ones as its gradient grows.

Setting. `setting` at depth 2, with SAM's Euclidean perturbation: w_j' = c mu_j w_j (1 − rho mu_j/n), n = ‖∇L‖/c =
√(2 Σ mu_k² w_k²), the gradient over the slope of the loss.

Claim. Of two features the minor one, mu_j < mu_k, grows faster, relative to itself, iff

    n < rho (mu_j + mu_k).

So at n the fastest feature is the one with mu_j nearest n/(2 rho), and while n grows the lead passes from minor to
major.

Why. The difference of the relative rates is (mu_j − mu_k)(1 − rho (mu_j + mu_k)/n); mu (1 − rho mu/n) is a parabola
with its top at n/(2 rho).

Source. Moon, Si & Yun 2026, for the order; where the lead passes is ours.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from simulate.types import BoolArray, FloatArray
from theory.claim import Claim, Control, Hypothesis, Kind, Prediction, Samples
from theory.domain import Domain, Range
from theory.types import Numbers, Runner, Settings


def passing(rho: Numbers, minor: Numbers, major: Numbers) -> Any:
    """Return rho (mu_j + mu_k), the n at which two features grow at one rate."""
    return rho * (minor + major)


def networks(settings: Settings) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mu (B, d), weights (B, d) and rho (B,): drawn, d = 4, or one by its own numbers."""
    from simulate.streams import stream

    if "mu" in settings:
        mu, weights = np.array([np.cumsum(settings["mu"])]), np.array([settings["weights"]])
        return mu, weights, np.array([settings["rho"]])
    rng = stream("minor features", settings["seed"])
    size = (settings["problems"], 4)
    mu = np.cumsum(rng.uniform(0.1, 1.0, size), axis=1)
    return mu, np.exp(rng.uniform(-2.0, 2.0, size)), np.exp(rng.uniform(-2.0, 2.0, size[0]))


def observe(settings: Settings, runner: Runner) -> Samples:
    """n/rho where the lead passes, of each pair of neighbours, by halving in the length of w: (pairs,)."""
    from simulate.deep_diagonal import ascent, step

    mu, weights, rho = networks(settings)
    mu, weights, rho = (np.repeat(values, 3, axis=0) for values in (mu, weights, rho))
    rows, minor = np.arange(len(mu)), np.arange(len(mu)) % 3

    def layers(scale: FloatArray) -> FloatArray:
        return np.repeat((np.exp(scale)[:, None] * weights)[:, None], 2, axis=1)

    def passed(scale: FloatArray) -> BoolArray:
        W = layers(scale)
        growth: FloatArray = (step(mu, W, np.ones(len(mu)), rho, "euclidean") / W)[:, 0]
        return growth[rows, minor] < growth[rows, minor + 1]

    low, high = np.full(len(mu), -20.0), np.full(len(mu), 20.0)
    bracketed = passed(high) & ~passed(low)
    for _ in range(settings["halvings"]):
        middle = 0.5 * (low + high)
        late = passed(middle)
        low, high = np.where(late, low, middle), np.where(late, middle, high)
    norms = np.sqrt((ascent(mu, layers(0.5 * (low + high))) ** 2).sum(axis=(1, 2)))
    given = {"rho": np.ones(len(mu)), "minor": mu[rows, minor], "major": mu[rows, minor + 1]}
    return Samples(np.where(bracketed, norms / rho, np.nan), given)


def on(form: Callable[[FloatArray, FloatArray, FloatArray], Any]) -> Prediction:
    """Return the prediction of a form of (rho, mu_j, mu_k)."""
    return lambda samples: form(*(samples.given[name] for name in ("rho", "minor", "major")))


CLAIMS = (
    Claim(
        id="moon2026/minor-first",
        title="At depth 2 SAM's lead passes from minor to major features",
        statement="at depth 2 the minor of two features grows faster iff ‖∇L‖/c < rho (mu_j + mu_k)",
        formula=r"\frac{\lVert\nabla L\rVert}{c}=\rho(\mu_j+\mu_k)",
        source="Moon, Si & Yun 2026, for the order of the features; where the lead passes is derived here (this file)",
        kind=Kind.IDENTITY,
        hypotheses=(Hypothesis("shallow", "depth 2", lambda a: 2.0 / a["depth"], 1.0),),
        parameters={"depth": 2, "rho": 0.1},
        observe=observe,
        predict=on(passing),
        tolerance=1e-10,
        tolerance_reason="rounding of two nearly equal rates",
        control=Control("where the major feature itself is held back", on(lambda rho, minor, major: rho * major)),
        quick={"problems": 100, "halvings": 50},
        full={"problems": 3000, "halvings": 50},
        domain=Domain(
            {
                "mu": Range(0.1, 1.0, 1.0, size=4),
                "weights": Range(0.1, 10.0, 1.0, log=True, size=4),
                "rho": Range(0.1, 10.0, 1.0, log=True),
            },
            budget=200,
        ),
        ours=True,
    ),
)

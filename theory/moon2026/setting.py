"""Random deep diagonal networks, as every file here has them.

f = Σ_j mu_j Π_l w_lj on one sample of label 1, mu_j > 0, all L layers starting at alpha > 0; the loss falls with f.
SAM's flow with radius rho; ℓ∞-SAM perturbs by rho times the gradient's sign. The layers stay equal, w_l = w, and
beta = w^L.
"""

from collections.abc import Iterator

import numpy as np

from simulate.types import FloatArray
from theory.claim import Hypothesis
from theory.types import Settings

ABOVE = Hypothesis("above", "alpha > rho for one coordinate at least", lambda a: max(a["alpha/rho"], 1e-200), 1.0)
BELOW = Hypothesis("below", "alpha < rho for every coordinate", lambda a: 1.0 / max(a["alpha/rho"], 1e-200), 1.0)
DEEP = Hypothesis("deep", "depth at least 3", lambda a: a["depth"] / 3.0, 1.0)


def draws(settings: Settings) -> Iterator[tuple[int, FloatArray, FloatArray, FloatArray]]:
    """Yield (depth L, mu (B, d), alpha (B, d), rho (B,)) of each depth: alpha/rho in the interval settings["ratios"].

    The first coordinate starts above rho where settings["above"]; d = 4. Or one network, by its own numbers.
    """
    from simulate.streams import stream

    if "mu" in settings:
        mu, ratios, rho = (np.array([settings[name]]) for name in ("mu", "alpha/rho", "rho"))
        ratios[:, 0] += 1.0  # one above
        yield settings["depth"], mu, ratios * rho[:, None], rho
        return
    low, high = settings["ratios"]
    for depth in settings["depths"]:
        size = (settings["problems"], 4)
        rng = stream("deep networks", settings["seed"], depth=depth)
        mu, ratios = rng.uniform(0.6, 1.6, size), rng.uniform(low, high, size)
        rho = np.exp(rng.uniform(np.log(0.1), np.log(3.0), size[0]))
        if settings["above"]:
            ratios[:, 0] = rng.uniform(1.3, 2.5, size[0])
        yield depth, mu, ratios * rho[:, None], rho


def run(settings: Settings, depth: int, mu: FloatArray, alpha: FloatArray, rho: FloatArray) -> FloatArray:
    """Return a layer's weights (B, d) at the end of ℓ∞-SAM's flow, or where the first of them is 10⁹ rho."""
    from simulate.deep_diagonal import flow

    W: FloatArray = np.repeat(alpha[:, None], depth, axis=1)
    W = flow(mu, W, rho, "largest", settings["steps"], settings["share"], 1e9 * rho)
    return W[:, 0]

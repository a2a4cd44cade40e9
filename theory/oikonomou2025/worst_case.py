"""The worst case of deterministic USAM beside Theorem 3.2 without noise.

Setting. k steps of USAM (lam = 0) with full gradients from f(x_0) − f* = 1, so that A = C = 0, B = 1, D = mu; the worst
beta-smooth mu-strongly convex f, exactly, by performance estimation (`theory/performance_estimation.py`).

Claim. f(x_k) − f* ≤ (1 − gamma mu)^k for rho ≤ rho* = 1/(3 beta) and
gamma ≤ gamma* = (1 − 3 beta rho)/(2 beta (1 + 2 beta² rho²)); here at gamma*. At rho = 0, mu = beta/10 and k = 10 the
worst is the quadratic with eigenvalue mu, 0.95²⁰ = 0.3585, the bound 0.95¹⁰ = 0.5987.

Source. Oikonomou & Loizou 2025, Theorem 3.2.
"""

from typing import Any

from theory.claim import Claim, Control, Samples
from theory.oikonomou2025.setting import CAPS, NOMINAL, Constants
from theory.performance_estimation import CLAIM, samples, share_of_bound, worst_case
from theory.types import Runner, Settings


def largest_step(mu: float, rho: float) -> Any:
    """Return gamma* of full gradients at lam = 0, beta = 1."""
    return Constants(1.0, mu, 0.0, 1.0, 0.0).step_cap(rho, 0.0)


def observe(settings: Settings, runner: Runner) -> Samples:
    """Worst cases and bounds for every number of steps, mu and rho."""
    pairs = []
    for k in settings["steps"]:
        for mu, rho in settings["cases"]:
            gamma = largest_step(mu, rho)
            pairs.append((worst_case("strongly convex", [gamma] * k, [rho] * k, mu), (1.0 - gamma * mu) ** k))
    found: Samples = samples(pairs)
    return found


CLAIMS = (
    Claim(
        id="oikonomou2025/worst-case",
        title="The worst case of USAM is within the bound under PL without noise",
        statement="f(x_k) − f* ≤ (1 − gamma mu)^k (f(x_0) − f*) at gamma*, full gradients, lam = 0, worst f",
        formula=r"f(x_k)-f^*\le(1-\gamma\mu)^k(f(x_0)-f^*) \qquad \gamma=\frac{1-3\beta\rho}{2\beta(1+2\beta^2\rho^2)}",
        source="Oikonomou & Loizou 2025, Theorem 3.2",
        hypotheses=CAPS,
        parameters=NOMINAL | {"lam": 0.0, "D": lambda a: a["mu"], "rho": 0.3, "gamma": 0.04},
        observe=observe,
        predict=share_of_bound(1.0),
        control=Control("four times the rate", lambda samples: samples.given["bound"] ** 4),
        quick={"steps": (1, 5), "cases": ((0.1, 0.0), (0.1, 0.1), (0.5, 0.2))},
        full={"steps": (1, 5, 10), "cases": ((0.1, 0.0), (0.1, 0.1), (0.5, 0.2), (0.02, 0.3))},
        **CLAIM,
    ),
)

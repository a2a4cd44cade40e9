"""What the theorems of Oikonomou & Loizou 2025 share: the constants of a sampling, caps and floors.

Letters: f = (1/n) Σ f_i with infimum f*, L_i = Lip(∇f_i), mu the PL constant (‖∇f‖² ≥ 2 mu (f − f*)); g_S an unbiased
stochastic gradient; sigma* = f* − mean inf f_i; rho radius, lam normalisation, gamma step size. Expected residual:
E‖g_S‖² ≤ 2A (f − f*) + B ‖∇f‖² + C. L must bound Lip(g_S) for every draw S, not f's own constant or max L_i alone:
the proofs compare g_S at x with g_S at the perturbed point.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Hypothesis
from theory.types import Numbers

if TYPE_CHECKING:
    from simulate.objective import FiniteSum
    from simulate.sampling import Sampling


def expected_residual(kind: str, n: int, tau: int, L: FloatArray, p: Any = None) -> tuple[float, float]:
    """Return (A, B) of a sampling of n functions with constants L (n,) and probabilities p (n,); C = 2 A sigma*."""
    largest = float(np.max(L))
    if kind == "full" or (kind == "nice" and tau == n):
        return 0.0, 1.0
    if kind == "nice":
        return (n - tau) * largest / (tau * (n - 1)), n * (tau - 1) / (tau * (n - 1))
    if kind == "replacement":
        return largest / tau, 1.0 - 1.0 / tau
    return float(np.max(L / (n * p))), 0.0  # importance: p ∝ L_i makes it the mean of L_i


@dataclass(frozen=True)
class Constants:
    """The constants of a problem and a sampling that bounds are made of; arrays or numbers."""

    L: float
    mu: float
    A: float
    B: float
    C: float

    @property
    def D(self) -> float:
        """B mu + A: E‖g_S‖² ≤ (D/mu) ‖∇f‖² + C under PL."""
        return self.B * self.mu + self.A

    def radius_cap(self, lam: Numbers) -> Any:
        """Return rho* = mu/(L (mu + 2 D (1−lam)²))."""
        return self.mu / (self.L * (self.mu + 2.0 * self.D * (1.0 - lam) ** 2))

    def step_cap(self, rho: Numbers, lam: Numbers) -> Any:
        """Return gamma* = (mu − L rho (mu + 2 D (1−lam)²))/(2 L D (1 + 2 L² rho² (1−lam)²)).

        It is within 4 ulps of its value without the second term, which takes all of it away at rho*.
        """
        free = self.mu - self.L * rho * (self.mu + 2.0 * self.D * (1.0 - lam) ** 2)
        return free / (2.0 * self.L * self.D * (1.0 + 2.0 * (self.L * rho * (1.0 - lam)) ** 2))

    def floor(self, gamma: Numbers, rho: Numbers, lam: Numbers) -> Any:
        """Return N = (L/mu) {C [gamma + rho (1−lam)² (1 + 2 L² gamma rho)] + rho lam² (1 + 2 L² gamma rho)}."""
        bent = 1.0 + 2.0 * self.L**2 * gamma * rho
        return self.L / self.mu * (self.C * (gamma + rho * (1.0 - lam) ** 2 * bent) + rho * lam**2 * bent)

    def sharper_radius_cap(self, lam: Numbers) -> Any:
        """Return ¾ mu/(L (1−lam)(mu + D)), where the sharper step cap is 0; infinite at lam = 1."""
        with np.errstate(divide="ignore"):
            return 0.75 * self.mu / np.asarray(self.L * (1.0 - np.asarray(lam, float)) * (self.mu + self.D))

    def sharper_step_cap(self, rho: Numbers, lam: Numbers) -> Any:
        """Return (¾ mu − L rho (1−lam)(mu + D))/(2 L D (1 + 2 L² rho² (1−lam)²)), within 4 ulps likewise."""
        free = 0.75 * self.mu - self.L * rho * (1.0 - lam) * (self.mu + self.D)
        return free / (2.0 * self.L * self.D * (1.0 + 2.0 * (self.L * rho * (1.0 - lam)) ** 2))

    def sharper_floor(self, gamma: Numbers, rho: Numbers, lam: Numbers) -> Any:
        """Return N' = (L/mu) {C [gamma + rho (1−lam)/2 + 2 L² gamma rho² (1−lam)²] + 2 L rho² lam² (1 + L gamma)}."""
        noise = gamma + 0.5 * rho * (1.0 - lam) + 2.0 * gamma * (self.L * rho * (1.0 - lam)) ** 2
        return self.L / self.mu * (self.C * noise + 2.0 * self.L * (rho * lam) ** 2 * (1.0 + self.L * gamma))


def _margin(ratio: Callable[[Constants, float, float, float], float]) -> Callable[[Mapping[str, Any]], float]:
    """Return a margin by letters: `ratio(constants, rho, gamma, lam)`, with D in place of A and B."""
    return lambda a: ratio(Constants(a["L"], a["mu"], a["D"], 0.0, 0.0), a["rho"], a["gamma"], a["lam"])


def _nominal_radius(a: Mapping[str, Any]) -> Any:
    return 0.9 * Constants(a["L"], a["mu"], a["D"], 0.0, 0.0).radius_cap(a["lam"])


def _nominal_step(a: Mapping[str, Any]) -> Any:
    rho = a["rho"](a) if callable(a["rho"]) else a["rho"]
    return 0.9 * Constants(a["L"], a["mu"], a["D"], 0.0, 0.0).step_cap(rho, a["lam"])


NOMINAL = {
    "L": 1.0, "L_S": lambda a: a["L"], "mu": 0.1, "D": 1.0, "lam": 0.5, "rho": _nominal_radius, "gamma": _nominal_step,
}  # fmt: skip

SMALL_RADIUS = Hypothesis(
    "radius", "rho ≤ rho*", _margin(lambda c, rho, gamma, lam: c.radius_cap(lam) / max(rho, 1e-200)), required=1.0
)
SMALL_STEP = Hypothesis(
    "step", "gamma ≤ gamma*(rho)", _margin(lambda c, rho, gamma, lam: c.step_cap(rho, lam) / max(gamma, 1e-200)),
    required=1.0,
)  # fmt: skip
CAPS = SMALL_RADIUS, SMALL_STEP
SHARPER_STEP = Hypothesis(
    "step", "gamma ≤ the sharper cap, which is positive at small enough rho",
    _margin(lambda c, rho, gamma, lam: c.sharper_step_cap(rho, lam) / max(gamma, 1e-200)), required=1.0,
)  # fmt: skip
SMOOTH_DRAWS = Hypothesis(
    "smooth", "L ≥ L_S, the largest Lip(g_S), and L ≥ Lip(∇f)", lambda a: a["L"] / a["L_S"], required=1.0
)


def constants(problem: "FiniteSum", draws: "Sampling") -> Constants:
    """Return the constants of a `FiniteSum` and a `Sampling`."""
    L_i = problem.sample_lipschitz
    A, B = expected_residual(draws.kind, problem.samples, draws.batch_size, L_i, draws.probabilities)
    L = max(problem.lipschitz, draws.lipschitz(problem))
    return Constants(L, problem.pl_constant, A, B, 2.0 * A * problem.noise)

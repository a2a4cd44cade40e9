"""SAM's edge of stability: the curvature beyond which its step overshoots, given the gradient's norm.

Setting. One step of SAM on a quadratic with Hessian H from a point with gradient g ≠ 0, w₊ = w − eta H(w + rho g/‖g‖);
an eigenvector of H with eigenvalue lam along which w has a component.

Claims. (1) The step makes that component longer if and only if lam exceeds

    lam_c(‖g‖) = (‖g‖/(2 rho)) (√(1 + 8 rho/(eta ‖g‖)) − 1) < 2/eta.

(2) The two-cycle that SAM ends in on a quadratic (`two_cycle`) sits at its edge: lam_c(‖g‖) = lam_max.

Why. g = Hw, so that the step multiplies the component by 1 − eta lam − eta rho lam²/‖g‖: −1 where
eta rho lam² + eta ‖g‖ lam − 2‖g‖ = 0. At ± c v, the factor of v is −1.

Scope. Both speak of quadratics. That training of a network drives its Hessian to this edge, as Long & Bartlett observe,
is not claimed here.

Source. Long & Bartlett 2024 (their derivation has w along one eigenvector; any w will do); (2) is ours.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Kind, Samples
from theory.domain import Domain, Range
from theory.quadratics.setting import (
    NOMINAL,
    SEARCHED,
    basis,
    critical_value,
    log_uniform,
    path,
    quadratic,
    searched,
    seeds,
    spectrum,
)
from theory.quadratics.two_cycle import DOMAIN, STABLE, cycles
from theory.types import Numbers, Runner, Settings


def edge(eta: Numbers, rho: Numbers, gradient_norm: Numbers) -> Any:
    """Return lam_c, in a form that does not cancel; 2/eta at rho = 0 and as ‖g‖ → ∞."""
    return 4.0 / eta / (1.0 + np.sqrt(1.0 + 8.0 * rho / (eta * gradient_norm)))


def observe_step(settings: Settings, runner: Runner) -> Samples:
    """Return the curvature at which one step no longer shortens a component, ‖g‖ held, over lam_c, (problems,).

    The component is that of any eigenvalue; the others keep their ratios to it.
    """
    observed, plain = [], []
    for ratios, k, Q, eta, rho, norm, g in steps(settings):
        ratios = ratios / ratios[k]
        g = g * (norm / np.linalg.norm(g))

        def longer(
            lam: float, ratios: FloatArray = ratios, k: int = k, Q: FloatArray = Q, eta: float = eta, rho: float = rho,
            g: FloatArray = g,
        ) -> bool:  # fmt: skip
            start = Q @ (g / (lam * ratios))
            _, history = path(quadratic(lam * ratios, Q), start, eta, rho, 1.0, 1)
            return bool(abs(Q[:, k] @ history["x"][-1]) > abs(Q[:, k] @ start))

        expected = edge(eta, rho, norm)
        observed.append(critical_value(longer, 1e-6, 1e6, settings["halvings"]) / expected)
        plain.append(2.0 / eta / expected)
    return Samples(np.array(observed), {"plain": np.array(plain)})


def steps(settings: Settings) -> Iterator[tuple[FloatArray, int, FloatArray, float, float, float, FloatArray]]:
    """Yield (eigenvalues, which one, basis, eta, rho, ‖g‖, g's direction): drawn, or one by its own numbers."""
    from simulate.streams import stream

    if "ratios" in settings:
        eigenvalues, Q, g = searched(settings)
        k = min(settings["k"], settings["d"] - 1)
        yield eigenvalues, k, Q, settings["eta"], settings["rho"], settings["norm"], g
        return
    for seed in seeds(settings):
        rng = stream("edge", seed)
        ratios = spectrum(rng)
        k, Q = int(rng.integers(len(ratios))), basis(rng, len(ratios))
        eta, rho, norm = (log_uniform(rng, *ends) for ends in ((0.01, 10.0), (1e-3, 10.0), (1e-3, 1e3)))
        g = rng.choice((-1.0, 1.0), len(ratios)) * rng.uniform(0.2, 1.0, len(ratios))
        yield ratios, k, Q, eta, rho, norm, g


EDGE = Domain(
    {name: c for name, c in SEARCHED.items() if name != "lam"}
    | {"start": Range(0.2, 1.0, 1.0, size=8), "k": Range(0, 7, 0, integer=True)}
    | {"eta": Range(0.01, 10.0, 1.0, log=True), "norm": Range(1e-3, 1e3, 1.0, log=True)},
    settings={"lam": 1.0},
    budget=600,
)


def observe_cycle(settings: Settings, runner: Runner) -> Samples:
    """lam_c at the gradient norm of the two-cycle over lam_max, (problems,)."""
    observed, plain = [], []
    for lam, _, eta, rho, last in cycles(settings):
        observed.append(edge(eta, rho, last["gradient_norm"][1]) / lam)
        plain.append(2.0 / (eta * lam))
    return Samples(np.array(observed), {"plain": np.array(plain)})


COMMON: dict[str, Any] = {
    "kind": Kind.IDENTITY,
    "parameters": NOMINAL,
    "predict": lambda samples: np.ones(len(samples.observed)),
}

CLAIMS = (
    Claim(
        id="quadratics/edge-of-stability",
        title="SAM's step overshoots beyond an edge that falls with the gradient",
        statement="a step lengthens an eigenvector's component iff lam > (‖g‖/2rho)(√(1 + 8rho/(eta‖g‖)) − 1)",
        formula=(
            r"\lambda_c(\lVert g\rVert)=\frac{\lVert g\rVert}{2\rho}\left(\sqrt{1"
            r"+\frac{8\rho}{\eta\lVert g\rVert}}-1\right)"
        ),
        source="Long & Bartlett 2024, the SAM-edge",
        hypotheses=(),
        observe=observe_step,
        tolerance=1e-10,
        tolerance_reason="the last bracket of the bisection",
        control=Control("GD's edge 2/eta", lambda samples: samples.given["plain"]),
        quick={"halvings": 44, "seeds": 40},
        full={"halvings": 46, "seeds": 400},
        domain=EDGE,
        **COMMON,
    ),
    Claim(
        id="quadratics/cycle-at-the-edge",
        title="On a quadratic SAM ends at its edge of stability",
        statement="at the two-cycle's gradient norm the SAM-edge is lam_max, wherever in 0 … 2/eta that is",
        formula=r"\lambda_c(\lVert g\rVert)=\lambda_{\max}",
        source="derived here (this file)",
        hypotheses=(STABLE,),
        observe=observe_cycle,
        tolerance=1e-12,
        tolerance_reason="rounding",
        control=Control("GD's edge 2/eta", lambda samples: samples.given["plain"]),
        quick={"steps": 10_000, "seeds": 100},
        full={"steps": 20_000, "seeds": 1000},
        domain=DOMAIN,
        ours=True,
        **COMMON,
    ),
)

"""USAM on a positive definite quadratic: where it stops converging.

Setting. f = ½ wᵀ H w, H positive definite; w ← w − eta H(w + rho Hw), without SAM's normalisation.

Claim. w_t → 0 from every start if and only if

    eta lam (1 + rho lam) < 2   for the largest eigenvalue lam of H;

beyond it almost every start diverges. At equality the top component stays, reversed at each step.

Why. The step is linear, with factors 1 − eta lam_i (1 + rho lam_i) on the eigenvectors, the lowest at lam_max.

Source. Dai, Ahn & Sra 2023, which contrasts it with SAM's stability for every eta < 2/lam.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Hypothesis, Kind, Samples
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
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.objective import FiniteSum


def critical_step(lam: Numbers, rho: Numbers) -> Any:
    """Return the step eta at which eta lam (1 + rho lam) = 2."""
    return 2.0 / (lam * (1.0 + rho * lam))


def observe(settings: Settings, runner: Runner) -> Samples:
    """Return the step at which USAM's paths begin to grow over the closed form's, (problems,).

    Growth is told from the second half of the path, when only the top component is left. rho lam_max is log-uniform
    in 0.01 … 10.
    """
    observed, plain, steps = [], [], settings["steps"]
    for eigenvalues, Q, start, share in problems(settings):
        problem, lam = quadratic(eigenvalues, Q), eigenvalues[0]
        rho = share / lam

        def grows(eta: float, problem: "FiniteSum" = problem, start: FloatArray = start, rho: float = rho) -> bool:
            status, history = path(problem, start, eta, rho, 0.0, steps, (steps // 2,))
            return status == "diverged" or history["distance"][-1] > history["distance"][0]

        expected = critical_step(lam, rho)
        observed.append(critical_value(grows, 1e-5, 1e5, settings["halvings"]) / expected)
        plain.append(2.0 / lam / expected)
    return Samples(np.array(observed), {"plain": np.array(plain)})


def problems(settings: Settings) -> Iterator[tuple[FloatArray, FloatArray, FloatArray, float]]:
    """Yield (eigenvalues, basis, start, rho lam): drawn, or one by its own numbers."""
    from simulate.streams import stream

    if "ratios" in settings:
        yield *searched(settings), settings["rho lam"]
        return
    for seed in seeds(settings):
        rng = stream("usam-threshold", seed)
        eigenvalues = spectrum(rng)
        Q = basis(rng, len(eigenvalues))
        yield eigenvalues, Q, rng.standard_normal(len(eigenvalues)), log_uniform(rng, 0.01, 10.0)


DOMAIN = Domain(
    {name: c for name, c in SEARCHED.items() if name != "rho"} | {"rho lam": Range(0.01, 10.0, 1.0, log=True)},
    budget=200,
)

CLAIMS = (
    Claim(
        id="quadratics/usam-threshold",
        title="Where USAM on a quadratic stops converging",
        statement="USAM's steps contract iff eta lam_max (1 + rho lam_max) < 2",
        formula=r"\eta_c\lambda_{\max}(1+\rho\lambda_{\max})=2",
        source="Dai, Ahn & Sra 2023, the quadratic case",
        kind=Kind.IDENTITY,
        hypotheses=(
            Hypothesis(
                "stable", "eta lam (1 + rho lam) < 2: which side of the boundary the setting is on",
                lambda a: 2.0 / max(a["eta"] * a["lam"] * (1.0 + a["rho"] * a["lam"]), 1e-200),
            ),
        ),
        parameters=NOMINAL,
        observe=observe,
        predict=lambda samples: np.ones(len(samples.observed)),
        tolerance=1e-10,
        tolerance_reason="the last bracket of the bisection",
        control=Control("GD's step 2/lam_max", lambda samples: samples.given["plain"]),
        quick={"steps": 3000, "halvings": 44, "seeds": 20},
        full={"steps": 3000, "halvings": 46, "seeds": 200},
        domain=DOMAIN,
    ),
)  # fmt: skip

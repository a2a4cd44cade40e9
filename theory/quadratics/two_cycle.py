"""SAM on a quadratic ends in a two-cycle along the top eigenvector.

Setting. f = ½ wᵀ H w, H positive definite with a simple top eigenvalue lam and unit eigenvector v, 0 < eta lam < 2,
rho > 0, a start in general position.

Claim. w_t tends to ± c v, the sign alternating, with

    c = eta lam rho/(2 − eta lam),   f = ½ lam c².

Why. In the eigenbasis a step multiplies coordinate i by 1 − eta lam_i − eta rho lam_i²/‖Hw‖. At ± c v the factor of v
is −1, and of an eigenvector with ratio s = lam_i/lam < 1 it is 1 − u s − (2 − u) s², u = eta lam, within (−1, 1); on a
cycle of any smaller eigenvalue v's own factor is beyond −1.

Source. Bartlett, Long & Bousquet 2023; checked here on the whole range 0 < eta lam < 2.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Hypothesis, Kind, Samples
from theory.domain import Domain, Range
from theory.quadratics.setting import (
    NOMINAL,
    SEARCHED,
    basis,
    log_uniform,
    path,
    quadratic,
    searched,
    seeds,
    spectrum,
)
from theory.types import Numbers, Runner, Settings


def amplitude(eta: Numbers, lam: Numbers, rho: Numbers) -> Any:
    """Return c = eta lam rho/(2 − eta lam), within 3 ulps of 2/(2 − eta lam) times itself."""
    return eta * lam * rho / (2.0 - eta * lam)


def cycles(settings: Settings) -> Iterator[tuple[float, float, float, float, dict[str, FloatArray]]]:
    """Yield (lam, second eigenvalue, eta, rho, the last two states) of SAM on each seed's problem.

    eta lam is uniform in 0.05 … 1.95, rho log-uniform in 0.001 … 10, the start's norm within a factor 100 of c.
    """
    for eigenvalues, Q, start, u, rho, share in problems(settings):
        lam, second = eigenvalues[:2]
        eta, steps = u / lam, settings["steps"]
        start = start * (share * amplitude(eta, lam, rho) / np.linalg.norm(start))
        _, history = path(quadratic(eigenvalues, Q), start, eta, rho, 1.0, steps, (steps - 1,))
        yield lam, second, eta, rho, {name: values[-2:] for name, values in history.items()}


def problems(settings: Settings) -> Iterator[tuple[FloatArray, FloatArray, FloatArray, float, float, float]]:
    """Yield (eigenvalues, basis, start, eta lam, rho, the start's norm over c): drawn, or one by its own numbers."""
    from simulate.streams import stream

    if "ratios" in settings:
        yield *searched(settings), settings["eta lam"], settings["rho"], settings["norm/c"]
        return
    for seed in seeds(settings):
        rng = stream("two-cycle", seed)
        eigenvalues = spectrum(rng)
        u, rho = float(rng.uniform(0.05, 1.95)), log_uniform(rng, 1e-3, 10.0)
        start, share = rng.standard_normal(len(eigenvalues)), log_uniform(rng, 0.01, 100.0)
        yield eigenvalues, basis(rng, len(start)), start, u, rho, share


def letters(settings: Settings) -> dict[str, float]:
    """Return the letters of the hypotheses at an instance."""
    return {"eta": settings["eta lam"] / settings["lam"], "lam": settings["lam"], "rho": settings["rho"]}


STABLE = Hypothesis("eta", "eta lam_max < 2", lambda a: 2.0 / max(a["eta"] * a["lam"], 1e-200), 1.0)
DOMAIN = Domain(
    SEARCHED | {"eta lam": Range(0.05, 1.95, 1.0), "norm/c": Range(0.01, 100.0, 1.0, log=True)},
    letters=letters,
    budget=600,
)


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Half the last jump over c, and f over ½ lam c², (problems,) each; half a jump is ‖w‖ only if w is reversed."""
    jumps, values, other = [], [], []
    for lam, second, eta, rho, last in cycles(settings):
        c = amplitude(eta, lam, rho)
        jumps.append(0.5 * np.linalg.norm(last["x"][1] - last["x"][0]) / c)
        values.append(last["gap"][1] / (0.5 * lam * c * c))
        other.append(amplitude(eta, second, rho) / c)
    others = np.array(other)
    return {
        "amplitude": Samples(np.array(jumps), {"second": others}),
        "f": Samples(np.array(values), {"second": others**2}),
    }


CLAIMS = (
    Claim(
        id="quadratics/two-cycle",
        title="SAM on a quadratic ends in a two-cycle along the top eigenvector",
        statement="‖w‖ → eta lam rho/(2 − eta lam), w reversed each step, f → ½ lam ‖w‖², for 0 < eta lam_max < 2",
        formula=(
            r"\lVert w\rVert\to\frac{\eta\lambda\rho}{2-\eta\lambda} \qquad f\to\frac12\lambda\lVert w\rVert^2 \qquad "
            r"w_{t+1}+w_t\to0"
        ),
        source="Bartlett, Long & Bousquet 2023, the quadratic case; here for every eta lam_max < 2",
        kind=Kind.IDENTITY,
        hypotheses=(STABLE,),
        parameters=NOMINAL,
        observe=observe,
        predict=lambda samples: np.ones(len(samples.observed)),
        tolerance=1e-12,
        tolerance_reason="rounding",
        control=Control("a cycle along the second eigenvector", lambda samples: samples.given["second"]),
        quick={"steps": 10_000, "seeds": 200},
        full={"steps": 20_000, "seeds": 2000},
        domain=DOMAIN,
    ),
)

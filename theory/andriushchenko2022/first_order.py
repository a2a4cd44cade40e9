"""The first-order form of SAM's bias, and where it stops.

Setting. m-SAM flow at radius rho from w₊ = w₋ = alpha; gradient flow from the same start.

Claim. log alpha_eff = log alpha − rho Delta_m + O(rho²), Delta_m = ∫ Σ_b p_b g_b² dt along the gradient flow. The
error's exponent in rho is 2.

Where it stops. The next order is not small for 1-SAM at radii in use: at rho = 0.1 (alpha = 0.1, 20 × 30) the form is
off by more than a quarter of its own size.

Source. Andriushchenko & Flammarion 2022, Theorem 3 and its proof.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.andriushchenko2022.setting import NOMINAL, REALISABLE, SMALL_RHO, flow_rule, regression, seeds
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.types import Numbers, Runner, Settings


def log_alpha_eff(alpha: Numbers, rho: Numbers, delta: Numbers) -> Any:
    """Return log alpha − rho Delta."""
    return np.log(alpha) - rho * delta


def errors(settings: Settings, runner: Runner, m: Any, radii: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Return ‖log alpha_eff − its first-order form‖_∞ and rho ‖Delta_m‖_∞, each (radii, seeds)."""
    from simulate.diagonal_run import DiagonalSpec

    n, alpha = settings["n"], settings["alpha"]
    m = n if m == "n" else m
    data = regression(samples=n, dimension=settings["d"], test_samples=0)
    specs = [
        DiagonalSpec(data, alpha, **flow_rule(m, n), radius=rho, seed=seed)
        for rho in (0.0, *radii) for seed in seeds(settings)
    ]  # fmt: skip
    results = runner.run(specs)
    count = settings["seeds"]
    delta = np.array([r.history["bias_integral"][-1] for r in results[:count]])
    shape = (len(radii), count, -1)
    observed = np.array([r.log_alpha_eff for r in results[count:]]).reshape(shape)
    effect = np.asarray(radii)[:, None, None] * delta
    return np.abs(observed - (np.log(alpha) - effect)).max(axis=2), np.abs(effect).max(axis=2)


def observe_rate(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Return the error against rho → 0 for every block size."""
    radii = settings["rho"]
    return {
        f"m = {m}": Samples(errors(settings, runner, m, radii)[0], {"x": np.array(radii)}) for m in settings["blocks"]
    }


def observe_size(settings: Settings, runner: Runner) -> Samples:
    """Return the error over rho ‖Delta_1‖_∞ at one radius, a replicate a seed."""
    error, effect = errors(settings, runner, 1, (settings["rho"],))
    return Samples(error / effect, {"trivial": 1.0})


COMMON: dict[str, Any] = {
    "source": "Andriushchenko & Flammarion 2022, Theorem 3",
    "hypotheses": (REALISABLE, SMALL_RHO),
}

CLAIMS = (
    Claim(
        id="andriushchenko2022/first-order",
        title="The first-order form of alpha_eff is exact to order rho²",
        statement="‖log alpha_eff − (log alpha − rho Delta_m)‖ ∝ rho² as rho → 0, for n-SAM, m-SAM and 1-SAM",
        formula=(
            r"\lVert\log\alpha_{\mathrm{eff}}-\log\alpha+\rho\Delta_m\rVert_\infty\propto\rho^2 \qquad "
            r"\Delta_m=\int_0^\infty\sum_bp_b\,g_b^2\,dt"
        ),
        kind=Kind.RATE,
        parameters=NOMINAL | {"rho": 0.001},
        observe=observe_rate,
        predict=dict.fromkeys(("m = 1", "m = 5", "m = n"), lambda samples: 2.0),
        tolerance=0.05,
        tolerance_reason="third order at the largest rho",
        control=Control("order rho", dict.fromkeys(("m = 1", "m = 5", "m = n"), lambda samples: 1.0)),
        quick={"n": 20, "d": 30, "alpha": 0.1, "blocks": (1, 5, "n"), "rho": (4e-3, 2e-3, 1e-3, 5e-4), "seeds": 8},
        full={"n": 20, "d": 30, "alpha": 0.1, "blocks": (1, 5, "n"), "rho": (4e-3, 2e-3, 1e-3, 5e-4), "seeds": 40},
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/first-order-at-large-radius",
        title="The first-order form at a radius in use",
        statement="at rho = 0.1 the first-order form of 1-SAM's log alpha_eff is off by at most a tenth of its size",
        formula=(
            r"\frac{\lVert\log\alpha_{\mathrm{eff}}-\log\alpha"
            r"+\rho\Delta_1\rVert_\infty}{\rho\lVert\Delta_1\rVert_\infty}\le\frac{1}{10} \qquad \rho=0.1"
        ),
        kind=Kind.UPPER_BOUND,
        parameters=NOMINAL,
        observe=observe_size,
        predict=lambda samples: np.array([0.1]),
        tolerance=0.0,
        tolerance_reason="the tenth is in the claim",
        control=Control("at most a millionth", lambda samples: np.array([1e-6])),
        twin=Control("rho = 0.002", changes={"rho": 0.002}),
        quick={"n": 20, "d": 30, "alpha": 0.1, "rho": 0.1, "seeds": 64},
        full={"n": 20, "d": 30, "alpha": 0.1, "rho": 0.1, "seeds": 500},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
)

"""How much stronger 1-SAM's bias is than n-SAM's.

Setting. Gradient flow from w₊ = w₋ = alpha on isotropic Gaussian X, d ≫ n, sparse teacher;
Delta_m = ∫ Σ_b p_b g_b² dt.

Claim. ‖Delta_m‖₁ ≈ (4d/m) ∫ L dt, hence ‖Delta_1‖₁/‖Delta_n‖₁ → n as d → ∞.

Why. ‖g_b‖² = r_bᵀ X_b X_bᵀ r_b/m_b² with X_b X_bᵀ → d I, and Σ_b p_b ‖r_b‖²/m_b² = ‖r‖²/(m n) = 4L/m. At finite d the
rows are not orthogonal: 1-SAM's sum is ‖x_i‖² r_i², near d r_i² already, n-SAM's has r's weight in the large directions
of XXᵀ, and the ratio falls short of n by some (n/d)² of itself.

Source. Andriushchenko & Flammarion 2022, Section 4.2 (the ratio; its constant is 1 in its own loss scaling).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.andriushchenko2022.setting import NOMINAL, REALISABLE, WIDE, flow_rule, regression, seeds
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.diagonal_run import DiagonalResult


def effect(d: Numbers, m: Numbers, loss_integral: Numbers) -> Any:
    """Return (4d/m) ∫ L dt."""
    return 4.0 * d / m * loss_integral


def flows(settings: Settings, runner: Runner, n: int, d: int, m: int) -> list[Any]:
    """Return the results of gradient flow that carry Delta_m along, one a seed."""
    from simulate.diagonal_run import DiagonalSpec

    data = regression(samples=n, dimension=d, test_samples=0)
    return runner.run([
        DiagonalSpec(data, settings["alpha"], **flow_rule(m, n), radius=0.0, residual=1e-4, seed=seed)
        for seed in seeds(settings)
    ])  # fmt: skip


def size(results: "Sequence[DiagonalResult]") -> FloatArray:
    """Return ‖Delta_m‖₁ (seeds,)."""
    return np.array([np.abs(r.history["bias_integral"][-1]).sum() for r in results])


def observe_ratio(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """‖Delta_1‖₁/‖Delta_n‖₁ as d grows, for every n: (d, seeds)."""
    axes = {}
    for n in settings["n"]:
        rows = [size(flows(settings, runner, n, d, 1)) / size(flows(settings, runner, n, d, n)) for d in settings["d"]]
        axes[f"n = {n}"] = Samples(np.array(rows), {"x": np.array(settings["d"], float), "n": n})
    return axes


def observe_constant(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """‖Delta_m‖₁ over ∫ L dt as d grows, in units of d/m, for every block size."""
    axes = {}
    (n,) = settings["n"]
    for m in settings["blocks"]:
        rows = []
        for d in settings["d"]:
            results = flows(settings, runner, n, d, m)
            rows.append(size(results) / effect(d, m, np.array([r.loss_integral for r in results])) * 4.0)
        axes[f"m = {m}"] = Samples(np.array(rows), {"x": np.array(settings["d"], float)})
    return axes


COMMON: dict[str, Any] = {
    "source": "Andriushchenko & Flammarion 2022, Section 4.2",
    "kind": Kind.LIMIT,
    "hypotheses": (REALISABLE, WIDE),
    "parameters": NOMINAL | {"d": 1600, "n": 20},
    "tolerance": 0.05,
}

CLAIMS = (
    Claim(
        id="andriushchenko2022/effect-size",
        title="1-SAM's bias is n times n-SAM's",
        statement="‖Delta_1‖₁/‖Delta_n‖₁ → n as d → ∞ on isotropic X",
        formula=r"\frac{\lVert\Delta_1\rVert_1}{\lVert\Delta_n\rVert_1}\to n \qquad d\to\infty",
        observe=observe_ratio,
        predict=lambda samples: float(samples.given["n"]),
        tolerance_reason="rows are orthogonal to 1/√d only",
        control=Control("the ratio is √n", lambda samples: float(np.sqrt(samples.given["n"]))),
        quick={"n": (5, 20), "d": (100, 1600), "alpha": 0.1, "seeds": 48},
        full={"n": (5, 10, 20, 40, 80), "d": (100, 400, 1600), "alpha": 0.1, "seeds": 40},
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/effect-size-constant",
        title="The size of SAM's bias, with its constant",
        statement="‖Delta_m‖₁ → (4d/m) ∫ L dt as d → ∞, L = (1/4n)‖r‖²",
        formula=(
            r"\frac{\lVert\Delta_m\rVert_1}{\int L\,dt}\cdot\frac md\to4 \qquad "
            r"d\to\infty,\ L=\frac{1}{4n}\lVert r\rVert^2"
        ),
        observe=observe_constant,
        predict=lambda samples: 4.0,
        tolerance_reason="rows are orthogonal to 1/√d only",
        control=Control("constant 1", lambda samples: 1.0),
        quick={"n": (20,), "blocks": (1, 4, 20), "d": (100, 1600), "alpha": 0.1, "seeds": 48},
        full={"n": (20,), "blocks": (1, 4, 20), "d": (100, 400, 1600), "alpha": 0.1, "seeds": 40},
        **COMMON,
    ),
)

"""Above a threshold of rho, m-SAM's flow falls into w = 0.

Setting. m-SAM flow from w₊ = w₋ = alpha → 0.

Claim. w = 0 attracts if and only if rho exceeds

    rho_c = max_j |Σ_b p_b g_b|_j / (Σ_b p_b g_b²)_j,   g_b = X_bᵀy_b/m_b,

which for 1-SAM is max_j |Xᵀy|_j/((X∘X)ᵀ(y∘y))_j and for n-SAM max_j n/|Xᵀy|_j.

Why. Near w = 0 the residuals are −y at the weights and at the perturbed ones alike, so that d log w± = (±Σ p_b g_b −
rho Σ p_b g_b²) dt on every coordinate: the larger of the two grows unless rho outweighs it, and one growing coordinate
is enough to leave.

Source. Ours (derived above).
"""

import numpy as np

from simulate.types import BoolArray, FloatArray
from theory.andriushchenko2022.setting import NOMINAL, SMALL_ALPHA, flow_rule, regression, seeds
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Runner, Settings


def thresholds(X: FloatArray, y: FloatArray, m: int) -> FloatArray:
    """Return each coordinate's own threshold |Σ_b p_b g_b|_j / (Σ_b p_b g_b²)_j, (d,)."""
    drift, pull = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for start in range(0, len(y), m):
        g = X[start : start + m].T @ y[start : start + m]
        drift += g / len(y)
        pull += g**2 / (len(y[start : start + m]) * len(y))
    return np.abs(drift) / pull


def observe(settings: Settings, runner: Runner) -> Samples:
    """Critical rho of random problems for every block size by bisection of the flow's fate, (problems,)."""
    from simulate.diagonal_run import DiagonalSpec
    from simulate.regression import load_regression

    n, d = settings["n"], settings["d"]
    problems = [
        (regression(design=design, samples=n, dimension=d, test_samples=0), seed, n if m == "n" else m)
        for seed in seeds(settings)
        for design, m in zip(("isotropic", "absolute", "shifted"), settings["blocks"], strict=True)
    ]

    def collapsed(rho: FloatArray) -> BoolArray:
        specs = [
            DiagonalSpec(data, settings["alpha"], **flow_rule(m, n), radius=float(r), seed=seed, max_time=1e6)
            for (data, seed, m), r in zip(problems, rho, strict=True)
        ]
        return np.array([result.status == "collapsed" for result in runner.run(specs)])

    low, high = np.full(len(problems), np.log(1e-3)), np.full(len(problems), np.log(1e3))
    bracketed = collapsed(np.exp(high)) & ~collapsed(np.exp(low))
    for _ in range(settings["halvings"]):
        middle = 0.5 * (low + high)
        fallen = collapsed(np.exp(middle))
        low, high = np.where(fallen, low, middle), np.where(fallen, middle, high)
    instances = [(load_regression(data, seed), m) for data, seed, m in problems]
    own = np.stack([thresholds(instance.X, instance.y, m) for instance, m in instances])
    observed = np.where(bracketed, np.exp(0.5 * (low + high)), np.nan)
    return Samples(observed / own.max(axis=1), {"own": own, "notes": {"smallest rho_c": float(own.max(axis=1).min())}})


CLAIMS = (
    Claim(
        id="andriushchenko2022/collapse-threshold",
        title="Where SAM's flow collapses to zero",
        statement="from alpha → 0 the m-SAM flow tends to 0 iff rho > max_j |Σ p_b g_b|_j/(Σ p_b g_b²)_j at beta = 0",
        formula=r"\rho_c=\max_j\frac{|\sum_bp_bg_b|_j}{(\sum_bp_bg_b^2)_j} \qquad g_b=\frac{X_b^\top y_b}{m_b}",
        source="derived here (this file)",
        kind=Kind.IDENTITY,
        hypotheses=(SMALL_ALPHA,),
        parameters=NOMINAL | {"alpha": 1e-6},
        observe=observe,
        predict=lambda samples: np.ones(len(samples.observed)),
        tolerance=1e-3,
        tolerance_reason="the last bracket of the bisection",
        control=Control(
            "the median over coordinates in place of the largest",
            lambda samples: np.median(samples.given["own"], axis=1) / samples.given["own"].max(axis=1),
        ),
        quick={"n": 10, "d": 15, "blocks": (1, 3, "n"), "alpha": 1e-6, "halvings": 14, "seeds": 4},
        full={"n": 20, "d": 30, "blocks": (1, 3, "n"), "alpha": 1e-6, "halvings": 16, "seeds": 16},
        ours=True,
    ),
)

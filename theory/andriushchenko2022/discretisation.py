"""What finite steps do: discrete rules near their flows, and (S)GD near SAM's.

Setting. Steps of size gamma from w₊ = w₋ = alpha, compared at equal time t = gamma · steps.

Claims. (1) GD, n-SAM and 1-SAM follow their flows to order gamma. (2) GD satisfies w₊ w₋ = alpha² Π (1 − gamma² g²)
exactly, which is a SAM-like shrinking of alpha: GD(gamma) follows the n-SAM flow at rho = gamma/2 to order gamma². (3)
SGD, one row a step, shrinks alpha as the 1-SAM flow at rho = gamma/2 does: E log(alpha/alpha_eff) → (gamma/2) Delta_1.

Why. A step of GD with small gamma is the flow of L + (gamma/4)‖∇L‖², whose gradient ∇L + (gamma/2) ∇²L ∇L is
∇L(w + (gamma/2)∇L) to the same order; with one row a step the mean over rows of ½ log(1 − gamma² g_i²) is
−(gamma²/2) mean g_i².

Source. (1) Andriushchenko & Flammarion 2022 work with the flows; (2) and (3) are ours, after the backward analysis of
Barrett & Dherin 2021 (implicit gradient regularisation).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.andriushchenko2022.setting import NOMINAL, REALISABLE, regression, seeds
from theory.claim import Claim, Control, Kind, Samples
from theory.domain import Domain, Range
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.diagonal_run import DiagonalSpec

RULES = {"gd": "gradient-flow", "n-sam": "n-sam-flow", "1-sam": "1-sam-flow"}


def specs_of(settings: Settings, rule: str, gamma: float | None, **run: Any) -> "list[DiagonalSpec]":
    """Return one run a seed, to time settings["time"]; flows take gamma = None."""
    from simulate.diagonal_run import DiagonalSpec

    data = regression(samples=settings["n"], dimension=settings["d"], test_samples=0)
    if gamma is None:
        run = {"max_time": settings["time"], "residual": 1e-300, **run}
    else:
        run = {"step_size": gamma, "max_steps": round(settings["time"] / gamma), **run}
    return [DiagonalSpec(data, settings["alpha"], rule=rule, seed=seed, **run) for seed in seeds(settings)]


def beta_errors(
    settings: Settings, runner: Runner, rule: str, flow: str, radius: float, flow_radius: Callable[[float], float]
) -> FloatArray:
    """Return max_j |beta_j − that of the flow| at the end, (gamma, seeds); the flow's radius may depend on gamma."""
    rows = []
    for gamma in settings["gamma"]:
        steps = runner.run(specs_of(settings, rule, gamma, radius=radius))
        exact = runner.run(specs_of(settings, flow, None, radius=flow_radius(gamma)))
        rows.append([np.abs(a.beta - b.beta).max() for a, b in zip(steps, exact, strict=True)])
    return np.array(rows)


def observe_order(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Distance of every rule from its flow against gamma → 0."""
    x = np.array(settings["gamma"])
    return {
        rule: Samples(beta_errors(settings, runner, rule, flow, settings["rho"], lambda _: settings["rho"]), {"x": x})
        for rule, flow in RULES.items()
    }


def observe_implicit(settings: Settings, runner: Runner) -> Samples:
    """Distance of GD(gamma) from the n-SAM flow at rho = share · gamma against gamma → 0."""
    share = settings["share"]
    errors = beta_errors(settings, runner, "gd", "n-sam-flow", 0.0, lambda gamma: share * gamma)
    return Samples(errors, {"x": np.array(settings["gamma"])})


def observe_product(settings: Settings, runner: Runner) -> Samples:
    """½ log(w₊ w₋) at every step of GD, (runs, steps, d)."""
    from simulate.regression import load_regression

    steps = settings["steps"]
    specs = specs_of({**settings, "time": steps * settings["gamma"]}, "gd", settings["gamma"], record=range(steps))
    observed, squares = [], []
    for spec, result in zip(specs, runner.run(specs), strict=True):
        problem = load_regression(spec.data, spec.seed)
        r = result.history["beta"] @ problem.X.T - problem.y
        g = r @ problem.X / len(problem.y)
        observed.append(result.history["log_alpha_eff"])
        squares.append((settings["gamma"] * g[:-1]) ** 2)
    return Samples(np.stack(observed), {"squares": np.stack(squares), "log_alpha": np.log(settings["alpha"])})


def predict_product(
    samples: Samples, term: Callable[[FloatArray], FloatArray] = lambda square: np.log1p(-square)
) -> Any:
    """Return log alpha + ½ Σ log(1 − gamma² g²)."""
    half = 0.5 * np.cumsum(term(samples.given["squares"]), axis=1)
    return samples.given["log_alpha"] + np.concatenate([np.zeros_like(half[:, :1]), half], axis=1)


def observe_sgd(settings: Settings, runner: Runner) -> Samples:
    """Mean over coordinates of log(alpha/alpha_eff) under SGD over (gamma/2) mean Delta_1, against gamma → 0."""
    flows = runner.run(specs_of(settings, "1-sam-flow", None, radius=0.0))
    delta = np.array([r.history["bias_integral"][-1].mean() for r in flows])
    rows = []
    for gamma in settings["gamma"]:
        runs = runner.run(specs_of(settings, "sgd", gamma))
        shrunk = np.array([np.log(settings["alpha"]) - r.log_alpha_eff.mean() for r in runs])
        rows.append(shrunk / (0.5 * gamma * delta))
    return Samples(np.array(rows), {"x": np.array(settings["gamma"])})


COMMON: dict[str, Any] = {"hypotheses": (REALISABLE,), "parameters": NOMINAL}
STEPS = (0.02, 0.01, 0.005, 0.0025)

CLAIMS = (
    Claim(
        id="andriushchenko2022/flow-order",
        title="Discrete rules follow their flows to order gamma",
        statement="max_j |beta_k − beta(gamma k)|_j ∝ gamma at gamma k = 10 as gamma → 0 for GD, n-SAM and 1-SAM",
        formula=r"\lVert\beta_k-\beta(\gamma k)\rVert_\infty\propto\gamma \qquad \gamma k=10",
        source="Andriushchenko & Flammarion 2022, Section 4, which studies the flows",
        kind=Kind.RATE,
        observe=observe_order,
        predict=dict.fromkeys(RULES, lambda samples: 1.0),
        tolerance=0.05,
        tolerance_reason="second order in gamma at the largest step",
        control=Control("order gamma²", dict.fromkeys(RULES, lambda samples: 2.0)),
        quick={"n": 20, "d": 30, "alpha": 0.1, "rho": 0.1, "time": 10.0, "gamma": STEPS, "seeds": 6},
        full={"n": 20, "d": 30, "alpha": 0.1, "rho": 0.1, "time": 10.0, "gamma": (*STEPS, 0.00125), "seeds": 40},
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/gd-product",
        title="GD shrinks alpha by an exact product",
        statement="w₊ w₋ = alpha² Π_k (1 − gamma² g_k²) at every step of GD, g = Xᵀr/n",
        formula=r"w_+w_-=\alpha^2\prod_k(1-\gamma^2g_k^2) \qquad g_k=\frac{X^\top r_k}{n}",
        source="derived here (this file)",
        kind=Kind.IDENTITY,
        observe=observe_product,
        predict=predict_product,
        tolerance=1e-12,
        tolerance_reason="rounding of some thousand factors",
        control=Control("exp(−gamma² g²), the continuous form", lambda samples: predict_product(samples, lambda s: -s)),
        quick={"n": 20, "d": 30, "alpha": 0.1, "gamma": 0.1, "steps": 1000, "seeds": 4},
        full={"n": 20, "d": 30, "alpha": 0.1, "gamma": 0.1, "steps": 4000, "seeds": 16},
        domain=Domain(
            {
                "n": Range(2, 20, 20, integer=True),
                "d": Range(4, 40, 30, integer=True),
                "alpha": Range(0.02, 0.5, 0.1, log=True),
                "gamma": Range(0.001, 0.1, 0.1, log=True),
                "seed": Range(0, 1000, 0, integer=True),
            },
            settings={"seeds": 1, "steps": 300},
            budget=300,
        ),
        ours=True,
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/gd-follows-n-sam",
        title="GD with steps gamma follows the n-SAM flow at rho = gamma/2",
        statement="max_j |beta_k − beta_{n-SAM, rho = gamma/2}(gamma k)|_j ∝ gamma² at gamma k = 10 as gamma → 0",
        formula=r"\lVert\beta_k-\beta_{\rho=\gamma/2}(\gamma k)\rVert_\infty\propto\gamma^2 \qquad \gamma k=10",
        source="derived here (this file), after Barrett & Dherin 2021",
        kind=Kind.RATE,
        observe=observe_implicit,
        predict=lambda samples: 2.0,
        tolerance=0.05,
        tolerance_reason="third order in gamma at the largest step",
        control=Control("rho = gamma", changes={"share": 1.0}),
        quick={"n": 20, "d": 30, "alpha": 0.1, "time": 10.0, "gamma": STEPS, "share": 0.5, "seeds": 6},
        full={"n": 20, "d": 30, "alpha": 0.1, "time": 10.0, "gamma": STEPS, "share": 0.5, "seeds": 40},
        ours=True,
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/sgd-follows-one-sam",
        title="SGD with steps gamma shrinks alpha as the 1-SAM flow at rho = gamma/2",
        statement="E mean_j log(alpha/alpha_eff) → (gamma/2) mean_j Delta_1 as gamma → 0",
        formula=(
            r"\frac{\mathbb{E}\sum_j\log(\alpha/\alpha_{\mathrm{eff},j})}{\frac\gamma2\sum_j\Delta_{1,j}}\to1 \qquad "
            r"\gamma\to0"
        ),
        source="derived here (this file)",
        kind=Kind.LIMIT,
        observe=observe_sgd,
        predict=lambda samples: 1.0,
        tolerance=0.05,
        tolerance_reason="the next order in gamma",
        control=Control("rho = gamma", lambda samples: 2.0),
        quick={"n": 20, "d": 30, "alpha": 0.1, "time": 100.0, "gamma": (0.02, 0.002), "seeds": 64},
        full={"n": 20, "d": 30, "alpha": 0.1, "time": 300.0, "gamma": (0.02, 0.002, 0.0005), "seeds": 300},
        ours=True,
        **COMMON,
    ),
)

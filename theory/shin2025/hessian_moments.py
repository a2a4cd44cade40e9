"""Uniformity of the samples' Hessians at minima of diagonal networks, and what becomes of the test loss.

Setting. Diagonal linear networks, isotropic X, n = 20, teacher of r = 3 coordinates, alpha = 0.05, SAM with rho = 0.2,
steps of gamma = 1/d until the samples are fitted (training loss 1e-8, or 1e-6 after 200,000 steps). There
H_i = 2 z_i z_iᵀ, and s_k² = lambda_max(mean H_i^k − (mean H_i)^k) measures how much the Hessians of the samples differ
(`simulate.diagonal.sample_hessians`).

Claims. (1) 1-SAM's minima have the smaller s_2 and s_4 than GD's, and (2) the more so the larger d is. (3)
n-SAM's do not have that. (4) More uniform is not better: 1-SAM's advantage in test loss shrinks with d.

Why. 1-SAM descends the mean of ‖∇L_i‖², near an interpolator a weight of tr H_i on each sample, which evens out the
‖z_i‖²; n-SAM sees their mean gradient alone. As d grows past n, no rule finds the teacher from n samples.

Source. Shin et al. 2025, linear stability (uniformity of Hessian moments) and its experiments. The model is ours.
"""

from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.andriushchenko2022.setting import REALISABLE, SMALL_ALPHA, regression
from theory.chen2023.setting import seeds
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.shin2025.overparameterisation import SOURCE
from theory.types import Runner, Settings

DIAGONAL = {"n": 20, "d": 320, "r": 3, "alpha": 0.05, "rho": 0.2}
ORDERS = (2, 4)
FITS = 1e-6  # the training loss of beta = 0 is near 0.25


def results(settings: Settings, runner: Runner, d: int, rule: str) -> list[Any]:
    """Return the results of a rule's runs in dimension d, one a seed."""
    from simulate.diagonal_run import DiagonalSpec

    radius = 0.0 if rule == "gd" else DIAGONAL["rho"]
    run: dict[str, Any] = {"radius": radius, "step_size": 1.0 / d, "max_steps": 200_000}
    data = regression(DIAGONAL, dimension=d)
    return runner.run([
        DiagonalSpec(data, DIAGONAL["alpha"], rule, stop_loss=1e-8, seed=seed, **run) for seed in seeds(settings)
    ])  # fmt: skip


def log_spreads(settings: Settings, runner: Runner, d: int, rule: str) -> FloatArray:
    """Return log s_k at the ends of a rule's runs, (orders, seeds), NaN where one does not fit its samples."""
    from simulate.diagonal import sample_hessians, weights_of
    from simulate.regression import load_regression

    data, logs = regression(DIAGONAL, dimension=d), []
    for seed, result in zip(seeds(settings), results(settings, runner, d, rule), strict=True):
        family = sample_hessians(load_regression(data, seed).X, weights_of(result.beta, result.log_alpha_eff))
        fits = result.train_loss <= FITS
        logs.append([0.5 * np.log(family.spread(k)) if fits else np.nan for k in ORDERS])
    return np.array(logs).T


def advantages(settings: Settings, runner: Runner, d: int) -> FloatArray:
    """Return log(s_k of GD / s_k of the rule), (orders, seeds), NaN where one of them does not fit."""
    return log_spreads(settings, runner, d, "gd") - log_spreads(settings, runner, d, settings["rule"])


def _axes(logs: FloatArray) -> dict[str, Samples]:
    """Return the samples of every k, problems that are not fitted left out and counted."""
    found = np.isfinite(logs).all(axis=0)
    given = {"notes": {"not fitted": int((~found).sum())}}
    return {f"s_{k}": Samples(log[found], given) for k, log in zip(ORDERS, logs, strict=True)}


def loss_ratios(settings: Settings, runner: Runner, d: int) -> Any:
    """Return log(test loss of GD / test loss of the rule), one a seed."""
    losses = [[r.test_loss for r in results(settings, runner, d, rule)] for rule in ("gd", settings["rule"])]
    return np.log(np.array(losses[0]) / np.array(losses[1]))


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """log(s_k of GD / s_k of the rule) at the largest d, for every k."""
    return _axes(advantages(settings, runner, settings["dimensions"][-1]))


def observe_growth(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Return the same at the largest d minus the same at the smallest, on problems of one seed."""
    small, large = (advantages(settings, runner, settings["dimensions"][k]) for k in (0, -1))
    return _axes(large - small)


def observe_test(settings: Settings, runner: Runner) -> Samples:
    """log(test loss of GD / of the rule) at the largest d minus that at the smallest, times the sign."""
    d = settings["dimensions"]
    small, large = (loss_ratios(settings, runner, d[k]) for k in (0, -1))
    notes = {f"SAM/GD, d = {d[0]}": float(np.exp(-small.mean())), f"SAM/GD, d = {d[-1]}": float(np.exp(-large.mean()))}
    return Samples(settings.get("sign", 1.0) * (large - small), {"notes": notes})


COMMON: dict[str, Any] = {
    "source": SOURCE,
    "kind": Kind.ORDERING,
    "hypotheses": (REALISABLE, SMALL_ALPHA),
    "parameters": DIAGONAL,
    "tolerance": 0.0,
    "tolerance_reason": "the margin is in the claim",
}
MARGIN = {"s_2": lambda samples: np.log(1.07), "s_4": lambda samples: np.log(1.15)}
QUICK = {"dimensions": (25, 320), "seeds": 36}
FULL = {"dimensions": (25, 320), "seeds": 120}
ONE_SAM = Control("1-SAM, on the same problems", changes={"rule": "1-sam"})

CLAIMS = (
    Claim(
        id="shin2025/hessian-moments",
        title="1-SAM's minima have more uniform Hessians",
        statement="s_2 and s_4 at GD's minimum exceed 1.07 and 1.15 times those at 1-SAM's, d = 320",
        formula=(
            r"\mathbb{E}\log\frac{s_2(\text{GD})}{s_2(\text{1-SAM})}>\log1.07 \qquad "
            r"\mathbb{E}\log\frac{s_4(\text{GD})}{s_4(\text{1-SAM})}>\log1.15"
        ),
        observe=observe,
        predict=MARGIN,
        control=Control("n-SAM", changes={"rule": "n-sam"}),
        quick={"rule": "1-sam", **QUICK},
        full={"rule": "1-sam", **FULL},
        **COMMON,
    ),
    Claim(
        id="shin2025/hessian-moments-with-dimension",
        title="The more so the larger the dimension",
        statement="1-SAM's advantage in s_2 and s_4 over GD is larger at d = 320 than at d = 25",
        formula=r"\mathbb{E}[A_k(320)-A_k(25)]>0 \qquad A_k(d)=\log\frac{s_k(\text{GD})}{s_k(\text{1-SAM})},\ k=2,4",
        observe=observe_growth,
        predict=lambda samples: 0.0,
        control=Control("by a factor of four", lambda samples: np.log(4.0)),
        quick={"rule": "1-sam", **QUICK},
        full={"rule": "1-sam", **FULL},
        **COMMON,
    ),
    Claim(
        id="shin2025/hessian-moments-n-sam",
        title="So have n-SAM's",
        statement="s_2 and s_4 at GD's minimum exceed 1.07 and 1.15 times those at n-SAM's, d = 320",
        formula=(
            r"\mathbb{E}\log\frac{s_2(\text{GD})}{s_2(\text{n-SAM})}>\log1.07 \qquad "
            r"\mathbb{E}\log\frac{s_4(\text{GD})}{s_4(\text{n-SAM})}>\log1.15"
        ),
        observe=observe,
        predict=MARGIN,
        control=Control("four times", lambda samples: np.log(4.0)),
        twin=ONE_SAM,
        quick={"rule": "n-sam", **QUICK},
        full={"rule": "n-sam", **FULL},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
    Claim(
        id="shin2025/test-gain-with-dimension",
        title="1-SAM's gain in test loss grows with the dimension",
        statement="log(test loss of GD / of 1-SAM) is larger at d = 320 than at d = 25",
        formula=(
            r"\mathbb{E}[A(320)-A(25)]>0 \qquad "
            r"A(d)=\log\frac{L_{\mathrm{test}}(\text{GD})}{L_{\mathrm{test}}(\text{1-SAM})}"
        ),
        observe=observe_test,
        predict=lambda samples: 0.0,
        control=Control("by four decades", lambda samples: np.log(1e4)),
        twin=Control("it is smaller, on the same problems", changes={"sign": -1.0}),
        quick={"rule": "1-sam", **QUICK, "seeds": 64},
        full={"rule": "1-sam", **FULL},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
)

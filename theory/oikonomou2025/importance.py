"""Importance sampling: drawing rough samples more often.

Setting. One sample a step, i with probability p_i, gradient ∇f_i/(n p_i); as for constant steps (`constant_steps`).

Claim. p_i ∝ L_i lowers A, and max Lip(g_S), from max L_i to mean L_i, hence allows larger rho* and gamma* and
converges faster with the theorem's own steps. Without the factor 1/(n p_i) the gradient is biased and the iterates
settle elsewhere.

Where it ends. Faster is not lower: with noise the longer steps end at a higher floor, and once the start is forgotten
uniform sampling is ahead. (At residuals of equal size both gradients have the same variance: mean L_i times mean r².)

Measure. log of E[f(x_T) − f*] with uniform over that with importance sampling, each with its own caps at equal T, over
random problems with L_i spread widely: exact expectations of USAM, from moments.

Source. Oikonomou & Loizou 2025, Section 3.3 (importance sampling within the arbitrary sampling analysis).
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Hypothesis, Kind, Outcome, Samples
from theory.domain import Domain, Range
from theory.oikonomou2025.setting import constants
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.objective import FiniteSum
    from simulate.sampling import Sampling

SPREAD = Hypothesis("spread", "max L_i > mean L_i", lambda a: a["max L_i/mean L_i"], required=1.0)


def problem_of(settings: Settings, seed: int) -> "tuple[FiniteSum, FloatArray]":
    """Return a random least-squares problem whose L_i differ by a factor settings["spread"], and its start."""
    from simulate.finite_sum_data import DrawnSum, load_sum

    data = DrawnSum(settings["n"], settings["d"], 3.0, settings["noise"], settings["spread"])
    return load_sum(data, "least-squares", 0.0, seed)


def draws_of(problem: "FiniteSum", kind: str) -> "Sampling":
    """Return the sampling of a kind: single (uniform), importance, or adverse, with p_i ∝ 1/L_i."""
    from simulate.sampling import sampling

    if kind == "adverse":
        p = 1.0 / problem.sample_lipschitz
        return sampling("single", problem, 1, p / p.sum())
    return sampling(kind, problem)


def expected_gap(problem: "FiniteSum", start: FloatArray, kind: str, steps: int) -> float:
    """Return E[f(x_T) − f*] of USAM at 0.5 rho* and gamma*(rho) of that sampling."""
    from simulate.finite_sum import Schedule, expected_quadratic

    draws = draws_of(problem, kind)
    c = constants(problem, draws)
    rho = 0.5 * c.radius_cap(0.0)
    return float(expected_quadratic(problem, draws, Schedule(c.step_cap(rho, 0.0), rho), start, steps)[-1])


def observe(settings: Settings, runner: Runner) -> Samples:
    """log(E gap with uniform/E gap with the other sampling) (problems,)."""
    gaps = []
    for k in range(settings["problems"]):
        problem, start = problem_of(settings, settings["seed"] + k)
        gaps.append([expected_gap(problem, start, kind, settings["steps"]) for kind in ("single", settings["other"])])
    uniform, other = np.log(gaps).T
    notes = {"faster on": int((other < uniform).sum()), "problems": len(gaps)}
    return Samples(uniform - other, {"first": uniform, "second": other, "notes": notes})


def observe_mean(settings: Settings, runner: Runner) -> Samples:
    """Where the mean iterate of SGD ends (problems, d), with the factor 1/(n p_i) or without it, and x*."""
    ends, optima = [], []
    for k in range(settings["problems"]):
        problem, _ = problem_of(settings, settings["seed"] + k)
        V, P = draws_of(problem, "importance").law()
        weights = P @ (V if settings["factor"] else (V > 0.0) / problem.samples)
        H, c = (problem.A.T * weights) @ problem.A, (problem.A.T * weights) @ problem.targets
        ends.append(np.linalg.solve(H, c))
        optima.append(problem.anchor)
    return Samples(np.array(ends), {"x*": np.array(optima)})


SETTING = Domain(
    {
        "n": Range(2, 20, 10, integer=True),
        "d": Range(1, 6, 3, integer=True),
        "spread": Range(1.5, 100.0, 30.0, log=True),
    },
    settings={"problems": 12},
    sure={"problems": 96},
    budget=200,
)
NOISE = Range(0.001, 10.0, 0.1, log=True)
AT_FLOOR = {"n": 10, "d": 1, "noise": 1.0, "spread": 30.0, "other": "importance"}

FASTER: dict[str, Any] = {
    "formula": r"\mathbb{E}\log\frac{\mathbb{E}[f(x_T)-f^*\mid p_i=1/n]}{\mathbb{E}[f(x_T)-f^*\mid p_i\propto L_i]}>0",
    "source": "Oikonomou & Loizou 2025, Section 3.3",
    "kind": Kind.ORDERING,
    "hypotheses": (SPREAD,),
    "parameters": {"max L_i/mean L_i": 3.0},
    "observe": observe,
    "predict": lambda samples: 0.0,
    "tolerance": 0.0,
    "tolerance_reason": "any improvement counts",
    "control": Control("p_i ∝ 1/L_i in place of it", changes={"other": "adverse"}),
}

CLAIMS = (
    Claim(
        id="oikonomou2025/importance-sampling",
        title="Importance sampling converges faster than uniform",
        statement="E[f(x_T) − f*] is smaller with p_i ∝ L_i than with 1/n, each with its own steps, before its floor",
        **FASTER,
        quick={"n": 10, "d": 3, "noise": 0.1, "spread": 30.0, "steps": 500, "problems": 96, "other": "importance"},
        full={"n": 10, "d": 3, "noise": 0.1, "spread": 30.0, "steps": 2000, "problems": 400, "other": "importance"},
        domain=replace(
            SETTING,
            coordinates=SETTING.coordinates | {"steps": Range(3, 100, 50, log=True, integer=True)},
            settings=SETTING.settings | {"noise": 0.0},
        ),
    ),
    Claim(
        id="oikonomou2025/importance-sampling-floor",
        title="So it does down to the noise",
        statement="the same for every T: here T = 2000 steps in one variable with noise 1",
        **FASTER,
        twin=Control("without noise, T = 50", changes={"noise": 0.0, "steps": 50}),
        quick={"steps": 2000, "problems": 48, **AT_FLOOR},
        full={"steps": 5000, "problems": 200, **AT_FLOOR},
        expected=Outcome.VIOLATED,
        domain=replace(
            SETTING,
            coordinates=SETTING.coordinates | {"noise": NOISE, "steps": Range(3, 2000, 50, log=True, integer=True)},
        ),
    ),
    Claim(
        id="oikonomou2025/importance-unbiased",
        title="Importance sampling ends at the optimum of f",
        statement="with gradients ∇f_i/(n p_i) the mean iterate of SGD converges to x*",
        formula=r"\lim_{t\to\infty}\mathbb{E}\,x_t=x^* \qquad g=\frac{\nabla f_i}{np_i}",
        source="Oikonomou & Loizou 2025, Section 3.3",
        kind=Kind.IDENTITY,
        hypotheses=(),
        parameters={"max L_i/mean L_i": 3.0},
        observe=observe_mean,
        predict=lambda samples: samples.given["x*"],
        tolerance=1e-10,
        tolerance_reason="linear systems of condition about 100",
        control=Control("gradients without the factor", changes={"factor": False}),
        quick={"n": 10, "d": 3, "noise": 0.1, "spread": 30.0, "problems": 100, "factor": True},
        full={"n": 10, "d": 3, "noise": 0.1, "spread": 30.0, "problems": 1000, "factor": True},
        domain=replace(SETTING, coordinates=SETTING.coordinates | {"noise": NOISE}),
    ),
)

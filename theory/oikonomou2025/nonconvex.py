"""Unified SAM without convexity: how small the gradient becomes.

Setting. f bounded below and every g_S L-Lipschitz; expected residual constants A, B, C; constant gamma and rho.

Claim (explicit form ours). With kap = rho L(1−lam)² + L gamma (1 + 2L² rho² (1−lam)²) and rho L/2 + B kap ≤ ½,

    min over t < T of E‖∇f(x_t)‖² ≤ 4A kap delta_0/(1 − (1 + 2A gamma kap)^−T)
                                       + 2 [C kap + lam² L rho (1 + 2L² gamma rho)],

delta_0 = f(x_0) − inf f; at A = 0 the first term is 2 delta_0/(gamma T). What is proved is that the mean over t with
weights (1 + 2A gamma kap)^−t obeys it; that mean is what sampled paths are tested for.

Source. Oikonomou & Loizou 2025, Theorem 3.7 (its O(·) form).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Hypothesis, Kind, Samples
from theory.domain import Choice, Domain, Range
from theory.finite_sums import (
    SEARCHED,
    enumerate_instances,
    given_spec,
    instances,
    random_normalisations,
    searched,
    slack_notes,
)
from theory.oikonomou2025.setting import SMOOTH_DRAWS, Constants, constants
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.objective import FiniteSum
    from simulate.sampling import Sampling

SMALL = Hypothesis("small", "rho L/2 + B kap ≤ ½", lambda a: 0.5 / a["rho L/2 + B kap"], required=1.0)
FAMILIES = ("robust", "logistic", "ridge", "sine", "square")


def curvature_cost(c: Constants, gamma: Numbers, rho: Numbers, lam: Numbers) -> Any:
    """Return kap = rho L(1−lam)² + L gamma (1 + 2L² rho² (1−lam)²)."""
    return rho * c.L * (1.0 - lam) ** 2 + c.L * gamma * (1.0 + 2.0 * (c.L * rho * (1.0 - lam)) ** 2)


def gradient_bound(c: Constants, gamma: Numbers, rho: Numbers, lam: Numbers, delta_0: Numbers, T: Numbers) -> Any:
    """Return the bound on min over t < T of E‖∇f(x_t)‖², within 4 ulps; at A = 0 its limit."""
    kap = curvature_cost(c, gamma, rho, lam)
    growth = 2.0 * c.A * gamma * kap
    if c.A > 0.0:
        start = -2.0 * delta_0 / gamma * growth / np.expm1(-T * np.log1p(growth))
    else:
        start = 2.0 * delta_0 / (gamma * T)
    return start + 2.0 * (c.C * kap + lam**2 * c.L * rho * (1.0 + 2.0 * c.L**2 * gamma * rho))


def random_steps(c: Constants, lam: Numbers, u: Numbers, v: Numbers) -> tuple[Any, Any]:
    """Return (gamma, rho) with rho L/2 + B kap at a share u of ½: rho takes the share v of it, gamma the rest."""
    room = 0.5 * u
    rho = room * v / (c.L * (0.5 + c.B * (1.0 - lam) ** 2))
    left = room - rho * c.L * (0.5 + c.B * (1.0 - lam) ** 2)
    cap = 1.0 / c.L  # where B = 0 no step is too large; none larger than 1/L is tried
    per_step = c.B * c.L * (1.0 + 2.0 * (c.L * rho * (1.0 - lam)) ** 2)
    return np.minimum(cap, left / per_step if c.B > 0.0 else cap) + 0.0 * rho, rho


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """min over t of E‖∇f‖² over every draw (three steps), and its weighted mean along sampled paths."""
    count, T = settings["points"], 3
    rows = []
    for problem, draws, rng in instances(settings, FAMILIES):
        c, lam = constants(problem, draws), random_normalisations(rng, count)
        gamma, rho = random_steps(c, lam, *rng.random((2, count)))
        starts = rng.standard_normal((count, len(problem.anchor))) * np.exp(rng.uniform(-3.0, 3.0, (count, 1)))
        gaps, squares = enumerate_instances(problem, draws, starts, gamma, rho, lam, T - 1)
        choices = zip(gamma, rho, lam, gaps[:, 0], strict=True)
        bound = [gradient_bound(c, *chosen, T) for chosen in choices]
        rows.append((squares.min(axis=1), bound, squares[:, 0]))
    few = _samples(*(np.concatenate(part) for part in zip(*rows, strict=True)))
    return {"three steps": few, "sampled": observe_paths(settings, runner)}


def observe_searched(settings: Settings, runner: Runner) -> Samples:
    """min over t of E‖∇f‖² over every draw (three steps), of one problem by its own numbers."""
    problem, draws, start, c, gamma, rho = chosen_steps(settings)
    lam = settings["lam"]
    gammas, radii, normalisations = (np.array([x]) for x in (gamma, rho, lam))
    gaps, squares = enumerate_instances(problem, draws, start[None], gammas, radii, normalisations, 2)
    bound = gradient_bound(c, gamma, rho, lam, gaps[0, 0], 3)
    return _samples(squares.min(axis=1), np.array([bound]), squares[:, 0])


def chosen_steps(settings: Settings) -> "tuple[FiniteSum, Sampling, FloatArray, Constants, float, float]":
    """Return (problem, sampling, x_0 − x*, constants, gamma, rho) at the shares "u" and "v" of `random_steps`."""
    problem, draws, start = searched(settings)
    c = constants(problem, draws)
    return problem, draws, start, c, *random_steps(c, settings["lam"], settings["u"], settings["v"])


def letters(settings: Settings) -> dict[str, float]:
    """Return the letters of the hypotheses at an instance."""
    problem, draws, _, c, gamma, rho = chosen_steps(settings)
    small = 0.5 * rho * c.L + c.B * curvature_cost(c, gamma, rho, settings["lam"])
    return {"rho L/2 + B kap": max(small * (1.0 - 1e-15), 1e-200), "L": c.L, "L_S": draws.lipschitz(problem)}


SHARES = {"lam": Range(0.0, 1.0, 0.0), "u": Range(0.01, 1.0, 0.5), "v": Range(0.0, 0.999, 0.0)}
DOMAIN = Domain(
    SEARCHED | SHARES | {"family": Choice(FAMILIES)},
    observe_searched,
    letters=letters,
)


def observe_paths(settings: Settings, runner: Runner) -> Samples:
    """Weighted means of ‖∇f(x_t)‖² over t < T (problems, seeds)."""
    T, groups, rows = settings["steps"], [], []
    for k, (problem, draws, rng) in enumerate(instances({**settings, "problems": settings["paths"]}, FAMILIES)):
        c, lam = constants(problem, draws), (0.0, 0.5, 1.0)[k % 3]
        gamma, rho = random_steps(c, lam, rng.random(), 0.3 * rng.random())
        start = problem.anchor + 3.0 * rng.standard_normal(len(problem.anchor))
        run = {"radius": rho, "normalisation": lam, "step_size": gamma, "max_steps": T - 1, "record": tuple(range(T))}
        seeds = range(settings["seed"], settings["seed"] + settings["seeds"])
        groups.append([given_spec(problem, draws, start, seed=seed, **run) for seed in seeds])
        gap, gradient = problem.measure((start - problem.anchor)[None])
        weights = (1.0 + 2.0 * c.A * gamma * curvature_cost(c, gamma, rho, lam)) ** -np.arange(1.0, T + 1.0)
        bound = gradient_bound(c, gamma, rho, lam, float(gap[0]), T)
        rows.append((weights / weights.sum(), bound, (gradient**2).sum()))
    results = iter(runner.run([spec for group in groups for spec in group]))
    observed = [
        [weights @ next(results).history["gradient_norm"] ** 2 for _ in group]
        for group, (weights, _, _) in zip(groups, rows, strict=True)
    ]
    return _samples(np.array(observed), np.array([row[1] for row in rows]), np.array([row[2] for row in rows]))


def _samples(observed: FloatArray, bound: FloatArray, start: FloatArray) -> Samples:
    mean = observed.mean(axis=-1) if observed.ndim > 1 else observed
    return Samples(observed, {"bound": bound, "trivial": start, "notes": slack_notes(bound, mean, len(bound))})


CLAIMS = (
    Claim(
        id="oikonomou2025/nonconvex",
        title="Unified SAM finds small gradients without convexity",
        statement="min E‖∇f‖² ≤ 4A kap delta_0/(1 − (1 + 2A gamma kap)^−T) + 2C kap + 2 lam² L rho (1 + 2L² gamma rho)",
        formula=(
            r"\min_{t<T}\mathbb{E}\lVert\nabla f(x_t)\rVert^2\le\frac{4A\kappa\delta_0}{1-(1+2A\gamma\kappa)^{-T}}"
            r"+2C\kappa+2\lambda^2L\rho(1+2L^2\gamma\rho) \qquad "
            r"\kappa=\rho L(1-\lambda)^2+L\gamma(1+2L^2\rho^2(1-\lambda)^2)"
        ),
        source="Oikonomou & Loizou 2025, Theorem 3.7; the explicit form is ours",
        kind=Kind.UPPER_BOUND,
        hypotheses=(SMALL, SMOOTH_DRAWS),
        parameters={"rho L/2 + B kap": 0.5, "L": 1.0, "L_S": 1.0},
        observe=observe,
        predict=lambda samples: samples.given["bound"],
        tolerance=1e-9,
        tolerance_reason="exact but for rounding",
        control=Control("a tenth of the bound", lambda samples: 0.1 * samples.given["bound"]),
        quick={"problems": 200, "points": 40, "paths": 30, "steps": 300, "seeds": 36},
        full={"problems": 3000, "points": 40, "paths": 150, "steps": 2000, "seeds": 60},
        domain=DOMAIN,
        ours=True,
    ),
)

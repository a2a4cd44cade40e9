"""Unified SAM with decreasing steps and radii under PL: convergence to the optimum itself.

Setting. As for constant steps (`constant_steps`); rho_t = min{1/(2t+1), rho_cap} and gamma_t = min{(2t+1)/((t+1)² mu),
gamma_cap}.

Claim. E[f(x_t) − f*] = O(1/t): no floor. The caps must leave room: rho_cap < rho* and gamma_cap = gamma*(rho_cap), for
at rho* itself gamma* is 0 and nothing moves.

Ours, with constants. With t* the first t at which (2t+1)/((t+1)² mu) ≤ gamma_cap, for T > t*

    E[f(x_T) − f*] ≤ t*² delta/T² + (L/(mu T)) [4C/mu + C(1−lam)² + lam²] + (2L³/(mu² T² t*)) (C(1−lam)² + lam²),

delta being the bound of constant steps at t*: multiply the one-step inequality by (t+1)² and add up.

Source. Oikonomou & Loizou 2025, Theorem 3.5.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from simulate.parameters import reject
from simulate.types import FloatArray
from theory.claim import Claim, Control, Kind, Samples
from theory.domain import Choice, Domain, Range
from theory.finite_sums import PL_FAMILIES, SEARCHED, given_spec, instances, searched, slack_notes
from theory.oikonomou2025.setting import NOMINAL, SMALL_RADIUS, SMOOTH_DRAWS, Constants, constants
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.finite_sum_run import FiniteSumSpec
    from simulate.objective import FiniteSum
    from simulate.sampling import Sampling


def first_decreasing(mu: float, gamma_cap: float) -> int:
    """Return t*, the first t ≥ 1 with (2t+1)/((t+1)² mu) ≤ gamma_cap."""
    s = gamma_cap * mu  # (2t+1) ≤ s (t+1)²: above the larger root of s u² − 2u + 1, u = t + 1
    t = max(1, int(np.ceil((1.0 + np.sqrt(max(1.0 - s, 0.0))) / s - 1.0)) - 1)
    while (2 * t + 1) > s * (t + 1) ** 2:
        t += 1
    return t


def decreasing_bound(c: Constants, lam: float, gamma_cap: float, rho_cap: float, delta_0: float, T: ArrayLike) -> Any:
    """Return the bound with constants at T > t* (array or number)."""
    t_star = first_decreasing(c.mu, gamma_cap)
    delta = (1.0 - gamma_cap * c.mu) ** t_star * delta_0 + c.floor(gamma_cap, rho_cap, lam)
    bent = c.C * (1.0 - lam) ** 2 + lam**2
    T = np.asarray(T, float)
    noise = c.L / (c.mu * T) * (4.0 * c.C / c.mu + bent)
    return t_star**2 * delta / T**2 + noise + 2.0 * c.L**3 / (c.mu**2 * T**2 * t_star) * bent


def problems(
    settings: Settings, families: Sequence[str]
) -> "Iterator[tuple[FiniteSum, Sampling, Constants, float, float, float, FloatArray, np.random.Generator]]":
    """Yield (problem, draws, constants, lam, rho_cap, gamma_cap, start, rng) of random problems with noise."""
    for k, (problem, draws, rng) in enumerate(instances(settings, families)):
        c, lam = constants(problem, draws), (0.0, 0.5, 1.0)[k % 3]
        rho = 0.5 * c.radius_cap(lam)
        yield (
            problem,
            draws,
            c,
            lam,
            rho,
            c.step_cap(rho, lam),
            problem.anchor + rng.standard_normal(len(problem.anchor)),
            rng,
        )


def run_of(
    problem: "FiniteSum", draws: "Sampling", c: Constants, lam: float, rho: float, gamma: float, start: FloatArray,
    steps: int, **run: Any,
) -> "FiniteSumSpec":  # fmt: skip
    """Return the specification of a run along the theorem's steps and radii."""
    schedule = {"schedule": "decreasing", "decay": 1.0 / c.mu, "radii": "decreasing", **run}
    spec: FiniteSumSpec = given_spec(
        problem, draws, start, radius=rho, normalisation=lam, step_size=gamma, max_steps=steps, **schedule
    )
    return spec


def observe_bound(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """E[f(x_T) − f*] at T = 2t*, 8t*, 32t*: exact where the step is affine (lam = 0, quadratics), else by paths."""
    from simulate.finite_sum import Schedule, expected_quadratic

    exact, specs, rows = [], [], []
    for problem, draws, c, lam, rho, gamma, start, _ in problems(settings, PL_FAMILIES):
        t_star = first_decreasing(c.mu, gamma)
        times = tuple(t for t in (2 * t_star, 8 * t_star, 32 * t_star) if t <= settings["longest"])
        if not times:
            continue
        delta_0 = float(problem.measure((start - problem.anchor)[None])[0][0])
        bound = decreasing_bound(c, lam, gamma, rho, delta_0, times)
        if lam == 0.0 and problem.loss == "square":
            schedule = Schedule(gamma, rho, "decreasing", 1.0 / c.mu, "decreasing")
            gaps = expected_quadratic(problem, draws, schedule, start, times[-1])
            exact += [(gaps[t], b, delta_0) for t, b in zip(times, bound, strict=True)]
        else:
            specs.append([
                run_of(problem, draws, c, lam, rho, gamma, start, times[-1], seed=settings["seed"] + k, record=times)
                for k in range(settings["seeds"])
            ])  # fmt: skip
            rows += [(b, delta_0) for b in bound]
    results = iter(runner.run([spec for group in specs for spec in group]))
    paths = np.concatenate([np.array([next(results).history["gap"] for _ in group]).T for group in specs])
    return {"exact": _samples(*np.array(exact).T), "sampled": _samples(paths, *np.array(rows).T)}


def observe_searched(settings: Settings, runner: Runner) -> Samples:
    """Exact E[f(x_T) − f*] of USAM on one quadratic by its own numbers, at T = t* + 1 and settings["T/t*"] t*."""
    from simulate.finite_sum import Schedule, expected_quadratic

    problem, draws, start, c, gamma, rho = chosen_steps(settings)
    t_star = first_decreasing(c.mu, gamma)
    if t_star * settings["T/t*"] > settings["longest"]:
        reject("t*", t_star, "short enough to follow")
    times = np.array([t_star + 1, max(t_star + 1, int(t_star * settings["T/t*"]))])
    schedule = Schedule(gamma, rho, "decreasing", 1.0 / c.mu, "decreasing")
    gaps = expected_quadratic(problem, draws, schedule, problem.anchor + start, times[-1])
    return Samples(gaps[times], {"bound": decreasing_bound(c, 0.0, gamma, rho, gaps[0], times)})


def chosen_steps(settings: Settings) -> "tuple[FiniteSum, Sampling, FloatArray, Constants, float, float]":
    """Return (problem, sampling, x_0 − x*, constants, gamma, rho) at settings["rho/cap"], lam = 0."""
    problem, draws, start = searched(settings)
    c = constants(problem, draws)
    rho = settings["rho/cap"] * c.radius_cap(0.0)
    return problem, draws, start, c, c.step_cap(rho, 0.0), rho


def letters(settings: Settings) -> dict[str, float]:
    """Return the letters of the hypotheses at an instance."""
    problem, draws, _, c, gamma, rho = chosen_steps(settings)
    known = {"L": c.L, "L_S": draws.lipschitz(problem), "mu": c.mu, "D": c.D}
    return known | {"lam": 0.0, "rho": rho, "gamma": gamma}


def _samples(observed: FloatArray, bound: FloatArray, start: FloatArray) -> Samples:
    mean = observed.mean(axis=-1) if observed.ndim > 1 else observed
    return Samples(observed, {"bound": bound, "trivial": start, "notes": slack_notes(bound, mean, len(bound))})


def observe_rate(settings: Settings, runner: Runner) -> Samples:
    """E[f(x_t) − f*] over a decade and a half of late times (times, problems), noisy quadratics."""
    groups = []
    for problem, draws, c, lam, rho, gamma, start, _ in problems(settings, ("square", "ridge", "full rank")):
        t_star = first_decreasing(c.mu, gamma)
        delta_0 = float(problem.measure((start - problem.anchor)[None])[0][0])
        if 0.01 * c.L * delta_0 > c.C or 1000 * t_star > settings["longest"]:
            continue  # where the noise is next to none, the start is still seen at 30 t*: it falls as 1/t⁴
        times = tuple(np.unique(np.geomspace(30 * t_star, 1000 * t_star, 7).astype(int)).tolist())
        schedule = settings.get("schedule", "decreasing")
        groups.append([
            run_of(problem, draws, c, lam, rho, gamma, start, times[-1], schedule=schedule, record=times,
                   radii=schedule, seed=settings["seed"] + k) for k in range(settings["seeds"])
        ])  # fmt: skip
    results = iter(runner.run([spec for group in groups for spec in group]))
    rows = [np.mean([next(results).history["gap"] for _ in group], axis=0) for group in groups]
    steps = np.geomspace(30.0, 1000.0, 7)
    return Samples(np.array(rows).T, {"x": steps, "notes": {"problems": len(rows)}})


CLAIMS = (
    Claim(
        id="oikonomou2025/decreasing-steps",
        title="Decreasing steps and radii reach the optimum at rate 1/t",
        statement="E[f(x_t) − f*] = O(1/t), rho_t = min{1/(2t+1), cap}, gamma_t = min{(2t+1)/((t+1)² mu), cap}",
        formula=(
            r"\mathbb{E}[f(x_t)-f^*]=O\left(\frac1t\right) \qquad "
            r"\rho_t=\min\left(\frac{1}{2t+1},\rho_{\mathrm{cap}}\right) \qquad "
            r"\gamma_t=\min\left(\frac{2t+1}{(t+1)^2\mu},\gamma_{\mathrm{cap}}\right)"
        ),
        source="Oikonomou & Loizou 2025, Theorem 3.5",
        kind=Kind.RATE,
        hypotheses=(SMALL_RADIUS, SMOOTH_DRAWS),
        parameters=NOMINAL,
        observe=observe_rate,
        predict=lambda samples: -1.0,
        tolerance=0.15,
        tolerance_reason="30 to 1000 t*, where what is left of the start, which falls faster, may still be seen",
        control=Control("constant steps and radii", changes={"schedule": "constant"}),
        quick={"problems": 180, "seeds": 40, "longest": 60_000},
        full={"problems": 400, "seeds": 100, "longest": 300_000},
    ),
    Claim(
        id="oikonomou2025/decreasing-steps-bound",
        title="Decreasing steps: the bound with its constants",
        statement="E[f(x_T) − f*] ≤ t*² delta/T² + (L/(mu T)) [4C/mu + C(1−lam)² + lam²] + O(1/T²), T > t*",
        formula=(
            r"\mathbb{E}[f(x_T)-f^*]\le\frac{t_*^2\delta}{T^2}+\frac{L}{\mu T}\left(\frac{4C}{\mu}+\theta\right)"
            r"+\frac{2L^3\theta}{\mu^2T^2t_*} \qquad \theta=C(1-\lambda)^2+\lambda^2"
        ),
        source="Oikonomou & Loizou 2025, Theorem 3.5",
        kind=Kind.UPPER_BOUND,
        hypotheses=(SMALL_RADIUS, SMOOTH_DRAWS),
        parameters=NOMINAL,
        observe=observe_bound,
        predict=lambda samples: samples.given["bound"],
        tolerance=1e-9,
        tolerance_reason="exact but for rounding",
        control=Control("a thousandth of the bound", lambda samples: 0.001 * samples.given["bound"]),
        quick={"problems": 90, "seeds": 72, "longest": 5000},
        full={"problems": 600, "seeds": 100, "longest": 20_000},
        domain=Domain(
            SEARCHED
            | {"family": Choice(("square", "interpolated", "ridge"))}
            | {"rho/cap": Range(0.0, 0.99, 0.5), "T/t*": Range(1.0, 32.0, 2.0, log=True)},
            observe_searched,
            letters=letters,
        ),
        ours=True,
    ),
)

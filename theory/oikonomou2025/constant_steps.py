"""Unified SAM with constant steps under PL: a linear rate down to a floor.

Setting. f PL with constant mu, every g_S L-Lipschitz, expected residual constants A, B, C, D = B mu + A.

Claim. For rho ≤ rho* = mu/(L [mu + 2D(1−lam)²]) and gamma ≤ gamma* = (mu − L rho [mu + 2D(1−lam)²])/
(2LD [1 + 2L² rho² (1−lam)²]),

    E[f(x_t) − f*] ≤ (1 − gamma mu)^t (f(x_0) − f*) + N,
    N = (L/mu) {C [gamma + rho (1−lam)² (1 + 2L² gamma rho)] + rho lam² (1 + 2L² gamma rho)}.

L has to bound the Lipschitz constant of each g_S: max L_i/(n p_i) where one sample is drawn with probabilities p_i.
With max L_i alone, two parabolas and a rare sample are a counterexample, here as a claim that fails.

Ours. Keeping ‖e‖ ≤ rho ((1−lam)‖g‖ + lam) apart in the two places where it enters (docs/oikonomou2025.md),

    gamma ≤ (¾ mu − L rho (1−lam)(mu + D))/(2LD [1 + 2L² rho² (1−lam)²]),
    N' = (L/mu) {C [gamma + rho (1−lam)/2 + 2L² gamma rho² (1−lam)²] + 2L rho² lam² (1 + L gamma)},

for SAM (lam = 1) at any radius and with a floor of order rho², as is observed, in place of rho.

Source. Oikonomou & Loizou 2025, Theorem 3.2.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.domain import Domain, Range
from theory.finite_sums import (
    PL_FAMILIES,
    SEARCHED,
    changes,
    enumerate_instances,
    given_spec,
    instances,
    random_normalisations,
    searched,
    slack_notes,
)
from theory.oikonomou2025.setting import CAPS, NOMINAL, SHARPER_STEP, SMOOTH_DRAWS, Constants, constants
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.objective import FiniteSum
    from simulate.sampling import Sampling

STEPS = 3


def linear_rate(delta_0: Numbers, gamma: Numbers, mu: Numbers, t: Numbers, floor: Numbers) -> Any:
    """Return (1 − gamma mu)^t delta_0 + floor, the power within 2 ulps of 1 + t gamma mu times itself, gamma mu ≤ ½."""
    return np.exp(t * np.log1p(-gamma * mu)) * delta_0 + floor


def published_steps(c: Constants, lam: Numbers, u: Numbers, v: Numbers) -> tuple[Any, Any, Any]:
    """Return (gamma, rho, N): shares u of the largest radius and 1 − v² of the largest step that goes with it."""
    rho = c.radius_cap(lam) * u
    gamma = c.step_cap(rho, lam) * (1.0 - v**2)
    return gamma, rho, c.floor(gamma, rho, lam)


def sharper_steps(c: Constants, lam: Numbers, u: Numbers, v: Numbers) -> tuple[Any, Any, Any]:
    """Return (gamma, rho, N') likewise, rho at most 3/L where no radius is too large."""
    rho = np.minimum(c.sharper_radius_cap(lam), 3.0 / c.L) * u
    gamma = c.sharper_step_cap(rho, lam) * (1.0 - v**2)
    return gamma, rho, c.sharper_floor(gamma, rho, lam)


FORMS = {"published": published_steps, "sharper": sharper_steps}


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """E[f(x_t) − f*], over every draw (three steps), and in the long run by moments (lam = 0) or by sampled paths."""
    return {
        "three steps": observe_few(settings),
        "long, exact": observe_moments(settings),
        "long, sampled": observe_paths(settings, runner),
    }


def observe_few(settings: Settings) -> Samples:
    """Exact expectations (instances, t): settings["points"] choices of rho, gamma, lam, x_0 for each random problem."""
    count, parts = settings["points"], []
    for problem, draws, rng in instances(settings):
        c, lam = constants(problem, draws), random_normalisations(rng, count)
        chosen = FORMS[settings["form"]](c, lam, *rng.random((2, count)))
        starts = rng.standard_normal((count, len(problem.anchor))) * np.exp(rng.uniform(-5.0, 5.0, (count, 1)))
        parts.append(few_steps(problem, draws, c.mu, starts, lam, *chosen))
    observed, rate, floor, start = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _samples(observed, rate, floor, start, count * settings["problems"])


def few_steps(
    problem: "FiniteSum", draws: "Sampling", mu: float, starts: FloatArray, lam: FloatArray, gamma: FloatArray,
    rho: FloatArray, floor: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """Return E[f(x_t) − f*], the rate's share of the bound, the floor and f(x_0) − f*, (count, STEPS) each."""
    gaps, _ = enumerate_instances(problem, draws, starts, gamma, rho, lam, STEPS)
    rate = linear_rate(gaps[:, :1], gamma[:, None], mu, np.arange(1, STEPS + 1), 0.0)
    return gaps[:, 1:], rate, np.repeat(floor[:, None], STEPS, 1), np.repeat(gaps[:, :1], STEPS, 1)


def _samples(observed: FloatArray, rate: FloatArray, floor: FloatArray, start: FloatArray, count: int) -> Samples:
    mean = observed.mean(axis=-1) if observed.ndim > rate.ndim else observed
    notes = slack_notes(rate + floor, mean, count)
    return Samples(observed, {"rate": rate, "floor": floor, "trivial": start, "notes": notes})


def observe_moments(settings: Settings) -> Samples:
    """Exact expectations after settings["long"] relaxation times of USAM on quadratics."""
    from simulate.finite_sum import Schedule, expected_quadratic

    parts = []
    for problem, draws, rng in instances({**settings, "problems": settings["long problems"]}, PL_FAMILIES[:4]):
        c = constants(problem, draws)
        gamma, rho, floor = FORMS[settings["form"]](c, 0.0, rng.random(), 0.5 * rng.random())
        steps = int(min(np.ceil(settings["long"] / (gamma * c.mu)), 5000))
        start = problem.anchor + rng.standard_normal(len(problem.anchor))
        gaps = expected_quadratic(problem, draws, Schedule(gamma, rho), start, steps)
        parts.append((gaps[-1], linear_rate(gaps[0], gamma, c.mu, steps, 0.0), floor, gaps[0]))
    observed, rate, floor, start = (np.array(part) for part in zip(*parts, strict=True))
    return _samples(observed, rate, floor, start, len(parts))


def observe_paths(settings: Settings, runner: Runner) -> Samples:
    """Return sampled paths (problems, seeds) of SAM and Unified SAM after settings["long"] relaxation times."""
    specs, rows, seeds = [], [], range(settings["seed"], settings["seed"] + settings["seeds"])
    for k, (problem, draws, rng) in enumerate(instances({**settings, "problems": settings["sampled problems"]})):
        c, lam = constants(problem, draws), (1.0, 0.5)[k % 2]
        gamma, rho, floor = FORMS[settings["form"]](c, lam, rng.uniform(0.3, 0.9), 0.5 * rng.random())
        steps = int(min(np.ceil(settings["long"] / (gamma * c.mu)), 50_000))
        start = problem.anchor + rng.standard_normal(len(problem.anchor))
        run = {"radius": rho, "normalisation": lam, "step_size": gamma, "max_steps": steps}
        specs += [given_spec(problem, draws, start, seed=seed, **run) for seed in seeds]
        gap = float(problem.measure((start - problem.anchor)[None])[0][0])
        rows.append((linear_rate(gap, gamma, c.mu, steps, 0.0), floor, gap))
    observed = np.array([result.gap for result in runner.run(specs)]).reshape(len(rows), -1)
    rate, floor, start = (np.array(column) for column in zip(*rows, strict=True))
    return _samples(observed, rate, floor, start, len(rows))


def predict(samples: Samples) -> Any:
    """Return the bound."""
    return samples.given["rate"] + samples.given["floor"]


def predict_no_floor(samples: Samples) -> Any:
    """Return the bound without its floor."""
    return samples.given["rate"]


# instances by their own numbers


def chosen_steps(settings: Settings) -> "tuple[FiniteSum, Sampling, FloatArray, Constants, Any, Any, Any, Any]":
    """Return (problem, draws, x_0 − x*, constants, lam, gamma, rho, floor) at the shares "u" and "v" of `FORMS`."""
    problem, draws, start = searched(settings)
    c = constants(problem, draws)
    lam, u, v = (np.array([settings[name]]) for name in ("lam", "u", "v"))
    return problem, draws, start, c, lam, *FORMS[settings["form"]](c, lam, u, v)


def observe_searched(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """E[f(x_t) − f*] over every draw (three steps), less f(x_0) − f*, and where moments give it in the long run.

    That begins at x*, where the bound is N alone.
    """
    from simulate.finite_sum import Schedule, expected_quadratic

    problem, draws, start, c, lam, gamma, rho, floor = chosen_steps(settings)
    observed, rate, floors, gap = few_steps(problem, draws, c.mu, start[None], lam, gamma, rho, floor)
    observed, bound = changes(gap, observed, rate + floors)
    axes = {"three steps": Samples(observed, {"rate": bound, "floor": 0.0})}
    if problem.loss == "square" and settings["lam"] == 0.0 and gamma[0] > 0.0 and floor[0] > 1e-20:  # not mere rounding
        steps = int(min(np.ceil(4.0 / (gamma[0] * c.mu)), 1000))
        gaps = expected_quadratic(problem, draws, Schedule(gamma[0], rho[0]), problem.anchor, steps)
        axes["long, from x*"] = Samples(gaps[-1:], {"rate": np.zeros(1), "floor": floor})
    return axes


def letters(settings: Settings) -> dict[str, float]:
    """Return the letters of the hypotheses at an instance."""
    problem, draws, _, c, lam, gamma, rho, _ = chosen_steps(settings)
    given = {"lam": lam, "rho": rho, "gamma": gamma}
    known = {"L": c.L, "L_S": draws.lipschitz(problem), "mu": c.mu, "D": c.D}
    return known | {name: float(value[0]) for name, value in given.items()}


STEPS_DOMAIN = Domain(
    SEARCHED | {"lam": Range(0.0, 1.0, 0.0), "u": Range(0.0, 1.0, 0.5), "v": Range(0.0, 0.999, 0.0)},
    observe_searched,
    letters=letters,
)

# the counterexample: two parabolas, one of them rarely drawn

RARE = {"p": 0.0025, "lam": 0.99, "rho": 0.5, "gamma": 1.2e-5, "distance": 10.0}


def rare_constants(L: float, p: float, distance: float) -> Constants:
    """Return the constants of f = ½[½(x−s)² + ½(x+s)²], the first drawn with probability p < ½, s = distance."""
    A = 0.5 / p
    return Constants(L, 1.0, A, 0.0, 2.0 * A * 0.5 * distance**2)


def rare_moments(p: float, lam: float, rho: float, gamma: float, distance: float) -> tuple[float, float]:
    """Return (mean, standard deviation) of x in the stationary state; the step is affine while |x| stays below s.

    With w = 1/(2p_i) and centre c_i, e = rho ((1−lam) w (x − c_i) − lam sign c_i), x ← x − gamma w (x + e − c_i): about
    the mean x shrinks by 1 − k_i and is kicked. Both are within 5 ulps, for nothing is taken from 1 or from E x².
    """
    P, r = np.array([p, 1.0 - p]), rho * (1.0 - lam)
    w, c = 0.5 / P, np.array([distance, -distance])
    mean = distance * r * (1.0 - 2.0 * p) / (4.0 * p * (1.0 - p) + r)
    k = gamma * w * (1.0 + r * w)
    kick = k * (c - mean) + gamma * w * rho * lam * np.sign(c)
    return mean, np.sqrt((P @ kick**2) / (P @ (k * (2.0 - k))))


def observe_rare(settings: Settings, runner: Runner) -> Samples:
    """f(x_t) − f* after settings["steps"] steps (1, seeds) from settings["start"].

    None: rho and gamma at 0.9 of the caps for settings["L"]; the start at the stationary mean.
    """
    from simulate.finite_sum_data import GivenSum
    from simulate.finite_sum_run import FiniteSumSpec

    p, lam, s = (settings[name] for name in ("p", "lam", "distance"))
    c = rare_constants(settings["L"], p, s)
    rho = settings["rho"] or 0.9 * c.radius_cap(lam)
    gamma = settings["gamma"] or 0.9 * c.step_cap(rho, lam)
    mean, std = rare_moments(p, lam, rho, gamma, s)
    start = mean if settings["start"] is None else settings["start"]
    data = GivenSum(((1.0,), (1.0,)), (s, -s), (float(start),))
    specs = [
        FiniteSumSpec(data, "least-squares", 0.0, rho, lam, gamma, sampling="single", probabilities=(p, 1.0 - p),
                      max_steps=settings["steps"], seed=settings["seed"] + k) for k in range(settings["seeds"])
    ]  # fmt: skip
    observed = np.array([[result.gap for result in runner.run(specs)]])
    rate, floor = linear_rate(0.5 * start**2, gamma, 1.0, settings["steps"], 0.0), c.floor(gamma, rho, lam)
    notes = {"mean of x, exact": mean, "sd of x, exact": std, "f − f*, exact": 0.5 * (mean**2 + std**2), "N": floor}
    return Samples(observed, {"rate": np.array([rate]), "floor": np.array([floor]), "notes": notes})


def single_element(settings: Settings) -> "tuple[FiniteSum, Sampling, Constants, float, float]":
    """Return (problem, sampling, constants, gamma, rho): least squares, shares of the caps for settings["smooth"].

    That is max L_i of the "sample", or the largest Lip(g_S) of a "draw".
    """
    problem, draws, _ = searched(settings)
    c = constants(problem, draws)
    if settings["smooth"] == "sample":
        c = replace(c, L=float(problem.sample_lipschitz.max()))
    rho = settings["rho/cap"] * c.radius_cap(settings["lam"])
    return problem, draws, c, settings["gamma/cap"] * c.step_cap(rho, settings["lam"]), rho


def observe_single_element(settings: Settings, runner: Runner) -> Samples:
    """Mean of f(x_t) − f* (1, seeds) over the second half of a path from x*, where the bound is N at every t."""
    problem, draws, c, gamma, rho = single_element(settings)
    steps, seeds = settings["steps"], range(settings["seed"], settings["seed"] + settings["seeds"])
    run = {"radius": rho, "normalisation": settings["lam"], "step_size": gamma, "max_steps": steps}
    kept = tuple(np.unique(np.linspace(steps // 2, steps, 100).astype(int)).tolist())
    specs = [given_spec(problem, draws, problem.anchor, seed=seed, record=kept, **run) for seed in seeds]
    observed = np.array([[result.history["gap"].mean() for result in runner.run(specs)]])
    return Samples(observed, {"rate": np.zeros(1), "floor": np.array([c.floor(gamma, rho, settings["lam"])])})


def single_element_letters(settings: Settings) -> dict[str, float]:
    """Return the letters of the hypotheses at an instance."""
    _, _, c, gamma, rho = single_element(settings)
    return {"L": c.L, "mu": c.mu, "D": c.D, "lam": settings["lam"], "rho": rho, "gamma": gamma}


SINGLE_ELEMENT = Domain(
    {"n": Range(2, 3, 2, integer=True)}
    | {name: replace(SEARCHED[name], size=3) for name in ("scales", "targets", "weights")}
    | {"noise": SEARCHED["noise"]}
    | {"lam": Range(0.0, 1.0, 1.0), "rho/cap": Range(0.0, 1.0, 1.0), "gamma/cap": Range(1e-3, 1.0, 1.0, log=True)},
    observe_single_element,
    letters=single_element_letters,
    settings={"family": "square", "d": 1, "rows": (1.0,) * 3, "sampling": "single", "start": (0.0,), "distance": 0.0,
              "smooth": "sample", "steps": 40_000, "seeds": 3},
    sure={"steps": 150_000, "seeds": 24},
    twin=Control("L = max L_i/(n p_i)", changes={"smooth": "draw"}),
)  # fmt: skip


# the floor of SAM itself


def observe_floor(settings: Settings, runner: Runner) -> Samples:
    """Mean of f − f* over the last steps of deterministic SAM against rho, falling (radii, problems)."""
    from simulate.finite_sum_data import DrawnSum
    from simulate.finite_sum_run import FiniteSumSpec

    data, T = DrawnSum(samples=10, dimension=5, condition=4.0, noise_std=0.5), settings["steps"]
    radii = np.geomspace(0.1, 1e-4, 7)
    kept = tuple(range(T - 200, T))
    specs = [
        FiniteSumSpec(data, radius=float(rho), normalisation=1.0, step_size=settings["gamma"], max_steps=T,
                      seed=settings["seed"] + k, record=kept) for rho in radii for k in range(settings["seeds"])
    ]  # fmt: skip
    gaps = [result.history["gap"].mean() for result in runner.run(specs)]
    return Samples(np.array(gaps).reshape(len(radii), -1), {"x": radii})


COMMON: dict[str, Any] = {"source": "Oikonomou & Loizou 2025, Theorem 3.2", "parameters": NOMINAL}
BOUND: dict[str, Any] = {
    "kind": Kind.UPPER_BOUND,
    "predict": predict,
    "tolerance": 1e-9,
    "tolerance_reason": "exact but for rounding, and x* of logistic regression, known to 1e-15",
}
SIZES = {
    "quick": {"problems": 250, "points": 40, "long problems": 40, "long": 12, "sampled problems": 12, "seeds": 40},
    "full": {"problems": 3000, "points": 40, "long problems": 400, "long": 12, "sampled problems": 60, "seeds": 200},
}

LINEAR = r"\mathbb{E}[f(x_t)-f^*]\le(1-\gamma\mu)^t(f(x_0)-f^*)+N"
PUBLISHED = LINEAR + (
    r" \qquad N=\frac L\mu\left(C[\gamma+\rho(1-\lambda)^2\theta]+\rho\lambda^2\theta\right)"
    r" \qquad \theta=1+2L^2\gamma\rho"
)

CLAIMS = (
    Claim(
        id="oikonomou2025/constant-steps",
        title="Unified SAM converges linearly to a floor under PL",
        statement="E[f(x_t) − f*] ≤ (1 − gamma mu)^t (f(x_0) − f*) + N for rho ≤ rho*, gamma ≤ gamma*(rho)",
        formula=PUBLISHED,
        hypotheses=(*CAPS, SMOOTH_DRAWS),
        observe=observe,
        control=Control("no floor", predict_no_floor),
        quick={"form": "published", **SIZES["quick"]},
        full={"form": "published", **SIZES["full"]},
        domain=STEPS_DOMAIN,
        **COMMON,
        **BOUND,
    ),
    Claim(
        id="oikonomou2025/constant-steps-largest-sample",
        title="The same with L = max L_i under single-element sampling",
        statement="the same with L = max L_i: f_1,2 = (x ∓ 10)²/2, p_1 = 0.0025, lam = 0.99, rho = 0.5, gamma = 1.2e-5",
        formula=PUBLISHED + r" \qquad L=\max_iL_i",
        hypotheses=CAPS,
        observe=observe_rare,
        control=Control("a tenth of the bound", lambda samples: 0.1 * predict(samples)),
        twin=Control(
            "L = max L_i/(n p_i) = 200, rho and gamma at 0.9 of its caps, from x = 9",
            changes={"L": 200.0, "rho": None, "gamma": None, "start": 9.0},
        ),
        quick={"L": 1.0, "start": None, "steps": 1_000_000, "seeds": 48, **RARE},
        full={"L": 1.0, "start": None, "steps": 1_000_000, "seeds": 400, **RARE},
        expected=Outcome.VIOLATED,
        domain=SINGLE_ELEMENT,
        **COMMON,
        **BOUND,
    ),
    Claim(
        id="oikonomou2025/constant-steps-sharper",
        title="A floor of order rho² for SAM, at any radius",
        statement="E[f(x_t) − f*] ≤ (1 − gamma mu)^t (f(x_0) − f*) + N', gamma ≤ the sharper cap, any rho at lam = 1",
        formula=(
            LINEAR + r"' \qquad "
            r"N'=\frac L\mu\left(C\left[\gamma+\frac{\rho(1-\lambda)}{2}+2L^2\gamma\rho^2(1-\lambda)^2\right]"
            r"+2L\rho^2\lambda^2(1+L\gamma)\right)"
        ),
        hypotheses=(SHARPER_STEP, SMOOTH_DRAWS),
        observe=observe,
        control=Control("no floor", predict_no_floor),
        quick={"form": "sharper", **SIZES["quick"]},
        full={"form": "sharper", **SIZES["full"]},
        domain=STEPS_DOMAIN,
        ours=True,
        **COMMON | {"parameters": NOMINAL | {"lam": 1.0, "rho": 2.0, "gamma": 0.03}},
        **BOUND,
    ),
    Claim(
        id="oikonomou2025/sam-floor",
        title="SAM's floor is of order rho²",
        statement="deterministic SAM with constant steps: f(x_t) − f* → Θ(rho²) as rho → 0",
        formula=r"f(x_t)-f^*\to\Theta(\rho^2) \qquad \rho\to0",
        kind=Kind.RATE,
        hypotheses=(),
        observe=observe_floor,
        predict=lambda samples: 2.0,
        tolerance=0.02,
        tolerance_reason="on a quadratic it is exact once the start is forgotten",
        control=Control("order rho, as the published N", lambda samples: 1.0),
        quick={"gamma": 0.5, "steps": 4000, "seeds": 16},
        full={"gamma": 0.5, "steps": 20_000, "seeds": 100},
        domain=Domain({"gamma": Range(0.05, 1.0, 0.5), "seed": Range(0, 1000, 0, integer=True)}, budget=100),
        ours=True,
        **COMMON,
    ),
)

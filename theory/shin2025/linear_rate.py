"""Stochastic USAM converges linearly where the samples interpolate.

Setting. One uniform sample a step, x ← x − eta ∇f_i(x + rho ∇f_i(x)); each f_i beta-smooth with inf f_i = 0, all
attained at one point; f lambda-smooth with ‖∇f‖² ≥ alpha f (PL with alpha = 2 mu).

Claim. For rho < 1/((beta/alpha + ½) beta), with m = alpha − (beta + alpha/2) beta rho and
eta* = m/(2 lambda beta (1 + beta rho)²),

    E f(x_t) ≤ (1 − m eta*/2)^t f(x_0).

Ours. The same with m' = alpha − beta rho √(2 alpha beta) in place of m, for rho < √(alpha/(2 beta))/beta: it is never
smaller (docs/shin2025.md).

Source. Shin, Lee, Andriushchenko & Lee 2025, arXiv:2311.17539, Theorem 2.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Hypothesis, Kind, Samples
from theory.domain import Choice, Domain, Range
from theory.finite_sums import SEARCHED, changes, enumerate_instances, random_problem, searched, slack_notes
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.objective import FiniteSum

INTERPOLATION = Hypothesis("interpolation", "all f_i attain inf f_i = 0 at one point (sigma* = 0)", lambda a: 1.0)
RADIUS = Hypothesis("radius", "m > 0", lambda a: 1.0 / max(a["rho/largest rho"], 1e-200), required=1.0)
FAMILIES = ("interpolated", "sine")


def published_margin(alpha: Numbers, beta: Numbers, rho: Numbers) -> Any:
    """Return m = alpha − (beta + alpha/2) beta rho, within 2 ulps of alpha: at the largest radius m is 0."""
    return alpha - (beta + 0.5 * alpha) * beta * rho


def sharper_margin(alpha: Numbers, beta: Numbers, rho: Numbers) -> Any:
    """Return m' = alpha − beta rho √(2 alpha beta), within 3 ulps of alpha likewise."""
    return alpha - beta * rho * np.sqrt(2.0 * alpha * beta)


def largest_radius(alpha: Numbers, beta: Numbers, form: str) -> Any:
    """Return the radius at which the margin is 0."""
    if form == "published":
        return 1.0 / ((beta / alpha + 0.5) * beta)
    return np.sqrt(alpha / (2.0 * beta)) / beta


MARGINS = {"published": published_margin, "sharper": sharper_margin}


def step_size(margin: Numbers, beta: Numbers, smooth: Numbers, rho: Numbers) -> Any:
    """Return eta* = m/(2 lambda beta (1 + beta rho)²)."""
    return margin / (2.0 * smooth * beta * (1.0 + beta * rho) ** 2)


def rate(margin: Numbers, eta: Numbers) -> Any:
    """Return 1 − m eta*/2."""
    return 1.0 - 0.5 * margin * eta


def constants(problem: "FiniteSum") -> tuple[float, float, float]:
    """Return (alpha, beta, lambda)."""
    return 2.0 * problem.pl_constant, float(problem.sample_lipschitz.max()), problem.lipschitz


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """E f(x_t)/f(x_0): over every draw (three steps), and after many steps by moments, in units of 1/rate^t."""
    from simulate.finite_sum import Schedule, expected_quadratic
    from simulate.sampling import sampling
    from simulate.streams import stream

    count, few = settings["points"], []
    long: list[tuple[FloatArray, FloatArray]] = []
    for k in range(settings["problems"]):
        rng = stream("interpolating problems", settings["seed"] + k)
        problem = random_problem(rng, FAMILIES[k % 2])
        draws = sampling("single", problem)
        alpha, beta, smooth = constants(problem)
        rho = largest_radius(alpha, beta, settings["form"]) * rng.random(count)
        margin = MARGINS[settings["form"]](alpha, beta, rho)
        eta = step_size(margin, beta, smooth, rho)
        starts = rng.standard_normal((count, len(problem.anchor))) * np.exp(rng.uniform(-5.0, 5.0, (count, 1)))
        gaps, _ = enumerate_instances(problem, draws, starts, eta, rho, np.zeros(count), 3)
        few.append((gaps[:, 1:] / gaps[:, :1], rate(margin, eta)[:, None] ** np.arange(1, 4)))
        if problem.loss == "square" and len(long) < settings["long problems"]:
            path = expected_quadratic(problem, draws, Schedule(eta[0], rho[0]), problem.anchor + starts[0], 1000)
            t = np.array([10, 100, 1000])
            t = t[rate(margin[0], eta[0]) ** t > 1e-12]  # above the moments' rounding, relative to the start's
            long.append((path[t] / path[0], rate(margin[0], eta[0]) ** t))
    return {"three steps": _samples(few), "long, exact": _samples(long)}


def observe_searched(settings: Settings, runner: Runner) -> Samples:
    """E f(x_t)/f(x_0) − 1, t = 1, 2, 3, of one problem by its own numbers."""
    problem, draws, start = searched(settings)
    alpha, beta, smooth = constants(problem)
    rho = np.array([largest_radius(alpha, beta, settings["form"]) * settings["rho/largest"]])
    margin = MARGINS[settings["form"]](alpha, beta, rho)
    eta = step_size(margin, beta, smooth, rho)
    gaps, _ = enumerate_instances(problem, draws, start[None], eta, rho, np.zeros(1), 3)
    bound = rate(margin, eta)[:, None] ** np.arange(1, 4)
    observed, bound = changes(1.0, gaps[:, 1:] / gaps[:, :1], bound)
    return Samples(observed, {"bound": bound})


DOMAIN = Domain(
    {name: SEARCHED[name] for name in ("n", "d", "rows", "scales", "start", "distance")}
    | {"family": Choice(FAMILIES), "rho/largest": Range(0.0, 0.999, 0.5)},
    observe_searched,
    letters=lambda settings: {"rho/largest rho": settings["rho/largest"]},
    settings={"sampling": "single", "weights": (1.0,) * 4, "targets": (0.0,) * 4, "noise": 0.0},
)


def _samples(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> Samples:
    observed, bound = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return Samples(observed, {"bound": bound, "notes": slack_notes(bound, observed, len(observed))})


COMMON: dict[str, Any] = {
    "source": "Shin, Lee, Andriushchenko & Lee 2025, Theorem 2",
    "kind": Kind.UPPER_BOUND,
    "hypotheses": (INTERPOLATION, RADIUS),
    "parameters": {"rho/largest rho": 0.9},
    "observe": observe,
    "predict": lambda samples: samples.given["bound"],
    "tolerance": 1e-11,
    "tolerance_reason": "exact but for rounding",
    "domain": DOMAIN,
    "control": Control("the bound to the eighth power", lambda samples: samples.given["bound"] ** 8),
}

CLAIMS = (
    Claim(
        id="shin2025/linear-rate",
        title="Stochastic USAM converges linearly under interpolation",
        statement="E f(x_t) ≤ (1 − m eta*/2)^t f(x_0), m = alpha − (beta + alpha/2) beta rho",
        formula=(
            r"\mathbb{E}f(x_t)\le\left(1-\frac{m\eta^*}{2}\right)^tf(x_0) \qquad "
            r"m=\alpha-\left(\beta+\frac\alpha2\right)\beta\rho \qquad \eta^*=\frac{m}{2\lambda\beta(1+\beta\rho)^2}"
        ),
        quick={"form": "published", "problems": 400, "points": 25, "long problems": 50},
        full={"form": "published", "problems": 4000, "points": 25, "long problems": 500},
        **COMMON,
    ),
    Claim(
        id="shin2025/linear-rate-sharper",
        title="Stochastic USAM converges linearly at larger radii too",
        statement="E f(x_t) ≤ (1 − m' eta*/2)^t f(x_0), m' = alpha − beta rho √(2 alpha beta)",
        formula=(
            r"\mathbb{E}f(x_t)\le\left(1-\frac{m'\eta^*}{2}\right)^tf(x_0) \qquad "
            r"m'=\alpha-\beta\rho\sqrt{2\alpha\beta} \qquad \eta^*=\frac{m'}{2\lambda\beta(1+\beta\rho)^2}"
        ),
        quick={"form": "sharper", "problems": 400, "points": 25, "long problems": 50},
        full={"form": "sharper", "problems": 4000, "points": 25, "long problems": 500},
        ours=True,
        **COMMON,
    ),
)

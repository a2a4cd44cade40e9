"""Deterministic USAM: its rate under the PL condition, and where it can stand still.

Setting. x₊ = x − gamma g̃, g̃ = ∇f(x + rho g), g = ∇f(x); f is beta-smooth; u = gamma beta, q = rho beta.

Claims. (1) If f is PL, ‖∇f‖² ≥ 2 mu delta with delta = f − f*, and u ≤ 1, q ≤ 1, then

    delta₊ ≤ (1 − gamma mu (2 − u − q²)) delta.

(2) Sharper: ≤ (1 − gamma mu (2 − u − q² + (1 − u)(2 − q) rho mu)) delta. (3) ‖g̃‖ ≥ (1 − q)‖g‖, so that for
rho < 1/beta USAM is stationary only where f is. (4) At rho = 1/beta it need not be: on −beta‖x‖²/2 every x is fixed.
(5) If f is convex, ‖g̃‖ ≥ ‖g‖ whatever rho.

Why. ⟨g, g̃⟩ = ½(‖g‖² + ‖g̃‖² − ‖g − g̃‖²) with ‖g − g̃‖ ≤ q‖g‖, and the PL condition holds at x + rho g as well, where f
is no smaller than at x: docs/andriushchenko2022.md.

Source. Ours; the method is USAM of Andriushchenko & Flammarion 2022.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.andriushchenko2022.setting import seeds
from theory.claim import Claim, Control, Hypothesis, Kind, Observation, Prediction, Samples
from theory.domain import Choice, Domain, Range
from theory.finite_sums import SEARCHED, changes, searched
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.objective import FiniteSum


def contraction(u: Numbers, q: Numbers, kappa: Numbers) -> Any:
    """Return 1 − gamma mu (2 − u − q²), kappa = mu/beta ≤ 1, within 2 ulps: its terms do not cancel."""
    return (1.0 - kappa) + kappa * ((1.0 - u) ** 2 + u * q**2)


def gain(u: Numbers, q: Numbers, kappa: Numbers) -> Any:
    """Return gamma mu (1 − u)(2 − q) rho mu, by which form (2) is smaller."""
    return u * kappa * (1.0 - u) * (2.0 - q) * q * kappa


def problems(settings: Settings) -> "Iterator[tuple[str, FiniteSum, FloatArray, np.random.Generator]]":
    """Yield (objective, problem, x_0, stream) of random problems, one of each setting in `objectives` for each seed."""
    from simulate.finite_sum_data import DrawnSum, load_sum
    from simulate.streams import stream

    for seed in seeds(settings):
        for k, (objective, samples, dimension, condition) in enumerate(settings["objectives"]):
            data = DrawnSum(samples, dimension, condition, 0.5 if objective in ("logistic", "nonconvex") else 0.0)
            problem, start = load_sum(data, objective, 0.01 if objective == "logistic" else 0.0, seed)
            yield objective, problem, start, stream("usam", seed, place=k)


def starts(problem: "FiniteSum", count: int, rng: np.random.Generator) -> FloatArray:
    """Return points x − x* (count, d): normal, of sizes 0.01 to 100, the first two along the extreme directions."""
    d = len(problem.anchor)
    Y = rng.standard_normal((count, d)) * np.exp(rng.uniform(np.log(0.01), np.log(100.0), (count, 1)))
    right = np.linalg.svd(problem.A, full_matrices=False)[2]
    Y[:2] = 3.0 * right[[0, -1]]
    return Y


def observe_rate(settings: Settings, runner: Runner) -> Samples:
    """delta₊/delta at every step of short paths; u uniform in 0 … 1 or 1, q uniform in 0.05 … 1: all flattened."""
    from simulate.sampling import sampling
    from theory.finite_sums import enumerate_instances

    count, steps = settings["starts"], settings["steps"]
    observed, u, q, kappa = [], [], [], []
    for _, problem, _, rng in problems(settings):
        beta = problem.lipschitz
        shares = np.where(rng.random(count) < 0.3, 1.0, rng.uniform(0.0, 1.0, count)), rng.uniform(0.05, 1.0, count)
        gammas, radii = (share / beta for share in shares)
        full, Y = sampling("full", problem), starts(problem, count, rng)
        values, _ = enumerate_instances(problem, full, Y, gammas, radii, np.zeros(count), steps)
        observed.append((values[:, 1:] / values[:, :-1]).ravel())
        u.append(np.repeat(shares[0], steps))
        q.append(np.repeat(shares[1], steps))
        kappa.append(np.full(count * steps, problem.pl_constant / beta))
    given = {name: np.concatenate(values) for name, values in (("u", u), ("q", q), ("kappa", kappa))}
    reached = np.concatenate(observed)
    samples = Samples(reached, {**given, "trivial": np.ones(reached.shape), "notes": {}})
    for form in (1, 2):
        slack = 1.0 - reached / predict_rate(form - 1.0)(samples)
        samples.given["notes"][f"median slack of form ({form})"] = float(np.median(slack))
    return samples


def observe_rate_searched(settings: Settings, runner: Runner) -> Samples:
    """delta₊/delta − 1 of one step on one problem by its own numbers."""
    from theory.finite_sums import enumerate_instances

    problem, full, start = searched(settings)
    beta, (u, q) = problem.lipschitz, (np.array([settings[name]]) for name in ("u", "q"))
    gaps, _ = enumerate_instances(problem, full, start[None], u / beta, q / beta, np.zeros(1), 1)
    kappa = np.array([problem.pl_constant / beta])
    observed, _ = changes(1.0, gaps[0, 1:] / gaps[0, :1], contraction(u, q, kappa))
    return Samples(observed, {"u": u, "q": q, "kappa": kappa, "start": 1.0})


def predict_rate(share: float) -> Prediction:
    """Return the prediction form (1) less `share` times the gain of form (2)."""

    def predict(samples: Samples) -> Any:
        known = [samples.given[name] for name in ("u", "q", "kappa")]
        return contraction(*known) - share * gain(*known) - samples.given.get("start", 0.0)

    return predict


def stretch(gradient: Callable[[FloatArray], Any], X: FloatArray, radii: FloatArray) -> Any:
    """Return ‖∇f(x + rho ∇f(x))‖/‖∇f(x)‖ at the points X (N, d), each with its rho (N,)."""
    g = gradient(X)
    return np.linalg.norm(gradient(X + radii[:, None] * g), axis=1) / np.linalg.norm(g, axis=1)


def _gradients(problem: "FiniteSum", Y: FloatArray) -> Any:
    return problem.measure(Y)[1]


def observe_stretch(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """‖g̃‖/‖g‖ at random points of random problems, and of −beta‖x‖²/2 where `concave`; q log-uniform in `radii`."""
    from simulate.streams import stream

    low, high = np.log(settings["radii"])
    ratios, shares, count = [], [], settings["starts"]
    for _, problem, _, rng in problems(settings):
        q = np.exp(rng.uniform(low, high, count))
        Y = starts(problem, count, rng) / np.linalg.norm(problem.A, 2)
        ratios.append(stretch(partial(_gradients, problem), Y, q / problem.lipschitz))
        shares.append(q)
    axes = {"sums": Samples(np.concatenate(ratios), {"q": np.concatenate(shares)})}
    if settings["concave"]:
        rng = stream("concave", settings["seed"])
        beta, q = np.exp(rng.uniform(-5.0, 5.0, count)), np.exp(rng.uniform(low, high, count))
        X = rng.standard_normal((count, 5))
        axes["concave"] = Samples(stretch(lambda X: -beta[:, None] * X, X, q / beta), {"q": q})
    return axes


def observe_stretch_searched(settings: Settings, runner: Runner) -> Samples:
    """‖g̃‖/‖g‖ at one point of one problem by their own numbers."""
    problem, _, start = searched(settings)
    q = np.array([settings["q"]])
    return Samples(stretch(lambda Y: problem.measure(Y)[1], start[None], q / problem.lipschitz), {"q": q})


def observe_standing(settings: Settings, runner: Runner) -> Samples:
    """x after USAM's steps on −beta‖x‖²/2 at rho = share/beta, gamma beta = ½, over x_0: (seeds, 5)."""
    from simulate.streams import stream
    from simulate.update import perturbation_scale

    found = []
    for seed in seeds(settings):
        rng = stream("standing", seed)
        beta = float(np.exp(rng.uniform(-5.0, 5.0)))
        start = rng.standard_normal(5)
        x = start.copy()
        for _ in range(settings["steps"]):
            g = -beta * x
            x = x + 0.5 * (x + perturbation_scale(settings["share"] / beta, 0.0, float(np.linalg.norm(g))) * g)
        found.append(x / start)
    return Samples(np.array(found))


NOMINAL = {"gamma": 0.5, "rho": 0.5, "beta": 1.0}
STEP = Hypothesis("gamma", "gamma beta ≤ 1", lambda a: 1.0 / max(a["gamma"] * a["beta"], 1e-200), 1.0)
RADIUS = Hypothesis("rho", "rho beta ≤ 1", lambda a: 1.0 / max(a["rho"] * a["beta"], 1e-200), 1.0)
OURS: dict[str, Any] = {"source": "derived here (this file)", "ours": True, "parameters": NOMINAL}
PL = (  # objective, samples, dimension, condition number
    ("least-squares", 4, 4, 1.0), ("least-squares", 6, 4, 3.0), ("least-squares", 3, 8, 100.0), ("pl", 1, 1, 1.0),
    ("pl", 3, 5, 2.0),
)  # fmt: skip
SMOOTH = (("pl", 3, 5, 2.0), ("nonconvex", 6, 3, 2.0), ("nonconvex", 2, 6, 1.0), ("logistic", 12, 3, 5.0))
CONVEX = (("least-squares", 3, 8, 100.0), ("least-squares", 6, 4, 3.0), ("logistic", 12, 3, 5.0))
SUM = {name: SEARCHED[name] for name in ("n", "d", "rows", "scales", "targets", "noise", "reg", "start", "distance")}
FULL = {"sampling": "full", "weights": (1.0,) * 4}


def searched_domain(
    observe: Callable[[Settings, Runner], Observation], families: Sequence[str], u: Range | None, q: Range
) -> Domain:
    """Return the domain of a claim on sums of the families, u = gamma beta and q = rho beta within ranges."""
    ranges = {"family": Choice(families)} | ({"u": u} if u else {}) | {"q": q}
    return Domain(SUM | ranges, observe, letters=lambda s: {"gamma": s.get("u", 0.5), "rho": s["q"]}, settings=FULL)


RATE: dict[str, Any] = {
    "domain": searched_domain(
        observe_rate_searched, ("square", "interpolated", "ridge", "sine"), Range(0.01, 1.2, 1.0), Range(0.0, 1.2, 1.0)
    ),
    "kind": Kind.UPPER_BOUND, "hypotheses": (STEP, RADIUS), "observe": observe_rate, "tolerance": 1e-12,
    "tolerance_reason": "rounding where the bound is attained",
    "quick": {"objectives": PL, "starts": 25, "steps": 4, "seeds": 30},
    "full": {"objectives": PL, "starts": 100, "steps": 8, "seeds": 200},
}  # fmt: skip
STRETCH: dict[str, Any] = {
    "kind": Kind.LOWER_BOUND, "observe": observe_stretch, "tolerance": 1e-12,
    "tolerance_reason": "rounding where the bound is attained",
}  # fmt: skip

CLAIMS = (
    Claim(
        id="andriushchenko2022/usam-rate",
        title="Deterministic USAM under the PL condition",
        statement="delta₊ ≤ (1 − gamma mu (2 − gamma beta − beta² rho²)) delta at every step, delta = f − f*",
        formula=r"\delta_{t+1}\le(1-\gamma\mu(2-\gamma\beta-\beta^2\rho^2))\,\delta_t \qquad \delta_t=f(x_t)-f^*",
        predict=predict_rate(0.0),
        control=Control(
            "at half the radius",
            lambda samples: contraction(samples.given["u"], 0.5 * samples.given["q"], samples.given["kappa"]),
        ),
        **RATE,
        **OURS,
    ),
    Claim(
        id="andriushchenko2022/usam-rate-sharper",
        title="Deterministic USAM under the PL condition, with what the perturbation gains",
        statement="delta₊ ≤ (1 − gamma mu (2 − gamma beta − beta² rho² + (1 − gamma beta)(2 − rho beta) rho mu)) delta",
        formula=(
            r"\delta_{t+1}\le(1-\gamma\mu c)\,\delta_t \qquad "
            r"c=2-\gamma\beta-\beta^2\rho^2+(1-\gamma\beta)(2-\rho\beta)\rho\mu"
        ),
        predict=predict_rate(1.0),
        control=Control("twice the gain", predict_rate(2.0)),
        **RATE,
        **OURS,
    ),
    Claim(
        id="andriushchenko2022/usam-stationary-points",
        title="USAM with rho < 1/beta is stationary only where f is",
        statement="‖∇f(x + rho∇f(x))‖ ≥ (1 − rho beta) ‖∇f(x)‖, attained on −beta‖x‖²/2",
        formula=r"\lVert\nabla f(x+\rho\nabla f(x))\rVert\ge(1-\rho\beta)\lVert\nabla f(x)\rVert",
        hypotheses=(RADIUS,),
        predict=lambda samples: 1.0 - samples.given["q"],
        control=Control("≥ ‖∇f(x)‖, as for convex f", lambda samples: np.ones(len(samples.observed))),
        quick={"objectives": SMOOTH, "radii": (0.01, 0.99), "concave": True, "starts": 50, "seeds": 20},
        full={"objectives": SMOOTH, "radii": (0.01, 0.99), "concave": True, "starts": 200, "seeds": 100},
        domain=searched_domain(
            observe_stretch_searched, ("sine", "robust", "logistic", "square"), None, Range(0.01, 1.2, 1.0, log=True)
        ),
        **STRETCH,
        **OURS,
    ),
    Claim(
        id="andriushchenko2022/usam-standing-still",
        title="At rho = 1/beta USAM can stand still anywhere",
        statement="x_t = x_0 for every x_0 on f = −beta‖x‖²/2 at rho = 1/beta",
        formula=r"x_t=x_0 \qquad f(x)=-\frac\beta2\lVert x\rVert^2,\ \rho=\frac1\beta",
        kind=Kind.IDENTITY,
        hypotheses=(),
        observe=observe_standing,
        predict=lambda samples: np.ones(samples.observed.shape),
        tolerance=1e-12,
        tolerance_reason="rounding",
        control=Control("at 0.99/beta", changes={"share": 0.99}),
        quick={"share": 1.0, "steps": 100, "seeds": 20},
        full={"share": 1.0, "steps": 1000, "seeds": 100},
        **OURS,
    ),
    Claim(
        id="andriushchenko2022/usam-stationary-points-convex",
        title="On convex functions USAM is stationary only where f is, at any radius",
        statement="‖∇f(x + rho∇f(x))‖ ≥ ‖∇f(x)‖ for convex f and every rho",
        formula=r"\lVert\nabla f(x+\rho\nabla f(x))\rVert\ge\lVert\nabla f(x)\rVert",
        hypotheses=(),
        predict=lambda samples: np.ones(len(samples.observed)),
        control=Control("functions that are not convex", changes={"objectives": SMOOTH[1:3]}),
        quick={"objectives": CONVEX, "radii": (0.01, 1e4), "concave": False, "starts": 50, "seeds": 20},
        full={"objectives": CONVEX, "radii": (0.01, 1e4), "concave": False, "starts": 200, "seeds": 100},
        domain=searched_domain(
            observe_stretch_searched, ("square", "ridge", "logistic"), None, Range(0.01, 1e4, 1.0, log=True)
        ),
        **STRETCH,
        **OURS,
    ),
)

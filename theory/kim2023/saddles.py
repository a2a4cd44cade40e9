"""Saddles attract USAM if its radius is large enough.

Setting. x = 0 is a saddle of f: ∇f(0) = 0, and the Hessian H there has negative eigenvalues, lam_1 the least, and
positive ones, none being 0. USAM's steps x ← x − eta ∇f(x + rho ∇f(x)) from near by.

Claims. (1) With one negative eigenvalue lam_1 the saddle attracts, at steps that are small enough, iff rho > −1/lam_1.
(2) With several of them that is false of the least, lam_1: what decides is the negative eigenvalue nearest to 0.
(3) Of all steps, those attract for which eta lam_i (1 + rho lam_i) < 2 for every eigenvalue, negative ones included:

    eta_c = 2/max_i lam_i (1 + rho lam_i).

Why. Near 0 the step is x ← (I − eta H (I + rho H)) x, and multiplies the coordinate of lam_i by 1 − eta lam_i (1 + rho
lam_i). Where lam_i < 0 the product lam_i (1 + rho lam_i) is positive iff rho > −1/lam_i: the perturbed point is then on
the other side of the saddle, where the gradient has the other sign (docs/further.md).

Source. Kim et al. 2023 for the flow; several negative eigenvalues, and steps, are ours.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Hypothesis, Kind, Outcome, Samples
from theory.domain import Domain, Range
from theory.quadratics.setting import basis, critical_value, log_uniform, path, seeds
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.objective import FiniteSum

SMALL = 1e-9  # length of the start: f departs from its quadratic by the square of it


def critical_radius(eigenvalue: Numbers) -> Any:
    """Return −1/lam of a negative eigenvalue: the radius beyond which its coordinate contracts."""
    return -1.0 / eigenvalue


def critical_step(eigenvalues: FloatArray, rho: FloatArray) -> Any:
    """Return 2/max_i lam_i (1 + rho lam_i) of eigenvalues (…, d), those that are 0 not counting; rho (…,)."""
    return 2.0 / np.max(eigenvalues * (1.0 + rho[..., None] * eigenvalues), axis=-1)


def saddle(eigenvalues: FloatArray, Q: FloatArray) -> "FiniteSum":
    """Return a sum of waves z²/2 + b cos(10 z)/10 along the columns of Q, its Hessian's eigenvalues at 0 these."""
    from simulate.objective import finite_sum

    d, curvature = len(eigenvalues), 4.0 * np.sign(eigenvalues)
    A = np.sqrt(d * np.abs(eigenvalues) / 4.0)[:, None] * Q.T
    return finite_sum("wave", A, (1.0 - curvature) / 10.0)


def problems(settings: Settings) -> Iterator[tuple[FloatArray, FloatArray, FloatArray, float, float]]:
    """Yield (eigenvalues, the negative ones first and rising; basis; start; share; rho lam): drawn, or one by numbers.

    One or two negative ones from −1 to −0.25, the second 0.5 … 0.7 times the first; the positive ones from 0.2 to 1.
    """
    from simulate.streams import stream

    if "positive" in settings:
        positive = np.array(settings["positive"][: settings["d"] - settings["negative"]])
        eigenvalues = np.concatenate([_negative(settings["lowest"], settings["ratio"], settings["negative"]), positive])
        yield eigenvalues, np.eye(len(eigenvalues)), np.ones(len(eigenvalues)), settings["share"], settings["rho lam"]
        return
    for seed in seeds(settings):
        rng = stream("saddles", seed)
        negative = _negative(rng.uniform(0.5, 1.0), rng.uniform(0.5, 0.7), settings["negative"])
        eigenvalues = np.concatenate([negative, rng.uniform(0.2, 1.0, rng.integers(1, 5))])
        d = len(eigenvalues)
        yield eigenvalues, basis(rng, d), rng.standard_normal(d), rng.uniform(0.6, 1.0), log_uniform(rng, 1.2, 4.0)


def _negative(lowest: float, ratio: float, count: int) -> FloatArray:
    return -lowest * np.array((1.0, ratio))[:count]


def leaves(problem: "FiniteSum", Q: FloatArray, start: FloatArray, eta: float, rho: float, steps: int) -> bool:
    """Return whether USAM moves away from 0: whether a coordinate along Q grows in the second half of the path.

    What is too small beside the largest is rounding and does not count.
    """
    status, history = path(problem, SMALL * start, eta, rho, 0.0, steps, (0, steps // 2))
    if status == "diverged":
        return True
    first, middle, last = np.abs(history["x"] @ Q)
    grown = last > np.maximum(middle, 1e-100)
    return bool(grown[last > 1e-8 * last.max()].any() or last.max() > 1e3 * first.max())


def observe_radius(settings: Settings, runner: Runner) -> Samples:
    """Return the radius from which on 0 attracts, (problems,); steps that would do up to twice the largest −1/lam_i."""
    observed, eigenvalues = [], []
    for values, Q, start, share, _ in problems(settings):
        problem, largest = saddle(values, Q), 2.0 / np.abs(values[values < 0.0]).min()
        eta = 1.8 * share / np.max(np.abs(values) * (1.0 + largest * np.abs(values)))

        def attracts(
            rho: float, problem: "FiniteSum" = problem, Q: FloatArray = Q, start: FloatArray = start, eta: float = eta
        ) -> bool:
            return not leaves(problem, Q, start, eta, rho, settings["steps"])

        observed.append(critical_value(attracts, 0.1, largest, settings["halvings"]))
        eigenvalues.append((values[0], values[values < 0.0][-1], values.max()))
    least, nearest, top = np.array(eigenvalues).T
    return Samples(np.array(observed), {"least": least, "nearest": nearest, "largest": top})


def observe_step(settings: Settings, runner: Runner) -> Samples:
    """Return the step from which on 0 no longer attracts, (problems,); the radius is 1.2 … 4 times the critical one."""
    observed, spectra, radii = [], [], []
    for values, Q, start, _, multiple in problems(settings):
        problem, rho = saddle(values, Q), multiple / np.abs(values[values < 0.0]).min()

        def repels(
            eta: float, problem: "FiniteSum" = problem, Q: FloatArray = Q, start: FloatArray = start, rho: float = rho
        ) -> bool:
            return leaves(problem, Q, start, eta, rho, settings["steps"])

        observed.append(critical_value(repels, 1e-3, 1e3, settings["halvings"]))
        spectra.append(np.pad(values, (0, 6 - len(values))))
        radii.append(rho)
    return Samples(np.array(observed), {"eigenvalues": np.array(spectra), "rho": np.array(radii)})


def domain(negative: int, low: int) -> Domain:
    """Return the domain of saddles with `low` to `negative` negative eigenvalues."""
    return Domain(
        {
            "d": Range(negative + 1, 6, negative + 1, integer=True),
            "negative": Range(low, negative, low, integer=True),
            "lowest": Range(0.5, 1.0, 1.0),
            "ratio": Range(0.5, 0.7, 0.5),
            "positive": Range(0.2, 1.0, 1.0, size=5),
            "share": Range(0.6, 1.0, 1.0),
            "rho lam": Range(1.2, 4.0, 2.0, log=True),
        },
        budget=100,
    )


STEP = Hypothesis(
    "step", "eta lam (1 + rho lam) < 2, lam the largest size of an eigenvalue",
    lambda a: 2.0 / max(a["eta"] * a["lam"] * (1.0 + a["rho"] * a["lam"]), 1e-200), 1.0,
)  # fmt: skip
COMMON: dict[str, Any] = {
    "kind": Kind.IDENTITY, "tolerance": 1e-10, "tolerance_reason": "the last bracket of the bisection",
    "parameters": {"eta": 0.1, "rho": 2.0, "lam": 1.0},
}  # fmt: skip
QUICK = {"steps": 3000, "halvings": 40, "seeds": 12}
FULL = {"steps": 3000, "halvings": 42, "seeds": 200}
POSITIVE = Control("the largest eigenvalue's 1/lam", lambda samples: 1.0 / samples.given["largest"])

CLAIMS = (
    Claim(
        id="kim2023/saddle-attracts",
        title="A saddle attracts USAM beyond a radius",
        statement="a saddle with one negative eigenvalue lam_1 attracts USAM's small steps iff rho > −1/lam_1",
        formula=r"\rho_c=-\frac1{\lambda_1}",
        source="Kim et al. 2023, for the flow",
        hypotheses=(STEP,),
        observe=observe_radius,
        predict=lambda samples: critical_radius(samples.given["least"]),
        control=POSITIVE,
        quick=QUICK | {"negative": 1},
        full=FULL | {"negative": 1},
        domain=domain(1, 1),
        **COMMON,
    ),
    Claim(
        id="kim2023/saddle-attracts-least",
        title="The same of the least of several negative eigenvalues",
        statement="any saddle with least eigenvalue lam_1 < 0 attracts USAM's small steps if rho > −1/lam_1",
        formula=r"\rho_c=-\frac1{\lambda_1},\ \lambda_1=\lambda_{\min}",
        source="the form above read for any saddle; its failure is derived here (this file)",
        hypotheses=(STEP,),
        observe=observe_radius,
        predict=lambda samples: critical_radius(samples.given["least"]),
        twin=Control("the negative eigenvalue nearest to 0", lambda samples: critical_radius(samples.given["nearest"])),
        control=POSITIVE,
        quick=QUICK | {"negative": 2},
        full=FULL | {"negative": 2},
        domain=domain(2, 2),
        expected=Outcome.VIOLATED,
        ours=True,
        **COMMON,
    ),
    Claim(
        id="kim2023/saddle-step",
        title="The largest step at which a saddle attracts USAM",
        statement="a saddle attracts iff 0 < eta lam_i (1 + rho lam_i) < 2 for every eigenvalue, also negative ones",
        formula=(
            r"\eta_c=\frac2{\max_i\lambda_i(1+\rho\lambda_i)} \qquad "
            r"\rho>-\frac1{\lambda_i}\text{ where }\lambda_i<0"
        ),
        source="derived here (this file)",
        hypotheses=(),
        observe=observe_step,
        predict=lambda samples: critical_step(samples.given["eigenvalues"], samples.given["rho"]),
        control=Control(
            "positive eigenvalues alone",
            lambda samples: critical_step(np.maximum(samples.given["eigenvalues"], 0.0), samples.given["rho"]),
        ),
        quick=QUICK | {"negative": 2, "seeds": 60},  # at some one in five a negative eigenvalue decides
        full=FULL | {"negative": 2},
        domain=domain(2, 1),
        ours=True,
        **COMMON,
    ),
)

"""What the closed form rests on: the first-passage curve, which was fitted, and the quadratures, which were derived.

Setting. All samples alike, d → ∞ and n → ∞; sigma = S/c.

Claims. (1) While a pair is off its field in units c, F, is driven by V = dF/dsigma, Gaussian: F(0) = z, V has variance
a(0)/2 = ¼ at first and da/2 more whenever da of the pairs switch on. a is the share that has been above 0, and so the
process has no parameter. Drawn with its own a, forward in sigma, it gives the a(sigma) of `closed.py`. (2) The closed
form's quadratures solve the differential equations in tau

    x' = a(S/c) s,   S' = s,   I'' = a in S,   s = 1/(1 + eˣ),   up to log(1 + e^−x) = eps.

Its error against runs is that of samples being alike, which `ours/accuracy-closed` measures: an error in the fit, or
in a quadrature, would be lost there.

Source. derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD). Derivation: docs/asymptotics.md.
"""

from functools import partial
from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.chen2023.setting import NOMINAL
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Runner, Settings

FIRST, LAST = 2e-3, 1e3  # sigma


def first_passages(paths: int, steps: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return sigma (steps + 1,) and the share a of pairs that are on, drawn with `paths` of those that start off.

    A path is known at the steps: in between it moves little. The noise of a step has the variance that its own
    passages give, which a second pass over it, of the same numbers, finds.
    """
    from scipy.special import ndtri
    from scipy.stats import qmc

    from simulate.streams import stream

    rng = stream("first passages", seed, paths=paths, steps=steps)
    start = qmc.Sobol(2, seed=rng).random(paths)
    F, V = ndtri(0.5 * start[:, 0]), 0.5 * ndtri(start[:, 1])
    sigma = np.concatenate([[0.0], np.geomspace(FIRST, LAST, steps)])
    share, rate = [0.5], 0.0
    for h in np.diff(sigma):
        g, along = rng.standard_normal((2, len(F)))
        for _ in range(2):
            kick = np.sqrt(0.5 * rate * h)
            moved = F + h * (V + kick * (0.5 * g + along / np.sqrt(12.0)))
            off = moved <= 0.0
            rate = (1.0 - 0.5 * off.sum() / paths - share[-1]) / h
        share.append(share[-1] + rate * h)
        F, V = moved[off], (V + kick * g)[off]
    return sigma, np.array(share)


def observe_passages(settings: Settings, runner: Runner) -> Samples:
    """Return the share that is on at every sigma."""
    sigma, share = first_passages(settings["paths"], settings["steps"], settings["seed"])
    return Samples(share, {"sigma": sigma})


def predict_active(samples: Samples) -> Any:
    """Return the fit."""
    from theory.ours.closed import active_fraction

    return active_fraction(samples.given["sigma"])


def integrated(c: float, m: int, p: float, eps: float, e0: float) -> tuple[float, float, float, float, float, float]:
    """Return S, tau, K_d, K_o, K_x and the signal at training loss eps, the differential equations solved in tau."""
    from scipy.integrate import solve_ivp
    from scipy.special import expit

    from theory.ours.closed import active_fraction

    def rates(tau: float, state: FloatArray) -> tuple[float, float, float, float, float]:
        x, S, first, *_ = state
        a, s = active_fraction(S / c), expit(-x)
        return a * s, s, a * s, first * s, (a * s) ** 2 * (1.0 - s)

    def fitted(tau: float, state: FloatArray) -> Any:
        return np.log1p(np.exp(-state[0])) - eps

    event: Any = fitted
    event.terminal = True
    run = solve_ivp(rates, (0.0, 1e9), np.zeros(5), "DOP853", events=event, rtol=1e-11, atol=1e-13)
    x, S, _, I, change = run.y[:, -1]
    met = active_fraction(S / c) * expit(-x) + change  # ½ a(0) + ∫ s da, by parts, as s = ½ at first
    return S, run.t[-1], c * c + I, (0.5 * x * x - I / m) / (1.0 - 1.0 / m), -x * e0 * met, 0.5 * (1.0 - 2.0 * p) * S


NAMES = ("S", "tau", "K_d", "K_o", "K_x", "signal")


def observe_integrals(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Every figure of `integrated` at every (c, m, p, eps, e0)."""
    found = np.array([integrated(*case) for case in settings["cases"]]).T
    return {
        name: Samples(values, {"figure": name, "cases": settings["cases"]})
        for name, values in zip(NAMES, found, strict=True)
    }


def predict_integrals(samples: Samples, **options: Any) -> FloatArray:
    """Return the closed form's."""
    from theory.ours.closed import predict

    ends = [predict(*case, **options) for case in samples.given["cases"]]
    return np.array([np.ravel(getattr(end, samples.given["figure"]))[-1] for end in ends])


def predict_one_time(samples: Samples) -> Any:
    """Return ½ + atan(sigma/2)/(2 pi): the field at one time alone."""
    return 0.5 + np.arctan(samples.given["sigma"] / 2.0) / (2.0 * np.pi)


CASES = ((0.02, 20, 0.1, 0.01, 0.1), (0.1, 10, 0.0, 0.05, 0.3), (0.5, 50, 0.3, 0.003, 0.1), (2.0, 20, 0.2, 0.1, 1.0))
COMMON: dict[str, Any] = {
    "source": "derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD)",
    "kind": Kind.IDENTITY,
    "hypotheses": (),
    "parameters": NOMINAL,
    "ours": True,
}

CLAIMS = (
    Claim(
        id="ours/first-passage",
        title="The active fraction is the first-passage curve",
        statement="a(sigma) of the closed form is the share of fields that have been above 0, for sigma up to 10³",
        formula=(
            r"a(\sigma)=\Pr\Bigl[\max_{u\le\sigma}F(u)>0\Bigr] \qquad "
            r"F(\sigma)=z+\int_0^\sigma(\sigma-u)\sqrt{\tfrac12\,da(u)}\,\xi_u"
        ),
        observe=observe_passages,
        predict=predict_active,
        tolerance=0.003,
        tolerance_reason="the fit is off by 0.0019 of itself at most; quick checks scatter by 0.00024 about that",
        control=Control("the field at one time alone: ½ + atan(sigma/2)/(2 pi)", predict_one_time),
        quick={"paths": 2**20, "steps": 200},
        full={"paths": 2**21, "steps": 800},
        **COMMON,
    ),
    Claim(
        id="ours/closed-form",
        title="The closed form solves its differential equations",
        statement="S, tau, K_d, K_o, K_x and the signal at training loss eps are those of the equations in tau",
        formula=(
            r"K_d=c^2+I,\ K_o=\frac{x^2/2-I/m}{1-1/m} \qquad "
            r"x'=a(S/c)\,s,\ S'=s,\ \frac{d^2I}{dS^2}=a,\ s=\frac{1}{1+e^x}"
        ),
        observe=observe_integrals,
        predict=predict_integrals,
        tolerance=1e-6,
        tolerance_reason="the quadratures' 800 intervals",
        control=Control("a = ½: no neuron newly switched on", partial(predict_integrals, active=lambda sigma: 0.5)),
        quick={"cases": CASES},
        full={"cases": tuple((c, m, *rest) for c in (0.005, 0.05, 5.0) for m in (2, 200) for _, _, *rest in CASES)},
        **COMMON,
    ),
)

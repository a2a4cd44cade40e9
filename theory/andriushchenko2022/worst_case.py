"""The worst that deterministic USAM can do over a whole class of functions, beside the bounds on it.

Setting. k steps of USAM, x ← x − gamma ∇f(x + rho ∇f(x)), from f(x_0) − f* = 1. Over all beta-smooth f of a class, in
any dimension, the worst f is found by performance estimation: a semidefinite program in the inner products of the
points and gradients met (PEPit). It is exact for mu-strongly convex f; for PL and for nonconvex f the program's
conditions are necessary only, and its value is at least the worst case.

Claims. The worst case is within (1) the rate of `deterministic_usam`; (2) Theorem 3.2 of Oikonomou & Loizou without
noise, f(x_k) − f* ≤ (1 − gamma mu)^k at rho ≤ 1/(3 beta), gamma = (1 − 3 beta rho)/(2 beta (1 + 2 beta² rho²)); (3) the
nonconvex rate of stochastic USAM without noise, mean_{t<k} ‖∇f(x_t)‖² ≤ 4 beta/√k at gamma = 1/(√k beta), rho =
1/(k^¼ beta); (4) the PL rate, f(x_k) − f* ≤ 3 beta²/(mu² k²) at gamma_t = min{(8t + 4)/(3 mu (t + 1)²), 1/(2 beta)},
rho_t = √(gamma_t/beta).

Source. (2) Oikonomou & Loizou 2025; (3) and (4) Andriushchenko & Flammarion 2022; performance estimation is Drori &
Teboulle's and Taylor, Hendrickx & Glineur's.
"""

import numpy as np

from theory.andriushchenko2022.deterministic_usam import NOMINAL, RADIUS, STEP, contraction
from theory.claim import Claim, Control, Hypothesis, Kind, Samples

CLASSES = {
    "strongly convex": "SmoothStronglyConvexFunction",
    "pl": "SmoothQuadraticLojasiewiczFunctionCheap",
    "nonconvex": "SmoothFunction",
}
"""PEPit's name of each class; smooth is beta = 1."""


def worst_case(family, gammas, radii, mu=None, average=False):
    """Return the largest f(x_k) − f*, or mean_{t<k} ‖∇f(x_t)‖² where `average`, of USAM's steps gammas, radii (k,).

    beta = 1 and f(x_0) − f* ≤ 1. NaN where the solver finds nothing.
    """
    import warnings

    from PEPit import PEP, functions

    program = PEP()
    given = {"L": 1.0} if mu is None else {"L": 1.0, "mu": mu}
    f = program.declare_function(getattr(functions, CLASSES[family]), **given)
    minimum = f(f.stationary_point())
    x = program.set_initial_point()
    program.set_initial_condition(f(x) - minimum <= 1.0)
    squares, visited = [], []
    for gamma, rho in zip(gammas, radii, strict=True):
        squares.append(f.gradient(x) ** 2)
        visited += [x, x + rho * f.gradient(x)]
        x = x - gamma * f.gradient(visited[-1])
    if family == "nonconvex":
        for point in (*visited, x):  # elsewhere implied: a smooth f would fall below its minimum
            program.add_constraint(f(point) - minimum >= 0.5 * f.gradient(point) ** 2)
    program.set_performance_metric(sum(squares) / len(squares) if average else f(x) - minimum)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Solution may be inaccurate")  # to 5e-5, which the tolerance allows for
        value = program.solve(wrapper="cvxpy", solver="CLARABEL", verbose=0)
    return np.nan if value is None else float(value)


def schedule_pl(mu, steps):
    """Return claim (4)'s gamma_t and rho_t, t = 0 … steps − 1, at beta = 1."""
    t = np.arange(steps)
    gammas = np.minimum((8.0 * t + 4.0) / (3.0 * mu * (t + 1.0) ** 2), 0.5)
    return gammas, np.sqrt(gammas)


def largest_step(rho):
    """Return claim (2)'s gamma at beta = 1; 0 at rho = 1/3."""
    return (1.0 - 3.0 * rho) / (2.0 * (1.0 + 2.0 * rho**2))


def samples(pairs, trivial=1.0):
    """Return the samples of pairs (worst case, bound); `trivial` is what holds of any descent."""
    observed, bounds = np.array(pairs).T
    ratio = observed / bounds
    notes = {"nearest to its bound": float(ratio.max()), "median": float(np.median(ratio))}
    return Samples(observed, {"bound": bounds, "trivial": np.full(len(observed), trivial), "notes": notes})


def observe_rate(settings, runner):
    """Worst cases and bounds of (1) for every class, number of steps, mu, u and q."""
    return samples([
        (worst_case(family, [u] * k, [q] * k, mu), contraction(u, q, mu) ** k)
        for family in ("strongly convex", "pl")
        for k in settings["steps"]
        for mu, u, q in settings["cases"]
    ])  # fmt: skip


def observe_constant(settings, runner):
    """Worst cases and bounds of (2) for every number of steps, mu and rho."""
    return samples([
        (worst_case("strongly convex", [largest_step(rho)] * k, [rho] * k, mu), (1.0 - largest_step(rho) * mu) ** k)
        for k in settings["steps"]
        for mu, rho in settings["cases"]
    ])  # fmt: skip


def observe_nonconvex(settings, runner):
    """Worst cases and bounds of (3) for every number of steps."""
    return samples([
        (worst_case("nonconvex", [k**-0.5] * k, [k**-0.25] * k, average=True), 4.0 / k**0.5) for k in settings["steps"]
    ], trivial=2.0)  # fmt: skip


def observe_decreasing(settings, runner):
    """Worst cases and bounds of (4) for every number of steps and mu."""
    return samples([
        (worst_case("strongly convex", *schedule_pl(mu, k), mu), 3.0 / (mu * k) ** 2)
        for k in settings["steps"]
        for mu in settings["mu"]
    ])  # fmt: skip


def share_of_bound(share):
    """Return the prediction `share` times the bound."""
    return lambda samples: share * samples.given["bound"]


COMMON = {
    "kind": Kind.UPPER_BOUND, "parameters": NOMINAL, "tolerance": 1e-4,
    "tolerance_reason": "the accuracy to which the semidefinite solver may stop, 5e-5", "extra": ("pep", "PEPit"),
}  # fmt: skip
CASES = ((0.1, 0.5, 0.5), (0.1, 1.0, 0.2), (0.5, 0.5, 0.9))
PAPER_RATES = "Andriushchenko & Flammarion 2022, the rates of stochastic USAM, without noise"

CLAIMS = (
    Claim(
        id="andriushchenko2022/usam-worst-case",
        title="The worst case of USAM is within its rate under the PL condition",
        statement="f(x_k) − f* ≤ (1 − gamma mu (2 − gamma beta − beta² rho²))^k for the worst f",
        source="derived here (deterministic_usam.py)",
        hypotheses=(STEP, RADIUS),
        observe=observe_rate,
        predict=share_of_bound(1.0),
        control=Control("the square of the rate", lambda samples: samples.given["bound"] ** 2),
        quick={"steps": (1, 3), "cases": CASES},
        full={"steps": (1, 3, 10), "cases": (*CASES, (0.9, 0.9, 0.9), (0.02, 0.5, 0.1))},
        ours=True,
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/usam-worst-case-constant-steps",
        title="The worst case of USAM is within Oikonomou & Loizou's bound without noise",
        statement="f(x_k) − f* ≤ (1 − gamma mu)^k at the largest step that the theorem allows, worst f",
        source="Oikonomou & Loizou 2025, Theorem 3.2, full gradients, lam = 0",
        hypotheses=(
            Hypothesis("rho", "rho < 1/(3 beta)", lambda a: 1.0 / (3.0 * max(a["rho"] * a["beta"], 1e-200)), 1.0),
        ),
        observe=observe_constant,
        predict=share_of_bound(1.0),
        control=Control("four times the rate", lambda samples: samples.given["bound"] ** 4),
        quick={"steps": (1, 5), "cases": ((0.1, 0.0), (0.1, 0.1), (0.5, 0.2))},
        full={"steps": (1, 5, 10), "cases": ((0.1, 0.0), (0.1, 0.1), (0.5, 0.2), (0.02, 0.3))},
        **COMMON | {"parameters": NOMINAL | {"rho": 0.1}},
    ),
    Claim(
        id="andriushchenko2022/usam-worst-case-nonconvex",
        title="The worst case of USAM on nonconvex functions is within the paper's bound without noise",
        statement="mean_{t<k} ‖∇f(x_t)‖² ≤ 4 beta (f(x_0) − f*)/√k at gamma = 1/(√k beta), rho = 1/(k^¼ beta), worst f",
        source=PAPER_RATES,
        hypotheses=(),
        observe=observe_nonconvex,
        predict=share_of_bound(1.0),
        control=Control("a tenth of the bound", share_of_bound(0.1)),
        quick={"steps": (5, 7)},
        full={"steps": (2, 5, 7, 10)},
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/usam-worst-case-decreasing-steps",
        title="The worst case of USAM with decreasing steps is within the paper's bound without noise",
        statement="f(x_k) − f* ≤ 3 beta² (f(x_0) − f*)/(mu² k²) at decreasing steps and radii, worst strongly convex f",
        source=PAPER_RATES,
        hypotheses=(),
        observe=observe_decreasing,
        predict=share_of_bound(1.0),
        control=Control("a hundredth of the bound", share_of_bound(0.01)),
        quick={"steps": (2, 5), "mu": (0.2, 0.8)},
        full={"steps": (2, 5, 10), "mu": (0.1, 0.2, 0.5, 0.8)},
        **COMMON,
    ),
)

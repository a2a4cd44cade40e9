"""How noisy a stochastic gradient is, by the way the samples are drawn.

Setting. f_i L_i-smooth and bounded below, g_S = Σ v_i ∇f_i with E v_i = 1/n, any point x.

Claim. E‖g_S(x)‖² ≤ 2A (f(x) − f*) + B ‖∇f(x)‖² + C with C = 2A sigma* and

    sampling                                  A                              B
    tau of n without replacement, n > 1       (n−tau) L_max/(tau (n−1))      n (tau−1)/(tau (n−1))
    tau with replacement                      L_max/tau                      1 − 1/tau
    one, with probabilities p_i               max L_i/(n p_i)                0
    one, p_i ∝ L_i                            mean L_i                       0

Why. E‖g_S‖² is B‖∇f‖² plus a weighted mean of ‖∇f_i‖², and ‖∇f_i‖² ≤ 2 L_i (f_i − inf f_i). The bound is attained,
by equal f_i of one variable for instance.

Source. Oikonomou & Loizou 2025, Section 2 (the expected residual and its constants); Khaled & Richtárik 2023,
arXiv:2002.03329, Propositions 2 and 3.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Hypothesis, Kind, Samples
from theory.domain import Choice, Domain
from theory.finite_sums import PL_FAMILIES, SEARCHED, instances, searched, slack_notes
from theory.oikonomou2025.setting import constants
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.objective import FiniteSum
    from simulate.sampling import Sampling


def residual_bound(A: Numbers, B: Numbers, C: Numbers, gap: Numbers, square: Numbers) -> Any:
    """Return 2A (f − f*) + B ‖∇f‖² + C."""
    return 2.0 * A * gap + B * square + C


def observe(settings: Settings, runner: Runner) -> Samples:
    """E‖g_S‖² over every draw, at settings["points"] random points of each random problem."""
    parts = []
    for problem, draws, rng in instances(settings, (*PL_FAMILIES, "robust")):
        Y = rng.standard_normal((settings["points"], len(problem.anchor))) * np.exp(rng.uniform(-5.0, 5.0))
        parts.append((problem, draws, Y))
    return residuals(parts)


def observe_searched(settings: Settings, runner: Runner) -> Samples:
    """E‖g_S‖² over every draw, of one problem at one point by their own numbers."""
    problem, draws, start = searched(settings)
    return residuals([(problem, draws, start[None])])


def residuals(parts: "Sequence[tuple[FiniteSum, Sampling, FloatArray]]") -> Samples:
    """Return the samples of (problem, sampling, points x − x* (points, d)), flat."""
    totals: list[FloatArray] = []
    values: dict[str, list[FloatArray]] = {name: [] for name in ("A", "B", "C", "gap", "square")}
    for problem, draws, Y in parts:
        c = constants(problem, draws)
        V, P = draws.law()
        gaps, _ = problem.measure(Y)
        total = np.zeros(len(Y))
        for v, p in zip(V, P, strict=True):  # a problem of the drawn samples alone has g_S as its gradient
            total += p * (weighted_gradients(problem, v, Y) ** 2).sum(axis=1)
        totals.append(total)
        squares = (problem.measure(Y)[1] ** 2).sum(axis=1)
        for name, value in (("A", c.A), ("B", c.B), ("C", c.C), ("gap", gaps), ("square", squares)):
            values[name].append(np.broadcast_to(value, len(Y)))
    observed = np.concatenate(totals)
    given = {name: np.concatenate(parts) for name, parts in values.items()}
    notes = slack_notes(residual_bound(**given), observed, len(observed))
    return Samples(observed, {**given, "notes": notes})


def weighted_gradients(problem: "FiniteSum", v: FloatArray, Y: FloatArray) -> FloatArray:
    """Return Σ_i v_i ∇f_i (states, d) at the points x* + Y (states, d)."""
    from simulate.objective import slope

    rows = np.repeat(v, problem.rows) / problem.rows
    U = problem.offsets + Y @ problem.A.T
    slopes = np.array([[slope(problem.code, u, b) for u, b in zip(row, problem.targets, strict=True)] for row in U])
    gradients: FloatArray = (slopes * rows) @ problem.A + problem.reg * v.sum() * (problem.anchor + Y)
    return gradients


def predict(samples: Samples) -> Any:
    """Return the bound at each point."""
    return residual_bound(*(samples.given[name] for name in ("A", "B", "C", "gap", "square")))


def predict_half(samples: Samples) -> Any:
    """Return the bound with half of A, in C too."""
    g = samples.given
    return residual_bound(0.5 * g["A"], g["B"], 0.5 * g["C"], g["gap"], g["square"])


CLAIMS = (
    Claim(
        id="oikonomou2025/expected-residual",
        title="Expected residual of five samplings",
        statement="E‖g_S‖² ≤ 2A (f − f*) + B ‖∇f‖² + 2A sigma*, A and B by the sampling",
        formula=r"\mathbb{E}\lVert g_S\rVert^2\le2A(f-f^*)+B\lVert\nabla f\rVert^2+2A\sigma^*",
        source="Oikonomou & Loizou 2025, Section 2",
        kind=Kind.UPPER_BOUND,
        hypotheses=(Hypothesis("samples", "n > 1 for draws without replacement", lambda a: a["n"] - 1, required=1.0),),
        parameters={"n": 2},
        observe=observe,
        predict=predict,
        tolerance=1e-10,
        tolerance_reason="f − f* of logistic regression is known to 1e-15 or so",
        control=Control("half of A", predict_half),
        quick={"problems": 700, "points": 20},
        full={"problems": 7000, "points": 20},
        domain=Domain(
            SEARCHED | {"family": Choice((*SEARCHED["family"].values, "robust"))},
            observe_searched,
            letters=lambda settings: {"n": settings["n"] if settings["sampling"] == "nice" else 2},
        ),
    ),
)

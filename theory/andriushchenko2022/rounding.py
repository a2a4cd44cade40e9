"""What the published runs show, and which of it is rounding.

Setting. The paper's code: loops over u = w₊ + w₋ and v = w₊ − w₋ on the problem of `setting.published_problem`,
10001 steps, u₀ = 2 alpha, v₀ = 0, losses (1/2n)‖r‖², and 1-SAM perturbed by twice the rho it is given.

Claims. (1) The printed test losses are those of the exact dynamics. (2) One is not: 1-SAM at u₀ = 0.02, rho = 0.3,
printed as 0.0242, worse than GD. There a coordinate of the teacher first shrinks so far that u + v or u − v rounds to
0; being 0 it can never grow again. On weights that are only ever multiplied the same run ends at 1e-7: the largest
radius is the best one.

Source. Andriushchenko & Flammarion 2022, the code published with Section 4 (tml-epfl/understanding-sam); the diagnosis
is ours.
"""

from typing import TYPE_CHECKING

import numpy as np

from theory.andriushchenko2022.setting import NOMINAL, published_problem, train_on
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.regression import RegressionInstance

STEPS = 10_001
PRINTED = (  # rule, u₀, d · gamma, printed rho, printed test loss
    ("gd", 0.1, 5.0, 0.0, 0.015056044189449159),
    ("n-sam", 0.1, 5.0, 0.01, 0.015143589149560101),
    ("n-sam", 0.1, 5.0, 0.03, 0.01532189739609112),
    ("n-sam", 0.1, 5.0, 0.1, 0.01598195225147282),
    ("n-sam", 0.1, 5.0, 0.3, 0.018241642036376265),
    ("n-sam", 0.1, 5.0, 1.0, 0.03606494489010675),
    ("1-sam", 0.02, 5.0, 0.01, 0.0004663830742908966),
    ("1-sam", 0.02, 5.0, 0.03, 0.00023853572282255735),
    ("1-sam", 0.02, 5.0, 0.1, 1.5396958089444108e-05),
    ("1-sam", 0.1, 10.0, 0.03, 0.009127933293039658),
    ("1-sam", 0.1, 10.0, 0.1, 0.0015235412218010903),
    ("1-sam", 0.1, 10.0, 0.15, 0.00025260386614471894),
    ("1-sam", 0.1, 10.0, 0.2, 1.5622244035909675e-05),
    ("1-sam", 0.1, 10.0, 0.3, 1.316634050881677e-08),
)
ROUNDED = ("1-sam", 0.02, 5.0, 0.3, 0.024183218285324055)


def exact_loss(
    problem: "RegressionInstance", rule: str, u0: float, scaled_step: float, rho: float, doubled: float = 2.0
) -> float:
    """Return the test loss of one published run on multiplicative weights."""
    radius = {"gd": 0.0, "n-sam": rho, "1-sam": doubled * rho}[rule]
    return train_on(
        problem, alpha=u0 / 2.0, rule=rule, radius=radius, step_size=scaled_step / 30.0, max_steps=STEPS
    )[1]


def uv_loss(problem: "RegressionInstance", u0: float, scaled_step: float, rho: float) -> float:
    """Return the test loss of published 1-SAM in u and v, as a user would write it."""
    X, y, step = problem.X, problem.y, scaled_step / 30.0
    u, v = np.full(X.shape[1], u0), np.zeros(X.shape[1])
    for _ in range(STEPS):
        e = 2.0 * rho * (X @ (u * v) - y)[:, None] * X
        U, V = u + e * v, v + e * u
        gradient = ((X * U * V).sum(axis=1) - y)[:, None] * X / len(y)
        u, v = u - step * (gradient * V).sum(axis=0), v - step * (gradient * U).sum(axis=0)
    return float(((problem.X_test @ (u * v) - problem.y_test) ** 2).sum() / (2.0 * len(problem.y_test)))


def observe_printed(settings: Settings, runner: Runner) -> Samples:
    """Exact test losses over the printed ones, one a published run."""
    problem = published_problem()
    losses = [exact_loss(problem, *run[:4], settings["doubled"]) for run in PRINTED]
    return Samples(np.array(losses) / np.array([run[4] for run in PRINTED]))


def observe_rounded(settings: Settings, runner: Runner) -> Samples:
    """Return the test loss of the run that rounding spoiled, in the arithmetic of the settings."""
    run, problem = ROUNDED[:4], published_problem()
    loss = exact_loss(problem, *run) if settings["arithmetic"] == "multiplicative" else uv_loss(problem, *run[1:])
    return Samples(np.array([loss]))


SOURCE = "Andriushchenko & Flammarion 2022, code of Section 4 (github.com/tml-epfl/understanding-sam)"

CLAIMS = (
    Claim(
        id="andriushchenko2022/published-runs",
        title="The published test losses are those of the exact dynamics",
        statement="14 printed test losses of GD, n-SAM and 1-SAM, recomputed on multiplicative weights",
        formula=r"\frac{L_{\mathrm{test}}(\text{exact})}{L_{\mathrm{test}}(\text{printed})}=1",
        source=SOURCE,
        kind=Kind.IDENTITY,
        hypotheses=(),
        parameters=NOMINAL,
        observe=observe_printed,
        predict=lambda samples: np.ones(len(samples.observed)),
        tolerance=1e-7,
        tolerance_reason="rounding of u and v in the printed ones, up to 2e-8 at the smallest loss",
        control=Control("1-SAM's rho as printed, not doubled", changes={"doubled": 1.0}),
        quick={"doubled": 2.0},
        full={"doubled": 2.0},
    ),
    Claim(
        id="andriushchenko2022/published-one-sam-hurts",
        title="1-SAM at a large radius and small alpha is worse than GD, as printed",
        statement="test loss 0.0242 at u₀ = 0.02, rho = 0.3 (GD: 0.0006), on weights that do not round to zero",
        formula=r"L_{\mathrm{test}}=0.0242 \qquad u_0=0.02,\ \rho=0.3",
        source=SOURCE,
        kind=Kind.IDENTITY,
        hypotheses=(),
        parameters=NOMINAL | {"alpha": 0.01, "rho": 0.6},
        observe=observe_rounded,
        predict=lambda samples: np.array([ROUNDED[4]]),
        tolerance=1e-3,
        tolerance_reason="three printed digits",
        control=Control("ten times the printed loss", lambda samples: np.array([10.0 * ROUNDED[4]])),
        twin=Control("in u, v arithmetic, whose rounding made it", changes={"arithmetic": "u, v"}),
        quick={"arithmetic": "multiplicative"},
        full={"arithmetic": "multiplicative"},
        expected=Outcome.VIOLATED,
    ),
)

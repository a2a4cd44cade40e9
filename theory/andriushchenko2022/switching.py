"""Switching between ERM and SAM: which gain is SAM's, and which a step that is too long.

Setting. The paper's switching experiment: gamma = 1/d, u₀ = 0.1 (alpha = 0.05), 10001 steps of one rule, 10001 of the
other, on the published problem. ERM is GD; 1-SAM has (our) rho = 20 after ERM and 0.35 before it.

Claims. (1) The five printed test losses are reproduced. (2) 1-SAM first, then ERM: the gain stays when steps are 2, 4,
16 times smaller and as many times more (equal total time). (3) ERM first, then 1-SAM: the published gain, a
hundredfold, is gone at half the step. (4) It came from an unstable step: 1-SAM leaves an interpolator iff
gamma lambda > 2, where

    lambda = lambda_max( (2/n) Σ_i (1 + 2 rho ‖z_i‖²) z_i z_iᵀ ),   z_i = (x_i ∘ w₊, −x_i ∘ w₋),

is the largest curvature that 1-SAM's field has there; GD's has rho = 0.

Source. Andriushchenko & Flammarion 2022, the switching experiment of Section 4 and its code; (2) to (4) are ours.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.andriushchenko2022.setting import (
    NOMINAL,
    REALISABLE,
    SPARSE,
    published_problem,
    regression,
    seeds,
    train_on,
)
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.regression import RegressionInstance

STEPS = 10_001
FINAL, EARLY = 20.0, 0.35  # rho of 1-SAM after and before ERM: twice the values in the published code
PRINTED = (  # first rule, second rule (None: no second phase), rho, printed test loss
    ("gd", "gd", 0.0, 0.014602323023706629),
    ("gd", None, 0.0, 0.014865600195083558),
    ("gd", "1-sam", FINAL, 0.00014269229669575567),
    ("1-sam", None, EARLY, 0.0001245758657536336),
    ("1-sam", "gd", EARLY, 9.834845199886545e-05),
)


def schedule(first: str, second: str | None, rho: float, refine: int = 1) -> dict[str, Any]:
    """Return the fields of a run whose steps are `refine` times smaller and as many times more than published."""
    steps = STEPS * refine
    return {
        "alpha": 0.05, "rule": first, "then": second, "switch_step": steps, "radius": rho,
        "step_size": 1.0 / (30.0 * refine), "max_steps": steps if second is None else 2 * steps,
    }  # fmt: skip


def observe_printed(settings: Settings, runner: Runner) -> Samples:
    """Test losses over the printed ones."""
    problem, factor = published_problem(), settings["rho_factor"]
    losses = [train_on(problem, **schedule(first, second, factor * rho))[1] for first, second, rho, _ in PRINTED]
    return Samples(np.array(losses) / np.array([run[3] for run in PRINTED]))


def observe_gain(settings: Settings, runner: Runner) -> Samples:
    """Test loss after the switch over that of ERM alone on the published problem, one a refinement."""
    problem, ratios = published_problem(), []
    first, second = settings["order"]
    for refine in settings["refine"]:
        plain = train_on(problem, **schedule("gd", "gd", 0.0, refine))[1]
        ratios.append(train_on(problem, **schedule(first, second, settings["rho"], refine))[1] / plain)
    notes = {f"steps / {refine}": ratio for refine, ratio in zip(settings["refine"], ratios, strict=True)}
    return Samples(np.array(ratios), {"trivial": 1.0, "notes": notes})


def observe_random(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """log(test of ERM / test of SAM then ERM) on random problems, for every refinement."""
    from simulate.diagonal_run import DiagonalSpec

    axes = {}
    for refine in settings["refine"]:
        plain, switched = (
            runner.run([DiagonalSpec(regression(), seed=s, **schedule(*order, rho, refine)) for s in seeds(settings)])
            for order, rho in ((("gd", "gd"), 0.0), (("1-sam", "gd"), settings["rho"]))
        )
        gain = [np.log(a.test_loss / b.test_loss) for a, b in zip(plain, switched, strict=True)]
        axes[f"steps / {refine}"] = Samples(np.array(gain), {"notes": {"worse": int(np.sum(np.array(gain) < 0.0))}})
    return axes


def curvature(X: FloatArray, W: FloatArray, rho: float) -> float:
    """Return lambda of the module at an interpolator W (2, d)."""
    z = np.hstack([X * W[0], -X * W[1]])
    z *= np.sqrt(1.0 + 2.0 * rho * (z**2).sum(axis=1, keepdims=True))
    return float(2.0 / len(X) * np.linalg.eigvalsh(z @ z.T)[-1])


def leaves(problem: "RegressionInstance", W: FloatArray, gamma: float, rho: float, steps: int) -> bool:
    """Return whether 1-SAM, started a millionth beside the interpolator W, sees its loss grow a thousandfold."""
    from simulate.diagonal import DiagonalNetwork
    from simulate.update import Batches, Phase, Rule, train

    network = DiagonalNetwork(problem, 1.0)
    network.weights[:] = W * (1.0 + 1e-6 * np.random.default_rng(0).standard_normal(W.shape))
    start, n = network.loss(), len(problem.y)
    phases = [Phase(Rule(rho, 0.0, 1), steps)]
    status, _, history = train(network, phases, Batches(n, n, None), gamma, 0.0, range(0, steps, 50))
    return status == "diverged" or bool(np.max(history["train_loss"]) > 1000.0 * start)


def observe_instability(settings: Settings, runner: Runner) -> Samples:
    """Critical gamma of 1-SAM at ERM's interpolators times lambda, by bisection, (problems,)."""
    from simulate.diagonal import weights_of
    from simulate.diagonal_run import DiagonalSpec
    from simulate.regression import load_regression
    from simulate.runner import single_threaded

    data, rho = regression(test_samples=0), settings["rho"]
    specs = [DiagonalSpec(data, settings["alpha"], "gradient-flow", seed=seed) for seed in seeds(settings)]
    critical, at_radius, plain = [], [], []
    for spec, result in zip(specs, runner.run(specs), strict=True):
        problem = load_regression(data, spec.seed)
        W = weights_of(result.beta, result.history["log_product"][-1])
        at_radius.append(curvature(problem.X, W, rho))
        plain.append(curvature(problem.X, W, 0.0))
        low, high = np.log(1e-4), np.log(10.0)
        with single_threaded(), np.errstate(over="ignore", invalid="ignore"):
            for _ in range(settings["halvings"]):
                middle = 0.5 * (low + high)
                if leaves(problem, W, np.exp(middle), rho, settings["steps"]):
                    high = middle
                else:
                    low = middle
        critical.append(np.exp(0.5 * (low + high)))
    return Samples(np.array(critical) * np.array(at_radius), {"plain": 2.0 * np.array(at_radius) / np.array(plain)})


SOURCE = "Andriushchenko & Flammarion 2022, switching experiment of Section 4 and its code"
PUBLISHED: dict[str, Any] = {"source": SOURCE, "hypotheses": (), "parameters": NOMINAL | {"alpha": 0.05}}

CLAIMS = (
    Claim(
        id="andriushchenko2022/published-switch",
        title="The published switching experiment is reproduced",
        statement="the five printed test losses of ERM, ERM → 1-SAM and 1-SAM → ERM",
        formula=r"\frac{L_{\mathrm{test}}(\text{exact})}{L_{\mathrm{test}}(\text{printed})}=1",
        kind=Kind.IDENTITY,
        observe=observe_printed,
        predict=lambda samples: np.ones(len(samples.observed)),
        tolerance=1e-7,
        tolerance_reason="rounding of some ten thousand steps",
        control=Control("half the radii", changes={"rho_factor": 0.5}),
        quick={"rho_factor": 1.0},
        full={"rho_factor": 1.0},
        **PUBLISHED,
    ),
    Claim(
        id="andriushchenko2022/sam-then-erm",
        title="1-SAM, then ERM: the gain stays as steps shrink",
        statement="test loss at most a tenth of ERM's at steps gamma, gamma/2, gamma/4, gamma/16, equal total time",
        formula=r"\frac{L_{\mathrm{test}}(\text{1-SAM}\to\text{ERM})}{L_{\mathrm{test}}(\text{ERM})}\le\frac{1}{10}",
        kind=Kind.UPPER_BOUND,
        observe=observe_gain,
        predict=lambda samples: np.full(len(samples.observed), 0.1),
        tolerance=0.0,
        tolerance_reason="the tenth is in the claim",
        control=Control("without SAM's radius", changes={"rho": 0.0}),
        quick={"order": ("1-sam", "gd"), "rho": EARLY, "refine": (1, 2, 4)},
        full={"order": ("1-sam", "gd"), "rho": EARLY, "refine": (1, 2, 4, 16, 64)},
        ours=True,
        **PUBLISHED,
    ),
    Claim(
        id="andriushchenko2022/sam-then-erm-random",
        title="1-SAM, then ERM: the gain on random problems",
        statement="mean log(test of ERM / test of 1-SAM → ERM) > log 1.5 at rho = 0.2, at every step size",
        formula=(
            r"\mathbb{E}\log\frac{L_{\mathrm{test}}(\text{ERM})}{L_{\mathrm{test}}(\text{1-SAM}"
            r"\to\text{ERM})}>\log1.5 \qquad \rho=0.2"
        ),
        kind=Kind.ORDERING,
        observe=observe_random,
        predict=lambda samples: np.log(1.5),
        tolerance=0.0,
        tolerance_reason="the factor is in the claim",
        control=Control("without SAM's radius", changes={"rho": 0.0}),
        quick={"rho": 0.2, "refine": (1, 4), "seeds": 100},
        full={"rho": 0.2, "refine": (1, 4, 16), "seeds": 200},
        ours=True,
        **PUBLISHED | {"hypotheses": (REALISABLE, SPARSE)},
    ),
    Claim(
        id="andriushchenko2022/erm-then-sam",
        title="ERM, then 1-SAM: the published gain stays as steps shrink",
        statement="test loss at most half of ERM's at steps gamma, gamma/2, gamma/4, equal total time",
        formula=r"\frac{L_{\mathrm{test}}(\text{ERM}\to\text{1-SAM})}{L_{\mathrm{test}}(\text{ERM})}\le\frac12",
        kind=Kind.UPPER_BOUND,
        observe=observe_gain,
        predict=lambda samples: np.full(len(samples.observed), 0.5),
        tolerance=0.0,
        tolerance_reason="the half is in the claim",
        control=Control("without SAM's radius", changes={"rho": 0.0}),
        twin=Control("at the published step alone", changes={"refine": (1,)}),
        quick={"order": ("gd", "1-sam"), "rho": FINAL, "refine": (1, 2, 4)},
        full={"order": ("gd", "1-sam"), "rho": FINAL, "refine": (1, 2, 4, 16, 64)},
        expected=Outcome.VIOLATED,
        **PUBLISHED,
    ),
    Claim(
        id="andriushchenko2022/switch-instability",
        title="1-SAM leaves ERM's interpolator where its step is unstable",
        statement="the critical step of 1-SAM at an interpolator is 2/lambda, lambda its own largest curvature",
        formula=(
            r"\gamma_c\lambda=2 \qquad "
            r"\lambda=\lambda_{\max}\left(\frac2n\sum_i(1+2\rho\lVert z_i\rVert^2)z_iz_i^\top\right) \qquad "
            r"z_i=(x_iw_+,-x_iw_-)"
        ),
        kind=Kind.IDENTITY,
        observe=observe_instability,
        predict=lambda samples: np.full(len(samples.observed), 2.0),
        tolerance=0.01,
        tolerance_reason="a finite number of steps to leave in",
        control=Control("GD's curvature, rho = 0", lambda samples: samples.given["plain"]),
        quick={"rho": FINAL, "alpha": 0.05, "steps": 20_000, "halvings": 14, "seeds": 6},
        full={"rho": FINAL, "alpha": 0.05, "steps": 60_000, "halvings": 16, "seeds": 30},
        ours=True,
        **PUBLISHED | {"hypotheses": (REALISABLE,)},
    ),
)

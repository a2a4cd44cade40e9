"""SAM then SGD generalises where SGD does not.

Setting. d = 20000, n = 20, m = 10, P = 2, ‖mu‖ = 3, p = 0.1, sigma_0 = 0.001, eta = 0.01, B = 10, stop at training
loss 0.01: q = n‖mu‖⁴/((P−1)⁴ sigma_p⁴ d) = 0.08 is far on SGD's harmful side.

Claim. SAM with tau = m √B/(C3 P sigma_p √d) for kappa · 4m/(eta ‖mu‖² (1−2p)) steps and SGD after it reach the same
training loss with a clean error below 1/8, where SGD's is above; the signal is learned while the noise is off.

Where it fails. A SAM phase that is too short (kappa = 1/48) does little. SAM all the way does not reach the training
loss: it goes on turning the noise off that it would have to fit. Smaller initial weights, which the condition on
sigma_0 asks for, make the error larger at this size: the learned signal, met through ⟨mu, xi_k⟩, then outweighs them,
and some samples are left without an active neuron of their own class.

Source. Chen et al. 2023, Theorem 4.1 (SAM) against Theorem 3.2 (SGD). The constants C3 = 1 and kappa = 1/2 are ours.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.chen2023.setting import CONDITION, NOMINAL, sam_radius, sam_steps, scaled_init_std, scaled_spec, seeds
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.conv_run import ConvSpec

DEMO = NOMINAL | {"d": 20_000, "mu": 3.0, "sigma_0": 0.001, "eta": 0.01, "B": 10}


def demo_spec(
    seed: int, rule: str = "sam-then-sgd", kappa: float = 0.5, max_steps: int = 60_000, sigma_0: float = 0.001,
    B: int = 10, labels: str = "balanced",
) -> "ConvSpec":  # fmt: skip
    """Return one run of the demonstration."""
    n, d, m, P, mu, p, eta = 20, 20_000, 10, 2, 3.0, 0.1, 0.01
    return scaled_spec(
        seed, n, d, m, P, mu, 1.0, p, labels, init_std=sigma_0, step_size=eta, batch_size=B, rule=rule,
        radius=0.0 if rule == "sgd" else sam_radius(m, B, P, 1.0, d, 1.0), sam_steps=sam_steps(kappa, m, eta, mu, p),
        max_steps=max_steps,
    )  # fmt: skip


def observe_difference(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Clean error of SGD minus that of SAM then SGD, on the same data, weights and batches, for every (B, labels)."""
    axes = {}
    for B, labels in settings["draws"]:
        first = [demo_spec(seed, "sgd", B=B, labels=labels) for seed in seeds(settings)]
        second = [demo_spec(seed, kappa=settings["kappa"], B=B, labels=labels) for seed in seeds(settings)]
        axes[f"B = {B}, {labels}"] = _difference(first, second, runner)
    return axes


def observe_small_init(settings: Settings, runner: Runner) -> Samples:
    """Clean error at sigma_0 = 0.001 minus that at settings["sigma_0"], on the same draws."""
    given = {"kappa": settings["kappa"], "max_steps": settings["steps"]}
    first = [demo_spec(seed, **given) for seed in seeds(settings)]
    second = [demo_spec(seed, **given, sigma_0=settings["sigma_0"]) for seed in seeds(settings)]
    return _difference(first, second, runner)


def _difference(first: "Sequence[ConvSpec]", second: "Sequence[ConvSpec]", runner: Runner) -> Samples:
    a, b = (np.array([result.clean_error for result in runner.run(specs)]) for specs in (first, second))
    return Samples(a - b, {"first": a, "second": b})


def observe_error(settings: Settings, runner: Runner) -> Samples:
    """Clean error, one replicate a seed."""
    specs = [demo_spec(seed, settings.get("rule", "sam-then-sgd"), settings["kappa"]) for seed in seeds(settings)]
    errors = np.array([[result.clean_error for result in runner.run(specs)]])
    return Samples(errors, {"trivial": 0.5, "range": (0.0, 1.0)})  # one run in a hundred is ten times as wrong


def observe_stopped(settings: Settings, runner: Runner) -> Samples:
    """1 for a run that reached training loss 0.01, 0 for one that did not, one replicate a seed."""
    specs = [demo_spec(seed, settings["rule"], max_steps=settings["steps"]) for seed in seeds(settings)]
    stopped = np.array([[float(result.status == "stopped") for result in runner.run(specs)]])
    return Samples(stopped, {"trivial": 0.0, "range": (0.0, 1.0)})


COMMON: dict[str, Any] = {"source": "Chen et al. 2023, Theorem 4.1 (SAM)", "hypotheses": CONDITION, "parameters": DEMO}

DRAWS = ((5, "balanced"), (10, "balanced"), (20, "balanced"), (10, "iid"))

CLAIMS = (
    Claim(
        id="chen2023/sam-beats-sgd",
        title="SAM then SGD has a lower test error than SGD",
        statement="clean error of SGD exceeds that of SAM → SGD by more than 0.2 at every B, labels balanced or iid",
        formula=r"\mathbb{E}[e(\mathrm{SGD})-e(\mathrm{SAM}\to\mathrm{SGD})]>0.2",
        kind=Kind.ORDERING,
        observe=observe_difference,
        predict=lambda samples: 0.2,
        tolerance=0.0,
        tolerance_reason="the margin is in the claim",
        control=Control("too short a SAM phase, kappa = 1/48", changes={"kappa": 1 / 48}),
        quick={"draws": DRAWS, "kappa": 0.5, "seeds": 64},
        full={"draws": DRAWS, "kappa": 0.5, "seeds": 400},
        **COMMON,
    ),
    Claim(
        id="chen2023/sam-benign",
        title="SAM then SGD overfits benignly",
        statement="mean clean error ≤ 1/8 (test error ≤ p + 0.1) at kappa = 1/2, where n‖mu‖⁴ ≪ d",
        formula=r"\mathbb{E}\,e(\mathrm{SAM}\to\mathrm{SGD})\le\frac18 \qquad \kappa=\frac12",
        kind=Kind.UPPER_BOUND,
        observe=observe_error,
        predict=lambda samples: np.array([0.125]),
        tolerance=0.0,
        tolerance_reason="the theorem's own level",
        control=Control("SGD on the same draws", changes={"rule": "sgd"}),
        quick={"kappa": 0.5, "seeds": 192},
        full={"kappa": 0.5, "seeds": 400},
        **COMMON,
    ),
    Claim(
        id="chen2023/sam-short-phase",
        title="The same with too short a SAM phase",
        statement="mean clean error ≤ 1/8 already at kappa = 1/48",
        formula=r"\mathbb{E}\,e(\mathrm{SAM}\to\mathrm{SGD})\le\frac18 \qquad \kappa=\frac{1}{48}",
        kind=Kind.UPPER_BOUND,
        observe=observe_error,
        predict=lambda samples: np.array([0.125]),
        tolerance=0.0,
        tolerance_reason="the theorem's own level",
        control=Control("SGD on the same draws", changes={"rule": "sgd"}),
        twin=Control("kappa = 1/2 on the same draws", changes={"kappa": 0.5}),
        quick={"kappa": 1 / 48, "seeds": 192},
        full={"kappa": 1 / 48, "seeds": 400},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
    Claim(
        id="chen2023/sam-alone",
        title="SAM all the way to the training loss",
        statement="at least half of the runs reach training loss 0.01 without a final SGD phase",
        formula=r"\Pr[L\le0.01]\ge\frac12",
        kind=Kind.LOWER_BOUND,
        observe=observe_stopped,
        predict=lambda samples: np.array([0.5]),
        tolerance=0.0,
        tolerance_reason="the share is in the bound",
        control=Control("SAM then SGD, cut off in its SAM phase", changes={"rule": "sam-then-sgd", "steps": 200}),
        twin=Control("SAM then SGD on the same draws", changes={"rule": "sam-then-sgd"}),
        quick={"rule": "sam", "steps": 20_000, "seeds": 24},
        full={"rule": "sam", "steps": 60_000, "seeds": 96},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
    Claim(
        id="chen2023/sam-small-init",
        title="Smaller initial weights do not hurt SAM then SGD",
        statement="clean error at sigma_0 = 0.1 √n/((P−1) sigma_p d) is at most that at sigma_0 = 0.001, plus 0.005",
        formula=(
            r"\mathbb{E}\,e(\sigma_0)\le\mathbb{E}\,e(0.001)+0.005 \qquad \sigma_0=\frac{0.1\sqrt n}{(P-1)\sigma_pd}"
        ),
        kind=Kind.ORDERING,
        observe=observe_small_init,
        predict=lambda samples: -0.005,
        tolerance=0.0,
        tolerance_reason="the allowance is in the claim",
        control=Control("it is lower by 0.1", lambda samples: 0.1),
        twin=Control("it is higher by at most 0.1, on the same runs", lambda samples: -0.1),
        quick={"kappa": 0.5, "sigma_0": float(scaled_init_std(20, 20_000, 1.0)), "steps": 20_000, "seeds": 160},
        full={"kappa": 0.5, "sigma_0": float(scaled_init_std(20, 20_000, 1.0)), "steps": 20_000, "seeds": 640},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
)

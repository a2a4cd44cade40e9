"""The error of SGD after a SAM phase, and the number of SAM's steps that an error needs.

Setting. d = 20000, n = 20, m = 10, P = 2, ‖mu‖ = 3, p = 0.1, sigma_0 = 0.001, eta = 0.01, full batches: SAM at C3 = 1
for kappa · 4m/(eta ‖mu‖² (1 − 2p)) steps, then SGD to training loss 0.01.

Claim. The limit system follows SAM's steps and SGD's, the pairs that SAM's perturbation has switched on and the learned
signal met by the noise vectors included; the error is that of `response.py` with the logit √(d/n) gamma + √q (1 − 2p)
S/2, gamma of SAM's phase and S of SGD's. Runs are compared by their median: in a rare one a sample
is left without a neuron. Solved for gamma, the same gives SAM's steps for a wanted error.

Where it ends. Where the learned signal outweighs the initial weights, gamma/(sigma_0 √d ‖mu‖) ≥ 1, it switches off all
own-class neurons of some samples: so it does after any SAM phase at sigma_0 = c √n/((P − 1) sigma_p d), for there the
ratio grows as √(d/n). Those samples take long to be fitted, if they are.

Source. derived here; sharpens Chen et al. 2023, Theorem 4.1 (SAM). Derivation: docs/asymptotics.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.parameters import reject
from simulate.types import FloatArray
from theory.chen2023.sam_then_sgd import DEMO
from theory.chen2023.setting import CONDITION, sam_radius, sam_steps, scaled_init_std, scaled_spec, seeds
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.ours.sam_phase import saturation, signal_learned, steps_to_learn
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.conv_run import ConvSpec
    from theory.ours.asymptotics import Asymptotics

N, D, M, P, MU, P_FLIP, ETA, SIGMA_0, EPS = 20, 20_000, 10, 2, 3.0, 0.1, 0.01, 0.001, 0.01
ROUNDS = 8  # in which the length of SAM's phase is to settle
DEMONSTRATION = N, D, M, P, MU, 1.0, P_FLIP, SIGMA_0, ETA, EPS


def asymptotics_after(
    gamma: float, n: int, d: float, m: int, P: int, mu: float, sigma_p: float, p: float, sigma_0: float, eta: float,
    eps: float, draws: int = 48, seed: int = 0, learning: bool = True, average: Callable[..., Any] = np.median,
    max_steps: int = 5000, C3: float = 1.0,
) -> "Asymptotics":  # fmt: skip
    """Return the limit system of SGD to training loss eps after a SAM phase, followed too, whose closed form is gamma.

    Medians over `draws` by default. Without `learning` SGD's phase learns no signal, which is not so.
    """
    from theory.ours.averaged import limit_system, sam_phase

    b = (P - 1) * sigma_p
    radius = sam_radius(m, n, P, sigma_p, d, C3)
    sam = sam_phase(steps_to_learn(gamma, m, eta, mu, p), n, d, m, P, mu, sigma_p, eta, radius)
    c, e0 = sigma_0 * b * d / np.sqrt(n), eta * b * b * d / (n * m)
    run = limit_system(n, c, m, p, eps, e0, draws, seed, average=average, sam=sam, max_steps=max_steps)
    return run if learning else replace(run, signal=0.0 * run.signal)


def error_after(
    gamma: float, n: int, d: float, m: int, P: int, mu: float, sigma_p: float, *setting: Any, **options: Any
) -> float:
    """Return the clean error of `asymptotics_after`, at finite d."""
    run = asymptotics_after(gamma, n, d, m, P, mu, sigma_p, *setting, **options)
    return run.clean_error_at(n, d, P, mu, sigma_p)


def signal_for_error(
    error: float, after: "Callable[[float], Asymptotics | None]", asked: float, found: Any, p: float,
    place: Mapping[str, Any],
) -> "tuple[float, float, Asymptotics] | None":  # fmt: skip
    """Return (gamma, start, asymptotics): the gamma that SAM is to learn for SGD to end at that clean error, or None.

    after(gamma) gives the asymptotics of SGD after it, None where there are none; `found` are those of gamma `asked`.
    `start` is gamma as they have it; `place` the letters of `clean_error_at`. Each round solves for start with the
    responses as they are, until that changes start by 2 % at most. None where no gamma does.
    """
    from scipy.optimize import brentq

    most = 0.999 * min(float(saturation(p)), 20.0)

    def excess(start: float) -> Any:
        return replace(found, start=start).clean_error_at(**place) - error

    for _ in range(ROUNDS):
        if found is None:
            return None
        high = most / 128  # doubled: an error far below the goal is the dearer to integrate
        while (above := excess(high)) >= 0.0 and high < most:
            high *= 2.0
        if above >= 0.0:
            return None
        start = brentq(excess, 0.0, high, xtol=1e-12, rtol=1e-5) if excess(0.0) > 0.0 else 0.0
        gamma = min(max(asked + start - found.start, 0.0), most) if start else 0.0
        if abs(start - found.start) <= 0.02 * start:  # a step may be 2 %
            return gamma, start, found
        asked, found = gamma, after(gamma)
    return None


def steps_for_error(
    error: float, n: int, d: float, m: int, P: int, mu: float, sigma_p: float, p: float, sigma_0: float, eta: float,
    eps: float, **options: Any,
) -> int:  # fmt: skip
    """Return SAM's steps after which SGD ends at that clean error.

    Raises ParameterError for an error that SGD alone has, or that gamma's saturation does not reach.
    """
    place: dict[str, Any] = {"n": n, "d": d, "P": P, "mu": mu, "sigma_p": sigma_p}

    def after(gamma: float) -> "Asymptotics":
        return asymptotics_after(gamma, n, d, m, P, mu, sigma_p, p, sigma_0, eta, eps, **options)

    alone = after(0.0)
    if not 0.0 < error < min(0.5, alone.clean_error_at(**place)):
        reject("error", error, "a number > 0 and below the clean error of SGD alone")
    found = signal_for_error(error, after, 0.0, alone, p, place)
    if found is None:
        reject("error", error, "one that is reached before gamma saturates")
    return steps_to_learn(found[0], m, eta, mu, p)


def spec(seed: int, steps: int, n: int = N, sigma_0: float = SIGMA_0, max_steps: int = 60_000) -> "ConvSpec":
    """Return a run: `steps` of SAM, then SGD."""
    return scaled_spec(
        seed, n, D, M, P, MU, 1.0, P_FLIP, init_std=sigma_0, step_size=ETA, rule="sam-then-sgd", sam_steps=steps,
        radius=sam_radius(M, n, P, 1.0, D, 1.0), max_steps=max_steps, stop_loss=EPS,
    )  # fmt: skip


def _medians(steps: int, settings: Settings, runner: Runner) -> FloatArray:
    """Medians of the clean errors of groups of settings["size"] runs, (1, groups)."""
    errors = [result.clean_error for result in runner.run([spec(seed, steps) for seed in seeds(settings)])]
    return np.median(np.reshape(errors, (-1, settings["size"])), axis=1)[None]


def observe_error(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Median clean errors after SAM phases of every length kappa."""
    return {
        f"kappa = {kappa:g}": Samples(
            _medians(sam_steps(kappa, M, ETA, MU, P_FLIP), settings, runner),
            {"gamma": float(signal_learned(2.0 * kappa / (1.0 - 2.0 * P_FLIP), P_FLIP))},
        )
        for kappa in settings["kappa"]
    }


def predict_error(samples: Samples, learning: bool = True) -> float:
    """Return the limit system's error."""
    return error_after(samples.given["gamma"], *DEMONSTRATION, learning=learning)


def observe_steps(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Median clean errors after the steps that every wanted error needs, with the steps."""
    axes = {}
    for error in settings["error"]:
        steps = steps_for_error(error, *DEMONSTRATION, draws=24, learning=settings["learning"])
        axes[f"e = {error:g}"] = Samples(_medians(steps, settings, runner), {"error": error, "notes": {"steps": steps}})
    return axes


def observe_fitted(settings: Settings, runner: Runner) -> Samples:
    """1 for a run that reaches the training loss within settings["steps"] of SGD, else 0, one replicate a seed."""
    n = settings["n"]
    sigma_0 = settings["sigma_0"] or scaled_init_std(n, D, 1.0, P)
    first = sam_steps(settings["kappa"], M, ETA, MU, P_FLIP)
    specs = [spec(seed, first, n, sigma_0, first + settings["steps"]) for seed in seeds(settings)]
    stopped = np.array([[float(result.status == "stopped") for result in runner.run(specs)]])
    return Samples(stopped, {"trivial": 0.0, "range": (0.0, 1.0)})


COMMON: dict[str, Any] = {
    "source": "derived here; sharpens Chen et al. 2023, Theorem 4.1 (SAM)",
    "hypotheses": CONDITION,
    "parameters": DEMO | {"B": N},
    "ours": True,
}

CLAIMS = (
    Claim(
        id="ours/sam-then-sgd-error",
        title="The clean error of SGD after a SAM phase",
        statement="the median clean error is that of the limit system that follows SAM's phase and SGD's, at finite d",
        formula=r"\operatorname{median}e = e(\gamma(T),d) \qquad T=\frac{2\kappa}{1-2p}",
        kind=Kind.LIMIT,
        observe=observe_error,
        predict=predict_error,
        tolerance=0.05,
        tolerance_reason="d = 20000: e0 = 1, and an error that falls 10-fold over 0.2 of gamma",
        control=Control("SGD's phase learns no signal", partial(predict_error, learning=False)),
        quick={"kappa": (0.1, 0.25), "size": 8, "seeds": 192},
        full={"kappa": (0.1, 0.25, 0.5), "size": 20, "seeds": 1600},
        **COMMON,
    ),
    Claim(
        id="ours/sam-steps-for-error",
        title="SAM's steps for a wanted error",
        statement="after the steps at which the limit system predicts e, the median clean error is e",
        formula=r"\operatorname{median}e=e^* \qquad t=\frac{2m}{\eta\lVert\mu\rVert^2}T(\gamma^*),\ e(\gamma^*,d)=e^*",
        kind=Kind.LIMIT,
        observe=observe_steps,
        predict=lambda samples: samples.given["error"],
        tolerance=0.05,
        tolerance_reason="that of `ours/sam-then-sgd-error`",
        control=Control("SGD's phase learns no signal", changes={"learning": False}),
        quick={"error": (0.06,), "learning": True, "size": 8, "seeds": 192},
        full={"error": (0.08, 0.06, 0.03, 0.02), "learning": True, "size": 20, "seeds": 1600},
        **COMMON,
    ),
    Claim(
        id="ours/silenced-samples",
        title="The same at small initial weights: samples that the learned signal has silenced",
        statement="at sigma_0 = 0.1 √n/((P−1) sigma_p d) 90 % of runs reach the loss in 2000 steps of SGD after SAM",
        formula=r"\Pr[\text{loss}\le0.01\text{ within }2000\text{ steps}]\ge0.9",
        kind=Kind.LOWER_BOUND,
        observe=observe_fitted,
        predict=lambda samples: np.array([0.9]),
        tolerance=0.0,
        tolerance_reason="the share is in the bound",
        control=Control("50 steps of SGD in place of 2000", changes={"steps": 50}),
        twin=Control("sigma_0 = 0.004: gamma/(sigma_0 √d ‖mu‖) = 0.44 in place of 50", changes={"sigma_0": 0.004}),
        quick={"n": 50, "kappa": 1.0, "sigma_0": None, "steps": 2000, "seeds": 320},
        full={"n": 50, "kappa": 1.0, "sigma_0": None, "steps": 2000, "seeds": 1600},
        expected=Outcome.VIOLATED,
        **(COMMON | {"parameters": DEMO | {"n": 50, "B": 50, "sigma_0": float(scaled_init_std(50, D, 1.0))}}),
    ),
)

"""One run of the diagonal linear network: a specification in, a result out."""

import numbers
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simulate.diagonal import DiagonalNetwork
from simulate.diagonal_flow import integrate_flow
from simulate.parameters import choice, integer, real, reject, sequence
from simulate.regression import RegressionFile, SparseRegression, load_regression
from simulate.run import Result, Specification, recorded_steps
from simulate.streams import stream
from simulate.types import FloatArray
from simulate.update import Batches, Phase, Rule, train

STEP_RULES = ("gd", "sgd", "n-sam", "1-sam", "m-sam", "stochastic-1-sam")
FLOW_RULES = ("gradient-flow", "n-sam-flow", "1-sam-flow", "m-sam-flow")
STOCHASTIC = ("sgd", "stochastic-1-sam")  # one row a step; phases share the way batches are drawn
SAMPLINGS = ("replacement", "epochs")


@dataclass(frozen=True)
class DiagonalSpec(Specification):
    """Everything that decides one run of the diagonal linear network.

    alpha > 0 initial scale, one number or one a coordinate; `rule` one of STEP_RULES (steps of size step_size gamma,
    max_steps of them, to training loss stop_loss) or FLOW_RULES (to relative residual `residual`, or max_time).
    radius rho of the SAM rules; block m of `m-sam` and `m-sam-flow`. From step `switch_step` on a discrete run follows
    `then`. `sgd` and `stochastic-1-sam` draw one row a step, with `replacement` or in shuffled `epochs`. normalisation
    lam is 0 in the paper; 1 divides each block's perturbation by its gradient's norm (discrete rules only). `record`
    lists steps, or times of a flow; `sharpness` records the largest Hessian eigenvalue there too.
    """

    model = "diagonal"

    data: SparseRegression | RegressionFile = field(default_factory=SparseRegression)
    alpha: float | tuple[float, ...] = 0.05
    rule: str = "gd"
    radius: float = 0.0
    block: int | None = None
    then: str | None = None
    switch_step: int = 0
    normalisation: float = 0.0
    sampling: str = "replacement"
    step_size: float = 0.05
    max_steps: int = 10_000
    stop_loss: float = 0.0
    max_time: float = 1e9
    residual: float = 1e-11
    seed: int = 0
    record: tuple[float, ...] = ()
    sharpness: bool = False

    def __post_init__(self) -> None:
        """Check every parameter once; raises ValueError."""
        if not isinstance(self.data, SparseRegression | RegressionFile):
            reject("data", self.data, "a SparseRegression or a RegressionFile")
        choice("rule", self.rule, STEP_RULES + FLOW_RULES)
        if self.then is not None:
            group = STOCHASTIC if self.rule in STOCHASTIC else [r for r in STEP_RULES if r not in STOCHASTIC]
            if self.is_flow:
                reject("then", self.then, "left out with a flow")
            choice("then", self.then, group)
        rules = [rule for rule in (self.rule, self.then) if rule is not None]
        samples = self.data.samples if isinstance(self.data, SparseRegression) else None
        if any(rule.startswith("m-sam") for rule in rules):
            self._set(block=integer("block (m)", self.block, 1, samples))
        elif self.block is not None:
            reject("block (m)", self.block, "left out with rules other than m-sam and m-sam-flow")
        self._set(
            alpha=_scale(self.alpha),
            radius=real("radius (rho)", self.radius),
            switch_step=integer("switch_step", self.switch_step, 0),
            normalisation=_share("normalisation (lam)", self.normalisation),
            sampling=choice("sampling", self.sampling, SAMPLINGS),
            step_size=real("step_size (gamma)", self.step_size, strict=True),
            max_steps=integer("max_steps", self.max_steps, 0),
            stop_loss=real("stop_loss", self.stop_loss),
            max_time=real("max_time", self.max_time),
            residual=real("residual", self.residual, strict=True),
            seed=integer("seed", self.seed, 0),
            record=_times(self.record) if self.is_flow else recorded_steps(self.record),
            sharpness=bool(choice("sharpness", self.sharpness, (True, False))),
        )
        if self.is_flow and self.normalisation > 0.0:
            reject("normalisation (lam)", self.normalisation, "0 with a flow, whose field would not be smooth")

    @property
    def is_flow(self) -> bool:
        """Whether the rule is a flow."""
        return self.rule in FLOW_RULES

    def update_rule(self, name: str, samples: int) -> Rule:
        """Return the rule of that name: its radius, normalisation and block."""
        kind = name.removesuffix("-flow")
        radius = 0.0 if kind in ("gd", "sgd", "gradient") else self.radius
        block = {"1-sam": 1, "stochastic-1-sam": 1, "m-sam": self.block}.get(kind, samples)
        return Rule(radius, self.normalisation, block)

    def phases(self, samples: int) -> list[Phase]:
        """Return the rules in turn with their step counts, which add up to max_steps."""
        if self.then is None:
            return [Phase(self.update_rule(self.rule, samples), self.max_steps)]
        first = min(self.switch_step, self.max_steps)
        return [
            Phase(self.update_rule(self.rule, samples), first),
            Phase(self.update_rule(self.then, samples), self.max_steps - first),
        ]

    def run(self) -> "DiagonalResult":
        """See `run`."""
        return run(self)


def _scale(alpha: Any) -> float | tuple[float, ...]:
    """Return alpha as a float, or a tuple of floats, all > 0: w = 0 is a fixed point and never moves."""
    if isinstance(alpha, numbers.Real):
        return real("alpha", alpha, strict=True)
    allowed = "one number > 0, or one a coordinate"
    values = tuple(real("alpha", value, strict=True) for value in sequence("alpha", alpha, allowed))
    return values or reject("alpha", alpha, allowed)


def _share(name: str, value: Any) -> float:
    """Return a number within [0, 1], or raise ParameterError."""
    if real(name, value) > 1.0:
        reject(name, value, "a finite number >= 0 and <= 1")
    return real(name, value)


def _times(record: Any) -> tuple[float, ...]:
    return tuple(real("record", time) for time in sequence("record", record, "a sequence of times >= 0"))


@dataclass(frozen=True)
class DiagonalResult(Result):
    """What one run left behind.

    status (`stopped`, `max-steps`, `diverged` or `collapsed`; flows also `t-max` and `no limit`); steps taken (a
    flow's are the integrator's); time (steps · gamma); train_loss (1/4n)‖X beta − y‖² and test_loss, the same on the
    test set, NaN without one; l1_norm ‖beta‖₁; loss_integral ∫L dt, in steps Σ gamma L (the batch's loss, where rows
    are drawn); beta and log_alpha_eff (d,); the teacher (d,), empty where unknown; history: step, time and all of these
    (R, …), a flow's also log_product and bias_integral (R, d) (`diagonal_flow.integrate_flow`), and sharpness where
    asked for.
    """

    model = "diagonal"

    time: float
    train_loss: float
    test_loss: float
    l1_norm: float
    loss_integral: float
    beta: FloatArray
    log_alpha_eff: FloatArray
    teacher: FloatArray
    history: dict[str, np.ndarray]


def train_network(spec: DiagonalSpec, network: DiagonalNetwork) -> tuple[str, int, dict[str, np.ndarray]]:
    """Train `network` in place as a discrete `spec` says; return (status, steps, records) as `update.train` does."""
    n = len(network.instance.y)
    stochastic = spec.rule in STOCHASTIC
    size = 1 if stochastic else n
    rng = stream("batches", spec.seed, samples=n, batch_size=size, sampling=spec.sampling)
    batches = Batches(n, size, rng, replacement=stochastic and spec.sampling == "replacement")
    return train(network, spec.phases(n), batches, spec.step_size, spec.stop_loss, spec.record)


def run(spec: DiagonalSpec) -> DiagonalResult:
    """Draw and train one network. Pure: the same specification gives the same result to the last bit."""
    with np.errstate(over="ignore", invalid="ignore"):  # divergence is a status, not a warning
        instance = load_regression(spec.data, spec.seed)
        if spec.block is not None:
            integer("block (m)", spec.block, 1, len(instance.y))
        if spec.is_flow:
            rule = spec.update_rule(spec.rule, len(instance.y))
            status, steps, history = integrate_flow(
                instance, spec.alpha, rule, spec.max_time, spec.residual, spec.record, spec.sharpness
            )
        else:
            status, steps, history = train_network(spec, DiagonalNetwork(instance, spec.alpha, spec.sharpness))
            history["time"] = history["step"] * spec.step_size
    last = {name: float(history[name][-1]) for name in ("time", "train_loss", "test_loss", "l1_norm", "loss_integral")}
    teacher = np.empty(0) if instance.teacher is None else instance.teacher
    return DiagonalResult(
        status, steps, **last, beta=history["beta"][-1], log_alpha_eff=history["log_alpha_eff"][-1], teacher=teacher,
        history=history,
    )  # fmt: skip

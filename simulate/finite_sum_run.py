"""One run on a finite sum: a specification in, a result out."""

from dataclasses import dataclass, field

import numpy as np

from simulate.finite_sum import RADII, SCHEDULES, Descent, Schedule
from simulate.finite_sum_data import OBJECTIVES, DrawnSum, GivenSum, SumFile, load_sum
from simulate.objective import FiniteSum
from simulate.parameters import choice, integer, real, reject, sequence
from simulate.run import Result, Specification, recorded_steps
from simulate.sampling import SAMPLINGS, Sampling, sampling
from simulate.streams import stream
from simulate.types import FloatArray
from simulate.update import Phase, Rule, train


@dataclass(frozen=True)
class FiniteSumSpec(Specification):
    """Everything that decides one run on a finite sum.

    objective one of OBJECTIVES with ridge parameter reg; radius rho, normalisation lam in [0, 1] and step_size gamma of
    Unified SAM (GD at rho = 0, USAM at lam = 0, SAM at lam = 1); schedule, decay and radii as in
    `finite_sum.Schedule`, whose horizon is max_steps; sampling one of SAMPLINGS with batch_size tau (nice, replacement)
    or probabilities (single; None: equal). Drawn data come from data_seed (None: seed), batches from seed. `record`
    lists steps.
    """

    model = "finite-sum"

    data: DrawnSum | GivenSum | SumFile = field(default_factory=DrawnSum)
    objective: str = "least-squares"
    reg: float = 0.0
    radius: float = 0.0
    normalisation: float = 1.0
    step_size: float = 0.05
    schedule: str = "constant"
    decay: float = 1.0
    radii: str = "constant"
    sampling: str = "full"
    batch_size: int = 1
    probabilities: tuple[float, ...] | None = None
    max_steps: int = 1000
    seed: int = 0
    data_seed: int | None = None
    record: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check every parameter once; raises ValueError."""
        if not isinstance(self.data, DrawnSum | GivenSum | SumFile):
            reject("data", self.data, "a DrawnSum, a GivenSum or a SumFile")
        choice("objective", self.objective, tuple(OBJECTIVES))
        self._set(reg=real("reg", self.reg))
        if self.objective in ("least-squares", "pl", "nonconvex") and self.reg != 0.0:
            reject("reg", self.reg, f"0 with the objective {self.objective}")
        if self.objective == "ridge" and not self.reg:
            reject("reg", self.reg, "> 0 with the objective ridge")
        normalisation = real("normalisation (lam)", self.normalisation)
        if normalisation > 1.0:
            reject("normalisation (lam)", normalisation, "a finite number >= 0 and <= 1")
        choice("sampling", self.sampling, SAMPLINGS)
        if self.probabilities is not None:
            shares = sequence("probabilities", self.probabilities, "a sequence of numbers > 0 with sum 1")
            self._set(probabilities=tuple(real("probabilities", p, strict=True) for p in shares))
        self._set(
            radius=real("radius (rho)", self.radius),
            normalisation=normalisation,
            step_size=real("step_size (gamma)", self.step_size, strict=True),
            schedule=choice("schedule", self.schedule, SCHEDULES),
            decay=real("decay", self.decay, strict=True),
            radii=choice("radii", self.radii, RADII),
            batch_size=integer("batch_size (tau)", self.batch_size, 1),
            max_steps=integer("max_steps", self.max_steps, 0),
            seed=integer("seed", self.seed, 0),
            data_seed=self.data_seed if self.data_seed is None else integer("data_seed", self.data_seed, 0),
            record=recorded_steps(self.record),
        )

    def load(self) -> tuple[FiniteSum, Sampling, FloatArray]:
        """Return the problem, its sampling and the start x_0 (d,)."""
        seed = self.seed if self.data_seed is None else self.data_seed
        problem, start = load_sum(self.data, self.objective, self.reg, seed)
        return problem, sampling(self.sampling, problem, self.batch_size, self.probabilities), start

    def run(self) -> "FiniteSumResult":
        """See `run`."""
        return run(self)


@dataclass(frozen=True)
class FiniteSumResult(Result):
    """What one run left behind.

    status (`max-steps` or `diverged`), steps taken; gap f(x) − f*, where f* is a lower bound of f if no minimiser is
    known; gradient_norm ‖∇f(x)‖; distance ‖x − x*‖; x and x* (d,); history: step and all of these but x* (R, …).
    """

    model = "finite-sum"

    gap: float
    gradient_norm: float
    distance: float
    x: FloatArray
    anchor: FloatArray
    history: dict[str, np.ndarray]


def run(spec: FiniteSumSpec) -> FiniteSumResult:
    """Draw or read the problem and follow one path. Pure: the same specification gives the same bits."""
    problem, draws, start = spec.load()
    schedule = Schedule(spec.step_size, spec.radius, spec.schedule, spec.decay, spec.radii, max(spec.max_steps, 1))
    fields = {"samples": problem.samples, "sampling": spec.sampling, "batch_size": draws.batch_size}
    batches = draws.batches(stream("batches", spec.seed, **fields))
    with np.errstate(over="ignore", invalid="ignore"):  # divergence is a status, not a warning
        descent = Descent(problem, draws, schedule, start)
        phases = [Phase(Rule(spec.radius, spec.normalisation), spec.max_steps)]
        status, steps, history = train(descent, phases, batches, spec.step_size, -1.0, spec.record)
    last = {name: float(history[name][-1]) for name in ("gap", "gradient_norm", "distance")}
    return FiniteSumResult(status, steps, **last, x=history["x"][-1], anchor=problem.anchor, history=history)

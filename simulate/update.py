"""The update rules, written once for every model, and the loop that drives any model along them.

Every rule here is a gradient step taken at perturbed weights,

    w ← w − eta ∇L(w + e),    e = radius · (1 − lam + lam/‖∇L(w)‖) · ∇L(w),

where lam is `normalisation`: radius = 0 is (S)GD, lam = 1 SAM, lam = 0 USAM, and between them Unified SAM
(Oikonomou & Loizou 2025). A zero gradient perturbs nothing. A rule is thus two numbers; which samples enter
∇L is the business of `Batches`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simulate.compiled import kernel


@dataclass(frozen=True)
class Rule:
    """A member of the SAM family: perturbation radius and normalisation lam in [0, 1]."""

    radius: float = 0.0
    normalisation: float = 1.0


@dataclass(frozen=True)
class Phase:
    """A rule and the number of steps it is used for."""

    rule: Rule
    steps: int


@kernel
def perturbation_scale(radius, normalisation, norm):
    """Return the factor radius · (1 − lam + lam/norm) that turns a gradient of that norm into e; 0 at norm 0."""
    if norm == 0.0:
        return 0.0
    return radius * (1.0 - normalisation + normalisation / norm)


class Batches:
    """Epochs of random splits of n samples into batches of B; the last, smaller batch is used.

    `order(first, epochs)` gives the permutations of epochs first … as an integer array (epochs, n). They come
    from one stream in turn, so how many are asked for at a time changes nothing. With B = n no number is drawn
    and the one row that is returned serves every epoch.
    """

    def __init__(self, samples: int, batch_size: int, rng: np.random.Generator):
        self.samples, self.batch_size, self._rng = samples, batch_size, rng
        self.steps_per_epoch = -(-samples // batch_size)
        self._first, self._rows = 0, np.empty((0, samples), dtype=np.int64)

    def order(self, first: int, epochs: int) -> np.ndarray:
        """Return the permutations of `epochs` epochs from epoch `first` on; epochs are asked for in order."""
        if self.batch_size == self.samples:
            return np.arange(self.samples)[None]
        kept = self._rows[first - self._first :]
        fresh = np.tile(np.arange(self.samples), (max(0, epochs - len(kept)), 1))
        self._first, self._rows = first, np.concatenate([kept, self._rng.permuted(fresh, axis=1)])
        return self._rows[:epochs]


class Model(Protocol):
    """What `train` needs of a model."""

    def advance(self, order, first_epoch, first, last, batch_size, step_size, rule, stop_loss) -> tuple[int, int]:
        """Take steps first … last − 1; return the step reached and RUNNING, STOPPED or DIVERGED."""

    def loss(self) -> float:
        """Return the full-batch training loss."""

    def observe(self, batch: np.ndarray, rule: Rule) -> dict[str, np.ndarray]:
        """Return what is recorded at a step whose batch and rule are given."""

    def finite(self) -> bool:
        """Return whether every weight is finite."""


RUNNING, STOPPED, DIVERGED = 0, 1, 2
_SHORTEST, _LONGEST = 128, 8192  # steps between returns to Python: few batches drawn in vain, an interrupt is heard


def train(
    model: Model,
    phases: Sequence[Phase],
    batches: Batches,
    step_size: float,
    stop_loss: float,
    record: Sequence[int] = (),
) -> tuple[str, int, dict[str, np.ndarray]]:
    """Train through `phases` and return (status, steps taken, records).

    The full-batch loss at the unperturbed weights is tested against `stop_loss` before each step (full batch) or
    each epoch; status is `stopped`, `max-steps` or `diverged` (weights or loss no longer finite). `record` lists
    steps; a state is recorded before its step, the last state always. Records are stacked along axis 0, with the
    steps under "step", and survive a divergence.
    """
    per_epoch, full = batches.steps_per_epoch, batches.samples
    records, wanted = [], sorted(set(record))
    ends = np.cumsum([0] + [phase.steps for phase in phases])
    step, code, segment = 0, RUNNING, _SHORTEST
    rule = phases[0].rule

    def batch_of(at):
        epoch, place = divmod(at, per_epoch)
        start = place * batches.batch_size
        return batches.order(epoch, 1)[0, start : min(start + batches.batch_size, full)]

    def keep():
        if not records or records[-1]["step"] != step:
            records.append({"step": np.int64(step), **model.observe(batch_of(step), rule)})

    with np.errstate(over="ignore", invalid="ignore"):
        for phase, end in zip(phases, ends[1:], strict=True):
            while code == RUNNING and step < end:
                rule = phase.rule
                while wanted and wanted[0] <= step:
                    if wanted.pop(0) == step:
                        keep()
                last = min(end, step + segment, *(wanted[:1] or [end]))
                segment = min(2 * segment, _LONGEST)
                epoch = step // per_epoch
                order = batches.order(epoch, (last - 1) // per_epoch - epoch + 1)
                step, code = model.advance(order, epoch, step, last, batches.batch_size, step_size, rule, stop_loss)
        if not (model.finite() and np.isfinite(model.loss())):
            code = DIVERGED
        if code == RUNNING and step % per_epoch == 0 and model.loss() <= stop_loss:
            code = STOPPED
        keep()
    names = {RUNNING: "max-steps", STOPPED: "stopped", DIVERGED: "diverged"}
    return names[code], int(step), {key: np.stack([r[key] for r in records]) for key in records[0]}

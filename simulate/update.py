"""The update rules, written once for every model, and the loop that drives any model along them.

Every rule here is a gradient step taken at perturbed weights,

    w ← w − eta ∇L(w + e),    e = radius · (1 − lam + lam/‖∇L(w)‖) · ∇L(w),

where lam is `normalisation`: radius = 0 is (S)GD, lam = 1 SAM, lam = 0 USAM, and between them Unified SAM
(Oikonomou & Loizou 2025). A zero gradient perturbs nothing. A rule is thus two numbers and the
size of the blocks that are perturbed together; which samples enter ∇L is the business of `Batches`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from simulate.compiled import kernel
from simulate.types import IntArray


@dataclass(frozen=True)
class Rule:
    """A member of the SAM family: perturbation radius, normalisation lam in [0, 1], and who shares a perturbation.

    `block` samples of a batch at a time are perturbed by their own gradient (None: the whole batch by its own), and
    the block gradients are averaged with the blocks' sizes as weights: m-SAM, 1-SAM at 1.
    """

    radius: float = 0.0
    normalisation: float = 1.0
    block: int | None = None


@dataclass(frozen=True)
class Phase:
    """A rule and the number of steps it is used for."""

    rule: Rule
    steps: int


@kernel
def perturbation_scale(radius: float, normalisation: float, norm: float) -> float:
    """Return the factor radius · (1 − lam + lam/norm) that turns a gradient of that norm into e; 0 at norm 0."""
    if norm == 0.0:
        return 0.0
    return radius * (1.0 - normalisation + normalisation / norm)


class Batches:
    """Epochs of random splits of n samples into batches of B; the last, smaller batch is used.

    `order(first, epochs)` gives the permutations of epochs first … as an integer array (epochs, n). They come
    from one stream in turn, so how many are asked for at a time changes nothing. With B = n no number is drawn
    and the one row that is returned serves every epoch. With `replacement` every sample is drawn anew from all n,
    whatever B is, and a row holds n draws.
    """

    def __init__(self, samples: int, batch_size: int, rng: Any, replacement: bool = False) -> None:
        self.samples, self.batch_size, self.rng, self._replacement = samples, batch_size, rng, replacement
        self.steps_per_epoch = -(-samples // batch_size)
        self._first, self._rows = 0, np.empty((0, samples), dtype=np.int64)

    def order(self, first: int, epochs: int) -> IntArray:
        """Return the permutations of `epochs` epochs from epoch `first` on; epochs are asked for in order."""
        if self.batch_size == self.samples and not self._replacement:
            return np.arange(self.samples)[None]
        kept = self._rows[first - self._first :]
        fresh = self.draw(max(0, epochs - len(kept)))
        self._first, self._rows = first, np.concatenate([kept, fresh]) if len(kept) else fresh
        return self._rows[:epochs]

    def draw(self, count: int) -> IntArray:
        """Return the rows of `count` further epochs."""
        rows: IntArray
        if self._replacement:
            rows = self.rng.integers(self.samples, size=(count, self.samples))
        else:
            rows = self.rng.permuted(np.tile(np.arange(self.samples), (count, 1)), axis=1)
        return rows


class Model(Protocol):
    """What `train` needs of a model."""

    def advance(
        self, order: IntArray, first_epoch: int, first: int, last: int, batch_size: int, step_size: float, rule: Rule,
        stop_loss: float, marks: IntArray,
    ) -> tuple[int, int, dict[str, np.ndarray]]:  # fmt: skip
        """Take steps first … last − 1; return (step reached, code, records).

        The code is RUNNING, STOPPED, DIVERGED or COLLAPSED. The records hold, stacked along axis 0, what `observe`
        returns before each of the steps `marks` that was reached (sorted, within [first, last)); {} if there is none.
        """

    def loss(self) -> float:
        """Return the full-batch training loss."""

    def observe(self, batch: IntArray, rule: Rule) -> dict[str, np.ndarray]:
        """Return what is recorded at a step whose batch and rule are given."""

    def describe(self, states: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Turn everything that was recorded, stacked, into the records to keep, all at once."""

    def finite(self) -> bool:
        """Return whether every weight is finite."""


RUNNING, STOPPED, DIVERGED, COLLAPSED = 0, 1, 2, 3
STATUS = {RUNNING: "max-steps", STOPPED: "stopped", DIVERGED: "diverged", COLLAPSED: "collapsed"}
_SHORTEST, _LONGEST = 128, 8192  # steps between returns to Python: few batches drawn in vain, an interrupt is heard


def batch_at(order: IntArray, first_epoch: int, step: int, batch_size: int) -> IntArray:
    """Return the samples of a step, `order` (epochs, n) holding the permutations from epoch `first_epoch` on."""
    per_epoch = -(-order.shape[1] // batch_size)
    epoch, place = divmod(step, per_epoch)
    return order[(epoch - first_epoch) % len(order), place * batch_size : (place + 1) * batch_size]


def observe_at_marks(
    model: Model, take_steps: Callable[[int, int], tuple[int, int]], order: IntArray, first_epoch: int, first: int,
    last: int, batch_size: int, rule: Rule, marks: Iterable[int],
) -> tuple[int, int, dict[str, np.ndarray]]:  # fmt: skip
    """Drive `take_steps(first, last) → (step, code)` from mark to mark, observing `model` at each; see `Model`."""
    records, step, code = [], first, RUNNING
    for mark in (*marks, None):
        stop = last if mark is None else int(mark)
        if step < stop:
            step, code = take_steps(step, stop)
        if mark is None or code != RUNNING:
            break
        records.append(model.observe(batch_at(order, first_epoch, step, batch_size), rule))
    return step, code, stack_records(records)


def stack_records(records: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return the records stacked along a new axis 0, by name; {} if there is none."""
    return {name: np.stack([record[name] for record in records]) for name in records[0]} if records else {}


def train(
    model: Model,
    phases: Sequence[Phase],
    batches: Batches,
    step_size: float,
    stop_loss: float,
    record: Sequence[float] = (),
) -> tuple[str, int, dict[str, np.ndarray]]:
    """Train through `phases` and return (status, steps taken, records).

    The full-batch loss at the unperturbed weights is tested against `stop_loss` before each step (full batch) or
    each epoch; status is `stopped`, `max-steps`, `diverged` (weights or loss no longer finite, or a model's own
    bound passed) or `collapsed` (all weights gone to zero). `record` lists steps; a state is recorded before its
    step, the last state always. Records are stacked along axis 0, with the steps under "step", and survive a
    divergence.
    """
    per_epoch = batches.steps_per_epoch
    total = sum(phase.steps for phase in phases)
    wanted = np.array(sorted({step for step in record if step < total}), dtype=np.int64)
    ends = np.cumsum([0] + [phase.steps for phase in phases])
    step, code, segment = 0, RUNNING, _SHORTEST
    rule, kept, parts = phases[0].rule, [], []
    with np.errstate(over="ignore", invalid="ignore"):
        for phase, end in zip(phases, ends[1:], strict=True):
            while code == RUNNING and step < end:
                rule, first = phase.rule, step
                last = int(min(end, step + segment))
                segment = min(2 * segment, _LONGEST)
                epoch = step // per_epoch
                order = batches.order(epoch, (last - 1) // per_epoch - epoch + 1)
                marks = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, last)]
                step, code, records = model.advance(
                    order, epoch, first, last, batches.batch_size, step_size, rule, stop_loss, marks
                )
                if records:
                    kept.append(marks[: len(next(iter(records.values())))])
                    parts.append(records)
        if not (model.finite() and np.isfinite(model.loss())):
            code = DIVERGED
        if code == RUNNING and step % per_epoch == 0 and model.loss() <= stop_loss:
            code = STOPPED
        if not kept or kept[-1][-1] != step:
            epoch = step // per_epoch
            batch = batch_at(batches.order(epoch, 1), epoch, step, batches.batch_size)
            kept.append(np.array([step]))
            parts.append(stack_records([model.observe(batch, rule)]))
        history = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        history = model.describe(history)
    return STATUS[code], int(step), {"step": np.concatenate(kept), **history}

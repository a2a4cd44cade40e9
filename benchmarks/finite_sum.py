"""Single-element steps on least squares, n = d = 100, against a NumPy loop that draws one index a step.

SGD, USAM, SAM and Unified SAM (lam = ½), f recorded at the same hundred steps. Our time is that of the whole call:
drawing the indices, the steps, recording and the final state; the data are left out on both sides. The loop takes a
tenth of the steps (its cost a step does not depend on how many), on indices of its own generator; before either is
timed both must agree on the same indices.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.machine import one_core
from benchmarks.measure import Row, agree, clocked, costs, paired
from benchmarks.peers.finite_sum_numpy import train as numpy_train
from simulate.finite_sum import Descent, Schedule
from simulate.objective import FiniteSum, finite_sum
from simulate.sampling import Sampling, sampling
from simulate.types import FloatArray
from simulate.update import Phase, Rule, train

STEP_SIZE, RADIUS, AGREEMENT, TARGET = 0.01, 0.05, 1e-10, 200
RULES = {"SGD": (0.0, 1.0), "USAM": (RADIUS, 0.0), "SAM": (RADIUS, 1.0), "unified SAM": (RADIUS, 0.5)}


def our_run(
    problem: FiniteSum, draws: Sampling, radius: float, lam: float, steps: int, record: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return (x, recorded f) of a run."""
    descent = Descent(problem, draws, Schedule(STEP_SIZE, radius), np.zeros(len(problem.anchor)))
    phases = [Phase(Rule(radius, lam), steps)]
    _, _, history = train(descent, phases, draws.batches(rng), STEP_SIZE, -1.0, range(0, steps, record))
    return descent.x, problem.infimum + history["gap"]


def must_agree(name: str, problem: FiniteSum, draws: Sampling, radius: float, lam: float) -> None:
    """Raise Disagreement unless both sides compute the same on the same indices."""
    order = iter(draws.batches(np.random.default_rng(7)).order(0, 500)[:, 0].tolist())
    x, values = numpy_train(problem.A, problem.targets, STEP_SIZE, radius, lam, 500, 50, lambda: next(order))
    our_x, our_values = our_run(problem, draws, radius, lam, 500, 50, np.random.default_rng(7))
    agree(name, x, our_x, AGREEMENT)
    agree(name, values, our_values[:-1], AGREEMENT)


def steps() -> Iterator[Row]:
    """Yield the rows."""
    with one_core():
        for name in RULES:
            yield against_loop(name)


def against_loop(name: str, n: int = 100, d: int = 100, count: int = 100_000, repetitions: int = 5) -> Row:
    """Return the row of a rule."""
    (radius, lam), record, short = RULES[name], count // 100, count // 10
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((n, d)) / np.sqrt(d), rng.standard_normal(n)
    problem = finite_sum("square", A, b)
    draws, job = sampling("single", problem), f"finite-sum {name} step, n {n}, d {d}"
    must_agree(job, problem, draws, radius, lam)

    def loop() -> float:
        draw = partial(np.random.default_rng(0).integers, n)
        return clocked(lambda: numpy_train(A, b, STEP_SIZE, radius, lam, short, record, draw), short)

    def ours() -> float:
        rng = np.random.default_rng(0)
        return clocked(lambda: our_run(problem, draws, radius, lam, count, record, rng), count)

    found = paired(loop, ours, repetitions)
    return Row(job, "NumPy loop", found[0] / found[1], target=TARGET, note=costs(*found))

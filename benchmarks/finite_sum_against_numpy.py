"""What a step on a finite sum costs, as ratios measured in one interleaved run on one core.

    python benchmarks/finite_sum_against_numpy.py [--n 100] [--d 100] [--steps 100000] [--records 100] [--repetitions 7]

Single-element sampling on least squares, float64: SGD, USAM, SAM and Unified SAM (lam = ½), against the NumPy loop that
users write, one index drawn a step, f recorded at the same steps. Our time is that of the whole call: drawing the
indices, the steps, recording and the final state; the data and compilation are left out on both sides. The loop takes a
tenth of the steps (its cost a step does not depend on how many), on indices of its own generator; before either is
timed both must agree on the same indices.

Times are CPU times of this process. Ratios are taken repetition by repetition, the two sides next to each other;
minimum, median and maximum are printed, and the target that the median is meant to reach. Exit status: 0, also where a
target is missed; 1 if the two sides do not compute the same.
"""

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plain checkout will do

from simulate.finite_sum import Descent, Schedule
from simulate.objective import finite_sum
from simulate.sampling import sampling
from simulate.update import Phase, Rule, train

STEP_SIZE, RADIUS, AGREEMENT, TARGET = 0.01, 0.05, 1e-10, 100
RULES = {"sgd": (0.0, 1.0), "usam": (RADIUS, 0.0), "sam": (RADIUS, 1.0), "unified": (RADIUS, 0.5)}


def numpy_loop(A, b, radius, lam, steps, record, draw):
    """Return (x, recorded f) of single-element steps as users write them; draw() gives the next index."""
    x, recorded = np.zeros(A.shape[1]), []
    for t in range(steps):
        if t % record == 0:
            recorded.append(0.5 * np.mean((A @ x - b) ** 2))
        i = draw()
        a = A[i]
        g = (a @ x - b[i]) * a
        if radius > 0.0:
            near = x + radius * (1.0 - lam + lam / np.linalg.norm(g)) * g
            g = (a @ near - b[i]) * a
        x = x - STEP_SIZE * g
    return x, np.array(recorded)


def ours(problem, draws, radius, lam, steps, record, rng):
    """Return (x, recorded f) of the same rule."""
    descent = Descent(problem, draws, Schedule(STEP_SIZE, radius), np.zeros(len(problem.anchor)))
    phases = [Phase(Rule(radius, lam), steps)]
    _, _, history = train(descent, phases, draws.batches(rng), STEP_SIZE, -1.0, range(0, steps, record))
    return descent.x, problem.infimum + history["gap"]


def agrees(problem, draws, radius, lam):
    """Return whether both sides compute the same on the same indices."""
    order = iter(draws.batches(np.random.default_rng(7)).order(0, 500)[:, 0].tolist())
    x, recorded = numpy_loop(problem.A, problem.targets, radius, lam, 500, 50, lambda: next(order))
    y, values = ours(problem, draws, radius, lam, 500, 50, np.random.default_rng(7))
    close = np.abs(x - y).max() <= AGREEMENT * np.abs(x).max()
    return close and np.allclose(recorded, values[:-1], rtol=AGREEMENT, atol=0.0)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description="Steps on finite sums against NumPy loops.")
    for name, default in (("n", 100), ("d", 100), ("steps", 100_000), ("records", 100), ("repetitions", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    threadpool_limits(1)
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((options.n, options.d)) / np.sqrt(options.d), rng.standard_normal(options.n)
    problem = finite_sum("square", A, b)
    draws, record = sampling("single", problem), max(1, options.steps // options.records)
    short = max(record, options.steps // 10)
    print(f"n = {options.n}, d = {options.d}, {options.steps} steps, {options.records} records, one core")
    titles = ("ours ns/step", "numpy ns/step", "ratio low", "median", "high", "target")
    print(f"{'rule':<10}" + "".join(f"{title:>15}" for title in titles))
    for name, (radius, lam) in RULES.items():
        if not agrees(problem, draws, radius, lam):
            print(f"{name}: the two sides differ", file=sys.stderr)
            return 1
        times = []
        for repetition in range(options.repetitions):
            generator = np.random.default_rng(repetition)
            start = time.process_time()
            ours(problem, draws, radius, lam, options.steps, record, np.random.default_rng(repetition))
            middle = time.process_time()
            numpy_loop(A, b, radius, lam, short, record, partial(generator.integers, options.n))
            times.append(((middle - start) / options.steps, (time.process_time() - middle) / short))
        mine, theirs = np.array(times).T
        ratio = theirs / mine
        print(
            f"{name:<10}{np.median(mine) * 1e9:>15.1f}{np.median(theirs) * 1e9:>15.0f}{ratio.min():>15.0f}"
            f"{np.median(ratio):>15.0f}{ratio.max():>15.0f}{TARGET:>15}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

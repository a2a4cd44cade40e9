"""What a GPU could gain at most in scans of the convolutional network, n = 20, m = 10, full batch.

    python -m benchmarks.gpu [--workers N] [--repeats 5]

Draw, records and test error stay on the cores, so that a scan whose steps cost nothing at all is faster by the whole
CPU time over that of everything else, however many cores there are. A GPU that takes the steps over gains less; where
this misses the target none can reach it.
"""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np

from benchmarks.machine import facts
from benchmarks.measure import Row, clocked, show
from benchmarks.where_time_goes import watched
from simulate.conv_run import ConvSpec
from simulate.executor import executor_of, single_threaded
from simulate.signal_noise import SignalNoise
from simulate.types import FloatArray

SAMPLES, WIDTH, STEP_SIZE = 20, 10, 0.01
RULES = {"SGD": 0.0, "SAM": 0.1}  # radius
LENGTHS = {1000: 200, 10_000: 100, 100_000: 20}  # steps of a run: runs of a worker
WANTED = 5.0  # times the cores, from which on an engine would be worth its code


def specification(radius: float, steps: int, seed: int) -> ConvSpec:
    """Return one run."""
    return ConvSpec(
        SignalNoise(samples=SAMPLES), WIDTH, rule="sam" if radius else "sgd", radius=radius, step_size=STEP_SIZE,
        max_steps=steps, stop_loss=0.0, seed=seed,
    )  # fmt: skip


def cpu_seconds(radius: float, steps: int, seeds: Sequence[int]) -> tuple[float, float]:
    """Return (all, those of the steps) of the CPU seconds of a run, over runs of this process at these seeds."""
    specs = [specification(radius, steps, seed) for seed in seeds]
    with single_threaded(), watched("simulate.conv:GramNetwork.take_steps") as stepping:
        total = clocked(lambda: [spec.run() for spec in specs])
    return total / len(specs), sum(stepping) / len(specs)


def on_cores(radius: float, steps: int, executor: Executor | None, workers: int, repeats: int) -> FloatArray:
    """Return (2, repeats), `cpu_seconds` of a run while every worker carries out as many."""
    count = LENGTHS[steps]
    chunks = [range(k * count, (k + 1) * count) for k in range(workers)]
    call = map if executor is None else executor.map
    carry_out = partial(cpu_seconds, radius, steps)
    list(call(carry_out, [range(1)] * workers))  # kernels loaded
    return np.array([np.mean(list(call(carry_out, chunks)), axis=0) for _ in range(repeats)]).T


def bound(name: str, steps: int, seconds: FloatArray) -> Row:
    """Return the row of runs whose steps cost nothing."""
    total, stepping = seconds
    note = f"{1e3 * np.median(total):.3g} ms of CPU a run, {1e3 * np.median(stepping):.3g} ms of it for steps"
    against = "the same, steps for nothing"
    return Row(f"conv {name} runs, {steps} steps", against, total / (total - stepping), "×", WANTED, note=note)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.partition("\n")[0])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser.add_argument("--workers", type=int, default=cores, help="worker processes, one a core (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print("  ".join(f"{name} {value}" for name, value in facts().items() if value is not None))
    with executor_of(options.workers) as (executor, _):
        for name, radius in RULES.items():
            measured = partial(on_cores, radius, executor=executor, workers=options.workers, repeats=options.repeats)
            show([bound(name, steps, measured(steps)) for steps in LENGTHS])


if __name__ == "__main__":
    main()

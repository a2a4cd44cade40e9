"""What a scan costs: workers against one process, a local cluster against one thread, the store, and carrying on.

    python -m benchmarks.scan [--runs 4000] [--stored 100000] [--repeats 3]

Runs a second are the best of a few repeats, alternated, so that all meet the same load of the machine; they say little
where other work shares the cores, which the CPU time of client and workers together does not notice. "Two alone" are
two processes that carry out half of the runs each and tell nobody: what the machine's second core is worth. The cluster
is one of two single-threaded workers on this machine. Needs `pip install 'sharpbounds[cluster]'`.

`workers`, a job of `python -m benchmarks`, is the first of these alone, for runs of a thousand steps.
"""

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measure import Row, paired
from simulate.conv_run import ConvSpec
from simulate.executor import completed, executor_of
from simulate.run import Result, Specification
from simulate.scan import Plan, opened
from simulate.signal_noise import SignalNoise
from simulate.store import Store
from theory.scan_command import specify_of

FIXED = {"n": 20, "d": 2000, "batch": 10, "sigma_0": 0.01}
SLOW, FAST = 400, 20  # steps of a run

Runs = Sequence[tuple[str, Specification]]
Slots = Callable[[], int]


def runs_of(count: int, steps: int) -> list[tuple[str, ConvSpec]]:
    """Return (key, specification) of `count` runs."""
    data = SignalNoise(samples=20, dimension=2000, signal_norm=3.0, noise_std=1.0, flip_rate=0.1)
    specs = [ConvSpec(data, 10, 0.01, batch_size=10, step_size=0.01, max_steps=steps, seed=s) for s in range(count)]
    return [(spec.key(), spec) for spec in specs]


def carried_out(runs: Runs, executor: Executor | None, slots: Slots) -> float:
    """Return the seconds that `completed` needs for `runs`, by the clock."""
    start = time.perf_counter()
    done = sum(isinstance(found, Result) for chunk in completed(runs, executor, slots) for _, found in chunk)
    assert done == len(runs)
    return time.perf_counter() - start


def _carry_out(specs: Sequence[Specification]) -> None:
    for spec in specs:
        spec.run()


def alone(runs: Runs, pool: Executor | None) -> float:
    """Return the seconds that two processes need for half of the runs each, by the clock."""
    assert pool is not None
    start = time.perf_counter()
    specs = [spec for _, spec in runs]
    for future in [pool.submit(_carry_out, specs[k::2]) for k in range(2)]:
        future.result()
    return time.perf_counter() - start


def workers(count: int = 600, repeats: int = 5) -> Iterator[Row]:
    """Yield the rows of two workers, and of two processes that tell nobody, against one process."""
    runs = runs_of(count, 1000)
    with executor_of(1) as one, executor_of(2) as two, executor_of(2) as pool:
        for name, seconds, target in (
            ("two workers", partial(carried_out, runs, *two), 1.9),
            ("two processes that tell nobody", partial(alone, runs, pool[0]), None),
        ):
            single, double = paired(partial(carried_out, runs, *one), seconds, repeats)
            note = f"{count / np.median(double):.0f} runs a second, by the clock"
            yield Row(f"conv runs, n 20, 1000 steps, {name}", "one process", single / double, "×", target, note=note)


def cpu_seconds() -> float:
    """Return the CPU time of this process and all below it."""
    import psutil

    own = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (own, *own.children(recursive=True)))


def speedups(count: int, repeats: int) -> None:
    """Print runs a second of one process, of two workers and of a local cluster."""
    runs = runs_of(count, SLOW)
    times: dict[str, list[tuple[float, float]]] = {}
    with executor_of(1) as one, executor_of(2) as two, local_cluster() as cluster, executor_of(2) as pool:
        kinds = {
            "one process": partial(carried_out, executor=one[0], slots=one[1]),
            "two alone": partial(alone, pool=pool[0]),
            "two workers": partial(carried_out, executor=two[0], slots=two[1]),
            "cluster of two": partial(carried_out, executor=cluster[0], slots=cluster[1]),
        }
        for seconds in kinds.values():
            seconds(runs[:300])  # processes started, kernels loaded
        for _ in range(repeats):
            for name, seconds in kinds.items():
                before = cpu_seconds()
                times.setdefault(name, []).append((seconds(runs), cpu_seconds() - before))
    best = {name: [min(column) for column in zip(*found, strict=True)] for name, found in times.items()}
    clock, cpu = best["one process"]
    for name, (seconds, used) in best.items():
        print(f"{name:15} {count / seconds:8.1f} runs/s, {clock / seconds:.2f} times one process; "
              f"CPU {1e3 * used / count:.3f} ms a run, {used / cpu:.2f} times", flush=True)  # fmt: skip


@contextmanager
def local_cluster() -> Iterator[tuple[Executor | None, Slots]]:
    """Give the executor and slots of a cluster on this machine."""
    from distributed import LocalCluster

    quiet = {"dashboard_address": None, "silence_logs": logging.ERROR}
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, **quiet)
    with cluster, executor_of(scheduler=cluster.scheduler_address) as found:
        yield found


def overhead(count: int) -> None:
    """Print the CPU time that writing costs a run, and the length of a run of which that is 3 %."""
    runs = runs_of(count, FAST)
    with executor_of(1) as one:
        done = [item for chunk in completed(runs, *one) for item in chunk]
    results = {key: found for key, found in done if isinstance(found, Result)}
    assert len(results) == count
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        start = time.process_time()
        for k in range(0, count, 1000):
            store.put(dict(list(results.items())[k : k + 1000]), strict=True)
        seconds = (time.process_time() - start) / count
    print(f"store           {1e6 * seconds:8.1f} µs of CPU a run, 3 % of a run of {1e3 * seconds / 0.03:.2f} ms")


def carrying_on(count: int) -> None:
    """Print how long it takes to find a finished scan of `count` runs finished, by the clock and of CPU."""
    ((_, spec),) = runs_of(1, FAST)
    result, specify = spec.run(), specify_of("conv")
    for points in (count // 100, count):
        axes = {"mu": tuple(3.0 + k / 1e7 for k in range(points))}
        plan = Plan("conv", {**FIXED, "max_steps": FAST}, axes, seeds=count // points)
        with tempfile.TemporaryDirectory() as folder:
            with opened(folder, plan, specify) as scan:
                keys = [key for key, *_ in scan.runs()]
                for k in range(0, count, 1000):
                    scan.store.put(dict.fromkeys(keys[k : k + 1000], result), strict=True)
            start, cpu = time.perf_counter(), time.process_time()
            with opened(folder, plan, specify) as scan:
                assert not list(scan.missing())
                seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            size = sum(part.stat().st_size for part in Path(folder, "runs").iterdir())
        print(f"carrying on     {seconds:8.2f} s ({cpu:.2f} s of CPU), {count} finished runs at {points} points, "
              f"{size / 1e6:.0f} MB", flush=True)  # fmt: skip


def main() -> None:
    """Measure workers against one process, what writing costs and what carrying on does."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--stored", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    speedups(given.runs, given.repeats)
    overhead(given.runs)
    carrying_on(given.stored)


if __name__ == "__main__":
    main()

"""What a scan costs: workers against one process, a local cluster against one thread, the store, and carrying on.

    python benchmarks/scan.py [--runs 4000] [--stored 100000] [--repeats 3]

Runs a second are the best of a few repeats, alternated, so that all meet the same load of the machine. The cluster is
one of two single-threaded workers on this machine; it needs `pip install 'sharpbounds[cluster]'`.
"""

import argparse
import logging
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from simulate.conv_run import ConvSpec
from simulate.executor import completed, executor_of
from simulate.scan import Plan, opened
from simulate.signal_noise import SignalNoise
from simulate.store import Store
from theory.scan_command import specify_of

FIXED = {"n": 20, "d": 2000, "batch": 10, "sigma_0": 0.01}
SLOW, FAST = 400, 20  # steps of a run


def runs_of(count, steps):
    """Return (key, specification) of `count` runs."""
    data = SignalNoise(samples=20, dimension=2000, signal_norm=3.0, noise_std=1.0, flip_rate=0.1)
    specs = [ConvSpec(data, 10, 0.01, batch_size=10, step_size=0.01, max_steps=steps, seed=s) for s in range(count)]
    return [(spec.key(), spec) for spec in specs]


def seconds_of(runs, executor, slots):
    """Return the seconds that `completed` needs for `runs`."""
    start = time.perf_counter()
    done = sum(len(chunk) for chunk in completed(runs, executor, slots))
    assert done == len(runs)
    return time.perf_counter() - start


def speedups(count, repeats):
    """Print runs a second of one process, of two workers and of a local cluster."""
    runs, times = runs_of(count, SLOW), {}
    with executor_of(1) as one, executor_of(2) as two, local_cluster() as cluster:
        kinds = {"one process": one, "two workers": two} | ({"cluster of two": cluster} if cluster else {})
        for kind in kinds.values():
            seconds_of(runs[:40], *kind)  # processes started, kernels loaded
        for _ in range(repeats):
            for name, kind in kinds.items():
                times[name] = min(times.get(name, float("inf")), seconds_of(runs, *kind))
    for name, seconds in times.items():
        print(f"{name:15} {count / seconds:8.1f} runs/s, {times['one process'] / seconds:.2f} times one process")


@contextmanager
def local_cluster():
    """Give the executor and slots of a cluster on this machine, or None without `distributed`."""
    try:
        from distributed import LocalCluster
    except ImportError:
        yield None
        return
    quiet = {"dashboard_address": None, "silence_logs": logging.ERROR}
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, **quiet)
    with cluster, executor_of(scheduler=cluster.scheduler_address) as found:
        yield found


def overhead(count):
    """Print what writing costs a run, and the length of a run from which on that is less than 3 %."""
    runs = runs_of(count, FAST)
    with executor_of(1) as one:
        results = dict(item for chunk in completed(runs, *one) for item in chunk)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        start = time.perf_counter()
        for k in range(0, count, 1000):
            store.put(dict(list(results.items())[k : k + 1000]), strict=True)
        seconds = (time.perf_counter() - start) / count
    print(f"store           {1e6 * seconds:8.1f} µs a run, 3 % of a run of {1e3 * seconds / 0.03:.2f} ms")


def carrying_on(count):
    """Print the seconds until a finished scan of `count` runs is found to be finished."""
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
            start = time.perf_counter()
            with opened(folder, plan, specify) as scan:
                assert not list(scan.missing())
                seconds = time.perf_counter() - start
            size = sum(part.stat().st_size for part in Path(folder, "runs").iterdir())
        print(f"carrying on     {seconds:8.2f} s, {count} finished runs at {points} points, {size / 1e6:.0f} MB")


def main():
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

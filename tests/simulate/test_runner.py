"""Many runs: the same bits from one worker, from two and from the store, each run computed once."""

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simulate.conv_run import ConvSpec, run
from simulate.diagonal_run import DiagonalSpec
from simulate.parameters import ParameterError
from simulate.regression import SparseRegression
from simulate.runner import Runner
from simulate.signal_noise import SignalNoise
from simulate.store import Store

HERE = Path(__file__).resolve().parent
SMALL = SignalNoise(samples=6, dimension=40, patches=3, signal_norm=2.0, flip_rate=0.3)


def spec(seed=0, **changes):
    """Return a small specification."""
    return ConvSpec(SMALL, **{"width": 2, "init_std": 0.1, "step_size": 0.05, "max_steps": 40, "seed": seed, **changes})


SPECS = [
    spec(0, record=(0, 5, 7)), spec(1, rule="sam", radius=0.3, batch_size=4), spec(2, space="dense", batch_size=1),
    spec(3, rule="sam-then-sgd", radius=0.3, sam_steps=9), spec(4, init_std=0.0, rule="sam", radius=0.1),
    dataclasses.replace(spec(5), data=dataclasses.replace(SMALL, patches=1, noise_patches="independent")),
    spec(6, step_size=1e308, record=tuple(range(4))),
]  # fmt: skip
SPECS += [
    DiagonalSpec(SparseRegression(6, 45, test_samples=3), radius=0.1, max_steps=40, max_time=5.0, seed=seed, **changes)
    for seed, changes in enumerate([
        {"record": (0, 5, 7)}, {"rule": "1-sam", "then": "gd", "switch_step": 9, "sharpness": True}, {"rule": "sgd"},
        {"rule": "m-sam", "block": 4, "normalisation": 1.0, "record": range(40)}, {"rule": "stochastic-1-sam"},
        {"rule": "gradient-flow", "record": (0, 1.5)}, {"rule": "1-sam-flow", "sharpness": True}, {"step_size": 1e300},
    ])
]  # fmt: skip


def bits(result):
    """Return every field of a result as (type, shape, bytes), NaN payloads and signs of zero included."""
    leaves = [(f.name, getattr(result, f.name)) for f in dataclasses.fields(result) if f.name != "history"]
    leaves += sorted(result.history.items())
    arrays = [(name, np.asarray(value)) for name, value in leaves]
    return [(name, a.dtype.str, a.shape, a.tobytes()) for name, a in arrays]


@pytest.fixture(scope="module")
def two_workers():
    """Return the results of SPECS from two processes."""
    with Runner(2) as runner:
        return runner.run(SPECS)


def test_workers_change_no_bit(two_workers):
    alone = Runner().run(SPECS)
    assert [bits(r) for r in alone] == [bits(s.run()) for s in SPECS]
    assert [bits(r) for r in alone] == [bits(r) for r in two_workers]
    assert len({str(bits(r)) for r in alone}) == len(SPECS)  # the control: they are not all one result


def test_store_changes_no_bit(two_workers, tmp_path):
    """Neither on the way in, nor from memory, nor from the file of another process."""
    with Runner(store=Store(tmp_path)) as first:
        written = first.run(SPECS)
        again = first.run(SPECS)
    read = Runner(store=Store(tmp_path)).run(SPECS)
    for results in (written, again, read):
        assert [bits(r) for r in results] == [bits(r) for r in two_workers]


DIGEST = """
import hashlib, sys
from simulate.runner import Runner
from test_runner import WIDE, bits
print(hashlib.sha256(repr([bits(result) for result in Runner().run(WIDE)]).encode()).hexdigest())
"""
LONG = dataclasses.replace(SMALL, dimension=20_000)  # products that BLAS shares out among threads, if it may
WIDE = [
    dataclasses.replace(spec(space=space, width=8, rule="sam", radius=0.3, batch_size=4), data=LONG)
    for space in ("gram", "dense")
]


@pytest.mark.compiled
def test_neither_threads_nor_the_compilation_cache_change_a_bit(tmp_path):
    """Compiled afresh on one thread, read from the cache on two, and as it is here."""
    found = {hashlib.sha256(repr([bits(result) for result in Runner().run(WIDE)]).encode()).hexdigest()}
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, threads) | {"SHARPBOUNDS_CACHE": str(tmp_path)}
        environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
        found.add(subprocess.check_output([sys.executable, "-c", DIGEST], env=environment, text=True).strip())
        assert list(tmp_path.rglob("*.nbi"))
    assert len(found) == 1


def test_each_run_is_computed_once(monkeypatch, tmp_path):
    computed = []
    monkeypatch.setattr(ConvSpec, "run", lambda s: computed.append(s.seed) or run(s))
    runner = Runner(store=Store(tmp_path))
    results = runner.run([spec(0), spec(1), spec(0)])
    assert computed == [0, 1]
    assert bits(results[0]) == bits(results[2]) != bits(results[1])
    assert (runner.computed, runner.found) == (2, 0)
    runner.run([spec(1), spec(2)])
    assert computed == [0, 1, 2]
    assert (runner.computed, runner.found) == (3, 1)
    other = Runner(store=Store(tmp_path))
    other.run([spec(2), spec(0), spec(1)])
    assert (other.computed, other.found, computed) == (0, 3, [0, 1, 2])
    Runner().run([spec(0)])
    Runner().run([spec(0)])
    assert computed == [0, 1, 2, 0, 0]  # without a store, nothing is kept


def test_order_is_that_of_the_specifications():
    forward = Runner().run([spec(k) for k in range(4)])
    back = Runner().run([spec(k) for k in range(3, -1, -1)])
    assert [bits(r) for r in forward] == [bits(r) for r in reversed(back)]


def test_progress_counts_every_run(tmp_path):
    seen = []
    runner = Runner(store=Store(tmp_path), progress=seen.append)
    runner.run([spec(0), spec(1), spec(0)])
    runner.run([spec(1), spec(2)])
    assert sum(seen[:3]) == 2
    assert sum(seen) == 4


def test_nothing_to_run(tmp_path):
    assert Runner(store=Store(tmp_path)).run([]) == []
    assert list(tmp_path.iterdir()) == []


def test_failure_of_a_run_is_not_stored(monkeypatch, tmp_path):
    def fails(s):
        raise ZeroDivisionError(s.seed)

    monkeypatch.setattr(ConvSpec, "run", fails)
    with pytest.raises(ZeroDivisionError):
        Runner(store=Store(tmp_path)).run([spec(0)])
    assert len(Store(tmp_path)) == 0


@pytest.mark.parametrize("workers", [0, -1, 1.5, 10**6, None, "2"])
def test_bad_number_of_workers(workers):
    with pytest.raises(ParameterError, match="workers"):
        Runner(workers)


def test_workers_end_with_the_context():
    with Runner(2) as runner:
        runner.run([spec(0), spec(1)])
        processes = list(runner._executor[0]._processes)
        assert processes
    assert runner._executor[0] is None
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)

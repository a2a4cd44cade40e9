"""Chunks of runs: the same bits wherever they go, failures told, interrupts heeded, lost workers replaced or named."""

import dataclasses
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, Executor, Future

import numpy as np
import pytest

from simulate import executor as executor_module
from simulate.conv_run import ConvSpec, VectorFile
from simulate.executor import Failure, WorkersLost, completed, executor_of
from simulate.parameters import ParameterError
from simulate.signal_noise import SignalNoise

SMALL = SignalNoise(samples=4, dimension=30, signal_norm=2.0, flip_rate=0.3)


def runs_of(count, steps=5, **changes):
    """Return (key, specification) of small runs."""
    specs = [ConvSpec(SMALL, 2, 0.1, max_steps=steps, seed=seed, **changes) for seed in range(count)]
    return [(spec.key(), spec) for spec in specs]


def bits(result):
    """Return every field of a result as (type, shape, bytes)."""
    scalars, arrays = result.parts()
    leaves = [result.status, result.steps, *scalars.values(), *arrays.values()]
    return [(np.asarray(a).dtype.str, np.asarray(a).shape, np.asarray(a).tobytes()) for a in leaves]


def done(runs, *where):
    """Return {key: bits} of the runs, each of which came once."""
    found = [item for chunk in completed(runs, *where) for item in chunk]
    assert len({key for key, _ in found}) == len(found)
    return {key: bits(result) for key, result in found}


@pytest.fixture(scope="module")
def cluster():
    """Give a cluster of two workers on this machine."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
    ) as found:
        yield found


@pytest.fixture(scope="module")
def expected():
    """Return the bits of forty runs, carried out one by one."""
    return {key: bits(spec.run()) for key, spec in runs_of(40)}


def test_chunks_change_no_bit(expected):
    assert done(runs_of(40)) == expected
    assert len({str(value) for value in expected.values()}) == 40  # the control: they are not all one result


def test_workers_change_no_bit(expected):
    with executor_of(4) as where:
        assert done(runs_of(40), *where) == expected


def test_cluster_changes_no_bit(expected, cluster):
    with executor_of(scheduler=cluster.scheduler_address) as (executor, slots):
        assert slots() == 2
        assert done(runs_of(40), executor, slots) == expected


def test_cluster_carries_out_what_lost_workers_had(cluster):
    """A worker is killed five times while it works; nothing is lost, nothing comes twice."""
    runs = runs_of(2000, steps=200)
    with executor_of(scheduler=cluster.scheduler_address) as where:
        found, killed = {}, 0
        for chunk in completed(runs, *where):
            for key, result in chunk:
                assert key not in found
                found[key] = result
            if killed < 5 and len(found) > 100 * killed:
                worker = next((w for w in cluster.workers.values() if w.process and w.process.pid), None)
                if worker is not None:
                    os.kill(worker.process.pid, signal.SIGKILL)
                    killed += 1
    assert killed == 5
    assert set(found) == {key for key, _ in runs}
    assert not [result for result in found.values() if isinstance(result, Failure)]
    assert all(bits(found[key]) == bits(spec.run()) for key, spec in runs[::97])


def test_chunks_grow_to_their_time():
    """Fourfold at most, to what fits, never beyond the largest; slow runs go one by one."""
    size = executor_module._next_size
    assert size(1, 1, 0.001) == 4
    assert size(64, 64, 0.5) == 64
    assert size(64, 64, 5.0) == 6
    assert size(1, 1, 100.0) == 1
    assert size(512, 512, 0.0) == 512
    assert size(400, 3, 1e-5) == 512  # the last chunk of an iterator may be short


class Waiting(Executor):
    """An executor that carries a chunk out when it is told to."""

    def __init__(self):
        self.queue = []

    def submit(self, function, *arguments):
        """Keep a chunk."""
        future = Future()
        self.queue.append((future, function, arguments))
        return future

    def work(self):
        """Carry out the oldest chunk, once there is one."""
        while not self.queue:
            time.sleep(0.01)
        future, function, arguments = self.queue.pop(0)
        if future.set_running_or_notify_cancel():
            future.set_result(function(*arguments))


def test_runs_are_taken_as_they_are_needed():
    """Back-pressure: an endless scan has a few chunks a worker in flight and no more in memory."""
    taken = []

    def endless():
        for key, spec in runs_of(200, steps=0):
            taken.append(key)
            yield key, spec

    executor = Waiting()
    chunks = completed(endless(), executor, lambda: 2)
    working = threading.Timer(0.1, executor.work)
    working.start()
    next(chunks)
    assert len(taken) == 6
    assert len(executor.queue) == 5
    chunks.close()
    assert all(future.cancelled() for future, *_ in executor.queue)


def test_a_cluster_that_grows_gets_more():
    """`slots` is asked again and again."""
    executor, slots = Waiting(), iter([1, 1, 4, *[4] * 50])
    chunks = completed(iter(runs_of(200, steps=0)), executor, lambda: next(slots))
    threading.Timer(0.05, executor.work).start()
    next(chunks)
    first = len(executor.queue)
    threading.Timer(0.6, executor.work).start()
    next(chunks)
    assert first == 2
    assert len(executor.queue) > 6


def test_nothing_begins_once_stopped():
    """In this process: the chunk in hand is the last."""
    stopped, found = [], []
    for chunk in completed(iter(runs_of(100)), stopped=lambda: bool(stopped)):
        found += chunk
        stopped.append(True)
    assert len(found) == 1


def test_chunks_in_hand_are_finished_once_stopped():
    """With workers: the oldest chunks are waited for, the others dropped."""
    executor, stopped = Waiting(), []
    chunks = completed(iter(runs_of(200, steps=0)), executor, lambda: 2, lambda: bool(stopped))
    threading.Timer(0.05, executor.work).start()
    found = [next(chunks)]
    waiting = list(executor.queue)
    stopped.append(True)
    threading.Timer(0.1, lambda: [executor.work() for _ in waiting]).start()
    found += chunks
    assert len(found) == 3
    assert sum(future.cancelled() for future, *_ in waiting) == len(waiting) - 2


def test_exception_of_a_run_is_its_own(monkeypatch):
    """It comes with type and text; the runs beside it are done."""
    plain = ConvSpec.run

    def fails(spec):
        if spec.seed == 3:
            raise ZeroDivisionError("three")
        return plain(spec)

    monkeypatch.setattr(ConvSpec, "run", fails)
    runs = runs_of(8)
    found = dict(item for chunk in completed(runs) for item in chunk)
    assert found.pop(runs[3][0]) == Failure("ZeroDivisionError: three")
    assert len(found) == 7
    assert not any(isinstance(result, Failure) for result in found.values())


def test_divergence_is_a_result():
    found = [outcome for chunk in completed(runs_of(3, step_size=1e308)) for _, outcome in chunk]
    assert [outcome.status for outcome in found] == ["diverged"] * 3


def test_data_file_that_changes_meanwhile_is_a_failure(tmp_path):
    """Its runs are known by what it held when they were planned."""
    path = tmp_path / "own.npz"
    arrays = {"mu": np.ones(5), "noise": np.ones((3, 5)), "labels": np.array([1.0, -1.0, 1.0])}
    np.savez(path, **arrays)
    spec = ConvSpec(VectorFile(str(path), 1.0, 0.0), 2, 0.1, max_steps=5)
    ((_, before),) = next(completed([("key", spec)]))
    np.savez(path, **{**arrays, "mu": np.zeros(5)})
    ((_, after),) = next(completed([("key", spec)]))
    path.unlink()
    ((_, gone),) = next(completed([("key", spec)]))
    assert not isinstance(before, Failure)
    assert "must stay as it was" in after.message
    assert "must be a readable .npz file" in gone.message


def test_workers_of_other_kernels_are_refused():
    with pytest.raises(ParameterError, match=r"kernels = .* must be those of the client"):
        executor_module._run_chunk_there([], "0123456789abcdef")


def test_killed_worker_of_a_pool_is_named():
    """The pool cannot go on; what was done has been given."""
    with executor_of(2) as (pool, slots):
        chunks = completed(iter(runs_of(3000, steps=400)), pool, slots)
        next(chunks)
        os.kill(next(iter(pool._processes)), signal.SIGKILL)
        with pytest.raises(WorkersLost, match="workers are gone"):
            for _ in chunks:
                pass


def test_chunk_that_costs_many_workers_is_a_failure_of_its_runs():
    """As a cluster tells it; a lost scheduler ends everything."""

    class Raising(Executor):
        def __init__(self, error):
            self.error = error

        def submit(self, function, *arguments):
            future = Future()
            future.set_exception(self.error)
            return future

    found = [item for chunk in completed(runs_of(5), Raising(OSError("killed")), lambda: 1) for item in chunk]
    assert [outcome for _, outcome in found] == [Failure("OSError: killed")] * 5
    with pytest.raises(WorkersLost):
        list(completed(runs_of(5), Raising(CancelledError()), lambda: 1))
    with pytest.raises(ParameterError, match="kernels"):
        list(completed(runs_of(5), Raising(ParameterError("kernels")), lambda: 1))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "", "tcp://"])
def test_address_without_scheduler_is_one_error(address, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(executor_module, "CONNECT_SECONDS", 0.3)
    with pytest.raises(ParameterError, match=r"scheduler = .* must be the address"), executor_of(scheduler=address):
        pass


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ParameterError, match=r"sharpbounds\[cluster\]"), executor_of(scheduler="tcp://x:1"):
        pass


def test_workers_end_with_a_killed_client(tmp_path):
    """A pool whose client is killed leaves no process behind."""
    code = (
        "import time\nfrom simulate.executor import executor_of\n"
        "if __name__ == '__main__':\n"
        "    with executor_of(2) as (pool, _):\n"
        "        for _ in range(2): pool.submit(time.sleep, 0.3).result(), pool.submit(time.sleep, 0.2)\n"
        "        print(*pool._processes, flush=True)\n        time.sleep(60)\n"
    )
    (tmp_path / "client.py").write_text(code)
    root = os.path.dirname(os.path.dirname(executor_module.__file__))
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, tmp_path / "client.py"]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    workers = [int(word) for word in client.stdout.readline().split()]
    client.kill()
    client.wait()
    client.stdout.close()
    assert workers
    until = time.monotonic() + 20
    while time.monotonic() < until and any(_running(pid) for pid in workers):
        time.sleep(0.05)
    assert not [pid for pid in workers if _running(pid)]


def _running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_outcomes_are_of_their_runs():
    """Keys and results stay together, in the order of the runs."""
    runs = runs_of(30)
    found = [item for chunk in completed(runs) for item in chunk]
    assert [key for key, _ in found] == [key for key, _ in runs]
    spec = dataclasses.replace(runs[17][1])
    assert bits(found[17][1]) == bits(spec.run())

"""Runs by the thousand: chunks sized from measured run times, on this process, its workers or a cluster.

A run's result depends on its specification alone, so it does not matter where a chunk goes; only the calling process
writes. Executors are those of `concurrent.futures`: a pool of processes here, or that of an existing
`dask.distributed` cluster, which carries chunks of a lost worker out again by itself.
"""

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    ProcessPoolExecutor,
    wait,
)
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Any

from threadpoolctl import threadpool_limits

from simulate.compiled import fingerprint
from simulate.parameters import ParameterError, integer
from simulate.run import DataFile, Result, Specification

CHUNK_SECONDS = 0.5  # long against the milliseconds that a chunk costs to send, short for whoever waits for the last
_LARGEST_CHUNK = 512
CONNECT_SECONDS = 10
_IN_FLIGHT = 3  # chunks a worker: one in hand, two waiting, and no more than that in memory


@dataclass(frozen=True)
class Failure:
    """A run that raised: an exception is no result. `message` is its type and text."""

    message: str


Outcome = Result | Failure


class WorkersLost(RuntimeError):
    """The workers, or the scheduler, are gone; what they had finished has been given."""


def worker_count(workers: Any) -> int:
    """Return how many worker processes are asked for; ParameterError if this machine would not bear them."""
    return integer("workers", workers, 1, 4 * (os.cpu_count() or 1))


def single_threaded() -> AbstractContextManager[object]:
    """Return a context in which BLAS uses one thread; workers are in it for good."""
    return threadpool_limits(1) if not _pinned else nullcontext()


_pinned: list[Any] = []

# glibc's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD. It learns them by itself, unless the environment sets one: dask's nanny
# does, every array from 128 KiB on is then mapped anew, and runs take twice the CPU time.
_MALLOC = ((-3, 32 << 20), (-1, 256 << 20))


def _settle() -> None:
    """Make a worker of this process: one BLAS thread, and memory that is kept when it is freed."""
    if not _pinned:
        _pinned.append(threadpool_limits(1))
        with suppress(OSError, AttributeError):  # without glibc there is nothing to set
            mallopt = ctypes.CDLL(None).mallopt
            for option, size in _MALLOC:
                mallopt(option, size)


def _start_workers(pool: Executor, workers: int) -> None:
    """Start the workers of a pool with interrupts blocked for good: from the first moment they are for the client."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        for _ in range(workers):
            pool.submit(_settle)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _start_worker() -> None:
    threading.Thread(target=_end_with_client, daemon=True).start()
    _settle()


def _end_with_client() -> None:
    """End this worker when the client was killed; it would wait for work for ever."""
    client: Any = parent_process()
    client.join()
    os._exit(1)


def _attempt(spec: Specification) -> Outcome:
    try:
        if isinstance(spec.data, DataFile) and replace(spec.data) != spec.data:  # the file is read anew by every run
            raise ParameterError(f"data = {spec.data.path!r}: must stay as it was when the run was planned")
        return spec.run()
    except Exception as error:  # whatever a run raises belongs to that run, and is told with it
        return Failure(f"{type(error).__name__}: {error}")


def _run_chunk(specs: Sequence[Specification]) -> tuple[list[Outcome], float]:
    """Return the outcomes of a chunk and the seconds that it took."""
    start = time.perf_counter()
    return [_attempt(spec) for spec in specs], time.perf_counter() - start


def _run_chunk_there(specs: Sequence[Specification], kernels: str) -> tuple[list[Outcome], float]:
    if fingerprint() != kernels:
        raise ParameterError(f"kernels = {fingerprint()!r} on a worker: must be those of the client ({kernels})")
    _settle()
    return _run_chunk(specs)


@contextmanager
def executor_of(workers: int = 1, scheduler: str | None = None) -> Iterator[tuple[Executor | None, Callable[[], int]]]:
    """Give (executor, slots): None for this process, a pool of processes, or that of a cluster at an address.

    `slots()` is how many chunks run at a time; a cluster's workers may come and go.
    """
    if scheduler is not None:
        with _cluster(scheduler) as client:

            @lru_cache(1)
            def threads(second: int) -> int:
                return max(1, int(sum(client.nthreads().values())))

            yield client.get_executor(pure=False, retries=3), lambda: threads(int(time.monotonic()))
    elif workers == 1:
        yield None, lambda: 1
    else:
        pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker)
        try:
            _start_workers(pool, workers)
            yield pool, lambda: workers
        finally:
            pool.shutdown(cancel_futures=True)


def _cluster(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        message = f"scheduler = {address!r}: needs the extra cluster (pip install 'sharpbounds[cluster]')"
        raise ParameterError(message) from error
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ParameterError(f"scheduler = {address!r}: must be the address of a running one ({error})") from error


def completed(
    runs: Iterable[tuple[str, Specification]],
    executor: Executor | None = None,
    slots: Callable[[], int] = lambda: 1,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[list[tuple[str, Outcome]]]:
    """Yield (key, outcome) of `runs` (key, specification), chunk by chunk, as they are done.

    Once `stopped()` is true no chunk is begun, and those in hand are the last. When the consumer closes this generator,
    chunks that have not begun are cancelled. Raises WorkersLost when nobody is left to work.
    """
    runs, size = iter(runs), 1
    if executor is None:
        with single_threaded():
            while not stopped() and (chunk := list(islice(runs, size))):
                outcomes, seconds = _run_chunk([spec for _, spec in chunk])
                size = _next_size(size, len(chunk), seconds)
                yield [(key, outcome) for (key, _), outcome in zip(chunk, outcomes, strict=True)]
        return
    pending: dict[Any, Any] = {}
    try:
        while True:
            room = 0 if stopped() else _IN_FLIGHT * slots()
            while len(pending) < room and (chunk := list(islice(runs, size))):
                future = executor.submit(_run_chunk_there, [spec for _, spec in chunk], fingerprint())
                pending[future] = [key for key, _ in chunk]
            if stopped():  # the oldest are in hand; a cluster would drop these too
                for future in list(pending)[slots() :]:
                    if future.cancel():
                        del pending[future]
            if not pending:
                return
            for future in wait(pending, timeout=CHUNK_SECONDS, return_when=FIRST_COMPLETED).done:
                keys = pending.pop(future)
                try:
                    outcomes, seconds = future.result()
                except ParameterError:
                    raise
                except (BrokenExecutor, CancelledError) as error:
                    raise WorkersLost(f"the workers are gone ({type(error).__name__}: {error})") from error
                except Exception as error:  # a cluster gives up a chunk that has cost it several workers
                    outcomes, seconds = [Failure(f"{type(error).__name__}: {error}")] * len(keys), CHUNK_SECONDS
                size = _next_size(size, len(keys), seconds)
                yield list(zip(keys, outcomes, strict=True))
    except BrokenExecutor as error:  # raised by submit
        raise WorkersLost(f"the workers are gone ({error})") from error
    finally:
        for future in pending:
            future.cancel()


def _next_size(size: int, count: int, seconds: float) -> int:
    """Return the size of the next chunks: as many runs as fit `CHUNK_SECONDS`, growing at most fourfold."""
    fitting = CHUNK_SECONDS * count / max(seconds, 1e-9)
    return int(max(1, min(fitting, 4 * size, _LARGEST_CHUNK)))

"""Many runs: found in the store or computed, here or by worker processes, with the same bits either way."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from multiprocessing import get_context

from threadpoolctl import threadpool_limits

from simulate.parameters import integer
from simulate.run import Result, Specification
from simulate.store import Store


class Runner:
    """Computes runs on `workers` processes (1: in this one) and keeps them in `store` (None: nowhere).

    Workers return results; this process alone writes. BLAS is held to one thread everywhere, since the last bits
    of a product may depend on the number of threads. `progress` is called with the number of runs just finished.
    `computed` and `found` count what was done. Use it as a context manager: leaving it ends the workers.
    """

    def __init__(
        self, workers: int = 1, store: Store | None = None, progress: Callable[[int], None] = lambda count: None
    ):
        self.workers = integer("workers", workers, 1, 4 * (os.cpu_count() or 1))
        self.store, self.progress = store, progress
        self.computed = self.found = 0
        self._pool = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def run(self, specs: Sequence[Specification]) -> list[Result]:
        """Return the results of `specs`, in order; each is computed once."""
        keys = [spec.key() for spec in specs]
        wanted = dict(zip(keys, specs, strict=True))
        stored = {key: self.store.get(key) for key in wanted} if self.store is not None else {}
        results = {key: result for key, result in stored.items() if result is not None}
        missing = {key: spec for key, spec in wanted.items() if key not in results}
        self.found += len(results)
        self.progress(len(results))
        fresh: dict[str, Result] = {}
        try:
            self._compute(missing, fresh)
        finally:  # what is done is kept, also when a run fails or is interrupted
            self.computed += len(fresh)
            if self.store is not None:
                self.store.put(fresh)
        results |= fresh
        return [results[key] for key in keys]

    def _compute(self, missing, fresh):
        if self.workers == 1 or len(missing) < 2:
            with single_threaded():
                for key, spec in missing.items():
                    fresh[key] = spec.run()
                    self.progress(1)
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.workers, get_context("spawn"))
        keys, specs = list(missing), list(missing.values())
        size = max(1, min(64, len(specs) // (4 * self.workers)))
        # dealt like cards, so that a costly corner of a grid does not land on one worker
        hands = [range(start, len(specs), -(-len(specs) // size)) for start in range(-(-len(specs) // size))]
        pending = {self._pool.submit(_run_chunk, [specs[i] for i in hand]): hand for hand in hands}
        for future in as_completed(pending):
            hand = pending[future]
            fresh.update((keys[i], result) for i, result in zip(hand, future.result(), strict=True))
            self.progress(len(hand))


def single_threaded():
    """Return a context in which BLAS uses one thread; workers are in it for good."""
    return threadpool_limits(1) if not _pinned else nullcontext()


_pinned = []


def _run_chunk(specs):
    if not _pinned:
        _pinned.append(threadpool_limits(1))
    return [spec.run() for spec in specs]

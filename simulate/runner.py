"""Many runs: found in the store or computed, here or by worker processes, with the same bits either way."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import Any, Self

from simulate.executor import Failure, completed, executor_of, single_threaded, worker_count
from simulate.run import Result, Specification
from simulate.store import Store

__all__ = ["Runner", "single_threaded"]


class Runner:
    """Computes runs on `workers` processes (1: in this one) and keeps them in `store` (None: nowhere).

    Workers return results; this process alone writes, and never what a class from outside the project has computed.
    BLAS is held to one thread everywhere, since the last bits of a product may depend on the number of threads.
    `progress` is called with the number of runs just finished. `computed` and `found` count what was done. Use it as a
    context manager: leaving it ends the workers.
    """

    def __init__(
        self, workers: int = 1, store: Store | None = None, progress: Callable[[int], None] = lambda count: None
    ) -> None:
        self.workers = worker_count(workers)
        self.store, self.progress = store, progress
        self.computed = self.found = 0
        self._stack = ExitStack()
        self._executor: tuple[Executor | None, Callable[[], int]] = None, lambda: 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
        self._executor = None, lambda: 1

    def run(self, specs: Sequence[Specification]) -> list[Any]:
        """Return the results of `specs`, in order, each of its own model's class; each is computed once."""
        keys = [spec.key() for spec in specs]
        wanted = dict(zip(keys, specs, strict=True))
        stored = {}
        if self.store is not None:
            stored = {key: self.store.get(key) for key, spec in wanted.items() if spec.stored()}
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
                self.store.put({key: result for key, result in fresh.items() if key in stored})
        results |= fresh
        return [results[key] for key in keys]

    def _compute(self, missing: dict[str, Specification], fresh: dict[str, Result]) -> None:
        if self.workers == 1 or len(missing) < 2:
            with single_threaded():
                for key, spec in missing.items():
                    fresh[key] = spec.run()
                    self.progress(1)
            return
        if self._executor[0] is None:
            self._executor = self._stack.enter_context(executor_of(self.workers))
        for done in completed(missing.items(), *self._executor):
            for key, outcome in done:
                if isinstance(outcome, Failure):
                    missing[key].run()  # raises here what it raised there
                    raise RuntimeError(outcome.message)
                fresh[key] = outcome
            self.progress(len(done))

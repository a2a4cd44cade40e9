"""The machine that is measured on: what it is, one core of it, and how fast that core multiplies and reads."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numba
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks.measure import clocked
from simulate.gram_step import aligned
from simulate.types import IntArray

LIBRARIES = ("numpy", "scipy", "numba", "jax", "torch")
PRODUCT = 1024


@contextmanager
def one_core() -> Iterator[None]:
    """Leave one CPU and one thread of BLAS to this process; libraries imported inside must see it, too."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # what compiling costs, not what finding it again does
    if allowed:
        os.sched_setaffinity(0, {max(allowed)})
    try:
        with threadpool_limits(1):
            yield
    finally:
        if allowed:
            os.sched_setaffinity(0, allowed)


def facts() -> dict[str, str | float | None]:
    """Return what decides the numbers: CPU, cores, load, libraries, and the BLAS that NumPy multiplies with."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": cpu_name(), "cores": cores, "load": round(os.getloadavg()[0], 2), "python": platform.python_version(),
        **{name: version_of(name) for name in LIBRARIES}, "blas": blas(),
    }  # fmt: skip


def cpu_name() -> str:
    """Return the processor's name, family and model."""
    try:
        lines = [line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()]
    except OSError:
        return platform.processor() or platform.machine()
    found = {name.strip(): value.strip() for name, value in lines}
    return "{model name}, family {cpu family}, model {model}".format_map(
        {"model name": platform.machine(), "cpu family": "?", "model": "?", **found}
    )


def version_of(name: str) -> str | None:
    """Return a library's version, None if it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def blas() -> str:
    """Return the BLAS that NumPy multiplies with and its core type; every BLAS where none is NumPy's."""
    found = [info for info in threadpool_info() if info["user_api"] == "blas"]
    found = [info for info in found if "numpy" in Path(info["filepath"]).parent.name] or found
    form = "{internal_api} {version}, core {architecture}"
    return "; ".join(form.format_map({"architecture": "unknown", **info}) for info in found)


_A, _B = np.random.default_rng(0).standard_normal((2, PRODUCT, PRODUCT))


def product_rate() -> float:
    """Return the multiply-adds a second of NumPy's product of two matrices of 1024 x 1024."""
    return 1.0 / clocked(lambda: (_A @ _B, _A @ _B), 2 * PRODUCT**3)


@numba.njit()
def total(words: IntArray, passes: int) -> int:
    """Return the sum of integers (k,), bits changed by the number of the pass, over `passes` passes.

    A sum of integers may be taken in any order, so the compiler makes it as fast as it can be.
    """
    found = 0
    for p in range(passes):
        for k in range(words.size):
            found += words[k] ^ p
    return found


@lru_cache(1)
def _words(count: int) -> IntArray:
    words = aligned(1, count).ravel().view(np.int64)  # what straddles two cache lines is read twice
    words[:] = np.arange(count)
    return words


def read_rate(size: int, read: float = 2e9) -> float:
    """Return the bytes a second that one core reads of an array of `size` bytes, going through it for `read` bytes."""
    words = _words(size // 8)
    passes = max(1, int(read / words.nbytes))
    return 1.0 / clocked(lambda: total(words, passes), words.nbytes * passes)

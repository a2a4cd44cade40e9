"""Whole programs in processes of their own: how long commands take to start, what compiling costs, how much memory.

Times are by the clock, hence too long where other work shares the cores; the notes have the CPU time. `start`: the
cache folder is warm. `compiling`: the first of its kind in an empty cache folder, less the same in a warm one; every
other row of the benchmarks is without compiling. `memory`: peak resident set of one process.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measure import Row

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {  # name: words, at most so many seconds
    "sharpbounds list": (["list"], 0.5),
    "sharpbounds simulate conv, one short run": (["simulate", "conv", "--n", "20", "--d", "2000", "--seeds", "1"], 2.5),
}
KERNELS = {
    "conv kernel, full batch": "from simulate.conv_run import ConvSpec as S; S(max_steps=9).run()",
    "conv kernel, mini-batch": "from simulate.conv_run import ConvSpec as S; S(batch_size=5, max_steps=9).run()",
    "diagonal kernel": "from simulate.diagonal_run import DiagonalSpec as S; S(rule='1-sam', max_steps=9).run()",
    "finite-sum kernel": "from simulate.finite_sum_run import FiniteSumSpec as S; S(sampling='single').run()",
}
LARGE = """
import resource
from simulate.conv_run import ConvSpec
from simulate.signal_noise import SignalNoise
result = ConvSpec(SignalNoise(samples=5000), width=100, rule="sam", radius=0.1, max_steps=5).run()
assert result.steps == 5
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * {unit} / 2**30)
"""


def run(words: Sequence[str], **environment: str) -> tuple[float, float, str]:
    """Return the seconds that Python takes for `words`, by the clock and of CPU, and what it prints."""
    environment = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
    start, cpu = time.perf_counter(), children()
    found = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - start, children() - cpu, found.stdout


def children() -> float:
    """Return the CPU seconds of the processes that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def start(repetitions: int = 5) -> Iterator[Row]:
    """Yield the rows of commands."""
    for name, (words, most) in COMMANDS.items():
        call = ["-c", "import sharpbounds; sharpbounds.main()", *words]
        run(call)
        seconds, cpu, _ = zip(*(run(call) for _ in range(repetitions)), strict=True)
        yield Row(name, "the clock, warm", seconds, "s", most, at_most=True, note=f"{np.median(cpu):.2g} s of CPU")


def compiling() -> Iterator[Row]:
    """Yield the rows of our own compilation."""
    for name, code in KERNELS.items():
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = (run(["-c", code], SHARPBOUNDS_CACHE=folder) for _ in range(2))
            yield Row(name, "compilation", [cold[0] - warm[0]], "s", note=f"{cold[1] - warm[1]:.2g} s of CPU")


def memory() -> Iterator[Row]:
    """Yield the row of a large network's memory."""
    unit = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in
    found = float(run(["-c", LARGE.format(unit=unit)])[2])
    yield Row("conv SAM, n 5000, m 100, peak memory", "5 steps and the test error", [found], "GiB", 2.0, at_most=True)

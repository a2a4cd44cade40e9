"""Where the time of single runs and of a scan goes: draw, steps, recording, test error, storing, and all the rest.

    python -m benchmarks.where_time_goes [--json FILE]

Shares of the CPU time of one process, kernels loaded, each part by the clock around its functions.
"""

import argparse
import importlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, reduce, wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from benchmarks.machine import one_core
from benchmarks.measure import clocked
from benchmarks.scan import FIXED
from simulate.conv_run import ConvSpec
from simulate.diagonal_run import DiagonalSpec
from simulate.finite_sum_run import FiniteSumSpec
from simulate.regression import SparseRegression
from simulate.scan import Plan, opened
from simulate.signal_noise import SignalNoise
from theory.scan_command import specify_of

PARTS = {  # part: where its functions are found when they are called, none within another
    "draw": (
        "simulate.conv_run:build_network", "simulate.diagonal_run:load_regression",
        "simulate.finite_sum_run:FiniteSumSpec.load",
    ),
    "batches": ("simulate.update:Batches.order",),
    "steps": (
        "simulate.conv:GramNetwork.take_steps", "simulate.diagonal:DiagonalNetwork.advance",
        "simulate.finite_sum:Descent.advance",
    ),
    "recording": (
        "simulate.conv:Network.observe", "simulate.diagonal:DiagonalNetwork.observe",
        "simulate.diagonal:DiagonalNetwork.describe", "simulate.finite_sum:Descent.observe",
        "simulate.finite_sum:Descent.describe",
    ),
    "test error": ("simulate.conv_run:clean_error", "simulate.conv_run:class_correlation"),
    "store": ("simulate.store:Store.put",),
}  # fmt: skip
RECORD = tuple(range(0, 1000, 10))


def runs() -> dict[str, Callable[[], object]]:
    """Return name: function that carries it out."""
    conv, large = partial(ConvSpec, max_steps=1000, stop_loss=0.0), SignalNoise(samples=200)
    diagonal = DiagonalSpec(
        SparseRegression(), 0.1, "1-sam", 0.05, step_size=0.05, max_steps=10_000, record=tuple(range(0, 10_000, 100))
    )
    return {
        "conv, n 20, m 10, full batch": conv().run,
        "the same, 100 records": conv(record=RECORD).run,
        "conv, n 20, m 10, B 10": conv(batch_size=10).run,
        "conv SAM, n 200, m 100": conv(large, 100, rule="sam", radius=0.1).run,
        "diagonal 1-SAM, n 20, d 30": diagonal.run,
        "finite sum SGD, n 100, d 10": FiniteSumSpec(sampling="single", max_steps=100_000).run,
    }


def scan() -> None:
    """Carry out a scan of 400 runs of a thousand steps, n = 20, m = 10, B = 10, into a folder."""
    plan = Plan("conv", {**FIXED, "max_steps": 1000}, {"mu": (1.0, 2.0, 3.0, 4.0)}, seeds=100)
    with tempfile.TemporaryDirectory() as folder, opened(folder, plan, specify_of("conv")) as found:
        assert found.run()


def shares(call: Callable[[], object], times: int) -> tuple[dict[str, float], float]:
    """Return {part: share} of the CPU seconds of a call, and these, over `times` of them."""
    call()
    with ExitStack() as stack:
        spent = {part: [stack.enter_context(watched(name)) for name in names] for part, names in PARTS.items()}
        total = clocked(lambda: [call() for _ in range(times)])
    found = {part: sum(map(sum, seconds)) / total for part, seconds in spent.items()}
    return {**found, "rest": 1.0 - sum(found.values())}, total / times


@contextmanager
def watched(place: str) -> Iterator[list[float]]:
    """Give a list that grows by the CPU seconds of every call of a function."""
    module, _, names = place.partition(":")
    *outer, name = names.split(".")
    owner: Any = reduce(getattr, outer, importlib.import_module(module))
    function, seconds = getattr(owner, name), []

    @wraps(function)
    def timed(*args: Any, **options: Any) -> Any:
        start = time.process_time()
        try:
            return function(*args, **options)
        finally:
            seconds.append(time.process_time() - start)

    with patch.object(owner, name, timed):
        yield seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.where_time_goes", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--json", metavar="FILE", help="also write what was found to FILE")
    options = parser.parse_args()
    table, found = Table("", *PARTS, "rest", "ms a run", box=None, pad_edge=False), {}
    with one_core():
        for name, call in runs().items():
            parts, seconds = shares(call, 20)
            found[name] = {**parts, "seconds": seconds}
        parts, seconds = shares(scan, 1)
        found["scan of 400 runs, n 20, m 10, B 10"] = {**parts, "seconds": seconds / 400}
    for name, parts in found.items():
        row = [f"{100 * parts[part]:.0f} %" for part in (*PARTS, "rest")]
        table.add_row(name, *row, f"{1e3 * parts['seconds']:.2f}")
    Console(highlight=False, width=160).print(table)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

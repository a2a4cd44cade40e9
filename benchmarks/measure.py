"""How things are measured: two sides next to each other, again and again, and the rows that come of it."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from simulate.types import FloatArray

Measurement = Callable[[], float]


class Disagreement(Exception):
    """The two sides do not compute the same, so there is nothing to compare."""


@dataclass(frozen=True)
class Row:
    """One line of the table: a job, what it is measured against, the values found, and the value wanted of the median.

    `values` are ratios, their time over ours (×), shares (%), seconds (s) or memory (GiB); none where the row was
    skipped, and `note` then says why. `target` is the least median wanted, with `at_most` the largest.
    """

    job: str
    against: str
    values: Sequence[float] | FloatArray = ()
    unit: str = "×"
    target: float | None = None
    at_most: bool = False
    note: str = ""

    def verdict(self) -> str:
        """Return "reached", "missed", or "" without a target or values."""
        if self.target is None or not len(self.values):
            return ""
        middle = np.median(self.values)
        return "reached" if (middle <= self.target if self.at_most else middle >= self.target) else "missed"

    def number(self, value: float) -> str:
        """Return a value as the table shows it."""
        if self.unit == "%":
            return f"{100 * value:.0f}"
        return np.format_float_positional(value, precision=3, fractional=False, trim="-")  # three digits

    def wanted(self) -> str:
        """Return the target as the table shows it."""
        return "" if self.target is None else f"{'≤' if self.at_most else '≥'} {self.number(self.target)} {self.unit}"

    def spread(self) -> str:
        """Return low – median – high as the table shows it, one number where there is but one."""
        if not len(self.values):
            return "skipped"
        found = [min(self.values), np.median(self.values), max(self.values)][: 3 if len(self.values) > 1 else 1]
        return " – ".join(map(self.number, found)) + f" {self.unit}"

    def plain(self) -> dict[str, str | float | None]:
        """Return the row as JSON has it, shares as fractions."""
        low, median, high = (float(f(self.values)) for f in (min, np.median, max)) if len(self.values) else [None] * 3
        return {
            "job": self.job, "against": self.against, "low": low, "median": median, "high": high, "unit": self.unit,
            "target": self.target, "at_most": self.at_most, "verdict": self.verdict(), "note": self.note,
        }  # fmt: skip


def clocked(call: Callable[[], object], units: float = 1.0) -> float:
    """Return the CPU seconds of this process that a call takes, a unit of its work.

    CPU time, for others may have the core in between; what is measured so must keep to this process.
    """
    start = time.process_time()
    call()
    return (time.process_time() - start) / units


def paired(theirs: Measurement, ours: Measurement, repetitions: int) -> FloatArray:
    """Return (2, repetitions) of what two functions return, called in turn; a first call of each does not count."""
    theirs(), ours()
    return np.array([(theirs(), ours()) for _ in range(repetitions)]).T


def costs(theirs: FloatArray, ours: FloatArray) -> str:
    """Return the note that tells both medians, seconds a step."""
    return f"{1e6 * np.median(theirs):.4g} µs against {1e6 * np.median(ours):.4g} µs"


def rates(ours: FloatArray, theirs: FloatArray, unit: str) -> str:
    """Return the note that tells both medians, units of work a second."""
    return f"{1e-9 * np.median(ours):.3g} of {1e-9 * np.median(theirs):.3g} billion {unit} a second"


def compilation(name: str, call: Callable[[], object]) -> Row:
    """Return the row of what the first call of a function takes longer than its second, by the clock.

    By the clock, for compilers run in processes of their own.
    """
    times = [time.perf_counter()]
    for _ in range(2):
        call()
        times.append(time.perf_counter())
    first, second = np.diff(times)
    return Row(name, "compilation", [max(first - second, 0.0)], "s")


def agree(name: str, theirs: np.ndarray, ours: np.ndarray, tolerance: float) -> None:
    """Raise Disagreement unless two arrays agree relative to the largest number of theirs."""
    found = float(np.abs(theirs - ours).max() / np.abs(theirs).max())
    if not found <= tolerance:
        raise Disagreement(f"{name}: the two sides differ by {found:.0e}, more than {tolerance:.0e}")


def table(rows: Iterable[Row]) -> Table:
    """Return the table of rows."""
    found = Table("job", "against", "low – median – high", "target", "", "", box=None, pad_edge=False)
    colour = {"reached": "green", "missed": "red", "": ""}
    for row in rows:
        verdict = row.verdict()
        found.add_row(row.job, row.against, row.spread(), row.wanted(), verdict, row.note, style=colour[verdict])
    return found


def show(rows: Iterable[Row], title: str = "") -> None:
    """Print rows as a table, as wide as it needs to be."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    if title:
        console.print(f"\n{title}")
    console.print(table(rows))


def write(path: str | Path, machine: Mapping[str, object], rows: Sequence[Row]) -> None:
    """Write what was found as JSON."""
    Path(path).write_text(json.dumps({"machine": machine, "rows": [r.plain() for r in rows]}, indent=1) + "\n")

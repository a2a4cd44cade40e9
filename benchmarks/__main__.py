"""Measure everything, print a table, write JSON.

    python -m benchmarks [--only NAME …] [--json FILE]

A NAME is a job or the beginning of one. Ratios are of times measured in turn in this run, low – median – high; what a
peer's library is missing for is skipped and says so. Exit status: 0, also where a target is missed; 1 if two sides do
not compute the same, or a row could not be measured.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Iterable, Sequence

from benchmarks.machine import facts
from benchmarks.measure import Disagreement, Row, show, write

JOBS = (
    "conv.steps", "conv.product", "conv.batches", "conv.dimension", "diagonal.runs", "diagonal.kernels",
    "generalisation.lines", "finite_sum.steps", "potential.minima", "scan.workers",
    "programs.start", "programs.memory", "programs.compiling",
)  # fmt: skip


def chosen(names: Sequence[str]) -> list[str]:
    """Return the jobs that the names begin, all without names."""
    for name in names:
        if not any(job.startswith(name) for job in JOBS):
            raise SystemExit(f"{name!r} begins no job: one of {', '.join(JOBS)}")
    return [job for job in JOBS if not names or job.startswith(tuple(names))]


def measure(jobs: Iterable[str]) -> tuple[list[Row], list[str]]:
    """Return (rows, failures) of the jobs, telling how long each took."""
    rows: list[Row] = []
    failures = []
    for name in jobs:
        start, (module, _, job) = time.perf_counter(), name.partition(".")
        try:
            rows.extend(getattr(importlib.import_module(f"benchmarks.{module}"), job)())
        except Disagreement as error:
            failures.append(f"{name}: {error}")
        print(f"{name} {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return rows, failures


def main() -> int:
    """Measure and print; exit status as the module says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help=f"of {', '.join(JOBS)}")
    parser.add_argument("--json", metavar="FILE", help="also write what was found to FILE")
    options = parser.parse_args()
    jobs, start = chosen(options.only), time.perf_counter()
    machine = facts()
    print("  ".join(f"{name} {value}" for name, value in machine.items() if value is not None))
    rows, failures = measure(jobs)
    show(row for row in rows if row.against != "compilation")
    compiling = [row for row in rows if row.against == "compilation"]
    if compiling:
        show(compiling, "Compilation, which is left out above")
    verdicts = [row.verdict() for row in rows]
    print(f"\n{verdicts.count('reached')} targets reached, {verdicts.count('missed')} missed, "
          f"{sum(not len(row.values) for row in rows)} rows skipped; {time.perf_counter() - start:.0f} s")  # fmt: skip
    if options.json:
        write(options.json, machine, rows)
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""How much of the code `verify` and the tests have run: its lines and its branches, each with the least that will do.

    make coverage        (python tests/coverage_check.py FILE, which `coverage json` wrote)

Printed are both for every room, and the files that have the most left. A compiled kernel runs unseen: its body counts
where a test runs it as plain Python (`tests/modes.py`, in a process of its own), and what tells the compiler how to
write vectors (`simulate.lanes`, `simulate.strips`) where a test compiles. Exit status 1 if too little of either is run.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LEAST = {"lines": 95.0, "branches": 90.0}  # per cent
COUNTS = {"lines": ("covered_lines", "num_statements"), "branches": ("covered_branches", "num_branches")}
SHOWN = 8  # files

Summary = Mapping[str, int]  # its counts; coverage writes shares beside them
Files = Mapping[str, Mapping[str, Any]]


def share(summary: Summary, kind: str) -> float:
    """Return how much of `kind` is covered, in per cent; of nothing, all."""
    covered, number = (summary[name] for name in COUNTS[kind])
    return 100.0 * covered / number if number else 100.0


def by_room(files: Files) -> dict[str, Counter[str]]:
    """Return the sums over the files of each room."""
    rooms: dict[str, Counter[str]] = {}
    for path, file in files.items():
        counts = {name: file["summary"][name] for pair in COUNTS.values() for name in pair}
        rooms.setdefault(Path(path).parts[0], Counter()).update(counts)
    return rooms


def left(file: Mapping[str, Any]) -> int:
    """Return how many lines and branches of a file no test has run."""
    return sum(file["summary"][number] - file["summary"][covered] for covered, number in COUNTS.values())


def lines_of(name: str, summary: Summary) -> str:
    """Return a line of the table."""
    return f"{name:40}" + "".join(f"{share(summary, kind):9.2f}" for kind in LEAST)


def main(path: str | Path) -> list[str]:
    """Print the table; return the kinds of which too little is covered."""
    found = json.loads(Path(path).read_text())
    files = found["files"]
    print(f"{'per cent':40}" + "".join(f"{kind:>9}" for kind in LEAST))
    for room, summary in sorted(by_room(files).items()):
        print(lines_of(room, summary))
    print(lines_of("all", found["totals"]))
    print("\nthe most is left of:")
    for name in sorted(files, key=lambda name: left(files[name]), reverse=True)[:SHOWN]:
        print(lines_of(name, files[name]["summary"]))
    return [kind for kind, least in LEAST.items() if share(found["totals"], kind) < least]


if __name__ == "__main__":
    short = main(sys.argv[1])
    sys.exit("; ".join(f"of {kind} {LEAST[kind]:g} % must be covered" for kind in short) or 0)

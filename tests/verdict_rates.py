"""How often is a verdict wrong? Every claim is observed again and again with fresh seeds, and each time judged.

    make verdicts        (python tests/verdict_rates.py [ID or glob]… [--repeats 100] [--store FOLDER] [--workers 2]
                          [--hours 3] [--write])

A repeat is one whole check of a claim, its twin and its control, as `sharpbounds verify ID --seed S` makes it, with a
seed S from `FIRST` on that nothing else uses, at the quick settings or, for the dearest claims, at those of
`verdict_settings.toml`. All claims are first observed 2 times, then 10, 30 and `--repeats` times, the cheap ones
first: whenever the run is stopped, all have had about as many. A claim that averages nothing and whose first two
observations agree to the last bit does not depend on seeds, and is not observed again.

The store has one file of JSON lines a claim, a line a repeat, each on disk before the next is begun; a run that was
killed is carried on by the same command. A line has the verdicts and, where an interval is judged, the samples, to be
judged at other rates. It counts as long as the claim's settings stay: for a claim that observes or predicts otherwise,
or for other kernels, take another store.

`--write` makes `docs/verdicts.json` of the store, and of that the table in `docs/verdicts.md` (`verdict_table`).
"""

import argparse
import base64
import hashlib
import io
import json
import os
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, which has a `theory` of its own

from simulate.compiled import cache_folder, fingerprint
from simulate.executor import executor_of
from simulate.run import Result
from simulate.runner import Runner, single_threaded
from simulate.store import Store
from simulate.types import FloatArray
from theory.check import FALSE_ALARM, SEED_STRIDE, parts, predicted
from theory.claim import Claim, Kind, Observation, Samples
from theory.commands import plain_json
from theory.registry import claims, select
from theory.verdict import judge

_SMALLER = tomllib.loads(Path(__file__).with_name("verdict_settings.toml").read_text())
SMALLER = {f"{paper}/{name}": changes for paper, by_name in _SMALLER.items() for name, changes in by_name.items()}
FIRST = 1000  # the seed of the first repeat
STAGES = (2, 10, 30)

Axes = Mapping[str, tuple[Samples, FloatArray]]
"""Of one part of a claim the samples and the prediction of every axis, "" where there is one."""

Task = tuple[str, int]
"""A claim's id and the number of a repeat."""


class Part(TypedDict):
    """How a claim, its twin or its control was judged, and what was (`packed`) where an interval is."""

    outcome: str
    value: float
    samples: NotRequired[str]


class Line(TypedDict):
    """A line of the store."""

    id: str
    key: str
    repeat: int
    digest: str
    seconds: float
    kernels: str
    parts: dict[str, Part]


def settings_of(claim: Claim) -> dict[str, Any]:
    """Return the settings at which a claim is repeated, but for the seed."""
    return {**claim.quick, **SMALLER.get(claim.id, {})}


def key_of(claim: Claim) -> str:
    """Return a hash of everything that is set for a claim's observations."""
    set_ = [settings_of(claim), {name: changes for name, (changes, _, _) in parts(claim).items()}]
    return hashlib.sha256(json.dumps(plain_json(set_), sort_keys=True).encode()).hexdigest()[:12]


def axes_of(observation: Observation, prediction: Any) -> Axes:
    """Return samples and prediction by axis."""
    if isinstance(observation, Samples):
        observation, prediction = {"": observation}, {"": prediction}
    return {axis: (samples, np.asarray(prediction[axis], float)) for axis, samples in observation.items()}


def averaged(kind: Kind, samples: Samples, prediction: FloatArray) -> bool:
    """Return whether replicates of an axis are averaged, and so an interval is judged."""
    if kind in (Kind.UPPER_BOUND, Kind.LOWER_BOUND):
        return np.ndim(samples.observed) > prediction.ndim
    return kind is not Kind.IDENTITY


GIVEN = ("x", "trivial", "range")  # what judges read of what is given


def packed(axes: Axes) -> str:
    """Return what judges read of samples and predictions as text."""
    arrays: dict[str, FloatArray] = {}
    for axis, (samples, prediction) in axes.items():
        kept = {"observed": samples.observed, "predicted": prediction}
        kept |= {name: samples.given[name] for name in GIVEN if samples.given.get(name) is not None}
        arrays |= {f"{axis}\t{name}": np.asarray(values, float) for name, values in kept.items()}
    buffer = io.BytesIO()
    numbered: dict[str, Any] = {f"a{k}": a for k, a in enumerate(arrays.values())}  # Any: one option is no array
    np.savez_compressed(buffer, names=list(arrays), **numbered)
    return base64.b64encode(buffer.getvalue()).decode()


def unpacked(text: str) -> Axes:
    """Return what `packed` was given."""
    arrays = np.load(io.BytesIO(base64.b64decode(text)))
    found: dict[str, dict[str, FloatArray]] = {}
    for k, name in enumerate(arrays["names"]):
        axis, _, what = str(name).partition("\t")
        found.setdefault(axis, {})[what] = arrays[f"a{k}"]
    return {
        axis: (Samples(a["observed"], {name: a[name] for name in GIVEN if name in a}), a["predicted"])
        for axis, a in found.items()
    }


class Memory(Store):
    """A run store that lasts as long as one repeat: claim, twin and control share runs."""

    def __init__(self) -> None:
        self._runs: dict[str, Result] = {}

    def get(self, key: str) -> Result | None:
        """Return what was put under a key."""
        return self._runs.get(key)

    def put(self, results: dict[str, Result], strict: bool = False) -> None:
        """Keep results; that cannot fail."""
        self._runs |= results


def observed(name: str, repeat: int) -> Line:
    """Observe and judge a claim, its twin and its control with the seed of one repeat; return the store's line."""
    claim, start = claims()[name], time.process_time()
    settings = {**settings_of(claim), "seed": (FIRST + repeat) * SEED_STRIDE}
    samples, digest = None, hashlib.sha256()
    rows: dict[str, Part] = {}
    with Runner(1, Memory()) as runner, single_threaded():
        for part, (changes, predict, worst) in parts(claim).items():
            found = claim.observe({**settings, **changes}, runner) if changes or samples is None else samples
            samples = found if part == "claim" else samples
            prediction = predicted(predict, found)
            verdict = judge(claim.kind, found, prediction, claim.tolerance, FALSE_ALARM / len(claims()), worst=worst)
            rows[part] = {"outcome": str(verdict.outcome), "value": verdict.value}
            axes = axes_of(found, prediction)
            for one, predicted_ in axes.values():
                digest.update(np.asarray(one.observed, float).tobytes() + predicted_.tobytes())
            if kept := {axis: one for axis, one in axes.items() if averaged(claim.kind, *one)}:
                rows[part]["samples"] = packed(kept)
    return {
        "id": name, "key": key_of(claim), "repeat": repeat, "digest": digest.hexdigest()[:16],
        "seconds": round(time.process_time() - start, 3), "kernels": fingerprint(), "parts": rows,
    }  # fmt: skip


class Results:
    """The lines of a folder, by claim and repeat."""

    def __init__(self, folder: Path, chosen: Iterable[Claim]) -> None:
        self.folder = folder
        self.rows: dict[str, dict[int, Line]] = {}
        for claim in chosen:
            path, key = self._path(claim.id), key_of(claim)
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            rows = [row for line in lines if (row := _read(line)) and row["key"] == key]
            self.rows[claim.id] = {row["repeat"]: row for row in rows}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name.replace('/', '--')}.jsonl"

    def add(self, row: Line) -> None:
        """Append a line; it is on disk when this returns. What a killed run has left of a line is ended first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(row["id"])
        line = json.dumps(plain_json(row), ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with open(path, "ab+") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(end - 1, 0))
            torn = end and file.read(1) != b"\n"
            file.write(b"\n" * bool(torn) + line)
            file.flush()
            os.fsync(file.fileno())
        self.rows[row["id"]][row["repeat"]] = row

    def seconds(self, name: str) -> float:
        """Return the median CPU seconds of a repeat; of one not yet seen, none."""
        found = [row["seconds"] for row in self.rows[name].values()]
        return float(np.median(found)) if found else 0.0

    def fixed(self, name: str) -> bool:
        """Return whether a claim was seen not to depend on seeds; replicates that agree are replicates."""
        rows = self.rows[name].values()
        same = len(rows) > 1 and len({row["digest"] for row in rows}) == 1
        return same and not any("samples" in part for row in rows for part in row["parts"].values())


def _read(line: str) -> Line | None:
    try:
        row: Line = json.loads(line)
    except ValueError:  # the end of a run that was killed
        return None
    return row


def run(results: Results, repeats: int, workers: int = 1, until: float = np.inf) -> list[tuple[str, int, Exception]]:
    """Observe what is missing up to `repeats`, stage by stage; return [(claim, repeat, error)] of what could not be."""
    failed = []
    with executor_of(workers) as (pool, _):
        for stage in sorted({*(s for s in STAGES if s < repeats), repeats}):
            wanted = [
                (name, k) for name in sorted(results.rows, key=results.seconds) if not results.fixed(name)
                for k in range(stage) if k not in results.rows[name]
            ]  # fmt: skip
            cost = sum(results.seconds(name) for name, _ in wanted)
            print(f"{len(wanted)} observations up to {stage} repeats, some {cost / workers:.0f} s", flush=True)
            for task, row in _each(pool, wanted, until):
                if isinstance(row, Exception):
                    failed.append((*task, row))
                else:
                    results.add(row)
    return failed


def _each(pool: Executor | None, tasks: Sequence[Task], until: float) -> Iterator[tuple[Task, Line | Exception]]:
    """Yield (task, line or error) as they are done, and begin none after `until`."""
    if pool is None:
        for task in tasks:
            if (row := _attempt(*task, until)) is not None:
                yield task, row
        return
    futures = {pool.submit(_attempt, *task, until): task for task in tasks}
    for future in as_completed(futures):
        if (row := future.result()) is not None:
            yield futures[future], row


def _attempt(name: str, repeat: int, until: float) -> Line | Exception | None:
    try:
        return observed(name, repeat) if time.time() < until else None
    except Exception as error:  # told at the end: one observation is not to end a run of hours
        return error


def main() -> None:
    """Run, and print the table; see the module."""
    import verdict_table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", metavar="ID or glob")
    parser.add_argument("--repeats", type=int, default=100, help="0: run nothing, tell what is in the store")
    parser.add_argument("--store", type=Path, default=cache_folder() / "verdicts")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--hours", type=float, default=np.inf)
    parser.add_argument("--write", action="store_true", help="write docs/verdicts.json and its table")
    given = parser.parse_args()
    chosen = [claim for claim in select(given.patterns) if not claim.missing()]
    results = Results(given.store, chosen)
    failed = run(results, given.repeats, given.workers, time.time() + 3600 * given.hours) if given.repeats else []
    rows = verdict_table.summary(results)
    print(verdict_table.table(rows))
    if given.write:
        verdict_table.write(rows)
    for name, repeat, error in failed:
        print(f"{name}, repeat {repeat}: {type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(1 if failed or not all(row["compatible"] for row in rows) else 0)


if __name__ == "__main__":
    main()

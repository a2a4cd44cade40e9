"""Scans: a grid of runs in a directory that can be killed at any moment and carried on.

The directory holds `scan.json` (what is scanned: model, fixed letters, axes, seeds, contents of data files, kernels,
versions, machine), the runs as Parquet parts (`simulate.store`), each written whole and renamed, and `failures.json`
(runs that raised, tried again when the scan is carried on). A run is known by its key, so a grid value or a seed that
is added later changes no other run, and what is there already is not computed again. One process writes: it holds a
lock on the directory.
"""

import fcntl
import json
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from simulate.compiled import fingerprint
from simulate.executor import Failure, completed, executor_of
from simulate.grid import count_points, parse_zips, points, united
from simulate.parameters import ParameterError, integer, reject
from simulate.parameters import folder as folder_of
from simulate.run import DataFile, Result, Specification, seed_key
from simulate.store import Store

LARGEST = 10**8  # runs
_LETTER = str | int | float | None
FLUSH_SECONDS, FLUSH_RUNS = 5.0, 20_000  # what a kill may cost at most, and what is kept in memory


@dataclass(frozen=True)
class Plan:
    """What is scanned: model, fixed letters, axes {letter: values}, zipped axes, the first seed and how many."""

    model: str
    fixed: Mapping[str, object]
    axes: Mapping[str, tuple[Any, ...]]
    zips: tuple[tuple[str, ...], ...] = ()
    first_seed: int = 0
    seeds: int = 1

    def __post_init__(self) -> None:
        """Refuse more runs than can be told apart in memory; raises ParameterError."""
        if self.size > LARGEST:
            reject("runs of the grid", self.size, f"at most {LARGEST}")

    @property
    def size(self) -> int:
        """Number of runs."""
        return count_points(self.axes, self.zips) * self.seeds

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data, with what it runs on."""
        machine = {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()}
        versions = {"python": platform.python_version(), "numpy": np.__version__, "pyarrow": pa.__version__}
        files = self.axes.get("data", (self.fixed.get("data"),))
        return {
            "model": self.model, "fixed": dict(self.fixed), "axes": {k: list(v) for k, v in self.axes.items()},
            "zip": [list(names) for names in self.zips], "first_seed": self.first_seed, "seeds": self.seeds,
            "contents": {file: DataFile(file).sha256 for file in files if file is not None}, "kernels": fingerprint(),
            "versions": versions, "machine": machine,
        }  # fmt: skip


def plan_of(record: Mapping[str, Any]) -> Plan:
    """Return the plan of a scan.json's contents, or raise ParameterError, KeyError or TypeError."""
    fixed, axes = dict(record["fixed"]), {name: tuple(values) for name, values in record["axes"].items()}
    zips = parse_zips([",".join(names) for names in record["zip"]], axes)
    first, seeds = integer("first_seed", record["first_seed"], 0), integer("seeds", record["seeds"], 1)
    for name, values in axes.items():
        if not values or not all(isinstance(value, _LETTER) for value in values):
            reject(f"axis {name}", values, "numbers or words")
    for name, value in fixed.items():
        if not isinstance(value, _LETTER) and not all(isinstance(one, int | float) for one in value):
            reject(name, value, "a number, a word or a list of numbers")
    return Plan(record["model"], fixed, axes, zips, first, seeds)


def read_record(folder: Path) -> dict[str, Any]:
    """Return the contents of a directory's scan.json; ParameterError where there is none that can be read."""
    try:
        record: dict[str, Any] = json.loads((folder / "scan.json").read_text(encoding="utf-8"))
        "".join([plan_of(record).model, record["kernels"], *record["contents"].values()])  # all of them texts
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ParameterError(f"scan directory = {str(folder)!r}: must hold a scan.json ({error!r})") from error
    return record


def _read_failures(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what failures.json holds; nothing where it cannot be read, since what failed is tried again anyway."""
    try:
        found = json.loads((folder / "failures.json").read_text(encoding="utf-8"))
        return {key: failure for key, failure in found.items() if isinstance(failure, dict)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def merged(plan: Plan, record: Mapping[str, Any], folder: Path) -> Plan:
    """Return the plan that carries on what the `record` of a directory says, with values and seeds of both.

    Raises ParameterError, the difference shown, where anything else differs.
    """
    old, differences = plan_of(record), []
    new = json.loads(json.dumps(plan.to_dict()))
    for name in ("model", "kernels", "first_seed", "zip"):
        if new[name] != record[name]:
            differences.append(f"{name}: {record[name]} there, {new[name]} now")
    for name in sorted({*old.fixed, *plan.fixed}):
        there, now = (fixed.get(name, "left out") for fixed in (record["fixed"], new["fixed"]))
        if there != now:
            differences.append(f"{name}: {there} there, {now} now")
    for file, there in record["contents"].items():
        if (now := new["contents"].get(file, there)) != there:
            differences.append(f"contents of {file}: {there[:12]}… there, {now[:12]}… now")
    if set(old.axes) != set(plan.axes):
        differences.append(f"axes: {', '.join(old.axes)} there, {', '.join(plan.axes)} now")
    if differences:
        allowed = "the same scan, to which grid values and seeds may be added"
        raise ParameterError(f"scan directory = {str(folder)!r}: must hold {allowed} ({'; '.join(differences)})")
    return replace(plan, axes=united(old.axes, plan.axes, plan.zips), seeds=max(plan.seeds, old.seeds))


Specify = Callable[[dict[str, Any], int], Specification]
"""The specification of a point (fixed letters and the point's, by name) and a seed."""


class Scan:
    """An open scan directory.

    `specify(letters, seed)` makes specifications; with `one_family` those of a point differ in the seed alone.
    `failures` are the runs that raised, by key: letters, seed and message. Letters that no run can have are a failure
    of theirs. `kernels` is the fingerprint of those that stored the runs, to read what an older version left.
    """

    def __init__(
        self, folder: Path, plan: Plan, specify: Specify, one_family: bool = True, kernels: str | None = None
    ) -> None:
        self.folder, self.plan, self._specify, self._one_family = Path(folder), plan, specify, one_family
        self.kernels = kernels or fingerprint()
        self.store = Store(self.folder / "runs", check=True)
        self.failures = _read_failures(self.folder)

    def runs(self) -> Iterator[tuple[str, dict[str, Any], int, Callable[[], Specification]]]:
        """Yield (key, point, seed, specification when called) of every run, in the order of the grid."""
        plan = self.plan
        seeds = range(plan.first_seed, plan.first_seed + plan.seeds)
        for point in points(plan.axes, plan.zips):
            letters = {**plan.fixed, **point}
            if self._one_family:
                spec, family = self._specified(letters, plan.first_seed)
            for seed in seeds:
                if not self._one_family:
                    spec, family = self._specified(letters, seed)
                yield seed_key(family, seed), point, seed, partial(_at_seed, spec, seed)

    def _specified(self, letters: dict[str, Any], seed: int) -> tuple[Specification | ParameterError, str]:
        """Return (specification, family); for letters that no run can have (the error, what is wrong)."""
        try:
            spec = self._specify(letters, seed)
        except ParameterError as error:
            return error, json.dumps([letters, str(error)])
        return spec, spec.family(self.kernels)

    def missing(self) -> Iterator[tuple[str, dict[str, Any], int, Callable[[], Specification]]]:
        """Yield those of `runs` that are not stored, each key once."""
        seen = set()
        for run in self.runs():
            if run[0] not in self.store and run[0] not in seen:
                seen.add(run[0])
                yield run

    def run(
        self, workers: int = 1, scheduler: str | None = None,
        progress: Callable[[int, int], object] = lambda done, failed: None,
    ) -> bool:  # fmt: skip
        """Compute what is missing; return False if an interrupt ended it before.

        `progress(done, failed)` is called after every chunk. What is done is written every few seconds and at the end.
        Raises ParameterError where the directory cannot be written and `executor.WorkersLost`; what was done is kept.
        """
        where = {}

        def todo() -> Iterator[tuple[str, Specification]]:
            for key, point, seed, spec in self.missing():
                where[key] = {**point, "seed": seed}
                try:
                    made = spec()
                except ParameterError as error:
                    self.failures[key] = {**where.pop(key), "message": str(error)}
                    progress(1, 1)
                else:
                    yield key, made

        buffer, flushed = {}, time.monotonic()
        with executor_of(workers, scheduler) as (executor, slots), _interrupts() as interrupted:
            try:
                for chunk in completed(todo(), executor, slots, interrupted):
                    failed = 0
                    for key, outcome in chunk:
                        at = where.pop(key)
                        if isinstance(outcome, Failure):
                            self.failures[key] = {**at, "message": outcome.message}
                            failed += 1
                        else:
                            buffer[key] = outcome
                            self.failures.pop(key, None)
                    if time.monotonic() - flushed > FLUSH_SECONDS or len(buffer) >= FLUSH_RUNS:
                        self._flush(buffer)
                        flushed = time.monotonic()
                    progress(len(chunk), failed)
            finally:
                self._flush(buffer)
            return not interrupted()

    def _flush(self, buffer: dict[str, Result]) -> None:
        try:
            self.store.put(buffer, strict=True)
            write_json(self.folder / "failures.json", self.failures)
        except OSError as error:
            raise ParameterError(f"scan directory = {str(self.folder)!r}: must be writable ({error})") from error
        buffer.clear()

    def table(self) -> pa.Table:
        """Return one row a finished run in the order of the grid: axes, seed, status, steps, scalar results."""
        found = self._scalars()
        rows = []
        for key, point, seed, _ in self.runs():
            if key in found:
                rows.append({**point, "seed": seed, **found[key]})
        names = list(dict.fromkeys(name for row in rows for name in row))
        return pa.table({name: _column([row.get(name) for row in rows]) for name in names})

    def _scalars(self) -> dict[str, dict[str, Any]]:
        found = {}
        for table in self.store.tables(["key", "status", "steps", "scalars"]):
            columns = (table[name].to_pylist() for name in table.column_names)
            for key, status, steps, scalars in zip(*columns, strict=True):
                found[key] = {"status": status, "steps": steps, **dict(scalars)}
        return found


def _column(values: list[Any]) -> list[Any]:
    """Return values of one type: words where there is a word among them."""
    words = any(isinstance(value, str) for value in values)
    return [str(value) if words and value is not None else value for value in values]


def _at_seed(spec: Specification | ParameterError, seed: int) -> Specification:
    if isinstance(spec, ParameterError):
        raise spec
    return spec.at_seed(seed)


def write_json(path: Path, record: object) -> None:
    """Write a JSON file whole: under a temporary name, flushed, renamed."""
    temporary = path.with_name(path.name + ".part")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def opened(folder: str | Path, plan: Plan, specify: Specify, one_family: bool = True) -> Iterator[Scan]:
    """Open a scan directory for writing, new or to be carried on; give the `Scan`.

    Raises ParameterError: a directory that cannot be written, that another process writes, or of another scan.
    """
    folder = folder_of("scan directory", folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "w")  # noqa: SIM115 (held while the scan is open)
    except (OSError, ValueError) as error:
        raise ParameterError(f"scan directory = {str(folder)!r}: must be writable ({error})") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ParameterError(f"scan directory = {str(folder)!r}: must not be in use by another process") from error
        if (folder / "scan.json").exists():
            plan = merged(plan, read_record(folder), folder)
        try:
            write_json(folder / "scan.json", plan.to_dict())
            for left in (folder / "runs").glob("*.part"):  # of a writer that was killed
                left.unlink()
        except OSError as error:
            raise ParameterError(f"scan directory = {str(folder)!r}: must be writable ({error})") from error
        yield Scan(folder, plan, specify, one_family)


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether Ctrl-C was pressed once; pressed twice it raises as ever."""
    pressed: list[int] = []

    def remember(number: int, frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    previous = None
    with suppress(ValueError):  # not in the main thread: interrupts go elsewhere
        previous = signal.signal(signal.SIGINT, remember)
    try:
        yield lambda: bool(pressed)
    finally:
        if previous is not None:
            signal.signal(signal.SIGINT, previous)

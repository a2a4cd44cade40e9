"""The run store: finished runs on disk, found by key.

A store is a folder of Parquet parts, one row a run, each part written whole under a temporary name and renamed
into place; its name is the hash of its contents, checked when it is read. Runs of other kernels live in other folders
(`compiled.fingerprint`), so they never meet. A damaged part is named, set aside, and its runs are computed again.
"""

import hashlib
import io
import os
import uuid
import warnings
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simulate.compiled import cache_folder, fingerprint
from simulate.run import ConvResult

_SCALARS = ("train_loss", "clean_error", "clean_error_se", "test_error", "class_correlation")
_LABELS = ("labels", "signal_labels")
_HISTORY = ("step", "loss", "logits", "gamma", "rho", "deactivated")
_SCHEMA = pa.schema(
    [("key", pa.string()), ("status", pa.string()), ("steps", pa.int64())]
    + [(name, pa.float64()) for name in _SCALARS]
    + [(name, pa.list_(pa.float64())) for name in (*_LABELS, *_HISTORY)]
)


_OPEN_PARTS = 16  # parts kept decoded in memory


class Store:
    """Finished runs in a folder. Keys are read at the start, a part when one of its runs is asked for."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder or cache_folder() / f"runs-{fingerprint()}"
        self._places: dict[str, tuple[Path, int]] = {}
        self._unwritten: dict[str, ConvResult] = {}
        self._open = lru_cache(_OPEN_PARTS)(_read)
        for part in sorted(self.folder.glob("*.parquet")):
            try:
                self._index(part, pq.read_table(part, columns=["key"])["key"].to_pylist())
            except (OSError, ValueError, KeyError, pa.ArrowException) as error:
                self._set_aside(part, error)

    def _index(self, part, keys):
        self._places.update((key, (part, row)) for row, key in enumerate(keys))

    def _set_aside(self, part, error):
        damaged = part.with_suffix(".damaged")
        warnings.warn(f"{part} cannot be read ({error}); set aside as {damaged.name}", stacklevel=3)
        with suppress(OSError):  # the folder may be read-only, or another process faster
            os.replace(part, damaged)
        self._places = {key: place for key, place in self._places.items() if place[0] != part}

    def __contains__(self, key: str) -> bool:
        return key in self._places or key in self._unwritten

    def __len__(self) -> int:
        return len(self._places) + len(self._unwritten)

    def get(self, key: str) -> ConvResult | None:
        """Return the stored result, or None if there is none that can be read."""
        if key not in self._places:
            return self._unwritten.get(key)
        part, row = self._places[key]
        try:
            return _decode(self._open(part).slice(row, 1))
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            self._set_aside(part, error)
            return None

    def put(self, results: dict[str, ConvResult]) -> None:
        """Write results as one new part, whole or not at all; where that fails, warn once and keep them in memory."""
        if not results:
            return
        buffer = io.BytesIO()
        pq.write_table(_encode(results), buffer)
        part = self.folder / f"{_digest(buffer.getvalue())}.parquet"
        try:
            self._write(part, buffer.getvalue())
        except OSError as error:
            if not self._unwritten:
                warnings.warn(f"runs cannot be stored in {self.folder} ({error}); kept in memory", stacklevel=3)
            self._unwritten |= results
        else:
            self._index(part, results)

    def _write(self, part, data):
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = part.with_suffix(f".{uuid.uuid4().hex}")
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, part)
        finally:
            temporary.unlink(missing_ok=True)


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:32]


def _read(part):
    """Return the part's table, or raise OSError if its contents are not what its name says."""
    data = part.read_bytes()
    if _digest(data) != part.stem:
        raise OSError("its contents do not match its name")
    return pq.read_table(io.BytesIO(data), schema=_SCHEMA)


def _encode(results):
    columns = {"key": list(results)}
    runs = list(results.values())
    for name in ("status", "steps", *_SCALARS, *_LABELS):
        columns[name] = [getattr(run, name) for run in runs]
    for name in _HISTORY:
        columns[name] = [np.asarray(run.history[name], float).ravel() for run in runs]
    return pa.table(columns, schema=_SCHEMA)


def _decode(row):
    values = {name: row[name].combine_chunks() for name in row.column_names}
    arrays = {name: values[name].flatten().to_numpy().copy() for name in (*_LABELS, *_HISTORY)}
    steps, samples = len(arrays["step"]), len(arrays["labels"])
    neurons = len(arrays["gamma"]) // steps
    shapes = {"logits": (steps, samples), "gamma": (steps, neurons), "rho": (steps, neurons, -1)}
    if not arrays["rho"].size:
        shapes["rho"] = (steps, neurons, 0)
    history = {name: arrays[name].reshape(shapes.get(name, (steps,))) for name in _HISTORY}
    history["step"] = history["step"].astype(np.int64)
    scalars = {name: values[name][0].as_py() for name in ("status", "steps", *_SCALARS)}
    return ConvResult(**scalars, labels=arrays["labels"], signal_labels=arrays["signal_labels"], history=history)

"""The run store: finished runs on disk, found by key.

A store is a folder of Parquet parts, one row a run, each part written whole under a temporary name and renamed
into place. Runs of other kernels live in other folders (`compiled.fingerprint`), so they never meet. A part that
cannot be read is named, set aside and its runs are computed again.
"""

import os
import uuid
import warnings
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


class Store:
    """Finished runs in a folder; results are kept in memory as compressed Arrow tables and decoded when asked for."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder or cache_folder() / f"runs-{fingerprint()}"
        self._places: dict[str, tuple[pa.Table, int]] = {}
        for part in sorted(self.folder.glob("*.parquet")):
            try:
                table = pq.read_table(part, schema=_SCHEMA)
            except (OSError, pa.ArrowException) as error:
                damaged = part.with_suffix(".damaged")
                warnings.warn(f"{part} cannot be read ({error}); set aside as {damaged.name}", stacklevel=2)
                os.replace(part, damaged)
            else:
                self._index(table)

    def _index(self, table):
        self._places.update((key, (table, row)) for row, key in enumerate(table["key"].to_pylist()))

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> ConvResult:
        """Return the stored result; KeyError if there is none."""
        table, row = self._places[key]
        return _decode(table.slice(row, 1))

    def put(self, results: dict[str, ConvResult]) -> None:
        """Write results as one new part; the part is there whole or not at all."""
        if not results:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        table = _encode(results)
        part = self.folder / f"{uuid.uuid4().hex}.parquet"
        temporary = part.with_suffix(".part")
        try:
            with open(temporary, "wb") as file:
                pq.write_table(table, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, part)
        finally:
            temporary.unlink(missing_ok=True)
        self._index(table)


def _encode(results):
    columns = {"key": list(results)}
    runs = list(results.values())
    for name in ("status", "steps", *_SCALARS, *_LABELS):
        columns[name] = [getattr(run, name) for run in runs]
    for name in _HISTORY:
        columns[name] = [np.asarray(run.history[name], float).ravel() for run in runs]
    return pa.table(columns, schema=_SCHEMA)


def _decode(row):
    values = {name: row[name].chunk(0) for name in row.column_names}
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

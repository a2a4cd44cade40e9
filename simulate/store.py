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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simulate.compiled import cache_folder, fingerprint
from simulate.run import Result, result_from_parts

Found = TypeVar("Found")

_ARRAY = pa.struct([("dtype", pa.string()), ("shape", pa.list_(pa.int64())), ("values", pa.list_(pa.float64()))])
_SCHEMA = pa.schema({
    "key": pa.string(), "model": pa.string(), "status": pa.string(), "steps": pa.int64(),
    "scalars": pa.map_(pa.string(), pa.float64()), "arrays": pa.map_(pa.string(), _ARRAY),
})  # fmt: skip


_KEY_BYTES = 32  # that no compression takes from a key, a SHA-256 in hexadecimal
_EXPANSION = 64  # bytes that a byte of a part may stand for; of nothing but zeros it is 20
_DAMAGED = (OSError, ValueError, KeyError, TypeError, pa.ArrowException)
_PLAIN = "<f", "<i", "<u", "|i", "|u", "|b"  # kinds of arrays
_OPEN_PARTS = 16  # parts kept decoded in memory


class Store:
    """Finished runs in a folder. Keys are read at the start, a part when one of its runs is asked for.

    With `check` every part is checked at the start: what it holds then counts as done.
    """

    def __init__(self, folder: Path | None = None, check: bool = False) -> None:
        self.folder = folder or cache_folder() / f"runs-{fingerprint()}"
        self._places: dict[str, tuple[Path, int]] = {}
        self._unwritten: dict[str, Result] = {}
        self._open = lru_cache(_OPEN_PARTS)(_read)
        read = _read if check else _table
        for part, keys in self._whole(lambda part: read(part, columns=["key"])["key"].to_pylist()):
            self._index(part, keys)

    def tables(self, columns: list[str]) -> Iterator[pa.Table]:
        """Yield these columns of every part that is whole."""
        for _, table in self._whole(lambda part: _read(part, columns)):
            yield table

    def _whole(self, read: Callable[[Path], Found]) -> Iterator[tuple[Path, Found]]:
        """Yield (part, what `read` finds in it); set aside what is damaged."""
        for part in sorted(self.folder.glob("*.parquet")):
            try:
                found = read(part)
            except _DAMAGED as error:
                self._set_aside(part, error)
            else:
                yield part, found

    def _index(self, part: Path, keys: Iterable[str]) -> None:
        self._places.update((key, (part, row)) for row, key in enumerate(keys))

    def _set_aside(self, part: Path, error: Exception) -> None:
        damaged = part.with_suffix(".damaged")
        warnings.warn(f"{part} cannot be read ({error}); set aside as {damaged.name}", stacklevel=3)
        with suppress(OSError):  # the folder may be read-only, or another process faster
            os.replace(part, damaged)
        self._places = {key: place for key, place in self._places.items() if place[0] != part}

    def __contains__(self, key: str) -> bool:
        return key in self._places or key in self._unwritten

    def __len__(self) -> int:
        return len(self._places) + len(self._unwritten)

    def get(self, key: str) -> Result | None:
        """Return the stored result, or None if there is none that can be read."""
        if key not in self._places:
            return self._unwritten.get(key)
        part, row = self._places[key]
        try:
            return _decode(self._open(part).slice(row, 1))
        except _DAMAGED as error:
            self._set_aside(part, error)
            return None

    def put(self, results: dict[str, Result], strict: bool = False) -> None:
        """Write results as one new part, whole or not at all.

        Where that fails, raise OSError if `strict`; else warn once and keep them in memory.
        """
        if not results:
            return
        buffer = io.BytesIO()
        pq.write_table(_encode(results), buffer, use_dictionary=False)  # smaller and faster: few values repeat
        part = self.folder / f"{_digest(buffer.getvalue())}.parquet"
        try:
            self._write(part, buffer.getvalue())
        except OSError as error:
            if strict:
                raise
            if not self._unwritten:
                warnings.warn(f"runs cannot be stored in {self.folder} ({error}); kept in memory", stacklevel=3)
            self._unwritten |= results
        else:
            self._index(part, results)

    def _write(self, part: Path, data: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = part.with_suffix(f".{uuid.uuid4().hex}.part")
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, part)
        finally:
            temporary.unlink(missing_ok=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _read(part: Path, columns: list[str] | None = None) -> pa.Table:
    """Return the part's table, or raise OSError if its contents are not what its name says."""
    data = part.read_bytes()
    if _digest(data) != part.stem:
        raise OSError("its contents do not match its name")
    return _table(pa.BufferReader(data), columns, len(data))


def _table(source: Any, columns: list[str] | None = None, size: int | None = None) -> pa.Table:
    """Return a part's table, or raise ValueError where it declares more than its bytes can hold.

    What each column declares is not looked at: of a damaged part pyarrow would end the process. A part made on purpose,
    with a dictionary, may unpack to more than this allows.
    """
    size = source.stat().st_size if size is None else size
    found = pq.read_metadata(source)
    unpacked = sum(found.row_group(k).total_byte_size for k in range(found.num_row_groups))
    if _KEY_BYTES * found.num_rows > size or unpacked > _EXPANSION * size:
        raise ValueError(f"{found.num_rows} rows of {unpacked} bytes in {size} bytes")
    # without pyarrow's threads, in which what is damaged can end the process; a part is read no slower
    return pq.read_table(source, schema=_SCHEMA, columns=columns, use_threads=False, pre_buffer=False)


def _encode(results: dict[str, Result]) -> pa.Table:
    """Return the table of results, made column by column: row by row it would cost more than many a run."""
    scalars, arrays = zip(*(result.parts() for result in results.values()), strict=True)
    every = [array for found in arrays for array in found.values()]
    shapes = _lists([array.shape for array in every], np.int64)
    packed = [pa.array([array.dtype.str for array in every], pa.string()), shapes, _lists(every, float)]
    columns = {name: [getattr(result, name) for result in results.values()] for name in ("model", "status", "steps")}
    numbers = pa.array([value for found in scalars for value in found.values()], pa.float64())
    columns["key"] = list(results)
    columns["scalars"] = _maps(scalars, numbers)
    columns["arrays"] = _maps(arrays, pa.StructArray.from_arrays(packed, fields=list(_ARRAY)))
    return pa.table([columns[name] for name in _SCHEMA.names], schema=_SCHEMA)


def _lists(arrays: Sequence[Any], kind: type) -> pa.ListArray:
    flat = np.concatenate([np.zeros(0, kind), *(np.asarray(array, kind).ravel() for array in arrays)])
    return pa.ListArray.from_arrays(_offsets([np.size(array) for array in arrays]), pa.array(flat))


def _maps(dictionaries: Sequence[dict[str, Any]], values: pa.Array) -> pa.MapArray:
    names = pa.array([name for found in dictionaries for name in found], pa.string())
    return pa.MapArray.from_arrays(_offsets([len(found) for found in dictionaries]), names, values)


def _offsets(sizes: Iterable[int]) -> pa.Array:
    return pa.array(np.cumsum([0, *sizes]), pa.int32())


def _decode(row: pa.Table) -> Result:
    plain = {name: row[name][0].as_py() for name in ("model", "status", "steps")}
    if row["arrays"].null_count:
        raise ValueError("no arrays")
    names, packed = row["arrays"][0].values.flatten()
    kinds, shapes, values = packed.flatten()
    first, flat = values.offsets.to_numpy(), values.values.to_numpy()
    each = zip(names.to_pylist(), kinds.to_pylist(), shapes.to_pylist(), first[:-1], first[1:], strict=True)
    if other := [kind for kind in kinds.to_pylist() if kind[:2] not in _PLAIN]:
        raise ValueError(f"arrays of {other[0]}")
    found = {name: flat[start:end].reshape(shape).astype(kind) for name, kind, shape, start, end in each}
    return result_from_parts(**plain, scalars=dict(row["scalars"][0].as_py()), arrays=found)

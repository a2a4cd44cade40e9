"""The user's own .npz files: plain arrays of finite numbers, never unpickled."""

import math
import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulate.parameters import ParameterError, reject

# what a damaged file raises: a bad zip, a bad stream, an unknown or encrypted one, a shape beyond memory
_DAMAGED = (zipfile.BadZipFile, zlib.error, RuntimeError, MemoryError, OverflowError)

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_ALWAYS, _RATIO = 2**30, 20  # bytes that any file may unpack to, and how many times its own size a larger one may


def read_arrays(path: str | Path, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by key: all of `required`, any of `optional`, no others, finite and real.

    Raises ParameterError naming the file and the key at fault.
    """
    arrays: dict[str, np.ndarray] = {}
    at = ""
    try:
        with open(os.fsdecode(path), "rb") as handle:
            file = np.load(handle, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("a bare array")
            archive: Any = file.zip
            unpacked, size = sum(member.file_size for member in archive.infolist()), os.fstat(handle.fileno()).st_size
            if unpacked > max(_ALWAYS, _RATIO * size):
                raise ValueError(f"{size} bytes that unpack to {unpacked}")
            for name, member in zip(file.files, archive.infolist(), strict=True):
                at = f", key {name}"
                _check_header(archive, member)
            at = ""
            _check_keys(file.files, required, optional)
            for name in file.files:
                at = f", key {name}"
                arrays[name] = file[name]
    except ParameterError:
        raise
    except (OSError, EOFError, TypeError, ValueError, *_DAMAGED) as error:
        if not at:
            reject("data", path, f"an .npz file of plain arrays ({error})")
        raise ParameterError(f"data = {str(path)!r}{at}: must be an .npz file of plain arrays ({error})") from error
    for name, value in arrays.items():
        with np.errstate(over="ignore"):  # a longer float may be finite, and infinite as a float64
            finite = value.dtype.kind in "fiu" and np.isfinite(value.astype(float)).all()
        if not finite:
            reject(name, f"array of {value.dtype}", "finite real numbers")
    return arrays


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raise ValueError unless a member holds as many bytes as its header declares, before any are asked for."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"version {version} of the format is not for plain arrays")
        shape, _, dtype = _HEADERS[version](stream)
        declared, held = math.prod(shape) * dtype.itemsize, member.file_size - stream.tell()
    if dtype.hasobject:
        raise ValueError("objects, which would need allow_pickle")
    if declared != held or min(shape, default=0) < 0:
        raise ValueError(f"shape {shape} of {dtype} is {declared} bytes, not {held}")


def _check_keys(names: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> None:
    if unknown := sorted(set(names) - {*required, *optional}):
        reject("data file key", unknown[0], "one of " + ", ".join(sorted({*required, *optional})))
    if missing := sorted(set(required) - set(names)):
        wanted = f"at least {', '.join(required)} (missing: {', '.join(missing)})"
        reject("data file keys", sorted(names), wanted)
    if len(set(names)) < len(names):
        reject("data file keys", sorted(names), "different")

"""The user's own .npz files: plain arrays of finite numbers, never unpickled."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from simulate.parameters import ParameterError, reject

# what a damaged file raises: a bad zip, a bad stream, an unknown or encrypted one, a shape beyond memory
_DAMAGED = (zipfile.BadZipFile, zlib.error, RuntimeError, MemoryError, OverflowError)


def read_arrays(path: str | Path, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by key: all of `required`, any of `optional`, no others, finite and real.

    Raises ParameterError naming the file and the key at fault.
    """
    arrays, at = {}, ""
    try:
        with open(path, "rb") as handle:
            file = np.load(handle, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("a bare array")
            for name in file.files:
                at = f", key {name}"
                arrays[name] = file[name]
    except (OSError, EOFError, ValueError, *_DAMAGED) as error:
        raise ParameterError(f"data = {str(path)!r}{at}: must be an .npz file of plain arrays ({error})") from error
    if unknown := sorted(set(arrays) - {*required, *optional}):
        reject("data file key", unknown[0], "one of " + ", ".join(sorted({*required, *optional})))
    if missing := sorted(set(required) - set(arrays)):
        wanted = f"at least {', '.join(required)} (missing: {', '.join(missing)})"
        reject("data file keys", sorted(arrays), wanted)
    for name, value in arrays.items():
        with np.errstate(over="ignore"):  # a longer float may be finite, and infinite as a float64
            finite = value.dtype.kind in "fiu" and np.isfinite(value.astype(float)).all()
        if not finite:
            reject(name, f"array of {value.dtype}", "finite real numbers")
    return arrays

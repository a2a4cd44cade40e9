"""Compilation of the kernels, and the fingerprint of the sources they come from."""

import hashlib
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar, overload

import numba
import numpy
import platformdirs
import scipy

Function = TypeVar("Function", bound=Callable[..., Any])


def cache_folder() -> Path:
    """Return the folder for compiled kernels and finished runs: $SHARPBOUNDS_CACHE, or the user's own."""
    chosen = os.environ.get("SHARPBOUNDS_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("sharpbounds", appauthor=False)


@cache
def fingerprint() -> str:
    """Return a hash of every source in `simulate` and of the libraries that decide its last bits.

    It names the folders of the compiled kernels and of the stored runs, so that neither a kernel that
    calls an edited function nor a result of an older kernel is ever met again. (numba's own cache looks
    at the file of the calling function only.)
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    for library in (numpy, scipy, numba):
        digest.update(f"{library.__name__} {library.__version__}".encode())
    return digest.hexdigest()[:16]


@overload
def kernel(function: Function) -> Function: ...
@overload
def kernel(*, inline: bool = False) -> Callable[[Function], Function]: ...
def kernel(function: Callable[..., Any] | None = None, *, inline: bool = False) -> Any:
    """Compile `function` without fastmath and without the global interpreter lock, cached by `fingerprint`.

    Division by zero gives what IEEE 754 says, without a test at every division. With `inline` the body is put in place
    of every call, for functions so small that passing their arrays costs as much as they do.
    """
    if function is None:
        return partial(kernel, inline=inline)
    folder = cache_folder() / f"kernels-{fingerprint()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    config: Any = numba.config
    previous, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        options = {"inline": "always"} if inline else {"cache": writable}
        return numba.njit(nogil=True, error_model="numpy", **options)(function)
    finally:
        config.CACHE_DIR = previous

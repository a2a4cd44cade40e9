"""A theorem of one's own: claims from a Python file outside the project.

The file is imported as the module `theory.own.<its path in hexadecimal>`, so that its name clashes with no other, and a
worker process that is sent what the file defines finds it again.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from simulate.parameters import ParameterError, reject
from theory.claim import Claim, Paper

__path__: list[str] = []  # a package without files: `_Finder` has its modules
_PREFIX = __name__ + "."
_loaded: dict[Any, Any] = {}


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        """Compile the file as it is now: a folder of a user's gets no __pycache__."""
        return compile(self.get_data(self.path), self.path, "exec", dont_inherit=True)


class _Finder:
    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec of the file that a module's name stands for."""
        if not fullname.startswith(_PREFIX):
            return None
        file = bytes.fromhex(fullname.removeprefix(_PREFIX)).decode()
        return spec_from_file_location(fullname, file, loader=_Loader(fullname, file))


if _Finder not in sys.meta_path:
    sys.meta_path.append(_Finder)


def is_file(pattern: str) -> bool:
    """Return whether a pattern names a file of claims, or the part of one that FILE::GLOB takes."""
    return pattern.partition("::")[0].endswith(".py") or os.path.isfile(pattern)


def load(name: str) -> ModuleType:
    """Return the module of a file, imported anew if it has changed; ParameterError says what is wrong in which line."""
    allowed = "a Python file, NAME.py, that can be read"
    path = Path(name).resolve()
    try:
        source = path.read_bytes() if path.suffix == ".py" else reject("file of claims", name, allowed)
    except OSError as error:
        reject("file of claims", name, f"{allowed} ({error.strerror})")
    before, module = _loaded.get(path, (None, None))
    if source != before:
        fullname = _PREFIX + str(path).encode().hex()
        sys.modules.pop(fullname, None)
        _loaded[path] = source, None
        try:
            module = importlib.import_module(fullname)
        except (Exception, SystemExit) as error:
            told = blame(error)
            del _loaded[path]
            raise ParameterError(f"file of claims = {name!r}: must run without an error ({told})") from error
        _loaded[path] = source, module
    loaded: ModuleType = module
    return loaded


def claims(name: str) -> dict[str, Claim]:
    """Return what a file has as `CLAIMS`, by id; ParameterError if that is no list of claims with ids of their own."""
    found: Any = getattr(load(name), "CLAIMS", None)
    if not isinstance(found, Sequence) or not found or not all(isinstance(claim, Claim) for claim in found):
        reject(f"CLAIMS of {name}", found, "a list of one or more claims, CLAIMS = [Claim(…), …]")
    ids = [claim.id for claim in found]
    for claim_id in ids:
        if not isinstance(claim_id, str) or ids.count(claim_id) > 1:
            reject(f"id of a claim of {name}", claim_id, "a text that no other claim has as its id")
    return dict(zip(ids, found, strict=True))


def paper(claim: Claim) -> Paper | None:
    """Return what the file of a claim has as `PAPER`; None without one, or if the claim comes from no file."""
    for _, module in _loaded.values():
        if any(claim is one for one in getattr(module, "CLAIMS", ())):
            found = getattr(module, "PAPER", None)
            return found if found is None or isinstance(found, Paper) else reject("PAPER", found, "a Paper")
    return None


def blame(error: BaseException) -> str | None:
    """Return where in a user's file an error arose, and what it says; None if it arose elsewhere."""
    files = {str(path): path.name for path in _loaded}
    where = [(files[f.filename], f.lineno) for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    if isinstance(error, SyntaxError) and error.filename in files:
        where.append((files[error.filename], error.lineno))
    if not where:
        return None
    file, line = where[-1]
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{file}, line {line}: {type(error).__name__}: {said}"

"""Checks of what a user gives: one clear error that names the parameter, its value and what is allowed."""

import math
import numbers
from collections.abc import Collection, Hashable
from pathlib import Path
from typing import Any, NoReturn


class ParameterError(ValueError):
    """Bad input: the message names the parameter, its value and what is allowed."""


_SHOWN = 200  # characters of a value


def reject(name: str, value: Any, allowed: str) -> NoReturn:
    """Raise the one form of error that bad input gets: one line, in which a long value is cut short."""
    try:
        text = " ".join(repr(value).split("\n"))
    except ValueError:  # an integer of more digits than Python writes
        text = f"an integer of {value.bit_length()} bits"
    if len(text) > _SHOWN:
        text = f"{text[: _SHOWN // 2]}… ({len(text)} characters)"
    raise ParameterError(f"{name} = {text}: must be {allowed}")


def integer(name: str, value: Any, minimum: int, maximum: int | None = None) -> int:
    """Return `value` as an int within [minimum, maximum], or raise ParameterError."""
    allowed = f"an integer >= {minimum}" + (f" and <= {maximum}" if maximum is not None else "")
    whole = isinstance(value, numbers.Integral) or (isinstance(value, numbers.Real) and _is_whole(value))
    if isinstance(value, bool) or not whole or value < minimum or (maximum is not None and value > maximum):
        reject(name, value, allowed)
    return int(value)


def _is_whole(value: Any) -> bool:
    try:
        return float(value).is_integer()
    except OverflowError:  # a fraction beyond the floats
        return False


def real(name: str, value: Any, minimum: float = 0.0, below: float = math.inf, strict: bool = False) -> float:
    """Return `value` as a finite float in [minimum, below), above minimum if `strict`, or raise ParameterError."""
    above = f"a finite number {'>' if strict else '>='} {minimum:g}"
    allowed = above + (f" and < {below:g}" if below < math.inf else "")
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        reject(name, value, allowed)
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an integer beyond the floats
        finite = False
    if not finite or value < minimum or not value < below or (strict and value == minimum):
        reject(name, value, allowed)
    return float(value) + 0.0  # −0.0 equals 0.0 but is written otherwise


def choice(name: str, value: Any, choices: Collection[object]) -> Any:
    """Return `value` if it is one of `choices`, or raise ParameterError."""
    if not isinstance(value, Hashable) or value not in choices:  # an array compares entry by entry
        reject(name, value, "one of " + ", ".join(map(str, choices)))
    return value


def folder(name: str, path: str | Path) -> Path:
    """Return the path of a folder, or raise ParameterError: an empty name, of an unset variable say, is no folder's."""
    return reject(name, path, "the name of one ('.' is the current one)") if path == "" else Path(path)


def sequence(name: str, value: Any, allowed: str) -> tuple[Any, ...]:
    """Return what `value` holds as a tuple, or raise ParameterError; a string is no sequence, nor a 0-d array."""
    try:
        return reject(name, value, allowed) if isinstance(value, str | bytes) else tuple(value)
    except TypeError:
        reject(name, value, allowed)

"""Checks of what a user gives: one clear error that names the parameter, its value and what is allowed."""

import math
import numbers
from collections.abc import Collection, Hashable
from typing import Any, NoReturn


class ParameterError(ValueError):
    """Bad input: the message names the parameter, its value and what is allowed."""


def reject(name: str, value: object, allowed: str) -> NoReturn:
    """Raise the one form of error that bad input gets."""
    raise ParameterError(f"{name} = {value!r}: must be {allowed}")


def integer(name: str, value: Any, minimum: int, maximum: int | None = None) -> int:
    """Return `value` as an int within [minimum, maximum], or raise ParameterError."""
    allowed = f"an integer >= {minimum}" + (f" and <= {maximum}" if maximum is not None else "")
    whole = isinstance(value, numbers.Integral) or (isinstance(value, numbers.Real) and float(value).is_integer())
    if isinstance(value, bool) or not whole or value < minimum or (maximum is not None and value > maximum):
        reject(name, value, allowed)
    return int(value)


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


def choice(name: str, value: Any, choices: Collection[str]) -> Any:
    """Return `value` if it is one of `choices`, or raise ParameterError."""
    if not isinstance(value, Hashable) or value not in choices:  # an array compares entry by entry
        reject(name, value, "one of " + ", ".join(map(str, choices)))
    return value


def sequence(name: str, value: Any, allowed: str) -> tuple[Any, ...]:
    """Return what `value` holds as a tuple, or raise ParameterError; a string is no sequence, nor a 0-d array."""
    try:
        return reject(name, value, allowed) if isinstance(value, str | bytes) else tuple(value)
    except TypeError:
        reject(name, value, allowed)

"""Checks of what a user gives: one clear error that names the parameter, its value and what is allowed."""

import math
import numbers


class ParameterError(ValueError):
    """Bad input: the message names the parameter, its value and what is allowed."""


def reject(name, value, allowed):
    """Raise the one form of error that bad input gets."""
    raise ParameterError(f"{name} = {value!r}: must be {allowed}")


def integer(name, value, minimum, maximum=None):
    """Return `value` as an int within [minimum, maximum], or raise ParameterError."""
    allowed = f"an integer >= {minimum}" + (f" and <= {maximum}" if maximum is not None else "")
    whole = isinstance(value, numbers.Integral) or (isinstance(value, numbers.Real) and float(value).is_integer())
    if isinstance(value, bool) or not whole or value < minimum or (maximum is not None and value > maximum):
        reject(name, value, allowed)
    return int(value)


def real(name, value, minimum=0.0, below=math.inf, strict=False):
    """Return `value` as a finite float in [minimum, below), above minimum if `strict`, or raise ParameterError."""
    above = f"a finite number {'>' if strict else '>='} {minimum:g}"
    allowed = above + (f" and < {below:g}" if below < math.inf else "")
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        reject(name, value, allowed)
    if value < minimum or value >= below or (strict and value == minimum):
        reject(name, value, allowed)
    return float(value) + 0.0  # −0.0 equals 0.0 but is written otherwise


def choice(name, value, choices):
    """Return `value` if it is one of `choices`, or raise ParameterError."""
    if value not in choices:
        reject(name, value, "one of " + ", ".join(map(str, choices)))
    return value

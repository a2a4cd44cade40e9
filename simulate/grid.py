"""Grids: axes of values written in a line, and the points that they span.

    d=1e3:1e9:log13      13 values from 1e3 to 1e9 in equal ratios
    mu=1:4:lin7          7 values from 1 to 4 in equal steps
    rule=sgd,sam         the values themselves
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np

from simulate.parameters import reject

_RANGE = re.compile(r"([^:,]+):([^:,]+):(log|lin)(\d+)")
LARGEST = 10**7  # points


def parse_axis(text: str, convert: Callable[[str, str], object]) -> tuple[str, tuple]:
    """Return (name, values) of an axis as written above; convert(name, word) reads one value, or raises.

    Values that a range rounds to the same one (integers) count once. Raises ParameterError.
    """
    name, equals, words = str(text).partition("=")
    name = name.strip().replace("-", "_")
    allowed = "NAME=V1,V2,… or NAME=FIRST:LAST:logN or NAME=FIRST:LAST:linN"
    if not equals or not name.isidentifier() or not words.strip():
        reject("grid", text, allowed)
    if found := _RANGE.fullmatch(words.strip()):
        values = [convert(name, word) for word in _spaced(text, *found.groups())]
    elif ":" in words:
        reject("grid", text, allowed)
    else:
        values = [convert(name, word.strip()) for word in words.split(",")]
    values = tuple(dict.fromkeys(values))
    return name, values


def _spaced(text, first, last, spacing, count):
    """Return the words of a range."""
    count = int(count)
    try:
        ends = float(first), float(last)
    except ValueError:
        reject("grid", text, "a range between numbers")
    if not all(np.isfinite(ends)) or not 2 <= count <= LARGEST:
        reject("grid", text, f"a range between finite numbers, of 2 to {LARGEST} values")
    if spacing == "log" and min(ends) <= 0.0:
        reject("grid", text, "a range between numbers > 0, in equal ratios")
    values = np.geomspace(*ends, count) if spacing == "log" else np.linspace(*ends, count)
    values[0], values[-1] = ends
    return [np.format_float_positional(v, precision=12, fractional=False, trim="-") for v in values]


def parse_zips(texts: Sequence[str], axes: dict[str, tuple]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of axes that vary together, `a,b` each; raises ParameterError."""
    groups, seen = [], set()
    for text in texts:
        names = tuple(name.strip().replace("-", "_") for name in str(text).split(","))
        if len(names) < 2 or not set(names) <= set(axes) or len(set(names) - seen) < len(names):
            reject("zip", text, f"two or more different axes of the grid ({', '.join(axes)}), each in one zip at most")
        if len({len(axes[name]) for name in names}) > 1:
            sizes = ", ".join(f"{name} has {len(axes[name])}" for name in names)
            reject("zip", text, f"axes of equally many values ({sizes})")
        seen.update(names)
        groups.append(names)
    return tuple(groups)


def count_points(axes: dict[str, tuple], zips: Sequence[tuple[str, ...]] = ()) -> int:
    """Return how many points a grid has."""
    total = 1
    for names in _groups(axes, zips):
        total *= len(axes[names[0]])
    return total


def points(axes: dict[str, tuple], zips: Sequence[tuple[str, ...]] = ()) -> Iterator[dict]:
    """Yield the points of a grid, {axis: value}, the last axis running fastest."""
    groups = _groups(axes, zips)
    for chosen in product(*(zip(*(axes[name] for name in names), strict=True) for names in groups)):
        point = {
            name: value
            for names, values in zip(groups, chosen, strict=True)
            for name, value in zip(names, values, strict=True)
        }
        yield {name: point[name] for name in axes}


def _groups(axes, zips):
    """Return the axes in their order, those of a zip together where its first one stands."""
    zipped = {name: names for names in zips for name in names}
    found = [zipped.get(name, (name,)) for name in axes]
    return list(dict.fromkeys(found))

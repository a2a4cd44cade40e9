"""Grids: axes of values written in a line, and the points that they span.

Three ways to write one:

    d=1e3:1e9:log13      13 values from 1e3 to 1e9 in equal ratios
    mu=1:4:lin7          7 values from 1 to 4 in equal steps (integers where the letter is one)
    rule=sgd,sam         the values themselves
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, product
from typing import Any

import numpy as np

from simulate.parameters import reject

_RANGE = re.compile(r"([^:,]+):([^:,]+):(log|lin)(\d{1,9})")
LARGEST = 10**7  # values of an axis


def parse_axis(text: str, convert: Callable[[str, str | float], object]) -> tuple[str, tuple[Any, ...]]:
    """Return (name, values) of an axis as written above; convert(name, word) reads a value, or raises.

    Values of a range reach `convert` as floats. Raises ParameterError.
    """
    name, equals, words = str(text).partition("=")
    name = name.strip().replace("-", "_")
    allowed = "NAME=V1,V2,… or NAME=FIRST:LAST:logN or NAME=FIRST:LAST:linN"
    if not equals or not name.isidentifier() or not words.strip():
        reject("grid", text, allowed)
    if found := _RANGE.fullmatch(words.strip()):
        values = [convert(name, value) for value in _spaced(text, *found.groups())]
    elif ":" in words:
        reject("grid", text, allowed)
    else:
        values = [convert(name, word.strip()) for word in words.split(",")]
    return name, tuple(values)


def _spaced(text: str, first: str, last: str, spacing: str, count: Any) -> list[float]:
    """Return the values of a range, to twelve digits: those of a longer range with the same ends are met again."""
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
    return [ends[0], *(float(f"{value:.12g}") for value in values[1:-1]), ends[1]]


def parse_zips(texts: Sequence[str], axes: Mapping[str, tuple[Any, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of axes that vary together, `a,b` each; raises ParameterError."""
    groups: list[tuple[str, ...]] = []
    seen: set[str] = set()
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


def united(
    axes: Mapping[str, tuple[Any, ...]], more: Mapping[str, tuple[Any, ...]], zips: Sequence[tuple[str, ...]] = ()
) -> dict[str, tuple[Any, ...]]:
    """Return axes with the values of both, those of `axes` first; what a zip varies together stays together.

    Every value (combination of values in a zip) comes once.
    """
    found: dict[str, tuple[Any, ...]] = {}
    for names in _groups(axes, zips):
        rows = chain.from_iterable(zip(*(some[name] for name in names), strict=True) for some in (axes, more))
        found |= dict(zip(names, zip(*dict.fromkeys(rows), strict=True), strict=True))
    return {name: found[name] for name in axes}


def count_points(axes: Mapping[str, tuple[Any, ...]], zips: Sequence[tuple[str, ...]] = ()) -> int:
    """Return how many points a grid has."""
    total = 1
    for names in _groups(axes, zips):
        total *= len(axes[names[0]])
    return total


def points(axes: Mapping[str, tuple[Any, ...]], zips: Sequence[tuple[str, ...]] = ()) -> Iterator[dict[str, Any]]:
    """Yield the points of a grid, {axis: value}, the last axis running fastest."""
    groups = _groups(axes, zips)
    for chosen in product(*(zip(*(axes[name] for name in names), strict=True) for names in groups)):
        point = {
            name: value
            for names, values in zip(groups, chosen, strict=True)
            for name, value in zip(names, values, strict=True)
        }
        yield {name: point[name] for name in axes}


def _groups(axes: Mapping[str, tuple[Any, ...]], zips: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the axes in their order, those of a zip together where its first one stands."""
    zipped = {name: names for names in zips for name in names}
    found = [zipped.get(name, (name,)) for name in axes]
    return list(dict.fromkeys(found))

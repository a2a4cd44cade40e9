"""What the property tests draw: words for a command line, values for a call, and damage to a file."""

import copy
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import click
import numpy as np
from hypothesis import strategies as st

import sharpbounds

WORDS = (
    "", " ", "nan", "inf", "-inf", "0", "-0.0", "-1", "-7.5", "0.5", "1.5", "1e308", "-1e308", "1e-320", "1e400", "1_0",
    str(10**18), str(-(10**18)), str(10**30), "9" * 5000, "0x10", "١", "true", "None", "x", "é∂", "\u202e", "\x1b[31m",
    "\n", "\udc80", "1,2", "1,", "1:2", "2:1", "=", "d=", "d=1:2:log", "d=1:1e9:log999999999", "mu=nan", "rule=nope",
    "d,mu", "p", "p+", "p+0.1", "p-1e308", "full", "theory", "effective", "balanced", "gd", "sam-then-sgd", "single",
    "horizon", "csv", "seed", "status", "test_error", "no/such/file", ".", "..", "/", "-", "/dev/null/x", "~",
    "a" * 300, "b/" * 3000, "[", "*", "[!", "{}", "nope.py", "nope.py::*",
)  # fmt: skip
"""Words that few options take: wrong types, signs, sizes, other options' values, and paths that are no files."""

words = st.sampled_from(WORDS) | st.one_of(
    st.integers(-(10**25), -1).map(str),
    st.floats().filter(lambda number: not 0.0 < number < 1e9).map(repr),
    st.text(st.characters(exclude_characters="\0"), max_size=8),
)

VALUES: tuple[object, ...] = (
    None, True, "", "x", "1", b"1", (), (1,), [1.0], {}, {"a": 1}, object, 1 + 0j, math.nan, math.inf, -math.inf, -1,
    -0.5, 1e308, -1e308, 10**30, 10**400, -(10**5000), Fraction(10**400, 3), np.float64("inf"), np.float32("nan"),
    np.array(1.0), np.array([1.0, np.nan]), np.zeros(0), np.zeros((2, 2)), np.array("x"), np.array([None]), np.True_,
    np.str_("x"), np.datetime64("2000-01-01"), range(3), "\x1b[31m\udc80",
)  # fmt: skip
"""Values that few parameters take: wrong types, signs, shapes, not finite, too large to be written."""

SCAN = ["scan", "conv", "--n", "4", "--width", "2", "--d", "9", "--grid", "max_steps=1,2", "--out", "done"]
"""A scan that is done at once."""

LEAVES: tuple[object, ...] = (
    None, True, -1, 0, 7, 0.5, -1e308, 1e308, math.nan, 10**30, "", "x", "conv", "<script>", "../../x", "\0", "\udc80",
    [], {}, [[]], [None], {"": {}}, [1, "x"], ["n", "n"],
)  # fmt: skip
"""What may stand in place of any part of a JSON file."""

Place = tuple[str | int, ...]
"""A part of a JSON file: keys and indices from the whole to it."""

Commands = dict[tuple[str, ...], click.Command]


def _places(tree: Any, at: Place = ()) -> Iterator[Place]:
    """Yield the path of every part of a tree of dictionaries and lists."""
    yield at
    for key, part in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield from _places(part, (*at, key))


@st.composite
def damaged(draw: st.DrawFn, tree: Any) -> Any:
    """Return a copy of plain data with one to three parts replaced or taken out."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        if not (places := [place for place in _places(tree) if place]):
            break
        *above, last = draw(st.sampled_from(places))
        part = tree
        for key in above:
            part = part[key]
        if draw(st.integers(0, 3)):
            part[last] = copy.deepcopy(draw(st.sampled_from(LEAVES)))
        else:
            del part[last]
    return tree


@st.composite
def torn(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return bytes with some changed, a stretch taken out, repeated or put in, or the end missing."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        first, last = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        how = draw(st.sampled_from(["change", "cut", "repeat", "insert", "end"]))
        if how == "change" and first < len(data):
            data[first] = draw(st.integers(0, 255))
        elif how == "end":
            del data[first:]
        else:
            new = {"cut": b"", "repeat": bytes(data[first:last]) * 2}.get(how) or draw(st.binary(max_size=8))
            data[first : first if how == "insert" else last] = new
    return bytes(data)


def commands(group: click.Group = sharpbounds.main, path: tuple[str, ...] = ()) -> Commands:
    """Return every command of the project by path, {("simulate", "conv"): command, …}."""
    found: Commands = {}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found |= commands(command, (*path, name)) if isinstance(command, click.Group) else {(*path, name): command}
    return found


def takers(command: click.Command) -> dict[str | None, click.Parameter]:
    """Return the parameters of a command that take a value, by name."""
    return {param.name: param for param in command.params if not getattr(param, "is_flag", False)}

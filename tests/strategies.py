"""What the property tests draw: words for a command line, values for a call, and damage to a file."""

import math
from fractions import Fraction

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

VALUES = (
    None, True, "", "x", "1", b"1", (), (1,), [1.0], {}, {"a": 1}, object, 1 + 0j, math.nan, -math.nan, math.inf, -math.inf,
    -1, -0.5, 1e308, -1e308, 10**30, 10**400, -(10**5000), Fraction(10**400, 3), np.nan, np.float64("inf"), np.float32("nan"),
    np.array(1.0), np.array([1.0, np.nan]), np.zeros(0), np.zeros((2, 2)), np.array("x"), np.array([None]), np.str_("x"),
    np.True_, np.datetime64("2000-01-01"), range(3), "\x1b[31m\udc80",
)  # fmt: skip
"""Values that few parameters take: wrong types, signs, shapes, not finite, too large to be written."""


def commands(group=sharpbounds.main, path=()):
    """Return every command of the project by path, {("simulate", "conv"): command, …}."""
    found, context = {}, click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found |= commands(command, (*path, name)) if isinstance(command, click.Group) else {(*path, name): command}
    return found


def takers(command):
    """Return the parameters of a command that take a value, by name."""
    return {param.name: param for param in command.params if not getattr(param, "is_flag", False)}

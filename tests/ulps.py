"""How far closed forms are from their exact values: units in the last place, against mpmath at 50 digits or more.

A docstring that says `within N ulps` is a promise; `Form` says what is promised, where, and of what.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from mpmath import mp, mpf
from scipy.stats import qmc

from simulate.types import FloatArray

PROMISE = re.compile(r"within (\d+(?:\.\d+)?) ulps?\b")
FEW = 8.0
"""What a form of a few + − × ÷ √ without cancellation keeps to, whose docstring says nothing."""

DIGITS = 50

Point = tuple[float, ...]
"""The arguments of a form."""


def ulp(exact: mpf) -> mpf:
    """Return the distance of doubles about an exact number, that of the denormal ones at least."""
    exponent = max(mp.frexp(exact)[1], -1021) if exact else -1021
    return mp.ldexp(mpf(1), exponent - 53)


def promised(function: Callable[..., Any]) -> float:
    """Return the number of ulps that a function's docstring promises; FEW where it says nothing."""
    found = PROMISE.findall(inspect.getdoc(function) or "")
    assert len(found) <= 1, f"{function.__qualname__} promises more than one number"
    return float(found[0]) if found else FEW


def spread(count: int = 256, seed: int = 0, /, **ranges: tuple[float, float]) -> list[Point]:
    """Return `count` scrambled Sobol points as tuples: each range (low, high), positive ones spaced by ratio."""
    unit = qmc.Sobol(len(ranges), rng=np.random.default_rng(seed)).random(count)
    columns = []
    for column, (low, high) in zip(unit.T, ranges.values(), strict=True):
        by_ratio = low > 0.0 and high / low > 100.0
        columns.append(low * (high / low) ** column if by_ratio else low + (high - low) * column)
    return [tuple(float(x) for x in row) for row in zip(*columns, strict=True)]


@dataclass(frozen=True)
class Form:
    """A closed form, its definition in exact numbers, and points (tuples of arguments) over its domain and its edges.

    `size` gives the number whose ulps are counted, of the same arguments; the exact value by default. Where it is
    another, the form is ill-conditioned and no arithmetic on doubles does better. `call` tells how the form is called;
    `promise` is whose docstring holds the bound, the function's by default.
    """

    function: Callable[..., Any]
    exact: Callable[..., mpf]
    points: Sequence[Point]
    size: Callable[..., mpf] | None = None
    call: Callable[..., Any] | None = None
    digits: int = DIGITS
    promise: Callable[..., Any] | None = None
    name: str = ""

    @property
    def bound(self) -> float:
        """The ulps promised."""
        return promised(self.promise or self.function)

    def __str__(self) -> str:
        return self.name or self.function.__qualname__

    def errors(self) -> FloatArray:
        """Return the error at every point, in ulps; infinite where one side is not finite and the other is."""
        found = []
        with mp.workdps(self.digits):
            for point in self.points:
                with np.errstate(all="ignore"):
                    value = float((self.call or self.function)(*point))
                arguments = [mpf(x) if isinstance(x, float) else x for x in point]
                exact = mpf(self.exact(*arguments))
                if not (np.isfinite(value) and mp.isfinite(exact)):
                    found.append(0.0 if value == float(exact) else np.inf)
                    continue
                size = exact if self.size is None else mpf(self.size(*arguments))
                found.append(float(abs(mpf(value) - exact) / ulp(size)))
        return np.array(found)

    @cached_property
    def worst(self) -> tuple[float, Point]:
        """The largest error and its point."""
        errors = self.errors()
        return errors.max(), self.points[int(errors.argmax())]


def root(function: Callable[[mpf], mpf], low: mpf, high: mpf) -> mpf:
    """Return where an increasing function changes its sign between low and high, by bisection to 25 digits."""
    low, high = mpf(low), mpf(high)
    while high - low > abs(high) * mpf(10) ** -25:
        middle = (low + high) / 2
        low, high = (low, middle) if function(middle) > 0 else (middle, high)
    return high


def table() -> tuple[list[Form], Callable[..., None]]:
    """Return an empty table of forms, and a function that adds one to it."""
    forms: list[Form] = []
    return forms, lambda *given, **named: forms.append(Form(*given, **named))


def assert_promises(forms: Iterable[Form], package: ModuleType) -> None:
    """Assert that every promise in a package's docstrings is some form's, and at most four times what was found."""
    found: dict[str, tuple[float, list[float]]] = {}
    for form in forms:
        function = form.promise or form.function
        if PROMISE.search(inspect.getdoc(function) or ""):
            found.setdefault(function.__name__, (form.bound, []))[1].append(form.worst[0])
    promising = {
        node.name
        for path in Path(inspect.getfile(package)).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and PROMISE.search(ast.get_docstring(node) or "")
    }
    assert promising
    assert promising <= found.keys()
    assert not {name: found[name] for name in promising if found[name][0] > 4.0 * max(found[name][1])}

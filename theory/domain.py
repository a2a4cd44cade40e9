"""Where a claim is searched for its point of least slack: a light declaration that stands beside the claim."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulate.parameters import reject


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, uniform or in their logarithm, whole if `integer`; `size` of them, or one.

    `default` is the plainest value, which a minimal specification falls back on and need not name.
    """

    low: float
    high: float
    default: float
    log: bool = False
    integer: bool = False
    size: int | None = None

    def bounds(self) -> tuple[float, float]:
        """Return the ends as the optimiser sees them."""
        return (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)

    def value(self, coordinate: float) -> float:
        """Return the number at the optimiser's coordinate, never beyond the ends."""
        number = min(max(math.exp(coordinate) if self.log else float(coordinate), self.low), self.high)
        return round(number) if self.integer else number

    def parse(self, name: str, text: str) -> float:
        """Return the number that a text stands for, or raise ParameterError."""
        try:
            number = int(text) if self.integer else float(text)
        except ValueError:
            number = math.nan
        if not self.low <= number <= self.high:
            kind = "an integer" if self.integer else "a number"
            reject(name, text, f"{kind} from {self.low:g} to {self.high:g}")
        return number

    def plainer(self, number: Any) -> list[Any]:
        """Return plainer numbers in place of this one, the plainest first and itself last."""
        if self.integer and self.high - self.low <= 10:
            return [self.default, *range(int(self.low), number + 1)]
        rounded = [float(f"{number:.{digits}g}") for digits in (1, 2, 3)]
        inside = [int(x) if self.integer else x for x in rounded if self.low <= x <= self.high]
        return [self.default, *inside, number]

    def text(self) -> str:
        """Return the range in words."""
        return f"{self.low:g} … {self.high:g}" + (f" (×{self.size})" if self.size else "")


@dataclass(frozen=True)
class Choice:
    """One of several values, the first the plainest."""

    values: Sequence[Any]
    integer = True  # to the optimiser it is an index
    size = None

    @property
    def default(self) -> Any:
        """The first value."""
        return self.values[0]

    def bounds(self) -> tuple[float, float]:
        """Return the ends of the index."""
        return 0, len(self.values) - 1

    def value(self, coordinate: float) -> Any:
        """Return the value at an index."""
        return self.values[round(coordinate)]

    def parse(self, name: str, text: str) -> Any:
        """Return the value that a text stands for, or raise ParameterError."""
        for value in self.values:
            if str(value) == text:
                return value
        reject(name, text, "one of " + ", ".join(map(str, self.values)))

    def plainer(self, value: Any) -> list[Any]:
        """Return the values up to this one."""
        return list(self.values[: self.values.index(value) + 1])

    def text(self) -> str:
        """Return the values in words."""
        return ", ".join(map(str, self.values))


@dataclass(frozen=True)
class Domain:
    """The instances of a claim, by coordinates that have names.

    `observe(settings, runner)` returns the samples of one instance, and `predict(samples)` the closed form, each the
    claim's own if None; settings are the claim's quick ones, then `settings`, then the point, with `sure` for a re-run
    and the twin's changes on top. `letters(settings)` is the setting that the claim's hypotheses are evaluated at, by
    paper symbol: a point that does not meet them is no counterexample. `twin` stands in for the claim's. `budget` is
    how many points are tried unless told.
    """

    coordinates: dict[str, Any]  # Range or Choice
    observe: Callable[[dict[str, Any], Any], Any] | None = None
    predict: Any = None
    letters: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    sure: dict[str, Any] = field(default_factory=dict)
    twin: Any = None
    budget: int = 2000

    def defaults(self) -> dict[str, Any]:
        """Return the plainest point."""
        return {name: (c.default,) * c.size if c.size else c.default for name, c in self.coordinates.items()}

    def scalars(self) -> list[tuple[str, int | None, Range | Choice]]:
        """Return (name, place in its vector or None, coordinate), one a number that is searched."""
        places = {name: range(c.size) if c.size else (None,) for name, c in self.coordinates.items()}
        return [(name, k, self.coordinates[name]) for name, among in places.items() for k in among]

    def point(self, vector: Iterable[float]) -> dict[str, Any]:
        """Return the point at the optimiser's vector, one number for each of `scalars`."""
        found: dict[str, Any] = {name: [] if c.size else None for name, c in self.coordinates.items()}
        for (name, place, coordinate), number in zip(self.scalars(), vector, strict=True):
            if place is None:
                found[name] = coordinate.value(number)
            else:
                found[name].append(coordinate.value(number))
        return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}

    def vector(self, point: Mapping[str, Any]) -> list[float]:
        """Return the optimiser's vector of a point."""
        numbers = []
        for name, place, coordinate in self.scalars():
            value = point[name] if place is None else point[name][place]
            if isinstance(coordinate, Choice):
                value = coordinate.values.index(value)
            numbers.append(math.log(value) if getattr(coordinate, "log", False) else float(value))
        return numbers

    def write(self, point: Mapping[str, Any]) -> str:
        """Return `name=value,…` of what differs from the defaults; a vector's numbers are parted by colons."""
        parts = []
        for name, default in self.defaults().items():
            value = point[name]
            if isinstance(default, tuple):
                last = max((k + 1 for k in range(len(value)) if value[k] != default[k]), default=0)
                value = ":".join(map(_short, value[:last]))
                parts += [f"{name}={value}"] if last else []
            elif value != default:
                parts.append(f"{name}={_short(value)}")
        return ",".join(parts)

    def parse(self, text: str) -> dict[str, Any]:
        """Return the point that `write` wrote, or raise ParameterError."""
        point = self.defaults()
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            if name not in self.coordinates:
                reject("point", name, "made of " + ", ".join(self.coordinates))
            coordinate = self.coordinates[name]
            if not coordinate.size:
                point[name] = coordinate.parse(name, value)
                continue
            given = tuple(coordinate.parse(name, item) for item in value.split(":"))
            if len(given) > coordinate.size:
                reject(name, value, f"at most {coordinate.size} numbers")
            point[name] = given + point[name][len(given) :]
        return point


def _short(value: object) -> str:
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)

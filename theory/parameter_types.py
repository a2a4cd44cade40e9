"""What the command line accepts as numbers."""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # generic from click 8.4 on


class _BatchSize(_ParamType):
    """A batch size: an integer, or `full`."""

    name = "B|full"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int | None:
        if value is None or value == "full":
            return None
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither an integer nor `full`", param, context)


class _Count(_ParamType):
    """An integer that may be written as 1e9."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        try:
            number = float(value)
            if number.is_integer():
                return int(value) if isinstance(value, str) and value.lstrip("+-").isdigit() else int(number)
        except (ValueError, OverflowError):
            pass
        self.fail(f"{value!r} is not an integer", param, context)


class _Numbers(_ParamType):
    """Numbers separated by commas."""

    name = "float,…"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[float, ...]:
        try:
            return tuple(float(word) for word in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers separated by commas", param, context)


class NumberOr(_ParamType):
    """A number, or one word."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.name = f"float|{word}"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the word or the number; click's error for anything else."""
        if value == self.word or isinstance(value, float):
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor `{self.word}`", param, context)


@dataclass(frozen=True)
class Level:
    """A level of a result: a number, or one above or below the flip rate p."""

    number: float
    above_flips: bool = False

    def at(self, flip_rate: float) -> float:
        """Return the level where p is `flip_rate`."""
        return self.number + (flip_rate if self.above_flips else 0.0)

    def __str__(self) -> str:
        if not self.above_flips:
            return f"{self.number:g}"
        return f"p {'-' if self.number < 0.0 else '+'} {abs(self.number):g}" if self.number else "p"


class _LevelType(_ParamType):
    """A `Level`: 0.2, p, p+0.1 or p-0.01."""

    name = "float|p±float"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Level:
        if isinstance(value, Level):
            return value
        word = str(value).replace(" ", "")
        found = re.fullmatch(r"p(?:([+-])([0-9.].*))?", word)
        try:
            number = float("".join(found.groups("")) or "0") if found else float(word)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{value!r} is neither a number nor p+NUMBER or p-NUMBER, p the flip rate", param, context)
        return Level(number, bool(found))


COUNT, BATCH_SIZE, NUMBERS, LEVEL = _Count(), _BatchSize(), _Numbers(), _LevelType()

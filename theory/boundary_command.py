"""`boundary`: the value of one letter at which a mean result meets a level, at every point of a grid.

The runs of a point share their seeds, hence their draws, at every value tried: their mean is as smooth in the value v
as a single run is. The interval is an inverted test. Over S runs with mean x̄(v), standard deviation s(v) and mean own
standard error u(v) the half-width is t √(s²/S + u²), t Student's with S − 1 degrees of freedom (u is added because
every test error is taken on the same quasi-random points), and the interval holds the v at which x̄(v) is within it of
the level: with 95 % the v at which the expected result meets the level is one of them, where x̄ is normal. Its ends are
where x̄ less and plus the half-width meets the level, found by the same search; an end not found is 0 or infinity.
"""

import copy
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from simulate.parameters import integer, real, reject
from theory.parameter_types import BATCH_SIZE, COUNT, LEVEL, NUMBERS, Level, NumberOr
from theory.scan_command import MODELS, Convert, converter, model_options, one_family, specify_of
from theory.simulate_output import given

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    from simulate.bisection import Runs
    from simulate.run import Specification
    from simulate.runner import Runner

CONFIDENCE = 0.95
DOUBLINGS = 14  # of an automatic bracket, to either side of where it starts: a factor of 16 384
_OWN_ERRORS = {"clean_error": "clean_error_se", "test_error": "clean_error_se"}  # the latter's is (1 − 2p) times it


def scalar_results(model: str) -> tuple[str, ...]:
    """Return the names of a model's results that are numbers."""
    import dataclasses
    import importlib

    from simulate.run import RESULTS

    module, _, name = RESULTS[model].partition(":")
    fields = dataclasses.fields(getattr(importlib.import_module(module), name))
    return tuple(field.name for field in fields if field.type in (int, float, "int", "float"))


def find_boundary(
    runner: "Runner", runs: "Sequence[Runs]", levels: "ArrayLike", value: str, start: float,
    between: tuple[float, float] | None = None, halvings: int = 6,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return {"critical", "low", "high", "note"} for each point.

    `runs[k](v)` are the runs of point k where the letter is v, one a seed; `levels` (points,) what the mean of the
    result `value` is to meet, falling or rising. Bisection is in the logarithm of v, between the two values of
    `between`, or in a bracket found by doubling about `start`. Where there is no critical value it is NaN, and `note`
    says why; with one run a point the interval is NaN.
    """
    import numpy as np

    from simulate.bisection import critical_values, find_brackets

    own = _OWN_ERRORS.get(value)
    search: dict[str, Any] = {"between": between or (start, start), "doublings": 0 if between else DOUBLINGS}
    wanted = np.asarray(levels, float)

    def observed(result: Any) -> tuple[float, float]:
        return getattr(result, value), getattr(result, own) if own else 0.0

    def solve(shift: float, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Search the points `chosen` with their means shifted by so many half-widths."""
        at = [runs[k] for k in chosen]
        common: dict[str, Any] = {"average": lambda pairs: _shifted(pairs, shift), "value": observed}
        with np.errstate(over="ignore", invalid="ignore"):  # of diverged runs
            brackets, words = find_brackets(runner, at, wanted[chosen], **search, **common)
            good = [k for k, word in enumerate(words) if not word]
            critical = np.full(len(at), np.nan)
            if good:
                critical[good] = critical_values(
                    runner, [at[k] for k in good], wanted[chosen][good], brackets[good], halvings, **common
                )
        words = ["not finite" if not word and np.isnan(c) else word for word, c in zip(words, critical, strict=True)]
        return critical, brackets[:, 0] < brackets[:, 1], words

    critical, falling, words = solve(0.0, np.arange(len(runs)))
    rows = [{"critical": float(c), "low": math.nan, "high": math.nan, "note": w}
            for c, w in zip(critical, words, strict=True)]  # fmt: skip
    found = np.flatnonzero(np.isfinite(critical))
    several = bool(len(found)) and len(runs[found[0]](float(critical[found[0]]))) > 1
    for shift in (-1.0, 1.0) if several else ():
        for k, end, same, falls in zip(found, *solve(shift, found)[:2], falling[found], strict=True):
            name = "low" if (shift < 0.0) == falls else "high"
            if same == falls and (end <= critical[k] if name == "low" else end >= critical[k]):
                rows[k][name] = float(end)
            else:
                rows[k][name] = 0.0 if name == "low" else math.inf
                rows[k]["note"] = "interval open at both ends" if rows[k]["note"] else f"interval has no {name} end"
    return rows


def _shifted(pairs: "np.ndarray", shift: float) -> float:
    """Return the mean of values (S,) in pairs with own standard errors (S, 2), `shift` (−1, 0, 1) half-widths away.

    Where runs diverged and the half-width is not finite, the smallest or largest value takes its place.
    """
    import numpy as np
    from scipy.special import stdtrit

    values, own = pairs.T
    mean = values.mean()
    if not shift or np.isnan(mean):
        return float(mean)
    error = math.hypot(values.std(ddof=1) / math.sqrt(len(values)), own.mean())
    half = stdtrit(len(values) - 1, 0.5 + 0.5 * CONFIDENCE) * error
    if not math.isfinite(half):
        return float(values.min() if shift < 0.0 else values.max())
    return float(mean + shift * half)


def _range(context: click.Context, param: click.Parameter, text: str | None) -> tuple[float, float] | None:
    """Read LOW:HIGH."""
    if text is None:
        return None
    try:
        low, high = (float(word) for word in text.split(":"))
    except ValueError:
        low = high = math.nan
    if not 0.0 < low < high < math.inf:
        raise click.BadParameter(f"{text!r} is not LOW:HIGH, two numbers > 0, the smaller one first")
    return low, high


def _start(options: Mapping[str, click.Parameter], along: str) -> float:
    """Return where the search of a letter starts: at its default, or 1; ParameterError if it is no number."""
    kinds = {name: option.type for name, option in options.items()}
    numbers = click.FLOAT, COUNT, BATCH_SIZE, NUMBERS
    numeric = [name for name, kind in kinds.items() if kind in numbers or isinstance(kind, NumberOr)]
    if along not in numeric:
        reject("along", along, "one of " + ", ".join(sorted(numeric)))
    default = options[along].default
    return float(default) if isinstance(default, int | float) and default > 0.0 else 1.0


def _boundary_command(model: str) -> click.Command:
    """Return the command `boundary MODEL`: the letters of `simulate MODEL`, and those of a search."""
    options = {name: copy.copy(param) for name, param in model_options(model).items()}

    def run(
        along: str, level: Level, value: str | None, grid: tuple[str, ...], zips: tuple[str, ...],
        between: tuple[float, float] | None, halvings: int, seeds: int, seed: int, workers: int, out: str | None,
        as_json: bool, **letters: Any,
    ) -> None:  # fmt: skip
        letters = given(click.get_current_context(), letters)
        _run(model, options, letters, along, level, value, grid, zips, between, halvings, seeds, seed, workers, out,
             as_json)  # fmt: skip

    own = [
        click.Option(["--along"], required=True, metavar="LETTER", help="The letter whose critical value is sought."),
        click.Option(["--level"], required=True, type=LEVEL, help="What the mean is to meet; p is the flip rate."),
        click.Option(["--value"], metavar="RESULT", help="The result that is averaged. [default: that of `simulate`; "
                     "the test error where the level is written with p]"),
        click.Option(["--grid"], multiple=True, metavar="AXIS=VALUES",
                     help="An axis: d=1e3:1e6:log4, mu=1:4:lin7, rule=sgd,sam. Once for each axis."),
        click.Option(["--zip", "zips"], multiple=True, metavar="A,B", help="Vary these axes together."),
        click.Option(["--between"], metavar="LOW:HIGH", callback=_range, help="Where to search. [default: doubled and "
                     f"halved up to {DOUBLINGS} times from the letter's default]"),
        click.Option(["--halvings"], type=COUNT, default=6, show_default=True, help="Halvings of the bracket."),
        click.Option(["--seeds"], type=COUNT, default=16, show_default=True, help="Runs a point and value."),
        click.Option(["--seed"], type=COUNT, default=0, show_default=True, help="Seed of the first run."),
        click.Option(["--workers"], type=COUNT, default=1, show_default=True, help="Worker processes."),
        click.Option(["--out"], metavar="FILE.csv", help="Write the table as CSV in place of printing it."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON instead of a table."),
    ]  # fmt: skip
    return click.Command(
        model, callback=run, params=[*own, *options.values()],
        help=f"Find where a mean result of `simulate {model}` meets a level, along one of its letters.\n\nThe same "
        "seeds are used at every value. The interval holds the value at which the expected result meets the level "
        "with 95 %: there the mean over the seeds is within Student's half-width of the level. Every run is kept in "
        "the store: the same command again is quick, and one that was interrupted goes on.",
    )  # fmt: skip


def _run(
    model: str, options: Mapping[str, click.Parameter], letters: dict[str, Any], along: str, level: Level,
    value: str | None, grid: tuple[str, ...], zips: tuple[str, ...], between: tuple[float, float] | None, halvings: int,
    seeds: int, seed: int, workers: int, out: str | None, as_json: bool,
) -> None:  # fmt: skip

    from simulate.executor import worker_count
    from simulate.grid import parse_zips, points, united
    from simulate.runner import Runner
    from simulate.store import Store
    from theory.commands import check_output

    check_output(out)
    if out is not None and as_json:
        reject("out", out, "left out with --json")
    along = along.replace("-", "_")
    start, axes = _start(options, along), _axes(grid, converter(options), letters)
    if along in axes or along in letters:
        reject("along", along, "a letter that is given nowhere else")
    seed, seeds, workers = integer("seed", seed, 0), integer("seeds", seeds, 1, 10**6), worker_count(workers)
    halvings = integer("halvings", halvings, 0, 60)
    if level.above_flips and ("flip_rate" not in options or along == "flip_rate"):
        reject("level", str(level), "a number where there is no one flip rate p")
    value = _value(model, level, value)
    specify, family = specify_of(model, axes), one_family(model, letters, {**axes, along: ()})
    whole = options[along].type in (COUNT, BATCH_SIZE)

    def runs_of(point: Mapping[str, Any]) -> "Runs":
        def runs(number: float) -> "list[Specification]":
            at = {**letters, **point, along: max(1, round(number)) if whole else number}
            if not family:
                return [specify(at, seed + k) for k in range(seeds)]
            first = specify(at, seed)
            return [first.at_seed(seed + k) for k in range(seeds)]

        return runs

    groups = parse_zips(zips, axes)
    axes = united(axes, axes, groups)  # a point that is named twice is one
    cells = list(points(axes, groups))
    flips = options["flip_rate"].default if "flip_rate" in options else 0.0
    levels = [level.at(real("flip_rate", {**letters, **cell}.get("flip_rate", flips))) for cell in cells]
    begin = time.perf_counter()
    with Runner(workers, Store()) as runner:
        found = find_boundary(runner, [runs_of(cell) for cell in cells], levels, value, start, between, halvings)
    rows = [{**cell, "level": one, **row} for cell, one, row in zip(cells, levels, found, strict=True)]
    seconds = time.perf_counter() - begin
    click.echo(f"{runner.computed} runs computed in {seconds:.3g} s, the others found in the store", err=True)
    _show(rows, {"model": model, "along": along, "value": value, "level": str(level), "seeds": seeds, "seed": seed,
                 "fixed": letters, "axes": axes}, out, as_json)  # fmt: skip


def _value(model: str, level: Level, value: str | None) -> str:
    """Return the name of the result that is averaged: the one given, or what the level is one of."""
    import importlib

    results, shown = scalar_results(model), importlib.import_module(MODELS[model][0]).SHOWN
    default = "test_error" if level.above_flips else shown.mean
    value = (default if value is None else value).replace("-", "_")
    if value not in results:
        reject("value", value, "one of " + ", ".join(results))
    return value


def _axes(grid: Sequence[str], convert: Convert, letters: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Return the axes of a grid as written, by letter; `letters` are given elsewhere."""
    from simulate.grid import parse_axis

    axes = {}
    for text in grid:
        name, values = parse_axis(text, convert)
        if name in axes or name in letters:
            reject("grid", text, f"an axis that is given once ({name} is there already)")
        axes[name] = values
    return axes


def _show(rows: list[dict[str, Any]], what: dict[str, Any], out: str | None, as_json: bool) -> None:
    """Print the rows or write them; NaN is an empty cell of CSV and null in JSON."""
    import csv
    import io
    import json

    from theory.commands import plain_json, write_whole

    if as_json:
        click.echo(json.dumps(plain_json({**what, "confidence": CONFIDENCE, "points": rows}), indent=2))
        return
    titles = {"critical": what["along"]}
    if out is not None:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow([titles.get(name, name) for name in rows[0]])
        table.writerows(["" if cell != cell else cell for cell in row.values()] for row in rows)
        write_whole(out, text.getvalue().encode())
        return
    mean = f"the mean {what['value'].replace('_', ' ')} over {what['seeds']} seeds"
    click.echo(f"{what['along']} at which {mean} is {what['level']}, with its {CONFIDENCE:.0%} interval\n")
    cells = [[titles.get(name, name) for name in rows[0]]]
    cells += [[f"{cell:.5g}" if isinstance(cell, float) else str(cell) for cell in row.values()] for row in rows]
    widths = [max(8, *map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        *numbers, note = (f"{text:>{width}}" for text, width in zip(row, widths, strict=True))
        click.echo(("  ".join(numbers) + "  " + note.strip()).rstrip())


class _Boundary(click.Group):
    """`boundary` with a command for each model, made when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*MODELS]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return _boundary_command(name) if name in MODELS else None


boundary = _Boundary("boundary", help="Find where a mean result meets a level, along one letter.")

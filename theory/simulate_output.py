"""What the commands of `simulate` share: the options of every model, runs by seed, and what is printed and written."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from simulate.parameters import integer, reject
from theory.parameter_types import COUNT

if TYPE_CHECKING:
    import numpy as np

    from simulate.run import Result, Specification
    from simulate.store import Store

MOST_STATES = 100_000
Spec = TypeVar("Spec", bound="Specification")


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options --seeds, --seed, --record, --save, --workers and --json."""
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


_RUN_OPTIONS = [
    click.option("--seeds", type=COUNT, default=1, show_default=True, help="Number of runs."),
    click.option(
        "--seed", type=COUNT, default=0, show_default=True, help="Seed of the first run; the others follow."
    ),
    click.option(
        "--record", type=COUNT, default=0, show_default=True, metavar="K",
        help="Keep the state every K steps (0: at the end only).",
    ),
    click.option("--save", metavar="FILE.npz", help="Write the recorded states of every run."),
    click.option("--workers", type=COUNT, default=1, show_default=True, help="Worker processes."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table."),
]  # fmt: skip


def given(context: click.Context, letters: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the options that the user gave, whether or not they differ from the default."""
    return {k: v for k, v in letters.items() if context.get_parameter_source(k) is ParameterSource.COMMANDLINE}


def every(record: int, steps: int) -> range:
    """Return the steps 0, record, 2 record, … up to `steps` (none for record 0); ParameterError if too many."""
    if not integer("record", record, 0):
        return range(0)
    if steps // record > MOST_STATES:
        reject("record", record, f"0 or at least {-(-steps // MOST_STATES)} for that many steps")
    return range(0, steps + 1, record)


def simulate_seeds(
    spec: "Specification", seeds: int = 1, workers: int = 1, store: "Store | None" = None
) -> "list[Result]":
    """Return the results of `spec` at the seeds spec.seed, spec.seed + 1, … (see `simulate.run.Result`)."""
    from simulate.runner import Runner

    specs = seeded(spec, seeds)
    with Runner(workers, store) as runner:
        return runner.run(specs)


def seeded(spec: Spec, seeds: int) -> list[Spec]:
    """Return `spec` at so many seeds, from its own on."""
    return [spec.at_seed(spec.seed + k) for k in range(integer("seeds", seeds, 1, 1_000_000))]


@dataclass(frozen=True)
class Shown:
    """What is shown of a model's results.

    `fields` are the attributes that --json prints. The table prints the numbers among them; of an array it prints what
    `columns` makes of it, {field: (title, function)}, or nothing. Over several seeds the mean of the field `mean` is
    printed in the format `figures`: over the finite values of runs that did not diverge, with their number. `series`
    are records printed at every recorded step, --json each run's, the table the first's mean over the seeds.
    """

    fields: tuple[str, ...]
    columns: "dict[str, tuple[str, Callable[[np.ndarray], float]]]"
    mean: str
    figures: str
    series: tuple[str, ...] = ()


def run_and_print(
    specs: "Sequence[Specification]", shown: Shown, record: Any, save: str | None, workers: int, as_json: bool,
    constants: Callable[[Any], dict[str, float]] | None = None,
    comparison: Callable[[list[Any]], tuple[str, dict[str, Any]]] | None = None,
) -> None:  # fmt: skip
    """Carry out the runs of a command, one a seed, write them to `save` and print them.

    `record` is what the user gave; `constants(spec)` a dictionary of numbers to be printed with each run;
    `comparison(results)` returns what is said of all of them beside a prediction, as text and as plain data.
    """
    from simulate.runner import Runner
    from theory.commands import check_output, plain_json, write_whole

    check_output(save)
    spec = specs[0]
    with Runner(workers) as runner:
        results: list[Any] = runner.run(specs)
    runs = [
        {"seed": one.seed, **{name: getattr(result, name) for name in shown.fields}}
        for one, result in zip(specs, results, strict=True)
    ]
    found = [constants(one) for one in (specs if save or as_json else specs[:1])] if constants else []
    text, beside = comparison(results) if comparison else ("", {})
    if save:
        write_whole(save, _archive(spec, runs, results, found))
    if as_json:
        plain = spec.to_dict() | {"record": record}
        for k, (run, result) in enumerate(zip(runs, results, strict=True)):
            if shown.series:
                run["recorded"] = {name: result.history[name] for name in ("step", *shown.series)}
            if found:
                run["constants"] = found[k]
        click.echo(json.dumps(plain_json({"spec": plain, "runs": runs, **beside}), indent=2))
    else:
        _table(runs, shown)
        if shown.series and record:
            _series(results, shown.series[0])
        if found:
            texts = (f"{name} = {value:.5g}" for name, value in found[0].items())
            click.echo(f"\nconstants of seed {spec.seed}: " + ", ".join(texts))
        if text:
            click.echo("\n" + text)


def _series(results: Sequence[Any], name: str) -> None:
    """Return the mean of a record over the runs that reached each step, with its standard error."""
    import numpy as np

    values: dict[int, list[float]] = {}
    for result in results:
        for step, value in zip(result.history["step"].tolist(), result.history[name].tolist(), strict=True):
            values.setdefault(step, []).append(value)
    click.echo(f"\n{'step':>14}  {'mean ' + name:>14}  {'standard error':>14}  {'runs':>6}")
    for step in sorted(values):
        found = np.array(values[step])
        with np.errstate(over="ignore", invalid="ignore"):  # of diverging runs
            mean, error = found.mean(), found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.nan
        click.echo(f"{step:>14}  {mean:>14.5g}  {error:>14.2g}  {len(found):>6}")


def _archive(
    spec: "Specification", runs: list[dict[str, Any]], results: "list[Result]", constants: list[dict[str, float]]
) -> bytes:
    """Return the .npz bytes: scalars (seeds,), each run's arrays as run<seed>/<name>, the first specification as JSON.

    What `constants` every run has goes under constants/<name> (seeds,).
    """
    import io

    import numpy as np

    scalars = [key for key, value in runs[0].items() if not isinstance(value, np.ndarray)]
    arrays: dict[str, Any] = {key: np.array([run[key] for run in runs]) for key in scalars}
    for run, result in zip(runs, results, strict=True):
        for name, values in result.parts()[1].items():  # the history comes last: all states, not the last one alone
            arrays[f"run{run['seed']}/{name.removeprefix('history/')}"] = values
    for name in constants[0] if constants else ():
        arrays[f"constants/{name}"] = np.array([each[name] for each in constants])
    arrays["spec"] = np.array(json.dumps(spec.to_dict()))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _table(runs: list[dict[str, Any]], shown: Shown) -> None:
    import numpy as np

    rows = []
    with np.errstate(over="ignore", invalid="ignore"):  # of diverged runs
        for run in runs:
            row = {}
            for name, value in run.items():
                if name in shown.columns:
                    title, function = shown.columns[name]
                    row[title] = float(function(value))
                elif not isinstance(value, np.ndarray):
                    row[name] = value
            rows.append(row)
    widths = [max(14, len(title)) for title in rows[0]]
    for cells in (rows[0], *(row.values() for row in rows)):
        texts = (f"{cell:.5g}" if isinstance(cell, float) else str(cell) for cell in cells)
        click.echo("  ".join(f"{text:>{width}}" for text, width in zip(texts, widths, strict=True)))
    if len(rows) > 1:
        click.echo("\n" + _mean_line(rows, shown))


def _mean_line(rows: list[dict[str, Any]], shown: Shown) -> str:
    """Return the mean of what is finite in runs that did not diverge, its standard error, and how many they are."""
    import numpy as np

    values = np.array([row[shown.mean] for row in rows if row["status"] != "diverged"])
    values, title, counted = values[np.isfinite(values)], shown.mean.replace("_", " "), f"{len(rows)} seeds"
    if not len(values):
        return f"mean {title}: of none of {counted}, all diverged or not finite"
    if len(values) < len(rows):
        counted = f"the {len(values)} of {counted} that are finite and did not diverge"
    with np.errstate(over="ignore"):  # of huge values
        mean, spread = values.mean(), values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"mean {title} {mean:{shown.figures}} ± {spread:{shown.figures}} (standard error over {counted})"

"""`scan`: grids of runs in a directory, carried on where they were left; `scan status` and `scan export`."""

import copy
import importlib
import time
import tomllib
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from simulate.parameters import ParameterError, integer, reject
from simulate.parameters import folder as folder_of
from theory.parameter_types import BATCH_SIZE, COUNT

if TYPE_CHECKING:
    from rich.console import Console

    from simulate.scan import Plan, Scan, Specify

MODELS = {  # name: where its `simulate` command is, and where specifications come from
    "conv": ("theory.conv_command", "conv", "conv_spec"),
    "diagonal": ("theory.diagonal_command", "diagonal", "diagonal_spec"),
    "finite-sum": ("theory.finite_sum_command", "finite_sum", "finite_sum_spec"),
}
Convert = Callable[[str, str | float], Any]
Tell = Callable[[int, int], None]

_SAM = {
    "conv": ("tau", "tau_c3", "sam_steps", "kappa"), "diagonal": ("rho", "normalisation"), "finite-sum": ("rho",),
}  # fmt: skip
_IDLE = {  # letters that a rule has no use for, where the rule is an axis: `simulate` refuses them
    "conv": {"sgd": _SAM["conv"], "sam": ("sam_steps", "kappa")},
    "diagonal": dict.fromkeys(("gd", "sgd", "gradient-flow"), _SAM["diagonal"]),
    "finite-sum": dict.fromkeys(("gd", "sgd"), (*_SAM["finite-sum"], "lam")) | dict.fromkeys(("usam", "sam"), ("lam",)),
}
_OF_A_RUN = ("seeds", "seed", "record", "record_times", "save", "workers", "as_json", "sharpness", "compare")


def model_options(model: str) -> dict[str, click.Parameter]:
    """Return the letters of a model's `simulate` command, {name: click parameter}."""
    module, command, _ = MODELS[model]
    params = getattr(importlib.import_module(module), command).params
    return {param.name: param for param in params if param.name not in _OF_A_RUN}


def specify_of(model: str, axes: Container[str] = ()) -> "Specify":
    """Return the function (letters, seed) → specification of a model; with the rule an axis it drops idle letters."""
    module, _, name = MODELS[model]
    make = getattr(importlib.import_module(module), name)

    def specify(letters: Mapping[str, Any], seed: int) -> Any:
        idle = _IDLE[model].get(letters.get("rule", ""), ()) if "rule" in axes else ()
        letters = {name: value for name, value in letters.items() if name not in idle}
        if isinstance(letters.get("alpha"), tuple | list) and len(letters["alpha"]) == 1:
            letters["alpha"] = letters["alpha"][0]
        return make(**letters, seed=seed)

    return specify


def one_family(model: str, letters: Mapping[str, Any], axes: Container[str]) -> bool:
    """Return whether runs of a point differ in their seed alone: not where steps follow from the seed's problem."""
    if model != "finite-sum" or "data" in letters or letters.get("data_seed") is not None or "data_seed" in axes:
        return True
    numbers = {name: letters.get(name, "theory") for name in ("rho", "gamma")}
    return "theory" not in numbers.values() and letters.get("schedule") != "decreasing" and "schedule" not in axes


def converter(options: Mapping[str, click.Parameter]) -> Convert:
    """Return convert(name, word): the value of a letter as its option reads it; ParameterError otherwise.

    A float in place of a word is a value of a range, to be rounded where the letter is an integer.
    """

    def convert(name: str, word: object) -> Any:
        if name not in options:
            reject("axis or letter", name, "one of " + ", ".join(sorted(options)))
        if isinstance(word, float) and options[name].type in (COUNT, BATCH_SIZE):
            word = round(word)
        try:
            value = options[name].type.convert(str(word), options[name], None)
        except click.BadParameter as error:
            raise ParameterError(f"{name} = {word!r}: {error.message}") from error
        return value[0] if isinstance(value, tuple) and len(value) == 1 else value

    return convert


def read_config(path: str | Path, options: Mapping[str, click.Parameter]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (letters, own) of a TOML file: the model's letters, and grid, zip, seeds, … of the scan."""
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ParameterError(f"config = {str(path)!r}: must be a TOML file ({error})") from error
    convert, letters, own = converter(options), dict[str, Any](), dict[str, Any]()
    for key, value in found.items():
        name = key.replace("-", "_")
        if name == "grid":
            if not isinstance(value, dict):
                reject("config grid", value, "a table of axes")
            own["grid"] = tuple(f"{axis}={_words(values)}" for axis, values in value.items())
        elif name == "zip":
            if not isinstance(value, list):
                reject("config zip", value, 'a list of zips, ["a", "b"] or "a,b" each')
            own["zips"] = tuple(str(one) if isinstance(one, str) else ",".join(map(str, one)) for one in value)
        elif name in ("seeds", "seed", "workers"):
            own[name] = integer(f"config {name}", value, 0)
        elif name in ("out", "scheduler"):
            own[name] = str(value)
        elif isinstance(value, bool | dict):
            reject(f"config {key}", value, "a number, a word or a list of numbers")
        else:
            letters[name] = convert(name, _words(value))
    return letters, own


def _words(values: object) -> str:
    return ",".join(map(str, values)) if isinstance(values, list) else str(values)


def _scan_command(model: str) -> click.Command:
    """Return the command `scan MODEL`: the letters of `simulate MODEL`, and those of a scan."""
    options = {name: copy.copy(param) for name, param in model_options(model).items()}

    def run(
        grid: tuple[str, ...], zips: tuple[str, ...], seeds: int, seed: int, out: str | None, workers: int,
        scheduler: str | None, config: str | None, dry_run: bool, **letters: Any,
    ) -> None:  # fmt: skip
        context = click.get_current_context()

        def on_command_line(name: str) -> bool:
            return context.get_parameter_source(name) is ParameterSource.COMMANDLINE

        from_file, own = read_config(config, options) if config is not None else ({}, {})
        letters = from_file | {name: value for name, value in letters.items() if on_command_line(name)}
        values: dict[str, Any] = {"grid": grid, "zips": zips, "seeds": seeds, "seed": seed, "out": out,
                                  "workers": workers, "scheduler": scheduler}  # fmt: skip
        values |= {name: value for name, value in own.items() if not on_command_line(name)}
        _run(model, options, letters, **values, dry_run=dry_run)

    own = [
        click.Option(["--grid"], multiple=True, metavar="AXIS=VALUES",
                     help="An axis: d=1e3:1e9:log13, mu=1:4:lin7, rule=sgd,sam-then-sgd. Once for each axis."),
        click.Option(["--zip", "zips"], multiple=True, metavar="A,B", help="Vary these axes together."),
        click.Option(["--seeds"], type=COUNT, default=1, show_default=True, help="Runs a point."),
        click.Option(["--seed"], type=COUNT, default=0, show_default=True, help="Seed of the first run of a point."),
        click.Option(["--out"], metavar="DIR", help="The scan's directory; what is there is carried on."),
        click.Option(["--workers"], type=COUNT, default=1, show_default=True, help="Worker processes."),
        click.Option(["--scheduler"], metavar="ADDRESS", help="A running dask scheduler (tcp://…), for workers."),
        click.Option(["--config"], metavar="FILE.toml", help="Letters, a [grid] table, zip, seeds …; flags win."),
        click.Option(["--dry-run"], is_flag=True, help="Print the number of runs and an estimate of the time."),
    ]  # fmt: skip
    return click.Command(
        model, callback=run, params=[*own, *options.values()],
        help=f"Scan a grid of runs of `simulate {model}`, whose letters it takes.\n\nEvery run that is done stays: the "
        "same command carries a scan on, with grid values and seeds added if you like.",
    )  # fmt: skip


def _run(
    model: str, options: Mapping[str, click.Parameter], letters: dict[str, Any], grid: Sequence[str],
    zips: Sequence[str], seeds: int, seed: int, out: str | None, workers: int, scheduler: str | None, dry_run: bool,
) -> None:  # fmt: skip
    from simulate.executor import WorkersLost, executor_of, worker_count
    from simulate.grid import parse_axis, parse_zips, united
    from simulate.scan import Plan, opened

    convert, axes = converter(options), {}
    for text in grid:
        name, values = parse_axis(text, convert)
        if name in axes or name in letters:
            reject("grid", text, f"an axis that is given once ({name} is there already)")
        axes[name] = values
    workers = worker_count(workers)
    if scheduler is not None and workers > 1:
        reject("workers", workers, "left out with scheduler, whose cluster decides it")
    first, count = integer("seed", seed, 0), integer("seeds", seeds, 1, 10**9)
    groups = parse_zips(zips, axes)
    letters = {name: list(value) if isinstance(value, tuple) else value for name, value in letters.items()}
    plan = Plan(model, letters, united(axes, axes, groups), groups, first, count)
    specify, family = specify_of(model, axes), one_family(model, letters, axes)
    if dry_run:
        _estimate(plan, specify, workers)
        return
    if out is None:
        reject("out", out, "given: the directory of the scan (or use --dry-run)")
    specify({**plan.fixed, **{name: values[0] for name, values in axes.items()}}, plan.first_seed)  # before any writing
    if scheduler is not None:
        with executor_of(1, scheduler):
            pass  # it answers
    with opened(out, plan, specify, family) as scan:
        there, missing = len(scan.store), sum(1 for _ in scan.missing())
        click.echo(f"{scan.plan.size} runs, {there} of them there", err=True)
        start = time.perf_counter()
        try:
            with _progress(missing) as tell:
                finished = scan.run(workers, scheduler, tell)
        except WorkersLost as error:
            raise click.ClickException(f"{error}; the same command carries the scan on") from error
        seconds, done = time.perf_counter() - start, len(scan.store) - there
        rate = f", {done / seconds:.4g} runs/s" if done else ""
        click.echo(f"{done} runs in {seconds:.3g} s{rate}; {len(scan.failures)} failed", err=True)
        for line in _told(scan.failures):
            click.echo(line, err=True)
        if not finished:
            click.echo("interrupted; the same command carries it on", err=True)
            raise SystemExit(130)
        if scan.failures:
            click.echo(f"all failures: {Path(out) / 'failures.json'}; the same command tries them again", err=True)
            raise SystemExit(1)


def _told(failures: Mapping[str, Mapping[str, Any]], most: int = 5) -> list[str]:
    """Return the lines of the first failures."""
    chosen = list(failures.values())[:most]
    return ["failed: " + ", ".join(f"{name} = {value}" for name, value in failure.items()) for failure in chosen]


def _estimate(plan: "Plan", specify: "Specify", workers: int) -> None:
    """Print the number of runs and the time that they may take, from a few timed points."""
    from simulate.executor import single_threaded
    from simulate.grid import points

    count = plan.size // plan.seeds
    chosen = [point for k, point in enumerate(points(plan.axes, plan.zips)) if k in {0, count // 2, count - 1}]
    times = []
    with single_threaded():
        specify({**plan.fixed, **chosen[0]}, plan.first_seed).run()  # kernels are compiled, or loaded
        for point in chosen:
            spec = specify({**plan.fixed, **point}, plan.first_seed)
            start = time.perf_counter()
            spec.run()
            times.append(time.perf_counter() - start)
    low, high = (f(times) * plan.size / max(1, workers) for f in (min, max))
    click.echo(f"{count} points, {plan.size} runs")
    click.echo(f"{min(times):.3g} to {max(times):.3g} s a run at {len(chosen)} points: {_time(low)} to {_time(high)}")


def _time(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _progress(total: int) -> AbstractContextManager[Tell]:
    """Give tell(done, failed): a bar on a terminal, a line every half minute elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    return _bar(total, console) if console.is_terminal else _lines(total)


def _bar(total: int, console: "Console") -> AbstractContextManager[Tell]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn()
    bar = Progress(*columns, TextColumn("{task.fields[failed]} failed"), console=console)
    task, start = bar.add_task("runs", total=total, rate="", failed=0), time.monotonic()
    state = {"done": 0, "failed": 0}

    def tell(done: int, failed: int) -> None:
        state["done"] += done
        state["failed"] += failed
        rate = f"{state['done'] / max(time.monotonic() - start, 1e-9):.4g} runs/s"
        bar.update(task, advance=done, rate=rate, failed=state["failed"])

    class Telling:
        def __enter__(self) -> Tell:
            bar.start()
            return tell

        def __exit__(self, *exception: object) -> None:
            bar.stop()

    return Telling()


def _lines(total: int, every: float = 30.0) -> AbstractContextManager[Tell]:
    state = {"done": 0, "failed": 0, "told": time.monotonic(), "start": time.monotonic()}

    def tell(done: int, failed: int) -> None:
        state["done"] += done
        state["failed"] += failed
        now = time.monotonic()
        if now - state["told"] >= every:
            state["told"] = now
            rate = state["done"] / (now - state["start"])
            left = _time((total - state["done"]) / rate)
            click.echo(f"{state['done']}/{total} runs, {rate:.4g}/s, {left} left, {state['failed']} failed", err=True)

    return nullcontext(tell)


class _Scan(click.Group):
    """`scan` with a command for each model, made when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*MODELS, "status", "export"]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in MODELS:
            return _scan_command(name)
        return {"status": status, "export": export}.get(name)


@click.command()
@click.argument("folder", metavar="DIR")
def status(folder: str) -> None:
    """Tell what a scan holds: its axes, how many runs are done, how they ended, what failed."""
    from collections import Counter

    from simulate.compiled import fingerprint

    scan = stored(folder)
    table = scan.table()
    plan = scan.plan
    click.echo(f"{plan.model}: {table.num_rows} of {plan.size} runs done")
    for name, values in plan.axes.items():
        shown = ", ".join(map(str, values[:8])) + (f", … ({len(values)} values)" if len(values) > 8 else "")
        click.echo(f"  {name}: {shown}")
    click.echo(f"  seeds: {plan.first_seed} … {plan.first_seed + plan.seeds - 1}")
    if plan.fixed:
        click.echo("  fixed: " + ", ".join(f"{name} = {value}" for name, value in plan.fixed.items()))
    if table.num_rows:
        counts = Counter(table["status"].to_pylist())
        click.echo("  status: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    if scan.kernels != fingerprint():
        click.echo(f"  kernels: {scan.kernels}, of another version: can be read, but not carried on by this one")
    if unknown := len(scan.store) - table.num_rows:
        click.echo(f"  {unknown} stored runs are at no point of this grid as this version reads it")
    for line in _told(scan.failures):
        click.echo("  " + line)


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--to", "form", type=click.Choice(["csv", "parquet", "netcdf"]), default="csv", show_default=True)
@click.option("--out", required=True, metavar="FILE", help="The file to write.")
def export(folder: str, form: str, out: str) -> None:
    """Write one row a finished run: every axis, seed, status, steps and scalar result, in the order of the grid."""
    import io

    from theory.commands import check_output, write_whole

    check_output(out)
    scan = stored(folder)
    table = scan.table()
    if form == "netcdf":
        write_whole(out, _netcdf(table, scan.plan))
        return
    buffer = io.BytesIO()
    if form == "csv":
        from pyarrow.csv import write_csv

        write_csv(table, buffer)
    else:
        from pyarrow.parquet import write_table

        write_table(table, buffer)
    write_whole(out, buffer.getvalue())


def _netcdf(table: Any, plan: "Plan") -> bytes:
    """Return the bytes of a NetCDF file: every result over axes and seed, NaN or "" where a run is missing."""
    try:
        import numpy as np
        import xarray
    except ImportError as error:
        raise ParameterError("to = 'netcdf': needs the extra netcdf (pip install 'sharpbounds[netcdf]')") from error
    frame = table.to_pandas() if table.num_rows else None
    if frame is None or plan.zips:
        reject("to", "netcdf", "csv or parquet for a scan without finished runs, or with zipped axes")
    for name in frame.select_dtypes("integer"):
        if abs(frame[name]).max() > np.iinfo(np.int32).max:  # the format has no longer integers
            frame[name] = frame[name].astype(float)
    data = xarray.Dataset.from_dataframe(frame.set_index([*plan.axes, "seed"]))
    return bytes(data.to_netcdf(engine="scipy"))


def stored(folder: str) -> "Scan":
    """Return the `Scan` of a directory, to be read."""
    from simulate.scan import Scan, plan_of, read_record

    place = folder_of("scan directory", folder)
    record = read_record(place)
    plan = plan_of(record)
    if plan.model not in MODELS:
        reject("scan.json model", plan.model, "one of " + ", ".join(MODELS))
    if unknown := {*plan.fixed, *plan.axes} - set(model_options(plan.model)):
        reject("scan.json letter", min(unknown), f"one of {', '.join(model_options(plan.model))}")
    alone = one_family(plan.model, plan.fixed, plan.axes)
    return Scan(place, plan, specify_of(plan.model, plan.axes), alone, record["kernels"])


scan = _Scan("scan", help="Scan grids of runs, on one core or a cluster, and carry them on.")

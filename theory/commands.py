"""The commands about claims: list, show, verify, cite. Light until something runs."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from theory import own, registry
from theory.parameter_types import COUNT

if TYPE_CHECKING:
    from theory.check import Record
    from theory.claim import Claim


@click.command("list")
@click.argument("patterns", nargs=-1, metavar="[ID, glob or FILE.py]…")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--ids", is_flag=True, help="Print the ids alone, one a line.")
def list_claims(patterns: tuple[str, ...], as_json: bool, ids: bool) -> None:
    """List claims (all of the project, if none is named): id, kind, expected verdict and title."""
    rows: list[dict[str, Any]] = [
        {
            "id": claim.id,
            "paper": claim.id.partition("/")[0],
            "kind": str(claim.kind),
            "title": claim.title,
            "expected": str(claim.expected_in("quick")),
            "expected_full": str(claim.expected_in("full")),
            "control": claim.control and claim.control.title,
            "has_control": claim.control is not None,
            "ours": claim.ours,
        }
        for claim in registry.select(patterns)
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif ids:
        click.echo("\n".join(row["id"] for row in rows))
    else:
        from theory.tables import list_table

        list_table(rows)


LETTERS = {  # letter: flag, type, meaning
    "n": ("--n", COUNT, "samples"),
    "d": ("--d", COUNT, "dimension"),
    "m": (("--width", "--block"), COUNT, "width, or the block of m-SAM,"),
    "P": ("--patches", COUNT, "patches"),
    "mu": ("--mu", float, "signal norm, or PL constant"),
    "sigma_p": ("--sigma-p", float, "noise"),
    "sigma_0": ("--sigma-0", float, "initial weights"),
    "p": ("--flip-rate", float, "flip rate"),
    "B": ("--batch", COUNT, "batch size"),
    "eta": ("--eta", float, "step size"),
    "r": ("--sparsity", COUNT, "nonzero coordinates of the teacher"),
    "alpha": ("--alpha", float, "initial scale"),
    "rho": ("--rho", float, "SAM's radius"),
    "gamma": ("--gamma", float, "step size"),
    "lam": ("--lam", float, "normalisation, or largest eigenvalue"),
    "kappa": ("--kappa", float, "length of SAM's phase, or condition mu/beta,"),
    "delta": ("--delta", float, "density of the weights"),
    "L": ("--L", float, "smoothness"),
    "L_S": ("--L-S", float, "smoothness of every stochastic gradient"),
    "D": ("--D", float, "expected residual B mu + A,"),
    "beta": ("--beta", float, "smoothness"),
    "a": ("--a", float, "curvature of the first sample"),
    "b": ("--b", float, "curvature of the second sample"),
}


def _letters(command: Callable[..., Any]) -> Callable[..., Any]:
    for letter, (flags, kind, meaning) in reversed(LETTERS.items()):
        names = (flags,) if isinstance(flags, str) else flags
        command = click.option(*names, letter, type=kind, help=f"{meaning} {letter}, in place of the nominal.")(command)
    return command


@click.command()
@click.argument("claim_id", metavar="ID or FILE.py")
@_letters
def show(claim_id: str, **given: Any) -> None:
    """Show a claim, or those of a file: statement, source, settings, and the margin of every hypothesis.

    With numbers (--n, --d, --mu …) the margins are those of your own setting, without simulating anything: does
    this theorem speak about my case? A margin says how many times over a condition is met with constant 1; where the
    paper hides the constant it is printed and decides nothing.
    """
    from simulate.parameters import reject
    from theory.tables import show_claim

    claims = registry.select((claim_id,)) if own.is_file(claim_id) else [registry.find(claim_id)]
    changes = {letter: value for letter, value in given.items() if value is not None}
    for place, claim in enumerate(claims):
        for letter, value in changes.items():
            smallest = 1 if letter in ("n", "d", "m", "B", "r") else 2 if letter == "P" else 0
            largest = 0.5 if letter == "p" else 1.0 + 1e-15 if letter == "lam" and "L_S" in claim.parameters else 1e50
            strict = letter in ("alpha", "L", "L_S")  # from 0 nothing moves, and nothing bends
            if not smallest <= value < largest or (strict and value == smallest):  # NaN is refused too
                reject(letter, value, f"a number {'>' if strict else '>='} {smallest} and < {largest:g}")
        if place:
            click.echo()
        show_claim(claim, changes)


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_output(path: str | None, stdout: bool = False) -> str | None:
    """Return `path` if a file can be written there, before anything is computed; else raise ParameterError.

    `stdout` tells whether `-` is allowed.
    """
    from simulate.parameters import reject

    if path == "-" and stdout:
        return path
    if path is not None:
        try:
            target = Path(path)
            place = target if target.exists() else target.parent
            refused = path in ("", "-") or target.is_dir() or not os.access(place, os.W_OK)
        except (OSError, ValueError):  # a name that is too long, or has a null character
            refused = True
        if refused:
            reject("output file to save", path, "a file in a folder that exists and can be written")
    return path


def write_whole(path: str | Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it into place; `-` is standard output, a pipe stays a pipe."""
    from simulate.parameters import ParameterError

    if path == "-":
        sys.stdout.buffer.write(data)
        return
    target = Path(path).resolve()
    temporary = target.with_name(target.name + ".part")
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        temporary.write_bytes(data)
        os.replace(temporary, target)
    except OSError as error:
        raise ParameterError(f"output file = {str(path)!r}: must be one that can be written ({error})") from error
    finally:
        if temporary.is_file():  # after an error or an interrupt
            temporary.unlink()


def verify_claims(
    patterns: str | Iterable[str] = (), mode: str = "quick", seed: int = 0, workers: int | None = None,
    store: bool = True, report: "Callable[[Record], None] | None" = None,
    progress: "Callable[[Claim, int], None] | None" = None,
) -> "list[Record]":  # fmt: skip
    """Check the claims that `patterns` name (see `theory.registry.select`; all by default) and return their records.

    `workers` processes (default: every core) share the runs; `store=False` computes every run afresh. `report` is
    called with each record as it is made, `progress(claim, runs)` as runs finish.
    """
    selected = registry.select((patterns,) if isinstance(patterns, str) else patterns)
    from simulate.runner import Runner
    from simulate.store import Store
    from theory.check import check

    records, table = [], registry.table_size(selected)
    workers = available_cores() if workers is None else workers
    with Runner(workers, Store() if store else None) as runner:
        for claim in selected:
            if progress:
                progress(claim, 0)
                runner.progress = partial(progress, claim)
            record = check(claim, mode, seed, runner, table)
            records.append(record)
            if report:
                report(record)
    return records


def checking(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the ids and options of a check."""
    options = (
        click.argument("patterns", nargs=-1, metavar="[ID, glob or FILE.py]…"),
        click.option("--quick", "mode", flag_value="quick", default="quick", help="Quick settings (the default)."),
        click.option(
            "--full", "mode", flag_value="full", help="Full settings: wider windows, more seeds, narrower intervals."
        ),
        click.option("--seed", default=0, show_default=True, help="Base seed; another one draws everything anew."),
        click.option("--workers", type=int, help="Worker processes. [default: every core]"),
        click.option("--no-cache", is_flag=True, help="Compute every run, also those that are stored."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def asked(patterns: Sequence[str], seed: int, workers: int | None) -> "list[Claim]":
    """Return the claims that the options of `checking` ask for, or raise ParameterError for any of them."""
    selected = registry.select(patterns)
    from simulate.executor import worker_count
    from simulate.parameters import integer

    integer("seed", seed, 0, 10**9)
    if workers is not None:
        worker_count(workers)
    return selected


def checked(
    patterns: Sequence[str], mode: str, seed: int, workers: int | None, no_cache: bool, to_stderr: bool = False
) -> "list[Record]":
    """Return the records of the claims that match, shown as they are made; the arguments are those of `checking`."""
    from theory.tables import VerifyTable

    selected = asked(patterns, seed, workers)
    with VerifyTable(selected, mode, seed, to_stderr) as table:
        return verify_claims(patterns, mode, seed, workers, not no_cache, table.add, table.progress)


@click.command()
@checking
@click.option("--json", "json_file", metavar="FILE", help="Also write the records as JSON ('-': standard output).")
@click.pass_context
def verify(
    context: click.Context, patterns: tuple[str, ...], mode: str, seed: int, workers: int | None, json_file: str | None,
    no_cache: bool,
) -> None:  # fmt: skip
    """Check claims against exact simulation (all of them, if none is named).

    Exit status: 0 if every verdict is the expected one, every negative control was rejected and every twin of a
    claim that fails holds; 1 otherwise; 2 for bad usage. `holds` means not falsified on the points tried.
    """
    check_output(json_file, stdout=True)
    records = checked(patterns, mode, seed, workers, no_cache, to_stderr=json_file == "-")
    if json_file:
        from theory.record import record_text

        write_whole(json_file, record_text([plain_json(record.to_dict()) for record in records]).encode())
    context.exit(0 if all(record.passed for record in records) else 1)


def plain_json(value: Any) -> Any:
    """Plain data with NaN and infinities as null and NumPy numbers as Python's, so that the JSON is valid anywhere."""
    import math

    import numpy as np

    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain_json(value.tolist())
    if isinstance(value, (np.floating, np.integer)):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


@click.command()
@click.argument("patterns", nargs=-1, metavar="[ID, glob or FILE.py]…")
def cite(patterns: tuple[str, ...]) -> None:
    """Print the BibTeX entries of the papers whose claims are named (all, by default)."""
    found = {}
    for claim in registry.select(patterns):
        if (paper := registry.paper(claim)) is None:
            from simulate.parameters import reject

            reject("paper of " + claim.id, None, "a Paper, as PAPER in the file of the claim")
        found[paper.key] = paper.bibtex
    click.echo("\n".join(found.values()))

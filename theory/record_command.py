"""The commands about records: `diff` compares two files of them, `table` prints one for a paper."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from theory.commands import checked, checking, plain_json

Record = dict[str, Any]


def changes(old: Record, new: Record) -> list[str]:
    """Return what differs between two records of one claim, in words; [] if nothing does.

    Values are compared where both records were made at the same settings or have intervals: they differ if the
    intervals are disjoint or, without any, if the values are apart by more than the tolerance and a millionth.
    """
    from theory.tables import figure

    found = []
    for name, of in _COMPARED.items():
        before, after = of(old), of(new)
        if before != after:
            found.append(f"{name}: {before} → {after}")
    for name in ("verdict", "control", "twin"):
        one, two = old.get(name) or {}, new.get(name) or {}
        same = (old["mode"], old["settings"]) == (new["mode"], new["settings"])
        if _apart(one, two, old["tolerance"], same):
            values = (figure(part["value"]) + _interval(part, figure) for part in (one, two))
            found.append(f"{name}, {one['measure']}: {' → '.join(values)}")
    return found


_COMPARED: dict[str, Callable[[Record], Any]] = {
    "mode": lambda row: row["mode"],
    "seed": lambda row: row["seed"],
    "settings": lambda row: {k: v for k, v in row["settings"].items() if k != "seed"},
    "text": lambda row: row["text_sha256"][:12],
    "tolerance": lambda row: row["tolerance"],
    "verdict": lambda row: "not checked" if row["missing"] else row["verdict"]["outcome"],
    "expected": lambda row: row["expected"],
    "control": lambda row: row["control"]["outcome"],
    "twin": lambda row: row["twin"] and row["twin"]["outcome"],
    "points": lambda row: row["verdict"]["points"],
}


def _interval(part: Mapping[str, Any], figure: Callable[[Any], str]) -> str:
    return f" [{figure(part['interval'][0])}, {figure(part['interval'][1])}]" if part["interval"] else ""


def _apart(one: Mapping[str, Any], two: Mapping[str, Any], tolerance: float, same: bool) -> bool:
    if None in (one.get("value"), two.get("value")) or one["measure"] != two["measure"]:
        return False
    if one["interval"] and two["interval"]:
        (low, high), (other_low, other_high) = one["interval"], two["interval"]
        slack = 1e-6 * max(abs(one["value"]), abs(two["value"]))
        return None not in (low, high, other_low, other_high) and (low > other_high + slack or other_low > high + slack)
    gap = abs(one["value"] - two["value"])
    return same and gap > max(tolerance, 1e-6 * max(1.0, abs(one["value"])))


@click.command()
@click.argument("old", metavar="OLD.json")
@click.argument("new", metavar="NEW.json")
@click.pass_context
def diff(context: click.Context, old: str, new: str) -> None:
    """Compare two files that `verify --json` wrote: what has another verdict, figure, number of points or text.

    A figure has changed if its intervals are disjoint or, without intervals and at the same settings, if it is off by
    more than the tolerance. Exit status: 0 if nothing differs, 1 otherwise; other versions are named and count for
    nothing.
    """
    from theory.record import read_records

    before, after = ({row["id"]: row for row in read_records(path)} for path in (old, new))
    lines = [f"- {name}   only in {old}" for name in before if name not in after]
    lines += [f"+ {name}   only in {new}" for name in after if name not in before]
    for name in before:
        lines += [f"~ {name}   {text}" for text in changes(before[name], after[name])] if name in after else []
    for line in [*lines, *_versions(before, after)]:
        click.echo(line)
    same = len(before.keys() | after.keys()) - len({line.split()[1] for line in lines})
    click.echo(f"{same} claims as they were" + (", the others differ." if lines else ", nothing differs."))
    context.exit(1 if lines else 0)


def _versions(before: Mapping[str, Record], after: Mapping[str, Record]) -> list[str]:
    def named(rows: Mapping[str, Record]) -> dict[str, str]:
        found: dict[str, set[str]] = {}
        for row in rows.values():
            place = {**row["environment"]["versions"], "platform": row["environment"]["platform"]}
            for name, text in place.items():
                found.setdefault(name, set()).add(text)
        return {name: ", ".join(sorted(texts)) for name, texts in found.items()}

    one, two = named(before), named(after)
    names = [name for name in sorted(one | two) if one.get(name) != two.get(name)]
    return [f"  {name} {one.get(name)} → {two.get(name)}" for name in names]


COLUMNS = ("claim", "source", "kind", "verdict", "figure", "interval", "points", "control")


def cells(row: Record) -> tuple[str, ...]:
    """Return the entries of a record under `COLUMNS`."""
    from theory.tables import figure

    verdict = row["verdict"]
    value = "" if verdict["value"] is None else f"{verdict['measure']} {figure(verdict['value'])}"
    control = "not run" if row["missing"] else "rejected" if row["control"]["rejected"] else "NOT REJECTED"
    outcome = "not checked" if row["missing"] else verdict["outcome"]
    return (
        row["id"], row["source"], row["kind"], outcome, value, _interval(verdict, figure).strip(),
        str(verdict["points"]), control,
    )  # fmt: skip


def as_csv(rows: list[Record]) -> str:
    """Return records as comma-separated values."""
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *map(cells, rows)])
    return text.getvalue()


def as_markdown(rows: list[Record]) -> str:
    """Return records as a Markdown table."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *map(cells, rows)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


_LATEX = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}", "–": "--", "²": "$^2$", "³": "$^3$",
    "⁴": "$^4$", "√": r"$\surd$", "−": "$-$", "≤": r"$\le$", "≥": r"$\ge$", "→": r"$\to$", "Θ": r"$\Theta$",
}  # fmt: skip


def as_latex(rows: list[Record]) -> str:
    """Return records as a LaTeX table (package booktabs)."""

    def line(texts: Iterable[str]) -> str:
        texts = ("".join(_LATEX.get(letter, letter) for letter in text) for text in texts)
        return " & ".join(texts) + r" \\"

    body = [line(cells(row)) for row in rows]
    head = [rf"\begin{{tabular}}{{{'l' * len(COLUMNS)}}}", r"\toprule", line(COLUMNS), r"\midrule"]
    return "\n".join([*head, *body, r"\bottomrule", r"\end{tabular}"]) + "\n"


WRITERS = {"latex": as_latex, "csv": as_csv, "markdown": as_markdown}


@click.command()
@checking
@click.option("--from", "record_file", metavar="FILE", help="Take the records that `verify --json` wrote; run nothing.")
@click.option("--to", type=click.Choice(list(WRITERS)), default="markdown", show_default=True, help="Format.")
def table(
    patterns: tuple[str, ...], mode: str, seed: int, workers: int | None, no_cache: bool, record_file: str | None,
    to: str,
) -> None:  # fmt: skip
    """Print a table of checked claims for a paper or an answer to its reviewers."""
    from theory.record import read_records, select_records

    if record_file is None:
        records = checked(patterns, mode, seed, workers, no_cache, to_stderr=True)
        rows = [plain_json(record.to_dict()) for record in records]
    else:
        rows = select_records(read_records(record_file), patterns)
    click.echo(WRITERS[to](rows), nl=False)

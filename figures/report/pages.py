"""Records → the pages of a report: an index, one page a claim, the record itself and its checksums."""

import hashlib
import math
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures.report.mathml import pieces
from figures.report.pictures import pictures
from theory.claim import Outcome
from theory.record import record_text
from theory.tables import figure as number
from theory.tables import power_text, result_text
from theory.verdict import Verdict

if TYPE_CHECKING:
    from jinja2 import Template

Row = dict[str, Any]  # a record, a part of one, or what pages print of it
Pictures = dict[str, list[dict[str, str]]]

FEW = 4  # pages sooner drawn than a worker is started
GLYPHS = {
    "holds": "✓", "violated": "✗", "vacuous": "∅", "inconclusive": "?", "out of scope": "○", "not checked": "–",
}  # fmt: skip


def build(rows: list[Row], workers: int = 1) -> dict[str, bytes]:
    """Return the files of a report by path: the same bytes for the same records, however many workers draw."""
    from importlib.metadata import version

    template = _environment(version("sharpbounds"))
    shown = [_row(row) for row in rows]
    order = sorted(range(len(rows)), key=lambda k: shown[k]["key"])  # by paper; in their order within it
    shown, rows = [shown[k] for k in order], [rows[k] for k in order]
    files = {"index.html": template("index.html").render(root="", **_index(shown))}
    page = template("claim.html")
    around = zip(shown, [None, *shown[:-1]], [*shown[1:], None], _drawn(rows, workers), strict=True)
    for row, before, after, drawn in around:
        files[row["href"]] = page.render(root="../", row=row, before=before, after=after, **_claim(row, drawn))
    files["style.css"] = (Path(__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    files["record.json"] = record_text(rows)
    data = {name: text.encode() for name, text in sorted(files.items())}
    sums = "".join(f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in data.items())
    return {**data, "SHA256SUMS": sums.encode()}


def archive(files: dict[str, bytes]) -> bytes:
    """Return a ZIP file of a report: the same bytes for the same files, undated."""
    import io

    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as target:
        for name, text in files.items():
            entry = zipfile.ZipInfo(f"report/{name}", (1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            target.writestr(entry, text)
    return data.getvalue()


def _drawn(rows: list[Row], workers: int) -> Iterator[Pictures]:
    from simulate.executor import executor_of

    with executor_of(workers if len(rows) > FEW else 1) as (executor, _):
        yield from executor.map(pictures, rows, chunksize=4) if executor else map(pictures, rows)


@cache
def _environment(version: str) -> "Callable[[str], Template]":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from theory.check import FALSE_ALARM

    template = Environment(
        loader=PackageLoader("figures.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    filters: dict[str, Any] = {"slug": lambda outcome: outcome.replace(" ", "-"), "number": _number, "met": _met}
    template.filters |= filters
    template.globals |= {"glyphs": GLYPHS, "false_alarm": _number(FALSE_ALARM), "version": version}
    return template.get_template


def _number(value: Any) -> str:
    return "–" if value is None else number(value)


def _met(hypothesis: Row) -> str:
    if hypothesis["required"] is None:
        return "constant hidden in the paper"
    margin = hypothesis["margin"]
    return "met" if margin is None or margin >= hypothesis["required"] else "NOT met: out of scope"


def _text(part: Row) -> str:
    """Return the figure of a verdict with its interval, as `verify` prints it."""
    value = math.nan if part["value"] is None else part["value"]
    interval = part["interval"] and tuple(math.nan if end is None else end for end in part["interval"])
    return result_text(
        Verdict(Outcome(part["outcome"]), part["measure"], value, interval, part["points"], part["details"])
    )


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 100.0 else f"{value / 60.0:.0f} min"


def _row(row: Row) -> Row:
    """Return a record with what pages print of it."""
    key, _, name = row["id"].partition("/")
    outcome, expected = row["verdict"]["outcome"], row["expected"]
    shown = "not checked" if row["missing"] else outcome
    remark = remark_long = ""
    if row["missing"]:
        remark = f"without the extra {row['missing']}"
        remark_long = f"Not checked: the extra {row['missing']} is not installed."
    elif outcome != expected:
        remark = f"UNEXPECTED: {expected} expected"
        remark_long = f"UNEXPECTED: the verdict fixed beforehand is {expected}."
    elif not row["passed"]:
        remark, remark_long = "UNEXPECTED", "UNEXPECTED: the control or the repaired form did not come out as it must."
    elif outcome == "holds":
        remark_long = f"Not falsified on {row['verdict']['points']} points."
    else:
        remark, remark_long = "as expected", "As expected: this form is known to fail."
        if outcome == "out of scope":
            remark_long = f"As expected: a hypothesis is not met. Beyond it, the judge says: {row['judged']}."
    control = "not run" if row["missing"] else "rejected" if row["control"]["rejected"] else "NOT REJECTED"
    return {
        **row, "key": key, "name": name, "href": f"{row['id']}.html", "shown": shown, "remark": remark,
        "remark_long": remark_long, "figure": _text(row["verdict"]), "points": row["verdict"]["points"],
        "control_text": control, "time": _seconds(row["seconds"]),
    }  # fmt: skip


def _index(rows: list[Row]) -> Row:
    outcomes = [row["shown"] for row in rows]
    papers = []
    for key in dict.fromkeys(row["key"] for row in rows):
        found = [row for row in rows if row["key"] == key]
        counts = [f"{sum(r['shown'] == outcome for r in found)} {outcome}" for outcome in GLYPHS]
        told = ", ".join(text for text in counts if not text.startswith("0 "))
        count = f"{len(found)} claim{'s' if len(found) > 1 else ''}: {told}"
        papers.append({**found[0]["paper"], "key": key, "rows": found, "count": count})
    checked = [row for row in rows if not row["missing"]]
    twins = [row["twin"]["outcome"] for row in checked if row["twin"]]
    return {
        "rows": rows, "papers": papers, "theorems": _theorems(rows), "checked": len(checked),
        "totals": [(outcome, outcomes.count(outcome)) for outcome in GLYPHS if outcome in outcomes],
        "unexpected": [row for row in rows if not row["passed"]],
        "rejected": sum(row["control"]["rejected"] for row in checked),
        "twins": twins.count("holds"), "twins_of": len(twins), "runs": sum(row["runs"] for row in rows),
        "seconds": _seconds(sum(row["seconds"] for row in rows)),
        "modes": sorted({row["mode"] for row in rows}), "seeds": sorted({row["seed"] for row in rows}),
    }  # fmt: skip


_WORK = re.compile(r"([A-Z]\w+)((?:, [A-Z]\w+)*)( et al\.| & [A-Z]\w+|)(?: (\d{4})|, arXiv)")
_PLACE = re.compile(r"(?:Theorem|Lemma|Proposition|Corollary|Definition|Section|Appendix) [A-Z]?\d+(?:\.\d+)*")


def _theorems(rows: list[Row]) -> list[tuple[str, list[tuple[str, list[Row]]]]]:
    """Return [(work, [(theorem, rows)])] of the works and places that the sources name."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        for part in row["source"].split(";"):
            work = _WORK.search(part)
            place = _PLACE.search(part)
            if work:
                first, more, last, year = work.groups()
                year = year or row["key"][-4:]
                label = f"{first} et al. {year}" if more or "et al" in last else f"{first}{last} {year}"
            elif "derived here" in part or "ours" in part:
                label = "Ours"
            else:
                continue
            rest = part[work.end() :].strip(" ,").partition(":")[0] if work else row["key"]
            listed = found.setdefault(label, {}).setdefault(place[0] if place else rest or "as a whole", [])
            if row not in listed:
                listed.append(row)
    natural = partial(sorted, key=lambda item: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", item[0])])
    return [(label, natural(places.items())) for label, places in sorted(found.items())]


def _claim(row: Row, drawn: Pictures) -> Row:
    from markupsafe import Markup

    verdict, ran = row["verdict"], row["environment"]
    details, axes = _details(verdict)
    result = [("Figure", row["figure"]), ("Points", verdict["points"])]
    result.append(("Tolerance", f"{number(row['tolerance'])}: {row['tolerance_reason']}"))
    if row["power"] is not None:
        result.append(("Power", power_text(row["power"])))
    for group in drawn.values():
        for picture in group:
            picture["svg"] = Markup(picture["svg"])  # drawn here, its texts escaped
    settings = ", ".join(f"{k} = {number(v)}" for k, v in row["nominal"].items())
    return {
        "formula": [Markup(piece) for piece in pieces(row["formula"])], "pictures": drawn, "result": result,
        "details": details, "axes": axes, "control": _part(row["control"]), "twin": _part(row["twin"]),
        "nominal": settings,
        "command": f"sharpbounds verify {row['id']} --{row['mode']} --seed {row['seed']}",
        "settings": [(k, number(v) if not isinstance(v, bool) else str(v).lower()) for k, v in row["settings"].items()],
        "ran": [
            ("Time", f"{_seconds(row['seconds'])}, {row['runs']} runs"), ("Base seed", row["seed"]),
            *ran["versions"].items(), ("platform", ran["platform"]), ("cores", ran["cores"]),
            ("SHA-256 of statement, formula and source", row["text_sha256"]),
        ],
    }  # fmt: skip


def _part(part: Row | None) -> list[tuple[str, Any]]:
    if not part or part["value"] is None:
        return []
    changes = ", ".join(f"{k} = {number(v)}" for k, v in part["changes"].items())
    other = [("Other settings", changes)] if changes else []
    return [("Verdict", part["outcome"]), ("Figure", _text(part)), ("Points", part["points"]), *other]


def _details(verdict: Row) -> tuple[list[tuple[str, str]], Row | None]:
    """Return the details of a verdict as pairs, or, of several axes, as a table."""
    details = verdict["details"]
    if "" in verdict["series"] or not verdict["series"]:
        return [(name, _number(value)) for name, value in details.items()], None
    columns = list(dict.fromkeys(key for each in details.values() for key in each))
    rows = [(axis, [_number(each.get(key)) for key in columns]) for axis, each in details.items()]
    kept = [k for k, name in enumerate(columns) if any(values[k] != "–" for _, values in rows)]
    rows = [(axis, [values[k] for k in kept]) for axis, values in rows]
    return [], {"columns": [columns[k] for k in kept], "rows": rows}

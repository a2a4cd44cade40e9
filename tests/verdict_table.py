"""What the repeats of `verdict_rates` come to: wrong verdicts, intervals that miss, wrong forms that are not rejected.

A row is one part of a claim, itself or its twin. Of what it must say, `expected`, the opposite is *wrong*: `violated`
of what should hold, or is to be told apart from nothing; `holds` or `vacuous` of what is known to fail. It may be
wrong with the stated rate, a claim's share of `FALSE_ALARM`. As so small a rate shows in no hundred repeats, the same
samples are judged at `LARGE` too.

Where an interval is judged two more things are counted, with the mean over all repeats standing for the truth.
*Missed*: how many intervals at `LARGE` do not hold it (of several axes and points each is counted). *Beyond*: how many
forms that are wrong by exactly the stated power (`detectable`) are called `violated`, at the stated rate; the others
may be as many as false alarms.

A row is *compatible* if no count is one that the stated rate would exceed with probability `DOUBT`, and every control
was rejected.
"""

import json
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binom, binomtest

from simulate.types import FloatArray
from theory.check import FALSE_ALARM
from theory.claim import Claim, Kind, Outcome, Samples
from theory.interval import interval_of, slopes
from theory.registry import claims
from theory.verdict import Verdict, detectable, judge

if TYPE_CHECKING:
    from verdict_rates import Axes, Line, Results

ROOT = Path(__file__).resolve().parents[1]
JSON, PAGE = ROOT / "docs" / "verdicts.json", ROOT / "docs" / "verdicts.md"
MARKS = "<!-- rates -->", "<!-- end of rates -->"
LARGE = 0.05  # the rate at which false alarms can be counted
DOUBT = 1e-4
RATES = (Kind.RATE, Kind.PHASE_BOUNDARY)
BOUNDS = {Kind.UPPER_BOUND: 1.0, Kind.LOWER_BOUND: -1.0}
WRONG = {
    Outcome.HOLDS: (Outcome.VIOLATED,), Outcome.VACUOUS: (Outcome.VIOLATED,), Outcome.INCONCLUSIVE: (Outcome.VIOLATED,),
    Outcome.VIOLATED: (Outcome.HOLDS, Outcome.VACUOUS), Outcome.OUT_OF_SCOPE: (),
}  # fmt: skip

Row = dict[str, Any]
"""A row of the table, as `docs/verdicts.json` has it."""


def figures(kind: Kind, samples: Samples, prediction: FloatArray) -> FloatArray:
    """Return what is averaged, replicates in the last axis: (rows, R)."""
    observed = np.asarray(samples.observed, float)
    if kind in RATES:
        return slopes(samples.given["x"], observed)[None]
    if kind is Kind.LIMIT:
        last: FloatArray = np.atleast_2d(observed)[-1:] / np.ravel(prediction)[-1] - 1.0
        return last
    return observed.reshape(1, -1) if kind is Kind.ORDERING else observed.reshape(-1, observed.shape[-1])


def beyond(
    kind: Kind, samples: Samples, prediction: FloatArray, tolerance: float, rate: float, truth: FloatArray
) -> Verdict:
    """Return the verdict of a form that the truth (rows,) breaks by exactly `detectable`; of bounds the tightest one's.

    Limits are judged at their last point alone: a gap that halves along the axis is none.
    """

    def power(verdict: Verdict) -> float:
        found = detectable(verdict, tolerance)
        assert found is not None  # `counted` leaves out what has no interval
        return found

    if kind in RATES:
        plain = judge(kind, samples, prediction, tolerance, rate)
        side = 1.0 if plain.details["far from the limit"] > truth[0] else -1.0
        return judge(kind, samples, truth[0] + side * power(plain), tolerance, rate)
    if kind is Kind.ORDERING:
        plain = judge(kind, samples, prediction, tolerance, rate)
        return judge(kind, samples, truth[0] + power(plain), tolerance, rate)
    if kind is Kind.LIMIT:
        last, form = Samples(np.atleast_2d(samples.observed)[-1:]), np.ravel(prediction)[-1]
        width = power(judge(kind, last, form, tolerance, rate)) - tolerance
        return judge(kind, last, form * (1.0 + truth[0] + width) / (1.0 - tolerance), tolerance, rate)
    side, rows = BOUNDS[kind], figures(kind, samples, prediction)
    bound = np.broadcast_to(prediction, np.shape(samples.observed)[:-1]).ravel()
    k = int(np.argmin(side * (bound - truth) / np.where(bound == 0.0, 1.0, np.abs(bound))))
    one, share = Samples(rows[k : k + 1], samples.given), rate / len(rows)
    unit = abs(bound[k]) or 1.0
    width = power(judge(kind, one, bound[k : k + 1], tolerance, share)) - tolerance
    width *= 1.0 + 1e-9  # the truth may be an end of the interval
    edge = truth[k] - side * width * unit
    return judge(kind, one, np.array([edge / (1.0 + side * tolerance * np.sign(edge))]), tolerance, share)


def comparable(kind: Kind, each: Sequence[tuple[Samples, FloatArray]]) -> bool:
    """Return whether an axis, [(samples, prediction)] by repeat, has averages of the same quantities every time."""
    if kind in BOUNDS:
        first, shape = each[0][1], np.shape(each[0][0].observed)
        return all(np.array_equal(p, first) and np.shape(s.observed) == shape for s, p in each)
    return True


def counted(claim: Claim, observations: Sequence["Axes"], rate: float) -> list[list[int] | None]:
    """Return [missed, of], [not rejected beyond the power, of] over the axes of every repeat; None if nothing is.

    Left out is what the judge has no interval for: samples that are not finite, or of a rate not positive.
    """
    missed, passed = np.zeros(2, int), np.zeros(2, int)
    for axis in observations[0]:
        each = [axes[axis] for axes in observations if axis in axes]
        each = [(s, p) for s, p in each if judge(claim.kind, s, p, claim.tolerance, LARGE).interval]
        if len(each) < 2 or not comparable(claim.kind, each):
            continue
        values = [figures(claim.kind, s, p) for s, p in each]
        truth = np.mean([rows.mean(axis=-1) for rows in values], axis=0)
        for (samples, prediction), rows in zip(each, values, strict=True):
            found = [interval_of(samples.given)(row, LARGE) for row in rows]
            missed += sum(not i.low <= t <= i.high for i, t in zip(found, truth, strict=True)), len(rows)
            verdict = beyond(claim.kind, samples, prediction, claim.tolerance, rate / len(observations[0]), truth)
            passed += verdict.outcome is not Outcome.VIOLATED, 1
    return [count.tolist() if count[1] else None for count in (missed, passed)]


def summary(results: "Results") -> list[Row]:
    """Return the table's rows as plain data, of every claim in the results that has been observed."""
    from verdict_rates import SMALLER

    found = []
    for name, lines in results.rows.items():
        if lines:
            smaller = {"settings": SMALLER[name]} if name in SMALLER else {}
            rows = [row for _, row in sorted(lines.items())]
            found += [_row(claims()[name], part, rows, results.fixed(name)) | smaller
                      for part in rows[0]["parts"] if part != "control"]  # fmt: skip
    return found


def _row(claim: Claim, part: str, rows: Sequence["Line"], fixed: bool) -> Row:
    expected = Outcome.HOLDS if part == "twin" else claim.judged or claim.expected_in("quick")
    carries = part == "twin" or claim.twin is None  # what the control stands beside
    outcomes = Counter(row["parts"][part]["outcome"] for row in rows)
    row = {
        "id": claim.id, "part": part, "kind": str(claim.kind), "expected": str(expected), "repeats": len(rows),
        "fixed": fixed, "outcomes": dict(outcomes), "wrong": sum(outcomes[o] for o in WRONG[expected]),
        "control": dict(Counter(row["parts"]["control"]["outcome"] for row in rows)) if carries else None,
        "wrong at large": None, "missed": None, "passed": None,
    }  # fmt: skip
    samples = [row["parts"][part]["samples"] for row in rows if "samples" in row["parts"][part]]
    if len(samples) > 1 and not fixed:
        row |= _judged_again(claim, samples, WRONG[expected])
    return row | {"compatible": _compatible(row)}


def _judged_again(claim: Claim, samples: Sequence[str], wrong: Collection[Outcome]) -> Row:
    from verdict_rates import unpacked

    observations, rate = [unpacked(text) for text in samples], FALSE_ALARM / len(claims())
    again = [
        judge(claim.kind, {a: s for a, (s, _) in axes.items()}, {a: p for a, (_, p) in axes.items()},
              claim.tolerance, LARGE).outcome
        for axes in observations
    ]  # fmt: skip
    missed, passed = counted(claim, observations, rate)
    return {"wrong at large": [sum(o in wrong for o in again), len(again)], "missed": missed, "passed": passed}


def _compatible(row: Row) -> bool:
    stated = FALSE_ALARM / len(claims())
    pairs = [([row["wrong"], row["repeats"]], stated), (row["wrong at large"], LARGE), (row["passed"], stated)]
    likely = all(pair is None or binom.sf(pair[0] - 1, pair[1], rate) >= DOUBT for pair, rate in pairs)
    return bool(likely and (row["control"] is None or set(row["control"]) == {Outcome.VIOLATED}))


def share(count: int, of: int) -> str:
    """Return a count of so many with its exact 95 % interval, in per cent."""
    low, high = binomtest(count, of).proportion_ci(0.95, "exact")
    return f"{count} of {of} ({100 * low:.2g}–{100 * high:.2g} %)"


ORDER = [Outcome.HOLDS, Outcome.VACUOUS, Outcome.INCONCLUSIVE, Outcome.VIOLATED]
HEAD = ("claim", "kind", "repeats", "verdicts", "wrong", f"wrong at {LARGE:.0%}", f"missed at {LARGE:.0%}",
        "control rejected", "beyond power", "compatible")  # fmt: skip


def totals(rows: Iterable[Row]) -> str:
    """Return what the rows come to, those of claims that depend on seeds, in a sentence."""
    drawn = [row for row in rows if not row["fixed"]]

    def sums(pairs: Iterable[list[int] | None]) -> list[int]:
        return [sum(part) for part in zip(*filter(None, pairs), strict=True)] or [0, 0]

    wrong = share(sum(row["wrong"] for row in drawn), sum(row["repeats"] for row in drawn))
    large = share(*sums(row["wrong at large"] for row in drawn))
    controls = [row["control"] for row in drawn if row["control"]]
    rejected = sum(control.get(Outcome.VIOLATED, 0) for control in controls)
    passed, of = sums(row["passed"] for row in drawn)
    return (
        f"Wrong verdicts: {wrong}, at {LARGE:.0%}: {large}. Controls rejected: {rejected} of "
        f"{sum(sum(control.values()) for control in controls)}. "
        f"Forms beyond the power rejected: {of - passed} of {of}. "
        f"Repeats: {min(row['repeats'] for row in drawn)} to {max(row['repeats'] for row in drawn)}, "
        f"{np.median([row['repeats'] for row in drawn]):g} in the median."
    )


def table(rows: Sequence[Row]) -> str:
    """Return the totals and the table as Markdown."""
    lines = [totals(rows), "", f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    for row in rows:
        name = f"`{row['id']}`" + (", its twin" if row["part"] == "twin" else "") + ("*" if "settings" in row else "")
        said = ", ".join(f"{row['outcomes'][o]} {o}" for o in ORDER if row["outcomes"].get(o))
        if row["expected"] != Outcome.HOLDS:
            said += f" (expected: {row['expected']})"
        control = row["control"]
        cells = [
            name, row["kind"], "1, exact" if row["fixed"] else str(row["repeats"]),
            next(iter(row["outcomes"])) + (" (as expected)" if row["expected"] != Outcome.HOLDS else "")
            if row["fixed"] else said,
            "no" if row["fixed"] and not row["wrong"] else share(row["wrong"], row["repeats"]),
            _ratio(row["wrong at large"]), _ratio(row["missed"]),
            "–" if control is None else _ratio([control.get(Outcome.VIOLATED, 0), sum(control.values())]),
            "–" if row["passed"] is None else _ratio([row["passed"][1] - row["passed"][0], row["passed"][1]]),
            "yes" if row["compatible"] else "**no**",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(pair: Sequence[int] | None) -> str:
    return "–" if pair is None else f"{pair[0]} of {pair[1]}"


def marked(text: str, marks: tuple[str, str] = MARKS) -> tuple[str, str, str]:
    """Return what stands before the space between two marks of a page, what is in it, and what stands after it."""
    before, found, rest = text.partition(marks[0])
    inner, ended, after = rest.partition(marks[1])
    if not (found and ended):
        raise ValueError(f"page: must have {marks[0]} and {marks[1]}")
    return before + marks[0] + "\n\n", inner.strip("\n"), "\n\n" + marks[1] + after


def put(text: str, marks: tuple[str, str] = MARKS) -> None:
    """Write a table into the page, between its marks."""
    before, _, after = marked(PAGE.read_text(encoding="utf-8"), marks)
    PAGE.write_text(before + text + after, encoding="utf-8")


def write(rows: Sequence[Row]) -> None:
    """Write the rows, and the table into the page; claims that are not among them keep the rows that they have."""
    old = json.loads(JSON.read_text(encoding="utf-8")) if JSON.exists() else []
    new = {row["id"] for row in rows}
    place = {name: k for k, name in enumerate(claims())}
    kept = [row for row in old if row["id"] in place and row["id"] not in new]
    rows = sorted([*rows, *kept], key=lambda row: place[row["id"]])
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    JSON.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    put(table(rows))
    print(f"wrote {JSON} and {PAGE}", file=sys.stderr)

"""What a record keeps of a check, so that it can be drawn, compared and made again; docs/record.md has its schema."""

import hashlib
import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from simulate.parameters import ParameterError, reject
from theory.claim import Claim, Kind, Observation, Outcome, Samples

FORMAT = 1
SHOWN = 200
"""Most points of an axis that a record keeps; every number of points up to it is kept whole."""

LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
BINS = 24
DIGITS = 6  # significant, of what is kept to be drawn; figures that are judged keep all of theirs

_RATES = (Kind.RATE, Kind.PHASE_BOUNDARY)


def series(kind: Kind, observation: Observation, prediction: Any, false_alarm: float) -> dict[str, dict[str, Any]]:
    """Return what was observed and predicted, by axis ("" where a claim has one), in at most `SHOWN` points each.

    Each has `x` (the abscissa, or None), `observed` with `low` and `high` (None where nothing is averaged), and
    `predicted`; and of the quantity `of` that is judged, over all points, `quantiles` at `LEVELS` and a `histogram`.
    """
    if isinstance(observation, Samples):
        return {"": _axis(kind, observation, prediction, false_alarm)}
    share = false_alarm / len(observation)
    return {axis: _axis(kind, s, prediction[axis], share) for axis, s in observation.items()}


def _axis(kind: Kind, samples: Samples, prediction: ArrayLike, false_alarm: float) -> dict[str, Any]:
    observed, predicted = np.asarray(samples.observed, float), np.asarray(prediction, float)
    if not (observed.size and np.isfinite(observed).all() and np.isfinite(predicted).all()):
        return _kept("not finite", np.empty(0), observed=np.empty(0), predicted=np.empty(0))
    if kind in _RATES:
        return _rate(samples.given["x"], observed, float(predicted))
    if kind is Kind.LIMIT:
        return _limit(samples.given, np.atleast_2d(observed), predicted, false_alarm)
    if kind is Kind.ORDERING:
        observed = observed.ravel()
        return _ranked("difference", observed, observed, np.broadcast_to(predicted, observed.shape), values=observed)
    if kind is Kind.IDENTITY:
        observed, predicted = (a.ravel() for a in np.broadcast_arrays(observed, predicted))
        scale = np.abs(predicted).max()
        error = np.abs(observed - predicted) / (scale if scale > 0.0 else 1.0)
        return _ranked("relative error", -error, observed, predicted, values=error)
    return _bound(-1.0 if kind is Kind.LOWER_BOUND else 1.0, observed, predicted, false_alarm, samples.given)


def _bound(
    side: float, observed: np.ndarray, bound: np.ndarray, false_alarm: float, given: Mapping[str, Any]
) -> dict[str, Any]:
    if observed.ndim == bound.ndim:
        low: np.ndarray | None = None
        high: np.ndarray | None = None
    else:
        rows = observed.reshape(-1, observed.shape[-1])
        intervals = _intervals(rows, false_alarm / len(rows), given)
        observed, low, high = (column.reshape(bound.shape) for column in intervals)
    bound = np.broadcast_to(bound, observed.shape)
    scale = np.where(bound == 0.0, 1.0, np.abs(bound))
    slack = side * (bound - observed) / scale
    least = slack if low is None or high is None else slack - 0.5 * (high - low) / scale
    ends = [None if end is None else end.ravel() for end in (low, high)]
    return _ranked("slack", least.ravel(), observed.ravel(), bound.ravel(), *ends, values=slack.ravel())


def _rate(x: ArrayLike, y: np.ndarray, exponent: float) -> dict[str, Any]:
    from theory.interval import slopes

    x = np.asarray(x, float)
    if not ((y > 0.0).all() and (x > 0.0).all() and len(np.unique(x)) > 1):
        return _kept("exponent", np.empty(0), x, y.mean(axis=1), np.full(len(x), np.nan))
    found, logs = slopes(x, y), np.log(y)
    low, high = np.quantile(logs, (0.05, 0.95), axis=1)
    lines = [
        slope * np.log(x) + np.mean(logs - slope * np.log(x)[:, None]) for slope in (exponent, float(found.mean()))
    ]
    kept = _kept("exponent", found, x, *(np.exp(part) for part in (logs.mean(axis=1), lines[0], low, high)))
    return kept | {"fitted": _round(np.exp(lines[1]))}


def _limit(
    given: Mapping[str, Any], observed: np.ndarray, predicted: np.ndarray, false_alarm: float
) -> dict[str, Any]:
    predicted = np.broadcast_to(predicted, observed.shape[:1])
    mean, low, high = _intervals(observed, false_alarm, {})
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = observed[-1] / predicted[-1] - 1.0
    return _kept("deviation", deviation[np.isfinite(deviation)], given.get("x"), mean, predicted, low, high)


def _intervals(rows: np.ndarray, false_alarm: float, given: Mapping[str, Any]) -> np.ndarray:
    from theory.interval import interval_of

    found = [interval_of(given)(row, false_alarm) for row in rows]
    return np.array([(i.value, i.low, i.high) for i in found]).T


def _ranked(
    of: str, rank: np.ndarray, observed: np.ndarray, predicted: np.ndarray, low: np.ndarray | None = None,
    high: np.ndarray | None = None, *, values: np.ndarray,
) -> dict[str, Any]:  # fmt: skip
    """Keep points evenly spread over the ranks of `rank`, worst and best among them, worst first."""
    order = np.argsort(rank, kind="stable")
    rows = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), SHOWN)).round().astype(int))]
    parts = [None if part is None else part[rows] for part in (observed, predicted, low, high)]
    return _kept(of, values, None, *parts)


def _kept(
    of: str, values: np.ndarray, x: ArrayLike | None = None, observed: ArrayLike | None = None,
    predicted: ArrayLike | None = None, low: ArrayLike | None = None, high: ArrayLike | None = None,
) -> dict[str, Any]:  # fmt: skip
    parts = {"x": x, "observed": observed, "low": low, "high": high, "predicted": predicted}
    kept = {name: None if part is None else _round(part) for name, part in parts.items()}
    quantiles = _round(np.quantile(values, LEVELS)) if values.size else None
    return {**kept, "of": of, "quantiles": quantiles, "histogram": histogram(values) if values.size else None}


def histogram(values: np.ndarray) -> dict[str, Any]:
    """Return counts of values between `edges`, in logarithmic bins where they are positive and spread that far.

    The last linear bin also counts what lies beyond five times the upper half's width, and a logarithmic histogram
    counts zeros in its first bin: every value is counted once.
    """
    low, middle, high, top = (float(v) for v in np.quantile(values, (0.0, 0.5, 0.95, 1.0)))
    positive = values[values > 0.0]
    if low >= 0.0 and positive.size and top > 30.0 * middle:
        floor = max(float(positive.min()), 1e-18 * top)
        edges = np.geomspace(floor, top if top > floor else 2.0 * floor, BINS + 1)
    else:
        end = min(top, middle + 5.0 * (high - middle)) if high > middle else top
        edges = np.linspace(low, end, BINS + 1) if end > low + 1e-12 * abs(low) else np.array([low, top])
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return {
        "edges": _round(edges),
        "counts": np.bincount(place, minlength=len(edges) - 1).tolist(),
        "log": bool(len(edges) > 2 and edges[1] - edges[0] < 0.5 * (edges[-1] - edges[-2])),
    }


def _round(values: ArrayLike) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in np.asarray(values, float).ravel()]


def text_hash(claim: Claim) -> str:
    """Return the SHA-256 of a claim's statement, formula and source: what it asserts, whatever its settings."""
    return hashlib.sha256("\0".join((claim.statement, claim.formula, claim.source)).encode()).hexdigest()


@cache
def environment() -> dict[str, Any]:
    """Return the versions that a result may depend on, the platform and the number of cores."""
    from theory.commands import available_cores

    versions = {"python": platform.python_version()}
    for name in ("numpy", "scipy", "numba", "sharpbounds"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {"versions": versions, "platform": platform.platform(), "cores": available_cores()}


def record_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return records as JSON, every list of plain numbers on one line."""
    text = json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)
    return re.sub(r"\[\n\s+[^\[\]{}\"]*\n\s+\]", lambda found: " ".join(found[0].split()), text) + "\n"


_NUMBER, _NOTHING = (int, float), type(None)
RECORD: dict[str, Any] = {
    "id": str, "title": str, "statement": str, "formula": str, "source": str, "paper": dict, "kind": str,
    "ours": bool, "mode": str, "seed": int, "settings": dict, "expected": str, "passed": bool,
    "missing": (str, _NOTHING), "verdict": dict, "judged": str, "power": (*_NUMBER, _NOTHING), "tolerance": _NUMBER,
    "tolerance_reason": str, "control": dict, "twin": (dict, _NOTHING), "hypotheses": list, "nominal": dict,
    "text_sha256": str, "environment": dict, "runs": int, "seconds": _NUMBER,
}  # fmt: skip
PART: dict[str, Any] = {
    "outcome": str, "measure": str, "value": (*_NUMBER, _NOTHING), "interval": (list, _NOTHING), "points": int,
    "details": dict, "series": dict,
}  # fmt: skip


def read_records(path: str | Path) -> list[dict[str, Any]]:
    """Return the records of a file that `verify --json` wrote; ParameterError says what is wrong with another one."""
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse, parse_int=_integer)
    except (OSError, ValueError, RecursionError) as error:
        raise ParameterError(f"record file = {str(path)!r}: must be one that can be read as JSON ({error})") from error
    rows = rows if isinstance(rows, list) else [rows]
    for fault in _faults(rows):
        reject("record file", str(path), f"what `sharpbounds verify --json` writes ({fault})")
    return rows


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _integer(digits: str) -> int:
    if len(digits) > 300:  # beyond the floats
        _refuse(digits[:20] + "…")
    return int(digits)


def _faults(rows: list[Any]) -> Iterator[str]:
    """Yield what keeps rows from being records: what the schema requires, as far as it names a value."""
    if not rows or not all(isinstance(row, dict) for row in rows):
        yield "there is no record in it"
        return
    for row in rows:
        name = str(row.get("id"))[:80]
        if row.get("format") != FORMAT:
            yield f"{name}: format {row.get('format')}, not {FORMAT}"
            return
        parts = [(row, RECORD), *((row.get(part), PART) for part in ("verdict", "control"))]
        parts += [(row["twin"], PART)] if row.get("twin") else []
        for part, keys in parts:
            for key, kind in keys.items():
                if not isinstance(part, dict) or not isinstance(part.get(key, ...), kind):
                    yield f"{name}: {key} is missing or no {getattr(kind, '__name__', 'number')}"
        yield from _inner_faults(name, row)
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*", name):
            yield f"{name!r} is no id"
        if row["kind"] not in set(Kind) or not {row["expected"], row["verdict"]["outcome"]} <= set(Outcome):
            yield f"{name}: {row['kind']} and {row['verdict']['outcome']} are no kind and outcome"
    if len({row["id"] for row in rows}) < len(rows):
        yield "an id stands there twice"


def _inner_faults(name: str, row: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong inside the parts of a record whose entries have the right types."""
    for part in filter(None, (row["verdict"], row["control"], row["twin"])):
        ends = part["interval"]
        if ends is not None and not (len(ends) == 2 and all(isinstance(end, (*_NUMBER, _NOTHING)) for end in ends)):
            yield f"{name}: interval is no pair of numbers"
    if not isinstance(row["control"].get("rejected"), bool):
        yield f"{name}: rejected is missing or no bool"
    versions, place = row["environment"].get("versions"), row["environment"].get("platform")
    if not isinstance(versions, dict) or not all(isinstance(text, str) for text in [*versions.values(), place]):
        yield f"{name}: environment has no versions and platform"


def select_records(rows: list[dict[str, Any]], patterns: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the records whose ids match any of the globs (all, without globs), as `registry.select` does claims."""
    from fnmatch import fnmatchcase

    for pattern in patterns:
        if not any(fnmatchcase(row["id"], pattern) for row in rows):
            reject("claim", pattern, "an id or glob of ids in the record file")
    return [row for row in rows if not patterns or any(fnmatchcase(row["id"], p) for p in patterns)]

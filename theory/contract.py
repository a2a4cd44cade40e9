"""What every claim must have so that its check means something: rules, each a function that yields what is missing.

`DECLARED` are rules for what a claim says of itself, `OBSERVED` those for what comes out when it is checked at quick
settings: twice, with one worker and with two.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, prod
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from theory.claim import Claim, Control, Hypothesis, Kind, Observation, Outcome, Prediction, Samples

if TYPE_CHECKING:
    from simulate.runner import Runner
    from theory.check import Record

RULES: dict[str, str] = {}  # name: what it asks for, in the order in which they are told
DECLARED: dict[str, Callable[[Claim], Iterator[str]]] = {}
OBSERVED: "dict[str, Callable[[Evidence], Iterator[str]]]" = {}
LOOSE = 1e6  # a bound that is everywhere this many times beyond what is observed says nothing

T = TypeVar("T")


def _rule(rules: dict[str, T], name: str, text: str) -> Callable[[T], T]:
    def enter(function: T) -> T:
        RULES[name] = text
        rules[name] = function
        return function

    return enter


def missing(claim: Claim, workers: Sequence[int] = (1, 2)) -> dict[str, list[str]]:
    """Return, for every rule, what a claim lacks. One that cannot be declared in full is not observed."""
    found = declared(claim)
    if any(found.values()) or claim.missing():
        return found
    return found | observed(claim, workers)


def declared(claim: Claim) -> dict[str, list[str]]:
    """Return, for every rule of `DECLARED`, what a claim lacks."""
    found = {}
    for name, rule in DECLARED.items():
        try:
            found[name] = list(rule(claim))
        except (AttributeError, TypeError) as error:  # None for a mapping, say
            found[name] = [f"{type(error).__name__}: {error}"]
    return found


# what a claim says of itself


@_rule(DECLARED, "words", "id, title, statement and source")
def _words(claim: Claim) -> Iterator[str]:
    if not re.fullmatch(r"[a-z]+([0-9]{4}[a-z]?)?/[a-z0-9]+(-[a-z0-9]+)*", str(claim.id)):
        yield f"the id {claim.id!r} is not of the form paper/some-words"
    for name in ("title", "statement", "source"):
        if not _is_text(getattr(claim, name)):
            yield f"no {name}"
    if not isinstance(claim.kind, Kind):
        yield f"the kind {claim.kind!r} is no Kind"
    if isinstance(claim.source, str) and "derived here" in claim.source and not claim.ours:
        yield "the source says 'derived here', and `ours` is not set"


@_rule(DECLARED, "tolerance", "a finite tolerance with its reason")
def _tolerance(claim: Claim) -> Iterator[str]:
    if not isinstance(claim.tolerance, int | float) or not 0.0 <= claim.tolerance < np.inf:
        yield f"tolerance = {claim.tolerance!r} is no finite number >= 0"
    if not _is_text(claim.tolerance_reason):
        yield "no reason for the tolerance"


@_rule(DECLARED, "symbols", "every parameter explained, every hypothesis named, in words and with a margin")
def _symbols(claim: Claim) -> Iterator[str]:
    from theory.commands import LETTERS

    text = " ".join([str(claim.statement), str(claim.title), *(f"{h.name} {h.text}" for h in claim.hypotheses)])
    for letter in claim.parameters:  # an expression, mu/beta, explains itself
        if letter.isidentifier() and letter not in LETTERS and not re.search(rf"(?<!\w){letter}(?!\w)", text):
            yield f"the parameter {letter!r} is neither a letter that `show` knows nor in the statement or a hypothesis"
    names = [hypothesis.name for hypothesis in claim.hypotheses]
    for hypothesis in claim.hypotheses:
        if not isinstance(hypothesis, Hypothesis) or not _is_text(hypothesis.name) or not _is_text(hypothesis.text):
            yield f"the hypothesis {hypothesis!r} has no name or no text"
        elif names.count(hypothesis.name) > 1:
            yield f"two hypotheses are named {hypothesis.name!r}"
        else:
            try:
                margin = hypothesis.margin(claim.setting())
            except Exception as error:
                yield f"the margin of {hypothesis.name!r} cannot be evaluated: {type(error).__name__}: {error}"
                continue
            if not isfinite(margin) or margin <= 0.0:
                yield f"the margin of {hypothesis.name!r} at the nominal parameters is {margin}"


@_rule(DECLARED, "control", "a negative control that is not the claim itself")
def _control(claim: Claim) -> Iterator[str]:
    if not isinstance(claim.control, Control):
        yield "no negative control"
    for name, case in (("control", claim.control), ("twin", claim.twin)):
        if isinstance(case, Control):
            if not _is_text(case.title):
                yield f"no title of the {name}"
            if case.predict in (None, claim.predict) and not case.changes:
                yield f"the {name} has neither another prediction nor other dynamics: it is the claim itself"
            for setting, value in case.changes.items():
                if any(setting in known and known[setting] == value for known in (claim.quick, claim.full)):
                    yield f"the {name} sets {setting!r} to what it is already"


@_rule(DECLARED, "expected", "a verdict fixed beforehand; a twin where it is `violated`")
def _expected(claim: Claim) -> Iterator[str]:
    expected: set[Any]
    try:
        expected = {claim.expected_in(mode) for mode in ("quick", "full")}
    except (KeyError, TypeError):
        expected = {claim.expected}
    known = {Outcome.HOLDS, Outcome.VIOLATED, Outcome.OUT_OF_SCOPE}
    if not expected <= known or not all(isinstance(outcome, Outcome) for outcome in expected):
        yield "the expected verdict is none of holds, violated and out of scope"
    if (Outcome.VIOLATED in expected) != (claim.twin is not None):
        yield "a twin, the repaired form, belongs to a claim that is expected to be violated, and to no other"
    try:
        in_scope = claim.in_scope()
    except Exception:
        return  # told under "symbols"
    if (Outcome.OUT_OF_SCOPE in expected) == in_scope:
        yield f"its nominal parameters are {'within' if in_scope else 'out of'} its scope, unlike the expected verdict"


@_rule(DECLARED, "settings", "quick settings that are smaller than the full ones, by the same names")
def _settings(claim: Claim) -> Iterator[str]:
    if not claim.quick or set(claim.quick) != set(claim.full):
        yield "quick and full settings do not have the same names, or there are none"
        return

    def size(name: str, value: Any) -> int:
        return len(value) if isinstance(value, tuple | list) else value if name in COUNTED else 0

    efforts = [(size(name, quick), size(name, claim.full[name])) for name, quick in claim.quick.items()]
    less = prod(max(full, 1) for _, full in efforts) < prod(max(quick, 1) for quick, _ in efforts)
    if less or not (any(full > quick for quick, full in efforts) or claim.quick == claim.full):
        yield "full settings try no more than quick ones (" + ", ".join(COUNTED) + ", or the length of a tuple)"
    replicates = "groups" if "groups" in claim.quick else "seeds"  # without either it is about one given problem
    if min(claim.quick.get(replicates, 2), claim.full.get(replicates, 2)) < 2:
        yield f"fewer than two {replicates}"


COUNTED = ("seeds", "steps", "problems")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and value == value.strip()


# what comes out


@dataclass(frozen=True)
class Evidence:
    """A claim, its record, and what was observed and predicted by axis, with each number of workers."""

    claim: Claim
    record: "Record"
    samples: Mapping[str, Samples]
    predict: Mapping[str, Prediction]
    again: Mapping[int, Mapping[str, Samples]]

    def predictions(self) -> Iterator[tuple[str, Samples, np.ndarray]]:
        """Yield (axis in words, samples, prediction) of every axis."""
        for axis, samples in self.samples.items():
            yield f" in {axis}" if axis else "", samples, np.asarray(self.predict[axis](samples), float)


def observed(claim: Claim, workers: Sequence[int] = (1, 2)) -> dict[str, list[str]]:
    """Return, for every rule of `OBSERVED`, what the check of a claim lacks; an error counts under "runs"."""
    from simulate.parameters import ParameterError
    from theory.own import blame

    try:
        evidence = _observe(claim, workers)
        return {name: list(rule(evidence)) for name, rule in OBSERVED.items()}
    except Exception as error:
        told = blame(error)
        if told is None and not isinstance(error, ParameterError):
            raise
        return {"runs": [told or str(error)]}


def _observe(claim: Claim, workers: Sequence[int]) -> Evidence:
    from simulate.runner import Runner, single_threaded
    from theory.check import SEED_STRIDE, check

    seen: list[Observation] = []

    def observe(settings: Mapping[str, Any], runner: "Runner") -> Observation:
        seen.append(claim.observe(settings, runner))
        return seen[-1]

    with Runner(workers[0]) as runner:
        record = check(replace(claim, observe=observe), "quick", 0, runner)
    again = {}
    for count in workers[1:] and (workers[0], *workers[1:]):
        with Runner(count) as runner, single_threaded():
            again[count] = _axes(claim.observe({**claim.quick, "seed": 0 * SEED_STRIDE}, runner))
    samples = _axes(seen[0])
    predict = claim.predict if isinstance(claim.predict, Mapping) else dict.fromkeys(samples, claim.predict)
    return Evidence(claim, record, samples, predict, again)


def _axes(observation: Observation) -> Mapping[str, Samples]:
    return observation if isinstance(observation, Mapping) else {"": observation}


@_rule(OBSERVED, "runs", "an observation and a prediction that come without an error, finite")
def _runs(evidence: Evidence) -> Iterator[str]:
    for axis, samples, prediction in evidence.predictions():
        if not np.size(samples.observed):
            yield f"nothing is observed{axis}"
        elif not np.isfinite(np.asarray(samples.observed, float)).all():
            yield f"what is observed{axis} is not finite"
        if not np.isfinite(prediction).all():
            yield f"the prediction{axis} is not finite"


@_rule(OBSERVED, "verdict", "the verdict that is expected; the twin, if any, holds")
def _verdict(evidence: Evidence) -> Iterator[str]:
    claim, record = evidence.claim, evidence.record
    if record.verdict.outcome is not claim.expected_in("quick"):
        yield f"the verdict is {record.verdict.outcome}, not {claim.expected_in('quick')}"
    if claim.judged not in (None, record.judged):
        yield f"the judge says {record.judged}, not {claim.judged}"
    if record.twin is not None and record.twin.outcome is not Outcome.HOLDS:
        yield f"the twin does not hold, it is {record.twin.outcome}"


@_rule(OBSERVED, "rejected", "a control that is rejected")
def _rejected(evidence: Evidence) -> Iterator[str]:
    if not evidence.record.rejected:
        yield f"the control is {evidence.record.control.outcome}: a check that cannot fail says nothing"


@_rule(OBSERVED, "not vacuous", "something other than 0 observed, and no bound that is beyond it by any measure")
def _not_vacuous(evidence: Evidence) -> Iterator[str]:
    side = {Kind.UPPER_BOUND: 1.0, Kind.LOWER_BOUND: -1.0}.get(evidence.claim.kind)
    observed = [samples.observed for samples in evidence.samples.values()]
    if evidence.record.judged is not Outcome.VIOLATED and not any(map(np.any, observed)):
        yield "everything observed is 0"
    for axis, samples, prediction in evidence.predictions():
        seen = np.asarray(samples.observed, float)
        if side is None or not seen.size:
            continue
        mean = seen.mean(axis=-1) if seen.ndim > prediction.ndim else seen
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.abs(prediction / mean) ** side  # of what may be to what is
        if (side * (prediction - mean) > 0.0).all() and (ratio > LOOSE).all():
            yield f"the bound{axis} is nowhere within a factor {LOOSE:g} of what is observed"
    if evidence.record.judged is Outcome.VACUOUS:
        yield "the bound is nowhere better than the trivial one"


@_rule(OBSERVED, "vectorised", "of part of the points, a prediction that is that part of it")
def _vectorised(evidence: Evidence) -> Iterator[str]:
    for axis, samples, prediction in evidence.predictions():
        points = len(np.atleast_1d(samples.observed))
        if points < 2 or prediction.ndim == 0 or len(prediction) != points or not _can_be_cut(samples):
            continue
        for part in (slice(0, (points + 1) // 2), slice(points - 1, None), slice(None, None, 2)):
            found = np.asarray(evidence.predict[axis.removeprefix(" in ")](subset(samples, part)), float)
            expected = prediction[part]
            if found.shape != expected.shape or not np.allclose(found, expected, rtol=1e-9, atol=0.0):
                yield f"the prediction{axis} of part of the points is not that part of the prediction"
                break


def _can_be_cut(samples: Samples) -> bool:
    """Return whether all that is given goes by points or is a number: of a list of objects there is no part."""
    plain = int | float | str | np.ndarray | np.generic
    lists = [value for name, value in samples.given.items() if name != "notes" and isinstance(value, list | tuple)]
    return all(len(v) == len(samples.observed) or all(isinstance(one, plain) for one in v) for v in lists)


def subset(samples: Samples, part: slice) -> Samples:
    """Return samples at part of their points: of `observed`, and of whatever is given point by point."""
    points = len(samples.observed)

    def taken(value: Any) -> Any:
        if isinstance(value, list | tuple) or np.ndim(value):
            return value[part] if len(value) == points else value
        return value

    given = {name: value if name == "notes" else taken(value) for name, value in samples.given.items()}
    return Samples(np.asarray(samples.observed)[part], given)


@_rule(OBSERVED, "deterministic", "the same bits when it is observed again")
def _deterministic(evidence: Evidence) -> Iterator[str]:
    first = next(iter(evidence.again), None)
    if first is not None and not _same(evidence.samples, evidence.again[first]):
        yield "another observation with the same seed gives other numbers"


@_rule(OBSERVED, "workers", "the same bits whatever the number of workers")
def _workers(evidence: Evidence) -> Iterator[str]:
    first = next(iter(evidence.again), None)
    for count, samples in evidence.again.items():
        if first is not None and count != first and not _same(evidence.again[first], samples):
            yield f"{count} workers observe other numbers than {first}"


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Samples):
        return isinstance(b, Samples) and _same(a.observed, b.observed) and _same(a.given, b.given)
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, np.ndarray | float | int | np.generic):
        return np.array_equal(a, b, equal_nan=True) if np.asarray(a).dtype.kind in "fc" else np.array_equal(a, b)
    return True  # whatever else is handed on is no observation

"""Which errors in a closed form would the checks notice? Every claim's form is mutated, and every mutant judged.

    make mutants        (python tests/mutants.py [ID or glob]… [--workers 2] [--all] [--json FILE])

A claim is observed once at quick settings. Then its prediction is mutated, as a whole (× 2, ÷ 2, the sign; an exponent
± ½; an ordering reversed) and in the source of every function that it is made of: each constant × 2 and ÷ 2, each
exponent ± ½ (a root is one), each sign flipped, each term of a sum dropped, each minimum and maximum swapped. What is
plumbing, indices, axes, shapes, guards, is left alone. A claim whose form is worked out while it is observed, because
it is judged in units of the form or decides what is run, is observed anew with mutated forms. Claims expected to fail
are judged by their twin; one that is out of its scope, where nothing has to hold, is left out.

A mutant is *killed* if the verdict is no longer the expected one. Of those that are not, *equivalent* ones predict the
same bits, and *weaker* ones are bounds that are no tighter than the claim's at any point, and so as true. The rest
survives: `mutants.toml` has the reason by claim and mutant. Exit status 1 if a survivor has none there, or a reason no
survivor.
"""

import argparse
import ast
import functools
import gc
import importlib
import json
import resource
import signal
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, which has a `theory` of its own

from mutation import Mutant, OfSource, inner_forms, mutated, named, of_cells, of_source, of_values, reached, unwrapped

from simulate.executor import executor_of
from simulate.runner import Runner, single_threaded
from simulate.store import Store
from simulate.types import FloatArray
from theory.check import FALSE_ALARM, predicted
from theory.claim import Claim, Control, Kind, Observation, Outcome, Prediction, Samples
from theory.registry import claims, papers, select
from theory.verdict import judge

REASONS = Path(__file__).with_suffix(".toml")
ENOUGH = 5  # mutants of what is predicted; with fewer the forms within the observation are mutated too
MOST = 12  # of these, evenly chosen: each observes the claim anew

FEW = 6  # of either, where a prediction is a long computation:
LONG = {
    "ours/learning-curves", "ours/symmetric-coupling", "ours/accuracy-effective", "ours/boundary-constant",
    "ours/sam-then-sgd-error", "ours/sam-steps-for-error", "ours/iid-labels", "ours/mini-batches", "ours/sam-switches",
}  # fmt: skip
CPU_SECONDS = 10.0  # for one mutant: an iteration that no longer ends is noticed as well,
MOST_BYTES = 6 << 30  # more than before, and an array that grows without measure

Row = tuple[str, str, str]
"""A mutant, its fate and what the judge says."""

Item = TypeVar("Item")


@functools.cache
def homes() -> dict[str, str]:
    """Return the module of every claim by id."""
    return {
        claim.id: f"theory.{key}.{name}"
        for key in papers()
        for name in importlib.import_module(f"theory.{key}").THEOREMS
        for claim in importlib.import_module(f"theory.{key}.{name}").CLAIMS
    }


def carried(claim: Claim) -> tuple[Prediction | Mapping[str, Prediction], Mapping[str, Any], Outcome]:
    """Return (prediction, changes to the settings, expected outcome) of what is judged: the twin, if there is one."""
    repaired = claim.twin or Control("")
    outcome = Outcome.HOLDS if claim.twin else claim.judged or claim.expected_in("quick")
    return repaired.predict or claim.predict, repaired.changes, outcome


def each(function: Callable[..., Any], *observations: Any) -> Any:
    """Apply a function to one observation or to every axis of several."""
    if isinstance(observations[0], Mapping):
        return {axis: function(*(one[axis] for one in observations)) for axis in observations[0]}
    return function(*observations)


def parts(values: Any) -> list[FloatArray]:
    """Return the arrays of an observation or a prediction, by axis or alone."""
    values = list(values.values()) if isinstance(values, Mapping) else [values]
    return [np.asarray(value.observed if isinstance(value, Samples) else value, float) for value in values]


def same(a: Any, b: Any) -> bool:
    """Return whether two predictions, or two observations, agree to the last bit."""
    a, b = parts(a), parts(b)
    return len(a) == len(b) and all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


def weaker(kind: Kind, old: tuple[Observation, Any], new: tuple[Observation, Any]) -> bool:
    """Return whether a bound, (samples, prediction), is at no point tighter than before, in its value or its slack.

    What an ordering predicts is a lower bound of the differences.
    """
    side = {Kind.UPPER_BOUND: 1.0, Kind.LOWER_BOUND: -1.0, Kind.ORDERING: -1.0}.get(kind)
    if side is None:
        return False

    def slack(observed: FloatArray, bound: FloatArray) -> FloatArray:
        mean = observed.mean(axis=-1) if observed.ndim > bound.ndim else observed
        return side * (bound - mean) / np.where(bound == 0.0, 1.0, np.abs(bound))

    pairs = [list(zip(parts(samples), parts(prediction), strict=True)) for samples, prediction in (old, new)]
    return all(
        (np.array_equal(seen, found) and (side * (other - bound) >= 0.0).all())
        or (seen.shape == found.shape and (slack(found, other) >= slack(seen, bound) - 1e-12).all())
        for (seen, bound), (found, other) in zip(*pairs, strict=True)
    )


def fate(
    claim: Claim, mutant: Mutant, samples: Observation, prediction: Any, expected: Outcome,
    observe: Callable[[Claim], Observation] | None,
) -> tuple[str, str]:  # fmt: skip
    """Return (fate, what the judge says): killed, equivalent, weaker or survived.

    `samples` and `prediction` are the claim's; `observe` observes a mutated claim, None where it need not be.
    """
    found, new = samples, prediction
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
    try:
        with np.errstate(all="ignore"):
            if isinstance(mutant, OfSource):
                with mutated(homes()[claim.id], mutant) as there:
                    other = there[claim.id]
                    found = observe(other) if observe else samples
                    new = predicted(carried(other)[0], found)
            elif mutant.of == "predict":
                new = predicted(mutant.change, samples)
            elif mutant.of == "value":
                new = each(lambda value: mutant.change(np.asarray(value, float)), prediction)
            else:
                found = each(lambda one: replace(one, observed=mutant.change(np.asarray(one.observed))), samples)
            if same(new, prediction) and same(found, samples):
                return "equivalent", ""
            verdict = judge(claim.kind, found, new, claim.tolerance, FALSE_ALARM / len(claims()))
    except Exception as error:
        return "killed", f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
    said = f"{verdict.outcome}, {verdict.measure} {verdict.value:.4g}"
    if verdict.outcome is not expected:
        return "killed", said
    return ("weaker" if weaker(claim.kind, (samples, prediction), (found, new)) else "survived"), said


def mutants(claim: Claim, predict: Prediction | Mapping[str, Prediction]) -> tuple[list[Mutant], list[OfSource]]:
    """Return (mutants of the prediction, mutants of forms within the observation) of a claim.

    The latter are wanted where the former are few, or the prediction is made of what the observation has worked out.
    """
    forms = reached(unwrapped(predict))
    source = list(of_source(named(forms)))
    first: list[Mutant] = [*of_values(claim.kind), *of_cells(predict)]
    first += evenly(source, FEW) if claim.id in LONG else source
    handed = any(isinstance(one, ast.Attribute) and one.attr == "given" for _, n in forms for one in ast.walk(n))
    if len(first) >= ENOUGH and not handed:
        return first, []
    return first, list(of_source(inner_forms(claim.observe, [node for _, node in forms])))


def evenly(items: Sequence[Item], count: int) -> Sequence[Item]:
    """Return `count` of the items, evenly spaced."""
    return [items[k * len(items) // count] for k in range(count)] if count < len(items) else items


def _stop(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"no end within {CPU_SECONDS:g} s")


def reserved() -> int:
    """Return the bytes that this process has reserved for data, 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


def examine(claim_id: str) -> tuple[str, float, list[Row], int]:
    """Return (id, seconds, [(mutant, fate, what the judge says)], mutants left out) of one claim."""
    signal.signal(signal.SIGVTALRM, _stop)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    claim, start = claims()[claim_id], time.perf_counter()
    predict, _, expected = carried(claim)
    with Runner(1, Store()) as runner, single_threaded():

        def observe(other: Claim) -> Observation:
            return other.observe({**other.quick, "seed": 0, **carried(other)[1]}, runner)

        samples = observe(claim)
        gc.collect()  # flows leave arrays in cycles, reserved and hardly touched, that would count
        bound = reserved() + MOST_BYTES  # a worker has examined other claims before
        resource.setrlimit(resource.RLIMIT_DATA, (min(bound, most) if most >= 0 else bound, most))
        prediction = predicted(predict, samples)
        baseline = judge(claim.kind, samples, prediction, claim.tolerance, FALSE_ALARM / len(claims()))
        if baseline.outcome is not expected:
            raise AssertionError(f"{claim_id}: {baseline.outcome}, not {expected}, before anything is mutated")
        first, inner = mutants(claim, predict)
        rows = [(m.text, *fate(claim, m, samples, prediction, expected, None)) for m in first]
        chosen = evenly(inner, FEW if claim_id in LONG else MOST)
        rows += [(m.text, *fate(claim, m, samples, prediction, expected, observe)) for m in chosen]
    return claim_id, time.perf_counter() - start, rows, len(inner) - len(chosen)


def reasons() -> dict[str, dict[str, str]]:
    """Return the written reasons, {glob of claim ids: {glob of mutants: reason}}."""
    return tomllib.loads(REASONS.read_text())


def explained(written: Mapping[str, Mapping[str, str]], claim_id: str, text: str) -> tuple[str, str] | None:
    """Return (claim glob, mutant glob) of the reason why a mutant survives; None without one."""
    for ids, by_mutant in written.items():
        if fnmatchcase(claim_id, ids):
            for glob in by_mutant:
                if text == glob or fnmatchcase(text, glob):
                    return ids, glob
    return None


def main() -> None:
    """Examine the claims named; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", metavar="ID or glob")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--all", action="store_true", help="print every mutant, not only unexplained survivors")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    chosen = [c for c in select(given.patterns) if not c.missing() and carried(c)[2] is Outcome.HOLDS]
    written, used, unexplained, records = reasons(), set(), 0, []
    total: Counter[str] = Counter()
    start = time.perf_counter()
    with executor_of(given.workers) as (pool, _):
        for claim_id, seconds, rows, left in (pool.map if pool else map)(examine, [claim.id for claim in chosen]):
            lines = []
            count: Counter[str] = Counter()
            for text, kind, said in rows:
                if kind == "survived" and (entry := explained(written, claim_id, text)):
                    used.add(entry)
                    kind = "explained"
                count[kind] += 1
                records.append((claim_id, text, kind, said))
                if kind == "survived" or given.all:
                    lines.append(f"    {kind.upper() if kind == 'survived' else kind:10}  {text}  [{said}]")
            total.update(count)
            unexplained += count["survived"]
            told = ", ".join(f"{n} {kind}" for kind, n in count.items()) + (f" ({left} left out)" if left else "")
            print(f"{claim_id:48}  {sum(count.values()):4} mutants: {told}  [{seconds:.1f} s]", flush=True)
            print("\n".join(lines), end="\n" if lines else "", flush=True)
    stale = [] if given.patterns else [
        (ids, glob) for ids, by_mutant in written.items() for glob in by_mutant if (ids, glob) not in used
    ]  # fmt: skip
    for ids, glob in stale:
        print(f"reason without a survivor: {ids}: {glob}")
    told = ", ".join(f"{n} {kind}" for kind, n in total.items())
    print(f"{len(chosen)} claims, {total.total()} mutants: {told}; {time.perf_counter() - start:.0f} s.")
    if given.json:
        Path(given.json).write_text(json.dumps(records, indent=1, ensure_ascii=False))
    sys.exit(1 if unexplained or stale else 0)


if __name__ == "__main__":
    main()

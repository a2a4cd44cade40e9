"""From a claim to its record: settings → runs → observation → judge, for the claim, its control and its twin."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from simulate.parameters import choice, integer, reject
from simulate.runner import Runner, single_threaded
from theory import registry
from theory.claim import Claim, Control, Outcome
from theory.record import FORMAT, environment, series, text_hash
from theory.registry import table_size
from theory.verdict import Verdict, detectable, judge

FALSE_ALARM = 1e-4
"""Chance that one run of the whole table calls a true claim `violated`; shared equally among the claims."""

MODES = ("quick", "full")
SEED_STRIDE = 1_000_000  # runs of `--seed S` use the seeds from S · SEED_STRIDE on


@dataclass(frozen=True)
class Record:
    """One claim, checked: its verdict beside the expected one, and how its control and twin came out.

    `missing` names the extra without which it could not be checked: its verdict is then `out of scope`, on no point.
    `settings` are those used, and `series` holds for claim, control and twin what was observed and predicted.
    """

    claim: Claim
    mode: str
    seed: int
    verdict: Verdict
    judged: Outcome
    control: Verdict
    twin: Verdict | None
    seconds: float
    runs: int
    missing: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def rejected(self) -> bool:
        """Return whether the negative control was rejected."""
        return self.control.outcome is Outcome.VIOLATED

    @property
    def passed(self) -> bool:
        """Return whether the verdict is the expected one, the control was rejected and the twin, if any, holds.

        True, too, where nothing was checked because an optional extra is missing.
        """
        if self.missing:
            return True
        expected = self.verdict.outcome is self.claim.expected_in(self.mode)
        judged = self.claim.judged is None or self.judged is self.claim.judged
        twin = self.twin is None or self.twin.outcome is Outcome.HOLDS
        return expected and judged and self.rejected and twin

    @property
    def power(self) -> float | None:
        """Return the smallest violation that would have been called so (`detectable`)."""
        return detectable(self.verdict, self.claim.tolerance)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data; docs/record.md says what each entry means."""
        claim = self.claim
        paper = registry.paper(claim)
        return {
            "format": FORMAT, "id": claim.id, "title": claim.title, "statement": claim.statement,
            "formula": claim.formula, "source": claim.source,
            "paper": {name: getattr(paper, name, "") for name in ("title", "authors", "venue", "arxiv")},
            "kind": str(claim.kind), "ours": claim.ours, "text_sha256": text_hash(claim),
            "mode": self.mode, "seed": self.seed, "settings": dict(self.settings),
            "expected": str(claim.expected_in(self.mode)), "passed": self.passed, "missing": self.missing,
            "verdict": self._part("claim", self.verdict), "judged": str(self.judged), "power": self.power,
            "tolerance": claim.tolerance, "tolerance_reason": claim.tolerance_reason,
            "control": {
                "title": claim.control.title, "rejected": self.rejected, "changes": dict(claim.control.changes),
                **self._part("control", self.control),
            },
            "twin": claim.twin and self.twin and {
                "title": claim.twin.title, "changes": dict(claim.twin.changes), **self._part("twin", self.twin),
            },
            "hypotheses": [
                {"name": h.name, "text": h.text, "margin": margin, "required": h.required}
                for h, margin in claim.margins()
            ],
            "nominal": claim.setting(), "environment": environment(),
            "runs": self.runs, "seconds": round(self.seconds, 3),
        }  # fmt: skip

    def _part(self, name: str, verdict: Verdict) -> dict[str, Any]:
        return {
            "outcome": str(verdict.outcome), "measure": verdict.measure, "value": verdict.value,
            "interval": verdict.interval, "points": verdict.points, "details": verdict.details,
            "series": self.series.get(name, {}),
        }  # fmt: skip


def check(
    claim: Claim, mode: str = "quick", seed: int = 0, runner: Runner | None = None, table: int | None = None
) -> Record:
    """Check one claim at its quick or full settings; deterministic in (claim, mode, seed, table).

    `table` is how many claims share the false-alarm rate: the registry's, and this one if it is another.
    """
    choice("mode", mode, MODES)
    if not isinstance(claim.control, Control):
        reject(f"control of {claim.id}", claim.control, "a Control: a check that cannot fail says nothing")
    seed = integer("seed", seed, 0, 10**9)
    if missing := claim.missing():
        none = Verdict(Outcome.OUT_OF_SCOPE, f"not checked: the extra {missing} is not installed", math.nan, None, 0)
        return Record(claim, mode, seed, none, none.outcome, none, none if claim.twin else None, 0.0, 0, missing)
    runner = runner or Runner()
    start, before = time.perf_counter(), runner.computed + runner.found
    settings = {**getattr(claim, mode), "seed": seed * SEED_STRIDE}
    false_alarm = FALSE_ALARM / (table or table_size([claim]))

    def observed(changes: Mapping[str, Any]) -> Any:
        with single_threaded():  # the same bits however many cores there are, and none taken from the workers
            return claim.observe({**settings, **changes}, runner)

    samples, kept, verdicts = observed({}), {}, {}
    for name, (changes, predict, worst) in parts(claim).items():
        found = observed(changes) if changes else samples
        prediction = predicted(predict, found)
        kept[name] = series(claim.kind, found, prediction, false_alarm)
        verdicts[name] = judge(claim.kind, found, prediction, claim.tolerance, false_alarm, worst=worst)
    verdict, twin, control = verdicts["claim"], verdicts.get("twin"), verdicts["control"]
    outcome = verdict.outcome
    if not claim.in_scope():
        verdict = replace(verdict, outcome=Outcome.OUT_OF_SCOPE)
    runs = runner.computed + runner.found - before
    seconds = time.perf_counter() - start
    return Record(claim, mode, seed, verdict, outcome, control, twin, seconds, runs, None, settings, kept)


def parts(claim: Claim) -> dict[str, tuple[Mapping[str, Any], Any, bool]]:
    """Return what is judged of a claim by name: (changes to settings, prediction, by the worst axis or the best)."""
    repaired = claim.twin or Control("")  # what must hold: a control beside a form that fails would prove nothing
    form = repaired.predict or claim.predict
    twin = {"twin": (repaired.changes, form, True)} if claim.twin else {}
    changes = {**repaired.changes, **claim.control.changes}
    return {"claim": ({}, claim.predict, True), **twin, "control": (changes, claim.control.predict or form, False)}


def predicted(predict: Any, observation: Any) -> Any:
    """Return a prediction, or one an axis, at an observation."""
    if isinstance(observation, Mapping):
        per_axis = predict if isinstance(predict, Mapping) else dict.fromkeys(observation, predict)
        return {axis: per_axis[axis](samples) for axis, samples in observation.items()}
    return predict(observation)

"""What the commands print: rich tables on a terminal, plain aligned lines elsewhere."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from theory.claim import Claim, Outcome

if TYPE_CHECKING:
    from theory.check import Record
    from theory.verdict import Verdict

STYLES = {
    Outcome.HOLDS: "green", Outcome.VIOLATED: "red", Outcome.VACUOUS: "yellow",
    Outcome.INCONCLUSIVE: "yellow", Outcome.OUT_OF_SCOPE: "blue",
}  # fmt: skip


def list_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the claims, one a row."""
    console = Console(highlight=False)
    width = max(len(row["id"]) for row in rows)
    for row in rows:
        ours = "ours" if row["ours"] else ""
        line = f"{row['id']:{width}}  {row['kind']:14}  {row['expected']:12}  {ours:4}  {row['title']}"
        if console.is_terminal:
            console.print(line, style=STYLES[Outcome(row["expected"])], markup=False, soft_wrap=True)
        else:
            print(line)


def figure(value: Any) -> str:
    """Return a number in at most four significant digits, and a whole one as it is."""
    if isinstance(value, str) or value is None:
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {figure(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(map(figure, value)) + ")"
    if isinstance(value, int):
        return str(value)
    text = f"{value:.4g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def margin_lines(claim: Claim, changes: Mapping[str, Any]) -> list[str]:
    """Return the lines that tell the margin of every hypothesis."""
    lines = []
    for hypothesis, margin in claim.margins(**changes):
        if hypothesis.required is None:
            verdict = "constant hidden in the paper"
        else:
            verdict = "met" if margin >= hypothesis.required else "NOT met: out of scope"
        lines.append(f"  {hypothesis.name:12} {figure(margin):>10}   {hypothesis.text}   [{verdict}]")
    return lines or ["  none"]


def show_claim(claim: Claim, changes: Mapping[str, Any]) -> None:
    """Print a claim whole."""
    expected = {str(claim.expected_in(mode)) for mode in ("quick", "full")}
    print(f"{claim.id}   {claim.kind}{'   (ours)' if claim.ours else ''}   expected: {', '.join(sorted(expected))}\n")
    print(f"  {claim.title}\n  {claim.statement}\n")
    print(f"Source      {claim.source}")
    print(f"Tolerance   {figure(claim.tolerance)}: {claim.tolerance_reason}")
    print(f"Control     {claim.control.title}: must be rejected" if claim.control else "Control     none")
    if claim.twin:
        print(f"Twin        {claim.twin.title}: must hold")
    if claim.extra:
        print(f"Needs       the extra {claim.extra[0]}" + (", which is not installed" if claim.missing() else ""))
    for mode in ("quick", "full"):
        print(f"{mode.capitalize():11} " + ", ".join(f"{k} = {figure(v)}" for k, v in getattr(claim, mode).items()))
    follow = [k for k, v in claim.parameters.items() if callable(v) and k not in changes]
    print("\nHypotheses (margin: how many times over the condition is met with constant 1) at")
    print("  " + ", ".join(f"{k} = {figure(v)}" for k, v in claim.setting(**changes).items()))
    print(f"  ({', '.join(follow)} following from the others)" if follow else "", end="\n" if follow else "")
    print("\n".join(margin_lines(claim, changes)))
    if not claim.in_scope(**changes):
        print("\nOut of scope: this claim does not speak about that setting.")


def result_text(verdict: "Verdict") -> str:
    """Return the verdict's figure with its interval."""
    if verdict.points == 0:
        return verdict.measure
    text = f"{verdict.measure} {figure(float(verdict.value))}"
    if verdict.interval is not None and math.isfinite(verdict.interval[0]):
        text += f" [{figure(float(verdict.interval[0]))}, {figure(float(verdict.interval[1]))}]"
    return text


def power_text(power: float) -> str:
    """Return what the power of a check (`theory.verdict.detectable`) means."""
    return f"{f'a violation by {figure(float(power))}' if power else 'any violation'} would have been called so"


class VerifyTable:
    """Shows records as they come: a growing table with a progress line on a terminal, plain lines elsewhere."""

    def __init__(self, claims: Sequence[Claim], mode: str, seed: int, to_stderr: bool = False) -> None:
        self.console = Console(stderr=to_stderr, highlight=False)
        self.claims, self.mode, self.seed = claims, mode, seed
        self.records: list[Record] = []
        self.width = max(len(claim.id) for claim in claims)
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[runs]} runs"),
            TimeElapsedColumn(), console=self.console, transient=True,
        )  # fmt: skip
        self._task: TaskID | None = None
        self._runs = 0

    def __enter__(self) -> Self:
        self._print(f"{'claim':{self.width}}  {'verdict':12}  {'control':12}  points  seconds  figure", "bold")
        if self.console.is_terminal:
            self._progress.start()
            self._task = self._progress.add_task("", total=len(self.claims), runs=0)
        return self

    def __exit__(self, failure: type[BaseException] | None, *rest: object) -> None:
        if self._task is not None:
            self._progress.stop()
        if failure is None:
            self._summary()

    def _print(self, text: str, style: str | None = None) -> None:
        if self.console.is_terminal:
            self.console.print(text, style=style, markup=False, overflow="fold")
        else:
            print(text, file=self.console.file, flush=True)

    def progress(self, claim: Claim, runs: int) -> None:
        """Take note that `runs` more runs of a claim are done."""
        if self._task is not None:
            self._runs += runs
            self._progress.update(self._task, description=claim.id, completed=len(self.records), runs=self._runs)

    def add(self, record: "Record") -> None:
        """Show one record."""
        self.records.append(record)
        claim, verdict = record.claim, record.verdict
        control = "not run" if record.missing else "rejected" if record.rejected else "NOT REJECTED"
        line = (
            f"{claim.id:{self.width}}  {verdict.outcome:12}  {control:12}  {verdict.points:>6}  {record.seconds:7.1f}  "
            f"{result_text(verdict)}"
        )
        style = STYLES[verdict.outcome] if record.passed else "bold white on red"
        expected = claim.expected_in(self.mode)
        if not record.passed:
            line += f"   UNEXPECTED (expected: {expected})" if verdict.outcome is not expected else "   UNEXPECTED"
        if record.twin and claim.twin and not record.missing:
            line += f"   (twin {record.twin.outcome}: {claim.twin.title})"
        if verdict.outcome is Outcome.OUT_OF_SCOPE and not record.missing:
            line += f"   (the judge says: {record.judged})"
        self._print(line, style)
        if len(self.claims) == 1 and not record.missing:
            self._detail(record)

    def _detail(self, record: "Record") -> None:
        claim, verdict = record.claim, record.verdict
        lines = ["", f"  {claim.statement}", f"  Source: {claim.source}", "", "  Observed"]
        for name, value in verdict.details.items():
            if isinstance(value, dict):
                value = ", ".join(f"{k} {figure(v)}" for k, v in value.items() if v is not None)
            lines.append(f"    {name}: {figure(value)}")
        lines.append(f"    tolerance: {figure(claim.tolerance)} ({claim.tolerance_reason})")
        if record.power is not None:
            lines.append(f"    power: {power_text(record.power)}")
        lines += ["", "  Negative control"]
        lines.append(f"    {claim.control.title}: {record.control.outcome}, {result_text(record.control)}")
        if record.twin and claim.twin:
            lines += ["  Twin", f"    {claim.twin.title}: {record.twin.outcome}, {result_text(record.twin)}"]
        lines += ["", "  Hypotheses at the nominal setting (times over met with constant 1)", *margin_lines(claim, {})]
        self._print("\n".join(lines))

    def _checked(self) -> "list[Record]":
        return [record for record in self.records if not record.missing]

    def _count(self, outcome: Outcome) -> str:
        found = [record for record in self._checked() if record.verdict.outcome is outcome]
        expected = all(record.claim.expected_in(self.mode) is outcome for record in found)
        return f"{len(found)} {outcome}" + (" as expected" if expected and outcome is not Outcome.HOLDS else "")

    def _summary(self) -> None:
        from theory.check import FALSE_ALARM

        checked = self._checked()
        outcomes = [record.verdict.outcome for record in checked]
        counts = [self._count(outcome) for outcome in Outcome if outcome in outcomes]
        for extra in sorted({record.missing for record in self.records if record.missing}):
            counts.append(f"{sum(r.missing == extra for r in self.records)} not checked without the extra {extra}")
        rejected = sum(record.rejected for record in self.records)
        seconds, runs = sum(r.seconds for r in self.records), sum(r.runs for r in self.records)
        total = len(self.records)
        unexpected = [record.claim.id for record in self.records if not record.passed]
        claims = "claim" if total == 1 else "claims"
        controls = f"{rejected} of {len(checked)} negative controls rejected."
        self._print(f"\n{total} {claims}: {', '.join(counts)}; {controls}")
        self._print(f"{runs} runs, {seconds:.0f} s, {self.mode} settings, seed {self.seed}.")
        self._print(
            "`holds` means not falsified on these points. Intervals are sized so that a true claim is called"
            f" violated with probability at most {FALSE_ALARM:g}, nominally, over the whole table."
        )
        if unexpected:
            self._print("UNEXPECTED: " + ", ".join(unexpected), "bold red")
        else:
            self._print("Every verdict is the expected one.", "bold green")

"""The command that searches a claim for a counterexample within its hypotheses."""

import json
from typing import TYPE_CHECKING

import click

from theory.commands import available_cores, check_output, plain_json, write_whole

if TYPE_CHECKING:
    from theory.falsify import Finding


@click.command()
@click.argument("claim_id", metavar="ID")
@click.option("--budget", type=int, help="Points tried. [default: the claim's, 8 where seeds are all there is to vary]")
@click.option("--seed", default=0, show_default=True, help="Base seed; another one searches anew.")
@click.option("--twin", is_flag=True, help="Search the claim's twin, its repaired form.")
@click.option("--point", metavar="NAME=VALUE,…", help="Judge this one instance; what it does not name is plain.")
@click.option("--workers", type=int, help="Worker processes; the result does not depend on them. [default: every core]")
@click.option("--out", metavar="FILE", help="Also write the finding as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print the finding as JSON instead.")
@click.pass_context
def falsify(
    context: click.Context, claim_id: str, budget: int | None, seed: int, twin: bool, point: str | None,
    workers: int | None, out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Search for the point of least slack within a claim's hypotheses, and for a counterexample.

    A counterexample is run again on fresh seeds, with more of them where the claim is sampled, and made as plain as it
    can be while the violation stays: `--point` then reproduces it. Exit status: 0 if the search ended as expected, with
    a counterexample to a claim known to fail, or with none; 1 otherwise; 2 for bad usage.
    """
    from simulate.parameters import reject
    from theory import falsify as search

    check_output(out)
    if point is None:
        found = search.falsify(claim_id, budget, seed, available_cores() if workers is None else workers, twin)
    elif budget is None:
        found = search.judge_point(claim_id, point, seed, twin)
    else:
        reject("budget", budget, "left out with a point")
    text = json.dumps(plain_json(found.to_dict()), indent=2, ensure_ascii=False) + "\n"
    if out:
        write_whole(out, text.encode())
    click.echo(text if as_json else "\n".join(_lines(found)), nl=not as_json)
    context.exit(0 if found.expected else 1)


def _lines(found: "Finding") -> list[str]:
    """Return what is printed of a finding."""
    from theory.tables import figure, result_text

    search, claim, domain, given = found.search, found.search.claim, found.search.domain, found.given
    expected = "its twin: holds" if search.twin else claim.expected_in("full")
    lines = [f"{claim.id}   {claim.kind}   expected: {expected}", f"  {claim.statement}"]
    lines += [f"  twin: {search.form.title}", ""] if search.twin else [""]
    if not given:
        lines.append(f"Searched {found.tried} points, {found.inside} of them within the hypotheses; seed {search.seed}")
        if claim.domain is None:
            lines.append("  No domain is declared: seeds at the quick settings are all that is varied.")
        lines += [f"  {name}: {coordinate.text()}" for name, coordinate in domain.coordinates.items()]
    worst = found.worst
    if worst is None:
        return [*lines, "", "Nothing to judge: no point met the hypotheses and gave samples."]
    if not given:
        lines += ["", f"Least slack {figure(found.figure(found.slack))} ({found.measure})"]
        if not found.counterexample:
            lines[-1] += f", at\n  {domain.write(worst.point) or 'the plainest point'}"
    if worst.verdict is None:
        return [*lines, f"Not judged: {worst.problem}."]
    slack = f"slack {figure(found.figure(worst.slack))} ({found.measure})"
    verdict = f"{worst.verdict.outcome}, {slack}; {result_text(worst.verdict)}"
    lines += [f"{'Judged' if given else 'Run again'}: {verdict}", ""]
    if given:
        return [*lines, f"A counterexample{told(found)}" if found.counterexample else "Not a counterexample."]
    if (minimal := found.minimal) is not None:
        return [
            *lines, f"COUNTEREXAMPLE{told(found)}",
            f"The plainest form that keeps half of the violation, slack {figure(found.figure(minimal.slack))}:",
            f"  {found.command(minimal)}",
        ]  # fmt: skip
    least = figure(found.figure(found.slack))
    lines.append(f"Not falsified on {found.inside} points, least slack {least} ({found.measure}).")
    return lines if found.expected else [*lines, "It is known to fail: try another seed, or a larger budget."]


def told(found: "Finding") -> str:
    """Return how a counterexample is greeted."""
    return ", as expected." if found.expected else " TO WHAT IS EXPECTED TO HOLD."

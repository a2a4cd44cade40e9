"""`predict conv`: what the sharp asymptotics say of the runs of `simulate conv`, in seconds at any dimension."""

import copy
import json
from typing import TYPE_CHECKING, Any

import click

from simulate.parameters import integer, reject
from theory.conv_command import LEVELS, conv_spec
from theory.parameter_types import COUNT, LEVEL, Level
from theory.scan_command import model_options

if TYPE_CHECKING:
    from simulate.conv_run import ConvSpec
    from theory.ours.prediction import Prediction

_NOT_DERIVED = ("data", "space", "density", "decay")
NAMES = {
    "clean_error": "clean error", "test_error": "test error", "active_fraction": "active fraction",
    "margin": "noise margin x", "gamma": "gamma", "steps": "steps", "critical_mu": "critical ‖mu‖",
    "sam_needed": "steps of SAM needed", "sam_gamma_needed": "gamma they learn",
}  # fmt: skip


def _letters() -> list[click.Parameter]:
    """Return the options of `simulate conv` of which something is derived; labels are balanced by default."""
    options = {name: copy.copy(one) for name, one in model_options("conv").items() if name not in _NOT_DERIVED}
    options["labels"].default = "balanced"
    options["labels"].help = "Balanced: classes and flips split evenly; iid: averaged over their draws."
    return list(options.values())


def _print(
    level: str, target: Level, draws: int | None, samples: int | None, seed: int, rows: int, as_json: bool,
    **letters: Any,
) -> None:  # fmt: skip
    from theory.commands import plain_json
    from theory.ours.prediction import predict

    spec = conv_spec(**letters)
    found = predict(spec, level, target, draws, samples, seed, rows)
    if as_json:
        click.echo(json.dumps(plain_json({"spec": spec.to_dict(), **found.to_dict()}), indent=2, ensure_ascii=False))
        return
    click.echo(_heading(found) + "\n")
    names = list(found.curve)
    click.echo("  ".join(f"{name:>15}" for name in names))
    for row in zip(*found.curve.values(), strict=True):
        click.echo("  ".join(f"{value:>15.5g}" for value in row))
    click.echo("")
    notes = {
        "steps": f"{found.setting['sam_steps']} of SAM, then SGD" if found.setting["sam_steps"] else "",
        "critical_mu": f"for a {_meaning(found.target)}",
        "sam_needed": "for the same at this ‖mu‖",
    }
    for name, (value, error) in found.results.items():
        text = f"{value:.5g}" if value == value else "none"
        spread = f" ± {error:.2g}" if error is not None and value == value else ""
        click.echo(f"{NAMES[name]:20} {text + spread:22} {notes.get(name, '')}".rstrip())
    click.echo("\n" + _scope(found))


def _heading(found: "Prediction") -> str:
    drawn = "a closed form, without Monte-Carlo error"
    if found.draws:
        drawn = ", ".join(f"{name} {value}" for name, value in found.draws.items()) + "; ± is one standard error"
    letters = ", ".join(f"{name} = {found.setting[name]:.4g}" for name in ("c", "e0", "q"))
    return f"predicted for {found.regime}\nlevel {found.level}: {drawn}\n{letters}"


def _meaning(target: Level) -> str:
    return f"{'test' if target.above_flips else 'clean'} error of {target}"


def _scope(found: "Prediction") -> str:
    if found.in_scope:
        return "inside the scope of the derivation"
    lines = [
        f"  {one.name} = {one.value:.4g}, above {one.largest:.4g}: {one.text}" for one in found.scope if not one.met
    ]
    return "\n".join(["OUTSIDE the scope of the derivation; the prediction may be off:", *lines])


conv = click.Command(
    "conv",
    callback=_print,
    params=[
        *_letters(),
        click.Option(["--level"], type=click.Choice(LEVELS), default="effective", show_default=True,
                     help="n → ∞; the limit system at this n; or the closed form, SGD only."),
        click.Option(["--target"], type=LEVEL, default="p+0.1", show_default=True,
                     help="Error to be met by the critical ‖mu‖ and by SAM's steps: clean, or with p the test error."),
        click.Option(["--draws"], type=COUNT, help="Monte-Carlo draws. [default: 8 effective, 32 limit, 64 if iid]"),
        click.Option(["--samples"], type=COUNT, help="Samples of an effective draw. [default: 10000/m in 50…500]"),
        click.Option(["--seed"], type=COUNT, default=0, show_default=True, help="Seed of the first draw."),
        click.Option(["--rows"], type=COUNT, default=12, show_default=True, help="Rows of the learning curve."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON instead of a table."),
    ],
    help="Predict the runs of `simulate conv`: learning curve, errors, steps, critical signal.\n\nSGD, also after "
    "a SAM phase, as d → ∞: nothing of size d is formed. docs/asymptotics.md derives it; a "
    "setting outside its conditions is told so.",
)  # fmt: skip


class Comparison:
    """What `simulate conv --compare` says: the means of the runs beside the prediction of their specification."""

    def __init__(self, spec: "ConvSpec", level: str, seeds: int) -> None:
        from theory.ours.prediction import refuse

        if integer("seeds", seeds, 1) < 2:
            reject("seeds", seeds, "an integer >= 2 with --compare")
        refuse(spec, level)
        self.spec, self.level = spec, level

    def __call__(self, results: list[Any]) -> tuple[str, dict[str, Any]]:
        """Return the text and the plain data."""
        from theory.ours.comparison import compared
        from theory.ours.prediction import predict

        found = predict(self.spec, self.level)
        rows = compared(results, found)
        lines = [_heading(found), "", f"{'':16}{'simulated':>22}  {'predicted':>22}  {'ratio':>8}  {'difference':>14}"]
        for row in rows:
            pairs = [
                f"{row[name]:.5g}" + (f" ± {row[name + '_error']:.2g}" if row[name + "_error"] is not None else "")
                for name in ("simulated", "predicted")
            ]
            apart = f"{row['ratio']:>8.4f}  {row['deviation']:>+8.2f} s.e."
            lines.append(f"{NAMES[row['name']]:16}{pairs[0]:>22}  {pairs[1]:>22}  {apart}")
        return "\n".join([*lines, "", _scope(found)]), {"prediction": found.to_dict(), "comparison": rows}

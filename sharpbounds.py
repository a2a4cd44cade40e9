"""sharpbounds: theorems about sharpness-aware minimisation, checked against exact simulation.

The face of the project: the command line, and the same as Python calls.

    import sharpbounds

    for record in sharpbounds.verify("chen2023/sgd-*", mode="quick"):
        print(record.claim.id, record.verdict.outcome, record.verdict.value, record.verdict.interval)

    spec = sharpbounds.conv(n=20, d=20_000, mu=3, rule="sam-then-sgd", tau_c3=1, kappa=0.5, labels="balanced")
    results = sharpbounds.simulate(spec, seeds=16)
    print(sum(result.clean_error for result in results) / 16)

    spec = sharpbounds.conv(n=20, d=10**12, mu=500, sigma_0=1e-13, eta=2e-11, labels="balanced")
    prediction = sharpbounds.predict(spec, level="closed")
    print(prediction.clean_error.value, prediction.critical_mu.value, prediction.in_scope)

    spec = sharpbounds.diagonal(n=20, d=30, alpha=0.05, rule="1-sam-flow", rho=0.1)
    results = sharpbounds.simulate(spec, seeds=16)
    print(sum(result.test_loss for result in results) / 16)

    spec = sharpbounds.finite_sum(objective="ridge", reg=0.1, rule="sam", sampling="importance", data_seed=0)
    results = sharpbounds.simulate(spec, seeds=16)
    print(sum(result.gap for result in results) / 16)

    from sharpbounds import Claim, Control, Hypothesis, Kind, Samples  # a theorem of your own: docs/your_theorem.md

    sharpbounds.verify("my_theorem.py")

Start-up imports neither numba nor scipy: a command loads what it needs when it runs.
"""

import importlib
import sys
from typing import Any

import click

_PUBLIC = {
    **dict.fromkeys(("Claim", "Control", "Hypothesis", "Kind", "Outcome", "Paper", "Samples"), "theory.claim"),
    "stream": "simulate.streams",
    "claims": "theory.registry",
    "select": "theory.registry",
    "papers": "theory.registry",
    "check": "theory.check",
    "verify": "theory.commands:verify_claims",
    "conv": "theory.conv_command:conv_spec",
    "diagonal": "theory.diagonal_command:diagonal_spec",
    "finite_sum": "theory.finite_sum_command:finite_sum_spec",
    "falsify": "theory.falsify",
    "simulate": "theory.simulate_output:simulate_seeds",
    "predict": "theory.ours.prediction",
}
__all__ = ["main", *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Load a public call when it is first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sharpbounds' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(importlib.import_module(module), attribute or name)


_BEYOND_ADDRESSES = "array is too big", "Maximum allowed dimension exceeded"  # how numpy says MemoryError of these


class _Lazy(click.Group):
    """A group whose commands are imported when called; bad parameters end in one line and exit status 2."""

    commands_at: dict[str, str]  # name → module:command, set by `_group`

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands_at)

    def get_command(self, context: click.Context, name: str) -> Any:
        if name not in self.commands_at:
            return None
        module, _, attribute = self.commands_at[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def invoke(self, context: click.Context) -> Any:
        from simulate.parameters import ParameterError

        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # a terminal without √ shows ?
        try:
            return super().invoke(context)
        except ParameterError as error:
            raise click.UsageError(str(error)) from error
        except MemoryError as error:
            raise click.UsageError(f"not enough memory for these sizes ({error})") from error
        except Exception as error:
            if isinstance(error, ValueError) and str(error).startswith(_BEYOND_ADDRESSES):
                raise click.UsageError(f"not enough memory for these sizes ({error})") from error
            own = sys.modules.get("theory.own")
            if own is None or not (told := own.blame(error)):
                raise
            raise click.UsageError(told) from error


def _group(name: str, commands: dict[str, str], text: str) -> Any:
    group = _Lazy(name, help=text, context_settings={"help_option_names": ["-h", "--help"]})
    group.commands_at = commands
    return group


simulate_group = _group(
    "simulate",
    {
        "conv": "theory.conv_command:conv",
        "diagonal": "theory.diagonal_command:diagonal",
        "finite-sum": "theory.finite_sum_command:finite_sum",
    },
    "Simulate a model exactly.",
)
predict_group = _group(
    "predict",
    {"conv": "theory.predict_command:conv"},
    "Predict what a simulation will show, without one.",
)
main = _group(
    "sharpbounds",
    {
        "list": "theory.commands:list_claims",
        "show": "theory.commands:show",
        "verify": "theory.commands:verify",
        "check": "theory.contract_command:check",
        "simulate": "sharpbounds:simulate_group",
        "predict": "sharpbounds:predict_group",
        "scan": "theory.scan_command:scan",
        "boundary": "theory.boundary_command:boundary",
        "falsify": "theory.falsify_command:falsify",
        "plot": "figures.plot_command:plot",
        "figure": "figures.figure_command:figure",
        "report": "figures.report_command:report",
        "diff": "theory.record_command:diff",
        "table": "theory.record_command:table",
        "cite": "theory.commands:cite",
    },
    "Theorems about sharpness-aware minimisation, checked against exact simulation.",
)
main = click.version_option(package_name="sharpbounds")(main)

if __name__ == "__main__":
    main(prog_name="sharpbounds")

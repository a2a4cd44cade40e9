"""`simulate diagonal`: runs of the diagonal linear network, the paper's letters resolved to a specification."""

from typing import TYPE_CHECKING, Any

import click

from simulate.parameters import choice, integer, real, reject
from theory.parameter_types import COUNT, NUMBERS
from theory.simulate_output import MOST_STATES, Shown, every, given, run_and_print, run_options, seeded

if TYPE_CHECKING:
    from simulate.diagonal_run import DiagonalSpec

STEP_RULES = ("gd", "sgd", "n-sam", "1-sam", "m-sam", "stochastic-1-sam")
FLOW_RULES = ("gradient-flow", "n-sam-flow", "1-sam-flow", "m-sam-flow")
_FLOW = "left out with a flow"
_STEPS = "left out with a rule of discrete steps"


def diagonal_spec(
    *, data: str | None = None, n: int | None = None, d: int | None = None, sparsity: int | None = None,
    design: str | None = None, correlation: float | None = None, shift: float | None = None, teacher: str | None = None,
    noise_std: float | None = None, test_samples: int | None = None, alpha: float | tuple[float, ...] = 0.05,
    rule: str = "gd", block: int | None = None, rho: float | None = None, normalisation: float | None = None,
    then: str | None = None, switch_step: int | None = None, sampling: str | None = None, gamma: float | None = None,
    steps: int | None = None, stop_loss: float | None = None, max_time: float | None = None,
    residual: float | None = None, seed: int = 0, record: tuple[float, ...] = (), sharpness: bool = False,
) -> "DiagonalSpec":  # fmt: skip
    """Return a `DiagonalSpec` from the paper's letters.

    What is None takes its default, that of `SparseRegression` and `DiagonalSpec`; rho that is 0.1, switch_step half of
    the steps. Given where it has no effect, it is an error: rho and normalisation without SAM, correlation and shift
    with another design, sampling unless rows are drawn, gamma, steps, stop_loss and switch_step with a flow, max_time
    and residual without one. data is the path of the user's own problem (`simulate.regression.read_regression`), which
    replaces n … test_samples. record lists steps, or times of a flow. Raises ParameterError.
    """
    from simulate.diagonal_run import STOCHASTIC, DiagonalSpec
    from simulate.regression import RegressionFile, SparseRegression, read_regression

    drawn: dict[str, Any] = {
        "samples (n)": n, "dimension (d)": d, "sparsity (r)": sparsity, "design": design, "correlation": correlation,
        "shift": shift, "teacher": teacher, "noise_std": noise_std, "test_samples": test_samples,
    }  # fmt: skip
    drawn = {name: value for name, value in drawn.items() if value is not None}
    if data is not None:
        for name, value in drawn.items():
            reject(name, value, "left out with data, whose file decides it")
        source: SparseRegression | RegressionFile = RegressionFile(data)
        samples = len(read_regression(data).y)
    else:
        source = SparseRegression(**{name.partition(" ")[0]: value for name, value in drawn.items()})
        samples = source.samples
        for name, only in (("correlation", "equicorrelated"), ("shift", "shifted")):
            if name in drawn and source.design != only:
                reject(name, drawn[name], f"left out with designs other than {only}")

    choice("rule", rule, STEP_RULES + FLOW_RULES)
    flow, rules = rule in FLOW_RULES, [rule] if then is None else [rule, then]
    discrete = {"gamma": gamma, "steps": steps, "stop_loss": stop_loss, "then": then, "switch_step": switch_step}
    for name, value in (discrete if flow else {"max_time": max_time, "residual": residual}).items():
        if value is not None:
            reject(name, value, _FLOW if flow else _STEPS)
    if then is None and switch_step is not None:
        reject("switch_step", switch_step, "left out without `then`, the rule it switches to")
    if sampling is not None and rule not in STOCHASTIC:
        reject("sampling", sampling, "left out with rules other than " + " and ".join(STOCHASTIC))
    sam = any(isinstance(name, str) and "sam" in name for name in rules)
    for name, value in (("rho", rho), ("normalisation", normalisation)):
        if value is not None and not sam:
            reject(name, value, f"left out with rule {rule}, which perturbs nothing")
    if block is not None:
        integer("block (m)", block, 1, samples)
    if steps is not None:
        integer("steps", steps, 0)
    length = DiagonalSpec.max_steps if steps is None else int(steps)
    if then is not None and switch_step is None:
        switch_step = length // 2
    changes: dict[str, Any] = {
        "normalisation": normalisation, "switch_step": switch_step, "sampling": sampling, "step_size": gamma,
        "stop_loss": stop_loss, "max_time": max_time, "residual": residual, "block": block, "then": then,
    }  # fmt: skip
    return DiagonalSpec(
        source, alpha=alpha, rule=rule, radius=0.0 if not sam else 0.1 if rho is None else rho, max_steps=length,
        seed=seed, record=record, sharpness=sharpness, **{k: v for k, v in changes.items() if v is not None},
    )  # fmt: skip


SHOWN = Shown(
    ("status", "steps", "time", "train_loss", "test_loss", "beta", "log_alpha_eff", "l1_norm", "loss_integral"),
    columns={"log_alpha_eff": ("log_alpha_eff_min", lambda values: values.min())},
    mean="test_loss",
    figures=".4g",
)


@click.command()
@click.option("--data", metavar="FILE.npz", help="Your own X, y (and X_test, y_test) in place of a draw.")
@click.option("--n", type=COUNT, default=20, show_default=True, help="Training samples n.")
@click.option("--d", type=COUNT, default=30, show_default=True, help="Dimension d.")
@click.option("--sparsity", type=COUNT, default=3, show_default=True, help="Nonzero coordinates r of the teacher.")
@click.option(
    "--design", type=click.Choice(["isotropic", "equicorrelated", "shifted", "absolute"]), default="isotropic",
    show_default=True, help="Features: N(0, I); of equal correlations; N(0, I) + shift; absolute values.",
)  # fmt: skip
@click.option(
    "--correlation", type=float, default=0.9, show_default=True, help="Correlation of equicorrelated features."
)
@click.option("--shift", type=float, default=3.0, show_default=True, help="Mean of shifted features.")
@click.option(
    "--teacher", type=click.Choice(["positive", "signed"]), default="positive", show_default=True,
    help="Signs of the teacher beta*, whose norm is 1.",
)  # fmt: skip
@click.option("--noise-std", type=float, default=0.0, show_default=True, help="Label noise: y = X beta* + noise.")
@click.option("--test-samples", type=COUNT, default=1000, show_default=True, help="Fresh samples of the test loss.")
@click.option(
    "--alpha", type=NUMBERS, default=0.05, show_default=True,
    help="Initial scale: w+ = w- = alpha. One number, or d with commas.",
)  # fmt: skip
@click.option(
    "--rule", type=click.Choice(STEP_RULES + FLOW_RULES), default="gd", show_default=True,
    help="Training rule: discrete steps, or the flow followed to its limit.",
)  # fmt: skip
@click.option("--block", type=COUNT, metavar="M", help="Rows m that m-sam and m-sam-flow perturb together.")
@click.option("--rho", type=float, help="SAM's radius rho: each block is perturbed by rho ∇L. [default: 0.1]")
@click.option(
    "--normalisation", type=float, default=0.0, show_default=True,
    help="lam: by rho (1 − lam + lam/‖∇L‖) ∇L instead; the paper's is 0, and every flow's.",
)  # fmt: skip
@click.option("--then", type=click.Choice(STEP_RULES), help="Rule that follows from the switch step on.")
@click.option("--switch-step", type=COUNT, metavar="K", help="Step of that switch. [default: half of the steps]")
@click.option(
    "--sampling", type=click.Choice(["replacement", "epochs"]), default="replacement", show_default=True,
    help="How sgd and stochastic-1-sam draw their row: anew each step, or shuffled.",
)  # fmt: skip
@click.option("--gamma", type=float, default=0.05, show_default=True, help="Step size gamma of a discrete rule.")
@click.option("--steps", type=COUNT, default=10_000, show_default=True, help="Stop a discrete rule after so many.")
@click.option("--stop-loss", type=float, default=0.0, show_default=True, help="Stop a discrete rule at this loss L.")
@click.option("--max-time", type=float, default=1e9, help="Stop a flow at this time t. [default: 1e9]")
@click.option(
    "--residual", type=float, default=1e-11, show_default=True,
    help="Stop a flow where ‖X beta − y‖ is so small a part of ‖y‖.",
)  # fmt: skip
@click.option("--record-times", type=NUMBERS, metavar="T,T,…", help="Keep a flow's state at these times t.")
@click.option("--sharpness", is_flag=True, help="Save the largest eigenvalue of ∇²L with every state that is kept.")
@run_options
@click.pass_context
def diagonal(
    context: click.Context, /, seeds: int, record: Any, record_times: tuple[float, ...] | None, save: str | None,
    workers: int, as_json: bool, **letters: Any,
) -> None:  # fmt: skip
    """Train the diagonal linear network on sparse regression, by SAM's rules or their flows.

    The model is beta = w+^2 - w-^2 from w+ = w- = alpha, with L = (1/4n) sum r^2, r = X beta - y; the test loss is the
    same over fresh samples. Andriushchenko & Flammarion 2022 (arXiv:2206.06232), Section 4, is the setting: a flow's
    limit minimises a potential that depends on alpha alone, and SAM's is the one of a smaller alpha, alpha_eff (d,).
    """
    steps, letters = letters["steps"], given(context, letters)
    if len(letters.get("alpha", ())) == 1:
        letters["alpha"] = letters["alpha"][0]
    if letters.get("rule") in FLOW_RULES:
        if record:
            reject("record", record, f"{_FLOW}, whose states --record-times keeps")
        if record_times is not None and len(record_times) > MOST_STATES:
            reject("record_times", f"{len(record_times)} times", f"at most {MOST_STATES}")
        kept = record = tuple(real("record_times", time) for time in record_times or ())
    else:
        if record_times is not None:
            reject("record_times", record_times, f"{_STEPS}, whose states --record keeps")
        kept = tuple(every(record, steps))
    spec = diagonal_spec(**letters, record=kept)
    run_and_print(seeded(spec, seeds), SHOWN, record, save, workers, as_json)

"""`simulate diagonal`: what is printed, what is written, and every option."""

import json
from dataclasses import replace

import click
import numpy as np
import pytest
from command_line import call, plain

import sharpbounds
from simulate.diagonal_run import FLOW_RULES, SAMPLINGS, STEP_RULES, DiagonalSpec
from simulate.regression import DESIGNS, TEACHERS, SparseRegression, draw_regression
from theory import diagonal_command

SMALL = ["--n", "5", "--d", "6", "--sparsity", "2", "--test-samples", "40"]
SHORT = [*SMALL, "--steps", "30"]
FLOW = [*SMALL, "--alpha", "0.3", "--rule"]
DATA = SparseRegression(5, 6, 2, test_samples=40)
SCALARS = ["status", "steps", "time", "train_loss", "test_loss", "l1_norm", "loss_integral"]
RUN_KEYS = [
    "seed", "status", "steps", "time", "train_loss", "test_loss", "beta", "log_alpha_eff", "l1_norm", "loss_integral",
]  # fmt: skip


pytestmark = pytest.mark.usefixtures("folder")


def simulated(*options):
    """Return the JSON of `simulate diagonal`."""
    result = call("simulate", "diagonal", "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=pytest.fail)  # NaN and Infinity are no JSON


def agrees(row, result):
    """Check that a row of the JSON holds the result to the last bit."""
    assert list(row) == RUN_KEYS
    for name in RUN_KEYS[1:]:
        assert row[name] == plain(getattr(result, name)), name


# what is printed


@pytest.mark.parametrize("rule", [*STEP_RULES, *FLOW_RULES])
def test_every_rule_is_the_specification_of_that_name(rule):
    flow, sam, block = rule in FLOW_RULES, "sam" in rule, 2 if rule.startswith("m-sam") else None
    options = ["--max-time", 3] if flow else ["--steps", 30]
    options += ["--block", block] if block else []
    found = simulated(*SMALL, "--rule", rule, "--seed", 5, *options)
    limit = {"max_time": 3.0} if flow else {"max_steps": 30}
    spec = DiagonalSpec(DATA, rule=rule, radius=0.1 if sam else 0.0, block=block, seed=5, **limit)
    assert found["spec"] == {**spec.to_dict(), "record": [] if flow else 0}
    (row,) = found["runs"]
    agrees(row, spec.run())
    assert row["status"] == ("t-max" if flow else "max-steps")
    assert row["train_loss"] < spec_without_training(spec).train_loss


def spec_without_training(spec):
    """Return the result of the same run before its first step."""
    return replace(spec, max_steps=0, max_time=0.0).run()


def test_the_default_is_gradient_descent_on_the_papers_problem():
    found = simulated()
    assert found["spec"] == {**DiagonalSpec().to_dict(), "record": 0}
    agrees(found["runs"][0], DiagonalSpec().run())


def test_seeds_follow_one_another():
    found = simulated(*SHORT, "--seeds", 3, "--seed", 4, "--rule", "sgd")
    assert list(found) == ["spec", "runs"]
    assert [run["seed"] for run in found["runs"]] == [4, 5, 6]
    for row in found["runs"]:
        agrees(row, DiagonalSpec(DATA, rule="sgd", max_steps=30, seed=row["seed"]).run())
    assert len({run["test_loss"] for run in found["runs"]}) == 3


def test_losses_are_a_quarter_of_the_mean_square():
    (row,) = simulated(*SHORT)["runs"]
    problem, beta = draw_regression(DATA, 0), np.array(row["beta"])
    for loss, X, y in (("train_loss", problem.X, problem.y), ("test_loss", problem.X_test, problem.y_test)):
        assert row[loss] == pytest.approx(np.mean((X @ beta - y) ** 2) / 4, rel=1e-12)
    assert row["l1_norm"] == pytest.approx(np.abs(beta).sum(), rel=1e-12)


def test_table():
    lines = call("simulate", "diagonal", *SHORT, "--seeds", 2).stdout.splitlines()
    titles = lines[0].split()
    assert set(titles) == {"seed", *SCALARS, "log_alpha_eff_min"}
    assert len({len(line) for line in lines[:3]}) == 1
    runs = simulated(*SHORT, "--seeds", 2)["runs"]
    for line, run in zip(lines[1:3], runs, strict=True):
        cells = dict(zip(titles, line.split(), strict=True))
        assert (cells["seed"], cells["status"], cells["steps"]) == (str(run["seed"]), run["status"], str(run["steps"]))
        smallest = {"log_alpha_eff_min": min(run["log_alpha_eff"])}
        for name, value in ({name: run[name] for name in SCALARS[2:]} | smallest).items():
            assert cells[name] == f"{value:.5g}", name
    losses = np.array([run["test_loss"] for run in runs])
    spread = np.abs(np.diff(losses))[0] / 2
    assert lines[-1] == f"mean test loss {losses.mean():.4g} ± {spread:.4g} (standard error over 2 seeds)"
    assert "mean test loss" not in call("simulate", "diagonal", *SHORT).stdout


def test_mean_is_over_the_runs_that_have_one():
    """At this step size some seeds diverge, with losses that are finite and huge; they are counted out, aloud."""
    options = [*SMALL, "--gamma", 2, "--steps", 200, "--seeds", 8]
    runs = simulated(*options)["runs"]
    losses = np.array([run["test_loss"] for run in runs if run["status"] != "diverged"])
    assert 1 < len(losses) < 8
    said = f"mean test loss {losses.mean():.4g} ± {losses.std(ddof=1) / np.sqrt(len(losses)):.4g} "
    last = call("simulate", "diagonal", *options).stdout.splitlines()[-1]
    assert last == said + f"(standard error over the {len(losses)} of 8 seeds that are finite and did not diverge)"
    without = call("simulate", "diagonal", *SHORT, "--test-samples", 0, "--seeds", 2)
    assert without.stdout.splitlines()[-1] == "mean test loss: of none of 2 seeds, all diverged or not finite"


STATUSES = {
    "stopped": [*FLOW, "gradient-flow"],
    "t-max": [*FLOW, "gradient-flow", "--max-time", 1],
    "max-steps": SHORT,
    "diverged": [*SMALL, "--gamma", 100],
    "collapsed": [*SMALL, "--rule", "1-sam", "--rho", 10, "--alpha", 0.001],
    "no limit": ["--n", 8, "--d", 3, "--noise-std", 0.5, "--rule", "1-sam-flow", "--max-time", 50],
}


@pytest.mark.parametrize("status", STATUSES)
def test_statuses(status):
    assert simulated(*STATUSES[status])["runs"][0]["status"] == status
    shown = call("simulate", "diagonal", *STATUSES[status])
    assert shown.exit_code == 0
    assert f" {status} " in shown.stdout


@pytest.mark.parametrize("rule", ["gd", "n-sam", "gradient-flow", "1-sam-flow"])
def test_beyond_float64_is_valid_json(rule):
    (row,) = simulated(*SMALL, "--rule", rule, "--alpha", "1e200")["runs"]
    assert (row["status"], row["train_loss"], row["beta"]) == ("diverged", None, [None] * 6)
    assert call("simulate", "diagonal", *SMALL, "--rule", rule, "--alpha", "1e200", "--seeds", 2).exit_code == 0


def test_workers_change_nothing():
    options = [*SHORT, "--rule", "stochastic-1-sam", "--seeds", 3]
    assert simulated(*options, "--workers", 2) == simulated(*options, "--workers", 1)


def test_counts_may_be_written_with_an_exponent():
    assert simulated(*SMALL, "--steps", "1e2")["spec"]["max_steps"] == 100


# every option


def test_every_option_reaches_the_specification():
    options = {
        "--n": 7, "--d": 6, "--sparsity": 2, "--design": "shifted", "--shift": 0.5, "--teacher": "signed",
        "--noise-std": 0.1, "--test-samples": 9, "--alpha": 0.2, "--rule": "m-sam", "--block": 3, "--rho": 0.02,
        "--normalisation": 0.5, "--then": "gd", "--switch-step": 5, "--gamma": 0.02, "--steps": 11,
        "--stop-loss": 1e-9, "--seed": 9,
    }  # fmt: skip
    found = simulated(*(word for pair in options.items() for word in pair))
    data = SparseRegression(7, 6, 2, "shifted", shift=0.5, teacher="signed", noise_std=0.1, test_samples=9)
    expected = DiagonalSpec(
        data, 0.2, "m-sam", 0.02, 3, "gd", 5, 0.5, step_size=0.02, max_steps=11, stop_loss=1e-9, seed=9
    )
    assert found["spec"] == {**expected.to_dict(), "record": 0}
    agrees(found["runs"][0], expected.run())


def test_the_other_options_reach_it_too():
    options = ("--design", "equicorrelated", "--correlation", 0.3, "--rule", "sgd", "--sampling", "epochs")
    found = simulated(*SHORT, *options)
    data = replace(DATA, design="equicorrelated", correlation=0.3)
    spec = DiagonalSpec(data, rule="sgd", sampling="epochs", max_steps=30)
    assert found["spec"] == {**spec.to_dict(), "record": 0}
    options = ("--max-time", 9, "--residual", 0.5, "--record-times", "0,2.5", "--sharpness")
    found = simulated(*FLOW, "1-sam-flow", *options)
    spec = DiagonalSpec(DATA, 0.3, "1-sam-flow", 0.1, max_time=9.0, residual=0.5, record=(0.0, 2.5), sharpness=True)
    assert found["spec"] == {**spec.to_dict(), "record": [0.0, 2.5]}


def test_one_alpha_a_coordinate():
    found = simulated(*SHORT, "--alpha", "0.1,0.2,0.3,0.1,0.2,0.3")
    assert found["spec"]["alpha"] == [0.1, 0.2, 0.3, 0.1, 0.2, 0.3]
    agrees(found["runs"][0], DiagonalSpec(DATA, (0.1, 0.2, 0.3, 0.1, 0.2, 0.3), max_steps=30).run())


@pytest.mark.parametrize(
    ("options", "rho", "switch"),
    [
        (("--rule", "gd", "--then", "1-sam"), 0.1, 15), (("--rule", "1-sam", "--then", "gd"), 0.1, 15),
        (("--rule", "n-sam", "--rho", 0, "--then", "gd", "--switch-step", 0), 0.0, 0), ((), 0.0, 0),
        (("--rule", "gd", "--then", "n-sam", "--rho", 0.2, "--switch-step", 50), 0.2, 50),
    ],
)  # fmt: skip
def test_radius_and_switch(options, rho, switch):
    spec = simulated(*SHORT, *options)["spec"]
    assert (spec["radius"], spec["switch_step"]) == (rho, switch)


def options_of_the_command():
    """Return the command's options by name."""
    return {p.name: p for p in diagonal_command.diagonal.params if isinstance(p, click.Option)}


def test_every_option_is_explained():
    """With its letter and its default, which is the one that a Python call has."""
    text = " ".join(call("simulate", "diagonal", "--help").stdout.split())
    for name, option in options_of_the_command().items():
        assert option.help.endswith((".", "]")), name
        assert f"{option.opts[0]} " in text
        assert option.help in text
    assert "beta = w+^2 - w-^2" in text
    assert "L = (1/4n) sum r^2" in text
    assert "Andriushchenko & Flammarion 2022" in text


def test_shown_defaults_are_the_defaults():
    shared = {"seeds", "record", "record_times", "save", "workers", "as_json"}
    options = {name: option for name, option in options_of_the_command().items() if name not in shared}
    needs = {
        "correlation": {"design": "equicorrelated"}, "shift": {"design": "shifted"}, "sampling": {"rule": "sgd"},
        "normalisation": {"rule": "n-sam"}, "max_time": {"rule": "n-sam-flow"}, "residual": {"rule": "n-sam-flow"},
    }  # fmt: skip
    shown = {name: option for name, option in options.items() if option.show_default or name == "max_time"}
    assert set(options) - set(shown) == {"data", "block", "rho", "then", "switch_step", "sharpness"}
    for name, option in shown.items():
        rest = needs.get(name, {})
        assert sharpbounds.diagonal(**{name: option.default}, **rest) == sharpbounds.diagonal(**rest), name
    assert "[default: 1e9]" in options["max_time"].help
    assert "[default: 0.1]" in options["rho"].help
    assert sharpbounds.diagonal(rule="n-sam").radius == 0.1


def test_choices_are_the_engines():
    options = options_of_the_command()
    assert tuple(options["rule"].type.choices) == STEP_RULES + FLOW_RULES
    assert tuple(options["then"].type.choices) == STEP_RULES
    assert tuple(options["design"].type.choices) == DESIGNS
    assert tuple(options["teacher"].type.choices) == TEACHERS
    assert tuple(options["sampling"].type.choices) == SAMPLINGS


# what is written


HISTORY = {"step", "time", "beta", "train_loss", "test_loss", "l1_norm", "loss_integral", "log_alpha_eff"}


def saved(folder):
    """Return the arrays of out.npz."""
    with np.load(folder / "out.npz") as file:
        return dict(file)


def test_save(folder):
    options = ("--rule", "n-sam", "--seeds", 2, "--seed", 3, "--record", 10, "--sharpness", "--save", "out.npz")
    assert call("simulate", "diagonal", *SHORT, *options).exit_code == 0
    assert [p.name for p in folder.iterdir()] == ["out.npz"]
    file = saved(folder)
    spec = DiagonalSpec(DATA, rule="n-sam", radius=0.1, max_steps=30, record=(0, 10, 20, 30), sharpness=True, seed=3)
    arrays = HISTORY | {"sharpness", "teacher"}
    assert set(file) == {"spec", "seed", *SCALARS} | {f"run{k}/{name}" for k in (3, 4) for name in arrays}
    assert json.loads(str(file["spec"])) == json.loads(json.dumps(spec.to_dict()))
    assert file["seed"].tolist() == [3, 4]
    for k in (3, 4):
        result = replace(spec, seed=k).run()
        assert file[f"run{k}/step"].tolist() == [0, 10, 20, 30]
        for name, values in {**result.history, "teacher": result.teacher}.items():
            assert np.array_equal(file[f"run{k}/{name}"], values), name
        assert [file[name][k - 3] for name in SCALARS] == [getattr(result, name) for name in SCALARS]
    assert not np.array_equal(file["run3/beta"], file["run4/beta"])


def test_save_of_a_flow(folder):
    call("simulate", "diagonal", *FLOW, "1-sam-flow", "--record-times", "0,1.5,3", "--save", "out.npz")
    file = saved(folder)
    assert {f"run0/{name}" for name in HISTORY | {"log_product", "bias_integral"}} < set(file)
    assert file["run0/time"][:3].tolist() == [0.0, 1.5, 3.0]
    assert len(file["run0/time"]) == 4
    assert file["run0/beta"].shape == (4, 6)
    assert np.allclose(file["run0/log_product"], file["run0/log_alpha_eff"], rtol=0, atol=1e-9)


def test_save_without_record_holds_the_end_alone(folder):
    call("simulate", "diagonal", *SHORT, "--save", "out.npz")
    assert saved(folder)["run0/step"].tolist() == [30]

"""`simulate diagonal` and the same as Python calls: what is printed, what is written, and every exit status."""

import json
import math
from dataclasses import replace

import click
import numpy as np
import pytest
from test_command_line import call, refused

import sharpbounds
from simulate.diagonal_run import FLOW_RULES, SAMPLINGS, STEP_RULES, DiagonalSpec
from simulate.parameters import ParameterError
from simulate.regression import DESIGNS, TEACHERS, RegressionFile, SparseRegression, draw_regression
from theory import diagonal_command

SMALL = ["--n", "5", "--d", "6", "--sparsity", "2", "--test-samples", "40"]
SHORT = [*SMALL, "--steps", "30"]
FLOW = [*SMALL, "--alpha", "0.3", "--rule"]
DATA = SparseRegression(5, 6, 2, test_samples=40)
SCALARS = ["status", "steps", "time", "train_loss", "test_loss", "l1_norm", "loss_integral"]
RUN_KEYS = [
    "seed", "status", "steps", "time", "train_loss", "test_loss", "beta", "log_alpha_eff", "l1_norm", "loss_integral",
]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test runs in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def simulated(*options):
    """Return the JSON of `simulate diagonal`."""
    result = call("simulate", "diagonal", "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=pytest.fail)  # NaN and Infinity are no JSON


def plain(value):
    """Return a value as JSON has it: NaN and infinities are null."""
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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


# bad input


BAD = [
    ("--n", 0, "samples (n) = 0"), ("--n", 2.5, "--n"), ("--n", "nan", "--n"), ("--n", "1e300", "samples (n)"),
    ("--d", 0, "dimension (d) = 0"), ("--d", "1e9", "dimension (d)"), ("--d", "x", "--d"), ("--d", 1, "sparsity (r)"),
    ("--d", "1e7", "samples · dimension"), ("--sparsity", -1, "sparsity (r) = -1"),
    ("--sparsity", 7, "sparsity (r) = 7"),
    ("--design", "nope", "--design"), ("--correlation", 0.5, "correlation = 0.5"), ("--shift", 1, "shift = 1.0"),
    ("--teacher", "nope", "--teacher"), ("--noise-std", -1, "noise_std = -1.0"),
    ("--noise-std", "nan", "noise_std = nan"),
    ("--test-samples", -1, "test_samples = -1"), ("--test-samples", "1e9", "test_samples"),
    ("--alpha", 0, "alpha = 0.0"), ("--alpha", -1, "alpha = -1.0"), ("--alpha", "nan", "alpha = nan"),
    ("--alpha", "inf", "alpha = inf"), ("--alpha", "x", "--alpha"), ("--alpha", "", "--alpha"),
    ("--alpha", "0.1,0.2", "alpha = '2 numbers'"), ("--alpha", "1,1,1,1,1,0", "alpha = 0.0"),
    ("--rule", "nope", "--rule"), ("--rule", "m-sam", "block (m) = None"), ("--block", 2, "block (m) = 2"),
    ("--block", 0, "block (m) = 0"), ("--block", 6, "block (m) = 6"), ("--rho", 0.1, "rho = 0.1"),
    ("--normalisation", 1, "normalisation = 1.0"), ("--then", "nope", "--then"), ("--then", "sgd", "then = 'sgd'"),
    ("--then", "1-sam-flow", "--then"), ("--switch-step", 3, "switch_step = 3"), ("--sampling", "epochs", "sampling"),
    ("--sampling", "nope", "--sampling"), ("--gamma", 0, "(gamma) = 0.0"), ("--gamma", -1, "(gamma) = -1.0"),
    ("--gamma", "nan", "(gamma) = nan"), ("--gamma", "inf", "(gamma) = inf"), ("--steps", -1, "steps = -1"),
    ("--steps", 1.5, "--steps"), ("--stop-loss", -1, "stop_loss = -1.0"), ("--stop-loss", "nan", "stop_loss = nan"),
    ("--max-time", 1, "max_time = 1.0"), ("--residual", 0.1, "residual = 0.1"),
    ("--record-times", "1,2", "record_times"),
    ("--seeds", 0, "seeds = 0"), ("--seed", -1, "seed = -1"), ("--record", -1, "record = -1"),
    ("--record", 0.5, "--record"),
    ("--workers", 0, "workers = 0"), ("--workers", "1e9", "workers"), ("--save", "no/such/folder.npz", "output file"),
    ("--save", ".", "output file"), ("--save", "", "output file"), ("--save", "-", "save"),
    ("--data", "nope.npz", "data = 'nope.npz'"), ("--data", "", "data = ''"),
]  # fmt: skip


@pytest.mark.parametrize(("option", "value", "naming"), BAD, ids=[f"{option}={value}" for option, value, _ in BAD])
def test_bad_value_is_one_error(option, value, naming):
    size = [] if option == "--data" else SMALL
    refused("simulate", "diagonal", *size, "--save", "out.npz", option, value, naming=naming)


TOGETHER = [
    (("--rule", "sgd", "--rho", 0), "rho = 0.0"), (("--rule", "gradient-flow", "--rho", 0.1), "rho = 0.1"),
    (("--rule", "1-sam", "--rho", -1), "(rho) = -1.0"), (("--rule", "1-sam", "--rho", "nan"), "(rho) = nan"),
    (("--rule", "1-sam", "--rho", "inf"), "(rho) = inf"), (("--rule", "1-sam", "--block", 1), "block (m) = 1"),
    (("--rule", "gd", "--then", "m-sam"), "block (m) = None"), (("--rule", "m-sam-flow"), "block (m) = None"),
    (("--rule", "m-sam", "--block", 6), "block (m) = 6"), (("--rule", "n-sam", "--normalisation", -1), "(lam) = -1.0"),
    (("--rule", "n-sam", "--normalisation", 1.5), "(lam) = 1.5"),
    (("--rule", "n-sam", "--normalisation", "nan"), "(lam) = nan"),
    (("--rule", "n-sam-flow", "--normalisation", 1), "(lam) = 1.0"),
    (("--rule", "sgd", "--then", "gd"), "then = 'gd'"), (("--then", "1-sam", "--switch-step", -1), "switch_step = -1"),
    (("--rule", "n-sam-flow", "--gamma", 0.05), "gamma = 0.05"),
    (("--rule", "n-sam-flow", "--steps", 10), "steps = 10"),
    (("--rule", "n-sam-flow", "--stop-loss", 0), "stop_loss = 0.0"),
    (("--rule", "n-sam-flow", "--then", "gd"), "then = 'gd'"),
    (("--rule", "n-sam-flow", "--switch-step", 1), "switch_step = 1"),
    (("--rule", "n-sam-flow", "--sampling", "epochs"), "sampling = 'epochs'"),
    (("--rule", "n-sam-flow", "--record", 1), "record = 1"),
    (("--rule", "n-sam-flow", "--record-times", "1,-2"), "record_times = -2.0"),
    (("--rule", "n-sam-flow", "--record-times", "nan"), "record_times = nan"),
    (("--rule", "n-sam-flow", "--record-times", "1,,2"), "--record-times"),
    (("--rule", "n-sam-flow", "--record-times", "1" + ",1" * 100_000), "record_times = '100001 times'"),
    (("--rule", "n-sam-flow", "--max-time", -1), "max_time = -1.0"),
    (("--rule", "n-sam-flow", "--max-time", "inf"), "max_time = inf"),
    (("--rule", "n-sam-flow", "--residual", 0), "residual = 0.0"),
    (("--record", 1, "--steps", "2e6"), "record = 1: must be 0 or at least 20 "),
    (("--record", 1, "--steps", 150_000), "record = 1: must be 0 or at least 2 "),
    (("--record", 1, "--steps", -1), "steps = -1"), (("--seeds", 2, "--workers", 2, "--alpha", "1,1"), "alpha = "),
    (("--design", "equicorrelated", "--correlation", 1), "correlation = 1.0"),
    (("--design", "equicorrelated", "--shift", 1), "shift = 1.0"),
    (("--design", "shifted", "--shift", "nan"), "shift = nan"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "naming"), TOGETHER, ids=[" ".join(map(str, options))[:60] for options, _ in TOGETHER]
)
def test_bad_combination_is_one_error(options, naming):
    refused("simulate", "diagonal", *SMALL, "--save", "out.npz", *options, naming=naming)


def test_good_values_are_not_refused(folder):
    """The control: the very same call without the bad value writes its file."""
    assert call("simulate", "diagonal", *SMALL, "--save", "out.npz").exit_code == 0
    assert (folder / "out.npz").exists()
    assert call("simulate", "diagonal", *SMALL, "--record", 2, "--steps", 150_000, "--stop-loss", 0.1).exit_code == 0


def test_more_than_memory_is_one_error(monkeypatch):
    def fails(*arguments, **named):
        raise MemoryError("Unable to allocate 1 PiB")

    monkeypatch.setattr("simulate.diagonal_run.load_regression", fails)
    refused("simulate", "diagonal", *SMALL, "--save", "out.npz", naming="memory")


# the user's own problem


@pytest.fixture
def problem(folder):
    """Write a problem to own.npz (with its test set) and bare.npz (without) and return it."""
    problem = draw_regression(replace(DATA, noise_std=0.1), 3)
    np.savez(folder / "bare.npz", X=problem.X, y=problem.y)
    np.savez(folder / "own.npz", X=problem.X, y=problem.y, X_test=problem.X_test, y_test=problem.y_test)
    return problem


@pytest.mark.parametrize("rule", ["1-sam", "1-sam-flow"])
def test_own_problem_is_the_one_drawn(problem, rule):
    """To the last bit what the same numbers give when they are drawn."""
    (row,) = simulated("--data", "own.npz", "--rule", rule, "--alpha", 0.2)["runs"]
    agrees(row, DiagonalSpec(replace(DATA, noise_std=0.1), 0.2, rule, 0.1, seed=3).run())


def test_own_problem_without_a_test_set(problem, folder):
    found = simulated("--data", "bare.npz", "--steps", 30, "--seeds", 2, "--save", "out.npz")
    whole = simulated("--data", "own.npz", "--steps", 30)["runs"][0]
    assert [run["test_loss"] for run in found["runs"]] == [None, None]
    for name in set(RUN_KEYS) - {"seed", "test_loss"}:
        assert found["runs"][0][name] == found["runs"][1][name] == whole[name], name
    assert len(found["spec"]["data"]["sha256"]) == 64
    file = saved(folder)
    assert np.isnan(file["test_loss"]).all()
    assert file["run1/teacher"].shape == (0,)


FROM_FILE = {
    "--n": 5, "--d": 6, "--sparsity": 3, "--design": "isotropic", "--correlation": 0.9, "--shift": 3.0,
    "--teacher": "positive", "--noise-std": 0.0, "--test-samples": 1000,
}  # fmt: skip


@pytest.mark.parametrize("option", FROM_FILE)
def test_what_the_file_decides_is_not_given_twice(problem, option):
    """Even where it agrees."""
    error = refused("simulate", "diagonal", "--data", "own.npz", option, FROM_FILE[option], naming="whose file decides")
    assert option.removeprefix("--").replace("-", "_") in error


def test_bad_files_are_one_error(problem, folder):
    X, y = problem.X, problem.y
    (folder / "text.npz").write_text("text")
    (folder / "cut.npz").write_bytes((folder / "own.npz").read_bytes()[:300])
    np.savez(folder / "keys.npz", X=X)
    np.savez(folder / "more.npz", X=X, y=y, z=y)
    np.savez(folder / "half.npz", X=X, y=y, X_test=X)
    np.savez(folder / "nan.npz", X=np.nan * X, y=y)
    np.savez(folder / "shape.npz", X=X, y=y[1:])
    np.savez(folder / "object.npz", X=X, y=np.array([None]))
    for name, naming in {
        ".": "data = '.'", "text.npz": "data = 'text.npz'", "cut.npz": "data = 'cut.npz'", "keys.npz": "missing: y",
        "more.npz": "'z'", "half.npz": "X_test and y_test together", "nan.npz": "X = ", "shape.npz": "y = ",
        "object.npz": "data = 'object.npz'",
    }.items():  # fmt: skip
        refused("simulate", "diagonal", "--data", name, "--save", "out.npz", naming=naming)
    blocks = ("--rule", "m-sam", "--block")
    allowed = "block (m) = 6: must be an integer >= 1 and <= 5"
    refused("simulate", "diagonal", "--data", "own.npz", *blocks, 6, naming=allowed)
    assert call("simulate", "diagonal", "--data", "own.npz", *blocks, 5).exit_code == 0


# as Python calls


def test_a_call_is_the_command(problem):
    for letters in (
        {"n": 5, "d": 6, "sparsity": 2, "test_samples": 40, "rule": "1-sam-flow", "rho": 0.05, "alpha": 0.3},
        {"n": 5, "d": 6, "sparsity": 2, "rule": "m-sam", "block": 2, "then": "gd", "steps": 40, "gamma": 0.02},
        {"data": "own.npz", "rule": "sgd", "sampling": "epochs", "steps": 40, "seed": 7},
    ):
        spec = sharpbounds.diagonal(**letters)
        assert isinstance(spec, DiagonalSpec)
        words = [word for name, value in letters.items() for word in ("--" + name.replace("_", "-"), value)]
        found = simulated(*words, "--seeds", 2)
        assert found["spec"] == {**spec.to_dict(), "record": [] if spec.is_flow else 0}
        for row, result in zip(found["runs"], sharpbounds.simulate(spec, seeds=2), strict=True):
            agrees(row, result)


def test_calls_take_arrays_and_any_steps():
    spec = sharpbounds.diagonal(n=5, d=6, sparsity=2, alpha=np.full(6, 0.2), steps=30, record=range(0, 31, 7))
    (result,) = sharpbounds.simulate(spec)
    assert spec.alpha == (0.2,) * 6
    assert result.history["step"].tolist() == [0, 7, 14, 21, 28, 30]


def test_calls_are_refused_as_the_command_is(problem):
    for letters, naming in (
        ({"rho": 0.1}, "rho = 0.1"), ({"data": "own.npz", "n": 5}, r"samples \(n\) = 5"), ({"rule": "nope"}, "rule = "),
        ({"then": "nope"}, "then = 'nope'"), ({"then": 3}, "then = 3"), ({"data": 3.5}, "data = "),
        ({"data": "own.npz", "rule": "m-sam", "block": 6}, r"block \(m\) = 6"), ({"record": 5}, "record = 5"),
        ({"rule": "n-sam-flow", "steps": 5}, "steps = 5"), ({"design": "nope"}, "design = 'nope'"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=naming):
            sharpbounds.diagonal(**letters)
    spec = sharpbounds.diagonal(data="own.npz", steps=3)
    assert isinstance(spec.data, RegressionFile)
    with pytest.raises(ParameterError, match="seeds = 0"):
        sharpbounds.simulate(spec, seeds=0)


def test_the_docstring_means_what_it_says():
    shown = 'sharpbounds.diagonal(n=20, d=30, alpha=0.05, rule="1-sam-flow", rho=0.1)'
    assert shown in sharpbounds.__doc__
    spec = sharpbounds.diagonal(n=20, d=30, alpha=0.05, rule="1-sam-flow", rho=0.1)
    assert spec == DiagonalSpec(SparseRegression(20, 30), 0.05, "1-sam-flow", 0.1)

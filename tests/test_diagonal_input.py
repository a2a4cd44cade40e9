"""`simulate diagonal`: bad input, the user's own problem, and the same as Python calls."""

from dataclasses import replace

import numpy as np
import pytest
from command_line import call, refused
from test_diagonal_command import DATA, RUN_KEYS, SMALL, agrees, saved, simulated

import sharpbounds
from simulate.diagonal_run import DiagonalSpec
from simulate.parameters import ParameterError
from simulate.regression import RegressionFile, SparseRegression, draw_regression

pytestmark = pytest.mark.usefixtures("folder")


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

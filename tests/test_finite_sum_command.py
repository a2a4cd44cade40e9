"""`simulate finite-sum` and the same as Python calls: what is printed, what is written, and every exit status."""

import itertools
import json
import math
import warnings
from dataclasses import replace

import click
import numpy as np
import pytest
from test_command_line import call, refused

import sharpbounds
from simulate.finite_sum import SCHEDULES
from simulate.finite_sum_data import OBJECTIVES, DrawnSum, SumFile
from simulate.finite_sum_run import FiniteSumSpec
from simulate.parameters import ParameterError
from simulate.sampling import SAMPLINGS
from theory import finite_sum_command
from theory.finite_sum_command import RULES
from theory.oikonomou2025.setting import Constants, constants

SMALL = ["--n", "5", "--d", "6"]
SHORT = [*SMALL, "--steps", "30"]
DATA = DrawnSum(5, 6)
SCALARS = ["status", "steps", "gap", "gradient_norm", "distance"]
CONSTANTS = ["L", "L_max", "mu", "sigma*", "f*", "A", "B", "C", "rho", "gamma", "N"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test runs in an empty folder of its own, and no command warns."""
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield tmp_path


def simulated(*options):
    """Return the JSON of `simulate finite-sum`."""
    result = call("simulate", "finite-sum", "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=pytest.fail)  # NaN and Infinity are no JSON


def plain(value):
    """Return a value as JSON has it: NaN and infinities are null."""
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def agrees(row, result):
    """Check that a row of the JSON holds the result to the last bit."""
    assert list(row) == ["seed", *SCALARS, "x", "recorded", "constants"]
    for name in (*SCALARS, "x"):
        assert row[name] == plain(getattr(result, name)), name
    assert list(row["recorded"]) == ["step", "gap", "gradient_norm"]
    for name, values in row["recorded"].items():
        assert values == plain(result.history[name]), name


def known(spec):
    """Return the `Constants` of a specification."""
    problem, draws, _ = spec.load()
    return constants(problem, draws)


# what is printed


def test_the_default_is_gradient_descent_at_the_theorems_step():
    """D = mu with every sample, so that gamma* = 1/(2L); L is 1, the largest eigenvalue that is drawn."""
    found = simulated()
    (row,) = found["runs"]
    spec = FiniteSumSpec(DrawnSum(), step_size=row["constants"]["gamma"], decay=found["spec"]["decay"])
    assert found["spec"] == {**spec.to_dict(), "record": 0}
    agrees(row, spec.run())
    assert list(row["constants"]) == CONSTANTS
    assert spec.step_size == pytest.approx(0.5, rel=1e-12)
    assert row["constants"] | {"L": 1.0} == row["constants"] | {"L": pytest.approx(1.0)}
    assert row["constants"]["N"] == 0.0
    assert row["gap"] < 1e-25


def test_seeds_draw_their_own_problem_and_steps():
    found = simulated(*SHORT, "--rule", "sam", "--sampling", "single", "--seeds", 3, "--seed", 4)
    assert [run["seed"] for run in found["runs"]] == [4, 5, 6]
    assert len({run["constants"]["gamma"] for run in found["runs"]}) == 3
    for row in found["runs"]:
        spec = sharpbounds.finite_sum(n=5, d=6, steps=30, rule="sam", sampling="single", seed=row["seed"])
        agrees(row, spec.run())
        assert (row["constants"]["rho"], row["constants"]["gamma"]) == (spec.radius, spec.step_size)


def test_data_seed_keeps_the_problem():
    options = [*SHORT, "--rule", "sgd", "--seeds", 2, "--seed", 7]
    one = simulated(*options, "--data-seed", 3)
    assert one["spec"]["data_seed"] == 3
    first, second = one["runs"]
    assert first["constants"] == second["constants"]
    assert first["recorded"]["gap"] != second["recorded"]["gap"]
    assert first["constants"] == simulated(*SHORT, "--rule", "sgd", "--seed", 3)["runs"][0]["constants"]
    other = simulated(*options)["runs"]
    assert other[0]["constants"] != other[1]["constants"]


def test_constants_by_hand(folder):
    """f = ¼(x − 1)² + ¼·4(x + 1)²: L_i = 1, 4, mu = L = 5/2, x* = −3/5, f* = 4/5."""
    np.savez(folder / "own.npz", A=np.array([[1.0], [2.0]]), b=np.array([1.0, -2.0]))
    options = ("--data", "own.npz", "--rule", "unified", "--lam", 0.5, "--rho", 0.01, "--gamma", 0.01, "--steps", 1)
    for sampling, (A, B, L) in {
        "full": (0.0, 1.0, 2.5), "single": (4.0, 0.0, 4.0), "importance": (2.5, 0.0, 2.5),
        "replacement": (4.0, 0.0, 4.0),
    }.items():  # fmt: skip
        found = simulated(*options, "--sampling", sampling)["runs"][0]["constants"]
        C = 2.0 * A * 0.8
        N = L / 2.5 * (C * (0.01 + 0.0025 * (1.0 + 2e-4 * L**2)) + 0.0025 * (1.0 + 2e-4 * L**2))
        values = dict(zip(CONSTANTS, (L, 4.0, 2.5, 0.8, 0.8, A, B, C, 0.01, 0.01, N), strict=True))
        assert found == pytest.approx(values, rel=1e-12)


def test_table():
    options = [*SHORT, "--rule", "sgd", "--seeds", 3, "--record", 10]
    lines = call("simulate", "finite-sum", *options).stdout.splitlines()
    titles = lines[0].split()
    assert titles == ["seed", *SCALARS]
    assert len({len(line) for line in lines[:4]}) == 1
    runs = simulated(*options)["runs"]
    for line, run in zip(lines[1:4], runs, strict=True):
        cells = dict(zip(titles, line.split(), strict=True))
        assert (cells["seed"], cells["status"], cells["steps"]) == (str(run["seed"]), run["status"], str(run["steps"]))
        for name in SCALARS[2:]:
            assert cells[name] == f"{run[name]:.5g}", name
    gaps = np.array([run["gap"] for run in runs])
    mean = f"mean gap {gaps.mean():.4g} ± {gaps.std(ddof=1) / np.sqrt(3):.4g} (standard error over 3 seeds)"
    assert lines[4:6] == ["", mean]
    assert lines[7].split() == ["step", "mean", "gap", "standard", "error", "runs"]
    series = np.array([run["recorded"]["gap"] for run in runs])
    assert [line.split()[0] for line in lines[8:12]] == ["0", "10", "20", "30"]
    for k, line in enumerate(lines[8:12]):
        error = series[:, k].std(ddof=1) / np.sqrt(3)
        assert line.split()[1:] == [f"{series[:, k].mean():.5g}", f"{error:.2g}", "3"]
    values = [f"{name} = {value:.5g}" for name, value in runs[0]["constants"].items()]
    assert lines[-1] == "constants of seed 0: " + ", ".join(values)
    assert "mean gap" not in call("simulate", "finite-sum", *SHORT).stdout  # one seed, no record


DIVERGED = [
    ("--gamma", "1e300"), ("--gamma", 30, "--steps", 200, "--record", 1), ("--gamma", "1e120", "--record", 1),
    ("--rule", "usam", "--rho", "1e300", "--gamma", 0.1), ("--rule", "sam", "--rho", "1e300", "--gamma", 0.1),
    ("--rule", "unified", "--lam", 0.5, "--rho", "1e300", "--gamma", 0.1),
    ("--rule", "sgd", "--sampling", "nice", "--batch", 2, "--gamma", "1e300", "--schedule", "horizon"),
]  # fmt: skip


@pytest.mark.parametrize("options", DIVERGED, ids=lambda o: " ".join(map(str, o)))
def test_divergence_is_a_status(options):
    found = simulated(*SHORT, "--seeds", 2, *options)
    assert [run["status"] for run in found["runs"]] == ["diverged"] * 2
    table = call("simulate", "finite-sum", *SHORT, "--seeds", 2, *options)
    assert table.exit_code == 0
    assert "mean gap: of none of 2 seeds, all diverged or not finite" in table.stdout


FINE = [
    ("--steps", 0), ("--n", 1), ("--d", 1), ("--n", 1, "--d", 1, "--rule", "sgd"), ("--gamma", "1e-320"),
    ("--condition", "9e11"), ("--condition", "9e11", "--rule", "sam", "--sampling", "single", "--spread", "9e11"),
    ("--schedule", "horizon", "--steps", 0), ("--rule", "usam", "--rho", 0), ("--noise-std", 0, "--condition", 1),
    ("--objective", "ridge", "--reg", "1e100"), ("--objective", "ridge", "--reg", "1e-300"),
    ("--objective", "logistic", "--reg", "1e100"), ("--noise-std", "9e89"), ("--rule", "unified", "--lam", "1e-300"),
    ("--gamma", "1e300", "--schedule", "decreasing"),
    ("--n", 20, "--rule", "sgd", "--sampling", "nice", "--batch", 20),
    ("--n", 2, "--rule", "sgd", "--probabilities", "0.25,0.75"), ("--seed", "1e30"), ("--record", 1000),
]  # fmt: skip


@pytest.mark.parametrize("options", FINE, ids=lambda o: " ".join(map(str, o)))
def test_extremes_run(options):
    (row,) = simulated(*SHORT, *options)["runs"]
    assert row["status"] == "max-steps"
    assert row["gap"] >= 0.0


def test_no_steps_are_the_start():
    (row,) = simulated(*SMALL, "--steps", 0)["runs"]
    assert (row["steps"], row["x"], row["recorded"]["step"]) == (0, [0.0] * 6, [0])
    (waved,) = simulated(*SMALL, "--steps", 0, "--objective", "wave", "--gamma", 0.1)["runs"]
    assert np.linalg.norm(waved["x"]) == pytest.approx(1.0)  # at 0 no sample of it has a gradient
    assert waved["gradient_norm"] > 0.01


# every combination


def usable(objective, rule, sampling, schedule):
    """Return the options of a combination, and whether it is one."""
    options = ["--objective", objective, "--rule", rule, "--sampling", sampling, "--schedule", schedule]
    options += ["--reg", 0.1] if objective in ("ridge", "logistic") else []
    options += ["--lam", 0.5] if rule == "unified" else []
    options += ["--batch", 2] if sampling in ("nice", "replacement") else []
    if objective in ("nonconvex", "wave"):
        options += ["--gamma", 0.01] if rule in ("gd", "sgd") else ["--gamma", 0.01, "--rho", 0.1]
    known_mu = objective not in ("nonconvex", "wave") or schedule != "decreasing"
    return options, known_mu and (rule != "gd" or sampling == "full") and (rule != "sgd" or sampling != "full")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_combination_runs_or_is_refused(objective):
    counts = [0, 0]
    for rule, sampling, schedule in itertools.product(RULES, SAMPLINGS, SCHEDULES):
        options, fine = usable(objective, rule, sampling, schedule)
        counts[fine] += 1
        if not fine:
            naming = "schedule" if objective in ("nonconvex", "wave") and schedule == "decreasing" else "sampling"
            naming = "sampling" if rule in ("gd", "sgd") and (rule == "gd") != (sampling == "full") else naming
            refused("simulate", "finite-sum", *SHORT, *options, "--save", "out.npz", naming=naming)
            continue
        found = simulated(*SHORT, *options)
        spec = found["spec"]
        assert (spec["objective"], spec["sampling"], spec["schedule"]) == (objective, sampling, schedule)
        assert spec["radii"] == ("decreasing" if schedule == "decreasing" else "constant")
        assert spec["normalisation"] == {"usam": 0.0, "unified": 0.5}.get(rule, 1.0)
        assert (spec["radius"] > 0.0) == (rule not in ("gd", "sgd"))
        assert found["runs"][0]["status"] == "max-steps"
        N = found["runs"][0]["constants"]["N"]
        assert (N is None) == (schedule != "constant" or objective in ("nonconvex", "wave"))
    assert min(counts) > 0


# `theory`


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("objective", ["least-squares", "logistic", "pl"])
def test_theory_is_the_closed_form(objective, sampling, lam):
    """rho = rho*/2, gamma = gamma*(rho), and N of both; of Theorem 3.5 they are the caps."""
    letters = {"n": 5, "d": 6, "objective": objective, "rule": "unified", "lam": lam, "sampling": sampling}
    letters |= {"reg": 0.1} if objective == "logistic" else {}
    letters |= {"batch": 2} if sampling in ("nice", "replacement") else {}
    spec = sharpbounds.finite_sum(**letters)
    c = known(spec)
    rho = 0.5 * c.mu / (c.L * (c.mu + 2.0 * (c.B * c.mu + c.A) * (1.0 - lam) ** 2))
    gamma = 0.5 * c.mu / (2.0 * c.L * (c.B * c.mu + c.A) * (1.0 + 2.0 * (c.L * rho * (1.0 - lam)) ** 2))
    assert (spec.radius, spec.step_size) == pytest.approx((rho, gamma), rel=1e-12)
    found = finite_sum_command.constants(spec)
    assert found["N"] == pytest.approx(c.floor(gamma, rho, lam), rel=1e-12)
    assert math.isnan(finite_sum_command.constants(replace(spec, step_size=1.001 * gamma))["N"])
    assert math.isnan(finite_sum_command.constants(replace(spec, radius=2.001 * rho))["N"])
    falling = sharpbounds.finite_sum(**letters, schedule="decreasing")
    assert (falling.radius, falling.step_size) == (spec.radius, spec.step_size)
    assert (falling.decay, falling.radii) == (pytest.approx(1.0 / c.mu), "decreasing")
    over = sharpbounds.finite_sum(**letters, schedule="horizon", steps=100)
    assert (over.radius, over.step_size) == pytest.approx((1.0 / c.L, 1.0 / c.L))


def test_theory_of_one_number_alone():
    letters = {"n": 5, "d": 6, "rule": "usam"}
    c = known(sharpbounds.finite_sum(**letters))
    cap = float(c.radius_cap(0.0))
    half = sharpbounds.finite_sum(**letters, rho=0.25 * cap)
    assert (half.radius, half.step_size) == (0.25 * cap, pytest.approx(c.step_cap(0.25 * cap, 0.0)))
    other = sharpbounds.finite_sum(**letters, gamma=0.2)
    assert (other.radius, other.step_size) == (pytest.approx(0.5 * cap), 0.2)
    both = sharpbounds.finite_sum(**letters, rho=0.3, gamma=0.2, schedule="horizon")
    assert (both.radius, both.step_size) == (0.3, 0.2)
    assert sharpbounds.finite_sum(**letters, rho=2.0 * cap, gamma=0.2).radius == 2.0 * cap
    for rho in (cap, 1.5 * cap, 1e300):
        with pytest.raises(ParameterError, match=r"^rho = .*< rho\* = "):
            sharpbounds.finite_sum(**letters, rho=rho)


# every option


def test_every_option_reaches_the_specification():
    options = {
        "--objective": "ridge", "--n": 4, "--d": 3, "--condition": 5, "--noise-std": 0.3, "--spread": 7, "--reg": 0.2,
        "--rule": "unified", "--lam": 0.25, "--rho": 0.02, "--gamma": 0.03, "--sampling": "nice", "--batch": 3,
        "--schedule": "horizon", "--steps": 11, "--seed": 9, "--data-seed": 2,
    }  # fmt: skip
    found = simulated(*(word for pair in options.items() for word in pair))
    spec = FiniteSumSpec(
        DrawnSum(4, 3, 5.0, 0.3, 7.0), "ridge", 0.2, 0.02, 0.25, 0.03, "horizon", sampling="nice", batch_size=3,
        max_steps=11, seed=9, data_seed=2,
    )  # fmt: skip
    assert found["spec"] == {**spec.to_dict(), "record": 0}
    agrees(found["runs"][0], spec.run())
    options = ("--objective", "quadratic", "--rule", "sgd", "--probabilities", "0.25,0.75", "--gamma", 0.1)
    found = simulated("--n", 2, *options)
    spec = FiniteSumSpec(
        DrawnSum(2, full_rank=True), "quadratic", step_size=0.1, sampling="single", probabilities=(0.25, 0.75)
    )
    assert found["spec"] == {**spec.to_dict(), "record": 0, "probabilities": [0.25, 0.75]}
    agrees(found["runs"][0], spec.run())


def options_of_the_command():
    """Return the command's options by name."""
    return {p.name: p for p in finite_sum_command.finite_sum.params if isinstance(p, click.Option)}


def test_every_option_is_explained():
    text = " ".join(call("simulate", "finite-sum", "--help").stdout.split())
    for name, option in options_of_the_command().items():
        assert option.help.endswith((".", "]")), name
        assert f"{option.opts[0]} " in text
        assert option.help in text


def test_shown_defaults_are_the_defaults():
    shared = {"seeds", "record", "save", "workers", "as_json"}
    options = {name: option for name, option in options_of_the_command().items() if name not in shared}
    shown = {name: option for name, option in options.items() if option.show_default}
    hidden = {"data", "lam", "rho", "sampling", "batch", "probabilities", "data_seed"}
    assert set(options) - set(shown) == hidden
    for name, option in shown.items():
        assert sharpbounds.finite_sum(**{name: option.default}) == sharpbounds.finite_sum(), name
    assert sharpbounds.finite_sum(rule="sam", rho="theory") == sharpbounds.finite_sum(rule="sam")
    assert sharpbounds.finite_sum(rule="sgd", sampling="single") == sharpbounds.finite_sum(rule="sgd")
    letters = {"rule": "sgd", "sampling": "nice"}
    assert sharpbounds.finite_sum(**letters, batch=1) == sharpbounds.finite_sum(**letters)


def test_choices_are_the_engines():
    options = options_of_the_command()
    assert tuple(options["objective"].type.choices) == tuple(OBJECTIVES)
    assert tuple(options["sampling"].type.choices) == SAMPLINGS
    assert tuple(options["schedule"].type.choices) == SCHEDULES
    assert tuple(options["rule"].type.choices) == RULES


# what is written


def saved(folder):
    """Return the arrays of out.npz."""
    with np.load(folder / "out.npz") as file:
        return dict(file)


def test_save(folder):
    options = ("--rule", "usam", "--sampling", "single", "--seeds", 2, "--seed", 3, "--record", 20, "--save", "out.npz")
    assert call("simulate", "finite-sum", *SHORT, *options).exit_code == 0
    assert [p.name for p in folder.iterdir()] == ["out.npz"]
    file, runs = saved(folder), simulated(*SHORT, *options[:-2])["runs"]
    arrays = {"step", "gap", "gradient_norm", "distance", "x", "anchor"}
    names = {f"run{k}/{name}" for k in (3, 4) for name in arrays} | {f"constants/{name}" for name in CONSTANTS}
    assert set(file) == {"spec", "seed", *SCALARS} | names
    for k, row in enumerate(runs):
        spec = sharpbounds.finite_sum(n=5, d=6, steps=30, rule="usam", sampling="single", seed=3 + k, record=(0, 20))
        result = spec.run()
        assert file[f"run{3 + k}/step"].tolist() == [0, 20, 30]
        for name, values in {**result.history, "anchor": result.anchor}.items():
            assert np.array_equal(file[f"run{3 + k}/{name}"], values), name
        assert [file[name][k] for name in SCALARS] == [getattr(result, name) for name in SCALARS]
        assert {name: file[f"constants/{name}"][k] for name in CONSTANTS} == row["constants"]
        assert file["constants/gamma"][k] == spec.step_size
    assert json.loads(str(file["spec"]))["seed"] == 3


def test_save_without_record_holds_the_end_alone(folder):
    call("simulate", "finite-sum", *SHORT, "--save", "out.npz")
    assert saved(folder)["run0/step"].tolist() == [30]


# bad input


BAD = [
    ("--objective", "nope", "--objective"), ("--n", 0, "samples (n) = 0"), ("--n", 2.5, "--n"), ("--n", "nan", "--n"),
    ("--n", "1e300", "samples (n)"), ("--n", "1e7", "samples (n)"), ("--d", 0, "dimension (d) = 0"),
    ("--d", "1e6", "dimension (d)"), ("--d", "x", "--d"), ("--condition", 0.5, "condition = 0.5"),
    ("--condition", "nan", "condition = nan"), ("--condition", "1e12", "condition = 1"),
    ("--spread", 0, "spread = 0.0"), ("--spread", "inf", "spread = inf"), ("--noise-std", -1, "noise_std = -1.0"),
    ("--noise-std", "nan", "noise_std"), ("--reg", 0.1, "reg = 0.1"), ("--reg", -1, "reg = -1.0"),
    ("--reg", "nan", "reg = nan"), ("--rule", "nope", "--rule"), ("--rule", "unified", "lam = None"),
    ("--lam", 0.5, "lam = 0.5"), ("--rho", 0.1, "rho = 0.1"), ("--rho", "x", "--rho"),
    ("--rho", "theory", "rho = 'theory'"), ("--gamma", 0, "gamma = 0.0"), ("--gamma", -1, "gamma = -1.0"),
    ("--gamma", "nan", "gamma = nan"), ("--gamma", "inf", "gamma = inf"), ("--gamma", "x", "--gamma"),
    ("--sampling", "nope", "--sampling"), ("--sampling", "nice", "sampling = 'nice'"),
    ("--batch", 2, "batch (tau) = 2"),
    ("--probabilities", "0.5,0.5", "probabilities = "), ("--probabilities", "x", "--probabilities"),
    ("--schedule", "nope", "--schedule"), ("--steps", -1, "steps = -1"), ("--steps", 1.5, "--steps"),
    ("--data-seed", -1, "data_seed = -1"), ("--seeds", 0, "seeds = 0"), ("--seeds", "1e7", "seeds = "),
    ("--seed", -1, "seed = -1"), ("--record", -1, "record = -1"), ("--workers", 0, "workers = 0"),
    ("--save", "no/such/folder.npz", "output file"), ("--save", ".", "output file"), ("--save", "", "output file"),
    ("--data", "nope.npz", "data = 'nope.npz'"), ("--data", "", "data = ''"), ("--objective", "ridge", "reg = 0.0"),
    ("--objective", "logistic", "reg = 0.0"), ("--objective", "nonconvex", "gamma = 'theory'"),
    ("--objective", "wave", "gamma = 'theory'"),
]  # fmt: skip


@pytest.mark.parametrize(("option", "value", "naming"), BAD, ids=[f"{option}={value}" for option, value, _ in BAD])
def test_bad_value_is_one_error(option, value, naming):
    size = [] if option == "--data" else SMALL
    refused("simulate", "finite-sum", *size, "--save", "out.npz", option, value, naming=naming)


TOGETHER = [
    (("--rule", "sam", "--lam", 1), "lam = 1.0"), (("--rule", "usam", "--lam", 0), "lam = 0.0"),
    (("--rule", "unified", "--lam", 2), "(lam) = 2.0"), (("--rule", "unified", "--lam", "nan"), "(lam) = nan"),
    (("--rule", "sgd", "--rho", 0), "rho = 0.0"), (("--rule", "usam", "--rho", -1), "rho = -1.0"),
    (("--rule", "usam", "--rho", "nan"), "rho = nan"), (("--rule", "usam", "--rho", 1), "rho = 1.0: must be < rho* = "),
    (("--rule", "sam", "--rho", "1e300"), "rho = 1e+300: must be < rho* = "),
    (("--rule", "usam", "--rho", "1e300"), "rho = 1e+300: must be < rho* = "),
    (("--rule", "sgd", "--sampling", "full"), "sampling = 'full'"),
    (("--rule", "sgd", "--sampling", "nice", "--n", 1), "another than nice with n = 1"),
    (("--rule", "sgd", "--sampling", "nice", "--batch", 6), "batch_size (tau) = 6"),
    (("--rule", "sgd", "--sampling", "nice", "--batch", 0), "batch_size (tau) = 0"),
    (("--rule", "sgd", "--sampling", "replacement", "--batch", "1e9"), "batch_size (tau) = 1000000000"),
    (("--rule", "sgd", "--batch", 1), "batch (tau) = 1: must be left out with sampling single"),
    (("--rule", "sam", "--sampling", "importance", "--batch", 1), "batch (tau) = 1"),
    (("--rule", "sgd", "--sampling", "importance", "--probabilities", "1,1"), "probabilities = (1.0, 1.0)"),
    (("--n", 2, "--rule", "sgd", "--probabilities", "1,0"), "probabilities = 0.0"),
    (("--n", 2, "--rule", "sgd", "--probabilities", "nan,1"), "probabilities = nan"),
    (("--n", 2, "--rule", "sgd", "--probabilities", "0.5,0.6"), "probabilities = '2 numbers with sum 1.1'"),
    (("--n", 3, "--rule", "sgd", "--probabilities", "0.5,0.5"), "probabilities = '2 numbers with sum 1'"),
    (("--n", 2, "--rule", "sgd", "--probabilities", "1e-300,1"), "gamma = 'theory'"),
    (("--objective", "pl", "--n", 7), "A = '7 rows of rank 6'"), (("--objective", "pl", "--reg", 0.1), "reg = 0.1"),
    (("--objective", "wave", "--reg", 0.1, "--gamma", 0.1), "reg = 0.1"),
    (("--objective", "ridge", "--reg", "1e300"), "reg = 1e+300"), (("--noise-std", "1e90"), "noise_std = 1e+90"),
    (("--objective", "logistic", "--reg", "1e300"), "reg = 1e+300"),
    (("--objective", "nonconvex", "--gamma", 0.1, "--rule", "sam"), "rho = 'theory'"),
    (("--objective", "nonconvex", "--gamma", 0.1, "--schedule", "decreasing"), "schedule = 'decreasing'"),
    (("--n", "1e6", "--d", "1e5"), "samples · dimension"),
    (("--record", 1, "--steps", "2e6"), "record = 1: must be 0 or at least 20 "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "naming"), TOGETHER, ids=[" ".join(map(str, options))[:60] for options, _ in TOGETHER]
)
def test_bad_combination_is_one_error(options, naming):
    refused("simulate", "finite-sum", *SMALL, "--save", "out.npz", *options, naming=naming)


def test_good_values_are_not_refused(folder):
    """The control: the very same call without the bad value writes its file."""
    assert call("simulate", "finite-sum", *SMALL, "--save", "out.npz").exit_code == 0
    assert (folder / "out.npz").exists()


# the user's own problem


@pytest.fixture
def own(folder):
    """Write A, b to own.npz, labels and a start to labels.npz; return A and b."""
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((6, 3)), rng.standard_normal(6)
    np.savez(folder / "own.npz", A=A, b=b)
    np.savez(folder / "labels.npz", A=A, b=np.sign(b), x0=np.ones(3))
    return A, b


def test_own_problem_is_the_one_in_the_file(own):
    A, b = own
    found = simulated("--data", "own.npz", "--rule", "sgd", "--seeds", 2, "--steps", 40)
    x = np.linalg.lstsq(A, b, rcond=None)[0]
    for row in found["runs"]:
        assert row["constants"]["f*"] == pytest.approx(np.mean((A @ x - b) ** 2) / 2.0)
        assert row["constants"]["L_max"] == pytest.approx((A**2).sum(axis=1).max())
        assert row["constants"]["mu"] == pytest.approx(np.linalg.eigvalsh(A.T @ A / 6.0)[0])
        value = np.mean((A @ np.array(row["x"]) - b) ** 2) / 2.0
        assert row["gap"] == pytest.approx(value - row["constants"]["f*"], rel=1e-9)
        assert row["distance"] == pytest.approx(np.linalg.norm(row["x"] - x))
    assert found["runs"][0]["x"] != found["runs"][1]["x"]
    assert len(found["spec"]["data"]["sha256"]) == 64


def test_own_start(own):
    options = ("--objective", "logistic", "--reg", 0.1, "--steps", 0)
    assert simulated("--data", "labels.npz", *options)["runs"][0]["x"] == [1.0] * 3
    assert simulated("--data", "own.npz", "--steps", 0)["runs"][0]["x"] == [0.0] * 3


FROM_FILE = {"--n": 6, "--d": 3, "--condition": 10, "--noise-std": 0.1, "--spread": 1, "--data-seed": 0}


@pytest.mark.parametrize("option", FROM_FILE)
def test_what_the_file_decides_is_not_given_twice(own, option):
    """Even where it agrees."""
    options = ("--data", "own.npz", option, FROM_FILE[option])
    error = refused("simulate", "finite-sum", *options, naming="left out with data")
    assert option.removeprefix("--").replace("-", "_") in error


def test_bad_files_are_one_error(own, folder):
    A, b = own
    (folder / "text.npz").write_text("text")
    (folder / "cut.npz").write_bytes((folder / "own.npz").read_bytes()[:300])
    for name, arrays in {
        "keys": {"A": A}, "more": {"A": A, "b": b, "z": b}, "nan": {"A": np.nan * A, "b": b}, "flat": {"A": b, "b": b},
        "short": {"A": A, "b": b[1:]}, "start": {"A": A, "b": b, "x0": np.ones(2)}, "empty": {"A": A[:0], "b": b[:0]},
        "ragged": {"A": np.array([[1.0], [1.0, 2.0]], dtype=object), "b": b[:2]}, "big": {"A": 1e200 * A, "b": b},
        "zero": {"A": 0.0 * A, "b": b}, "tiny": {"A": 1e-160 * A, "b": b}, "words": {"A": A, "b": np.array(["x"] * 6)},
    }.items():  # fmt: skip
        np.savez(folder / f"{name}.npz", **arrays)
    for name, naming in {
        ".": "data = '.'", "text.npz": "data = 'text.npz'", "cut.npz": "data = 'cut.npz'", "keys.npz": "missing: b",
        "more.npz": "'z'", "nan.npz": "A = ", "flat.npz": "A = 'shape (6,)'", "short.npz": "b = 'shape (5,)'",
        "start.npz": "x0 = 'shape (2,)'", "empty.npz": "A = 'shape (0, 3)'", "ragged.npz": "data = 'ragged.npz'",
        "big.npz": "finite numbers of size <= 1e+100", "zero.npz": "gamma = 'theory'", "tiny.npz": "gamma = 'theory'",
        "words.npz": "b = ",
    }.items():  # fmt: skip
        refused("simulate", "finite-sum", "--data", name, "--save", "out.npz", naming=naming)
    for options, naming in {
        ("own.npz", "--objective", "logistic", "--reg", 0.1): "b = 'other numbers'",
        ("own.npz", "--objective", "pl"): "A = '6 rows of rank 3'",
        ("own.npz", "--objective", "wave"): "objective = 'wave'",
        ("own.npz", "--objective", "quadratic"): "objective = 'quadratic'",
        ("zero.npz", "--schedule", "horizon"): "gamma = 'theory'",
        ("zero.npz", "--rule", "sgd", "--sampling", "importance", "--gamma", 0.1): "sampling = 'importance'",
    }.items():  # fmt: skip
        refused("simulate", "finite-sum", "--data", *options, "--save", "out.npz", naming=naming)
    assert simulated("--data", "zero.npz", "--gamma", 0.1)["runs"][0]["gap"] == 0.0


# as Python calls


def test_a_call_is_the_command(own):
    for letters in (
        {"n": 5, "d": 6, "rule": "sam", "sampling": "importance", "data_seed": 2, "steps": 40},
        {"objective": "ridge", "reg": 0.1, "rule": "unified", "lam": 0.5, "rho": 0.01, "gamma": 0.02, "steps": 40},
        {"data": "own.npz", "rule": "usam", "sampling": "nice", "batch": 2, "steps": 40, "schedule": "decreasing"},
    ):
        spec = sharpbounds.finite_sum(**letters)
        words = [word for name, value in letters.items() for word in ("--" + name.replace("_", "-"), value)]
        found = simulated(*words, "--seeds", 2)
        assert found["spec"] == {**spec.to_dict(), "record": 0}
        for row, result in zip(found["runs"], sharpbounds.simulate(spec, seeds=2), strict=True):
            agrees(row, result)


def test_calls_are_refused_as_the_command_is(own):
    for letters, naming in (
        ({"rho": 0.1}, "rho = 0.1"), ({"data": "own.npz", "n": 5}, r"samples \(n\) = 5"), ({"rule": "nope"}, "rule = "),
        ({"objective": "nope"}, "objective = 'nope'"), ({"data": 3.5}, "data = "), ({"record": 5}, "record = 5"),
        ({"rule": "sam", "rho": np.ones(2)}, "rho = "), ({"gamma": np.ones(2)}, "gamma = "),
        ({"gamma": None}, r"\(gamma\) = None"),
        ({"gamma": "Theory"}, "gamma = 'Theory'"), ({"steps": 1.5}, "steps = 1.5"), ({"batch": 2}, "batch"),
        ({"schedule": "nope"}, "schedule = "), ({"sampling": "nope", "rule": "sam"}, "sampling = 'nope'"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=naming):
            sharpbounds.finite_sum(**letters)
    assert isinstance(sharpbounds.finite_sum(data="own.npz").data, SumFile)


def test_the_docstring_means_what_it_says():
    shown = 'sharpbounds.finite_sum(objective="ridge", reg=0.1, rule="sam", sampling="importance", data_seed=0)'
    assert shown in sharpbounds.__doc__
    spec = sharpbounds.finite_sum(objective="ridge", reg=0.1, rule="sam", sampling="importance", data_seed=0)
    assert isinstance(known(spec), Constants)
    results = sharpbounds.simulate(spec, seeds=2)
    assert np.array_equal(results[0].anchor, results[1].anchor)
    assert results[0].gap != results[1].gap

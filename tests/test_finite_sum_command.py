"""`simulate finite-sum`: what is printed, what is written, every combination and option."""

import itertools
import json
import math
from dataclasses import replace

import click
import numpy as np
import pytest
from command_line import call, plain, refused

import sharpbounds
from simulate.finite_sum import SCHEDULES
from simulate.finite_sum_data import OBJECTIVES, DrawnSum
from simulate.finite_sum_run import FiniteSumSpec
from simulate.parameters import ParameterError
from simulate.sampling import SAMPLINGS
from theory import finite_sum_command
from theory.finite_sum_command import RULES
from theory.oikonomou2025.setting import constants

SMALL = ["--n", "5", "--d", "6"]
SHORT = [*SMALL, "--steps", "30"]
DATA = DrawnSum(5, 6)
SCALARS = ["status", "steps", "gap", "gradient_norm", "distance"]
CONSTANTS = ["L", "L_max", "mu", "sigma*", "f*", "A", "B", "C", "rho", "gamma", "N"]


pytestmark = pytest.mark.usefixtures("folder")


def simulated(*options):
    """Return the JSON of `simulate finite-sum`."""
    result = call("simulate", "finite-sum", "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=pytest.fail)  # NaN and Infinity are no JSON


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

"""`boundary`: critical values with intervals, on curves whose roots are known and on runs of every model."""

import csv
import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import t as student

import sharpbounds
from simulate.runner import Runner
from theory.boundary_command import find_boundary, scalar_results
from theory.conv_command import conv_spec
from theory.finite_sum_command import finite_sum_spec
from theory.parameter_types import LEVEL

SMALL = ["--n", 8, "--d", 50, "--width", 3, "--sigma-0", 0.05, "--eta", 0.05, "--max-steps", 60, "--labels", "balanced"]
QUICK = ["conv", "--along", "mu", "--level", 0.2, "--seeds", 4, *SMALL]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test runs in an empty folder of its own, with a store of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("simulate.store.cache_folder", lambda: tmp_path / "cache")


def call(*arguments):
    """Run `boundary` in this process; an exception that is no exit is an error here."""
    return CliRunner(catch_exceptions=False).invoke(sharpbounds.main, ["boundary", *map(str, arguments)])


def found(*arguments):
    """Return what `boundary … --json` prints."""
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


class Curves:
    """A runner whose runs are pairs (constant, value), their test loss a known function of them."""

    def __init__(self, loss):
        self.loss = loss

    def run(self, specs):
        """Return a result for each."""
        return [SimpleNamespace(test_loss=self.loss(*spec)) for spec in specs]


def boundary_of(loss, constants, start=1.0, between=None, halvings=12, level=0.0):
    """Return the row of one point."""
    runs = [lambda value: [(c, value) for c in constants]]
    return find_boundary(Curves(loss), runs, [level], "test_loss", start, between, halvings)[0]


# the interval


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("size", [2, 5, 30])
def test_interval_is_students_where_curves_are_parallel(sign, size):
    """Losses ± (log v − c_s): the critical log v is the mean of c, its interval that of a mean."""
    c = np.random.default_rng(size).normal(0.7, 0.1, size)
    row = boundary_of(lambda c, v: sign * (math.log(v) - c), c)
    half = student.ppf(0.975, size - 1) * c.std(ddof=1) / math.sqrt(size)
    expected = np.exp([c.mean(), c.mean() - half, c.mean() + half])
    assert [row["critical"], row["low"], row["high"]] == pytest.approx(expected, rel=1e-9)
    assert row["note"] == ""


def test_interval_covers_as_often_as_it_says():
    """500 draws of 6 runs, bent curves: 95 %, and not what the halved interval would have."""
    rng, covered, halved = np.random.default_rng(0), 0, 0
    draws = rng.normal(0.0, 0.3, (500, 6))
    runs = [lambda v, c=c: [(one, v) for one in c] for c in draws]
    curve = Curves(lambda c, v: math.tanh(math.log(2.0 / v)) + c)
    for row in find_boundary(curve, runs, np.zeros(500), "test_loss", 1.0, (0.01, 400.0), 10):
        covered += row["low"] <= 2.0 <= row["high"]
        halved += abs(math.log(2.0 / row["critical"])) < 0.25 * math.log(row["high"] / row["low"])
    assert abs(covered - 475) < 5 * math.sqrt(500 * 0.95 * 0.05)
    assert halved < 430


def test_end_beyond_what_was_searched_is_open():
    row = boundary_of(lambda c, v: c - math.log(v), [0.0, 1.4], between=(1.0, 9.0))
    assert 1.9 < row["critical"] < 2.1
    assert (row["low"], row["high"]) == (0.0, math.inf)
    assert row["note"] == "interval open at both ends"


def test_own_errors_widen_the_interval():
    """All errors are taken on the same points: their error is common and does not average out."""

    class Errors(Curves):
        def run(self, specs):
            return [SimpleNamespace(clean_error=c - math.log(v), clean_error_se=0.1) for c, v in specs]

    runs = [lambda v: [(c, v) for c in (0.7, 0.7, 0.7, 0.7)]]
    (row,) = find_boundary(Errors(None), runs, [0.0], "clean_error", 1.0, None, 12)
    assert math.log(row["high"]) - 0.7 == pytest.approx(student.ppf(0.975, 3) * 0.1, rel=1e-6)


def test_one_run_has_no_interval_and_diverged_runs_are_above():
    row = boundary_of(lambda c, v: c - math.log(v), [0.7])
    assert row["critical"] == pytest.approx(math.exp(0.7))
    assert math.isnan(row["low"])
    row = boundary_of(lambda c, v: math.inf if v > c else -1.0, [3.0, 5.0, 7.0])
    assert (row["critical"], row["low"], row["high"]) == pytest.approx((3.0, 3.0, 7.0), rel=1e-3)


# the command


def test_critical_values_are_those_of_the_runs():
    """On the axes asked for; the mean of the same runs is on either side of the level beside the critical value."""
    table = found(*QUICK, "--grid", "patches=2,4", "--seed", 3, "--halvings", 9)
    assert [row["patches"] for row in table["points"]] == [2, 4]
    for row in table["points"]:
        assert row["low"] < row["critical"] < row["high"]
        means = []
        for factor in (0.97, 1.03):
            letters = {"n": 8, "width": 3, "sigma_0": 0.05, "eta": 0.05, "max_steps": 60, "labels": "balanced"}
            letters |= {"d": 50, "patches": row["patches"], "mu": factor * row["critical"]}
            specs = [conv_spec(**letters, seed=seed) for seed in range(3, 7)]
            means.append(np.mean([result.clean_error for result in Runner().run(specs)]))
        assert means[0] > 0.2 > means[1]
    assert table["points"][0]["critical"] < table["points"][1]["critical"]


def test_same_again_is_found_and_workers_change_nothing(tmp_path):
    alone, again = call(*QUICK), call(*QUICK)
    shutil.rmtree(tmp_path / "cache")
    shared = call(*QUICK, "--workers", 2)
    assert alone.stdout == again.stdout == shared.stdout
    computed = [int(result.stderr.split()[0]) for result in (alone, again, shared)]
    assert computed[1] == 0 < computed[0] == computed[2]


def test_level_above_the_flip_rate_speaks_of_the_test_error():
    """Test error p + 0.1 is clean error 0.1/(1 − 2p)."""
    arguments = [*QUICK[:4], 0.125, *QUICK[5:], "--flip-rate", 0.1]
    of_error = found(*arguments)["points"][0]
    arguments[4] = "p+0.1"
    of_test = found(*arguments)
    assert of_test["value"] == "test_error"
    assert of_test["points"][0]["level"] == pytest.approx(0.2)
    assert of_test["points"][0]["critical"] == pytest.approx(of_error["critical"], rel=1e-6)
    rates = found(*QUICK[:4], "p+0.1", *QUICK[5:], "--grid", "flip_rate=0.05,0.2")["points"]
    assert [row["level"] for row in rates] == pytest.approx([0.15, 0.3])


def test_other_models_and_integer_letters():
    diagonal = ["--rule", "n-sam", "--steps", 300, "--n", 5, "--d", 8, "--sparsity", 2, "--test-samples", 50]
    search = ["--along", "alpha", "--value", "test_loss", "--level", 0.2, "--seeds", 3, "--between", "0.01:1"]
    (row,) = found("diagonal", *search, *diagonal)["points"]
    assert 0.01 < row["critical"] < 1.0
    finite = ["--rule", "sgd", "--gamma", 0.2, "--data-seed", 0]
    table = found("finite-sum", "--along", "steps", "--level", 0.05, "--seeds", 3, "--between", "1:300", *finite)
    assert table["value"] == "gap"
    steps, level = table["points"][0]["critical"], 0.05

    def gap(count):
        specs = [finite_sum_spec(rule="sgd", gamma=0.2, data_seed=0, steps=count, seed=seed) for seed in range(3)]
        return np.mean([result.gap for result in Runner().run(specs)])

    assert gap(math.floor(0.8 * steps)) > level > gap(math.ceil(1.2 * steps))


def test_table_and_csv():
    shown = call(*QUICK, "--grid", "patches=2,3,2").stdout.splitlines()  # a value that is repeated comes once
    assert shown[0] == "mu at which the mean clean error over 4 seeds is 0.2, with its 95% interval"
    assert shown[2].split() == ["patches", "level", "mu", "low", "high", "note"]
    assert call(*QUICK, "--grid", "patches=2,3", "--out", "found.csv").stdout == ""
    rows = list(csv.DictReader(Path("found.csv").read_text().splitlines()))
    for row, line in zip(rows, shown[3:], strict=True):
        assert line.split() == [row["patches"], *(f"{float(row[name]):.5g}" for name in ("level", "mu", "low", "high"))]


def test_no_crossing_is_told():
    (row,) = found(*QUICK[:4], 0.9, *QUICK[5:], "--between", "1:4")["points"]
    assert (row["critical"], row["low"], row["high"]) == (None, None, None)
    assert row["note"] == "below the level from 1 to 4"


@pytest.mark.parametrize(
    ("arguments", "naming"),
    [
        (["--along", "rule"], "along = 'rule': must be one of "),
        (["--along", "nonsense"], "along"),
        (["--level", "p*2"], "p+NUMBER"),
        (["--level", "__import__('os')"], "p+NUMBER"),
        (["--level", "nan"], "p+NUMBER"),
        (["--level", "p+0.1", "--along", "flip-rate"], "level"),
        (["--value", "gamma"], "value = 'gamma': must be one of "),
        (["--between", "4:1"], "LOW:HIGH"),
        (["--between", "0:1"], "LOW:HIGH"),
        (["--grid", "mu=1,2"], "along = 'mu'"),
        (["--grid", "d=1:2"], "grid"),
        (["--grid", "patches=2", "--grid", "patches=3"], "given once"),
        (["--mu", 3], "along = 'mu'"),
        (["--seeds", 0], "seeds"),
        (["--halvings", -1], "halvings"),
        (["--workers", 0], "workers"),
        (["--flip-rate", 0.7], "flip_rate"),
        (["--out", "nowhere/found.csv"], "output file"),
        (["--out", "found.csv", "--json"], "out"),
    ],
)
def test_bad_input_is_one_clear_error(arguments, naming):
    result = call(*QUICK, *arguments)
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert naming in line
    assert not list(Path().iterdir())


def test_level_with_p_is_refused_where_there_is_none():
    result = call("diagonal", "--along", "rho", "--level", "p+0.1")
    assert result.exit_code == 2
    assert "level = 'p + 0.1'" in result.stderr


def test_levels():
    for word, level in (("0.2", 0.2), ("p", 0.1), ("p+0.1", 0.2), ("p - 1e-2", 0.09), ("1e-3", 1e-3), ("-1", -1.0)):
        assert LEVEL.convert(word, None, None).at(0.1) == pytest.approx(level)


@pytest.mark.parametrize("model", [[], ["conv"], ["diagonal"], ["finite-sum"]])
def test_help(model):
    result = call(*model, "--help")
    assert result.exit_code == 0
    assert ("--between" if model else "finite-sum") in result.stdout


def test_every_scalar_result_is_offered():
    assert scalar_results("conv") == (
        "steps", "train_loss", "clean_error", "clean_error_se", "test_error", "class_correlation",
    )  # fmt: skip
    assert {"test_loss", "l1_norm"} <= set(scalar_results("diagonal"))
    assert {"gap", "distance"} <= set(scalar_results("finite-sum"))

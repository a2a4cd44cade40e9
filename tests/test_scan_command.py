"""`sharpbounds scan`: grids and config files on the command line, carrying on, status, exports, every exit status."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from click.testing import CliRunner

import sharpbounds
from simulate import run as run_module
from simulate import scan as scan_module
from simulate.conv_run import ConvSpec
from simulate.executor import WorkersLost
from simulate.scan import Scan
from theory.scan_command import one_family, specify_of

ROOT = Path(__file__).resolve().parents[1]
SHORT = ["--width", "2", "--max-steps", "5", "--sigma-0", "0.1", "--d", "50"]
CONV = ["scan", "conv", *SHORT, "--grid", "n=4,5", "--grid", "mu=1:3:lin3", "--seeds", "2"]
SUMS = ["scan", "finite-sum", "--steps", "5", "--n", "4", "--d", "3", "--grid", "condition=2:8:log3", "--seeds", "2"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test runs in an empty folder of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def call(*arguments, status=0):
    """Run the command line in this process and check its exit status."""
    result = CliRunner(catch_exceptions=False).invoke(sharpbounds.main, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result


def refused(*arguments, naming):
    """Check that the arguments end in exit status 2, one line that has `naming`, and no new file."""
    before = sorted(Path().rglob("*"))
    result = call(*arguments, status=2)
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert naming in errors[0]
    assert sorted(Path().rglob("*")) == before


def rows_of(scan):
    """Return the exported rows of a scan directory."""
    call("scan", "export", scan, "--to", "parquet", "--out", "rows.parquet")
    return pyarrow.parquet.read_table("rows.parquet")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the rows of CONV in one go."""
    folder = tmp_path_factory.mktemp("whole")
    call(*CONV, "--out", folder / "scan")
    call("scan", "export", folder / "scan", "--to", "parquet", "--out", folder / "rows")
    return pyarrow.parquet.read_table(folder / "rows")


@pytest.mark.parametrize("words", [[], ["conv"], ["diagonal"], ["finite-sum"], ["status"], ["export"]])
def test_help(words):
    assert call("scan", *words, "--help").stdout.startswith("Usage: ")


def test_rows_are_the_runs_of_simulate(whole):
    rows = whole.to_pylist()
    expected = [(n, mu, seed) for n in (4, 5) for mu in (1.0, 2.0, 3.0) for seed in (0, 1)]
    assert [(row["n"], row["mu"], row["seed"]) for row in rows] == expected
    words = ["--n", "5", "--mu", "2", "--seed", "1", "--json"]
    (run,) = json.loads(call("simulate", "conv", *SHORT, *words).stdout)["runs"]
    (row,) = (r for r in rows if (r["n"], r["mu"], r["seed"]) == (5, 2.0, 1))
    for name in ("train_loss", "clean_error", "status"):
        assert row[name] == run[name]


def test_finished_scan_says_so(whole):
    first = call(*CONV, "--out", "scan").stderr
    assert "12 runs, 0 of them there" in first
    assert "12 runs in" in first
    again = call(*CONV, "--out", "scan").stderr
    assert "12 runs, 12 of them there" in again
    assert "\n0 runs in" in again
    assert rows_of("scan").equals(whole)


def test_workers_change_no_row(whole):
    call(*CONV, "--out", "scan", "--workers", "2")
    assert rows_of("scan").equals(whole)


def test_cluster_changes_no_row(whole):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address=None, silence_logs=logging.CRITICAL
    ) as cluster:
        call(*CONV, "--out", "scan", "--scheduler", cluster.scheduler_address)
    assert rows_of("scan").equals(whole)


def test_values_and_seeds_are_added(whole):
    call("scan", "conv", *SHORT, "--grid", "n=4", "--grid", "mu=1,2", "--out", "scan")
    assert "12 runs, 2 of them there" in call(*CONV, "--out", "scan").stderr
    assert rows_of("scan").sort_by([("n", "ascending"), ("mu", "ascending"), ("seed", "ascending")]).equals(whole)


@pytest.mark.parametrize(
    ("words", "naming"),
    [
        (["--width", "3"], "width: 2 there, 3 now"),
        (["--rule", "sam"], "rule: left out there, sam now"),
        (["--seed", "7"], "first_seed: 0 there, 7 now"),
        (["--grid", "eta=0.1"], "axes: n, mu there, n, mu, eta now"),
    ],
)
def test_changed_command_is_refused(words, naming):
    call(*CONV, "--out", "scan")
    refused(*CONV, *words, "--out", "scan", naming=naming)
    refused(*SUMS, "--out", "scan", naming="model: conv there, finite-sum now")


@pytest.mark.parametrize(
    ("words", "naming"),
    [
        (["--grid", "n"], "grid = 'n'"), (["--grid", "nonsense=1,2"], "'nonsense'"), (["--grid", "n=1.5"], "1.5"),
        (["--grid", "mu=1:2:log0"], "2 to"), (["--grid", "d=1e3:1e4:lin3"], "given once"),
        (["--grid", "rule=sgd,nonsense"], "nonsense"), (["--grid", "n=4,5", "--grid", "n=6"], "given once"),
        (["--grid", "n=4,5", "--grid", "mu=1", "--zip", "n,mu"], "n has 2, mu has 1"), (["--zip", "n,mu"], "zip"),
        (["--grid", "flip_rate=7"], "= 7.0"), (["--seeds", "0"], "seeds"), (["--workers", "0"], "workers"),
        (["--workers", "100000"], "workers"),
        (["--workers", "2", "--scheduler", "tcp://x:1"], "left out with scheduler"),
        (["--config", "missing.toml"], "config"), (["--data", "missing.npz"], "missing.npz"),
        (["--grid", "seed=1,2"], "'seed'"), (["--grid", "data=missing.npz"], "missing.npz"),
    ],
)  # fmt: skip
def test_bad_words_are_one_error(words, naming):
    refused("scan", "conv", *SHORT, "--out", "scan", *words, naming=naming)


def test_directory_must_be_given():
    refused(*CONV, naming="out = None")


def test_range_of_integers():
    call("scan", "conv", "--n", "4", *SHORT[:-2], "--grid", "d=1e3:1e9:log3", "--out", "scan")
    assert rows_of("scan")["d"].to_pylist() == [1000, 10**6, 10**9]


def test_zipped_axes():
    grid = ["--grid", "n=4,4,5", "--grid", "mu=1,2,1", "--zip", "n,mu"]
    call("scan", "conv", *SHORT, *grid, "--out", "scan")
    rows = rows_of("scan").to_pylist()
    assert [(row["n"], row["mu"]) for row in rows] == [(4, 1.0), (4, 2.0), (5, 1.0)]


CONFIG = """
width = 2
max-steps = 5
sigma_0 = 0.1
d = 50
seeds = 2
out = "scan"
[grid]
n = [4, 5]
mu = "1:3:lin3"
"""


def test_config_is_the_command(whole):
    Path("scan.toml").write_text(CONFIG)
    call("scan", "conv", "--config", "scan.toml")
    assert rows_of("scan").equals(whole)
    assert "12 of them there" in call(*CONV, "--out", "scan").stderr


def test_flags_win_over_the_config():
    Path("scan.toml").write_text(CONFIG)
    flags = ["--seeds", "1", "--grid", "n=6", "--width", "3", "--out", "other"]
    call("scan", "conv", "--config", "scan.toml", *flags)
    record = json.loads(Path("other", "scan.json").read_text())
    assert (record["seeds"], record["axes"]) == (1, {"n": [6]})
    assert record["fixed"] == {"width": 3, "max_steps": 5, "sigma_0": 0.1, "d": 50}
    assert not Path("scan").exists()


@pytest.mark.parametrize(
    ("text", "naming"),
    [
        ("nonsense = 3", "'nonsense'"), ("width = ", "TOML"), ("width = true", "width"), ('width = "a"', "width"),
        ("seeds = 1.5", "seeds"), ("grid = 3", "grid"), ("zip = 3", "zip"), ('zip = ["n,mu"]', "zip"),
        ("[grid]\nnonsense = [1, 2]", "'nonsense'"), ("[grid]\nn = []", "grid"), ("workers = 0", "workers"),
        ("record = 3", "'record'"), ("[width]\na = 1", "width"),
    ],
)  # fmt: skip
def test_bad_config_is_one_error(text, naming):
    Path("scan.toml").write_text(text)
    refused("scan", "conv", "--config", "scan.toml", "--out", "scan", naming=naming)


def test_dry_run_writes_nothing(folder):
    printed = call(*CONV, "--out", "scan", "--dry-run").stdout
    assert "6 points, 12 runs" in printed
    assert "s a run at 3 points" in printed
    assert list(folder.iterdir()) == []


def test_failures_are_told(monkeypatch, whole):
    """Exit status 1 and the message; tried again, they are gone."""
    plain = ConvSpec.run

    def fails(spec):
        if spec.data.samples == 5 and spec.seed == 1:
            raise ZeroDivisionError("no reason")
        return plain(spec)

    monkeypatch.setattr(ConvSpec, "run", fails)
    told = call(*CONV, "--out", "scan", status=1).stderr
    assert "9 runs in" in told
    assert "3 failed" in told
    assert "failed: n = 5, mu = 1.0, seed = 1, message = ZeroDivisionError: no reason" in told
    assert "no reason" in call("scan", "status", "scan").stdout
    monkeypatch.setattr(ConvSpec, "run", plain)
    call(*CONV, "--out", "scan")
    assert rows_of("scan").equals(whole)
    assert "failed" not in call("scan", "status", "scan").stdout


def test_data_file_that_changed_is_refused():
    arrays = {"A": np.eye(3), "b": np.ones(3)}
    np.savez("own.npz", **arrays)
    words = ["scan", "finite-sum", "--data", "own.npz", "--steps", "5", "--gamma", "0.1", "--out", "scan"]
    call(*words)
    np.savez("own.npz", **{**arrays, "b": np.zeros(3)})
    refused(*words, naming="contents of own.npz")
    Path("own.npz").unlink()
    refused(*words, naming="own.npz")


def test_lost_workers_are_one_error(monkeypatch):
    def lost(scan, *rest):
        raise WorkersLost("the workers are gone")

    monkeypatch.setattr(Scan, "run", lost)
    result = call(*CONV, "--out", "scan", status=1)
    assert result.stderr.rstrip().endswith("the workers are gone; the same command carries the scan on")


def outside(*arguments, **options):
    """Start the command line in a process of its own."""
    command = [sys.executable, "-m", "sharpbounds", *map(str, arguments)]
    here = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(command, env=here, stderr=subprocess.PIPE, text=True, start_new_session=True, **options)


@pytest.mark.parametrize("workers", [1, 2])
def test_interrupt_says_how_to_go_on(workers):
    """Ctrl-C reaches the whole process group, workers that are starting too: exit status 130, nothing else is said."""
    words = ["scan", "conv", *SHORT[:2], "--max-steps", "2000", "--n", "6", "--d", "50", "--seeds", "20000"]
    with outside(*words, "--workers", workers, "--out", "scan") as process:
        assert "20000 runs, 0 of them there" in process.stderr.readline()
        time.sleep(1.0)
        os.killpg(process.pid, signal.SIGINT)
        told = process.stderr.read()
    assert process.returncode == 130, told
    assert "interrupted; the same command carries it on" in told
    assert "Traceback" not in told
    assert 0 <= int(call("scan", "status", "scan").stdout.split()[1]) < 20_000


@pytest.mark.parametrize("model", ["conv", "finite-sum"])
def test_status(model):
    call(*(CONV if model == "conv" else SUMS), "--out", "scan")
    told = call("scan", "status", "scan").stdout
    count = 12 if model == "conv" else 6
    assert f"{model}: {count} of {count} runs done" in told
    assert ("mu: 1.0, 2.0, 3.0" if model == "conv" else "condition: 2.0, 4.0, 8.0") in told
    assert "seeds: 0 … 1" in told


@pytest.mark.parametrize("words", [["status"], ["export", "--out", "rows.csv"]])
def test_directory_that_holds_no_scan_is_one_error(words):
    refused("scan", words[0], ".", *words[1:], naming="must hold a scan.json")


def test_scan_of_other_kernels_is_read_but_not_carried_on(monkeypatch, whole):
    """What an older version stored is found under its own kernels' keys."""
    with monkeypatch.context() as older:
        for module in (run_module, scan_module):
            older.setattr(module, "fingerprint", lambda: "0123456789abcdef")
        call(*CONV, "--out", "scan")
    told = call("scan", "status", "scan").stdout
    assert "conv: 12 of 12 runs done" in told
    assert "kernels: 0123456789abcdef, of another version" in told
    assert rows_of("scan").equals(whole)
    refused(*CONV, "--out", "scan", naming="kernels: 0123456789abcdef there")


def test_runs_that_no_point_explains_are_counted(monkeypatch):
    """Were the letters read otherwise by another version, its runs would not be found: that is told."""
    call(*CONV, "--out", "scan")
    record = json.loads(Path("scan/scan.json").read_text())
    Path("scan/scan.json").write_text(json.dumps({**record, "kernels": "0123456789abcdef"}))
    told = call("scan", "status", "scan").stdout
    assert "conv: 0 of 12 runs done" in told
    assert "12 stored runs are at no point of this grid" in told


def test_exports_hold_the_same(whole):
    """CSV and Parquet to the last bit; NetCDF over axes and seed."""
    call(*CONV, "--out", "scan")
    call("scan", "export", "scan", "--to", "csv", "--out", "rows.csv")
    table = pyarrow.csv.read_csv(io.BytesIO(Path("rows.csv").read_bytes()))
    assert table.column_names == whole.column_names
    for name in whole.column_names:
        assert [float(x) if name != "status" else x for x in table[name].to_pylist()] == whole[name].to_pylist()
    xarray = pytest.importorskip("xarray")
    call("scan", "export", "scan", "--to", "netcdf", "--out", "rows.nc")
    with xarray.open_dataset("rows.nc", engine="scipy") as data:
        assert dict(data.sizes) == {"n": 2, "mu": 3, "seed": 2}
        assert data["clean_error"].values.ravel().tolist() == whole["clean_error"].to_pylist()
        assert [str(word) for word in data["status"].values.ravel()] == whole["status"].to_pylist()


def test_exports_of_unlike_values():
    """Words among numbers, long integers, absent values."""
    pytest.importorskip("xarray")
    sums = ["scan", "finite-sum", "--steps", "3", "--n", "4", "--d", "3", "--rule", "sam"]
    call(*sums, "--grid", "rho=theory,0.1", "--grid", "gamma=theory,0.01", "--out", "sums")
    assert rows_of("sums")["rho"].to_pylist() == ["theory", "theory", "0.1", "0.1"]
    long = ["scan", "conv", "--n", "4", *SHORT[:-2], "--grid", "d=100,1e12", "--grid", "batch=full,2"]
    call(*long, "--out", "long")
    for form in ("csv", "parquet", "netcdf"):
        for scan in ("sums", "long"):
            call("scan", "export", scan, "--to", form, "--out", f"{scan}.{form}")
    assert rows_of("long")["d"].to_pylist() == [100, 100, 10**12, 10**12]


def test_missing_extra_is_named(monkeypatch):
    call(*CONV, "--out", "scan")
    monkeypatch.setitem(sys.modules, "xarray", None)
    refused("scan", "export", "scan", "--to", "netcdf", "--out", "rows.nc", naming="sharpbounds[netcdf]")


LETTERS = {
    "conv": [{"n": 4, "d": 30}, {"n": 4, "d": 30, "rule": "sam"}],
    "diagonal": [{"n": 4, "d": 6}, {"n": 4, "d": 6, "alpha": [0.1], "rule": "n-sam-flow"}],
    "finite-sum": [
        {"n": 4, "d": 3}, {"rho": 0.1, "gamma": 0.1, "rule": "sam"}, {"gamma": 0.1}, {"data_seed": 3},
        {"schedule": "decreasing"}, {"gamma": 0.1, "rho": 0.1, "rule": "sam", "schedule": "decreasing"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(("model", "letters"), [(model, one) for model, many in LETTERS.items() for one in many])
def test_one_family_is_one(model, letters):
    """Where runs of a point are told to differ in their seed alone, they do."""
    specify = specify_of(model)
    families = {specify(letters, seed).family() for seed in (0, 1, 5)}
    if one_family(model, letters, {}):
        assert len(families) == 1
    if letters in ({"n": 4, "d": 3}, {"schedule": "decreasing"}) and model == "finite-sum":
        assert len(families) == 3  # the control

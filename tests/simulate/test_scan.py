"""Scans: a directory that can be carried on, refuses what is not its own and never reads what is damaged."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from simulate import executor as executor_module
from simulate import scan as scan_module
from simulate.conv_run import ConvSpec, VectorFile
from simulate.parameters import ParameterError
from simulate.scan import Plan, Scan, merged, opened, read_record
from simulate.signal_noise import SignalNoise

PLAN = Plan("conv", {"width": 2}, {"n": (4, 5), "mu": (1.0, 2.0, 3.0)}, seeds=2)


def specify(letters, seed):
    """Return a small specification."""
    if letters.get("data"):
        data = VectorFile(letters["data"], 1.0, 0.0)
    else:
        data = SignalNoise(letters["n"], 30, signal_norm=letters["mu"], flip_rate=letters.get("flip_rate", 0.2))
    return ConvSpec(data, letters["width"], 0.1, max_steps=5, seed=seed)


def scanned(folder, plan=PLAN, **options):
    """Carry a scan out and return its table."""
    with opened(folder, plan, specify) as scan:
        assert scan.run(**options)
    return Scan(folder, scan.plan, specify).table()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the table of PLAN, carried out in one go."""
    return scanned(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def computed(monkeypatch):
    """Return the list of (n, mu, seed) that are computed in this process from now on."""
    plain, found = ConvSpec.run, []

    def run(spec):
        found.append((spec.data.samples, spec.data.signal_norm, spec.seed))
        return plain(spec)

    monkeypatch.setattr(ConvSpec, "run", run)
    return found


def refused(folder, plan, naming):
    """Check that a plan is refused in a directory, in whose files nothing changes."""
    before = {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
    with pytest.raises(ParameterError, match=naming), opened(folder, plan, specify):
        pass
    assert {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()} == before


def test_table_is_that_of_the_runs(whole):
    """One row a run, in the order of the grid, with axes, seed and every scalar."""
    expected = [(n, mu, seed) for n in (4, 5) for mu in (1.0, 2.0, 3.0) for seed in (0, 1)]
    rows = whole.to_pylist()
    assert [(row["n"], row["mu"], row["seed"]) for row in rows] == expected
    for row in rows:
        result = specify({"width": 2, **row}, row["seed"]).run()
        scalars, _ = result.parts()
        assert {name: row[name] for name in scalars} == scalars
        assert (row["status"], row["steps"]) == (result.status, result.steps)


def test_workers_change_no_row(whole, tmp_path):
    assert scanned(tmp_path, workers=2).equals(whole)


def test_finished_scan_computes_nothing(tmp_path, whole, computed):
    scanned(tmp_path)
    assert len(computed) == 12
    assert scanned(tmp_path).equals(whole)
    assert len(computed) == 12


def test_values_and_seeds_may_be_added(tmp_path, computed):
    """What is there stays, only what is new is computed, and nothing is forgotten that is left out now."""
    scanned(tmp_path, replace(PLAN, seeds=1))
    before = len(computed)
    table = scanned(tmp_path, replace(PLAN, axes={"n": (6,), "mu": (2.0, 4.0)}, seeds=2))
    assert read_record(tmp_path)["axes"] == {"n": [4, 5, 6], "mu": [1.0, 2.0, 3.0, 4.0]}
    assert before == 6
    assert len(computed) == len(set(computed)) == table.num_rows == 24
    assert scanned(tmp_path, replace(PLAN, seeds=1)).equals(table)
    assert len(computed) == 24


def test_points_that_are_zipped_may_be_added(tmp_path, computed):
    zipped = replace(PLAN, axes={"n": (4, 5), "mu": (1.0, 2.0)}, zips=(("n", "mu"),), seeds=1)
    scanned(tmp_path, zipped)
    scanned(tmp_path, replace(zipped, axes={"n": (5, 4), "mu": (3.0, 1.0)}))
    assert computed == [(4, 1.0, 0), (5, 2.0, 0), (5, 3.0, 0)]


@pytest.mark.parametrize(
    ("changed", "naming"),
    [
        ({"fixed": {"width": 3}}, "width: 2 there, 3 now"),
        ({"fixed": {}}, "width: 2 there, left out now"),
        ({"fixed": {"width": 2, "flip_rate": 0.1}}, "flip_rate: left out there, 0.1 now"),
        ({"model": "diagonal"}, "model: conv there, diagonal now"),
        ({"first_seed": 1}, "first_seed: 0 there, 1 now"),
        ({"axes": {"n": (4,)}}, "axes: n, mu there, n now"),
        ({"axes": {"n": (4, 5), "mu": (1.0, 2.0)}, "zips": (("n", "mu"),)}, "zip: "),
    ],
)
def test_anything_else_that_changes_is_refused(tmp_path, changed, naming):
    scanned(tmp_path, replace(PLAN, axes={"n": (4,), "mu": (1.0,)}))
    refused(tmp_path, replace(PLAN, **changed), naming)


def test_other_kernels_are_refused(tmp_path, monkeypatch):
    scanned(tmp_path, replace(PLAN, axes={"n": (4,), "mu": (1.0,)}))
    monkeypatch.setattr(scan_module, "fingerprint", lambda: "0123456789abcdef")
    refused(tmp_path, PLAN, "kernels: .* there, 0123456789abcdef now")


def test_changed_data_file_is_refused(tmp_path):
    """By its content, not its date; another file may be added where data is an axis."""
    paths = [tmp_path / "one.npz", tmp_path / "two.npz"]
    arrays = {"mu": np.ones(5), "noise": np.ones((3, 5)), "labels": np.array([1.0, -1.0, 1.0])}
    for k, path in enumerate(paths):
        np.savez(path, **{**arrays, "mu": np.full(5, 1.0 + k)})
    folder, names = tmp_path / "scan", list(map(str, paths))
    plan = Plan("conv", {"width": 2}, {"data": (names[0],)}, seeds=2)
    scanned(folder, plan)
    os.utime(paths[0])
    assert scanned(folder, replace(plan, axes={"data": tuple(names)})).num_rows == 4
    np.savez(paths[0], **{**arrays, "mu": np.zeros(5)})
    refused(folder, plan, "contents of .*one.npz: .* there, .* now")


def test_merging_says_every_difference():
    record = json.loads(json.dumps(PLAN.to_dict()))
    with pytest.raises(ParameterError, match="first_seed: 0 there, 2 now; width: 2 there, 3 now"):
        merged(replace(PLAN, fixed={"width": 3}, first_seed=2), record, "there")
    assert merged(PLAN, record, "there") == PLAN


def test_failure_is_told_and_tried_again(tmp_path, monkeypatch, whole):
    """It is no result; once it succeeds nothing is left of it."""
    plain = ConvSpec.run

    def fails(spec):
        if (spec.data.samples, spec.seed) == (5, 1):
            raise ZeroDivisionError("no reason")
        return plain(spec)

    monkeypatch.setattr(ConvSpec, "run", fails)
    told = []
    with opened(tmp_path, PLAN, specify) as scan:
        assert scan.run(progress=lambda done, failed: told.append((done, failed)))
    assert (sum(done for done, _ in told), sum(failed for _, failed in told)) == (12, 3)
    failures = json.loads((tmp_path / "failures.json").read_text())
    assert list(failures.values()) == [
        {"n": 5, "mu": mu, "seed": 1, "message": "ZeroDivisionError: no reason"} for mu in (1.0, 2.0, 3.0)
    ]
    assert Scan(tmp_path, PLAN, specify).table().num_rows == 9
    monkeypatch.setattr(ConvSpec, "run", plain)
    assert scanned(tmp_path).equals(whole)
    assert json.loads((tmp_path / "failures.json").read_text()) == {}


def test_letters_that_no_run_can_have_fail_at_their_point(tmp_path):
    """The other points are computed."""
    for one_family in (True, False):
        folder = tmp_path / str(one_family)
        plan = replace(PLAN, axes={"n": (4,), "mu": (1.0,), "flip_rate": (0.1, 7.0)})
        with opened(folder, plan, specify, one_family) as scan:
            assert scan.run()
            assert [(f["flip_rate"], f["seed"]) for f in scan.failures.values()] == [(7.0, 0), (7.0, 1)]
            assert all("= 7.0: must be" in f["message"] for f in scan.failures.values())
        assert Scan(folder, plan, specify, one_family).table()["flip_rate"].to_pylist() == [0.1, 0.1]


def test_families_change_nothing(tmp_path, whole):
    """Runs that differ in their seed alone, or specifications made one by one: the same keys and rows."""
    one, each = (Scan(tmp_path, PLAN, specify, family) for family in (True, False))
    assert [run[:3] for run in one.runs()] == [run[:3] for run in each.runs()]
    assert [run[3]() for run in one.runs()] == [run[3]() for run in each.runs()]
    with opened(tmp_path, PLAN, specify, False) as scan:
        scan.run()
    assert Scan(tmp_path, PLAN, specify).table().equals(whole)


def test_divergence_is_a_result(tmp_path):
    with opened(tmp_path, PLAN, lambda letters, seed: replace(specify(letters, seed), step_size=1e308)) as scan:
        assert scan.run()
        assert set(scan.table()["status"].to_pylist()) == {"diverged"}
        assert not scan.failures


@pytest.mark.parametrize("at", [0.0, 0.3, 0.6, 0.95])
def test_damaged_part_is_computed_again(tmp_path, whole, computed, at):
    """Wherever a bit is flipped: the part is named and set aside, its runs are computed, the table is as ever."""
    scanned(tmp_path, replace(PLAN, seeds=1))
    scanned(tmp_path)
    parts = sorted((tmp_path / "runs").glob("*.parquet"))
    data = bytearray(parts[0].read_bytes())
    data[int(at * len(data))] ^= 1
    parts[0].write_bytes(data)
    before = len(computed)
    with pytest.warns(UserWarning, match=f"{parts[0].name} cannot be read .* set aside"):
        table = scanned(tmp_path)
    assert len(computed) == before + 6
    assert table.equals(whole)
    assert parts[0].with_suffix(".damaged").exists()


def test_what_a_killed_writer_left_is_cleared(tmp_path):
    plan = replace(PLAN, axes={"n": (4,), "mu": (1.0,)})
    table = scanned(tmp_path, plan)
    (tmp_path / "runs" / "0123.4567.part").write_bytes(b"half a part")
    (tmp_path / "scan.json.part").write_text("{")
    (tmp_path / "failures.json").write_text("{")
    assert scanned(tmp_path, plan).equals(table)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["failures.json", "lock", "runs", "scan.json"]
    assert [path.suffix for path in (tmp_path / "runs").iterdir()] == [".parquet"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"model": "conv"}', '{"axes": 3}'])
def test_unreadable_record_is_one_error(tmp_path, text):
    (tmp_path / "scan.json").write_text(text)
    refused_with = pytest.raises(ParameterError, match=r"must hold a scan\.json")
    with refused_with, opened(tmp_path, PLAN, specify):
        pass


def test_file_in_place_of_a_directory_is_one_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ParameterError, match="must be writable"), opened(path, PLAN, specify):
            pass


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_directory_is_one_error(tmp_path):
    os.chmod(tmp_path, 0o555)
    try:
        refused(tmp_path, PLAN, "must be writable")
    finally:
        os.chmod(tmp_path, 0o755)


def test_full_disk_is_one_error(tmp_path, monkeypatch, whole):
    """Nothing half-written stays, and once there is room the scan goes on."""
    plain = os.replace

    def full(source, target):
        if str(target).endswith(".parquet"):
            raise OSError(28, "No space left on device")
        return plain(source, target)

    monkeypatch.setattr(os, "replace", full)
    with opened(tmp_path, PLAN, specify) as scan, pytest.raises(ParameterError, match=r"must be writable.*No space"):
        scan.run()
    assert list((tmp_path / "runs").iterdir()) == []
    monkeypatch.setattr(os, "replace", plain)
    assert scanned(tmp_path).equals(whole)


def test_second_writer_is_refused(tmp_path):
    """Another process, or this one again; the first is not disturbed, and after it the directory is free."""
    with opened(tmp_path, PLAN, specify) as scan:
        refused(tmp_path, PLAN, "in use by another process")
        assert scan.run()
    scanned(tmp_path)


def test_interrupt_ends_after_the_chunk_in_hand(tmp_path, monkeypatch, whole):
    """What is done is written; the scan goes on later to the same rows."""
    before = signal.getsignal(signal.SIGINT)
    with opened(tmp_path, PLAN, specify) as scan:
        assert not scan.run(progress=lambda done, failed: os.kill(os.getpid(), signal.SIGINT))
    assert signal.getsignal(signal.SIGINT) is before
    assert len(Scan(tmp_path, PLAN, specify).store) == 1
    assert scanned(tmp_path).equals(whole)


def test_second_interrupt_ends_at_once(tmp_path, whole):
    def twice(done, failed):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with opened(tmp_path, PLAN, specify) as scan, pytest.raises(KeyboardInterrupt):
        scan.run(progress=twice)
    assert len(Scan(tmp_path, PLAN, specify).store) == 1
    assert scanned(tmp_path).equals(whole)


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from simulate import scan
from test_scan import PLAN, replace, specify
scan.FLUSH_SECONDS = 0.0
plan = replace(PLAN, seeds=100)
with scan.opened({folder!r}, plan, specify) as found:
    print("here", flush=True)
    found.run(progress=lambda done, failed: print(len(found.store), flush=True))
"""


@pytest.fixture(scope="module")
def hundred(tmp_path_factory):
    """Return the table of PLAN at a hundred seeds."""
    return scanned(tmp_path_factory.mktemp("hundred"), replace(PLAN, seeds=100))


def carried_on(folder, told):
    """Carry the hundred seeds on in small chunks, each flushed; tell how many runs are stored after each."""
    scan_module.FLUSH_SECONDS, executor_module._LARGEST_CHUNK = 0.0, 8
    with opened(folder, replace(PLAN, seeds=100), specify) as scan:
        scan.run(progress=lambda done, failed: told.send(len(scan.store)))


def test_killed_scan_is_carried_on(tmp_path, hundred):
    """Killed at twenty random moments: what was flushed stays, and nothing comes twice."""
    rng, plan, flushed = np.random.default_rng(0), replace(PLAN, seeds=100), [0]
    context = get_context("forkserver")  # whose children start at once, with everything imported
    context.set_forkserver_preload(["simulate.conv_run", "simulate.scan"])
    for _ in range(20):
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=carried_on, args=(tmp_path, there))
        process.start()
        there.close()
        for _ in range(int(rng.integers(1, 5))):
            assert here.poll(60)
            flushed.append(here.recv())
        time.sleep(rng.uniform(0.0, 0.005))  # a chunk and its flush take a few milliseconds
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        keys = [key for t in Scan(tmp_path, plan, specify).store.tables(["key"]) for key in t["key"].to_pylist()]
        assert len(keys) == len(set(keys)) >= flushed[-1]
    assert flushed == sorted(flushed)
    assert 0 < flushed[-1] < plan.size
    assert scanned(tmp_path, plan).equals(hundred)


def test_lock_ends_with_its_process(tmp_path):
    """While another process writes, this one is refused; when that is killed, it is free."""
    code = SCRIPT.format(tests=str(Path(__file__).parent), folder=str(tmp_path)).partition("    found.run")[0]
    environment = {**os.environ, "PYTHONPATH": str(Path(scan_module.__file__).parents[1])}
    command = [sys.executable, "-c", code + "    sys.stdin.read()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as process:
        assert process.stdout.readline() == "here\n"
        refused(tmp_path, replace(PLAN, seeds=100), "in use by another process")
        process.kill()
        process.wait()
    scanned(tmp_path, replace(PLAN, seeds=100))

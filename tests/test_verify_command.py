"""`verify` and the same as Python calls: what is printed and written, and every exit status."""

import importlib
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import call, outside, refused

import sharpbounds
from simulate.conv_run import ConvSpec, run
from simulate.parameters import ParameterError
from simulate.store import Store
from theory import registry
from theory.chen2023.setting import sam_radius, sam_steps
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.registry import claims, papers

CHEAP = "chen2023/deactivation"

SHORT = ["--max-steps", "30", "--n", "8", "--d", "50", "--width", "3", "--sigma-0", "0.1"]

pytestmark = pytest.mark.usefixtures("folder")

ROOT = Path(__file__).resolve().parents[1]


# verify


@pytest.mark.compiled
def test_verify_one_claim(folder):
    result = call("verify", CHEAP, "--no-cache", "--workers", 1, "--json", "out.json")
    assert result.exit_code == 0
    assert "1 claim: 1 holds; 1 of 1 negative controls rejected." in result.stdout
    assert claims()[CHEAP].statement in result.stdout
    (row,) = json.loads((folder / "out.json").read_text())
    assert (row["id"], row["passed"], row["mode"], row["seed"]) == (CHEAP, True, "quick", 0)
    assert row["verdict"]["outcome"] == "holds"
    assert row["control"]["rejected"] is True
    assert [p.name for p in folder.iterdir()] == ["out.json"]


@pytest.mark.compiled
def test_verify_prints_json_alone():
    options = ("--no-cache", "--workers", 1, "--json", "-", "--seed", 3)
    result = call("verify", CHEAP, "chen2023/coefficient-signs", *options)
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["id"] for row in rows] == ["chen2023/coefficient-signs", CHEAP]  # in the registry's order
    assert {row["seed"] for row in rows} == {3}
    assert "negative controls rejected" in result.stderr


@pytest.mark.compiled
def test_verify_keeps_its_runs(tmp_path, monkeypatch):
    """In $SHARPBOUNDS_CACHE (the kernels are where they were); the second time they are found."""
    monkeypatch.setenv("SHARPBOUNDS_CACHE", str(tmp_path / "cache"))
    first, second = (call("verify", CHEAP, "--workers", 1, "--json", "-") for _ in range(2))
    assert len(Store()) == json.loads(first.stdout)[0]["runs"] > 0
    rows = [{**json.loads(result.stdout)[0], "seconds": 0} for result in (first, second)]
    assert rows[0] == rows[1]


def toy(centre=1.0, control=0.5, **changes):
    """Return a claim that needs no runs: a mean is at most 2."""

    def observe(settings, runner):
        return Samples(np.array([centre + 0.01 * np.random.default_rng(settings["seed"]).standard_normal(24)]))

    claim = Claim(
        "chen2023/toy", "A mean", "the mean is at most 2", "this file", Kind.UPPER_BOUND, (), {}, observe,
        lambda samples: np.array([2.0]), 0.0, "none", Control("at most ½", lambda samples: np.array([control])),
        {"seeds": 24}, {"seeds": 24},
    )  # fmt: skip
    return replace(claim, **changes)


REPAIR = Control("at most 4", lambda samples: np.array([4.0]))
UNEXPECTED = {
    "violated": (toy(3.0), "UNEXPECTED (expected: holds)"),
    "inconclusive": (toy(2.0), "UNEXPECTED (expected: holds)"),
    "control not rejected": (toy(control=1.5), "NOT REJECTED"),
    "holds after all": (toy(1.0, expected=Outcome.VIOLATED, twin=REPAIR), "UNEXPECTED (expected: violated)"),
    "twin fails": (toy(5.0, expected=Outcome.VIOLATED, twin=REPAIR), "twin violated"),
    "nan": (toy(np.nan), "UNEXPECTED (expected: holds)"),
}


def only(monkeypatch, *some):
    """Let the registry hold these claims and no others."""
    monkeypatch.setattr(registry, "claims", lambda: {claim.id: claim for claim in some})


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("name", UNEXPECTED)
def test_verify_fails_where_a_verdict_is_unexpected(monkeypatch, folder, name):
    claim, message = UNEXPECTED[name]
    only(monkeypatch, toy(id="chen2023/other"), claim)
    result = call("verify", "--no-cache", "--workers", 1, "--json", "out.json")
    assert result.exit_code == 1
    assert message in result.stdout
    assert result.stdout.rstrip().endswith("UNEXPECTED: chen2023/toy")
    rows = json.loads((folder / "out.json").read_text())  # it is written all the same
    assert [row["passed"] for row in rows] == [True, False]


def test_verify_passes_where_it_should(monkeypatch):
    """The control of the last test, also with a claim that is expected to fail."""
    only(monkeypatch, toy(), toy(3.0, id="chen2023/false", expected=Outcome.VIOLATED, twin=REPAIR))
    result = call("verify", "--no-cache", "--workers", 1)
    assert result.exit_code == 0
    assert "2 claims: 1 holds, 1 violated as expected; 2 of 2 negative controls rejected." in result.stdout
    assert result.stdout.rstrip().endswith("Every verdict is the expected one.")


def test_verify_full(monkeypatch):
    only(monkeypatch, toy(full={"seeds": 24, "more": 1}, expected={"quick": Outcome.VIOLATED, "full": Outcome.HOLDS}))
    assert call("verify", "--no-cache", "--workers", 1).exit_code == 1
    result = call("verify", "--no-cache", "--workers", 1, "--full")
    assert result.exit_code == 0
    assert "full settings" in result.stdout


@pytest.mark.parametrize(
    ("options", "naming"),
    [
        (("--seed", -1), "seed = -1"), (("--seed", 10**10), "seed = 10000000000"), (("--seed", "x"), "--seed"),
        (("--workers", 0), "workers = 0"), (("--workers", -1), "workers = -1"), (("--workers", 10**6), "workers"),
        (("--json", "no/such/folder.json"), "output file"), (("--json", "."), "output file"),
        (("--json", ""), "output file"),
    ],
)  # fmt: skip
def test_verify_refuses(monkeypatch, options, naming):
    only(monkeypatch, toy())
    refused("verify", "--no-cache", "--json", "out.json", *options, naming=naming)


@pytest.mark.compiled
def test_verify_where_runs_cannot_be_kept(tmp_path, monkeypatch):
    """A cache that cannot be written costs a warning, not the result."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SHARPBOUNDS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="runs cannot be stored"):
        result = call("verify", CHEAP, "--workers", 1)
    assert result.exit_code == 0


def test_output_that_cannot_show_a_letter():
    """√ and ‖ in a terminal of another encoding are shown as ?, not as an error."""
    for arguments in (("list",), ("show", "chen2023/sgd-boundary"), ("cite",)):
        found = outside(*arguments, PYTHONIOENCODING="ascii")
        assert found.returncode == 0, found.stderr
        assert "chen2023" in found.stdout


# writing files


def test_file_is_written_through_a_link(folder):
    (folder / "real.npz").write_text("old")
    (folder / "link.npz").symlink_to("real.npz")
    assert call("simulate", "conv", *SHORT, "--save", "link.npz").exit_code == 0
    assert (folder / "link.npz").is_symlink()
    assert (folder / "real.npz").read_bytes()[:2] == b"PK"
    assert sorted(p.name for p in folder.iterdir()) == ["link.npz", "real.npz"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe_is_written_to_and_stays(monkeypatch, folder):
    only(monkeypatch, toy())
    os.mkfifo(folder / "pipe")
    with subprocess.Popen(["cat", folder / "pipe"], stdout=subprocess.PIPE) as reader:
        try:
            assert call("verify", "--no-cache", "--workers", 1, "--json", "pipe").exit_code == 0
            assert (folder / "pipe").is_fifo()
            assert json.loads(reader.communicate(timeout=20)[0])[0]["id"] == "chen2023/toy"
        finally:
            reader.kill()


def test_failed_write_leaves_the_old_file(folder):
    from theory.commands import write_whole

    (folder / "out").write_text("old")
    (folder / "out.part").mkdir()  # the temporary name is taken
    with pytest.raises(ParameterError, match="output file"):
        write_whole("out", b"new")
    assert (folder / "out").read_text() == "old"
    (folder / "out.part").rmdir()
    write_whole("out", b"new")
    assert (folder / "out").read_text() == "new"


# as Python calls


@pytest.mark.compiled
def test_verify_as_a_call():
    seen = []
    records = sharpbounds.verify(CHEAP, mode="quick", seed=1, workers=1, store=False, report=seen.append)
    assert [record.claim.id for record in records] == [CHEAP]
    assert seen == records
    assert records[0].passed
    assert records[0].verdict.outcome is Outcome.HOLDS
    assert len(records[0].verdict.interval) == 2
    assert (records[0].seed, records[0].mode) == (1, "quick")


def test_verify_refuses_as_a_call(monkeypatch):
    with pytest.raises(ParameterError, match="claim = 'nope'"):
        sharpbounds.verify("nope")
    only(monkeypatch, toy())
    with pytest.raises(ParameterError, match="mode = 'medium'"):
        sharpbounds.verify(mode="medium", workers=1, store=False)
    with pytest.raises(ParameterError, match="workers = 0"):
        sharpbounds.verify(workers=0, store=False)
    assert [record.passed for record in sharpbounds.verify(workers=1, store=False)] == [True]


def test_simulate_as_a_call():
    """As in the module's docstring, in small."""
    spec = sharpbounds.conv(
        n=8, d=50, width=3, mu=3, rule="sam-then-sgd", tau_c3=1, kappa=0.5, labels="balanced", max_steps=30
    )
    assert isinstance(spec, ConvSpec)
    assert spec.radius == sam_radius(3, 8, 2, 1.0, 50, 1.0)
    assert spec.sam_steps == sam_steps(0.5, 3, 0.01, 3.0, 0.0)
    results = sharpbounds.simulate(spec, seeds=3)
    assert [r.train_loss for r in results] == [run(replace(spec, seed=k)).train_loss for k in range(3)]
    assert 0.0 < sum(result.clean_error for result in results) / 3 < 1.0
    with pytest.raises(ParameterError, match=r"flip_rate \(p\) = 0.5"):
        sharpbounds.conv(flip_rate=0.5)
    with pytest.raises(ParameterError, match="seeds = 0"):
        sharpbounds.simulate(spec, seeds=0)


def test_the_docstring_means_what_it_says():
    """Its own numbers, without the wait."""
    assert 'sharpbounds.verify("chen2023/sgd-*", mode="quick")' in sharpbounds.__doc__
    spec = sharpbounds.conv(n=20, d=20_000, mu=3, rule="sam-then-sgd", tau_c3=1, kappa=0.5, labels="balanced")
    assert (spec.sam_steps, spec.width, spec.data.labels) == (278, 10, "balanced")
    assert "sharpbounds.conv(n=20, d=20_000, mu=3" in sharpbounds.__doc__


def test_public_names():
    assert sharpbounds.claims() is claims()
    assert sharpbounds.papers() is papers()
    assert sharpbounds.check is importlib.import_module("theory.check").check
    assert all(callable(getattr(sharpbounds, name)) for name in sharpbounds.__all__)
    models = {"conv", "diagonal", "finite_sum"}
    nouns = {"Claim", "Control", "Hypothesis", "Kind", "Outcome", "Paper", "Samples"}
    calls = {"claims", "papers", "select", "check", "verify", "falsify", "simulate", "predict", "stream"}
    assert set(sharpbounds.__all__) == {"main", *calls, *nouns, *models}
    for name in ("nope", "Verify", "__wrapped__"):
        with pytest.raises(AttributeError, match=name):
            getattr(sharpbounds, name)


def test_module_and_script_are_one():
    found = outside("list", "--ids")
    assert found.returncode == 0
    assert found.stdout.split() == list(claims())
    assert outside("show", "nope").returncode == 2

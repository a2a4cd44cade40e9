"""The command line and the same as Python calls: what is printed, what is written, and every exit status."""

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
from click.testing import CliRunner

import sharpbounds
from simulate.conv import DenseNetwork
from simulate.conv_run import ConvSpec, run, train_network
from simulate.generalisation import clean_error
from simulate.parameters import ParameterError
from simulate.signal_noise import SignalNoise, draw_dense
from simulate.store import Store
from theory import registry
from theory.chen2023.setting import sam_radius, sam_steps
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.registry import claims, papers

ROOT = Path(__file__).resolve().parents[1]
compiled = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="many runs, slow without the compiler")
CHEAP = "chen2023/deactivation"
SHORT = ["--max-steps", "30", "--n", "8", "--d", "50", "--width", "3", "--sigma-0", "0.1"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test runs in an empty folder of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def call(*arguments):
    """Run the command line in this process; an exception that is no exit is an error here."""
    result = CliRunner(catch_exceptions=False).invoke(sharpbounds.main, [str(a) for a in arguments])
    assert "Traceback" not in result.output
    return result


def refused(*arguments, naming):
    """Check that the arguments end in exit status 2, one line that has `naming`, and no file."""
    before = sorted(Path().iterdir())
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert naming in errors[0]
    assert result.stderr.rstrip().endswith(errors[0])
    assert sorted(Path().iterdir()) == before
    return errors[0]


def outside(*arguments, **environment):
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "sharpbounds", *arguments]
    here = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), **environment}
    return subprocess.run(command, env=here, capture_output=True, text=True, encoding="utf-8", errors="replace")


# help, start-up


MODELS = [("simulate", "conv"), ("simulate", "diagonal"), ("simulate", "finite-sum")]
COMMANDS = [
    (), ("list",), ("show",), ("verify",), ("simulate",), *MODELS, ("predict",), ("predict", "conv"), ("scan",),
    ("boundary",), ("falsify",), ("plot",), ("figure",), ("cite",), ("report",), ("diff",), ("table",),
    ("check",),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(command, flag):
    result = call(*command, flag)
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage:")
    assert result.stderr == ""


def test_every_command_has_help_here():
    """The control: no command is missing above."""
    named = {("simulate", *rest) if rest else (name,) for name, *rest in (c for c in COMMANDS if c)}
    assert {c[0] for c in named} == set(sharpbounds.main.list_commands(None))
    assert {c[1] for c in named if len(c) > 1} == set(sharpbounds.simulate_group.list_commands(None))


def test_version():
    result = call("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("sharpbounds, version ")


@pytest.mark.parametrize("arguments", [("nope",), ("simulate", "nope"), ("list", "nope"), ("--nope",), ("show",)])
def test_unknown_words(arguments):
    assert call(*arguments).exit_code == 2


LIGHT = [
    ["list"], ["list", "--json"], ["cite"], ["--help"], ["verify", "--help"], ["simulate", "--help"],
    ["simulate", "conv", "--help"], ["simulate", "diagonal", "--help"], ["simulate", "finite-sum", "--help"],
    ["figure", "--help"],
    ["boundary", "--help"], ["boundary", "conv", "--help"], ["plot", "--help"],
    ["report", "--help"], ["diff", "--help"], ["table", "--help"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_light_commands_load_neither_compiler_nor_statistics(arguments):
    code = (
        "import sys, sharpbounds\n"
        f"sharpbounds.main({arguments!r}, standalone_mode=False)\n"
        "print(sorted({'numba', 'scipy', 'matplotlib', 'pyarrow'} & set(sys.modules)), file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stderr.strip().splitlines()[-1] == "[]"


def test_loading_is_seen():
    """The control of the last test: a simulation loads the compiler."""
    code = (
        "import sys, sharpbounds\n"
        "sharpbounds.main(['simulate', 'conv', '--max-steps', '1'], standalone_mode=False)\n"
        "print(sorted({'numba', 'scipy'} & set(sys.modules)), file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stderr.strip().splitlines()[-1] == "['numba', 'scipy']"


# list, show, cite


def test_list():
    result = call("list")
    assert result.exit_code == 0
    rows = result.stdout.splitlines()
    assert [row.split()[0] for row in rows] == list(claims())
    for row, claim in zip(rows, claims().values(), strict=True):
        assert claim.title in row
        assert str(claim.kind) in row
        assert (" ours " in row) == claim.ours


def test_list_ids():
    assert call("list", "--ids").stdout.splitlines() == list(claims())


def test_list_json():
    rows = json.loads(call("list", "--json").stdout)
    assert [row["id"] for row in rows] == list(claims())
    keys = {"id", "paper", "kind", "title", "expected", "expected_full", "control", "has_control", "ours"}
    assert all(set(row) == keys for row in rows)
    for row, claim in zip(rows, claims().values(), strict=True):
        assert row["paper"] in papers()
        assert row["expected"] == str(claim.expected_in("quick"))
        assert row["control"] == claim.control.title


@pytest.mark.parametrize("claim_id", claims())
def test_show(claim_id):
    claim = claims()[claim_id]
    result = call("show", claim_id)
    assert result.exit_code == 0
    for text in (claim.title, claim.statement, claim.source, claim.control.title, claim.tolerance_reason):
        assert text in result.stdout
    assert all(hypothesis.text in result.stdout for hypothesis in claim.hypotheses)
    assert ("Out of scope" in result.stdout) == (not claim.in_scope())
    assert (claim.twin is not None) == ("Twin" in result.stdout)


def _margin(output, name):
    (line,) = [line for line in output.splitlines() if line.startswith(f"  {name} ")]
    return float(line.removeprefix(f"  {name}").split()[0])


def test_show_with_numbers():
    """The margins are those of the numbers given: d/n² = 10⁴/25, and d P² sigma_p²/(n ‖mu‖²)."""
    result = call("show", "chen2023/sgd-boundary", "--n", 5, "--d", "1e4", "--mu", 4, "--sigma-p", 0.5, "--patches", 3)
    assert result.exit_code == 0
    assert _margin(result.stdout, "d, samples") == 400.0
    assert _margin(result.stdout, "d, signal") == pytest.approx(1e4 * 2.25 / 80, rel=1e-3)
    assert _margin(call("show", "chen2023/sgd-boundary").stdout, "d, samples") == 2500.0


def test_show_out_of_scope():
    claim = "chen2023/coefficient-growth-lower"
    weak, strong = (call("show", claim, "--mu", mu) for mu in (0.1, 1000))
    assert weak.exit_code == strong.exit_code == 0
    assert "Out of scope" not in weak.stdout
    assert "NOT met" not in weak.stdout
    assert "Out of scope" in strong.stdout
    assert "NOT met" in strong.stdout


@pytest.mark.parametrize("option", ["--n", "--d", "--width", "--mu", "--sigma-0", "--flip-rate", "--batch", "--eta"])
def test_show_takes_every_letter(option):
    value = 0.3 if option == "--flip-rate" else 7
    assert call("show", "chen2023/sgd-boundary", option, value).stdout != call("show", "chen2023/sgd-boundary").stdout


@pytest.mark.parametrize(
    ("option", "value", "naming"),
    [
        ("--d", "nan", "--d"), ("--d", "inf", "--d"), ("--d", 0, "d = 0"), ("--n", 0, "n = 0"),
        ("--n", -3, "n = -3"), ("--mu", -1, "mu = -1"), ("--mu", "nan", "mu = nan"), ("--sigma-p", -1, "sigma_p = -1"),
        ("--sigma-0", "inf", "sigma_0 = inf"), ("--flip-rate", 0.5, "p = 0.5"), ("--flip-rate", -0.1, "p = -0.1"),
        ("--eta", "-inf", "eta = -inf"), ("--patches", 1, "P = 1"), ("--width", 0, "m = 0"), ("--batch", 0, "B = 0"),
        ("--n", "x", "--n"), ("--n", 2.5, "--n"), ("--mu", "1e200", "mu = 1e+200"), ("--n", "9" * 400, "--n"),
        ("--n", "9" * 150, "n = 999"),
    ],
)  # fmt: skip
def test_show_refuses(option, value, naming):
    refused("show", "chen2023/sgd-boundary", option, value, naming=naming)


@pytest.mark.parametrize("name", ["nope", "", "chen2023", "chen2023/*", "chen2023/DECOMPOSITION"])
def test_unknown_claims(name):
    refused("show", name, naming=f"claim = {name!r}")
    if "*" not in name:
        refused("cite", name, naming=f"claim = {name!r}")
        refused("verify", name, "--json", "out.json", naming=f"claim = {name!r}")
        refused("verify", CHEAP, name, "--json", "out.json", naming=f"claim = {name!r}")


def test_cite():
    everything = call("cite")
    assert everything.exit_code == 0
    assert everything.stdout.count("@") == sum(paper.bibtex.count("@") for paper in papers().values())
    assert call("cite", "chen2023/sgd-*", "chen2023/decomposition").stdout.strip() == papers()["chen2023"].bibtex


# verify


@compiled
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


@compiled
def test_verify_prints_json_alone():
    options = ("--no-cache", "--workers", 1, "--json", "-", "--seed", 3)
    result = call("verify", CHEAP, "chen2023/coefficient-signs", *options)
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["id"] for row in rows] == ["chen2023/coefficient-signs", CHEAP]  # in the registry's order
    assert {row["seed"] for row in rows} == {3}
    assert "negative controls rejected" in result.stderr


@compiled
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


@compiled
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


# simulate conv


RUN_KEYS = [
    "seed", "status", "steps", "train_loss", "clean_error", "clean_error_se", "test_error", "gamma", "rho_bar_mean",
    "rho_under_mean",
]  # fmt: skip


def simulated(*options):
    """Return the JSON of `simulate conv`."""
    result = call("simulate", "conv", *SHORT, "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_simulate_json():
    found = simulated("--seeds", 3, "--seed", 5, "--mu", 2, "--eta", 0.1)
    assert list(found) == ["spec", "runs"]
    assert [run["seed"] for run in found["runs"]] == [5, 6, 7]
    spec = ConvSpec(SignalNoise(8, 50, 2, 2.0), 3, 0.1, step_size=0.1, max_steps=30)
    for row in found["runs"]:
        assert list(row) == RUN_KEYS
        result = run(replace(spec, seed=row["seed"]))
        for name in set(RUN_KEYS) - {"seed", "gamma"}:
            assert row[name] == getattr(result, name), name
        assert row["gamma"] == result.gamma.tolist()
    assert found["runs"][0]["train_loss"] != found["runs"][1]["train_loss"]
    assert found["spec"]["model"] == "conv"
    assert found["spec"]["seed"] == 5
    assert found["spec"]["width"] == 3
    assert found["spec"]["data"]["dimension"] == 50
    assert found["spec"]["record"] == 0


def test_simulate_table():
    result = call("simulate", "conv", *SHORT, "--seeds", 2)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["seed", "status", "steps", "train_loss"]
    assert [line.split()[0] for line in lines[1:3]] == ["0", "1"]
    runs = simulated("--seeds", 2)["runs"]
    assert f"mean clean error {np.mean([run['clean_error'] for run in runs]):.4f} ±" in lines[-1]
    assert "mean clean error" not in call("simulate", "conv", *SHORT).stdout


def test_simulate_diverged_is_valid_json():
    found = simulated("--mu", "1e200")
    assert found["runs"][0]["status"] == "diverged"
    assert found["runs"][0]["clean_error"] is None


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (("--tau-c3", 2), {"C3": 2.0}), ((), {"C3": 1.0}), (("--batch", 3), {"C3": 1.0, "B": 3}),
        (("--tau-c3", 0.5, "--sigma-p", 2, "--patches", 4), {"C3": 0.5, "sigma_p": 2.0, "P": 4}),
    ],
)  # fmt: skip
def test_radius_is_the_closed_form(options, arguments):
    spec = simulated("--rule", "sam", *options)["spec"]
    assert spec["radius"] == sam_radius(**{"m": 3, "B": 8, "P": 2, "sigma_p": 1.0, "d": 50, **arguments})
    assert spec["sam_steps"] == 0
    assert simulated("--rule", "sam", "--tau", 0.25)["spec"]["radius"] == 0.25


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (("--kappa", 0.25), {"kappa": 0.25}), ((), {"kappa": 0.5}), (("--kappa", 0), {"kappa": 0.0}),
        (("--kappa", 2, "--mu", 1.5, "--eta", 0.3), {"kappa": 2.0, "mu": 1.5, "eta": 0.3}),
        (("--kappa", 2, "--flip-rate", 0.3), {"kappa": 2.0, "p": 0.3}),
        (("--kappa", 1, "--labels", "balanced"), {"kappa": 1.0, "p": 0.0}),  # 0.4 flips a class are none
        (("--kappa", 1, "--labels", "balanced", "--flip-rate", 0.2), {"kappa": 1.0, "p": 0.25}),  # 0.8 are one
    ],
)  # fmt: skip
def test_length_of_the_sam_phase_is_the_closed_form(options, arguments):
    spec = simulated("--rule", "sam-then-sgd", *options)["spec"]
    assert spec["sam_steps"] == sam_steps(**{"m": 3, "eta": 0.01, "mu": 3.0, "p": 0.1, **arguments})
    assert spec["radius"] == sam_radius(3, 8, 2, 1.0, 50, 1.0)
    assert simulated("--rule", "sam-then-sgd", "--sam-steps", 7)["spec"]["sam_steps"] == 7


def test_every_option_reaches_the_specification():
    options = {
        "--n": 7, "--d": 60, "--width": 2, "--patches": 3, "--mu": 2.5, "--sigma-p": 1.5, "--sigma-0": 0.2,
        "--flip-rate": 0.2, "--labels": "balanced", "--noise-patches": "independent", "--rule": "sam-then-sgd",
        "--tau": 0.3, "--sam-steps": 4, "--batch": 3, "--eta": 0.02, "--max-steps": 11, "--stop-loss": 0.02,
        "--seed": 9, "--space": "dense",
    }  # fmt: skip
    result = call("simulate", "conv", "--json", *(str(word) for pair in options.items() for word in pair))
    found = json.loads(result.stdout)
    data = SignalNoise(7, 60, 3, 2.5, 1.5, 0.2, "balanced", "independent")
    expected = ConvSpec(data, 2, 0.2, "sam-then-sgd", 0.3, 4, 3, 0.02, 11, 0.02, 9, "dense")
    assert found["spec"] == {**expected.to_dict(), "record": 0}
    assert found["runs"][0]["train_loss"] == run(expected).train_loss


def test_counts_may_be_written_with_an_exponent():
    assert simulated("--d", "1e9", "--max-steps", "1e1")["spec"]["data"]["dimension"] == 10**9


def test_save(folder):
    options = ("--seeds", 2, "--seed", 3, "--record", 10, "--save", "out.npz")
    assert call("simulate", "conv", *SHORT, *options).exit_code == 0
    assert [p.name for p in folder.iterdir()] == ["out.npz"]
    with np.load(folder / "out.npz") as file:
        saved = dict(file)
    spec = ConvSpec(SignalNoise(8, 50), 3, 0.1, max_steps=30, record=(0, 10, 20, 30))
    history = ("step", "loss", "logits", "gamma", "rho", "deactivated", "labels", "signal_labels")
    assert set(saved) == {"spec", *RUN_KEYS} - {"gamma"} | {f"run{k}/{name}" for k in (3, 4) for name in history}
    assert json.loads(str(saved["spec"])) == json.loads(json.dumps(replace(spec, seed=3).to_dict()))
    for k in (3, 4):
        result = run(replace(spec, seed=k))
        assert saved[f"run{k}/step"].tolist() == [0, 10, 20, 30]
        for name, values in {**result.history, "labels": result.labels}.items():
            assert np.array_equal(saved[f"run{k}/{name}"], values, equal_nan=True), name
        assert saved["clean_error"][k - 3] == result.clean_error
    assert saved["seed"].tolist() == [3, 4]
    assert not np.array_equal(saved["run3/rho"], saved["run4/rho"])


BAD = [
    ("--n", 0, "samples (n) = 0"), ("--n", -1, "samples (n) = -1"), ("--n", 2.5, "--n"), ("--n", "nan", "--n"),
    ("--n", "1e300", "samples (n)"), ("--n", "x", "--n"),
    ("--d", 0, "dimension (d) = 0"), ("--d", "1e16", "dimension (d)"), ("--d", "inf", "--d"),
    ("--width", 0, "width (m) = 0"), ("--patches", 0, "patches (P) = 0"),
    ("--mu", -1, "signal_norm (mu) = -1.0"), ("--mu", "nan", "signal_norm (mu) = nan"), ("--mu", "inf", "(mu) = inf"),
    ("--sigma-p", -1, "noise_std (sigma_p) = -1.0"), ("--sigma-p", "nan", "noise_std (sigma_p) = nan"),
    ("--sigma-0", -1, "init_std (sigma_0) = -1.0"), ("--sigma-0", "inf", "init_std (sigma_0) = inf"),
    ("--flip-rate", 0.5, "flip_rate (p) = 0.5"), ("--flip-rate", -0.1, "flip_rate (p) = -0.1"),
    ("--flip-rate", "nan", "flip_rate (p) = nan"), ("--labels", "nope", "--labels"),
    ("--noise-patches", "nope", "--noise-patches"), ("--rule", "nope", "--rule"), ("--space", "nope", "--space"),
    ("--batch", 9, "batch_size (B) = 9"), ("--batch", 0, "batch_size (B) = 0"), ("--batch", "half", "--batch"),
    ("--eta", 0, "step_size (eta) = 0.0"), ("--eta", -1, "step_size (eta)"), ("--eta", "nan", "step_size (eta) = nan"),
    ("--max-steps", -1, "max_steps = -1"), ("--stop-loss", -1, "stop_loss = -1.0"), ("--stop-loss", "nan", "stop_loss"),
    ("--seeds", 0, "seeds = 0"), ("--seeds", -1, "seeds = -1"),
    ("--seed", -1, "seed = -1"), ("--record", -1, "record = -1"), ("--record", 0.5, "--record"),
    ("--workers", 0, "workers = 0"), ("--workers", "1e9", "workers"),
    ("--tau", 0.1, "tau = 0.1"), ("--tau-c3", 1, "tau_c3 = 1.0"), ("--kappa", 1, "kappa = 1.0"),
    ("--sam-steps", 3, "sam_steps = 3"),
    ("--save", "no/such/folder.npz", "output file"), ("--save", ".", "output file"), ("--save", "", "output file"),
    ("--save", "-", "save"),
]  # fmt: skip


@pytest.mark.parametrize(("option", "value", "naming"), BAD, ids=[f"{option}={value}" for option, value, _ in BAD])
def test_bad_value_is_one_error(option, value, naming):
    refused("simulate", "conv", *SHORT, "--save", "out.npz", option, value, naming=naming)


WITH_SAM = [
    (("--rule", "sam", "--tau", -1), "tau = -1.0"), (("--rule", "sam", "--tau", "nan"), "tau = nan"),
    (("--rule", "sam", "--tau-c3", 0), "C3 = 0.0"), (("--rule", "sam", "--tau-c3", "inf"), "C3 = inf"),
    (("--rule", "sam", "--tau", 1, "--tau-c3", 1), "tau and tau_c3"), (("--rule", "sam", "--kappa", 1), "kappa = 1.0"),
    (("--rule", "sam", "--sam-steps", 1), "sam_steps = 1"), (("--rule", "sam", "--sigma-p", 0), "sigma_p = 0.0"),
    (("--rule", "sam", "--batch", 9), "batch_size (B) = 9"),
    (("--rule", "sam-then-sgd", "--kappa", -1), "kappa = -1.0"), (("--rule", "sam-then-sgd", "--mu", 0), "mu = 0.0"),
    (("--rule", "sam-then-sgd", "--kappa", "1e308"), "kappa = 1e+308"),
    (("--rule", "sam-then-sgd", "--mu", "1e-200"), "mu = 1e-200"),
    (("--rule", "sam-then-sgd", "--sam-steps", -1), "sam_steps = -1"),
    (("--rule", "sam-then-sgd", "--sam-steps", 3, "--kappa", 1), "sam_steps and kappa"),
    (("--record", 1, "--max-steps", "2e6"), "record = 1"), (("--space", "dense", "--d", "1e14"), "memory"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "naming"), WITH_SAM, ids=[" ".join(map(str, options)) for options, _ in WITH_SAM])
def test_bad_combination_is_one_error(options, naming):
    refused("simulate", "conv", *SHORT, "--save", "out.npz", *options, naming=naming)


@pytest.mark.parametrize("options", [("--mu", "1e200"), ("--mu", "1e-20", "--eta", "1e-300")])
def test_products_beyond_float64(options):
    """Whether refused or run: no traceback."""
    assert call("simulate", "conv", *SHORT, "--rule", "sam-then-sgd", *options).exit_code in (0, 2)


@pytest.mark.parametrize("option", ["--width", "--n"])
def test_more_than_memory_is_one_error(monkeypatch, option):
    def fails(*arguments, **named):
        raise MemoryError("Unable to allocate 1 PiB")

    monkeypatch.setattr("simulate.conv_run.draw_gram", fails)
    refused("simulate", "conv", option, 7, "--save", "out.npz", naming="memory")


def test_good_values_are_not_refused(folder):
    """The control: the very same call without the bad value writes its file."""
    assert call("simulate", "conv", *SHORT, "--save", "out.npz").exit_code == 0
    assert (folder / "out.npz").exists()


# the user's own vectors


DATA = SignalNoise(samples=6, dimension=30, patches=3, signal_norm=2.0, noise_std=1.5, flip_rate=0.2)


@pytest.fixture
def instance(folder):
    """Write a problem to own.npz (with its weights) and bare.npz (without) and return it."""
    instance = draw_dense(DATA, 2, 0.1, 4)
    own = {
        "mu": instance.vectors[0], "noise": instance.vectors[1:], "labels": instance.labels,
        "signal_labels": instance.signal_labels, "patches": 3,
    }  # fmt: skip
    np.savez(folder / "bare.npz", **own)
    np.savez(folder / "own.npz", **own, W0=instance.weights)
    return instance


@pytest.mark.parametrize("rule", ["sgd", "sam"])
def test_own_vectors_are_trained_as_they_are(instance, rule):
    """In dense space to the last bit what the vectors give directly; in Gram space the same up to rounding."""
    options = ("--data", "own.npz", "--flip-rate", 0.2, "--sigma-p", 1.5, "--rule", rule, "--eta", 0.05)
    options += ("--max-steps", 40, "--json") + (("--tau", 0.3) if rule == "sam" else ())
    dense, gram = (
        json.loads(call("simulate", "conv", *options, "--space", space).stdout)["runs"][0]
        for space in ("dense", "gram")
    )
    radius = 0.3 if rule == "sam" else 0.0
    spec = ConvSpec(DATA, 2, 0.1, rule, radius, step_size=0.05, max_steps=40, space="dense")
    network = DenseNetwork(instance)
    train_network(spec, network)
    assert dense["train_loss"] == network.loss()
    assert dense["clean_error"] == clean_error(network, 1.5)[0]
    assert dense["gamma"] == network.signal_coefficients().tolist()
    assert gram["train_loss"] == pytest.approx(dense["train_loss"], rel=1e-12)
    assert gram["gamma"] == pytest.approx(dense["gamma"], rel=1e-10)
    assert dense["test_error"] == pytest.approx(0.2 + 0.6 * dense["clean_error"])


def test_own_vectors_without_weights(instance):
    """Weights are then drawn, by seed; sigma_p is the noise's root mean square and tau follows the file's numbers."""
    options = ("--rule", "sam", "--width", 4, "--seeds", 2, "--max-steps", 50, "--json")
    result = call("simulate", "conv", "--data", "bare.npz", *options)
    found = json.loads(result.stdout)
    rms = float(np.sqrt(np.mean(instance.vectors[1:] ** 2)))
    assert found["spec"]["data"]["noise_std"] == rms
    assert found["spec"]["radius"] == sam_radius(4, 6, 3, rms, 30, 1.0)
    assert len(found["spec"]["data"]["sha256"]) == 64
    assert len(found["runs"][0]["gamma"]) == 8
    assert found["runs"][0]["train_loss"] != found["runs"][1]["train_loss"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--n", 6), ("--d", 30), ("--patches", 3), ("--mu", 2.0), ("--labels", "iid"), ("--noise-patches", "shared")],
)
def test_what_the_file_decides_is_not_given_twice(instance, option, value):
    """Even where it agrees."""
    refused("simulate", "conv", "--data", "bare.npz", option, value, "--save", "out.npz", naming=f"{option} = ")


@pytest.mark.parametrize(("option", "value"), [("--width", 2), ("--sigma-0", 0.1)])
def test_weights_in_the_file_decide_width_and_sigma_0(instance, option, value):
    refused("simulate", "conv", "--data", "own.npz", option, value, naming=f"{option} = ")
    assert call("simulate", "conv", "--data", "bare.npz", option, value, "--max-steps", 3).exit_code == 0


def test_bad_files_are_one_error(instance, folder):
    vectors = instance.vectors
    (folder / "empty.npz").write_bytes(b"")
    (folder / "text.npz").write_text("text")
    np.save(folder / "lone.npy", vectors)
    np.savez(folder / "keys.npz", mu=vectors[0], noise=vectors[1:])
    np.savez(folder / "nan.npz", mu=np.nan * vectors[0], noise=vectors[1:], labels=instance.labels)
    np.savez(folder / "shape.npz", mu=vectors[0, 1:], noise=vectors[1:], labels=instance.labels)
    np.savez(folder / "zeros.npz", mu=vectors[0], noise=vectors[1:], labels=0 * instance.labels)
    np.savez(folder / "object.npz", mu=np.array([None]), noise=vectors[1:], labels=instance.labels)
    (folder / "cut.npz").write_bytes((folder / "own.npz").read_bytes()[:300])
    for name, naming in {
        "nope.npz": "data = 'nope.npz'", ".": "data = '.'", "empty.npz": "data = 'empty.npz'",
        "text.npz": "data = 'text.npz'", "lone.npy": "data = 'lone.npy'",
        "keys.npz": "missing: labels", "nan.npz": "mu = ", "shape.npz": "noise = ", "zeros.npz": "labels = ",
        "object.npz": "data = 'object.npz'", "cut.npz": "data = 'cut.npz'",
    }.items():  # fmt: skip
        refused("simulate", "conv", "--data", name, "--save", "out.npz", naming=naming)
    refused("simulate", "conv", "--data", "own.npz", "--rule", "sam", "--batch", 7, naming="batch_size (B) = 7")


# as Python calls


@compiled
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

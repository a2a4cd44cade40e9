"""The command line: help, start-up, and what is listed, shown and cited."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import call, refused

import sharpbounds
from theory.registry import claims, papers

ROOT = Path(__file__).resolve().parents[1]
CHEAP = "chen2023/deactivation"
SHORT = ["--max-steps", "30", "--n", "8", "--d", "50", "--width", "3", "--sigma-0", "0.1"]


pytestmark = pytest.mark.usefixtures("folder")

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

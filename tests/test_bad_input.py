"""Bad words in every option of every command: one message that names option and value, status 2, nothing written.

`HYPOTHESIS_PROFILE=deep` tries every word of `strategies.WORDS` in every option, some 25 000 command lines.
"""

import os
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import records, written
from strategies import SCAN, WORDS, commands, takers, words

import sharpbounds
from simulate.conv_run import ConvSpec
from simulate.diagonal_run import DiagonalSpec
from simulate.finite_sum_run import FiniteSumSpec
from simulate.parameters import ParameterError

CLAIM = "quadratics/usam-threshold"
GRID = ("--grid", "max_steps=1,2", "--out", "new")
GOOD = {  # a valid line of every command
    ("list",): (), ("show",): (CLAIM,), ("verify",): (CLAIM, "--workers", "1"), ("check",): (CLAIM,), ("cite",): (),
    ("simulate", "conv"): (), ("simulate", "diagonal"): (), ("simulate", "finite-sum"): (), ("predict", "conv"): (),
    ("scan", "conv"): GRID, ("scan", "diagonal"): ("--grid", "steps=1,2", "--out", "new"),
    ("scan", "finite-sum"): ("--grid", "steps=1,2", "--out", "new"), ("scan", "status"): ("done",),
    ("scan", "export"): ("done", "--out", "table.csv"),
    ("boundary", "conv"): ("--along", "mu", "--level", "p+0.1"),
    ("boundary", "diagonal"): ("--along", "alpha", "--level", "0.1"),
    ("boundary", "finite-sum"): ("--along", "condition", "--level", "0.1"),
    ("falsify",): (CLAIM, "--workers", "1"),
    ("plot",): ("done", "--x", "max_steps", "--value", "test_error", "--out", "new.png"),
    ("figure",): ("heat_maps", "--out", "pictures", "--workers", "1"),
    ("report",): (CLAIM, "--workers", "1", "--out", "pages"), ("table",): (CLAIM, "--workers", "1"),
    ("diff",): ("old.json", "new.json"),
}  # fmt: skip
CALLED = {  # what messages call an option, beside its own name
    "patterns": "claims?", "claim_id": "claims?", "folder": "scan directory", "names": "figure", "zips": "zip",
    "record_file": "record file", "old": "record file", "new": "record file", "json_file": "output file",
    "save": "output file", "archive": "output file", "out": "output file|output folder|scan directory", "form": "to",
    "formats": "format", "grid": ".*", "at": ".*", "point": ".*", "config": ".*",
}  # fmt: skip
COMMANDS = commands()
SHARE = max(1, 50 * 25 // settings.default.max_examples)  # of the words that an option gets: one in so many
TOLD_BY_STATUS = ("diff",), ("check",)  # status 1 is an answer


def test_every_command_is_here():
    assert set(GOOD) == set(COMMANDS)
    assert sum(len(takers(command)) for command in COMMANDS.values()) * len(WORDS) > 20_000


def stop(*arguments, **named):
    """Stand in for what takes long: the words before it were good."""
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    raise SystemExit(0)


def stop_at_workers(workers, *arguments, **named):
    assert workers <= 4 * os.cpu_count()
    raise SystemExit(0)


STOPPED = (
    "simulate.runner.Runner.run", "theory.check.check", "theory.contract.missing", "theory.falsify._explore",
    "theory.falsify.Search.rerun", "theory.ours.prediction.effective_process", "theory.ours.prediction.limit_system",
    "theory.ours.prediction.sam_phase", "figures.plot_command._bytes", "webbrowser.open",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a scan and two files of records; calls are made in a copy, and nothing is computed."""
    kept, here = tmp_path_factory.mktemp("kept"), tmp_path_factory.mktemp("cwd") / "here"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(kept)
        patch.setenv("SHARPBOUNDS_CACHE", str(kept.parent / "cache"))
        written(records(), kept, "old.json"), written(records(), kept, "new.json")
        assert CliRunner().invoke(sharpbounds.main, SCAN).exit_code == 0
        shutil.copytree(kept, here)
        patch.chdir(here)
        for name in STOPPED:
            patch.setattr(name, stop)
        for spec in (ConvSpec, DiagonalSpec, FiniteSumSpec):
            patch.setattr(spec, "run", stop)
        patch.setattr("simulate.executor.ProcessPoolExecutor", stop_at_workers)
        yield kept


def contents():
    """Return what lies in the working folder."""
    return {path: path.stat().st_mtime_ns if path.is_file() else None for path in Path().rglob("*")}


def call(folder, path, arguments):
    """Return the error of a command line, or None where it was good after all; check everything but its wording."""
    before = contents()
    result = CliRunner().invoke(sharpbounds.main, [*path, *arguments])
    where = f"{path} {arguments}: {result.exception!r}"
    assert result.exception is None or isinstance(result.exception, SystemExit), where
    assert "Traceback" not in result.output, where
    assert result.exit_code in ((0, 1, 2) if path in TOLD_BY_STATUS else (0, 2)), f"{where} {result.stderr}"
    if result.exit_code == 2:
        assert contents() == before, where
        *_, error = result.stderr.partition("Error: ")
        assert error.count("Error: ") == 0, where
        assert len(error.strip().splitlines()) == 1, error
        return error.strip()
    if contents() != before:
        shutil.rmtree(Path(), ignore_errors=True)
        shutil.copytree(folder, Path(), dirs_exist_ok=True)
    return None


def with_word(path, param, word):
    """Return the arguments of the good line of a command with one parameter replaced."""
    good = list(GOOD[path])
    if isinstance(param, click.Option):
        return [*good, param.opts[-1], word]
    place = [one for one in COMMANDS[path].params if isinstance(one, click.Argument)].index(param)
    return [*good[:place], word, *good[place + 1 :]]


def words_of(param):
    """Return a pattern of what a message may call a parameter."""
    names = {param.name, *(option.lstrip("-") for option in param.opts)}
    names |= {name.replace("-", "_") for name in names} | {name.replace("_", "-") for name in names}
    return "|".join([*map(re.escape, sorted(names)), CALLED.get(param.name, "(?!)")])


def forms(word):
    """Return the ways in which a message may write a word."""
    found = {word, word.strip(), repr(word), repr(word)[1:-1], word.replace("-", "_"), re.sub("([+-])", r" \1 ", word)}
    for kind in (float, int, lambda text: int(float(text)), lambda text: f"{float(text):g}"):
        with suppress(ValueError, OverflowError):
            found.add(str(kind(word)))
    if re.fullmatch("p[+-].+", word):  # a level
        found.add(f"p {word[1]} {float(word[2:]):g}")
    return {text[:60] for text in found if text}


def assert_told(path, param, word, error):
    """Check that an error names the parameter and the word; or another parameter, that does not go with it."""
    if error.startswith(("No such option", "not enough memory", "Got unexpected extra")):
        return
    subject = error.partition(" = ")[0] if " = " in error else error
    named = re.search(rf"(?<!\w)(?:{words_of(param)})(?![A-Za-z0-9])", subject)
    others = "|".join(words_of(one) for one in COMMANDS[path].params)
    assert named or re.search(rf"(?<!\w)(?:{others})(?![A-Za-z0-9])", subject), f"{path} {param.name} {word!r}: {error}"
    in_parts = param.name in ("grid", "at", "point", "zips", "patterns", "claim_id")
    parts = set(re.split(r"[,=:]", word)) - {""} if in_parts else set()
    if named and param.name not in ("probabilities", "record_times"):
        assert any(text in error for text in forms(word) | parts), f"{path} {param.name} {word!r}: {error}"


@pytest.mark.parametrize("path", GOOD, ids=" ".join)
def test_good_line_is_taken(folder, path):
    """The control of all below."""
    assert call(folder, path, GOOD[path]) is None


@pytest.mark.parametrize("path", GOOD, ids=" ".join)
def test_bad_word_is_one_error(folder, path):
    """One option at a time."""
    for k, param in enumerate(takers(COMMANDS[path]).values()):
        for word in WORDS[7 * k % SHARE :: SHARE]:
            error = call(folder, path, with_word(path, param, word))
            if error is not None:
                assert_told(path, param, word, error)


@st.composite
def lines(draw):
    """Return a command and arguments of which up to three are any words, some flags among them."""
    path = draw(st.sampled_from(sorted(GOOD)))
    params, arguments = COMMANDS[path].params, list(GOOD[path])
    for param in draw(st.lists(st.sampled_from(params), min_size=1, max_size=3)) if params else ():
        if isinstance(param, click.Option):
            arguments += [param.opts[-1]] if param.is_flag else [param.opts[-1], draw(words)]
        else:
            arguments = [draw(words), *arguments[1:]]
    return path, arguments


@given(lines())
@settings(max_examples=8 * settings.default.max_examples)
def test_bad_words_together(folder, line):
    """Some options at a time, with flags, in any order."""
    call(folder, *line)


def test_sizes_beyond_addresses_are_one_error(folder, monkeypatch):
    """What numpy cannot address is told as what it cannot allocate; another ValueError is a fault and stays one."""
    for error in ("array is too big; `arr.size`", "Maximum allowed dimension exceeded", "something else"):

        def fails(*arguments, error=error):
            raise ValueError(error)

        monkeypatch.setattr(ConvSpec, "run", fails)
        monkeypatch.setattr("simulate.runner.Runner.run", lambda self, specs: [spec.run() for spec in specs])
        result = CliRunner().invoke(sharpbounds.main, ["simulate", "conv"])
        assert (result.exit_code == 2 and "not enough memory" in result.stderr) is (error != "something else")


@pytest.mark.parametrize("letter", ["mu", "sigma_p", "sigma_0", "eta"])
@pytest.mark.parametrize("value", [1e308, 1e160, 1e-320])
def test_prediction_beyond_float64_is_finite_or_one_error(letter, value):
    spec = sharpbounds.conv(**{letter: value}, labels="balanced")
    with suppress(ParameterError):
        assert sharpbounds.predict(spec, "closed").clean_error.value >= 0.0

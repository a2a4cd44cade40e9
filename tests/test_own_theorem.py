"""A theorem of one's own: the page that makes one, files taken as ids are, errors, and workers."""

import numpy as np
import pytest
from click.testing import CliRunner
from pages import ROOT, run_page, shows, steps

import sharpbounds
from simulate.parameters import ParameterError
from theory import own, registry
from theory.claim import Outcome

PAGE = (ROOT / "docs" / "your_theorem.md").read_text()

HEAD = """
import numpy as np
from sharpbounds import Claim, Control, Kind, Samples, stream
"""
PLAIN = HEAD + """
def claim(name, **changes):
    fields = dict(
        id=f"mine/{name}", title="A title", statement="draws are at most 1", source="this file", kind=Kind.UPPER_BOUND,
        hypotheses=(), parameters={}, tolerance=0.0, tolerance_reason="exact",
        observe=lambda settings, runner: Samples(stream("mine", settings["seed"]).random(settings["seeds"])),
        predict=lambda samples: np.ones(len(samples.observed)),
        control=Control("half", lambda samples: np.full(len(samples.observed), 0.5)),
        quick={"seeds": 20}, full={"seeds": 200},
    )
    return Claim(**fields | changes)

CLAIMS = [claim("first"), claim("second")]
"""


def call(*arguments):
    """Run a command in this process."""
    return CliRunner().invoke(sharpbounds.main, [str(argument) for argument in arguments])


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a file of claims."""

    def write(text=PLAIN, name="my_theorem.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


# the page


def test_the_page_as_it_is_written(tmp_path):
    """Its file and its commands, one by one, in a folder far from the project; the output is the one shown."""
    assert run_page(PAGE, tmp_path) == [1, 0, 0, 0]
    assert not (tmp_path / "__pycache__").exists()


def test_shown_is_compared():
    """The control: a figure, a line or an order that differs is seen."""
    assert shows("a … c\n", "a 1.5 c")
    assert shows("a\n…\nc", "a\nb\nb\nc\n")
    for other in ("a 1.5 d", "a c d", "b a 1.5 c", ""):
        assert not shows("a … c\n", other)


def test_floor_of_the_page():
    """The fixed point of E x₊² = (1 − u)² E x² + u², by iteration."""
    namespace = {}
    source = next(text for name, text in steps(PAGE) if name == "my_theorem.py")
    exec(source, namespace)
    for eta, rho in ((0.2, 0.5), (0.1, 0.0), (0.6, 2.0)):
        u, square = eta * (1.0 + rho), 9.0
        for _ in range(2000):
            square = (1.0 - u) ** 2 * square + u * u
        assert namespace["floor"](eta, rho) == pytest.approx(0.5 * square, rel=1e-12)


# files as ids


def test_every_command_takes_a_file(file):
    path = file()
    assert call("list", path, "--ids").output.split() == ["mine/first", "mine/second"]
    assert call("list", path, "quadratics/two-cycle", "--ids").output.split()[0] == "quadratics/two-cycle"
    shown = call("show", path).output
    assert shown.index("mine/first") < shown.index("mine/second")
    assert "mine/first" not in call("show", f"{path}::*/second").output
    result = call("verify", path, "--workers", 1, "--no-cache")
    assert result.exit_code == 0, result.output
    assert "2 claims: 2 holds; 2 of 2 negative controls rejected." in result.output
    assert call("check", path).output == (
        "mine/first: nothing missing, 13 rules\nmine/second: nothing missing, 13 rules\n2 claims, nothing missing.\n"
    )


def test_from_python(file):
    (record,) = sharpbounds.verify(f"{file()}::mine/first", workers=1, store=False)
    assert record.passed
    assert record.verdict.outcome is Outcome.HOLDS
    assert [claim.id for claim in sharpbounds.select([str(file())])] == ["mine/first", "mine/second"]
    assert sharpbounds.Claim is type(record.claim)


def test_one_claim_of_a_file(file):
    """What takes one claim takes a file that has one, or says how to name one."""
    path = file()
    assert registry.find(f"{path}::*/second").id == "mine/second"
    with pytest.raises(ParameterError, match=r"must be one of its claims, as in .*::mine/first"):
        registry.find(str(path))
    found = call("falsify", f"{path}::mine/first", "--workers", 1)
    assert found.exit_code == 0, found.output
    assert "mine/first" in found.output


def test_a_changed_file_is_read_anew(file):
    assert [c.id for c in registry.select([str(file())])] == ["mine/first", "mine/second"]
    same = registry.select([str(file())])
    assert all(a is b for a, b in zip(same, registry.select([str(file())]), strict=True))
    changed = file(PLAIN.replace('claim("second")', 'claim("third")'))
    assert [c.id for c in registry.select([str(changed)])] == ["mine/first", "mine/third"]


def test_files_of_one_name_are_two(file, tmp_path):
    first, other = file(), tmp_path / "other"
    other.mkdir()
    second = other / first.name
    second.write_text(PLAIN.replace("mine/", "yours/"))
    assert {c.id for c in registry.select([str(first), str(second)])} == {
        "mine/first", "mine/second", "yours/first", "yours/second",
    }  # fmt: skip
    second.write_text(PLAIN)
    with pytest.raises(ParameterError, match="'mine/first': must be one that no other claim has"):
        registry.select([str(first), str(second)])


def test_the_table_has_one_more_claim(file):
    selected = registry.select([str(file()), "quadratics/*"])
    assert registry.table_size(selected) == len(registry.claims()) + 2
    assert registry.table_size(registry.select(["quadratics/*"])) == len(registry.claims())


PAPER = """
from sharpbounds import Paper
PAPER = Paper("mine", "T", "A", "V", "", "@misc{mine,\\n  title = {T}\\n}")
"""


def test_cite(file):
    assert call("cite", file()).exit_code == 2
    assert "PAPER" in call("cite", file()).output
    assert call("cite", file(PLAIN + PAPER)).output == "@misc{mine,\n  title = {T}\n}\n"


# what is wrong with a file


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\nCLAIMS = [\n", "my_theorem.py, line 2: SyntaxError: '[' was never closed"),
        ("\n\nprint(nothing)", "my_theorem.py, line 3: NameError: name 'nothing' is not defined"),
        ("\n1 / 0", "my_theorem.py, line 2: ZeroDivisionError"),
        ("import sys\nsys.exit(3)", "my_theorem.py, line 2: SystemExit: 3"),
        (HEAD + "\nCLAIMS = [Claim(id='mine/x')]", "required positional arguments: 'title', 'statement'"),
        ("", "CLAIMS of"),
        ("CLAIMS = []", "a list of one or more claims"),
        ("CLAIMS = [3]", "a list of one or more claims"),
        (PLAIN.replace('"second"', '"first"'), "'mine/first': must be a text that no other claim has"),
        (PLAIN.replace("mine/{name}", "quadratics/two-cycle").replace(', claim("second")', ""), "no other claim has"),
    ],
)
def test_errors_in_a_file(file, text, told):
    for command in ("list", "show", "verify", "check"):
        result = call(command, file(text))
        assert result.exit_code == 2, result.output
        assert told in " ".join(result.output.split()), result.output
        assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["nowhere.py", "folder.py"])
def test_files_that_cannot_be_read(tmp_path, name):
    (tmp_path / "folder.py").mkdir()
    result = call("verify", tmp_path / name)
    assert result.exit_code == 2
    assert "a Python file" in result.output


def test_other_files_are_refused(file):
    assert "a Python file" in call("verify", file(name="theorem.txt")).output
    assert call("verify", "x" * 5000).exit_code == 2
    assert "must be an id or glob of ids among mine/first" in call("verify", f"{file()}::mine/third").output


@pytest.mark.parametrize("place", ["observe", "predict"])
def test_errors_while_checking(file, place):
    bad = PLAIN.replace('claim("second")', f'claim("second", {place}=lambda *given: 1 / 0)')
    line = bad[: bad.index("1 / 0")].count("\n") + 1
    result = call("verify", file(bad), "--workers", 1)
    assert result.exit_code == 2
    assert f"my_theorem.py, line {line}: ZeroDivisionError: division by zero" in result.output
    found = call("check", file(bad))
    assert found.exit_code == 1
    assert f"line {line}: ZeroDivisionError" in found.output


def test_errors_of_the_project_stay_errors(monkeypatch):
    """The control: an error that no user's file raised is not blamed on one."""
    monkeypatch.setattr(registry, "select", lambda patterns: 1 / 0)
    assert isinstance(call("verify").exception, ZeroDivisionError)
    assert own.blame(ValueError("x")) is None


# what the file defines, in workers

OWN_RUN = HEAD + '''
from dataclasses import dataclass
from simulate.finite_sum_run import FiniteSumResult, FiniteSumSpec

@dataclass(frozen=True)
class Shifted(FiniteSumSpec):
    shift: float = 0.0

    def run(self):
        value = self.shift + stream("shifted", self.seed).random()
        x = np.zeros(1)
        return FiniteSumResult("max-steps", 0, value, 0.0, 0.0, x, x, {"step": np.zeros(1), "gap": np.array([value])})

def observe(settings, runner):
    specs = [Shifted(shift=2.0, seed=settings["seed"] + k) for k in range(settings["seeds"])]
    return Samples(np.array([result.gap for result in runner.run(specs)]))

CLAIMS = [Claim(
    id="mine/shifted", title="A title", statement="at most 3", source="this file", kind=Kind.UPPER_BOUND, hypotheses=(),
    parameters={}, tolerance=0.0, tolerance_reason="exact", observe=observe,
    predict=lambda samples: np.full(len(samples.observed), 3.0),
    control=Control("at most 2", lambda samples: np.full(len(samples.observed), 2.0)), quick={"seeds": 8},
    full={"seeds": 80},
)]
'''


def test_workers_find_what_a_file_defines(file, tmp_path, monkeypatch):
    """A specification of one's own: the same bits from two processes as from none, and never stored."""
    monkeypatch.setenv("SHARPBOUNDS_CACHE", str(tmp_path / "cache"))
    path = file(OWN_RUN)
    alone, both = (sharpbounds.verify(str(path), workers=count)[0] for count in (1, 2))
    assert alone.passed
    assert both.passed
    assert both.verdict == alone.verdict
    moved = file(OWN_RUN.replace("self.shift +", "self.shift + 1.0 +"))  # a stored result would hide it
    (record,) = sharpbounds.verify(str(moved), workers=2)
    assert record.verdict.outcome is Outcome.VIOLATED
    assert record.verdict.value == pytest.approx(alone.verdict.value - 1.0 / 3.0)


def test_own_specifications_have_keys_of_their_own(file):
    from simulate.finite_sum_run import FiniteSumSpec

    module = own.load(str(file(OWN_RUN)))
    assert not module.Shifted().stored()
    assert FiniteSumSpec().stored()
    assert module.Shifted().key() != FiniteSumSpec().key()
    assert np.isfinite(module.Shifted(shift=1.0).run().gap)

"""What the documents say: the claims they name exist, the commands they show are commands."""

import ast
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pages
import pytest
from click.testing import CliRunner
from latex2mathml.converter import convert
from latex2mathml.exceptions import ExtraLeftOrMissingRightError, NoAvailableTokensError
from pages import ROOT, claim_row, formulas

import sharpbounds
from theory.claim import Outcome
from theory.registry import claims, papers

SIMULATED = ("conv", "diagonal", "finite-sum")
DOCS = ROOT / "docs"
DOCUMENTS = [ROOT / "README.md", ROOT / "theory" / "README.md", *sorted(DOCS.glob("*.md"))]


def page_of(key):
    """Return the name of a paper's page; those that have none of their own share one."""
    if key == "ours":
        return "asymptotics.md"
    return f"{key}.md" if (DOCS / f"{key}.md").exists() else "further.md"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_claims_exist(document):
    text = document.read_text()
    named = set(re.findall(rf"(?:{'|'.join(papers())})/[a-z0-9-]+(?=[`\s])", text))
    assert named <= set(claims()) | set(re.findall(r'^ +id="(.*)",$', text, re.MULTILINE))  # or the page makes it


@pytest.mark.parametrize("key", papers())
def test_the_page_of_a_paper_names_its_claims(key):
    text, arxiv = (DOCS / page_of(key)).read_text(), papers()[key].arxiv
    assert not [name for name in claims() if name.startswith(f"{key}/") and f"`{name}`" not in text]
    assert arxiv in text


@pytest.mark.parametrize("key", [key for key in papers() if page_of(key) != "further.md"])
def test_the_page_of_a_paper_tells_its_claims(key):
    """Every one, as the registry has it, and no other; `python tests/pages.py 'chen2023/*'` prints such rows."""
    shown = [line for line in (DOCS / page_of(key)).read_text().splitlines() if line.startswith(f"| `{key}/")]
    assert sorted(shown) == sorted(claim_row(claim) for claim in claims().values() if claim.id.startswith(f"{key}/"))


def test_the_rows_of_a_page_are_printed(tmp_path):
    """Run as a script, from anywhere, beside a folder that is called `theory` too."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, pages.__file__, "kim2023/*"]
    done = subprocess.run(command, cwd=tmp_path, env=outside, capture_output=True, encoding="utf-8", check=True)
    rows = [claim_row(claim) for name, claim in claims().items() if name.startswith("kim2023/")]
    assert done.stdout.splitlines() == rows


def test_the_counts_of_the_readme():
    """Claims of each page, and how many are expected to hold, to fail, and to be out of scope."""
    expected = {}
    for name, claim in claims().items():
        expected.setdefault(page_of(name.partition("/")[0]), Counter())[claim.expected_in("quick")] += 1
    outcomes = (Outcome.HOLDS, Outcome.VIOLATED, Outcome.OUT_OF_SCOPE)
    counts = {page: (found.total(), *(found[outcome] for outcome in outcomes)) for page, found in expected.items()}
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| \[.*?\]\(docs/(.*?)\).*?((?: \| \d+){4}) \|$", text, re.MULTILINE)
    assert {page: tuple(int(number) for number in numbers.split(" | ")[1:]) for page, numbers in rows} == counts


def letters():
    """Return every option of `simulate`, and every letter that `show` takes of some claim."""
    commands = [sharpbounds.main.get_command(None, "simulate").get_command(None, m) for m in SIMULATED]
    options = {option for command in commands for parameter in command.params for option in parameter.opts}
    return options | {f"--{letter}" for claim in claims().values() for letter in claim.parameters}


def defined(source):
    """Return the names that a source defines or keeps: functions, classes, fields, arguments, variables, keys."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, ast.Dict):
            found |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
    return found


def symbol_rows():
    """Yield (options, names, file) of each row of the symbol table."""
    for line in (DOCS / "symbols.md").read_text().splitlines():
        if line.startswith("| ") and not line.startswith("| symbol"):
            *_, options, names, file = (re.findall(r"`([^`]+)`", cell) for cell in line.strip("|").split("|"))
            yield options, names, *file


def test_symbols_have_their_options_and_names():
    rows, known = list(symbol_rows()), letters()
    assert len(rows) > 50
    for options, names, file in rows:
        assert set(options) <= known, options
        assert names, file
        assert set(names) <= defined((ROOT / file).read_text()), (names, file)
    assert not {"--signal", "--Rho"} & known  # the control
    assert "nonsense" not in defined("def f(x: int): nonsense(y)") > {"f"}


def test_the_proof_names_code_and_tests_that_exist():
    """The table below the proof in docs/engine.md."""
    table = re.findall(r"^\| [^`\n]* \| (.*) \| (.*) \|$", (DOCS / "engine.md").read_text(), re.MULTILINE)
    for cells, folder in zip(zip(*table, strict=True), (ROOT / "simulate", ROOT / "tests" / "simulate"), strict=True):
        names = set(re.findall(r"\w+", " ".join(re.findall(r"`([\w.]+)`", " ".join(cells)))))
        assert len(names) > 10
        assert names <= set().union(*(defined(path.read_text()) for path in folder.glob("*.py")))


def traps(formula):
    """Return what Markdown, or a code host, would take out of a formula between dollars: escapes, emphasis, tags."""
    return re.findall(r"\\[^a-zA-Z\s]|[*<|]|\\operatorname", formula)


def well_formed(formula):
    """Return whether a formula is LaTeX, every command in it a known one and every brace closed."""
    try:
        return re.search(r">(\\[a-zA-Z]|[{}]<)", convert(formula)) is None
    except (NoAvailableTokensError, ExtraLeftOrMissingRightError):
        return False


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_formulas_can_be_read(document):
    """They are LaTeX, and what stands between dollars reaches whoever sets it."""
    exposed, kept = formulas(document.read_text())
    assert not [(formula, traps(formula)) for formula in exposed if traps(formula)]
    assert not [formula for formula in (*exposed, *kept) if not well_formed(formula)]


def test_unreadable_formulas_are_seen():
    """The control."""
    exposed, kept = formulas("a $x_1$ `$y$` $`z\\,z`$\n```math\nu\n```\n    $v$ = 1\n and $\\lVert\nw\\rVert$")
    assert (exposed, kept) == (["x_1", "\\lVert\nw\\rVert"], ["u\n", "z\\,z"])
    assert all(traps(formula) for formula in (r"a\,b", "a*", r"\{a\}", "a<b", "|a|", r"\operatorname{tr}"))
    assert not traps(r"\lVert a\rVert \lt \mathrm{tr}\ b")
    assert well_formed(r"\frac{1}{2}")
    assert not any(map(well_formed, (r"\frac{1}{", r"a}b", r"\left(a", r"\nosuchletter a")))


def anchors(page):
    """Return what code hosts call the headings of a page: words in small letters, parted by hyphens."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^):]+)\)", document.read_text()):
        path, _, heading = target.partition("#")
        found = document.parent / path if path else document
        assert found.exists(), target
        assert not heading or heading in anchors(found.read_text()), target


FILE = re.compile(r"\b(?:benchmarks|docs|figures|simulate|tests|theory)/[\w/.-]+\.(?:json|md|png|py|toml)\b")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_exist(document):
    """All but those that an example makes, which is run elsewhere."""
    made = "quartic" if document.name == "architecture.md" else "nothing"
    named = {name for name in FILE.findall(document.read_text()) if made not in name}
    assert not {name for name in named if not (ROOT / name).exists() and not (document.parent / name).exists()}


def test_the_index_has_every_page():
    """docs/README.md links all of docs/."""
    linked = set(re.findall(r"\]\(([^)#]+)\)", (DOCS / "README.md").read_text()))
    assert {path.name for path in DOCS.glob("*.md")} - linked == {"README.md"}


def test_headings_have_anchors():
    page = "# Fast, and *how* (2.1)\n## A-b\n```\n# no\n```\n"
    assert anchors(page) == {"fast-and-how-21", "a-b"}


def test_shown_commands_are_understood():
    """Every `sharpbounds …` line of a document parses; --help in place of a run."""
    text = "\n".join(document.read_text() for document in DOCUMENTS).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    sharpbounds ")]
    assert len(lines) >= 10
    for line in lines:
        words = shlex.split(line)[1:]
        assert CliRunner().invoke(sharpbounds.main, [*words, "--help"]).exit_code == 0, line
    bad = ["simulate", "conv", "--nonsense", "3", "--help"]  # the control
    assert CliRunner().invoke(sharpbounds.main, bad).exit_code == 2


def test_shown_scan_is_understood(tmp_path, monkeypatch):
    """The config file and the grids of docs/scan.md are read, and count what they say."""
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "scan.md").read_text()
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    Path("scan.toml").write_text(toml)
    (line,) = (x for x in text.replace("\\\n", " ").splitlines() if x.endswith("--dry-run"))
    for words in (shlex.split(line)[1:], ["scan", "conv", "--config", "scan.toml", "--dry-run"]):
        found = CliRunner().invoke(sharpbounds.main, [*words, "--max-steps", "5"])
        assert found.exit_code == 0, found.output
        assert "14 points, 560 runs" in found.output

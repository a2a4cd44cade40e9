"""What the documents say: the claims they name exist, the commands they show are commands."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import sharpbounds
from theory.registry import claims, papers

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "theory" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_claims_exist(document):
    named = set(re.findall(rf"(?:{'|'.join(papers())})/[a-z0-9-]+(?=[`\s])", document.read_text()))
    assert named <= set(claims())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


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
    text = (ROOT / "docs" / "scan.md").read_text()
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    Path("scan.toml").write_text(toml)
    (line,) = (x for x in text.replace("\\\n", " ").splitlines() if x.endswith("--dry-run"))
    for words in (shlex.split(line)[1:], ["scan", "conv", "--config", "scan.toml", "--dry-run"]):
        found = CliRunner().invoke(sharpbounds.main, [*words, "--max-steps", "5"])
        assert found.exit_code == 0, found.output
        assert "14 points, 560 runs" in found.output

"""A release says the same of itself everywhere: setup.cfg has the version, other files repeat it."""

import configparser
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def setup():
    """Return what setup.cfg says."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


@pytest.fixture(scope="module")
def citation():
    """Return what CITATION.cff says; `make dist-check` holds it against the format's schema."""
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_the_newest_change_is_of_this_version(setup, citation):
    newest = re.search(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[1] == setup["metadata"]["version"] == citation["version"]
    assert newest[2] == citation["date-released"].isoformat()


def test_who_and_under_what_licence(setup, citation):
    assert citation["authors"] == [{"name": setup["metadata"]["author"]}]
    assert setup["metadata"]["license"] == citation["license"] == (ROOT / "LICENSE").read_text().split()[0]


def test_everything_in_the_rooms_is_installed(setup):
    """Every package is named, and so is every file in one that is no module."""
    rooms = [path for room in ("simulate", "theory", "figures") for path in (ROOT / room).rglob("*") if path.is_file()]
    packages = {".".join(path.parent.relative_to(ROOT).parts) for path in rooms if path.suffix == ".py"}
    assert set(setup["options"]["packages"].split()) == packages
    data = {place: patterns.split() for place, patterns in setup["options.package_data"].items()}
    globs = [f"{place.replace('.', '/')}/{name}" for place, names in data.items() for name in names]
    made = (".py", ".pyc", ".nbi", ".nbc")
    loose = {path for path in rooms if path.suffix not in made and path.name != "README.md"}
    assert loose == {path for pattern in globs for path in ROOT.glob(pattern)}


def test_every_dependency_has_a_lower_bound(setup):
    lists = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    lines = [line for text in lists for line in text.split()]
    assert len(lines) > 15
    for line in lines:
        assert re.fullmatch(r"[\w-]+>=\d+(\.\d+)*", line), line

"""Imports point one way only: simulate ← theory ← figures ← sharpbounds."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from theory.registry import papers

ROOT = Path(__file__).resolve().parent.parent
ORDER = ["simulate", "theory", "figures", "sharpbounds"]
PAPERS = {  # a paper's folder, and the folders that it builds on
    "andriushchenko2022": set(),
    "chen2023": set(),
    "kim2023": {"quadratics"},
    "luo2025": {"quadratics"},
    "moon2026": set(),
    "oikonomou2025": set(),
    "ours": {"chen2023"},
    "quadratics": set(),
    "shin2025": {"andriushchenko2022", "chen2023"},
    "wen2023": set(),
}


def imported(source):
    """Return the top-level names that a source imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module", "__import__",
        ):  # fmt: skip
            names |= {a.value.split(".")[0] for a in node.args if isinstance(getattr(a, "value", None), str)}
    return names


def sources(room):
    """Return the Python files of a room."""
    return sorted((ROOT / room).rglob("*.py")) if (ROOT / room).is_dir() else [ROOT / f"{room}.py"]


@pytest.mark.parametrize("room", ORDER[:-1])
def test_no_room_imports_a_higher_one(room):
    above = set(ORDER[ORDER.index(room) + 1 :])
    wrong = {str(path): found for path in sources(room) if (found := imported(path.read_text()) & above)}
    assert not wrong


def test_relative_imports_stay_inside_a_room():
    """A relative import cannot climb out of its top-level package, so the check above sees every crossing."""
    for room in ORDER[:-1]:
        for path in sources(room):
            depth = len(path.relative_to(ROOT).parts) - 1
            levels = [n.level for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
            assert max(levels, default=0) <= depth, path


def modules(nodes):
    """Return the modules that statements import, by their whole names; of `from x import y` both x and x.y."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_papers_build_on_those_named():
    assert set(papers()) == set(PAPERS)
    for paper, below in PAPERS.items():
        used = set().union(*(modules(ast.walk(ast.parse(path.read_text()))) for path in sources(f"theory/{paper}")))
        assert {name for name in PAPERS if any(f"{u}.".startswith(f"theory.{name}.") for u in used)} - {paper} == below


def test_modules_load_in_some_order():
    """No two modules wait for each other when they are imported."""
    paths = [path for room in ORDER[:-1] for path in sources(room)]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
    needs = {name: modules(ast.parse(path.read_text()).body) & names.keys() - {name} for name, path in names.items()}
    list(TopologicalSorter(needs).static_order())
    with pytest.raises(CycleError):  # the control
        list(TopologicalSorter({**needs, "theory.claim": {"theory.verdict"}}).static_order())


@pytest.mark.parametrize(
    "line",
    [
        "import theory", "import theory.claim as c", "from theory.chen2023 import x", "def f():\n    import theory",
        "import_module('theory.claim')", "importlib.import_module('theory')", "__import__('theory')",
    ],
)  # fmt: skip
def test_crossing_is_seen(line):
    """The negative control: every way to write the import is found."""
    assert "theory" in imported(line)
    assert "theory" not in imported("import simulate.theory\nfrom simulate import theory\n'import theory'")


def test_there_is_something_to_check():
    assert {path.name for path in sources("simulate")} >= {"conv.py", "run.py", "update.py"}


def test_importing_the_engine_loads_no_compiler():
    """`import simulate` alone loads neither numba nor scipy."""
    code = "import sys, simulate; print(sorted({'numba', 'scipy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

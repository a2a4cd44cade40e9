"""Imports point one way only: simulate ← theory ← figures ← sharpbounds."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = ["simulate", "theory", "figures", "sharpbounds"]


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

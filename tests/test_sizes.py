"""No file is longer than 400 lines, no function than 50, docstring apart: what is longer is two things."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = [
    path
    for room in ("simulate", "theory", "figures", "tests", "benchmarks")
    for path in sorted((ROOT / room).rglob("*.py"))
]
FILES.append(ROOT / "sharpbounds.py")
LINES, BODY = 400, 50
LONGER = {  # a file, or a function of one, and its lines
    # one loop each, over a state of ten arrays or more: its parts would be handed all of them
    "simulate/effective_process.py run_effective_process": 89,
    "simulate/limit_system.py run_limit_system": 74,
}


def bodies(source):
    """Yield (name, lines without signature and docstring) of every function of a source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0].end_lineno + 1 if ast.get_docstring(node) is not None else node.body[0].lineno
            yield node.name, node.end_lineno - first + 1


def long_parts(path):
    """Yield (name, lines) of a file, if it is too long, and of its functions that are."""
    name, text = str(path.relative_to(ROOT)), path.read_text()
    parts = [(name, len(text.splitlines()), LINES), *((f"{name} {f}", lines, BODY) for f, lines in bodies(text))]
    yield from ((part, lines) for part, lines, most in parts if lines > most)


def test_nothing_is_longer_but_what_is_named():
    """With its reason and its lines, so that it does not grow; what has become shorter is no longer named."""
    found = {part: lines for path in FILES for part, lines in long_parts(path)}
    assert found.keys() == LONGER.keys()
    assert {part for part, lines in found.items() if lines > LONGER[part]} == set()


def test_lines_are_counted():
    """The control: a body of 51 lines behind a docstring of any length, and one of 50."""
    for count in (50, 51):
        source = 'def f(\n    x,\n):\n    """One.\n\n    Two.\n    """\n' + "    x += 1\n" * count
        assert list(bodies(source)) == [("f", count)]

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


def bodies(source):
    """Yield (name, lines without signature and docstring) of every function of a source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0].end_lineno + 1 if ast.get_docstring(node) is not None else node.body[0].lineno
            yield node.name, node.end_lineno - first + 1


def long_parts(name, text):
    """Yield (name, lines) of a file, if it is too long, and of its functions that are."""
    parts = [(name, len(text.splitlines()), LINES), *((f"{name} {f}", lines, BODY) for f, lines in bodies(text))]
    yield from ((part, lines) for part, lines, most in parts if lines > most)


def test_nothing_is_longer():
    sources = [(str(path.relative_to(ROOT)), path.read_text()) for path in FILES]
    assert [part for name, text in sources for part in long_parts(name, text)] == []


def test_lines_are_counted():
    """The control: a body of 51 lines behind a docstring of any length, and one of 50; a file of 401, and of 400."""
    for count, long in ((50, []), (51, [("a.py f", 51)])):
        source = 'def f(\n    x,\n):\n    """One.\n\n    Two.\n    """\n' + "    x += 1\n" * count
        assert list(bodies(source)) == [("f", count)]
        assert list(long_parts("a.py", source)) == long
    for count, long in ((400, []), (401, [("a.py", 401)])):
        assert list(long_parts("a.py", "x = 1\n" * count)) == long

"""The worked examples of docs/architecture.md: made, applied and run in a copy of the project."""

from pages import ROOT, copy_of_the_project, run_page

PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_examples_as_they_are_written(tmp_path):
    """As plain Python, for nothing compiled here would be used again."""
    copy = copy_of_the_project(tmp_path)
    assert run_page(PAGE, copy, PYTHONPATH=str(copy), NUMBA_DISABLE_JIT="1") == [0, 0, 0, 0]
    assert (copy / "pictures" / "quartic_cycle.png").read_bytes().startswith(b"\x89PNG")

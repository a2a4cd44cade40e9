"""The command `figure`: what it writes where, and what it refuses."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from click.testing import CliRunner

import sharpbounds
from figures import FIGURES, figure_command, sam_floor
from simulate.parameters import ParameterError

mpl.use("Agg")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in an empty folder, no checkout in sight, with a figure that costs nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(figure_command, "_CHECKOUT", tmp_path / "none")
    monkeypatch.setattr(sam_floor, "compute", lambda runner: fake())
    return tmp_path


def fake(slope=0.03):
    """Return data of the shapes that `sam_floor` draws."""
    floors = np.outer(slope * sam_floor.RADII**2, np.ones(sam_floor.PROBLEMS))
    return {"floors": floors, "paths": np.outer([1.0, 1.1, 0.9], np.linspace(0.1, 5.6, len(sam_floor.TIMES)))}


def call(*arguments):
    """Run the command line in this process."""
    return CliRunner(catch_exceptions=False).invoke(sharpbounds.main, ["figure", *map(str, arguments)])


def test_png_and_svg_in_this_folder(folder):
    result = call("sam_floor")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == ["sam_floor.png", "sam_floor.svg"]
    assert {path.name for path in folder.iterdir()} == {"sam_floor.png", "sam_floor.svg"}
    assert (folder / "sam_floor.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "sam_floor.svg").read_text()


def test_another_folder_and_format(folder):
    result = call("sam_floor", "--out", "a/b", "--format", "pdf", "--format", "pdf", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert [path.name for path in (folder / "a" / "b").iterdir()] == ["sam_floor.pdf"]
    assert (folder / "a" / "b" / "sam_floor.pdf").read_bytes().startswith(b"%PDF")


def test_a_checkout_has_its_own_place(folder, monkeypatch):
    (folder / "docs").mkdir()
    monkeypatch.setattr(figure_command, "_CHECKOUT", folder / "docs")
    assert figure_command.output_folder() == folder / "docs"
    assert figure_command.output_folder("here") == Path("here")


@pytest.mark.parametrize("suffix", figure_command.FORMATS)
def test_a_picture_is_the_same_file_again(folder, suffix):
    one, two, other = (
        figure_command.save(sam_floor.draw(fake(slope)), folder, name, [suffix])[0].read_bytes()
        for name, slope in (("one", 0.03), ("two", 0.03), ("other", 0.06))
    )
    assert one == two
    assert one != other


def test_selection():
    assert figure_command.select(["all"]) == figure_command.select(["switch", "all"]) == list(FIGURES)
    assert figure_command.select(["switch", "sam-floor", "switch"]) == ["switch", "sam_floor"]


@pytest.mark.parametrize(
    ("arguments", "naming"),
    [
        (["heatmaps"], "did you mean heat_maps?"),
        (["star"], "did you mean star_instances?"),
        (["sam_floor", "sam-flor"], "did you mean sam_floor"),
        (["xyzzy"], "figure = 'xyzzy': must be all or one of critical_signal,"),
        (["sam_floor", "--workers", "0"], "workers = 0"),
        (["sam_floor", "--out", "taken"], "output folder = 'taken'"),
        (["sam_floor", "--format", "gif"], "'gif'"),
        ([], "Missing argument"),
    ],
)
def test_refused(folder, arguments, naming):
    (folder / "taken").write_text("a file")
    result = call(*arguments)
    assert result.exit_code == 2
    assert naming in result.stderr
    assert sum(line.startswith("Error: ") for line in result.stderr.splitlines()) == 1
    assert [path.name for path in folder.iterdir()] == ["taken"]


def test_nothing_near_is_not_guessed():
    with pytest.raises(ParameterError) as error:
        figure_command.select(["xyzzy"])
    assert "did you mean" not in str(error.value)


def test_the_gallery_shows_every_figure():
    shown = (ROOT / "docs" / "figures.md").read_text()
    for name in FIGURES:
        assert f"](figures/{name}.png)" in shown
        assert all((ROOT / "docs" / "figures" / f"{name}{suffix}").is_file() for suffix in (".png", ".svg"))

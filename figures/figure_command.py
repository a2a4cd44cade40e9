"""`sharpbounds figure`: compute (or find in the store) what a figure shows, draw it, and write it to files."""

import importlib
import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from figures import FIGURES
from simulate.parameters import ParameterError, reject
from simulate.parameters import folder as folder_of
from theory.commands import available_cores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
_CHECKOUT = Path(__file__).parents[1] / "docs" / "figures"
_UNDATED = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # the same bytes for the same picture


def select(names: Iterable[str]) -> list[str]:
    """Return the figures of those names, each once, every one for `all`; ParameterError names the nearest ones."""
    names = [name.replace("-", "_") for name in names]
    for name in names:
        if name not in (*FIGURES, "all"):
            near = [known for known in FIGURES if name in known][:3] or get_close_matches(name, FIGURES, 3, 0.5)
            hint = f" (did you mean {', '.join(near)}?)" if near else ""
            reject("figure", name, f"all or one of {', '.join(FIGURES)}{hint}")
    return list(FIGURES) if "all" in names else list(dict.fromkeys(names))


def output_folder(path: str | Path | None = None) -> Path:
    """Return `path`, made if need be, or else docs/figures of a checkout, or else the current folder.

    Raises ParameterError if nothing can be written there.
    """
    folder = folder_of("output folder", path) if path is not None else _CHECKOUT if _CHECKOUT.is_dir() else Path()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise ParameterError(f"output folder = {str(folder)!r}: must be one that can be made ({error})") from error
    if not os.access(folder, os.W_OK):
        reject("output folder", str(folder), "a folder that can be written")
    return folder


def save(figure: "Figure", folder: str | Path, name: str, formats: Iterable[str] = ("png", "svg")) -> list[Path]:
    """Write a figure in every format, the same bytes for the same picture, and return the paths."""
    import matplotlib.pyplot as plt

    from figures.style import RC

    paths = [Path(folder) / f"{name}.{suffix}" for suffix in formats]
    with plt.rc_context(RC):  # resolution and SVG identifiers are read when a file is written
        for path in paths:
            figure.savefig(path, metadata=_UNDATED.get(path.suffix))
    plt.close(figure)
    return paths


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…|all")
@click.option("--out", metavar="DIR", help="Folder to write to. [default: a checkout's docs/figures, else this one]")
@click.option(
    "--format", "formats", type=click.Choice(FORMATS), multiple=True, default=("png", "svg"), show_default=True,
    help="File format; may be given more than once.",
)  # fmt: skip
@click.option("--workers", type=int, help="Worker processes. [default: every core]")
@click.option("--no-cache", is_flag=True, help="Compute every run, also those that are stored.")
def figure(
    names: tuple[str, ...], out: str | None, formats: tuple[str, ...], workers: int | None, no_cache: bool
) -> None:
    """Draw figures of published results and of ours from exact simulation, and print the paths of the files.

    docs/figures.md shows them all. Finished runs are kept, so that a figure is quick to draw again.
    """
    chosen = select(names)
    from simulate.runner import Runner
    from simulate.store import Store

    with Runner(available_cores() if workers is None else workers, None if no_cache else Store()) as runner:
        folder = output_folder(out)
        import matplotlib as mpl

        mpl.use("Agg")  # files only: no window system is needed
        for name in chosen:
            module = importlib.import_module(f"figures.{name}")
            for path in save(module.draw(module.compute(runner)), folder, name, dict.fromkeys(formats)):
                click.echo(path)

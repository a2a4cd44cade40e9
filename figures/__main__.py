"""Draw every figure into docs/figures, as PNG and SVG."""

import importlib
from pathlib import Path

from figures import FIGURES
from figures.style import RC
from simulate.runner import Runner
from simulate.store import Store
from theory.commands import available_cores


def save(figure, folder, name):
    """Write a figure as PNG and SVG, the same bytes for the same picture, and return the paths."""
    import matplotlib.pyplot as plt

    paths = [folder / f"{name}.{suffix}" for suffix in ("png", "svg")]
    with plt.rc_context(RC):  # resolution and SVG identifiers are read when a file is written
        for path in paths:
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    return paths


def main():
    """Compute (or find in the store) what the figures show, and draw them."""
    folder = Path(__file__).parents[1] / "docs" / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    with Runner(available_cores(), Store()) as runner:
        for name in FIGURES:
            module = importlib.import_module(f"figures.{name}")
            for path in save(module.draw(module.compute(runner)), folder, name):
                print(path)


if __name__ == "__main__":
    main()

"""Draw every figure into docs/figures, as PNG and SVG."""

import importlib
from pathlib import Path

from figures import FIGURES
from simulate.runner import Runner
from simulate.store import Store
from theory.commands import available_cores


def main():
    """Compute (or find in the store) what the figures show, and draw them."""
    folder = Path(__file__).parents[1] / "docs" / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    with Runner(available_cores(), Store()) as runner:
        for name in FIGURES:
            module = importlib.import_module(f"figures.{name}")
            figure = module.draw(module.compute(runner))
            for suffix in ("png", "svg"):
                figure.savefig(folder / f"{name}.{suffix}", metadata={"Date": None} if suffix == "svg" else None)
                print(folder / f"{name}.{suffix}")


if __name__ == "__main__":
    main()

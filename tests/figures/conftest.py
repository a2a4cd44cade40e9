"""What tests of figures share: whatever a test draws is closed behind it."""

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import pytest
from reports import records

mpl.use("Agg")


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close every figure after the test."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="session")
def rows() -> list[dict[str, Any]]:
    """Return records of one toy claim of every kind."""
    return records()


@pytest.fixture(scope="session")
def files(rows: list[dict[str, Any]]) -> dict[str, bytes]:
    """Return the report of the toy claims."""
    from figures.report import pages

    return pages.build(rows)

"""What tests of figures share: whatever a test draws is closed behind it."""

import matplotlib as mpl
import pytest
from reports import records

mpl.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    """Close every figure after the test."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="session")
def rows():
    """Return records of one toy claim of every kind."""
    return records()


@pytest.fixture(scope="session")
def files(rows):
    """Return the report of the toy claims."""
    from figures.report import pages

    return pages.build(rows)

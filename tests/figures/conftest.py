"""What tests of figures share: whatever a test draws is closed behind it."""

import matplotlib as mpl
import pytest

mpl.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    """Close every figure after the test."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")

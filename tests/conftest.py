"""What every test shares: reproducible hypothesis, and problems small enough for the plain twins."""

import os
from pathlib import Path

import numba
import pytest
from hypothesis import settings

# HYPOTHESIS_PROFILE=deep tries fifty times as many examples, others every time
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=25, database=None)
settings.register_profile("deep", deadline=None, max_examples=1250, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

PLAIN = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]  # set when numba is imported


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave a test marked `compiled` out where nothing is."""
    if PLAIN and item.get_closest_marker("compiled"):
        pytest.skip("kernels run as plain Python")


@pytest.fixture(scope="session")
def many_steps() -> int:
    """Return how many steps a long run takes: fewer where the kernels run as plain Python."""
    return 500 if PLAIN else 10_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run the test in an empty folder, which is returned."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"

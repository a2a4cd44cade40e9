"""What every test shares: reproducible hypothesis, and problems small enough for the plain twins."""

import numba
import pytest
from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("fixed")


@pytest.fixture(scope="session")
def many_steps():
    """Return how many steps a long run takes: fewer where the kernels run as plain Python."""
    return 500 if numba.config.DISABLE_JIT else 10_000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Run the test in an empty folder, which is returned."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"

"""What tests of the engine share."""

from pathlib import Path

import numpy as np
import pytest
from diagonal_problems import problem


@pytest.fixture(scope="session")
def problem_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the diagonal network's problem as a user would give it."""
    X, y = problem()
    path = tmp_path_factory.mktemp("data") / "problem.npz"
    np.savez(path, X=X, y=y)
    return path

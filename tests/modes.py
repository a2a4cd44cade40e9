"""The same program by compiled kernels and by their sources run as plain Python."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def in_both_modes(folder: Path, program: str) -> list[dict[str, np.ndarray]]:
    """Return the arrays, by name, that a program saves in the file sys.argv[1]: compiled, and plain."""
    found = []
    for disable in ("0", "1"):
        path = folder / f"{disable}.npz"
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disable, "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", program, str(path)], cwd=ROOT, env=environment, check=True)
        with np.load(path) as file:
            found.append(dict(file))
    assert found[0].keys() == found[1].keys()
    return found

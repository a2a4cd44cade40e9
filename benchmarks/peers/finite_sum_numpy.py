"""Single-element steps on least squares in NumPy, as users write them."""

from collections.abc import Callable
from typing import SupportsIndex

import numpy as np

from simulate.types import FloatArray


def train(
    A: FloatArray, b: FloatArray, step_size: float, radius: float, lam: float, steps: int, record: int,
    draw: Callable[[], SupportsIndex],
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Return (x, recorded f) of single-element steps as users write them; draw() gives the next index."""
    x, recorded = np.zeros(A.shape[1]), []
    for t in range(steps):
        if t % record == 0:
            recorded.append(0.5 * np.mean((A @ x - b) ** 2))
        i = draw()
        a = A[i]
        g = (a @ x - b[i]) * a
        if radius > 0.0:
            near = x + radius * (1.0 - lam + lam / np.linalg.norm(g)) * g
            g = (a @ near - b[i]) * a
        x = x - step_size * g
    return x, np.array(recorded)

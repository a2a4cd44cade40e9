"""Single-element steps on least squares in NumPy, as users write them."""

import numpy as np


def train(A, b, step_size, radius, lam, steps, record, draw):
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

"""Steps of diagonal linear networks in NumPy, as users write them, and a whole run of them.

Two arrays u = 2 alpha and v = 0, beta = u v, which is u = w₊ + w₋ and v = w₊ − w₋ at the same step size and radius;
1-SAM with a Python loop over the samples, each perturbed by its own gradient. `USUAL` writes every gradient out and
asks at every step whether it is in the array of those to record, as the code published with Andriushchenko & Flammarion
2022 does; `TUNED` computes nothing twice and asks a set.
"""

from collections.abc import Callable, Sequence

import numpy as np

from simulate.diagonal_run import DiagonalSpec
from simulate.regression import RegressionInstance
from simulate.types import FloatArray as Array

Pair = tuple[Array, Array]
Steps = dict[str, Callable[[Array, Array, Array, Array, float, float, int], Pair]]


def usual_gd(X: Array, y: Array, u: Array, v: Array, step_size: float, radius: float, row: int) -> Pair:
    """Return (u, v) after a step of gradient descent, every gradient written out."""
    prediction = X @ (u * v)
    error = X.T @ (prediction - y)
    gradient_u, gradient_v = (error * v) / X.shape[0], (error * u) / X.shape[0]
    u = u - step_size * gradient_u
    v = v - step_size * gradient_v
    return u, v


def usual_sgd(X: Array, y: Array, u: Array, v: Array, step_size: float, radius: float, row: int) -> Pair:
    """Return (u, v) after a step on one row."""
    error = X[row] @ (u * v) - y[row]
    gradient_u, gradient_v = error * X[row] * v, error * X[row] * u
    u = u - step_size * gradient_u
    v = v - step_size * gradient_v
    return u, v


def usual_n_sam(X: Array, y: Array, u: Array, v: Array, step_size: float, radius: float, row: int) -> Pair:
    """Return (u, v) after a step at weights perturbed by the full gradient."""
    error = X.T @ (X @ (u * v) - y)
    u_near, v_near = u + radius * (error * v) / X.shape[0], v + radius * (error * u) / X.shape[0]
    error = X.T @ (X @ (u_near * v_near) - y)
    gradient_u, gradient_v = (error * v_near) / X.shape[0], (error * u_near) / X.shape[0]
    u = u - step_size * gradient_u
    v = v - step_size * gradient_v
    return u, v


def usual_one_sam(X: Array, y: Array, u: Array, v: Array, step_size: float, radius: float, row: int) -> Pair:
    """Return (u, v) after a step in which every sample's gradient is taken at weights perturbed by itself."""
    residual = X @ (u * v) - y
    gradient_u, gradient_v = np.zeros_like(u), np.zeros_like(v)
    for k in range(X.shape[0]):
        u_near = u + radius * residual[k] * X[k] * v
        v_near = v + radius * residual[k] * X[k] * u
        gradient_u += ((X[k] * u_near * v_near).sum() - y[k]) * v_near * X[k] / X.shape[0]
        gradient_v += ((X[k] * u_near * v_near).sum() - y[k]) * u_near * X[k] / X.shape[0]
    u = u - step_size * gradient_u
    v = v - step_size * gradient_v
    return u, v


USUAL: Steps = {"gd": usual_gd, "n-sam": usual_n_sam, "1-sam": usual_one_sam, "sgd": usual_sgd}


def tuned_gd(X: Array, y: Array, u: Array, v: Array, step_size: float, radius: float, row: int) -> Pair:
    """Return (u, v) after a step of gradient descent."""
    g = X.T @ (X @ (u * v) - y) / len(y)
    return u - step_size * g * v, v - step_size * g * u


def tuned_sgd(X: Array, y: Array, u: Array, v: Array, step_size: float, radius: float, row: int) -> Pair:
    """Return (u, v) after a step on one row."""
    x = X[row]
    g = (x @ (u * v) - y[row]) * x
    return u - step_size * g * v, v - step_size * g * u


def tuned_n_sam(X: Array, y: Array, u: Array, v: Array, step_size: float, radius: float, row: int) -> Pair:
    """Return (u, v) after a step at weights perturbed by the full gradient."""
    g = radius * (X.T @ (X @ (u * v) - y) / len(y))
    a, b = u + g * v, v + g * u
    g = X.T @ (X @ (a * b) - y) / len(y)
    return u - step_size * g * b, v - step_size * g * a


def tuned_one_sam(X: Array, y: Array, u: Array, v: Array, step_size: float, radius: float, row: int) -> Pair:
    """Return (u, v) after a step in which every sample's gradient is taken at weights perturbed by itself."""
    residuals = X @ (u * v) - y
    gradient_u, gradient_v = np.zeros_like(u), np.zeros_like(v)
    for x, target, residual in zip(X, y, residuals, strict=True):
        g = radius * residual * x
        a, b = u + g * v, v + g * u
        g = (x @ (a * b) - target) * x
        gradient_u += g * b
        gradient_v += g * a
    return u - step_size * gradient_u / len(y), v - step_size * gradient_v / len(y)


TUNED: Steps = {"gd": tuned_gd, "n-sam": tuned_n_sam, "1-sam": tuned_one_sam, "sgd": tuned_sgd}


def train(instance: RegressionInstance, spec: DiagonalSpec, rows: Sequence[int], loops: Steps) -> Pair:
    """Return (beta, records) of a whole run, the records as (states, 3); `rows` (steps,) are those of SGD."""
    X, y, X_test, y_test = instance.X, instance.y, instance.X_test, instance.y_test
    take_step, step_size, radius = loops[spec.rule], spec.step_size, spec.radius
    recorded = np.array(spec.record) if loops is USUAL else set(spec.record)
    u, v, records = 2.0 * np.full(X.shape[1], spec.alpha), np.zeros(X.shape[1]), []

    def record() -> None:
        beta = u * v
        train, test = X @ beta - y, X_test @ beta - y_test
        records.append((train @ train / (4.0 * len(y)), test @ test / (4.0 * len(y_test)), np.abs(beta).sum()))

    for step in range(spec.max_steps):
        if step in recorded:
            record()
        u, v = take_step(X, y, u, v, step_size, radius, rows[step])
    record()
    return u * v, np.array(records)

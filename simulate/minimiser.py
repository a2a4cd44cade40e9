"""Where a finite sum of `simulate.objective` is least, as nearly as float64 has it."""

import math

import numpy as np

from simulate.parameters import reject
from simulate.types import FloatArray


def find_anchor(loss: str, A: FloatArray, targets: FloatArray, reg: float) -> tuple[FloatArray, bool]:
    """Return (x*, whether it is known to minimise f)."""
    n, d = A.shape
    if d > n and (loss == "logistic" or (loss == "square" and reg > 0.0)):  # x* is in the span of the rows
        Q, R = np.linalg.qr(A.T)
        return Q @ find_anchor(loss, R.T, targets, reg)[0], True
    if loss == "square":
        if reg == 0.0:
            return _least_squares(A, targets), True
        augmented = np.vstack([A / math.sqrt(n), math.sqrt(reg) * np.eye(d)])
        return _least_squares(augmented, np.concatenate([targets / math.sqrt(n), np.zeros(d)])), True
    if loss == "logistic":
        return _logistic_minimiser(A, targets, reg), True
    if loss == "wave":
        return np.zeros(d), False
    x, _, rank, _ = np.linalg.lstsq(A, targets, rcond=None)
    return (np.asarray(x, float), True) if rank == n else (np.zeros(d), False)  # fitted, or nothing is known


def _least_squares(A: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.lstsq(A, b, rcond=None)[0], float)


def _logistic_minimiser(A: FloatArray, b: FloatArray, reg: float) -> FloatArray:
    from scipy.optimize import minimize
    from scipy.special import expit, log_expit

    n, d = A.shape

    def objective(x: FloatArray) -> tuple[float, FloatArray]:
        z = b * (A @ x)
        return -log_expit(z).mean() + 0.5 * reg * (x @ x), -A.T @ (b * expit(-z)) / n + reg * x

    def hessian(x: FloatArray) -> FloatArray:
        p: FloatArray = expit(A @ x)
        curvature: FloatArray = (A.T * (p * (1.0 - p))) @ A / n
        return curvature + reg * np.eye(d)

    found = minimize(objective, np.zeros(d), jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-9})
    x: FloatArray = found.x
    eigenvalues = np.linalg.eigvalsh(hessian(x))
    if reg == 0.0 and (eigenvalues[0] <= 1e-7 * eigenvalues[-1] or (b * (A @ x)).min() > 0.0):
        reject("reg", reg, "> 0 here: labels that can be separated, or too few rows, leave no minimiser")
    left = np.linalg.norm(objective(x)[1])
    for _ in range(100):  # until a few units in the last place are left
        try:
            further = x - np.linalg.solve(hessian(x), objective(x)[1])
        except np.linalg.LinAlgError:
            break
        if not (shorter := np.linalg.norm(objective(further)[1])) < left:
            break
        x, left = further, shorter
    if not left <= 1e-10 * np.linalg.norm(np.abs(A).T @ expit(-b * (A @ x)) / n):
        reject("reg", reg, "larger here: float64 does not reach the minimiser")
    return x


def least_squares_infimum(A: FloatArray, b: FloatArray, reg: float) -> float:
    """Return the least value of ‖A x − b‖²/(2n) + (reg/2)‖x‖²."""
    x = find_anchor("square", A, b, reg)[0]
    r = A @ x - b
    return float(0.5 * (r @ r) / len(A) + 0.5 * reg * (x @ x))

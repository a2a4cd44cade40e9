"""The potential that gradient flow minimises, and its minimiser among interpolators.

    phi_alpha(beta) = Σ_j alpha_j² q(beta_j/alpha_j²),   q(z) = 2 − √(4 + z²) + z arcsinh(z/2),   q'(z) = arcsinh(z/2),

(Woodworth et al. 2020). min phi_alpha(beta) s.t. X beta = y has the KKT conditions X beta = y and

    beta = 2 alpha² ∘ sinh(Xᵀnu),

so the dual, in n unknowns, is to minimise f(nu) = Σ_j 2 alpha_j² cosh(x_jᵀnu) − yᵀnu. f is self-concordant-like:
|f'''(nu)[u, u, v]| ≤ ‖Xᵀv‖_∞ f''(nu)[u, u]. A Newton step p is therefore safe when shortened by ln(1 + k)/k,
k = ‖Xᵀp‖_∞, which decreases f from anywhere (Bach 2010, Self-concordant analysis for logistic regression) and tends to
the full step. alpha enters through its logarithm: alpha² may be far below the smallest float.
"""

from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.types import Numbers

MOST_ITERATIONS = 2000


def entropy(z: Numbers) -> Any:
    """Return q(z) = 2 − √(4 + z²) + z arcsinh(z/2), within 4 ulps: nothing cancels at small z."""
    z = np.asarray(z, float)
    with np.errstate(over="ignore"):
        root = np.hypot(2.0, z)
        return z * np.arcsinh(z / 2.0) - np.abs(z) * (np.abs(z) / (2.0 + root))


def potential(beta: FloatArray, log_alpha: FloatArray) -> float:
    """Return phi_alpha(beta) for alpha = exp(log_alpha), both (d,), each term within 5 ulps, however small alpha is.

    Beyond z = 1e8, where alpha² may be below the floats, q(z) is z (log z − 1) + 2 to less than a rounding.
    """
    log_alpha, size = np.asarray(log_alpha, float), np.abs(beta)
    square = np.exp(2.0 * log_alpha)
    near = square * entropy(size / np.where(square > 0.0, square, 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        far = size * (np.log(size) - 2.0 * log_alpha - 1.0) + 2.0 * square
    return float(np.sum(np.where(size > 1e8 * square, far, near)))


def dual_coefficients(X: FloatArray, nu: FloatArray, log_alpha: FloatArray) -> FloatArray:
    """Return 2 alpha² sinh(z) (d,), z = Xᵀnu, within 2 ulps of 1 + |2 log alpha + |z|| times itself, given z."""
    z = X.T @ nu
    return np.sign(z) * np.exp(2.0 * log_alpha + np.abs(z)) * -np.expm1(-2.0 * np.abs(z))


def minimiser(
    X: FloatArray, y: FloatArray, log_alpha: Numbers, tolerance: float = 1e-13
) -> tuple[FloatArray, FloatArray, float]:
    """Return (beta, nu, residual) of min phi_alpha(beta) s.t. X beta = y, residual = ‖X beta − y‖/‖y‖.

    X (n, d), y (n,) in its range, log_alpha a number or (d,); beta (d,), nu (n,). Rows that depend on others get no
    say: their nu is 0. Stops at `tolerance`, or where rounding lets the residual fall no further.
    """
    from scipy.linalg import qr, solve_triangular

    X, y = np.asarray(X, float), np.asarray(y, float)
    n, d = X.shape
    log_alpha = np.broadcast_to(np.asarray(log_alpha, float), d)
    size = np.linalg.norm(y)
    nu = np.zeros(n)
    if size == 0.0:
        return np.zeros(d), nu, 0.0
    R, order = qr(X.T, mode="r", pivoting=True)
    weight = np.abs(np.diag(R))
    independent = order[: int((weight > max(n, d) * np.finfo(float).eps * weight[0]).sum())]
    best: tuple[FloatArray, FloatArray, Any] = np.zeros(d), nu, np.inf
    stalled = 0
    for _ in range(MOST_ITERATIONS):
        z = np.abs(X.T @ nu)
        beta = dual_coefficients(X, nu, log_alpha)
        gradient = X @ beta - y
        residual = np.linalg.norm(gradient) / size
        if residual < best[2]:
            best, stalled = (beta, nu, residual), 0
        else:
            stalled += 1
        if residual <= tolerance or (stalled > 20 and best[2] < 1e-9):
            break
        # f'' = X diag(h) Xᵀ with h = 2 alpha² cosh z, far apart in size: QR of its rows, largest first, keeps them all
        log_h = 2.0 * log_alpha + z + np.log1p(np.exp(-2.0 * z))
        top = log_h.max()
        rows = X[independent].T * np.exp(0.5 * (log_h - top))[:, None]
        rows = rows[np.argsort(-np.abs(rows).max(axis=1))]
        R, order = qr(rows, mode="economic", pivoting=True)[1:]
        rank = int((np.abs(np.diag(R)) > 1e-150).sum())  # what is smaller is divided by twice, beyond the floats
        R, kept = R[:rank, :rank], independent[order[:rank]]
        step = np.zeros(n)
        half = solve_triangular(R, -gradient[kept], trans="T")
        with np.errstate(over="ignore"):
            step[kept] = solve_triangular(R, half)
            scale = np.abs(X.T @ step).max()
        # the step is exp(−top) times `step`
        log_k = np.log(scale) - top if scale > 0.0 else -np.inf
        shrink = np.log1p(np.exp(log_k)) if log_k < 700.0 else log_k
        nu = nu + step * (shrink / scale if scale > 0.0 else 0.0)
    return best

"""The interpolator of least potential by `scipy.optimize`, in three ways to ask for it."""

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import LinearConstraint, minimize

from simulate.types import FloatArray


def value_and_slope(beta: FloatArray, alpha: float) -> tuple[float, FloatArray]:
    """Return Σ alpha² q(beta/alpha²) and its gradient, q(z) = 2 − √(4 + z²) + z arcsinh(z/2)."""
    z = beta / alpha**2
    slope = np.arcsinh(z / 2)
    return alpha**2 * (2 - np.sqrt(4 + z**2) + z * slope).sum(), slope


def constrained(X: FloatArray, y: FloatArray, alpha: float) -> FloatArray:
    """Return beta (d,) by SLSQP under X beta = y."""
    found = minimize(
        value_and_slope, np.linalg.pinv(X) @ y, args=(alpha,), jac=True, method="SLSQP",
        constraints={"type": "eq", "fun": lambda beta: X @ beta - y, "jac": lambda beta: X},
        options={"maxiter": 10_000, "ftol": 1e-15},
    )  # fmt: skip
    beta: FloatArray = found.x
    return beta


def trust_region(X: FloatArray, y: FloatArray, alpha: float) -> FloatArray:
    """Return beta (d,) by an interior trust region method under X beta = y, with the Hessian."""
    found = minimize(
        value_and_slope, np.linalg.pinv(X) @ y, args=(alpha,), jac=True, method="trust-constr",
        hess=lambda beta, alpha: np.diag(1 / np.hypot(2 * alpha**2, beta)),
        constraints=LinearConstraint(X, y, y), options={"gtol": 1e-10, "xtol": 1e-14, "maxiter": 10_000},
    )  # fmt: skip
    beta: FloatArray = found.x
    return beta


def unconstrained(X: FloatArray, y: FloatArray, alpha: float) -> FloatArray:
    """Return beta (d,) by BFGS over the null space of X."""
    start, basis = np.linalg.pinv(X) @ y, null_space(X)

    def restricted(c: FloatArray) -> tuple[float, FloatArray]:
        value, slope = value_and_slope(start + basis @ c, alpha)
        return value, basis.T @ slope

    found = minimize(restricted, np.zeros(basis.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-10})
    beta: FloatArray = start + basis @ found.x
    return beta


WAYS = {"SLSQP": constrained, "trust-constr": trust_region, "BFGS in the null space": unconstrained}

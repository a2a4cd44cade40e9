"""The rules of `simulate.diagonal` in the limit of small steps: flows of log weights, followed to their limit.

    d log w±/dt = −(Q ± G),   dI/dt = Q/radius,   dJ/dt = L,

with the module's G and Q over all rows. The tail is stiff, the time to reach it grows as alpha falls (256 at 0.5,
33,000 at 0.02 for 20 × 30), so an implicit method with its own step control does the work (LSODA).
"""

import warnings
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import LSODA

from simulate.compiled import kernel
from simulate.diagonal import COLLAPSE, DIVERGENCE, descent, describe, initial_scale, sharpness
from simulate.diagonal_rows import powers_of
from simulate.lanes import padded
from simulate.parameters import integer
from simulate.regression import RegressionInstance
from simulate.types import FloatArray, IntArray
from simulate.update import Rule

REALISABLE = 1e-10
"""y counts as realisable where its distance from the range of X is at most so many times ‖y‖."""

MOST_STEPS = 50_000
TOLERANCE = 1e-12

LARGEST_DIMENSION = 15_445
"""Beyond it LSODA's workspace, (3d + 1)(3d + 10) + 22 numbers, is longer than its 32-bit integers count."""


@kernel
def flow_field(
    state: FloatArray, X: FloatArray, powers: FloatArray, y: FloatArray, rows: IntArray, block: int, radius: float,
    derivative: FloatArray, rows_of: FloatArray, beta: FloatArray, s: FloatArray, G: FloatArray, Q: FloatArray,
    g: FloatArray, h: FloatArray, v: FloatArray,
) -> None:  # fmt: skip
    """Write the time derivative of state = (log w₊, log w₋, I, J), (3d + 1,); the arrays after it are scratch."""
    d = (state.size - 1) // 3
    for j in range(d):
        p, q = np.exp(2.0 * state[j]), np.exp(2.0 * state[d + j])
        beta[j] = p - q
        s[j] = p + q
    loss = descent(X, powers, y, rows, block, beta, s, radius, 0.0, True, rows_of, G, Q, g, h, v)
    for j in range(d):
        drift, square = G[j] / rows.size, Q[j] / rows.size
        derivative[j] = -radius * square - drift
        derivative[d + j] = -radius * square + drift
        derivative[2 * d + j] = square
    derivative[3 * d] = loss
    for j in range(derivative.size):  # a trial step beyond the floats must be rejected: what is large is, NaN is not
        if not abs(derivative[j]) <= 1e100:
            derivative[j] = -1e100 if derivative[j] < 0.0 else 1e100


def realisable_part(X: FloatArray, y: FloatArray) -> tuple[FloatArray, bool]:
    """Return the projection of y onto the range of X, and whether y is in it to 1e-10 relative; y itself if so."""
    projection = X @ np.linalg.lstsq(X, y, rcond=None)[0]
    if np.linalg.norm(projection - y) <= REALISABLE * np.linalg.norm(y):
        return y, True
    return projection, False


def integrate_flow(
    instance: RegressionInstance, alpha: ArrayLike, rule: Rule, max_time: float, residual: float,
    record: Iterable[float] = (), with_sharpness: bool = False,
) -> tuple[str, int, dict[str, np.ndarray]]:  # fmt: skip
    """Follow the flow of `rule` from w± = alpha and return (status, integrator steps, history).

    status `stopped` (‖X beta − y‖ ≤ residual · ‖y‖, y replaced by its projection onto the range of X where that is the
    limit), `no limit` (y not in that range and blocks smaller than n: log alpha_eff drifts for ever; what the history
    holds is the state at the last time reached), `collapsed` (every weight below 1e-8 of its start), `t-max`,
    `max-steps`, or `diverged`. Raises ParameterError above LARGEST_DIMENSION. The history has one row per time of
    `record` that was reached, and one for the end: time, step, beta, train_loss, test_loss, l1_norm, loss_integral ∫L,
    log_alpha_eff = log alpha − radius ∫Q/radius, log_product ½ log(w₊ w₋), which equals it, bias_integral ∫ Σ_b p_b g_b
    g̃_b (d,), and sharpness if asked for.
    """
    X, y = instance.X, instance.y
    n, d = X.shape
    integer("dimension (d) of a flow", d, 1, LARGEST_DIMENSION)
    scale = initial_scale(alpha, d)
    block = rule.block or n
    target, realisable = realisable_part(X, y)
    no_limit = not realisable and rule.radius > 0.0 and block < n
    XP, rows = padded(X), np.arange(n)
    data = XP, powers_of(X), padded(y), rows
    scratch = padded(np.zeros((3, n))), *np.zeros((7, XP.shape[1]))

    def field(_: float, state: FloatArray) -> FloatArray:
        derivative = np.empty_like(state)
        flow_field(state, *data, block, rule.radius, derivative, *scratch)
        return derivative

    def beta_of(state: FloatArray) -> FloatArray:
        return np.exp(2.0 * state[:d]) - np.exp(2.0 * state[d : 2 * d])

    size = np.linalg.norm(y)
    start = np.concatenate([np.tile(np.log(scale), 2), np.zeros(d + 1)])
    states, wanted = [], sorted({float(time) for time in record})
    status, steps, time, state = None, 0, 0.0, start
    most = DIVERGENCE * size  # of the residual: its square is what the loss is
    if not np.isfinite(size):
        status = "diverged"
    elif np.linalg.norm(X @ beta_of(start) - target) <= residual * size and not no_limit:
        status = "stopped"
    elif max_time == 0.0:
        status = "t-max"
    else:
        solver = LSODA(field, 0.0, start, max_time, rtol=TOLERANCE, atol=TOLERANCE)
    while wanted and wanted[0] <= 0.0:
        wanted.pop(0)
        states.append((0.0, 0, start))
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a step that fails is a status
        while status is None:
            solver.step()
            if solver.status == "failed" or not np.isfinite(solver.y).all():
                status = "diverged"
                break
            steps, time, state = steps + 1, solver.t, solver.y.copy()
            if wanted and wanted[0] < time:
                between = solver.dense_output()
                while wanted and wanted[0] < time:
                    at = wanted.pop(0)
                    states.append((at, steps, between(at)))
            distance = np.linalg.norm(X @ beta_of(state) - target)
            if not distance <= most:
                status = "diverged"
            elif distance <= residual * size and not no_limit:
                status = "stopped"
            elif (state[: 2 * d] < start[: 2 * d] + np.log(COLLAPSE)).all():
                status = "collapsed"
            elif solver.status == "finished":
                status = "no limit" if no_limit else "t-max"
            elif steps >= MOST_STEPS:
                status = "no limit" if no_limit else "max-steps"
    if not states or states[-1][0] != time:
        states.append((time, steps, state))
    return status, steps, _history(instance, rule, start, states, with_sharpness)


def _history(
    instance: RegressionInstance, rule: Rule, start: FloatArray, states: list[tuple[float, int, FloatArray]],
    with_sharpness: bool,
) -> dict[str, np.ndarray]:  # fmt: skip
    d = instance.X.shape[1]
    Y = np.array([state for _, _, state in states])
    W = np.exp(np.stack([Y[:, :d], Y[:, d : 2 * d]], axis=1))
    beta, integral = W[:, 0] ** 2 - W[:, 1] ** 2, Y[:, 2 * d : 3 * d]
    history = {
        "step": np.array([step for _, step, _ in states]),
        "time": np.array([time for time, _, _ in states]),
        "beta": beta,
        **describe(instance, beta),
        "loss_integral": Y[:, 3 * d],
        "log_alpha_eff": start[:d] - rule.radius * integral,
        "log_product": 0.5 * (Y[:, :d] + Y[:, d : 2 * d]),
        "bias_integral": integral,
    }
    if with_sharpness:
        history["sharpness"] = np.array([sharpness(instance, state) for state in W])
    return history

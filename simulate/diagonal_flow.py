"""The rules of `simulate.diagonal` in the limit of small steps: flows of log weights, followed to their limit.

    d log w±/dt = −(Q ± G),   dI/dt = Q/radius,   dJ/dt = L,

with the module's G and Q over all rows. The tail is stiff, the time to reach it grows as alpha falls (256 at 0.5,
33,000 at 0.02 for 20 × 30), so an implicit method with its own step control does the work (LSODA).
"""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

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


@dataclass(frozen=True)
class _Goal:
    """What ends a flow: ‖X beta − target‖ at most `near` or beyond `far`, or no log weight above `gone` (2d,).

    Where there is no `limit` nearness is no end: blocks go on moving the weights.
    """

    X: FloatArray
    target: FloatArray
    limit: bool
    near: float
    far: float
    gone: FloatArray

    def reached(self, state: FloatArray) -> str | None:
        """Return the status of a flow at `state` if that is its end."""
        d = self.X.shape[1]
        beta = np.exp(2.0 * state[:d]) - np.exp(2.0 * state[d : 2 * d])
        distance = np.linalg.norm(self.X @ beta - self.target)
        if not distance <= self.far < np.inf:
            return "diverged"
        if self.limit and distance <= self.near:
            return "stopped"
        return "collapsed" if (state[: 2 * d] < self.gone).all() else None


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
    start = np.concatenate([np.tile(np.log(initial_scale(alpha, d)), 2), np.zeros(d + 1)])
    block = rule.block or n
    target, realisable = realisable_part(X, y)
    limit = realisable or rule.radius == 0.0 or block >= n
    size = float(np.linalg.norm(y))
    far = DIVERGENCE * size  # of the residual: its square is what the loss is
    goal = _Goal(X, target, limit, residual * size, far, start[: 2 * d] + np.log(COLLAPSE))
    status, states = _follow(_field(X, y, block, rule.radius), start, goal, max_time, record)
    return status, states[-1][1], _history(instance, rule, start, states, with_sharpness)


def _field(X: FloatArray, y: FloatArray, block: int, radius: float) -> Callable[[float, FloatArray], FloatArray]:
    """Return `flow_field` as a function of time and state."""
    n, XP = len(y), padded(X)
    data = XP, powers_of(X), padded(y), np.arange(n)
    scratch = padded(np.zeros((3, n))), *np.zeros((7, XP.shape[1]))

    def field(_: float, state: FloatArray) -> FloatArray:
        derivative = np.empty_like(state)
        flow_field(state, *data, block, radius, derivative, *scratch)
        return derivative

    return field


def _follow(
    field: Callable[[float, FloatArray], FloatArray], start: FloatArray, goal: _Goal, max_time: float,
    record: Iterable[float],
) -> tuple[str, list[tuple[float, int, FloatArray]]]:  # fmt: skip
    """Return status and (time, integrator steps, state) at those times of `record` that were reached and at the end."""
    wanted = sorted({float(time) for time in record}, reverse=True)
    states, steps, time, state = [], 0, 0.0, start
    while wanted and wanted[-1] <= 0.0:
        wanted.pop()
        states.append((time, steps, state))
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a step that fails is a status
        status = goal.reached(start)
        if status is None and max_time == 0.0:
            status = "t-max"
        if status is None:
            solver = LSODA(field, 0.0, start, max_time, rtol=TOLERANCE, atol=TOLERANCE)
        while status is None:
            solver.step()
            if solver.status == "failed" or not np.isfinite(solver.y).all():
                status = "diverged"
                break
            steps, time, state = steps + 1, solver.t, solver.y.copy()
            while wanted and wanted[-1] < time:
                at = wanted.pop()
                states.append((at, steps, solver.dense_output()(at)))
            status = goal.reached(state)
            if status is None and (solver.status == "finished" or steps >= MOST_STEPS):
                reason = "t-max" if solver.status == "finished" else "max-steps"
                status = reason if goal.limit else "no limit"
    if not states or states[-1][0] != time:
        states.append((time, steps, state))
    return status, states


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

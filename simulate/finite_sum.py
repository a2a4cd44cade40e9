"""Stochastic gradient steps of the SAM family on finite sums, and their exact expectations.

    x ← x − gamma_t g_S(x + e),    e = rho_t (1 − lam + lam/‖g_S(x)‖) g_S(x),    g_S = Σ_i v_i ∇f_i,

with the same draw S in both places: Unified SAM (Oikonomou & Loizou 2025, arXiv:2503.02225), which is (S)GD at
rho = 0, USAM at lam = 0 and SAM at lam = 1. The kernels follow y = x − x* (see `simulate.objective`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulate.compiled import kernel
from simulate.lanes import LANES, borrowed, padded, row, write
from simulate.objective import FiniteSum, excess, gradient, inner, slope
from simulate.parameters import choice, real, reject
from simulate.sampling import Sampling
from simulate.types import FloatArray, IntArray
from simulate.update import DIVERGED, RUNNING, Rule, perturbation_scale

SCHEDULES = ("constant", "decreasing", "horizon")
RADII = ("constant", "decreasing", "root")
_PATHS = 10**8  # enumerated at most
_LARGEST = 1e140  # a gradient beyond it has diverged: its square is still finite


@dataclass(frozen=True)
class Schedule:
    """Step sizes gamma_t and radii rho_t of the steps, t from 0 on.

    steps      constant      gamma                      decreasing    min{gamma, decay (2t+1)/(t+1)²}
               horizon       gamma/√T                                 T steps in all
    radii      constant      rho (horizon: rho/T^¼)     decreasing    min{rho, 1/(2t+1)}
               root          rho √gamma_t
    """

    step_size: float
    radius: float
    steps: str = "constant"
    decay: float = 1.0
    radii: str = "constant"
    horizon: int = 1

    def __post_init__(self) -> None:
        """Check every parameter once; raises ValueError."""
        choice("schedule", self.steps, SCHEDULES)
        choice("radii", self.radii, RADII)
        real("step_size (gamma)", self.step_size, strict=True)
        real("radius (rho)", self.radius)
        real("decay", self.decay, strict=True)

    def at(self, first: int, last: int) -> tuple[FloatArray, FloatArray]:
        """Return (gamma_t, rho_t) of the steps first … last − 1, each (last − first,)."""
        gamma, rho = np.full(last - first, self.step_size), np.full(last - first, self.radius)
        t = np.arange(first, last, dtype=float) if "decreasing" in (self.steps, self.radii) else np.empty(0)
        if self.steps == "decreasing":
            gamma = np.minimum(gamma, self.decay * (2.0 * t + 1.0) / (t + 1.0) ** 2)
        elif self.steps == "horizon":
            gamma /= math.sqrt(max(self.horizon, 1))
            rho /= max(self.horizon, 1) ** 0.25
        if self.radii == "decreasing":
            rho = np.minimum(rho, 1.0 / (2.0 * t + 1.0))
        elif self.radii == "root":
            rho = self.radius * np.sqrt(gamma)
        return gamma, rho


@kernel(inline=True)
def step(
    loss: int, A: FloatArray, offsets: FloatArray, targets: FloatArray, rows: IntArray, weights: FloatArray, reg: float,
    anchor: FloatArray, gamma: float, radius: float, normalisation: float, y: FloatArray, g: FloatArray, v: FloatArray,
) -> float:  # fmt: skip
    """Take one step of the module on y (d,) in place; return ‖g_S‖² before it. g and v (d,) are scratch."""
    square = gradient(loss, A, offsets, targets, rows, weights, reg, anchor, y, g)
    if radius > 0.0:
        c = perturbation_scale(radius, normalisation, math.sqrt(square))
        for j in range(y.size):
            v[j] = y[j] + c * g[j]
        gradient(loss, A, offsets, targets, rows, weights, reg, anchor, v, g)
    for j in range(y.size):
        y[j] -= gamma * g[j]
    return square


@kernel(inline=True)
def single_step(
    loss: int, a: FloatArray, offset: float, product: float, norm: float, target: float, w: float, reg: float,
    anchor: FloatArray, gamma: float, radius: float, normalisation: float, y: FloatArray,
) -> float:  # fmt: skip
    """Take one `step` whose gradient is w (phi' a + reg x), a (d,) of squared norm `norm`; product = ⟨a, x*⟩.

    Along the perturbation c g the row's own product moves by c w (phi' ‖a‖² + reg ⟨a, x⟩), so that one pass to read y
    and one to write it are enough. Where the norm of g is not needed, what is returned leaves reg x out.
    """
    t = inner(a, y)
    s = slope(loss, offset + t, target)
    z = product + t
    square = s * s * norm
    if reg > 0.0 and radius > 0.0 and normalisation > 0.0:
        square = 0.0
        for j in range(y.size):
            x = s * a[j] + reg * (anchor[j] + y[j])
            square += x * x
    square *= w * w
    bend = w * radius  # lam = 0; a gradient of 0 perturbs nothing either way
    if radius > 0.0 and normalisation > 0.0:
        bend = w * perturbation_scale(radius, normalisation, math.sqrt(square))
    moved = slope(loss, offset + t + bend * (s * norm + reg * z), target) if radius > 0.0 else s
    c = gamma * w * moved
    if reg > 0.0:
        c += gamma * w * reg * bend * s
        shrink = gamma * w * reg * (1.0 + bend * reg)
        for j in range(y.size):
            y[j] -= c * a[j] + shrink * (anchor[j] + y[j])
    else:
        for j in range(0, y.size, LANES):
            write(y, j, row(y, j) - c * row(a, j))
    return square


@kernel
def advance_finite_sum(
    y: FloatArray, loss: int, A: FloatArray, offsets: FloatArray, products: FloatArray, norms: FloatArray,
    targets: FloatArray, reg: float, anchor: FloatArray, per_sample: int, order: IntArray, origin: int, first: int,
    last: int, sample_weights: FloatArray, gammas: FloatArray, radii: FloatArray, normalisation: float, marks: IntArray,
    kept: FloatArray, columns: FloatArray, rows: IntArray, weights: FloatArray,
) -> tuple[int, int, int]:  # fmt: skip
    """Take steps first … last − 1 on y (d,) in place; return the step reached, its code and the marks kept.

    order (steps, tau) holds the samples of the steps from `origin` on (one row: of every step), gammas and radii those
    from `first` on. y is copied into kept (marks, d) before each step of `marks`. columns (2, d), rows and weights
    (tau · per_sample,) are scratch.
    """
    y, A, order, anchor, kept, columns = map_borrowed(y, A, order, anchor, kept, columns)
    g, v = columns[0], columns[1]
    tau = order.shape[1]
    alone = tau == 1 and per_sample == 1
    count = 0
    for t in range(first, last):
        if count < marks.size and marks[count] == t:
            for j in range(y.size):
                kept[count, j] = y[j]
            count += 1
        at = 0 if len(order) == 1 else t - origin
        gamma, radius = gammas[t - first], radii[t - first]
        if alone:
            i = order[at, 0]
            square = single_step(
                loss, A[i], offsets[i], products[i], norms[i], targets[i], sample_weights[i], reg, anchor, gamma,
                radius, normalisation, y,
            )  # fmt: skip
        else:
            for k in range(tau):
                i = order[at, k]
                for part in range(per_sample):
                    rows[k * per_sample + part] = i * per_sample + part
                    weights[k * per_sample + part] = sample_weights[i] / per_sample
            square = step(
                loss, A, offsets, targets, rows, weights, reg, anchor, gamma, radius, normalisation, y, g, v
            )  # fmt: skip
        if not square <= _LARGEST * _LARGEST:
            return t + 1, DIVERGED, count
    return last, RUNNING, count


@kernel(inline=True)
def map_borrowed(
    y: FloatArray, A: FloatArray, order: IntArray, anchor: FloatArray, kept: FloatArray, columns: FloatArray
) -> tuple[FloatArray, FloatArray, IntArray, FloatArray, FloatArray, FloatArray]:
    """Return the arrays without a share in their ownership (see `simulate.lanes.borrowed`)."""
    return borrowed(y), borrowed(A), borrowed(order), borrowed(anchor), borrowed(kept), borrowed(columns)


class Descent:
    """A finite sum and the point y = x − x* that `update.train` moves along a schedule of steps and radii.

    `train`'s step size is that of the schedule, which alone knows how it goes on; the rule decides lam.
    """

    def __init__(self, problem: FiniteSum, sampling: Sampling, schedule: Schedule, start: FloatArray) -> None:
        self.problem, self.sampling, self.schedule = problem, sampling, schedule
        self._dimension = len(problem.anchor)
        self._y = padded(start - problem.anchor)
        self._norms = np.einsum("rd,rd->r", problem.A, problem.A)
        self._products = problem.A @ problem.anchor
        rows = sampling.batch_size * problem.rows
        self._scratch = padded(np.zeros((2, self._y.size))), np.empty(rows, np.int64), np.empty(rows)

    @property
    def x(self) -> FloatArray:
        """The present point (d,)."""
        return self.problem.anchor + self._y[: self._dimension]

    def loss(self) -> float:
        """Return f − f*."""
        return float(self.problem.measure(self._y[None, : self._dimension])[0][0])

    def finite(self) -> bool:
        """Return whether the point is finite, and so are the squares of its coordinates."""
        return bool((np.abs(self._y) < _LARGEST).all())

    def advance(
        self, order: IntArray, first_epoch: int, first: int, last: int, batch_size: int, step_size: float, rule: Rule,
        stop_loss: float, marks: Sequence[int] | IntArray = (),
    ) -> tuple[int, int, dict[str, np.ndarray]]:  # fmt: skip
        """See `simulate.update.Model`; `stop_loss` is not tested."""
        problem, marks = self.problem, np.asarray(marks, dtype=np.int64)
        kept = np.empty((marks.size, self._y.size))
        columns, rows, weights = self._scratch
        step, code, count = advance_finite_sum(
            self._y, problem.code, problem.padded_A, problem.offsets, self._products, self._norms, problem.targets,
            problem.reg, problem.padded_anchor, problem.rows, np.ascontiguousarray(order, dtype=np.int64), first_epoch,
            first, last, self.sampling.weights, *self.schedule.at(first, last), rule.normalisation, marks, kept,
            columns, rows, weights,
        )  # fmt: skip
        return step, code, {"y": kept[:count]} if count else {}

    def observe(self, batch: IntArray, rule: Rule) -> dict[str, np.ndarray]:
        """Return the present state; `describe` makes records of it."""
        return {"y": self._y.copy()}

    def describe(self, states: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the records of stacked states: gap f − f*, gradient_norm ‖∇f‖, distance ‖x − x*‖ and x (states, d)."""
        Y = states["y"][:, : self._dimension]
        gaps, gradients = self.problem.measure(Y)
        norms = np.linalg.norm(gradients, axis=1)
        return {
            "gap": gaps, "gradient_norm": norms, "distance": np.linalg.norm(Y, axis=1), "x": self.problem.anchor + Y,
        }  # fmt: skip


@kernel
def enumerate_paths(
    loss: int, A: FloatArray, offsets: FloatArray, targets: FloatArray, reg: FloatArray, anchor: FloatArray,
    start: FloatArray, V: FloatArray, P: FloatArray, gammas: FloatArray, radii: FloatArray, normalisation: FloatArray,
    floor: FloatArray, gaps: FloatArray, squares: FloatArray,
) -> None:  # fmt: skip
    """Write E[f(x_t) − f*] and E‖∇f(x_t)‖², t = 0 … T, of N problems at once, over all K^T draws of each.

    Problems (N, …): A (N, R, d), d a multiple of 8, offsets, targets (N, R), reg (N,), anchor, start = x_0 − x* (N, d),
    row weights V (N, K, R) with probabilities P (N, K), gammas, radii (N, T), normalisation (N,), floor (N,), the mean
    excess at f*. Writes gaps and squares (N, T + 1).
    """
    N, R, d = A.shape
    K, T = P.shape[1], gammas.shape[1]
    rows = np.arange(R)
    mean = np.full(R, 1.0 / R)
    path, weight, choice_at = np.zeros((T + 1, d)), np.zeros(T + 1), np.zeros(T + 1, np.int64)
    g, v = np.zeros(d), np.zeros(d)
    for n in range(N):
        gaps[n, :] = 0.0
        squares[n, :] = 0.0
        path[0, :] = start[n]
        weight[0], t, fresh = 1.0, 0, True
        choice_at[0] = 0
        while t >= 0:
            if fresh:
                y, total = path[t], 0.0
                for k in range(R):
                    total += excess(loss, offsets[n, k], targets[n, k], inner(A[n, k], y))
                total = total / R + 0.5 * reg[n] * inner(y, y) - floor[n]
                gaps[n, t] += weight[t] * total
                squares[n, t] += weight[t] * gradient(
                    loss, A[n], offsets[n], targets[n], rows, mean, reg[n], anchor[n], y, g
                )
            if t == T or choice_at[t] == K:
                t, fresh = t - 1, False
                continue
            k = choice_at[t]
            choice_at[t] += 1
            if P[n, k] == 0.0:
                fresh = False
                continue
            path[t + 1, :] = path[t]
            weight[t + 1] = weight[t] * P[n, k]
            step(
                loss, A[n], offsets[n], targets[n], rows, V[n, k], reg[n], anchor[n], gammas[n, t], radii[n, t],
                normalisation[n], path[t + 1], g, v,
            )  # fmt: skip
            t, fresh = t + 1, True
            choice_at[t] = 0


def expected_path(
    problem: FiniteSum, sampling: Sampling, schedule: Schedule, normalisation: float, start: FloatArray, steps: int
) -> tuple[FloatArray, FloatArray]:
    """Return exact E[f(x_t) − f*] and E‖∇f(x_t)‖², t = 0 … steps (each (steps + 1,)), over every draw of every step."""
    V, P = sampling.law()
    if steps * math.log(max(len(P), 1)) > math.log(_PATHS):
        reject("steps", steps, f"so few that {len(P)} outcomes a step make at most {_PATHS:g} paths")
    gamma, rho = schedule.at(0, steps)
    gaps, squares = np.empty((1, steps + 1)), np.empty((1, steps + 1))
    enumerate_paths(
        problem.code, problem.padded_A[None], problem.offsets[None], problem.targets[None], np.array([problem.reg]),
        problem.padded_anchor[None], padded(start - problem.anchor)[None], np.repeat(V, problem.rows, 1)[None]
        / problem.rows, P[None], gamma[None], rho[None], np.array([normalisation]), np.array([problem.floor]), gaps,
        squares,
    )  # fmt: skip
    return gaps[0], squares[0]


def expected_quadratic(
    problem: FiniteSum, sampling: Sampling, schedule: Schedule, start: FloatArray, steps: int
) -> FloatArray:
    """Return exact E[f(x_t) − f*], t = 0 … steps, of the unnormalised rules (lam = 0) on a quadratic, for any T.

    The step is affine in (y, 1): with g_S = H y + c it is y − gamma ((H + rho H²) y + (I + rho H) c), and
    E (y, 1)(y, 1)ᵀ follows a linear recursion. Raises ParameterError for other losses.
    """
    if problem.loss != "square":
        reject("loss", problem.loss, "square: only quadratics have closed moments")
    V, P = sampling.law()
    d, k = len(problem.anchor), problem.rows
    weights = np.repeat(V, k, axis=1) / k
    H = np.einsum("kr,ri,rj->kij", weights, problem.A, problem.A) + problem.reg * V.sum(1)[:, None, None] * np.eye(d)
    c = (weights * problem.offsets) @ problem.A + problem.reg * V.sum(1)[:, None] * problem.anchor
    mean = problem.A.T @ problem.A / len(problem.A) + problem.reg * np.eye(d)
    z = np.append(start - problem.anchor, 1.0)
    M, gaps, last = np.outer(z, z), np.empty(steps + 1), None
    B, parts = np.zeros((len(P), d + 1, d + 1)), P[:, None, None]
    B[:, d, d] = 1.0
    for t, now in enumerate(zip(*schedule.at(0, steps), strict=True)):
        gaps[t] = 0.5 * np.sum(mean * M[:d, :d])
        if now != last:
            gamma, rho = last = now
            bent = np.eye(d) + rho * H
            B[:, :d, :d] = np.eye(d) - gamma * bent @ H
            B[:, :d, d] = -gamma * (bent @ c[:, :, None])[:, :, 0]
            BT = (parts * B).transpose(0, 2, 1)
        M = (B @ M @ BT).sum(axis=0)
    gaps[steps] = 0.5 * np.sum(mean * M[:d, :d])
    return gaps

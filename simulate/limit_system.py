"""What SGD on signal plus noise tends to as d → ∞: margins, coefficients and a Gaussian matrix, no data.

Setting. Balanced or iid labels, sigma_0 = c √n/((P − 1) sigma_p d), eta = e0 B m/((P − 1)² sigma_p² d). Units:
time tau = e0 · epochs, pre-activations (P − 1)⟨w_r, xi_i⟩ in √(n/d) while a pair (r, i) is off.

A pair is off unless its field is positive,

    F_ri = c z_ri + Σ_k s_rk Phi_rk g_ki,    s_rk = J_r y_k,

z standard normals and g, the inner products of the noise vectors, symmetric with zero diagonal and N(0, 1/n) entries.
An own-class pair (s = +1) that is on stays on, and Phi_ri grows by s_i = sigmoid(−(x_i + b_i)) dtau, x_i = (1/m)
Σ_own Phi_ri. A pair of the other class (s = −1) that is on takes one step, Phi_ri = e0 s_i, and is off for good. b_i
= ± `start`, the signal's logit from an earlier phase, + for clean labels; the noise met it too, by J_r · `met` · u_i
in the field, u ~ N(0, 1). A phase of SAM may be followed itself instead (`SamPhase`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, wrightomega

from simulate.parameters import choice, integer, real, reject
from simulate.signal_noise import balanced_flips
from simulate.streams import stream
from simulate.types import BoolArray, FloatArray, IntArray

CURVES = ("tau", "active", "margin", "S", "loss", "signal")


@dataclass(frozen=True)
class SamPhase:
    """A phase of SAM before SGD, which it starts with pairs that are on, kicked or held just above 0.

    `steps`; `radius` tau (P − 1) sigma_p √d; `growth` eta ‖mu‖²/(2m), gamma's a step at slope 1; `unit` √(n/d); `met`,
    (P − 1) sigma_p √(d/n)/‖mu‖, by which the noise meets gamma. With h_ri = Phi_ri + unit · F_ri the gradient is taken
    at Phi_rk − R s_rk s_k for every pair that is on, R = radius/√(Σ_on s²), in h and in the fields F as in the logits.
    """

    steps: int
    radius: float
    growth: float
    unit: float
    met: float


@dataclass(frozen=True)
class LimitRun:
    """Curves along the blocks and the covariances at the end.

    `curves` holds arrays (K,), means over samples: tau, active (share of own-class pairs on), margin x, S = ∫ s dtau,
    loss, and signal, half the mean of ± S, − for flipped labels. K_d, K_o, K_x: mean variance, covariance within a
    class and across classes of the neurons' responses to a fresh noise vector. `start`: the signal coefficient before
    SGD. `classes` holds start, signal, K_d and K_o of class +1 and of class −1, (4, 2), of which the others are means.
    status `stopped` or `max-steps` (also after far more blocks than it takes).
    """

    status: str
    curves: dict[str, np.ndarray]
    K_d: float
    K_o: float
    K_x: float
    start: float
    classes: FloatArray


def gained(rise: ArrayLike, steepness: ArrayLike) -> FloatArray:
    """Return x ≥ 0 with x + b(eˣ − 1) = rise, b = `steepness` > 0: within 3 ulps, however small or large; broadcast."""
    rise, b = np.asarray(rise, float), np.asarray(steepness, float)
    far = np.log(wrightomega(rise + b + np.log(b))) - np.log(b)  # x + log b + b eˣ is given; what is near 0 is lost
    x = np.where(rise > 1e-6 * (1.0 + b), far, rise / (1.0 + b))
    with np.errstate(over="ignore", invalid="ignore"):
        step = (x + b * np.expm1(x) - rise) / (1.0 + b * np.exp(x))
    return np.where(x < 700.0, x - step, x)


def flow(margin: FloatArray, active: FloatArray, time: float) -> FloatArray:
    """Return u(time) of u' = active · sigmoid(−u), u(0) = margin: u + eᵘ is linear in time; broadcast.

    It is within 3 ulps of the larger of |margin| and |u|, for margins up to 700.
    """
    return margin + gained(active * time, np.exp(margin))


def mean_loss(margin: FloatArray) -> float:
    """Return the mean of log(1 + e^−margin)."""
    return float(np.logaddexp(0.0, -margin).mean())


class Course:
    """How far a run has come, in S = ∫ s dtau (n,) and steps taken, and its curves along the blocks.

    `clean` (n,): −1 where the label is flipped, else 1. A block begins with `ended` and ends with `take`.
    """

    def __init__(self, clean: FloatArray, c: float, e0: float, eps: float, max_steps: int) -> None:
        self.clean, self.c, self.e0, self.eps, self.max_steps = clean, c, e0, eps, max_steps
        self.S, self.taken, self.rows = np.zeros(len(clean)), 0.0, list[tuple[float, ...]]()
        self.status = "max-steps"
        # far more than it takes; a sample that no own-class neuron is on for takes no end
        self.most_blocks = 200 + 40 * max(0.0, -float(np.log(eps)))

    def ended(self, x: FloatArray, margin: FloatArray, active: float) -> bool:
        """Take down the curves of margins x, with the signal's part `margin` (n,); return whether this is the end."""
        loss, signal = mean_loss(margin), 0.5 * (self.clean * self.S).mean()
        self.rows.append((self.e0 * self.taken, active, x.mean(), self.S.mean(), loss, signal))
        if loss <= self.eps * (1.0 + 1e-12):
            self.status = "stopped"
            return True
        return self.taken >= self.max_steps or len(self.rows) > self.most_blocks

    def block_steps(self, s: FloatArray) -> float:
        """Return a block's steps: the mean of S is to grow by about 0.1 · min(S + c/2, 1), and by a step at least."""
        steps = max(1, int(0.1 * min(self.S.mean() + 0.5 * self.c, 1.0) / (s.mean() * self.e0)))
        return min(steps, self.max_steps - self.taken)

    def take(self, steps: float, gained: FloatArray) -> None:
        """Go on by so many steps, in which S grows by `gained` (n,)."""
        self.S, self.taken = self.S + gained, self.taken + steps

    def run(self, start: ArrayLike, signal: ArrayLike, K_d: ArrayLike, K_o: ArrayLike, K_x: float) -> LimitRun:
        """Return the run; what it takes is of class +1 and of class −1 where they differ, K_d without that of c z."""
        rows = start, signal, self.c * self.c + np.asarray(K_d), K_o
        classes = np.array([np.broadcast_to(row, 2) for row in rows])
        start, _, K_d, K_o = (float(row.mean()) for row in classes)
        curves = dict(zip(CURVES, np.array(self.rows).T, strict=True))
        return LimitRun(self.status, curves, K_d, K_o, K_x, start, classes)


class _Pairs:
    """The pairs of 2m neurons and n samples: own-class ones are `on` or not, the others `fresh` until their one step.

    All are (2m, n), as are `own`, Phi with its sign s, and `first`, the fields where Phi is 0; g is (n, n).
    """

    def __init__(
        self, first: FloatArray, g: FloatArray, own: BoolArray, Phi: FloatArray, fresh: BoolArray, e0: float
    ) -> None:
        self.first, self.g, self.own, self.Phi, self.fresh, self.e0 = first, g, own, Phi, fresh, e0
        self.on = Phi > 0.0

    def x(self) -> FloatArray:
        """Return what the pairs that are on add to the margins, (n,)."""
        total: FloatArray = np.where(self.own, self.Phi, 0.0).sum(axis=0)
        return total / (len(self.own) // 2)

    def switch(self) -> FloatArray:
        """Return the fields, after turning on the own-class pairs whose field is positive."""
        field = self.first + self.Phi @ self.g
        self.on |= self.own & (field > 0.0)
        return field

    def grow(self, before: FloatArray, s: FloatArray, gained: FloatArray, single: bool) -> None:
        """Take a block, from fields `before` (2m, n) and slopes s (n,), in which S grows by `gained` (n,).

        A single step is taken with the pairs that are on at its start; in a flow others cross 0 on the way.
        """
        kicked = self.fresh & (before > 0.0)
        self.Phi -= kicked * (self.e0 * s)
        self.fresh &= ~kicked
        if single:
            self.Phi += self.on * gained
            return
        after = self.first + (self.Phi + self.on * gained) @ self.g
        crossed = np.where(self.own, ~self.on, self.fresh) & (before <= 0.0) & (after > 0.0)
        share = crossed * (after / np.where(crossed, after - before, 1.0))  # of the block, linearly
        self.Phi += np.where(self.own, (self.on + share) * gained, crossed * (-self.e0 * s))
        self.on |= crossed & self.own
        self.fresh &= ~crossed

    def visit(self, batches: Sequence[IntArray], s: FloatArray) -> None:
        """Take a step batch by batch, each in the fields that those before it have left."""
        for batch in batches:
            field = self.first[:, batch] + self.Phi @ self.g[:, batch]
            own, fresh = self.own[:, batch], self.fresh[:, batch]
            learns = np.where(own, (self.Phi[:, batch] > 0.0) | (field > 0.0), fresh & (field > 0.0))
            self.Phi[:, batch] += np.where(own, 1.0, -1.0) * learns * (self.e0 * s[batch])
            self.fresh[:, batch] &= ~learns
        self.on = self.own & (self.Phi > 0.0)

    def covariances(self) -> tuple[FloatArray, FloatArray, float]:
        """Return K_d, without c², and K_o of class +1 and of class −1, (2,), and K_x."""
        m, n = len(self.own) // 2, self.own.shape[1]
        response = self.Phi @ self.Phi.T / n
        sums = np.add.reduceat(np.add.reduceat(response, (0, m), axis=0), (0, m), axis=1)  # over class blocks
        diagonal = np.trace(response.reshape(2, m, 2, m).swapaxes(1, 2)[[0, 1], [0, 1]], axis1=1, axis2=2)
        return diagonal / m, (sums.diagonal() - diagonal) / (m * (m - 1)), float(sums[0, 1] / (m * m))


def run_limit_system(
    n: int, m: int, c: float, p: float = 0.1, eps: float = 0.01, e0: float = 0.1, seed: int = 0, start: float = 0.0,
    met: float = 0.0, symmetric: bool = True, max_steps: int = 10**6, labels: str = "balanced",
    sam: SamPhase | None = None, batches: int = 1,
) -> LimitRun:  # fmt: skip
    """Follow n samples and 2m neurons to training loss eps; O(m n²) a block, a hundred or so of them.

    Inner products are symmetric; without `symmetric` g_ik and g_ki are independent, to show what that would change.
    A `SamPhase` comes in the place of `start` and `met`; SGD's time starts after it. With `batches` a step is an epoch
    of so many equal batches, and blocks of a single epoch are taken batch by batch, in random order.
    """
    n, m, max_steps = integer("n", n, 2), integer("m", m, 2), integer("max_steps", max_steps, 1)
    c, e0, start, met = real("c", c), real("e0", e0, strict=True), real("start", start), real("met", met)
    p, eps, batches = real("p", p, below=0.5), real("eps", eps, strict=True), integer("batches", batches, 1)
    if n % batches:
        reject("batches", batches, f"a divisor of n = {n}")
    rng = stream("limit-system", seed, samples=n, width=m)
    z, matrix, u = rng.standard_normal((2 * m, n)), rng.standard_normal((n, n)), rng.standard_normal(n)
    g = (matrix + matrix.T) / np.sqrt(2.0 * n) if symmetric else matrix / np.sqrt(n)
    np.fill_diagonal(g, 0.0)
    J, (y, clean) = np.repeat([1.0, -1.0], m)[:, None], _draw_labels(n, p, labels, rng)
    own, side = y == J, np.where(y * clean > 0.0, 0, 1)  # side: 0 for the signal of class +1
    Phi, fresh, gamma, unit = np.zeros((2 * m, n)), ~own, np.array([start, start]), 0.0
    if sam is not None:
        Phi, gamma = _after_sam(sam, c * z, J * u, g, own, clean, side, e0)
        fresh &= Phi == 0.0
        unit = sam.unit
    first = c * z + (met if sam is None else sam.met * np.repeat(gamma, m)[:, None]) * J * u

    pairs, course = _Pairs(first, g, own, Phi, fresh, e0), Course(clean, c, e0, eps, max_steps)
    while True:
        field, x = pairs.switch(), pairs.x()
        margin = x + (clean * gamma[side] + unit / m * (pairs.on * field).sum(axis=0))
        if course.ended(x, margin, pairs.on.sum() / (m * n)):
            break
        s = expit(-margin)
        steps = course.block_steps(s)
        if steps == 1 and batches > 1:
            gained = e0 * s
            pairs.visit(np.split(rng.permutation(n), batches), s)
        else:
            steps, gained = advance(margin, pairs.on.sum(axis=0) / m, s, steps, e0, eps)
            pairs.grow(field, s, gained, single=steps == 1)
        course.take(steps, gained)
    signal = [(clean * course.S)[side == k].sum() / n for k in (0, 1)]
    return course.run(gamma, signal, *pairs.covariances())


def _draw_labels(n: int, p: float, labels: str, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return y, and −1 where it is flipped, else 1, both (n,): `balanced` with a fixed number of flips, or `iid`."""
    if choice("labels", labels, ("balanced", "iid")) == "iid":
        return np.where(rng.random(n) < 0.5, 1.0, -1.0), np.where(rng.random(n) < p, -1.0, 1.0)
    flips, clean = balanced_flips(n, p), np.ones(n)
    clean[:flips] = -1.0
    clean[n - flips :] = -1.0
    return np.where(np.arange(n) < (n + 1) // 2, 1.0, -1.0), clean


def _after_sam(
    sam: SamPhase, weights: FloatArray, u: FloatArray, g: FloatArray, own: BoolArray, clean: FloatArray, side: IntArray,
    e0: float,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Return Phi (2m, n), its sign that of own, and gamma of class +1 and −1, after SAM's phase.

    weights (2m, n): the fields at first, u (2m, n): what gamma · sam.met adds to them. Steps in which no pair learns
    are taken together while gamma grows by 0.01 and moves the fields by 0.02 of their spread at most.
    """
    m, n = len(own) // 2, own.shape[1]
    sign, sides, met = np.where(own, 1.0, -1.0), np.arange(2)[:, None] == side, sam.met * u
    Phi, gamma, left = np.zeros(own.shape), np.zeros(2), sam.steps

    def slopes(h: FloatArray, gamma: FloatArray) -> FloatArray:
        s: FloatArray = expit(-((sign * np.maximum(h, 0.0)).sum(axis=0) / m + clean * gamma[side]))
        return s

    while left > 0:
        field = weights + Phi @ g + np.repeat(gamma, m)[:, None] * met
        h = Phi + sam.unit * field
        s = slopes(h, gamma)
        push = np.where(h > 0.0, sign * s, 0.0)
        R = sam.radius / max(np.sqrt((push * push).sum()), 1e-300)
        lower = R * sam.growth / e0 * (sides @ (clean * s)) * 2.0 / n
        moved = -R * (push @ g) - np.repeat(lower, m)[:, None] * met
        h += sam.unit * moved - R * push
        s = slopes(h, gamma - lower)
        learns = h > 0.0
        rate = sam.growth * (sides @ (clean * s)) * 2.0 / n
        allowed = min(0.01, 0.02 * np.std(field + moved) / sam.met) / np.abs(rate).max()
        steps = 1 if learns.any() else min(left, max(1, int(min(allowed, 0.1 / sam.growth))))
        Phi += sign * learns * (e0 * s)
        gamma, left = gamma + steps * rate, left - steps
    return Phi, gamma


def advance(
    margin: FloatArray, active: FloatArray, s: FloatArray, steps: float, e0: float, eps: float
) -> tuple[float, FloatArray]:
    """Return (steps, ∫ s dtau) of a block, cut where the mean loss reaches eps; arrays (n,), s = sigmoid(−margin).

    A single step is one of gradient descent, a block of several is a flow.
    """

    def excess(time: float) -> float:
        return mean_loss(flow(margin, active, time)) - eps

    if steps == 1:
        return 1, e0 * s
    if excess(e0 * steps) < 0.0:
        steps = brentq(excess, 0.0, e0 * steps, xtol=1e-12) / e0
    moved = gained(active * (e0 * steps), np.exp(margin))
    return steps, np.where(active > 0.0, moved / np.where(active > 0.0, active, 1.0), s * (e0 * steps))

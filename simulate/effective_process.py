"""The limit system as n → ∞: one sample with its own neurons in a Gaussian field made self-consistent by a population.

Units and setting of `simulate.limit_system`. A sample meets the others in sums over many of them, so that the field of
an off pair is

    F_r(t) = c z_r + Y_r(t) + R(t),

Y Gaussian with the covariance ½ E[Phi_r(t) Phi_r'(t')] of own-class coefficients plus the same of the other class's.
A population of samples gives the expectations; one pass in time suffices, for both are causal: each block adds a row
to the covariances of the mean over neurons and of the deviations from it, and to their Cholesky factors.

R is the reaction of the others: g is symmetric, so a sample that has grown shifts the fields of the others by x g,
their margins respond by dx, and what of this comes back through g does not average out. With f(t) the mean x over off
pairs, R = (x/f) · ½ E[dx − jumps], dx the linear response to a field f: a neuron that crosses does so earlier, a jump
of ∫ s dtau · f/dF/m; one whose highest maximum lies just below 0 would have crossed there and gained from then on;
between jumps dx decays with the flow. The jumps themselves are a neuron's answer to the field on itself, and a neuron
that is off exerts none: they are taken out. (A neuron counts once, by its highest maximum: dF/dS is as rough as
Brownian motion, so that maxima come in clusters, however short the blocks are.)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit

from simulate.limit_system import Course, LimitRun, advance
from simulate.parameters import integer, real
from simulate.streams import stream
from simulate.types import BoolArray, FloatArray

WINDOW = 0.1  # how far below 0 the highest maximum may lie; its density is taken as even over that


class GaussianPaths:
    """Centred Gaussian paths in time, a row at a time, with the covariance of a population's coefficients.

    `recorded` holds the coefficients' rows (blocks, entries), `scale` makes their products a covariance; `drawn` holds
    the white noise (blocks, paths) of the paths; both grow by doubling.
    """

    def __init__(self, scale: float, jitter: float = 1e-10) -> None:
        self.scale, self.jitter = scale, jitter
        self.recorded, self.drawn, self.factor = np.zeros((0, 0)), np.zeros((0, 0)), np.zeros((0, 0))

    def extend(self, row: FloatArray, white: FloatArray) -> FloatArray:
        """Take the coefficients' next row (entries,) and white noise of any shape; return the paths' next values."""
        last = len(self.factor)
        self.recorded = _with_row(self.recorded, last, row)
        self.drawn = _with_row(self.drawn, last, white.ravel())
        covariance = self.scale * (self.recorded[: last + 1] @ row)
        known = solve_triangular(self.factor, covariance[:last], lower=True) if last else np.zeros(0)
        left = max(covariance[last] - known @ known, self.jitter * covariance[last])
        self.factor = np.block([[self.factor, np.zeros((last, 1))], [known, np.sqrt(left)]])
        values: FloatArray = self.factor[last] @ self.drawn[: last + 1]
        return values.reshape(white.shape)


def _with_row(rows: FloatArray, count: int, row: FloatArray) -> FloatArray:
    """Return an array that holds `count` rows of `rows` and then `row`: the same one where there is room."""
    if count == len(rows):
        grown = np.empty((max(32, 2 * count), len(row)))
        if count:
            grown[:count] = rows
        rows = grown
    rows[count] = row
    return rows


class _Response:
    """dx (n,), the linear response of margins x to a field f on their neurons, and the sum of its jumps (n,).

    A neuron that is off grazes 0 where its field has a maximum, the `highest` so far and less than WINDOW below 0.
    Its `grazing` (n, m), f/WINDOW at that time, is what it gains per S from then on, until it crosses.
    """

    def __init__(self, n: int, m: int) -> None:
        self.dx, self.jumps, self.grazing = np.zeros(n), np.zeros(n), np.zeros((n, m))
        self.previous, self.highest = np.full((n, m), np.inf), np.full((n, m), -WINDOW)

    def relax(self, margin: FloatArray, grown: FloatArray) -> None:
        """Follow the flow from one margin (n,) to the other: (1 + e^margin) dx is conserved."""
        self.dx *= (1.0 + np.exp(margin)) / (1.0 + np.exp(grown))

    def jump(self, crossed: BoolArray, rise: FloatArray, f: FloatArray, gained: FloatArray) -> None:
        """Add a block's jumps: of the neurons that cross 0 in it, by `rise` (n, m), and of those that have grazed 0."""
        self.grazing[crossed] = 0.0
        jump = (crossed / rise * f[:, None] + self.grazing).mean(axis=1) * gained
        self.dx += jump
        self.jumps += jump

    def graze(self, field: FloatArray, after: FloatArray, off: BoolArray, f: FloatArray) -> None:
        """Take down which neurons, still `off`, graze 0 as a block starts: `field` there, `after` at its end (n, m)."""
        peak = off & (field > self.previous) & (field > after) & (field > self.highest)
        self.grazing[peak] = (f / WINDOW)[np.nonzero(peak)[0]]
        self.highest[peak] = field[peak]
        self.previous = field


class _Population:
    """n samples, each with m own-class neurons, of coefficients Phi and `on` or not, and m of the other class.

    Those of the other class have had their `kicks` or are `fresh`; all are (n, m). The field is (2, n, m), own and
    other, `first` without other samples. `groups`: for every class of neurons with a field of its own the samples of
    its class and those of the other. A single group stands for both: it has all samples twice, and `half` their sums.
    """

    def __init__(
        self, first: FloatArray, offset: FloatArray, e0: float, groups: Sequence[tuple[Any, Any]], reaction: bool
    ) -> None:
        _, n, m = first.shape
        self.first, self.offset, self.e0, self.groups, self.with_reaction = first, offset, e0, groups, reaction
        self.half = 0.5 * len(groups)
        self.field, self.on, self.fresh = first, first[0] > 0.0, first[1] <= 0.0
        self.Phi = np.zeros((n, m))
        self.kicks = np.where(self.fresh, 0.0, e0 * expit(-offset)[:, None])
        self.means = [GaussianPaths(self.half / n) for _ in groups]
        self.deviations = [GaussianPaths(self.half / (n * (m - 1))) for _ in groups]
        self.response = _Response(n, m)

    def x(self) -> FloatArray:
        """Return what the pairs that are on add to the margins, (n,)."""
        x: FloatArray = self.Phi.mean(axis=1)
        return x

    def grow(
        self, margin: FloatArray, s: FloatArray, gained: FloatArray, single: bool, rng: np.random.Generator
    ) -> bool:
        """Take a block, from `margin` and slopes s, in which S grows by `gained`, all (n,).

        Return whether the field is finite: after many blocks without a crossing it may not be, and the block is not
        taken to its end. A single step is taken with the pairs that are on at its start.
        """
        self.Phi += self.on * gained[:, None]
        after = self.fields(rng)
        if not np.isfinite(after).all():
            return False
        x = self.x()
        self.response.relax(margin, x + self.offset)
        f, back = self.reaction(x)
        if self.with_reaction:
            after[0] += back[:, None]
        self.cross(after[0], f, gained, single)
        self.kick(after[1], s)
        self.field = after
        return True

    def fields(self, rng: np.random.Generator) -> FloatArray:
        """Return the field at a block's end, without the reaction: paths common to m neurons, and deviations."""
        _, n, m = self.first.shape
        centres = [a.mean(axis=1, keepdims=True) for a in (self.Phi, self.kicks)]
        spreads = [a - centre for a, centre in zip((self.Phi, self.kicks), centres, strict=True)]
        common, apart = rng.standard_normal((2, n, 1)), rng.standard_normal((2, n, m))
        apart -= apart.mean(axis=2, keepdims=True)
        with np.errstate(over="ignore", invalid="ignore"):
            for k, (own, other) in enumerate(self.groups):
                _extend(self.means[k], centres, common, own, other)
                _extend(self.deviations[k], spreads, apart, own, other)
            return self.first + common + apart

    def reaction(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return f, the mean of x over the off pairs of a sample's class, and R, what comes back to it, (n,)."""
        n, off = len(x), (~self.on).sum(axis=1)
        f, back = np.zeros(n), np.zeros(n)
        for own, _ in self.groups:
            f[own] = (x[own] @ off[own]) / max(off[own].sum(), 1)
            if f[own][0] > 0.0:
                answer = (self.response.dx - self.response.jumps)[own].sum()
                back[own] = x[own] / f[own] * self.half * answer / n
        return f, back

    def cross(self, after: FloatArray, f: FloatArray, gained: FloatArray, single: bool) -> None:
        """Turn on the own-class pairs whose field is positive `after` a block (n, m), in which it moves linearly."""
        crossed = ~self.on & (after > 0.0)
        rise = np.where(crossed, after - self.field[0], 1.0)
        self.response.jump(crossed, rise, f, gained)
        self.response.graze(self.field[0], after, ~(self.on | crossed), f)
        if not single:
            self.Phi += crossed * (after / rise) * gained[:, None]
        self.on |= crossed

    def kick(self, after: FloatArray, s: FloatArray) -> None:
        """Let the other class's pairs whose field is positive `after` a block (n, m) take their one step."""
        kicked = self.fresh & (after > 0.0)
        self.kicks += kicked * (self.e0 * s)[:, None]
        self.fresh &= ~kicked

    def covariances(self) -> tuple[FloatArray, FloatArray, float]:
        """Return K_d, without c², and K_o of every group's neurons, and K_x."""
        n, m = self.Phi.shape
        squares = np.array([np.square(a).mean(axis=1) for a in (self.Phi, self.kicks)])
        pairs = (m * np.square([a.mean(axis=1) for a in (self.Phi, self.kicks)]) - squares) / (m - 1)
        K_d, K_o = (
            self.half / n * np.array([phi[own].sum() + kicked[other].sum() for own, other in self.groups])
            for phi, kicked in (squares, pairs)
        )
        return K_d, K_o, float(-(self.Phi.mean(axis=1) * self.kicks.mean(axis=1)).mean())


def _extend(paths: GaussianPaths, rows: Sequence[FloatArray], white: FloatArray, own: Any, other: Any) -> None:
    """Put the paths' next values, of a class's neurons, in the place of their white noise (2, n, ·).

    rows: Phi and kicks, of which the class has those of its `own` and of `other` samples.
    """
    row = np.concatenate([rows[0][own].ravel(), rows[1][other].ravel()])
    drawn = paths.extend(row, np.concatenate([white[0][own], white[1][other]]))
    white[0][own], white[1][other] = np.split(drawn, [len(white[0][own])])


def run_effective_process(
    samples: int, m: int, c: float, p: float = 0.1, eps: float = 0.01, e0: float = 0.1, seed: int = 0,
    start: float = 0.0, met: float = 0.0, reaction: bool = True, max_steps: int = 10**6, share: float | None = None,
) -> LimitRun:  # fmt: skip
    """Follow a population of samples with m own and m other neurons each to training loss eps.

    Without `reaction` the field is that of a g without symmetry. A share p of the samples, rounded, is flipped. With
    `share` that of the population, rounded, is labelled +1, the rest −1, and each class of neurons has fields of its
    own: half the expectations over all samples become sums over a class's. Without, both halves are one population.
    """
    n, m, max_steps = integer("samples", samples, 2), integer("m", m, 2), integer("max_steps", max_steps, 1)
    c, e0, start, met = real("c", c, strict=True), real("e0", e0, strict=True), real("start", start), real("met", met)
    p, eps = real("p", p, below=0.5), real("eps", eps, strict=True)
    rng = stream("effective-process", seed, samples=n, width=m)
    z, u = rng.standard_normal((2, n, m)), rng.standard_normal((n, 1))
    first = c * z + met * np.stack([u, -u])  # own, other
    clean = np.where(np.arange(n) < round(p * n), -1.0, 1.0)
    groups: list[tuple[Any, Any]] = [(slice(None), slice(None))]
    if share is not None:
        one = np.arange(n) < min(max(round(real("share", share, below=1.0) * n), 1), n - 1)
        groups = [(one, ~one), (~one, one)]
    offset = start * clean
    population = _Population(first, offset, e0, groups, reaction)
    course = Course(clean, c, e0, eps, max_steps)
    while True:
        x = population.x()
        margin = x + offset
        if course.ended(x, margin, population.on.mean()):
            break
        s = expit(-margin)
        steps = course.block_steps(s)
        single = steps == 1
        steps, gained = advance(margin, population.on.mean(axis=1), s, steps, e0, eps)
        if not population.grow(margin, s, gained, single, rng):
            break
        course.take(steps, gained)
    signal = [population.half * (clean * course.S)[own].sum() / n for own, _ in groups]
    return course.run(start, signal, *population.covariances())

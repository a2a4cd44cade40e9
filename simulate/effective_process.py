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

from simulate.limit_system import CURVES, LimitRun, advance, block_steps, mean_loss, most_blocks
from simulate.parameters import integer, real
from simulate.streams import stream
from simulate.types import FloatArray

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
    c, e0, start, met = real("c", c), real("e0", e0, strict=True), real("start", start), real("met", met)
    p, eps = real("p", p, below=0.5), real("eps", eps, strict=True)
    rng = stream("effective-process", seed, samples=n, width=m)
    z, u = rng.standard_normal((2, n, m)), rng.standard_normal((n, 1))
    clean = np.where(np.arange(n) < round(p * n), -1.0, 1.0)
    offset = start * clean
    everyone: Any = slice(None)
    first_class = np.arange(n) < n // 2
    groups, half = [(everyone, everyone)], 0.5  # own-class and other-class samples of a class of neurons
    if share is not None:
        first_class = np.arange(n) < min(max(round(real("share", share, below=1.0) * n), 1), n - 1)
        groups, half = [(first_class, ~first_class), (~first_class, first_class)], 1.0
    first = c * z + met * np.stack([u, -u])  # own, other

    Phi, kicks = np.zeros((n, m)), np.zeros((n, m))
    field = first
    on, fresh = field[0] > 0.0, field[1] <= 0.0
    kicks[~fresh] = (e0 * np.broadcast_to(expit(-offset)[:, None], (n, m)))[~fresh]
    means = [GaussianPaths(half / n) for _ in groups]
    deviations = [GaussianPaths(half / (n * (m - 1))) for _ in groups]
    dx, jumps, grazing = np.zeros(n), np.zeros(n), np.zeros((n, m))
    previous, highest = np.full((n, m), np.inf), np.full((n, m), -WINDOW)
    x, S, taken, rows = np.zeros(n), np.zeros(n), 0.0, []
    while True:
        loss = mean_loss(x + offset)
        rows.append((e0 * taken, on.mean(), x.mean(), S.mean(), loss, 0.5 * (clean * S).mean()))
        if loss <= eps * (1.0 + 1e-12) or taken >= max_steps or len(rows) > most_blocks(eps):
            break
        s = expit(-(x + offset))
        steps = min(block_steps(s.mean(), S.mean(), c, e0), max_steps - taken)
        single = steps == 1
        steps, gained = advance(x + offset, on.mean(axis=1), s, steps, e0, eps)
        Phi += on * gained[:, None]

        centres = [a.mean(axis=1, keepdims=True) for a in (Phi, kicks)]
        spreads = [a - centre for a, centre in zip((Phi, kicks), centres, strict=True)]
        common, apart = rng.standard_normal((2, n, 1)), rng.standard_normal((2, n, m))
        apart -= apart.mean(axis=2, keepdims=True)
        with np.errstate(over="ignore", invalid="ignore"):
            for k, (own, other) in enumerate(groups):
                _extend(means[k], centres, common, own, other)
                _extend(deviations[k], spreads, apart, own, other)
        if not (np.isfinite(common).all() and np.isfinite(apart).all()):  # many blocks after the last crossing
            break
        grown = Phi.mean(axis=1)
        dx *= (1.0 + np.exp(x + offset)) / (1.0 + np.exp(grown + offset))
        off, f, back = (~on).sum(axis=1), np.zeros(n), np.zeros(n)
        for own, _ in groups:
            f[own] = (grown[own] @ off[own]) / max(off[own].sum(), 1)
            if reaction and f[own][0] > 0.0:
                back[own] = grown[own] / f[own] * half * (dx - jumps)[own].sum() / n
        after = first + common + apart
        after[0] += back[:, None]

        crossed = ~on & (after[0] > 0.0)
        rise = np.where(crossed, after[0] - field[0], 1.0)
        grazing[crossed] = 0.0
        response = ((crossed / rise * f[:, None] + grazing).mean(axis=1)) * gained
        dx += response
        jumps += response
        peak = ~on & ~crossed & (field[0] > previous) & (field[0] > after[0]) & (field[0] > highest)
        grazing[peak] = (f / WINDOW)[np.nonzero(peak)[0]]
        highest[peak] = field[0][peak]
        if not single:  # a single step is taken with the pairs that are on at its start
            Phi += crossed * (after[0] / rise) * gained[:, None]
        on |= crossed
        kicked = fresh & (after[1] > 0.0)
        kicks += kicked * (e0 * s)[:, None]
        fresh &= ~kicked
        previous, field = field[0], after
        x, S, taken = Phi.mean(axis=1), S + gained, taken + steps
    squares = np.array([np.square(a).mean(axis=1) for a in (Phi, kicks)])
    pairs = (m * np.square([a.mean(axis=1) for a in (Phi, kicks)]) - squares) / (m - 1)
    K_d, K_o = (
        half / n * np.array([own_class[own].sum() + kicked[other].sum() for own, other in groups])
        for own_class, kicked in (squares, pairs)
    )
    signal = 0.5 * (clean * S).mean() if share is None else [(clean * S)[own].sum() / n for own, _ in groups]
    classes = np.array([np.broadcast_to(row, 2) for row in (start, signal, c * c + K_d, K_o)])
    return LimitRun(
        "stopped" if loss <= eps * (1.0 + 1e-12) else "max-steps",
        dict(zip(CURVES, np.array(rows).T, strict=True)),
        float(classes[2].mean()),
        float(classes[3].mean()),
        float(-(Phi.mean(axis=1) * kicks.mean(axis=1)).mean()),
        start,
        classes,
    )


def _extend(paths: GaussianPaths, rows: Sequence[FloatArray], white: FloatArray, own: Any, other: Any) -> None:
    """Put the paths' next values, of a class's neurons, in the place of their white noise (2, n, ·).

    rows: Phi and kicks, of which the class has those of its `own` and of `other` samples.
    """
    row = np.concatenate([rows[0][own].ravel(), rows[1][other].ravel()])
    drawn = paths.extend(row, np.concatenate([white[0][own], white[1][other]]))
    white[0][own], white[1][other] = np.split(drawn, [len(white[0][own])])

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

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit

from simulate.limit_system import CURVES, LimitRun, advance, block_steps, mean_loss, most_blocks
from simulate.parameters import integer, real
from simulate.streams import stream

WINDOW = 0.1  # how far below 0 the highest maximum may lie; its density is taken as even over that


class GaussianPaths:
    """Centred Gaussian paths in time, a row at a time, with the covariance of a population's coefficients.

    `recorded` holds the coefficients' rows (blocks, entries), `scale` makes their products a covariance; `drawn` holds
    the white noise (blocks, paths) of the paths; both grow by doubling.
    """

    def __init__(self, scale, jitter=1e-10):
        self.scale, self.jitter = scale, jitter
        self.recorded, self.drawn, self.factor = None, None, np.zeros((0, 0))

    def extend(self, row, white):
        """Take the coefficients' next row (entries,) and white noise of any shape; return the paths' next values."""
        last = len(self.factor)
        self.recorded = _with_row(self.recorded, last, row)
        self.drawn = _with_row(self.drawn, last, white.ravel())
        covariance = self.scale * (self.recorded[: last + 1] @ row)
        known = solve_triangular(self.factor, covariance[:last], lower=True) if last else np.zeros(0)
        left = max(covariance[last] - known @ known, self.jitter * covariance[last])
        self.factor = np.block([[self.factor, np.zeros((last, 1))], [known, np.sqrt(left)]])
        return (self.factor[last] @ self.drawn[: last + 1]).reshape(white.shape)


def _with_row(rows, count, row):
    """Return an array that holds `count` rows of `rows` and then `row`: the same one where there is room."""
    if rows is None or count == len(rows):
        grown = np.empty((max(32, 2 * count), len(row)))
        if count:
            grown[:count] = rows
        rows = grown
    rows[count] = row
    return rows


def run_effective_process(
    samples, m, c, p=0.1, eps=0.01, e0=0.1, seed=0, start=0.0, met=0.0, reaction=True, max_steps=10**6
) -> LimitRun:
    """Follow a population of samples with m own and m other neurons each to training loss eps.

    Without `reaction` the field is that of a g without symmetry. A share p of the samples, rounded, is flipped.
    """
    n, m, max_steps = integer("samples", samples, 2), integer("m", m, 2), integer("max_steps", max_steps, 1)
    c, e0, start, met = real("c", c), real("e0", e0, strict=True), real("start", start), real("met", met)
    p, eps = real("p", p, below=0.5), real("eps", eps, strict=True)
    rng = stream("effective-process", seed, samples=n, width=m)
    z, u = rng.standard_normal((2, n, m)), rng.standard_normal((n, 1))
    clean = np.where(np.arange(n) < round(p * n), -1.0, 1.0)
    offset = start * clean
    first = c * z + met * np.stack([u, -u])  # own, other

    Phi, kicks = np.zeros((n, m)), np.zeros((n, m))
    field = first
    on, fresh = field[0] > 0.0, field[1] <= 0.0
    kicks[~fresh] = (e0 * np.broadcast_to(expit(-offset)[:, None], (n, m)))[~fresh]
    means, deviations = GaussianPaths(0.5 / n), GaussianPaths(0.5 / (n * (m - 1)))
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

        centre, spread = _split(Phi, kicks)
        common, white = rng.standard_normal((2, n, 1)), rng.standard_normal((2, n, m))
        with np.errstate(over="ignore", invalid="ignore"):
            common = means.extend(centre, common)
            apart = deviations.extend(spread, white - white.mean(axis=2, keepdims=True))
        if not (np.isfinite(common).all() and np.isfinite(apart).all()):  # many blocks after the last crossing
            break
        grown = Phi.mean(axis=1)
        dx *= (1.0 + np.exp(x + offset)) / (1.0 + np.exp(grown + offset))
        off = (~on).sum(axis=1)
        f = (grown @ off) / max(off.sum(), 1)
        back = grown / f * 0.5 * (dx - jumps).mean() if reaction and f > 0.0 else np.zeros(n)
        after = first + common + apart
        after[0] += back[:, None]

        crossed = ~on & (after[0] > 0.0)
        rise = np.where(crossed, after[0] - field[0], 1.0)
        grazing[crossed] = 0.0
        response = ((crossed / rise * f + grazing).mean(axis=1)) * gained
        dx += response
        jumps += response
        peak = ~on & ~crossed & (field[0] > previous) & (field[0] > after[0]) & (field[0] > highest)
        grazing[peak] = f / WINDOW
        highest[peak] = field[0][peak]
        if not single:  # a single step is taken with the pairs that are on at its start
            Phi += crossed * (after[0] / rise) * gained[:, None]
        on |= crossed
        kicked = fresh & (after[1] > 0.0)
        kicks += kicked * (e0 * s)[:, None]
        fresh &= ~kicked
        previous, field = field[0], after
        x, S, taken = Phi.mean(axis=1), S + gained, taken + steps
    pair = [0.5 * (np.square(a.sum(axis=1)) - np.square(a).sum(axis=1)).mean() / (m * (m - 1)) for a in (Phi, kicks)]
    return LimitRun(
        "stopped" if loss <= eps * (1.0 + 1e-12) else "max-steps",
        dict(zip(CURVES, np.array(rows).T, strict=True)),
        float(c * c + 0.5 * (np.square(Phi).mean() + np.square(kicks).mean())),
        float(sum(pair)),
        float(-(Phi.mean(axis=1) * kicks.mean(axis=1)).mean()),
    )


def _split(Phi, kicks):
    """Return the means over neurons and the deviations from them, both classes in one row each."""
    centres = [a.mean(axis=1, keepdims=True) for a in (Phi, kicks)]
    spreads = [a - centre for a, centre in zip((Phi, kicks), centres, strict=True)]
    return np.concatenate(centres).ravel(), np.concatenate(spreads).ravel()

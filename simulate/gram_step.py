"""Steps of the convolutional network in Gram space, close to what a machine can do; `simulate.conv` has the equations.

Up to its sign J_r, row r of D is one number c_k wherever H[r, k] > 0, so row r of D G is J_r times a sum of rows of G,
over the columns that are on: a minority. Which ones are on is kept as bits, a word a panel of up to 64 columns; a panel
of the sum stays in vector registers while the bits are walked, which leaves out the zeros of the product D G.
Whatever else is done to a row is done in one pass over it, and the exponentials of the logits come eight at a time.
What is done to the samples alone is put in place of its calls: handing ten arrays over takes a quarter of a small step.

Arrays have `panels · 8 · len(panel)` columns, `panel` being a tuple as long as a panel has strips of eight: a length
that the compiler knows. Column 0 belongs to mu, and its D to the sign of H[r, 0]: it is never among the bits.
"""

import math

import numpy as np

from simulate.compiled import kernel
from simulate.lanes import LANES, borrowed
from simulate.strips import at_least, blank, exponential, lay, lowest, masked, positive_bits, strip, summed
from simulate.types import BitArray, FloatArray, IntArray
from simulate.update import DIVERGED, RUNNING, STOPPED, perturbation_scale

ONE = np.uint64(1)
_WIDEST = 8  # strips a panel, for its bits to fit a word


def panels_of(columns: int) -> tuple[int, int]:
    """Return (panels, strips a panel) for so many columns."""
    strips = -(-columns // LANES)
    count = -(-strips // _WIDEST)
    return count, -(-strips // count)


@kernel
def aligned(rows: int, columns: int) -> FloatArray:
    """Return zeros (rows, columns) that start on a cache line of 64 bytes.

    With columns a multiple of 8 no vector of a row straddles two lines, which would make its load twice as dear.
    """
    buffer = np.zeros(rows * columns + LANES)
    start = -buffer.ctypes.data // 8 % LANES
    return buffer[start : start + rows * columns].reshape(rows, columns)


@kernel
def look(
    H: FloatArray, JDG: FloatArray, scale: float, on: BitArray, sums: FloatArray, signal: FloatArray,
    panel: tuple[int, ...],
) -> float:  # fmt: skip
    """Tell what of P = H + scale · D G is on, and the sums over rows that make the logits; JDG is J D G.

    `on` (2m, panels) gets the bits of P > 0, sums (1, columns) gets Σ_r J_r relu(P[r, k]) and signal (2m,) P[:, 0].
    Returns Σ_r J_r relu(−P[r, 0]).
    """
    H, JDG, on, sums = borrowed(H), borrowed(JDG), borrowed(on), borrowed(sums)
    rows = len(H)
    for q in range(on.shape[1]):
        at = q * LANES * len(panel)
        total = blank(panel)
        for r in range(rows):
            J = 1.0 if 2 * r < rows else -1.0
            p = strip(H, r, at, panel) + (J * scale) * strip(JDG, r, at, panel)
            on[r, q] = positive_bits(p)
            total = total + J * at_least(p, 0.0)
        lay(sums, 0, at, total)
    for r in range(rows):
        signal[r] = H[r, 0] + (scale if 2 * r < rows else -scale) * JDG[r, 0]
    return opposite_signal(signal)


@kernel(inline=True)
def opposite_signal(signal: FloatArray) -> float:
    """Return Σ_r J_r relu(−P[r, 0]) from P[:, 0], what −mu makes of the rows."""
    total = 0.0
    for r in range(signal.size):
        total += (1.0 if 2 * r < signal.size else -1.0) * max(-signal[r], 0.0)
    return total


@kernel(inline=True)
def gather_margins(
    sums: FloatArray, opposite: float, labels: FloatArray, signal_labels: FloatArray, noise_weight: float,
    noise_count: int, samples: IntArray, count: int, m: int, z: FloatArray,
) -> None:  # fmt: skip
    """Write the margins y f of the first `count` of `samples` into z (1, n + 8), from what `look` has summed."""
    for j in range(count):
        i = np.uint64(samples[j])  # unsigned, for an index that may be negative costs a test
        noise, k = 0.0, ONE + i * np.uint64(noise_count)
        for _ in range(noise_count):
            noise += sums[0, k]
            k += ONE
        f = ((sums[0, 0] if signal_labels[i] > 0.0 else opposite) + noise_weight * noise) / m
        z[0, j] = labels[i] * f


@kernel
def mean_loss(margins: FloatArray) -> float:
    """Return the mean of log(1 + e^{−z}) over the margins z = y f, each within 2 ulps."""
    total = 0.0
    for z in margins:
        total += max(-z, 0.0) + math.log1p(math.exp(-abs(z)))
    return total / margins.size


@kernel
def slopes(margins: FloatArray, n: int, s: FloatArray) -> float:
    """Write s = 1/(1 + e^z) of n margins z and return their mean, a lower bound of the loss; NaN stays NaN.

    s is within 2 ulps; below e^−708.74 it is 0. margins and s are (1, n + 8) at least; past the n, s holds zeros.
    """
    total = blank((0,))
    for i in range(0, n, LANES):
        z = strip(margins, 0, i, (0,))
        e = exponential(0.0 - at_least(z, 0.0) - at_least(0.0 - z, 0.0))
        right = positive_bits(z)
        found = (masked(e, right) + masked(blank((0,)) + 1.0, ~right)) / (1.0 + e)
        if n - i < LANES:
            found = masked(found, (ONE << np.uint64(n - i)) - ONE)
        lay(s, 0, i, found)
        total = total + found
    return summed(total) / n


@kernel(inline=True)
def weigh(
    labels: FloatArray, signal_labels: FloatArray, noise_weight: float, noise_count: int, samples: IntArray, count: int,
    s: FloatArray, m: int, c: FloatArray,
) -> None:  # fmt: skip
    """Write c (2, columns): J_r D[r, k] is c[0, k] where H[r, k] > 0, and c[1, 0] where H[r, 0] < 0.

    Only the columns of the batch are written, the first `count` of `samples`; s (1, n + 8) holds their 1/(1 + e^{y f}).
    """
    scale, positive, negative = 1.0 / (m * count), 0.0, 0.0
    for j in range(count):
        i = np.uint64(samples[j])
        g = scale * s[0, j] * labels[i]
        positive += g if signal_labels[i] > 0.0 else 0.0
        negative -= g if signal_labels[i] < 0.0 else 0.0
        k = ONE + i * np.uint64(noise_count)
        for _ in range(noise_count):
            c[0, k] = noise_weight * g
            k += ONE
    c[0, 0], c[1, 0] = positive, negative


@kernel
def mark(samples: IntArray, count: int, noise_count: int, members: BitArray, panel: tuple[int, ...]) -> None:
    """Write the bits of the columns of the first `count` of `samples` into members (panels,)."""
    width = LANES * len(panel)
    members[:] = 0
    for j in range(count):
        i = samples[j]
        for k in range(1 + i * noise_count, 1 + (i + 1) * noise_count):
            members[k // width] |= ONE << np.uint64(k % width)


@kernel
def weigh_signal(c: FloatArray, signal: FloatArray, weights: FloatArray) -> None:
    """Write J_r D[r, 0] into weights (2m,), D at `signal`, the column of mu."""
    for r in range(weights.size):
        weights[r] = c[0, 0] if signal[r] > 0.0 else (c[1, 0] if signal[r] < 0.0 else 0.0)


@kernel(inline=True)
def product(
    G: FloatArray, c: FloatArray, members: BitArray, weight: float, on: BitArray, r: int, at: int,
    panel: tuple[int, ...],
) -> FloatArray:  # fmt: skip
    """Return row r of J D G from column `at` on, a panel; `weight` is J_r D[r, 0]."""
    total = weight * strip(G, 0, at, panel)
    for w in range(on.shape[1]):
        bits = on[r, w] & members[w]
        while bits != 0:
            k = w * LANES * len(panel) + lowest(bits)
            bits &= bits - ONE
            total = total + c[0, k] * strip(G, k, at, panel)
    return total


@kernel
def pull(
    G: FloatArray, c: FloatArray, members: BitArray, weights: FloatArray, on: BitArray, JDG: FloatArray,
    panel: tuple[int, ...],
) -> float:  # fmt: skip
    """Write J D G into JDG (2m, columns) and return ‖∇L‖² = Σ D ∘ (D G).

    D is that of the batch of `members`, taken at the bits `on`; weights (2m,) are its J_r D[r, 0]. G is (columns,
    columns), or (2m, columns, columns) with one for each row.
    """
    c, members, on, JDG = borrowed(c), borrowed(members), borrowed(on), borrowed(JDG)
    rows, squared = len(on), 0.0
    for q in range(on.shape[1]):
        at = q * LANES * len(panel)
        d, inner = strip(c, 0, at, panel), blank(panel)
        for r in range(rows):
            M = borrowed(G[r] if G.ndim == 3 else G)
            found = product(M, c, members, weights[r], on, r, at, panel)
            lay(JDG, r, at, found)
            inner = inner + masked(d, on[r, q] & members[q]) * found
        squared += summed(inner)
    for r in range(rows):
        squared += weights[r] * JDG[r, 0]
    return squared


@kernel
def follow(
    H: FloatArray, G: FloatArray, c: FloatArray, members: BitArray, weights: FloatArray, on: BitArray, step_size: float,
    shrink: float, found: BitArray, sums: FloatArray, signal: FloatArray, panel: tuple[int, ...],
) -> float:  # fmt: skip
    """H = shrink · H + step_size · D G, with what `look` tells of it, in one pass that never stores D G.

    D as in `pull`; `found` gets the bits of the new H.
    """
    H, c, members, on, found, sums = (
        borrowed(H), borrowed(c), borrowed(members), borrowed(on), borrowed(found), borrowed(sums)
    )  # fmt: skip
    rows = len(H)
    for q in range(on.shape[1]):
        at = q * LANES * len(panel)
        total = blank(panel)
        for r in range(rows):
            J = 1.0 if 2 * r < rows else -1.0
            M = borrowed(G[r] if G.ndim == 3 else G)
            h = shrink * strip(H, r, at, panel) + (J * step_size) * product(M, c, members, weights[r], on, r, at, panel)
            lay(H, r, at, h)
            found[r, q] = positive_bits(h)
            total = total + J * at_least(h, 0.0)
        lay(sums, 0, at, total)
    for r in range(rows):
        signal[r] = H[r, 0]
    return opposite_signal(signal)


@kernel
def gain(
    A: FloatArray, c: FloatArray, members: BitArray, weights: FloatArray, on: BitArray, step_size: float, shrink: float,
    panel: tuple[int, ...],
) -> None:  # fmt: skip
    """Set A = shrink · A + step_size · D, with the D of `pull`."""
    A, c, members, on = borrowed(A), borrowed(c), borrowed(members), borrowed(on)
    for q in range(on.shape[1]):
        at = q * LANES * len(panel)
        d = strip(c, 0, at, panel)
        for r in range(len(A)):
            scale = step_size if 2 * r < len(A) else -step_size
            signal = shrink * A[r, 0] + scale * weights[r]
            lay(A, r, at, shrink * strip(A, r, at, panel) + scale * masked(d, on[r, q] & members[q]))
            if q == 0:
                A[r, 0] = signal


@kernel
def advance_gram(
    H: FloatArray, A: FloatArray, G: FloatArray, labels: FloatArray, signal_labels: FloatArray, noise_weight: float,
    noise_count: int, order: IntArray, first_epoch: int, first: int, last: int, batch_size: int, step_size: float,
    radius: float, normalisation: float, stop_loss: float, shrink: float, panel: tuple[int, ...],
) -> tuple[int, int]:  # fmt: skip
    """Take steps first … last − 1 on H and A in place; return the step reached and its code.

    H, A (2m, columns) and G (columns, columns), or one a row, are filled up with zeros from N + 1 columns on. shrink =
    1 − eta · decay multiplies the weights before each step. `order` (epochs, n) holds the permutations from epoch
    `first_epoch` on, in turn. The loss is tested before each epoch (before each step, where the batch is full).
    """
    n, (rows, columns) = labels.size, H.shape
    m, panels = rows // 2, columns // (LANES * len(panel))
    per_epoch = -(-n // batch_size)
    z, s = aligned(1, n + LANES), aligned(1, n + LANES)
    c, sums, JDG = aligned(2, columns), aligned(1, columns), aligned(rows, columns)
    on, found = np.empty((rows, panels), np.uint64), np.empty((rows, panels), np.uint64)
    members, weights, signal = np.empty(panels, np.uint64), np.empty(rows), np.empty(rows)
    mark(order[0], n, noise_count, members, panel)
    opposite = look(H, JDG, 0.0, on, sums, signal, panel)
    for step in range(first, last):
        epoch, place = step // per_epoch, step % per_epoch
        samples = order[(epoch - first_epoch) % len(order), place * batch_size :]  # all n, where the loss is tested
        count = min(batch_size, samples.size)
        known = n if place == 0 else count
        gather_margins(sums, opposite, labels, signal_labels, noise_weight, noise_count, samples, known, m, z)
        bound = slopes(z, known, s)
        if place == 0:
            if not bound >= 0.0:
                return step, DIVERGED
            if bound <= stop_loss and mean_loss(z[0, :n]) <= stop_loss:  # its logarithms are for later
                return step, STOPPED
        if batch_size < n:
            mark(samples, count, noise_count, members, panel)
        weigh(labels, signal_labels, noise_weight, noise_count, samples, count, s, m, c)
        weigh_signal(c, signal, weights)
        if radius > 0.0:
            norm = math.sqrt(max(pull(G, c, members, weights, on, JDG, panel), 0.0))
            scale = perturbation_scale(radius, normalisation, norm)
            opposite = look(H, JDG, -scale, on, sums, signal, panel)
            gather_margins(sums, opposite, labels, signal_labels, noise_weight, noise_count, samples, count, m, z)
            slopes(z, count, s)
            weigh(labels, signal_labels, noise_weight, noise_count, samples, count, s, m, c)
            weigh_signal(c, signal, weights)
        gain(A, c, members, weights, on, step_size, shrink, panel)
        opposite = follow(H, G, c, members, weights, on, step_size, shrink, found, sums, signal, panel)
        on, found = found, on
    return last, RUNNING

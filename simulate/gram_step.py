"""Steps of the convolutional network in Gram space, close to what a machine can do; `simulate.conv` has the equations.

Up to its sign J_r, row r of D is one number c_k wherever H[r, k] > 0, so row r of D G is J_r times a sum of rows of G,
over the columns that are on: a minority. Which ones are on is kept as bits, a word a panel of up to 64 columns; a panel
of the sum stays in vector registers while the bits are walked, which leaves out the zeros of the product D G.
Whatever else is done to a row is done in one pass over it, and the exponentials of the logits come eight at a time.

Arrays have `panels · 8 · len(panel)` columns, `panel` being a tuple as long as a panel has strips of eight: a length
that the compiler knows. Column 0 belongs to mu, and its D to the sign of H[r, 0]: it is never among the bits.
"""

import math

import numpy as np

from simulate.compiled import kernel
from simulate.lanes import LANES, across, borrowed, number, row, zeros
from simulate.strips import at_least, blank, exponential, lay, lowest, masked, positive_bits, strip
from simulate.update import DIVERGED, RUNNING, STOPPED, perturbation_scale

ONE = np.uint64(1)
_WIDEST = 8  # strips a panel, for its bits to fit a word


def panels_of(columns: int) -> tuple[int, int]:
    """Return (panels, strips a panel) for so many columns."""
    strips = -(-columns // LANES)
    count = -(-strips // _WIDEST)
    return count, -(-strips // count)


@kernel
def aligned(rows, columns):
    """Return zeros (rows, columns) that start on a cache line of 64 bytes.

    With columns a multiple of 8 no vector of a row straddles two lines, which would make its load twice as dear.
    """
    buffer = np.zeros(rows * columns + LANES)
    start = -buffer.ctypes.data // 8 % LANES
    return buffer[start : start + rows * columns].reshape(rows, columns)


@kernel
def look(P, H, JDG, scale, shrink, on, sums, panel):
    """P = shrink · H + scale · D G; tell what of P is on, and the sums over rows that make the logits.

    P (2m, columns) may be H itself, JDG is J D G. `on` (2m, panels) gets the bits of P > 0 and sums (1, columns) gets
    Σ_r J_r relu(P[r, k]). Returns Σ_r J_r relu(−P[r, 0]).
    """
    P, H, JDG, on, sums = borrowed(P), borrowed(H), borrowed(JDG), borrowed(on), borrowed(sums)
    rows, opposite = len(H), 0.0
    for q in range(on.shape[1]):
        at = q * LANES * len(panel)
        total = blank(panel)
        for r in range(rows):
            J = 1.0 if 2 * r < rows else -1.0
            p = shrink * strip(H, r, at, panel) + (J * scale) * strip(JDG, r, at, panel)
            lay(P, r, at, p)
            on[r, q] = positive_bits(p)
            total = total + J * at_least(p, 0.0)
        lay(sums, 0, at, total)
    for r in range(rows):
        opposite += (1.0 if 2 * r < rows else -1.0) * max(-P[r, 0], 0.0)
    return opposite


@kernel
def gather_logits(sums, opposite, signal_labels, noise_weight, noise_count, m, f):
    """Write the logits f (n,) from what `look` has summed."""
    k = ONE
    for i in range(f.size):
        noise = 0.0
        for _ in range(noise_count):
            noise += sums[0, k]
            k += ONE
        f[i] = ((sums[0, 0] if signal_labels[i] > 0.0 else opposite) + noise_weight * noise) / m


@kernel
def mean_loss(f, labels):
    """Return the mean of log(1 + e^{−y f}) over all samples, each within 2 ulps."""
    total = 0.0
    for i in range(f.size):
        z = labels[i] * f[i]
        total += max(-z, 0.0) + math.log1p(math.exp(-abs(z)))
    return total / f.size


@kernel
def slopes(f, labels, n, s):
    """Write s_i = 1/(1 + e^{y f}) of every sample and return their mean, a lower bound of the loss; NaN stays NaN.

    s_i is within 2 ulps; below e^−708.74 it is 0. f, labels and s are (1, n + 8), f and labels zero past the last
    sample; s holds sums there.
    """
    total = blank((0,))
    for i in range(0, n, LANES):
        z = strip(labels, 0, i, (0,)) * strip(f, 0, i, (0,))
        e = exponential(0.0 - at_least(z, 0.0) - at_least(0.0 - z, 0.0))
        right = positive_bits(z)
        found = (masked(e, right) + masked(blank((0,)) + 1.0, ~right)) / (1.0 + e)
        if n - i < LANES:
            found = masked(found, (ONE << np.uint64(n - i)) - ONE)
        lay(s, 0, i, found)
        total = total + found
    lay(s, 0, n, total)  # past the last sample, for a moment
    mean = 0.0
    for i in range(n, n + LANES):
        mean += s[0, i]
    return mean / n


@kernel
def weigh(labels, signal_labels, noise_weight, noise_count, batch, s, m, c):
    """Write c (2, columns): J_r D[r, k] is c[0, k] where H[r, k] > 0, and c[1, 0] where H[r, 0] < 0.

    Only the columns of `batch` are written; s (1, n + 8) holds 1/(1 + e^{y f}).
    """
    scale, positive, negative = 1.0 / (m * batch.size), 0.0, 0.0
    for j in range(batch.size):
        i = np.uint64(batch[j])  # unsigned, for an index that may be negative costs a test
        g = scale * s[0, i] * labels[i]
        positive += g if signal_labels[i] > 0.0 else 0.0
        negative -= g if signal_labels[i] < 0.0 else 0.0
        k = ONE + i * np.uint64(noise_count)
        for _ in range(noise_count):
            c[0, k] = noise_weight * g
            k += ONE
    c[0, 0], c[1, 0] = positive, negative


@kernel
def mark(batch, noise_count, members, panel):
    """Write the bits of the columns of `batch` into members (panels,)."""
    width = LANES * len(panel)
    members[:] = 0
    for i in batch:
        for k in range(1 + i * noise_count, 1 + (i + 1) * noise_count):
            members[k // width] |= ONE << np.uint64(k % width)


@kernel(inline=True)
def signal_weight(c, h):
    """Return J_r D[r, 0] where H[r, 0] = h."""
    return c[0, 0] if h > 0.0 else (c[1, 0] if h < 0.0 else 0.0)


@kernel
def pull(G, c, members, H, on, JDG, panel):
    """Write J D G into JDG (2m, columns), D on the batch of `members` at H, whose bits are `on`.

    G (columns, columns), or (2m, columns, columns) with one for each row.
    """
    c, members, H, on, JDG = borrowed(c), borrowed(members), borrowed(H), borrowed(on), borrowed(JDG)
    width = LANES * len(panel)
    for q in range(on.shape[1]):
        at = q * width
        for r in range(len(on)):
            M = borrowed(G[r] if G.ndim == 3 else G)
            total = signal_weight(c, H[r, 0]) * strip(M, 0, at, panel)
            for w in range(on.shape[1]):
                bits = on[r, w] & members[w]
                while bits != 0:
                    k = w * width + lowest(bits)
                    bits &= bits - ONE
                    total = total + c[0, k] * strip(M, k, at, panel)
            lay(JDG, r, at, total)


@kernel
def gain(A, c, members, H, on, step_size, shrink, panel):
    """A = shrink · A + step_size · D, with the D of `pull`."""
    A, c, members, H, on = borrowed(A), borrowed(c), borrowed(members), borrowed(H), borrowed(on)
    for q in range(on.shape[1]):
        at = q * LANES * len(panel)
        d = strip(c, 0, at, panel)
        for r in range(len(A)):
            scale = step_size if 2 * r < len(A) else -step_size
            signal = shrink * A[r, 0] + scale * signal_weight(c, H[r, 0])
            lay(A, r, at, shrink * strip(A, r, at, panel) + scale * masked(d, on[r, q] & members[q]))
            if q == 0:
                A[r, 0] = signal


@kernel
def squared_norm(c, members, H, on, JDG, scratch, panel):
    """Return ‖∇L‖² = Σ D ∘ (D G); `scratch` is (1, columns)."""
    c, members, H, on, JDG = borrowed(c), borrowed(members), borrowed(H), borrowed(on), borrowed(JDG)
    lanes, signal = zeros(1), 0.0
    for q in range(on.shape[1]):
        at = q * LANES * len(panel)
        total, d = blank(panel), strip(c, 0, at, panel)
        for r in range(len(on)):
            total = total + masked(d, on[r, q] & members[q]) * strip(JDG, r, at, panel)
        lay(scratch, 0, at, total)
        for k in range(at, at + LANES * len(panel), LANES):
            lanes = lanes + row(scratch[0], k)
    for r in range(len(on)):
        signal += signal_weight(c, H[r, 0]) * JDG[r, 0]
    return signal + number(across(lanes))


@kernel
def advance_gram(
    H, A, G, labels, signal_labels, noise_weight, noise_count,
    order, first_epoch, first, last, batch_size, step_size, radius, normalisation, stop_loss, shrink, panel,
):  # fmt: skip
    """Take steps first … last − 1 on H and A in place; return the step reached and its code.

    H, A (2m, columns) and G (columns, columns), or one a row, are filled up with zeros from N + 1 columns on. shrink =
    1 − eta · decay multiplies the weights before each step. `order` (epochs, n) holds the permutations from epoch
    `first_epoch` on, in turn. The loss is tested before each epoch (before each step, where the batch is full).
    """
    n, (rows, columns) = labels.size, H.shape
    m, panels = rows // 2, columns // (LANES * len(panel))
    per_epoch = -(-n // batch_size)
    f, s, y = aligned(1, n + LANES), aligned(1, n + LANES), aligned(1, n + LANES)
    y[0, :n] = labels
    c, sums, JDG, perturbed = aligned(2, columns), aligned(1, columns), aligned(rows, columns), aligned(rows, columns)
    on, members = np.empty((rows, panels), np.uint64), np.empty(panels, np.uint64)
    structure = signal_labels, noise_weight, noise_count
    mark(np.arange(n), noise_count, members, panel)
    opposite = look(H, H, JDG, 0.0, 1.0, on, sums, panel)
    for step in range(first, last):
        epoch, place = step // per_epoch, step % per_epoch
        gather_logits(sums, opposite, *structure, m, f[0, :n])
        bound = slopes(f, y, n, s)
        if place == 0:
            if not bound >= 0.0:
                return step, DIVERGED
            if bound <= stop_loss and mean_loss(f[0, :n], labels) <= stop_loss:  # its logarithms are for later
                return step, STOPPED
        batch = order[(epoch - first_epoch) % len(order), place * batch_size : min((place + 1) * batch_size, n)]
        if batch_size < n:
            mark(batch, noise_count, members, panel)
        weigh(labels, *structure, batch, s, m, c)
        pull(G, c, members, H, on, JDG, panel)
        at = H
        if radius > 0.0:
            norm = math.sqrt(max(squared_norm(c, members, H, on, JDG, sums, panel), 0.0))
            at = perturbed
            opposite = look(at, H, JDG, -perturbation_scale(radius, normalisation, norm), 1.0, on, sums, panel)
            gather_logits(sums, opposite, *structure, m, f[0, :n])
            slopes(f, y, n, s)
            weigh(labels, *structure, batch, s, m, c)
            pull(G, c, members, at, on, JDG, panel)
        gain(A, c, members, at, on, step_size, shrink, panel)
        opposite = look(H, H, JDG, step_size, shrink, on, sums, panel)
    return last, RUNNING

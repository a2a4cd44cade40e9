"""Signal-plus-noise data: each sample is one patch ŷ·mu and P − 1 noise patches xi ~ N(0, sigma_p² I_d).

Setting of Chen et al. 2023 (arXiv:2310.07269, Definition 2.1): ŷ = ±1 with equal chances, the observed label
is y = −ŷ with probability p < 1/2, and the P − 1 noise patches are copies of one vector (`shared`) or
independent (`independent`).

The training dynamics see only inner products of mu, the noise vectors and the initial weights, so one law
has two draws: `draw_dense` makes the vectors themselves, `draw_gram` makes their Gram matrix, exact in law,
at a cost that does not depend on d.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from simulate.data_file import read_arrays
from simulate.parameters import choice, integer, real, reject
from simulate.streams import stream
from simulate.types import FloatArray


@dataclass(frozen=True)
class SignalNoise:
    """The parameters of the data: n, d, P, ‖mu‖, sigma_p, p, and how labels and noise patches are drawn.

    `labels="iid"` draws every class and flip on its own. `labels="balanced"` puts half the samples in each
    class (the odd one in +1) and flips round-half-even(p n / 2) of each.
    """

    samples: int = 20
    dimension: int = 20_000
    patches: int = 2
    signal_norm: float = 3.0
    noise_std: float = 1.0
    flip_rate: float = 0.1
    labels: str = "iid"
    noise_patches: str = "shared"

    def __post_init__(self) -> None:
        """Check every parameter once; raises ValueError."""
        checked = {
            "samples": integer("samples (n)", self.samples, 1, 100_000),
            "dimension": integer("dimension (d)", self.dimension, 1, 10**15),
            "patches": integer("patches (P)", self.patches, 1, 10**9),
            "signal_norm": real("signal_norm (mu)", self.signal_norm),
            "noise_std": real("noise_std (sigma_p)", self.noise_std),
            "flip_rate": real("flip_rate (p)", self.flip_rate, below=0.5),
            "labels": choice("labels", self.labels, ("iid", "balanced")),
            "noise_patches": choice("noise_patches", self.noise_patches, ("shared", "independent")),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def noise_count(self) -> int:
        """Number of noise vectors a sample owns: 1 if shared, P − 1 if independent."""
        return 1 if self.noise_patches == "shared" else self.patches - 1

    @property
    def noise_weight(self) -> float:
        """How many patches each noise vector fills: P − 1 if shared, 1 if independent."""
        return float(self.patches - 1) if self.noise_patches == "shared" else 1.0


_DENSE_NUMBERS = 2**30  # 8 GiB


@dataclass(frozen=True)
class GramInstance:
    """One drawn problem as inner products of v = (mu, xi_1, …, xi_N), N = n · noise_count, and the 2m weights.

    gram (N+1, N+1): ⟨v_k, v_l⟩, or one a neuron, (2m, N+1, N+1), where each keeps coordinates of its own.
    projections (2m, N+1): ⟨w_r, v_k⟩ at the start, the m rows of class +1 first.  weight_gram (2m, 2m): ⟨w_r, w_s⟩ at
    the start.  labels, signal_labels (n,): y and ŷ, ±1.
    """

    gram: FloatArray
    projections: FloatArray
    weight_gram: FloatArray
    labels: FloatArray
    signal_labels: FloatArray
    noise_weight: float
    noise_count: int


@dataclass(frozen=True)
class DenseInstance:
    """One drawn problem as vectors: vectors (N+1, d) = (mu, xi_1, …, xi_N), weights (2m, d), class +1 first.

    masks (2m, d) of 0 and 1 keep the coordinates of each neuron's weights, which are 0 elsewhere; None keeps all.
    """

    vectors: FloatArray
    weights: FloatArray
    labels: FloatArray
    signal_labels: FloatArray
    noise_weight: float
    noise_count: int
    masks: FloatArray | None = None

    def to_gram(self) -> GramInstance:
        """Return the same problem as inner products; masked, gram is (2m, N+1, N+1), V diag(mask_r) Vᵀ for neuron r."""
        V, W = self.vectors, self.weights
        gram = V @ V.T if self.masks is None else np.stack([(V * mask) @ V.T for mask in self.masks])
        return GramInstance(
            gram, W @ V.T, W @ W.T, self.labels, self.signal_labels, self.noise_weight, self.noise_count
        )

    def masked(self, density: float, seed: int) -> "DenseInstance":
        """Return the problem with every weight kept with probability `density` and 0 for good otherwise.

        Masks are nested in the density. Raises ParameterError where the neurons' Gram matrices take too much memory.
        """
        (rows, d), vectors = self.weights.shape, len(self.vectors)
        if rows * vectors**2 > _DENSE_NUMBERS:
            reject("2 · width · (N + 1)²", rows * vectors**2, f"<= {_DENSE_NUMBERS} with masks, for their memory")
        rng = stream("masks", seed, dimension=d, width=rows // 2)
        masks = (rng.random(self.weights.shape) < density).astype(float)
        return replace(self, weights=masks * self.weights, masks=masks)


def draw_labels(data: SignalNoise, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return (y, ŷ), each (n,) of ±1.0; the same uniforms serve every flip rate, so flips are nested in p."""
    n, rng = data.samples, stream("labels", seed, samples=data.samples)
    if data.labels == "iid":
        signal_labels = np.where(rng.random(n) < 0.5, 1.0, -1.0)
        flipped = rng.random(n) < data.flip_rate
    else:
        order = rng.permutation(n)
        positive, negative = order[: (n + 1) // 2], order[(n + 1) // 2 :]
        signal_labels, flipped = np.full(n, -1.0), np.zeros(n, dtype=bool)
        signal_labels[positive] = 1.0
        flips = balanced_flips(n, data.flip_rate)
        flipped[positive[:flips]] = flipped[negative[:flips]] = True
    return np.where(flipped, -signal_labels, signal_labels), signal_labels


def balanced_flips(samples: int, flip_rate: float) -> int:
    """Return the number of flipped labels in each class of a balanced draw: round-half-even(p n / 2)."""
    return min(round(flip_rate * samples / 2), samples // 2)


def _noise_stream(data: SignalNoise, seed: int, space: str) -> tuple[int, np.random.Generator]:
    vectors = data.samples * data.noise_count
    return vectors, stream("data", seed, space=space, dimension=data.dimension, vectors=vectors)


def _weight_stream(seed: int, space: str, **shape: int) -> np.random.Generator:
    return stream("initial weights", seed, space=space, **shape)


def draw_dense(data: SignalNoise, width: int, init_std: float, seed: int, spread: bool = False) -> DenseInstance:
    """Draw the vectors themselves, (n · noise_count + 2m + 1) · d numbers; mu lies on the first axis.

    With `spread` mu has all coordinates alike instead: the same law, but for those who look at single coordinates.

    Its random streams are not those of `draw_gram`: the two are samples of one law, not the same problem.
    """
    labels, signal_labels = draw_labels(data, seed)
    count, rng = _noise_stream(data, seed, "dense")
    largest = _DENSE_NUMBERS // (count + 1 + 2 * width)
    if data.dimension > largest:
        reject("dimension (d)", data.dimension, f"<= {largest} in dense space, for its memory (or use gram space)")
    vectors = np.zeros((count + 1, data.dimension))
    if spread:
        vectors[0] = data.signal_norm / math.sqrt(data.dimension)
    else:
        vectors[0, 0] = data.signal_norm
    vectors[1:] = data.noise_std * rng.standard_normal((count, data.dimension))
    weights = draw_weights(data.dimension, width, init_std, seed)
    return DenseInstance(vectors, weights, labels, signal_labels, data.noise_weight, data.noise_count)


def draw_weights(dimension: int, width: int, init_std: float, seed: int) -> FloatArray:
    """Return initial weights (2m, d) with N(0, init_std²) entries."""
    rng = _weight_stream(seed, "dense", dimension=dimension, width=width)
    return init_std * rng.standard_normal((2 * width, dimension))


def draw_gram(data: SignalNoise, width: int, init_std: float, seed: int) -> GramInstance:
    """Draw the inner products of `draw_dense`'s vectors, exact in law for any d ≥ 1, without forming a d-vector.

    Of N + 2m standard normals in R^d, the coordinates u along mu are N(0, 1); the Gram matrix of what is left,
    normals in R^(d−1), is L Lᵀ with L lower trapezoidal, L_ii ~ chi(d − 1 − i) and N(0, 1) below (Bartlett).
    """
    labels, signal_labels = draw_labels(data, seed)
    count, noise_rng = _noise_stream(data, seed, "gram")
    weight_rng = _weight_stream(seed, "gram", dimension=data.dimension, vectors=count, width=width)
    noise_factor = _bartlett_rows(noise_rng, 0, count, data.dimension)
    weight_factor = _bartlett_rows(weight_rng, count, 2 * width, data.dimension)

    return _instance(data, init_std, noise_factor, weight_factor, labels, signal_labels)


@np.errstate(over="ignore", invalid="ignore")  # a run of what is beyond float64 ends as diverged
def _instance(
    data: SignalNoise, init_std: float, noise_factor: FloatArray, weight_factor: FloatArray, labels: FloatArray,
    signal_labels: FloatArray,
) -> GramInstance:  # fmt: skip
    """Return the inner products of mu with noise and weights of these coordinates: one Bartlett factor a row."""
    count, neurons = len(noise_factor), len(weight_factor)
    columns = noise_factor.shape[1] - 1  # the weights' rows reach further; the noise rows are zero there
    mu, sigma, std = data.signal_norm, data.noise_std, init_std
    u, shared = noise_factor[:, 0], weight_factor[:, : columns + 1]
    gram = np.empty((count + 1, count + 1))
    gram[0, 0] = mu * mu
    gram[0, 1:] = gram[1:, 0] = mu * sigma * u
    gram[1:, 1:] = sigma * sigma * (noise_factor @ noise_factor.T)
    projections = np.empty((neurons, count + 1))
    projections[:, 0] = std * mu * weight_factor[:, 0]
    projections[:, 1:] = std * sigma * (shared @ noise_factor.T)
    weight_gram = std * std * (weight_factor @ weight_factor.T)
    return GramInstance(gram, projections, weight_gram, labels, signal_labels, data.noise_weight, data.noise_count)


def _bartlett_rows(rng: np.random.Generator, first: int, rows: int, dimension: int) -> FloatArray:
    """Rows first … first+rows−1 of (u, L): the coordinate along mu, then the Bartlett factor in R^(d−1)."""
    columns = min(first + rows, dimension - 1)
    factor = np.empty((rows, columns + 1))
    factor[:, 0] = rng.standard_normal(rows)
    index = first + np.arange(rows)
    factor[:, 1:] = np.where(np.arange(columns) < index[:, None], rng.standard_normal((rows, columns)), 0.0)
    on = index < dimension - 1
    factor[np.flatnonzero(on), 1 + index[on]] = np.sqrt(rng.chisquare(dimension - 1.0 - index[on]))
    return factor


@dataclass(frozen=True)
class Vectors:
    """The user's own problem: mu (d,), noise (N, d), labels and signal labels (n,), W0 (2m, d) or None."""

    mu: FloatArray
    noise: FloatArray
    labels: FloatArray
    signal_labels: FloatArray
    noise_weight: float
    noise_count: int
    weights: FloatArray | None

    @property
    def patches(self) -> int:
        """P, from the number of noise patches a sample has."""
        return 1 + round(self.noise_weight * self.noise_count)


def read_vectors(path: str | Path) -> Vectors:
    """Read the user's own vectors from an .npz file, never unpickled.

    Keys: mu (d,), noise (n, d) for one vector a sample or (n, P−1, d) for independent patches, labels (n,) of
    ±1 as observed; optionally signal_labels (n,) (default: labels), patches (an integer, for noise (n, d);
    default 2), W0 (2m, d). Raises ParameterError naming the key at fault.
    """
    arrays = read_arrays(path, ("mu", "noise", "labels"), ("signal_labels", "patches", "W0"))
    mu, noise = arrays["mu"].astype(float), arrays["noise"].astype(float)
    if mu.ndim != 1 or mu.size < 1:
        reject("mu", f"shape {mu.shape}", "shape (d,)")
    if noise.ndim not in (2, 3) or noise.shape[-1] != mu.size or 0 in noise.shape:
        reject("noise", f"shape {noise.shape}", f"shape (n, {mu.size}) or (n, P-1, {mu.size})")
    labels = _signs("labels", arrays["labels"], len(noise))
    signal_labels = _signs("signal_labels", arrays.get("signal_labels", labels), len(noise))
    weights = arrays["W0"].astype(float) if "W0" in arrays else None
    rows_even = weights is None or (weights.ndim == 2 and len(weights) >= 2 and len(weights) % 2 == 0)
    if weights is not None and not (rows_even and weights.shape[1] == mu.size):
        reject("W0", f"shape {weights.shape}", f"shape (2m, {mu.size})")
    given = arrays.get("patches", np.array(noise.shape[1] + 1 if noise.ndim == 3 else 2))
    if given.ndim:
        reject("patches", f"shape {given.shape}", "one integer")
    patches = integer("patches", given.item(), 1)
    if noise.ndim == 3 and patches != noise.shape[1] + 1:
        reject("patches", patches, f"{noise.shape[1] + 1} for noise of shape {noise.shape}")
    weight, count = (1.0, noise.shape[1]) if noise.ndim == 3 else (patches - 1.0, 1)
    return Vectors(mu, noise.reshape(-1, mu.size), labels, signal_labels, weight, count, weights)


def load_instance(path: str | Path, width: int, init_std: float, seed: int) -> DenseInstance:
    """Return the user's own vectors (`read_vectors`) as a dense problem; without W0, weights are drawn."""
    own = read_vectors(path)
    if own.weights is not None and len(own.weights) != 2 * width:
        reject("W0", f"shape {own.weights.shape}", f"shape ({2 * width}, {own.mu.size}) for width {width}")
    weights = draw_weights(own.mu.size, width, init_std, seed) if own.weights is None else own.weights
    vectors = np.vstack([own.mu[None], own.noise])
    return DenseInstance(vectors, weights, own.labels, own.signal_labels, own.noise_weight, own.noise_count)


def _signs(name: str, values: np.ndarray, samples: int) -> FloatArray:
    if values.shape != (samples,) or not np.isin(values, (-1, 1)).all():
        reject(name, f"shape {values.shape}, values {np.unique(values)[:4].tolist()}", f"{samples} values of -1 or 1")
    return values.astype(float)

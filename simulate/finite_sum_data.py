"""Data of finite sums: drawn with a spectrum of one's choice, given as plain numbers, or the user's own file.

Drawn rows have A ᵀA/rows with min(n, d) eigenvalues from 1 down to 1/condition in equal ratios, in random bases:
A = √rows U S^½ Vᵀ, U and V from the QR factors of Gaussian matrices. With `full_rank` each sample has d rows of that
spectrum in a basis of its own, so that every f_i is a quadratic of full rank. `spread` then scales the samples' rows by
factors from 1 to √spread in equal ratios, in random order: L_i differ, and the spectrum is no longer the stated one.
Targets are ⟨a, x°⟩ + noise_std N(0, 1) with ‖x°‖ = 1; signs of them are the labels of logistic regression.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from simulate.data_file import read_arrays
from simulate.objective import FiniteSum, finite_sum
from simulate.parameters import choice, integer, real, reject
from simulate.run import DataFile
from simulate.streams import stream
from simulate.types import FloatArray

OBJECTIVES = {
    "least-squares": "square", "ridge": "square", "quadratic": "square", "logistic": "logistic", "pl": "sine",
    "nonconvex": "robust", "wave": "wave",
}  # fmt: skip
"""The loss of each objective by name."""


@dataclass(frozen=True)
class DrawnSum:
    """The parameters of drawn data: n, d, condition number, label noise, spread of the L_i, rank of the samples."""

    samples: int = 20
    dimension: int = 10
    condition: float = 10.0
    noise_std: float = 0.1
    spread: float = 1.0
    full_rank: bool = False

    def __post_init__(self) -> None:
        """Check every parameter once; raises ValueError."""
        samples = integer("samples (n)", self.samples, 1, 10**6)
        dimension = integer("dimension (d)", self.dimension, 1, 10**5)
        full_rank = bool(choice("full_rank", self.full_rank, (True, False)))
        size = samples * dimension * (dimension if full_rank else 1)
        if size > 2**26:
            reject("samples · dimension · rows", size, "<= 2^26: the rows are kept in memory and decomposed")
        checked = {
            "samples": samples, "dimension": dimension, "full_rank": full_rank,
            "condition": real("condition", self.condition, 1.0, 1e12),
            "noise_std": real("noise_std", self.noise_std, below=1e90),
            "spread": real("spread", self.spread, 1.0, 1e12),
        }  # fmt: skip
        for name, value in checked.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class GivenSum:
    """Plain numbers: rows A, targets b and the start x0 as nested tuples; `samples` of equally many rows each."""

    A: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    x0: tuple[float, ...]
    samples: int | None = None

    def __post_init__(self) -> None:
        """Check every number and shape once; raises ValueError."""
        A, b, x0 = (_plain(name, getattr(self, name), ndim) for name, ndim in (("A", 2), ("b", 1), ("x0", 1)))
        _check_shapes(A, b, x0)
        object.__setattr__(self, "A", tuple(map(tuple, A.tolist())))
        object.__setattr__(self, "b", tuple(b.tolist()))
        object.__setattr__(self, "x0", tuple(x0.tolist()))
        if self.samples is not None:
            object.__setattr__(self, "samples", integer("samples (n)", self.samples, 1, len(b)))


def _plain(name: str, values: Any, ndim: int) -> FloatArray:
    """Return nested sequences of finite real numbers as an array, or raise ParameterError."""
    try:
        array = np.array(values)
    except ValueError:  # ragged
        array = np.empty(0, object)
    if array.ndim != ndim or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        shape = {1: "a sequence", 2: "rows of equal length"}[ndim]
        reject(name, values, f"{shape} of finite real numbers")
    return array.astype(float) + 0.0


def _check_shapes(A: np.ndarray, b: np.ndarray, x0: np.ndarray) -> None:
    """Raise ParameterError unless A (n, d), b (n,) and x0 (d,) fit."""
    if A.ndim != 2 or A.size == 0:
        reject("A", f"shape {A.shape}", "shape (n, d), neither 0")
    if b.shape != (len(A),):
        reject("b", f"shape {b.shape}", f"shape ({len(A)},), one number a row of A")
    if x0.shape != (A.shape[1],):
        reject("x0", f"shape {x0.shape}", f"shape ({A.shape[1]},), one number a column of A")


@dataclass(frozen=True)
class SumFile(DataFile):
    """The user's own A, b and, optionally, x0 (see `read_sum`), known by their content."""


def _rotated(rng: np.random.Generator, rows: int, dimension: int, spectrum: FloatArray) -> FloatArray:
    """Return √rows U diag(√spectrum) Vᵀ (rows, dimension) in random bases."""
    rank = len(spectrum)
    U = np.linalg.qr(rng.standard_normal((rows, rank)))[0]
    V = np.linalg.qr(rng.standard_normal((dimension, rank)))[0]
    rotated: FloatArray = np.sqrt(rows) * (U * np.sqrt(spectrum)) @ V.T
    return rotated


def draw_sum(data: DrawnSum, seed: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return rows A (n·k, d), noiseless targets (n·k,), x° (d,) and the noise (n·k,) of a seed."""
    n, d = data.samples, data.dimension
    k = d if data.full_rank else 1
    rng = stream("rows", seed, samples=n, dimension=d, full_rank=data.full_rank)
    rank = d if data.full_rank else min(n, d)
    spectrum = np.geomspace(1.0, 1.0 / data.condition, rank) if rank > 1 else np.ones(1)
    if data.full_rank:
        A = np.concatenate([_rotated(rng, k, d, spectrum) for _ in range(n)])
    else:
        A = _rotated(rng, n, d, spectrum)
    scales = np.geomspace(1.0, np.sqrt(data.spread), n) if n > 1 else np.ones(1)
    A *= np.repeat(rng.permutation(scales), k)[:, None]
    solution = stream("solution", seed, dimension=d).standard_normal(d)
    solution /= np.linalg.norm(solution)
    return A, A @ solution, solution, data.noise_std * stream("noise", seed, rows=n * k).standard_normal(n * k)


def read_sum(path: str | Path) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return A (n, d), b (n,) and x0 (d,) of the user's .npz file, never unpickled; x0 is 0 if the file has none.

    Raises ParameterError naming the key at fault.
    """
    arrays = read_arrays(path, ("A", "b"), ("x0",))
    A, b = arrays["A"], arrays["b"]
    x0 = arrays.get("x0", np.zeros(A.shape[-1] if A.ndim else 0))
    _check_shapes(A, b, x0)
    return np.ascontiguousarray(A, float), b.astype(float), x0.astype(float)


@lru_cache(maxsize=1)  # a problem's steps are found, its run made and its constants printed from one decomposition
def load_sum(
    data: DrawnSum | GivenSum | SumFile, objective: str, reg: float, seed: int
) -> tuple[FiniteSum, FloatArray]:
    """Return the problem of a specification and its start x_0 (d,): 0 unless the data say otherwise.

    The wave starts at x°: at 0 every gradient of it is 0.
    """
    loss = OBJECTIVES[objective]
    if isinstance(data, DrawnSum):
        A, products, solution, noise = draw_sum(data, seed)
        start = solution if loss == "wave" else np.zeros(data.dimension)
        if loss in ("logistic", "wave"):
            return finite_sum(loss, A, np.where(products + noise >= 0.0, 1.0, -1.0), reg, data.samples), start
        if data.noise_std == 0.0 and reg == 0.0:
            return finite_sum(loss, A, products, reg, data.samples, minimiser=solution), start
        return finite_sum(loss, A, products + noise, reg, data.samples), start
    if isinstance(data, GivenSum):
        A, b, start = (np.array(values, float) for values in (data.A, data.b, data.x0))
        return finite_sum(loss, A, b, reg, data.samples), start
    A, b, start = read_sum(data.path)
    return finite_sum(loss, A, b, reg), start

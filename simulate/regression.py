"""Linear regression data: a design X, a sparse teacher, and targets y = X beta* + noise.

Designs, all from one Gaussian matrix Z (n, d) of a seed, so that they are compared on the same draw:

    isotropic          X = Z
    equicorrelated     X = √(1−c) Z + √c z 1ᵀ, z ~ N(0, I_n): unit variances, correlations c
    shifted            X = Z + shift
    absolute           X = |Z|

The teacher's first `sparsity` coordinates are |N(0, 1)| (`positive`) or N(0, 1) (`signed`), scaled to unit norm; the
positive teacher on the isotropic design is the setting of Andriushchenko & Flammarion 2022, Section 4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulate.data_file import read_arrays
from simulate.parameters import choice, integer, real, reject
from simulate.run import DataFile
from simulate.streams import stream
from simulate.types import FloatArray

DESIGNS = ("isotropic", "equicorrelated", "shifted", "absolute")
TEACHERS = ("positive", "signed")


@dataclass(frozen=True)
class SparseRegression:
    """The parameters of the data: n, d, the teacher's sparsity and sign, the design, label noise, test samples."""

    samples: int = 20
    dimension: int = 30
    sparsity: int = 3
    design: str = "isotropic"
    correlation: float = 0.9
    shift: float = 3.0
    teacher: str = "positive"
    noise_std: float = 0.0
    test_samples: int = 1000

    def __post_init__(self) -> None:
        """Check every parameter once; raises ValueError."""
        dimension = integer("dimension (d)", self.dimension, 1, 10**7)
        checked = {
            "samples": integer("samples (n)", self.samples, 1, 10**7),
            "dimension": dimension,
            "sparsity": integer("sparsity (r)", self.sparsity, 0, dimension),
            "design": choice("design", self.design, DESIGNS),
            "correlation": real("correlation", self.correlation, below=1.0),
            "shift": real("shift", self.shift),
            "teacher": choice("teacher", self.teacher, TEACHERS),
            "noise_std": real("noise_std", self.noise_std),
            "test_samples": integer("test_samples", self.test_samples, 0, 10**7),
        }
        for rows in ("samples", "test_samples"):
            if checked[rows] * dimension > 2**28:
                reject(f"{rows} · dimension", checked[rows] * dimension, "<= 2^28: the designs are kept in memory")
        for name, value in checked.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class RegressionFile(DataFile):
    """The user's own X, y and, optionally, X_test, y_test (see `read_regression`), known by their content."""


@dataclass(frozen=True)
class RegressionInstance:
    """One problem: X (n, d), y (n,), X_test (N, d), y_test (N,), N ≥ 0, and the teacher (d,), None if unknown."""

    X: FloatArray
    y: FloatArray
    X_test: FloatArray
    y_test: FloatArray
    teacher: FloatArray | None


def draw_regression(data: SparseRegression, seed: int) -> RegressionInstance:
    """Draw a problem; train and test set come from streams of their own."""
    n, d = data.samples, data.dimension
    teacher = stream("teacher", seed, sparsity=data.sparsity).standard_normal(data.sparsity)
    if data.teacher == "positive":
        teacher = np.abs(teacher)
    norm = np.linalg.norm(teacher)
    beta = np.zeros(d)
    beta[: data.sparsity] = teacher / (norm if norm > 0.0 else 1.0)
    X, y = _design_and_targets(data, beta, n, stream("design", seed, samples=n, dimension=d))
    size = {"samples": data.test_samples, "dimension": d}
    X_test, y_test = _design_and_targets(data, beta, data.test_samples, stream("test design", seed, **size))
    return RegressionInstance(X, y, X_test, y_test, beta)


def _design_and_targets(
    data: SparseRegression, beta: FloatArray, rows: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    Z, z, noise = rng.standard_normal((rows, len(beta))), rng.standard_normal((rows, 1)), rng.standard_normal(rows)
    designs: dict[str, Callable[[], FloatArray]] = {
        "isotropic": lambda: Z,
        "equicorrelated": lambda: np.sqrt(1.0 - data.correlation) * Z + np.sqrt(data.correlation) * z,
        "shifted": lambda: Z + data.shift,
        "absolute": lambda: np.abs(Z),
    }
    X = designs[data.design]()
    return X, X @ beta + data.noise_std * noise


def read_regression(path: str | Path) -> RegressionInstance:
    """Read the user's own problem from an .npz file, never unpickled.

    Keys: X (n, d), y (n,); optionally X_test (N, d) with y_test (N,). Raises ParameterError naming the key at fault.
    """
    arrays = read_arrays(path, ("X", "y"), ("X_test", "y_test"))
    X = _matrix("X", arrays["X"], None)
    y = _vector("y", arrays["y"], len(X))
    if ("X_test" in arrays) != ("y_test" in arrays):
        reject("data file keys", sorted(arrays), "X_test and y_test together, or neither")
    X_test = _matrix("X_test", arrays.get("X_test", np.empty((0, X.shape[1]))), X.shape[1])
    y_test = _vector("y_test", arrays.get("y_test", np.empty(0)), len(X_test))
    return RegressionInstance(X, y, X_test, y_test, None)


def _matrix(name: str, values: np.ndarray, columns: int | None) -> FloatArray:
    allowed = "shape (n, d), neither 0" if columns is None else f"shape (N, {columns})"
    empty = values.size == 0 and columns is None
    if values.ndim != 2 or empty or (columns is not None and values.shape[1] != columns):
        reject(name, f"shape {values.shape}", allowed)
    return np.ascontiguousarray(values, dtype=float)


def _vector(name: str, values: np.ndarray, rows: int) -> FloatArray:
    if values.shape != (rows,):
        reject(name, f"shape {values.shape}", f"shape ({rows},), one number a row of {name.replace('y', 'X')}")
    return values.astype(float)


def load_regression(data: SparseRegression | RegressionFile, seed: int) -> RegressionInstance:
    """Return the problem of a specification: drawn, or read from its file."""
    return draw_regression(data, seed) if isinstance(data, SparseRegression) else read_regression(data.path)

"""The statistics that judging needs: two-sided intervals at a chosen false-alarm rate."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True)
class Interval:
    """An estimate and the half-width of its interval."""

    value: float
    half_width: float

    @property
    def low(self) -> float:
        """Lower end."""
        return self.value - self.half_width

    @property
    def high(self) -> float:
        """Upper end."""
        return self.value + self.half_width


def mean_interval(replicates: np.ndarray, false_alarm: float) -> Interval:
    """Return the Student interval of the mean of independent replicates (R,), R ≥ 2, missed with that rate.

    The quantile is within 4 ulps at rates from 1e-12 up.
    """
    replicates = np.asarray(replicates, dtype=float)
    if replicates.size < 2:
        raise ValueError(f"replicates = {replicates.size}: must be at least 2")
    error = replicates.std(ddof=1) / np.sqrt(replicates.size)
    return Interval(float(replicates.mean()), float(-stdtrit(replicates.size - 1, false_alarm / 2) * error))


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the least-squares slope of log y against log x of each replicate: x (points,), y (points, R) → (R,).

    Each replicate is fitted by itself, so their spread carries every correlation between points.
    """
    u = np.log(x) - np.log(x).mean()
    found: np.ndarray = u @ np.log(y) / (u @ u)
    return found

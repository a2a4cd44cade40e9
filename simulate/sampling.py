"""Which samples a stochastic gradient of a finite sum takes, and with which weights: g = Σ_i v_i ∇f_i, E v_i = 1/n.

full          every sample, v_i = 1/n
nice          tau samples without replacement, v_i = 1/tau
replacement   tau samples drawn one by one from all n, v_i = (how often)/tau
single        one sample, i with probability p_i, v_i = 1/(n p_i)
importance    single with p_i ∝ L_i
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from math import comb, factorial, prod
from typing import Any

import numpy as np

from simulate.objective import FiniteSum
from simulate.parameters import choice, integer, real, reject
from simulate.types import FloatArray, IntArray
from simulate.update import Batches

SAMPLINGS = ("full", "nice", "replacement", "single", "importance")
_OUTCOMES = 100_000  # enumerated at most
_LARGEST_BATCH = 10_000  # the samples of thousands of steps are kept at a time
_SHUFFLED = 2**20  # numbers at a time


@dataclass(frozen=True)
class Sampling:
    """A way to sample n functions: its kind, tau for nice and replacement, and p (n,) for single and importance."""

    kind: str
    samples: int
    batch_size: int
    probabilities: FloatArray | None = None

    @property
    def weights(self) -> FloatArray:
        """v_i (n,) that sample i has each time it is drawn."""
        if self.probabilities is not None:
            return 1.0 / (self.samples * self.probabilities)
        return np.full(self.samples, 1.0 / self.batch_size)

    def law(self) -> tuple[FloatArray, FloatArray]:
        """Return the outcomes' weights V (K, n) and probabilities P (K,); ParameterError beyond 100,000 of them."""
        n, tau = self.samples, self.batch_size
        count = {"full": 1, "nice": comb(n, tau), "replacement": comb(n + tau - 1, tau)}.get(self.kind, n)
        if count > _OUTCOMES:
            wanted = f"one with at most {_OUTCOMES} outcomes, to be enumerated"
            reject("sampling", f"{self.kind} with n = {n}, tau = {tau}", wanted)
        ways: dict[str, Callable[[], Iterable[Iterable[int]]]] = {
            "full": lambda: [range(n)],
            "nice": lambda: combinations(range(n), tau),
            "replacement": lambda: combinations_with_replacement(range(n), tau),
        }
        draws = ways.get(self.kind, lambda: [(i,) for i in range(n)])()
        V = np.zeros((count, n))
        for weights, draw in zip(V, draws, strict=True):
            np.add.at(weights, list(draw), self.weights[list(draw)])
        if self.kind == "replacement":  # so many orders in which each multiset can be drawn
            counts = np.rint(V * tau).astype(int).tolist()
            orders = [factorial(tau) // prod(map(factorial, count)) for count in counts]
            return V, np.array([order / n**tau for order in orders])  # integers beyond 64 bits, divided exactly
        return V, np.full(count, 1.0 / count) if self.probabilities is None else self.probabilities.copy()

    def lipschitz(self, problem: FiniteSum) -> float:
        """Return the largest Lip(g) over the outcomes: by enumeration where that is short, else an upper bound."""
        L = problem.sample_lipschitz
        if self.kind == "full":
            return problem.lipschitz
        if self.kind == "nice" and self.batch_size > 1:
            if comb(self.samples, self.batch_size) <= 1000:
                return max(problem.weighted_lipschitz(v) for v in self.law()[0])
            largest = np.sort(L)[-self.batch_size :].mean()
            return float(min(largest, self.samples / self.batch_size * problem.lipschitz))
        if self.probabilities is not None:
            return float((L * self.weights).max())
        return float(L.max())  # replacement may draw the same sample every time

    def batches(self, rng: np.random.Generator | None) -> "Draws":
        """Return the batches of successive steps, drawn from `rng`, which full batches do without."""
        return Draws(self, rng)


class Draws(Batches):
    """Batches of independent steps: one row of `order` (steps, tau) a step."""

    def __init__(self, sampling: Sampling, rng: np.random.Generator | None) -> None:
        self.sampling = sampling
        super().__init__(sampling.batch_size, sampling.batch_size, rng, replacement=sampling.kind != "full")
        self._uniform = sampling.probabilities is not None and np.ptp(sampling.probabilities) == 0.0
        if sampling.probabilities is not None:
            self._steps = np.cumsum(sampling.probabilities)
            self._steps[-1] = np.inf  # no rounding beyond the last sample

    def draw(self, count: int) -> IntArray:
        """Return the samples of `count` further steps."""
        n, tau = self.sampling.samples, self.sampling.batch_size
        if self.sampling.kind == "replacement" or self._uniform:
            drawn: IntArray = self.rng.integers(n, size=(count, tau))
            return drawn
        if self.sampling.probabilities is not None:
            uniform: FloatArray = self.rng.random((count, 1))
            return np.searchsorted(self._steps, uniform, side="right")
        parts, rows = [np.empty((0, tau), np.int64)], max(1, _SHUFFLED // n)
        for start in range(0, count, rows):
            tile = np.tile(np.arange(n), (min(rows, count - start), 1))
            parts.append(self.rng.permuted(tile, axis=1)[:, :tau].copy())
        return np.concatenate(parts)


def sampling(kind: str, problem: FiniteSum, batch_size: int = 1, probabilities: Any = None) -> Sampling:
    """Return the sampling of a problem; raises ParameterError where it does not fit."""
    choice("sampling", kind, SAMPLINGS)
    n = problem.samples
    if probabilities is not None and kind != "single":
        reject("probabilities", probabilities, "left out with samplings other than single")
    if kind == "full":
        return Sampling(kind, n, n)
    if kind == "nice" and n == 1:
        reject("sampling", kind, "another than nice with n = 1")
    if kind in ("nice", "replacement"):
        if kind == "nice" and batch_size == n:
            return Sampling("full", n, n)
        tau = integer("batch_size (tau)", batch_size, 1, min(n, _LARGEST_BATCH) if kind == "nice" else _LARGEST_BATCH)
        return Sampling(kind, n, tau)
    if batch_size != 1:
        reject("batch_size (tau)", batch_size, f"1 with sampling {kind}")
    if kind == "importance":
        L = problem.sample_lipschitz
        if not L.min() > 0.0:
            reject("sampling", kind, "another: a sample with L_i = 0 would never be drawn")
        p = L / L.sum()
    elif probabilities is None:
        p = np.full(n, 1.0 / n)
    else:
        p = np.array([real("probabilities", value, strict=True) for value in probabilities])
        if len(p) != n or abs(p.sum() - 1.0) > 1e-9:
            reject("probabilities", f"{len(p)} numbers with sum {p.sum():.12g}", f"{n} numbers > 0 with sum 1")
        p = p / p.sum()
    return Sampling(kind, n, 1, p)

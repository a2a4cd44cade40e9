"""One-hidden-layer ReLU networks on the line, fitted to a few points by (SAM's) gradient descent.

    f(x) = Σ_r a_r relu(w_r x + b_r),   L = (1/2n) Σ_i (f(x_i) − y_i)²,

all of theta = (w, b, a) trained, from w, b ~ N(0, 1) and a ~ N(0, 1/m), by full batches. relu'(0) = 0; a zero gradient
gives a zero perturbation. f is piecewise linear: neuron r bends it at x = −b_r/w_r, its slope changing by a_r|w_r|.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simulate.compiled import kernel
from simulate.lanes import borrowed, padded
from simulate.objective import inner
from simulate.parameters import choice, integer, real, reject
from simulate.run import Result, Specification, recorded_steps
from simulate.streams import stream
from simulate.types import FloatArray, IntArray
from simulate.update import (
    DIVERGED,
    RUNNING,
    STOPPED,
    Batches,
    Phase,
    Rule,
    observe_at_marks,
    perturbation_scale,
    train,
)

RULES = ("gd", "sam")
DIVERGENCE = 1e6
"""A run whose loss exceeds so many times its first has diverged."""

SHARE, CELLS = 0.95, 100  # of `kinks`


@dataclass(frozen=True)
class Curve:
    """The points: x_i equally spaced on [−1, 1], y_i = sin(frequency · x_i + a random phase) + noise."""

    samples: int = 12
    frequency: float = 4.0
    noise_std: float = 0.1

    def __post_init__(self) -> None:
        """Check every parameter once; raises ValueError."""
        checked = {
            "samples": integer("samples (n)", self.samples, 2, 10**6),
            "frequency": real("frequency", self.frequency),
            "noise_std": real("noise_std", self.noise_std),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def draw(self, seed: int) -> tuple[FloatArray, FloatArray]:
        """Return x, y (n,)."""
        rng = stream("curve", seed, samples=self.samples)
        phase, noise = rng.uniform(0.0, 2.0 * np.pi), rng.standard_normal(self.samples)
        x = np.linspace(-1.0, 1.0, self.samples)
        return x, np.sin(self.frequency * x + phase) + self.noise_std * noise


@kernel(inline=True)
def gradient(theta: FloatArray, x: FloatArray, y: FloatArray, h: FloatArray, g: FloatArray) -> float:
    """Write ∇L at theta = (w, b, a) (3, m) into g (3, m) and return L; h (m,) is scratch for the activations."""
    w, b, a = theta[0], theta[1], theta[2]
    n, m = x.size, h.size
    g[:] = 0.0
    total = 0.0
    for i in range(n):
        for r in range(m):
            h[r] = max(w[r] * x[i] + b[r], 0.0)
        residual = inner(a, h) - y[i]
        total += residual * residual
        share = residual / n
        for r in range(m):
            back = share * a[r] if h[r] > 0.0 else 0.0
            g[0, r] += back * x[i]
            g[1, r] += back
            g[2, r] += share * h[r]
    return total / (2.0 * n)


@kernel
def advance_relu(
    theta: FloatArray, x: FloatArray, y: FloatArray, first: int, last: int, step_size: float, radius: float,
    normalisation: float, stop_loss: float, largest_loss: float, scratch: FloatArray,
) -> tuple[int, int]:  # fmt: skip
    """Take steps first … last − 1 on theta (3, m) in place, m a multiple of 8; return the step reached and its code.

    The loss is tested before each step. scratch (7, m) is written over.
    """
    theta, x, y, scratch = borrowed(theta), borrowed(x), borrowed(y), borrowed(scratch)
    h, g, moved = scratch[0], scratch[1:4], scratch[4:7]
    for step in range(first, last):
        loss = gradient(theta, x, y, h, g)
        if not loss <= largest_loss:
            return step, DIVERGED
        if loss <= stop_loss:
            return step, STOPPED
        if radius > 0.0:
            squared = inner(g[0], g[0]) + inner(g[1], g[1]) + inner(g[2], g[2])
            scale = perturbation_scale(radius, normalisation, math.sqrt(squared))
            for k in range(3):
                for r in range(h.size):
                    moved[k, r] = theta[k, r] + scale * g[k, r]
            gradient(moved, x, y, h, g)
        for k in range(3):
            for r in range(h.size):
                theta[k, r] -= step_size * g[k, r]
    return last, RUNNING


class ReluNetwork:
    """The network on given points: see `simulate.update.Model`."""

    def __init__(self, x: FloatArray, y: FloatArray, theta: FloatArray) -> None:
        self.x, self.y, self.width = x, y, theta.shape[1]
        self._theta = padded(theta)
        self._scratch = padded(np.zeros((7, self.width)))
        self._largest_loss = DIVERGENCE * self.loss()

    @property
    def theta(self) -> FloatArray:
        """Return (w, b, a) (3, m)."""
        return self._theta[:, : self.width]

    def loss(self) -> float:
        """Return the training loss (1/2n) Σ (f − y)²."""
        return gradient(self._theta, self.x, self.y, self._scratch[0], self._scratch[1:4])

    def finite(self) -> bool:
        """Return whether every weight is finite."""
        return bool(np.isfinite(self._theta).all())

    def advance(
        self, order: IntArray, first_epoch: int, first: int, last: int, batch_size: int, step_size: float, rule: Rule,
        stop_loss: float, marks: Iterable[int] = (),
    ) -> tuple[int, int, dict[str, np.ndarray]]:  # fmt: skip
        """See `simulate.update.Model`; batches are full, whatever `order` says."""

        def take(start: int, stop: int) -> tuple[int, int]:
            return advance_relu(
                self._theta, self.x, self.y, start, stop, step_size, rule.radius, rule.normalisation, stop_loss,
                self._largest_loss, self._scratch,
            )  # fmt: skip

        return observe_at_marks(self, take, order, first_epoch, first, last, batch_size, rule, marks)

    def observe(self, batch: IntArray, rule: Rule) -> dict[str, Any]:
        """Return theta and the loss."""
        return {"theta": self.theta.copy(), "loss": np.float64(self.loss())}

    def describe(self, states: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the records as they are: `observe` made them."""
        return states


def hessian(theta: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return ∇²L (3m, 3m) at theta = (w, b, a) (3, m), its coordinates in that order.

    (1/n) Σ ∇f ∇fᵀ + (1/n) Σ (f − y) ∇²f, where ∇²f couples a neuron's a with its w and b alone, by x and 1 where it is
    active.
    """
    w, b, a = theta
    z = np.outer(x, w) + b
    active, h = (z > 0.0).astype(float), np.maximum(z, 0.0)
    J = np.hstack([active * a * x[:, None], active * a, h])
    H: FloatArray = J.T @ J / len(x)
    r = (h @ a - y) / len(x)
    m = len(a)
    each = np.arange(m)
    for k, coupling in enumerate((r * x @ active, r @ active)):
        H[2 * m + each, k * m + each] += coupling
        H[k * m + each, 2 * m + each] += coupling
    return H


def kinks(theta: FloatArray, x: FloatArray) -> tuple[int, float]:
    """Return how many kinks carry `SHARE` of the variation of f's slope between the outermost points, and all of it.

    Neurons that bend f within the same of `CELLS` cells of equal length make one kink, of the size of their sum.
    """
    w, b, a = theta
    with np.errstate(divide="ignore", invalid="ignore"):
        place = -b / w
    inside = (place > x.min()) & (place < x.max())
    sizes, _ = np.histogram(place[inside], CELLS, (x.min(), x.max()), weights=(a * np.abs(w))[inside])
    largest = np.sort(np.abs(sizes))[::-1]
    variation = largest.sum()
    count = int(np.searchsorted(np.cumsum(largest), SHARE * variation)) + 1 if variation > 0.0 else 0
    return count, float(variation)


@dataclass(frozen=True)
class ReluSpec(Specification):
    """Everything that decides one run: the points, width m, rule, radius rho of SAM, and how long to train.

    Normalised SAM (lam = 1) or GD, full batches, steps of size step_size, max_steps of them or to training loss
    stop_loss. `record` lists the steps whose theta is kept (the last always is).
    """

    model = "relu"

    data: Curve = field(default_factory=Curve)
    width: int = 100
    rule: str = "gd"
    radius: float = 0.0
    step_size: float = 0.01
    max_steps: int = 100_000
    stop_loss: float = 0.0
    seed: int = 0
    record: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check every parameter once; raises ValueError."""
        if not isinstance(self.data, Curve):
            reject("data", self.data, "a Curve")
        self._set(
            width=integer("width (m)", self.width, 1, 5000),  # the Hessian (3m, 3m) is formed
            rule=choice("rule", self.rule, RULES),
            radius=real("radius (rho)", self.radius),
            step_size=real("step_size (eta)", self.step_size, strict=True),
            max_steps=integer("max_steps", self.max_steps, 0),
            stop_loss=real("stop_loss", self.stop_loss),
            seed=integer("seed", self.seed, 0),
            record=recorded_steps(self.record),
        )

    def run(self) -> "ReluResult":
        """See `run`."""
        return run(self)


@dataclass(frozen=True)
class ReluResult(Result):
    """What one run left behind.

    status `stopped`, `max-steps` or `diverged`; steps; train_loss; sharpness, the largest eigenvalue of the Hessian,
    and what `kinks` returns as kinks and slope_variation, NaN of a diverged run; history: step (R,), loss (R,) and
    theta (R, 3, m), the last row being the final state.
    """

    model = "relu"

    train_loss: float
    sharpness: float
    kinks: float
    slope_variation: float
    history: dict[str, np.ndarray]


def draw_theta(width: int, seed: int) -> FloatArray:
    """Return the initial (w, b, a) (3, m)."""
    theta = stream("initial weights", seed, width=width).standard_normal((3, width))
    theta[2] /= math.sqrt(width)
    return theta


def run(spec: ReluSpec) -> ReluResult:
    """Draw and train one network. Pure: the same specification gives the same result to the last bit."""
    x, y = spec.data.draw(spec.seed)
    network = ReluNetwork(x, y, draw_theta(spec.width, spec.seed))
    phases = [Phase(Rule(spec.radius if spec.rule == "sam" else 0.0), spec.max_steps)]
    status, steps, history = train(
        network, phases, Batches(len(x), len(x), None), spec.step_size, spec.stop_loss, spec.record
    )
    sharpness = count = variation = np.nan
    if status != "diverged":
        sharpness = float(np.linalg.eigvalsh(hessian(network.theta, x, y))[-1])
        count, variation = kinks(network.theta, x)
    return ReluResult(status, steps, float(history["loss"][-1]), sharpness, float(count), variation, history)

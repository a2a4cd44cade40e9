"""The problem that tests of the diagonal network share, trained by the engine and by the plain twin."""

import dataclasses
from pathlib import Path
from typing import Any

import naive
import numpy as np

from simulate.diagonal import DiagonalNetwork
from simulate.diagonal_run import DiagonalSpec, train_network
from simulate.regression import RegressionFile, RegressionInstance, load_regression
from simulate.streams import stream
from simulate.types import FloatArray
from simulate.update import Batches

N, D, ALPHA, STEP, RADIUS = 6, 11, 0.1, 0.05, 0.2
BETA = np.array([0.8, -0.5, 0.3] + [0.0] * (D - 3))


def problem(n: int = N, d: int = D, seed: int = 5, noise: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """Return X (n, d) and y, realisable without noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, X[:, :3] @ BETA[:3] + noise * rng.standard_normal(n)


def instance(X: FloatArray, y: FloatArray) -> RegressionInstance:
    """Return a problem without a test set."""
    return RegressionInstance(X, y, np.empty((0, X.shape[1])), np.empty(0), None)


def state(d: int = D, seed: int = 1) -> FloatArray:
    """Return weights in general position."""
    return 0.3 + 0.2 * np.random.default_rng(seed).standard_normal((2, d))


def spec(path: str | Path, **changes: Any) -> DiagonalSpec:
    """Return a run on the file."""
    common: dict[str, Any] = {"alpha": ALPHA, "radius": RADIUS, "step_size": STEP, "max_steps": 100}
    return DiagonalSpec(RegressionFile(str(path)), **{**common, **changes})


def trained(spec: DiagonalSpec) -> FloatArray:
    """Return the weights that the engine ends with."""
    network = DiagonalNetwork(load_regression(spec.data, spec.seed), spec.alpha)
    status, steps, _ = train_network(spec, network)
    assert (status, steps) == ("max-steps", spec.max_steps)
    return network.weights


def twin(spec: DiagonalSpec, **changes: Any) -> FloatArray:
    """Return the weights of the plain twin; `changes` are the rule's, or `weighted`, for controls, or the `problem`."""
    X, y = changes.pop("problem", problem())
    weighted = changes.pop("weighted", True)
    spec = dataclasses.replace(spec, **changes)
    rules: list[naive.DiagonalRule] = []
    for name, steps in ((spec.rule, spec.switch_step), (spec.then or spec.rule, spec.max_steps - spec.switch_step)):
        radius = 0.0 if name in ("gd", "sgd") else spec.radius
        rules += [(radius, spec.normalisation, {"1-sam": 1, "m-sam": spec.block}.get(name))] * steps
    n = len(y)
    batches = [np.arange(n)] * spec.max_steps
    if spec.rule in ("sgd", "stochastic-1-sam"):
        rng = stream("batches", spec.seed, samples=n, batch_size=1, sampling=spec.sampling)
        drawn = Batches(n, 1, rng, spec.sampling == "replacement").order(0, -(-spec.max_steps // n))
        batches = list(drawn.reshape(-1, 1)[: spec.max_steps])
    return naive.diagonal_train(spec.alpha, X, y, batches, spec.step_size, rules, weighted)


def gap(W: FloatArray, V: FloatArray) -> float:
    """Return the largest relative difference of two arrays, entry by entry."""
    return float(np.abs(W / V - 1.0).max())

"""SAM's drift along minimisers: rates against projected flows and differences, the claims themselves."""

import numba
import numpy as np
import pytest

from simulate.diagonal import hessian, sample_hessians
from theory.check import check
from theory.claim import Outcome
from theory.registry import claims
from theory.wen2023.drift import amplification, amplified_trace, curvatures, networks, top_rate, trace_rate

NAMES = [name for name in claims() if name.startswith("wen2023/")]


@pytest.mark.compiled
@pytest.mark.parametrize("name", NAMES)
def test_claims_come_out_as_expected(name):
    record = check(claims()[name], "quick", 1)
    assert record.passed, record.verdict
    assert record.verdict.outcome is Outcome.HOLDS


@pytest.fixture(scope="module")
def interpolator():
    """Return a network at an interpolator, and its X."""
    if numba.config.DISABLE_JIT:
        pytest.skip("gradient descent is slow without the compiler")
    network, X, _ = next(networks({"problems": 1, "seed": 3, "disjoint": False}))
    return network, X


def spectrum(X, W):
    """Return the Hessian's eigenvalues where all residuals are 0."""
    return np.linalg.eigvalsh(hessian(X, X @ (W[0] ** 2 - W[1] ** 2), W))


def test_curvatures_are_the_hessians(interpolator):
    network, X = interpolator
    W = network.weights
    own, _, each, _ = curvatures(network, X)
    values = spectrum(X, W)
    assert own == pytest.approx(values[-len(X) :], rel=1e-10)
    assert each.mean() == pytest.approx(values.sum(), rel=1e-10)
    assert each == pytest.approx(np.linalg.eigvalsh(sample_hessians(X, W).hessians)[:, -1], rel=1e-10)
    assert network.loss() < 1e-23


@pytest.mark.parametrize("name", ["top", "trace"])
def test_rates_are_the_projected_flows(interpolator, name):
    """d log w₊w₋ along −½ ∇lam_max (or of the trace), by differences, projected along the interpolators."""
    network, X = interpolator
    W = network.weights.copy()
    measure = (lambda W: spectrum(X, W)[-1]) if name == "top" else (lambda W: spectrum(X, W).sum())
    gradient = np.zeros(W.shape)
    for at in np.ndindex(*W.shape):
        up, down = W.copy(), W.copy()
        up[at] += 1e-6
        down[at] -= 1e-6
        gradient[at] = (measure(up) - measure(down)) / 2e-6
    J = np.hstack([2.0 * X * W[0], -2.0 * X * W[1]])
    flat = gradient.ravel()
    along = (flat - np.linalg.lstsq(J.T, flat, rcond=None)[0] @ J).reshape(W.shape)
    _, top, _, parts = curvatures(network, X)
    rate = top_rate({"top": top}) if name == "top" else trace_rate({"samples": parts.T})
    assert (-0.5 * along / W).sum(axis=0) == pytest.approx(rate, rel=1e-5, abs=1e-6)
    other = trace_rate({"samples": parts.T}) if name == "top" else top_rate({"top": top})
    assert np.abs(rate - other).max() > 0.1


@pytest.mark.parametrize("u", [0.1, 1.0, 1.7])
def test_amplification_is_the_perturbed_points_distance(u):
    """On ½ lam x²: SAM's plain steps, at the end of which x + rho sign x is 2/(2 − u) times rho away."""
    x, rho, lam = 0.3, 0.05, 4.0
    for _ in range(2000):
        x -= u / lam * lam * (x + rho * np.sign(x))
    assert (abs(x) / rho + 1.0) ** 2 == pytest.approx(amplification(u), rel=1e-10)


def test_amplified_trace_by_hand():
    given = {"samples": np.array([[1.0, 3.0, 0.0]]), "sample u": np.array([[0.0, 1.0, 0.0]])}
    assert amplified_trace(given) == pytest.approx([-2.0 * (1.0 + 4.0 * 3.0)])
    assert trace_rate(given) == pytest.approx([-8.0])

"""Deep diagonal networks: the field against differences, SAM against plain steps, the flow against small steps."""

import math

import numpy as np
import pytest

from simulate.deep_diagonal import ascent, flow, perturbed, step
from simulate.parameters import ParameterError

B, L, D = 3, 4, 2
RNG = np.random.default_rng(0)
MU, W, RHO = RNG.uniform(0.5, 2.0, (B, D)), RNG.normal(1.0, 0.7, (B, L, D)), np.array([0.1, 0.5, 2.0])


def margin(mu, w):
    """f of one network (L, d), written out."""
    return sum(mu[j] * math.prod(w[layer][j] for layer in range(len(w))) for j in range(len(mu)))


def loss_gradient(mu, w):
    """∇ log(1 + exp(−f)) by central differences, with the slope c that it holds."""
    g, h = np.zeros(w.shape), 1e-6
    for at in np.ndindex(*w.shape):
        up, down = w.copy(), w.copy()
        up[at] += h
        down[at] -= h
        g[at] = (np.log1p(np.exp(-margin(mu, up))) - np.log1p(np.exp(-margin(mu, down)))) / (2.0 * h)
    return g, 1.0 / (1.0 + np.exp(margin(mu, w)))


def test_ascent_is_the_gradient_of_f():
    for mu, w, u in zip(MU, W, ascent(MU, W), strict=True):
        g, slope = loss_gradient(mu, w)
        assert u == pytest.approx(-g / slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("norm", ["euclidean", "largest"])
def test_step_is_sam_on_a_loss(norm):
    """A plain step of SAM on the logistic loss is `step` times its slope at the perturbed weights: the clock."""
    eta = np.array([0.1, 0.3, 1.0])
    slopes, plain = [], []
    for mu, w, rho, size in zip(MU, W, RHO, eta, strict=True):
        g, _ = loss_gradient(mu, w)
        e = rho * g / np.sqrt((g * g).sum()) if norm == "euclidean" else rho * np.sign(g)
        at, slope = loss_gradient(mu, w + e)
        slopes.append(slope)
        plain.append(w - size * at)
    assert step(MU, W, eta * slopes, RHO, norm) == pytest.approx(np.array(plain), rel=1e-5, abs=1e-7)


def test_zero_gradient_perturbs_nothing():
    zero = np.zeros((1, 3, 2))
    for norm in ("euclidean", "largest"):
        assert (perturbed(MU[:1], zero, RHO[:1], norm) == zero).all()
    half = np.array([[[1.0, 0.0]] * 3])  # the second coordinate's gradient is 0: its sign too
    assert (perturbed(MU[:1], half, RHO[:1], "largest")[0, :, 1] == 0.0).all()


def test_without_a_radius_the_norms_are_one():
    same = [flow(MU, np.abs(W), 0.0 * RHO, norm, 20) for norm in ("euclidean", "largest")]
    assert (same[0] == same[1]).all()


def test_flow_keeps_what_gradient_flow_keeps():
    """Differences of the layers' squares, and at two layers of one weight log w_j/mu_j."""
    start = np.abs(W)
    end = flow(MU, start, 0.0 * RHO, "largest", 60)
    assert (end > start).all()
    assert end[:, 0] ** 2 - end[:, 1] ** 2 == pytest.approx(start[:, 0] ** 2 - start[:, 1] ** 2, rel=1e-5)
    equal = np.repeat(start[:, :1], 2, axis=1)
    gain = np.log(flow(MU, equal, 0.0 * RHO, "largest", 60) / equal) / MU[:, None]
    assert gain[:, :, 0] == pytest.approx(gain[:, :, 1], rel=1e-6)


@pytest.mark.parametrize("norm", ["euclidean", "largest"])
def test_flow_is_the_limit_of_steps(norm):
    """Plain steps to where the first weight has come, interpolated: the others differ by the order of the step."""
    start = np.repeat(RNG.uniform(1.5, 2.5, (1, 1, D)), 3, axis=1)
    mu, rho = MU[:1], np.array([0.4])
    end = flow(mu, start, rho, norm, 12)
    errors = []
    for size in (1e-4, 5e-5):
        w = start
        while w[0, 0, 0] < end[0, 0, 0]:
            before, w = w, step(mu, w, np.array([size]), rho, norm)
        share = (end[0, 0, 0] - before[0, 0, 0]) / (w[0, 0, 0] - before[0, 0, 0])
        errors.append(abs(before + share * (w - before) - end)[0, 0, 1])
    assert errors[0] < 2e-3
    assert errors[1] == pytest.approx(0.5 * errors[0], rel=0.05)


def test_flow_stops_at_the_largest():
    start = np.abs(W) + RHO[:, None, None]
    end = flow(MU, start, RHO, "largest", 10_000, largest=100.0)
    assert (np.abs(end).max(axis=(1, 2)) >= 100.0).all()
    assert (np.abs(end).max(axis=(1, 2)) < 110.0).all()
    assert (flow(MU, end, RHO, "largest", 10, largest=100.0) == end).all()
    assert (flow(MU, start, RHO, "largest", 0) == start).all()


def test_unknown_norm():
    with pytest.raises(ParameterError, match="norm = 'l3'"):
        step(MU, W, RHO, RHO, "l3")

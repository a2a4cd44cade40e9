"""Every engine's gradient against that of its loss, by complex steps, which round no difference, and by JAX."""

from functools import cache, partial

import numpy as np
import pytest

from simulate.conv import DenseNetwork, GramNetwork
from simulate.diagonal import DiagonalNetwork
from simulate.objective import LOSSES, finite_sum
from simulate.regression import SparseRegression, load_regression
from simulate.relu_regression import gradient as relu_gradient
from simulate.signal_noise import SignalNoise, draw_dense
from simulate.update import Batches, Phase, Rule, train


def relu(xp, z):
    return xp.where(z.real > 0.0, z, 0.0)


def softplus(xp, z):
    """log(1 + e^z) of z of any sign, complex ones too."""
    s = xp.where(z.real > 0.0, -z, z)
    return relu(xp, z) + xp.log1p(xp.exp(s))


# a case: weights, the loss of a module (numpy or jax.numpy) and weights, and the engine's gradient there


def conv(make, shared):
    """Return the network on its patches; −D V is the gradient, D from inner products alone in Gram space."""
    kind = "shared" if shared else "independent"
    dense = draw_dense(SignalNoise(6, 5, 3, signal_norm=2.0, flip_rate=0.3, noise_patches=kind), 3, 0.6, 1)
    count, c = dense.noise_count, dense.noise_weight
    signs = np.repeat([1.0, -1.0], 3)

    def loss(xp, W):
        H = W @ dense.vectors.T
        noise = relu(xp, H[:, 1:]).reshape(6, 6, count).sum(axis=2)
        patches = relu(xp, H[:, :1] * dense.signal_labels) + c * noise
        return xp.mean(softplus(xp, -dense.labels * (signs @ patches / 3)))

    D = make(dense)._batch_descent(np.arange(6))
    return dense.weights, loss, -D @ dense.vectors


def diagonal():
    """Return the diagonal network; its gradient from a step so long that W all but vanishes in it."""
    problem = load_regression(SparseRegression(5, 9, test_samples=0), 0)
    W = np.random.default_rng(0).uniform(0.3, 1.2, (2, 9))
    network = DiagonalNetwork(problem, 1.0)
    network.weights[:] = W
    train(network, [Phase(Rule(), 1)], Batches(5, 5, None), 1e9, 0.0)

    def loss(xp, W):
        r = problem.X @ (W[0] ** 2 - W[1] ** 2) - problem.y
        return xp.sum(r * r) / 20.0

    return W, loss, (W - network.weights) / 1e9


def summed(name):
    """Return a finite sum with two rows a sample where the loss allows, and a ridge where it may."""
    rng = np.random.default_rng(0)
    A, signs = rng.standard_normal((6, 7)), np.where(rng.random(6) < 0.5, -1.0, 1.0)
    reg = 0.3 if name in ("square", "logistic") else 0.0
    b = signs if name in ("logistic", "wave") else rng.standard_normal(6)
    problem = finite_sum(name, A, b, reg, 6 if name == "logistic" else 3)
    y = rng.standard_normal(7)

    def loss(xp, x):
        z = A @ x
        r = z - b
        terms = {
            "square": lambda: r * r / 2.0,
            "logistic": lambda: softplus(xp, -b * z),
            "sine": lambda: r * r / 2.0 + xp.sin(r) ** 2,
            "robust": lambda: r * r / (1.0 + r * r) / 2.0,
            "wave": lambda: z * z / 2.0 + b * xp.cos(10.0 * z) / 10.0,
        }[name]()
        return xp.mean(terms) + reg / 2.0 * xp.sum(x * x)

    return problem.anchor + y, loss, problem.measure(y[None])[1][0]


def line():
    """Return the ReLU network on the line."""
    rng = np.random.default_rng(0)
    x, y, theta, g = np.linspace(-1.0, 1.0, 7), rng.standard_normal(7), rng.standard_normal((3, 8)), np.empty((3, 8))
    relu_gradient(theta, x, y, np.empty(8), g)

    def loss(xp, theta):
        r = theta[2] @ relu(xp, theta[0][:, None] * x + theta[1][:, None]) - y
        return xp.sum(r * r) / 14.0

    return theta, loss, g


CASES = {
    "conv, Gram": partial(conv, lambda dense: GramNetwork(dense.to_gram()), True),
    "conv, Gram, independent noise": partial(conv, lambda dense: GramNetwork(dense.to_gram()), False),
    "conv, dense": partial(conv, DenseNetwork, True),
    "diagonal": diagonal,
    "line": line,
    **{loss: partial(summed, loss) for loss in LOSSES},
}


@cache
def case(name):
    return CASES[name]()


def complex_step(loss, weights):
    """Return the gradient of a loss that is analytic: Im L(w + i h e)/h of every coordinate e, exact for h → 0."""
    found, h = np.empty(weights.shape), 1e-100
    for place in np.ndindex(weights.shape):
        moved = weights.astype(complex)
        moved[place] += 1j * h
        found[place] = np.imag(loss(np, moved)) / h
    return found


def assert_gradient(found, expected):
    """To 40 roundings of the largest entry: a few additions of a few products."""
    assert np.abs(found - expected).max() < 40 * 2.0**-53 * np.abs(expected).max()


@pytest.mark.parametrize("name", CASES)
def test_gradient_is_that_of_complex_steps(name):
    """The control: the gradient a hundredth elsewhere."""
    weights, loss, found = case(name)
    assert_gradient(found, complex_step(loss, weights))
    assert np.abs(found - complex_step(loss, 1.01 * weights)).max() > 1e-4 * np.abs(found).max()


@pytest.mark.parametrize("name", CASES)
def test_gradient_is_that_of_jax(name):
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jax.config.update("jax_enable_x64", True)
    weights, loss, found = case(name)
    assert_gradient(found, np.asarray(jax.grad(lambda w: loss(jax.numpy, w))(jax.numpy.asarray(weights))))

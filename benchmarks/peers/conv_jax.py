"""The two-layer convolutional ReLU network on the d-vectors themselves, in JAX: `grad`, all steps jitted whole."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from simulate.signal_noise import DenseInstance

jax.config.update("jax_enable_x64", True)


def training(
    instance: DenseInstance, radius: float, step_size: float, dtype: type[np.floating] = np.float64
) -> Callable[[int], np.ndarray]:
    """Return train(steps) → W (2m, d): full-batch steps of SGD, or of SAM if radius > 0, from the initial weights."""
    m = len(instance.weights) // 2
    W, V, y, signal_labels = (
        jnp.asarray(a, dtype) for a in (instance.weights, instance.vectors, instance.labels, instance.signal_labels)
    )
    J = jnp.repeat(jnp.array([1, -1], dtype), m)

    def loss(W: jax.Array, V: jax.Array) -> jax.Array:
        H = W @ V.T
        patches = jax.nn.relu(H[:, :1] * signal_labels) + jax.nn.relu(H[:, 1:])
        return jnp.mean(jax.nn.softplus(-y * (J @ patches / m)))

    def step(W: jax.Array, V: jax.Array) -> jax.Array:
        gradient: jax.Array = jax.grad(loss)(W, V)
        if radius > 0:
            gradient = jax.grad(loss)(W + radius / jnp.linalg.norm(gradient) * gradient, V)
        return W - step_size * gradient

    @jax.jit
    def steps_of(W: jax.Array, V: jax.Array, steps: int) -> jax.Array:
        found: jax.Array = jax.lax.fori_loop(0, steps, lambda _, W: step(W, V), W)
        return found

    return lambda steps: np.asarray(steps_of(W, V, steps))

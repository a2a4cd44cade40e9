"""The two-layer convolutional ReLU network on the d-vectors themselves, in JAX: `grad`, all steps jitted whole."""

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)


def training(instance, radius, step_size, dtype=np.float64):
    """Return train(steps) → W (2m, d): full-batch steps of SGD, or of SAM if radius > 0, from the initial weights."""
    m = len(instance.weights) // 2
    W, V, y, signal_labels = (
        jnp.asarray(a, dtype) for a in (instance.weights, instance.vectors, instance.labels, instance.signal_labels)
    )
    J = jnp.repeat(jnp.array([1, -1], dtype), m)

    def loss(W, V):
        H = W @ V.T
        patches = jax.nn.relu(H[:, :1] * signal_labels) + jax.nn.relu(H[:, 1:])
        return jnp.mean(jax.nn.softplus(-y * (J @ patches / m)))

    def step(W, V):
        gradient = jax.grad(loss)(W, V)
        if radius > 0:
            gradient = jax.grad(loss)(W + radius / jnp.linalg.norm(gradient) * gradient, V)
        return W - step_size * gradient

    @jax.jit
    def steps_of(W, V, steps):
        return jax.lax.fori_loop(0, steps, lambda _, W: step(W, V), W)

    return lambda steps: np.asarray(steps_of(W, V, steps))

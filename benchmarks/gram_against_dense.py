"""What a step in Gram space costs, as ratios measured in one interleaved run on one core.

    python benchmarks/gram_against_dense.py [--n 20] [--d 20000] [--width 10] [--steps 300] [--repetitions 15]

1. A dense step in JAX against a step of `GramNetwork`, full batch, P = 2, float64, SGD and SAM. The JAX side is what
   a user would write: the loss of the weights (2m, d) on the matrix V = (mu, xi_1, …, xi_n), differentiated by
   `jax.grad` (two products, W Vᵀ and D V), the whole loop jitted. Both sides take the same steps from the same
   weights, and their final projections W Vᵀ must agree before either is timed.
2. A Gram step at d = 10⁹ against one at d = 10³. A step skips the neurons that a sample leaves inactive, so its cost
   depends on the masks 1{H > 0}, which depend on d by way of the trajectory. To compare like with like both sides
   start at the same H, and step size and radius are so small (1e-200) that no sum with them changes a bit of H: the
   masks stand still, at SAM's perturbed point too, while every operation of a step is carried out. The median ratio
   must lie within 10 % of 1.
3. Where the time of one whole run goes, for orientation.

Ratios are taken repetition by repetition, the two sides next to each other; minimum, median and maximum are printed.
Exit status: 0; 1 if a comparison fails; 2 if JAX is missing.
"""

import argparse
import dataclasses
import os
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plain checkout will do

from simulate.conv import GramNetwork
from simulate.conv_run import ConvSpec, build_network, train_network
from simulate.generalisation import clean_error
from simulate.signal_noise import DenseInstance, SignalNoise, draw_dense, draw_gram
from simulate.update import Rule

STEP_SIZE, RADIUS, INIT_STD = 0.01, 0.1, 0.001
STANDSTILL = 1e-200  # far below one ulp of any pre-activation, far above the subnormal numbers, which are slow
RULES = {"SGD": Rule(0.0), "SAM": Rule(RADIUS)}


def pin_to_one_core():
    """Leave one CPU and one thread to this process, JAX included, which must not have been imported yet."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    threadpool_limits(1)


def import_jax():
    """Return the modules jax and jax.numpy in float64, or end with status 2 and a word on what to install."""
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        print("JAX is missing: pip install 'sharpbounds[bench]'", file=sys.stderr)
        sys.exit(2)
    jax.config.update("jax_enable_x64", True)
    return jax, jnp


def dense_training(jax, jnp, instance: DenseInstance, rule: Rule):
    """Return train(W, steps) -> W: full-batch steps of `rule` on the weights (2m, d) themselves, jitted whole."""
    m = len(instance.weights) // 2
    V, y, signal_labels = jnp.array(instance.vectors), jnp.array(instance.labels), jnp.array(instance.signal_labels)
    J = jnp.repeat(jnp.array([1.0, -1.0]), m)

    def loss(W, V):
        H = W @ V.T
        patches = jax.nn.relu(H[:, :1] * signal_labels) + jax.nn.relu(H[:, 1:])
        return jnp.mean(jax.nn.softplus(-y * (J @ patches / m)))

    def step(W, V):
        gradient = jax.grad(loss)(W, V)
        if rule.radius > 0.0:
            norm = jnp.linalg.norm(gradient)
            e = jnp.where(norm > 0.0, rule.radius / norm, 0.0) * gradient
            gradient = jax.grad(loss)(W + e, V)
        return W - STEP_SIZE * gradient

    @jax.jit
    def train(W, V, steps):
        return jax.lax.fori_loop(0, steps, lambda _, W: step(W, V), W)

    return lambda W, steps: train(W, V, steps).block_until_ready()


def gram_seconds(networks, steps, step_size, rule):
    """Return the seconds a step, over `steps` full-batch steps of every network in turn."""
    n = len(networks[0].instance.labels)
    order = np.arange(n)[None]
    start = time.perf_counter()
    for network in networks:
        network.take_steps(order, 0, 0, steps, n, step_size, rule, 0.0)
    return (time.perf_counter() - start) / (steps * len(networks))


def jax_over_gram(jax, jnp, arguments, rule):
    """Return (repetitions,) seconds a step of JAX and of the Gram network; end with status 1 if they disagree."""
    data = SignalNoise(samples=arguments.n, dimension=arguments.d, patches=2)
    dense = draw_dense(data, arguments.width, INIT_STD, seed=0)
    gram, steps = dense.to_gram(), arguments.steps
    train, W = dense_training(jax, jnp, dense, rule), jnp.array(dense.weights)

    network = GramNetwork(gram)
    gram_seconds([network], steps, STEP_SIZE, rule)
    theirs = np.asarray(train(W, steps)) @ dense.vectors.T
    error = abs(theirs - network.projections()).max() / abs(theirs).max()
    moved = abs(theirs - gram.projections).max() / abs(theirs).max()
    print(f"  after {steps} steps W Vᵀ has moved by {moved:.0%} and differs by {error:.0e} (relative)")
    if not error < 1e-8:
        print("JAX and the Gram network do not train the same weights: nothing to compare", file=sys.stderr)
        sys.exit(1)

    seconds = []
    for _ in range(arguments.repetitions):
        start = time.perf_counter()
        train(W, steps)
        seconds.append(
            ((time.perf_counter() - start) / steps, gram_seconds(fresh(gram), steps, STEP_SIZE, rule))
        )
    return np.array(seconds).T


def fresh(instance, count=20):
    """Return `count` untrained networks, enough for a call of the clock to cost nothing."""
    return [GramNetwork(instance) for _ in range(count)]


def large_over_small(arguments, rule):
    """Return (repetitions,) seconds of a Gram step at d = 10⁹ and at d = 10³, both on the masks of the latter's H."""
    standing = Rule(STANDSTILL if rule.radius > 0.0 else 0.0)
    small, large = (
        draw_gram(SignalNoise(samples=arguments.n, dimension=d, patches=2), arguments.width, INIT_STD, seed=0)
        for d in (10**3, 10**9)
    )
    large = dataclasses.replace(large, projections=small.projections)
    seconds = []
    for repetition in range(-1, arguments.repetitions):  # the first warms up
        pair = [fresh(instance) for instance in (large, small)]
        both = [gram_seconds(networks, arguments.steps, STANDSTILL, standing) for networks in pair]
        for network in pair[0] + pair[1]:
            if not np.array_equal(network.projections(), small.projections):
                print("the masks did not stand still: nothing to compare", file=sys.stderr)
                sys.exit(1)
        if repetition >= 0:
            seconds.append(both)
    return np.array(seconds).T


def shares(arguments, rule):
    """Return (seconds of the draw, of the steps, of the test error) and the steps of one whole run, warmed up."""
    data = SignalNoise(samples=arguments.n, dimension=arguments.d, patches=2)
    spec = ConvSpec(data, arguments.width, INIT_STD, rule.lower(), RULES[rule].radius, step_size=STEP_SIZE)
    for _ in range(2):
        clock = [time.perf_counter()]
        network = build_network(spec)
        clock.append(time.perf_counter())
        _, steps, _ = train_network(spec, network)
        clock.append(time.perf_counter())
        clean_error(network, data.noise_std)
        clock.append(time.perf_counter())
    return np.diff(clock), steps


def positive(text):
    """Return a positive integer given on the command line."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def print_ratios(name, slow, fast):
    """Print one row of the table: both costs and the ratio's minimum, median and maximum; return the median."""
    ratio = slow / fast
    low, middle, high = ratio.min(), np.median(ratio), ratio.max()
    costs = f"{1e6 * np.median(slow):9.2f} µs {1e6 * np.median(fast):9.2f} µs"
    digits = 0 if middle >= 100 else 2
    print(f"  {name:<4} {costs}   {low:.{digits}f} – {middle:.{digits}f} – {high:.{digits}f}")
    return middle


def main():
    """Measure and print; exit status as the module says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=positive, default=20, help="samples")
    parser.add_argument("--d", type=positive, default=20_000, help="dimension of the dense side")
    parser.add_argument("--width", type=positive, default=10, help="m; the network has 2m neurons")
    parser.add_argument("--steps", type=positive, default=300, help="steps of a timed training")
    parser.add_argument("--repetitions", type=positive, default=15, help="interleaved repetitions")
    arguments = parser.parse_args()
    pin_to_one_core()
    jax, jnp = import_jax()

    print(f"n = {arguments.n}, m = {arguments.width}, P = 2, float64, full batch, one core; cost of a step, median;")
    print(f"ratio: minimum – median – maximum of {arguments.repetitions} interleaved repetitions")
    print(f"\nDense JAX {jax.__version__} at d = {arguments.d} / Gram")
    for name, rule in RULES.items():
        print_ratios(name, *jax_over_gram(jax, jnp, arguments, rule))
    print("\nGram at d = 10⁹ / Gram at d = 10³, on the same masks")
    middles = [print_ratios(name, *large_over_small(arguments, rule)) for name, rule in RULES.items()]
    print("\nOne whole run: draw, steps, test error")
    for name in RULES:
        seconds, steps = shares(arguments, name)
        parts = "  ".join(f"{share:4.0%}" for share in seconds / seconds.sum())
        print(f"  {name:<4} {parts}   of {1e3 * seconds.sum():.1f} ms ({steps} steps)")
    if not all(0.9 < middle < 1.1 for middle in middles):
        print("the cost of a Gram step depends on d by more than 10 %", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()

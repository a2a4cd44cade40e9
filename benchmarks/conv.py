"""Steps of the convolutional network against dense peers, the matrix product, a plain kernel, and another dimension.

`steps`: full-batch SGD and SAM, n = 20, m = 10, P = 2, against networks trained on the vectors of R^20000. All take the
same 300 steps from the same weights, and their projections W Vᵀ must agree before any is timed.

`product`: full-batch steps at n = 200. Multiply-adds that matter are those of D G with D not 0: n + 1 for every pair
(neuron, vector) that is on, counted before and after every hundred steps; the share is of the rate of NumPy's product
of two 1024 x 1024 matrices. Everything else that a step does counts as nothing.

`batches`: steps on mini-batches, B = 10, n = 200, m = 10, against the same in numba.

`dimension`: a step at d = 10¹² against one at d = 10³. A step leaves out what is off, so its cost depends on the masks
1{H > 0}, and these on d by way of the trajectory. So both sides start at the same H, and step size and radius are so
small that no sum with them changes a bit of H: the masks stand still, while every operation of a step is carried out.
"""

import dataclasses
import importlib
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from benchmarks.machine import one_core, product_rate
from benchmarks.measure import Disagreement, Row, agree, clocked, compilation, costs, paired, rates
from simulate.conv import GramNetwork
from simulate.signal_noise import DenseInstance, GramInstance, SignalNoise, draw_dense, draw_gram
from simulate.types import FloatArray, IntArray
from simulate.update import Rule

STEP_SIZE, RADIUS, INIT_STD = 0.01, 0.1, 0.001
STANDSTILL = 1e-200  # far below one ulp of any pre-activation, far above the subnormal numbers, which are slow
RULES = {"SGD": 0.0, "SAM": RADIUS}
PEERS: dict[str, tuple[str, dict[str, object], float]] = {  # module, options, tolerance
    "JAX float64, jitted": ("conv_jax", {}, 1e-9),
    "JAX float32, jitted": ("conv_jax", {"dtype": np.float32}, 1e-3),
    "PyTorch float64, eager": ("conv_torch", {}, 1e-9),
    "PyTorch float32, eager": ("conv_torch", {"dtype": np.float32}, 1e-3),
    "PyTorch float64, compiled": ("conv_torch", {"compiled": True}, 1e-9),
    "PyTorch float32, compiled": ("conv_torch", {"dtype": np.float32, "compiled": True}, 1e-3),
    "numba float64": ("conv_numba", {}, 1e-9),
    "NumPy float64": ("conv_numpy", {}, 1e-9),
}
TARGETS = {("SGD", "JAX float64, jitted"): 2000, ("SAM", "JAX float64, jitted"): 2500}


def gram_seconds(
    networks: Sequence[GramNetwork], steps: int, step_size: float, rule: Rule, batch_size: int | None = None,
    order: IntArray | None = None,
) -> float:  # fmt: skip
    """Return the seconds a step, over `steps` steps of every network in turn."""
    n = len(networks[0].instance.labels)
    rows, size = np.arange(n)[None] if order is None else order, batch_size or n

    def call() -> None:
        for network in networks:
            network.take_steps(rows, 0, 0, steps, size, step_size, rule, 0.0)

    return clocked(call, steps * len(networks))


def fresh(instance: GramInstance, count: int = 20) -> list[GramNetwork]:
    """Return `count` untrained networks, enough for a call of the clock to cost nothing."""
    return [GramNetwork(instance) for _ in range(count)]


def steps() -> Iterator[Row]:
    """Yield the rows of full-batch steps against dense peers."""
    dense = draw_dense(SignalNoise(samples=20, dimension=20_000), 10, INIT_STD, seed=0)
    with one_core():
        for name in RULES:
            for peer in PEERS:
                yield from against_peer(dense, name, peer)


def against_peer(dense: DenseInstance, name: str, peer: str, count: int = 300) -> list[Row]:
    """Return the rows of `count` steps against a dense peer's, and of its compilation."""
    job, radius, (module, options, tolerance) = f"conv {name} step, n 20, m 10, d 20000", RULES[name], PEERS[peer]
    gram, rule, target = dense.to_gram(), Rule(radius), TARGETS.get((name, peer))
    try:
        train = importlib.import_module(f"benchmarks.peers.{module}").training(dense, radius, STEP_SIZE, **options)
        compiling = compilation(f"dense {peer}, {name} step", partial(train, 1))
    except (ImportError, RuntimeError) as error:  # the latter where torch finds no compiler
        return [Row(job, peer, note=f"{type(error).__name__}: {str(error).splitlines()[0]}")]
    network = GramNetwork(gram)
    gram_seconds([network], count, STEP_SIZE, rule)
    agree(f"{job}, {peer}", train(count) @ dense.vectors.T, network.projections(), tolerance)
    theirs, ours = paired(
        lambda: clocked(partial(train, count), count),
        lambda: gram_seconds(fresh(gram), count, STEP_SIZE, rule),
        5 if target else 3,
    )
    row = Row(job, peer, theirs / ours, target=target, note=costs(theirs, ours))
    compiles = module == "conv_jax" or (name == "SGD" and (module == "conv_numba" or "compiled" in options))
    return [row, compiling] if compiles else [row]  # what SGD compiles serves SAM too, but in JAX


def product() -> Iterator[Row]:
    """Yield the rows of full-batch steps against the matrix product."""
    with one_core():
        for name in RULES:
            for m in (10, 100):
                yield against_product(name, m)


def against_product(name: str, m: int, count: int = 100, chunks: int = 10, repetitions: int = 7) -> Row:
    """Return the row of chunks of `count` full-batch steps, n = 200."""
    gram, rule = draw_gram(SignalNoise(samples=200), m, INIT_STD, seed=0), Rule(RULES[name])

    def rate() -> float:
        network, seconds, pairs = GramNetwork(gram), 0.0, []
        for _ in range(chunks):
            before = pairs_on(network, rule)
            seconds += count * gram_seconds([network], count, STEP_SIZE, rule)
            pairs.append((before + pairs_on(network, rule)) / 2.0)
        return 201 * float(np.mean(pairs)) * count * chunks / seconds

    theirs, ours = paired(product_rate, rate, repetitions)
    return Row(
        f"conv {name} step, n 200, m {m}", "matrix product", ours / theirs, "%", 0.9,
        note=rates(ours, theirs, "multiply-adds"),
    )  # fmt: skip


def pairs_on(network: GramNetwork, rule: Rule) -> int:
    """Return how many entries of D are not 0, summed over the gradients that a step takes."""
    everyone = np.arange(len(network.instance.labels))
    H = network.projections()
    found = int(np.count_nonzero(H[:, 1:] > 0.0)) + len(H)
    if rule.radius:
        near = H + network.perturbation(everyone, rule)
        found += int(np.count_nonzero(near[:, 1:] > 0.0)) + len(H)
    return found


def batches() -> Iterator[Row]:
    """Yield the rows of mini-batch steps against a plain kernel."""
    with one_core():
        for name in RULES:
            yield from against_plain(name)


def against_plain(name: str, count: int = 400, size: int = 10, repetitions: int = 9) -> list[Row]:
    """Return the rows of `count` mini-batch steps against the plain kernel's, and of its compilation."""
    from benchmarks.peers import gram_numba

    gram, rule = draw_gram(SignalNoise(samples=200), 10, INIT_STD, seed=0), Rule(RULES[name])
    order = np.random.default_rng(0).permuted(np.tile(np.arange(200), (20, 1)), axis=1)

    def plain() -> FloatArray:
        H, A = gram.projections.copy(), np.zeros_like(gram.projections)
        labels = gram.labels, gram.signal_labels
        gram_numba.take_steps(H, A, gram.gram, *labels, order, size, rule.radius, STEP_SIZE, count)
        return H

    def ours() -> float:
        return gram_seconds(fresh(gram, 5), count, STEP_SIZE, rule, size, order)

    compiling = compilation("plain kernel", plain)
    network, job = GramNetwork(gram), f"conv {name} mini-batch step, n 200, m 10, B {size}"
    gram_seconds([network], count, STEP_SIZE, rule, size, order)
    agree(job, plain(), network.projections(), 1e-9)
    found = paired(lambda: clocked(plain, count), ours, repetitions)
    row = Row(job, "plain numba kernel", found[0] / found[1], target=3, note=costs(*found))
    return [row, compiling] if name == "SGD" else [row]


def dimension(count: int = 300, repetitions: int = 15) -> Iterator[Row]:
    """Yield the rows of a step at d = 10¹² against one at d = 10³, on the masks of the latter's H."""
    small, large = (draw_gram(SignalNoise(samples=20, dimension=d), 10, INIT_STD, seed=0) for d in (10**3, 10**12))
    large = dataclasses.replace(large, projections=small.projections)
    with one_core():
        for name, radius in RULES.items():
            rule = Rule(STANDSTILL if radius else 0.0)

            def cost(instance: GramInstance, rule: Rule = rule) -> float:
                networks = fresh(instance)
                seconds = gram_seconds(networks, count, STANDSTILL, rule)
                if not all(np.array_equal(network.projections(), small.projections) for network in networks):
                    raise Disagreement("the masks did not stand still")
                return seconds

            far, near = paired(partial(cost, large), partial(cost, small), repetitions)
            job = f"conv {name} step, n 20, m 10, d 1e12"
            yield Row(job, "the same at d 1e3", far / near, target=1.05, at_most=True, note=costs(far, near))

"""Diagonal linear networks against NumPy loops, and their kernels against what one core multiplies and reads.

`runs`: one run of GD, n-SAM, 1-SAM and SGD, n = 20, d = 30, 10,000 steps, 101 states recorded, against the loops of
`peers/diagonal_numpy.py`. Both sides take the same steps from the same weights, SGD on the same rows (drawn inside our
timing and handed to NumPy), and record training loss, test loss (1000 rows) and ‖beta‖₁ at the same steps. Drawing the
data is left out, everything else of a run is in. The final coefficients and all records must agree.

`kernels`: n x d = 100 x 400, as a share of the rate of NumPy's product of two 1024 x 1024 matrices. A step counts 2 n d
multiply-adds (GD), 4 n d (n-SAM) or 5 n d (1-SAM: three sums a row, two a column). 400 x 4000, as a share of the bytes
a second that the core reads of an array as large as X; a step reads X once, that of n-SAM twice.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from benchmarks.machine import one_core, product_rate, read_rate
from benchmarks.measure import Row, agree, clocked, costs, paired, rates
from benchmarks.peers.diagonal_numpy import TUNED, USUAL, Steps, train
from simulate.diagonal import DiagonalNetwork
from simulate.diagonal_run import DiagonalSpec, train_network
from simulate.regression import RegressionInstance, SparseRegression, draw_regression
from simulate.streams import stream
from simulate.types import FloatArray
from simulate.update import Batches

ALPHA, STEP_SIZE, RADIUS = 0.1, 0.05, 0.05  # mild enough for u and v, which add and subtract, not to lose digits
SMALL_STEP = 0.1 * STEP_SIZE  # of larger problems
AGREEMENT = 1e-8  # relative
TARGETS = {"gd": 80, "n-sam": 60, "1-sam": 1500, "sgd": 150}  # of a run, against the loop as published
MULTIPLY_ADDS = {"gd": 2, "n-sam": 4, "1-sam": 5}  # times n d a step
PASSES = {"gd": 1, "n-sam": 2, "1-sam": 1}  # over X a step
RECORDED = ("train_loss", "test_loss", "l1_norm")
OUR_RUNS = 10  # of a repetition: one alone is too short to time well

Stepper = Callable[[int, DiagonalNetwork], float]


def our_run(instance: RegressionInstance, spec: DiagonalSpec) -> tuple[FloatArray, FloatArray]:
    """Return (beta, records) of the same run as that of `peers.diagonal_numpy.train`."""
    _, _, history = train_network(spec, DiagonalNetwork(instance, spec.alpha))
    return history["beta"][-1], np.stack([history[name] for name in RECORDED], axis=1)


def drawn_rows(spec: DiagonalSpec, n: int) -> list[int]:
    """Return which of n rows SGD draws in our run, one a step."""
    batches = Batches(n, 1, stream("batches", spec.seed, samples=n, batch_size=1, sampling=spec.sampling), True)
    rows: list[int] = batches.order(0, -(-spec.max_steps // n)).ravel()[: spec.max_steps].tolist()
    return rows


def runs() -> Iterator[Row]:
    """Yield the rows of whole runs against NumPy loops."""
    with one_core():
        for rule in TARGETS:
            for loops in (USUAL, TUNED):
                yield against_loop(rule, loops)


def against_loop(rule: str, loops: Steps, steps: int = 10_000, repetitions: int = 7) -> Row:
    """Return the row of whole runs of a rule against one kind of loops."""
    record = tuple(np.linspace(0, steps, 100, endpoint=False, dtype=int).tolist())
    data = SparseRegression(samples=20, dimension=30)
    spec = DiagonalSpec(data, ALPHA, rule, RADIUS, step_size=STEP_SIZE, max_steps=steps, record=record)
    instance, rows = draw_regression(data, spec.seed), drawn_rows(spec, data.samples)

    job = f"diagonal {rule} run, n 20, d 30"
    (beta, records), (our_beta, our_records) = train(instance, spec, rows, loops), our_run(instance, spec)
    agree(f"{job}, coefficients", beta, our_beta, AGREEMENT)
    for name, column, our_column in zip(RECORDED, records.T, our_records.T, strict=True):
        agree(f"{job}, {name}", column, our_column, AGREEMENT)
    found = paired(
        lambda: clocked(lambda: train(instance, spec, rows, loops), steps),
        lambda: clocked(lambda: [our_run(instance, spec) for _ in range(OUR_RUNS)], steps * OUR_RUNS),
        3 if rule == "1-sam" else repetitions,
    )
    kind, target = ("as published", TARGETS[rule]) if loops is USUAL else ("tuned", None)
    return Row(job, f"NumPy loop, {kind}", found[0] / found[1], target=target, note=costs(*found))


def kernels() -> Iterator[Row]:
    """Yield the rows of kernels against the core's own rates."""
    with one_core():
        for n, d, against, target in ((100, 400, "matrix product", 0.85), (400, 4000, "read bandwidth", 0.6)):
            for rule in MULTIPLY_ADDS:
                yield against_machine(rule, n, d, against, target)


def stepper(rule: str, n: int, d: int) -> tuple[Stepper, Callable[[], DiagonalNetwork], RegressionInstance]:
    """Return (seconds(steps, network) a step, fresh network, problem) of full-batch steps of a rule."""
    data = SparseRegression(samples=n, dimension=d, test_samples=0)
    spec = DiagonalSpec(data, ALPHA, rule, RADIUS, step_size=SMALL_STEP)
    instance, update, order = draw_regression(data, spec.seed), spec.update_rule(rule, n), np.arange(n)[None]

    def seconds(steps: int, network: DiagonalNetwork) -> float:
        return clocked(lambda: network.advance(order, 0, 0, steps, n, spec.step_size, update, 0.0), steps)

    return seconds, lambda: DiagonalNetwork(instance, ALPHA), instance


def against_machine(rule: str, n: int, d: int, against: str, target: float, repetitions: int = 9) -> Row:
    """Return the row of a kernel's rate as a share of the core's."""
    seconds, fresh, instance = stepper(rule, n, d)
    job, network, u, v = f"diagonal {rule} step, {n} x {d}", fresh(), np.full(d, 2.0 * ALPHA), np.zeros(d)
    seconds(5, network)
    for _ in range(5):
        u, v = TUNED[rule](instance.X, instance.y, u, v, SMALL_STEP, RADIUS, 0)
    agree(job, u * v, network.beta(), AGREEMENT)

    if against == "matrix product":
        unit, work, rate = "multiply-adds", MULTIPLY_ADDS[rule] * n * d, product_rate
    else:
        unit, work, rate = "bytes", 8 * PASSES[rule] * n * d, partial(read_rate, 8 * n * d)
    steps = int(2e8 / (MULTIPLY_ADDS[rule] * n * d))
    theirs, ours = paired(rate, lambda: work / seconds(steps, fresh()), repetitions)
    return Row(job, against, ours / theirs, "%", target, note=rates(ours, theirs, unit))

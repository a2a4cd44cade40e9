"""What a step of the diagonal linear network costs, as ratios measured in one interleaved run on one core.

    python benchmarks/diagonal_against_numpy.py [--n 20] [--d 30] [--steps 10000] [--records 100] [--repetitions 15]

1. One run of GD, n-SAM, 1-SAM and SGD, float64, against the NumPy loop that users write: two arrays u = 2 alpha and
   v = 0, beta = u v, which is u = w₊ + w₋ and v = w₊ − w₋ at the same step size and radius; 1-SAM with a Python loop
   over the samples, each perturbed by its own gradient. `usual` writes every gradient out and asks at every step
   whether it is in the array of those to record, as the code published with Andriushchenko & Flammarion 2022 does;
   `tuned` computes nothing twice and asks a set. Targets are for `usual`. (Without the loop over samples 1-SAM costs
   NumPy about a fifth of `tuned`.) Both sides take the same steps from the same weights, SGD on the same rows (drawn
   inside our timing and handed to NumPy), and record training loss, test loss (1000 rows) and ‖beta‖₁ at the same
   steps. Drawing the data and compiling are left out, everything else of a run is in. The final coefficients and all
   records must agree before either side is timed.
2. Multiply-adds a second of the kernels at n x d = 100 x 400 and, for orientation, 400 x 4000, as a fraction of the
   rate of NumPy's own product of two 1024 x 1024 matrices. A step counts 2 n d multiply-adds (GD), 4 n d (n-SAM) or
   5 n d (1-SAM: three sums a row, two a column). The kernels must agree with the NumPy loop here too.

Times are CPU times of this process. Ratios are taken repetition by repetition, the two sides next to each other;
minimum, median and maximum are printed, and the target that the median is meant to reach. Exit status: 0, also where a
target is missed; 1 if the two sides do not compute the same.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plain checkout will do

from simulate.diagonal import DiagonalNetwork
from simulate.diagonal_run import DiagonalSpec, train_network
from simulate.regression import RegressionInstance, SparseRegression, draw_regression
from simulate.streams import stream
from simulate.update import Batches

ALPHA, STEP_SIZE, RADIUS = 0.1, 0.05, 0.05  # mild enough for u and v, which add and subtract, not to lose digits
AGREEMENT = 1e-8  # relative
TARGETS = {"gd": 80, "n-sam": 60, "1-sam": 600, "sgd": 150}
MULTIPLY_ADDS = {"gd": 2, "n-sam": 4, "1-sam": 5}  # times n d a step
SHARE_TARGET = 0.6
SHAPES = ((100, 400, SHARE_TARGET), (400, 4000, None))
PRODUCT = 1024
RECORDED = ("train_loss", "test_loss", "l1_norm")
OUR_RUNS = 10  # of a repetition: one alone is too short to time well


def pin_to_one_core():
    """Leave one CPU and one thread to this process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    threadpool_limits(1)


def usual_gd(X, y, u, v, step_size, radius, row):
    """Return (u, v) after a step of gradient descent, every gradient written out."""
    prediction = X @ (u * v)
    error = X.T @ (prediction - y)
    gradient_u, gradient_v = (error * v) / X.shape[0], (error * u) / X.shape[0]
    u = u - step_size * gradient_u
    v = v - step_size * gradient_v
    return u, v


def usual_sgd(X, y, u, v, step_size, radius, row):
    """Return (u, v) after a step on one row."""
    error = X[row] @ (u * v) - y[row]
    gradient_u, gradient_v = error * X[row] * v, error * X[row] * u
    u = u - step_size * gradient_u
    v = v - step_size * gradient_v
    return u, v


def usual_n_sam(X, y, u, v, step_size, radius, row):
    """Return (u, v) after a step at weights perturbed by the full gradient."""
    error = X.T @ (X @ (u * v) - y)
    u_near, v_near = u + radius * (error * v) / X.shape[0], v + radius * (error * u) / X.shape[0]
    error = X.T @ (X @ (u_near * v_near) - y)
    gradient_u, gradient_v = (error * v_near) / X.shape[0], (error * u_near) / X.shape[0]
    u = u - step_size * gradient_u
    v = v - step_size * gradient_v
    return u, v


def usual_one_sam(X, y, u, v, step_size, radius, row):
    """Return (u, v) after a step in which every sample's gradient is taken at weights perturbed by itself."""
    residual = X @ (u * v) - y
    gradient_u, gradient_v = np.zeros_like(u), np.zeros_like(v)
    for k in range(X.shape[0]):
        u_near = u + radius * residual[k] * X[k] * v
        v_near = v + radius * residual[k] * X[k] * u
        gradient_u += ((X[k] * u_near * v_near).sum() - y[k]) * v_near * X[k] / X.shape[0]
        gradient_v += ((X[k] * u_near * v_near).sum() - y[k]) * u_near * X[k] / X.shape[0]
    u = u - step_size * gradient_u
    v = v - step_size * gradient_v
    return u, v


USUAL = {"gd": usual_gd, "n-sam": usual_n_sam, "1-sam": usual_one_sam, "sgd": usual_sgd}


def tuned_gd(X, y, u, v, step_size, radius, row):
    """Return (u, v) after a step of gradient descent."""
    g = X.T @ (X @ (u * v) - y) / len(y)
    return u - step_size * g * v, v - step_size * g * u


def tuned_sgd(X, y, u, v, step_size, radius, row):
    """Return (u, v) after a step on one row."""
    x = X[row]
    g = (x @ (u * v) - y[row]) * x
    return u - step_size * g * v, v - step_size * g * u


def tuned_n_sam(X, y, u, v, step_size, radius, row):
    """Return (u, v) after a step at weights perturbed by the full gradient."""
    g = radius * (X.T @ (X @ (u * v) - y) / len(y))
    a, b = u + g * v, v + g * u
    g = X.T @ (X @ (a * b) - y) / len(y)
    return u - step_size * g * b, v - step_size * g * a


def tuned_one_sam(X, y, u, v, step_size, radius, row):
    """Return (u, v) after a step in which every sample's gradient is taken at weights perturbed by itself."""
    residuals = X @ (u * v) - y
    gradient_u, gradient_v = np.zeros_like(u), np.zeros_like(v)
    for x, target, residual in zip(X, y, residuals, strict=True):
        g = radius * residual * x
        a, b = u + g * v, v + g * u
        g = (x @ (a * b) - target) * x
        gradient_u += g * b
        gradient_v += g * a
    return u - step_size * gradient_u / len(y), v - step_size * gradient_v / len(y)


TUNED = {"gd": tuned_gd, "n-sam": tuned_n_sam, "1-sam": tuned_one_sam, "sgd": tuned_sgd}


def numpy_run(instance: RegressionInstance, spec: DiagonalSpec, rows, loops):
    """Return (beta, records) of a whole run, the records as (states, 3); `rows` (steps,) are those of SGD."""
    X, y, X_test, y_test = instance.X, instance.y, instance.X_test, instance.y_test
    take_step, step_size, radius = loops[spec.rule], spec.step_size, spec.radius
    recorded = np.array(spec.record) if loops is USUAL else set(spec.record)
    u, v, records = np.full(X.shape[1], 2.0 * spec.alpha), np.zeros(X.shape[1]), []

    def record():
        beta = u * v
        train, test = X @ beta - y, X_test @ beta - y_test
        records.append((train @ train / (4.0 * len(y)), test @ test / (4.0 * len(y_test)), np.abs(beta).sum()))

    for step in range(spec.max_steps):
        if step in recorded:
            record()
        u, v = take_step(X, y, u, v, step_size, radius, rows[step])
    record()
    return u * v, np.array(records)


def our_run(instance: RegressionInstance, spec: DiagonalSpec):
    """Return (beta, records) of the same run as `numpy_run`."""
    _, steps, history = train_network(spec, DiagonalNetwork(instance, spec.alpha))
    if steps != spec.max_steps:
        disagree(f"{spec.rule} stopped after {steps} steps")
    return history["beta"][-1], np.stack([history[name] for name in RECORDED], axis=1)


def disagree(reason):
    """End with status 1."""
    print(f"{reason}: nothing to compare", file=sys.stderr)
    sys.exit(1)


def difference(theirs, ours):
    """Return the largest difference, relative to the largest number of theirs in each column."""
    return float((abs(theirs - ours).max(axis=0) / abs(theirs).max(axis=0)).max())


def drawn_rows(spec: DiagonalSpec) -> list[int]:
    """Return the rows that SGD draws in our run, one a step."""
    n = spec.data.samples
    batches = Batches(n, 1, stream("batches", spec.seed, samples=n, batch_size=1, sampling=spec.sampling), True)
    return batches.order(0, -(-spec.max_steps // n)).ravel()[: spec.max_steps].tolist()


def numpy_over_ours(arguments, rule, loops, repetitions):
    """Return (repetitions,) seconds a step of a whole run in NumPy and in ours, and how far they differ."""
    data = SparseRegression(samples=arguments.n, dimension=arguments.d)
    record = np.linspace(0, arguments.steps, arguments.records, endpoint=False, dtype=int)
    spec = DiagonalSpec(
        data, ALPHA, rule, RADIUS, step_size=STEP_SIZE, max_steps=arguments.steps, record=record.tolist()
    )
    instance, rows = draw_regression(data, spec.seed), drawn_rows(spec)
    (their_beta, their_records), (beta, records) = numpy_run(instance, spec, rows, loops), our_run(instance, spec)
    error = max(difference(their_beta[:, None], beta[:, None]), difference(their_records, records))
    if not error < AGREEMENT:
        disagree(f"{rule}: the NumPy loop and ours differ by {error:.0e}")

    seconds = []
    for _ in range(repetitions):
        start = time.process_time()
        numpy_run(instance, spec, rows, loops)
        middle = time.process_time()
        for _ in range(OUR_RUNS):
            our_run(instance, spec)
        seconds.append((middle - start, (time.process_time() - middle) / OUR_RUNS))
    return np.array(seconds).T / arguments.steps, error


def product_rate(A, B) -> float:
    """Return the multiply-adds a second of A @ B, over two products."""
    start = time.process_time()
    for _ in range(2):
        A @ B
    return 2 * PRODUCT**3 / (time.process_time() - start)


def kernel_rates(n, d, rule, repetitions):
    """Return (repetitions,) multiply-adds a second of the kernel and of the matrix product, and the difference."""
    data = SparseRegression(samples=n, dimension=d, test_samples=0)
    spec = DiagonalSpec(data, ALPHA, rule, RADIUS, step_size=0.1 * STEP_SIZE)
    instance, order, update = draw_regression(data, spec.seed), np.arange(n)[None], spec.update_rule(rule, n)

    network, u, v = DiagonalNetwork(instance, ALPHA), np.full(d, 2.0 * ALPHA), np.zeros(d)
    steps = 5
    for _ in range(steps):
        u, v = TUNED[rule](instance.X, instance.y, u, v, spec.step_size, RADIUS, None)
    network.advance(order, 0, 0, steps, n, spec.step_size, update, 0.0)
    error = difference((u * v)[:, None], network.beta()[:, None])
    if not error < AGREEMENT:
        disagree(f"{rule} at {n} x {d}: NumPy and the kernel differ by {error:.0e}")

    multiply_adds = MULTIPLY_ADDS[rule] * n * d
    steps = max(10, int(5e8 / multiply_adds))
    A, B = np.random.default_rng(0).standard_normal((2, PRODUCT, PRODUCT))
    rates = []
    for repetition in range(-1, repetitions):  # the first warms up
        network = DiagonalNetwork(instance, ALPHA)
        start = time.process_time()
        reached, _, _ = network.advance(order, 0, 0, steps, n, spec.step_size, update, 0.0)
        ours = reached * multiply_adds / (time.process_time() - start)
        if reached != steps:
            disagree(f"{rule} at {n} x {d} stopped after {reached} steps")
        if repetition >= 0:
            rates.append((ours, product_rate(A, B)))
        else:
            product_rate(A, B)
    return np.array(rates).T, error


def blas() -> str:
    """Return the BLAS that NumPy multiplies with, its core type and its threads; every BLAS where none is NumPy's."""
    found = [info for info in threadpool_info() if info["user_api"] == "blas"]
    found = [info for info in found if "numpy" in Path(info["filepath"]).parent.name] or found
    form = "{internal_api} {version}, core {architecture}, threads {num_threads}"
    return "; ".join(form.format_map({"architecture": "unknown", **info}) for info in found)


def positive(text):
    """Return a positive integer given on the command line."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def spread(ratio, form) -> str:
    """Return minimum – median – maximum, each in that format."""
    return " – ".join(format(value, form) for value in (ratio.min(), np.median(ratio), ratio.max()))


def verdict(ratio, target) -> str:
    """Return what the median is to its target, as a share of it."""
    median = np.median(ratio)
    return f"{'reached' if median >= target else 'MISSED'}, {median / target:.2f} of it"


def main():
    """Measure and print; exit status as the module says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=positive, default=20, help="samples")
    parser.add_argument("--d", type=positive, default=30, help="dimension")
    parser.add_argument("--steps", type=positive, default=10_000, help="steps of a run")
    parser.add_argument("--records", type=positive, default=100, help="recorded steps of a run, besides its end")
    parser.add_argument("--repetitions", type=positive, default=15, help="interleaved repetitions; 1-SAM a fifth, >= 3")
    arguments = parser.parse_args()
    pin_to_one_core()
    arguments.records = min(arguments.records, arguments.steps)

    print(f"n = {arguments.n}, d = {arguments.d}, {arguments.steps} steps, {arguments.records + 1} states recorded,")
    print("float64, one core; NumPy / ours: cost of a step, median; ratio: minimum – median – maximum")
    for rule, target in TARGETS.items():
        repetitions = max(3, arguments.repetitions // 5) if rule == "1-sam" else arguments.repetitions
        for name, loops in (("usual", USUAL), ("tuned", TUNED)):
            (theirs, ours), error = numpy_over_ours(arguments, rule, loops, repetitions)
            costs = f"{1e6 * np.median(theirs):8.2f} µs {1e6 * np.median(ours):7.3f} µs"
            ratio = theirs / ours
            judged = f"; target {target}: {verdict(ratio, target)}" if loops is USUAL else ""
            ratios = f"{spread(ratio, '.0f'):<18} of {repetitions:>2}"
            print(f"  {rule:<6}{name} {costs}   {ratios}, differ by {error:.0e}{judged}")
    print(f"\nMultiply-adds a second, billions, of a kernel and of the product of {PRODUCT} x {PRODUCT} matrices;")
    print(f"share: minimum – median – maximum.   {blas()}")
    for n, d, target in SHAPES:
        for rule in MULTIPLY_ADDS:
            (ours, theirs), error = kernel_rates(n, d, rule, arguments.repetitions)
            rates = f"{1e-9 * np.median(ours):6.2f} {1e-9 * np.median(theirs):6.2f}"
            judged = f"; target {target:.0%}: {verdict(ours / theirs, target)}" if target else ""
            print(f"  {n} x {d} {rule:<6}{rates}   {spread(ours / theirs, '.0%')}, differ by {error:.0e}{judged}")


if __name__ == "__main__":
    main()

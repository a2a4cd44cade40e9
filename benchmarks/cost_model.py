"""What every kernel costs in n, m, d, steps and runs: measured, fitted, drawn.

    python -m benchmarks.cost_model [--json FILE] [--out PNG]

One letter at a time goes through its decades, the others stay at their base. Costs are CPU seconds on one core, the
best of a few; the model is a sum of terms, each with a constant ≥ 0, by least squares on relative errors. Convolutional
networks are measured on masks that stand still with half of the pairs (neuron, vector) on, as initial weights have
them; training turns more of them off. d enters their steps not at all.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TypedDict

import numpy as np
from scipy.optimize import nnls

from benchmarks.conv import RADIUS, STANDSTILL, gram_seconds
from benchmarks.diagonal import ALPHA, SMALL_STEP
from benchmarks.machine import blas, cpu_name, one_core
from benchmarks.measure import Measurement, clocked
from simulate.conv import GramNetwork
from simulate.conv_run import ConvSpec
from simulate.diagonal import DiagonalNetwork
from simulate.diagonal_run import DiagonalSpec
from simulate.finite_sum import Descent, Schedule
from simulate.generalisation import clean_error
from simulate.objective import finite_sum
from simulate.regression import SparseRegression, draw_regression
from simulate.sampling import sampling
from simulate.signal_noise import SignalNoise, draw_gram
from simulate.types import FloatArray
from simulate.update import Rule

LEAST = 0.02  # seconds that a measurement takes at least, if need be by doing it again
REPETITIONS = 3
LETTERS = ("n", "m", "d", "steps", "runs")

Point = Mapping[str, float]  # letters, and seconds where it has been measured
Decades = tuple[int, ...]
Seconds = Callable[..., float]  # of a point's letters, by name
Kernel = tuple[Seconds, dict[str, int], dict[str, Decades], tuple[str, ...]]


class Model(TypedDict):
    """What was found of a kernel: its terms' constants, relative errors, and the points that they are fitted to."""

    constants: dict[str, float]
    median_error: float
    largest_error: float
    points: list[dict[str, float]]


def decades(first: int, last: int, per_decade: int = 2) -> Decades:
    """Return whole numbers from first to last, evenly in the logarithm."""
    count = round(per_decade * np.log10(last / first)) + 1
    return tuple(round(x) for x in np.geomspace(first, last, count))


def conv_seconds(batch: int | None, radius: float) -> Seconds:
    """Return seconds(point) of steps on masks that stand still; `batch` None is the full batch."""

    def seconds(n: int, m: int, d: int, steps: int) -> Measurement:
        gram = draw_gram(SignalNoise(samples=n, dimension=d), m, 0.001, seed=0)
        rng = np.random.default_rng(0)
        order = np.arange(n)[None] if batch is None else rng.permuted(np.tile(np.arange(n), (20, 1)), axis=1)
        rule = Rule(STANDSTILL if radius else 0.0)
        network = GramNetwork(gram)
        return lambda: gram_seconds([network], steps, STANDSTILL, rule, batch, order)

    return lambda **point: steps_of(seconds, point)


def diagonal_seconds(rule: str) -> Seconds:
    """Return seconds(point) of steps of a diagonal network; SGD's are single rows."""

    def seconds(n: int, d: int, steps: int) -> Measurement:
        data = SparseRegression(samples=n, dimension=d, test_samples=0)
        spec = DiagonalSpec(
            data, ALPHA, rule, 0.0 if rule in ("gd", "sgd") else RADIUS / 2, step_size=1e-3 * SMALL_STEP
        )
        network, rng = DiagonalNetwork(draw_regression(data, 0), ALPHA), np.random.default_rng(0)
        size = 1 if rule == "sgd" else n
        order = rng.integers(n, size=(-(-1024 // n), n)) if rule == "sgd" else np.arange(n)[None]
        update = spec.update_rule(rule, n)
        return lambda: clocked(lambda: network.advance(order, 0, 0, steps, size, spec.step_size, update, 0.0), steps)

    return lambda **point: steps_of(seconds, point)


def finite_sum_seconds(radius: float) -> Seconds:
    """Return seconds(point) of single-element steps on least squares."""

    def seconds(n: int, d: int, steps: int) -> Measurement:
        rng = np.random.default_rng(0)
        problem = finite_sum("square", rng.standard_normal((n, d)) / np.sqrt(d), rng.standard_normal(n))
        order = rng.integers(n, size=(steps, 1))
        descent = Descent(problem, sampling("single", problem), Schedule(1e-3, radius), np.zeros(d))
        return lambda: clocked(lambda: descent.advance(order, 0, 0, steps, 1, 1e-3, Rule(radius), -1.0), steps)

    return lambda **point: steps_of(seconds, point)


def steps_of(make: Callable[..., Measurement], point: Mapping[str, int]) -> float:
    """Return the seconds of all the steps of a point."""
    return point["steps"] * best(make(**point), point["steps"])


def best(call: Measurement, units: float = 1.0) -> float:
    """Return the least of what `call` returns, seconds a unit, each over at least LEAST seconds."""
    call()
    times = max(1, int(LEAST / (units * max(call(), 1e-9))))
    return min(float(np.mean([call() for _ in range(times)])) for _ in range(REPETITIONS))


def draw_seconds(n: int, m: int, d: int) -> float:
    """Return the seconds of a draw in Gram space."""
    return best(lambda: clocked(lambda: draw_gram(SignalNoise(samples=n, dimension=d), m, 0.001, seed=0)))


def error_seconds(n: int, m: int) -> float:
    """Return the seconds of the test error."""
    network = GramNetwork(draw_gram(SignalNoise(samples=n), m, 0.001, seed=0))
    return best(lambda: clocked(lambda: clean_error(network, 1.0)))


def run_seconds(steps: int, runs: int) -> float:
    """Return the seconds of whole runs, n = 20, m = 10, full batch, one after another."""
    specs = [ConvSpec(SignalNoise(), max_steps=steps, stop_loss=0.0, seed=k) for k in range(runs)]
    return best(lambda: clocked(lambda: [spec.run() for spec in specs]))


SMALL, LARGE, FAR = decades(2, 2000), decades(10, 10_000), decades(10**3, 10**12, 1)
WIDE, STEPS, RUNS = decades(1, 1000), decades(10, 10_000), decades(1, 1000)
FULL_BATCH = ("m n² steps", "m n steps", "n steps", "steps", "m n", "1")
KERNELS: dict[str, Kernel] = {  # name: function, base, decades, terms
    "conv, full batch": (
        conv_seconds(None, 0.0), {"n": 20, "m": 10, "d": 20_000, "steps": 200},
        {"n": SMALL, "m": WIDE, "d": FAR, "steps": STEPS}, FULL_BATCH,
    ),
    "conv SAM, full batch": (
        conv_seconds(None, RADIUS), {"n": 20, "m": 10, "d": 20_000, "steps": 200},
        {"n": SMALL, "m": WIDE, "d": FAR, "steps": STEPS}, FULL_BATCH,
    ),
    "conv, B 10": (
        conv_seconds(10, 0.0), {"n": 200, "m": 10, "d": 20_000, "steps": 200},
        {"n": decades(20, 2000), "m": WIDE, "d": FAR, "steps": STEPS}, ("m n steps", "n steps", "steps", "m n", "1"),
    ),
    "diagonal GD": (
        diagonal_seconds("gd"), {"n": 20, "d": 30, "steps": 200},
        {"n": LARGE, "d": LARGE, "steps": STEPS}, ("n d steps", "n steps", "d steps", "steps", "1"),
    ),
    "diagonal 1-SAM": (
        diagonal_seconds("1-sam"), {"n": 20, "d": 30, "steps": 200},
        {"n": LARGE, "d": LARGE, "steps": STEPS}, ("n d steps", "n steps", "d steps", "steps", "1"),
    ),
    "diagonal SGD": (
        diagonal_seconds("sgd"), {"n": 20, "d": 30, "steps": 200},
        {"n": LARGE, "d": LARGE, "steps": STEPS}, ("d steps", "steps", "1"),
    ),
    "finite sum SGD": (
        finite_sum_seconds(0.0), {"n": 100, "d": 100, "steps": 200},
        {"n": LARGE, "d": LARGE, "steps": STEPS}, ("d steps", "steps", "1"),
    ),
    "finite sum SAM": (
        finite_sum_seconds(RADIUS), {"n": 100, "d": 100, "steps": 200},
        {"n": LARGE, "d": LARGE, "steps": STEPS}, ("d steps", "steps", "1"),
    ),
    "conv, draw": (
        draw_seconds, {"n": 20, "m": 10, "d": 20_000}, {"n": SMALL, "m": WIDE, "d": FAR},
        ("n³", "m n²", "m² n", "m³", "n²", "m n", "m²", "1"),
    ),
    "conv, test error": (
        error_seconds, {"n": 20, "m": 10}, {"n": SMALL, "m": decades(1, 300)}, ("m²", "m", "m n²", "m n", "1"),
    ),
    "conv, whole runs": (
        run_seconds, {"steps": 300, "runs": 3}, {"steps": STEPS, "runs": RUNS}, ("steps runs", "runs"),
    ),
}  # fmt: skip


def value(term: str, point: Point) -> float:
    """Return a term, letters with their powers, at a point; letters that the point lacks are an error."""
    found = 1.0
    for factor in term.split():
        letter = factor.rstrip("²³")
        if letter != "1":
            found *= float(point[letter]) ** {"²": 2, "³": 3}.get(factor[-1], 1)
    return found


def measure(kernel: str) -> list[dict[str, float]]:
    """Return the points of a kernel, each once, with their seconds."""
    seconds, base, letters, _ = KERNELS[kernel]
    points = {tuple({**base, letter: k}.items()) for letter, ks in letters.items() for k in ks}
    return [{**dict(point), "seconds": seconds(**dict(point))} for point in sorted(points)]


def fit(terms: Sequence[str], points: Sequence[Point]) -> tuple[dict[str, float], FloatArray]:
    """Return ({term: seconds}, relative errors of the points), the terms' constants not below 0."""
    X, y = np.array([[value(term, p) for term in terms] for p in points]), np.array([p["seconds"] for p in points])
    scale = (X / y[:, None]).max(axis=0)
    constants = nnls(X / y[:, None] / scale, np.ones(len(y)))[0] / scale
    return dict(zip(terms, constants.tolist(), strict=True)), X @ constants / y - 1.0


def predicted(constants: Mapping[str, float], point: Point) -> float:
    """Return the seconds that the model says."""
    return sum(constant * value(term, point) for term, constant in constants.items())


def draw(found: Mapping[str, Model], path: str) -> None:
    """Draw a panel for every letter: points are measured, lines the model."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from figures.style import SERIES, TWO_PANELS

    with mpl.rc_context(TWO_PANELS):
        figure = Figure(figsize=(10, 6.4))
        panels = figure.subplots(2, 3).ravel()
        handles = {}
        for axes, letter in zip(panels, LETTERS, strict=False):
            for k, (name, (_, base, letters, _)) in enumerate(KERNELS.items()):
                if letter not in letters:
                    continue
                colour, marker, _ = SERIES[k % len(SERIES)]
                fill = colour if k < len(SERIES) else "white"
                points = [p for p in found[name]["points"] if all(p[x] == base[x] for x in base if x != letter)]
                points.sort(key=itemgetter(letter))
                xs = np.geomspace(points[0][letter], points[-1][letter], 60)
                model = [predicted(found[name]["constants"], {**base, letter: x}) for x in xs]
                axes.plot(xs, model, color=colour, lw=1)
                (handles[name],) = axes.plot(
                    [p[letter] for p in points], [p["seconds"] for p in points], marker, color=colour, mfc=fill, ms=4
                )
            axes.set(xscale="log", yscale="log", xlabel=letter, title=letter)
        panels[0].set_ylabel("seconds")
        panels[3].set_ylabel("seconds")
        panels[-1].axis("off")
        panels[-1].legend(handles.values(), handles, loc="center", title="measured; lines: the model")
        figure.savefig(path)


def main() -> None:
    """Measure, fit, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", metavar="FILE", help="also write what was found to FILE")
    parser.add_argument("--out", metavar="PNG", default="docs/figures/cost_model.png", help="picture [%(default)s]")
    options, start = parser.parse_args(), time.perf_counter()
    found: dict[str, Model] = {}
    print(f"{cpu_name()}; {blas()}; nanoseconds")
    with one_core():
        for kernel, (*_, terms) in KERNELS.items():
            points = measure(kernel)
            constants, errors = fit(terms, points)
            middle, most = np.median(abs(errors)), abs(errors).max()
            found[kernel] = {"constants": constants, "median_error": middle, "largest_error": most, "points": points}
            text = " + ".join(f"{1e9 * constant:.3g} {term}" for term, constant in constants.items() if constant)
            print(f"{kernel:22} {text}   (off by {middle:.0%}, at most {most:.0%}, {len(points)} points)", flush=True)
    draw(found, options.out)
    if options.json:
        Path(options.json).write_text(json.dumps({"cpu": cpu_name(), "kernels": found}, indent=1) + "\n")
    print(f"{options.out}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

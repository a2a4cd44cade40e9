"""The roofline of one core: how fast it multiplies and reads, and where the kernels are below that.

    python -m benchmarks.roofline [--json FILE] [--out PNG]

Peaks: multiply-adds of eight numbers on sixteen registers, fused, and as a product and a sum, which is what the kernels
do (their bits must not depend on what a compiler fuses); NumPy's product of two matrices as it comes, and with the
BLAS kernels of OPENBLAS_CORETYPE=SkylakeX. Bandwidths: sums of integer arrays that fit L1, L2, L3 and none of them.

A kernel's intensity is what it computes for a byte that it must read in any case: in Gram space a row of G for every
pair (neuron, vector) that is on, for diagonal networks X once a pass, for a finite sum one row of A. Its line is that
of the nearest cache which holds these.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from benchmarks.machine import blas, cpu_name, one_core, product_rate, read_rate
from benchmarks.measure import clocked
from simulate.lanes import LANES
from simulate.strips import _strip_of, _vectors, blank, lay
from simulate.types import FloatArray

SIZES = {"L1": 16 * 2**10, "L2": 512 * 2**10, "L3": 12 * 2**20, "memory": 512 * 2**20}  # bytes read
CACHES = {"L1": 32 * 2**10, "L2": 2**20, "L3": 32 * 2**20}  # bytes that have room there
MARKERS = "osvDP^X*<"
PANEL = (0,) * 16  # strips, each of eight numbers
REPETITIONS = 5

Place = tuple[float, float, int]  # operations a second, operations a byte, bytes


class Ceilings(TypedDict):
    """Peaks in operations a second, bandwidths in bytes a second, by name."""

    peaks: dict[str, float]
    reads: dict[str, float]


class Roofline(Ceilings):
    """The machine's name, its ceilings, and the kernels below them."""

    machine: str
    kernels: dict[str, Place]


@intrinsic
def fused(context: Any, strip: Any, a: Any, b: Any) -> Any:
    """Return strip · a + b, rounded once."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = sig.args[0]
        vector = kind.value.element
        function = get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{LANES}f64"
        )
        parts = (_vectors(builder, k, value, kind.count) for k, value in zip(sig.args, args, strict=True))
        return _strip_of(builder, [builder.call(function, three) for three in zip(*parts, strict=True)])

    return signature(strip, strip, types.float64, types.float64), lower


@numba.njit()
def fused_steps(count: int, out: FloatArray, panel: tuple[int, ...]) -> None:
    """Do `count` fused multiply-adds on every number of a panel."""
    strip = blank(panel)
    for _ in range(count):
        strip = fused(strip, 0.5, 1.0)  # type: ignore[call-arg]  # the stubs ask for the context, too
    lay(out, 0, 0, strip)


@numba.njit()
def separate_steps(count: int, out: FloatArray, panel: tuple[int, ...]) -> None:
    """Do `count` products and sums on every number of a panel."""
    strip = blank(panel)
    for _ in range(count):
        strip = strip * 0.5 + 1.0
    lay(out, 0, 0, strip)


def flops_of(steps: Callable[[int, FloatArray, tuple[int, ...]], None], count: int = 2_000_000) -> float:
    """Return the operations a second of a loop over a panel."""
    out = np.zeros((1, LANES * len(PANEL)))
    steps(1, out, PANEL)
    return max(1.0 / clocked(lambda: steps(count, out, PANEL), 2 * out.size * count) for _ in range(REPETITIONS))


def best_product() -> float:
    """Return the operations a second of NumPy's matrix product with the BLAS kernels for AVX-512."""
    code = "from benchmarks.roofline import *\nwith one_core(): print(max(product_rate() for _ in range(5)))"
    root = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "OPENBLAS_CORETYPE": "SkylakeX", "PYTHONPATH": root}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return 2.0 * float(found.stdout)


def ceilings() -> Ceilings:
    """Return the peaks in operations a second and the bandwidths in bytes a second."""
    peaks = {
        "fused multiply-adds": flops_of(fused_steps),
        "products and sums": flops_of(separate_steps),
        "matrix product, AVX-512": best_product(),
        "matrix product": 2.0 * max(product_rate() for _ in range(REPETITIONS)),
    }
    read_rate(2**20)  # compiles
    return {"peaks": peaks, "reads": {name: max(read_rate(size) for _ in range(3)) for name, size in SIZES.items()}}


def conv_point(n: int, m: int, radius: float) -> Place:
    """Return (operations a second, intensity, bytes of G) of full-batch steps on masks that stand still."""
    from benchmarks.conv import STANDSTILL, fresh, gram_seconds, pairs_on
    from simulate.signal_noise import SignalNoise, draw_gram
    from simulate.update import Rule

    gram, rule = draw_gram(SignalNoise(samples=n), m, 0.001, seed=0), Rule(STANDSTILL if radius else 0.0)
    operations = 2 * (n + 1) * pairs_on(fresh(gram, 1)[0], rule)
    steps = max(10, int(1e8 / operations))
    gram_seconds(fresh(gram, 1), 10, STANDSTILL, rule)
    seconds = min(gram_seconds(fresh(gram, 2), steps, STANDSTILL, rule) for _ in range(REPETITIONS))
    return operations / seconds, 0.25, 8 * (n + 1) ** 2


def diagonal_point(n: int, d: int, rule: str) -> Place:
    """Return (operations a second, intensity, bytes of X) of a step."""
    from benchmarks.diagonal import MULTIPLY_ADDS, PASSES, stepper

    operations = 2 * MULTIPLY_ADDS[rule] * n * d
    seconds, fresh, _ = stepper(rule, n, d)
    steps = max(10, int(2e8 / operations))
    seconds(10, fresh())
    best = min(seconds(steps, fresh()) for _ in range(REPETITIONS))
    return operations / best, operations / (8 * PASSES[rule] * n * d), 8 * n * d


def finite_sum_point(n: int = 100, d: int = 100, count: int = 100_000) -> Place:
    """Return (operations a second, intensity, bytes of A) of a single-element SGD step: a product and a move."""
    from simulate.finite_sum import Descent, Schedule
    from simulate.objective import finite_sum
    from simulate.sampling import sampling
    from simulate.update import Rule

    rng = np.random.default_rng(0)
    problem = finite_sum("square", rng.standard_normal((n, d)) / np.sqrt(d), rng.standard_normal(n))
    draws = sampling("single", problem)
    order = draws.batches(rng).order(0, count)
    seconds = []
    for _ in range(REPETITIONS):
        descent = Descent(problem, draws, Schedule(0.01, 0.0), np.zeros(d))
        advance = partial(descent.advance, order, 0, 0, count, 1, 0.01, Rule(), -1.0)
        seconds.append(clocked(advance, count))
    return 4 * d / min(seconds), 0.5, 8 * n * d


def points() -> dict[str, Place]:
    """Return name: (operations a second, intensity, bytes) of every kernel."""
    return {
        "conv, n 20, m 10": conv_point(20, 10, 0.0),
        "conv, n 200, m 10": conv_point(200, 10, 0.0),
        "conv, n 200, m 100": conv_point(200, 100, 0.0),
        "conv SAM, n 200, m 100": conv_point(200, 100, 0.1),
        "GD, 100 × 400": diagonal_point(100, 400, "gd"),
        "1-SAM, 100 × 400": diagonal_point(100, 400, "1-sam"),
        "GD, 400 × 4000": diagonal_point(400, 4000, "gd"),
        "1-SAM, 400 × 4000": diagonal_point(400, 4000, "1-sam"),
        "finite sum, 100 × 100": finite_sum_point(),
    }


def draw(found: Roofline, path: str) -> None:
    """Draw the ceilings, and the kernels below them."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from figures.style import FLOOR, RC, SERIES, THEORY

    with mpl.rc_context(RC):
        figure = Figure(figsize=(8.5, 4.8))
        axes = figure.subplots()
        x, top = np.geomspace(0.1, 10, 300), max(found["peaks"].values())
        levels = {name: SERIES[k][0] for k, name in enumerate(SIZES)}
        for name, rate in found["reads"].items():
            axes.plot(x, np.minimum(rate * x, top), color=levels[name], lw=1.2)
            axes.annotate(f"{name} {1e-9 * rate:.0f} GB/s", (0.103, 0.103 * rate), (0, 5), color=levels[name],
                          textcoords="offset points", rotation=27, rotation_mode="anchor", fontsize=8)  # fmt: skip
        above = np.inf
        for name, rate in sorted(found["peaks"].items(), key=lambda item: -item[1]):
            axes.axhline(rate, color=THEORY if rate == top else FLOOR, lw=1, ls="-" if rate == top else "--")
            side = "bottom" if rate < 0.9 * above or above == np.inf else "top"
            axes.text(9.8, rate, f"{name} {1e-9 * rate:.0f}", ha="right", va=side, fontsize=8, color=THEORY)
            above = rate
        for k, (name, (rate, intensity, size)) in enumerate(found["kernels"].items()):
            place = next((level for level, most in CACHES.items() if size <= most), "memory")
            axes.plot(intensity, rate, MARKERS[k], color=levels[place], ms=7, mec="white", ls="none",
                      label=f"{name} ({place}): {1e-9 * rate:.1f}")  # fmt: skip
        axes.set(xscale="log", yscale="log", xlim=(0.1, 10), ylim=(2e9, 1.6 * top),
                 xlabel="operations for each byte read", ylabel="operations a second")  # fmt: skip
        axes.legend(loc="lower right", fontsize=8, title="kernel (where its data lie): billions a second",
                    title_fontsize=8)  # fmt: skip
        axes.set_title(f"One core: {found['machine']}")
        figure.savefig(path)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", metavar="FILE", help="also write what was found to FILE")
    parser.add_argument("--out", metavar="PNG", default="docs/figures/roofline.png", help="picture [%(default)s]")
    options, start = parser.parse_args(), time.perf_counter()
    with one_core():
        found: Roofline = {"machine": f"{cpu_name()}; {blas()}", "kernels": points(), **ceilings()}
    for name, rate in found["peaks"].items():
        print(f"{name:26} {1e-9 * rate:7.1f} billion operations a second")
    for name, rate in found["reads"].items():
        print(f"{name:26} {1e-9 * rate:7.1f} GB/s")
    for name, (rate, intensity, _) in found["kernels"].items():
        print(f"{name:26} {1e-9 * rate:7.1f} billion operations a second, {intensity:.2f} a byte")
    draw(found, options.out)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")
    print(f"{options.out}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

"""Single kernels under pytest-benchmark, which keeps, compares and plots what it measures.

    python -m pytest benchmarks/kernels.py [--benchmark-autosave] [--benchmark-compare]

Needs `pip install -e '.[bench]'`; a plain `pytest` does not come here. Times are of many steps at once, from the same
state each time; `--benchmark-timer=time.process_time` counts CPU time, where other work shares the cores.
"""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from simulate.conv import GramNetwork
from simulate.diagonal import DiagonalNetwork
from simulate.diagonal_run import DiagonalSpec
from simulate.finite_sum import Descent, Schedule
from simulate.generalisation import clean_error
from simulate.objective import finite_sum
from simulate.regression import SparseRegression, draw_regression
from simulate.sampling import sampling
from simulate.signal_noise import SignalNoise, draw_gram
from simulate.update import Rule

STEPS = 500


@pytest.mark.parametrize("radius", [0.0, 0.1], ids=["sgd", "sam"])
@pytest.mark.parametrize(("n", "m", "B"), [(20, 10, 20), (20, 10, 10), (200, 10, 200), (200, 10, 10), (200, 100, 200)])
def test_conv(benchmark: BenchmarkFixture, n: int, m: int, B: int, radius: float) -> None:
    gram = draw_gram(SignalNoise(samples=n), m, 0.001, seed=0)
    order = np.random.default_rng(0).permuted(np.tile(np.arange(n), (20, 1)), axis=1) if n > B else np.arange(n)[None]

    def steps(network: GramNetwork) -> int:
        return network.take_steps(order, 0, 0, STEPS, B, 0.01, Rule(radius), 0.0)[0]

    found = benchmark.pedantic(
        steps, setup=lambda: ((GramNetwork(gram),), {}), rounds=max(5, 10**6 // (STEPS * n * m)), warmup_rounds=1
    )
    assert found == STEPS


@pytest.mark.parametrize("rule", ["gd", "n-sam", "1-sam"])
@pytest.mark.parametrize(("n", "d"), [(20, 30), (100, 400), (400, 4000)])
def test_diagonal(benchmark: BenchmarkFixture, n: int, d: int, rule: str) -> None:
    data = SparseRegression(samples=n, dimension=d, test_samples=0)
    spec, instance = DiagonalSpec(data, 0.1, rule, 0.05, step_size=0.001), draw_regression(data, 0)
    update, order = spec.update_rule(rule, n), np.arange(n)[None]

    def steps(network: DiagonalNetwork) -> int:
        return network.advance(order, 0, 0, STEPS, n, spec.step_size, update, 0.0)[0]

    found = benchmark.pedantic(steps, setup=lambda: ((DiagonalNetwork(instance, 0.1),), {}), rounds=5, warmup_rounds=1)
    assert found == STEPS


@pytest.mark.parametrize(("radius", "lam"), [(0.0, 1.0), (0.05, 0.0), (0.05, 1.0)], ids=["sgd", "usam", "sam"])
def test_finite_sum(benchmark: BenchmarkFixture, radius: float, lam: float) -> None:
    rng = np.random.default_rng(0)
    problem = finite_sum("square", rng.standard_normal((100, 100)) / 10.0, rng.standard_normal(100))
    draws = sampling("single", problem)
    order = draws.batches(rng).order(0, 100 * STEPS)

    def steps() -> int:
        descent = Descent(problem, draws, Schedule(0.01, radius), np.zeros(100))
        return descent.advance(order, 0, 0, len(order), 1, 0.01, Rule(radius, lam), -1.0)[0]

    assert benchmark(steps) == 100 * STEPS


@pytest.mark.parametrize("m", [10, 100])
def test_clean_error(benchmark: BenchmarkFixture, m: int) -> None:
    network = GramNetwork(draw_gram(SignalNoise(samples=20), m, 0.01, seed=0))
    assert 0.0 < benchmark(clean_error, network, 1.0)[0] < 1.0

"""m-sharpness: weights of the noise against enumerated batches, derivatives against differences, the claims."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy.optimize import brentq

from simulate.objective import finite_sum
from theory.check import check
from theory.claim import Outcome
from theory.finite_sums import random_problem
from theory.luo2025.expected_step import derivatives, finite_population, mean_step, noise_weight, penalised
from theory.luo2025.vanishing_steps import displacement
from theory.registry import claims

NAMES = [name for name in claims() if name.startswith("luo2025/")]


@pytest.mark.compiled
@pytest.mark.parametrize("name", NAMES)
def test_claims_come_out_as_expected(name):
    record = check(claims()[name], "quick", 1)
    assert record.passed, record.verdict
    violated = name == "luo2025/expected-step-without-replacement"
    assert record.verdict.outcome is (Outcome.VIOLATED if violated else Outcome.HOLDS)


def test_weights_are_those_of_the_batches_covariance():
    """E‖mean of a batch‖² − ‖mean‖² over tr V, by going through every batch."""
    g = np.random.default_rng(0).standard_normal((5, 3))
    trace = (g**2).sum() / 5 - (g.mean(axis=0) ** 2).sum()

    def share(batches):
        return (np.mean([(g[list(b)].mean(axis=0) ** 2).sum() for b in batches]) - (g.mean(axis=0) ** 2).sum()) / trace

    for m in (1, 2, 3):
        assert share(product(range(5), repeat=m)) == pytest.approx(noise_weight(m), rel=1e-12)
    for m in (1, 2, 3, 4):
        assert share(combinations(range(5), m)) == pytest.approx(finite_population(m, 5), rel=1e-12)
    assert finite_population(5, 5) == 0.0


@pytest.mark.parametrize("family", ["square", "full rank", "ridge", "logistic"])
def test_derivatives_are_those_of_the_penalties(family):
    """Of f, ½‖∇f‖² and ½ tr V, by central differences of the samples' own losses."""
    problem = random_problem(np.random.default_rng(3), family)
    n, k, d = problem.samples, problem.rows, len(problem.anchor)
    A, b = problem.A.reshape(n, k, d), problem.targets.reshape(n, k)
    x = problem.anchor + 0.5

    def sample_gradients(x):
        z = A @ x
        slopes = z - b if problem.loss == "square" else -b / (1.0 + np.exp(b * z))
        return np.einsum("nk,nkd->nd", slopes, A) / k + problem.reg * x

    def penalties(x):
        g = sample_gradients(x)
        flat = 0.5 * (g.mean(axis=0) ** 2).sum()
        return np.array([flat, 0.5 * (g**2).sum() / n - flat])

    gradient, flat, noise, size = derivatives(problem, x)
    assert gradient == pytest.approx(problem.measure(0.5 * np.ones((1, d)))[1][0], rel=1e-10, abs=1e-12)
    assert size == pytest.approx(np.linalg.norm(sample_gradients(x), axis=1).mean())
    slopes = np.array([(penalties(x + e) - penalties(x - e)) / 2e-5 for e in 1e-5 * np.eye(d)])
    assert flat == pytest.approx(slopes[:, 0], rel=1e-6, abs=1e-8)
    assert noise == pytest.approx(slopes[:, 1], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(("m", "replacement"), [(1, False), (2, False), (3, False), (2, True)])
def test_mean_step_on_two_parabolas_and_a_third(m, replacement):
    """Against plain steps of every batch."""
    h, c, x, rho = np.array([1.0, 2.0, 0.5]), np.array([1.0, -1.0, 3.0]), 0.7, 0.3
    problem = finite_sum("square", np.sqrt(h)[:, None], np.sqrt(h) * c)
    batches = product(range(3), repeat=m) if replacement else combinations(range(3), m)

    def step(batch):
        def gradient(x):
            return np.mean([h[i] * (x - c[i]) for i in batch])

        return gradient(x + rho * gradient(x))

    plain = np.mean([step(batch) for batch in batches])
    assert mean_step(problem, m, replacement, np.array([x]), rho) == pytest.approx([plain], rel=1e-13)
    gradient, flat, noise, _ = derivatives(problem, np.array([x]))
    weight = noise_weight(m) if replacement else finite_population(m, 3)
    given = {"gradient": gradient, "flat": flat, "noise": noise, "rho": rho}
    assert penalised(given, weight) == pytest.approx([plain], rel=1e-13)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_mean_step_vanishes_at_the_displacement(m):
    h, c, rho = np.array([4.0, 1.0, 0.5, 2.5]), np.array([1.0, -1.0, -0.5, 0.0]), 0.8
    problem = finite_sum("square", np.sqrt(h)[:, None], np.sqrt(h) * c)
    root = brentq(lambda x: mean_step(problem, m, False, np.array([x]), rho)[0], -2.0, 2.0, xtol=1e-14)
    found = displacement(h, c, rho, finite_population(m, 4))
    assert found == pytest.approx(root - problem.anchor[0], rel=1e-9, abs=1e-13)
    assert (found == 0.0) == (m == 4)

"""The closed forms of Andriushchenko & Flammarion 2022: worked out by hand, at their limits, and computed otherwise."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import linprog, minimize

from simulate.diagonal import field_jacobian
from simulate.diagonal_run import DiagonalSpec
from simulate.regression import RegressionInstance, SparseRegression, draw_regression
from simulate.runner import Runner
from simulate.update import Rule
from theory.andriushchenko2022 import generalisation, rounding, switching
from theory.andriushchenko2022.collapse import thresholds
from theory.andriushchenko2022.discretisation import predict_product
from theory.andriushchenko2022.effect_size import effect
from theory.andriushchenko2022.first_order import log_alpha_eff
from theory.andriushchenko2022.potential import dual_coefficients, entropy, minimiser, potential
from theory.andriushchenko2022.sam_bias import block_products, path_times
from theory.andriushchenko2022.setting import flow_rule, published_problem, random_flows
from theory.claim import Samples

PROBLEM = draw_regression(SparseRegression(samples=5, dimension=9, sparsity=2, teacher="signed"), 3)


# the potential


@pytest.mark.parametrize("z", [1e-12, 1e-3, 0.5, -0.5, 3.0, -40.0, 1e4])
def test_entropy_integrates_arcsinh(z):
    """q is even, q(0) = 0 and q' = arcsinh(z/2)."""
    edges = np.copysign([0.0, *[e for e in (1.0, 10.0, 100.0, 1000.0) if e < abs(z)], abs(z)], z)
    parts = [quad(lambda x: np.arcsinh(x / 2.0), a, b, epsabs=0.0)[0] for a, b in itertools.pairwise(edges)]
    expected = sum(parts)
    assert entropy(z) == pytest.approx(expected, rel=1e-12)
    assert entropy(-z) == entropy(z)


def test_entropy_at_its_limits():
    """z²/4 near 0, without cancellation, and |z| ln|z| far out."""
    small, large = np.array([1e-100, 1e-8]), 1e300
    assert entropy(small) == pytest.approx(small**2 / 4.0, rel=1e-12)
    assert entropy(large) == pytest.approx(large * (np.log(large) - 1.0), rel=1e-12)
    assert entropy(0.0) == 0.0


@pytest.mark.parametrize("alpha", [0.3, 1.0, np.linspace(0.2, 1.5, 9)], ids=["0.3", "1", "vector"])
def test_minimiser_is_what_a_general_optimiser_finds(alpha):
    """Over the interpolators beta_0 + N c; the control, the minimiser at another alpha, is elsewhere."""
    X, y = PROBLEM.X, PROBLEM.y
    log_alpha = np.broadcast_to(np.log(alpha), 9)
    beta, nu, residual = minimiser(X, y, np.log(alpha))
    assert residual < 1e-12
    assert beta == pytest.approx(dual_coefficients(X, nu, log_alpha), rel=1e-14)
    base, null = np.linalg.lstsq(X, y, rcond=None)[0], np.linalg.svd(X)[2][5:].T
    found = minimize(lambda c: potential(base + null @ c, log_alpha), np.zeros(4), tol=1e-14)
    assert beta == pytest.approx(base + null @ found.x, abs=1e-5)
    other = minimiser(X, y, np.log(alpha) + 1.0)[0]
    assert np.abs(other - beta).max() > 1e-3


@pytest.mark.parametrize("log_alpha", [5.0, 0.0, -3.0, -20.0, -70.0, -150.0])
@pytest.mark.parametrize("problem", ["sparse", "dense", "spread"])
def test_kkt_conditions_hold_at_any_alpha(problem, log_alpha):
    """Residual ≤ 1e-12, also where alpha² is far below the smallest float, and for alphas far apart."""
    n, d = 20, 30
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n, d))
    beta = np.zeros(d)
    beta[:3] = [1.0, -2.0, 0.5]
    y = rng.standard_normal(n) if problem == "dense" else X @ beta
    scale = log_alpha + (rng.uniform(-5.0, 0.0, d) if problem == "spread" else 0.0)
    found, nu, residual = minimiser(X, y, scale)
    assert residual < 1e-12
    assert np.linalg.norm(X @ found - y) < 1e-12 * np.linalg.norm(y)
    assert np.isfinite(found).all()
    assert found == pytest.approx(dual_coefficients(X, nu, np.broadcast_to(scale, d)), rel=1e-13)


def test_minimiser_between_l1_and_l2():
    """alpha → ∞: least ℓ2 norm. alpha → 0: least ℓ1 norm, by linear programming; each is the other's control."""
    X, y = PROBLEM.X, PROBLEM.y
    least2 = np.linalg.lstsq(X, y, rcond=None)[0]
    split = linprog(np.ones(18), A_eq=np.hstack([X, -X]), b_eq=y, method="highs")
    least1 = split.x[:9] - split.x[9:]
    large, small = minimiser(X, y, 8.0)[0], minimiser(X, y, -60.0)[0]
    assert large == pytest.approx(least2, abs=1e-6)
    assert np.abs(small).sum() == pytest.approx(np.abs(least1).sum(), rel=1e-6)
    assert np.abs(large).sum() > 1.01 * np.abs(small).sum()


def test_minimiser_of_simple_problems():
    X = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert minimiser(X, np.array([3.0, -4.0]), -1.0)[0] == pytest.approx([3.0, -2.0])
    assert minimiser(X, np.zeros(2), -1.0)[0].tolist() == [0.0, 0.0]
    one = minimiser(np.ones((1, 4)), np.array([2.0]), -30.0)[0]
    assert one == pytest.approx(np.full(4, 0.5))
    twice = minimiser(np.ones((2, 4)), np.array([2.0, 2.0]), -30.0)  # dependent rows
    assert twice[0] == pytest.approx(one)
    assert twice[2] < 1e-12


@pytest.mark.parametrize("log_alpha", [5.0, 0.0, -3.0, -20.0, -70.0])
def test_rows_may_depend_on_one_another(log_alpha):
    """Repeated rows change nothing, and a design of low rank is what any basis of its rows is."""
    rng = np.random.default_rng(0)
    X, y = PROBLEM.X, rng.standard_normal(5)
    plain = minimiser(X, y, log_alpha)[0]
    twice = [0, 0, 1, 2, 3, 4, 4]
    mixed = rng.standard_normal((8, 5))
    for rows, targets in ((X[twice], y[twice]), (mixed @ X, mixed @ y)):
        beta, nu, residual = minimiser(rows, targets, log_alpha)
        assert residual < 1e-12
        assert beta == pytest.approx(plain, abs=1e-10)
        assert beta == pytest.approx(dual_coefficients(rows, nu, np.full(9, log_alpha)), rel=1e-13)
    assert np.abs(minimiser(X[1:], y[1:], log_alpha)[0] - plain).max() > 1e-3  # the control: a row that counts


# alpha_eff


def test_block_products_against_gradients():
    """Σ p_b g_b g̃_b from gradients of each block's loss by differences, for blocks that do not divide n."""
    X, y = PROBLEM.X, PROBLEM.y
    rng = np.random.default_rng(0)
    plus, minus, rho = rng.uniform(0.2, 1.0, 9), rng.uniform(0.2, 1.0, 9), 0.2

    def gradient(rows, p, q):  # of the block's loss in w₊, over w₊
        r = X[rows] @ (p**2 - q**2) - y[rows]
        return X[rows].T @ r / len(r)

    expected, unweighted = np.zeros(9), np.zeros(9)
    for rows in (slice(0, 2), slice(2, 4), slice(4, 5)):
        g = gradient(rows, plus, minus)
        moved = gradient(rows, plus + rho * g * plus, minus - rho * g * minus)
        expected += len(y[rows]) / 5 * g * moved
        unweighted += g * moved / 3
    found = block_products(X, y, plus**2 - minus**2, plus**2 + minus**2, rho, 2)
    assert found == pytest.approx(expected, rel=1e-12)
    assert np.abs(found - unweighted).max() > 1e-3  # the control: equal shares for unequal blocks


def test_path_quadrature():
    """Exact for polynomials of degree 15 on every panel, and blind to none of the time up to 200."""
    times, weights = path_times()
    assert weights.sum() == pytest.approx(200.0)
    assert (weights * times**9).sum() == pytest.approx(200.0**10 / 10.0, rel=1e-12)
    assert (weights * np.exp(-times)).sum() == pytest.approx(1.0, rel=1e-12)


def test_forms():
    assert effect(100, 5, 0.25) == 20.0
    assert log_alpha_eff(0.1, 0.2, np.array([1.0, 2.0])) == pytest.approx(np.log(0.1) - [0.2, 0.4])
    product = predict_product(Samples(None, {"squares": np.full((1, 2, 1), 0.19), "log_alpha": 0.0}))
    assert product.ravel() == pytest.approx([0.0, np.log(0.9), np.log(0.81)])


def test_flow_rules():
    assert flow_rule(20, 20) == {"rule": "n-sam-flow"}
    assert flow_rule(1, 20) == {"rule": "1-sam-flow"}
    assert flow_rule(3, 20) == {"rule": "m-sam-flow", "block": 3}
    drawn = random_flows({"n": 6, "d": 9, "blocks": (1, 3, "n"), "seeds": 60, "seed": 0})
    assert {spec.block for spec in drawn} == {None, 3}
    assert all(0.02 <= spec.alpha <= 0.5 and 0.0 <= spec.radius <= 0.3 for spec in drawn)
    assert len({spec.data.design for spec in drawn}) == 3


# thresholds


def test_thresholds_by_hand():
    X, y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([1.0, 2.0])
    # 1-SAM: |Xᵀy| = (7, 0), (X²)ᵀy² = (1 + 36, 4 + 4)
    assert thresholds(X, y, 1) == pytest.approx([7.0 / 37.0, 0.0])
    g = X.T @ y / 2.0
    assert thresholds(X[:, :1], y, 2) == pytest.approx([1.0 / g[0]])  # n-SAM: n/|Xᵀy|


@pytest.mark.parametrize("m", [1, 2, 5])
def test_threshold_separates_the_flows(m):
    """5 % above it collapses, 5 % below it does not."""
    data = SparseRegression(samples=5, dimension=6, sparsity=2, design="absolute", test_samples=0)
    critical = thresholds(*(lambda p: (p.X, p.y))(draw_regression(data, 1)), m).max()
    specs = [DiagonalSpec(data, 1e-6, **flow_rule(m, 5), radius=f * critical, seed=1) for f in (0.95, 1.05)]
    below, above = Runner().run(specs)
    assert (below.status == "collapsed", above.status == "collapsed") == (False, True)


@pytest.mark.parametrize("rho", [0.0, 0.3, 20.0])
def test_curvature_is_that_of_the_field(rho):
    """At an interpolator; beside one the Jacobian has other terms, which is the control."""
    X, rng = PROBLEM.X, np.random.default_rng(0)
    W = rng.uniform(0.1, 1.0, (2, 9))
    y = X @ (W[0] ** 2 - W[1] ** 2)
    instance = RegressionInstance(X, y, np.empty((0, 9)), np.empty(0), None)
    found = np.linalg.eigvals(field_jacobian(instance, W, Rule(rho, 0.0, 1))).real.max()
    assert switching.curvature(X, W, rho) == pytest.approx(found, rel=1e-10)
    beside = RegressionInstance(X, y + 0.1, np.empty((0, 9)), np.empty(0), None)
    other = np.linalg.eigvals(field_jacobian(beside, W, Rule(rho, 0.0, 1))).real.max()
    assert abs(other / found - 1.0) > 1e-4


# what was published


def test_published_problem_is_the_legacy_draw():
    """As the published code draws it: rows by multivariate_normal at the identity."""
    rng = np.random.RandomState(0)
    X = rng.multivariate_normal(np.zeros(30), np.eye(30), 20)
    X_test = rng.multivariate_normal(np.zeros(30), np.eye(30), 1000)
    problem = published_problem()
    assert np.abs(problem.X) == pytest.approx(np.abs(X))
    assert problem.X_test == pytest.approx(X_test)
    assert problem.X[0, 0] == pytest.approx(1.764052345967664)
    assert np.linalg.norm(problem.teacher) == pytest.approx(1.0)
    assert np.count_nonzero(problem.teacher) == 3


def test_uv_arithmetic_loses_a_coordinate(monkeypatch):
    """The two arithmetics agree where nothing rounds to zero, and differ ten-thousandfold where it does."""
    problem = published_problem()
    run = rounding.PRINTED[8][1:4]
    assert rounding.uv_loss(problem, *run) == pytest.approx(rounding.exact_loss(problem, "1-sam", *run), rel=1e-9)
    lost = rounding.uv_loss(problem, *rounding.ROUNDED[1:4])
    assert lost == pytest.approx(rounding.ROUNDED[4], rel=1e-6)
    assert rounding.exact_loss(problem, *rounding.ROUNDED[:4]) < 1e-4 * lost


def test_switch_schedules_have_equal_time():
    for refine in (1, 4):
        run = switching.schedule("gd", "1-sam", 20.0, refine)
        assert run["max_steps"] * run["step_size"] == pytest.approx(2 * switching.STEPS / 30.0)
        assert run["switch_step"] * 2 == run["max_steps"]
    assert switching.schedule("gd", None, 0.0)["max_steps"] == switching.STEPS


def test_paired_losses():
    """Same problems for both: at radius 0 the flows are one."""
    settings = {"alpha": 0.1, "seeds": 2, "seed": 5}
    plain, sam, lost = generalisation.test_losses(settings, Runner(), "isotropic", "n-sam-flow", 0.0)
    assert plain == pytest.approx(sam, rel=1e-6)
    assert lost == 0
    assert not np.allclose(plain, generalisation.test_losses(settings, Runner(), "isotropic", "1-sam-flow", 0.1)[1])

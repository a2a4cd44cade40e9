"""Whole runs by compiled kernels and by the same sources run as plain Python."""

import numpy as np
import pytest
from modes import in_both_modes

DIAGONAL = """
import sys
import numpy as np
from simulate.diagonal_run import DiagonalSpec, run
from simulate.regression import SparseRegression
found = {}
cases = (
    ("gd", None, 0.0), ("n-sam", None, 0.0), ("1-sam", None, 0.0), ("m-sam", "gd", 0.0),
    ("stochastic-1-sam", "sgd", 0.0), ("1-sam", None, 0.5), ("n-sam", None, 1.0),
)
for n, d, steps in ((7, 45, 150), (21, 200, 15)):
    for rule, then, lam in cases:
        result = run(DiagonalSpec(
            SparseRegression(n, d, test_samples=30), alpha=0.1, rule=rule, then=then, switch_step=2 * steps // 3,
            block=3 if rule == "m-sam" else None, radius=0.1, step_size=0.02, max_steps=steps, normalisation=lam,
            record=(0, steps // 3, steps - 1),
        ))
        for name in ("beta", "log_alpha_eff", "loss_integral", "train_loss", "test_loss"):
            found[f"{rule} {lam} {n} {name}"] = result.history[name]
for rule in ("gradient-flow", "1-sam-flow"):
    found[f"{rule} beta"] = run(DiagonalSpec(SparseRegression(5, 9), rule=rule, radius=0.1, max_time=5.0)).beta
np.savez(sys.argv[1], **found)
"""

FINITE_SUM = """
import sys
import numpy as np
from simulate.finite_sum import Schedule, expected_path
from simulate.finite_sum_run import FiniteSumSpec, run
from simulate.finite_sum_data import DrawnSum
from simulate.objective import finite_sum
from simulate.sampling import sampling
found = {}
for objective, reg in (("least-squares", 0.0), ("ridge", 0.1), ("nonconvex", 0.0), ("logistic", 0.1), ("pl", 0.0)):
    for kind, lams in (("full", (0.0, 1.0)), ("nice", (0.5,)), ("single", (0.0, 0.5, 1.0))):
        for lam in lams:
            result = run(FiniteSumSpec(DrawnSum(7, 19 if objective == "pl" else 5), objective, reg, 0.1, lam, 0.1,
                                       sampling=kind, batch_size=1 + 2 * (kind == "nice"), max_steps=20, record=(7,)))
            for name in ("x", "gap", "gradient_norm"):
                found[f"{objective} {kind} {lam} {name}"] = result.history[name]
p = finite_sum("square", np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]]), np.ones(3))
found["expected"] = np.array(expected_path(p, sampling("single", p), Schedule(0.05, 0.1), 1.0, np.zeros(2), 4))
np.savez(sys.argv[1], **found)
"""


@pytest.fixture(scope="module")
def diagonal(tmp_path_factory):
    """Return the arrays of compiled and of plain runs, by name."""
    return in_both_modes(tmp_path_factory.mktemp("modes"), DIAGONAL)


@pytest.fixture(scope="module")
def finite_sum(tmp_path_factory):
    """Return the same of finite sums."""
    return in_both_modes(tmp_path_factory.mktemp("modes"), FINITE_SUM)


def test_diagonal_steps_are_equal(diagonal):
    """Steps are + × / and, normalised, √: equal to the last bit, whether X is near as a whole or not."""
    compiled, plain = diagonal
    for name in (name for name in compiled if "flow" not in name):
        assert np.array_equal(compiled[name], plain[name]), name
        assert np.isfinite(compiled[name]).all()


def test_flows_agree_to_rounding(diagonal):
    """exp is each mode's own, some ulps apart; the control: the two flows are far apart."""
    compiled, plain = diagonal
    for name in ("gradient-flow beta", "1-sam-flow beta"):
        assert np.abs(compiled[name] - plain[name]).max() < 1e-9
    assert np.abs(compiled["gradient-flow beta"] - compiled["1-sam-flow beta"]).max() > 1e-4


def test_finite_sum_steps_are_equal(finite_sum):
    """Least squares, ridge and the rational loss are + × / and √: equal to the last bit."""
    compiled, plain = finite_sum
    names = [name for name in compiled if name.split()[0] in ("least-squares", "ridge", "nonconvex", "expected")]
    assert len(names) == 55
    for name in names:
        assert np.array_equal(compiled[name], plain[name]), name


def test_exp_and_sin_agree_to_rounding(finite_sum):
    """Each mode has its own, some ulps apart; the control: the samplings are far apart."""
    compiled, plain = finite_sum
    for name in (name for name in compiled if name.split()[0] in ("logistic", "pl")):
        assert np.allclose(compiled[name], plain[name], rtol=1e-10, atol=1e-13), name
    assert np.abs(compiled["logistic full 1.0 x"] - compiled["logistic single 1.0 x"]).max() > 1e-4

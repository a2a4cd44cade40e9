"""The rows of Shin et al.'s story: as expected at quick settings, and the forms they rest on."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm

from simulate.runner import Runner
from simulate.store import Store
from theory.check import check
from theory.claim import Outcome
from theory.registry import claims
from theory.shin2025 import THEOREMS, flatness
from theory.shin2025.hessian_moments import log_spreads
from theory.shin2025.overparameterisation import clean_errors, conv_spec, gains
from theory.shin2025.test_error_width import floor

ROWS = [
    claim for name in THEOREMS[THEOREMS.index("linear_rate") + 1 :]
    for claim in importlib.import_module(f"theory.shin2025.{name}").CLAIMS
]  # fmt: skip
TINY = {"seed": 0, "seeds": 3}


@pytest.fixture(scope="module", params=[0, 1])
def seeded(request, tmp_path_factory):
    """Return (seed, runner): one store a seed, so that claims share their runs as they do in `verify`."""
    with Runner(store=Store(tmp_path_factory.mktemp("runs"))) as runner:
        yield request.param, runner


@pytest.mark.compiled
@pytest.mark.parametrize("claim", ROWS, ids=lambda claim: claim.id)
def test_row_is_as_expected(claim, seeded):
    seed, runner = seeded
    record = check(claim, "quick", seed, runner)
    assert record.verdict.outcome is claim.expected_in("quick"), record.verdict
    assert record.rejected, record.control
    assert record.passed, record.twin


def test_rows_that_fail_have_a_twin():
    violated = [claim for claim in ROWS if claim.expected is Outcome.VIOLATED]
    assert len(violated) >= 8
    assert all(claim.twin for claim in violated)
    assert all(claims()[claim.id] is claim for claim in ROWS)


def test_specifications_follow_the_width_and_the_density():
    """eta ∝ m and tau ∝ m, SAM's phase as long at every m; a sparse neuron's radius and phase are its own patch's."""
    narrow, wide = conv_spec(0, 10), conv_spec(0, 40)
    assert wide.step_size == pytest.approx(4.0 * narrow.step_size)
    assert wide.radius == pytest.approx(4.0 * narrow.radius)
    assert wide.sam_steps == narrow.sam_steps > 0
    assert conv_spec(0, 40, tau_width=10).radius == narrow.radius
    assert conv_spec(0, 40, radius=0.7).radius == 0.7
    assert conv_spec(0, 40, "sgd").radius == 0.0
    sparse = conv_spec(0, 40, density=0.25)
    assert sparse.radius == pytest.approx(2.0 * wide.radius)
    assert sparse.sam_steps == pytest.approx(4 * wide.sam_steps, abs=2)


def test_gain_is_the_difference_on_equal_draws():
    runner, run = Runner(), {"max_steps": 40}
    e = [clean_errors(TINY, runner, 3, rule, **run) for rule in ("sgd", "sam-then-sgd")]
    assert np.array_equal(gains(TINY, runner, 3, **run), e[0] - e[1])
    before = runner.computed
    assert np.array_equal(gains(TINY, runner, 3, radius=0.0, **run), np.zeros(3))  # the control: no perturbation
    gains(TINY, runner, 3, tau_width=5, **run)
    assert runner.computed > before


def test_straight_line_counts_as_one_kink(monkeypatch):
    gd, sam = (SimpleNamespace(kinks=kinks, slope_variation=0.5, status="stopped") for kinks in (0, 4))
    monkeypatch.setattr(flatness, "pairs", lambda settings, runner, m: [(gd, sam), (sam, gd)])
    assert flatness.log_ratios({"widths": (10,)}, None, "kinks") == (pytest.approx(np.log([[0.25, 4.0]])), 0)
    assert flatness.log_ratios({"widths": (10,)}, None, "slope_variation")[0] == pytest.approx(0.0)


def test_floor():
    assert floor(2.0) == pytest.approx(norm.cdf(-2.0), rel=1e-13)
    assert floor(2.0, 3, 0.5) == pytest.approx(norm.cdf(-2.0), rel=1e-13)


@pytest.mark.compiled
def test_spreads_of_equal_rules_are_equal():
    """The control, 1-SAM, has others."""
    runner = Runner()
    one = log_spreads(TINY, runner, 160, "gd")
    assert one.shape == (2, 3)
    assert np.isfinite(one).all()
    assert (log_spreads(TINY, runner, 160, "1-sam") < one).all()

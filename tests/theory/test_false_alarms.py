"""How often the judges call a true claim violated, judged at one in a hundred."""

import numpy as np
import pytest
from scipy.stats import binom
from test_verdict import VIOLATED, X, outcome

from theory.claim import Kind, Samples

LARGE = 1e-2
DRAWS = 4000
LIMIT = binom.isf(1e-6, DRAWS, LARGE)  # each test's own false-alarm rate is 1e-6 (and its seed fixed)


def _share_violated(make, seed):
    """How many of DRAWS claims are violated; make(rng) gives (kind, samples, prediction, tolerance)."""
    rng = np.random.default_rng(seed)
    outcomes = []
    for _ in range(DRAWS):
        kind, samples, prediction, tolerance = make(rng)
        outcomes.append(outcome(kind, samples, prediction, tolerance, LARGE))
    return sum(o is VIOLATED for o in outcomes)


def _rate_case(rng, exponent=0.25, tolerance=0.02):
    """Slopes at the very edge of the tolerance, with noise that is common to the points of a replicate."""
    noise = 0.3 * rng.standard_normal((X.size, 6)) + 0.5 * rng.standard_normal(6)
    y = X[:, None] ** (exponent + tolerance) * np.exp(noise)
    return Kind.RATE, Samples(y, {"x": X}), exponent, tolerance


def _limit_case(rng, excess=0.0):
    observed = 2.0 * (1.02 + excess) + 0.3 * rng.standard_normal((2, 6))
    return Kind.LIMIT, Samples(observed), 2.0, 0.02


def _ordering_case(rng, excess=0.0):
    return Kind.ORDERING, Samples(0.2 - excess + 0.3 * rng.standard_normal(6)), 0.2, 0.0


def _bound_case(rng, excess=0.0):
    """Five points whose means lie on the bound."""
    return Kind.UPPER_BOUND, Samples(1.0 + excess + 0.3 * rng.standard_normal((5, 6))), np.ones(5), 0.0


@pytest.mark.parametrize("make", [_rate_case, _limit_case, _ordering_case, _bound_case])
def test_false_alarms_stay_below_their_rate(make):
    assert _share_violated(make, 3) <= LIMIT


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (_rate_case, {"exponent": 0.25, "tolerance": 0.02}), (_limit_case, {"excess": 0.5}),
        (_ordering_case, {"excess": 0.5}), (_bound_case, {"excess": 1.0}),
    ],
)  # fmt: skip
def test_false_claims_are_seen(make, change):
    """The negative control: beyond the edge, alarms are far more frequent than the rate."""

    def beyond(rng):
        kind, samples, prediction, tolerance = make(rng, **change)
        return kind, samples, prediction - 0.1 if make is _rate_case else prediction, tolerance

    assert _share_violated(beyond, 3) > 5 * LIMIT

"""Long runs: the inner products that the Gram kernel keeps are those that its coefficients give."""

import pytest
from drift import CASES, ROUNDING, drift, follow


@pytest.mark.parametrize(("name", "times"), [*((name, 10) for name in CASES), ("SGD", 100)])
def test_drift_is_that_of_roundings_at_random(many_steps, name, times):
    """Two roundings a step of the terms that H is the sum of, and √steps of them, since they are of either sign."""
    steps = times * many_steps
    (network,) = follow(CASES[name], [steps])
    assert 0.0 < drift(network)[1] < 4.0 * ROUNDING * steps**0.5


def test_drift_is_seen():
    """The control: one inner product that is off by 1e-9 of the largest."""
    (network,) = follow(CASES["SGD"], [100])
    network.projections()[3, 4] += 1e-9 * abs(network.projections()).max()
    assert drift(network)[0] > 0.9e-9


def test_there_is_something_to_drift_from(many_steps):
    """The runs have not come to rest: within the last half H moves by more than what is allowed for drift."""
    for spec in CASES.values():
        states = [network.projections().copy() for network in follow(spec, [many_steps // 2, many_steps])]
        assert abs(states[1] - states[0]).max() > 1e-4 * abs(states[1]).max()

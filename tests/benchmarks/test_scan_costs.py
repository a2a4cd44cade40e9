"""A scan is timed only if its runs have succeeded."""

import pytest

from benchmarks.scan import carried_out, runs_of
from simulate.conv_run import ConvSpec
from simulate.signal_noise import SignalNoise


def test_runs_that_fail_are_not_timed():
    assert carried_out(runs_of(2, 1), None, lambda: 1) > 0.0
    too_large = ConvSpec(SignalNoise(dimension=10**12), space="dense", max_steps=1)
    with pytest.raises(AssertionError):
        carried_out([*runs_of(1, 1), ("too large", too_large)], None, lambda: 1)

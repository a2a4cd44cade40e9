"""The cost model finds constants that are known, and the profile sees every part."""

import numpy as np
import pytest

from benchmarks.cost_model import KERNELS, decades, fit, predicted, value
from benchmarks.where_time_goes import shares


def test_decades():
    assert decades(1, 1000) == (1, 3, 10, 32, 100, 316, 1000)
    assert decades(10**3, 10**6, 1) == (10**3, 10**4, 10**5, 10**6)


def test_value_of_a_term():
    point = {"n": 3, "m": 2, "steps": 10}
    assert value("m n² steps", point) == 180.0
    assert value("n³", point) == 27.0
    assert value("1", point) == 1.0
    with pytest.raises(KeyError):
        value("d steps", point)


def test_constants_are_found_and_a_missing_term_is_seen():
    constants = {"n² steps": 3e-9, "steps": 2e-7, "1": 5e-6}
    points = [{"n": n, "steps": steps} for n in decades(2, 2000) for steps in decades(10, 10_000)]
    points = [{**p, "seconds": predicted(constants, p)} for p in points]
    found, errors = fit((*constants, "n steps"), points)
    assert found == pytest.approx({**constants, "n steps": 0.0}, rel=1e-6, abs=1e-16)
    assert abs(errors).max() < 1e-6
    assert abs(fit(("n steps", "steps", "1"), points)[1]).max() > 0.1  # the control


@pytest.mark.parametrize("kernel", KERNELS)
def test_terms_have_their_letters(kernel):
    _, base, letters, terms = KERNELS[kernel]
    assert set(letters) <= set(base)
    assert all(np.isfinite(value(term, base)) for term in terms)


def test_shares_add_up():
    from simulate.conv_run import ConvSpec
    from simulate.signal_noise import SignalNoise

    found, seconds = shares(ConvSpec(SignalNoise(samples=5), 2, max_steps=20, record=(0, 5)).run, 3)
    assert sum(found.values()) == pytest.approx(1.0)
    assert seconds > 0.0
    assert min(found[part] for part in ("draw", "steps", "recording", "test error", "rest")) > 0.0
    assert found["store"] == 0.0

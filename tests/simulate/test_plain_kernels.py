"""Both modes where the runs of test_modes and test_compiled do not come: ends, masks, odd sizes, ReLU, lines."""

import numpy as np
import pytest
from modes import in_both_modes

PROGRAM = """
import sys
import numpy as np
from simulate import conv_run, diagonal_run, finite_sum_run, relu_regression
from simulate.conv_run import ConvSpec, build_network
from simulate.diagonal_run import DiagonalSpec
from simulate.finite_sum_data import DrawnSum
from simulate.finite_sum_run import FiniteSumSpec
from simulate.generalisation import smoothed_error
from simulate.regression import SparseRegression
from simulate.relu_regression import Curve, ReluSpec
from simulate.signal_noise import SignalNoise

np.seterr(all="ignore")
found = {}

def keep(name, result, *values):
    found[name + " ends"] = np.array([result.status, str(result.steps)])
    for value in values:
        found[name + " " + value] = result.history[value]

ends = (("goes on", {}), ("stops", {"stop_loss": 10.0}), ("diverges", {"step_size": 1e308}))
noise = SignalNoise(7, 30, 3, signal_norm=2.0)
for how, end in ends:
    for rule, radius in (("gd", 0.0), ("sam", 0.3)):
        spec = ReluSpec(Curve(5), 11, rule, radius, **{"step_size": 0.05, "max_steps": 12, **end})
        keep(f"relu {rule} {how}", relu_regression.run(spec), "theta")
    for rule in ("1-sam", "stochastic-1-sam"):
        spec = DiagonalSpec(SparseRegression(7, 9), 0.1, rule, 0.1, **{"step_size": 0.02, "max_steps": 12, **end})
        keep(f"diagonal {rule} {how}", diagonal_run.run(spec), "beta", "log_alpha_eff")
for how, end in (*ends[:2], ("diverges", {"init_std": 1e308})):
    for space in ("gram", "dense"):
        for density in (1.0, 0.6):
            spec = ConvSpec(noise, 3, rule="sam", radius=0.2, space=space, density=density,
                            **{"init_std": 0.3, "step_size": 0.5, "max_steps": 12, **end})
            keep(f"conv {space} {density} {how}", conv_run.run(spec), "gamma", "rho")
decayed = ConvSpec(noise, 3, 0.3, "sam", 0.2, space="dense", decay=0.1, step_size=0.5, max_steps=12)
keep("conv decayed", conv_run.run(decayed), "gamma", "rho")
for n in (13, 19, 37):
    for lam in (0.0, 0.5):
        spec = DiagonalSpec(SparseRegression(n, 9), 0.1, "1-sam", 0.1, normalisation=lam, step_size=0.02, max_steps=12)
        keep(f"diagonal {n} {lam}", diagonal_run.run(spec), "beta", "log_alpha_eff")
for objective, d, radius in (("least-squares", 45, 0.0), ("wave", 5, 0.1), ("nonconvex", 5, 0.0)):
    spec = FiniteSumSpec(DrawnSum(7, d), objective, 0.0, radius, max_steps=12, record=(3, 8))
    keep(f"sum {objective}", finite_sum_run.run(spec), "x", "gap")
keep("sum diverges", finite_sum_run.run(FiniteSumSpec(DrawnSum(7, 5), step_size=1e60, max_steps=12)), "x")
for name, std in (("some", 0.3), ("none", 0.0)):
    found[f"error {name}"] = np.array(smoothed_error(build_network(ConvSpec(noise, 3, std)), 1.0, (4,)))
np.savez(sys.argv[1], **found)
"""
EXACT = ("relu", "diagonal", "sum least-squares", "sum nonconvex", "sum diverges")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return the arrays of compiled and of plain runs, by name."""
    return in_both_modes(tmp_path_factory.mktemp("modes"), PROGRAM)


def test_runs_end_alike(both):
    """In the same way after the same steps; each of the three ways is met by every model that has it."""
    compiled, plain = both
    ends = {name: compiled[name].tolist() for name in compiled if name.endswith("ends")}
    assert ends == {name: plain[name].tolist() for name in ends}
    assert {name: end[0] for name, end in ends.items() if end[0] != expected_end(name)} == {}


def expected_end(name):
    """Return the status that the name of a run tells."""
    return "diverged" if "diverges" in name else "stopped" if "stops" in name else "max-steps"


def test_steps_of_plain_arithmetic_are_equal(both):
    """+ × / and √ only: equal to the last bit, whatever the size and the end."""
    compiled, plain = both
    names = [name for name in compiled if name.startswith(EXACT) and not name.endswith("ends")]
    assert len(names) == 6 + 12 + 12 + 2 + 2 + 1
    for name in names:
        assert np.array_equal(compiled[name], plain[name], equal_nan=True), name


def test_the_others_agree_to_rounding(both):
    """exp, sin and erfc are each mode's own, some ulps apart; the control: gram and masked gram are far apart."""
    compiled, plain = both
    names = [name for name in compiled if not name.startswith(EXACT) and not name.endswith("ends")]
    assert len(names) == 24 + 2 + 2 + 2
    for name in names:
        if "diverges" not in name:  # where the last digits are all that is left
            assert np.allclose(compiled[name], plain[name], rtol=1e-10, atol=1e-13), name
    one, two = (compiled[f"conv gram {density} goes on rho"] for density in (1.0, 0.6))
    assert np.abs(one - two).max() > 1e-4


def test_a_network_of_no_weights_guesses(both):
    """All its answers are ties, which count one half, on every line."""
    compiled, _ = both
    assert compiled["error none"].tolist() == [0.5, 0.0]
    assert 0.0 < compiled["error some"][0] < 0.5

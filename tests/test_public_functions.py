"""Public calls: what is not allowed is one ParameterError that names it; what is, gives finite numbers, twice."""

import importlib
import inspect
import math
import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import VALUES

import sharpbounds
from simulate.conv_run import ConvSpec
from simulate.diagonal_run import DiagonalSpec
from simulate.finite_sum_data import DrawnSum
from simulate.finite_sum_run import FiniteSumSpec
from simulate.parameters import ParameterError
from simulate.regression import SparseRegression
from simulate.relu_regression import ReluSpec
from simulate.signal_noise import SignalNoise
from theory.claim import Kind, Outcome, Samples
from theory.commands import LETTERS
from theory.registry import claims
from theory.verdict import judge

SPEC = sharpbounds.conv(labels="balanced")
CLAIM = "quadratics/usam-threshold"
CALLS = {
    "SignalNoise": SignalNoise, "ConvSpec": ConvSpec, "SparseRegression": SparseRegression,
    "DiagonalSpec": DiagonalSpec, "DrawnSum": DrawnSum, "FiniteSumSpec": FiniteSumSpec,
    "ReluSpec": ReluSpec, "ReluData": type(ReluSpec().data),
    "conv": sharpbounds.conv, "diagonal": sharpbounds.diagonal, "finite_sum": sharpbounds.finite_sum,
    "simulate": partial(sharpbounds.simulate, SPEC), "predict": partial(sharpbounds.predict, SPEC),
    "verify": partial(sharpbounds.verify, CLAIM), "falsify": partial(sharpbounds.falsify, CLAIM),
    "check": partial(sharpbounds.check, claims()[CLAIM]),
}  # fmt: skip
NOT_CHECKED = {"store", "report", "progress", "runner", "table", "twin", "sharpness"}  # objects and flags
ALSO = {  # what messages call a parameter, beside its own name
    "d": "dimension", "n": "samples", "tau_c3": "C3",
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch):
    """Let what is good end where its work would begin."""
    monkeypatch.setattr("simulate.runner.Runner.run", lambda self, specs: [])
    monkeypatch.setattr("theory.ours.prediction._Predictor.prediction", lambda *given: None)
    monkeypatch.setattr("theory.check.check", lambda *given: None)
    monkeypatch.setattr("theory.falsify._explore", lambda *given: ([], 0, 0))
    monkeypatch.setattr("simulate.executor.ProcessPoolExecutor", None)


def parameters(call):
    """Return the names of what a call takes beside what is given already."""
    return [name for name in inspect.signature(call).parameters if name not in NOT_CHECKED]


def message(call):
    """Return what a call says of its parameters, or None if they are good; a warning is an error."""
    try:
        call()
    except ParameterError as error:
        return str(error)
    return None


@pytest.mark.parametrize("call", CALLS)
def test_any_value_is_taken_or_named(call):
    """Every value of `strategies.VALUES` in every parameter: a ParameterError that names it, or no error at all."""
    refused = 0
    for name in parameters(CALLS[call]):
        for value in VALUES:
            told = message(partial(CALLS[call], **{name: value}))
            if told is not None:
                refused += 1
                assert name in told or ALSO.get(name, "?") in told
                assert "must be" in told
                assert "\n" not in told
                assert len(told) < 1000
    assert refused > 10 * len(parameters(CALLS[call]))


# closed forms

SIZES = st.floats(0.05, 20.0)
LETTER = {
    "n": st.integers(2, 200), "d": st.integers(10, 10**9), "m": st.integers(2, 50), "B": st.integers(1, 20),
    "P": st.integers(2, 5), "p": st.floats(0.01, 0.4), "a": st.floats(0.5, 0.99), "b": SIZES, "k": st.just(2),
    "gamma": st.floats(0.01, 0.2), "kappa": st.floats(0.05, 1.0), "T": st.integers(1, 10**6), "t": st.integers(0, 1000),
    "eps": st.floats(1e-6, 0.5), "level": st.floats(0.01, 0.4), "q": st.floats(0.0, 0.9), "u": st.floats(0.01, 0.9),
    "steps": st.integers(0, 10**6), "mu": st.floats(0.05, 2.0),
}  # fmt: skip
FORMS = {
    "chen2023.setting": ("signal_to_noise_ratio", "scaled_init_std", "scaled_step_size", "sam_radius", "sam_steps",
                         "benign_parameter"),
    "chen2023.sgd_boundary": ("critical_signal",), "chen2023.sgd_boundary_constant": ("critical_parameter",),
    "chen2023.signal_growth": ("growth_per_step",), "chen2023.training_time": ("training_time",),
    "chen2023.coefficient_growth": ("coefficient_curve", "growth_rate"), "chen2023.sam_boundary": ("sam_floor",),
    "ours.closed": ("active_fraction", "margin_at_loss"), "ours.averaged": ("signal_met",),
    "ours.sam_phase": ("saturation", "phase_time", "signal_learned", "steps_to_learn"),
    "quadratics.edge_of_stability": ("edge",), "quadratics.usam_threshold": ("critical_step",),
    "quadratics.vanishing_steps": ("gap_between", "gap_at_minimiser"),
    "shin2025.setting": ("largest_curvature", "moment_bound"),
    "shin2025.linear_rate": ("published_margin", "sharper_margin", "step_size", "rate"),
    "shin2025.uniform_moments": ("largest_spread",), "shin2025.test_error_width": ("floor",),
    "oikonomou2025.constant_steps": ("linear_rate",), "oikonomou2025.decreasing_steps": ("first_decreasing",),
    "oikonomou2025.worst_case": ("largest_step",), "oikonomou2025.expected_residual": ("residual_bound",),
    "andriushchenko2022.deterministic_usam": ("contraction", "gain"), "andriushchenko2022.potential": ("entropy",),
    "andriushchenko2022.effect_size": ("effect",), "andriushchenko2022.first_order": ("log_alpha_eff",),
    "andriushchenko2022.stochastic_usam": ("mean_gradient_bound", "gap_bound"),
}  # fmt: skip


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in FORMS.items() for name in names])
@given(data=st.data())
def test_closed_form_is_finite_and_the_same_again(module, name, data):
    """At any letters of ordinary size."""
    form = getattr(importlib.import_module(f"theory.{module}"), name)
    wanted = [p.name for p in inspect.signature(form).parameters.values() if p.default is p.empty]
    letters = {letter: data.draw(LETTER.get(letter, SIZES), label=letter) for letter in wanted}
    found = form(**letters)
    assert np.isfinite(found).all()
    assert np.array_equal(found, form(**letters))


@given(st.sampled_from(sorted(claims())), st.data())
def test_margins_are_numbers(name, data):
    """Of every claim, at any letters that `show` takes."""
    claim = claims()[name]
    letters = data.draw(st.lists(st.sampled_from(sorted(LETTERS)), max_size=4, unique=True))
    changes = {letter: data.draw(LETTER.get(letter, SIZES), label=letter) for letter in letters}
    margins = [margin for _, margin in claim.margins(**changes)]
    assert not any(math.isnan(margin) for margin in margins)
    assert margins == [margin for _, margin in claim.margins(**changes)]


# verdicts

NUMBER = st.floats(width=32) | st.sampled_from([0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 1e308])


@given(st.sampled_from(Kind), st.lists(st.lists(NUMBER, min_size=3, max_size=3), min_size=1, max_size=5), NUMBER)
def test_any_samples_are_judged(kind, rows, claimed):
    """Never an error; what is not finite never holds."""
    observed = np.array(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        samples = Samples(observed, {"x": 1.0 + np.arange(len(rows))})
        wide = kind in (Kind.UPPER_BOUND, Kind.LOWER_BOUND, Kind.LIMIT)
        shape = len(rows) if wide else observed.shape if kind is Kind.IDENTITY else ()
        form = np.full(shape, claimed)[()]
        found = [judge(kind, samples, form, 0.1, 1e-4) for _ in range(2)]
    assert found[0].outcome is found[1].outcome
    if not np.isfinite(observed).all() or not math.isfinite(claimed):
        assert found[0].outcome is not Outcome.HOLDS
    assert math.isfinite(found[0].value) or found[0].outcome is Outcome.INCONCLUSIVE


# runs


def numbers(low, high):
    """Return numbers of every size between these."""
    return st.floats(math.log(low), math.log(high)).map(math.exp)


SEED, FEW = st.integers(0, 2**70), st.integers(0, 20)
RUNS = {
    "conv": {
        "n": st.integers(1, 6), "d": st.integers(1, 10**6), "width": st.integers(1, 3), "patches": st.integers(1, 4),
        "mu": numbers(1e-3, 1e3), "sigma_p": numbers(1e-3, 1e3), "sigma_0": numbers(1e-6, 10.0), "max_steps": FEW,
        "eta": numbers(1e-6, 10.0), "flip_rate": st.floats(0.0, 0.2), "labels": st.sampled_from(["iid", "balanced"]),
        "rule": st.sampled_from(["sgd", "sam", "sam-then-sgd"]), "seed": SEED,
    },
    "diagonal": {
        "n": st.integers(1, 5), "d": st.integers(3, 8), "alpha": numbers(1e-6, 10.0), "gamma": numbers(1e-6, 10.0),
        "rule": st.sampled_from(["gd", "sgd", "stochastic-1-sam"]), "steps": FEW, "test_samples": st.integers(0, 9),
        "seed": SEED,
    },
    "finite_sum": {
        "objective": st.sampled_from(["least-squares", "pl", "nonconvex", "quadratic"]), "n": st.integers(2, 4),
        "d": st.integers(4, 6), "gamma": numbers(1e-6, 10.0), "rule": st.sampled_from(["gd", "sgd"]), "steps": FEW,
        "condition": numbers(1.01, 1e6), "seed": SEED,
    },
}  # fmt: skip
UNKNOWN = "test_loss", "distance", "class_correlation"  # NaN without test samples, a minimiser, a second neuron


@pytest.mark.parametrize("model", RUNS)
@given(data=st.data())
def test_run_is_finite_or_diverged_and_the_same_again(model, data):
    """Any other number comes with the status `diverged`, or is one of `UNKNOWN`."""
    spec = getattr(sharpbounds, model)(**data.draw(st.fixed_dictionaries(RUNS[model])))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, two = spec.run(), spec.run()
    scalars = {name: value for name, value in one.parts()[0].items() if name not in UNKNOWN}
    assert one.status == "diverged" or all(map(math.isfinite, scalars.values())), (one.status, scalars)
    assert [repr(part) for part in one.parts()] == [repr(part) for part in two.parts()]

"""The rules that `sharpbounds check` applies: a plain claim lacks nothing, every rule finds what it is there for."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from simulate.streams import stream
from theory.claim import Claim, Control, Hypothesis, Kind, Outcome, Samples
from theory.contract import DECLARED, OBSERVED, RULES, declared, missing, subset


def observe(settings, runner):
    """Numbers in 0 … 1 for two axes, their own upper bounds between 1 and 2."""
    rng = stream("contract", settings["seed"])
    bounds = 1.0 + rng.random(settings["seeds"])
    return {name: Samples(rng.random(len(bounds)), {"bound": bounds}) for name in ("one", "other")}


def bound(samples):
    """Return the bound."""
    return samples.given["bound"]


HALF = Control("0.3 of the bound", lambda samples: 0.3 * bound(samples))
PLAIN = Claim(
    id="mine/plain", title="A title", statement="x ≤ b at any t", source="a draft", kind=Kind.UPPER_BOUND,
    hypotheses=(Hypothesis("small", "t < 1", lambda a: 1.0 / a["t"], 1.0),), parameters={"t": 0.5}, observe=observe,
    predict=bound, tolerance=0.0, tolerance_reason="exact", control=HALF, quick={"seeds": 20}, full={"seeds": 200},
)  # fmt: skip
COUNTER = itertools.count()


def shifting(settings, runner):
    """Observe something else each time."""
    return Samples(np.full(4, 0.5 + 0.01 * next(COUNTER)), {"bound": np.ones(4)})


def by_workers(settings, runner):
    """Observe the number of workers."""
    return Samples(np.full(4, 0.1 * runner.workers), {"bound": np.ones(4)})


def constant(value):
    """Return an observation of one value."""
    return lambda settings, runner: Samples(np.full(4, value), {"bound": np.ones(4)})


def over_all(samples):
    """Predict from all points at once."""
    return bound(samples) + np.arange(len(bound(samples)))


NEVER = Hypothesis("small", "t < 1", lambda a: np.nan, 1.0)
FAULTS = [
    ("words", {"id": "plain"}, "not of the form"), ("words", {"title": ""}, "no title"),
    ("words", {"statement": " x"}, "no statement"), ("words", {"source": None}, "no source"),
    ("words", {"kind": "upper bound?"}, "is no Kind"), ("words", {"source": "derived here"}, "`ours` is not set"),
    ("tolerance", {"tolerance": np.inf}, "no finite number"), ("tolerance", {"tolerance": None}, "no finite number"),
    ("tolerance", {"tolerance_reason": ""}, "no reason"),
    ("symbols", {"parameters": {"t": 0.5, "zeta": 1.0}}, "'zeta' is neither"),
    ("symbols", {"hypotheses": (replace(NEVER, text=""),)}, "no name or no text"),
    ("symbols", {"hypotheses": PLAIN.hypotheses * 2}, "two hypotheses are named 'small'"),
    ("symbols", {"hypotheses": (NEVER,), "expected": Outcome.OUT_OF_SCOPE}, "is nan"),
    ("symbols", {"parameters": {}}, "KeyError"), ("symbols", {"hypotheses": (3,)}, "AttributeError"),
    ("control", {"control": None}, "no negative control"), ("control", {"control": Control("")}, "no title"),
    ("control", {"control": Control("the claim", bound)}, "it is the claim itself"),
    ("control", {"control": replace(HALF, changes={"seeds": 20})}, "sets 'seeds' to what it is already"),
    ("expected", {"expected": Outcome.VIOLATED}, "a twin"), ("expected", {"twin": HALF}, "a twin"),
    ("expected", {"expected": Outcome.VACUOUS}, "none of holds"), ("expected", {"expected": "holds"}, "none of holds"),
    ("expected", {"parameters": {"t": 2.0}}, "out of its scope"),
    ("expected", {"expected": Outcome.OUT_OF_SCOPE}, "within its scope"),
    ("settings", {"full": {"seeds": 10}}, "no more than quick"), ("settings", {"quick": {}}, "the same names"),
    ("settings", {"full": {"problems": 200}}, "the same names"), ("settings", {"quick": None}, "the same names"),
    ("settings", {"quick": {"seeds": 1}}, "fewer than two"), ("tolerance", {"kind": None, "tolerance": "0"}, "no"),
    ("runs", {"observe": constant(np.nan), "expected": Outcome.HOLDS}, "is not finite"),
    ("runs", {"predict": lambda samples: bound(samples) + np.inf}, "prediction in one is not finite"),
    ("verdict", {"predict": lambda samples: 0.6 * bound(samples)}, "the verdict is violated, not holds"),
    ("verdict", {"expected": Outcome.VIOLATED, "twin": HALF}, "the twin does not hold"),
    ("verdict", {"judged": Outcome.VIOLATED}, "the judge says holds, not violated"),
    ("rejected", {"control": Control("twice the bound", lambda samples: 2.0 * bound(samples))}, "the control is holds"),
    ("not vacuous", {"observe": constant(0.0)}, "everything observed is 0"),
    ("not vacuous", {"predict": lambda samples: 1e9 * bound(samples)}, "nowhere within a factor 1e+06"),
    ("not vacuous", {"kind": Kind.LOWER_BOUND, "predict": lambda samples: 1e-9 * bound(samples)}, "nowhere within"),
    ("vectorised", {"predict": over_all}, "of part of the points is not that part"),
    ("deterministic", {"observe": shifting}, "gives other numbers"),
    ("workers", {"observe": by_workers}, "2 workers observe other numbers than 1"),
]  # fmt: skip


def test_nothing_is_missing_from_a_plain_claim():
    found = missing(PLAIN)
    assert list(found) == list(RULES)
    assert not any(found.values()), found


@pytest.mark.parametrize(("rule", "changes", "told"), FAULTS, ids=[f"{r}-{t}" for r, _, t in FAULTS])
def test_every_fault_is_found(rule, changes, told):
    found = missing(replace(PLAIN, **changes))
    assert told in " ".join(found[rule]), found
    if rule in DECLARED:
        assert not set(found) & set(OBSERVED)  # nothing is observed of what is not declared in full


def test_every_rule_is_tried():
    assert {rule for rule, *_ in FAULTS} == set(RULES)


def test_symbols_that_explain_themselves():
    """Letters that `show` knows, those of a text, and expressions."""
    for name in ("eta", "x", "mu/beta"):
        assert not any(declared(replace(PLAIN, parameters={"t": 0.5, name: 1.0})).values())


def test_predictions_that_are_one_number_are_not_cut():
    rate = replace(
        PLAIN, kind=Kind.RATE, predict=lambda samples: 2.0, tolerance=0.1, control=Control("1", lambda samples: 1.0),
        observe=lambda settings, runner: Samples(np.array([[1.0, 1.0], [4.0, 4.0], [16.0, 16.0]]), {"x": [1, 2, 4]}),
    )  # fmt: skip
    assert not any(missing(rate).values()), missing(rate)


def test_subset():
    given = {"rows": np.eye(4), "list": [1, 2, 3, 4], "n": 4, "other": (1, 2), "notes": "abcd"}
    samples = Samples(np.arange(4.0), given)
    part = subset(samples, slice(1, 3))
    assert part.observed.tolist() == [1.0, 2.0]
    assert part.given["rows"].tolist() == np.eye(4)[1:3].tolist()
    assert part.given["list"] == [2, 3]
    assert (part.given["n"], part.given["other"], part.given["notes"]) == (4, (1, 2), "abcd")


def test_claims_without_their_extra_are_not_observed():
    found = missing(replace(PLAIN, extra=("toy", "no_such_module")))
    assert list(found) == list(DECLARED)

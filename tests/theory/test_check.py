"""From a claim to its record: cheap claims at a second seed, and every way in which a record must not pass."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from sharpbounds import main
from simulate.parameters import ParameterError
from simulate.runner import Runner
from theory.check import FALSE_ALARM, SEED_STRIDE, check
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.commands import plain_json
from theory.registry import claims

CHEAP = [
    "decomposition", "coefficient-signs", "coefficient-growth-lower", "coefficient-growth-upper",
    "coefficient-growth-strong-signal", "deactivation", "deactivation-all", "deactivation-leading-order",
    "signal-growth", "sam-beats-sgd", "sam-benign", "sam-short-phase",
]  # fmt: skip


def noisy(settings, runner):
    """Return 24 numbers around 1, drawn from the seed."""
    rng = np.random.default_rng(settings["seed"])
    return Samples(np.array([settings["centre"] + 0.01 * rng.standard_normal(settings["seeds"])]))


def at_most(bound):
    """Return a prediction: that bound."""
    return lambda samples: np.full(len(samples.observed), bound)


def noisy_twin(samples):
    """Return a prediction that is exact."""
    return samples.observed


TOY = Claim(
    id="toy2000/mean",
    title="A mean",
    statement="the mean is at most 2",
    source="this file",
    kind=Kind.UPPER_BOUND,
    hypotheses=(),
    parameters={},
    observe=noisy,
    predict=at_most(2.0),
    tolerance=0.0,
    tolerance_reason="none is needed",
    control=Control("at most ½", at_most(0.5)),
    quick={"centre": 1.0, "seeds": 24},
    full={"centre": 1.0, "seeds": 96},
)
BROKEN = replace(TOY, predict=at_most(0.7), expected=Outcome.VIOLATED, twin=Control("at most 2", at_most(2.0)))


def same(one, two):
    """Return whether two records agree to the last bit, but for the time they took."""
    rows = [{**record.to_dict(), "seconds": 0.0} for record in (one, two)]
    return repr(rows[0]) == repr(rows[1])


@pytest.mark.compiled
@pytest.mark.parametrize("name", CHEAP)
def test_cheap_claims_pass_at_another_seed(name):
    claim = claims()[f"chen2023/{name}"]
    record = check(claim, "quick", seed=1)
    assert record.passed
    assert record.rejected
    assert record.verdict.outcome is claim.expected_in("quick")
    if claim.expected_in("quick") is Outcome.OUT_OF_SCOPE:
        assert record.judged is Outcome.VIOLATED
    else:
        assert record.judged is record.verdict.outcome
    row = plain_json(record.to_dict())
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert len(row["hypotheses"]) == len(claim.hypotheses)


@pytest.mark.compiled
def test_claim_with_a_wrong_prediction_fails():
    """On the real claims: another constant, another exponent, another level."""
    growth = claims()["chen2023/signal-growth"]
    assert not check(replace(growth, predict=lambda samples: 1.5 * growth.predict(samples)), seed=1).passed
    benign = claims()["chen2023/sam-benign"]
    assert not check(replace(benign, predict=lambda samples: np.array([0.001])), seed=1).passed
    order = claims()["chen2023/deactivation-leading-order"]
    record = check(replace(order, predict=lambda samples: -1.0), seed=1)
    assert (record.passed, record.rejected, record.verdict.outcome) == (False, True, Outcome.VIOLATED)


@pytest.mark.compiled
def test_records_do_not_depend_on_workers():
    claim = claims()["chen2023/sam-benign"]
    with Runner(2) as two:
        alone, shared = check(claim, seed=2), check(claim, seed=2, runner=two)
    assert alone.runs == shared.runs == 384
    assert same(alone, shared)
    assert not same(alone, check(claim, seed=3))


def test_toy_claim_passes():
    """The control of what follows."""
    record = check(TOY)
    assert record.passed
    assert record.verdict.outcome is record.judged is Outcome.HOLDS
    assert record.twin is None
    assert (record.mode, record.seed, record.runs) == ("quick", 0, 0)


def test_record_is_deterministic():
    assert same(check(TOY, seed=4), check(TOY, seed=4))
    assert not same(check(TOY, seed=4), check(TOY, seed=5))
    assert not same(check(TOY, seed=4), check(TOY, "full", seed=4))
    assert check(TOY, "full").verdict.points == 96


def test_unexpected_verdict_fails():
    wrong = check(replace(TOY, predict=at_most(0.7)))
    assert (wrong.passed, wrong.rejected, wrong.verdict.outcome) == (False, True, Outcome.VIOLATED)
    straddling = check(replace(TOY, predict=at_most(1.0)))
    assert (straddling.passed, straddling.verdict.outcome) == (False, Outcome.INCONCLUSIVE)
    too_good = check(replace(TOY, expected=Outcome.VIOLATED))
    assert (too_good.passed, too_good.verdict.outcome) == (False, Outcome.HOLDS)
    assert not check(replace(TOY, expected=Outcome.OUT_OF_SCOPE)).passed


@pytest.mark.parametrize("bound", [2.0, 1.0])
def test_control_that_is_not_rejected_fails(bound):
    """Whether it holds or is merely inconclusive."""
    record = check(replace(TOY, control=Control("not a control", at_most(bound))))
    assert record.verdict.outcome is Outcome.HOLDS
    assert not record.rejected
    assert not record.passed


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_control_that_breaks_is_not_rejected():
    """A control whose numbers are missing has shown nothing."""
    assert not check(replace(TOY, control=Control("nothing", changes={"centre": np.nan}))).passed
    assert not check(replace(TOY, control=Control("nothing", at_most(np.nan)))).passed


@pytest.mark.parametrize("bound", [0.7, 1.0])
def test_twin_that_does_not_hold_fails(bound):
    assert check(BROKEN).passed
    record = check(replace(BROKEN, twin=Control("no repair", at_most(bound))))
    assert record.verdict.outcome is Outcome.VIOLATED
    assert record.rejected
    assert not record.passed


def test_power_is_printed_where_there_is_an_interval(monkeypatch):
    """In the long output of one claim; an identity has none."""
    record = check(TOY)
    low, high = record.verdict.interval
    assert record.power == record.to_dict()["power"] == pytest.approx(high - low)
    exact = replace(TOY, kind=Kind.IDENTITY, predict=noisy_twin, tolerance=1e-9)
    assert check(exact).power is None
    for claim, shown in ((TOY, True), (exact, False)):
        monkeypatch.setattr("theory.registry.claims", lambda claim=claim: {claim.id: claim})
        output = CliRunner().invoke(main, ["verify", "--workers", "1", "--no-cache"]).output
        assert ("power: a violation by 0.0" in output) == shown


def test_changes_reach_the_dynamics():
    """A control or twin with `changes` and no prediction is judged by the claim's own, on other samples."""
    record = check(replace(TOY, control=Control("around 3", changes={"centre": 3.0})))
    assert record.passed
    assert record.control.value == pytest.approx(-0.5, abs=0.01)
    assert check(replace(BROKEN, twin=Control("around 0.6", changes={"centre": 0.6}))).passed


def test_control_of_a_claim_that_fails_is_judged_beside_its_twin():
    """A stricter form of the claim, which fails anyway, is no control where the twin meets it."""
    stricter, twin = Control("at most 0.65", at_most(0.65)), Control("around 0.6", changes={"centre": 0.6})
    record = check(replace(BROKEN, control=stricter, twin=twin))
    assert record.verdict.outcome is Outcome.VIOLATED
    assert record.control.outcome is Outcome.HOLDS
    assert not record.passed
    elsewhere = check(replace(BROKEN, control=Control("around 3", changes={"centre": 3.0}), twin=twin))
    assert elsewhere.passed  # the control's own changes come last, and the twin's prediction is the claim's


def test_settings_are_those_of_mode_and_seed():
    seen = []

    def observe(settings, runner):
        seen.append(dict(settings))
        return noisy(settings, runner)

    check(replace(TOY, observe=observe, control=Control("3", changes={"centre": 3.0})), "full", 7)
    assert seen == [
        {"centre": 1.0, "seeds": 96, "seed": 7 * SEED_STRIDE}, {"centre": 3.0, "seeds": 96, "seed": 7 * SEED_STRIDE},
    ]  # fmt: skip
    seen.clear()
    check(replace(TOY, observe=observe))
    assert len(seen) == 1  # the control is judged on the claim's own samples
    settings = [mode for claim in claims().values() for mode in (claim.quick, claim.full)]
    most = max(each.get("seeds", 1) * each.get("groups", 1) for each in settings)
    assert 1 < most < SEED_STRIDE  # so that two base seeds never share a run


def test_claim_over_several_axes():
    """One prediction for all, or one each; the control counts only if it is rejected in every axis."""

    def axes(settings, runner):
        return {"a": noisy(settings, runner), "b": noisy({**settings, "centre": 1.5}, runner)}

    both = replace(TOY, observe=axes)
    assert check(both).passed
    assert check(replace(both, predict={"a": at_most(1.2), "b": at_most(1.7)})).passed
    assert not check(replace(both, predict={"a": at_most(1.7), "b": at_most(1.2)})).passed
    lenient = check(replace(both, control=Control("false in b only", at_most(1.2))))
    assert (lenient.rejected, lenient.passed) == (False, False)


def test_claim_without_its_extra_is_not_checked(monkeypatch):
    """Nothing is observed, the table says why, and its exit status is that of the others."""
    seen = []
    claim = replace(TOY, observe=lambda *a: seen.append(a), extra=("toy", "no_such_module"))
    assert claim.missing() == "toy"
    record = check(claim)
    assert (seen, record.passed, record.rejected, record.missing) == ([], True, False, "toy")
    assert record.verdict.outcome is record.judged is Outcome.OUT_OF_SCOPE
    row = plain_json(record.to_dict())
    assert row["verdict"]["measure"] == "not checked: the extra toy is not installed"
    assert json.dumps(row, allow_nan=False)
    monkeypatch.setattr("theory.registry.claims", lambda: {claim.id: claim, "toy2000/other": TOY})
    result = CliRunner().invoke(main, ["verify", "--workers", "1", "--no-cache"])
    assert result.exit_code == 0
    assert "out of scope  not run " in result.output
    assert "2 claims: 1 holds, 1 not checked without the extra toy; 1 of 1 negative controls" in result.output
    alone = CliRunner().invoke(main, ["verify", claim.id, "--workers", "1", "--no-cache"]).output
    assert "0 of 0 negative controls" in alone
    assert "nan" not in alone


def test_claim_with_its_extra_is_checked_as_any_other():
    """The control: the module is there."""
    assert replace(TOY, extra=("toy", "json")).missing() is None
    assert same(check(replace(TOY, extra=("toy", "json"))), check(TOY))
    assert not check(replace(TOY, extra=("toy", "json"), predict=at_most(0.7))).passed


def test_false_alarm_is_shared_among_the_claims(monkeypatch):
    rates = []
    monkeypatch.setattr("theory.check.judge", lambda *a, **k: rates.append(a[4]))
    with pytest.raises(AttributeError):  # there is no verdict to go on with
        check(TOY)
    assert rates[0] * (len(claims()) + 1) == pytest.approx(FALSE_ALARM)  # one beside the registry's counts too
    with pytest.raises(AttributeError):
        check(replace(TOY, id="chen2023/decomposition"))
    assert rates[-1] * len(claims()) == pytest.approx(FALSE_ALARM)


@pytest.mark.parametrize("arguments", [("medium", 0), ("quick", -1), ("quick", 10**9 + 1), ("quick", 0.5)])
def test_bad_mode_and_seed_are_refused(arguments):
    with pytest.raises(ParameterError, match=r"mode|seed"):
        check(TOY, *arguments)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("claim", [TOY, BROKEN, replace(TOY, predict=at_most(np.nan))], ids=["toy", "twin", "nan"])
def test_record_is_plain_json(claim):
    text = json.dumps(plain_json(check(claim).to_dict()), allow_nan=False)
    row = json.loads(text)
    assert set(row["control"]) - set(row["verdict"]) == {"title", "rejected", "changes"}
    assert row["settings"] == {**claim.quick, "seed": 0}
    assert bool(row["verdict"]["series"][""]["observed"]) == (row["verdict"]["value"] is not None)
    assert (row["twin"] is None) == (claim.twin is None)
    assert row["verdict"]["outcome"] in set(Outcome)


def test_plain_json_by_hand():
    given = {
        1: np.float64(0.5), "a": np.array([[1.0, np.nan]]), "b": (np.int64(3), -np.inf), "c": None, "d": True,
        "e": {"f": [float("inf")]}, "g": "text",
    }  # fmt: skip
    assert plain_json(given) == {
        "1": 0.5, "a": [[1.0, None]], "b": [3, None], "c": None, "d": True, "e": {"f": [None]}, "g": "text",
    }  # fmt: skip
    with pytest.raises(ValueError, match="Out of range float"):
        json.dumps({"a": np.nan}, allow_nan=False)  # the control

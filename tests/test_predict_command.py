"""`predict conv` and `simulate conv --compare`: what is printed, levels against each other and against simulation."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import sharpbounds
from simulate.parameters import ParameterError
from theory.ours import response
from theory.ours.prediction import predict

NAMES = ("clean_error", "test_error", "active_fraction", "margin", "gamma", "steps", "critical_mu")


def call(*arguments):
    return CliRunner(catch_exceptions=False).invoke(sharpbounds.main, [str(a) for a in arguments])


def scaled(d=10**8, n=20, c=0.3, e0=0.2, P=2, sigma_p=1.0, q=1.0, m=10, **more):
    """Return the run whose c, e0 and q are these, whatever the others."""
    noise = (P - 1) * sigma_p
    return sharpbounds.conv(
        n=n, d=d, patches=P, sigma_p=sigma_p, width=m, mu=(q * d / n) ** 0.25 * noise, labels="balanced",
        sigma_0=c * n**0.5 / (noise * d), eta=e0 * n * m / (noise**2 * d), **more,
    )  # fmt: skip


def test_json_has_every_field():
    drawn = json.loads(call("predict", "conv", "--json", "--draws", 2, "--samples", 100, "--rows", 5).stdout)
    for name in (*NAMES, "sam_needed"):
        assert drawn[name]["value"] > 0.0
        assert drawn[name]["error"] > 0.0
    assert drawn["test_error"]["value"] == pytest.approx(0.1 + 0.8 * drawn["clean_error"]["value"])
    assert drawn["draws"] == {"draws": 2, "samples": 100, "seed": 0}
    assert drawn["target"] == {"level": "p + 0.1", "clean_error": pytest.approx(0.125)}
    assert "exactly 2 of 20 flipped" in drawn["regime"]
    assert drawn["scope"]["inside"] is True
    assert {len(line) for line in drawn["curve"].values()} == {5}
    assert drawn["curve"]["loss"] == sorted(drawn["curve"]["loss"], reverse=True)
    assert drawn["curve"]["steps"][-1] == pytest.approx(drawn["steps"]["value"], abs=0.6)
    closed = json.loads(call("predict", "conv", "--json", "--level", "closed").stdout)
    assert [closed[name]["error"] for name in NAMES] == [None] * len(NAMES)
    assert closed["errors"] == "none: closed form"
    assert closed["draws"] is None


def test_table():
    text = call("predict", "conv", "--level", "closed", "--rows", 4, "--mu", 6, "--target", 0.2).stdout
    found = predict(sharpbounds.conv(labels="balanced", mu=6), "closed", 0.2)
    assert f"clean error          {found.clean_error.value:.5g}" in text
    assert f"critical ‖mu‖        {found.critical_mu.value:.5g}" in text
    assert "clean error of 0.2" in text
    assert "inside the scope" in text
    outside = call("predict", "conv", "--level", "closed", "--mu", 20).stdout  # SGD learns too much signal
    assert "OUTSIDE the scope" in outside
    assert "signal/noise" in outside


@pytest.mark.parametrize(
    ("arguments", "naming"),
    [
        (["--labels", "iid", "--level", "closed"], "labels = 'iid'"),
        (["--labels", "iid", "--rule", "sam-then-sgd"], "labels = 'iid'"),
        (["--batch", 3], "batch = 3"),
        (["--batch", 5, "--rule", "sam-then-sgd", "--level", "limit"], "batch = 5"),
        (["--rule", "sam"], "rule = 'sam'"),
        (["--noise-patches", "independent", "--patches", 3], "noise_patches"),
        (["--sigma-0", 0], "sigma_0"),
        (["--stop-loss", 0.7], "stop_loss"),
        (["--patches", 1], "patches"),
        (["--width", 1], "width"),
        (["--target", "p+0.5"], "target"),
        (["--draws", 1], "draws"),
        (["--level", "closed", "--draws", 3], "draws"),
        (["--level", "limit", "--samples", 30], "samples"),
        (["--level", "closed", "--rule", "sam-then-sgd"], "level"),
        (["--rule", "sam-then-sgd"], "gamma/(sigma_0"),
        (["--rows", 1, "--level", "closed"], "rows"),
    ],
)
def test_bad_input_ends_in_one_line(arguments, naming):
    found = call("predict", "conv", *arguments)
    assert found.exit_code == 2
    (line,) = (text for text in found.stderr.splitlines() if text.startswith("Error: "))
    assert naming in line
    assert not found.stdout


def test_specifications_of_which_nothing_is_derived():
    spec = sharpbounds.conv(labels="balanced")
    for name, value in (("density", 0.5), ("decay", 0.1), ("batch_size", 3)):
        with pytest.raises(ParameterError, match=name.partition("_")[0]):
            sharpbounds.predict(replace(spec, **{name: value}), "closed")
    for bad in ({"target": "q"}, {"target": 0.5}, {"level": "exact"}):
        with pytest.raises(ParameterError, match=next(iter(bad))):
            sharpbounds.predict(spec, **{"level": "closed", **bad})


def test_only_the_scales_enter():
    """P and sigma_p enter through c, e0 and q alone, and at d = 10¹² and 10¹⁵ nothing else is seen of d."""
    one, other = (predict(scaled(10**12, **shape), "closed") for shape in ({}, {"P": 4, "sigma_p": 0.5}))
    far = predict(scaled(10**15), "closed")
    for name in ("clean_error", "active_fraction", "steps"):
        assert other.results[name].value == pytest.approx(one.results[name].value, rel=1e-9)
        assert far.results[name].value == pytest.approx(one.results[name].value, rel=1e-5)
    assert other.critical_mu.value == pytest.approx(1.5 * one.critical_mu.value, rel=1e-9)
    assert far.critical_mu.value == pytest.approx(1000**0.25 * one.critical_mu.value, rel=1e-5)
    changed = predict(replace(scaled(10**12), init_std=3 * scaled(10**12).init_std), "closed")  # the control
    assert abs(changed.active_fraction.value - one.active_fraction.value) > 0.01


def test_closed_form_takes_few_integrals(monkeypatch):
    """Counted, not timed: integrals over the neurons' common parts in a whole prediction."""
    count, real = [0], response.ndtr
    monkeypatch.setattr(response, "ndtr", lambda x: count.__setitem__(0, count[0] + 1) or real(x))
    predict(scaled(10**12), "closed")
    assert 0 < count[0] < 100


def test_levels_agree():
    """n = 40: the drawn levels to five standard errors, the closed form as docs/asymptotics.md has it."""
    spec = scaled(n=40, m=20)
    effective, limit, closed = (predict(spec, level) for level in ("effective", "limit", "closed"))
    for name in ("clean_error", "active_fraction", "gamma", "steps", "critical_mu"):
        (one, error), (two, other) = effective.results[name], limit.results[name]
        assert abs(one - two) < 5 * np.hypot(error, other), name
    assert abs(closed.clean_error.value - effective.clean_error.value) < 0.02
    assert closed.critical_mu.value == pytest.approx(effective.critical_mu.value, rel=0.06)
    assert closed.clean_error.value != effective.clean_error.value


def test_errors_are_those_of_the_draws():
    """Over seeds the predictions scatter as their standard errors say."""
    found = [predict(scaled(c=3.0), draws=4, samples=60, seed=100 * k) for k in range(12)]
    for name in ("clean_error", "critical_mu", "gamma"):
        values = [one.results[name] for one in found]
        scatter, stated = np.std([v for v, _ in values], ddof=1), np.sqrt(np.mean([e**2 for _, e in values]))
        assert 0.4 < scatter / stated < 2.5, name


def test_critical_values_meet_their_target():
    spec = scaled(10**6, c=3.0, q=0.4)
    found = predict(spec, draws=2, samples=200)
    at = replace(spec, data=replace(spec.data, signal_norm=found.critical_mu.value))
    assert predict(at, draws=2, samples=200).test_error.value == pytest.approx(0.2, abs=1e-9)
    longer = replace(spec, rule="sam-then-sgd", sam_steps=found.sam_needed.value, radius=1.0)
    assert found.clean_error.value > 0.15
    assert predict(longer, draws=2, samples=200).clean_error.value == pytest.approx(0.125, abs=0.01)


def test_compare_prints_both():
    given = ["--labels", "balanced", "--n", 20, "--d", 10**6, "--mu", 15, "--width", 20, "--sigma-0", 4e-6]
    given += ["--eta", 8e-5, "--stop-loss", 0.1, "--seeds", 40]
    found = json.loads(call("simulate", "conv", *given, "--compare", "--json").stdout)
    assert len(found["runs"]) == 40
    assert found["prediction"]["level"] == "effective"
    rows = {row["name"]: row for row in found["comparison"]}
    assert list(rows) == ["clean_error", "test_error", "active_fraction", "margin", "gamma", "steps"]
    for name in ("clean_error", "active_fraction", "gamma", "steps"):
        row = rows[name]
        assert abs(row["deviation"]) < 4.5, row
        assert row["ratio"] == row["simulated"] / row["predicted"]
        both = np.hypot(row["simulated_error"], row["predicted_error"])
        assert row["deviation"] == pytest.approx((row["simulated"] - row["predicted"]) / both)
    seen = np.mean([run["clean_error"] for run in found["runs"]])
    assert rows["clean_error"]["simulated"] == pytest.approx(seen)
    spec = sharpbounds.conv(
        n=20, d=10**6, mu=15, width=20, sigma_0=4e-6, eta=8e-5, stop_loss=0.1, labels="balanced"
    )  # fmt: skip
    text = call("simulate", "conv", *given, "--compare", "closed").stdout
    (line,) = (row for row in text.splitlines() if row.startswith("clean error"))
    assert f"{seen:.5g} ±" in line
    assert f"{predict(spec, 'closed').clean_error.value:.5g}" in line


def test_compare_refuses():
    for arguments, naming in ((["--labels", "balanced"], "seeds = 1"), (["--seeds", 2, "--batch", 3], "batch = 3")):
        found = call("simulate", "conv", "--compare", *arguments)
        assert found.exit_code == 2
        assert naming in found.stderr
    stuck = call("simulate", "conv", "--labels", "balanced", "--compare", "closed", "--seeds", 2, "--max-steps", 3)
    assert stuck.exit_code == 2
    assert "stop_loss" in stuck.stderr


def test_iid_labels():
    """Their error exceeds the balanced one, at both drawn levels alike; nearly nothing else changes."""
    spec = scaled(c=1.0, stop_loss=0.1)
    iid = replace(spec, data=replace(spec.data, labels="iid"))
    balanced, effective, limit = predict(spec), predict(iid), predict(iid, "limit", draws=30)
    assert effective.regime.startswith("full batches, iid labels")
    assert effective.clean_error.value - balanced.clean_error.value > 5 * effective.clean_error.error
    for name in ("clean_error", "active_fraction", "gamma", "steps", "critical_mu"):
        (one, error), (two, other) = effective.results[name], limit.results[name]
        assert abs(one - two) < 4 * np.hypot(error, other), name
    assert effective.active_fraction.value == pytest.approx(balanced.active_fraction.value, rel=0.02)


def test_mini_batches():
    """A step of B = 5 is a quarter of a full batch's of four times the step size."""
    whole, split = scaled(c=1.0, e0=0.2), scaled(c=1.0, e0=0.05, batch=5)
    one, other = predict(whole, "closed"), predict(split, "closed")
    assert other.clean_error == one.clean_error
    assert other.steps.value == pytest.approx(4 * one.steps.value)
    assert other.in_scope
    assert one.steps.value != predict(scaled(c=1.0, e0=0.05), "closed").steps.value  # the control
    coarse = predict(scaled(c=1.0, e0=0.2, batch=5), "closed")
    assert [row.name for row in coarse.scope if not row.met] == ["e0 n/(B c)"]


def test_sam_is_followed_at_level_limit():
    """At tau/(sigma_0 √(2md)) = 1.1: see `ours/sam-switches`; the closed form of its phase is far off, and says so."""
    given = {"n": 20, "d": 10**6, "width": 10, "mu": 6, "labels": "balanced", "sigma_0": 4.47e-6, "eta": 2e-4}
    spec = sharpbounds.conv(**given, rule="sam-then-sgd", kappa=0.02)
    limit, silent = predict(spec, "limit"), predict(spec)
    seen = [replace(spec, seed=seed).run() for seed in range(12)]
    steps = np.mean([run.steps for run in seen])
    assert limit.steps.value == pytest.approx(steps, rel=0.03)
    assert limit.in_scope
    assert not silent.in_scope
    assert silent.steps.value > 2 * steps

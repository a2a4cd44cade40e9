"""The mutation of claims: its operators, what it leaves alone, and that a check too weak for them is seen."""

import ast
import importlib
import os
import subprocess
import sys
from dataclasses import replace

import mutants
import mutation
import numpy as np
import pytest

from theory.claim import Control, Kind, Outcome, Samples
from theory.registry import claims

FORM = "quadratics/sam-misses-optimum"


def made(source):
    """Return what the operators make of an expression, as source."""
    (node,) = ast.parse(source).body
    return {ast.unparse(variant) for variant in mutation.variants(node.value)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("2.0", {"4.0", "1.0"}), ("0", set()), ("1e-200", set()), ("True", set()), ("x", set()), ("x * y", set()),
        ("x ** 2", {"x ** 2.5", "x ** 1.5"}), ("x ** t", {"x ** (t + 0.5)", "x ** (t + -0.5)"}),
        ("a + b", {"a - b", "a", "b"}), ("a - b", {"a + b", "a", "-b"}), ("-x", {"x"}),
        ("np.sqrt(x)", {"x ** 1.0", "x ** 0.0"}), ("min(a, b)", {"max(a, b)"}), ("x.max()", {"x.min()"}),
        ("np.maximum(a, 1)", {"np.minimum(a, 1)"}),
    ],
)  # fmt: skip
def test_operators(source, expected):
    assert made(source) == expected


def test_plumbing_is_left_alone():
    source = '''def form(x, axis=2):
    """Return 3."""
    assert x > 3
    if x[5] > 7:
        return np.full((8, 9), 2.0)
    return np.sum(x.reshape(3, 4)[:, 6], axis=1) + 11
'''
    numbers = [mutation.number(site) for site in mutation.sites(ast.parse(source).body[0])]
    assert sorted(filter(None, numbers)) == [2.0, 11]


def test_functions_that_a_prediction_is_made_of():
    """A closed-over function, a method, a function of another module, one that is cached."""

    def names(claim_id, what="predict"):
        found = mutation.reached(mutation.unwrapped(getattr(claims()[claim_id], what)))
        return {function.__qualname__.rpartition(".")[2] for function, _ in found}

    assert names(FORM) == {"<lambda>", "gap_between"}
    assert {"floor", "step_cap", "linear_rate", "expected_residual"} <= names("oikonomou2025/constant-steps", "observe")
    assert "prediction" in names("ours/test-error", "observe")
    assert names("andriushchenko2022/usam-rate") == {"predict", "contraction", "gain"}


def test_modules_are_put_back():
    home = mutants.homes()[FORM]
    before = dict(sys.modules)
    functions = mutation.named(mutation.reached(mutation.unwrapped(claims()[FORM].predict)))
    mutant = next(m for m in mutation.of_source(functions) if "4.0 → 8.0" in m.text)
    samples = Samples(np.zeros(1), {"a": 5.0, "b": 1.0, "rho": 0.2})
    with mutation.mutated(home, mutant) as there:
        assert there[FORM].predict(samples) == 0.5 * claims()[FORM].predict(samples)
        assert sys.modules[home] is not before[home]
    assert {name: sys.modules[name] for name in before} == before
    assert importlib.import_module("theory.quadratics").vanishing_steps is before[home]


def fates(claim, text):
    """Return the fates of a claim's mutants whose text begins with `text`, on ten points of the form."""
    rho = np.linspace(0.1, 0.5, 10)
    given = {"a": np.full(10, 5.0), "b": np.ones(10), "rho": rho}
    samples = Samples(claims()[FORM].predict(Samples(rho, given)), given)
    first, _ = mutants.mutants(claim, claim.predict)
    found = [mutants.fate(claim, m, samples, claim.predict(samples), Outcome.HOLDS, None) for m in first]
    return [kind for m, (kind, _) in zip(first, found, strict=True) if m.text.startswith(text)]


IDENTITY = replace(claims()[FORM], kind=Kind.IDENTITY, tolerance=1e-12)


def test_killed():
    assert set(fates(IDENTITY, "")) == {"killed"}
    assert len(fates(IDENTITY, "gap_between: ")) >= 10


def test_a_weak_check_is_seen():
    """The control: with a tolerance of 3 halving goes unnoticed, and survives."""
    weak = replace(IDENTITY, tolerance=3.0)
    assert fates(weak, "÷ 2") == fates(weak, "sign") == fates(weak, "gap_between: 4.0 → 8.0") == ["survived"]


def test_bounds_that_are_weaker():
    upper, lower = (replace(IDENTITY, kind=kind) for kind in (Kind.UPPER_BOUND, Kind.LOWER_BOUND))
    assert (fates(upper, "× 2"), fates(upper, "÷ 2")) == (["weaker"], ["killed"])
    assert (fates(lower, "× 2"), fates(lower, "÷ 2")) == (["killed"], ["weaker"])
    assert fates(replace(upper, tolerance=2.0), "÷ 2") == ["survived"]


def test_equivalent():
    """Of a prediction of zero, every multiple is itself; of an ordering, the reverse is none."""
    zero = replace(IDENTITY, predict=lambda samples: 0.0 * samples.observed, tolerance=10.0)
    assert fates(zero, "× 2") == ["equivalent"]
    ordering = replace(IDENTITY, kind=Kind.ORDERING, predict=lambda samples: 0.0)
    assert fates(ordering, "reversed") == ["killed"]


def test_a_twin_carries_a_claim_that_fails():
    claim = claims()["quadratics/sam-misses-optimum-beyond"]
    predict, changes, expected = mutants.carried(claim)
    assert predict is claim.twin.predict
    assert (changes, expected) == ({}, Outcome.HOLDS)
    assert mutants.carried(replace(claim, twin=Control("same", changes={"a": 1})))[:2] == (claim.predict, {"a": 1})


def test_reasons_are_found_by_claim_and_mutant():
    written = {"a/*": {"f: *": "loose", "÷ 2": "looser"}}
    assert mutants.explained(written, "a/b", "f: x → y") == ("a/*", "f: *")
    assert mutants.explained(written, "a/b", "÷ 2") == ("a/*", "÷ 2")
    assert mutants.explained(written, "a/b", "× 2") is mutants.explained(written, "c/b", "÷ 2") is None


def test_reasons_are_about_claims():
    assert set(claims()) >= mutants.LONG
    for ids, by_mutant in mutants.reasons().items():
        assert any(mutants.fnmatchcase(name, ids) for name in claims()), ids
        assert all(isinstance(reason, str) and len(reason) > 10 for reason in by_mutant.values())


def test_whole_claims():
    """Two that are quick: nothing survives; and the same fates when asked again."""
    for name in ("quadratics/sam-sticks", "quadratics/usam-threshold"):
        _, _, rows, _ = mutants.examine(name)
        assert len(rows) >= mutants.ENOUGH
        assert {kind for _, kind, _ in rows} == {"killed"}
    assert mutants.examine(name)[2] == rows


def test_the_command_finds_the_package(tmp_path):
    """Run as a script, from anywhere, beside a folder that is called `theory` too."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, mutants.__file__, "chen2023/coefficient-growth-strong-signal"]  # out of scope: left out
    done = subprocess.run(command, cwd=tmp_path, env=outside, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("0 claims, 0 mutants")

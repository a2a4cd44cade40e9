"""The claims themselves: all found, all complete, each with a control that can fail it and margins that make sense."""

import importlib
import pkgutil
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import theory
from simulate.parameters import ParameterError
from theory import registry
from theory.claim import Claim, Hypothesis, Kind, Outcome, Paper
from theory.contract import declared
from theory.registry import claims, papers, select

ROOT = Path(__file__).resolve().parents[2]
ALL = [pytest.param(claim, id=claim.id) for claim in claims().values()]


def modules(key):
    """Return every module in a paper's folder, found on disk and not through `THEOREMS`."""
    folder = importlib.import_module(f"theory.{key}")
    return [importlib.import_module(f"theory.{key}.{m.name}") for m in pkgutil.iter_modules(folder.__path__)]


# the registry


def test_every_claim_is_found_once():
    written = [claim for key in papers() for module in modules(key) for claim in getattr(module, "CLAIMS", ())]
    found = list(claims().values())
    assert sorted(c.id for c in written) == sorted(c.id for c in found)
    assert len({c.id for c in written}) == len(written) >= 25
    assert all(name == claim.id for name, claim in claims().items())


def test_order_is_that_of_the_theorems():
    for key in papers():
        folder = importlib.import_module(f"theory.{key}")
        per_file = [importlib.import_module(f"theory.{key}.{name}").CLAIMS for name in folder.THEOREMS]
        assert [c.id for group in per_file for c in group] == [i for i in claims() if i.startswith(key + "/")]


def test_every_folder_is_a_paper():
    folders = {m.name for m in pkgutil.iter_modules(theory.__path__) if m.ispkg}
    assert set(papers()) == folders >= {"chen2023"}
    assert all(key == paper.key for key, paper in papers().items())


@pytest.mark.parametrize(
    ("claim_id", "message"), [("chen2023/decomposition", "must be unique"), ("other/decomposition", "begin with")]
)
def test_wrong_ids_are_refused(monkeypatch, claim_id, message):
    """The negative control: two claims of one id, and one filed under another paper, are errors."""
    module = importlib.import_module("theory.chen2023.sam_boundary")
    monkeypatch.setattr(module, "CLAIMS", (replace(module.CLAIMS[0], id=claim_id),))
    with pytest.raises(ValueError, match=message):
        registry.claims.__wrapped__()


def test_listing_imports_neither_numba_nor_scipy():
    code = "import sys, theory.registry as r; r.claims(); r.papers()"
    code += "; print(sorted({'numba', 'scipy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    loud = code.replace("r.papers()", "import theory.check")  # the control: judging needs both
    found = subprocess.run([sys.executable, "-c", loud], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['numba', 'scipy']"


# select


def test_select():
    everything = list(claims().values())
    assert select() == everything
    assert select(("*",)) == everything
    assert [c.id for c in select(("chen2023/sam-alone", "chen2023/decomp*"))] == [
        "chen2023/decomposition", "chen2023/sam-alone",
    ]  # fmt: skip
    growth = [c.id for c in select(("chen2023/*-upper", "chen2023/coefficient-growth-*"))]
    assert growth[:2] == ["chen2023/coefficient-growth-lower", "chen2023/coefficient-growth-upper"]  # in their order
    assert len(growth) == len(set(growth)) > 2
    assert {c.id for c in select(("*/sgd-boundary*",))} < {c.id for c in select(("*/sgd-*",))}


@pytest.mark.parametrize("pattern", ["", "decomposition", "chen2023", "CHEN2023/*", "chen2023/decomposition ", "*x*x*"])
def test_select_refuses_what_matches_nothing(pattern):
    with pytest.raises(ParameterError, match=re.escape(f"claim = {pattern!r}: must be an id or glob")):
        select(("chen2023/decomposition", pattern))


# what every claim has


@pytest.mark.parametrize("claim", ALL)
def test_claim_is_declared_in_full(claim):
    """What `sharpbounds check --declared` looks at; test_contract shows that its rules can fail."""
    assert not any(declared(claim).values()), declared(claim)
    assert claim.id.partition("/")[0] in papers()
    assert claim.formula


def test_every_outcome_that_is_expected_somewhere():
    """The negative control of the last test: the table is not all `holds`."""
    expected = {claim.expected_in("quick") for claim in claims().values()}
    assert expected == {Outcome.HOLDS, Outcome.VIOLATED, Outcome.OUT_OF_SCOPE}
    assert {claim.kind for claim in claims().values()} == set(Kind)
    assert {claim.ours for claim in claims().values()} == {True, False}


def test_expected_verdict_per_mode():
    claim = replace(claims()["chen2023/decomposition"], expected={"quick": Outcome.HOLDS, "full": Outcome.VIOLATED})
    assert [claim.expected_in(mode) for mode in ("quick", "full")] == [Outcome.HOLDS, Outcome.VIOLATED]


@pytest.mark.parametrize("paper", papers().values(), ids=papers())
def test_paper_can_be_cited(paper):
    assert isinstance(paper, Paper)
    assert all((paper.title, paper.authors, paper.venue))
    entries = re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", paper.bibtex, re.M | re.S)
    assert entries
    for _, fields in entries:
        lines = re.sub(r"\n {4,}", " ", fields)
        named = dict(re.findall(r"^  (\w+) +?= \{(.*)\},?$", lines, re.M))
        assert {"title", "author", "year"} <= set(named)
        assert all(value.count("{") == value.count("}") for value in named.values())
    title, arxiv = entries[0][1], paper.arxiv
    assert re.fullmatch(r"\d{4}\.\d{5}", arxiv) or (paper.key, arxiv) == ("ours", "")
    assert f"arXiv:{arxiv}" in title or not arxiv
    assert paper.title in title.replace("{SGD}", "SGD").replace("{SAM}", "SAM")
    assert paper.bibtex.count("{") == paper.bibtex.count("}")


# hypotheses


@pytest.mark.parametrize("claim", ALL)
def test_margins_at_the_nominal_parameters(claim):
    for hypothesis, margin in claim.margins():
        assert np.isfinite(margin), hypothesis.name
        assert margin > 0.0, hypothesis.name
    names = [hypothesis.name for hypothesis in claim.hypotheses]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("claim", ALL)
def test_margins_at_zero_are_huge(claim):
    """And no warning is raised: `show` prints them."""
    zero = {"sigma_0": 0.0, "eta": 0.0, "p": 0.0, "rho": 0.0, "gamma": 0.0}
    if "sigma_p" in claim.parameters:
        zero["mu"] = 0.0  # the signal norm; elsewhere it is the PL constant, and without one there is no theorem
    for hypothesis, margin in claim.margins(**zero):
        if hypothesis.name != "signal":
            assert 0.0 < margin < np.inf, hypothesis.name


SCALING = {  # hypothesis: {letter: exponent of the margin in it}, all others 0
    "d, signal": {"d": 1, "n": -1, "mu": -2, "P": 2, "sigma_p": 2},
    "d, samples": {"d": 1, "n": -2},
    "d, width": {"d": 1, "B": -1, "m": -1, "P": 2, "sigma_p": 2},
    "signal": {"mu": 1, "P": -1, "sigma_p": -1},
    "flips": {"p": -1},
    "sigma_0": {"sigma_0": -1, "P": -1, "sigma_p": -1, "d": -1, "n": 0.5},  # noise is the larger of the two
    "eta": {"eta": -1, "B": 1, "P": -2, "sigma_p": -2, "d": -1.5, "m": 1},  # √d > m
}


@pytest.mark.parametrize("name", SCALING)
def test_margin_scales_as_its_form(name):
    claim = claims()["chen2023/sgd-boundary"]
    place = [h.name for h in claim.hypotheses].index(name)
    fixed = claim.setting()  # nothing follows anything
    base = claim.margins(**fixed)[place][1]
    for letter, value in fixed.items():
        factor = 1.01 if letter == "p" else 4
        changed = claim.margins(**fixed | {letter: value * factor})[place][1]
        assert changed / base == pytest.approx(factor ** SCALING[name].get(letter, 0), rel=1e-12), letter


def test_margins_where_the_other_term_rules():
    claim = claims()["chen2023/sgd-boundary"]
    margins = {h.name: margin for h, margin in claim.margins(d=4, mu=1e9, sigma_0=2.0, m=50, B=20, eta=0.5)}
    assert margins["sigma_0"] == 1.0 / (2.0 * 1e9)
    assert margins["eta"] == pytest.approx(20 / (0.5 * 4 * 4))
    logs = {h.name: margin for h, margin in claim.margins(n=20, m=50)}
    assert logs["n"] == pytest.approx(20 / np.log(50))
    assert logs["m"] == pytest.approx(50 / np.log(20))


def test_condition_of_the_paper_by_hand():
    """d/(n ‖mu‖²/(P² sigma_p²)) at n = 20, d = 10⁶, P = 2, mu = (d/n)^¼ = 14.95…: 4 √(d/n)/n · … = 894.4."""
    margins = {h.name: margin for h, margin in claims()["chen2023/sgd-boundary"].margins()}
    assert margins["d, signal"] == pytest.approx(4e6 / (20 * 50_000**0.5))
    assert margins["d, samples"] == 2500.0
    assert margins["d, width"] == pytest.approx(4e6 / 200)


def test_out_of_scope():
    claim = claims()["chen2023/coefficient-growth-lower"]
    weak = claim.hypotheses[-1]
    assert weak.required == 1.0
    assert claim.in_scope()
    snr = claim.parameters["mu"] / (claim.parameters["sigma_p"] * claim.parameters["d"] ** 0.5)
    assert dict((h.name, m) for h, m in claim.margins())[weak.name] == pytest.approx(0.1 / (20 * snr**2))
    edge = claim.parameters["mu"] * (0.1 / (20 * snr**2)) ** 0.5
    assert claim.in_scope(mu=0.999 * edge)
    assert not claim.in_scope(mu=1.001 * edge)
    assert not claims()["chen2023/coefficient-growth-strong-signal"].in_scope()


def test_hidden_constants_decide_nothing():
    """Margins far below 1 are printed; only a hypothesis with a stated requirement can put a claim out of scope."""
    claim = claims()["chen2023/sgd-boundary"]
    assert all(h.required is None for h in claim.hypotheses)
    assert min(margin for _, margin in claim.margins(d=2, sigma_0=1e3)) < 1e-3
    assert claim.in_scope(d=2, sigma_0=1e3)
    strict = replace(claim, hypotheses=(Hypothesis("d", "d ≥ 10", lambda a: a["d"] / 10, 1.0),))
    assert strict.in_scope(d=10)
    assert not strict.in_scope(d=9)
    assert not replace(strict, hypotheses=(Hypothesis("d", "never", lambda a: np.nan, 1.0),)).in_scope()


def test_claims_cannot_be_changed():
    claim = claims()["chen2023/decomposition"]
    assert isinstance(claim, Claim)
    with pytest.raises(AttributeError):
        claim.tolerance = 1.0

"""Shin et al. 2025: closed forms at their limits, the failing families to the digit, and every claim's verdict."""

import importlib
import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import brentq

from simulate.linear_stability import (
    HessianFamily,
    SpikedFamily,
    mean_square_growth,
    one_step_growth,
    stable_scale,
    star_family,
)
from theory.check import check
from theory.registry import claims
from theory.shin2025 import THEOREMS, mean_square, setting, smaller_radius
from theory.shin2025.mean_square import rare_spike, star, star_spread, unequal_norms
from theory.shin2025.second_moment import second_moment
from theory.shin2025.setting import climb, families, gather, largest_curvature, moment_bound
from theory.shin2025.trace_form import climbed
from theory.shin2025.uniform_moments import largest_spread, moment_problem

SMALL = {"eta": (1.0, 0.1), "share": (0.05, 0.45), "d": (1, 3), "seeds": 10, "seed": 0}
OTHERS = THEOREMS[THEOREMS.index("linear_rate") + 1 :]  # see test_overparameterisation.py
STABILITY = [
    claim for name in THEOREMS if name not in OTHERS
    for claim in importlib.import_module(f"theory.shin2025.{name}").CLAIMS
]  # fmt: skip
GROWTH = {"one_step": one_step_growth, "mean_square": mean_square_growth}


# closed forms


@pytest.mark.parametrize("eta", [1.0, 0.01, 30.0])
@pytest.mark.parametrize("share", [1e-12, 0.05, 0.5, 1.0, 40.0])
def test_largest_curvature_is_the_root(eta, share):
    rho = share * eta
    root = brentq(lambda a: a * (1.0 + rho * a) - 2.0 / eta, 0.0, 2.0 / eta + 1.0, xtol=1e-300, rtol=1e-14)
    assert largest_curvature(eta, rho) == pytest.approx(root, rel=1e-12)
    assert largest_spread(eta, rho) == pytest.approx(root**2 / 4.0, rel=1e-12)


def test_largest_curvature_at_its_limits():
    """2/eta at rho = 0, √(2/(eta rho)) for large rho, 1 at eta = rho = 1."""
    assert largest_curvature(0.25, 0.0) == 8.0
    assert largest_curvature(1.0, 1.0) == 1.0
    assert largest_curvature(1.0, 1e12) == pytest.approx(math.sqrt(2e-12), rel=1e-5)


def test_largest_spread_falls_where_the_bound_rises():
    rho = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    assert largest_spread(1.0, rho).round(2).tolist() == [1.0, 0.73, 0.59, 0.49, 0.43]
    assert (np.diff(moment_bound(2, 1.0, rho)) > 0.0).all()
    assert (largest_spread(1.0, rho) <= moment_bound(2, 1.0, rho)).all()


def test_moment_bounds_by_hand():
    assert [moment_bound(k, 0.5, 0.125) for k in (2, 3, 4)] == [8.0, 16.0, 256.0]
    assert moment_bound(2, 0.1, 0.0) == pytest.approx(100.0)


@pytest.mark.parametrize("rho", [0.0, 0.05, 0.5, 3.0])
def test_sharp_form_is_a_pointwise_inequality(rho):
    """1 − (1 − h − rho h²)² ≤ C h(a* − h), with equality at 0 and a*; the control, C 1 % smaller, is broken."""
    a, h = largest_curvature(1.0, rho), np.geomspace(1e-6, 1e3, 20_001)
    C = (1.0 + rho * a) * (1.0 + 2.0 * rho * a)
    gain, bound = 1.0 - (1.0 - h - rho * h**2) ** 2, h * (a - h)
    assert (gain <= C * bound + 1e-12 * (1.0 + np.abs(C * bound))).all()
    assert (gain > 0.99 * C * bound + 1e-12 * (1.0 + np.abs(C * bound))).any()
    assert 1.0 - (1.0 - a - rho * a**2) ** 2 == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize("rho", [0.0, 0.1, 0.4, 1.0])
def test_moment_problem_has_no_better_law(rho):
    """The linear programme finds what the two-point law has, no more, up to its feasibility tolerance of 1e-7."""
    assert moment_problem(2, rho, 2000) == pytest.approx(largest_spread(1.0, rho), rel=1e-5)
    assert moment_problem(2, rho, 2000) <= largest_spread(1.0, rho) * (1.0 + 1e-7)
    assert moment_problem(1, rho, 500) == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("rho", [0.3, 0.5, 1.0, 3.0])
def test_third_moment_stays_below_its_bound(rho):
    """No law comes nearer to 1/(2 rho) than 4/(3√3) = 0.77, which h ∈ {0, 1} reaches at rho = 1."""
    ratio = moment_problem(3, rho, 3000) / moment_bound(3, 1.0, rho)
    assert ratio <= 4.0 / (3.0 * math.sqrt(3.0)) + 1e-9
    assert ratio > 0.6


def two_point(rho, p):
    """Return the law h = a* with probability p, else 0, as a family of d = 1: at the edge at any p."""
    return HessianFamily([[[0.0]], [[largest_curvature(1.0, rho)]]], [1.0 - p, p])


def test_fourth_moment_needs_its_hypothesis():
    """Two points break 1/(eta² rho²) from rho ≈ 4.9 eta on: eta ≥ 2 rho may be relaxed, not dropped."""
    p = 0.25 ** (1.0 / 3.0)  # maximises p − p⁴
    for rho, exceeds in ((4.8, False), (5.0, True), (10.0, True)):
        law = two_point(rho, p)
        assert one_step_growth(law, 1.0, rho) == pytest.approx(1.0, abs=1e-14)
        assert (law.spread(4) > moment_bound(4, 1.0, rho)) == exceeds
    assert two_point(10.0, p).spread(4) / moment_bound(4, 1.0, 10.0) == pytest.approx(1.2095, abs=1e-4)


@pytest.mark.parametrize("rho", [0.0, 0.2, 2.0])
def test_sharp_form_is_attained(rho):
    """h ∈ {0, a*}, halves: growth 1, s_2² = (a*/2)², M_2 = a* H; in trace form too."""
    law = two_point(rho, 0.5)
    for growth in (one_step_growth, mean_square_growth):
        assert growth(law, 1.0, rho) == pytest.approx(1.0, abs=1e-14)
    assert law.spread(2) == pytest.approx(largest_spread(1.0, rho), rel=1e-14)
    assert law.mean_spread(2) == law.spread(2)
    assert law.moment(2) == pytest.approx(largest_curvature(1.0, rho) * law.moment(1), rel=1e-14)


def test_second_moment_of_one_number():
    """d = 1, h = 1 or 3, eta = 0.5, rho = 0.2: J = 0.4 and −1.4, E J² = 1.06."""
    family = HessianFamily([[[1.0]], [[3.0]]])
    assert second_moment(family, 0.5, 0.2).item() == pytest.approx((0.4**2 + 1.4**2) / 2.0)


# the families that fail

PINNED = {
    "star at rho = 0": (star(0.0), 2, 0.942, 1.300),
    "star at rho = 0.05": (star(0.05), 2, 0.965, 1.253),
    "star at rho = 0.45": (star(0.45), 3, 0.934, 1.259),
    "rare spike": (rare_spike(), 4, 0.995, 1.015),
    "unequal norms": (unequal_norms(), 2, 0.954, 1.125),
}


@pytest.mark.parametrize(("instance", "k", "radius", "ratio"), PINNED.values(), ids=PINNED)
def test_failing_families_to_the_digit(instance, k, radius, ratio):
    """Stable in mean square, not in one step, beyond the bound; averaged over directions below it."""
    family, eta, rho = instance.family, instance.eta, instance.rho
    bound = moment_bound(k, eta, rho)
    assert round(float(mean_square_growth(family, eta, rho)), 3) == radius < 1.0
    assert round(float(family.spread(k) / bound), 3) == ratio > 1.0
    assert one_step_growth(family, eta, rho) > 1.1
    assert family.mean_spread(k) < 0.9 * bound
    assert np.linalg.eigvalsh(family.hessians).min() > -1e-12
    assert sum(family.probabilities) == pytest.approx(1.0, abs=1e-15)


def test_unequal_norms_are_of_rank_one():
    assert (np.linalg.matrix_rank(unequal_norms().family.hessians, hermitian=True) == 1).all()


@pytest.mark.parametrize("m", [1, 2, 4, 8])
def test_stars_at_the_edge(m):
    """h = q = 2√m/(1 + √m), c² = h²/m: singular, of radius 1, and beyond SGD's bound for m > 1."""
    h = 2.0 * math.sqrt(m) / (1.0 + math.sqrt(m))
    family = star_family(h, h, h / math.sqrt(m), m)
    assert mean_square_growth(family) == pytest.approx(1.0, abs=1e-13)
    assert np.abs(np.linalg.eigvalsh(family.hessians)[:, 0]).max() < 1e-14
    assert family.spread(2) == pytest.approx(star_spread(m), rel=1e-13)
    assert family.mean_spread(2) <= 1.0 + 1e-13


def test_star_spread_at_its_limits():
    assert star_spread(1) == 1.0
    assert star_spread(4) == pytest.approx(16.0 / 9.0)
    assert star_spread(1e16) == pytest.approx(4.0, rel=1e-7)


def test_an_unstable_family_is_no_counterexample(monkeypatch):
    """The negative control of the failing claims: where the given family is beyond the edge, nothing is concluded."""
    claim = claims()["shin2025/mean-square-s2"]
    unstable = SimpleNamespace(family=star(0.0).family.scaled(1.2), eta=1.0, rho=0.0)
    monkeypatch.setitem(mean_square.FAILING, "s_2²", (2, lambda: (unstable,)))
    samples = claim.observe({**claim.quick, **SMALL}, None)
    assert np.isnan(samples.observed[0])
    assert np.isfinite(samples.observed[1:]).all()


# instances


@pytest.mark.parametrize("notion", GROWTH)
def test_families_are_at_the_edge_or_inside(notion):
    """Even ones at growth 1, odd ones below; beyond the edge none is stable, except those that were well inside."""
    for one in families(SMALL, notion):
        found = GROWTH[notion](one.family, one.eta, one.rho)
        assert np.abs(found[::2] - 1.0).max() < 1e-12
        assert (found[1::2] < 1.0).all()
    for one in families(SMALL | {"beyond": 2.0}, notion):
        assert (GROWTH[notion](one.family, one.eta, one.rho)[::2] > 1.0).all()
    etas = {(one.eta, round(one.rho / one.eta, 9)) for one in families(SMALL, notion)}
    assert etas == {(1.0, 0.05), (1.0, 0.45), (0.1, 0.05), (0.1, 0.45)}
    other = families(SMALL | {"seed": 1}, notion)[0].family.hessians
    assert not np.array_equal(other, families(SMALL, notion)[0].family.hessians)


def test_units_do_not_matter():
    """H/eta at eta, rho · eta: the same points, for every step size."""
    small = SMALL | {"eta": (1.0,)}
    one, two = (
        [np.ravel(i.family.spread(2)) / moment_bound(2, i.eta, i.rho) for i in families(s, "mean_square")]
        for s in (small, small | {"eta": (7.0,)})
    )
    assert np.concatenate(one) == pytest.approx(np.concatenate(two), rel=1e-6, abs=1e-9)


def test_gathered_notes():
    given = (
        SimpleNamespace(family=np.array([1.0, 2.0]), eta=1.0, rho=0.0),
        SimpleNamespace(family=6.0, eta=2.0, rho=0.0),
    )
    samples = gather(given, lambda family, eta, rho: family, lambda eta, rho: 4.0 * eta)
    assert samples.observed.tolist() == [0.25, 0.5, 0.75]
    assert samples.given["notes"] == {"median slack": 0.5}


def test_the_search_climbs():
    """Each order's own climbers gain on average; those of k = 2 come within 5 % of the sharp form's limit."""
    start, end = (climbed({"seed": 0, "climbers": 8, "steps": steps}) for steps in (0, 80))
    for before, after in zip(start, end, strict=True):
        assert np.abs(mean_square_growth(after.family, after.eta, after.rho) - 1.0).max() < 1e-12
        for place, k in enumerate((2, 3, 4)):
            first, best = (one.family.mean_spread(k)[place::3] for one in (before, after))
            assert best.mean() > 1.3 * first.mean()
            assert best.max() < moment_bound(k, after.eta, after.rho)
    reached = max(one.family.mean_spread(2).max() for one in end) / largest_spread(1.0, 0.25)
    assert 0.95 < reached <= 1.0 + 1e-12


# smaller radii


@pytest.mark.parametrize("rho", [0.05, 0.3, 2.0])
def test_smaller_radii_in_small_dimensions(rho):
    """A search at d = 2 brings the edge at rho, over that at 0, up to a*/(2/eta), one Hessian's own, and not to 1."""
    limit = largest_curvature(1.0, rho) / 2.0

    def ratio(family):
        return stable_scale(family, 1.0, rho) / stable_scale(family, 1.0)

    best = ratio(climb(ratio, np.random.default_rng(0), 60, 3, 2, 60))
    assert 0.99 * limit < best.max() < 0.5 * (1.0 + limit)


def test_spiked_family_is_stable_at_its_radius_alone():
    """Pinned; the radius is convex in rho, and stable from about 0.5 to some multiple of RHO."""
    family = SpikedFamily(**smaller_radius.SPIKED)
    found = [family.mean_square_growth(1.0, factor * smaller_radius.RHO) for factor in (0.0, 0.5, 1.0, 1.5, 2.0)]
    assert [round(float(radius), 3) for radius in found[:3]] == [1.082, 1.003, 0.969]
    assert (np.diff(found, 2) > 0.0).all()
    assert family.one_step_growth(1.0, smaller_radius.RHO) > 10.0
    edge = smaller_radius.spiked("one_step")
    assert edge.one_step_growth(1.0, smaller_radius.RHO) == pytest.approx(1.0, abs=1e-12)
    assert edge.one_step_growth(1.0, 0.0) < 1.0
    assert smaller_radius.spiked("mean_square") == family


# hypotheses and verdicts


def test_hypothesis_has_its_margin():
    claim = claims()["shin2025/one-step-moments"]
    assert claim.margins(eta=1.0, rho=0.2)[0][1] == 2.5
    assert claim.in_scope(eta=1.0, rho=0.5)
    assert not claim.in_scope(eta=1.0, rho=0.51)
    assert claim.in_scope(eta=1.0, rho=0.0)
    assert max(setting.QUICK["share"] + setting.FULL["share"]) < 0.5


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("claim", STABILITY, ids=lambda claim: claim.id)
def test_every_verdict_is_the_expected_one(claim, seed):
    record = check(claim, "quick", seed)
    assert record.rejected
    assert record.passed

"""Mean-square stability bounds the curvature, but not the spread of the moments.

Setting. The spectral radius of Sigma → E J_i Sigma J_i is at most 1: E‖x_t‖² stays bounded from every x_0. One-step
stability asks more: no E‖x‖² may grow in any step.

Claim. a(1 + rho a) ≤ 2/eta still holds. The bounds on s_2², s_3², s_4² do not: a direction may be noisier than one-step
stability allows if its noise goes where it is damped. They hold if the Hessians commute, or are of rank one with equal
norms; with unequal norms they fail again. `trace_form` has the repair.

How far. Under SGD the star of m leaves, centre and leaves alike and singular, is at the edge with s_2² equal to

    4m/(1 + √m)² · 1/eta²,    which rises from 1 at m = 1 to 4 as d = m + 1 → ∞.

Why. The radius is at least that of (E J_i)², which is all that the bound on a needs. Commuting Hessians: the radius is
lambda_max(E J_i²). Equal norms h: tr E J_i² ≤ d says h(1 + rho h) ≤ 2/eta, and then E J_i² ⪯ I. The rest is the
families below, and random ones break s_2² too. Stars: docs/shin2025.md.

Source. Shin et al. 2025, Theorem 1, stability read as boundedness of E‖x_t‖²; the counterexamples are ours.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.domain import Choice, Range
from theory.shin2025.one_step import STEEPER, curvature_samples
from theory.shin2025.setting import (
    ANY_RADIUS,
    AT_EDGE,
    BEYOND,
    COMMUTING,
    EQUAL_NORM,
    FULL,
    LARGE_STEP,
    MOMENTS,
    NOMINAL,
    QUICK,
    SOURCE,
    Instances,
    Kinds,
    families,
    gather,
    moment_bound,
    moment_samples,
    searched_domain,
    unit,
)
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.linear_stability import HessianFamily

STARS = {  # rho: centre, leaf, coupling, leaves of `simulate.linear_stability.star_family`; eta = 1
    0.0: (1.15, 1.15, np.sqrt(0.65), 2),
    0.05: (1.17, 1.21, 0.59, 4),
    0.45: (0.80, 0.76, 0.385, 4),
}


def star(rho: float) -> Instances:
    """Return the star family that breaks s_2² (rho = 0, 0.05) or s_3² (rho = 0.45), with eta = 1."""
    from simulate.linear_stability import star_family

    return Instances(star_family(*STARS[rho]), 1.0, rho)


def rare_spike() -> Instances:
    """Return the family that breaks s_4²: 0.82843 I, and with probability 1e-5 a spike 44.5 ĝĝᵀ near the first axis."""
    from simulate.linear_stability import cone, mixture

    g = cone(np.sqrt(2.0) - 1.0)
    return Instances(mixture((1e-5, 44.5 * _outer(g)), (1.0 - 1e-5, 0.82843 * np.eye(3)[None])), 1.0, 0.25)


def unequal_norms() -> Instances:
    """Return the rank-one family that breaks s_2² under SGD: spikes on the axes, of other norms than the cone's."""
    from simulate.linear_stability import cone, mixture

    axes = _outer(np.eye(3))
    parts = ((0.83, 1.6 * _outer(cone(0.5))), (0.119, 0.9 * axes[1:]), (0.051, 4.0 * axes[:1]))
    return Instances(mixture(*parts), 1.0, 0.0)


def searched_star(settings: Settings) -> "HessianFamily":
    """Return a star by its own numbers, to be scaled: leaf over centre, coupling as a share of what is PSD, leaves."""
    from simulate.linear_stability import star_family

    leaf, leaves = settings["leaf/centre"], settings["leaves"]
    return star_family(1.0, leaf, settings["coupling"] * np.sqrt(leaf / leaves), leaves)


def searched_spikes(settings: Settings) -> "HessianFamily":
    """Return spikes on a cone beside I by their own numbers, to be scaled: their height, share on the axis, weight."""
    from simulate.linear_stability import cone, mixture

    spikes, P = settings["height"] * _outer(cone(settings["axis"])), settings["weight"]
    return mixture((P, spikes), (1.0 - P, np.eye(3)[None]))


def _outer(vectors: FloatArray) -> FloatArray:
    return vectors[:, :, None] * vectors[:, None, :]


def star_spread(m: Numbers) -> Any:
    """Return eta² s_2² of the singular star of m leaves at SGD's edge, 4m/(1 + √m)²."""
    return 4.0 * m / (1.0 + np.sqrt(m)) ** 2


FAILING: dict[str, tuple[int, Callable[[], tuple[Instances, ...]]]] = {
    "s_2²": (2, lambda: (star(0.0), star(0.05))),
    "s_3²": (3, lambda: (star(0.45),)),
    "s_4²": (4, lambda: (rare_spike(),)),
    "rank one": (2, lambda: (unequal_norms(),)),
}
"""The order k that fails, and the families it fails at."""

STAR = {
    "leaf/centre": Range(0.2, 5.0, 1.0, log=True),
    "coupling": Range(0.0, 1.0, 1.0),
    "leaves": Choice((1, 2, 4, 8)),
}
SPIKES = {
    "height": Range(1.0, 1000.0, 10.0, log=True),
    "axis": Range(0.01, 0.99, 0.5),
    "weight": Range(1e-6, 0.5, 0.1, log=True),
}
FAILING_DOMAINS = {
    "s_2²": searched_domain(),
    "s_3²": replace(searched_domain(settings={"built by": searched_star}), coordinates=STAR | {"share": MOMENTS}),
    "s_4²": replace(searched_domain(settings={"built by": searched_spikes}), coordinates=SPIKES | {"share": MOMENTS}),
    "rank one": searched_domain(without=("rank", "ridge")),
}
"""Where each is searched: any family, or stars and rare spikes where few of all that are small break the bound."""


def observe_curvature(settings: Settings, runner: Runner) -> Samples:
    """Observe the curvature at the edge of mean-square stability."""
    return curvature_samples(families(settings, "mean_square"), settings["slope"])


def observe_failing(settings: Settings, runner: Runner) -> Samples:
    """s_k² (or its mean over directions) over its bound: settings["case"], then random families at the edge.

    Not finite, and so inconclusive, if one of the families should not be stable.
    """
    from simulate.linear_stability import mean_square_growth, stable_scale

    order, build = FAILING[settings["case"]]
    kinds = (("rank-one", 7),) if settings["case"] == "rank one" else (("dense", 6), ("rank-one", 7))
    if isinstance(settings["share"], tuple):
        given = build()
        instances = given + families(settings, "mean_square", kinds)
    elif "entries" in settings:
        given, instances = (), families(settings, "mean_square")
    else:
        given, rho = (), settings["share"]
        family = settings["built by"](settings)
        instances = (Instances(family.scaled(stable_scale(family, 1.0, rho)), 1.0, rho),)
    samples = gather(
        instances,
        lambda family, eta, rho: getattr(family, settings["spread"])(order),
        lambda eta, rho: moment_bound(order, eta, rho),
    )
    radius = [np.ravel(mean_square_growth(one.family, one.eta, one.rho)) for one in instances]
    observed = np.where(np.concatenate(radius) <= 1.0 + 1e-12, samples.observed, np.nan)
    notes = {"given": [float(x) for x in observed[: len(given)]], "radii": [float(r[0]) for r in radius[: len(given)]]}
    return Samples(observed, {"notes": samples.given["notes"] | notes})


def observe_stars(settings: Settings, runner: Runner) -> Samples:
    """eta² s_2² of singular stars, scaled to SGD's edge of mean-square stability, by number of leaves."""
    from simulate.linear_stability import stable_scale, star_family

    found = []
    for m in settings["leaves"]:
        family = star_family(1.0, 1.0, 1.0 / np.sqrt(m), m)
        found.append(family.spread(2) * stable_scale(family) ** 2)
    return Samples(np.array(found), {"m": np.array(settings["leaves"])})


def observe_holding(kinds: Kinds) -> Callable[[Settings, Runner], dict[str, Samples]]:
    """Return the observation of s_2², s_3², s_4² over their bounds for kinds of families where they hold."""
    return lambda settings, runner: moment_samples(families(settings, "mean_square", kinds), "spread")


COMMON: dict[str, Any] = {"kind": Kind.UPPER_BOUND, "predict": unit, **AT_EDGE}
BOUNDS = {2: "s_2² ≤ 1/(eta(eta−2rho))", 3: "s_3² ≤ 1/(2eta² rho)", 4: "s_4² ≤ 1/(eta² rho²)"}
FORMULAS = {
    2: r"s_2^2\le\frac{1}{\eta(\eta-2\rho)}", 3: r"s_3^2\le\frac{1}{2\eta^2\rho}", 4: r"s_4^2\le\frac{1}{\eta^2\rho^2}",
}  # fmt: skip
STABLE = r"r(\Sigma\mapsto\mathbb{E}J_i\Sigma J_i)\le1\implies "


def failing(name: str, case: str, title: str, share: tuple[float, ...]) -> Claim:
    """Return the claim that a bound holds under mean-square stability, which it does not."""
    settings = {"spread": "spread", "case": case, "share": share}
    order = FAILING[case][0]
    return Claim(
        id=f"shin2025/{name}",
        title=title,
        statement=f"radius of Sigma → E J_i Sigma J_i ≤ 1 ⇒ {BOUNDS[order]}"
        + (", H_i of rank one" if case == "rank one" else ""),
        formula=STABLE + FORMULAS[order],
        source=SOURCE,
        hypotheses=(LARGE_STEP,),
        parameters=NOMINAL | {"rho": share[0]},
        observe=observe_failing,
        control=Control("a tenth of the bound", lambda samples: 0.1 * unit(samples)),
        twin=Control("tr/d in place of lambda_max, on the same families", changes={"spread": "mean_spread"}),
        quick=QUICK | settings,
        full=FULL | settings,
        expected=Outcome.VIOLATED,
        domain=FAILING_DOMAINS[case],
        **COMMON,
    )


CLAIMS = (
    Claim(
        id="shin2025/mean-square-curvature",
        title="Mean-square stability bounds the curvature",
        statement="radius of Sigma → E J_i Sigma J_i ≤ 1 ⇒ a(1 + rho a) ≤ 2/eta, at any rho",
        formula=r"r(\Sigma\mapsto\mathbb{E}J_i\Sigma J_i)\le1\implies a(1+\rho a)\le\frac2\eta",
        source=SOURCE,
        hypotheses=(),
        parameters=NOMINAL,
        observe=observe_curvature,
        domain=searched_domain(ANY_RADIUS),
        **STEEPER,
        **COMMON,
    ),
    failing("mean-square-s2", "s_2²", "Mean-square stability bounds the spread of the Hessians", (0.0, 0.05)),
    failing("mean-square-s3", "s_3²", "Mean-square stability bounds the spread of the third moment", (0.45,)),
    failing("mean-square-s4", "s_4²", "Mean-square stability bounds the spread of the fourth moment", (0.25,)),
    failing("mean-square-rank-one", "rank one", "Rank-one Hessians of any norms: the spread is bounded", (0.0,)),
    Claim(
        id="shin2025/mean-square-stars",
        title="How far mean-square stability lets the spread go",
        statement="a star of m leaves is stable under SGD with eta² s_2² = 4m/(1 + √m)², up to 4 times the bound",
        formula=r"\eta^2s_2^2=\frac{4m}{(1+\sqrt m)^2}",
        source=f"derived here (docs/shin2025.md), against {SOURCE}",
        kind=Kind.IDENTITY,
        hypotheses=(),
        parameters=NOMINAL | {"rho": 0.0},
        observe=observe_stars,
        predict=lambda samples: star_spread(samples.given["m"]),
        tolerance=1e-11,
        tolerance_reason="the edge is found up to 1e-13 in growth, and Lanczos iteration up to rounding",
        control=Control("the bound, 1", unit),
        quick={"leaves": (1, 2, 4, 8, 16)},
        full={"leaves": (1, 2, 4, 8, 16, 32, 64)},
        ours=True,
    ),
    *(
        Claim(
            id=f"shin2025/mean-square-{name}",
            title=f"Where the spread is bounded: {what}",
            statement=f"radius of Sigma → E J_i Sigma J_i ≤ 1 ⇒ {', '.join(BOUNDS.values())}: {what}",
            formula=STABLE + r" \qquad ".join(FORMULAS.values()),
            source=f"derived here (docs/shin2025.md); a case of {SOURCE}",
            hypotheses=(LARGE_STEP,),
            parameters=NOMINAL,
            observe=observe_holding(kinds),
            control=Control("the same families times two: beyond the edge", changes=BEYOND),
            quick=QUICK | {"seeds": 150},
            full=FULL | {"seeds": 200},
            ours=True,
            domain=searched_domain(MOMENTS, without, settings={"kind": kinds[0][0]}),
            **COMMON,
        )
        for name, what, kinds, without in (
            ("commuting", "commuting Hessians", COMMUTING, ("rank",)),
            ("equal-norms", "rank-one Hessians of equal norms", EQUAL_NORM, ("rank", "ridge")),
        )
    ),
)

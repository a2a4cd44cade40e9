"""A minimum that is stable at a radius is stable at every smaller one: in one step, not in mean square.

Setting. One family of Hessians, one step size, two radii rho' < rho.

Claim. In one step, yes: E J_i² ⪯ I at rho implies it at rho'. SAM then chooses among the minima SGD can stay at.

In mean square, no. Large Hessians, each sharp in a direction of its own and a little along a common one, damp the
common direction more under SAM than under SGD; on the other draws it may then be sharper than SGD can bear. With
d = 10⁶ + 1 the radius of Sigma → E J_i Sigma J_i is 0.969 at rho = 0.01 eta and 1.082 at rho = 0. Random families show
nothing of it.

Why. The sharp form M_2 ⪯ a* H with a* ≤ 2/eta is one-step stability at rho' = 0. Between, E‖J_i x‖² is convex in rho.

Source. Shin et al. 2025, on the role of rho in Theorem 1; both answers are ours (docs/shin2025.md).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.domain import Domain, Range
from theory.shin2025.setting import ANY_RADIUS, AT_EDGE, FULL, NOMINAL, QUICK, families, searched_domain, unit
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.linear_stability import SpikedFamily

SPIKED = {"centre": 2.25, "leaf": 1.0, "spike": 150.0, "share": 0.0015, "weight": 0.5, "leaves": 10**6}
RHO = 0.01
"""`simulate.linear_stability.SpikedFamily` that is stable at eta = 1 and this rho, and unstable at 0."""

GROWTH = {"one_step": "lambda_max(E J_i²)", "mean_square": "radius of Sigma → E J_i Sigma J_i"}


def spiked(notion: str, family: Mapping[str, Any] | None = None, rho: float = RHO) -> "SpikedFamily":
    """Return a spiked family, scaled to the edge where it is not stable at rho; SPIKED is not in one step."""
    from scipy.optimize import brentq

    from simulate.linear_stability import SpikedFamily

    given = SpikedFamily(**(family or SPIKED))

    def scaled(c: float) -> "SpikedFamily":
        return replace(given, centre=c * given.centre, leaf=c * given.leaf, spike=c * given.spike)

    def excess(c: float) -> Any:
        return getattr(scaled(c), f"{notion}_growth")(1.0, rho) - 1.0

    return given if excess(1.0) <= 0.0 else scaled(brentq(excess, 1e-9, 1.0, xtol=1e-18))


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Growth at factor · rho of families that are stable at rho, the spiked one first; an axis for every factor."""
    from simulate import linear_stability

    name = f"{settings['notion']}_growth"
    growth, special = getattr(linear_stability, name), spiked(settings["notion"])
    instances, axes = families(settings, settings["notion"]), {}
    for factor in settings["factors"]:
        first = getattr(special, name)(1.0, factor * RHO)
        others = [growth(one.family, one.eta, factor * one.rho) for one in instances]
        notes = {"spiked": first, "largest of the others": float(max(found.max() for found in others))}
        axes[f"{factor:g} rho"] = Samples(np.concatenate([[first], *others]), {"notes": notes})
    return axes


def observe_searched(settings: Settings, runner: Runner) -> Samples:
    """Growth at settings["factors"] of rho of one family, searched by its entries, at the edge of stability at rho."""
    from simulate import linear_stability

    growth = getattr(linear_stability, f"{settings['notion']}_growth")
    (one,) = families(settings, settings["notion"])
    return Samples(np.array([growth(one.family, one.eta, factor * one.rho) for factor in settings["factors"]]))


def observe_spiked(settings: Settings, runner: Runner) -> Samples:
    """Growth at settings["factors"] of rho of one spiked family, at the edge of stability at rho."""
    family = spiked(settings["notion"], {name: settings[name] for name in SPIKED}, settings["rho"])
    growth = getattr(family, f"{settings['notion']}_growth")
    return Samples(np.array([growth(1.0, factor * settings["rho"]) for factor in settings["factors"]]))


SPIKED_DOMAIN = Domain(
    {
        "centre": Range(0.1, 10.0, 1.0, log=True),
        "leaf": Range(0.1, 10.0, 1.0, log=True),
        "spike": Range(1.0, 1e4, 100.0, log=True),
        "share": Range(1e-5, 0.5, 0.1, log=True),
        "weight": Range(0.01, 0.99, 0.5),
        "leaves": Range(1, 10**7, 1, log=True, integer=True),
        "rho": Range(1e-4, 1.0, 0.1, log=True),
    },
    observe_spiked,
)
"""Spiked families, whose growth is exact however many leaves there are: random small ones show nothing."""

FACTORS = (0.0, 0.5, 0.9)
COMMON: dict[str, Any] = {
    "kind": Kind.UPPER_BOUND, "hypotheses": (), "parameters": NOMINAL, "observe": observe, "predict": unit,
    "control": Control("larger radii", changes={"factors": (1.1, 1.5, 2.0)}), "ours": True, **AT_EDGE,
}  # fmt: skip


def settings(notion: str) -> dict[str, Any]:
    """Return the quick and full settings for a notion of stability."""
    fixed = {"notion": notion, "factors": FACTORS}
    return {
        "quick": QUICK | fixed | {"share": (0.05, 0.45, 2.0)},
        "full": FULL | fixed | {"share": (0.05, 0.2, 0.45, 1.0, 2.0, 10.0)},
    }


CLAIMS = (
    Claim(
        id="shin2025/smaller-radius",
        title="Stable at a radius, stable at every smaller one",
        statement=f"{GROWTH['one_step']} ≤ 1 at rho ⇒ ≤ 1 at every rho' in [0, rho]",
        formula=(
            r"\lambda_{\max}(\mathbb{E}J_i^2)\le1\ \text{at}\ \rho\implies\lambda_{\max}(\mathbb{E}J_i^2)"
            r"\le1\ \text{at}\ \rho'\le\rho"
        ),
        source="derived here (docs/shin2025.md), after Shin, Lee, Andriushchenko & Lee 2025, Theorem 1",
        domain=searched_domain(ANY_RADIUS, observe=observe_searched),
        **settings("one_step"),
        **COMMON,
    ),
    Claim(
        id="shin2025/smaller-radius-mean-square",
        title="The same in mean square",
        statement=f"{GROWTH['mean_square']} ≤ 1 at rho ⇒ ≤ 1 at every rho' in [0, rho]",
        formula=r"r(\Sigma\mapsto\mathbb{E}J_i\Sigma J_i)\le1\ \text{at}\ \rho\implies r\le1\ \text{at}\ \rho'\le\rho",
        source="the other reading of shin2025/smaller-radius; counterexample derived here (docs/shin2025.md)",
        twin=Control("in one step", changes={"notion": "one_step"}),
        expected=Outcome.VIOLATED,
        domain=SPIKED_DOMAIN,
        **settings("mean_square"),
        **COMMON,
    ),
)

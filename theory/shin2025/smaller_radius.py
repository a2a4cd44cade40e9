"""A minimum that is stable at a radius is stable at every smaller one.

Setting. One family of Hessians, one step size, two radii rho' < rho.

Claim. One-step stability at rho implies it at rho'. So SAM chooses among the minima that SGD can stay at.

Why. The sharp form M_2 ⪯ a* H with a* ≤ 2/eta is one-step stability at rho' = 0. Between, E‖J_i x‖² is convex in rho.

The same under mean-square stability is observed, also by searches that tried to break it, and not proved: the radius
is convex in rho there too, but it is not known to be at most 1 at rho = 0.

Source. Shin et al. 2025, on the role of rho in Theorem 1; made precise here.
"""

import numpy as np

from theory.claim import Claim, Control, Kind, Samples
from theory.shin2025.setting import AT_EDGE, FULL, NOMINAL, QUICK, families, unit

GROWTH = {"one_step": "lambda_max(E J_i²)", "mean_square": "radius of Sigma → E J_i Sigma J_i"}


def observe(settings, runner):
    """Growth at factor · rho of families that are stable, most at the edge, at rho; a smaller rho per setting."""
    from simulate import linear_stability

    growth = getattr(linear_stability, f"{settings['notion']}_growth")
    instances = families(settings, settings["notion"])
    found = {
        f"{factor:g} rho": np.concatenate([growth(one.family, one.eta, factor * one.rho) for one in instances])
        for factor in settings["factors"]
    }
    return {name: Samples(values, {"notes": {"median": float(np.median(values))}}) for name, values in found.items()}


def settings(notion):
    """Return the quick and full settings for a notion of stability."""
    shares, factors = (0.05, 0.45, 2.0), (0.0, 0.5, 0.9)
    fixed = {"notion": notion, "factors": factors}
    return {"quick": QUICK | fixed | {"share": shares}, "full": FULL | fixed | {"share": (*shares, 0.2, 1.0, 10.0)}}


CLAIMS = tuple(
    Claim(
        id=f"shin2025/smaller-radius{suffix}",
        title=title,
        statement=f"{GROWTH[notion]} ≤ 1 at rho ⇒ ≤ 1 at every rho' in [0, rho]",
        source=source,
        kind=Kind.UPPER_BOUND,
        hypotheses=(),
        parameters=NOMINAL,
        observe=observe,
        predict=unit,
        control=Control("larger radii", changes={"factors": (1.1, 1.5, 2.0)}),
        ours=True,
        **settings(notion),
        **AT_EDGE,
    )
    for notion, suffix, title, source in (
        (
            "one_step", "", "Stable at a radius, stable at every smaller one",
            "derived here (docs/linear_stability.md), after Shin, Lee, Andriushchenko & Lee 2025, Theorem 1",
        ),
        (
            "mean_square", "-mean-square", "The same in mean square: a conjecture",
            "observed here, not proved (docs/linear_stability.md)",
        ),
    )
)  # fmt: skip

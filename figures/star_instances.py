"""How far mean-square stability lets the spread of the Hessians go, and what breaks the bounds.

Left: eta² s_2² of singular stars at SGD's edge of mean-square stability, in units of the bound that one-step stability
gives, by the number of leaves m: 4m/(1 + √m)² → 4 (`shin2025/mean-square-stars`). Right: s_k² over its bound and the
growth radius of Sigma → E J_i Sigma J_i, for families scaled up from 0 to the edge of stability: thin lines, forty
random ones (dense, d = 3, k = 2, rho = 0); thick ones, the counterexamples of `shin2025/mean-square-s2`, `-s3`, `-s4`
and `-rank-one`, marked where the claims look at them. In the shaded quadrant a family is stable and its spread above
the bound.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import BACKGROUND, FLOOR, N_SAM, SAM, SGD, THEORY, TWO_PANELS
from theory.shin2025.mean_square import FAILING, observe_stars, star_spread
from theory.shin2025.setting import moment_bound

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.linear_stability import HessianFamily
    from simulate.runner import Runner

LEAVES = tuple(2**k for k in range(8))
SCALES = np.linspace(0.0, 1.0, 81)  # in units of the edge of stability
RANDOM = 40
CASES: dict[str, Any] = FAILING
STYLES = {
    "s_2²": (SGD, "*", r"star, $s_2^2$"),
    "s_3²": (SAM, "s", r"star, $s_3^2$"),
    "s_4²": (N_SAM, "D", r"rare spike, $s_4^2$"),
    "rank one": (THEORY, "o", r"rank one, $s_2^2$"),
}


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return "stars" (leaves,), "random" (2, families, scales), "case/k" (2, scales) and "case/k/at" (2,) of FAILING.

    Pairs are s_k² over its bound and the growth radius.
    """
    from simulate.linear_stability import draw_families, stable_scale

    data = {"stars": observe_stars({"leaves": LEAVES}, runner).observed}
    families = draw_families("dense", RANDOM, 6, 3, 0)
    data["random"] = path(families, 1.0, 0.0, 2, stable_scale(families)[:, None] * SCALES)
    for case, (order, build) in CASES.items():
        for k, one in enumerate(build()):
            edge = stable_scale(one.family, one.eta, one.rho)
            for name, scales in (("", edge * SCALES), ("/at", np.ones(1))):
                data[f"{case}/{k}{name}"] = path(one.family, one.eta, one.rho, order, scales)
    return data


def path(family: "HessianFamily", eta: float, rho: float, order: int, scales: np.ndarray) -> np.ndarray:
    """Return s_k² over its bound and the growth radius (2, ..., scales) of a family (...) scaled by (..., scales)."""
    from simulate.linear_stability import mean_square_growth

    scaled = [family.scaled(factor) for factor in np.moveaxis(scales, -1, 0)]
    spread = np.stack([one.spread(order) for one in scaled], axis=-1) / moment_bound(order, eta, rho)
    return np.stack([spread, np.stack([mean_square_growth(one, eta, rho) for one in scaled], axis=-1)])


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    with plt.rc_context(TWO_PANELS):
        figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.5))
        leaves = np.geomspace(LEAVES[0], LEAVES[-1], 100)
        left.plot(leaves, star_spread(leaves), color=THEORY, lw=1.2, label=r"$4m/(1+\sqrt{m})^2$")
        left.plot(LEAVES, data["stars"], "*", color=SGD, ms=8, label="singular stars at the edge")
        for level, text in ((4.0, "limit 4"), (1.0, "one-step bound")):
            left.axhline(level, color=FLOOR, ls="--", lw=1.0)
            left.annotate(text, (LEAVES[-1], level), (0, 3), textcoords="offset points", ha="right", color=THEORY)
        left.set(xscale="log", xlabel="leaves $m$", ylabel=r"$\eta^2 s_2^2$", ylim=(0.0, 4.5))
        left.set_xticks(LEAVES[::2], [f"{m}" for m in LEAVES[::2]])
        left.minorticks_off()
        left.set_title("A star's spread: up to 4 times the bound")
        left.legend(loc="lower right")
        right.fill_between([1.0, 2.0], 0.0, 1.0, color=BACKGROUND, lw=0)
        right.plot(*data["random"].transpose(0, 2, 1), color=FLOOR, lw=0.5, alpha=0.7)
        for case, (colour, marker, label) in STYLES.items():
            for k in range(len(CASES[case][1]())):
                right.plot(*data[f"{case}/{k}"], color=colour, lw=1.5)
                right.plot(*data[f"{case}/{k}/at"], marker, color=colour, ms=7, label=label if k == 0 else None)
        right.axhline(1.0, color=THEORY, lw=0.8)
        right.axvline(1.0, color=THEORY, lw=0.8)
        right.set(xlabel=r"$s_k^2$ over its bound", ylabel="growth radius", xlim=(0.0, 1.5), ylim=(0.4, 1.03))
        right.set_title("Stable, and above the bound")
        handles, labels = right.get_legend_handles_labels()
        handles += right.plot([], [], color=FLOOR, lw=0.8)
        figure.legend(handles, [*labels, "random, $s_2^2$"], loc="outside lower center", ncols=5, columnspacing=1.4)
    return figure

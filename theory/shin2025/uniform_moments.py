"""SAM asks for more uniform Hessians than SGD, the more the larger rho.

Setting. One-step stability, any dimension, any law of the Hessians.

Claim. The largest s_2² that is stable is (a*/2)², which falls as rho grows: eta² s_2² ≤ 1, 0.73, 0.59, 0.49, 0.43 at
rho/eta = 0, 0.1, 0.2, 0.3, 0.4. (The paper's bound 1/(eta(eta − 2 rho)) rises and does not show it.) So a family scaled
to the edge is less spread the larger rho. SGD limits neither s_3 nor s_4: with a spike of probability p beside a tame
family, at the edge, s_3² ∝ p^(−1/2) and s_4² ∝ p^(−1) as p → 0, while SAM keeps both below its bounds.

Why. Of a direction's spectral law E(1 − eta h − eta rho h²)² ≤ 1 is known, and any such law is a family with d = 1: the
largest s_2² is that of a scalar moment problem, solved by the sharp form of `one_step` and h in {0, a*}, halves.
A spike of height h costs SGD eta² p h² and adds p h³, p h⁴.

Source. Shin et al. 2025, the reading of Theorem 1; the exact values are ours.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Kind, Samples
from theory.domain import Domain, Range
from theory.shin2025.setting import KINDS, NOMINAL, SOURCE, largest_curvature, moment_bound
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.linear_stability import HessianFamily


def largest_spread(eta: Numbers, rho: Numbers) -> Any:
    """Return (a*/2)², the largest s_2² under one-step stability."""
    return (0.5 * largest_curvature(eta, rho)) ** 2


def moment_problem(k: int, rho: float, grid: int) -> float:
    """Return sup E h^k − (E h)^k over laws on a grid of `grid` points with E(1 − h − rho h²)² ≤ 1 (eta = 1).

    A linear programme in the law at every mean m, and a search for the best m; nothing of the closed form enters.
    """
    from scipy.optimize import linprog, minimize_scalar

    top = 8.0 / (1.0 + np.sqrt(rho))  # beyond the support of the best law at k = 2
    h = np.linspace(0.0, top, grid)
    growth = (1.0 - h - rho * h**2) ** 2 - 1.0

    def shortfall(m: float) -> float:
        found = linprog(-(h**k), A_ub=growth[None], b_ub=[0.0], A_eq=np.stack([h, np.ones(grid)]), b_eq=[m, 1.0])
        return found.fun + m**k if found.status == 0 else 1.0 + m

    found = minimize_scalar(shortfall, bounds=(0.0, top / 4.0), method="bounded", options={"xatol": 1e-7})
    return -float(found.fun)


def observe_largest(settings: Settings, runner: Runner) -> Samples:
    """Solve the moment problem at every rho/eta."""
    found = [moment_problem(2, share, settings["grid"]) for share in settings["share"]]
    return Samples(np.array(found), {"share": np.array(settings["share"])})


def observe_edge(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """s_2² at the edge of one-step stability at one rho less that at the next, mean over kinds and dimensions."""
    from simulate.linear_stability import draw_families, one_step_growth, stable_scale

    count, axes = settings["seeds"], {}
    drawn = [draw_families(kind, count, n, d, settings["seed"]) for kind, n in KINDS if n > 1 for d in settings["d"]]
    spreads = {
        rho: np.mean([f.spread(2) * stable_scale(f, 1.0, rho, one_step_growth) ** 2 for f in drawn], axis=0)
        for rho in settings["rho"]
    }
    for small, large in zip(settings["rho"], settings["rho"][1:], strict=False):
        pair = {"first": spreads[small], "second": spreads[large]}
        axes[f"rho {small:g} − {large:g}"] = Samples(pair["first"] - pair["second"], pair)
    return axes


def observe_spikes(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """s_3² and s_4² of SGD's edge with a spike of probability p → 0 beside a tame random family: (p, seeds)."""
    from simulate.linear_stability import HessianFamily, draw_families, one_step_growth
    from simulate.streams import stream

    count, d = settings["seeds"], settings["d"]
    tame = draw_families("dense", count, 4, d, settings["seed"])
    tame = tame.scaled(1.0 / np.linalg.eigvalsh(tame.hessians)[..., -1].max(axis=-1))
    g = stream("spikes", settings["seed"], count=count, dimension=d).standard_normal((count, d))
    g /= np.linalg.norm(g, axis=1, keepdims=True)
    spike = (g[:, :, None] * g[:, None, :])[:, None]
    axes: dict[str, list[FloatArray]] = {"s_3²": [], "s_4²": []}
    for p in settings["p"]:
        weights = np.concatenate([np.full((count, 1), p), (1.0 - p) * tame.probabilities], axis=1)

        def family(height: FloatArray, weights: FloatArray = weights) -> "HessianFamily":
            spikes = height[:, None, None, None] * spike
            return HessianFamily(np.concatenate([spikes, tame.hessians], axis=1), weights)

        low, high = np.zeros(count), np.full(count, 4.0 / np.sqrt(p))
        for _ in range(60):  # growth is convex in the height, and at most 1 at 0
            middle = 0.5 * (low + high)
            stable = one_step_growth(family(middle)) <= 1.0
            low, high = np.where(stable, middle, low), np.where(stable, high, middle)
        edge = family(low)
        for k in (3, 4):
            axes[f"s_{k}²"].append(edge.spread(k))
    return {name: Samples(np.array(rows), {"x": np.array(settings["p"])}) for name, rows in axes.items()}


CLAIMS = (
    Claim(
        id="shin2025/largest-spread",
        title="The largest stable spread of the Hessians falls with rho",
        statement="max s_2² under E J_i² ⪯ I is (a*/2)², a* = (√(1 + 8rho/eta) − 1)/(2rho): attained, falling in rho",
        formula=(
            r"\max_{\mathbb{E}J_i^2\preceq I}s_2^2=\frac{(a^*)^2}{4} \qquad a^*=\frac{\sqrt{1+8\rho/\eta}-1}{2\rho}"
        ),
        source=f"derived here (docs/shin2025.md); sharpens {SOURCE}",
        kind=Kind.IDENTITY,
        hypotheses=(),
        parameters=NOMINAL,
        observe=observe_largest,
        predict=lambda samples: largest_spread(1.0, samples.given["share"]),
        tolerance=1e-5,
        tolerance_reason="the grid of the linear programme, second order in its width",
        control=Control(
            "the paper's bound 1/(eta(eta − 2 rho))", lambda samples: moment_bound(2, 1.0, samples.given["share"])
        ),
        quick={"share": (0.0, 0.1, 0.2, 0.3, 0.4), "grid": 2000},
        full={"share": (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 1.0, 5.0), "grid": 8000},
        domain=Domain(
            {"rho/eta": Range(0.0, 5.0, 0.0)},
            lambda settings, runner: observe_largest(settings | {"share": (settings["rho/eta"],)}, runner),
            budget=40,
        ),
        ours=True,
    ),
    Claim(
        id="shin2025/uniform-hessians",
        title="At the edge of stability Hessians are more uniform the larger rho",
        statement="s_2² of the same family scaled to the edge of one-step stability falls with rho",
        formula=r"\mathbb{E}[s_2^2(\rho)-s_2^2(\rho')]>0 \qquad \rho<\rho'",
        source=SOURCE,
        kind=Kind.ORDERING,
        hypotheses=(),
        parameters=NOMINAL,
        observe=observe_edge,
        predict=lambda samples: 0.0,
        tolerance=0.0,
        tolerance_reason="paired on the same families",
        control=Control("rho falling", changes={"rho": (0.4, 0.2, 0.1, 0.0)}),
        quick={"rho": (0.0, 0.1, 0.2, 0.4), "d": (1, 2, 3), "seeds": 100},
        full={"rho": (0.0, 0.1, 0.2, 0.4), "d": (1, 2, 3, 5), "seeds": 2000},
    ),
    Claim(
        id="shin2025/sgd-higher-moments",
        title="SGD limits neither the third nor the fourth moment",
        statement="s_3² ∝ p^(−1/2), s_4² ∝ p^(−1) at the edge of one-step stability, rho = 0, spikes of probability p",
        formula=r"s_3^2\propto p^{-1/2} \qquad s_4^2\propto p^{-1}",
        source=f"derived here (docs/shin2025.md); {SOURCE} has no bound there",
        kind=Kind.RATE,
        hypotheses=(),
        parameters=NOMINAL | {"rho": 0.0},
        observe=observe_spikes,
        predict={"s_3²": lambda samples: -0.5, "s_4²": lambda samples: -1.0},
        tolerance=0.02,
        tolerance_reason="the spike's height is p^(−1/2) (1 + O(√p))",
        control=Control("half of every exponent", {"s_3²": lambda samples: -0.25, "s_4²": lambda samples: -0.5}),
        quick={"p": (1e-5, 1e-6, 1e-7, 1e-8), "d": 3, "seeds": 24},
        full={"p": (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9), "d": 4, "seeds": 200},
        ours=True,
    ),
)

"""Where SAM shrinks its alpha: n-SAM on the teacher's support, 1-SAM on every coordinate.

Flows on the published problem, alpha = 0.05, rho = 0.4, to a relative residual of 1e-6. log alpha_eff in three ways:
from the weights at the end of the path, ½ log(w₊ w₋); by quadrature along the path of log alpha − rho ∫ Σ_b p_b g_b g̃_b
dt, which is exact (`andriushchenko2022/effective-initialisation`); and with g_b² in place of g_b g̃_b, the form to first
order in rho.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import BACKGROUND, N_SAM, ONE_SAM, THEORY, TWO_PANELS
from simulate.diagonal_flow import integrate_flow
from simulate.regression import RegressionInstance
from simulate.runner import single_threaded
from simulate.update import Rule
from theory.andriushchenko2022.sam_bias import NODES, block_products
from theory.andriushchenko2022.setting import published_problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

ALPHA, RHO, RESIDUAL, PANELS = 0.05, 0.4, 1e-6, 80
RULES = {"n-sam": (20, N_SAM, "^"), "1-sam": (1, ONE_SAM, "s")}


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return by rule log(alpha_eff/alpha) (3, d): of the path's product, of the exact integral, to first order."""
    problem = published_problem()
    with single_threaded():
        data = {rule: along_path(problem, m) for rule, (m, *_) in RULES.items()}
    teacher: Any = problem.teacher  # which a drawn problem has
    return data | {"support": np.flatnonzero(teacher)}


def along_path(problem: RegressionInstance, m: int) -> np.ndarray:
    """Return log(alpha_eff/alpha) of the flow with blocks of m rows in the three ways, (3, d)."""
    rule = Rule(RHO, 0.0, m)
    end = integrate_flow(problem, ALPHA, rule, 1e9, RESIDUAL)[2]["time"][-1]
    edges = np.concatenate([[0.0], np.geomspace(1e-2, end, PANELS)])
    node, weight = np.polynomial.legendre.leggauss(NODES)
    half = 0.5 * np.diff(edges)[:, None]
    nodes, weights = (edges[:-1, None] + half * (1.0 + node)).ravel(), (half * weight).ravel()
    history = integrate_flow(problem, ALPHA, rule, end, 1e-300, nodes)[2]
    s = np.sqrt(history["beta"] ** 2 + 4.0 * np.exp(4.0 * history["log_product"]))
    forms = []
    for perturbed in (True, False):
        state = zip(weights, history["beta"], s, strict=False)  # the last state is the end itself
        forms.append(sum(w * block_products(problem.X, problem.y, b, t, RHO, m, perturbed) for w, b, t in state))
    return np.stack([history["log_product"][-1] - np.log(ALPHA), -RHO * forms[0], -RHO * forms[1]])


def ratio(observed: np.ndarray, support: np.ndarray) -> float:
    """Return the mean over the support of what log alpha_eff fell by, over its mean elsewhere."""
    return float(observed[support].mean() / np.delete(observed, support).mean())


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt
    from matplotlib.legend_handler import HandlerTuple

    support = data["support"]
    titles = {
        "n-sam": r"n-SAM lowers $\log\alpha_{\mathrm{eff}}$ most on the support (%.1f times the mean elsewhere)",
        "1-sam": r"1-SAM lowers it everywhere (on the support %.1f times the mean elsewhere)",
    }
    with plt.rc_context(TWO_PANELS):
        figure, axes = plt.subplots(2, 1, figsize=(6.8, 4.6), sharex=True)
        handles = []
        for axis, (rule, (_, colour, marker)) in zip(axes, RULES.items(), strict=True):
            observed, exact, first_order = data[rule]
            j = np.arange(1, len(observed) + 1)
            for k in support:
                axis.axvspan(k + 0.5, k + 1.5, color=BACKGROUND, lw=0)
            axis.vlines(j, 0.0, observed, color=colour, lw=1.2)
            styles = {"color": THEORY, "ls": ""}
            handles.append([
                *axis.plot(j, observed, color=colour, marker=marker, ls="", ms=4.5),
                *axis.plot(j, exact, marker="o", ms=9, mew=0.8, mfc="none", **styles),
                *axis.plot(j, first_order, marker="_", ms=9, mew=1.4, **styles),
            ])  # fmt: skip
            axis.set(ylabel=r"$\log(\alpha_{\mathrm{eff}}/\alpha)_j$", xlim=(0.3, len(j) + 0.7))
            axis.set_ylim(1.1 * observed.min(), -0.06 * observed.min())
            axis.set_title(titles[rule] % ratio(observed, support))
            axis.grid(axis="x", visible=False)
        axes[1].set_xlabel(r"coordinate $j$ (shaded: the teacher's support)")
        figure.align_ylabels()
        (one, ring, dash), (other, *_) = handles
        keys: list[Any] = [(one, other), ring, dash]
        weights = r"from the weights, $\frac{1}{2}\log(w_+w_-/\alpha^2)$"
        figure.legend(
            keys, [weights, "exact integral", r"to first order in $\rho$"],
            loc="outside lower center", ncols=3, handler_map={tuple: HandlerTuple(ndivide=None)},
        )  # fmt: skip
    return figure

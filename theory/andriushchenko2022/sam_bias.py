"""Which interpolator SAM finds: the same potential, with a smaller alpha of its own on every coordinate.

Setting. The m-SAM flow dw/dt = −Σ_b p_b ∇L_b(w + rho ∇L_b(w)) from w₊ = w₋ = alpha, blocks b of at most m rows, p_b
their shares of the rows; m = n is n-SAM, m = 1 is 1-SAM.

Claim. At every time w₊ ∘ w₋ = alpha_eff(t)², and if the flow converges to an interpolator, that is
argmin phi_{alpha_eff}(beta) s.t. X beta = y, with no remainder in rho:

    alpha_eff = alpha ∘ exp(−rho ∫ Σ_b p_b g_b ∘ g̃_b dt),

g_b = X_bᵀr_b/m_b at the weights and g̃_b at the perturbed ones.

Why. d log w± = ∓ Σ p_b g̃_b (1 ± rho g_b) dt. Half the sum of the two is d log alpha_eff; half their difference stays in
the span of X's rows, so that arcsinh(beta/(2 alpha_eff²)) = Xᵀnu, which are the potential's KKT conditions.

Source. Andriushchenko & Flammarion 2022, Theorem 3, gives alpha_eff for n-SAM and 1-SAM up to O(rho²) in the exponent;
the exact form for any m is ours.
"""

from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.andriushchenko2022.setting import FLOWS, NOMINAL, REALISABLE, limits, minimisers, random_flows
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Runner, Settings


def observe_limits(settings: Settings, runner: Runner) -> Samples:
    """Limits of m-SAM flows on random problems (problems, d)."""
    specs = random_flows(settings)
    results, kept, X, y = limits(specs, runner)
    plain = np.log([spec.alpha for spec in kept])
    given = {"X": X, "y": y, "log_alpha": plain, "log_alpha_eff": [r.log_alpha_eff for r in results]}
    given["notes"] = {"flows": len(specs), "with a limit": len(results)}
    return Samples(np.stack([r.beta for r in results]), given)


def predict_limits(samples: Samples) -> FloatArray:
    """Return the potential's minimisers at alpha_eff."""
    return minimisers(samples.given["X"], samples.given["y"], samples.given["log_alpha_eff"])


def predict_plain(samples: Samples) -> FloatArray:
    """Return the minimisers at the initial alpha."""
    return minimisers(samples.given["X"], samples.given["y"], samples.given["log_alpha"])


def block_products(
    X: FloatArray, y: FloatArray, beta: FloatArray, s: FloatArray, rho: float, m: Any, perturbed: bool = True
) -> FloatArray:
    """Return Σ_b p_b g_b ∘ g̃_b (d,) at coefficients beta and s = w₊² + w₋²; with g_b for g̃_b unless `perturbed`."""
    total = np.zeros(X.shape[1])
    for start in range(0, len(y), m):
        rows, target = X[start : start + m], y[start : start + m]
        g = rows.T @ (rows @ beta - target) / len(target)
        moved = beta * (1.0 + (rho * g) ** 2) + 2.0 * rho * g * s
        other = rows.T @ (rows @ moved - target) / len(target) if perturbed else g
        total += len(target) / len(y) * g * other
    return total


NODES = 24
_PANELS = np.concatenate([[0.0], np.geomspace(1e-4, 200.0, 90)])


def path_times() -> tuple[FloatArray, FloatArray]:
    """Return (times, weights): Gauss–Legendre nodes in panels of geometric length up to time 200, a row a panel."""
    node, weight = np.polynomial.legendre.leggauss(NODES)
    half = 0.5 * np.diff(_PANELS)[:, None]
    return _PANELS[:-1, None] + half * (1.0 + node), half * weight


def observe_path(settings: Settings, runner: Runner) -> Samples:
    """½ log(w₊ w₋) − log alpha at the ends of the panels, from the weights alone: (runs, panels, d)."""
    from simulate.regression import load_regression

    nodes, weights = path_times()
    record = tuple(np.concatenate([nodes.ravel(), _PANELS[1:]]))
    specs = random_flows(settings, record=record, max_time=1.01 * _PANELS[-1])
    observed, exact, first_order = [], [], []
    for spec, result in zip(specs, runner.run(specs), strict=True):
        history, problem = result.history, load_regression(spec.data, spec.seed)
        at = {time: row for row, time in enumerate(history["time"])}
        product = np.exp(2.0 * history["log_product"])
        s = np.sqrt(history["beta"] ** 2 + 4.0 * product**2)  # (w₊² + w₋²)² = beta² + 4 (w₊ w₋)²
        m = spec.update_rule(spec.rule, len(problem.y)).block
        reached = [k for k, end in enumerate(_PANELS[1:]) if end in at]
        observed.append(np.full((len(_PANELS) - 1, len(s[0])), 0.0))
        predictions = [np.zeros_like(observed[-1]) for _ in range(2)]
        for prediction, perturbed in zip(predictions, (True, False), strict=True):
            total = np.zeros(len(s[0]))
            for k in reached:
                for time, weight in zip(nodes[k], weights[k], strict=True):
                    state = history["beta"][at[time]], s[at[time]]
                    total += weight * block_products(problem.X, problem.y, *state, spec.radius, m, perturbed)
                prediction[k] = -spec.radius * total
                observed[-1][k] = history["log_product"][at[_PANELS[k + 1]]] - np.log(spec.alpha)
        exact.append(predictions[0])
        first_order.append(predictions[1])
    return Samples(np.stack(observed), {"exact": np.stack(exact), "first order": np.stack(first_order)})


COMMON: dict[str, Any] = {
    "source": "Andriushchenko & Flammarion 2022, Theorem 3; exact in rho and for every m: ours",
    "kind": Kind.IDENTITY,
    "hypotheses": (REALISABLE,),
    "parameters": NOMINAL,
    "ours": True,
}

CLAIMS = (
    Claim(
        id="andriushchenko2022/sam-bias",
        title="SAM finds the potential's minimiser at alpha_eff",
        statement="a limit with X beta = y is argmin phi_{alpha_eff}(beta) s.t. X beta = y: n-, m- and 1-SAM, any rho",
        formula=(
            r"\lim_{t\to\infty}\beta(t)=\operatorname{arg}\min_{X\beta=y}\phi_{\alpha_{\mathrm{eff}}}(\beta) \qquad "
            r"\alpha_{\mathrm{eff}}=\alpha\exp\left(-\rho\int_0^\infty\sum_bp_b\,g_b\tilde g_b\,dt\right)"
        ),
        observe=observe_limits,
        predict=predict_limits,
        tolerance=1e-9,
        tolerance_reason="the flow is stopped at a relative residual of 1e-11",
        control=Control("alpha in place of alpha_eff", predict_plain),
        quick={"n": 20, "d": 30, "blocks": (1, 5, "n"), "seeds": 108},
        full={"n": 20, "d": 30, "blocks": (1, 3, 5, "n"), "seeds": 400},
        domain=FLOWS,
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/effective-initialisation",
        title="The product of the weights is alpha_eff² all along the path",
        statement="½ log(w₊ w₋) = log alpha − rho ∫ Σ_b p_b g_b g̃_b dt at every time, by quadrature of the path",
        formula=r"\frac12\log(w_+w_-)=\log\alpha-\rho\int_0^t\sum_bp_b\,g_b\tilde g_b\,ds",
        observe=observe_path,
        predict=lambda samples: samples.given["exact"],
        tolerance=1e-9,
        tolerance_reason="24-point quadrature on the integrator's interpolant",
        control=Control("g_b² in place of g_b g̃_b", lambda samples: samples.given["first order"]),
        quick={"n": 10, "d": 15, "blocks": (1, 3, "n"), "seeds": 9},
        full={"n": 20, "d": 30, "blocks": (1, 3, 5, "n"), "seeds": 40},
        **COMMON,
    ),
)

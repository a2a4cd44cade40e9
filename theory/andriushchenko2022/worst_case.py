"""The worst case of deterministic USAM beside the bounds on it.

Setting. k steps x ← x − gamma ∇f(x + rho ∇f(x)) from f(x_0) − f* = 1; the worst beta-smooth f, strongly convex, PL or
nonconvex, by performance estimation (`theory/performance_estimation.py`).

Claims. The worst case is within (1) the rate of `deterministic_usam`; (2) the nonconvex rate of stochastic USAM without
noise, mean_{t<k} ‖∇f(x_t)‖² ≤ 4 beta/√k at gamma = 1/(√k beta), rho = 1/(k^¼ beta); (3) its PL rate without noise,
f(x_k) − f* ≤ 3 beta²/(mu² k²) at gamma_t = min{(8t + 4)/(3 mu (t + 1)²), 1/(2 beta)}, rho_t = √(gamma_t/beta).

Source. (1) is ours; (2) and (3) Andriushchenko & Flammarion 2022, as in `stochastic_usam`.
"""

from theory.andriushchenko2022.deterministic_usam import NOMINAL, RADIUS, STEP, contraction
from theory.andriushchenko2022.stochastic_usam import gap_bound, mean_gradient_bound
from theory.claim import Claim, Control, Samples
from theory.performance_estimation import CLAIM, samples, share_of_bound, worst_case
from theory.types import Runner, Settings


def observe_rate(settings: Settings, runner: Runner) -> Samples:
    """Worst cases and bounds of (1) for every class, number of steps, mu, u and q."""
    found: Samples = samples([
        (worst_case(family, [u] * k, [q] * k, mu), contraction(u, q, mu) ** k)
        for family in ("strongly convex", "pl")
        for k in settings["steps"]
        for mu, u, q in settings["cases"]
    ])  # fmt: skip
    return found


def observe_nonconvex(settings: Settings, runner: Runner) -> Samples:
    """Worst cases and bounds of (2) for every number of steps; 2 beta (f(x_0) − f*) is what any descent keeps to."""
    pairs = [
        (
            worst_case("nonconvex", [k**-0.5] * k, [k**-0.25] * k, average=True),
            mean_gradient_bound(1.0, 1.0, 0.0, 1, k),
        )
        for k in settings["steps"]
    ]
    found: Samples = samples(pairs, trivial=2.0)
    return found


def observe_decreasing(settings: Settings, runner: Runner) -> Samples:
    """Worst cases and bounds of (3) for every number of steps and mu."""
    from simulate.finite_sum import Schedule

    pairs = []
    for k in settings["steps"]:
        for mu in settings["mu"]:
            schedule = Schedule(0.5, 1.0, "decreasing", 4.0 / (3.0 * mu), "root")
            value = worst_case("strongly convex", *schedule.at(0, k), mu)
            pairs.append((value, gap_bound(1.0, mu, 1.0, 0.0, 1, k)))
    found: Samples = samples(pairs)
    return found


CASES = ((0.1, 0.5, 0.5), (0.1, 1.0, 0.2), (0.5, 0.5, 0.9))
PAPER_RATES = "Andriushchenko & Flammarion 2022, the rates of stochastic USAM, without noise"

CLAIMS = (
    Claim(
        id="andriushchenko2022/usam-worst-case",
        title="The worst case of USAM is within its rate under the PL condition",
        statement="f(x_k) − f* ≤ (1 − gamma mu (2 − gamma beta − beta² rho²))^k for the worst f",
        formula=r"f(x_k)-f^*\le(1-\gamma\mu(2-\gamma\beta-\beta^2\rho^2))^k(f(x_0)-f^*)",
        source="derived here (deterministic_usam.py)",
        hypotheses=(STEP, RADIUS),
        observe=observe_rate,
        predict=share_of_bound(1.0),
        control=Control("the square of the rate", lambda samples: samples.given["bound"] ** 2),
        quick={"steps": (1, 3), "cases": CASES},
        full={"steps": (1, 3, 10), "cases": (*CASES, (0.9, 0.9, 0.9), (0.02, 0.5, 0.1))},
        parameters=NOMINAL,
        ours=True,
        **CLAIM,
    ),
    Claim(
        id="andriushchenko2022/usam-worst-case-nonconvex",
        title="The worst case of USAM on nonconvex functions is within the paper's bound without noise",
        statement="mean_{t<k} ‖∇f(x_t)‖² ≤ 4 beta (f(x_0) − f*)/√k at gamma = 1/(√k beta), rho = 1/(k^¼ beta), worst f",
        formula=(
            r"\frac1k\sum_{t<k}\lVert\nabla f(x_t)\rVert^2\le\frac{4\beta(f(x_0)-f^*)}{\sqrt k} \qquad "
            r"\gamma=\frac{1}{\sqrt k\beta},\ \rho=\frac{1}{k^{1/4}\beta}"
        ),
        source=PAPER_RATES,
        hypotheses=(),
        observe=observe_nonconvex,
        predict=share_of_bound(1.0),
        control=Control("a tenth of the bound", share_of_bound(0.1)),
        quick={"steps": (5, 7)},
        full={"steps": (2, 5, 7, 10)},
        parameters=NOMINAL,
        **CLAIM,
    ),
    Claim(
        id="andriushchenko2022/usam-worst-case-decreasing-steps",
        title="The worst case of USAM with decreasing steps is within the paper's bound without noise",
        statement="f(x_k) − f* ≤ 3 beta² (f(x_0) − f*)/(mu² k²) at decreasing steps and radii, worst strongly convex f",
        formula=r"f(x_k)-f^*\le\frac{3\beta^2(f(x_0)-f^*)}{\mu^2k^2}",
        source=PAPER_RATES,
        hypotheses=(),
        observe=observe_decreasing,
        predict=share_of_bound(1.0),
        control=Control("a hundredth of the bound", share_of_bound(0.01)),
        quick={"steps": (2, 5), "mu": (0.2, 0.8)},
        full={"steps": (2, 5, 10), "mu": (0.1, 0.2, 0.5, 0.8)},
        parameters=NOMINAL,
        **CLAIM,
    ),
)

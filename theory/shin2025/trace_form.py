"""What mean-square stability bounds: the spread of the moments averaged over directions.

Setting. The spectral radius of Sigma → E J_i Sigma J_i is at most 1.

Claim. With tr/d in place of lambda_max the bounds hold, for eta ≥ 2 rho:

    tr(M_2 − H²)/d ≤ 1/(eta(eta − 2 rho)),   tr(M_3 − H³)/d ≤ 1/(2 eta² rho),   tr(M_4 − H⁴)/d ≤ 1/(eta² rho²);

and, sharper and for every rho, tr M_2 ≤ a* tr H, whence tr(M_2 − H²)/d ≤ (a*/2)². Attained at d = 1, H_i in {0, a*}.

Why. The operator T is self-adjoint for ⟨A, B⟩ = tr AB, so ⟨I, T I⟩ = tr E J_i² ≤ radius · d. All eigenvalues of all H_i
together, each of weight p_i/d, are then a law with E(1 − eta h − eta rho h²)² ≤ 1, as in `one_step`.

Source. Ours; repairs Shin et al. 2025, Theorem 1, under mean-square stability.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from theory.claim import Claim, Control, Kind, Samples
from theory.shin2025.mean_square import rare_spike, star, unequal_norms
from theory.shin2025.one_step import SHARP, sharp_samples
from theory.shin2025.setting import (
    ANY_RADIUS,
    AT_EDGE,
    BEYOND,
    FULL,
    LARGE_STEP,
    MOMENTS,
    NOMINAL,
    QUICK,
    Instances,
    climb,
    families,
    moment_bound,
    moment_samples,
    searched_domain,
    unit,
)
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.linear_stability import HessianFamily


def climbed(settings: Settings, eta: float = 1.0, rho: float = 0.25) -> tuple[Instances, ...]:
    """Return stacks of families of four Hessians at the edge, d = 2 and 3, driven towards breaking the trace form.

    settings["climbers"] for every order, by `setting.climb` in settings["steps"] rounds.
    """
    from simulate.linear_stability import stable_scale
    from simulate.streams import stream

    orders, count = (2, 3, 4), 3 * settings["climbers"]
    target = np.arange(count) % 3

    def at_edge(family: "HessianFamily") -> "HessianFamily":
        return family.scaled(stable_scale(family, eta, rho))

    def score(family: "HessianFamily") -> Any:
        edge = at_edge(family)
        return np.stack([edge.mean_spread(k) / moment_bound(k, eta, rho) for k in orders])[target, np.arange(count)]

    found = []
    for d in (2, 3):
        rng = stream("climb", settings["seed"], dimension=d, climbers=settings["climbers"])
        found.append(Instances(at_edge(climb(score, rng, count, 4, d, settings["steps"])), eta, rho))
    return tuple(found)


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """tr(M_k − H^k)/d over its bound, k = 2, 3, 4: random, climbed and the families that break lambda_max's form."""
    beyond = settings.get("beyond", 1.0)
    if "entries" in settings:
        return moment_samples(families(settings, "mean_square"), "mean_spread")
    families_at_edge = (star(0.05), star(0.45), rare_spike(), *climbed(settings))
    hard = [Instances(one.family.scaled(beyond), one.eta, one.rho) for one in families_at_edge]
    axes = moment_samples((*families(settings, "mean_square"), *hard), "mean_spread")
    for name, samples in moment_samples(hard, "mean_spread").items():
        axes[name].given["notes"]["largest, climbed"] = float(samples.observed.max())
    return axes


def observe_sharp(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """tr(M_2 − a* H)/d and tr(M_2 − H²)/d at the edge, and at SGD's counterexamples."""

    def above(family: "HessianFamily", a: float) -> Any:
        return np.trace(family.moment(2) - a * family.moment(1), axis1=-2, axis2=-1) / family.hessians.shape[-1]

    hard = () if "entries" in settings else (star(0.0), star(0.05), star(0.45), unequal_norms())
    instances = (*families(settings, "mean_square"), *hard)
    return sharp_samples(instances, above, lambda family: family.mean_spread(2), settings["assumed"])


COMMON: dict[str, Any] = {"kind": Kind.UPPER_BOUND, "parameters": NOMINAL, "ours": True, **AT_EDGE}
REPAIR = "derived here (docs/shin2025.md); repairs Shin, Lee, Andriushchenko & Lee 2025, Theorem 1"

CLAIMS = (
    Claim(
        id="shin2025/trace-form",
        title="What mean-square stability bounds: the spread averaged over directions",
        statement="radius ≤ 1 ⇒ tr(M_k−H^k)/d ≤ 1/(eta(eta−2rho)), 1/(2eta² rho), 1/(eta² rho²), k = 2, 3, 4",
        formula=(
            r"r(\Sigma\mapsto\mathbb{E}J_i\Sigma J_i)\le1\implies\frac{\operatorname{tr}(M_2-H^2)}{d}"
            r"\le\frac{1}{\eta(\eta-2\rho)} \qquad \frac{\operatorname{tr}(M_3-H^3)}{d}\le\frac{1}{2\eta^2\rho} \qquad "
            r"\frac{\operatorname{tr}(M_4-H^4)}{d}\le\frac{1}{\eta^2\rho^2}"
        ),
        source=REPAIR,
        hypotheses=(LARGE_STEP,),
        observe=observe,
        predict=unit,
        control=Control("the same families times two: beyond the edge", changes=BEYOND),
        quick=QUICK | {"climbers": 20, "steps": 60},
        full=FULL | {"climbers": 30, "steps": 500},
        domain=searched_domain(MOMENTS),
        **COMMON,
    ),
    Claim(
        id="shin2025/trace-form-sharp",
        title="The sharp trace form",
        statement="radius ≤ 1 ⇒ tr M_2 ≤ a* tr H, and so tr(M_2 − H²)/d ≤ (a*/2)², at any rho",
        formula=(
            r"r(\Sigma\mapsto\mathbb{E}J_i\Sigma J_i)\le1\implies\operatorname{tr}M_2\le a^*\operatorname{tr}H \qquad "
            r"\frac{\operatorname{tr}(M_2-H^2)}{d}\le\frac{(a^*)^2}{4} \qquad a^*=\frac{\sqrt{1+8\rho/\eta}-1}{2\rho}"
        ),
        source=REPAIR,
        hypotheses=(),
        observe=observe_sharp,
        domain=searched_domain(ANY_RADIUS),
        **SHARP,
        **COMMON,
    ),
)

"""What mean-square stability bounds: the spread of the moments averaged over directions.

Setting. The spectral radius of Sigma → E J_i Sigma J_i is at most 1.

Claim. With tr/d in place of lambda_max the bounds hold, for eta ≥ 2 rho:

    tr(M_2 − H²)/d ≤ 1/(eta(eta − 2 rho)),   tr(M_3 − H³)/d ≤ 1/(2 eta² rho),   tr(M_4 − H⁴)/d ≤ 1/(eta² rho²);

and, sharper and for every rho, tr M_2 ≤ a* tr H, whence tr(M_2 − H²)/d ≤ (a*/2)². Attained at d = 1, H_i in {0, a*}.

Why. The operator T is self-adjoint for ⟨A, B⟩ = tr AB, so ⟨I, T I⟩ = tr E J_i² ≤ radius · d. All eigenvalues of all H_i
together, each of weight p_i/d, are then a law with E(1 − eta h − eta rho h²)² ≤ 1, as in `one_step`.

Source. Ours; repairs Shin et al. 2025, Theorem 1, under mean-square stability.
"""

import numpy as np

from theory.claim import Claim, Control, Kind
from theory.shin2025.mean_square import rare_spike, star, unequal_norms
from theory.shin2025.one_step import SHARP, sharp_samples
from theory.shin2025.setting import (
    AT_EDGE,
    BEYOND,
    FULL,
    LARGE_STEP,
    NOMINAL,
    QUICK,
    Instances,
    families,
    moment_bound,
    moment_samples,
    unit,
)


def climbed(settings, eta=1.0, rho=0.25):
    """Return stacks of families at the edge, d = 2 and 3, that a search has driven towards breaking the trace form.

    For every order, settings["climbers"] families of four Hessians A Aᵀ; each keeps a random move of its A and weights
    if tr(M_k − H^k)/d grew, for settings["steps"] rounds, the size of its moves following success.
    """
    from simulate.linear_stability import HessianFamily, stable_scale
    from simulate.streams import stream

    orders, found = (2, 3, 4), []
    for d in (2, 3):
        rng = stream("climb", settings["seed"], dimension=d, climbers=settings["climbers"])
        count = len(orders) * settings["climbers"]
        target = np.arange(count) % len(orders)

        def at_edge(A, weights):
            H = A @ np.swapaxes(A, -1, -2) + 1e-6 * np.eye(A.shape[-1])
            p = np.exp(weights - weights.max(axis=-1, keepdims=True))
            family = HessianFamily(H, p / p.sum(axis=-1, keepdims=True))
            return family.scaled(stable_scale(family, eta, rho))

        def score(family, target=target):
            each = np.stack([family.mean_spread(k) / moment_bound(k, eta, rho) for k in orders])
            return each[target, np.arange(len(target))]

        A, weights = rng.standard_normal((count, 4, d, d)), rng.standard_normal((count, 4))
        best, size = score(at_edge(A, weights)), np.full(count, 0.3)
        for _ in range(settings["steps"]):
            moved = A + size[:, None, None, None] * rng.standard_normal(A.shape)
            shifted = weights + size[:, None] * rng.standard_normal(weights.shape)
            found_now = score(at_edge(moved, shifted))
            better = found_now > best
            A, weights = np.where(better[:, None, None, None], moved, A), np.where(better[:, None], shifted, weights)
            best, size = np.where(better, found_now, best), size * np.where(better, 1.5, 0.9)
        found.append(Instances(at_edge(A, weights), eta, rho))
    return tuple(found)


def observe(settings, runner):
    """tr(M_k − H^k)/d over its bound, k = 2, 3, 4: random, climbed and the families that break lambda_max's form."""
    beyond = settings.get("beyond", 1.0)
    hard = (star(0.05), star(0.45), rare_spike(), *climbed(settings))
    hard = [Instances(one.family.scaled(beyond), one.eta, one.rho) for one in hard]
    axes = moment_samples((*families(settings, "mean_square"), *hard), "mean_spread")
    for name, samples in moment_samples(hard, "mean_spread").items():
        axes[name].given["notes"]["largest, climbed"] = float(samples.observed.max())
    return axes


def observe_sharp(settings, runner):
    """tr(M_2 − a* H)/d and tr(M_2 − H²)/d at the edge, and at SGD's counterexamples."""

    def above(family, a):
        return np.trace(family.moment(2) - a * family.moment(1), axis1=-2, axis2=-1) / family.hessians.shape[-1]

    instances = (*families(settings, "mean_square"), star(0.0), star(0.05), star(0.45), unequal_norms())
    return sharp_samples(instances, above, lambda family: family.mean_spread(2), settings["assumed"])


COMMON = {"kind": Kind.UPPER_BOUND, "parameters": NOMINAL, "ours": True, **AT_EDGE}
REPAIR = "derived here (docs/linear_stability.md); repairs Shin, Lee, Andriushchenko & Lee 2025, Theorem 1"

CLAIMS = (
    Claim(
        id="shin2025/trace-form",
        title="What mean-square stability bounds: the spread averaged over directions",
        statement="radius ≤ 1 ⇒ tr(M_k−H^k)/d ≤ 1/(eta(eta−2rho)), 1/(2eta² rho), 1/(eta² rho²), k = 2, 3, 4",
        source=REPAIR,
        hypotheses=(LARGE_STEP,),
        observe=observe,
        predict=unit,
        control=Control("the same families times two: beyond the edge", changes=BEYOND),
        quick=QUICK | {"climbers": 20, "steps": 100},
        full=FULL | {"climbers": 60, "steps": 600},
        **COMMON,
    ),
    Claim(
        id="shin2025/trace-form-sharp",
        title="The sharp trace form",
        statement="radius ≤ 1 ⇒ tr M_2 ≤ a* tr H, and so tr(M_2 − H²)/d ≤ (a*/2)², at any rho",
        source=REPAIR,
        hypotheses=(),
        observe=observe_sharp,
        **SHARP,
        **COMMON,
    ),
)

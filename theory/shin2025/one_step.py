"""One-step stability bounds curvature and non-uniformity of the Hessians.

Setting. E J_i² ⪯ I, that is E‖J_i x‖² ≤ ‖x‖² for every x.

Claim. a(1 + rho a) ≤ 2/eta; and for eta ≥ 2 rho, s_2² ≤ 1/(eta(eta − 2 rho)), s_3² ≤ 1/(2 eta² rho),
s_4² ≤ 1/(eta² rho²). SGD: a ≤ 2/eta, s_2² ≤ 1/eta².

Sharper, ours. M_2 ⪯ a* H, whence s_2² ≤ (a*/2)², a* = (√(1 + 8 rho/eta) − 1)/(2 rho) the bound on a: for every rho,
attained, and falling with rho where the paper's bound rises.

Why. Averaged over a direction's spectral measures, h has a law with E(1 − eta h − eta rho h²)² ≤ 1, and the excess of
each order is at most the scalar one, E h^k − (E h)^k ≥ 0. For the sharper form: 1 − (1 − eta h − eta rho h²)² is at
most a constant times h(a* − h), for all h ≥ 0 (docs/shin2025.md).

Source. Shin et al. 2025, Theorem 1.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Kind, Samples
from theory.shin2025.setting import (
    ANY_RADIUS,
    AT_EDGE,
    BEYOND,
    FULL,
    LARGE_STEP,
    MOMENTS,
    NOMINAL,
    QUICK,
    SOURCE,
    Instances,
    families,
    gather,
    largest_curvature,
    moment_samples,
    searched_domain,
    unit,
)
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.linear_stability import HessianFamily


def curvature_samples(instances: Sequence[Instances], slope: float) -> Samples:
    """Return a(1 + slope · rho a) over 2/eta, flat."""

    def term(family: "HessianFamily", eta: float, rho: float) -> FloatArray:
        a = family.curvature()
        return a * (1.0 + slope * rho * a)

    return gather(instances, term, lambda eta, rho: 2.0 / eta)


def observe_curvature(settings: Settings, runner: Runner) -> Samples:
    """Observe the curvature at the edge of one-step stability."""
    return curvature_samples(families(settings, "one_step"), settings["slope"])


def observe_moments(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """s_2², s_3², s_4² over their bounds at the edge of one-step stability."""
    return moment_samples(families(settings, "one_step"), "spread")


def observe_sgd(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Curvature and s_2² over SGD's bounds, 2/eta and 1/eta²."""
    instances = families(settings, "one_step")
    return {
        "a": gather(instances, lambda family, eta, rho: family.curvature(), lambda eta, rho: 2.0 / eta),
        **moment_samples(instances, "spread", (2,)),
    }


def sharp_samples(
    instances: Sequence[Instances], above: "Callable[[HessianFamily, float], Any]",
    spread: "Callable[[HessianFamily], FloatArray]", assumed: float,
) -> dict[str, Samples]:  # fmt: skip
    """Return above(family, a*)/a*², claimed to be ≤ 0, and spread(family)/(a*/2)², a* that of `assumed` · rho."""

    def edge(eta: float, rho: float) -> Any:
        return largest_curvature(eta, assumed * rho)

    return {
        "M_2 − a* H": gather(instances, lambda f, eta, rho: above(f, edge(eta, rho)), lambda *at: edge(*at) ** 2),
        "s_2²": gather(instances, lambda f, eta, rho: spread(f), lambda *at: (0.5 * edge(*at)) ** 2),
    }


def observe_sharp(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """lambda_max(M_2 − a* H) and s_2² at the edge of one-step stability."""

    def above(family: "HessianFamily", a: float) -> Any:
        return np.linalg.eigvalsh(family.moment(2) - a * family.moment(1))[..., -1]

    instances = families(settings, "one_step")
    return sharp_samples(instances, above, lambda family: family.spread(2), settings["assumed"])


SHARP: dict[str, Any] = {
    "predict": {"M_2 − a* H": lambda samples: np.zeros_like(samples.observed), "s_2²": unit},
    "control": Control("a* of twice the radius", changes={"assumed": 2.0}),
    "quick": QUICK | {"share": (0.05, 0.45, 2.0), "assumed": 1.0},
    "full": FULL | {"share": (0.01, 0.1, 0.45, 1.0, 3.0, 10.0), "assumed": 1.0},
}
STEEPER: dict[str, Any] = {
    "control": Control("a(1 + 2 rho a) ≤ 2/eta", changes={"slope": 2.0}),
    "quick": QUICK | {"share": (0.05, 0.45, 2.0), "slope": 1.0},
    "full": FULL | {"share": (0.01, 0.1, 0.45, 1.0, 3.0, 10.0), "slope": 1.0},
}
COMMON: dict[str, Any] = {"kind": Kind.UPPER_BOUND, "parameters": NOMINAL, "predict": unit, **AT_EDGE}

CLAIMS = (
    Claim(
        id="shin2025/one-step-curvature",
        title="One-step stability bounds the curvature",
        statement="E J_i² ⪯ I ⇒ a(1 + rho a) ≤ 2/eta, at any rho",
        formula=r"\mathbb{E}J_i^2\preceq I\implies a(1+\rho a)\le\frac2\eta",
        source=SOURCE,
        hypotheses=(),
        observe=observe_curvature,
        domain=searched_domain(ANY_RADIUS),
        **STEEPER,
        **COMMON,
    ),
    Claim(
        id="shin2025/one-step-moments",
        title="One-step stability bounds the spread of the Hessians' moments",
        statement="E J_i² ⪯ I ⇒ s_2² ≤ 1/(eta(eta−2rho)), s_3² ≤ 1/(2eta² rho), s_4² ≤ 1/(eta² rho²)",
        formula=(
            r"\mathbb{E}J_i^2\preceq I\implies s_2^2\le\frac{1}{\eta(\eta-2\rho)} \qquad "
            r"s_3^2\le\frac{1}{2\eta^2\rho} \qquad s_4^2\le\frac{1}{\eta^2\rho^2}"
        ),
        source=SOURCE,
        hypotheses=(LARGE_STEP,),
        observe=observe_moments,
        control=Control("the same families times two: beyond the edge", changes=BEYOND),
        quick=QUICK,
        full=FULL,
        domain=searched_domain(MOMENTS),
        **COMMON,
    ),
    Claim(
        id="shin2025/one-step-sgd",
        title="SGD's version",
        statement="E (I − eta H_i)² ⪯ I ⇒ a ≤ 2/eta and s_2² ≤ 1/eta²",
        formula=r"\mathbb{E}(I-\eta H_i)^2\preceq I\implies a\le\frac2\eta \qquad s_2^2\le\frac{1}{\eta^2}",
        source=SOURCE,
        hypotheses=(),
        observe=observe_sgd,
        control=Control("a ≤ 1/eta and s_2² ≤ 1/(2 eta²)", lambda samples: 0.5 * unit(samples)),
        quick=QUICK | {"share": (0.0,), "seeds": 400},
        full=FULL | {"share": (0.0,), "seeds": 600},
        domain=searched_domain(without=("share",), settings={"share": 0.0}),
        **COMMON | {"parameters": NOMINAL | {"rho": 0.0}},
    ),
    Claim(
        id="shin2025/one-step-sharp",
        title="The sharp form of one-step stability",
        statement="E J_i² ⪯ I ⇒ M_2 ⪯ a* H, and so s_2² ≤ (a*/2)², at any rho",
        formula=(
            r"\mathbb{E}J_i^2\preceq I\implies M_2\preceq a^*H \qquad s_2^2\le\frac{(a^*)^2}{4} \qquad "
            r"a^*=\frac{\sqrt{1+8\rho/\eta}-1}{2\rho}"
        ),
        source=f"derived here (docs/shin2025.md); sharpens {SOURCE}",
        hypotheses=(),
        observe=observe_sharp,
        domain=searched_domain(ANY_RADIUS),
        ours=True,
        **COMMON | SHARP,
    ),
)

"""The second moment of a step, in terms of the moments of the Hessians.

Setting. A step of stochastic SAM, linearised at an interpolating minimum, multiplies x by J_i = I − eta H_i −
eta rho H_i².

Claim. E J_i² = (I − eta H − eta rho H²)² + eta(eta − 2 rho)(M_2 − H²) + 2 eta² rho (M_3 − H³) + eta² rho² (M_4 − H⁴).

Why. Each J_i² is a polynomial in H_i alone, so E J_i² = I − 2 eta M_1 + eta(eta − 2 rho) M_2 + 2 eta² rho M_3 +
eta² rho² M_4, and the first bracket is the same polynomial at H.

Two notions of stability follow: E J_i² ⪯ I (no x grows in mean square in a step), and a spectral radius of
Sigma → E J_i Sigma J_i of at most 1 (no x grows in mean square for ever). The radius lies between tr E J_i²/d and
lambda_max(E J_i²): the operator is self-adjoint, and the two are what it makes of I.

Source. Shin et al. 2025, proof of Theorem 1; the two notions compared: derived here.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Kind, Samples
from theory.domain import Domain, Range
from theory.shin2025.setting import FULL, KINDS, NOMINAL, QUICK, SEARCHED, SOURCE, searched
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.linear_stability import HessianFamily


def second_moment(family: "HessianFamily", eta: float, rho: float, excess: Sequence[float] | None = None) -> Any:
    """Return the right-hand side; `excess` gives other coefficients of M_k − H^k, k = 2, 3, 4, than its own."""
    H = family.moment(1)
    J = np.eye(H.shape[-1]) - eta * H - eta * rho * (H @ H)
    coefficients = (eta * (eta - 2.0 * rho), 2.0 * eta**2 * rho, (eta * rho) ** 2) if excess is None else excess
    return J @ J + sum(c * family.excess(k) for k, c in zip((2, 3, 4), coefficients, strict=True))


def stacks(settings: Settings) -> "Iterator[tuple[HessianFamily, float, float]]":
    """Yield (families, eta, rho) of every kind and dimension of the settings, with H_i of order 1/eta."""
    from simulate.linear_stability import draw_families

    if "entries" in settings:
        yield searched(settings).scaled(settings["scale"]), 1.0, settings["share"]
        return
    for kind, members in KINDS:
        for d in settings["d"]:
            family = draw_families(kind, settings["seeds"], members, d, settings["seed"])
            for eta in settings["eta"]:
                for share in settings["share"]:
                    yield family.scaled(1.0 / eta), eta, share * eta


def observe(settings: Settings, runner: Runner) -> Samples:
    """E J_i² of random families, every entry, flat; the families are given."""
    from simulate.linear_stability import mean_square_step

    given = list(stacks(settings))
    return Samples(np.concatenate([np.ravel(mean_square_step(*one)) for one in given]), {"stacks": given})


def predict(samples: Samples, excess: Callable[[float, float], Any] = lambda eta, rho: None) -> FloatArray:
    """Return the identity's right-hand side at the same families."""
    stacks = samples.given["stacks"]
    return np.concatenate([np.ravel(second_moment(f, eta, rho, excess(eta, rho))) for f, eta, rho in stacks])


def observe_notions(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """tr E J²/d over the radius, and the radius over lambda_max(E J²); with what replaces the larger in the control."""
    from simulate.linear_stability import mean_square_growth, mean_square_step

    eigenvalues, radii = [], []
    for one in stacks(settings):
        found = np.linalg.eigvalsh(mean_square_step(*one))
        eigenvalues.append(np.stack([found[:, 0], found.mean(axis=1), found[:, -1]]))
        radii.append(mean_square_growth(*one))
    (smallest, mean, largest), radius = np.concatenate(eigenvalues, axis=1), np.concatenate(radii)
    slack = {"notes": {"largest of lambda_max over the radius": float((largest / radius).max())}}
    return {
        "the mean": Samples(mean, {"bound": radius, "wrong": smallest}),
        "the radius": Samples(radius, {"bound": largest, "wrong": mean, **slack}),
    }


DOMAIN = Domain(SEARCHED | {"share": Range(0.0, 5.0, 0.0), "scale": Range(0.01, 100.0, 1.0, log=True)})

CLAIMS = (
    Claim(
        id="shin2025/second-moment",
        title="The second moment of a step of stochastic SAM",
        statement="E J_i² = (I − eta H − eta rho H²)² + eta(eta−2rho)(M_2−H²) + 2eta² rho(M_3−H³) + eta² rho²(M_4−H⁴)",
        formula=(
            r"\mathbb{E}J_i^2=(I-\eta H-\eta\rho H^2)^2+R \qquad "
            r"R=\eta(\eta-2\rho)(M_2-H^2)+2\eta^2\rho(M_3-H^3)+\eta^2\rho^2(M_4-H^4)"
        ),
        source="Shin, Lee, Andriushchenko & Lee 2025, proof of Theorem 1",
        kind=Kind.IDENTITY,
        hypotheses=(),
        parameters=NOMINAL,
        observe=observe,
        predict=predict,
        tolerance=1e-13,
        tolerance_reason="rounding, of the largest entry",
        control=Control(
            "eta(eta − rho) in place of eta(eta − 2 rho)",
            lambda samples: predict(
                samples, lambda eta, rho: (eta * (eta - rho), 2.0 * eta**2 * rho, (eta * rho) ** 2)
            ),
        ),
        quick=QUICK | {"share": (0.0, 0.25, 1.0)},
        full=FULL | {"share": (0.0, 0.05, 0.25, 0.5, 1.0, 5.0)},
        domain=DOMAIN,
    ),
    Claim(
        id="shin2025/two-notions",
        title="What one step tells of all steps",
        statement="tr E J_i²/d ≤ radius of Sigma → E J_i Sigma J_i ≤ lambda_max(E J_i²)",
        formula=(
            r"\frac{\operatorname{tr}\mathbb{E}J_i^2}{d}\le r(\Sigma\mapsto\mathbb{E}J_i\Sigma J_i)"
            r"\le\lambda_{\max}(\mathbb{E}J_i^2)"
        ),
        source=f"derived here (docs/shin2025.md); the notions of {SOURCE}",
        kind=Kind.UPPER_BOUND,
        hypotheses=(),
        parameters=NOMINAL,
        observe=observe_notions,
        predict=lambda samples: samples.given["bound"],
        tolerance=1e-12,
        tolerance_reason="rounding: all three are equal at d = 1",
        control=Control("smallest eigenvalue, and tr E J_i²/d, as the bounds", lambda samples: samples.given["wrong"]),
        quick=QUICK | {"share": (0.0, 0.25, 1.0)},
        full=FULL | {"share": (0.0, 0.05, 0.25, 0.5, 1.0, 5.0)},
        domain=DOMAIN,
        ours=True,
    ),
)

"""The constant of SGD's boundary, from one observed parameter (ours).

Setting. As in `sgd_boundary`, d → ∞, balanced labels.

Derivation. A sample's margin grows along the own-class neurons that are on, a fraction a of m: x = a S with
S = ∫ s dt, the same for all samples to leading order. A fresh noise vector then meets, in neuron r, a Gaussian
pre-activation of variance ∝ K_d = a S²/2, and two neurons of one class covary as K_o = (a S)²/2, so that their
correlation is K_o/K_d = a. The signal's logit is √q (1 − 2p) S/2 in the same units. The clean error is P(T > t) with
T = (1/m)(Σ relu z₊ − Σ relu z₋), z of each class equicorrelated at a, and equals `level` at t = q_T(a); hence

    q_c = n ‖mu_c‖⁴ / ((P−1)⁴ sigma_p⁴ d) = 2 a q_T(a)² / (1 − 2p)².

Here a is read off the simulated networks (the correlation of two neurons' responses), not fitted to the boundary.
If no neuron were newly switched on during training, a would be ½: that is the control.

Source. derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD), which leaves the constant open.
"""

from functools import lru_cache

import numpy as np

from simulate.types import FloatArray
from theory.chen2023.setting import CONDITION, NOMINAL, scaled_spec
from theory.chen2023.sgd_boundary import LEVEL, critical_signal, observe_boundary
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Runner, Settings


@lru_cache(maxsize=256)
def response_quantile(a: float, m: int, level: float) -> float:
    """Return q_T(a): T = (1/m)(Σ relu z₊ − Σ relu z₋) exceeds it with probability `level`.

    z₊, z₋ (m,) standard normals, equicorrelated at a within a class and independent across; by scrambled Sobol
    points in 2m + 2 dimensions.
    """
    from scipy.special import ndtri
    from scipy.stats import qmc

    nets = [qmc.Sobol(2 * m + 2, rng=np.random.default_rng(seed)).random_base2(12) for seed in range(8)]
    z = ndtri(np.clip(np.concatenate(nets), 2.0**-54, 1.0 - 2.0**-53))
    common, own = z[:, :2], z[:, 2:].reshape(-1, 2, m)
    response = np.maximum(np.sqrt(a) * common[:, :, None] + np.sqrt(1.0 - a) * own, 0.0).mean(axis=2)
    return float(np.quantile(response[:, 0] - response[:, 1], 1.0 - level))


def critical_parameter(a: float, m: int, p: float, level: float) -> float:
    """Return q_c = 2 a q_T(a)² / (1 − 2p)², the boundary's constant."""
    return 2.0 * a * response_quantile(a, m, level) ** 2 / (1.0 - 2.0 * p) ** 2


def observe(settings: Settings, runner: Runner) -> Samples:
    """Return ‖mu_c‖ (n/d)^(1/4) towards large d, (points, groups), and the neurons' correlation a at ‖mu_c‖."""
    points = [{"d": d, "m": settings["m"]} for d in settings["d"]]
    form = np.array([critical_signal(20, 2, 1.0, d) for d in settings["d"]])
    critical = observe_boundary(points, settings, runner, np.outer(form, (0.5, 2.0)))
    given = {"m": settings["m"], "p": 0.1}
    if not np.isfinite(critical).all():  # for the judge to say
        return Samples(critical, {"a": np.full(len(points), np.nan), **given})
    size, first = settings["seeds"], settings["seed"]
    specs = [
        scaled_spec(first + g * size + k, mu=critical[i, g], **point)
        for i, point in enumerate(points) for g in range(settings["groups"]) for k in range(size)
    ]  # fmt: skip
    a = np.reshape([r.class_correlation for r in runner.run(specs)], (len(points), -1)).mean(axis=1)
    return Samples(critical / form[:, None], {"a": a, **given})


def predict(samples: Samples, a: float | None = None) -> FloatArray:
    """Return q_c^(1/4) at the observed correlations, or at the given one."""
    values = samples.given["a"] if a is None else np.full(len(samples.given["a"]), a)
    if not np.isfinite(values).all():
        return np.full(len(values), np.nan)
    q = [critical_parameter(round(float(v), 6), samples.given["m"], samples.given["p"], LEVEL) for v in values]
    return np.array(q) ** 0.25


CLAIMS = (
    Claim(
        id="chen2023/sgd-boundary-constant",
        title="The constant of SGD's boundary",
        statement="‖mu_c‖ (n/d)^(1/4) / ((P−1) sigma_p) → (2 a q_T(a)²)^(1/4) / √(1−2p), a the neurons' correlation",
        formula=(
            r"\frac{\lVert\mu_c\rVert(n/d)^{1/4}}{(P-1)\sigma_p}\to\frac{(2a\,q_T(a)^2)^{1/4}}{\sqrt{1-2p}} \qquad "
            r"d\to\infty"
        ),
        source="derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD)",
        kind=Kind.LIMIT,
        hypotheses=CONDITION,
        parameters=NOMINAL | {"mu": float(critical_signal(20, 2, 1.0, 10**6))},
        observe=observe,
        predict=predict,
        tolerance=0.05,
        tolerance_reason="n = 20, and one correlation in place of each sample's own active fraction",
        control=Control("a = ½: no neuron newly switched on", lambda samples: predict(samples, 0.5)),
        quick={"d": (10**5, 10**9), "m": 10, "groups": 32, "seeds": 4},
        full={"d": (10**5, 10**7, 10**9, 10**11), "m": 10, "groups": 64, "seeds": 8},
        ours=True,
    ),
)

"""What SGD does not depend on: d at all, and P and sigma_p beyond the units that they set.

Setting. SGD to training loss 0.05, n = 20, m = 10, balanced labels; sigma_0 = c √n/((P − 1) sigma_p d) with c = 0.1,
eta = 0.1 n m/((P − 1)² sigma_p² d), q = n ‖mu‖⁴/((P − 1)⁴ sigma_p⁴ d).

Claim. The active share of own-class pairs, S = ∫ s dtau and the clean error are the same at all d from 10⁵ to 10¹²:
their exponents are 0. As to P and sigma_p nothing is a limit: with b = (P − 1) sigma_p the run at ‖mu‖, sigma_0, eta is
the run at P = 2, sigma_p = 1 and ‖mu‖/b, b sigma_0, b² eta, its coefficients being the same numbers at every step.

Source. derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD). Derivation: docs/asymptotics.md.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from theory.chen2023.setting import CONDITION, NOMINAL, scaled_init_std, scaled_spec, seeds, signal_to_noise_ratio
from theory.chen2023.sgd_boundary import critical_signal
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.conv_run import ConvResult, ConvSpec

N, M, P_FLIP, C, EPS, Q = 20, 10, 0.1, 0.1, 0.05, 0.5


def observe_dimension(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Active share, S (medians) and clean error along d: (d, replicates) each, a replicate being settings["size"] runs.

    settings["wrong"] has initial weights ∝ d^(−2/3) in place of 1/d and ‖mu‖⁴ ∝ d^0.9.
    """
    dimensions, specs = np.array(settings["d"], float), []
    for d, growth in zip(settings["d"], dimensions / dimensions[0], strict=True):
        mu, init_std = float(critical_signal(N, 2, 1.0, d, Q)), scaled_init_std(N, d, 1.0, c=C)
        if settings["wrong"]:
            mu, init_std = mu / growth**0.025, init_std * growth ** (1 / 3)
        specs += [
            scaled_spec(seed, N, d, M, mu=mu, init_std=init_std, stop_loss=EPS, max_steps=10**5)
            for seed in seeds(settings)
        ]
    found = np.array([_figures(spec, result) for spec, result in zip(specs, runner.run(specs), strict=True)])
    found = found.reshape(len(dimensions), -1, settings["size"], 3)
    share, S, error = found.mean(axis=2)[..., 0], np.median(found, axis=2)[..., 1], found.mean(axis=2)[..., 2]
    return {
        name: Samples(values, {"x": dimensions})
        for name, values in {"active share": share, "S": S, "clean error": error}.items()
    }


def _figures(spec: "ConvSpec", result: "ConvResult") -> tuple[float, float, float]:
    """Active share, S from the signal learned, and clean error."""
    data: Any = spec.data
    unit = N * signal_to_noise_ratio(data.signal_norm, data.patches, data.noise_std, data.dimension) ** 2
    S = result.gamma.mean() / unit * 2.0 / (1.0 - 2.0 * P_FLIP)
    return (result.rho[result.own_class()] > 0.0).mean(), S, result.clean_error


def observe_units(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Every coefficient of every shape (P, sigma_p), to be those at (2, 1), held under "alike"; points along axis 0.

    ‖mu‖ is a multiple of ((P − 1) sigma_p)^settings["power"].
    """
    signal = critical_signal(N, 2, 1.0, settings["d"], Q)
    results = [
        runner.run([
            scaled_spec(seed, N, settings["d"], M, P, signal * b ** settings["power"], sigma_p, c=C, stop_loss=EPS)
            for seed in seeds(settings)
        ])
        for P, sigma_p, b in ((P, sigma_p, (P - 1) * sigma_p) for P, sigma_p in ((2, 1.0), *settings["shapes"]))
    ]  # fmt: skip
    axes = {}
    for name in ("gamma", "rho"):
        first, *others = (np.array([getattr(result, name) for result in row]) for row in results)
        axes[name] = Samples(np.array(others), {"alike": first})
    return axes


COMMON: dict[str, Any] = {
    "source": "derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD)",
    "hypotheses": CONDITION,
    "ours": True,
}

CLAIMS = (
    Claim(
        id="ours/free-of-dimension",
        title="The same at every dimension",
        statement="active share, S and clean error at fixed c and q do not depend on d, from 10⁵ to 10¹²",
        formula=(
            r"a,\ S,\ e \propto d^0 \qquad "
            r"c=\frac{(P-1)\sigma_pd\sigma_0}{\sqrt n},\ q=\frac{n\lVert\mu\rVert^4}{(P-1)^4\sigma_p^4d} \text{ fixed}"
        ),
        kind=Kind.RATE,
        observe=observe_dimension,
        predict=lambda samples: 0.0,
        parameters=NOMINAL | {"mu": float(critical_signal(N, 2, 1.0, 10**6, Q))},
        tolerance=0.006,
        tolerance_reason="over seven decades: 4 % at d = 10⁵, where fresh noise still meets the learned signal",
        control=Control("sigma_0 ∝ d^(−2/3) in place of 1/d, and ‖mu‖⁴ ∝ d^0.9", changes={"wrong": True}),
        quick={"d": (10**5, 10**7, 10**9, 10**12), "size": 5, "seeds": 320, "wrong": False},
        full={"d": tuple(10**k for k in range(5, 13)), "size": 8, "seeds": 800, "wrong": False},
        **COMMON,
    ),
    Claim(
        id="ours/free-of-patches",
        title="P and sigma_p only set units",
        statement="runs at equal c, q and d have equal gamma and rho, whatever P and sigma_p",
        formula=r"\gamma(P,\sigma_p)=\gamma(2,1) \qquad \rho(P,\sigma_p)=\rho(2,1) \qquad\text{at equal } c,\ q,\ d",
        kind=Kind.IDENTITY,
        observe=observe_units,
        predict=lambda samples: samples.given["alike"][None],
        parameters=NOMINAL | {"mu": float(critical_signal(N, 2, 1.0, 10**6, Q))},
        tolerance=1e-9,
        tolerance_reason="rounding",
        control=Control("‖mu‖ ∝ √((P−1) sigma_p): q with the power 2 in place of 4", changes={"power": 0.5}),
        quick={"d": 10**6, "shapes": ((3, 1.0), (3, 0.5), (17, 0.3), (2, 2.0)), "power": 1.0, "seeds": 24},
        full={"d": 10**6, "shapes": ((3, 1.0), (3, 0.5), (17, 0.3), (2, 2.0)), "power": 1.0, "seeds": 240},
        **COMMON,
    ),
)

"""SGD's boundary between benign and harmful overfitting.

Setting. SGD to training loss 0.01; sigma_0 = 0.1 √n/((P−1) sigma_p d), eta = 0.1 n m/((P−1)² sigma_p² d).

Claim. Overfitting is benign iff q = n ‖mu‖⁴ / ((P−1)⁴ sigma_p⁴ d) ≥ C. The signal norm at which the clean error
falls through 1/8 (test error p + 0.1 at p = 0.1) therefore goes as d^(1/4), n^(−1/4) and (P−1), and test errors of
all settings fall on one curve of q.

Where it fails. The condition on sigma_0 is not decoration: at a fixed sigma_0 = 0.01 the initial weights outgrow what
is learned as d grows, and the exponent is not 1/4.

Source. Chen et al. 2023, Theorem 3.2 (SGD), parts 2 and 3; Kou et al. 2023, Theorem 4.2.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from simulate.types import FloatArray
from theory.chen2023.setting import CONDITION, NOMINAL, scaled_spec, seeds
from theory.claim import Claim, Control, Kind, Outcome, Prediction, Samples
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.conv_run import ConvSpec
    from simulate.run import Specification

LEVEL = 0.125  # clean error e at which p + (1 − 2p) e = p + 0.1, for p = 0.1


def critical_signal(n: Numbers, P: Numbers, sigma_p: Numbers, d: Numbers, C: Numbers = 1.0) -> Any:
    """Return the ‖mu‖ at which q = C: (C d/n)^(1/4) (P−1) sigma_p."""
    return (C * np.asarray(d) / n) ** 0.25 * (P - 1) * sigma_p


def observe_boundary(
    points: Sequence[Mapping[str, Any]], settings: Settings, runner: Runner, bracket: ArrayLike = (0.3, 3.0),
    average: Callable[[FloatArray], float] = np.mean, build: "Callable[..., ConvSpec]" = scaled_spec,
) -> FloatArray:  # fmt: skip
    """Return the critical ‖mu‖ at every point (a dict of n, d, m, P …) and group of seeds, (points, groups).

    Each group averages settings["seeds"] runs; all values of ‖mu‖ share their data, weights and batches. `bracket`
    holds two signal norms, or two at every point (points, 2); `build(seed, mu=…, **point)` makes a run.
    """
    from simulate.bisection import critical_values

    size, first = settings["seeds"], settings["seed"]
    groups = [range(first + g * size, first + (g + 1) * size) for g in range(settings["groups"])]

    def specs(point: Mapping[str, Any], group: range, mu: float) -> "list[Specification]":
        return [build(seed, mu=mu, **point) for seed in group]

    cases = [(point, group) for point in points for group in groups]
    brackets = np.repeat(np.broadcast_to(bracket, (len(points), 2)), len(groups), axis=0)
    critical = critical_values(runner, [partial(specs, *case) for case in cases], LEVEL, brackets, average=average)
    return critical.reshape(len(points), len(groups))


def _observe_axis(
    axis: str, points: Sequence[Mapping[str, Any]], settings: Settings, runner: Runner, width: ArrayLike = (0.3, 3.0),
    average: Callable[[FloatArray], float] = np.mean,
) -> Samples:  # fmt: skip
    """Critical signal at `points`; `width` (2,) or (points, 2) brackets it in units of the form with constant 1."""
    form = [critical_signal(point.get("n", 20), point.get("P", 2), 1.0, point["d"]) for point in points]
    observed = observe_boundary(points, settings, runner, np.array(form)[:, None] * np.asarray(width), average)
    return Samples(observed, {"x": np.array(settings[axis], float)})


def observe_dimension(settings: Settings, runner: Runner) -> Samples:
    """Critical signal along d, towards large d."""
    return _observe_axis("d", [{"d": d} for d in settings["d"]], settings, runner)


def observe_samples(settings: Settings, runner: Runner) -> Samples:
    """Critical signal along n at d = 10⁸."""
    return _observe_axis("n", [{"d": 10**8, "n": n} for n in settings["n"]], settings, runner)


def observe_patches(settings: Settings, runner: Runner) -> Samples:
    """Critical signal along P − 1 at d = 10⁸."""
    return _observe_axis("P − 1", [{"d": 10**8, "P": q + 1} for q in settings["P − 1"]], settings, runner)


def observe_fixed_init(settings: Settings, runner: Runner) -> Samples:
    """Critical signal along d with sigma_0 = settings["init_std"] at every d (None: the scaling)."""
    fixed = {} if settings["init_std"] is None else {"init_std": settings["init_std"]}
    # wide enough for an exponent of 1 and no wider: at a hundred times its critical value the signal is unstable
    width = [(0.5, 5.0 * (d / 10**4) ** 0.75) for d in settings["d"]]
    # medians: here a rare run keeps a sample it cannot fit, and an error near ½, at any signal
    return _observe_axis("d", [{"d": d, **fixed} for d in settings["d"]], settings, runner, width, np.median)


# a Latin square: every P and every sigma_p meets every n and every d
SHAPES = tuple(
    (n, d, (2, 3, 5)[(i + j) % 3], (1.0, 0.5, 2.0)[(i + 2 * j) % 3])
    for i, n in enumerate((20, 40, 60)) for j, d in enumerate((10**5, 10**7, 10**9))
)  # fmt: skip


def observe_collapse(settings: Settings, runner: Runner) -> Samples:
    """Signed deviations of nine shapes' clean errors from their common mean at equal q: (2 · q · shapes, seeds).

    For the control the nine are held at equal n · SNR² instead, which agrees with equal q at the first shape.
    """

    def signal(q: float, n: int, d: float, P: int, sigma_p: float) -> Any:
        if settings.get("variable", "q") == "q":
            return critical_signal(n, P, sigma_p, d, q)
        n0, d0, P0, sigma0 = SHAPES[0]
        per_noise = critical_signal(n0, P0, sigma0, d0, q) / ((P0 - 1) * sigma0)
        return per_noise * np.sqrt(n0 / d0 * d / n) * (P - 1) * sigma_p

    specs = [
        scaled_spec(seed, n, d, 10, P, signal(q, n, d, P, sigma_p), sigma_p)
        for q in settings["q"] for n, d, P, sigma_p in SHAPES for seed in seeds(settings)
    ]  # fmt: skip
    errors = np.reshape([r.clean_error for r in runner.run(specs)], (len(settings["q"]), len(SHAPES), -1))
    deviation = (errors - errors.mean(axis=1, keepdims=True)).reshape(-1, settings["seeds"])
    return Samples(np.concatenate([deviation, -deviation]), {"trivial": 0.5})


def _exponent(value: float) -> Prediction:
    return lambda samples: value


COMMON: dict[str, Any] = {
    "source": "Chen et al. 2023, Theorem 3.2 (SGD); Kou et al. 2023, Theorem 4.2",
    "kind": Kind.PHASE_BOUNDARY,
    "hypotheses": CONDITION,
    "parameters": NOMINAL | {"mu": float(critical_signal(20, 2, 1.0, 10**6))},
}

FAR = NOMINAL | {"d": 10**8, "mu": float(critical_signal(20, 2, 1.0, 10**8))}

CLAIMS = (
    Claim(
        id="chen2023/sgd-boundary",
        title="SGD's critical signal grows as d^(1/4)",
        statement="benign iff n‖mu‖⁴ ≥ C d (P−1)⁴ sigma_p⁴, hence ‖mu‖_c ∝ d^(1/4)",
        formula=r"\lVert\mu\rVert_c\propto d^{1/4} \qquad n\lVert\mu\rVert_c^4=C\,d(P-1)^4\sigma_p^4",
        observe=observe_dimension,
        predict=_exponent(0.25),
        tolerance=0.01,
        tolerance_reason="finite d at the low end of the window",
        control=Control("‖mu‖_c ∝ √d, a boundary in SNR alone", _exponent(0.5)),
        quick={"d": tuple(10**k for k in range(3, 10)), "groups": 16, "seeds": 6},
        full={"d": tuple(round(10 ** (k / 2)) for k in range(6, 19)), "groups": 32, "seeds": 16},
        **COMMON,
    ),
    Claim(
        id="chen2023/sgd-boundary-samples",
        title="SGD's critical signal falls as n^(−1/4)",
        statement="benign iff n‖mu‖⁴ ≥ C d (P−1)⁴ sigma_p⁴, hence ‖mu‖_c ∝ n^(−1/4), labels balanced",
        formula=r"\lVert\mu\rVert_c\propto n^{-1/4} \qquad n\lVert\mu\rVert_c^4=C\,d(P-1)^4\sigma_p^4",
        observe=observe_samples,
        predict=_exponent(-0.25),
        tolerance=0.03,
        tolerance_reason="n spans less than a decade and a half, and is small at its low end",
        control=Control("‖mu‖_c ∝ n^(−1/2), a boundary in n · SNR²", _exponent(-0.5)),
        quick={"n": (20, 40, 80, 160), "groups": 20, "seeds": 4},
        full={"n": (20, 40, 80, 160, 320), "groups": 16, "seeds": 8},
        **(COMMON | {"parameters": FAR}),
    ),
    Claim(
        id="chen2023/sgd-boundary-patches",
        title="SGD's critical signal grows as P − 1",
        statement="benign iff n‖mu‖⁴ ≥ C d (P−1)⁴ sigma_p⁴, hence ‖mu‖_c ∝ (P−1)",
        formula=r"\lVert\mu\rVert_c\propto P-1 \qquad n\lVert\mu\rVert_c^4=C\,d(P-1)^4\sigma_p^4",
        observe=observe_patches,
        predict=_exponent(1.0),
        tolerance=0.03,
        tolerance_reason="finite d",
        control=Control("‖mu‖_c ∝ (P−1)^(1/2)", _exponent(0.5)),
        quick={"P − 1": (1, 2, 4, 8), "groups": 12, "seeds": 4},
        full={"P − 1": (1, 2, 4, 8, 16, 32), "groups": 32, "seeds": 8},
        **(COMMON | {"parameters": FAR}),
    ),
    Claim(
        id="chen2023/sgd-boundary-fixed-init",
        title="The same without the condition on sigma_0 (sigma_0 = 0.01 at every d)",
        statement="‖mu‖_c ∝ d^(1/4) also when sigma_0 does not shrink with d",
        formula=r"\lVert\mu\rVert_c\propto d^{1/4} \qquad \sigma_0=0.01",
        observe=observe_fixed_init,
        predict=_exponent(0.25),
        tolerance=0.05,
        tolerance_reason="wider than the scaled form's, so that finite d cannot be the reason",
        control=Control("‖mu‖_c does not depend on d", _exponent(0.0)),
        twin=Control("sigma_0 = 0.1 √n/(sigma_p d), the same seeds and dimensions", changes={"init_std": None}),
        quick={"d": (10**4, 10**5, 10**6), "groups": 12, "seeds": 5, "init_std": 0.01},
        full={"d": (10**4, 31_623, 10**5, 316_228, 10**6), "groups": 24, "seeds": 9, "init_std": 0.01},
        expected=Outcome.VIOLATED,
        **(COMMON | {"parameters": COMMON["parameters"] | {"sigma_0": 0.01}}),
    ),
    Claim(
        id="chen2023/sgd-collapse",
        title="Test errors collapse on n‖mu‖⁴ / ((P−1)⁴ sigma_p⁴ d)",
        statement="at equal q nine (n, d, P, sigma_p) have clean errors within 0.03 of their mean, labels balanced",
        formula=r"|e-\bar e(q)|\le0.03 \qquad q=\frac{n\lVert\mu\rVert^4}{(P-1)^4\sigma_p^4d}",
        observe=observe_collapse,
        predict=lambda samples: np.full(len(samples.observed), 0.03),
        tolerance=0.0,
        tolerance_reason="the allowance for finite size is in the bound",
        control=Control("collapse on n · SNR²", changes={"variable": "n · SNR²"}),
        quick={"q": (0.5, 3.0), "seeds": 72},
        full={"q": (0.1, 0.3, 1.0, 3.0, 10.0), "seeds": 256},
        **(COMMON | {"kind": Kind.UPPER_BOUND}),
    ),
)

"""When SAM's bias helps, and when it hurts.

Setting. Sparse teacher (n = 20, d = 30, r = 3, no label noise), flows followed to their interpolator, test loss on
fresh samples of the same design; alpha = 0.05 is small, 0.5 is large.

Claims. A smaller alpha is a sparser solution, so SAM should beat gradient flow on a sparse teacher. It does for 1-SAM
at small alpha, on every design tried. For n-SAM it depends on the design: with correlated, shifted or absolute
features it does, with isotropic ones it does the opposite, for Delta_n concentrates on the teacher's support, shrinking
alpha_eff exactly where it should stay. And at large alpha 1-SAM hurts too.

Measure. Mean of log(test loss of gradient flow / test loss of SAM), paired by problem: above 0 SAM is better. A flow
caught away from an interpolator (collapse, a spurious equilibrium) counts with the test loss it has.

Source. Andriushchenko & Flammarion 2022, Section 4 (1-SAM's and n-SAM's test loss on sparse teachers). The designs and
both failures are ours.
"""

from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.andriushchenko2022.setting import NOMINAL, REALISABLE, SMALL_ALPHA, SPARSE, regression, seeds
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.types import Runner, Settings


def test_losses(
    settings: Settings, runner: Runner, design: str, rule: str, rho: float
) -> tuple[FloatArray, FloatArray, int]:
    """Return (test losses of gradient flow, of the rule, how many of the rule's have no limit), paired by seed."""
    from simulate.diagonal_run import DiagonalSpec

    data = regression(design=design)
    common = {"alpha": settings["alpha"]}
    plain = runner.run([DiagonalSpec(data, rule="gradient-flow", seed=s, **common) for s in seeds(settings)])
    sam = runner.run([DiagonalSpec(data, rule=rule, radius=rho, seed=s, **common) for s in seeds(settings)])
    return (
        np.array([r.test_loss for r in plain]), np.array([r.test_loss for r in sam]),
        sum(r.status != "stopped" for r in sam),
    )  # fmt: skip


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """log(test of gradient flow / test of SAM), its negative with settings["sign"] = −1, for every design and rho."""
    axes = {}
    for design, rho in settings["designs"].items():
        plain, sam, lost = test_losses(settings, runner, design, settings["rule"], rho)
        notes = {"SAM/GF, median": float(np.median(sam / plain)), "worse": int((sam > plain).sum()), "no limit": lost}
        given = {"first": np.log(plain), "second": np.log(sam), "notes": notes}
        axes[f"{design}, rho = {rho:g}"] = Samples(settings.get("sign", 1.0) * np.log(plain / sam), given)
    return axes


TENFOLD = Control("the test loss falls tenfold", lambda samples: np.log(10.0))
COMMON: dict[str, Any] = {
    "source": "Andriushchenko & Flammarion 2022, Section 4",
    "kind": Kind.ORDERING,
    "hypotheses": (REALISABLE, SPARSE, SMALL_ALPHA),
    "observe": observe,
    "predict": lambda samples: 0.0,
    "tolerance": 0.0,
    "tolerance_reason": "any improvement counts",
}
ALL_DESIGNS = {"isotropic": 0.1, "equicorrelated": 0.03, "shifted": 0.005, "absolute": 0.1}
CORRELATED = {"equicorrelated": 0.1, "shifted": 0.01, "absolute": 0.1}
ISOTROPIC = {"isotropic": 0.1}

CLAIMS = (
    Claim(
        id="andriushchenko2022/one-sam-helps",
        title="1-SAM beats gradient flow on a sparse teacher, alpha small",
        statement="mean log(test of GF / test of 1-SAM) > 0 at alpha = 0.05, on every design",
        formula=(
            r"\mathbb{E}\log\frac{L_{\mathrm{test}}(\text{GF})}{L_{\mathrm{test}}(\text{1-SAM})}>0 \qquad \alpha=0.05"
        ),
        parameters=NOMINAL | {"alpha": 0.05},
        control=TENFOLD,
        quick={"rule": "1-sam-flow", "alpha": 0.05, "designs": ALL_DESIGNS, "seeds": 40},
        full={"rule": "1-sam-flow", "alpha": 0.05, "designs": ALL_DESIGNS, "seeds": 300},
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/n-sam-helps-correlated",
        title="n-SAM beats gradient flow with correlated or off-centre features",
        statement="mean log(test of GF / test of n-SAM) > 0 at alpha = 0.05, equicorrelated, shifted and absolute X",
        formula=(
            r"\mathbb{E}\log\frac{L_{\mathrm{test}}(\text{GF})}{L_{\mathrm{test}}(\text{n-SAM})}>0 \qquad \alpha=0.05"
        ),
        parameters=NOMINAL | {"alpha": 0.05, "m": 20},
        control=Control("isotropic features", changes={"designs": ISOTROPIC}),
        quick={"rule": "n-sam-flow", "alpha": 0.05, "designs": CORRELATED, "seeds": 40},
        full={"rule": "n-sam-flow", "alpha": 0.05, "designs": CORRELATED, "seeds": 300},
        ours=True,
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/n-sam-isotropic",
        title="n-SAM beats gradient flow with isotropic features",
        statement="mean log(test of GF / test of n-SAM) > 0 at alpha = 0.05 on isotropic features",
        formula=(
            r"\mathbb{E}\log\frac{L_{\mathrm{test}}(\text{GF})}{L_{\mathrm{test}}(\text{n-SAM})}>0 \qquad \alpha=0.05"
        ),
        parameters=NOMINAL | {"alpha": 0.05, "m": 20},
        control=TENFOLD,
        twin=Control("it is worse, on the same problems", changes={"sign": -1.0}),
        quick={"rule": "n-sam-flow", "alpha": 0.05, "designs": {"isotropic": 0.2}, "seeds": 48},
        full={"rule": "n-sam-flow", "alpha": 0.05, "designs": {"isotropic": 0.2}, "seeds": 300},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/one-sam-large-alpha",
        title="1-SAM beats gradient flow at large alpha too",
        statement="mean log(test of GF / test of 1-SAM) > 0 at alpha = 0.5 on isotropic features",
        formula=(
            r"\mathbb{E}\log\frac{L_{\mathrm{test}}(\text{GF})}{L_{\mathrm{test}}(\text{1-SAM})}>0 \qquad \alpha=0.5"
        ),
        parameters=NOMINAL | {"alpha": 0.5},
        control=TENFOLD,
        twin=Control("alpha = 0.05, on the same problems", changes={"alpha": 0.05}),
        quick={"rule": "1-sam-flow", "alpha": 0.5, "designs": ISOTROPIC, "seeds": 200},
        full={"rule": "1-sam-flow", "alpha": 0.5, "designs": ISOTROPIC, "seeds": 800},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
)

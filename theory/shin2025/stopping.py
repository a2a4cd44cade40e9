"""Neither early stopping nor weight decay makes SAM's gain in test error.

Setting. As in `width`: GD against SAM then GD on the convolutional network, at m = 100 to training losses from 0.3 down
to 0.001, and at m = 10 for T = 3000 steps with decoupled weight decay, W ← (1 − eta · decay) W before each step.

Claims. (1) SAM's gain is there early and does not need to be caught: training on from loss 0.3 to 0.001 takes some of
it away, but by far not half. (2) Weight decay does not add to it. At eta · decay · T = 9, where what SAM learned is
forgotten by the time of the test, nothing is left of it: GD's error stays, SAM's has risen to it.

Source. Shin et al. 2025, experiments: the regularisation, early stopping or weight decay, that SAM's gain needs beside
overparameterisation in some of them. An empirical story, tested in our model.
"""

from typing import Any

from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.shin2025.overparameterisation import CONV, MEMORISES, SOURCE, gains
from theory.types import Runner, Settings


def observe_stopping(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Gain at the larger training loss minus settings["factor"] times the gain at the smaller, at every flip rate."""
    axes = {}
    for p in settings["flip_rates"]:
        early, late = (gains(settings, runner, settings["width"], p=p, stop_loss=loss) for loss in settings["losses"])
        axes[f"p = {p:g}"] = Samples(early - settings["factor"] * late, {"first": early, "second": late})
    return axes


def observe_decay(settings: Settings, runner: Runner) -> Samples:
    """Gain with weight decay minus that without, at equal steps, times settings["sign"]."""
    m, T = settings["width"], settings["steps"]
    with_decay, without = (
        gains(settings, runner, m, stop_loss=0.0, max_steps=T, decay=product / (0.001 * m * T))
        for product in (settings["product"], 0.0)
    )
    return Samples(settings["sign"] * (with_decay - without), {"first": with_decay, "second": without})


COMMON: dict[str, Any] = {
    "source": SOURCE,
    "kind": Kind.ORDERING,
    "hypotheses": (MEMORISES,),
    "tolerance": 0.0,
    "tolerance_reason": "the margin is in the claim",
    "expected": Outcome.VIOLATED,
}
LOSSES = {"width": 100, "losses": (0.3, 0.001), "flip_rates": (0.0, 0.1), "factor": 2.0}
DECAY = {"width": 10, "steps": 3000, "product": 9.0, "sign": 1.0}

CLAIMS = (
    Claim(
        id="shin2025/early-stopping",
        title="SAM's gain needs early stopping",
        statement="training on from loss 0.3 to 0.001 takes over half of e(GD) − e(SAM → GD) away, m = 100",
        formula=r"\mathbb{E}[G_{L=0.3}-2\,G_{L=0.001}]>0 \qquad G=e(\mathrm{GD})-e(\mathrm{SAM}\to\mathrm{GD})",
        parameters=CONV | {"m": 100},
        observe=observe_stopping,
        predict=lambda samples: 0.0,
        control=Control("it takes 0.3 beyond the half", lambda samples: 0.3),
        twin=Control("it takes some away, on the same runs", changes={"factor": 1.0}),
        quick={**LOSSES, "seeds": 16},
        full={**LOSSES, "seeds": 64},
        **COMMON,
    ),
    Claim(
        id="shin2025/weight-decay",
        title="Weight decay adds to SAM's gain",
        statement="e(GD) − e(SAM → GD) at eta · decay · T = 9 exceeds that without decay, T = 3000 steps",
        formula=(
            r"\mathbb{E}[G_{\eta\,\mathrm{decay}\,T=9}-G_{\mathrm{decay}=0}]>0 \qquad "
            r"G=e(\mathrm{GD})-e(\mathrm{SAM}\to\mathrm{GD})"
        ),
        parameters=CONV,
        observe=observe_decay,
        predict=lambda samples: 0.0,
        control=Control("by 0.5", lambda samples: 0.5),
        twin=Control("it is less, on the same runs", changes={"sign": -1.0}),
        quick={**DECAY, "seeds": 32},
        full={**DECAY, "seeds": 200},
        **COMMON,
    ),
)

"""SAM's function is simpler at large width: by the number of its kinks, not by their total.

Setting. As in `flatness`: ReLU networks on the line, SAM and GD at equal training loss. f is piecewise linear; its
kinks between the outermost points are counted in 100 cells, the largest first, until they make 95 % of the variation of
its slope (`simulate.relu_regression.kinks`).

Claims. (1) At m = 100 GD's function needs over a quarter more kinks than SAM's, and (2) the ratio grows with m. (3) By
the total variation of its slope, the usual measure, SAM's function is not the simpler one, nor would it be if every
neuron's bend counted as a kink of its own: under SAM many neurons bend f in the same places.

Source. Shin et al. 2025, the functions learned by SAM and SGD on one-dimensional regression. Both measures are ours.
"""

from typing import Any

import numpy as np

from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.shin2025.flatness import FULL, QUICK, RELU, log_ratios, observe
from theory.shin2025.overparameterisation import SOURCE
from theory.types import Runner, Settings


def observe_widest(settings: Settings, runner: Runner) -> Samples:
    """log(GD's / SAM's) of settings["measure"] at the largest width, one a seed."""
    logs, missed = log_ratios({**settings, "widths": settings["widths"][-1:]}, runner, settings["measure"])
    notes = {"GD/SAM": float(np.exp(logs.mean())), "GD above SAM's loss": missed}
    return Samples(logs[0], {"notes": notes})


COMMON: dict[str, Any] = {
    "source": SOURCE,
    "kind": Kind.ORDERING,
    "hypotheses": (),
    "parameters": RELU,
    "tolerance": 0.0,
    "tolerance_reason": "the margin is in the claim",
}

CLAIMS = (
    Claim(
        id="shin2025/kinks",
        title="SAM's function has fewer kinks than GD's at large width",
        statement="kinks carrying 95 % of the slope's variation: GD over SAM above 1.25 at the largest width",
        formula=r"\mathbb{E}\log\frac{K(\mathrm{GD})}{K(\mathrm{SAM})}>\log1.25",
        observe=observe_widest,
        predict=lambda samples: np.log(1.25),
        control=Control("four times as many", lambda samples: np.log(4.0)),
        quick={"measure": "kinks", **QUICK},
        full={"measure": "kinks", **FULL},
        ours=True,
        **COMMON,
    ),
    Claim(
        id="shin2025/kinks-with-width",
        title="The more so the wider",
        statement="that ratio grows with m",
        formula=r"\frac{K(\mathrm{GD})}{K(\mathrm{SAM})}\propto m^s \qquad \mathbb{E}\,s>0",
        observe=observe,
        predict=lambda samples: 0.0,
        control=Control("in proportion to m", lambda samples: 1.0),
        quick={"measure": "kinks", **QUICK},
        full={"measure": "kinks", **FULL},
        ours=True,
        **COMMON,
    ),
    Claim(
        id="shin2025/slope-variation",
        title="SAM's function varies less in slope than GD's at large width",
        statement="total variation of the slope: GD over SAM above 1.1 at the largest width",
        formula=r"\mathbb{E}\log\frac{V(\mathrm{GD})}{V(\mathrm{SAM})}>\log1.1",
        observe=observe_widest,
        predict=lambda samples: np.log(1.1),
        control=Control("four times as much", lambda samples: np.log(4.0)),
        twin=Control("by the number of kinks, on the same runs", changes={"measure": "kinks"}),
        quick={"measure": "slope_variation", **QUICK},
        full={"measure": "slope_variation", **FULL},
        expected=Outcome.VIOLATED,
        ours=True,
        **COMMON,
    ),
)

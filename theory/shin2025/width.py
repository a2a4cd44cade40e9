"""SAM's gain in test error against width.

Setting. The convolutional network of Chen et al. 2023, full batch: d = 20000, n = 20, ‖mu‖ = 3, sigma_0 = 0.001,
eta = 0.001 m (so that time does not depend on m), balanced labels; SAM for kappa = 1/2 of the signal's growth time and
GD after it, against GD alone, both to training loss 0.01. Gain: e(GD) − e(SAM → GD), on the same draws.

Claims. (1) The gain grows with width up to m = 10, and (2) no further: there every sample has active neurons of its own
class, and SAM's error is near 0. (3) This with tau ∝ m; with tau fixed, as the same radius is used for every width, the
gain falls again. (4) The best radius grows with width: half the gain is reached at tau ∝ √m (and kept over decades).
(5) More flipped labels, more gain, (6) but no steeper in m.

Why (4). SAM's perturbation has length tau, spread over 2m neurons alike, so each neuron's share is tau/√(2m); what has
to be turned off are pre-activations whose size does not depend on m.

Where it fails. The story told without scope (the gain goes on growing; it does not fall at a fixed radius; flips make
it steeper) is expected to be violated.

Source. Shin et al. 2025, experiments: test accuracy of SAM and SGD against the number of parameters, best radius, label
noise. An empirical story of deep networks, tested in our model; the exponent is ours.
"""

from typing import Any

import numpy as np

from theory.chen2023.setting import seeds
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.shin2025.overparameterisation import CONV, MEMORISES, SOURCE, clean_errors, conv_spec, gains
from theory.types import Runner, Settings


def observe(settings: Settings, runner: Runner) -> Samples:
    """Gain at the second of two widths minus that at the first, paired by seed; tau is rescaled or fixed."""
    tau_width = settings.get("tau_width")
    narrow, wide = (gains(settings, runner, m, tau_width=tau_width) for m in settings["widths"])
    return Samples(wide - narrow, {"first": wide, "second": narrow})


def observe_noise(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Gain at the larger flip rate minus that at the smaller, paired by seed, at every width."""
    axes = {}
    for m in settings["widths"]:
        clean, noisy = (gains(settings, runner, m, p=p) for p in settings["flip_rates"])
        axes[f"m = {m}"] = Samples(noisy - clean, {"first": noisy, "second": clean})
    return axes


def observe_noise_trend(settings: Settings, runner: Runner) -> Samples:
    """Return what the larger flip rate adds to the gain's growth between two widths, paired by seed."""
    narrow, wide = (axis.observed for axis in observe_noise(settings, runner).values())
    return Samples(wide - narrow, {"first": wide, "second": narrow})


def observe_onset(settings: Settings, runner: Runner) -> Samples:
    """Return the radius at which half the gain is there: that of the clean error half-way from GD's to 0.

    One bisection for each width and seed, (widths, seeds), from a bracket about settings["tau"] · √m.
    """
    from simulate.bisection import critical_values

    widths = np.array(settings["widths"])
    level = 0.5 * float(np.mean([clean_errors(settings, runner, m, "sgd") for m in widths.tolist()]))
    points: list[Any] = [
        lambda tau, m=m, s=s: [conv_spec(s, m, radius=tau)] for m in widths.tolist() for s in seeds(settings)
    ]
    middle = np.repeat(settings["tau"] * np.sqrt(widths), settings["seeds"])
    found = critical_values(runner, points, level, middle[:, None] * [1.0 / 3.0, 3.0], settings["halvings"])
    return Samples(found.reshape(len(widths), -1), {"x": widths.astype(float), "notes": {"level": level}})


COMMON: dict[str, Any] = {
    "source": SOURCE,
    "hypotheses": (MEMORISES,),
    "parameters": CONV,
    "tolerance": 0.0,
    "tolerance_reason": "the margin is in the claim",
}
NARROW: dict[str, Any] = {"quick": {"widths": (3, 10), "seeds": 64}, "full": {"widths": (3, 10), "seeds": 400}}
WIDE: dict[str, Any] = {"quick": {"widths": (10, 100), "seeds": 64}, "full": {"widths": (10, 300), "seeds": 96}}

CLAIMS = (
    Claim(
        id="shin2025/gain-with-width",
        title="SAM's gain grows with width, in narrow networks",
        statement="e(GD) − e(SAM → GD) at m = 10 exceeds that at m = 3",
        formula=r"\mathbb{E}[G(10)-G(3)]>0 \qquad G=e(\mathrm{GD})-e(\mathrm{SAM}\to\mathrm{GD})",
        kind=Kind.ORDERING,
        observe=observe,
        predict=lambda samples: 0.0,
        control=Control("by 0.35", lambda samples: 0.35),
        **NARROW,
        **COMMON,
    ),
    Claim(
        id="shin2025/gain-with-width-beyond",
        title="SAM's gain goes on growing",
        statement="e(GD) − e(SAM → GD) at m = 100 (full: 300) exceeds that at m = 10 by 0.05",
        formula=r"\mathbb{E}[G(m)-G(10)]>0.05 \qquad G=e(\mathrm{GD})-e(\mathrm{SAM}\to\mathrm{GD})",
        kind=Kind.ORDERING,
        observe=observe,
        predict=lambda samples: 0.05,
        control=Control("by 0.15", lambda samples: 0.15),
        twin=Control("it is no smaller by 0.05, on the same runs", lambda samples: -0.05),
        expected=Outcome.VIOLATED,
        **WIDE,
        **COMMON,
    ),
    Claim(
        id="shin2025/gain-at-fixed-radius",
        title="SAM's gain does not fall with width at a fixed radius",
        statement="at tau of m = 3 the gain at m = 100 (full: 300) is at least that at m = 10, less 0.05",
        formula=(
            r"\mathbb{E}[G(m)-G(10)]>-0.05 \qquad \tau=\tau(3) \qquad G=e(\mathrm{GD})-e(\mathrm{SAM}\to\mathrm{GD})"
        ),
        kind=Kind.ORDERING,
        observe=observe,
        predict=lambda samples: -0.05,
        control=Control("it is larger by 0.05", lambda samples: 0.05),
        twin=Control("tau ∝ m, on the same draws", changes={"tau_width": None}),
        quick={"tau_width": 3, **WIDE["quick"]},
        full={"tau_width": 3, **WIDE["full"]},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
    Claim(
        id="shin2025/best-radius",
        title="The radius that SAM needs grows with width",
        statement="half the gain is reached at tau ∝ √m",
        formula=r"\tau_{1/2}\propto\sqrt m",
        kind=Kind.RATE,
        observe=observe_onset,
        predict=lambda samples: 0.5,
        control=Control("a fixed radius", lambda samples: 0.0),
        quick={"widths": (20, 45, 100), "tau": 0.005, "halvings": 3, "seeds": 64},
        full={"widths": (20, 45, 100, 220), "tau": 0.005, "halvings": 4, "seeds": 96},
        ours=True,
        **COMMON | {"tolerance": 0.12, "tolerance_reason": "tells √m from m^(1/4) and m"},
    ),
    Claim(
        id="shin2025/gain-with-label-noise",
        title="The more flipped labels, the larger SAM's gain",
        statement="e(GD) − e(SAM → GD) at p = 0.3 exceeds that at p = 0 by 0.03, at m = 10 and m = 100",
        formula=r"\mathbb{E}[G_{p=0.3}(m)-G_{p=0}(m)]>0.03 \qquad G=e(\mathrm{GD})-e(\mathrm{SAM}\to\mathrm{GD})",
        kind=Kind.ORDERING,
        observe=observe_noise,
        predict=lambda samples: 0.03,
        control=Control("by 0.2", lambda samples: 0.2),
        quick={"widths": (10, 100), "flip_rates": (0.0, 0.3), "seeds": 40},
        full={"widths": (10, 100), "flip_rates": (0.0, 0.3), "seeds": 100},
        **COMMON,
    ),
    Claim(
        id="shin2025/label-noise-with-width",
        title="The more flipped labels, the faster SAM's gain grows with width",
        statement="p = 0.3 adds 0.07 to the gain's growth from m = 10 to m = 100 over p = 0",
        formula=r"\mathbb{E}[\Delta(100)-\Delta(10)]>0.07 \qquad \Delta(m)=G_{p=0.3}(m)-G_{p=0}(m)",
        kind=Kind.ORDERING,
        observe=observe_noise_trend,
        predict=lambda samples: 0.07,
        control=Control("it adds 0.15", lambda samples: 0.15),
        twin=Control("it takes less than 0.07 away, on the same runs", lambda samples: -0.07),
        quick={"widths": (10, 100), "flip_rates": (0.0, 0.3), "seeds": 32},
        full={"widths": (10, 100), "flip_rates": (0.0, 0.3), "seeds": 100},
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
)

"""SGD on mini-batches: a full batch's run in epochs, as long as an epoch's first batches switch nobody else off.

Setting. That of `learning_curves` with batches of B < n, epochs shuffled: a visit adds e_B s to a pair,
e_B = (P − 1)² sigma_p² d eta/(B m), n/B times what a step of the full batch does.

Claim. In the limit system batches are taken one after another. As e_B → 0 that is the full batch's flow, in epochs. The
first correction is of order e_B/c: the jumps of the first batches, e_B s, move pairs of the later ones that are on by
c z alone, and turn some off before they have grown. The limit system batch by batch has it; a full batch at the same
e_B does not.

Source. derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD). Derivation: docs/asymptotics.md.
"""

from functools import partial

import numpy as np

from theory.chen2023.setting import CONDITION, NOMINAL, scaled_spec, seeds
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Runner, Settings

N, M, C, D, MU, EPS = 20, 10, 0.3, 10**8, 40.0, 0.05


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Return the final share of own-class pairs that are on, one replicate a run, for every batch size."""
    axes = {}
    for B in settings["B"]:
        specs = [
            scaled_spec(seed, N, D, M, mu=MU, c=C, e0=settings["jump"] * B / N, batch_size=B, stop_loss=EPS)
            for seed in seeds(settings)
        ]
        share = [(result.rho[result.own_class()] > 0.0).mean() for result in runner.run(specs)]
        axes[f"B = {B}"] = Samples(np.array([share]), {"B": B, "jump": settings["jump"]})
    return axes


def predict(samples: Samples, split: bool = True) -> float:
    """Return the limit system's share, batch by batch or at once."""
    from theory.ours.averaged import limit_system

    batches = N // samples.given["B"] if split else 1
    return float(limit_system(N, C, M, 0.1, EPS, samples.given["jump"], 400, batches=batches).active[-1])


CLAIMS = (
    Claim(
        id="ours/mini-batches",
        title="SGD on mini-batches",
        statement="the final active share is that of the limit system taken batch by batch, at e_B = 3c",
        formula=(
            r"\Delta\Phi_{ri}=e_Bs_i\ \text{a visit} \qquad e_B=\frac{(P-1)^2\sigma_p^2d\,\eta}{Bm} \qquad "
            r"F_{ri}=c\,z_{ri}+\sum_kJ_ry_k\Phi_{rk}g_{ki}"
        ),
        source="derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD)",
        kind=Kind.LIMIT,
        hypotheses=CONDITION,
        parameters=NOMINAL | {"d": D, "mu": MU, "B": 5},
        observe=observe,
        predict=predict,
        tolerance=0.02,
        tolerance_reason="the prediction's own Monte-Carlo error, 0.5 %, three times",
        control=Control("full batches at the same e_B", partial(predict, split=False)),
        quick={"B": (5,), "jump": 0.9, "seeds": 2400},
        full={"B": (1, 5), "jump": 0.9, "seeds": 3000},
        ours=True,
    ),
)

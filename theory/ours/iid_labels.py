"""SGD's clean error where labels are iid: the balanced one's, averaged over the label draws.

Setting. That of `test_error_curve`, every class and every flip drawn on its own.

Claim. Two numbers of a draw count, independent of each other: the share p' flipped, Binomial(n, p)/n, and the share pi
of label +1, Binomial(n, ½)/n. A test sample of class +1 meets the signal pi (1 − p') S₊ − (1 − pi) p' S₋, and responses
whose covariances are sums over pi of own-class samples and 1 − pi of others in the place of two halves. The mean over
draws exceeds the balanced error by a term of order 1/n, a fifth of it at n = 20 and q = 1.

Source. derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD). Derivation: docs/asymptotics.md.
"""

from functools import partial

import numpy as np

from theory.chen2023.setting import CONDITION, NOMINAL, scaled_spec, seeds
from theory.chen2023.sgd_boundary import critical_signal
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Runner, Settings

C, D, P_FLIP, EPS, Q = 1.0, 10**8, 0.1, 0.05, 1.0


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Clean errors, one replicate a run, for every (n, m)."""
    axes = {}
    for n, m in settings["shapes"]:
        mu = float(critical_signal(n, 2, 1.0, D, Q))
        specs = [
            scaled_spec(seed, n, D, m, mu=mu, p=P_FLIP, labels="iid", c=C, stop_loss=EPS) for seed in seeds(settings)
        ]
        errors = [result.clean_error for result in runner.run(specs)]
        axes[f"n = {n}, m = {m}"] = Samples(np.array([errors]), {"n": n, "m": m, "mu": mu})
    return axes


def predict(samples: Samples, iid: bool = True) -> float:
    """Return the effective process's error, its labels iid or balanced."""
    from theory.ours.averaged import effective_process

    n, m, mu = (samples.given[name] for name in ("n", "m", "mu"))
    run = effective_process(C, m, P_FLIP, EPS, samples=500, iid=n if iid else None)
    return run.clean_error_at(n, D, 2, mu, 1.0)


CLAIMS = (
    Claim(
        id="ours/iid-labels",
        title="SGD's clean error where labels are iid",
        statement="the mean clean error is that of the effective process averaged over flips and class sizes",
        formula=(
            r"\mathbb{E}\,e=\mathbb{E}_{p',\pi}\,\tfrac12\sum_\pm e_\pm \qquad "
            r"np'\sim\mathrm{Bin}(n,p),\ n\pi\sim\mathrm{Bin}(n,\tfrac12)"
        ),
        source="derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD)",
        kind=Kind.LIMIT,
        hypotheses=CONDITION,
        parameters=NOMINAL | {"d": D, "mu": float(critical_signal(20, 2, 1.0, D, Q))},
        observe=observe,
        predict=predict,
        tolerance=0.08,
        tolerance_reason="finite n, as with balanced labels, and the prediction's own Monte-Carlo error, 1 %",
        control=Control("balanced labels", partial(predict, iid=False)),
        quick={"shapes": ((20, 10),), "seeds": 1600},
        full={"shapes": ((20, 10), (40, 20)), "seeds": 4000},
        ours=True,
    ),
)

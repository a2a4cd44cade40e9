"""A theorem of one's own, checked: python docs/own_theorem.py

Suppose a draft says that after SGD to training loss 0.01 the mean noise coefficient of a sample's own class,
x = (1/m) Σ_r rho_bar, is the same for all d: x = Θ(1). The control is a slow power law, x = Θ(d^(1/8)).
"""

import numpy as np

from theory.check import check
from theory.chen2023.setting import CONDITION, NOMINAL, scaled_spec, seeds
from theory.claim import Claim, Control, Kind, Samples


def observe(settings, runner):
    """Return x for every dimension and seed, (dimensions, seeds), towards large d."""
    specs = [scaled_spec(seed, d=d) for d in settings["d"] for seed in seeds(settings)]
    margins = [result.rho[result.own_class()].mean() for result in runner.run(specs)]
    return Samples(np.reshape(margins, (len(settings["d"]), -1)), {"x": np.array(settings["d"], float)})


CLAIM = Claim(
    id="draft/final-noise-coefficient",
    title="The final noise coefficient does not depend on d",
    statement="(1/m) Σ_r rho_bar = Θ(1) in d at training loss 0.01",
    source="a draft of one's own",
    kind=Kind.RATE,
    hypotheses=CONDITION,
    parameters=NOMINAL,
    observe=observe,
    predict=lambda samples: 0.0,
    tolerance=0.02,
    tolerance_reason="finite d at the low end",
    control=Control("x ∝ d^(1/8)", lambda samples: 0.125),
    quick={"d": (10**4, 10**6, 10**8), "seeds": 24},
    full={"d": (10**4, 10**6, 10**8, 10**10, 10**12), "seeds": 96},
)

if __name__ == "__main__":
    record = check(CLAIM, "quick")
    print(record.verdict.outcome, record.verdict.measure, record.verdict.value, record.verdict.interval)
    print("control", "rejected" if record.rejected else "NOT rejected", "| passed:", record.passed)

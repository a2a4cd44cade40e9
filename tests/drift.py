"""How far inner products that are kept step by step drift from those that the coefficients give, over long runs.

    make drift        (python tests/drift.py [STEPS]…)

The Gram kernel adds eta D G to H and eta D to A, and never computes H = H_0 + A G anew (decay shrinks both). Printed is
max |H − (H_0 + A G)| after 10⁵, 10⁶ and 10⁷ steps of mini-batches: over max |H|, and at last over the largest |H_0| +
|A||G|, the terms that H is the sum of, as such and in units of √steps roundings.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from simulate.conv import GramNetwork
from simulate.conv_run import ConvSpec, build_network
from simulate.signal_noise import SignalNoise
from simulate.update import Batches, Phase, Rule, train

BATCH, ROUNDING = 5, 2.0**-53
EASY = SignalNoise(20, 20_000, signal_norm=3.0, flip_rate=0.1)
HARD = SignalNoise(20, 1, signal_norm=1.0, flip_rate=0.3)  # 20 labels on a line: no network fits them, and none rests
CASES = {
    "SGD": ConvSpec(EASY, step_size=0.01),
    "SAM": ConvSpec(EASY, step_size=0.01, rule="sam", radius=0.3),
    "SGD, labels that cannot be fitted": ConvSpec(HARD, init_std=0.3, step_size=0.3),
    "SAM, labels that cannot be fitted": ConvSpec(HARD, init_std=0.3, step_size=0.3, rule="sam", radius=0.3),
    "SAM with weight decay": ConvSpec(EASY, step_size=0.01, rule="sam", radius=0.3, decay=0.1),
    "SAM, masked neurons": ConvSpec(SignalNoise(20, 500, signal_norm=3.0), step_size=0.05, rule="sam", radius=0.3,
                                    density=0.5),
}  # fmt: skip


def drift(network: GramNetwork) -> tuple[float, float]:
    """Return max |H − (H_0 + A G)| over max |H|, and over the largest |H_0| + |A||G|."""
    H, G, A = network.projections(), network.instance.gram, network.coefficients[:, None]
    start = network._initial_share * network.instance.projections  # what weight decay leaves of it
    missed = np.abs(H - (start + (A @ G)[:, 0])).max()
    return float(missed / np.abs(H).max()), float(missed / (np.abs(start) + (np.abs(A) @ np.abs(G))[:, 0]).max())


def follow(spec: ConvSpec, marks: Iterable[int]) -> Iterator[GramNetwork]:
    """Yield the network after each of `marks` steps."""
    network, done, rule = build_network(spec), 0, Rule(spec.radius if spec.rule == "sam" else 0.0)
    assert isinstance(network, GramNetwork)
    for steps in marks:
        batches = Batches(len(network.instance.labels), BATCH, np.random.default_rng(steps))
        train(network, [Phase(rule, steps - done)], batches, spec.step_size, 0.0)
        done = steps
        yield network


def main(marks: Sequence[int]) -> None:
    """Print the table."""
    steps = "".join(f"{steps:>10.0e}" for steps in marks)
    print(f"{'drift over max |H| after':34s}{steps}   over terms   roundings")
    for name, spec in CASES.items():
        found = [drift(network) for network in follow(spec, marks)]
        row = "".join(f"{over:10.1e}" for over, _ in found)
        print(f"{name:34s}{row}{found[-1][1]:13.1e}{found[-1][1] / (ROUNDING * marks[-1] ** 0.5):12.2f}", flush=True)


if __name__ == "__main__":
    main([int(float(steps)) for steps in sys.argv[1:]] or [10**5, 10**6, 10**7])

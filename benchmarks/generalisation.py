"""The clean error of a network of 2m = 200 neurons against plain scrambled Sobol points, after SGD and after SAM.

Both sides must be as near to what 8192 lines give as they say, within six standard errors. Ratios are of the time that
it takes to the same standard error, which falls as one over the root of the time; both are told. Points, which both
sides keep between calls, are drawn before either is timed.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.machine import one_core
from benchmarks.measure import Disagreement, Row, clocked, costs, paired
from benchmarks.peers import error_sobol
from simulate.conv import GramNetwork
from simulate.generalisation import clean_error, smoothed_error
from simulate.signal_noise import SignalNoise, draw_gram
from simulate.update import Rule

RADII = {"SGD": 0.0, "SAM": 0.5}


def lines() -> Iterator[Row]:
    """Yield a row for a network trained by SGD, and for one trained by SAM first."""
    with one_core():
        for name in RADII:
            yield against_points(name)


def trained(name: str, n: int = 20, m: int = 100) -> GramNetwork:
    """Return a network trained to loss 0.01."""
    data = SignalNoise(samples=n, dimension=20_000, patches=2, signal_norm=5.0, flip_rate=0.1)
    network, everyone = GramNetwork(draw_gram(data, m, 0.001, seed=0)), np.arange(n)[None]
    if RADII[name]:
        network.take_steps(everyone, 0, 0, 100, n, 0.1, Rule(RADII[name]), 0.01)
    network.take_steps(everyone, 0, 0, 20_000, n, 0.1, Rule(0.0), 0.01)
    return network


def against_points(name: str, count: int = 20, repetitions: int = 9) -> Row:
    """Return the row of one network."""
    network = trained(name)
    signal, covariance = network.projections()[:, 0], network.covariance()
    truth, _ = smoothed_error(network, 1.0)
    found = {"points": error_sobol.clean_error(signal, covariance), "ours": clean_error(network, 1.0)}
    for side, (e, error) in found.items():
        if abs(e - truth) > 6.0 * error + 1e-5:
            raise Disagreement(f"{side}: an error of {e:.5f} ± {error:.5f}, and {truth:.5f} by 8192 lines")
    theirs, ours = paired(
        lambda: clocked(lambda: error_sobol.clean_error(signal, covariance)),
        lambda: clocked(lambda: [clean_error(network, 1.0) for _ in range(count)], count),
        repetitions,
    )
    errors = f"standard errors {found['points'][1]:.1e}, {found['ours'][1]:.1e}"
    return Row(
        f"test error, m 100, after {name}", "plain Sobol points",
        theirs / ours * (found["points"][1] / found["ours"][1]) ** 2, target=10,
        note=f"{costs(theirs, ours)}; {errors}",
    )  # fmt: skip

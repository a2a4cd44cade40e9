"""The two levels that are drawn: the limit system at finite n and m, and the effective process as n → ∞.

Both average independent draws into one `Asymptotics`, with standard errors.
"""

import numpy as np
from threadpoolctl import threadpool_limits

from simulate.effective_process import run_effective_process
from simulate.limit_system import CURVES, run_limit_system
from simulate.parameters import integer, real, reject
from simulate.signal_noise import balanced_flips
from theory.chen2023.setting import positive
from theory.ours.asymptotics import Asymptotics

GRID = 200


def limit_system(
    n, c, m, p=0.1, eps=0.01, e0=0.1, draws=32, seed=0, start=0.0, met=0.0, average=np.mean, **options
) -> Asymptotics:
    """Return the mean over draws of the limit system at n samples (`simulate.limit_system`, its `options`).

    Labels are balanced. With `average` np.median a rare draw with a sample that no neuron is on for does not count.
    """
    flipped = 2 * balanced_flips(integer("n", n, 2), real("p", p, below=0.5)) / n
    return _average(run_limit_system, (n, m, c, p, eps, e0), flipped, draws, seed, start, met, average, **options)


def effective_process(c, m, p=0.1, eps=0.01, e0=0.1, samples=1000, draws=8, seed=0, start=0.0, met=0.0, reaction=True):
    """Return the mean over draws of the effective process (`simulate.effective_process`), `samples` each."""
    return _average(run_effective_process, (samples, m, c, p, eps, e0), p, draws, seed, start, met, reaction=reaction)


def signal_met(gamma, n, d, P, mu, sigma_p):
    """Return gamma (P − 1) sigma_p √(d/n)/‖mu‖: the learned signal as the noise meets it, `met` above."""
    return gamma * (P - 1) * sigma_p * np.sqrt(d / n) / positive(mu)


def _average(run, setting, p, draws, seed, start, met, average=np.mean, **options):
    """Return the average of `draws` ≥ 2 runs; curves are interpolated in log(1 + tau) and constant beyond their ends.

    A draw with a sample that no own-class neuron is on for, ever, does not reach its loss: it is left out.
    """
    with threadpool_limits(1):  # products this small lose by threads
        every = [run(*setting, k, start, met, **options) for k in range(seed, seed + integer("draws", draws, 2))]
    runs = [one for one in every if one.status == "stopped"]
    if len(runs) < 2:
        reject("eps", setting[4], "a training loss that two draws reach at least")
    ends = np.array([[one.curves[name][-1] for name in CURVES] + [one.K_d, one.K_o, one.K_x] for one in runs])
    covariance = np.cov(ends.T) / len(runs)
    errors = dict(zip((*CURVES, "K_d", "K_o", "K_x"), np.sqrt(covariance.diagonal()), strict=True))
    tau = np.expm1(np.linspace(0.0, np.log1p(max(one.curves["tau"][-1] for one in runs)), GRID))
    curves = [
        average([np.interp(np.log1p(tau), np.log1p(one.curves["tau"]), one.curves[name]) for one in runs], axis=0)
        for name in CURVES[1:]
    ]
    active, margin, S, loss, signal = curves
    K = [float(value) for value in average(ends, axis=0)[-3:]]
    return Asymptotics(
        setting[1], p, start, tau, active, margin, S, loss, signal, *K, errors, len(runs) / draws,
        float(average(ends[:, 0])), covariance[len(CURVES) - 1 :, len(CURVES) - 1 :],
    )  # fmt: skip

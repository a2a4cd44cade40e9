"""The two levels that are drawn: the limit system at finite n and m, and the effective process as n → ∞.

Both average independent draws into one `Asymptotics`, with standard errors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from simulate.effective_process import run_effective_process
from simulate.limit_system import CURVES, SamPhase, run_limit_system
from simulate.parameters import integer, real, reject
from simulate.signal_noise import balanced_flips
from simulate.types import FloatArray
from theory.chen2023.setting import positive
from theory.ours.asymptotics import Asymptotics

GRID = 200


def limit_system(
    n: int, c: float, m: int, p: float = 0.1, eps: float = 0.01, e0: float = 0.1, draws: int = 32, seed: int = 0,
    start: float = 0.0, met: float = 0.0, average: Callable[..., Any] = np.mean, labels: str = "balanced",
    batches: int = 1, **options: Any,
) -> Asymptotics:  # fmt: skip
    """Return the mean over draws of the limit system at n samples (`simulate.limit_system`, its `options`).

    With `average` np.median a rare draw with a sample that no neuron is on for does not count. With iid labels and
    with mini-batches (`batches`) draws spread, and errors are means over theirs.
    """
    p = real("p", p, below=0.5)
    if labels == "balanced":
        p = 2 * balanced_flips(integer("n", n, 2), p) / n
    setting = {
        "n": n, "m": m, "c": c, "p": p, "eps": eps, "e0": e0, "start": start, "met": met, "labels": labels,
        "batches": batches,
    }  # fmt: skip
    runs = _runs(run_limit_system, draws, seed, setting | options)
    one = _average([(1.0, runs)], setting, draws, average)
    if labels == "balanced" and batches == 1:
        return one
    return _with_labels(one, [(1.0 / len(runs), run.classes, run.K_x) for run in runs])


def effective_process(
    c: float, m: int, p: float = 0.1, eps: float = 0.01, e0: float = 0.1, samples: int = 1000, draws: int = 8,
    seed: int = 0, start: float = 0.0, met: float = 0.0, reaction: bool = True, iid: int | None = None,
) -> Asymptotics:  # fmt: skip
    """Return the mean over draws of the effective process (`simulate.effective_process`), `samples` each.

    With `iid` the labels of so many samples are iid, start = 0: the number of flips and the sizes of the classes are
    averaged over by quadrature. The flips do not change the process, the sizes do: half as many draws again are
    made with one class larger, by √(3/n) of its mean.
    """
    setting = {"samples": samples, "m": m, "c": c, "p": p, "eps": eps, "e0": e0, "start": start, "met": met}
    setting["reaction"] = reaction
    if iid is None:
        return _average([(1.0, _runs(run_effective_process, draws, seed, setting))], setting, draws)
    if start != 0.0:
        reject("start", start, "0 where labels are iid (or draw the limit system)")
    shares, masses = binomial_quadrature(integer("iid", iid, 2), 0.5)
    even = _runs(run_effective_process, draws, seed, setting | {"p": 0.0})
    uneven = _runs(run_effective_process, -(-draws // 2), seed, setting | {"p": 0.0, "share": shares[-1]})
    groups = [(masses[1], even), (2.0 * masses[-1], uneven)]
    one = _average(groups, setting, draws + -(-draws // 2))
    scale = np.array([1.0, 1.0 - 2.0 * p, 1.0, 1.0, 1.0])  # of what was drawn without flips
    one = replace(one, signal=scale[1] * one.signal, covariance=scale[:, None] * one.covariance * scale)
    drawn = []
    for weight, runs in groups:
        classes, cross = np.mean([run.classes for run in runs], axis=0), np.mean([run.K_x for run in runs])
        for flipped, mass in zip(*binomial_quadrature(iid, p), strict=True):
            signal = (1.0 - flipped) * classes[1] - flipped * classes[1][::-1]
            drawn.append((weight * mass, np.array([classes[0], signal, *classes[2:]]), cross))
    return _with_labels(one, drawn)


def _with_labels(one: Asymptotics, drawn: Sequence[tuple[float, FloatArray, float]]) -> Asymptotics:
    """Return `one` with draws of labels: weight, classes (4, 2) and K_x, put into its units."""
    means = np.array([one.start, one.signal[-1], one.K_d, one.K_o])[:, None]
    return replace(one, draws=tuple(
        (weight, np.divide(classes, means, out=np.ones((4, 2)), where=means != 0.0), cross / one.K_x)
        for weight, classes, cross in drawn
    ))  # fmt: skip


def binomial_quadrature(n: int, p: float, count: int = 3) -> tuple[FloatArray, FloatArray]:
    """Return Gauss points k/n and weights, `count` each, of the binomial distribution: exact for degree 2 count − 1."""
    k = np.arange(min(count, n + 1))
    beside = np.sqrt((k * (n - k + 1) * p * (1.0 - p))[1:])
    points, vectors = np.linalg.eigh(np.diag(p * (n - k) + k * (1.0 - p)) + np.diag(beside, 1) + np.diag(beside, -1))
    return points / n, vectors[0] ** 2


def sam_phase(
    steps: int, n: int, d: float, m: int, P: int, mu: float, sigma_p: float, eta: float, radius: float
) -> SamPhase | None:
    """Return `steps` of SAM, radius tau, as `limit_system` takes it: its option `sam`; None without a step."""
    if not steps:
        return None
    met = signal_met(1.0, n, d, P, mu, sigma_p)
    return SamPhase(steps, radius * (P - 1) * sigma_p * np.sqrt(d), eta * mu**2 / (2 * m), np.sqrt(n / d), met)


def signal_met(gamma: float, n: int, d: float, P: int, mu: float, sigma_p: float) -> Any:
    """Return gamma (P − 1) sigma_p √(d/n)/‖mu‖: the learned signal as the noise meets it, `met` above."""
    return gamma * (P - 1) * sigma_p * np.sqrt(d / n) / positive(mu)


def _runs(run: Callable[..., Any], draws: int, seed: int, setting: Mapping[str, Any]) -> list[Any]:
    """Return the draws that reach their loss; one with a sample that no own-class neuron is on for, ever, does not."""
    with threadpool_limits(1):  # products this small lose by threads
        every = [run(seed=k, **setting) for k in range(seed, seed + integer("draws", draws, 2))]
    runs = [one for one in every if one.status == "stopped"]
    if len(runs) < 2:
        reject("eps", setting["eps"], "a training loss that two draws reach at least")
    return runs


def _average(
    groups: Sequence[tuple[float, list[Any]]], setting: Mapping[str, Any], draws: int,
    average: Callable[..., Any] = np.mean,
) -> Asymptotics:  # fmt: skip
    """Return the average of groups of runs, each with its weight.

    Curves are interpolated in log(1 + tau) and constant beyond their ends.
    """
    weights = np.array([weight for weight, _ in groups])
    names = (*CURVES[:-1], "start", "signal", "K_d", "K_o", "K_x")
    ends = [
        np.array([
            [one.curves[name][-1] if name in one.curves else getattr(one, name) for name in names] for one in runs
        ])
        for _, runs in groups
    ]  # fmt: skip
    covariance = sum(w * w * np.cov(rows.T) / len(rows) for w, rows in zip(weights, ends, strict=True))
    errors = dict(zip(names, np.sqrt(covariance.diagonal()), strict=True))
    tau = np.expm1(np.linspace(0.0, np.log1p(max(one.curves["tau"][-1] for _, runs in groups for one in runs)), GRID))
    active, margin, S, loss, signal = (
        weights @ [
            average([np.interp(np.log1p(tau), np.log1p(one.curves["tau"]), one.curves[name]) for one in runs], axis=0)
            for _, runs in groups
        ]
        for name in CURVES[1:]
    )  # fmt: skip
    time, *_, start, _, K_d, K_o, K_x = (float(value) for value in weights @ [average(rows, axis=0) for rows in ends])
    return Asymptotics(
        setting["m"], setting["p"], start, tau, active, margin, S, loss, signal, K_d, K_o, K_x, errors,
        sum(len(runs) for _, runs in groups) / draws, time, covariance[-5:, -5:],
    )  # fmt: skip

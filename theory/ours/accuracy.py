"""How accurate the asymptotics are at finite n, m and d, in settings fixed beforehand.

Setting. SGD to training loss eps, balanced labels, sigma_0 and eta as in `test_error_curve`; `CASES` span n from 20 to
200, m from 10 to 200, c from 0.02 to 4, p from 0 to 0.3, eps from 0.003 to 0.1 and d from 10⁵ to 10¹².

Claim. The clean error, at seven q in [0.1, 10], and the signal norm at which it is 1/8 are those of the effective
process with the finite-d term of `response.py`, up to an allowance; the closed form needs a wider one.

Source. derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD). `make accuracy` prints the deviations in every
setting, with their standard errors.
"""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.chen2023.setting import CONDITION, NOMINAL, resulting_flip_rate, scaled_spec
from theory.chen2023.sgd_boundary import LEVEL, critical_signal
from theory.claim import Claim, Control, Kind, Samples
from theory.ours.test_error_curve import within
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from theory.ours.asymptotics import Asymptotics

# n, m, c, p, eps, d, P, sigma_p
CASES = (
    (20, 10, 0.1, 0.1, 0.01, 10**6, 2, 1.0),
    (20, 20, 1.0, 0.2, 0.03, 10**8, 3, 0.5),
    (40, 20, 0.1, 0.1, 0.01, 10**9, 3, 0.5),
    (40, 100, 0.3, 0.3, 0.05, 10**7, 2, 1.0),
    (50, 20, 4.0, 0.2, 0.01, 10**6, 2, 2.0),
    (50, 50, 0.1, 0.1, 0.01, 10**8, 2, 1.0),
    (60, 50, 0.02, 0.0, 0.003, 10**12, 5, 1.0),
    (80, 20, 0.3, 0.1, 0.02, 10**10, 2, 0.5),
    (100, 50, 1.0, 0.1, 0.01, 10**5, 2, 1.0),
    (100, 100, 0.02, 0.1, 0.03, 10**7, 3, 1.0),
    (120, 10, 0.1, 0.1, 0.1, 10**10, 2, 1.0),
    (160, 50, 0.1, 0.3, 0.01, 10**8, 2, 1.0),
    (200, 20, 2.0, 0.05, 0.003, 10**11, 2, 1.0),
    (200, 200, 0.1, 0.1, 0.01, 10**9, 2, 1.0),
)
Case = tuple[int, int, float, float, float, int, int, float]
Q = tuple(np.geomspace(0.1, 10.0, 7))
SMALLEST_N = 50  # of the settings whose critical signal is judged


@cache
def predictions(level: str, samples: int, draws: int, case: Case) -> "list[Asymptotics]":
    """Return independent asymptotics of a level, four of `draws` each if it is drawn: effective, closed or half (a)."""
    from theory.ours.averaged import effective_process
    from theory.ours.closed import predict

    n, m, c, p, eps, d, P, sigma_p = case
    data: Any = scaled_spec(0, n, d, m, P, 1.0, sigma_p, p).data
    p = resulting_flip_rate(data)
    if level == "effective":
        return [effective_process(c, m, p, eps, samples=samples, draws=draws, seed=k * draws) for k in range(4)]
    return [predict(c, m, p, eps) if level == "closed" else predict(c, m, p, eps, active=lambda sigma: 0.5)]


def deviations(case: Case, settings: Settings, runner: Runner) -> tuple[FloatArray, FloatArray, Any, Any]:
    """Return deviations of the clean error (q, replicates) and relative ones of the critical ‖mu‖ (replicates,).

    Each replicate is the mean of max(1, settings["runs"] // n) runs. The critical ‖mu‖ follows from the predicted one
    by the deviation there, linear in log q between the two nearest, over the predicted slope. With both come the
    standard errors that the prediction adds, (q,) and a number.
    """
    n, m, c, p, eps, d, P, sigma_p = case
    q, size = np.array(settings["q"]), max(1, settings["runs"] // n)
    signal = critical_signal(n, P, sigma_p, d, q)
    count, first = settings["replicates"] * size, settings["seed"]
    specs = [
        scaled_spec(seed, n, d, m, P, mu, sigma_p, p, c=c, stop_loss=eps)
        for mu in signal for seed in range(first, first + count)
    ]  # fmt: skip
    errors = np.reshape([result.clean_error for result in runner.run(specs)], (len(q), -1, size)).mean(axis=2)
    levels = predictions(settings["level"], settings["samples"], settings["draws"], case)
    curves = np.array([[one.clean_error_at(n, d, P, mu, sigma_p) for mu in signal] for one in levels])
    critical = [one.critical_signal(LEVEL, n, d, P, sigma_p) for one in levels]
    mu: Any = np.mean(critical)
    step = 1.01
    around = [np.mean([one.clean_error_at(n, d, P, mu * at, sigma_p) for one in levels]) for at in (1 / step, step)]
    slope = (around[0] - around[1]) / (2.0 * np.log(step))
    deviation = errors - curves.mean(axis=0)[:, None]
    at = np.log(mu / signal[0]) * 4.0  # log q, from the first on
    shifts = np.array([np.interp(at, np.log(q / q[0]), column) for column in deviation.T]) / slope
    return deviation, shifts, _standard_error(curves), _standard_error(np.array(critical)) / mu


def _standard_error(rows: FloatArray) -> Any:
    return rows.std(axis=0, ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else 0.0 * rows[0]


def observe(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Signed deviations of all settings: of clean errors, and of critical ‖mu‖ where n ≥ 50: (points, replicates)."""
    found = [deviations(case, settings, runner) for case in settings["cases"]]
    errors = np.concatenate([deviation for deviation, *_ in found])
    shifts = np.array([f[1] for f, case in zip(found, settings["cases"], strict=True) if case[0] >= SMALLEST_N])
    return {
        "clean error": Samples(np.concatenate([errors, -errors]), {"trivial": 0.5}),
        "critical ‖mu‖": Samples(np.concatenate([shifts, -shifts])),
    }


QUICK = {
    "cases": (CASES[0], CASES[4], CASES[7]), "q": (0.5, 2.0), "replicates": 24, "runs": 240, "samples": 500,
    "draws": 2,
}  # fmt: skip
TABLE = {"cases": CASES, "q": Q, "replicates": 24, "runs": 60, "samples": 1000, "draws": 3}
FULL = {**TABLE, "replicates": 32, "runs": 240}
COMMON: dict[str, Any] = {
    "source": "derived here; sharpens Chen et al. 2023, Theorem 3.2 (SGD)",
    "kind": Kind.UPPER_BOUND,
    "hypotheses": CONDITION,
    "parameters": NOMINAL,
    "observe": observe,
    "tolerance": 0.0,
    "tolerance_reason": "the allowance for finite n and m is in the bound",
    "control": Control("a = ½: no neuron newly switched on", changes={"level": "half"}),
    "ours": True,
}

CLAIMS = (
    Claim(
        id="ours/accuracy-effective",
        title="The accuracy of the effective process",
        statement="over all settings |e − e(q)| ≤ 0.02, and ‖mu_c‖ within 5 % where n ≥ 50",
        formula=(
            r"\max_q|e-e(q)|\le0.02 \qquad "
            r"\left|\frac{\lVert\mu\rVert_c}{(q_cd/n)^{1/4}(P-1)\sigma_p}-1\right|\le0.05"
        ),
        predict={"clean error": within(0.02), "critical ‖mu‖": within(0.05)},
        quick={"level": "effective", **QUICK},
        full={"level": "effective", **FULL},
        **COMMON,
    ),
    Claim(
        id="ours/accuracy-closed",
        title="The accuracy of the closed form",
        statement="over all settings |e − e(q)| ≤ 0.03, and ‖mu_c‖ within 8 % where n ≥ 50",
        formula=(
            r"\max_q|e-e(q)|\le0.03 \qquad "
            r"\left|\frac{\lVert\mu\rVert_c}{(q_cd/n)^{1/4}(P-1)\sigma_p}-1\right|\le0.08"
        ),
        predict={"clean error": within(0.03), "critical ‖mu‖": within(0.08)},
        quick={"level": "closed", **QUICK},
        full={"level": "closed", **FULL},
        **COMMON,
    ),
)


def table(settings: Settings, runner: Runner) -> Iterator[str]:
    """Yield the table's lines, a setting each: largest |Δe| over q and Δ‖mu_c‖/‖mu_c‖ of every level."""
    levels = ("effective", "closed", "half")
    head = "   n   m     c    p   eps       d  P sigma_p  runs"
    yield head + "".join(f"   {name + ': max |Δe|':24}{'Δmu_c':16}" for name in levels)
    for case in settings["cases"]:
        n, m, c, p, eps, d, P, sigma_p = case
        line = f"{n:4d}{m:4d}{c:6g}{p:5g}{eps:6g}{d:8.0e}{P:3d}{sigma_p:8g}"
        line += f"{len(settings['q']) * settings['replicates'] * max(1, settings['runs'] // n):6d}"
        for level in levels:
            deviation, shifts, error, shift_error = deviations(case, {**settings, "level": level}, runner)
            k = np.abs(deviation.mean(axis=1)).argmax()
            total = np.hypot(_standard_error(deviation.T)[k], error[k])
            line += f"   {abs(deviation[k].mean()):.4f} ± {total:.4f}, q = {settings['q'][k]:<5.2g}"
            line += f"{100 * shifts.mean():+6.2f} ± {100 * np.hypot(_standard_error(shifts), shift_error):.2f} %"
        yield line


def main() -> None:
    """Print the table, with one process; runs that are stored are not made again."""
    from simulate.runner import Runner, single_threaded
    from simulate.store import Store

    with Runner(1, Store()) as runner, single_threaded():
        for line in table({**TABLE, "seed": 0}, runner):
            print(line, flush=True)


if __name__ == "__main__":
    main()

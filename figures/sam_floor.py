"""How far from the optimum SAM stays, and what the published bound makes of it.

Left: f − f* of deterministic SAM with constant steps, its start forgotten (mean over its last 200 steps), against rho,
on ten random least-squares problems with eigenvalues 1 … ¼; the published floor N and ours, N', at their constants
L = 1, mu = ¼. Right: two parabolas, one drawn once in 400 steps (`oikonomou2025/constant-steps-largest-sample`): mean
over seeds of f − f* on its way, two standard errors, the exact stationary value, and the bound with L = max L_i, which
it crosses.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import FLOOR, SAM, SGD, THEORY, TWO_PANELS
from simulate.finite_sum_data import DrawnSum, GivenSum
from simulate.finite_sum_run import FiniteSumSpec
from theory.oikonomou2025.constant_steps import RARE, linear_rate, rare_constants, rare_moments
from theory.oikonomou2025.setting import Constants

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulate.runner import Runner

RADII, GAMMA, STEPS, PROBLEMS = np.geomspace(1e-4, 0.2, 12), 0.375, 20_000, 10
CONDITION = 4.0
PATHS, LONG, START = 200, 800_000, 0.5
TIMES = tuple(range(0, LONG + 1, LONG // 80))


def compute(runner: "Runner") -> dict[str, np.ndarray]:
    """Return the floors (radii, problems) and the paths' f − f* (paths, times)."""
    data = DrawnSum(samples=10, dimension=5, condition=CONDITION, noise_std=0.5)
    record = tuple(range(STEPS - 200, STEPS))
    run: dict[str, Any] = {"normalisation": 1.0, "step_size": GAMMA, "max_steps": STEPS, "record": record}
    specs = [FiniteSumSpec(data, radius=float(rho), seed=k, **run) for rho in RADII for k in range(PROBLEMS)]
    results: list[Any] = runner.run(specs)
    floors = [result.history["gap"].mean() for result in results]
    rare = GivenSum(((1.0,), (1.0,)), (RARE["distance"], -RARE["distance"]), (START,))
    paths: list[Any] = runner.run([
        FiniteSumSpec(
            rare, radius=RARE["rho"], normalisation=RARE["lam"], step_size=RARE["gamma"], sampling="single",
            probabilities=(RARE["p"], 1.0 - RARE["p"]), max_steps=LONG, record=TIMES, seed=k,
        ) for k in range(PATHS)
    ])  # fmt: skip
    return {
        "floors": np.array(floors).reshape(len(RADII), PROBLEMS),
        "paths": np.array([path.history["gap"] for path in paths]),
    }


def bounds() -> np.ndarray:
    """Return the published floor and ours at every radius (2, radii): full batch, L = 1, mu = ¼."""
    c = Constants(1.0, 1.0 / CONDITION, 0.0, 1.0, 0.0)
    return np.array([c.floor(GAMMA, RADII, 1.0), c.sharper_floor(GAMMA, RADII, 1.0)])


def draw(data: dict[str, np.ndarray]) -> "Figure":
    """Return the figure."""
    import matplotlib.pyplot as plt

    with plt.rc_context(TWO_PANELS):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.5))
        published, ours = bounds()
        left.loglog(RADII, published, color=FLOOR, label=r"published bound $N\propto\rho$")
        left.loglog(RADII, ours, color=THEORY, ls="--", label=r"ours, $N'\propto\rho^2$")
        dots = left.loglog(RADII, data["floors"], "o", ms=3.5, color=SAM, alpha=0.6)
        dots[0].set_label("observed, ten problems")
        left.set(xlabel=r"radius $\rho$", ylabel=r"$f-f^*$ in the long run", title="SAM's floor falls as ρ²")
        left.legend()
        t, mean = np.array(TIMES) / 1e5, data["paths"].mean(axis=0)
        error = 2.0 * data["paths"].std(axis=0, ddof=1) / np.sqrt(len(data["paths"]))
        c = rare_constants(1.0, RARE["p"], RARE["distance"])
        floor = c.floor(RARE["gamma"], RARE["rho"], RARE["lam"])
        bound = linear_rate(data["paths"][0, 0], RARE["gamma"], 1.0, np.array(TIMES), floor)
        mean_x, std_x = rare_moments(**RARE)
        right.fill_between(t, mean - error, mean + error, color=SGD, alpha=0.25, lw=0)
        right.plot(t, mean, color=SGD, label=f"mean of {len(data['paths'])} paths")
        right.axhline(0.5 * (mean_x**2 + std_x**2), color=THEORY, lw=0.8, ls=":", label="stationary, exact")
        right.plot(t, bound, color=FLOOR, label=r"bound with $L=\max_i L_i$")
        right.set(xlabel=r"steps / $10^5$", ylabel=r"$\mathbb{E} f(x_t)-f^*$", title="A rare sample breaks the bound")
        right.set_ylim(0.0, None)
        right.legend()
    return figure

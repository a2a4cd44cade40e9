"""What the files on overparameterisation share: three models, their protocols, and differences of test errors.

Letters: n samples, d dimension, m width, p flip rate, tau SAM's radius on the convolutional network (C3 its divisor),
rho its radius elsewhere, kappa the length of SAM's phase. The paper's story is empirical and told on deep networks: the
claims here ask which parts of it these exactly simulated models share.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.chen2023.setting import positive, sam_radius, sam_steps, scaled_spec, seeds
from theory.claim import Hypothesis
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.conv_run import ConvSpec

SOURCE = "Shin et al. 2025, experiments: an empirical story, tested in our model"

# The convolutional network on signal plus noise: the demonstration of chen2023, eta rescaled with the width.
CONV: dict[str, Any] = {
    "n": 20, "d": 20_000, "m": 10, "P": 2, "mu": 3.0, "sigma_p": 1.0, "p": 0.1, "sigma_0": 0.001, "kappa": 0.5,
}  # fmt: skip

MEMORISES = Hypothesis(
    "noise", "‖mu‖⁴ n ≪ d: GD memorises noise", lambda a: a["d"] / positive(a["n"] * a["mu"] ** 4)
)  # fmt: skip


def conv_spec(
    seed: int, m: int, rule: str = "sam-then-sgd", p: float = 0.1, mu: float = 3.0, d: int = 20_000,
    tau_width: int | None = None, radius: float | None = None, density: float = 1.0, **run: Any,
) -> "ConvSpec":  # fmt: skip
    """Return a run of width m: eta = 0.001 m, full batch, balanced labels, to training loss 0.01.

    tau = m √n/(P sigma_p √d) (C3 = 1), or with `tau_width` that of another width, or `radius` itself. A neuron that
    keeps a share `density` of its weights sees as much less of d and ‖mu‖²: radius and SAM's phase follow.
    """
    n, P, eta = CONV["n"], CONV["P"], 0.001 * m
    if radius is None:
        radius = sam_radius(tau_width or m, n, P, 1.0, density * d, 1.0)
    return scaled_spec(
        seed, n, d, m, P, mu, 1.0, p, init_std=CONV["sigma_0"], step_size=eta, density=density,
        rule=rule, radius=0.0 if rule == "sgd" else radius,
        sam_steps=sam_steps(CONV["kappa"], m, eta, np.sqrt(density) * mu, p), **run,
    )  # fmt: skip


def clean_errors(settings: Settings, runner: Runner, m: int, rule: str, **run: Any) -> FloatArray:
    """Return the clean errors of runs of width m, one a seed, (seeds,)."""
    specs = [conv_spec(seed, m, rule, **run) for seed in seeds(settings)]
    return np.array([result.clean_error for result in runner.run(specs)])


def gains(settings: Settings, runner: Runner, m: int, **run: Any) -> FloatArray:
    """Return e(GD) − e(SAM → GD), one a seed, (seeds,): the same data, flips and initial weights for both."""
    plain = {name: value for name, value in run.items() if name not in ("tau_width", "radius")}  # GD has none
    return clean_errors(settings, runner, m, "sgd", **plain) - clean_errors(settings, runner, m, "sam-then-sgd", **run)

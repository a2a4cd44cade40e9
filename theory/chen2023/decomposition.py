"""Signal–noise decomposition: what a weight has learned, split into signal and noise coefficients.

Setting. Any step of (S)GD or SAM on the two-layer convolutional ReLU network.

Claim. At every step w = w_0 + J gamma mu/‖mu‖² + (1/(P−1)) Σ_i rho_i xi_i/‖xi_i‖². Where J = y_i, rho (there
called rho_bar) is ≥ 0 and never decreases; where J = −y_i, rho (rho_under) is ≤ 0 and never increases.

Source. Chen et al. 2023, the signal–noise decomposition and its update equations, after Kou et al. 2023,
Definition 5.1 and Lemma 5.2.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.chen2023.setting import NOMINAL, sam_radius, scaled_spec, seeds
from theory.claim import Claim, Control, Kind, Samples
from theory.types import Runner, Settings

if TYPE_CHECKING:
    from simulate.conv_run import ConvSpec


def decompose(
    gamma: FloatArray, rho: FloatArray, signs: FloatArray, mu_squared: float, xi_squared: FloatArray,
    noise_weight: float,
) -> FloatArray:  # fmt: skip
    """Return the coefficients (2m, N+1) of w − w_0 on (mu, xi_1, …): J gamma/‖mu‖² and rho/(c ‖xi_i‖²)."""
    signal = signs * gamma / mu_squared
    return np.column_stack([signal, rho / (noise_weight * xi_squared)])


def _specs(settings: Settings, **run: Any) -> "list[ConvSpec]":
    """Return runs under GD, mini-batch SGD and SAM, to the end of settings["steps"]."""
    n, d, m, P = 20, settings["d"], 10, 3
    return [
        scaled_spec(
            seed, n, d, m, P, labels="iid", rule=rule, radius=sam_radius(m, B or n, P, 1.0, d, 4.0), batch_size=B,
            max_steps=settings["steps"], stop_loss=0.0, **run,
        )
        for rule in ("sgd", "sam") for B in (None, 7) for seed in seeds(settings)
    ]  # fmt: skip


def observe_weights(settings: Settings, runner: Runner) -> Samples:
    """Train the d-vectors themselves; beside the weights' displacement, give the Gram run's gamma and rho."""
    from simulate.conv import GramNetwork
    from simulate.conv_run import build_network, train_network
    from simulate.runner import single_threaded

    displacement, given = [], []
    with single_threaded():
        for spec in _specs(settings, space="dense"):
            dense: Any = build_network(spec)
            vectors, start = dense.instance.vectors, dense.weights.copy()
            gram = GramNetwork(dense.instance.to_gram())
            train_network(spec, dense)
            train_network(spec, gram)
            norms = gram.squared_norms()
            displacement.append(dense.weights - start)
            given.append(
                (gram.signal_coefficients(), gram.noise_coefficients(), gram.signs, norms[0], norms[1:],
                 gram.instance.noise_weight, vectors)
            )  # fmt: skip
    return Samples(np.stack(displacement), {"parts": given})


def predict_weights(samples: Samples) -> FloatArray:
    """Return Σ_k coefficient_k v_k for every run."""
    return np.stack([decompose(*parts[:-1]) @ parts[-1] for parts in samples.given["parts"]])


def predict_with_mean_norms(samples: Samples) -> FloatArray:
    """Return the same with every ‖xi_i‖² replaced by its expectation sigma_p² d (sigma_p = 1 here)."""
    expected = [(*parts[:4], np.full_like(parts[4], parts[6].shape[1]), *parts[5:]) for parts in samples.given["parts"]]
    return predict_weights(Samples(samples.observed, {"parts": expected}))


def observe_increments(settings: Settings, runner: Runner) -> Samples:
    """Return y_i J_r times the increment of rho in every single step."""
    increments = []
    for result in runner.run(_specs(settings, record=tuple(range(settings["steps"] + 1)))):
        sign = np.where(result.own_class(), 1.0, -1.0) * settings.get("orientation", 1.0)
        increments.append(np.diff(result.history["rho"], axis=0, prepend=0.0) * sign)
    return Samples(np.concatenate([i.ravel() for i in increments]))


CLAIMS = (
    Claim(
        id="chen2023/decomposition",
        title="Weights decompose into signal and noise coefficients",
        statement="w = w_0 + J gamma mu/‖mu‖² + (1/(P−1)) Σ_i rho_i xi_i/‖xi_i‖², every neuron, at the end of a run",
        formula=(
            r"w=w_0+\frac{J\gamma\mu}{\lVert\mu\rVert^2}+\frac{1}{P-1}\sum_i\frac{\rho_i\xi_i}{\lVert\xi_i\rVert^2}"
        ),
        source="Chen et al. 2023, signal–noise decomposition; Kou et al. 2023, Definition 5.1",
        kind=Kind.IDENTITY,
        hypotheses=(),
        parameters=NOMINAL | {"d": 200, "P": 3, "mu": 2.0},
        observe=observe_weights,
        predict=predict_weights,
        tolerance=1e-11,
        tolerance_reason="rounding of some hundred to thousand steps in float64",
        control=Control("every ‖xi_i‖² replaced by sigma_p² d", predict_with_mean_norms),
        quick={"d": 200, "steps": 300, "seeds": 2},
        full={"d": 2000, "steps": 1000, "seeds": 8},
    ),
    Claim(
        id="chen2023/coefficient-signs",
        title="Noise coefficients keep their sign and only grow",
        statement="rho_bar ≥ 0 never decreases and rho_under ≤ 0 never increases, under GD, SGD and SAM",
        formula=r"y_iJ_r\left(\rho_{r,i}^{(t+1)}-\rho_{r,i}^{(t)}\right)\ge0",
        source="Chen et al. 2023, update equations of the decomposition; Kou et al. 2023, Lemma 5.2",
        kind=Kind.LOWER_BOUND,
        hypotheses=(),
        parameters=NOMINAL | {"d": 2000, "P": 3, "mu": 2.0},
        observe=observe_increments,
        predict=lambda samples: np.zeros_like(samples.observed),
        tolerance=0.0,
        tolerance_reason="exact: every increment is a product of one sign",
        control=Control("the two classes exchanged", changes={"orientation": -1.0}),
        quick={"d": 2000, "steps": 300, "seeds": 4},
        full={"d": 20_000, "steps": 1000, "seeds": 8},
    ),
)

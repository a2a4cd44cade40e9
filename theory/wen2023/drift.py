"""How fast SAM drifts along the minimisers of a diagonal network, and down which sharpness.

Setting. beta = w₊² − w₋², L = (1/4n)‖X beta − y‖² with many interpolators; s = w₊² + w₋². At an interpolator the
Hessian's nonzero eigenvalues are those of K = (2/n) X diag(s) Xᵀ, lam the largest, simple, with unit eigenvector u; a
sample's own Hessian has the one eigenvalue lam_i = 2 Σ_j x_ij² s_j, and the trace is their mean. SAM is normalised,
rho → 0, and runs near the interpolators: w₊w₋, coordinate by coordinate, tells how far it has come along them.

Claims. Per step of size gamma,

    (1) full batch, gamma lam → 0      d log(w₊w₋)_j = −2 gamma rho² ∂lam/∂s_j,      ∂lam/∂s_j = (2/n)(Xᵀu)_j²
    (2) 1-SAM, gamma lam_i → 0         d log(w₊w₋)_j = −2 gamma rho² ∂(tr K)/∂s_j,   ∂(tr K)/∂s_j = (2/n) Σ_i x_ij²
    (3) full batch, 0 < gamma lam < 2  (1) times (2/(2 − gamma lam))²
    (4) 1-SAM, 0 < gamma lam_i < 2,    each sample's part of (2) times (2/(2 − gamma lam_i))²
        samples without a common feature

(1) and (2) are the flows of −(rho²/2)∇lam_max and −(rho²/2)∇tr along the interpolators.

Why. SAM ends in a two-cycle across the valley along u, at a distance c = gamma lam rho/(2 − gamma lam); its perturbed
point is at c + rho = 2 rho/(2 − gamma lam), and there the gradient has the part ½ (c + rho)² ∇lam along the valley
(docs/further.md, where the product of the weights is followed exactly).

Source. Wen, Ma & Li 2023, for (1) and (2) on smooth manifolds of minimisers; the other two are ours.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Hypothesis, Kind, Prediction, Samples
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.diagonal import DiagonalNetwork


def top_rate(given: Mapping[str, Any]) -> Any:
    """Return −2 ∂lam/∂s_j, of log w₊w₋ per step and gamma rho²."""
    return -2.0 * given["top"]


def trace_rate(given: Mapping[str, Any]) -> Any:
    """Return −2 ∂tr K/∂s_j: the sum over the samples."""
    return -2.0 * given["samples"].sum(axis=1)


def amplification(u: Numbers) -> Any:
    """Return (2/(2 − u))², u = gamma lam: the square of the perturbed point's distance over rho."""
    return (2.0 / (2.0 - u)) ** 2


def networks(settings: Settings) -> "Iterator[tuple[DiagonalNetwork, FloatArray, np.random.Generator]]":
    """Yield (network at an interpolator, its X, generator): n = 2 … 4 samples of d = 2n features.

    Gradient descent from w₊ = w₋ = ½ has taken it there. `disjoint` samples have two features each and none in common.
    """
    from simulate.diagonal import DiagonalNetwork
    from simulate.diagonal_run import DiagonalSpec, train_network
    from simulate.regression import RegressionInstance
    from simulate.streams import stream

    for k in range(settings["problems"]):
        rng = stream("drift", settings["seed"] + k)
        n = int(rng.integers(2, 5))
        X, y = rng.standard_normal((n, 2 * n)), rng.uniform(0.5, 2.0, n)
        if settings["disjoint"]:
            X *= np.kron(np.eye(n), np.ones((1, 2)))
        none = np.empty((0, 2 * n))
        network = DiagonalNetwork(RegressionInstance(X, y, none, np.empty(0), None), 0.5)
        gamma = float(0.02 * n / np.linalg.norm(X, 2) ** 2)
        spec = DiagonalSpec(rule="gd", step_size=gamma, max_steps=200_000, stop_loss=1e-24)
        if train_network(spec, network)[0] == "stopped":
            yield network, X, rng


def curvatures(network: "DiagonalNetwork", X: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return K's eigenvalues (n,), rising, ∂lam/∂s (d,), lam_i (n,) and the samples' parts of ∂tr K/∂s (n, d)."""
    s, n = (network.weights**2).sum(axis=0), len(X)
    values, vectors = np.linalg.eigh(2.0 / n * (X * s) @ X.T)
    return values, 2.0 / n * (X.T @ vectors[:, -1]) ** 2, 2.0 * X**2 @ s, 2.0 / n * X**2


def observe(settings: Settings, runner: Runner) -> Samples:
    """d log(w₊w₋) a step, over gamma rho² and the mean of X², after the two-cycle is reached: (coordinates,).

    gamma times the largest curvature is settings["u"], or uniform in 0.2 … 1.6 where that is None.
    """
    from simulate.diagonal_run import DiagonalSpec, train_network

    rho, one = settings["rho"], settings["rule"] == "stochastic-1-sam"
    observed: list[FloatArray] = []
    given: dict[str, list[FloatArray]] = {name: [] for name in ("top", "samples", "u", "sample u")}
    for network, X, rng in networks(settings):
        n = len(X)
        values, _, each, _ = curvatures(network, X)
        share = rng.uniform(0.2, 1.6)
        curvature = each if one else values
        gamma = (share if settings["u"] is None else settings["u"]) / curvature.max()
        slowest = min(gamma * curvature.min(), 2.0 - gamma * curvature.max())
        start = int(settings["relaxations"] / slowest) * 2 * n
        spec = DiagonalSpec(
            rule=settings["rule"], sampling="epochs", radius=rho, normalisation=1.0, step_size=gamma, record=(start,),
            max_steps=start + 2 * n * settings["epochs"],
        )  # fmt: skip
        _, steps, history = train_network(spec, network)
        log = 2.0 * history["log_alpha_eff"]
        unit = gamma * rho**2 * np.mean(X**2)
        values, top, each, parts = curvatures(network, X)
        observed.append((log[-1] - log[0]) / (steps - start) / unit)
        given["top"].append(top / np.mean(X**2))
        given["samples"].append(np.pad(parts / np.mean(X**2), ((0, 4 - n), (0, 0))).T)
        given["u"].append(np.full(2 * n, gamma * values[-1]))
        given["sample u"].append(np.tile(np.pad(gamma * each, (0, 4 - n)), (2 * n, 1)))
    return Samples(np.concatenate(observed), {name: np.concatenate(values) for name, values in given.items()})


def amplified_trace(given: Mapping[str, Any]) -> Any:
    """Return `trace_rate` with each sample's part amplified."""
    return trace_rate({"samples": given["samples"] * amplification(given["sample u"])})


def on(form: Callable[[Mapping[str, Any]], Any]) -> Prediction:
    """Return the prediction of a form of what is given."""
    return lambda samples: form(samples.given)


TOP, TRACE = Control("down lam_max", on(top_rate)), Control("down the trace", on(trace_rate))
SMALL_RHO = Hypothesis("rho", "rho → 0", lambda a: 1.0 / max(a["rho"], 1e-200))
SMALL_STEP = Hypothesis("gamma", "gamma lam → 0", lambda a: 1.0 / max(a["gamma"] * a["lam"], 1e-200))
STABLE = Hypothesis("gamma", "gamma lam < 2", lambda a: 2.0 / max(a["gamma"] * a["lam"], 1e-200), 1.0)
PUBLISHED: dict[str, Any] = {
    "kind": Kind.IDENTITY, "observe": observe, "parameters": {"rho": 1e-3, "gamma": 0.003, "lam": 1.0},
    "hypotheses": (SMALL_RHO, SMALL_STEP), "tolerance": 0.01,
    "tolerance_reason": "terms of order gamma lam = 0.003 and rho = 0.001",
}  # fmt: skip
OURS: dict[str, Any] = PUBLISHED | {
    "parameters": {"rho": 1e-6, "gamma": 1.0, "lam": 1.0}, "hypotheses": (SMALL_RHO, STABLE), "tolerance": 2e-4,
    "tolerance_reason": "terms of order rho, and 1/(2 − gamma lam) of them", "ours": True,
    "source": "derived here (this file)",
}  # fmt: skip
RUNS = {"disjoint": False, "rule": "n-sam", "u": 0.003, "rho": 1e-3, "relaxations": 30.0, "epochs": 50}
ONE = {"rule": "stochastic-1-sam"}
LARGE = {"u": None, "rho": 1e-6, "epochs": 1000}

CLAIMS = (
    Claim(
        id="wen2023/full-batch-drift",
        title="Full-batch SAM drifts down the largest eigenvalue",
        statement="d log(w₊w₋) = −2 gamma rho² ∂lam/∂s a step: the flow of −(rho²/2)∇lam_max along the interpolators",
        formula=r"\Delta\log(w_+w_-)_j=-2\gamma\rho^2\frac{\partial\lambda_{\max}}{\partial s_j}",
        source="Wen, Ma & Li 2023, full-batch SAM, on diagonal networks",
        predict=on(top_rate),
        control=TRACE,
        quick=RUNS | {"problems": 8},
        full=RUNS | {"problems": 240},
        **PUBLISHED,
    ),
    Claim(
        id="wen2023/one-sam-drift",
        title="1-SAM drifts down the trace",
        statement="d log(w₊w₋) = −2 gamma rho² ∂(tr H)/∂s a step: the flow of −(rho²/2)∇tr H, gamma lam → 0",
        formula=r"\Delta\log(w_+w_-)_j=-2\gamma\rho^2\frac{\partial\operatorname{tr}H}{\partial s_j}",
        source="Wen, Ma & Li 2023, stochastic SAM with batches of one, on diagonal networks",
        predict=on(trace_rate),
        control=TOP,
        quick=RUNS | ONE | {"problems": 24},
        full=RUNS | ONE | {"problems": 240},
        **PUBLISHED,
    ),
    Claim(
        id="wen2023/full-batch-drift-steps",
        title="At steps that are not small full-batch SAM drifts faster",
        statement="the drift down lam_max is (2/(2 − gamma lam))² times as fast, for gamma lam < 2",
        formula=(
            r"\Delta\log(w_+w_-)_j=-2\gamma\rho^2\left(\frac2{2-\gamma\lambda_{\max}}\right)^2"
            r"\frac{\partial\lambda_{\max}}{\partial s_j}"
        ),
        predict=on(lambda given: amplification(given["u"]) * top_rate(given)),
        control=Control("the rate of small steps", on(top_rate)),
        quick=RUNS | LARGE | {"problems": 24},
        full=RUNS | LARGE | {"problems": 240},
        **OURS,
    ),
    Claim(
        id="wen2023/one-sam-drift-steps",
        title="At steps that are not small 1-SAM drifts down another sharpness than the trace",
        statement="a sample's part of the drift is (2/(2 − gamma lam_i))² times as fast, if samples share no feature",
        formula=(
            r"\Delta\log(w_+w_-)_j=-2\gamma\rho^2\frac1n\sum_i\left(\frac2{2-\gamma\lambda_i}\right)^2"
            r"\frac{\partial\lambda_i}{\partial s_j}"
        ),
        predict=on(amplified_trace),
        control=TRACE,
        quick=RUNS | LARGE | ONE | {"disjoint": True, "problems": 24},
        full=RUNS | LARGE | ONE | {"disjoint": True, "problems": 240},
        **OURS,
    ),
)

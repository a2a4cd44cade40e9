"""`simulate conv`: runs of the convolutional network, the paper's scalings resolved to plain numbers."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from simulate.parameters import choice, integer, real, reject
from theory.parameter_types import BATCH_SIZE, COUNT
from theory.simulate_output import Shown, every, given, run_and_print, run_options, seeded

if TYPE_CHECKING:
    from simulate.conv_run import ConvSpec

RULES = ("sgd", "sam", "sam-then-sgd")
LEVELS = ("effective", "limit", "closed")  # of `theory.ours.prediction`


def conv_spec(
    *, n: int = 20, d: int = 20_000, width: int = 10, patches: int = 2, mu: float = 3.0, sigma_p: float | None = None,
    sigma_0: float = 0.001, flip_rate: float = 0.1, labels: str = "iid", noise_patches: str = "shared",
    data: str | None = None, rule: str = "sgd", tau: float | None = None, tau_c3: float | None = None,
    sam_steps: int | None = None, kappa: float | None = None, batch: int | None = None, eta: float = 0.01,
    max_steps: int = 60_000, stop_loss: float = 0.01, seed: int = 0, space: str = "gram", record: tuple[int, ...] = (),
    density: float = 1.0, decay: float = 0.0,
) -> "ConvSpec":  # fmt: skip
    """Return a `ConvSpec` from the paper's letters.

    tau is SAM's radius, or tau_c3 the constant C3 of tau = m√B/(C3 P sigma_p √d); sam_steps the length of the SAM
    phase of `sam-then-sgd`, or kappa in units of 4m/(eta ‖mu‖² (1−2p)). batch=None is the full batch. data is the
    path of the user's own vectors (`simulate.signal_noise.read_vectors`), which replace n, d, patches, mu, labels and
    noise_patches; sigma_p then defaults to the root mean square of the noise. density and decay as in `ConvSpec`.
    Raises ParameterError.
    """
    import numpy as np

    from simulate.conv_run import ConvSpec, VectorFile
    from simulate.signal_noise import SignalNoise, read_vectors
    from theory.chen2023.setting import resulting_flip_rate, sam_radius
    from theory.chen2023.setting import sam_steps as steps_of

    choice("rule", rule, RULES)
    source: SignalNoise | VectorFile
    if data is None:
        source = SignalNoise(n, d, patches, mu, 1.0 if sigma_p is None else sigma_p, flip_rate, labels, noise_patches)
        rate = resulting_flip_rate(source)
    else:
        own = read_vectors(data)
        rms = float(np.sqrt(np.mean(own.noise**2)))
        source = VectorFile(data, rms if sigma_p is None else sigma_p, flip_rate)
        n, d, patches, mu = len(own.labels), own.mu.size, own.patches, float(np.linalg.norm(own.mu))
        if own.weights is not None:
            width = len(own.weights) // 2
        rate = float(np.mean(own.labels != own.signal_labels))
    spec = ConvSpec(
        source, width=width, init_std=sigma_0, rule=rule, batch_size=batch, step_size=eta, max_steps=max_steps,
        stop_loss=stop_loss, seed=seed, space=space, record=record, density=density, decay=decay,
    )  # fmt: skip
    for one, other, names in ((tau, tau_c3, "tau and tau_c3"), (sam_steps, kappa, "sam_steps and kappa")):
        if one is not None and other is not None:
            reject(names, (one, other), "given one at a time")
    if rule == "sgd":
        for name, value in (("tau", tau), ("tau_c3", tau_c3), ("sam_steps", sam_steps), ("kappa", kappa)):
            if value is not None:
                reject(name, value, "left out with rule sgd")
        return spec
    size = batch or n
    if size > n:
        reject("batch_size (B)", size, f"an integer >= 1 and <= {n}")
    if tau is None:
        tau = sam_radius(spec.width, size, patches, source.noise_std, d, 1.0 if tau_c3 is None else tau_c3)
    if rule == "sam":
        for name, value in (("sam_steps", sam_steps), ("kappa", kappa)):
            if value is not None:
                reject(name, value, "left out with rule sam")
        return replace(spec, radius=real("tau", tau))
    if sam_steps is None:
        sam_steps = steps_of(0.5 if kappa is None else kappa, spec.width, spec.step_size, mu, rate)
    return replace(spec, radius=real("tau", tau), sam_steps=integer("sam_steps", sam_steps, 0))


SHOWN = Shown(
    (
        "status", "steps", "train_loss", "clean_error", "clean_error_se", "test_error", "gamma", "rho_bar_mean",
        "rho_under_mean",
    ),
    columns={"gamma": ("gamma_mean", lambda gamma: gamma.mean())},
    mean="clean_error",
    figures=".4f",
)  # fmt: skip
_FROM_FILE = ("n", "d", "patches", "mu", "labels", "noise_patches")


@click.command()
@click.option("--n", type=COUNT, default=20, show_default=True, help="Training samples n.")
@click.option("--d", type=COUNT, default=20_000, show_default=True, help="Dimension d; up to 1e12 costs the same.")
@click.option("--width", type=COUNT, default=10, show_default=True, help="Neurons m of each class.")
@click.option("--patches", type=COUNT, default=2, show_default=True, help="Patches P: one of signal, P − 1 of noise.")
@click.option("--mu", type=float, default=3.0, show_default=True, help="Signal norm ‖mu‖.")
@click.option("--sigma-p", type=float, help="Noise sigma_p. [default: 1; with --data: its root mean square]")
@click.option("--sigma-0", type=float, default=0.001, show_default=True, help="Initial weights' sigma_0.")
@click.option("--flip-rate", type=float, default=0.1, show_default=True, help="Label flip rate p < 1/2.")
@click.option(
    "--labels", type=click.Choice(["iid", "balanced"]), default="iid", show_default=True,
    help="How classes and flips are drawn; balanced: split evenly.",
)  # fmt: skip
@click.option(
    "--noise-patches", type=click.Choice(["shared", "independent"]), default="shared", show_default=True,
    help="One noise vector a sample, or P − 1.",
)  # fmt: skip
@click.option(
    "--data", metavar="FILE.npz",
    help="Your own mu, noise, labels (and signal_labels, patches, W0) in place of a draw.",
)  # fmt: skip
@click.option("--rule", type=click.Choice(RULES), default="sgd", show_default=True, help="Training rule.")
@click.option("--tau", type=float, help="SAM's radius.")
@click.option("--tau-c3", type=float, help="Its constant C3: tau = m√B/(C3 P sigma_p √d). [default: 1]")
@click.option("--sam-steps", type=COUNT, help="Length of the SAM phase of sam-then-sgd.")
@click.option("--kappa", type=float, help="The same in units of 4m/(eta ‖mu‖² (1−2p)). [default: 0.5]")
@click.option("--batch", type=BATCH_SIZE, default="full", show_default=True, help="Batch size B, or full.")
@click.option("--eta", type=float, default=0.01, show_default=True, help="Step size.")
@click.option("--max-steps", type=COUNT, default=60_000, show_default=True, help="Stop after so many steps.")
@click.option("--stop-loss", type=float, default=0.01, show_default=True, help="Stop at this training loss.")
@click.option(
    "--space", type=click.Choice(["gram", "dense"]), default="gram", show_default=True,
    help="Inner products (fast, any d) or the d-vectors themselves.",
)  # fmt: skip
@click.option("--density", type=float, default=1.0, show_default=True, help="Share of weights kept, at random.")
@click.option("--decay", type=float, default=0.0, show_default=True, help="Weight decay: W (1 − eta · decay).")
@click.option(
    "--compare", type=click.Choice(LEVELS), is_flag=False, flag_value="effective",
    help="Put the means beside what `predict conv` says. [effective, or one of its other levels]",
)  # fmt: skip
@run_options
@click.pass_context
def conv(
    context: click.Context, /, seeds: int, record: int, save: str | None, workers: int, as_json: bool,
    compare: str | None, **letters: Any,
) -> None:  # fmt: skip
    """Train the two-layer convolutional ReLU network on signal plus noise, exactly.

    Chen et al. 2023's setting: each sample is a signal patch ŷ·mu and P − 1 noise patches; the clean error is that of
    fresh samples, without their label flips, by quasi-Monte Carlo.
    """
    from simulate.signal_noise import read_vectors

    if letters["data"] is not None:
        decided = _FROM_FILE + (("width", "sigma_0") if read_vectors(letters["data"]).weights is not None else ())
        for name, value in given(context, letters).items():
            if name in decided:
                reject("--" + name.replace("_", "-"), value, "left out with --data, whose file decides it")
    spec = conv_spec(**letters, record=tuple(every(record, letters["max_steps"])))
    comparison = None
    if compare is not None:
        from theory.predict_command import Comparison

        comparison = Comparison(spec, compare, seeds)
    run_and_print(seeded(spec, seeds), SHOWN, record, save, workers, as_json, comparison=comparison)

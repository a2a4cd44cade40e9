"""`simulate conv`: runs of the convolutional network, the paper's scalings resolved to plain numbers."""

import json
from dataclasses import asdict, replace

import click
from click.core import ParameterSource

from simulate.parameters import choice, integer, real, reject
from theory.parameter_types import BATCH_SIZE, COUNT

RULES = ("sgd", "sam", "sam-then-sgd")


def conv_spec(
    *, n=20, d=20_000, width=10, patches=2, mu=3.0, sigma_p=None, sigma_0=0.001, flip_rate=0.1, labels="iid",
    noise_patches="shared", data=None, rule="sgd", tau=None, tau_c3=None, sam_steps=None, kappa=None, batch=None,
    eta=0.01, max_steps=60_000, stop_loss=0.01, seed=0, space="gram", record=(),
):  # fmt: skip
    """Return a `ConvSpec` from the paper's letters.

    tau is SAM's radius, or tau_c3 the constant C3 of tau = m√B/(C3 P sigma_p √d); sam_steps the length of the SAM
    phase of `sam-then-sgd`, or kappa in units of 4m/(eta ‖mu‖² (1−2p)). batch=None is the full batch. data is the
    path of the user's own vectors (`simulate.signal_noise.read_vectors`), which replace n, d, patches, mu, labels and
    noise_patches; sigma_p then defaults to the root mean square of the noise. Raises ParameterError.
    """
    import numpy as np

    from simulate.conv_run import ConvSpec, VectorFile
    from simulate.signal_noise import SignalNoise, read_vectors
    from theory.chen2023.setting import resulting_flip_rate, sam_radius
    from theory.chen2023.setting import sam_steps as steps_of

    choice("rule", rule, RULES)
    if data is None:
        source = SignalNoise(n, d, patches, mu, 1.0 if sigma_p is None else sigma_p, flip_rate, labels, noise_patches)
        rate = resulting_flip_rate(source)
    else:
        own = read_vectors(data)
        rms = float(np.sqrt(np.mean(own.noise**2)))
        source = VectorFile(str(data), rms if sigma_p is None else sigma_p, flip_rate)
        n, d, patches, mu = len(own.labels), own.mu.size, own.patches, float(np.linalg.norm(own.mu))
        if own.weights is not None:
            width = len(own.weights) // 2
        rate = float(np.mean(own.labels != own.signal_labels))
    spec = ConvSpec(
        source, width, sigma_0, rule, 0.0, 0, batch, eta, max_steps, stop_loss, seed, space, tuple(record)
    )
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


def simulate_seeds(spec, seeds=1, workers=1, store=None):
    """Return the results of `spec` at the seeds spec.seed, spec.seed + 1, … (see `simulate.conv_run.ConvResult`)."""
    from simulate.runner import Runner

    count = integer("seeds", seeds, 1, 1_000_000)
    with Runner(workers, store) as runner:
        return runner.run([replace(spec, seed=spec.seed + k) for k in range(count)])


MOST_STATES = 100_000
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
@click.option("--seeds", type=COUNT, default=1, show_default=True, help="Number of runs.")
@click.option("--seed", type=COUNT, default=0, show_default=True, help="Seed of the first run; the others follow.")
@click.option(
    "--space", type=click.Choice(["gram", "dense"]), default="gram", show_default=True,
    help="Inner products (fast, any d) or the d-vectors themselves.",
)  # fmt: skip
@click.option(
    "--record", type=COUNT, default=0, show_default=True, metavar="K",
    help="Keep the state every K steps (0: at the end only).",
)  # fmt: skip
@click.option("--save", metavar="FILE.npz", help="Write the recorded states of every run.")
@click.option("--workers", type=COUNT, default=1, show_default=True, help="Worker processes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def conv(context, seeds, record, save, workers, as_json, **letters):
    """Train the two-layer convolutional ReLU network on signal plus noise, exactly.

    Chen et al. 2023's setting: each sample is a signal patch ŷ·mu and P − 1 noise patches; the clean error is that of
    fresh samples, without their label flips, by quasi-Monte Carlo.
    """
    from simulate.signal_noise import read_vectors
    from theory.commands import check_output, plain_json, write_whole

    check_output(save)
    if letters["data"] is not None:
        decided = _FROM_FILE + (("width", "sigma_0") if read_vectors(letters["data"]).weights is not None else ())
        for name in decided:
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                reject("--" + name.replace("_", "-"), letters[name], "left out with --data, whose file decides it")
    states = letters["max_steps"] // record if integer("record", record, 0) else 0
    if states > MOST_STATES:
        reject("record", record, f"0 or at least {letters['max_steps'] // MOST_STATES} for that many steps")
    every = range(0, letters["max_steps"] + 1, record) if record else ()
    spec = conv_spec(**letters, record=every)
    results = simulate_seeds(spec, seeds, workers)
    runs = [_summary(spec.seed + k, result) for k, result in enumerate(results)]
    if save:
        write_whole(save, _archive(spec, runs, results))
    if as_json:
        plain = asdict(spec) | {"record": record, "model": "conv"}
        click.echo(json.dumps(plain_json({"spec": plain, "runs": runs}), indent=2))
    else:
        _table(runs)


def _summary(seed, result):
    return {
        "seed": seed, "status": result.status, "steps": result.steps, "train_loss": result.train_loss,
        "clean_error": result.clean_error, "clean_error_se": result.clean_error_se, "test_error": result.test_error,
        "gamma": result.gamma.tolist(), "rho_bar_mean": result.rho_bar_mean, "rho_under_mean": result.rho_under_mean,
    }  # fmt: skip


def _archive(spec, runs, results):
    """The .npz bytes: scalars (seeds,), each run's records under run<seed>/<name>, the specification as JSON."""
    import io

    import numpy as np

    arrays = {key: np.array([run[key] for run in runs]) for key in runs[0] if key != "gamma"}
    for run, result in zip(runs, results, strict=True):
        for name, values in {**result.history, "labels": result.labels, "signal_labels": result.signal_labels}.items():
            arrays[f"run{run['seed']}/{name}"] = values
    arrays["spec"] = np.array(json.dumps(asdict(spec) | {"model": "conv"}))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _table(runs):
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # of diverged runs
        rows = [{**run, "gamma": float(np.mean(run["gamma"]))} for run in runs]
    columns = {name: f"{name}_mean" if name == "gamma" else name for name in rows[0]}
    click.echo("  ".join(f"{title:>14}" for title in columns.values()))
    for row in rows:
        cells = (f"{value:.5g}" if isinstance(value, float) else str(value) for value in row.values())
        click.echo("  ".join(f"{cell:>14}" for cell in cells))
    if len(rows) > 1:
        errors = np.array([row["clean_error"] for row in rows])
        spread = errors.std(ddof=1) / np.sqrt(len(errors))
        click.echo(f"\nmean clean error {errors.mean():.4f} ± {spread:.4f} (standard error over {len(rows)} seeds)")

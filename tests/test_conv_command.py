"""`simulate conv`: what is printed, what is written, bad values, and the user's own vectors."""

import json
from dataclasses import replace

import numpy as np
import pytest
from command_line import call, refused

from simulate.conv import DenseNetwork
from simulate.conv_run import ConvSpec, run, train_network
from simulate.generalisation import clean_error
from simulate.signal_noise import SignalNoise, draw_dense
from theory.chen2023.setting import sam_radius, sam_steps

SHORT = ["--max-steps", "30", "--n", "8", "--d", "50", "--width", "3", "--sigma-0", "0.1"]

pytestmark = pytest.mark.usefixtures("folder")


# simulate conv


RUN_KEYS = [
    "seed", "status", "steps", "train_loss", "clean_error", "clean_error_se", "test_error", "gamma", "rho_bar_mean",
    "rho_under_mean",
]  # fmt: skip


def simulated(*options):
    """Return the JSON of `simulate conv`."""
    result = call("simulate", "conv", *SHORT, "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_simulate_json():
    found = simulated("--seeds", 3, "--seed", 5, "--mu", 2, "--eta", 0.1)
    assert list(found) == ["spec", "runs"]
    assert [run["seed"] for run in found["runs"]] == [5, 6, 7]
    spec = ConvSpec(SignalNoise(8, 50, 2, 2.0), 3, 0.1, step_size=0.1, max_steps=30)
    for row in found["runs"]:
        assert list(row) == RUN_KEYS
        result = run(replace(spec, seed=row["seed"]))
        for name in set(RUN_KEYS) - {"seed", "gamma"}:
            assert row[name] == getattr(result, name), name
        assert row["gamma"] == result.gamma.tolist()
    assert found["runs"][0]["train_loss"] != found["runs"][1]["train_loss"]
    assert found["spec"]["model"] == "conv"
    assert found["spec"]["seed"] == 5
    assert found["spec"]["width"] == 3
    assert found["spec"]["data"]["dimension"] == 50
    assert found["spec"]["record"] == 0


def test_simulate_table():
    result = call("simulate", "conv", *SHORT, "--seeds", 2)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["seed", "status", "steps", "train_loss"]
    assert [line.split()[0] for line in lines[1:3]] == ["0", "1"]
    runs = simulated("--seeds", 2)["runs"]
    assert f"mean clean error {np.mean([run['clean_error'] for run in runs]):.4f} ±" in lines[-1]
    assert "mean clean error" not in call("simulate", "conv", *SHORT).stdout


def test_simulate_diverged_is_valid_json():
    found = simulated("--mu", "1e200")
    assert found["runs"][0]["status"] == "diverged"
    assert found["runs"][0]["clean_error"] is None


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (("--tau-c3", 2), {"C3": 2.0}), ((), {"C3": 1.0}), (("--batch", 3), {"C3": 1.0, "B": 3}),
        (("--tau-c3", 0.5, "--sigma-p", 2, "--patches", 4), {"C3": 0.5, "sigma_p": 2.0, "P": 4}),
    ],
)  # fmt: skip
def test_radius_is_the_closed_form(options, arguments):
    spec = simulated("--rule", "sam", *options)["spec"]
    assert spec["radius"] == sam_radius(**{"m": 3, "B": 8, "P": 2, "sigma_p": 1.0, "d": 50, **arguments})
    assert spec["sam_steps"] == 0
    assert simulated("--rule", "sam", "--tau", 0.25)["spec"]["radius"] == 0.25


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (("--kappa", 0.25), {"kappa": 0.25}), ((), {"kappa": 0.5}), (("--kappa", 0), {"kappa": 0.0}),
        (("--kappa", 2, "--mu", 1.5, "--eta", 0.3), {"kappa": 2.0, "mu": 1.5, "eta": 0.3}),
        (("--kappa", 2, "--flip-rate", 0.3), {"kappa": 2.0, "p": 0.3}),
        (("--kappa", 1, "--labels", "balanced"), {"kappa": 1.0, "p": 0.0}),  # 0.4 flips a class are none
        (("--kappa", 1, "--labels", "balanced", "--flip-rate", 0.2), {"kappa": 1.0, "p": 0.25}),  # 0.8 are one
    ],
)  # fmt: skip
def test_length_of_the_sam_phase_is_the_closed_form(options, arguments):
    spec = simulated("--rule", "sam-then-sgd", *options)["spec"]
    assert spec["sam_steps"] == sam_steps(**{"m": 3, "eta": 0.01, "mu": 3.0, "p": 0.1, **arguments})
    assert spec["radius"] == sam_radius(3, 8, 2, 1.0, 50, 1.0)
    assert simulated("--rule", "sam-then-sgd", "--sam-steps", 7)["spec"]["sam_steps"] == 7


def test_every_option_reaches_the_specification():
    options = {
        "--n": 7, "--d": 60, "--width": 2, "--patches": 3, "--mu": 2.5, "--sigma-p": 1.5, "--sigma-0": 0.2,
        "--flip-rate": 0.2, "--labels": "balanced", "--noise-patches": "independent", "--rule": "sam-then-sgd",
        "--tau": 0.3, "--sam-steps": 4, "--batch": 3, "--eta": 0.02, "--max-steps": 11, "--stop-loss": 0.02,
        "--seed": 9, "--space": "dense",
    }  # fmt: skip
    result = call("simulate", "conv", "--json", *(str(word) for pair in options.items() for word in pair))
    found = json.loads(result.stdout)
    data = SignalNoise(7, 60, 3, 2.5, 1.5, 0.2, "balanced", "independent")
    expected = ConvSpec(data, 2, 0.2, "sam-then-sgd", 0.3, 4, 3, 0.02, 11, 0.02, 9, "dense")
    assert found["spec"] == {**expected.to_dict(), "record": 0}
    assert found["runs"][0]["train_loss"] == run(expected).train_loss


def test_counts_may_be_written_with_an_exponent():
    assert simulated("--d", "1e9", "--max-steps", "1e1")["spec"]["data"]["dimension"] == 10**9


def test_save(folder):
    options = ("--seeds", 2, "--seed", 3, "--record", 10, "--save", "out.npz")
    assert call("simulate", "conv", *SHORT, *options).exit_code == 0
    assert [p.name for p in folder.iterdir()] == ["out.npz"]
    with np.load(folder / "out.npz") as file:
        saved = dict(file)
    spec = ConvSpec(SignalNoise(8, 50), 3, 0.1, max_steps=30, record=(0, 10, 20, 30))
    history = ("step", "loss", "logits", "gamma", "rho", "deactivated", "labels", "signal_labels")
    assert set(saved) == {"spec", *RUN_KEYS} - {"gamma"} | {f"run{k}/{name}" for k in (3, 4) for name in history}
    assert json.loads(str(saved["spec"])) == json.loads(json.dumps(replace(spec, seed=3).to_dict()))
    for k in (3, 4):
        result = run(replace(spec, seed=k))
        assert saved[f"run{k}/step"].tolist() == [0, 10, 20, 30]
        for name, values in {**result.history, "labels": result.labels}.items():
            assert np.array_equal(saved[f"run{k}/{name}"], values, equal_nan=True), name
        assert saved["clean_error"][k - 3] == result.clean_error
    assert saved["seed"].tolist() == [3, 4]
    assert not np.array_equal(saved["run3/rho"], saved["run4/rho"])


BAD = [
    ("--n", 0, "samples (n) = 0"), ("--n", -1, "samples (n) = -1"), ("--n", 2.5, "--n"), ("--n", "nan", "--n"),
    ("--n", "1e300", "samples (n)"), ("--n", "x", "--n"),
    ("--d", 0, "dimension (d) = 0"), ("--d", "1e16", "dimension (d)"), ("--d", "inf", "--d"),
    ("--width", 0, "width (m) = 0"), ("--patches", 0, "patches (P) = 0"),
    ("--mu", -1, "signal_norm (mu) = -1.0"), ("--mu", "nan", "signal_norm (mu) = nan"), ("--mu", "inf", "(mu) = inf"),
    ("--sigma-p", -1, "noise_std (sigma_p) = -1.0"), ("--sigma-p", "nan", "noise_std (sigma_p) = nan"),
    ("--sigma-0", -1, "init_std (sigma_0) = -1.0"), ("--sigma-0", "inf", "init_std (sigma_0) = inf"),
    ("--flip-rate", 0.5, "flip_rate (p) = 0.5"), ("--flip-rate", -0.1, "flip_rate (p) = -0.1"),
    ("--flip-rate", "nan", "flip_rate (p) = nan"), ("--labels", "nope", "--labels"),
    ("--noise-patches", "nope", "--noise-patches"), ("--rule", "nope", "--rule"), ("--space", "nope", "--space"),
    ("--batch", 9, "batch_size (B) = 9"), ("--batch", 0, "batch_size (B) = 0"), ("--batch", "half", "--batch"),
    ("--eta", 0, "step_size (eta) = 0.0"), ("--eta", -1, "step_size (eta)"), ("--eta", "nan", "step_size (eta) = nan"),
    ("--max-steps", -1, "max_steps = -1"), ("--stop-loss", -1, "stop_loss = -1.0"), ("--stop-loss", "nan", "stop_loss"),
    ("--seeds", 0, "seeds = 0"), ("--seeds", -1, "seeds = -1"),
    ("--seed", -1, "seed = -1"), ("--record", -1, "record = -1"), ("--record", 0.5, "--record"),
    ("--workers", 0, "workers = 0"), ("--workers", "1e9", "workers"),
    ("--tau", 0.1, "tau = 0.1"), ("--tau-c3", 1, "tau_c3 = 1.0"), ("--kappa", 1, "kappa = 1.0"),
    ("--sam-steps", 3, "sam_steps = 3"),
    ("--save", "no/such/folder.npz", "output file"), ("--save", ".", "output file"), ("--save", "", "output file"),
    ("--save", "-", "save"),
]  # fmt: skip


@pytest.mark.parametrize(("option", "value", "naming"), BAD, ids=[f"{option}={value}" for option, value, _ in BAD])
def test_bad_value_is_one_error(option, value, naming):
    refused("simulate", "conv", *SHORT, "--save", "out.npz", option, value, naming=naming)


WITH_SAM = [
    (("--rule", "sam", "--tau", -1), "tau = -1.0"), (("--rule", "sam", "--tau", "nan"), "tau = nan"),
    (("--rule", "sam", "--tau-c3", 0), "C3 = 0.0"), (("--rule", "sam", "--tau-c3", "inf"), "C3 = inf"),
    (("--rule", "sam", "--tau", 1, "--tau-c3", 1), "tau and tau_c3"), (("--rule", "sam", "--kappa", 1), "kappa = 1.0"),
    (("--rule", "sam", "--sam-steps", 1), "sam_steps = 1"), (("--rule", "sam", "--sigma-p", 0), "sigma_p = 0.0"),
    (("--rule", "sam", "--batch", 9), "batch_size (B) = 9"),
    (("--rule", "sam-then-sgd", "--kappa", -1), "kappa = -1.0"), (("--rule", "sam-then-sgd", "--mu", 0), "mu = 0.0"),
    (("--rule", "sam-then-sgd", "--kappa", "1e308"), "kappa = 1e+308"),
    (("--rule", "sam-then-sgd", "--mu", "1e-200"), "mu = 1e-200"),
    (("--rule", "sam-then-sgd", "--sam-steps", -1), "sam_steps = -1"),
    (("--rule", "sam-then-sgd", "--sam-steps", 3, "--kappa", 1), "sam_steps and kappa"),
    (("--record", 1, "--max-steps", "2e6"), "record = 1"), (("--space", "dense", "--d", "1e14"), "memory"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "naming"), WITH_SAM, ids=[" ".join(map(str, options)) for options, _ in WITH_SAM])
def test_bad_combination_is_one_error(options, naming):
    refused("simulate", "conv", *SHORT, "--save", "out.npz", *options, naming=naming)


@pytest.mark.parametrize("options", [("--mu", "1e200"), ("--mu", "1e-20", "--eta", "1e-300")])
def test_products_beyond_float64(options):
    """Whether refused or run: no traceback."""
    assert call("simulate", "conv", *SHORT, "--rule", "sam-then-sgd", *options).exit_code in (0, 2)


@pytest.mark.parametrize("option", ["--width", "--n"])
def test_more_than_memory_is_one_error(monkeypatch, option):
    def fails(*arguments, **named):
        raise MemoryError("Unable to allocate 1 PiB")

    monkeypatch.setattr("simulate.conv_run.draw_gram", fails)
    refused("simulate", "conv", option, 7, "--save", "out.npz", naming="memory")


def test_good_values_are_not_refused(folder):
    """The control: the very same call without the bad value writes its file."""
    assert call("simulate", "conv", *SHORT, "--save", "out.npz").exit_code == 0
    assert (folder / "out.npz").exists()


# the user's own vectors


DATA = SignalNoise(samples=6, dimension=30, patches=3, signal_norm=2.0, noise_std=1.5, flip_rate=0.2)


@pytest.fixture
def instance(folder):
    """Write a problem to own.npz (with its weights) and bare.npz (without) and return it."""
    instance = draw_dense(DATA, 2, 0.1, 4)
    own = {
        "mu": instance.vectors[0], "noise": instance.vectors[1:], "labels": instance.labels,
        "signal_labels": instance.signal_labels, "patches": 3,
    }  # fmt: skip
    np.savez(folder / "bare.npz", **own)
    np.savez(folder / "own.npz", **own, W0=instance.weights)
    return instance


@pytest.mark.parametrize("rule", ["sgd", "sam"])
def test_own_vectors_are_trained_as_they_are(instance, rule):
    """In dense space to the last bit what the vectors give directly; in Gram space the same up to rounding."""
    options = ("--data", "own.npz", "--flip-rate", 0.2, "--sigma-p", 1.5, "--rule", rule, "--eta", 0.05)
    options += ("--max-steps", 40, "--json") + (("--tau", 0.3) if rule == "sam" else ())
    dense, gram = (
        json.loads(call("simulate", "conv", *options, "--space", space).stdout)["runs"][0]
        for space in ("dense", "gram")
    )
    radius = 0.3 if rule == "sam" else 0.0
    spec = ConvSpec(DATA, 2, 0.1, rule, radius, step_size=0.05, max_steps=40, space="dense")
    network = DenseNetwork(instance)
    train_network(spec, network)
    assert dense["train_loss"] == network.loss()
    assert dense["clean_error"] == clean_error(network, 1.5)[0]
    assert dense["gamma"] == network.signal_coefficients().tolist()
    assert gram["train_loss"] == pytest.approx(dense["train_loss"], rel=1e-12)
    assert gram["gamma"] == pytest.approx(dense["gamma"], rel=1e-10)
    assert dense["test_error"] == pytest.approx(0.2 + 0.6 * dense["clean_error"])


def test_own_vectors_without_weights(instance):
    """Weights are then drawn, by seed; sigma_p is the noise's root mean square and tau follows the file's numbers."""
    options = ("--rule", "sam", "--width", 4, "--seeds", 2, "--max-steps", 50, "--json")
    result = call("simulate", "conv", "--data", "bare.npz", *options)
    found = json.loads(result.stdout)
    rms = float(np.sqrt(np.mean(instance.vectors[1:] ** 2)))
    assert found["spec"]["data"]["noise_std"] == rms
    assert found["spec"]["radius"] == sam_radius(4, 6, 3, rms, 30, 1.0)
    assert len(found["spec"]["data"]["sha256"]) == 64
    assert len(found["runs"][0]["gamma"]) == 8
    assert found["runs"][0]["train_loss"] != found["runs"][1]["train_loss"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--n", 6), ("--d", 30), ("--patches", 3), ("--mu", 2.0), ("--labels", "iid"), ("--noise-patches", "shared")],
)
def test_what_the_file_decides_is_not_given_twice(instance, option, value):
    """Even where it agrees."""
    refused("simulate", "conv", "--data", "bare.npz", option, value, "--save", "out.npz", naming=f"{option} = ")


@pytest.mark.parametrize(("option", "value"), [("--width", 2), ("--sigma-0", 0.1)])
def test_weights_in_the_file_decide_width_and_sigma_0(instance, option, value):
    refused("simulate", "conv", "--data", "own.npz", option, value, naming=f"{option} = ")
    assert call("simulate", "conv", "--data", "bare.npz", option, value, "--max-steps", 3).exit_code == 0


def test_bad_files_are_one_error(instance, folder):
    vectors = instance.vectors
    (folder / "empty.npz").write_bytes(b"")
    (folder / "text.npz").write_text("text")
    np.save(folder / "lone.npy", vectors)
    np.savez(folder / "keys.npz", mu=vectors[0], noise=vectors[1:])
    np.savez(folder / "nan.npz", mu=np.nan * vectors[0], noise=vectors[1:], labels=instance.labels)
    np.savez(folder / "shape.npz", mu=vectors[0, 1:], noise=vectors[1:], labels=instance.labels)
    np.savez(folder / "zeros.npz", mu=vectors[0], noise=vectors[1:], labels=0 * instance.labels)
    np.savez(folder / "object.npz", mu=np.array([None]), noise=vectors[1:], labels=instance.labels)
    (folder / "cut.npz").write_bytes((folder / "own.npz").read_bytes()[:300])
    for name, naming in {
        "nope.npz": "data = 'nope.npz'", ".": "data = '.'", "empty.npz": "data = 'empty.npz'",
        "text.npz": "data = 'text.npz'", "lone.npy": "data = 'lone.npy'",
        "keys.npz": "missing: labels", "nan.npz": "mu = ", "shape.npz": "noise = ", "zeros.npz": "labels = ",
        "object.npz": "data = 'object.npz'", "cut.npz": "data = 'cut.npz'",
    }.items():  # fmt: skip
        refused("simulate", "conv", "--data", name, "--save", "out.npz", naming=naming)
    refused("simulate", "conv", "--data", "own.npz", "--rule", "sam", "--batch", 7, naming="batch_size (B) = 7")

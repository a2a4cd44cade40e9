"""`simulate finite-sum`: bad input, the user's own problem, and the same as Python calls."""

import numpy as np
import pytest
from command_line import call, refused
from test_finite_sum_command import SMALL, agrees, known, simulated

import sharpbounds
from simulate.finite_sum_data import SumFile
from simulate.parameters import ParameterError
from theory.oikonomou2025.setting import Constants

pytestmark = pytest.mark.usefixtures("folder")


# bad input


BAD = [
    ("--objective", "nope", "--objective"), ("--n", 0, "samples (n) = 0"), ("--n", 2.5, "--n"), ("--n", "nan", "--n"),
    ("--n", "1e300", "samples (n)"), ("--n", "1e7", "samples (n)"), ("--d", 0, "dimension (d) = 0"),
    ("--d", "1e6", "dimension (d)"), ("--d", "x", "--d"), ("--condition", 0.5, "condition = 0.5"),
    ("--condition", "nan", "condition = nan"), ("--condition", "1e12", "condition = 1"),
    ("--spread", 0, "spread = 0.0"), ("--spread", "inf", "spread = inf"), ("--noise-std", -1, "noise_std = -1.0"),
    ("--noise-std", "nan", "noise_std"), ("--reg", 0.1, "reg = 0.1"), ("--reg", -1, "reg = -1.0"),
    ("--reg", "nan", "reg = nan"), ("--rule", "nope", "--rule"), ("--rule", "unified", "lam = None"),
    ("--lam", 0.5, "lam = 0.5"), ("--rho", 0.1, "rho = 0.1"), ("--rho", "x", "--rho"),
    ("--rho", "theory", "rho = 'theory'"), ("--gamma", 0, "gamma = 0.0"), ("--gamma", -1, "gamma = -1.0"),
    ("--gamma", "nan", "gamma = nan"), ("--gamma", "inf", "gamma = inf"), ("--gamma", "x", "--gamma"),
    ("--sampling", "nope", "--sampling"), ("--sampling", "nice", "sampling = 'nice'"),
    ("--batch", 2, "batch (tau) = 2"),
    ("--probabilities", "0.5,0.5", "probabilities = "), ("--probabilities", "x", "--probabilities"),
    ("--schedule", "nope", "--schedule"), ("--steps", -1, "steps = -1"), ("--steps", 1.5, "--steps"),
    ("--data-seed", -1, "data_seed = -1"), ("--seeds", 0, "seeds = 0"), ("--seeds", "1e7", "seeds = "),
    ("--seed", -1, "seed = -1"), ("--record", -1, "record = -1"), ("--workers", 0, "workers = 0"),
    ("--save", "no/such/folder.npz", "output file"), ("--save", ".", "output file"), ("--save", "", "output file"),
    ("--data", "nope.npz", "data = 'nope.npz'"), ("--data", "", "data = ''"), ("--objective", "ridge", "reg = 0.0"),
    ("--objective", "logistic", "reg = 0.0"), ("--objective", "nonconvex", "gamma = 'theory'"),
    ("--objective", "wave", "gamma = 'theory'"),
]  # fmt: skip


@pytest.mark.parametrize(("option", "value", "naming"), BAD, ids=[f"{option}={value}" for option, value, _ in BAD])
def test_bad_value_is_one_error(option, value, naming):
    size = [] if option == "--data" else SMALL
    refused("simulate", "finite-sum", *size, "--save", "out.npz", option, value, naming=naming)


TOGETHER = [
    (("--rule", "sam", "--lam", 1), "lam = 1.0"), (("--rule", "usam", "--lam", 0), "lam = 0.0"),
    (("--rule", "unified", "--lam", 2), "(lam) = 2.0"), (("--rule", "unified", "--lam", "nan"), "(lam) = nan"),
    (("--rule", "sgd", "--rho", 0), "rho = 0.0"), (("--rule", "usam", "--rho", -1), "rho = -1.0"),
    (("--rule", "usam", "--rho", "nan"), "rho = nan"), (("--rule", "usam", "--rho", 1), "rho = 1.0: must be < rho* = "),
    (("--rule", "sam", "--rho", "1e300"), "rho = 1e+300: must be < rho* = "),
    (("--rule", "usam", "--rho", "1e300"), "rho = 1e+300: must be < rho* = "),
    (("--rule", "sgd", "--sampling", "full"), "sampling = 'full'"),
    (("--rule", "sgd", "--sampling", "nice", "--n", 1), "another than nice with n = 1"),
    (("--rule", "sgd", "--sampling", "nice", "--batch", 6), "batch_size (tau) = 6"),
    (("--rule", "sgd", "--sampling", "nice", "--batch", 0), "batch_size (tau) = 0"),
    (("--rule", "sgd", "--sampling", "replacement", "--batch", "1e9"), "batch_size (tau) = 1000000000"),
    (("--rule", "sgd", "--batch", 1), "batch (tau) = 1: must be left out with sampling single"),
    (("--rule", "sam", "--sampling", "importance", "--batch", 1), "batch (tau) = 1"),
    (("--rule", "sgd", "--sampling", "importance", "--probabilities", "1,1"), "probabilities = (1.0, 1.0)"),
    (("--n", 2, "--rule", "sgd", "--probabilities", "1,0"), "probabilities = 0.0"),
    (("--n", 2, "--rule", "sgd", "--probabilities", "nan,1"), "probabilities = nan"),
    (("--n", 2, "--rule", "sgd", "--probabilities", "0.5,0.6"), "probabilities = '2 numbers with sum 1.1'"),
    (("--n", 3, "--rule", "sgd", "--probabilities", "0.5,0.5"), "probabilities = '2 numbers with sum 1'"),
    (("--n", 2, "--rule", "sgd", "--probabilities", "1e-300,1"), "gamma = 'theory'"),
    (("--objective", "pl", "--n", 7), "A = '7 rows of rank 6'"), (("--objective", "pl", "--reg", 0.1), "reg = 0.1"),
    (("--objective", "wave", "--reg", 0.1, "--gamma", 0.1), "reg = 0.1"),
    (("--objective", "ridge", "--reg", "1e300"), "reg = 1e+300"), (("--noise-std", "1e90"), "noise_std = 1e+90"),
    (("--objective", "logistic", "--reg", "1e300"), "reg = 1e+300"),
    (("--objective", "nonconvex", "--gamma", 0.1, "--rule", "sam"), "rho = 'theory'"),
    (("--objective", "nonconvex", "--gamma", 0.1, "--schedule", "decreasing"), "schedule = 'decreasing'"),
    (("--n", "1e6", "--d", "1e5"), "samples · dimension"),
    (("--record", 1, "--steps", "2e6"), "record = 1: must be 0 or at least 20 "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "naming"), TOGETHER, ids=[" ".join(map(str, options))[:60] for options, _ in TOGETHER]
)
def test_bad_combination_is_one_error(options, naming):
    refused("simulate", "finite-sum", *SMALL, "--save", "out.npz", *options, naming=naming)


def test_good_values_are_not_refused(folder):
    """The control: the very same call without the bad value writes its file."""
    assert call("simulate", "finite-sum", *SMALL, "--save", "out.npz").exit_code == 0
    assert (folder / "out.npz").exists()


# the user's own problem


@pytest.fixture
def own(folder):
    """Write A, b to own.npz, labels and a start to labels.npz; return A and b."""
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((6, 3)), rng.standard_normal(6)
    np.savez(folder / "own.npz", A=A, b=b)
    np.savez(folder / "labels.npz", A=A, b=np.sign(b), x0=np.ones(3))
    return A, b


def test_own_problem_is_the_one_in_the_file(own):
    A, b = own
    found = simulated("--data", "own.npz", "--rule", "sgd", "--seeds", 2, "--steps", 40)
    x = np.linalg.lstsq(A, b, rcond=None)[0]
    for row in found["runs"]:
        assert row["constants"]["f*"] == pytest.approx(np.mean((A @ x - b) ** 2) / 2.0)
        assert row["constants"]["L_max"] == pytest.approx((A**2).sum(axis=1).max())
        assert row["constants"]["mu"] == pytest.approx(np.linalg.eigvalsh(A.T @ A / 6.0)[0])
        value = np.mean((A @ np.array(row["x"]) - b) ** 2) / 2.0
        assert row["gap"] == pytest.approx(value - row["constants"]["f*"], rel=1e-9)
        assert row["distance"] == pytest.approx(np.linalg.norm(row["x"] - x))
    assert found["runs"][0]["x"] != found["runs"][1]["x"]
    assert len(found["spec"]["data"]["sha256"]) == 64


def test_own_start(own):
    options = ("--objective", "logistic", "--reg", 0.1, "--steps", 0)
    assert simulated("--data", "labels.npz", *options)["runs"][0]["x"] == [1.0] * 3
    assert simulated("--data", "own.npz", "--steps", 0)["runs"][0]["x"] == [0.0] * 3


FROM_FILE = {"--n": 6, "--d": 3, "--condition": 10, "--noise-std": 0.1, "--spread": 1, "--data-seed": 0}


@pytest.mark.parametrize("option", FROM_FILE)
def test_what_the_file_decides_is_not_given_twice(own, option):
    """Even where it agrees."""
    options = ("--data", "own.npz", option, FROM_FILE[option])
    error = refused("simulate", "finite-sum", *options, naming="left out with data")
    assert option.removeprefix("--").replace("-", "_") in error


def test_bad_files_are_one_error(own, folder):
    A, b = own
    (folder / "text.npz").write_text("text")
    (folder / "cut.npz").write_bytes((folder / "own.npz").read_bytes()[:300])
    for name, arrays in {
        "keys": {"A": A}, "more": {"A": A, "b": b, "z": b}, "nan": {"A": np.nan * A, "b": b}, "flat": {"A": b, "b": b},
        "short": {"A": A, "b": b[1:]}, "start": {"A": A, "b": b, "x0": np.ones(2)}, "empty": {"A": A[:0], "b": b[:0]},
        "ragged": {"A": np.array([[1.0], [1.0, 2.0]], dtype=object), "b": b[:2]}, "big": {"A": 1e200 * A, "b": b},
        "zero": {"A": 0.0 * A, "b": b}, "tiny": {"A": 1e-160 * A, "b": b}, "words": {"A": A, "b": np.array(["x"] * 6)},
    }.items():  # fmt: skip
        np.savez(folder / f"{name}.npz", **arrays)
    for name, naming in {
        ".": "data = '.'", "text.npz": "data = 'text.npz'", "cut.npz": "data = 'cut.npz'", "keys.npz": "missing: b",
        "more.npz": "'z'", "nan.npz": "A = ", "flat.npz": "A = 'shape (6,)'", "short.npz": "b = 'shape (5,)'",
        "start.npz": "x0 = 'shape (2,)'", "empty.npz": "A = 'shape (0, 3)'", "ragged.npz": "data = 'ragged.npz'",
        "big.npz": "finite numbers of size <= 1e+100", "zero.npz": "gamma = 'theory'", "tiny.npz": "gamma = 'theory'",
        "words.npz": "b = ",
    }.items():  # fmt: skip
        refused("simulate", "finite-sum", "--data", name, "--save", "out.npz", naming=naming)
    for options, naming in {
        ("own.npz", "--objective", "logistic", "--reg", 0.1): "b = 'other numbers'",
        ("own.npz", "--objective", "pl"): "A = '6 rows of rank 3'",
        ("own.npz", "--objective", "wave"): "objective = 'wave'",
        ("own.npz", "--objective", "quadratic"): "objective = 'quadratic'",
        ("zero.npz", "--schedule", "horizon"): "gamma = 'theory'",
        ("zero.npz", "--rule", "sgd", "--sampling", "importance", "--gamma", 0.1): "sampling = 'importance'",
    }.items():  # fmt: skip
        refused("simulate", "finite-sum", "--data", *options, "--save", "out.npz", naming=naming)
    assert simulated("--data", "zero.npz", "--gamma", 0.1)["runs"][0]["gap"] == 0.0


# as Python calls


def test_a_call_is_the_command(own):
    for letters in (
        {"n": 5, "d": 6, "rule": "sam", "sampling": "importance", "data_seed": 2, "steps": 40},
        {"objective": "ridge", "reg": 0.1, "rule": "unified", "lam": 0.5, "rho": 0.01, "gamma": 0.02, "steps": 40},
        {"data": "own.npz", "rule": "usam", "sampling": "nice", "batch": 2, "steps": 40, "schedule": "decreasing"},
    ):
        spec = sharpbounds.finite_sum(**letters)
        words = [word for name, value in letters.items() for word in ("--" + name.replace("_", "-"), value)]
        found = simulated(*words, "--seeds", 2)
        assert found["spec"] == {**spec.to_dict(), "record": 0}
        for row, result in zip(found["runs"], sharpbounds.simulate(spec, seeds=2), strict=True):
            agrees(row, result)


def test_calls_are_refused_as_the_command_is(own):
    for letters, naming in (
        ({"rho": 0.1}, "rho = 0.1"), ({"data": "own.npz", "n": 5}, r"samples \(n\) = 5"), ({"rule": "nope"}, "rule = "),
        ({"objective": "nope"}, "objective = 'nope'"), ({"data": 3.5}, "data = "), ({"record": 5}, "record = 5"),
        ({"rule": "sam", "rho": np.ones(2)}, "rho = "), ({"gamma": np.ones(2)}, "gamma = "),
        ({"gamma": None}, r"\(gamma\) = None"),
        ({"gamma": "Theory"}, "gamma = 'Theory'"), ({"steps": 1.5}, "steps = 1.5"), ({"batch": 2}, "batch"),
        ({"schedule": "nope"}, "schedule = "), ({"sampling": "nope", "rule": "sam"}, "sampling = 'nope'"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=naming):
            sharpbounds.finite_sum(**letters)
    assert isinstance(sharpbounds.finite_sum(data="own.npz").data, SumFile)


def test_the_docstring_means_what_it_says():
    shown = 'sharpbounds.finite_sum(objective="ridge", reg=0.1, rule="sam", sampling="importance", data_seed=0)'
    assert shown in sharpbounds.__doc__
    spec = sharpbounds.finite_sum(objective="ridge", reg=0.1, rule="sam", sampling="importance", data_seed=0)
    assert isinstance(known(spec), Constants)
    results = sharpbounds.simulate(spec, seeds=2)
    assert np.array_equal(results[0].anchor, results[1].anchor)
    assert results[0].gap != results[1].gap

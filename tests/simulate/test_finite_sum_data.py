"""Drawn data have the spectrum they promise, and bad files and numbers are one error."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate.finite_sum_data import OBJECTIVES, DrawnSum, GivenSum, SumFile, draw_sum, load_sum, read_sum
from simulate.parameters import ParameterError

ROWS, TARGETS = [[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]], [1.0, -1.0, 1.0]


def eigenvalues(A):
    """Return the nonzero eigenvalues of AᵀA/rows, largest first."""
    return np.linalg.svd(A, compute_uv=False) ** 2 / len(A)


# drawn data


@given(st.integers(1, 12), st.integers(1, 12), st.floats(1.0, 1e6), st.integers(0, 99))
def test_spectrum_is_the_stated_one(n, d, condition, seed):
    """min(n, d) eigenvalues from 1 down to 1/condition in equal ratios; targets are those of ‖x°‖ = 1."""
    A, targets, solution, noise = draw_sum(DrawnSum(n, d, condition), seed)
    rank = min(n, d)
    expected = condition ** -(np.arange(rank) / max(rank - 1, 1))
    assert A.shape == (n, d)
    assert np.allclose(eigenvalues(A), expected, rtol=1e-9, atol=1e-13)
    assert np.linalg.norm(solution) == pytest.approx(1.0, rel=1e-14)
    assert np.allclose(targets, A @ solution, rtol=1e-12, atol=1e-14)
    assert noise.shape == (n,)


def test_bases_are_random():
    """The control of the spectrum: rows are not diagonal, and differ from seed to seed."""
    A, B = (draw_sum(DrawnSum(6, 4), seed)[0] for seed in (0, 1))
    assert np.abs(A - B).max() > 0.1
    assert np.abs(A.T @ A - np.diag(np.diag(A.T @ A))).max() > 0.1


@pytest.mark.parametrize("spread", [1.0, 9.0])
def test_samples_of_full_rank(spread):
    """Every f_i has that spectrum, in a basis of its own; spread scales L_i from 1 to 9 in equal ratios."""
    data = DrawnSum(5, 3, 4.0, spread=spread, full_rank=True)
    A = draw_sum(data, 0)[0]
    assert A.shape == (15, 3)
    tops = []
    for i in range(5):
        values = eigenvalues(A[3 * i : 3 * i + 3])
        assert values / values[0] == pytest.approx([1.0, 0.5, 0.25], rel=1e-12)
        tops.append(values[0])
    assert sorted(tops) == pytest.approx(np.geomspace(1.0, spread, 5), rel=1e-12)
    assert np.abs(A[:3] - A[3:6]).max() > 0.1
    p, _ = load_sum(data, "quadratic", 0.0, 0)
    assert (p.samples, p.rows) == (5, 3)
    assert np.sort(p.sample_lipschitz) == pytest.approx(np.geomspace(1.0, spread, 5), rel=1e-12)


def test_spread_scales_the_rows():
    plain, spread = (draw_sum(DrawnSum(6, 4, spread=s), 3) for s in (1.0, 100.0))
    factors = np.linalg.norm(spread[0], axis=1) / np.linalg.norm(plain[0], axis=1)
    assert np.sort(factors) == pytest.approx(np.geomspace(1.0, 10.0, 6), rel=1e-12)
    assert list(factors) != sorted(factors)
    assert np.array_equal(spread[2], plain[2])
    assert np.array_equal(spread[3], plain[3])


def test_parameters_share_their_streams():
    """Noise and condition move no row's basis, and noise has its own stream: 10,000 of them have their deviation."""
    one, two = (draw_sum(DrawnSum(6, 4, noise_std=s), 0) for s in (0.5, 1.0))
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(2.0 * one[3], two[3])
    noise = draw_sum(DrawnSum(10_000, 1, noise_std=2.0), 0)[3]
    assert abs(noise.mean()) < 5 * 2.0 / 100  # 5 standard errors: a false alarm once in 10^6
    assert abs(noise.std() / 2.0 - 1.0) < 5 / math.sqrt(2e4)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_objective_of_drawn_data(objective):
    """Every objective on data that suit it; each starts at 0 but the wave, all of whose gradients are 0 there."""
    reg = 0.1 if objective in ("ridge", "logistic", "quadratic") else 0.0
    data = DrawnSum(8, 12) if objective == "pl" else DrawnSum(12, 5, full_rank=objective == "quadratic")
    p, start = load_sum(data, objective, reg, 1)
    assert (p.loss, p.reg, p.samples) == (OBJECTIVES[objective], reg, data.samples)
    assert np.linalg.norm(start) == pytest.approx(1.0 if objective == "wave" else 0.0)
    assert len(start) == data.dimension
    if objective in ("logistic", "wave"):
        assert set(p.targets) == {-1.0, 1.0}
    if objective not in ("nonconvex", "wave"):
        assert p.minimised
        assert np.abs(p.measure(np.zeros((1, data.dimension)))[1]).max() < 1e-14


def test_labels_follow_the_noise():
    A, products, _, noise = draw_sum(DrawnSum(40, 2, noise_std=1.0), 2)
    p, _ = load_sum(DrawnSum(40, 2, noise_std=1.0), "logistic", 0.1, 2)
    assert np.array_equal(p.targets, np.where(products + noise >= 0.0, 1.0, -1.0))
    assert not np.array_equal(p.targets, np.where(products >= 0.0, 1.0, -1.0))
    assert np.array_equal(p.A, A)


@pytest.mark.parametrize("objective", ["least-squares", "pl", "nonconvex"])
def test_without_noise_the_solution_is_known(objective):
    """Offsets are exactly 0, f* = 0 and no sample disagrees."""
    p, _ = load_sum(DrawnSum(6, 9, noise_std=0.0), objective, 0.0, 4)
    assert np.array_equal(p.anchor, draw_sum(DrawnSum(6, 9), 4)[2])
    assert not p.offsets.any()
    assert (p.infimum, p.noise, p.minimised) == (0.0, 0.0, True)
    assert p.measure(np.zeros((1, 9)))[0][0] == 0.0


def test_pl_needs_independent_rows():
    with pytest.raises(ParameterError, match="A = '20 rows of rank 10': must be linearly independent rows"):
        load_sum(DrawnSum(20, 10), "pl", 0.0, 0)


BAD = {
    "samples": ("samples (n)", [0, -1, 1.5, math.nan, True, "2", None, 10**6 + 1]),
    "dimension": ("dimension (d)", [0, -1, 1.5, math.nan, True, "2", None, 10**5 + 1]),
    "condition": ("condition", [0.0, 0.99, math.nan, math.inf, 1e12, "2", None, True, 1 + 0j]),
    "noise_std": ("noise_std", [-0.1, math.nan, math.inf, 1e300, "2", None, True]),
    "spread": ("spread", [0.0, 0.99, math.nan, math.inf, "2", None, True]),
    "full_rank": ("full_rank", ["yes", 2, None]),
}


@pytest.mark.parametrize(
    ("field", "name", "value"), [(f, name, v) for f, (name, values) in BAD.items() for v in values], ids=repr
)
def test_bad_value_is_named(field, name, value):
    with pytest.raises(ParameterError, match="must be") as caught:
        DrawnSum(**{field: value})
    assert str(caught.value).startswith(f"{name} = {value!r}: must be ")


def test_every_field_is_tried():
    assert BAD.keys() == {f.name for f in dataclasses.fields(DrawnSum)}


@pytest.mark.parametrize("sizes", [(10**6, 10**5, False), (10**4, 10**4, False), (100, 1000, True)])
def test_sizes_beyond_memory_are_named(sizes):
    n, d, full_rank = sizes
    with pytest.raises(ParameterError, match=r"samples · dimension · rows = \d+: must be <= 2\^26"):
        DrawnSum(n, d, full_rank=full_rank)


# plain numbers


def given_sum(**changes):
    """Return a good problem in plain numbers, with changes."""
    return GivenSum(**{"A": ROWS, "b": TARGETS, "x0": [0.0, 0.0], **changes})


def test_numbers_are_kept_as_plain_tuples():
    one = given_sum()
    assert one.A == ((1.0, 2.0), (0.5, -1.0), (3.0, 0.0))
    assert one == given_sum(A=np.array(ROWS), b=np.array([1, -1, 1]), x0=(0, -0.0))
    assert str(one) == str(given_sum(x0=(0, -0.0)))
    assert hash(one) == hash(given_sum(samples=None))
    p, start = load_sum(given_sum(samples=3, x0=[5, 6]), "least-squares", 0.0, 0)
    assert p.A.tolist() == ROWS
    assert p.targets.tolist() == TARGETS
    assert start.tolist() == [5.0, 6.0]
    assert load_sum(given_sum(samples=1), "least-squares", 0.0, 0)[0].rows == 3


NOT_NUMBERS = [
    None, 5, "12", [], [[]], [["a", "b"]] * 3, [[1.0, 2.0], [1.0]], [[math.nan, 1.0]] * 3, [True, False, True],
    [[1 + 0j, 1.0]] * 3, [[math.inf, 1.0]] * 3, [None, 1.0, 2.0], [[[1.0]]], np.array("x"), [10**400] * 3,
]  # fmt: skip


@pytest.mark.parametrize("name", ["A", "b", "x0"])
@pytest.mark.parametrize("value", NOT_NUMBERS, ids=repr)
def test_bad_numbers_are_named(name, value):
    with pytest.raises(ParameterError, match="must be") as caught:
        given_sum(**{name: value})
    assert str(caught.value).startswith(f"{name} = ")


@pytest.mark.parametrize(("name", "value"), [("b", [1.0] * 2), ("b", [1.0] * 4), ("x0", [0.0]), ("x0", [0.0] * 3)])
def test_shapes_that_do_not_fit_are_named(name, value):
    with pytest.raises(ParameterError, match=rf"{name} = 'shape \({len(value)},\)': must be shape"):
        given_sum(**{name: value})


@pytest.mark.parametrize("value", [0, -1, 1.5, 4, True, "3", math.nan, [3]], ids=repr)
def test_bad_number_of_samples_is_named(value):
    with pytest.raises(ParameterError, match=r"samples \(n\) = "):
        given_sum(samples=value)


def test_samples_of_unequal_rows_are_named():
    with pytest.raises(ParameterError, match=r"samples \(n\) = 2: must be a divisor of the number of rows, 3"):
        load_sum(given_sum(samples=2), "least-squares", 0.0, 0)


@pytest.mark.parametrize("field", ["A", "b"])
def test_huge_numbers_are_named(field):
    with pytest.raises(ParameterError, match=rf"{field} = .*must be of finite numbers of size <= 1e\+100"):
        load_sum(given_sum(**{field: 1e101 * np.array(getattr(given_sum(), field))}), "least-squares", 0.0, 0)


# files


@pytest.fixture
def path(tmp_path):
    """Return the path of a good file."""
    np.savez(tmp_path / "data.npz", A=ROWS, b=TARGETS, x0=[1, 2])
    return tmp_path / "data.npz"


def test_file_comes_back(path):
    A, b, x0 = read_sum(path)
    assert (A.tolist(), b.tolist(), x0.tolist()) == (ROWS, TARGETS, [1.0, 2.0])
    np.savez(path, A=np.asfortranarray(ROWS).astype(np.float32), b=np.array([1, -1, 1], np.int8))
    A, b, x0 = read_sum(path)
    assert (A.dtype, b.dtype, A.flags.c_contiguous) == (float, float, True)
    assert (A.tolist(), b.tolist(), x0.tolist()) == (ROWS, TARGETS, [0.0, 0.0])


FILES = {
    "no A": ("A", {"b": TARGETS}),
    "no b": ("b", {"A": ROWS}),
    "another key": ("y", {"A": ROWS, "b": TARGETS, "y": TARGETS}),
    "a vector A": ("A", {"A": TARGETS, "b": TARGETS}),
    "a number A": ("A", {"A": 1.0, "b": TARGETS}),
    "an A of three axes": ("A", {"A": [ROWS], "b": TARGETS}),
    "no rows": ("A", {"A": np.empty((0, 2)), "b": []}),
    "no columns": ("A", {"A": np.empty((3, 0)), "b": TARGETS}),
    "short b": ("b", {"A": ROWS, "b": TARGETS[:2]}),
    "a column b": ("b", {"A": ROWS, "b": [[1.0], [1.0], [1.0]]}),
    "short x0": ("x0", {"A": ROWS, "b": TARGETS, "x0": [1.0]}),
    "NaN": ("A", {"A": [[math.nan, 1.0]] * 3, "b": TARGETS}),
    "infinite": ("x0", {"A": ROWS, "b": TARGETS, "x0": [math.inf, 0.0]}),
    "complex": ("b", {"A": ROWS, "b": [1j, 0.0, 0.0]}),
    "text": ("b", {"A": ROWS, "b": ["1", "2", "3"]}),
    "boolean": ("b", {"A": ROWS, "b": [True, False, True]}),
}


@pytest.mark.parametrize(("name", "arrays"), FILES.values(), ids=FILES)
def test_key_at_fault_is_named(path, name, arrays):
    np.savez(path, **arrays)
    with pytest.raises(ParameterError, match="must be") as caught:
        read_sum(path)
    message = str(caught.value)
    assert message.startswith((f"{name} = ", f"data file key = '{name}'")) or f"missing: {name}" in message


def test_labels_of_a_file_are_checked(path):
    np.savez(path, A=ROWS, b=[0, 1, 1])
    with pytest.raises(ParameterError, match=r"b = 'other numbers': must be -1 or 1"):
        load_sum(SumFile(str(path)), "logistic", 0.1, 0)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"data = .*nowhere"):
        SumFile(str(tmp_path / "nowhere.npz"))

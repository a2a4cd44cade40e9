"""The regression data: designs of one draw, the teacher, and the user's own files."""

import dataclasses
import math
import shutil

import numpy as np
import pytest
from scipy import stats

from simulate.diagonal_run import DiagonalSpec, run
from simulate.parameters import ParameterError
from simulate.regression import (
    DESIGNS,
    TEACHERS,
    RegressionFile,
    SparseRegression,
    draw_regression,
    load_regression,
    read_regression,
)

LEVEL = 1e-6  # false-alarm rate of each Kolmogorov-Smirnov test


def design(name, seed=0, **changes):
    """Return X of one draw."""
    return draw_regression(SparseRegression(design=name, **changes), seed).X


# designs


@pytest.mark.parametrize("seed", [0, 1])
def test_designs_are_one_draw(seed):
    """isotropic Z, shifted Z + shift, absolute |Z|, equicorrelated √(1−c) Z + √c z 1ᵀ: the same Z in all."""
    Z = design("isotropic", seed)
    assert np.array_equal(design("shifted", seed, shift=2.5), Z + 2.5)
    assert np.array_equal(design("absolute", seed), np.abs(Z))
    assert np.array_equal(design("equicorrelated", seed, correlation=0.0), Z)
    common = (design("equicorrelated", seed, correlation=0.7) - math.sqrt(0.3) * Z) / math.sqrt(0.7)
    assert np.abs(common - common[:, :1]).max() < 1e-14
    other = (design("equicorrelated", seed, correlation=0.2) - math.sqrt(0.8) * Z) / math.sqrt(0.2)
    assert np.abs(common - other).max() < 1e-14
    assert np.abs(common[1:] - common[0]).min() > 1e-6  # the control: rows have a z of their own


LAWS = {
    "isotropic": stats.norm,
    "equicorrelated": stats.norm,
    "shifted": stats.norm(3.0),
    "absolute": stats.halfnorm,
}


@pytest.mark.parametrize("name", DESIGNS)
def test_entries_have_their_law(name):
    """Kolmogorov-Smirnov on a column at 1e-6; the control is the law of another design, or of another scale."""
    X = design(name, 3, samples=20_000, dimension=2, sparsity=1, test_samples=0)
    others = [law for law in LAWS.values() if law != LAWS[name]] + [stats.norm(0.0, 1.1), stats.norm(3.0, 1.1)]
    for column in X.T:
        assert stats.kstest(column, LAWS[name].cdf).pvalue > LEVEL
        for other in others:
            assert stats.kstest(column, other.cdf).pvalue < LEVEL


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("correlation", [0.2, 0.9])
def test_second_moments(name, correlation):
    """Mean, variance and correlation of columns, correlation of rows: z-tests at 6 standard errors on 40 000 rows.

    18 tests a case at a nominal 2e-9 each; skew widens the tails, so take 1e-6 for all. The control asks for a
    correlation that is off by 0.05.
    """
    n, expected = 40_000, correlation if name == "equicorrelated" else 0.0
    X = design(name, 4, samples=n, dimension=4, test_samples=0, correlation=correlation)
    mean, variance = LAWS[name].stats()
    scores = (X - mean) / math.sqrt(variance)

    def z(values, value):
        return abs(values.mean() - value) / (values.std() / math.sqrt(n))

    assert max(z(column, 0.0) for column in scores.T) < 6
    assert max(z(column**2, 1.0) for column in scores.T) < 6
    pairs = [scores[:, i] * scores[:, j] for i in range(4) for j in range(i)]
    assert max(z(pair, expected) for pair in pairs) < 6
    assert max(z(pair, expected + 0.05) for pair in pairs) > 6
    rows = [scores[0::2, i] * scores[1::2, i] for i in range(4)]
    assert max(z(pair, 0.0) for pair in rows) < 6  # rows are independent


# teacher, targets, streams


@pytest.mark.parametrize("kind", TEACHERS)
@pytest.mark.parametrize("sparsity", [0, 1, 3, 30])
def test_teacher_is_sparse_and_of_unit_norm(kind, sparsity):
    found = [draw_regression(SparseRegression(sparsity=sparsity, teacher=kind), seed).teacher for seed in range(20)]
    for teacher in found:
        assert teacher.shape == (30,)
        assert not teacher[sparsity:].any()
        assert np.linalg.norm(teacher) == pytest.approx(1.0 if sparsity else 0.0, rel=1e-14)
    signs = np.sign([teacher[:sparsity] for teacher in found])
    assert (signs > 0).all() if kind == "positive" else sparsity == 0 or np.unique(signs).tolist() == [-1.0, 1.0]


def test_teacher_has_the_law_of_a_direction():
    """A coordinate of a unit vector in R³ is uniform on (−1, 1), Archimedes: KS at 1e-6; the control is R⁴'s."""
    first = [draw_regression(SparseRegression(1, 5, 3, teacher="signed"), seed).teacher[0] for seed in range(3000)]
    assert stats.kstest(first, stats.uniform(-1.0, 2.0).cdf).pvalue > LEVEL
    other = [draw_regression(SparseRegression(1, 5, 4, teacher="signed"), seed).teacher[0] for seed in range(3000)]
    assert stats.kstest(other, stats.uniform(-1.0, 2.0).cdf).pvalue < LEVEL


def test_signed_and_positive_teachers_share_their_sizes():
    one, two = (draw_regression(SparseRegression(teacher=kind), 5).teacher for kind in TEACHERS)
    assert np.array_equal(one, np.abs(two))


@pytest.mark.parametrize("name", DESIGNS)
def test_targets_are_the_teacher_s(name):
    problem = draw_regression(SparseRegression(design=name), 2)
    assert np.array_equal(problem.y, problem.X @ problem.teacher)
    assert np.array_equal(problem.y_test, problem.X_test @ problem.teacher)
    assert (problem.X.shape, problem.X_test.shape) == ((20, 30), (1000, 30))
    empty = draw_regression(SparseRegression(design=name, test_samples=0), 2)
    assert (empty.X_test.shape, empty.y_test.shape) == ((0, 30), (0,))


def test_noise_scales_one_draw():
    """y − X beta* is noise_std times the same normals (KS at 1e-6), on the test set too; X and teacher do not move."""
    quiet, one, two = (draw_regression(SparseRegression(3000, 5, noise_std=s), 1) for s in (0.0, 1.0, 2.0))
    for X, y in (("X", "y"), ("X_test", "y_test")):
        assert np.array_equal(getattr(one, X), getattr(quiet, X))
        noise = getattr(one, y) - getattr(quiet, y)
        assert np.allclose(getattr(two, y) - getattr(quiet, y), 2.0 * noise, rtol=0, atol=1e-12)
        assert stats.kstest(noise, stats.norm.cdf).pvalue > LEVEL
        assert stats.kstest(2.0 * noise, stats.norm.cdf).pvalue < LEVEL
    assert np.array_equal(one.teacher, quiet.teacher)


@pytest.mark.parametrize(
    "change",
    [
        {"sparsity": 7}, {"teacher": "signed"}, {"test_samples": 3}, {"noise_std": 1.0}, {"correlation": 0.1},
        {"shift": 1.0},
    ],
    ids=str,
)  # fmt: skip
def test_design_does_not_depend_on_the_rest(change):
    one, two = (draw_regression(SparseRegression(**c), 3) for c in ({}, change))
    assert np.array_equal(one.X, two.X)
    if "test_samples" not in change:
        assert np.array_equal(one.X_test, two.X_test)


@pytest.mark.parametrize(
    "change", [{"samples": 7}, {"design": "absolute"}, {"dimension": 40}, {"test_samples": 9}, {"noise_std": 1.0}],
    ids=str,
)  # fmt: skip
def test_teacher_does_not_depend_on_the_rest(change):
    one, two = (draw_regression(SparseRegression(**c), 3).teacher[:3] for c in ({}, change))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("change", [{"alpha": 0.3}, {"rule": "1-sam", "radius": 0.2}, {"step_size": 0.01}], ids=str)
def test_training_moves_no_draw(change):
    """The problem that a run meets is that of its data and seed: nothing of it moves with alpha, rule or step."""
    data = SparseRegression(5, 9, test_samples=4)
    one, two = (DiagonalSpec(data, seed=4, max_steps=0, **c) for c in ({}, change))
    problems = [load_regression(spec.data, spec.seed) for spec in (one, two)]
    assert all(np.array_equal(a, b) for a, b in zip(*(vars(p).values() for p in problems), strict=True))
    assert np.array_equal(run(one).teacher, run(two).teacher)
    assert run(one).train_loss == run(two).train_loss


def test_seed_moves_every_draw():
    """The negative control of the invariances here; train and test set are not one draw either."""
    one, two = (draw_regression(SparseRegression(test_samples=20), seed) for seed in (0, 1))
    for name in ("X", "y", "X_test", "y_test"):
        assert not np.any(getattr(one, name) == getattr(two, name))
    assert not np.any(one.teacher[:3] == two.teacher[:3])
    assert not np.any(one.X_test == one.X)


# bad values


NEVER = [math.nan, math.inf, -math.inf, True, "1", None, [1], 1 + 0j]
BAD = {
    ("samples", "samples (n)"): [*NEVER, 0, -1, 1.5, 10**7 + 1],
    ("dimension", "dimension (d)"): [*NEVER, 0, -1, 2.5, 10**7 + 1],
    ("sparsity", "sparsity (r)"): [*NEVER, -1, 1.5, 31],
    ("design", "design"): ["Isotropic", "", 1, None],
    ("correlation", "correlation"): [*NEVER, -0.1, 1.0, 2],
    ("shift", "shift"): [*NEVER, -1.0],
    ("teacher", "teacher"): ["negative", 0, None],
    ("noise_std", "noise_std"): [*NEVER, -1e-300],
    ("test_samples", "test_samples"): [*NEVER, -1, 0.5, 10**7 + 1],
}


@pytest.mark.parametrize(
    ("field", "name", "value"), [(*key, value) for key, values in BAD.items() for value in values], ids=repr
)
def test_bad_value_is_named(field, name, value):
    with pytest.raises(ParameterError, match="must be") as caught:
        SparseRegression(**{field: value})
    assert str(caught.value).startswith(f"{name} = {value!r}: must be ")


def test_every_field_is_tried():
    assert {field for field, _ in BAD} == {f.name for f in dataclasses.fields(SparseRegression)}


@pytest.mark.parametrize("field", ["samples", "test_samples"])
def test_data_beyond_memory_is_named(field):
    """With the product that is too large, be it of the train or of the test set."""
    with pytest.raises(ParameterError, match=rf"^{field} · dimension = 10000000000: must be <= 2\^28"):
        SparseRegression(**{"dimension": 10**4, field: 10**6})


def test_edges_are_allowed():
    data = SparseRegression(1, 1, 0, correlation=0, shift=0, test_samples=0)
    assert draw_regression(data, 0).y.tolist() == [0.0]
    SparseRegression(sparsity=30, correlation=math.nextafter(1.0, 0.0))
    whole = SparseRegression(20.0, np.int64(30), noise_std=np.float32(0.5))
    assert (type(whole.samples), type(whole.dimension), type(whole.noise_std)) == (int, int, float)


# the user's own file


def arrays(**changes):
    """Return a well-formed data file's arrays, n = 4 and d = 3, with changes; None drops a key."""
    rng = np.random.default_rng(0)
    good = {"X": rng.standard_normal((4, 3)), "y": np.array([1, -1, 2, 0])}
    good |= {"X_test": rng.standard_normal((2, 3)), "y_test": np.array([0.5, 1.5])}
    return {key: value for key, value in {**good, **changes}.items() if value is not None}


def saved(folder, **changes):
    """Write `arrays` and return the path."""
    path = folder / "data.npz"
    np.savez(path, **arrays(**changes))
    return path


def test_file_becomes_the_instance(tmp_path):
    got, want = read_regression(saved(tmp_path)), arrays()
    for name, value in want.items():
        found = getattr(got, name)
        assert np.array_equal(found, value)
        assert found.dtype == np.float64
    assert got.teacher is None


def test_file_without_test_samples(tmp_path):
    got = read_regression(saved(tmp_path, X_test=None, y_test=None))
    assert (got.X_test.shape, got.y_test.shape) == ((0, 3), (0,))
    got = read_regression(saved(tmp_path, X_test=np.ones((0, 3)), y_test=np.ones(0)))
    assert (got.X_test.shape, got.y_test.shape) == ((0, 3), (0,))


@pytest.mark.parametrize("kind", [np.float32, np.int8, np.uint64, np.float16])
def test_any_real_type_is_read(tmp_path, kind):
    """And any order of the axes in memory."""
    X = np.asfortranarray(np.arange(12).reshape(4, 3).astype(kind))
    got = read_regression(saved(tmp_path, X=X))
    assert np.array_equal(got.X, X.astype(float))
    assert got.X.flags.c_contiguous


def test_file_of_drawn_data_runs_as_the_draw(tmp_path):
    """A draw saved and read back trains to the same bits; the teacher alone is not known."""
    data = SparseRegression(6, 11, test_samples=5, noise_std=0.1)
    drawn = draw_regression(data, 7)
    path = saved(tmp_path, X=drawn.X, y=drawn.y, X_test=drawn.X_test, y_test=drawn.y_test)
    for rule in ("gd", "stochastic-1-sam", "n-sam-flow"):
        common = {"rule": rule, "radius": 0.1, "max_steps": 50, "max_time": 10.0, "seed": 7}
        one, two = run(DiagonalSpec(data, **common)), run(DiagonalSpec(RegressionFile(str(path)), **common))
        assert np.array_equal(one.beta, two.beta)
        assert (one.train_loss, one.test_loss, one.steps) == (two.train_loss, two.test_loss, two.steps)
        assert (one.teacher.shape, two.teacher.shape) == ((11,), (0,))


MALFORMED = {
    "no X": ("X", {"X": None}),
    "no y": ("y", {"y": None}),
    "unknown key": ("beta", {"beta": np.ones(3)}),
    "X_test alone": ("y_test together", {"y_test": None}),
    "y_test alone": ("X_test and", {"X_test": None}),
    "X a vector": ("X", {"X": np.ones(3)}),
    "X a number": ("X", {"X": np.array(1.0)}),
    "X of three axes": ("X", {"X": np.ones((4, 3, 1))}),
    "no samples": ("X", {"X": np.ones((0, 3)), "y": np.ones(0)}),
    "no features": ("X", {"X": np.ones((4, 0)), "X_test": None, "y_test": None}),
    "y too short": ("y", {"y": np.ones(3)}),
    "y a column": ("y", {"y": np.ones((4, 1))}),
    "y a number": ("y", {"y": np.array(1.0)}),
    "X_test of another d": ("X_test", {"X_test": np.ones((2, 4))}),
    "X_test a vector": ("X_test", {"X_test": np.ones(3)}),
    "y_test of another N": ("y_test", {"y_test": np.ones(3)}),
    "y_test a column": ("y_test", {"y_test": np.ones((2, 1))}),
    "NaN in X": ("X", {"X": np.full((4, 3), np.nan)}),
    "infinite y": ("y", {"y": np.array([1.0, np.inf, 0.0, 0.0])}),
    "NaN in X_test": ("X_test", {"X_test": np.full((2, 3), np.nan)}),
    "NaN in y_test": ("y_test", {"y_test": np.array([np.nan, 1.0])}),
    "complex X": ("X", {"X": np.ones((4, 3)) + 0j}),
    "boolean y": ("y", {"y": np.array([True, False, True, True])}),
    "text in y_test": ("y_test", {"y_test": np.array(["a", "b"])}),
    "objects in X": ("X", {"X": np.ones((4, 3), dtype=object)}),
    "objects in y": ("y", {"y": np.array([None, 1, 2, 3], dtype=object)}),
}


@pytest.mark.parametrize(("key", "changes"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_file_names_the_key(tmp_path, key, changes):
    """When the run meets it; the specification only needs a file that it can read."""
    spec = DiagonalSpec(RegressionFile(str(saved(tmp_path, **changes))))
    with pytest.raises(ParameterError, match=rf"\b{key}\b"):
        run(spec)


def test_text_file_is_named(tmp_path):
    path = tmp_path / "data.npz"
    path.write_text("X = 3")
    with pytest.raises(ParameterError, match=r"data = .*data\.npz"):
        run(DiagonalSpec(RegressionFile(str(path))))


@pytest.mark.parametrize("path", ["nowhere/data.npz", "", None, 5], ids=repr)
def test_file_that_cannot_be_read_is_named(path):
    with pytest.raises(ParameterError, match="data = "):
        RegressionFile(path)


def test_files_are_known_by_content(tmp_path):
    one, copy = saved(tmp_path), tmp_path / "copy.npz"
    shutil.copy(one, copy)
    key = DiagonalSpec(RegressionFile(str(one))).key()
    assert DiagonalSpec(RegressionFile(str(copy))).key() == key
    saved(tmp_path, y=np.ones(4))
    assert DiagonalSpec(RegressionFile(str(one))).key() != key

"""Samplings: their laws by brute force, their draws by frequency, and the constants that follow from a law."""

import itertools

import numpy as np
import pytest
from scipy import stats

from simulate import sampling as module
from simulate.objective import finite_sum
from simulate.parameters import ParameterError
from simulate.sampling import SAMPLINGS, Draws, sampling

N = 5
RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((N, 3)) * np.arange(1.0, N + 1.0)[:, None], RNG.standard_normal(N)
P = (0.1, 0.15, 0.2, 0.25, 0.3)
CASES = {
    "full": {"kind": "full"},
    "nice 1": {"kind": "nice", "batch_size": 1},
    "nice 3": {"kind": "nice", "batch_size": 3},
    "nice 4": {"kind": "nice", "batch_size": 4},
    "replacement 1": {"kind": "replacement", "batch_size": 1},
    "replacement 3": {"kind": "replacement", "batch_size": 3},
    "single": {"kind": "single"},
    "single p": {"kind": "single", "probabilities": P},
    "importance": {"kind": "importance"},
}
EVERY = pytest.mark.parametrize("name", CASES)


def problem(loss="square", reg=0.0, k=1, n=N):
    """Return a problem on the rows of this file, k a sample."""
    rng = np.random.default_rng(1)
    rows = A if k * n == N else rng.standard_normal((n * k, 3)) * rng.uniform(0.5, 2.0, (n * k, 1))
    b = rng.standard_normal(n * k)
    if loss == "logistic":
        return finite_sum(loss, rows, np.where(b > 0.0, 1.0, -1.0), reg or 0.1)
    if loss == "sine":
        rows = np.hstack([rows, np.eye(n * k)])
    return finite_sum(loss, rows, b, reg, n)


def drawn(name, p=None):
    """Return a case's sampling."""
    return sampling(problem=problem() if p is None else p, **CASES[name])


def outcomes(s):
    """Return every ordered draw as (samples, probability), by brute force over tuples."""
    n, tau = s.samples, s.batch_size
    if s.kind == "full":
        return [(tuple(range(n)), 1.0)]
    if s.kind == "nice":
        every = list(itertools.permutations(range(n), tau))
        return [(draw, 1.0 / len(every)) for draw in every]
    p = np.full(n, 1.0 / n) if s.probabilities is None else s.probabilities
    return [(draw, float(np.prod(p[list(draw)]))) for draw in itertools.product(range(n), repeat=tau)]


# laws


@EVERY
def test_law_is_that_of_all_draws(name):
    """The distribution of v, from every ordered draw: E v = 1/n, and the same second moments."""
    s = drawn(name)
    V, chance = s.law()
    assert V.shape == (len(chance), N)
    assert chance.sum() == pytest.approx(1.0, rel=1e-14)
    assert chance @ V == pytest.approx(np.full(N, 1.0 / N), rel=1e-13)
    expected = {}
    for draw, q in outcomes(s):
        v = np.zeros(N)
        for i in draw:
            v[i] += s.weights[i]
        expected[tuple(v.round(12))] = expected.get(tuple(v.round(12)), 0.0) + q
    found = {}
    for v, q in zip(V, chance, strict=True):
        found[tuple(v.round(12))] = found.get(tuple(v.round(12)), 0.0) + q
    assert found == pytest.approx(expected, rel=1e-12)


def test_laws_differ():
    """The control: of one mean, every one of them has another covariance, but for single samples drawn alike."""
    seconds = {name: (V.T * chance) @ V for name, (V, chance) in ((name, drawn(name).law()) for name in CASES)}
    alike = {"nice 1", "replacement 1", "single"}
    for one, two in itertools.combinations(CASES, 2):
        assert np.allclose(seconds[one], seconds[two], rtol=1e-9) == ({one, two} <= alike), (one, two)


def test_weights():
    assert drawn("full").weights == pytest.approx(np.full(N, 0.2))
    assert drawn("nice 3").weights == pytest.approx(np.full(N, 1 / 3))
    assert drawn("single p").weights == pytest.approx(1.0 / (N * np.array(P)))
    L = np.sum(A * A, axis=1)
    assert drawn("importance").probabilities == pytest.approx(L / L.sum())
    assert drawn("importance").weights == pytest.approx(L.mean() / L)


def test_nice_of_all_is_full():
    s = sampling("nice", problem(), N)
    assert (s.kind, s.batch_size) == ("full", N)


@pytest.mark.parametrize(("kind", "n", "tau"), [("nice", 60, 10), ("replacement", 60, 5), ("replacement", 20, 10_000)])
def test_law_of_too_many_outcomes_is_named(kind, n, tau):
    p = finite_sum("square", np.ones((n, 1)), np.ones(n))
    with pytest.raises(ParameterError, match=rf"sampling = '{kind} with n = {n}, tau = {tau}': must be one with"):
        sampling(kind, p, tau).law()


def test_law_of_a_long_batch():
    """2^200 orders of 201 multisets: chances to rounding, though no integer of 64 bits holds the orders."""
    p = finite_sum("square", np.ones((2, 1)), np.ones(2))
    V, chance = sampling("replacement", p, 200).law()
    assert chance.dtype == float
    assert chance == pytest.approx(stats.binom.pmf(np.rint(200 * V[:, 0]), 200, 0.5), rel=1e-10)


# draws


@EVERY
def test_draws_follow_the_law(name):
    """Chi-square over all ordered draws at 20,000 steps; a false alarm once in 10,000 for each case."""
    s, steps = drawn(name), 20_000
    rows = Draws(s, np.random.default_rng(3)).order(0, steps)
    if s.kind == "full":
        assert rows.tolist() == [list(range(N))]
        return
    assert rows.shape == (steps, s.batch_size)
    every = outcomes(s)
    place = {draw: k for k, (draw, _) in enumerate(every)}
    counts = np.bincount([place[tuple(row)] for row in rows.tolist()], minlength=len(every))
    assert stats.chisquare(counts, steps * np.array([q for _, q in every])).pvalue > 1e-4
    pairs = np.histogram2d(rows[:-1, 0], rows[1:, 0], bins=(np.arange(N + 1), np.arange(N + 1)))[0]
    assert stats.chi2_contingency(pairs).pvalue > 1e-4  # successive steps are independent


def test_wrong_frequencies_are_seen():
    """The negative control: the draws of p against equal frequencies."""
    rows = Draws(drawn("single p"), np.random.default_rng(3)).order(0, 20_000)
    assert stats.chisquare(np.bincount(rows.ravel())).pvalue < 1e-100


@EVERY
def test_draws_do_not_depend_on_how_many_are_asked_for(monkeypatch, name):
    s = drawn(name)
    whole = Draws(s, np.random.default_rng(4)).order(0, 50)
    for shuffled in (2**20, 7, 1):
        monkeypatch.setattr(module, "_SHUFFLED", shuffled)
        draws, parts, at = Draws(s, np.random.default_rng(4)), [], 0
        for count in (1, 2, 0, 17, 30):
            parts.append(draws.order(at, count))
            at += count
        if s.kind != "full":
            assert np.array_equal(np.concatenate(parts), whole)
    assert s.kind == "full" or not np.array_equal(whole, Draws(s, np.random.default_rng(5)).order(0, 50))


def test_draws_of_many_samples_fit_in_memory():
    """8,192 steps on 10^5 samples: all the shuffles at once would be 6.5 GB."""
    p = finite_sum("square", np.ones((10**5, 1)), np.ones(10**5))
    rows = sampling("nice", p, 3).batches(np.random.default_rng(0)).order(0, 20)
    assert rows.shape == (20, 3)
    assert rows.base is None or rows.base.size <= 60
    assert all(len(set(row)) == 3 for row in rows.tolist())


# constants


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("reg", [0.0, 0.3])
@EVERY
def test_lipschitz_is_the_largest_over_the_outcomes(name, k, reg):
    """For square: the largest eigenvalue of every outcome's Hessian."""
    p = problem(k=k, reg=reg)
    s = drawn(name, p)
    largest = 0.0
    for v in s.law()[0]:
        H = (p.A.T * np.repeat(v, k) / k) @ p.A + reg * v.sum() * np.eye(3)
        largest = max(largest, np.linalg.eigvalsh(H)[-1])
    assert s.lipschitz(p) == pytest.approx(largest, rel=1e-12)


@pytest.mark.parametrize("tau", [2, 5, 11])
def test_lipschitz_beyond_enumeration_is_an_upper_bound(tau):
    """12 samples by enumeration; the bound that serves 50 is no smaller on these."""
    rng = np.random.default_rng(2)
    p = finite_sum("square", rng.standard_normal((12, 4)) * rng.uniform(0.3, 3.0, (12, 1)), np.ones(12))
    s = sampling("nice", p, tau)
    bound = min(np.sort(p.sample_lipschitz)[-tau:].mean(), 12 / tau * p.lipschitz)
    assert s.lipschitz(p) <= bound * (1.0 + 1e-12)
    q = finite_sum("square", np.tile(p.A, (5, 1)), np.ones(60))
    s = sampling("nice", q, 5 * tau)
    V = np.zeros((300, 60))
    for v in V:
        v[rng.choice(60, 5 * tau, replace=False)] = 1.0 / (5 * tau)
    assert max(q.weighted_lipschitz(v) for v in V) <= s.lipschitz(q) <= q.sample_lipschitz.max()


def residual_constants(s, p):
    """Return (A, B, C) with E‖g‖² ≤ 2A (f − f*) + B ‖∇f‖² + C, the table of expected residuals."""
    n, tau, L = s.samples, s.batch_size, p.sample_lipschitz
    if s.kind == "full":
        return 0.0, 1.0, 0.0
    if s.kind == "nice":
        a, b = (n - tau) * L.max() / (tau * (n - 1)), n * (tau - 1) / (tau * (n - 1))
    elif s.kind == "replacement":
        a, b = L.max() / tau, 1.0 - 1.0 / tau
    elif s.kind == "importance":
        a, b = L.mean(), 0.0
    else:
        a, b = (L / (n * s.probabilities)).max(), 0.0
    return a, b, 2.0 * a * p.noise


def residuals(s, p, Y):
    """Return E‖g‖², f − f* and ‖∇f‖² at the points x* + Y, the first by enumeration."""
    V, chance = s.law()
    gaps, gradients = p.measure(Y)
    each = np.stack([sample_gradient(p, i, Y) for i in range(p.samples)])  # (n, states, d)
    g = np.einsum("ki,isd->ksd", V, each)
    return np.einsum("k,ksd,ksd->s", chance, g, g), gaps, np.sum(gradients**2, axis=1)


def sample_gradient(p, i, Y):
    """Return ∇f_i (states, d): the gradient of the problem of that sample alone, about the same x*."""
    rows = slice(i * p.rows, (i + 1) * p.rows)
    fields = {name: getattr(p, name) for name in p.__dataclass_fields__}
    fields |= {"A": p.A[rows], "targets": p.targets[rows], "offsets": p.offsets[rows], "samples": 1}
    return type(p)(**fields).measure(Y)[1]


@pytest.mark.parametrize(("loss", "k", "reg"), [
    ("square", 1, 0.0), ("square", 1, 0.3), ("square", 2, 0.0), ("logistic", 1, 0.1), ("sine", 1, 0.0),
    ("robust", 1, 0.0),
])  # fmt: skip
@EVERY
def test_expected_residual(name, loss, k, reg):
    """At points near and far: E‖g‖² is below the table's bound."""
    p = problem(loss, reg, k)
    s = drawn(name, p)
    rng = np.random.default_rng(6)
    Y = rng.standard_normal((60, len(p.anchor))) * 10.0 ** rng.uniform(-3.0, 1.5, (60, 1))
    second, gap, square = residuals(s, p, Y)
    a, b, c = residual_constants(s, p)
    assert (second <= (2.0 * a * gap + b * square + c) * (1.0 + 1e-11)).all()


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("full", "single p")])
def test_expected_residual_is_attained(name):
    """Rows of one length: ‖∇f_i‖² = 2 L_i (f_i − inf f_i), and the bound is an equality; a control for what is above.

    Importance attains it whatever the lengths.
    """
    rows = A if name == "importance" else A / np.linalg.norm(A, axis=1)[:, None]
    p = finite_sum("square", rows, B)
    s = drawn(name, p)
    second, gap, square = residuals(s, p, np.random.default_rng(7).standard_normal((20, 3)))
    a, b, c = residual_constants(s, p)
    assert second == pytest.approx(2.0 * a * gap + b * square + c, rel=1e-12)


# bad input

BAD = {
    "kind": ("sampling", {"kind": "epochs"}),
    "nice of one": ("sampling", {"kind": "nice", "n": 1}),
    "probabilities of nice": ("probabilities", {"kind": "nice", "probabilities": P}),
    "probabilities of importance": ("probabilities", {"kind": "importance", "probabilities": P}),
    "too large a batch": ("batch_size (tau)", {"kind": "nice", "batch_size": N + 1}),
    "no batch": ("batch_size (tau)", {"kind": "nice", "batch_size": 0}),
    "half a sample": ("batch_size (tau)", {"kind": "replacement", "batch_size": 1.5}),
    "a batch beyond memory": ("batch_size (tau)", {"kind": "replacement", "batch_size": 10_001}),
    "a batch of single": ("batch_size (tau)", {"kind": "single", "batch_size": 2}),
    "a batch of importance": ("batch_size (tau)", {"kind": "importance", "batch_size": 2}),
    "p of 0": ("probabilities", {"kind": "single", "probabilities": (0.0, 0.25, 0.25, 0.25, 0.25)}),
    "p below 0": ("probabilities", {"kind": "single", "probabilities": (-0.1, 0.35, 0.25, 0.25, 0.25)}),
    "p of NaN": ("probabilities", {"kind": "single", "probabilities": (np.nan, 0.25, 0.25, 0.25, 0.25)}),
    "p of text": ("probabilities", {"kind": "single", "probabilities": "01234"}),
    "sum": ("probabilities", {"kind": "single", "probabilities": (0.2, 0.2, 0.2, 0.2, 0.21)}),
    "length": ("probabilities", {"kind": "single", "probabilities": (0.25,) * 4}),
    "none": ("probabilities", {"kind": "single", "probabilities": ()}),
}


@pytest.mark.parametrize(("name", "changes"), BAD.values(), ids=BAD)
def test_bad_sampling_is_named(name, changes):
    p = problem(n=changes.get("n", N))
    with pytest.raises(ParameterError, match="must be") as caught:
        sampling(problem=p, **{key: value for key, value in changes.items() if key != "n"})
    assert str(caught.value).startswith(f"{name} = ")


def test_importance_needs_every_sample():
    """L_i = 0 would never be drawn; with reg > 0 it has L_i = reg."""
    rows = np.array([[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ParameterError, match="sampling = 'importance': must be another: a sample with L_i = 0"):
        sampling("importance", finite_sum("square", rows, np.ones(2)))
    s = sampling("importance", finite_sum("square", rows, np.ones(2), 0.5))
    assert s.probabilities == pytest.approx([0.75, 0.25])


def test_every_kind_is_tried():
    assert {case["kind"] for case in CASES.values()} == set(SAMPLINGS)

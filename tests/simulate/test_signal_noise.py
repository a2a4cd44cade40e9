"""The data model: two draws of one law, labels, and the user's own files."""

import math
from functools import cache

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulate.conv_run import ConvSpec, run
from simulate.signal_noise import (
    SignalNoise,
    balanced_flips,
    draw_dense,
    draw_gram,
    draw_labels,
    draw_weights,
)

LEVEL = 1e-6  # false-alarm rate of each comparison of two samples
DRAWS = 2500
DIMENSIONS = [1, 2, 3, 5, 50]
VECTORS, MU, SIGMA, STD = 3, 0.7, 1.5, 0.4


def whole(instance):
    """Return the Gram matrix of (mu, noise, weights) together."""
    return np.block([[instance.gram, instance.projections.T], [instance.projections, instance.weight_gram]])


def standardised(S):
    """Return the Gram matrix (…, 6, 6) of (mu, 3 noise vectors, 2 weights), each divided by its scale."""
    scale = np.array([MU] + [SIGMA] * VECTORS + [STD] * 2)
    return S / np.outer(scale, scale)


@cache
def sample(kind, dimension):
    """Return DRAWS standardised Gram matrices of one draw."""
    data = SignalNoise(VECTORS, dimension, 2, MU, SIGMA)
    if kind == "gram":
        S = [whole(draw_gram(data, 1, STD, seed)) for seed in range(DRAWS)]
    elif kind == "dense":
        S = [whole(draw_dense(data, 1, STD, seed).to_gram()) for seed in range(DRAWS)]
    else:  # the right and the wrong Bartlett factor of the plain twin, without mu
        rng, shift = np.random.default_rng(17), {"twin": 1, "wrong twin": 0}[kind]
        S = np.zeros((DRAWS, 6, 6))
        S[:, 1:, 1:] = [naive.bartlett(5, dimension, rng, shift) for _ in range(DRAWS)]
        return S
    return standardised(np.array(S))


def noise_statistics(S):
    """Return scalar functions of the noise and weights whose laws pin the joint law: lengths, angles, triples."""
    found = {f"S{i}{j}": S[:, i, j] for i in range(1, 6) for j in range(i, 6)}
    found |= {f"S{i}{j}^2": S[:, i, j] ** 2 for i, j in ((1, 2), (1, 4), (4, 5))}
    found["triple of noise"] = S[:, 1, 2] * S[:, 2, 3] * S[:, 3, 1]
    found["triple with a weight"] = S[:, 1, 2] * S[:, 2, 4] * S[:, 4, 1]
    found["triple with both weights"] = S[:, 3, 4] * S[:, 4, 5] * S[:, 5, 3]
    found["cosine"] = S[:, 2, 3] / np.sqrt(S[:, 2, 2] * S[:, 3, 3])
    found["cosine with a weight"] = S[:, 3, 5] / np.sqrt(S[:, 3, 3] * S[:, 5, 5])
    found["product of lengths"] = S[:, 1, 1] * S[:, 5, 5]
    found["sum of all"] = S[:, 1:, 1:].sum((1, 2))
    return found


def statistics(S):
    """`noise_statistics` and those of the coordinate along mu."""
    found = noise_statistics(S) | {f"S0{j}": S[:, 0, j] for j in range(1, 6)}
    found["along mu, pair"] = S[:, 0, 1] * S[:, 0, 4] * S[:, 1, 4]
    found["along mu, share of length"] = S[:, 0, 2] ** 2 / S[:, 2, 2]
    found["along mu, share of a weight"] = S[:, 0, 4] ** 2 / S[:, 4, 4]
    return found


def p_values(one, two, d):
    """Two-sample Kolmogorov-Smirnov p-values; in d = 1 ratios are ±1 by rounding and left out."""
    return {
        name: stats.ks_2samp(one[name], two[name], method="asymp").pvalue
        for name in one
        if d > 1 or not ("cosine" in name or "share" in name)
    }


@pytest.mark.parametrize("d", DIMENSIONS)
def test_gram_and_dense_draws_are_one_law(d):
    """Kolmogorov-Smirnov on 33 functions of the Gram matrix, each at 1e-6: false-alarm rate 4e-5 a dimension."""
    values = p_values(statistics(sample("gram", d)), statistics(sample("dense", d)), d)
    assert len(values) >= 26
    assert min(values.values()) > LEVEL, values


@pytest.mark.parametrize("d", [2, 3, 5])
def test_wrong_bartlett_diagonal_is_seen(d):
    """The negative control: chi(d − i) for chi(d − 1 − i) is rejected by the test that passes the right one."""
    dense = noise_statistics(sample("dense", d))
    assert min(p_values(noise_statistics(sample("twin", d)), dense, d).values()) > LEVEL
    assert min(p_values(noise_statistics(sample("wrong twin", d)), dense, d).values()) < 1e-3 * LEVEL


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("kind", ["gram", "dense"])
def test_marginal_laws_are_exact(kind, d):
    """‖xi‖² is chi²(d) and the coordinate along mu N(0, 1): one-sample tests at 1e-6, control chi²(d + 1) at d ≤ 5."""
    S = sample(kind, d)
    for k in range(1, 6):
        assert stats.kstest(S[:, k, k], stats.chi2(d).cdf).pvalue > LEVEL
        assert stats.kstest(S[:, 0, k], stats.norm.cdf).pvalue > LEVEL
        assert d > 5 or stats.kstest(S[:, k, k], stats.chi2(d + 1).cdf).pvalue < LEVEL
    assert np.allclose(S[:, 0, 0], 1.0, rtol=1e-15)


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("kind", ["gram", "dense"])
def test_moments(kind, d):
    """E S_ij = 0, E S_ij² = d, E S_ij S_jk S_ki = d, E S_ii S_ij² = d² + 2d by z-tests at 6 standard errors.

    36 tests a case at a nominal 2e-9 each; skew widens the tails, so take 1e-5 for all. The control moves one
    expectation by d and is rejected.
    """
    S = sample(kind, d)

    def z(values, expected):
        return (values.mean() - expected) / (values.std() / math.sqrt(len(values)))

    for i in range(1, 6):
        for j in range(i + 1, 6):
            assert abs(z(S[:, i, j], 0.0)) < 6
            assert abs(z(S[:, i, j] ** 2, d)) < 6
            assert abs(z(S[:, i, i] * S[:, i, j] ** 2, d * d + 2 * d)) < 6
    for i, j, k in ((1, 2, 3), (1, 2, 4), (2, 4, 5)):
        assert abs(z(S[:, i, j] * S[:, j, k] * S[:, k, i], d)) < 6
    assert abs(z(S[:, 1, 2] ** 2, 2 * d)) > 6


@pytest.mark.parametrize("draw", [draw_gram, lambda *a: draw_dense(*a).to_gram()], ids=["gram", "dense"])
@pytest.mark.parametrize("d", [1, 2, 3, 4, 9, 10, 11, 30])
@pytest.mark.parametrize(("patches", "noise_patches"), [(2, "shared"), (3, "independent"), (1, "independent")])
def test_rank_is_the_smaller_of_dimension_and_vectors(draw, d, patches, noise_patches):
    """Positive semidefinite, min(d, vectors) eigenvalues far above zero and no more."""
    instance = draw(SignalNoise(3, d, patches, 1.0, 1.0, noise_patches=noise_patches), 2, 1.0, 5)
    S = whole(instance)
    assert np.array_equal(S, S.T)
    vectors = 1 + 3 * (1 if noise_patches == "shared" else patches - 1) + 4
    assert len(S) == vectors
    values, rank = np.linalg.eigvalsh(S)[::-1], min(d, vectors)
    assert np.abs(values[rank:]).max(initial=0.0) < 1e-13 * values[0]
    assert values[rank - 1] > 1e-6 * values[0]


def test_dimension_of_a_million_million():
    """d = 10¹² costs no more memory than d = 10 and has the law's scale: 6 standard deviations on 50 vectors.

    False-alarm rate below 1e-5 (1275 pairs at 2e-9).
    """
    d = 10**12
    instance = draw_gram(SignalNoise(50, d, 2, 3.0, 2.0), 5, 0.1, 0)
    assert np.abs(np.diag(instance.gram)[1:] / (4.0 * d) - 1.0).max() < 6 * math.sqrt(2 / d)
    inner = instance.gram[1:, 1:][np.triu_indices(50, 1)] / (4.0 * math.sqrt(d))
    assert np.abs(inner).max() < 6
    assert abs(inner.std() - 1.0) < 6 / math.sqrt(2 * inner.size)
    assert abs((instance.projections[:, 1:] / (0.2 * math.sqrt(d))).std() - 1.0) < 6 / math.sqrt(1000)
    assert np.abs(np.diag(instance.weight_gram) / (0.01 * d) - 1.0).max() < 6 * math.sqrt(2 / d)
    result = run(ConvSpec(SignalNoise(5, d), 2, 1e-9, step_size=1e-12, max_steps=50))
    assert np.isfinite(result.clean_error)


def test_shapes_and_weights():
    for noise_patches, count, weight in (("shared", 1, 3.0), ("independent", 3, 1.0)):
        data = SignalNoise(5, 11, 4, noise_patches=noise_patches)
        assert (data.noise_count, data.noise_weight) == (count, weight)
        for instance in (draw_gram(data, 2, 1.0, 0), draw_dense(data, 2, 1.0, 0).to_gram()):
            assert instance.gram.shape == (1 + 5 * count, 1 + 5 * count)
            assert instance.projections.shape == (4, 1 + 5 * count)
            assert instance.weight_gram.shape == (4, 4)
            assert (instance.noise_count, instance.noise_weight) == (count, weight)


def test_dense_draw_is_what_it_says():
    """mu on the first axis; to_gram is inner products by loops."""
    dense = draw_dense(SignalNoise(3, 5, 2, 2.5), 1, 1.0, 0)
    assert dense.vectors[0].tolist() == [2.5, 0.0, 0.0, 0.0, 0.0]
    rows = [*dense.vectors, *dense.weights]
    inner = [[math.fsum(a * b for a, b in zip(v, w, strict=True)) for v in rows] for w in rows]
    assert np.allclose(whole(dense.to_gram()), inner, rtol=1e-14, atol=1e-14)
    assert np.array_equal(draw_weights(5, 1, 1.0, 0), dense.weights)


# labels


def test_iid_labels_have_their_frequencies():
    """Classes at 1/2, flips at p, the two independent: normal tests at 6 standard errors on 40 000 labels.

    False-alarm rate 1e-8. The control, p off by a tenth, is rejected.
    """
    n, p = 40_000, 0.3
    y, signal = draw_labels(SignalNoise(n, flip_rate=p), 1)
    assert set(np.unique(y)) == set(np.unique(signal)) == {-1.0, 1.0}
    flipped, se = y != signal, math.sqrt(p * (1 - p) / n)
    assert abs((signal > 0).mean() - 0.5) < 6 * 0.5 / math.sqrt(n)
    assert abs(flipped.mean() - p) < 6 * se
    assert abs(flipped.mean() - 1.1 * p) > 6 * se
    assert abs(np.corrcoef(flipped, signal)[0, 1]) < 6 / math.sqrt(n)


@given(st.integers(1, 60), st.floats(0.0, 0.4999), st.integers(0, 1000))
def test_balanced_labels_have_exact_counts(n, p, seed):
    """Half of each class, the odd one in +1; round-half-even(p n / 2) flips in each."""
    y, signal = draw_labels(SignalNoise(n, flip_rate=p, labels="balanced"), seed)
    positive, flipped = signal > 0, y != signal
    assert positive.sum() == math.ceil(n / 2)
    assert flipped[positive].sum() == flipped[~positive].sum() == balanced_flips(n, p)
    # how rounding is done where n is small: p n / 2 cannot ask for more than the smaller class has
    assert balanced_flips(n, p) == min(int(np.rint(p * n / 2)), n // 2)


@pytest.mark.parametrize(
    ("n", "p", "flips"),
    [(10, 0.1, 0), (10, 0.3, 2), (20, 0.25, 2), (20, 0.35, 4), (20, 0.1, 1), (1, 0.49, 0), (9, 0.49, 2)],
)
def test_flips_round_half_to_even(n, p, flips):
    assert balanced_flips(n, p) == flips


@given(st.sampled_from(["iid", "balanced"]), st.floats(0, 0.499), st.floats(0, 0.499), st.integers(0, 500))
def test_flips_are_nested(kind, p, q, seed):
    """A larger p keeps every flip of a smaller one and moves no class."""
    (y, a), (z, b) = (draw_labels(SignalNoise(31, flip_rate=r, labels=kind), seed) for r in sorted((p, q)))
    assert np.array_equal(a, b)
    assert not np.any((y != a) & (z == b))


def test_flips_of_another_seed_are_not_nested():
    """The negative control of test_flips_are_nested."""
    (y, a), (z, b) = (draw_labels(SignalNoise(31, flip_rate=r), seed) for r, seed in ((0.2, 0), (0.4, 1)))
    assert np.any((y != a) & (z == b))

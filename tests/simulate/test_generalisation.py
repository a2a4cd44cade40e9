"""The test error without a d-vector, against real samples and an exact integral."""

import naive
import numpy as np
import pytest
from scipy import stats

from simulate import generalisation
from simulate.conv import DenseNetwork, GramNetwork
from simulate.generalisation import REPLICATES, WIDE, clean_error, smoothed_error, test_error
from simulate.signal_noise import DenseInstance, SignalNoise, draw_dense
from simulate.update import Batches, Phase, Rule, train


def trained(patches=2, shared=True, width=4, signal_norm=2.0, seed=1):
    """Return (data, dense instance, dense network, Gram network), trained to errors well inside (0, 1/2)."""
    kind = "shared" if shared else "independent"
    data = SignalNoise(8, 40, patches, signal_norm, 0.3, 0.25, noise_patches=kind)
    dense = draw_dense(data, width, 0.1, seed)
    networks = DenseNetwork(dense), GramNetwork(dense.to_gram())
    for network in networks:
        train(network, [Phase(Rule(), 40)], Batches(8, 8, np.random.default_rng(0)), 0.1, 0.0)
    return data, dense, *networks


def pair(W, mu, weight):
    """Return the untrained Gram network of W with one sample of noise that fills `weight` patches."""
    vectors, one = np.vstack([mu, np.ones_like(mu)]), np.ones(1)
    return GramNetwork(DenseInstance(vectors, W, one, one, weight, 1).to_gram())


@pytest.mark.parametrize("patches", [2, 3, 4])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("width", [1, 4])
def test_matches_real_samples(patches, shared, width):
    """Within 4.5 combined standard errors of 200 000 real samples in R^40, on two spaces and with two controls.

    The sampling error is the larger part, so the false-alarm rate is near the normal 7e-6, and below 1e-3 a case were
    the standard error, from 8 scramblings, all there was. Controls: another noise level, the other kind of patches.
    """
    data, dense, network, gram = trained(patches, shared, width)
    rng, mu = np.random.default_rng(12), dense.vectors[0]
    seen, sampling = naive.monte_carlo_error(network.weights, mu, data.noise_std, patches, shared, 200_000, rng)
    assert 0.05 < seen < 0.47
    for model in (network, gram):
        e, se = clean_error(model, data.noise_std)
        assert se < 4e-3
        assert abs(e - seen) < 4.5 * np.hypot(se, sampling)
    e, se = clean_error(gram, 2.0 * data.noise_std)
    assert abs(e - seen) > 4.5 * np.hypot(se, sampling)
    if patches > 2 and width > 1:
        other, se = naive.monte_carlo_error(network.weights, mu, data.noise_std, patches, not shared, 200_000, rng)
        assert abs(clean_error(gram, data.noise_std)[0] - other) > 4.5 * np.hypot(se, sampling)


def test_two_neurons_match_the_exact_integral():
    """m = 1: an integral over one angle; that integral against real samples, too."""
    _, dense, network, gram = trained(3, width=1)
    exact = naive.error_of_two_neurons(network.weights, dense.vectors[0], 0.3, 2.0)
    e, se = clean_error(gram, 0.3)
    assert abs(e - exact) < max(6 * se, 1e-4)
    assert abs(e - naive.error_of_two_neurons(network.weights, dense.vectors[0], 0.3, 1.0)) > 0.01
    rng = np.random.default_rng(3)
    seen, sampling = naive.monte_carlo_error(network.weights, dense.vectors[0], 0.3, 3, True, 400_000, rng)
    assert abs(seen - exact) < 4.5 * sampling


def test_standard_error_is_honest():
    """On 300 random problems at m = 1, (e − exact)/se lies within the 95 % range of Student's t as often as it says.

    Were problems independent, fewer than 87 % would have probability 1e-7, and so would a median |z| outside 0.5 … 1
    (t with 7 degrees of freedom: 0.71). Controls: a standard error three times too small or too large fails.
    """
    rng, z = np.random.default_rng(0), []
    for _ in range(300):
        W = rng.standard_normal((2, 5)) * rng.uniform(0.2, 2.0, (2, 1))
        mu, noise_std = rng.standard_normal(5) * rng.uniform(0.2, 2.0), rng.uniform(0.3, 2.0)
        levels = [max(s * W[0] @ mu, 0.0) - max(s * W[1] @ mu, 0.0) for s in (1, -1)]
        if 0.0 in levels:  # then f = 0 has a probability of its own, which the integral leaves out
            continue
        e, se = clean_error(pair(W, mu, 2.0), noise_std)
        z.append((e - naive.error_of_two_neurons(W, mu, noise_std, 2.0, 4000)) / se)
    z = np.abs(z)
    assert len(z) > 100
    inside = stats.t(REPLICATES - 1).ppf(0.975)
    assert (z < inside).mean() > 0.87
    assert 0.5 < np.median(z) < 1.0
    assert (3.0 * z < inside).mean() < 0.87
    assert np.median(z / 3.0) < 0.5


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_no_output_counts_one_half(sign):
    """Both neurons silent on half of the plane and no signal: f = 0 there, half an error each time."""
    W = np.array([[0.0, 0.0, sign], [0.0, 0.0, sign]])  # the two cancel: f = 0 always
    assert clean_error(pair(W, np.array([1.0, 0.0, 0.0]), 1.0), 1.0) == (0.5, 0.0)
    # one neuron off mu: X > 0 on half of the samples, else f = 0; e = ½ (¼) + ½ (½ + ¼)
    W = np.array([[0.0, 0.0, sign], [0.0, 0.0, 0.0]])
    e, se = clean_error(pair(W, np.array([1.0, 0.0, 0.0]), 1.0), 1.0)
    assert e == pytest.approx(0.5, abs=1e-12)
    assert se < 1e-12


@pytest.mark.parametrize("wrong", [False, True])
def test_without_noise_the_signal_decides(wrong):
    """sigma_p = 0, or P = 1: the sign of the signal's logit alone, 0 or 1, exactly; a deaf class counts one half."""
    W = np.array([[1.0, 0.0], [-1.0, 0.0]]) * (-1.0 if wrong else 1.0)
    mu = np.array([1.0, 0.0])
    assert clean_error(pair(W, mu, 1.0), 0.0) == (float(wrong), 0.0)
    assert clean_error(pair(W, mu, 0.0), 5.0) == (float(wrong), 0.0)
    W[1] = 0.0  # ŷ = −1 (or +1, if wrong) gives f = 0
    assert clean_error(pair(W, mu, 1.0), 0.0) == (0.75 if wrong else 0.25, 0.0)


def test_without_noise_vectors():
    data = SignalNoise(3, 4, 1, 1.0, noise_patches="independent")
    e, se = clean_error(GramNetwork(draw_dense(data, 2, 1.0, 0).to_gram()), 1.0)
    assert e in (0.0, 0.25, 0.5, 0.75, 1.0)
    assert se == 0.0


@pytest.mark.parametrize("shared", [True, False])
def test_no_signal_is_a_coin(shared):
    """‖mu‖ = 0: e = ½ to the last bit, since P(X < 0) and P(X > 0) are taken over the same points."""
    for model in trained(3, shared, signal_norm=0.0)[2:]:
        assert clean_error(model, 0.3) == (0.5, 0.0)
    assert clean_error(trained(3, shared, signal_norm=0.5)[3], 0.3)[0] != 0.5


def test_zero_weights_are_a_coin():
    assert clean_error(pair(np.zeros((4, 3)), np.ones(3), 1.0), 1.0) == (0.5, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_have_no_error(bad):
    network = trained()[3]
    network.coefficients[0, 0] = bad
    with np.errstate(invalid="ignore"):
        e, se = clean_error(network, 1.0)
    assert np.isnan([e, se]).all()


def test_same_network_same_bits():
    model = trained()[3]
    assert clean_error(model, 0.3) == clean_error(model, 0.3)


def test_error_is_free_of_scale():
    """The sign of f does not change with the size of W: powers of two change no bit."""
    rng = np.random.default_rng(0)
    W, mu = rng.standard_normal((6, 5)), rng.standard_normal(5)
    assert clean_error(pair(W, mu, 1.0), 0.7) == clean_error(pair(8.0 * W, mu, 1.0), 0.7)
    assert clean_error(pair(W, mu, 1.0), 0.7) == clean_error(pair(W, 2.0 * mu, 1.0), 1.4)
    assert clean_error(pair(W, mu, 1.0), 0.7) != clean_error(pair(W, 2.0 * mu, 1.0), 0.7)


def test_observed_label_error():
    """p + (1 − 2p) e, at its ends and by simulation of flips (6 standard errors, 2e-9)."""
    assert test_error(0.0, 0.2) == 0.2
    assert test_error(1.0, 0.2) == 0.8
    assert test_error(0.5, 0.3) == 0.5
    assert test_error(0.125, 0.1) == pytest.approx(0.2, rel=1e-15)
    rng, e, p, n = np.random.default_rng(0), 0.17, 0.3, 10**6
    wrong = (rng.random(n) < e) != (rng.random(n) < p)
    assert abs(wrong.mean() - test_error(e, p)) < 6 * 0.5 / np.sqrt(n)
    assert abs(wrong.mean() - (p + e)) > 6 * 0.5 / np.sqrt(n)


# one coordinate integrated exactly


@pytest.mark.parametrize("width", [1, 4, 9])
@pytest.mark.parametrize("patches", [2, 3])
def test_smoothing_changes_no_more_than_the_standard_error(width, patches):
    """Within 6 of the plain estimate's, and more precise; the control has another noise level."""
    *_, network, gram = trained(patches, True, width)
    for model in (network, gram):
        (e, se), (plain, error) = smoothed_error(model, 0.3), clean_error(model, 0.3)
        assert abs(e - plain) < 6.0 * np.hypot(se, error) + 1e-4
        assert se < error or error == 0.0
        assert abs(smoothed_error(model, 0.9)[0] - plain) > 6.0 * np.hypot(se, error) + 1e-4


def test_smoothing_matches_the_exact_integral():
    """m = 1: an integral over one angle."""
    _, dense, _, gram = trained(3, width=1)
    exact = naive.error_of_two_neurons(gram_weights(gram, dense), dense.vectors[0], 0.3, 2.0)
    e, se = smoothed_error(gram, 0.3)
    assert abs(e - exact) < 6.0 * se + 1e-5


def gram_weights(gram, dense):
    """Return the weights of a Gram network trained from a dense instance."""
    return dense.weights + gram.coefficients @ dense.vectors


def test_smoothing_is_exact_along_one_direction():
    """Neurons along ±mu alone: the error is Phi(−‖mu‖/(c sigma_p)) to rounding."""
    mu = np.array([2.0, 0.0, 0.0])
    W = np.array([[1.0, 0.0, 0.0], [-0.5, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    for weight in (1.0, 2.0):
        e, se = smoothed_error(pair(np.array([W[0], W[2]]), mu, weight), 1.3)
        assert e == pytest.approx(stats.norm.cdf(-2.0 / (1.3 * weight)), rel=1e-9)
        assert se < 1e-12


def test_smoothing_of_constants_and_of_what_is_not_finite():
    mu = np.array([2.0, 0.0])
    assert smoothed_error(pair(np.zeros((2, 2)), mu, 1.0), 1.0)[0] == 0.5
    with np.errstate(invalid="ignore"):
        network = pair(np.full((2, 2), np.inf), mu, 1.0)
    assert np.isnan(smoothed_error(network, 1.0)).all()


def test_part_of_a_line_below_a_level():
    """Against 10^5 equally likely places on the line, each crossing of which costs 10^-5 at most."""
    rng, count = np.random.default_rng(3), 10**5
    places = stats.norm.ppf((np.arange(count) + 0.5) / count)
    for rows in (1, 2, 7, 40):
        for _ in range(10):
            J, leading, h = rng.choice([-1.0, 1.0], rows), rng.standard_normal(rows), rng.standard_normal(rows)
            leading[rng.random(rows) < 0.2] = 0.0
            with np.errstate(divide="ignore"):
                kinks = np.where(leading == 0.0, np.inf, -h / leading)
            X = np.maximum(np.outer(places, leading) + h, 0.0) @ J
            for level in (-0.2, 0.3, X.mean()):
                expected = np.mean(level > X) + 0.5 * np.mean(level == X)
                found = generalisation._below_on_line(J, leading, h, kinks, np.argsort(kinks), level)
                assert abs(found - expected) < 5e-5 * (1 + rows)


@pytest.mark.parametrize("rows", [6, 64, 90])
@pytest.mark.parametrize("rank", [0, 1, 5, 60, 200])
def test_quick_factor_is_a_factor(rows, rank):
    W = np.random.default_rng(rank).standard_normal((rows, rank))
    C = W @ W.T
    F = generalisation._quick_factor(C)
    assert np.abs(F.T @ F - C).max() <= 1e-11 * max(1.0, np.abs(C).max())


def test_wide_networks_take_lines_as_accurate_as_points(monkeypatch):
    """Twelve networks of 64 rows: lines are as near the truth as points are, and their standard error is honest.

    The truth are 8192 lines. The scaled deviations' mean square is at most the 0.999 quantile of that of twelve t of
    seven degrees of freedom.
    """
    scaled, lines, points = [], [], []
    for seed in range(12):
        network = trained(width=WIDE // 2, seed=seed)[3]
        truth, _ = smoothed_error(network, 0.3)
        e, se = clean_error(network, 0.3)
        lines.append(e - truth)
        scaled.append((e - truth) / se)
        with monkeypatch.context() as patch:
            patch.setattr(generalisation, "WIDE", 10**9)
            points.append(clean_error(network, 0.3)[0] - truth)
    assert 0.0 < np.std(lines) < 1.5 * np.std(points)
    t = np.random.default_rng(0).standard_t(REPLICATES - 1, (100_000, 12))
    assert np.mean(np.square(scaled)) < np.quantile((t * t).mean(axis=1), 0.999)

"""Sharp asymptotics beyond full batches and balanced labels: iid labels, mini-batches, SAM's phase followed."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom, qmc

from simulate.effective_process import run_effective_process
from simulate.limit_system import run_limit_system
from theory.chen2023.setting import sam_radius
from theory.ours import sam_switches
from theory.ours.averaged import binomial_quadrature, effective_process, sam_phase
from theory.ours.response import misclassified
from theory.ours.sam_phase import signal_learned


def test_binomial_quadrature_is_exact_to_fifth_degree():
    k = np.arange(21)
    for p in (0.1, 0.5):
        points, weights = binomial_quadrature(20, p)
        assert len(points) == 3
        for power in range(7):
            exact = (binom.pmf(k, 20, p) * (k / 20) ** power).sum()
            assert (weights @ points**power == pytest.approx(exact, rel=1e-12)) == (power < 6)
    points, weights = binomial_quadrature(20, 0.0)
    assert weights @ points**2 == pytest.approx(0.0, abs=1e-15)


def test_misclassified_with_unequal_classes():
    """Against the integral itself, in its 2m + 2 normals; the control exchanges the classes."""
    m, (K_d, K_o), (other_d, other_o), K_x, g = 10, (18.0, 13.0), (12.0, 8.0), -1.0, 1.5
    normals = ndtri(np.clip(qmc.Sobol(2 * m + 2, rng=np.random.default_rng(0)).random_base2(16), 1e-16, 1 - 1e-16))
    r = K_x / np.sqrt(K_o * other_o)
    common = np.sqrt(K_o) * normals[:, 0], np.sqrt(other_o) * (r * normals[:, 0] + np.sqrt(1 - r * r) * normals[:, 1])
    own = normals[:, 2:].reshape(-1, 2, m) * np.sqrt([K_d - K_o, other_d - other_o])[None, :, None]
    plus, minus = (np.maximum(common[k][:, None] + own[:, k], 0.0).mean(axis=1) for k in (0, 1))
    exact = (g + plus - minus < 0.0).mean()
    assert misclassified(g, (K_d, other_d), (K_o, other_o), K_x, m) == pytest.approx(exact, abs=3e-3)
    assert abs(misclassified(g, (other_d, K_d), (other_o, K_o), K_x, m) - exact) > 0.02


def test_draws_that_are_all_the_mean():
    r = effective_process(1.0, 10, eps=0.1, samples=100, draws=2)
    alike = replace(r, draws=((0.25, np.ones((4, 2)), 1.0), (0.75, np.ones((4, 2)), 1.0)))
    place = (20, 10**6, 2, 12.0, 1.0)
    assert alike.clean_error_at(*place) == pytest.approx(r.clean_error_at(*place), rel=1e-5)
    assert alike.critical_q(0.125) == pytest.approx(r.critical_q(0.125), rel=1e-3)
    skewed = np.ones((4, 2))
    skewed[1] = 0.7, 1.3
    spread = replace(r, draws=((1.0, skewed, 1.0),))
    assert spread.clean_error_at(*place) > r.clean_error_at(*place) + 1e-3  # an error is convex in its signal


def test_sam_followed_switches_pairs_on():
    """The first step from pairs that are off: atan(r)/pi of them, r = tau/(sigma_0 √(2md))."""
    n, m, d, c = 40, 50, 10**12, 1.0
    for r in (0.3, 1.0):
        radius = r * c * np.sqrt(2 * m * n / d)  # sigma_0 = c √n/d
        first = sam_phase(1, n, d, m, 2, 100.0, 1.0, 1e-12, radius)
        run = [
            run_limit_system(n, m, c, 0.1, 0.6, 5e-4, seed, sam=first, max_steps=1).curves["active"][0]
            for seed in range(20)
        ]
        assert 2 * np.mean(run) - 1 == pytest.approx(np.arctan(r) / np.pi, abs=0.012)
    assert run_limit_system(n, m, c, 0.1, 0.6, 5e-4, 0, max_steps=1).curves["active"][0] == pytest.approx(0.5, abs=0.03)


def test_sam_followed_learns_the_closed_form_where_noise_is_silent():
    n, m, d, mu, p, eta = 20, 10, 10**8, 30.0, 0.1, 2e-6
    steps = round(2 * m / (eta * mu**2) * 1.0)  # T = 1
    silent = sam_phase(steps, n, d, m, 2, mu, 1.0, eta, sam_radius(m, n, 2, 1.0, d, 1.0))
    run = run_limit_system(n, m, 200.0, p, 0.6, 1.0, 0, sam=silent, max_steps=1)
    assert run.start == pytest.approx(signal_learned(1.0, p), rel=5e-3)
    assert abs(run.start - signal_learned(1.0, 0.2)) > 0.02  # the control


@pytest.mark.parametrize(("unfitted", "left"), [(0, 40), (1, 39), (4, 36), (5, 40), (40, 40)])
def test_runs_above_the_loss_are_left_out_where_they_are_few(unfitted, left):
    def run(specs):
        on = np.ones((2, 1))
        return [
            SimpleNamespace(status="max-steps", steps=60_000, clean_error=0.2, rho=on, own_class=lambda: on > 0.0)
            if k < unfitted
            else SimpleNamespace(status="stopped", steps=260, clean_error=0.06, rho=on, own_class=lambda: on > 0.0)
            for k in range(len(specs))
        ]

    found = sam_switches.observe({"d": 10**6, "seed": 0, "seeds": 40}, SimpleNamespace(run=run))
    for samples in found.values():
        assert samples.observed.shape == (1, left)
        assert samples.given["notes"] == {"runs above the loss": unfitted}
    assert (found["steps"].observed.max() == 260) == (left + unfitted == 40)


def test_classes_of_neurons_of_their_own():
    """At equal sizes both classes are the one population; a larger class has the larger responses."""
    one = effective_process(0.3, 10, 0.0, 0.1, samples=300, draws=6)
    even, odd = (
        np.mean([run_effective_process(300, 10, 0.3, 0.0, 0.1, seed=k, share=share).classes for k in range(6)], axis=0)
        for share in (0.5, 0.7)
    )
    assert even[2] == pytest.approx([one.K_d, one.K_d], abs=5 * one.errors["K_d"])
    assert even[1] == pytest.approx(2 * [one.signal[-1]], abs=5 * one.errors["signal"])
    assert odd[2, 0] / odd[2, 1] == pytest.approx(7 / 3, rel=0.05)
    assert odd[1, 0] > even[1, 0] > odd[1, 1]

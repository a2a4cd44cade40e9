"""The limit system against a plain loop over steps and pairs, and the effective process against the limit system."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import expit

from simulate.effective_process import GaussianPaths, run_effective_process
from simulate.limit_system import advance, flow, mean_loss, run_limit_system
from simulate.parameters import ParameterError
from simulate.streams import stream


def plain(n, m, c, e0, steps, seed, start, met, flipped, symmetric=True):
    """Every pair looked at: the equations of the module, p given by the set of flipped samples."""
    rng = stream("limit-system", seed, samples=n, width=m)
    z, matrix, u = rng.standard_normal((2 * m, n)), rng.standard_normal((n, n)), rng.standard_normal(n)
    g = (matrix + matrix.T) / np.sqrt(2.0 * n) if symmetric else matrix / np.sqrt(n)
    np.fill_diagonal(g, 0.0)
    J = [1.0] * m + [-1.0] * m
    y = [1.0] * (n - n // 2) + [-1.0] * (n // 2)
    b = [-start if i in flipped else start for i in range(n)]
    Phi, on, spent = np.zeros((2 * m, n)), np.zeros((2 * m, n), bool), np.zeros((2 * m, n), bool)
    for step in range(steps + 1):
        x = [sum(Phi[r, i] for r in range(2 * m) if J[r] == y[i]) / m for i in range(n)]
        field = c * z + met * np.outer(J, u) + (np.outer(J, y) * Phi) @ g
        if step == steps:
            on |= (field > 0.0) & np.equal.outer(J, y)
            signed = np.outer(J, y) * Phi
            response = signed @ signed.T / n
            return x, on.sum() / (m * n), c * c + np.trace(response) / (2 * m), response[:m, m:].mean()
        for i in range(n):
            s = 1.0 / (1.0 + np.exp(x[i] + b[i]))
            for r in range(2 * m):
                if J[r] == y[i]:
                    on[r, i] |= field[r, i] > 0.0
                    Phi[r, i] += e0 * s * on[r, i]
                elif field[r, i] > 0.0 and not spent[r, i]:
                    Phi[r, i], spent[r, i] = e0 * s, True
    return None


@pytest.mark.parametrize(("start", "met", "symmetric"), [(0.0, 0.0, True), (0.5, 0.8, True), (0.0, 0.0, False)])
def test_single_steps_are_those_of_the_plain_loop(start, met, symmetric):
    """With e0 = 1 a block is a step, and twelve of them agree to rounding; p = 0.2 flips one sample of either class."""
    given = {"n": 11, "m": 4, "c": 0.3, "e0": 1.0, "seed": 5, "start": start, "met": met, "symmetric": symmetric}
    x, active, K_d, K_x = plain(steps=12, flipped={0, 10}, **given)
    run = run_limit_system(p=0.2, eps=1e-6, max_steps=12, **given)
    assert run.curves["tau"].tolist() == list(range(13))
    assert run.curves["active"][-1] == active
    assert (run.curves["margin"][-1], run.K_d, run.K_x) == pytest.approx((np.mean(x), K_d, K_x), rel=1e-12)
    assert plain(steps=11, flipped={0, 10}, **given)[2] < 0.99 * K_d  # the control


def test_flow_solves_its_equation():
    solved = solve_ivp(lambda t, u: 0.7 * expit(-u), (0.0, 50.0), [-0.4], "DOP853", rtol=1e-12, atol=1e-13).y[0, -1]
    assert flow(-0.4, 0.7, 50.0) == pytest.approx(solved, rel=1e-10)
    assert flow(1.3, 0.0, 50.0) == pytest.approx(1.3, rel=1e-15)


def test_advance_stops_at_the_loss():
    margin, active = np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.0, 1.0])
    s = expit(-margin)
    steps, gained = advance(margin, active, s, 1000, 0.1, 0.15)
    assert steps < 1000
    assert mean_loss(margin + active * gained) == pytest.approx(0.15, rel=1e-9)
    assert gained[1] == pytest.approx(s[1] * steps * 0.1)
    assert advance(margin, active, s, 1, 0.1, 0.15)[1] == pytest.approx(0.1 * s)


@pytest.mark.parametrize("run", [run_limit_system, run_effective_process])
def test_half_of_the_pairs_are_on_before_the_first_step(run):
    active = run(200, 20, 0.2, eps=0.3).curves["active"]
    assert active[0] == pytest.approx(0.5, abs=0.05)  # 4000 pairs: six standard deviations
    assert (np.diff(active) >= 0.0).all()
    assert active[-1] > 0.6


@pytest.mark.parametrize("run", [run_limit_system, run_effective_process])
def test_runs_are_reproducible_and_say_how_they_ended(run):
    first, again, other = (run(30, 5, 0.2, eps=0.1, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first.curves[name], again.curves[name]) for name in first.curves)
    assert (first.K_d, first.K_o, first.K_x) == (again.K_d, again.K_o, again.K_x)
    assert first.K_d != other.K_d
    cut = run(30, 5, 0.2, eps=0.1, seed=1, max_steps=7)
    assert cut.status == "max-steps"
    assert cut.curves["tau"][-1] == pytest.approx(0.7)
    for bad in ({"c": -1.0}, {"p": 0.5}, {"e0": 0.0}, {"eps": 0.0}, {"m": 1}):
        with pytest.raises(ParameterError, match=next(iter(bad))):
            run(**{"m": 5, "c": 0.2, **dict.fromkeys([run.__code__.co_varnames[0]], 30), **bad})


def test_neurons_that_start_alike():
    """At c = 0 a sample's neurons have one field, and no deviations from it to draw."""
    with pytest.raises(ParameterError, match=r"c = 0.*> 0"):
        run_effective_process(30, 5, 0.0)


def test_gaussian_paths_have_their_covariance():
    rng = np.random.default_rng(0)
    rows = np.cumsum(rng.standard_normal((6, 50)), axis=0)
    paths = GaussianPaths(1.0 / 50)
    drawn = np.array([paths.extend(row, rng.standard_normal(100_000)) for row in rows])
    assert np.cov(drawn) == pytest.approx(rows @ rows.T / 50, rel=0.05, abs=0.05)
    assert paths.factor @ paths.factor.T == pytest.approx(rows @ rows.T / 50, rel=1e-8)


def test_the_reaction_closes_the_gap_to_the_limit_system():
    """c = 0.1, m = 20, n = 50: final active fractions, to four standard errors; without the reaction it is ten off."""

    def active(run, size, count, **options):
        values = [run(size, 20, 0.1, seed=k, **options).curves["active"][-1] for k in range(count)]
        return np.mean(values), np.std(values) / np.sqrt(count)

    seen, error = active(run_limit_system, 50, 300)
    full, full_error = active(run_effective_process, 1000, 10)
    bare, bare_error = active(run_effective_process, 1000, 10, reaction=False)
    assert abs(full - seen) < 4 * np.hypot(error, full_error)
    assert abs(bare - seen) > 4 * np.hypot(error, bare_error)


def test_batches_one_after_another():
    """With jumps far below c the order of an epoch does not matter; with jumps above it fewer pairs end up on."""

    def active(batches, e0):
        runs = [run_limit_system(20, 20, 0.3, eps=0.1, e0=e0, seed=k, batches=batches) for k in range(60)]
        return np.mean([run.curves["active"][-1] for run in runs])

    assert active(20, 0.01) == pytest.approx(active(1, 0.01), abs=0.01)
    assert active(20, 1.5) < active(1, 1.5) - 0.03
    for bad in ({"batches": 3}, {"labels": "exact"}):
        with pytest.raises(ParameterError, match=next(iter(bad))):
            run_limit_system(20, 20, 0.3, **bad)


def test_iid_labels_have_classes_and_flips_of_their_own():
    runs = [run_limit_system(20, 10, 1.0, 0.2, 0.2, seed=k, labels="iid") for k in range(200)]
    signals = np.array([run.classes[1] for run in runs])
    balanced = run_limit_system(20, 10, 1.0, 0.2, 0.2)
    even = [run_limit_system(20, 10, 1.0, 0.2, 0.2, seed=k).classes[1] for k in range(60)]
    assert np.mean(signals) == pytest.approx(np.mean(even), rel=0.06)
    assert np.var(even / np.mean(even)) < 0.1 * np.var(signals / np.mean(signals))
    # a sample adds S/n, −S/n or nothing: a variance of (1/2 − (1 − 2p)²/4)/n for a mean of (1 − 2p)/2, in units of S
    assert np.var(signals / np.mean(signals)) == pytest.approx((0.5 - 0.09) / 20 * 4 / 0.36, rel=0.3)
    assert balanced.curves["signal"][-1] == pytest.approx(balanced.classes[1].mean(), rel=1e-12)
    assert [balanced.K_d, balanced.K_o] == pytest.approx(balanced.classes[2:].mean(axis=1), rel=1e-12)

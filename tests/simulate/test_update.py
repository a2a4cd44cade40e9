"""The rules and the loop that drives any model along them."""

import itertools

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulate.conv import DenseNetwork, GramNetwork
from simulate.signal_noise import SignalNoise, draw_dense
from simulate.update import (
    COLLAPSED,
    DIVERGED,
    RUNNING,
    STOPPED,
    Batches,
    Phase,
    Rule,
    observe_at_marks,
    perturbation_scale,
    train,
)

DATA = SignalNoise(samples=7, dimension=40, patches=3, signal_norm=2.0, flip_rate=0.3)


class Counter:
    """A model whose loss is 1/(1 + steps taken): the loop alone is under test."""

    def __init__(self, diverges_at=10**9, collapses_at=10**9):
        self.steps, self.calls, self.marks = 0, [], []
        self.diverges_at, self.collapses_at = diverges_at, collapses_at

    def loss(self):
        return 1.0 / (1.0 + self.steps)

    def finite(self):
        return self.steps < self.diverges_at

    def observe(self, batch, rule):
        padded = np.full(10, -1)
        padded[: len(batch)] = batch
        return {"loss": np.float64(self.loss()), "radius": np.float64(rule.radius), "batch": padded}

    def advance(self, order, first_epoch, first, last, batch_size, step_size, rule, stop_loss, marks):
        """Observe at the marks, as the networks do."""
        self.marks.append((first, last, list(marks)))

        def take(start, stop):
            return self.take_steps(order, start, stop, batch_size, stop_loss)

        return observe_at_marks(self, take, order, first_epoch, first, last, batch_size, rule, marks)

    def describe(self, states):
        return states

    def take_steps(self, order, first, last, batch_size, stop_loss):
        """Test the loss where `train` promises that it is tested."""
        per_epoch = -(-order.shape[1] // batch_size)
        assert self.steps == first
        assert first < last
        self.calls.append((first, last))
        for step in range(first, last):
            if not self.finite():
                return step, DIVERGED
            if self.steps == self.collapses_at:
                return step, COLLAPSED
            if step % per_epoch == 0 and self.loss() <= stop_loss:
                return step, STOPPED
            self.steps += 1
        return last, RUNNING


def batches(samples=7, batch_size=3, seed=0):
    return Batches(samples, batch_size, np.random.default_rng(seed))


def rows(samples, batch_size, seed, epochs):
    """Return the same permutations a second time, for the plain twin."""
    return batches(samples, batch_size, seed).order(0, epochs)


# the rule


def test_radius_of_sam_is_the_length_of_the_perturbation():
    assert perturbation_scale(0.3, 1.0, 4.0) * 4.0 == pytest.approx(0.3, rel=1e-15)
    assert perturbation_scale(0.3, 0.0, 4.0) == 0.3  # USAM: radius · gradient
    assert perturbation_scale(0.3, 0.25, 4.0) == pytest.approx(0.3 * (0.75 + 0.25 / 4.0), rel=1e-15)


def test_zero_gradient_perturbs_nothing():
    assert [perturbation_scale(0.3, lam, 0.0) for lam in (0.0, 0.5, 1.0)] == [0.0, 0.0, 0.0]
    assert perturbation_scale(0.3, 1.0, 1e-300) > 0.0


# batches


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 100))
def test_every_epoch_is_a_permutation(samples, batch_size, seed):
    batch_size = min(samples, batch_size)
    order = batches(samples, batch_size, seed).order(0, 4)
    assert np.array_equal(np.sort(order, axis=1), np.tile(np.arange(samples), (len(order), 1)))
    assert batches(samples, batch_size).steps_per_epoch == int(np.ceil(samples / batch_size))


def test_permutations_are_uniform():
    """Chi-square over the 24 orders of 4 samples in 24 000 epochs; false-alarm rate 1e-6.

    The control draws only the swaps of the last two, or rotations, and must be rejected.
    """
    critical = 73.0  # chi-square with 23 degrees of freedom exceeds it with probability 4e-7

    def statistic(order):
        index = {p: k for k, p in enumerate(itertools.permutations(range(4)))}
        count = np.bincount([index[tuple(row)] for row in order.tolist()], minlength=24)
        return ((count - 1000.0) ** 2 / 1000.0).sum()

    order = batches(4, 2).order(0, 24_000)
    assert statistic(order) < critical
    shift = np.random.default_rng(0).integers(4, size=(24_000, 1))
    assert statistic((np.arange(4) + shift) % 4) > critical


def test_full_batch_draws_nothing():
    rng = np.random.default_rng(0)
    assert np.array_equal(Batches(5, 5, rng).order(3, 100), [[0, 1, 2, 3, 4]])
    assert rng.random() == np.random.default_rng(0).random()


def pair_statistic(draws, samples=5):
    """Return chi-square of the pairs (draw 2k, draw 2k + 1), all samples² of them equally likely."""
    pairs = draws[: len(draws) // 2 * 2].reshape(-1, 2)
    expected = len(pairs) / samples**2
    count = np.bincount(samples * pairs[:, 0] + pairs[:, 1], minlength=samples**2)
    return ((count - expected) ** 2 / expected).sum()


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_draws_with_replacement_are_uniform_and_independent(batch_size):
    """Chi-square over the 25 pairs of neighbours in 50 000 draws from 5; false-alarm rate 1e-6 a batch size.

    The controls must be rejected: shuffled epochs, which never repeat a sample, and a sample that comes 10% too often.
    """
    critical, rng = stats.chi2.isf(1e-6, 24), np.random.default_rng(1)
    order = Batches(5, batch_size, np.random.default_rng(0), replacement=True).order(0, 10_000)
    assert order.shape == (10_000, 5)
    assert pair_statistic(order.ravel()) < critical
    assert pair_statistic(Batches(5, 1, rng).order(0, 10_000).ravel()) > critical
    assert pair_statistic(rng.choice(5, 50_000, p=[0.22, 0.195, 0.195, 0.195, 0.195])) > critical


@pytest.mark.parametrize("replacement", [False, True])
@given(parts=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=6))
def test_draws_do_not_depend_on_how_many_are_asked_for(replacement, parts):
    """However epochs are asked for, and asked for again, one stream gives them in turn."""
    whole = Batches(4, 2, np.random.default_rng(3), replacement).order(0, 40)
    some, first, drawn = Batches(4, 2, np.random.default_rng(3), replacement), 0, 0
    for ahead, epochs in parts:
        first = min(first + ahead, drawn)
        assert np.array_equal(some.order(first, epochs), whole[first : first + epochs])
        drawn = max(drawn, first + epochs)


# the loop


@pytest.mark.parametrize("record", [(), (0,), (5,), (0, 1, 2, 3), (3, 3, 1), (9,), (10,), (11, 10**30), (0, 10, 20)])
def test_records_at_the_asked_steps_and_at_the_last(record):
    _, steps, records = train(Counter(), [Phase(Rule(), 10)], batches(), 0.1, 0.0, record)
    assert steps == 10
    assert records["step"].tolist() == sorted({step for step in record if step < 10} | {10})
    assert records["loss"].tolist() == [1.0 / (1 + step) for step in records["step"]]


def test_no_steps_leave_one_record():
    status, steps, records = train(Counter(), [Phase(Rule(), 0)], batches(), 0.1, 0.0, (0, 1))
    assert (status, steps, records["step"].tolist()) == ("max-steps", 0, [0])


def test_records_name_the_rule_and_the_batch_of_their_step():
    phases = [Phase(Rule(0.5), 4), Phase(Rule(0.0), 3)]
    _, _, records = train(Counter(), phases, batches(), 0.1, 0.0, range(8))
    assert records["radius"].tolist() == [0.5] * 4 + [0.0] * 4
    order = rows(7, 3, 0, 3)
    wanted = [batch for row in order for batch in naive.epoch_batches(row, 3)][:8]
    assert [b[b >= 0].tolist() for b in records["batch"]] == [batch.tolist() for batch in wanted]
    assert len(wanted[2]) == 1  # the last batch of an epoch is the smaller one


@pytest.mark.parametrize(
    ("samples", "batch_size", "stop_loss", "max_steps", "expected"),
    [
        (7, 7, 1 / 5, 100, ("stopped", 4)),  # full batch: before each step
        (7, 3, 1 / 5, 100, ("stopped", 6)),  # three batches an epoch: before each epoch
        (7, 3, 1 / 7, 100, ("stopped", 6)),
        (7, 3, 1 / 7.5, 100, ("stopped", 9)),
        (7, 3, 1 / 5, 4, ("max-steps", 4)),  # no test in the middle of an epoch
        (7, 3, 1 / 5, 6, ("stopped", 6)),  # the end of the last epoch counts
        (7, 7, 1 / 5, 4, ("stopped", 4)),
        (7, 7, 1 / 5, 3, ("max-steps", 3)),
        (7, 1, 1.0, 100, ("stopped", 0)),
        (7, 3, 1e9, 0, ("stopped", 0)),
    ],
)
def test_where_the_loss_is_tested(samples, batch_size, stop_loss, max_steps, expected):
    for record in ((), range(0, 100, 2)):
        phases = [Phase(Rule(), max_steps // 2), Phase(Rule(0.1), max_steps - max_steps // 2)]
        status, steps, _ = train(Counter(), phases, batches(samples, batch_size), 0.1, stop_loss, record)
        assert (status, steps) == expected


def test_phases_and_segments_cover_every_step_once():
    model = Counter()
    train(model, [Phase(Rule(0.1), 9000), Phase(Rule(), 0), Phase(Rule(), 20_000)], batches(), 0.1, 0.0, (5, 100))
    assert model.calls[0][0] == 0
    assert model.calls[-1][1] == 29_000
    assert all(one[1] == two[0] for one, two in itertools.pairwise(model.calls))
    assert {5, 100, 9000} <= {last for _, last in model.calls}


def test_divergence_is_a_status_and_keeps_what_was_recorded():
    status, steps, records = train(Counter(diverges_at=5), [Phase(Rule(), 100)], batches(), 0.1, 0.0, (0, 3, 50))
    assert (status, steps) == ("diverged", 5)
    assert records["step"].tolist() == [0, 3, 5]


@pytest.mark.parametrize("record", [(), (0,), (4, 7), range(20)])
def test_collapse_is_a_status_and_ends_every_phase(record):
    """Where the model says so, before the loss is tested again; what was recorded is kept, the last state too."""
    phases, model = [Phase(Rule(0.5), 6), Phase(Rule(), 100)], Counter(collapses_at=7)
    status, steps, records = train(model, phases, batches(), 0.1, 0.0, record)
    assert (status, steps, model.steps) == ("collapsed", 7, 7)
    assert records["step"].tolist() == sorted({step for step in record if step < 7} | {7})
    early = Counter(collapses_at=2)
    assert train(early, phases, batches(), 0.1, 0.0, record)[:2] == ("collapsed", 2)
    assert early.calls[-1][1] <= 6  # the second phase never began


def test_collapse_gives_way_to_divergence_and_comes_before_stopping():
    assert train(Counter(5, 5), [Phase(Rule(), 9)], batches(), 0.1, 0.0)[:2] == ("diverged", 5)
    assert train(Counter(collapses_at=3), [Phase(Rule(), 9)], batches(), 0.1, 0.25)[:2] == ("collapsed", 3)
    assert train(Counter(), [Phase(Rule(), 9)], batches(), 0.1, 0.25)[:2] == ("stopped", 3)


@given(st.lists(st.integers(0, 1000), max_size=20), st.lists(st.integers(0, 500), min_size=1, max_size=3))
def test_marks_reach_the_model_once_each_and_in_order(record, lengths):
    """Sorted, within the steps that are taken next; nothing that is asked for and reached is left out."""
    model = Counter()
    train(model, [Phase(Rule(), steps) for steps in lengths], batches(), 0.1, 0.0, record)
    for first, last, marks in model.marks:
        assert marks == sorted(set(marks))
        assert all(first <= mark < last for mark in marks)
    passed = [mark for _, _, marks in model.marks for mark in marks]
    assert passed == sorted({step for step in record if step < sum(lengths)})


# a real model against the plain twin


@pytest.mark.parametrize("network", [GramNetwork, DenseNetwork])
@pytest.mark.parametrize("batch_size", [7, 3, 1])
@pytest.mark.parametrize(("sam_steps", "radius"), [(0, 0.0), (12, 0.4)])
def test_stops_where_the_plain_twin_stops(network, batch_size, sam_steps, radius):
    """Status and step count are the twin's; the control, a loss tested per step, stops earlier with minibatches."""
    dense, limit, stop_loss = draw_dense(DATA, 2, 0.3, 1), 60, 0.4
    instance = dense.to_gram() if network is GramNetwork else dense
    phases = [Phase(Rule(radius), sam_steps), Phase(Rule(), limit - sam_steps)]
    status, steps, _ = train(network(instance), phases, batches(7, batch_size, 5), 0.05, stop_loss)
    radii = [radius] * sam_steps + [0.0] * (limit - sam_steps)
    x, order = naive.patches(dense), np.resize(rows(7, batch_size, 5, limit), (limit, 7))
    _, expected, taken = naive.train(dense.weights, x, dense.labels, order, batch_size, 0.05, radii, stop_loss)
    assert (status, steps) == (expected, taken)
    assert status == "stopped"
    assert steps > 0
    before = naive.train(dense.weights, x, dense.labels, order, batch_size, 0.05, radii[: steps - 1])[0]
    assert batch_size < 7 or naive.loss(before, x, dense.labels) > stop_loss


@pytest.mark.parametrize("network", [GramNetwork, DenseNetwork])
def test_last_smaller_batch_uses_its_own_size(network):
    """n = 3, B = 2: the second step divides by 1. The control divides by B and is off by a factor of two."""
    dense = draw_dense(SignalNoise(3, 400, 2), 4, 0.1, 2)
    x, order = naive.patches(dense), rows(3, 2, 9, 1)[0]
    model = network(dense.to_gram() if network is GramNetwork else dense)
    train(model, [Phase(Rule(), 2)], batches(3, 2, 9), 0.01, 0.0)
    W = naive.step(dense.weights, x, dense.labels, order[:2], 0.01, 0.0)
    own, wrong = (W - 0.01 * naive.gradient(W, x, dense.labels, order[2:]) * c for c in (1.0, 0.5))
    H = model.projections()
    assert np.abs(H - own @ dense.vectors.T).max() < 1e-12
    assert np.abs(H - wrong @ dense.vectors.T).max() > 1e-3


@pytest.mark.parametrize("network", [GramNetwork, DenseNetwork])
@pytest.mark.parametrize("radius", [0.0, 0.5])
def test_records_and_segments_change_nothing(network, radius):
    """Recording splits the kernel's work into segments; the result is the same to the last bit."""
    dense = draw_dense(DATA, 3, 0.3, 0)
    instance = dense.to_gram() if network is GramNetwork else dense
    runs = []
    for record in ((), (1, 2, 10, 11), range(50)):
        model = network(instance)
        _, _, records = train(model, [Phase(Rule(radius), 20), Phase(Rule(), 30)], batches(), 0.05, 0.0, record)
        runs.append((model.projections(), model.coefficients, records["logits"][-1]))
    for other in runs[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(runs[0], other, strict=True))

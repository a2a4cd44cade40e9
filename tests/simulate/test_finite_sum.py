"""Steps of Unified SAM on finite sums against the plain twin, and expectations over every draw."""

import itertools
import math

import naive
import numpy as np
import pytest

from simulate.finite_sum import Descent, Schedule, expected_path, expected_quadratic
from simulate.finite_sum_data import SumFile, load_sum
from simulate.finite_sum_run import FiniteSumSpec, run
from simulate.objective import LOSSES, FiniteSum, finite_sum
from simulate.parameters import ParameterError
from simulate.sampling import sampling
from simulate.update import Phase, Rule, train

N, STEPS = 5, 36
P = (0.1, 0.15, 0.2, 0.25, 0.3)
SAMPLINGS = {
    "full": {"kind": "full"},
    "nice": {"kind": "nice", "batch_size": 3},
    "nice 1": {"kind": "nice", "batch_size": 1},
    "replacement": {"kind": "replacement", "batch_size": 3},
    "single": {"kind": "single", "probabilities": P},
    "importance": {"kind": "importance"},
}
CASES = [(loss, k, reg) for loss in LOSSES for k in (1, 3) for reg in (0.0, 0.3)
         if (k == 1 or loss != "logistic") and (reg == 0.0 or loss in ("square", "logistic"))]  # fmt: skip


def problem(loss, k=1, reg=0.0, n=N, d=2, seed=0):
    """Return a problem that the loss allows; logistic's labels are not separable."""
    rng = np.random.default_rng(seed)
    d = n * k + 1 if loss == "sine" else d
    A = rng.standard_normal((n * k, d)) * rng.uniform(0.5, 1.5, (n * k, 1))
    b = rng.standard_normal(n * k)
    if loss == "logistic":
        angles = np.arange(n) * 2.0 * math.pi / n + 0.1
        A, b = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.linspace(0.7, 1.4, n)[:, None], np.ones(n)
    return finite_sum(loss, A, np.sign(b) if loss == "wave" else b, reg, n)


def weights(s, rows):
    """Return v (T, n) of the draws `rows` (T, tau)."""
    v = np.zeros((len(rows), s.samples))
    for one, row in zip(v, rows, strict=True):
        for i in row:
            one[i] += s.weights[i]
    return v


def drawn(s, steps, seed=9):
    """Return the draws (T, tau) of a stream."""
    rows = s.batches(np.random.default_rng(seed)).order(0, steps)
    return np.repeat(rows, steps, axis=0) if s.kind == "full" else rows


def engine(p, s, schedule, lam, start, steps=STEPS, record=None, seed=9):
    """Return (status, steps, records) of the kernels on the draws of a stream."""
    descent, batches = Descent(p, s, schedule, start), s.batches(np.random.default_rng(seed))
    record = range(steps) if record is None else record
    return train(descent, [Phase(Rule(schedule.radius, lam), steps)], batches, schedule.step_size, -1.0, record)


def twin(p, s, schedule, lam, start, steps=STEPS, seed=9):
    """Return the points (T + 1, d) of the plain twin in x-space."""
    v = weights(s, drawn(s, steps, seed))
    return naive.sum_path(p.loss, p.A, p.targets, p.reg, v, start, *schedule.at(0, steps), lam)


def far(p, size=2.0):
    """Return a start away from x*, where no gradient is near zero: there normalising magnifies rounding."""
    return p.anchor + size * np.random.default_rng(8).standard_normal(len(p.anchor))


# paths


@pytest.mark.parametrize("name", SAMPLINGS)
@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("loss", "k", "reg"), CASES)
def test_path_is_the_twin_s(loss, k, reg, lam, name):
    """36 steps, point by point, to 1e-12; the control has a radius larger by a thousandth."""
    p = problem(loss, k, reg)
    s, schedule, start = sampling(problem=p, **SAMPLINGS[name]), Schedule(0.03, 0.1), far(p)
    status, steps, records = engine(p, s, schedule, lam, start)
    expected = twin(p, s, schedule, lam, start)
    assert (status, steps) == ("max-steps", STEPS)
    assert np.abs(records["x"] - expected).max() <= 1e-12 * np.abs(expected).max()
    wrong = twin(p, s, Schedule(0.03, 0.1001), lam, start)
    assert np.abs(records["x"] - wrong).max() > 1e-9


@pytest.mark.parametrize("name", SAMPLINGS)
@pytest.mark.parametrize(("loss", "k", "reg"), CASES)
def test_records_are_what_they_are_called(loss, k, reg, name):
    p = problem(loss, k, reg)
    s, schedule = sampling(problem=p, **SAMPLINGS[name]), Schedule(0.05, 0.1)
    records = engine(p, s, schedule, 0.5, far(p), 5)[2]
    mean = np.full(N, 1.0 / N)
    columns = [records[key] for key in ("x", "gap", "gradient_norm", "distance")]
    for x, gap, norm, distance in zip(*columns, strict=True):
        assert gap == pytest.approx(naive.sum_value(loss, p.A, p.targets, reg, mean, x) - p.infimum, rel=1e-12)
        g = naive.sum_gradient(loss, p.A, p.targets, reg, mean, x)
        assert norm == pytest.approx(np.linalg.norm(g), rel=1e-12)
        assert distance == pytest.approx(np.linalg.norm(x - p.anchor), rel=1e-12)
    assert records["step"].tolist() == list(range(6))


@pytest.mark.parametrize("schedule", [
    Schedule(0.05, 0.2, "decreasing", 0.1), Schedule(0.5, 0.3, "horizon", horizon=STEPS),
    Schedule(0.05, 0.2, radii="decreasing"), Schedule(0.05, 0.5, "decreasing", 0.1, "root"),
])  # fmt: skip
@pytest.mark.parametrize("k", [1, 3])
def test_path_along_a_schedule(schedule, k):
    p = problem("square", k)
    s, start = sampling("single", p), far(p)
    found, expected = engine(p, s, schedule, 1.0, start)[2]["x"], twin(p, s, schedule, 1.0, start)
    assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()
    constant = twin(p, s, Schedule(schedule.step_size, schedule.radius), 1.0, start)
    assert np.abs(found - constant).max() > 1e-3


def doubled(p):
    """Return the same functions with every row twice, which takes the general step."""
    fields = {name: getattr(p, name) for name in p.__dataclass_fields__}
    fields |= {name: np.repeat(getattr(p, name), 2, axis=0) for name in ("A", "targets", "offsets")}
    return FiniteSum(**fields)


@pytest.mark.parametrize("d", [1, 8, 37])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("loss", "k", "reg"), [case for case in CASES if case[1] == 1])
def test_step_on_one_row_is_the_general_step(loss, k, reg, lam, d):
    """20 times 10 steps from the same point, in any dimension, short enough that no wave throws them apart."""
    p = problem(loss, 1, reg, d=d)
    s, q = sampling("single", p, probabilities=P), doubled(p)
    schedule = Schedule(0.3 / s.lipschitz(p), 0.3 / s.lipschitz(p))
    start = far(p)
    for seed in range(20):
        ends = [engine(one, s, schedule, lam, start, 10, (), seed)[2]["x"][-1] for one in (p, q)]
        assert np.abs(ends[0] - ends[1]).max() <= 1e-12 * np.abs(ends[1]).max()
        start = ends[0] if np.abs(ends[0] - p.anchor).max() > 0.3 else far(p)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_perturbation_along_reg_alone(lam):
    """A row of zeros has the gradient reg x: x ← (1 − gamma reg (1 + c reg)) x, c = rho (1 − lam + lam/(reg ‖x‖))."""
    p = finite_sum("square", [[0.0, 0.0]], [1.0], 0.5)
    start = np.array([3.0, 4.0])
    (x,) = engine(p, sampling("single", p), Schedule(0.1, 0.2), lam, start, 1, ())[2]["x"]
    c = 0.2 * (1.0 - lam + lam / 2.5)
    assert x == pytest.approx((1.0 - 0.1 * 0.5 * (1.0 + 0.5 * c)) * start, rel=1e-15)


def test_norm_near_a_sample_s_minimiser_has_its_digits():
    """One ridge sample, 1e-6 from its minimiser, where s²‖a‖² + 2 reg s z + reg²‖x‖² would cancel."""
    p = finite_sum("square", [[1.0, 2.0]], [30.0], 0.1)
    for size in (1e-3, 1e-6):
        start = p.anchor + size * np.array([0.6, -0.8])
        s = sampling("single", p)
        (x,) = engine(p, s, Schedule(0.1, 0.5), 1.0, start, 1, ())[2]["x"]
        (expected,) = twin(p, s, Schedule(0.1, 0.5), 1.0, start, 1)[1:]
        assert np.abs(x - expected).max() <= 1e-14 / size


def test_zero_gradient_perturbs_nothing():
    for lam, name, k in itertools.product((0.0, 1.0), ("full", "single"), (1, 2)):
        p = finite_sum("square", np.eye(2 * k), np.ones(2 * k), samples=2, minimiser=np.ones(2 * k))
        x = engine(p, sampling(name, p), Schedule(0.1, 0.5), lam, np.ones(2 * k), 9)[2]["x"]
        assert (x == 1.0).all()


# full batches on a user's file


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Return a file with A (20, 6), b and x0."""
    rng = np.random.default_rng(11)
    path = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(path, A=rng.standard_normal((20, 6)), b=rng.standard_normal(20), x0=rng.standard_normal(6))
    return path


def plain_loop(path, reg, gamma, rho, lam, steps):
    """Return x after a loop as one would write it for least squares: nothing here knows x*."""
    with np.load(path) as file:
        A, b, x = file["A"], file["b"], file["x0"]

    def gradient(x):
        return A.T @ (A @ x - b) / len(b) + reg * x

    for _ in range(steps):
        g = gradient(x)
        norm = np.linalg.norm(g)
        x = x - gamma * gradient(x + rho * (1.0 - lam + (lam / norm if norm else 0.0)) * g)
    return x


@pytest.mark.parametrize("reg", [0.0, 0.1])
@pytest.mark.parametrize(("rho", "lam", "steps"), [(0.0, 0.0, None), (0.2, 0.0, None), (0.2, 1.0, 15)], ids=repr)
def test_full_batch_on_a_file_is_the_plain_loop(path, many_steps, rho, lam, steps, reg):
    """GD and USAM contract: thousands of steps. SAM: 15, until it jumps about x* and rounding grows with each jump."""
    one = FiniteSumSpec(
        SumFile(str(path)), "ridge" if reg else "least-squares", reg, rho, lam, 0.1, max_steps=steps or many_steps
    )
    expected = plain_loop(path, reg, 0.1, rho, lam, one.max_steps)
    result = run(one)
    assert np.abs(result.x - expected).max() <= 1e-12 * np.abs(expected).max()
    assert np.abs(result.x - plain_loop(path, reg, 0.1, rho, lam, 5)).max() > 1e-3


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_radius_of_0_is_gradient_descent(path, lam):
    one = FiniteSumSpec(SumFile(str(path)), step_size=0.1, normalisation=lam, max_steps=50)
    assert np.abs(run(one).x - plain_loop(path, 0.0, 0.1, 0.0, 0.0, 50)).max() < 1e-13


# schedules


def test_schedules():
    t = np.arange(4.0, 9.0)
    gamma, rho = Schedule(0.3, 0.2).at(4, 9)
    assert (gamma.tolist(), rho.tolist()) == ([0.3] * 5, [0.2] * 5)
    gamma, rho = Schedule(0.3, 0.2, "decreasing", 0.8).at(4, 9)
    assert gamma == pytest.approx(np.minimum(0.3, 0.8 * (2 * t + 1) / (t + 1) ** 2))
    assert gamma[0] < 0.3 == Schedule(0.3, 0.2, "decreasing", 0.8).at(0, 1)[0][0]
    gamma, rho = Schedule(0.3, 0.2, "horizon", horizon=16).at(4, 9)
    assert (gamma, rho) == (pytest.approx([0.075] * 5), pytest.approx([0.1] * 5))
    rho = Schedule(0.3, 0.2, radii="decreasing").at(0, 9)[1]
    assert rho == pytest.approx([0.2, 0.2, 0.2, 1 / 7, 1 / 9, 1 / 11, 1 / 13, 1 / 15, 1 / 17])
    gamma, rho = Schedule(0.3, 0.2, "decreasing", 0.8, "root").at(4, 9)
    assert rho == pytest.approx(0.2 * np.sqrt(gamma))
    assert Schedule(0.3, 0.2, "horizon", radii="root", horizon=16).at(0, 1)[1] == pytest.approx(0.2 * math.sqrt(0.075))
    assert [x.shape for x in Schedule(0.3, 0.2).at(5, 5)] == [(0,), (0,)]


@pytest.mark.parametrize("steps", ["constant", "decreasing", "horizon"])
@pytest.mark.parametrize("radii", ["constant", "decreasing", "root"])
def test_schedule_in_pieces_is_the_whole(steps, radii):
    schedule = Schedule(0.3, 0.2, steps, 0.7, radii, 1000)
    whole = schedule.at(0, 1000)
    parts = [schedule.at(*ends) for ends in ((0, 1), (1, 130), (130, 1000))]
    for k in (0, 1):
        assert np.array_equal(np.concatenate([part[k] for part in parts]), whole[k])


@pytest.mark.parametrize(("name", "arguments"), [
    ("schedule", (0.1, 0.1, "cosine")), ("radii", (0.1, 0.1, "constant", 1.0, "linear")),
    ("step_size (gamma)", (0, 0.1)), ("radius (rho)", (0.1, -0.1)), ("decay", (0.1, 0.1, "decreasing", 0.0)),
    ("radius (rho)", (0.1, math.nan)),
])  # fmt: skip
def test_bad_schedule_is_named(name, arguments):
    with pytest.raises(ParameterError, match="must be") as caught:
        Schedule(*arguments)
    assert str(caught.value).startswith(f"{name} = ")


# how a path ends


@pytest.mark.parametrize("name", ["full", "nice", "single"])
@pytest.mark.parametrize(("loss", "reg"), [("square", 0.0), ("square", 0.3), ("logistic", 0.3), ("robust", 0.0)])
@pytest.mark.parametrize("gamma", [1e3, 1e120, 1e300])
def test_divergence_does_not_depend_on_what_is_recorded(name, loss, reg, gamma):
    """The same end, to the last bit; every step before it can be recorded. Bounded slopes without reg never diverge."""
    p = problem(loss, reg=reg)
    s, found = sampling(problem=p, **SAMPLINGS[name]), []
    for record in ((), (0, 1, 2), range(300)):
        with np.errstate(over="ignore", invalid="ignore"):
            status, steps, records = engine(p, s, Schedule(gamma, 0.1), 1.0, far(p), 300, record)
        found.append((status, steps, *(records[key][-1].tobytes() for key in ("x", "gap", "distance"))))
        assert records["step"][-1] == steps
    assert found[0] == found[1] == found[2]
    assert found[0][0] == ("max-steps" if loss == "robust" and gamma < 1e200 else "diverged")


def test_interpolation_reaches_1e_200():
    """Full batch and single samples: the gap falls by a constant factor a step until squares leave float64.

    The control has more columns than rows: what y keeps in the kernel of A rounds, and the fall ends near 1e-32.
    """
    rng = np.random.default_rng(12)
    Q, x = np.linalg.qr(rng.standard_normal((8, 8)))[0], rng.standard_normal(8)
    tall = Q[:, :4] * np.array([2.0, 1.8, 1.6, 1.4])
    wide = finite_sum("square", tall.T, tall.T @ x, minimiser=x)
    gaps = engine(wide, sampling("full", wide), Schedule(1.0, 0.0), 0.0, np.zeros(8), 500)[2]["gap"]
    assert 1e-36 < gaps[-1] < 1e-30
    p = finite_sum("square", tall, tall @ x[:4], minimiser=x[:4])
    for name in ("full", "single"):
        schedule = Schedule(1.0 / p.sample_lipschitz.max(), 1e-3)
        gaps = engine(p, sampling(name, p), schedule, 0.0, np.zeros(4), 3000, range(3000))[2]["gap"]
        seen = gaps[gaps > 1e-290]
        assert seen[-1] < 1e-200
        thirds = np.log(seen[[0, len(seen) // 3, 2 * len(seen) // 3]])
        assert thirds[0] - thirds[1] == pytest.approx(thirds[1] - thirds[2], rel=0.25)


# expectations


LAMS = [0.0, 0.5, 1.0]


def by_recursion(p, s, schedule, lam, x, steps, t=0):
    """Return E[f(x_t) − f*] and E‖∇f(x_t)‖² of the steps to come, by recursion over every draw."""
    mean = np.full(p.samples, 1.0 / p.samples)
    g = naive.sum_gradient(p.loss, p.A, p.targets, p.reg, mean, x)
    gap = naive.sum_value(p.loss, p.A, p.targets, p.reg, mean, x) - p.infimum
    gaps, squares = np.zeros(steps + 1 - t), np.zeros(steps + 1 - t)
    gaps[0], squares[0] = gap, g @ g
    if t < steps:
        gamma, rho = (values[0] for values in schedule.at(t, t + 1))
        for v, chance in zip(*s.law(), strict=True):
            after = naive.sum_step(p.loss, p.A, p.targets, p.reg, v, x, gamma, rho, lam)
            rest = by_recursion(p, s, schedule, lam, after, steps, t + 1)
            gaps[1:] += chance * rest[0]
            squares[1:] += chance * rest[1]
    return gaps, squares


@pytest.mark.parametrize("kind", ["full", "nice", "replacement", "single", "importance"])
@pytest.mark.parametrize(("loss", "k", "reg"), CASES)
def test_expected_path_is_the_recursion(loss, k, reg, kind):
    """3 samples, 2 steps, every lam, a schedule that changes from step to step."""
    p = problem(loss, k, reg, n=3, d=3)
    s = sampling(kind, p, 2 if kind in ("nice", "replacement") else 1)
    schedule, start = Schedule(0.2, 0.3, "decreasing", 0.15, "decreasing"), far(p)
    found = [expected_path(p, s, schedule, lam, start, 2) for lam in LAMS]
    for lam, (gaps, squares) in zip(LAMS, found, strict=True):
        expected = by_recursion(p, s, schedule, lam, start, 2)
        assert gaps == pytest.approx(expected[0], rel=1e-12)
        assert squares == pytest.approx(expected[1], rel=1e-12)
    assert abs(found[0][0][2] - found[2][0][2]) > 1e-6 * found[0][0][2]


@pytest.mark.parametrize("kind", ["full", "nice", "replacement", "single", "importance"])
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("reg", [0.0, 0.3])
def test_moments_are_the_enumeration_s(kind, k, reg):
    """USAM on quadratics, 5 steps to 1e-13; with SAM the two differ."""
    p = problem("square", k, reg, n=3, d=3)
    s = sampling(kind, p, 2 if kind in ("nice", "replacement") else 1)
    schedule, start = Schedule(0.2, 0.3, "decreasing", 0.15, "root"), far(p)
    moments = expected_quadratic(p, s, schedule, start, 5)
    assert moments == pytest.approx(expected_path(p, s, schedule, 0.0, start, 5)[0], rel=1e-13)
    assert moments[5] != pytest.approx(expected_path(p, s, schedule, 1.0, start, 5)[0][5], rel=1e-4)


def test_moments_of_one_outcome_are_the_path():
    p = problem("square", 2, 0.1)
    s, schedule, start = sampling("full", p), Schedule(0.1, 0.2), far(p)
    gaps = engine(p, s, schedule, 0.0, start, 200)[2]["gap"]
    assert expected_quadratic(p, s, schedule, start, 200) == pytest.approx(gaps, rel=1e-9, abs=1e-18)


@pytest.mark.parametrize(("loss", "lam", "name"), [
    ("square", 0.0, "single"), ("square", 1.0, "nice"), ("logistic", 1.0, "importance"),
    ("robust", 0.5, "nice"), ("sine", 1.0, "single"),
])  # fmt: skip
def test_expectation_is_that_of_drawn_runs(loss, lam, name):
    """600 runs of 3 steps: the mean gap is within 5 standard errors, a false alarm once in 10^6 each.

    The control, the expectation of other steps, is more than 5 away.
    """
    p = problem(loss)
    s, schedule, start = sampling(problem=p, **SAMPLINGS[name]), Schedule(0.4, 0.3), far(p)
    ends = [engine(p, s, schedule, lam, start, 3, (), seed)[2]["gap"][-1] for seed in range(600)]
    error = np.std(ends) / math.sqrt(len(ends))
    expected, wrong = (expected_path(p, s, one, lam, start, 3)[0][3] for one in (schedule, Schedule(0.2, 0.3)))
    assert abs(np.mean(ends) - expected) < 5.0 * error
    assert abs(np.mean(ends) - wrong) > 5.0 * error


def test_no_steps_and_outcomes_of_no_chance():
    p = problem("square")
    s = sampling("single", p)
    gaps, squares = expected_path(p, s, Schedule(0.1, 0.1), 1.0, far(p), 0)
    expected = p.measure(far(p)[None] - p.anchor)
    assert (gaps.tolist(), squares) == (expected[0].tolist(), pytest.approx(np.sum(expected[1] ** 2, axis=1)))
    assert expected_quadratic(p, s, Schedule(0.1, 0.1), far(p), 0) == pytest.approx(gaps, rel=1e-13)


def test_what_cannot_be_enumerated_is_named():
    p = problem("square")
    with pytest.raises(ParameterError, match="steps = 12: must be so few that 5 outcomes"):
        expected_path(p, sampling("single", p), Schedule(0.1, 0.1), 1.0, far(p), 12)
    with pytest.raises(ParameterError, match="loss = 'logistic': must be square"):
        expected_quadratic(problem("logistic"), sampling("full", p), Schedule(0.1, 0.1), np.zeros(2), 3)


def test_problem_of_a_file_is_the_file(path):
    p, start = load_sum(SumFile(str(path)), "least-squares", 0.0, 0)
    with np.load(path) as file:
        assert np.array_equal(p.A, file["A"])
        assert np.array_equal(p.targets, file["b"])
        assert np.array_equal(start, file["x0"])

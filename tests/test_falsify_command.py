"""`falsify`: known minima and counterexamples are found, hypotheses kept, true claims survive, points reproduce."""

import json
from fractions import Fraction

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import sharpbounds
from simulate.linear_stability import HessianFamily, stable_scale
from simulate.parameters import ParameterError
from theory import falsify, registry
from theory.claim import Claim, Control, Hypothesis, Kind, Outcome, Samples
from theory.domain import Choice, Domain, Range

S2, LARGEST_SAMPLE = "shin2025/mean-square-s2", "oikonomou2025/constant-steps-largest-sample"
TWO_PARABOLAS = "targets=-0.07,weights=0.004,noise=20,lam=0.98,rho/cap=0.7,gamma/cap=0.07"
LINE = {"x": Range(-1.0, 1.0, 0.0), "k": Range(0, 5, 0, integer=True), "side": Choice(("left", "right"))}


def call(*arguments):
    """Run `falsify` in this process; an exception that is no exit is an error here."""
    return CliRunner(catch_exceptions=False).invoke(sharpbounds.main, ["falsify", *map(str, arguments)])


def point_of(domain, command):
    """Return the point of a printed command."""
    return domain.parse(command.partition("--point ")[2])


def bump(settings, runner):
    """Return a peak of height 1 at x = 0.3, k = 2, side = right."""
    far = (settings["x"] - 0.3) ** 2 + 0.1 * (settings["k"] - 2) ** 2 + 0.2 * (settings["side"] == "left")
    return Samples(np.array([1.0 - 0.5 * far]))


def noise(settings, runner):
    """Of mean 0.9 everywhere, with a spread that another seed draws anew."""
    rng = np.random.default_rng([settings["seed"], int(1e6 * (1.0 + settings["x"]))])
    return Samples(0.9 + 0.1 * rng.standard_normal((1, settings["seeds"])))


@pytest.fixture
def toy(monkeypatch):
    """Return a function that makes `toy/claim` an upper bound on the bump, and what it is asked to be otherwise."""

    def make(bound=1.05, largest=1.0, observe=bump, **fields):
        scope = Hypothesis("x", "x small enough", lambda a: np.exp(largest - a["x"]), 1.0)
        letters = {"letters": lambda settings: {"x": settings["x"]}}
        given = {
            "id": "toy/claim", "title": "a toy", "statement": "the bump stays below", "source": "here",
            "kind": Kind.UPPER_BOUND, "hypotheses": (scope,), "parameters": {"x": 0.0}, "observe": observe,
            "predict": lambda samples: np.full(1, bound), "tolerance": 1e-12, "tolerance_reason": "rounding",
            "control": Control("half", lambda samples: np.full(1, 0.5)), "quick": {"seeds": 4}, "full": {},
            "domain": Domain(LINE, **letters),
        }  # fmt: skip
        claim = Claim(**given | fields)
        monkeypatch.setattr(registry, "find", lambda name: claim)
        return claim

    return make


def test_the_least_slack_of_a_known_function_is_found(toy):
    toy()
    found = falsify.falsify("toy/claim", 400)
    assert found.figure(found.slack) == pytest.approx(1.05, abs=1e-6)
    assert (found.worst.point["k"], found.worst.point["side"]) == (2, "right")
    assert found.worst.point["x"] == pytest.approx(0.3, abs=0.04)  # made plain within a thousandth of slack
    assert not found.counterexample
    assert found.expected
    assert found.tried <= 400


def test_a_counterexample_is_found_run_again_and_made_plain(toy):
    claim = toy(bound=0.98)
    found = falsify.falsify("toy/claim", 400)
    assert found.counterexample
    assert not found.expected
    assert found.minimal.slack <= 0.5 * np.log(0.98)  # half of the violation is kept
    x = found.minimal.point["x"]
    assert x == float(f"{x:.1g}")
    again = falsify.judge_point("toy/claim", claim.domain.write(found.minimal.point))
    assert again.counterexample
    assert again.slack == found.minimal.slack


def test_points_outside_the_hypotheses_are_no_counterexamples(toy):
    """The bump breaks the bound from x = 0.1 on; the hypothesis ends at 0."""
    toy(bound=0.98, largest=0.0)
    found = falsify.falsify("toy/claim", 400)
    assert not found.counterexample
    assert found.inside < found.tried
    assert found.worst.point["x"] <= 0.0
    assert found.figure(found.slack) == pytest.approx(0.98 / 0.955, rel=1e-4)
    outside = falsify.judge_point("toy/claim", "x=0.3,k=2,side=right")
    assert not outside.counterexample
    assert "outside the hypotheses" in outside.worst.problem
    toy(bound=0.98, largest=1.0)  # the control: with the hypothesis wider it is one
    assert falsify.judge_point("toy/claim", "x=0.3,k=2,side=right").counterexample


def test_luck_does_not_pass_for_a_counterexample(toy):
    """A true bound on a mean, seen through four noisy runs: the search finds lucky ones, the re-run is not fooled."""
    toy(bound=0.95, observe=noise, domain=Domain(LINE, sure={"seeds": 200}))
    found = falsify.falsify("toy/claim", 100)
    assert found.slack < 0.0
    assert not found.counterexample
    assert found.worst.verdict.outcome is Outcome.HOLDS
    toy(bound=0.85, observe=noise, domain=Domain(LINE, sure={"seeds": 200}))  # the control
    assert falsify.falsify("toy/claim", 100).counterexample


def test_what_gives_no_samples_is_no_counterexample(toy):
    def refuse(settings, runner):
        raise ParameterError("x = 0: must be something else")

    toy(observe=refuse)
    found = falsify.falsify("toy/claim", 20)
    assert (found.inside, found.worst, found.counterexample) == (0, None, False)
    assert "no samples" in falsify.judge_point("toy/claim", "").worst.problem
    result = call("toy/claim", "--budget", 20, "--workers", 1)
    assert "Nothing to judge" in result.stdout


@pytest.mark.parametrize(
    ("kind", "observed", "predicted", "tolerance", "expected"),
    [
        (Kind.UPPER_BOUND, [2.0, 1.0], [4.0, 3.0], 0.0, np.log(2.0)),
        (Kind.UPPER_BOUND, [0.0], [3.0], 0.0, falsify.LARGEST),
        (Kind.UPPER_BOUND, [-3.0, -6.0], [-2.0, -5.0], 0.0, np.log(1.2)),
        (Kind.LOWER_BOUND, [-2.0], [-3.0], 0.0, np.log(1.5)),
        (Kind.UPPER_BOUND, [1.0], [-2.0], 0.0, -1.5),
        (Kind.UPPER_BOUND, [0.5], [0.0], 0.0, -0.5),
        (Kind.LOWER_BOUND, [2.0, 6.0], [1.0, 4.0], 0.0, np.log(1.5)),
        (Kind.LOWER_BOUND, [-1.0], [1.0], 0.0, -2.0),
        (Kind.IDENTITY, [1.0, 2.0], [1.0, 2.2], 1e-2, np.log(0.11)),
        (Kind.ORDERING, [1.0, 2.0, 3.0], 0.5, 0.0, 1.5),
    ],
)  # fmt: skip
def test_slack_is_what_it_says(toy, kind, observed, predicted, tolerance, expected):
    claim = toy(kind=kind, tolerance=tolerance)
    found = falsify.slack(claim, Samples(np.array(observed)), np.array(predicted))
    assert found == pytest.approx(expected, rel=1e-9)


@given(st.data())
def test_a_written_point_is_read_back(data):
    vectors = {"v": Range(0.1, 10.0, 1.0, log=True, size=3), "w": Range(-1.0, 1.0, 0.0, size=2)}
    domain = Domain(LINE | vectors)
    bounds = [coordinate.bounds() for _, _, coordinate in domain.scalars()]
    point = domain.point([data.draw(st.floats(low, high)) for low, high in bounds])
    assert domain.parse(domain.write(point)) == point
    assert domain.write(domain.defaults()) == ""
    for name, place, coordinate in domain.scalars():
        value = point[name] if place is None else point[name][place]
        assert coordinate.plainer(value)[-1] == value
        assert all(coordinate.parse(name, str(plain)) == plain for plain in coordinate.plainer(value))


# the two counterexamples


def test_mean_square_stability_is_found_not_to_bound_s2():
    """Found within 300 points; confirmed from the printed point by matrices of its own."""
    result = call(S2, "--budget", 300, "--workers", 1, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["counterexample"]
    assert found["minimal"]["slack"] < 1.0
    point = point_of(registry.find(S2).domain, found["minimal"]["command"])
    n, d, rank = (point[name] for name in ("n", "d", "rank"))
    assert d <= 5
    A = np.reshape(point["entries"][: n * d * rank], (n, d, rank))
    H = A @ A.transpose(0, 2, 1) + point["ridge"] * np.eye(d)
    p = np.array(point["weights"][:n]) / sum(point["weights"][:n])

    def radius(scale):
        J = [np.eye(d) - scale * h - point["share"] * scale**2 * h @ h for h in H]
        return np.abs(np.linalg.eigvals(sum(w * np.kron(j, j) for w, j in zip(p, J, strict=True)))).max()

    scales = np.linspace(0.0, 4.0 / np.abs(H).max(), 4000)[1:]
    stable = scales[[radius(scale) <= 1.0 for scale in scales]].max()  # the edge, from below
    mean = np.einsum("i,iab", p, H)
    spread = stable**2 * np.linalg.eigvalsh(np.einsum("i,iab", p, H @ H) - mean @ mean)[-1]
    assert spread * (1.0 - 2.0 * point["share"]) > 1.0
    assert spread * (1.0 - 2.0 * point["share"]) == pytest.approx(1.0 / found["minimal"]["slack"], rel=0.01)


def test_the_counterexample_to_s2_is_one_in_rational_arithmetic():
    """A proof: a rational Sigma ≻ 0 with T Sigma ≺ Sigma bounds the radius by 1, a rational v shows s_2² > 1."""
    domain = registry.find(S2).domain
    point = domain.parse("d=2,n=4,entries=-0.4:0:-0.6:0.7:0:0:-0.3:-0.9,ridge=0.2")
    n, d = point["n"], point["d"]
    A = np.reshape(point["entries"][: n * d], (n, d, 1))
    assert falsify.judge_point(S2, domain.write(point)).counterexample

    def exact(array):
        return np.vectorize(lambda x: Fraction(str(round(float(x), 6))), otypes=[object])(array)

    A, one = exact(A), exact(np.eye(d))
    H = A @ A.transpose(0, 2, 1) + Fraction("0.2") * one
    H = H * Fraction(str(round(0.999 * stable_scale(HessianFamily(H.astype(float))), 4)))  # a little within the edge
    J = one - H
    T = sum(np.kron(j, j) for j in J.astype(float)) / n
    values, vectors = np.linalg.eig(T)
    Sigma = vectors[:, values.real.argmax()].real.reshape(d, d)
    Sigma = exact(Sigma * np.sign(np.trace(Sigma)))
    left = Sigma - sum(j @ Sigma @ j for j in J) / n
    for matrix in (Sigma, left):  # positive definite, by Sylvester's criterion
        assert matrix[0, 1] == matrix[1, 0]
        assert matrix[0, 0] > 0
        assert matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0] > 0
    mean = H.sum(axis=0) / n
    excess = sum(h @ h for h in H) / n - mean @ mean
    v = exact(np.linalg.eigh(excess.astype(float))[1][:, -1])
    assert v @ excess @ v > v @ v  # s_2² > 1/eta², eta = 1, rho = 0


def test_the_trace_form_survives():
    found = json.loads(call(S2, "--twin", "--budget", 300, "--workers", 1, "--json").stdout)
    assert not found["counterexample"]
    assert found["as_expected"]
    assert 1.0 <= found["least_slack"] < 2.0


@pytest.mark.parametrize(
    ("name", "budget", "most"),
    [
        ("shin2025/mean-square-s3", 150, 0.8),
        ("shin2025/mean-square-s4", 300, 0.95),
        ("shin2025/mean-square-rank-one", 400, 0.99),
    ],
)
def test_other_claims_known_to_fail_are_found_to(name, budget, most):
    """The control: their twins, searched as long, survive."""
    found = falsify.falsify(name, budget)
    assert found.counterexample
    assert found.figure(found.minimal.slack) < most
    assert not falsify.falsify(name, budget, twin=True).counterexample


def test_the_largest_sample_is_found_not_to_do():
    """L = max L_i under single-element sampling; the repaired form survives the same points."""
    result = call(LARGEST_SAMPLE, "--budget", 500, "--seed", 1, "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "COUNTEREXAMPLE, as expected." in result.stdout
    repaired = call(LARGEST_SAMPLE, "--twin", "--budget", 300, "--seed", 1, "--workers", 1)
    assert repaired.exit_code == 0, repaired.output
    assert "Not falsified on" in repaired.stdout


def test_a_printed_point_reproduces():
    """Two parabolas break the bound with L = max L_i, and not with that of every draw."""
    result = call(LARGEST_SAMPLE, "--point", TWO_PARABOLAS, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["counterexample"]
    assert found["minimal"]["slack"] < 0.6
    assert found["minimal"]["command"].endswith(TWO_PARABOLAS)
    low, high = found["minimal"]["verdict"]["interval"]
    assert low < high < 0.0
    repaired = call(LARGEST_SAMPLE, "--twin", "--point", TWO_PARABOLAS)
    assert repaired.exit_code == 0
    assert "Not a counterexample." in repaired.stdout


def test_a_point_outside_the_hypotheses_is_told():
    """eta ≥ 2 rho is a hypothesis of the bound on s_2."""
    result = call(S2, "--point", "share=0.55,d=2,n=4,entries=-0.4:0:-0.6:0.7:0:0:-0.3:-0.9,ridge=0.2")
    assert result.exit_code == 0
    assert "outside the hypotheses" in result.stdout


# the command


def test_the_finding_does_not_depend_on_workers():
    def searched(*arguments):
        return call(S2, "--twin", "--budget", 90, "--json", *arguments).stdout

    alone = searched("--workers", 1)
    assert searched("--workers", 2) == alone == searched("--workers", 1)
    assert searched("--workers", 1, "--seed", 1) != alone


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nope/nope",), "claim = 'nope/nope'"),
        ((S2, "--budget", 0), "budget"),
        ((S2, "--seed", -1), "seed"),
        ((S2, "--workers", 0), "workers"),
        (("shin2025/trace-form", "--twin"), "twin"),
        ((S2, "--point", "nope=1"), "point"),
        ((S2, "--point", "d=7"), "d = '7'"),
        ((S2, "--point", "d=2.5"), "d = '2.5'"),
        ((S2, "--point", "entries=1:2"), "entries"),
        ((S2, "--point", "weights=" + ":".join("1" * 7)), "at most 6"),
        (("andriushchenko2022/usam-rate", "--point", "family=wave"), "family"),
        ((S2, "--point", "d=2", "--budget", 5), "budget"),
        ((S2, "--out", "nowhere/at/all.json"), "output file"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, named):
    result = call(*arguments)
    assert result.exit_code == 2
    assert named in result.output
    assert "Traceback" not in result.output


def test_the_finding_is_written_as_plain_json(tmp_path):
    file = tmp_path / "found.json"
    result = call("shin2025/second-moment", "--budget", 30, "--workers", 1, "--out", file)
    found = json.loads(file.read_text(), parse_constant=lambda text: pytest.fail(text))
    assert f"Not falsified on {found['inside']} points" in result.stdout
    assert found["id"] == "shin2025/second-moment"
    assert found["least_slack"] > 1.0
    assert found["worst"]["command"].startswith("sharpbounds falsify shin2025/second-moment --point ")


def test_without_a_domain_seeds_are_searched_and_it_says_so():
    name = "shin2025/mean-square-stars"
    assert registry.find(name).domain is None
    result = call(name, "--budget", 2, "--workers", 1)
    assert result.exit_code == 0
    assert "No domain is declared: seeds" in result.stdout
    assert "Not falsified on 2 points" in result.stdout


def test_a_search_that_does_not_end_as_expected_exits_with_1(toy):
    toy(bound=0.98)
    result = call("toy/claim", "--budget", 200, "--workers", 1)
    assert result.exit_code == 1
    assert "COUNTEREXAMPLE TO WHAT IS EXPECTED TO HOLD." in result.stdout
    toy(bound=1.05, expected=Outcome.VIOLATED)
    result = call("toy/claim", "--budget", 200, "--workers", 1)
    assert result.exit_code == 1
    assert "It is known to fail" in result.stdout


# every domain


SEARCHED = [claim.id for claim in registry.claims().values() if claim.domain is not None]


@pytest.mark.parametrize("name", SEARCHED)
def test_every_domain_has_instances_of_its_claim(name):
    """Of eight points drawn anywhere some meet the hypotheses and give samples."""
    search = falsify.search_of(name)
    bounds = np.array([coordinate.bounds() for _, _, coordinate in search.domain.scalars()], float)
    points = [search.domain.point(row) for row in np.random.default_rng(0).uniform(*bounds.T, (8, len(bounds)))]
    values = (search.slack(point) for point in points)
    assert any(value < falsify.OUTSIDE for value in values)

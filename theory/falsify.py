"""The search for a claim's point of least slack: an optimiser in front of the claim's own observation and judge.

Slack is a logarithm, negative where the claim is broken: log(bound/observed) for bounds (the other way round for lower
ones), log(tolerance/|deviation|) for identities, rates and limits; for orderings it is the difference less the margin.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simulate.executor import executor_of, single_threaded, worker_count
from simulate.parameters import integer, reject
from simulate.runner import Runner
from simulate.streams import stream
from theory import registry
from theory.check import FALSE_ALARM, SEED_STRIDE, predicted
from theory.claim import Claim, Control, Kind, Observation, Outcome, Samples
from theory.domain import Domain, Range
from theory.verdict import Verdict, judge

Point = dict[str, Any]  # an instance: what it changes in the claim's settings
Candidate = tuple[float, Point]  # with its slack

SEEDS = Domain({"seed": Range(0, 10**6, 0, integer=True)}, budget=8)
"""What is searched where a claim declares no domain: seeds, at its quick settings."""

MEASURES = {
    Kind.UPPER_BOUND: "bound/observed", Kind.LOWER_BOUND: "observed/bound", Kind.ORDERING: "difference − margin",
}  # fmt: skip
UNSEEN = (ValueError, np.linalg.LinAlgError, ArithmeticError)  # what an instance at the edge of sense may raise

LARGEST = 50.0  # of a slack's logarithm: beyond it nothing is to be told apart
OUTSIDE = 1e3  # and more, for points that hypotheses exclude
BROKEN = 1e6  # for points that have no samples
REFINED = 3  # points that the second stage starts from
GENERATIONS = 25  # of the first stage
CHUNK = 8  # points a task
CONFIRMED = 6  # candidates that are run again, at most
_RERUN, _FINAL = SEED_STRIDE // 2, SEED_STRIDE // 4 * 3  # seeds that the search has not seen


@dataclass(frozen=True)
class Search:
    """What is searched: a claim by name, or its twin, from a base seed. Small enough to be sent to a worker."""

    name: str
    twin: bool = False
    seed: int = 0

    @property
    def claim(self) -> Claim:
        """The claim."""
        return registry.find(self.name)

    @property
    def domain(self) -> Domain:
        """Its domain, or the seeds."""
        return self.claim.domain or SEEDS

    @property
    def form(self) -> Any:
        """What replaces the claim's prediction and settings: the twin's, if that is searched."""
        return (self.domain.twin or self.claim.twin) if self.twin else Control("")

    def settings(self, point: Point, offset: int = 0, sure: bool = False) -> dict[str, Any]:
        """Return the settings of one instance; `offset` moves its seeds, unless they are what the instance is."""
        domain = self.domain
        fixed = "seed" in point and domain is not SEEDS
        drawn = point["seed"] if fixed else (self.seed + point.get("seed", 0)) * SEED_STRIDE + offset
        surer = domain.sure if sure else {}
        return {**self.claim.quick, **domain.settings, **surer, **point, **self.form.changes, "seed": drawn}

    def margin(self, settings: Mapping[str, Any]) -> float:
        """Return the smallest margin of the hypotheses over what they require: at least 1 within them."""
        claim, domain = self.claim, self.domain
        letters = domain.letters(settings) if domain.letters else {}
        return min((m / h.required for h, m in claim.margins(**letters) if h.required is not None), default=np.inf)

    def observe(self, settings: dict[str, Any]) -> tuple[Observation, Any]:
        """Return the samples of an instance and what is predicted of them."""
        claim, domain = self.claim, self.domain
        with np.errstate(all="ignore"):
            samples = (domain.observe or claim.observe)(settings, Runner())
            return samples, predicted(self.form.predict or domain.predict or claim.predict, samples)

    def slack(self, point: Point) -> float:
        """Return the slack at a point; OUTSIDE or more where a hypothesis is not met, BROKEN where nothing is seen."""
        settings = self.settings(point)
        try:
            margin = self.margin(settings)
            if not margin >= 1.0:
                return OUTSIDE + min(1.0 - margin, LARGEST)
            found = slack(self.claim, *self.observe(settings))
        except UNSEEN:
            return BROKEN
        return float(np.clip(found, -LARGEST, LARGEST)) if np.isfinite(found) else BROKEN

    def rerun(self, point: Point, offset: int = _RERUN) -> "Trial":
        """Judge a point anew, on seeds that the search has not seen and at the surer settings."""
        claim, settings = self.claim, self.settings(point, offset, sure=True)
        try:
            margin = self.margin(settings)
            if not margin >= 1.0:
                return Trial(point, problem=f"outside the hypotheses, by a margin of {margin:.3g}")
            observation, prediction = self.observe(settings)
        except UNSEEN as error:
            return Trial(point, problem=f"no samples ({error})")
        verdict = judge(claim.kind, observation, prediction, claim.tolerance, FALSE_ALARM)
        return Trial(point, slack(claim, observation, prediction), verdict)


@dataclass(frozen=True)
class Trial:
    """A point run again: its slack and verdict, or the problem that kept it from being judged."""

    point: Point
    slack: float = np.nan
    verdict: Verdict | None = None
    problem: str | None = None

    @property
    def broken(self) -> bool:
        """Return whether it is a counterexample."""
        return self.verdict is not None and self.verdict.outcome is Outcome.VIOLATED


def slack(claim: Claim, observation: Observation, prediction: Any) -> float:
    """Return the least slack of an observation, over its axes and points; NaN where it is not finite."""
    if isinstance(observation, Mapping):
        return min(slack(claim, samples, prediction[axis]) for axis, samples in observation.items())
    if claim.kind in (Kind.UPPER_BOUND, Kind.LOWER_BOUND):
        return _bound_slack(observation, prediction, 1.0 if claim.kind is Kind.UPPER_BOUND else -1.0)
    verdict = judge(claim.kind, observation, prediction, claim.tolerance, FALSE_ALARM)
    if claim.kind is Kind.ORDERING:
        return verdict.value - float(np.max(prediction))
    gap = abs(verdict.value - verdict.details.get("predicted", 0.0))
    found = float(np.log(claim.tolerance / gap)) if gap > 0.0 else LARGEST + 0.0 * gap
    return found if verdict.outcome is Outcome.VIOLATED else max(found, 0.0)  # what approaches its limit breaks nothing


def _bound_slack(samples: Samples, prediction: ArrayLike, side: float) -> float:
    observed, bound = np.asarray(samples.observed, float), np.asarray(prediction, float)
    if observed.ndim > bound.ndim:
        observed = observed.mean(axis=-1)
    observed, bound = np.broadcast_arrays(observed, bound)
    ratio = np.log(np.maximum(np.abs(bound), 1e-300)) - np.log(np.maximum(np.abs(observed), 1e-300))
    plain = (bound - observed) / np.where(bound == 0.0, 1.0, np.abs(bound))
    larger, smaller = (bound, observed) if side > 0.0 else (observed, bound)  # as claimed
    found = np.where((larger > 0.0) & (smaller > 0.0), side * ratio, side * plain)
    found = np.where((larger < 0.0) & (smaller < 0.0), -side * ratio, found)  # of negative numbers the other way round
    return float(np.min(np.where((larger > 0.0) & (smaller <= 0.0), LARGEST, found)))


@dataclass(frozen=True)
class Finding:
    """What a search found.

    `tried` points, `inside` of them within the hypotheses; `slack` the least that was seen and `worst` the point run
    again (None: no point could be judged), or one of the next best if that alone is a counterexample; `minimal` the
    plainest point that still is one, run again. `given`: the point was, and nothing was searched.
    """

    search: Search
    tried: int
    inside: int
    slack: float
    worst: Trial | None
    minimal: Trial | None = None
    given: bool = False

    @property
    def counterexample(self) -> bool:
        """Return whether a counterexample was found."""
        return self.minimal is not None

    @property
    def expected(self) -> bool:
        """Return whether it ended as it should: with a counterexample to what is known to fail, and else without."""
        fails = not self.search.twin and self.search.claim.expected_in("full") is Outcome.VIOLATED
        return self.counterexample is fails or (self.given and fails)

    @property
    def measure(self) -> str:
        """Return what slack is."""
        return MEASURES.get(self.search.claim.kind, "tolerance/deviation")

    def figure(self, slack: float) -> float:
        """Return a slack as it is printed: a ratio, but for orderings."""
        return slack if self.search.claim.kind is Kind.ORDERING else float(np.exp(slack))

    def command(self, trial: Trial) -> str:
        """Return the command that judges a point."""
        search = self.search
        seed = f" --seed {search.seed}" if search.seed else ""
        point = search.domain.write(trial.point) or "''"
        return f"sharpbounds falsify {search.name}{' --twin' if search.twin else ''}{seed} --point {point}"

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain data."""

        def plain(trial: Trial | None) -> dict[str, Any] | None:
            if trial is None:
                return None
            verdict = trial.verdict
            judged = verdict and {
                "outcome": str(verdict.outcome), "measure": verdict.measure, "value": verdict.value,
                "interval": verdict.interval, "details": verdict.details,
            }  # fmt: skip
            slack = self.figure(trial.slack)
            told = {"slack": slack, "verdict": judged, "problem": trial.problem, "command": self.command(trial)}
            return {"point": trial.point, **told}

        search = self.search
        return {
            "id": search.claim.id, "twin": search.twin, "seed": search.seed, "tried": self.tried, "inside": self.inside,
            "expected": str(search.claim.expected_in("full")), "as_expected": self.expected, "measure": self.measure,
            "least_slack": self.figure(self.slack), "counterexample": self.counterexample, "worst": plain(self.worst),
            "minimal": plain(self.minimal),
        }  # fmt: skip


def search_of(name: str, twin: bool = False, seed: int = 0) -> Search:
    """Return the search of a claim, or of its twin; raises ParameterError for what cannot be searched."""
    claim = registry.find(name)
    if missing := claim.missing():
        reject("claim", name, f"one that this installation can check (pip install 'sharpbounds[{missing}]')")
    if twin and claim.twin is None and (claim.domain is None or claim.domain.twin is None):
        reject("twin", name, "asked of a claim that has a twin, its repaired form")
    return Search(name, bool(twin), integer("seed", seed, 0, 10**9))


def falsify(name: str, budget: int | None = None, seed: int = 0, workers: int = 1, twin: bool = False) -> Finding:
    """Search a claim, or its `twin`, within its hypotheses for the point of least slack.

    `budget` is the number of points tried; deterministic in (name, twin, budget, seed), whatever the workers.
    """
    search = search_of(name, twin, seed)
    budget = search.domain.budget if budget is None else integer("budget", budget, 1, 10**7)
    workers = worker_count(workers)
    with single_threaded():
        with executor_of(workers) as (executor, _):
            candidates, tried, inside = _explore(search, budget, executor)
        return _concluded(search, candidates, tried, inside)


def _concluded(search: Search, candidates: Sequence[Candidate], tried: int, inside: int) -> Finding:
    """Run candidates (slack, point) again until one is a counterexample, and make plain what is reported."""
    if not candidates:
        return Finding(search, tried, inside, np.nan, None)
    least, trials = candidates[0][0], []
    for _, point in candidates:
        trials.append(search.rerun(point))
        if plainest := _plainest(search, trials[-1]):
            return Finding(search, tried, inside, least, trials[-1], plainest)
    worst = trials[0]
    if worst.verdict is not None:
        worst = search.rerun(tidy(search, worst.point))
        least = min(least, search.slack(worst.point))
    return Finding(search, tried, inside, least, worst, _plainest(search, worst))


def _plainest(search: Search, trial: Trial) -> Trial | None:
    """Return the plainest form of a counterexample, run again once more; None if that or the trial itself is none."""
    if not trial.broken:
        return None
    plainest = search.rerun(shrink(search, trial), _FINAL)
    return plainest if plainest.broken else None


def judge_point(name: str, text: str, seed: int = 0, twin: bool = False) -> Finding:
    """Judge one point, written as `Domain.write` does, as the last re-run of a search does."""
    search = search_of(name, twin, seed)
    with single_threaded():
        trial = search.rerun(search.domain.parse(text), _FINAL)
    return Finding(search, 1, int(trial.verdict is not None), trial.slack, trial, trial if trial.broken else None, True)


def _explore(search: Search, budget: int, executor: Executor | None) -> tuple[list[Candidate], int, int]:
    """Return candidates (slack, point), the best first, the number of points tried and that within the hypotheses."""
    seen: dict[str, Candidate] = {}
    count = [0, 0]

    def each(function: Callable[..., Any], tasks: Iterable[Any], size: int = 1) -> list[Any]:
        return list(map(function, tasks) if executor is None else executor.map(function, tasks, chunksize=size))

    def evaluate(points: list[Point]) -> list[float]:
        values = each(search.slack, points, CHUNK if search.domain is not SEEDS else 1)
        note(points, values)
        return values

    def note(points: list[Point], values: list[float]) -> None:
        count[0] += len(points)
        for point, value in zip(points, values, strict=True):
            if value < OUTSIDE:
                count[1] += 1
                seen.setdefault(search.domain.write(point), (value, point))

    if search.domain is SEEDS:
        evaluate([{"seed": k} for k in range(budget)])
    else:
        best = _evolve(search, budget - budget // 3, evaluate)
        share = budget // 3 // len(best)
        for points, values in each(partial(_refine, search, share), best):
            note(points, values)
    ranked = sorted(seen.values(), key=lambda one: one[0])
    return ranked[:CONFIRMED], count[0], count[1]


def _evolve(search: Search, budget: int, evaluate: Callable[[list[Point]], list[float]]) -> list[tuple[float, ...]]:
    """Spend the budget on differential evolution; return the best vectors it has seen."""
    from scipy.optimize import differential_evolution

    scalars = search.domain.scalars()
    seen: dict[tuple[float, ...], float] = {}
    rng = stream("falsify", search.seed, claim=search.name, twin=search.twin, budget=budget)
    bounds = np.array([coordinate.bounds() for _, _, coordinate in scalars], float)
    size = int(np.clip(budget // GENERATIONS, 5, 8 * len(scalars)))

    def objective(X: np.ndarray) -> np.ndarray:
        vectors = [tuple(vector) for vector in np.atleast_2d(X.T).tolist()]
        values = evaluate([search.domain.point(vector) for vector in vectors])
        seen.update(zip(vectors, values, strict=True))
        return np.array(values)

    differential_evolution(
        objective, bounds, init=bounds[:, 0] + rng.random((size, len(scalars))) * np.ptp(bounds, axis=1),
        integrality=[coordinate.integer for _, _, coordinate in scalars], maxiter=max(budget // size - 1, 0),
        vectorized=True, updating="deferred", polish=False, tol=0.0, seed=rng,
    )  # fmt: skip
    return sorted(seen, key=seen.__getitem__)[:REFINED]


def _refine(search: Search, budget: int, vector: Sequence[float]) -> tuple[list[Point], list[float]]:
    """Spend the budget on the continuous coordinates from a vector on; return the points tried and their slacks."""
    from scipy.optimize import minimize

    points: list[Point] = []
    values: list[float] = []
    scalars = search.domain.scalars()
    free = [k for k, (_, _, coordinate) in enumerate(scalars) if not coordinate.integer]
    low, high = np.array([scalars[k][2].bounds() for k in free], float).reshape(-1, 2).T
    start = np.array(vector)

    def objective(shares: np.ndarray) -> float:
        start[free] = low + shares * (high - low)
        points.append(search.domain.point(start))
        values.append(search.slack(points[-1]))
        return values[-1]

    if free and budget > 0:
        minimize(
            objective, (start[free] - low) / (high - low), method="Nelder-Mead", bounds=[(0.0, 1.0)] * len(free),
            options={"maxfev": budget, "adaptive": True, "xatol": 1e-9, "fatol": 1e-12},
        )  # fmt: skip
    return points, values


# plainer points


def shrink(search: Search, trial: Trial) -> Point:
    """Return a plainer counterexample that keeps half of a trial's violation, in logarithms."""

    def keeps(point: Point) -> bool:
        again = search.rerun(point)
        return again.broken and again.slack <= 0.5 * trial.slack

    return _plainer(search.domain, trial.point, keeps)


def tidy(search: Search, point: Point) -> Point:
    """Return a plainer point of the same slack, up to a thousandth."""
    largest = search.slack(point) + 1e-3
    return _plainer(search.domain, point, lambda changed: search.slack(changed) <= largest)


def _plainer(domain: Domain, point: Point, keeps: Callable[[Point], bool]) -> Point:
    """Return the point with whole coordinates, then single numbers, replaced by plainer ones while `keeps(point)`."""
    point = dict(point)

    def replaced(name: str, place: int | None, plain: Any) -> bool:
        changed = plain if place is None else (*point[name][:place], plain, *point[name][place + 1 :])
        if changed != point[name] and keeps({**point, name: changed}):
            point[name] = changed
            return True
        return bool(changed == point[name])

    for name, default in domain.defaults().items():
        replaced(name, None, default)
    for name, place, coordinate in domain.scalars():
        now = point[name] if place is None else point[name][place]
        any(replaced(name, place, plain) for plain in coordinate.plainer(now))
    return point

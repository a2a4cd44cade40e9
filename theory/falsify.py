"""The search for a claim's point of least slack: an optimiser in front of the claim's own observation and judge.

Slack is a logarithm, negative where the claim is broken: log(bound/observed) for bounds (the other way round for lower
ones), log(tolerance/|deviation|) for identities, rates and limits; for orderings it is the difference less the margin.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from simulate.executor import executor_of, single_threaded
from simulate.parameters import ParameterError, integer, reject
from simulate.runner import Runner
from simulate.streams import stream
from theory import registry
from theory.check import FALSE_ALARM, SEED_STRIDE, predicted
from theory.claim import Claim, Control, Kind, Outcome, Samples
from theory.domain import Domain, Range
from theory.verdict import Verdict, judge

SEEDS = Domain({"seed": Range(0, 10**6, 0, integer=True)}, budget=8)
"""What is searched where a claim declares no domain: seeds, at its quick settings."""

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
    def form(self) -> Control:
        """What replaces the claim's prediction and settings: the twin's, if that is searched."""
        return (self.domain.twin or self.claim.twin) if self.twin else Control("")

    def settings(self, point, offset=0, sure=False) -> dict[str, Any]:
        """Return the settings of one instance; `offset` moves its seeds."""
        domain = self.domain
        drawn = self.seed * SEED_STRIDE + point.get("seed", 0) + offset
        sure = domain.sure if sure else {}
        return {**self.claim.quick, **domain.settings, **sure, **point, **self.form.changes, "seed": drawn}

    def in_scope(self, settings) -> tuple[bool, float]:
        """Return whether every hypothesis with a requirement is met, and the smallest margin over the required one."""
        claim, domain = self.claim, self.domain
        known = domain.letters(settings) if domain.letters else {}
        shares = [margin / h.required for h, margin in claim.margins(**known) if h.required is not None]
        least = min(shares, default=np.inf)
        return least >= 1.0, least

    def observe(self, settings):
        """Return the samples of an instance and what is predicted of them."""
        claim, domain = self.claim, self.domain
        with single_threaded(), np.errstate(all="ignore"):
            samples = (domain.observe or claim.observe)(settings, Runner())
            return samples, predicted(self.form.predict or domain.predict or claim.predict, samples)

    def slack(self, point) -> float:
        """Return the slack at a point; OUTSIDE or more where a hypothesis is not met, BROKEN where nothing is seen."""
        settings = self.settings(point)
        inside, margin = self.in_scope(settings)
        if not inside:
            return OUTSIDE + min(1.0 - margin, LARGEST) if margin > -np.inf else BROKEN
        try:
            found = slack(self.claim, *self.observe(settings))
        except (ParameterError, np.linalg.LinAlgError, ZeroDivisionError, OverflowError):
            return BROKEN
        return float(np.clip(found, -LARGEST, LARGEST)) if np.isfinite(found) else BROKEN

    def rerun(self, point, offset=_RERUN) -> tuple[Verdict, float]:
        """Judge a point anew, on seeds the search has not seen and at the surer settings; return its slack too."""
        settings, claim = self.settings(point, offset, sure=True), self.claim
        observation, prediction = self.observe(settings)
        verdict = judge(claim.kind, observation, prediction, claim.tolerance, FALSE_ALARM)
        return verdict, slack(claim, observation, prediction)

    def broken(self, point, offset=_RERUN) -> tuple[bool, Verdict | None, float]:
        """Return whether a point is a counterexample once run again, with its verdict and slack."""
        if not self.in_scope(self.settings(point, offset, sure=True))[0]:
            return False, None, np.inf
        try:
            verdict, found = self.rerun(point, offset)
        except (ParameterError, np.linalg.LinAlgError, ZeroDivisionError, OverflowError):
            return False, None, np.inf
        return verdict.outcome is Outcome.VIOLATED, verdict, found


def slack(claim: Claim, observation, prediction) -> float:
    """Return the least slack of an observation, over its axes and points; NaN where it is not finite."""
    if isinstance(observation, Mapping):
        return min(slack(claim, samples, prediction[axis]) for axis, samples in observation.items())
    if claim.kind in (Kind.UPPER_BOUND, Kind.LOWER_BOUND):
        return _bound_slack(observation, prediction, 1.0 if claim.kind is Kind.UPPER_BOUND else -1.0)
    verdict = judge(claim.kind, observation, prediction, claim.tolerance, FALSE_ALARM)
    if claim.kind is Kind.ORDERING:
        return verdict.value - float(np.max(prediction))
    gap = abs(verdict.value - verdict.details.get("predicted", 0.0))
    return float(np.log(claim.tolerance / gap)) if gap > 0.0 else LARGEST + 0.0 * gap


def _bound_slack(samples: Samples, prediction, side):
    observed, bound = np.asarray(samples.observed, float), np.asarray(prediction, float)
    if observed.ndim > bound.ndim:
        observed = observed.mean(axis=-1)
    observed, bound = np.broadcast_arrays(observed, bound)
    ratio = np.log(np.maximum(bound, 1e-300)) - np.log(np.maximum(observed, 1e-300))
    plain = (bound - observed) / np.where(bound == 0.0, 1.0, np.abs(bound))
    return float(np.min(side * np.where((bound if side > 0.0 else observed) > 0.0, ratio, plain)))


@dataclass(frozen=True)
class Finding:
    """What a search found.

    `tried` points, `inside` of them within the hypotheses; `point` the one of least slack (by `slack`) and its `verdict`
    once run again, None if no point could be judged. `counterexample` whether that, or one of the next best, is one;
    `minimal` the plainest point that still is one, with its own verdict and slack.
    """

    search: Search
    tried: int
    inside: int
    point: dict | None
    slack: float
    verdict: Verdict | None = None
    counterexample: bool = False
    minimal: dict | None = None
    minimal_verdict: Verdict | None = None
    minimal_slack: float = np.nan
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def expected(self) -> bool:
        """Return whether the search ended as it should: a counterexample where the claim is known to fail, else none."""
        fails = not self.search.twin and self.search.claim.expected_in("full") is Outcome.VIOLATED
        return self.counterexample is fails


def search_of(name, twin=False, seed=0) -> Search:
    """Return the search of a claim, or of its twin; raises ParameterError for what cannot be searched."""
    claim = registry.find(name)
    if missing := claim.missing():
        reject("claim", name, f"one that this installation can check (pip install 'sharpbounds[{missing}]')")
    domain = claim.domain
    if twin and claim.twin is None and (domain is None or domain.twin is None):
        reject("twin", name, "asked of a claim that has a twin, its repaired form")
    return Search(name, bool(twin), integer("seed", seed, 0, 10**9))


def falsify(name, budget=None, seed=0, workers=1, twin=False) -> Finding:
    """Search a claim, or its `twin`, within its hypotheses for the point of least slack.

    `budget` is the number of points tried; deterministic in (name, twin, budget, seed), whatever the workers.
    """
    search = search_of(name, twin, seed)
    budget = search.domain.budget if budget is None else integer("budget", budget, 1, 10**7)
    with executor_of(integer("workers", workers, 1)) as (executor, _):
        candidates, tried, inside = _explore(search, budget, executor)
    if not candidates:
        return Finding(search, tried, inside, None, np.nan)
    for k, (_, point) in enumerate(candidates):
        counterexample, verdict, value = search.broken(point)
        if k == 0 or counterexample:
            found = (point, value if verdict else candidates[0][0], verdict)
        if counterexample:
            plain = shrink(search, point, value)
            again, verdict, value = search.broken(plain, _FINAL)
            if again:
                return Finding(search, tried, inside, *found, True, plain, verdict, value)
    return Finding(search, tried, inside, *found)


def _explore(search, budget, executor):
    """Return candidates (slack, point), the best first, the number of points tried and that within the hypotheses."""
    seen, count = {}, [0, 0]

    def each(function, tasks, size=1):
        return list(map(function, tasks) if executor is None else executor.map(function, tasks, chunksize=size))

    def evaluate(points):
        values = each(search.slack, points, CHUNK if search.domain is not SEEDS else 1)
        note(points, values)
        return values

    def note(points, values):
        count[0] += len(points)
        for point, value in zip(points, values, strict=True):
            if value < OUTSIDE:
                count[1] += 1
                seen.setdefault(search.domain.write(point), (value, point))

    if search.domain is SEEDS:
        evaluate([{"seed": seed} for seed in range(budget)])
    else:
        best = _evolve(search, budget - budget // 3, evaluate)
        share = budget // 3 // len(best)
        for points, values in each(partial(_refine, search, share), best):
            note(points, values)
    ranked = sorted(seen.values(), key=lambda one: one[0])
    return ranked[:CONFIRMED], *count


def _evolve(search, budget, evaluate):
    """Spend the budget on differential evolution; return the best vectors it has seen."""
    from scipy.optimize import differential_evolution

    scalars, seen = search.domain.scalars(), {}
    rng = stream("falsify", search.seed, claim=search.name, twin=search.twin, budget=budget)
    bounds = np.array([coordinate.bounds() for _, _, coordinate in scalars], float)
    size = int(np.clip(budget // GENERATIONS, 5, 8 * len(scalars)))

    def objective(X):
        vectors = [tuple(vector) for vector in np.atleast_2d(X.T).tolist()]
        values = evaluate([search.domain.point(vector) for vector in vectors])
        seen.update(zip(vectors, values, strict=True))
        return np.array(values)

    differential_evolution(
        objective, bounds, init=bounds[:, 0] + rng.random((size, len(scalars))) * np.ptp(bounds, axis=1),
        integrality=[coordinate.integer for _, _, coordinate in scalars], maxiter=max(budget // size - 1, 0),
        vectorized=True, updating="deferred", polish=False, tol=0.0, seed=rng,
    )  # fmt: skip
    return sorted(seen, key=seen.get)[:REFINED]


def _refine(search, budget, vector):
    """Spend the budget on the continuous coordinates from a vector on; return the points tried and their slacks."""
    from scipy.optimize import minimize

    points, values = [], []
    scalars = search.domain.scalars()
    free = [k for k, (_, _, coordinate) in enumerate(scalars) if not coordinate.integer]
    low, high = np.array([scalars[k][2].bounds() for k in free], float).reshape(-1, 2).T
    start = np.array(vector)

    def objective(shares):
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


# the plainest point that still is a counterexample


def shrink(search, point, value):
    """Return a plainer point that keeps half of the violation, in logarithms; `value` is the point's slack."""
    point = dict(point)

    def try_on(name, place, plainer):
        changed = plainer if place is None else (*point[name][:place], plainer, *point[name][place + 1 :])
        if changed == point[name]:
            return False
        broken, _, found = search.broken({**point, name: changed})
        if not (broken and found <= 0.5 * value):
            return False
        point[name] = changed
        return True

    for name, default in search.domain.defaults().items():  # a whole vector at once
        try_on(name, None, default)
    for name, place, coordinate in search.domain.scalars():
        now = point[name] if place is None else point[name][place]
        any(try_on(name, place, plainer) for plainer in coordinate.rounded(now) if plainer != now)
    return point

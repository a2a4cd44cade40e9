"""How a claim is judged: pure functions (samples, prediction, tolerance, false-alarm rate) → verdict.

Simulation proves nothing: `holds` means not falsified on the points tried. The false-alarm rate bounds the chance
that a true claim is called `violated`; `inconclusive` is the honest middle.

A claim with a hidden constant or a limit carries a finite-size tolerance. Its interval is widened by it before it
is compared, and precision alone never turns a true limit into `violated`: a gap that at least halves from the far
half of the points to the half nearer the limit is `inconclusive` instead.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from theory.claim import Kind, Observation, Outcome, Samples
from theory.interval import Interval, interval_of, mean_interval, slopes


@dataclass(frozen=True)
class Verdict:
    """An outcome with the figure it rests on.

    `measure` names `value` (a slack, an exponent, a deviation …), `interval` is None where nothing is random,
    `points` counts what was tried; `details` holds what else is worth printing.
    """

    outcome: Outcome
    measure: str
    value: float
    interval: tuple[float, float] | None
    points: int
    details: dict[str, Any] = field(default_factory=dict)


Judge = Callable[[Samples, Any, float, float], Verdict]


def _of_finite(judge: Judge) -> Judge:
    """Let `judge` see finite samples only: anything else, a broken observation, is `inconclusive`.

    What samples.given["notes"] holds is printed among the details.
    """

    @wraps(judge)
    def guarded(samples: Samples, prediction: ArrayLike, tolerance: float, false_alarm: float) -> Verdict:
        missing = int((~np.isfinite(np.asarray(samples.observed, float))).sum())
        if missing or not np.isfinite(np.asarray(prediction, float)).all():
            details = {"not finite": missing}
            return Verdict(Outcome.INCONCLUSIVE, "not finite", np.nan, None, np.size(samples.observed), details)
        verdict = judge(samples, prediction, tolerance, false_alarm)
        return replace(verdict, details={**verdict.details, **samples.given.get("notes", {})})

    return guarded


@_of_finite
def judge_identity(samples: Samples, prediction: ArrayLike, tolerance: float, false_alarm: float) -> Verdict:
    """Largest |observed − predicted| over the largest |predicted|: holds up to `tolerance` (relative)."""
    observed, predicted = np.broadcast_arrays(np.asarray(samples.observed, float), np.asarray(prediction, float))
    scale = np.abs(predicted).max()
    error = float(np.abs(observed - predicted).max() / (scale if scale > 0.0 else 1.0))
    outcome = Outcome.HOLDS if error <= tolerance else Outcome.VIOLATED
    return Verdict(outcome, "relative error", error, None, observed.size)


def _slack(mean: Interval, bound: float, unit: float, side: float) -> Interval:
    low, high = sorted(side * (bound - end) / unit for end in (mean.low, mean.high))
    return Interval(side * (bound - mean.value) / unit, low, high)


def _judge_bound(samples: Samples, prediction: ArrayLike, tolerance: float, false_alarm: float, side: float) -> Verdict:
    """Slack side · (bound − observed), relative to the bound (1 where it is 0): holds if ≥ −tolerance at every point.

    With one axis more than the bound, the last axis of `observed` holds replicates and their mean is bounded; where
    samples.given has their "range", by an interval that needs no normality.
    """
    observed, bound = np.asarray(samples.observed, float), np.asarray(prediction, float)
    scale = np.where(bound == 0.0, 1.0, np.abs(bound))
    trivial = samples.given.get("trivial")
    if observed.ndim > bound.ndim:
        rows, interval_at = observed.reshape(-1, observed.shape[-1]), interval_of(samples.given)
        each = [interval_at(row, false_alarm / len(rows)) for row in rows]
        pairs = zip(each, bound.ravel(), scale.ravel(), strict=True)
        slack = [_slack(i, b, unit, side) for i, b, unit in pairs]
        worst = min(slack, key=lambda s: (s.high >= -tolerance, s.low))  # a violated point before a straddling one
        if worst.high < -tolerance:
            outcome = Outcome.VIOLATED
        else:
            outcome = Outcome.HOLDS if worst.low >= -tolerance else Outcome.INCONCLUSIVE
        value, interval = worst.value, (worst.low, worst.high)
        at = slack.index(worst)
        details = {"observed mean there": each[at].value, "bound there": float(bound.ravel()[at])}
    else:
        slack = side * (bound - observed) / scale
        value, interval = float(slack.min()) + 0.0, None  # no −0
        outcome = Outcome.HOLDS if value >= -tolerance else Outcome.VIOLATED
        details = {"share inside": float(np.mean(slack >= -tolerance))}
    if outcome is Outcome.HOLDS and trivial is not None and (side * (bound - np.asarray(trivial)) >= 0.0).all():
        outcome = Outcome.VACUOUS
    return Verdict(outcome, "smallest slack", value, interval, observed.size, details)


@_of_finite
def judge_upper_bound(samples: Samples, prediction: ArrayLike, tolerance: float, false_alarm: float) -> Verdict:
    """Judge observed ≤ bound; `vacuous` where the bound is never below samples.given["trivial"]."""
    return _judge_bound(samples, prediction, tolerance, false_alarm, 1.0)


@_of_finite
def judge_lower_bound(samples: Samples, prediction: ArrayLike, tolerance: float, false_alarm: float) -> Verdict:
    """Judge observed ≥ bound; `vacuous` where the bound is never above samples.given["trivial"]."""
    return _judge_bound(samples, prediction, tolerance, false_alarm, -1.0)


def _judge_towards(
    whole: Interval, near: Interval, far: Interval, target: float, tolerance: float, measure: str, points: int,
    details: dict[str, Any],
) -> Verdict:  # fmt: skip
    """Return the rule for limits: `whole`, and its drift from the half `far` from the limit to the half `near` it."""
    gap, gap_far, gap_near = (abs(part.value - target) for part in (whole, far, near))
    approaching = gap_near + near.half_width <= 0.5 * gap_far
    receding = gap_near - near.half_width > max(gap_far + far.half_width, tolerance)
    if gap > whole.half_width + tolerance and not approaching:
        outcome = Outcome.VIOLATED
    elif gap <= whole.half_width + tolerance and whole.half_width <= tolerance and not receding:
        outcome = Outcome.HOLDS
    else:
        outcome = Outcome.INCONCLUSIVE
    details = {"far from the limit": far.value, "near the limit": near.value, **details}
    return Verdict(outcome, measure, whole.value, (whole.low, whole.high), points, details)


@_of_finite
def judge_rate(samples: Samples, prediction: float, tolerance: float, false_alarm: float) -> Verdict:
    """Judge the exponent of observed (points, replicates) in samples.given["x"] (points,) against `prediction`.

    Replicates are fitted one by one. The interval of the mean slope is widened by `tolerance`; `holds` also asks
    for a half-width within it and for a slope that does not recede from the prediction along the axis.
    """
    x, y = np.asarray(samples.given["x"], float), np.asarray(samples.observed, float)
    if not ((y > 0.0).all() and np.isfinite(x).all() and (x > 0.0).all()) or len(np.unique(x)) < max(len(x), 3):
        return Verdict(Outcome.INCONCLUSIVE, "exponent", np.nan, None, y.size, {"not positive": int((y <= 0.0).sum())})
    half = (len(x) + 1) // 2
    whole = mean_interval(slopes(x, y), false_alarm)
    far = mean_interval(slopes(x[:half], y[:half]), false_alarm)
    near = mean_interval(slopes(x[-half:], y[-half:]), false_alarm)
    constant = float(np.exp(np.mean(np.log(y) - prediction * np.log(x)[:, None])))
    decades = float(abs(np.log10(x[-1] / x[0])))
    details = {"predicted": float(prediction), "implied constant": constant, "decades": decades}
    return _judge_towards(whole, near, far, float(prediction), tolerance, "exponent", y.size, details)


@_of_finite
def judge_limit(samples: Samples, prediction: ArrayLike, tolerance: float, false_alarm: float) -> Verdict:
    """Judge observed/predicted − 1 at the last point, nearest the limit; the first is the one far from it.

    observed (points, replicates), predicted (points,) or scalar, not 0.
    """
    observed = np.atleast_2d(np.asarray(samples.observed, float))
    predicted = np.broadcast_to(np.asarray(prediction, float), observed.shape[:1])
    details = {"observed": float(observed[-1].mean()), "form": float(predicted[-1])}
    if not predicted.all():
        return Verdict(Outcome.INCONCLUSIVE, "deviation", np.nan, None, observed.size, details)
    far, near = (mean_interval(observed[k] / predicted[k] - 1.0, false_alarm) for k in (0, -1))
    return _judge_towards(near, near, far, 0.0, tolerance, "deviation", observed.size, details)


@_of_finite
def judge_ordering(samples: Samples, prediction: float, tolerance: float, false_alarm: float) -> Verdict:
    """Judge that the mean of the paired differences samples.observed (R,) exceeds `prediction`."""
    difference = mean_interval(np.ravel(samples.observed), false_alarm)
    if difference.low > prediction + tolerance:
        outcome = Outcome.HOLDS
    elif difference.high < prediction - tolerance:
        outcome = Outcome.VIOLATED
    else:
        outcome = Outcome.INCONCLUSIVE
    interval = (difference.low, difference.high)
    details = {name: float(np.mean(samples.given[name])) for name in ("first", "second") if name in samples.given}
    return Verdict(outcome, "difference", difference.value, interval, np.size(samples.observed), details)


JUDGES: dict[Kind, Judge] = {
    Kind.IDENTITY: judge_identity,
    Kind.UPPER_BOUND: judge_upper_bound,
    Kind.LOWER_BOUND: judge_lower_bound,
    Kind.RATE: judge_rate,
    Kind.LIMIT: judge_limit,
    Kind.PHASE_BOUNDARY: judge_rate,
    Kind.ORDERING: judge_ordering,
}

_DEVIATIONS = (Kind.IDENTITY, Kind.RATE, Kind.LIMIT, Kind.PHASE_BOUNDARY)  # worst is largest; else smallest
_SEVERITY = [Outcome.HOLDS, Outcome.VACUOUS, Outcome.INCONCLUSIVE, Outcome.VIOLATED]


def judge(
    kind: Kind, observation: Observation, prediction: Any, tolerance: float, false_alarm: float, *, worst: bool = True
) -> Verdict:
    """Judge one set of samples, or several axes of one claim (a mapping of each, the rate split among them).

    Of several axes the verdict is the worst one's (the best one's with `worst=False`, as a negative control is
    rejected only if every axis is), with every axis under details.
    """
    if isinstance(observation, Samples):
        return JUDGES[kind](observation, prediction, tolerance, false_alarm)
    share = false_alarm / len(observation)
    verdicts = {axis: JUDGES[kind](s, prediction[axis], tolerance, share) for axis, s in observation.items()}

    def rank(axis: str) -> tuple[int, float]:
        v = verdicts[axis]
        deviation = abs(v.value - v.details.get("predicted", 0.0)) if kind in _DEVIATIONS else -v.value
        return _SEVERITY.index(v.outcome), deviation

    axis = (max if worst else min)(verdicts, key=rank)
    chosen = verdicts[axis]
    details = {name: {"value": v.value, "interval": v.interval, **v.details} for name, v in verdicts.items()}
    return Verdict(
        chosen.outcome, f"{chosen.measure} in {axis}", chosen.value, chosen.interval,
        sum(v.points for v in verdicts.values()), details,
    )  # fmt: skip


def detectable(verdict: Verdict, tolerance: float) -> float | None:
    """Return the smallest violation that is as surely called `violated` as a true claim is not; None without interval.

    In the judge's unit, tolerance + width of the interval: a true figure that far beyond what is claimed is in its
    interval, which is then beyond the tolerance as a whole. Of several axes the least precise one's.
    """
    axes = [each for each in verdict.details.values() if isinstance(each, dict) and "interval" in each]
    intervals = [each["interval"] for each in axes] if axes else [verdict.interval]
    widths = [high - low for low, high in filter(None, intervals) if np.isfinite(high - low)]
    return tolerance + max(widths) if widths else None

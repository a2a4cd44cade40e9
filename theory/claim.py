"""What a claim is. Light: importing a claim loads neither numba nor scipy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from typing import Any

import numpy as np

from theory.domain import Domain
from theory.types import Runner, Settings


class Kind(StrEnum):
    """What a claim asserts, which decides its judge (see `theory.verdict`)."""

    IDENTITY = "identity"
    UPPER_BOUND = "upper bound"
    LOWER_BOUND = "lower bound"
    RATE = "rate"
    LIMIT = "limit"
    PHASE_BOUNDARY = "phase boundary"
    ORDERING = "ordering"


class Outcome(StrEnum):
    """How a claim fares on the points tried."""

    HOLDS = "holds"  # not falsified on these points
    VIOLATED = "violated"
    VACUOUS = "vacuous"  # true, but says nothing here
    INCONCLUSIVE = "inconclusive"  # the interval straddles
    OUT_OF_SCOPE = "out of scope"  # a hypothesis is not met


@dataclass(frozen=True)
class Paper:
    """Where a theorem comes from; `arxiv` is empty for our own results."""

    key: str
    title: str
    authors: str
    venue: str
    arxiv: str
    bibtex: str


@dataclass(frozen=True)
class Hypothesis:
    """A condition of a theorem with its margin: how many times over it is met with constant 1 (≥ 1: met).

    The papers hide constants and logarithms in most of them: `margin(parameters)` is then printed and decides
    nothing. Where this project states a scope of its own, `required` is the smallest margin within it.
    """

    name: str
    text: str
    margin: Callable[[Mapping[str, Any]], float]
    required: float | None = None


@dataclass(frozen=True)
class Samples:
    """What was observed, and what it was observed at.

    `observed` has the points along axis 0; a last axis more than the prediction has holds replicates. `given`
    holds what the prediction needs, "x" being the abscissa of a rate or limit, ordered towards the limit,
    "range" the least and largest value that a bound's replicates can have, and "notes" what else is to be printed.
    """

    observed: np.ndarray
    given: Mapping[str, Any] = field(default_factory=dict)


Observation = Samples | Mapping[str, Samples]  # several axes of one claim, each judged
Prediction = Callable[[Samples], Any]


@dataclass(frozen=True)
class Control:
    """The same judge on the same samples with another prediction, or on other dynamics (`changes` to the settings).

    A negative control must come out `violated`; a twin, the repaired form beside a claim that fails, must hold. The
    control of a claim with a twin is the twin's: what it does not name itself it takes from there.
    """

    title: str
    predict: Prediction | Mapping[str, Prediction] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    r"""A theorem, or a sharper or commonly stated form of one, together with the way to check it.

    id `paper/name`; statement and source in words; `parameters` the nominal setting that hypotheses are evaluated at,
    by paper symbol (a function of the others where it follows them); `observe(settings, runner)` returns the samples
    and `predict(samples)` the closed form at them; `tolerance`, in the judge's unit, with its reason; `expected` the
    verdict, one or per mode; `ours` marks forms that no paper states; `extra` names an extra of the installation that
    `observe` needs, and a module that it brings; `formula` is what `predict` asserts in LaTeX, pieces that may stand
    on lines of their own parted by \qquad; `domain` is where `falsify` searches it.
    """

    id: str
    title: str
    statement: str
    source: str
    kind: Kind
    hypotheses: Sequence[Hypothesis]
    parameters: Mapping[str, Any]
    observe: Callable[[Settings, Runner], Observation]
    predict: Prediction | Mapping[str, Prediction]
    tolerance: float
    tolerance_reason: str
    control: Control
    quick: Mapping[str, Any]
    full: Mapping[str, Any]
    expected: Outcome | Mapping[str, Outcome] = Outcome.HOLDS
    twin: Control | None = None
    judged: Outcome | None = None  # what the judge must say where the expected verdict is `out of scope`
    ours: bool = False
    extra: tuple[str, str] | None = None
    formula: str = ""
    domain: Domain | None = None

    def missing(self) -> str | None:
        """Return the extra that checking needs and this installation lacks; None if there is none."""
        return self.extra[0] if self.extra and find_spec(self.extra[1]) is None else None

    def expected_in(self, mode: str) -> Outcome:
        """Return the verdict fixed beforehand for `quick` or `full`."""
        return self.expected if isinstance(self.expected, Outcome) else self.expected[mode]

    def setting(self, **changes: Any) -> dict[str, Any]:
        """Return the nominal parameters, some of them changed and those that follow others worked out."""
        given = {**self.parameters, **changes}
        return {letter: value(given) if callable(value) else value for letter, value in given.items()}

    def margins(self, **changes: Any) -> list[tuple[Hypothesis, float]]:
        """Return each hypothesis with its margin at the nominal parameters, some of them changed."""
        parameters = self.setting(**changes)
        return [(hypothesis, float(hypothesis.margin(parameters))) for hypothesis in self.hypotheses]

    def in_scope(self, **changes: Any) -> bool:
        """Return whether every hypothesis with a stated requirement meets it."""
        return all(h.required is None or margin >= h.required for h, margin in self.margins(**changes))

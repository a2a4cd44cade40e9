"""Toy claims of every kind, and their records, for tests of what is made of records."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulate.types import FloatArray
from theory.check import check
from theory.claim import Claim, Control, Hypothesis, Kind, Observation, Outcome, Prediction, Samples
from theory.commands import plain_json
from theory.record import record_text
from theory.types import Runner, Settings

HOSTILE = "<script>alert(1)</script>"


def _draw(settings: Settings, shape: int | tuple[int, int]) -> FloatArray:
    return np.random.default_rng(settings["seed"]).standard_normal(shape)


def _level(value: float) -> Prediction:
    return lambda samples: np.full(len(samples.observed), value)


def _powers(settings: Settings, runner: Runner) -> Observation:
    x, noise = np.geomspace(1.0, 1e4, 5), np.exp(0.01 * _draw(settings, (5, settings["seeds"])))
    return {axis: Samples(x[:, None] ** power * noise, {"x": x}) for axis, power in (("d", 0.5), ("n", -0.25))}


def _claim(
    name: str, kind: Kind, observe: Callable[[Settings, Runner], Observation],
    predict: Prediction | Mapping[str, Prediction], control: Control, **more: Any,
) -> Claim:  # fmt: skip
    more = {"tolerance": 0.05, "quick": {"seeds": 24}, "full": {"seeds": 48}, "hypotheses": (), "parameters": {}} | more
    given: dict[str, Any] = {
        "title": f"A toy {kind}", "statement": f"a statement about a {kind}", "source": "Toy & Toy 2000, Theorem 1",
        "tolerance_reason": "as it is a toy", "formula": r"x \le \frac{a}{b}\qquad \mathbb{E}\lVert x\rVert^2 = 1",
    }  # fmt: skip
    return Claim(
        id=f"toy2000/{name}", kind=kind, observe=observe, predict=predict, control=control, **given | more,
    )  # fmt: skip


IDENTITY = _claim(
    "identity", Kind.IDENTITY, lambda s, r: Samples(np.linspace(-1.0, 1.0, 1000) + 1e-12 * _draw(s, 1000)),
    lambda s: np.linspace(-1.0, 1.0, 1000), Control("twice that", lambda s: np.linspace(-2.0, 2.0, 1000)),
    hypotheses=(
        Hypothesis("small", "a ≤ 1", lambda a: 2.0 / a["a"], 1.0), Hypothesis("hidden", "a ≤ C", lambda a: 3.0),
    ), parameters={"a": 1.0},
)  # fmt: skip
MEANS = _claim(
    "means", Kind.UPPER_BOUND, lambda s, r: Samples(s["centre"] + 0.01 * _draw(s, (6, s["seeds"]))), _level(2.0),
    Control("around 3", changes={"centre": 3.0}), quick={"centre": 1.0, "seeds": 24}, full={"centre": 1.0, "seeds": 48},
)  # fmt: skip
RATE = _claim(
    "rate", Kind.RATE, _powers, {"d": lambda s: 0.5, "n": lambda s: -0.25},
    Control("another power", {"d": lambda s: 1.0, "n": lambda s: 0.0}),
)  # fmt: skip
LIMIT = _claim(
    "limit", Kind.LIMIT, lambda s, r: Samples(1.0 + np.array([[0.1], [0.01], [0.001]]) * (1.0 + _draw(s, (3, 24)))),
    lambda s: 1.0, Control("half of it", lambda s: 0.5),
)  # fmt: skip
ORDERING = _claim(
    "ordering", Kind.ORDERING, lambda s, r: {f"{HOSTILE} $x": Samples(1.0 + 0.1 * _draw(s, 24))},
    lambda s: 0.5, Control("by two", lambda s: 2.0), title=f"A toy {HOSTILE}", statement=f"a {HOSTILE} & more",
    formula=r"\text{<script>alert(1)</script>} \href{javascript:alert(1)}{x} < 1", source=f"{HOSTILE} 2000",
)  # fmt: skip
FALSE = _claim(
    "false", Kind.LOWER_BOUND, lambda s, r: Samples(np.exp(_draw(s, 500))), _level(1.0), Control("ten", _level(10.0)),
    twin=Control("no less than 0", _level(0.0)), expected=Outcome.VIOLATED,
)  # fmt: skip
MISSING = _claim(
    "missing", Kind.UPPER_BOUND, lambda s, r: Samples(np.ones(3)), _level(2.0), Control("none", _level(0.0)),
    extra=("toy", "no_such_module"),
)  # fmt: skip
CLAIMS = (IDENTITY, MEANS, RATE, LIMIT, ORDERING, FALSE, MISSING)


def records(mode: str = "quick", seed: int = 0) -> list[dict[str, Any]]:
    """Return the records of every toy claim, as plain data."""
    return [plain_json(check(claim, mode, seed).to_dict()) for claim in CLAIMS]


def written(rows: Sequence[Mapping[str, Any]], folder: Path, name: str = "records.json") -> Path:
    """Return the path of a file with these records."""
    path = folder / name
    path.write_text(record_text(rows), encoding="utf-8")
    return path

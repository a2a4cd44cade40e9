"""What a run is, whatever the model: a specification in, a result out."""

import dataclasses
import hashlib
import importlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from simulate.compiled import fingerprint
from simulate.parameters import integer, reject, sequence

RESULTS = {
    "conv": "simulate.conv_run:ConvResult",
    "diagonal": "simulate.diagonal_run:DiagonalResult",
    "finite-sum": "simulate.finite_sum_run:FiniteSumResult",
    "relu": "simulate.relu_regression:ReluResult",
}
"""Where each model's result class is."""


@dataclass(frozen=True)
class DataFile:
    """A user's own .npz file, known by its content; subclasses add what describes it."""

    path: str
    sha256: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        """Fingerprint the file; raises ParameterError if it cannot be read."""
        try:
            path = os.fsdecode(self.path)
            if not os.path.isfile(path):  # a device has no end
                raise FileNotFoundError("no such file")
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, TypeError, ValueError) as error:
            reject("data", self.path, f"a readable .npz file ({error})")
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "sha256", digest)


@dataclass(frozen=True)
class Specification:
    """Everything that decides one run: a frozen dataclass of plain data with a field `data` and a `seed`."""

    model: ClassVar[str]
    if TYPE_CHECKING:  # fields of every subclass, each in its own place and with its own default

        @property
        def data(self) -> Any:
            """What it runs on."""

        @property
        def seed(self) -> int:
            """Of its random streams."""

    def at_seed(self, seed: int) -> Self:
        """Return the same with another seed."""
        changed: dict[str, Any] = {"seed": seed}
        return dataclasses.replace(self, **changed)

    def to_dict(self) -> dict[str, Any]:
        """Return the specification as plain data, the model named."""
        return {"model": self.model, **dataclasses.asdict(self)}

    def key(self) -> str:
        """Return the run's identity: a hash of the whole specification and of the kernels' `fingerprint`."""
        return seed_key(self.family(), self.seed)

    def stored(self) -> bool:
        """Return whether its results may be kept: not if its class is somebody's own, whose code no hash covers."""
        return type(self).__module__.startswith("simulate.")

    def family(self, kernels: str | None = None) -> str:
        """Return what the run shares with those that differ in the seed alone: a hash of everything else.

        `kernels` is the `fingerprint` of other kernels than these, under which runs were stored.
        """
        spec = {"model": self.model, **vars(self)}
        if not self.stored():
            spec["model"] = f"{type(self).__module__}.{type(self).__qualname__}"
        del spec["seed"]
        if isinstance(self.data, DataFile):  # its content counts, not its name
            spec["data"] = {name: value for name, value in vars(self.data).items() if name != "path"}
        text = json.dumps([kernels or fingerprint(), spec], sort_keys=True, default=vars)
        return hashlib.sha256(text.encode()).hexdigest()

    def run(self) -> "Result":
        """Carry the run out and return its `Result`. Pure: the same specification gives the same bits."""
        raise NotImplementedError

    def _set(self, **checked: Any) -> None:
        """Put checked values in place of those given."""
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def seed_key(family: str, seed: int) -> str:
    """Return the identity of the run of that seed of a `Specification.family`."""
    return hashlib.sha256(f"{family} {seed}".encode()).hexdigest()


def recorded_steps(record: Any) -> tuple[int, ...]:
    """Return the steps to record as integers, or raise ParameterError."""
    return tuple(integer("record", step, 0) for step in sequence("record", record, "a sequence of integers >= 0"))


@dataclass(frozen=True)
class Result:
    """What one run left behind: status, steps taken, and in subclasses floats, arrays and a `history` of arrays.

    A history has one row a recorded state along axis 0, the steps under "step"; the last row is the final state.
    """

    model: ClassVar[str]

    status: str
    steps: int

    def parts(self) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Return (floats, arrays) by field; the history's arrays are named history/<name>."""
        scalars: dict[str, float] = {}
        arrays: dict[str, np.ndarray] = {}
        for name in (f.name for f in dataclasses.fields(self) if f.name not in ("status", "steps")):
            value = getattr(self, name)
            if isinstance(value, dict):
                arrays |= {f"{name}/{key}": np.asarray(array) for key, array in value.items()}
            elif isinstance(value, np.ndarray):
                arrays[name] = value
            else:
                scalars[name] = value
        return scalars, arrays


def result_from_parts(
    model: str, status: str, steps: int, scalars: dict[str, float], arrays: dict[str, np.ndarray]
) -> Result:
    """Return the result of a model's run from `Result.parts`."""
    module, _, name = RESULTS[model].partition(":")
    history = {key.partition("/")[2]: value for key, value in arrays.items() if key.startswith("history/")}
    plain = {key: value for key, value in arrays.items() if not key.startswith("history/")}
    kind = getattr(importlib.import_module(module), name)
    result: Result = kind(status, steps, **scalars, **plain, history=history)
    return result

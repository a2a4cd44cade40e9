"""What the sharp asymptotics predict of a run: a `ConvSpec` in, every observable of the run out, at any dimension.

Three levels: `effective` (n → ∞, the default) and `limit` (at the run's own n) are drawn and carry standard errors;
`closed` is a formula and carries none. SAM's phase is followed at level limit; at level effective it is a closed form
(`theory.ours.sam_phase`) for noise that is silent.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from simulate.parameters import ParameterError, choice, integer, real, reject
from simulate.signal_noise import SignalNoise
from simulate.types import FloatArray
from theory.chen2023.setting import benign_parameter, resulting_flip_rate, sam_radius
from theory.conv_command import LEVELS
from theory.ours.asymptotics import Asymptotics
from theory.ours.averaged import effective_process, limit_system, sam_phase, signal_met
from theory.ours.closed import predict as closed_form
from theory.ours.sam_phase import phase_time, signal_learned, steps_to_learn
from theory.ours.sam_then_sgd import ROUNDS, signal_for_error
from theory.parameter_types import Level

if TYPE_CHECKING:
    from simulate.conv_run import ConvSpec

DRAWS = {("effective", "balanced"): 8, ("effective", "iid"): 8, ("limit", "balanced"): 32, ("limit", "iid"): 64}
PAIRS, FEWEST, MOST = 10_000, 50, 500  # own-class pairs of a draw of the effective process, and bounds of its samples
LARGEST_RATIO = 18.0  # of the learned signal to the initial weights, at level limit


class Estimate(NamedTuple):
    """A value and its Monte-Carlo standard error; None where it is computed without draws."""

    value: float
    error: float | None = None


class Condition(NamedTuple):
    """What the derivation asks of a setting: its value there, and the largest at which it was found to hold."""

    name: str
    value: float
    largest: float
    text: str

    @property
    def met(self) -> bool:
        """Whether the setting is within."""
        return bool(self.value <= self.largest)


@dataclass(frozen=True)
class Prediction:
    """What is predicted of a run; every result an `Estimate` under the run's own name for it.

    `draws` names number, samples and seed of the draws, None for the closed form. critical_mu is the ‖mu‖ at which
    the clean error is `target`, the length of SAM's phase in units of its growth time (kappa) kept; sam_needed the
    steps of SAM after which it is, NaN where no number does, with the gamma that they learn. `curve` holds arrays
    along SGD's phase, means over samples: steps (SAM's included), active_fraction, margin (its noise part), S,
    gamma and loss. `scope` are the conditions of the derivation.
    """

    level: str
    regime: str
    draws: Mapping[str, int] | None
    setting: Mapping[str, float]
    target: Level
    results: Mapping[str, Estimate]
    curve: Mapping[str, np.ndarray]
    scope: tuple[Condition, ...]

    def __getattr__(self, name: str) -> Estimate:
        if name.startswith("_") or name not in self.results:
            raise AttributeError(name)
        return self.results[name]

    @property
    def in_scope(self) -> bool:
        """Whether every condition of the derivation is met."""
        return all(condition.met for condition in self.scope)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "level": self.level,
            "regime": self.regime,
            "draws": self.draws,
            "errors": "none: closed form" if self.draws is None else "standard errors over draws",
            "setting": dict(self.setting),
            "target": {"level": str(self.target), "clean_error": _clean(self.target, self.setting["p"])},
            **{name: estimate._asdict() for name, estimate in self.results.items()},
            "curve": dict(self.curve),
            "scope": {
                "inside": self.in_scope,
                "conditions": [condition._asdict() | {"met": condition.met} for condition in self.scope],
            },
        }


def predict(
    spec: "ConvSpec", level: str = "effective", target: str | float | Level = "p+0.1", draws: int | None = None,
    samples: int | None = None, seed: int = 0, rows: int = 12,
) -> Prediction:  # fmt: skip
    """Return what is predicted of the runs of `spec` (see `sharpbounds.conv`), without one of them.

    `target` is the error to be met: a number (clean error) or p+NUMBER (test error; p the share flipped). `draws`
    and, for level `effective`, `samples` of each are by default as many as take seconds. `rows` of the curve. Raises
    ParameterError for what is not derived.
    """
    choice("level", level, LEVELS)
    rows, target = integer("rows", rows, 2, 10_000), _level(target)
    try:
        with np.errstate(all="ignore"):
            return _Predictor(spec, level, draws, samples, seed).prediction(target, rows)
    except ParameterError:
        raise
    except (ArithmeticError, ValueError) as error:
        data: Any = spec.data
        letters = data.signal_norm, data.noise_std, spec.init_std, spec.step_size
        reject("mu, sigma_p, sigma_0, eta", letters, f"numbers whose products float64 holds ({error})")


def _level(target: str | float | Level) -> Level:
    import click

    from theory.parameter_types import LEVEL

    if not isinstance(target, str | Level):
        return Level(real("target", target))
    try:
        level: Level = LEVEL.convert(target, None, None)
        return level
    except click.BadParameter as error:
        reject("target", target, f"a number, p+NUMBER or p-NUMBER ({error.message})")


def _clean(target: Level, p: float) -> float:
    """Return the clean error of a target: (test error − p)/(1 − 2p) where it is written with p."""
    return target.number / (1.0 - 2.0 * p) if target.above_flips else target.number


class _Predictor:
    """The letters of one specification, and the asymptotics at any start of SGD's phase."""

    def __init__(self, spec: "ConvSpec", level: str, draws: int | None, samples: int | None, seed: int) -> None:
        refuse(spec, level)
        data: Any = spec.data
        self.spec, self.level, self.p = spec, level, resulting_flip_rate(data)
        self.n, self.d, self.P, self.m = data.samples, data.dimension, data.patches, spec.width
        self.mu, self.sigma_p, self.labels = data.signal_norm, data.noise_std, data.labels
        noise = (self.P - 1) * self.sigma_p
        self.c = spec.init_std * noise * self.d / np.sqrt(self.n)
        self.e0 = spec.step_size * noise**2 * self.d / (self.n * self.m)
        self.batches = self.n // (spec.batch_size or self.n)
        self.sam_steps = spec.sam_steps if spec.rule == "sam-then-sgd" else 0
        self.gamma = self._learned(self.sam_steps)
        self.draws = None
        if level != "closed":
            self.draws = {"draws": integer("draws", DRAWS[level, data.labels] if draws is None else draws, 2, 10**6)}
            if level == "effective":
                self.draws["samples"] = integer("samples", self._samples() if samples is None else samples, 2, 10**6)
            elif samples is not None:
                reject("samples", samples, "left out with level limit, whose samples are the run's own")
            self.draws["seed"] = integer("seed", seed, 0)
        elif (draws, samples, seed) != (None, None, 0):
            reject("draws, samples, seed", (draws, samples, seed), "left out with level closed")

    def _samples(self) -> int:
        """As many as make PAIRS pairs, within bounds, and a multiple of n, for p to be met exactly."""
        size = min(max(PAIRS // self.m, FEWEST), MOST)
        return max(size // self.n, 1) * self.n if self.n <= size else size

    def _learned(self, steps: int) -> float:
        """Return gamma after so many steps of SAM."""
        return float(signal_learned(self.spec.step_size * self.mu**2 * steps / (2 * self.m), self.p))

    def _outliers(self, gamma: float, mu: float) -> float:
        """Return gamma/(sigma_0 √d ‖mu‖): the signal as the noise meets it, against the initial weights."""
        return float(signal_met(gamma, mu=mu, **self.place) / self.c) if gamma else 0.0

    @property
    def place(self) -> dict[str, Any]:
        """The letters of the methods of `Asymptotics`, without mu."""
        return {"n": self.n, "d": self.d, "P": self.P, "sigma_p": self.sigma_p}

    def asymptotics(self, gamma: float, mu: float) -> Asymptotics:
        """Return the curves of SGD from signal coefficient `gamma` on."""
        given: dict[str, Any] = {"p": self.p, "eps": self.spec.stop_loss, "e0": self.e0 * self.batches}
        if self.level == "closed":
            try:
                return closed_form(self.c, self.m, **given)
            except ParameterError as error:
                letters = self.c, self.spec.stop_loss, self.e0
                reject("c (of sigma_0), stop_loss, e0 (of eta)", letters, f"those of a closed form ({error})")
        given |= self.draws or {}
        iid = self.labels == "iid"
        if self.level == "limit":
            steps = self.sam_steps
            if (gamma, mu) != (self.gamma, self.mu):
                steps = steps_to_learn(gamma, self.m, self.spec.step_size, mu, self.p)
            radius = self.spec.radius
            if self.spec.rule == "sgd":  # for the steps of SAM needed
                radius = sam_radius(self.m, self.n, self.P, self.sigma_p, self.d, 1.0)
            sam = sam_phase(steps, self.n, self.d, self.m, self.P, mu, self.sigma_p, self.spec.step_size, radius)
            given |= {"labels": self.labels, "batches": self.batches, "sam": sam}
            left = max((self.spec.max_steps - steps) // self.batches, 1)
            return limit_system(self.n, self.c, self.m, **given, max_steps=left)
        ratio = self._outliers(gamma, mu)
        if ratio >= 1.0:
            reject("gamma/(sigma_0 √d ‖mu‖)", ratio, "< 1 at level effective: above, the signal silences samples. Try "
                   "level limit, a shorter SAM phase or a larger sigma_0")  # fmt: skip
        given |= {"start": gamma, "met": ratio * self.c, "iid": self.n if iid else None}
        try:
            return effective_process(self.c, self.m, **given)
        except ParameterError:  # of n → ∞ samples some have no neuron, for good
            if gamma and iid:
                raise
            reject("stop_loss", self.spec.stop_loss, "a loss that two draws reach at least: try level limit")

    def _within(self, gamma: float, mu: float) -> Asymptotics | None:
        """Return the same, or None where the signal silences samples."""
        try:
            return self.asymptotics(gamma, mu) if self.level == "limit" or self._outliers(gamma, mu) < 1.0 else None
        except ParameterError:
            return None

    def prediction(self, target: Level, rows: int) -> Prediction:
        goal = _clean(target, self.p)
        if not 0.0 < goal < 0.5:
            reject("target", str(target), "a clean error > 0 and < 0.5, or the test error p + (1 - 2p) times one")
        found = self.asymptotics(self.gamma, self.mu)
        errors = found.errors

        def clean_error(one: Asymptotics) -> float:
            return float(one.clean_error_at(mu=self.mu, **self.place))

        gamma = found.gamma(mu=self.mu, **self.place)
        growth = (gamma[-1] - found.start) / found.signal[-1] if found.signal[-1] else 0.0
        spread = np.hypot(growth * errors["signal"], errors["start"]) if errors else None
        clean = Estimate(clean_error(found), found.standard_error(clean_error))
        if not 0.0 <= clean.value <= 1.0:
            raise FloatingPointError(f"the clean error would be {clean.value}")
        results = {
            "clean_error": clean,
            "test_error": Estimate(self.p + (1 - 2 * self.p) * clean.value, _times(1 - 2 * self.p, clean.error)),
            "active_fraction": Estimate(float(found.active[-1]), errors.get("active")),
            "margin": Estimate(float(found.margin[-1]), errors.get("margin")),
            "gamma": Estimate(float(gamma[-1]), _times(1.0, spread)),
            # SGD's epochs are counted up to the first that is below the loss: half of one more in the mean
            "steps": Estimate(
                self.sam_steps + found.time / self.e0 + 0.5 * self.batches, _times(1 / self.e0, errors.get("tau"))
            ),
            "critical_mu": self._critical(goal, found),
        }
        if self.level != "closed":
            results |= self._needed(goal, found)
        setting = {
            "c": self.c, "e0": self.e0, "p": self.p, "sam_steps": self.sam_steps, "sam_gamma": found.start,
            "q": float(benign_parameter(self.n, self.mu, self.P, self.sigma_p, self.d)),
        }  # fmt: skip
        labels = f"balanced labels with exactly {round(self.p * self.n)} of {self.n} flipped"
        if self.labels == "iid":
            labels = "iid labels, averaged over their draws"
        regime = f"{'mini-' if self.batches > 1 else 'full '}batches, {labels} (p = {self.p:g})"
        return Prediction(
            self.level, regime, self.draws, setting, target, results, self._curve(found, gamma, rows),
            self._scope(found, results),
        )  # fmt: skip

    def _critical(self, goal: float, found: Asymptotics) -> Estimate:
        """Return the ‖mu‖ at which the clean error is `goal`: gamma kept, responses taken anew if they change."""
        mu, responses = self.mu, found
        for _ in range(ROUNDS):
            before, mu = mu, responses.critical_signal(goal, **self.place)
            if not self.gamma or abs(mu - before) <= 5e-3 * mu:
                break
            anew = self._within(self.gamma, mu)
            if anew is None:
                return Estimate(np.nan)
            responses = anew
        else:
            return Estimate(np.nan)

        def error(one: Asymptotics, at: float = mu) -> float:
            return one.clean_error_at(mu=at, **self.place)

        slope = (error(responses, 1.01 * mu) - error(responses, 0.99 * mu)) / (0.02 * mu)
        return Estimate(mu, _times(1.0 / abs(slope), responses.standard_error(error)))

    def _needed(self, goal: float, found: Asymptotics) -> dict[str, Estimate]:
        """Return sam_needed and the gamma that so many steps learn, for the clean error to be `goal` at this ‖mu‖."""
        nothing = {"sam_needed": Estimate(np.nan), "sam_gamma_needed": Estimate(np.nan)}
        if self.mu == 0.0 or goal <= ndtr(-self.mu / ((self.P - 1) * self.sigma_p)):
            return nothing
        place = {"mu": self.mu, **self.place}
        solved = signal_for_error(goal, lambda gamma: self._within(gamma, self.mu), self.gamma, found, self.p, place)
        if solved is None:
            return nothing
        gamma, start, responses = solved
        if start == 0.0:
            return {"sam_needed": Estimate(0, 0.0), "sam_gamma_needed": Estimate(0.0, 0.0)}

        def error(one: Asymptotics, start: float) -> float:
            return dataclasses.replace(one, start=start).clean_error_at(**place)

        step = 0.01 * start
        slope = (error(responses, start + step) - error(responses, start - step)) / (2.0 * step)
        deviation: Any = responses.standard_error(lambda one: error(one, start))
        spread = deviation / abs(slope)
        rate = self.spec.step_size * self.mu**2 / (2 * self.m)  # of T a step
        steps = steps_to_learn(gamma, self.m, self.spec.step_size, self.mu, self.p)
        stretch = float(phase_time(gamma + step, self.p) - phase_time(gamma - step, self.p)) / (2.0 * step)
        return {"sam_needed": Estimate(steps, spread * stretch / rate), "sam_gamma_needed": Estimate(start, spread)}

    def _curve(self, found: Asymptotics, gamma: FloatArray, rows: int) -> dict[str, FloatArray]:
        tau = np.expm1(np.linspace(0.0, np.log1p(found.time), rows))
        lines = {
            "active_fraction": found.active, "margin": found.margin, "S": found.S, "gamma": gamma, "loss": found.loss,
        }  # fmt: skip
        curve = {"steps": self.sam_steps + tau / self.e0}
        for name, line in lines.items():
            curve[name] = np.interp(np.log1p(tau), np.log1p(found.tau), line)
            curve[name][-1] = line[-1]  # the mean at each draw's own end
        return curve

    def _scope(self, found: Asymptotics, results: Mapping[str, Estimate]) -> tuple[Condition, ...]:
        """Return the conditions of the derivation at this setting."""
        grown = (results["gamma"].value - found.start) / results["margin"].value if results["margin"].value else 0.0
        rows = [
            Condition("n^2/d", self.n**2 / self.d, 1.0, "other samples' noise is nearly orthogonal"),
            Condition("e0", self.e0 * self.batches, 3.0, "small steps: eta (P-1)² sigma_p² d/(B m)"),
            Condition("n/2^m", self.n / 2.0 ** min(self.m, 1000), 0.2, "samples without a neuron at first, expected"),
            Condition("signal/noise", abs(grown), 0.03, "what SGD adds to gamma against the noise part of the margin"),
            Condition("steps", results["steps"].value, float(self.spec.max_steps), "the loss is reached in max_steps"),
        ]
        if self.draws is not None:
            rows.append(Condition("unfinished", 1.0 - found.finished, 0.0, "share of draws that never reach the loss"))
        if self.batches > 1 and self.level != "limit":
            jump = self.e0 * self.batches / self.c
            rows.append(Condition("e0 n/(B c)", jump, 0.35, "batches before theirs switch no pairs off"))
        if self.gamma and self.level == "limit":
            ratio = self._outliers(self.gamma, self.mu)
            text = "gamma/(sigma_0 √d ‖mu‖): the signal silences few samples"
            rows.append(Condition("outliers", ratio, LARGEST_RATIO, text))
        elif self.gamma:
            radius = sam_radius(self.m, self.n, self.P, self.sigma_p, self.d, 1.0)
            C3 = radius / self.spec.radius if self.spec.radius else np.inf
            share = self.spec.radius / (self.spec.init_std * np.sqrt(2 * self.m * self.d))
            rows.append(Condition("radius/weights", share, 0.1, "tau/(sigma_0 √(2md)): SAM switches no noise on"))
            rows.append(Condition("C3", C3, 1.0 + 1e-9, "SAM's radius is large enough to silence the noise"))
            ratio = self._outliers(self.gamma, self.mu)
            rows.append(Condition("outliers", ratio, 0.78, "gamma/(sigma_0 √d ‖mu‖): the signal silences no sample"))
        return tuple(rows)


def _times(factor: float, error: float | None) -> float | None:
    return None if error is None else float(abs(factor) * error)


def refuse(spec: "ConvSpec", level: str) -> None:
    """Raise ParameterError for a specification of which nothing is derived."""
    if not isinstance(spec.data, SignalNoise):
        reject("data", spec.data.path, "left out: drawn data are what is predicted")
    data = spec.data
    choice("rule", spec.rule, ("sgd", "sam-then-sgd"))
    after_sam = spec.rule == "sam-then-sgd" and spec.sam_steps
    if data.labels != "balanced" and (level == "closed" or (after_sam and level != "limit")):
        where = "after a SAM phase: try level limit" if after_sam else "at level closed"
        reject("labels", data.labels, f"balanced {where}")
    if spec.batch_size is not None and data.samples % spec.batch_size:
        reject("batch", spec.batch_size, f"a divisor of n = {data.samples}")
    if after_sam and spec.batch_size not in (None, data.samples):
        reject("batch", spec.batch_size, "full: mini-batches are not derived after a SAM phase")
    if data.noise_patches != "shared" and data.patches != 2:
        reject("noise_patches", data.noise_patches, "shared: independent ones are not derived")
    for name, value, allowed in (("density", spec.density, 1.0), ("decay", spec.decay, 0.0)):
        if value != allowed:
            reject(name, value, f"{allowed:g}: nothing else is derived")
    integer("n", data.samples, 2)
    integer("patches (P)", data.patches, 2)
    integer("width (m)", spec.width, 2)
    for name, value in (("sigma_p", data.noise_std), ("sigma_0", spec.init_std), ("stop_loss", spec.stop_loss)):
        if value == 0.0:
            reject(name, value, "> 0")
    if spec.stop_loss >= np.log(2.0):
        reject("stop_loss", spec.stop_loss, "< log 2, the loss at the start")
    if after_sam:
        if data.signal_norm == 0.0:
            reject("mu", data.signal_norm, "> 0 for SAM to learn it")
        if level == "closed":
            reject("level", level, "effective or limit after a SAM phase, where no closed form is derived")

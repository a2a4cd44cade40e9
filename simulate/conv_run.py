"""One run of the convolutional network: a specification in, a result out."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simulate.conv import DenseNetwork, GramNetwork, MaskedNetwork, Network
from simulate.generalisation import MAXIMUM_DIMENSION, clean_error, smoothed_error, test_error
from simulate.parameters import choice, integer, real, reject
from simulate.run import DataFile, Result, Specification, recorded_steps
from simulate.signal_noise import DenseInstance, SignalNoise, draw_dense, draw_gram, load_instance
from simulate.streams import stream
from simulate.types import BoolArray, FloatArray
from simulate.update import Batches, Phase, Rule, train

RULES = ("sgd", "sam", "sam-then-sgd")
SPACES = ("gram", "dense")


@dataclass(frozen=True)
class VectorFile(DataFile):
    """The user's own mu, noise vectors and labels (see `signal_noise.load_instance`), known by their content.

    `noise_std` and `flip_rate` describe the fresh samples that the test error is taken over.
    """

    noise_std: float = 1.0
    flip_rate: float = 0.0

    def __post_init__(self) -> None:
        """Fingerprint the file; raises ParameterError if it cannot be read."""
        super().__post_init__()
        object.__setattr__(self, "noise_std", real("noise_std (sigma_p)", self.noise_std))
        object.__setattr__(self, "flip_rate", real("flip_rate (p)", self.flip_rate, below=0.5))


@dataclass(frozen=True)
class ConvSpec(Specification):
    """Everything that decides one run of the convolutional network.

    width m (2m neurons), init_std sigma_0, radius tau of SAM, sam_steps the length of SAM's phase under
    `sam-then-sgd`, batch_size B (None: full batch), step_size eta; `record` lists the steps whose state is kept
    (the last state always is). `space` is `gram` (default) or `dense`. density < 1 keeps each weight with that
    probability and fixes the others at 0, which needs the d-vectors; mu then has all coordinates alike. decay
    multiplies the weights by 1 − eta · decay before each step. `smoothed` asks for the more precise clean error of
    `generalisation.smoothed_error`, for one noise vector a sample.
    """

    model = "conv"

    data: SignalNoise | VectorFile = field(default_factory=SignalNoise)
    width: int = 10
    init_std: float = 0.001
    rule: str = "sgd"
    radius: float = 0.0
    sam_steps: int = 0
    batch_size: int | None = None
    step_size: float = 0.01
    max_steps: int = 60_000
    stop_loss: float = 0.01
    seed: int = 0
    space: str = "gram"
    record: tuple[int, ...] = ()
    density: float = 1.0
    decay: float = 0.0
    smoothed: bool = False

    def __post_init__(self) -> None:
        """Check every parameter once; raises ValueError."""
        if not isinstance(self.data, SignalNoise | VectorFile):
            reject("data", self.data, "a SignalNoise or a VectorFile")
        samples = self.data.samples if isinstance(self.data, SignalNoise) else None
        checked = {
            "width": integer("width (m)", self.width, 1, 10**6),
            "init_std": real("init_std (sigma_0)", self.init_std),
            "rule": choice("rule", self.rule, RULES),
            "radius": real("radius (tau)", self.radius),
            "sam_steps": integer("sam_steps", self.sam_steps, 0),
            "step_size": real("step_size (eta)", self.step_size, strict=True),
            "max_steps": integer("max_steps", self.max_steps, 0),
            "stop_loss": real("stop_loss", self.stop_loss),
            "seed": integer("seed", self.seed, 0),
            "space": choice("space", self.space, SPACES),
            "density": _density(self.density),
            "decay": real("decay", self.decay),
            "smoothed": bool(choice("smoothed", self.smoothed, (True, False))),
            "record": recorded_steps(self.record),
        }
        if self.batch_size is not None:
            checked["batch_size"] = integer("batch_size (B)", self.batch_size, 1, samples)
        self._set(**checked)
        if self.decay * self.step_size >= 1.0:
            reject("decay", self.decay, f"< 1/step_size = {1.0 / self.step_size:g}")

    def run(self) -> "ConvResult":
        """See `run`."""
        return run(self)

    def phases(self) -> list[Phase]:
        """Return the rules in turn with their step counts, which add up to max_steps."""
        sgd, sam = Rule(0.0), Rule(self.radius)
        if self.rule == "sgd":
            return [Phase(sgd, self.max_steps)]
        if self.rule == "sam":
            return [Phase(sam, self.max_steps)]
        first = min(self.sam_steps, self.max_steps)
        return [Phase(sam, first), Phase(sgd, self.max_steps - first)]


@dataclass(frozen=True)
class ConvResult(Result):
    """What one run left behind.

    status `stopped`, `max-steps` or `diverged`; steps taken; train_loss; clean_error e with its quasi-Monte-Carlo
    standard error; test_error p + (1 − 2p) e; class_correlation (see `class_correlation`); labels y and
    signal_labels ŷ (n,); history: step (R,), loss (R,), logits (R, n), gamma (R, 2m), rho (R, 2m, N) and
    deactivated (R,), the last row being the final state.
    """

    model = "conv"

    train_loss: float
    clean_error: float
    clean_error_se: float
    test_error: float
    class_correlation: float
    labels: FloatArray
    signal_labels: FloatArray
    history: dict[str, np.ndarray]

    @property
    def gamma(self) -> FloatArray:
        """Final signal coefficients (2m,), the m rows of class +1 first."""
        gamma: FloatArray = self.history["gamma"][-1]
        return gamma

    @property
    def rho(self) -> FloatArray:
        """Final noise coefficients (2m, N)."""
        rho: FloatArray = self.history["rho"][-1]
        return rho

    def own_class(self) -> BoolArray:
        """Return the mask (2m, N) of pairs with J_r = y_i, where rho is rho_bar (elsewhere rho_under)."""
        rows, columns = self.rho.shape
        signs = np.repeat([1.0, -1.0], rows // 2)
        own: BoolArray = signs[:, None] == np.repeat(self.labels, columns // len(self.labels))
        return own

    @property
    def rho_bar_mean(self) -> float:
        """Mean of the final rho over pairs with J_r = y_i."""
        return _mean(self.rho[self.own_class()])

    @property
    def rho_under_mean(self) -> float:
        """Mean of the final rho over pairs with J_r = −y_i."""
        return _mean(self.rho[~self.own_class()])


def _density(value: Any) -> float:
    """Return a number within (0, 1], or raise ParameterError."""
    if real("density", value, strict=True) > 1.0:
        reject("density", value, "a finite number > 0 and <= 1")
    return real("density", value)


def _mean(values: FloatArray) -> float:
    with np.errstate(over="ignore", invalid="ignore"):  # of a diverged run
        return float(values.mean()) if values.size else 0.0


def class_correlation(network: Network) -> float:
    """Return the mean correlation of two neurons of one class in their response to a fresh noise vector.

    Σ off-diagonal / ((m − 1) Σ diagonal) over the two class blocks of W Wᵀ; NaN at m = 1 or zero weights.
    """
    covariance, m = network.covariance(), len(network.signs) // 2
    blocks = covariance[:m, :m], covariance[m:, m:]
    diagonal = sum(np.trace(block) for block in blocks)
    if m == 1 or not np.isfinite(diagonal) or diagonal <= 0.0:
        return np.nan
    return float((sum(block.sum() for block in blocks) - diagonal) / ((m - 1) * diagonal))


def build_network(spec: ConvSpec) -> GramNetwork | DenseNetwork:
    """Return the untrained network of a specification, in its space."""
    gram, masked = spec.space == "gram", spec.density < 1.0
    drawing = spec.width, spec.init_std, spec.seed
    instance: Any
    if not isinstance(spec.data, SignalNoise):
        instance = load_instance(spec.data.path, *drawing)
    elif gram and not masked:
        instance = draw_gram(spec.data, *drawing)
    else:
        instance = draw_dense(spec.data, *drawing, spread=masked)
    if masked:
        instance = instance.masked(spec.density, spec.seed)
    elif gram and isinstance(instance, DenseInstance):
        instance = instance.to_gram()
    if spec.smoothed and instance.noise_count != 1:
        reject("smoothed", True, "False with independent noise patches")
    neurons = 2 * spec.width * instance.noise_count
    if neurons > MAXIMUM_DIMENSION:
        reject("2 · width · noise vectors of a sample", neurons, f"<= {MAXIMUM_DIMENSION}, the test error's dimensions")
    if not gram:
        return DenseNetwork(instance, spec.decay)
    return MaskedNetwork(instance, spec.decay) if masked else GramNetwork(instance, spec.decay)


def train_network(spec: ConvSpec, network: GramNetwork | DenseNetwork) -> tuple[str, int, dict[str, np.ndarray]]:
    """Train `network` in place as `spec` says; return (status, steps, records) as `update.train` does."""
    n = len(network.instance.labels)
    batch_size = n if spec.batch_size is None else spec.batch_size
    if batch_size > n:
        reject("batch_size (B)", batch_size, f"an integer >= 1 and <= {n}")
    batches = Batches(n, batch_size, stream("batches", spec.seed, samples=n, batch_size=batch_size))
    return train(network, spec.phases(), batches, spec.step_size, spec.stop_loss, spec.record)


def run(spec: ConvSpec) -> ConvResult:
    """Draw, train and test one network. Pure: the same specification gives the same result to the last bit."""
    network = build_network(spec)
    with np.errstate(over="ignore", invalid="ignore"):  # divergence is a status, not a warning
        status, steps, history = train_network(spec, network)
        e, se = (smoothed_error if spec.smoothed else clean_error)(network, spec.data.noise_std)
        correlation = class_correlation(network)
    return ConvResult(
        status, steps, float(history["loss"][-1]), e, se, test_error(e, spec.data.flip_rate), correlation,
        network.instance.labels, network.instance.signal_labels, history,
    )  # fmt: skip

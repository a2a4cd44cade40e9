"""What the asymptotics predict, whichever of the three levels they come from: one result type.

Units. d → ∞ at sigma_0 = c √n/((P − 1) sigma_p d), eta = e0 n m/((P − 1)² sigma_p² d) and fixed
q = n ‖mu‖⁴/((P − 1)⁴ sigma_p⁴ d): time tau = e0 · steps, pre-activations of fresh noise in √(n/d).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from simulate.parameters import reject
from simulate.types import FloatArray
from theory.chen2023.setting import benign_parameter, signal_to_noise_ratio
from theory.chen2023.sgd_boundary import critical_signal
from theory.ours.response import misclassified, signal_needed

COARSE = 41  # points of an integral of which many are averaged


@dataclass(frozen=True)
class Asymptotics:
    """The curves of SGD from the start, or from a SAM phase that ended at signal coefficient `start`.

    width m, flip_rate p (the share flipped exactly). Along time `tau` (K,), averaged over samples: the share `active`
    of own-class pairs that are on, the noise part `margin` x of the margin, S = ∫ s dtau, the training `loss`, and
    `signal`, which times n · SNR² is gamma − start: ½[(1 − p) S_clean − p S_flipped]. At the end: K_d, K_o, K_x (see
    `theory.ours.response`). `time` is the tau at which the loss is reached. `errors` holds the Monte-Carlo standard
    errors of the last of each curve and of the K, by name; the closed form has none. `covariance` (5, 5) is that of
    start, the final signal, K_d, K_o and K_x, None without errors. `finished` is the share of draws that reached their
    loss, of which these are the means. With iid labels errors are means over `draws` of labels, one with its weight and
    start, signal, K_d and K_o of class +1 and of class −1, (4, 2), in units of these means, and K_x alike.
    """

    width: int
    flip_rate: float
    start: float
    tau: FloatArray
    active: FloatArray
    margin: FloatArray
    S: FloatArray
    loss: FloatArray
    signal: FloatArray
    K_d: float
    K_o: float
    K_x: float
    errors: Mapping[str, float] = field(default_factory=dict)
    finished: float = 1.0
    time: float = np.nan
    covariance: FloatArray | None = None
    draws: tuple[tuple[float, FloatArray, float], ...] = ()

    def standard_error(self, function: "Callable[[Asymptotics], float]") -> float | None:
        """Return the Monte-Carlo error of function(self), a function of start, final signal and the K; None without."""
        if self.covariance is None:
            return None
        values, axes = np.linalg.eigh(self.covariance)  # along which they vary independently
        moves = [axis * np.sqrt(max(value, 0.0)) for value, axis in zip(values, axes.T, strict=True)]
        return float(np.sqrt(sum((function(self._moved(v)) - function(self._moved(-v))) ** 2 for v in moves))) / 2.0

    def _moved(self, by: FloatArray) -> "Asymptotics":
        start, signal, K_d, K_o, K_x = by
        return replace(
            self, start=self.start + start, signal=self.signal + signal, K_d=self.K_d + K_d, K_o=self.K_o + K_o,
            K_x=self.K_x + K_x,
        )  # fmt: skip

    def gamma(self, n: int, d: float, P: int, mu: float, sigma_p: float) -> FloatArray:
        """Return the signal coefficient along tau (K,)."""
        gamma: FloatArray = self.start + n * signal_to_noise_ratio(mu, P, sigma_p, d) ** 2 * self.signal
        return gamma

    def coefficient_ratio(self, n: int, d: float, P: int, mu: float, sigma_p: float) -> float:
        """Return the final gamma/x, which tends to n · SNR² (1 − 2p) · S/(2x) where start = 0."""
        return float(self.gamma(n, d, P, mu, sigma_p)[-1] / self.margin[-1])

    @property
    def _response(self) -> tuple[float, float, float, int]:
        return self.K_d, self.K_o, self.K_x, self.width

    def clean_error(self, q: ArrayLike) -> Any:
        """Return the clean error at q as d → ∞, start = 0; vectorised."""
        self._from_the_start()
        errors = [self._clean_error(0.0, np.sqrt(value), 0.0) for value in np.ravel(q)]
        return np.reshape(errors, np.shape(q))[()]

    def clean_error_at(self, n: int, d: float, P: int, mu: float, sigma_p: float) -> float:
        """Return the clean error at finite d, where fresh noise meets the learned signal too."""
        if mu == 0.0 and not self.draws:
            return 0.5
        scales = np.sqrt(d / n), np.sqrt(benign_parameter(n, mu, P, sigma_p, d))
        return self._clean_error(*scales, (P - 1) * sigma_p / mu if mu else 0.0)

    def _clean_error(self, of_start: float, of_signal: float, met: float) -> float:
        """Return the error at the logits of_start · start + of_signal · signal, `met` by the noise."""
        if not self.draws:
            logit = of_start * self.start + of_signal * self.signal[-1]
            return misclassified(logit, *self._response, logit * met)
        means, total = np.array([self.start, self.signal[-1], self.K_d, self.K_o]), 0.0
        for weight, classes, cross in self.draws:
            start, signal, K_d, K_o = means[:, None] * classes
            logit = of_start * start + of_signal * signal
            for pair in (slice(None), slice(None, None, -1)):
                shift = np.maximum(logit[pair] * met, 0.0)
                error = misclassified(logit[pair][0], K_d[pair], K_o[pair], self.K_x * cross, self.width, shift, COARSE)
                total += 0.5 * weight * error
        return total

    def critical_q(self, level: float) -> float:
        """Return the q at which the clean error is `level`, as d → ∞, start = 0."""
        self._from_the_start()
        q = (signal_needed(level, *self._response) / self.signal[-1]) ** 2
        if not self.draws:
            return float(q)
        while self.clean_error(q) > level:
            q *= 2.0
        return float(brentq(lambda q: self.clean_error(q) - level, 0.0, q, rtol=1e-5))

    def critical_signal(self, level: float, n: int, d: float, P: int, sigma_p: float) -> float:
        """Return the ‖mu‖ at which the clean error at finite d is `level`, in (0, ½), the responses as they are.

        As d → ∞ and start = 0 it is (q_c d/n)^(1/4) (P − 1) sigma_p.
        """
        high = (P - 1) * sigma_p if self.start else critical_signal(n, P, sigma_p, d, self.critical_q(level))
        while self.clean_error_at(n, d, P, high, sigma_p) > level:  # at finite d it takes more
            high *= 2.0
        rtol = 1e-5 if self.draws else 1e-12
        return float(brentq(lambda mu: self.clean_error_at(n, d, P, mu, sigma_p) - level, 0.0, high, rtol=rtol))

    def _from_the_start(self) -> None:
        if self.start != 0.0:
            reject("start", self.start, "0 in the limit of fixed q (or ask for finite d)")

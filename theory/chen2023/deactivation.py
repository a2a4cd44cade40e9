"""SAM deactivates the noise: the perturbation turns off the neurons that would learn it.

Setting. One SAM step with a batch of B samples, eps = tau ∇L_B/‖∇L_B‖_F, tau = m √B/(C3 P sigma_p √d).

Claim. On the batch, J = y_k and ⟨w, xi_k⟩ ≥ 0 imply ⟨w + eps, xi_k⟩ < 0, throughout SAM's phase, for C3 a small
enough constant. What is observed is the fraction turned off.

Where it ends. "Every pair" is a matter of C3: at C3 = 4 many stay on. And it is a matter of time: past SAM's phase the
samples whose signal is learned have small loss slopes s_k, the perturbation (whose norm is fixed) turns to the others,
and theirs stay on.

Ours. To leading order in 1/√d, with s_i the loss slopes, |A_i| the neurons (of both classes) active on xi_i,
c_± = Σ_{ŷ=±} s y ŷ over the batch and N_± the neurons with ±⟨w, mu⟩ > 0,

    ⟨eps, xi_k⟩ = −J y_k tau (P−1) s_k ‖xi_k‖² / √((P−1)² Σ_i s_i² |A_i| ‖xi_i‖² + ‖mu‖² (N₊ c₊² + N₋ c₋²))

for the active neurons of sample k: off-diagonal inner products of noise vectors are 1/√d smaller. At initialisation
s = ½ and |A_i| ≈ m, so ⟨eps, xi_k⟩ ≈ −tau sigma_p √d/√(m B) against ⟨w, xi_k⟩ ~ N(0, sigma_0² sigma_p² d), and the
fraction turned off is erf(tau/(sigma_0 √(2 m B))): 99 % needs tau ≈ 2.58 sigma_0 √(m B).

Source. Chen et al. 2023, the neuron-deactivation lemma behind Theorem 4.1; the formulas are derived here.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import IntArray
from theory.chen2023.setting import CONDITION, NOMINAL, sam_radius, sam_steps, scaled_init_std, scaled_spec, seeds
from theory.claim import Claim, Control, Kind, Outcome, Prediction, Samples
from theory.domain import Domain, Range
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.conv import Network


def deactivated_at_start(ratio: Numbers) -> Any:
    """Return erf(ratio/√2), the fraction turned off at initialisation, within 4 ulps; ratio = tau/(sigma_0 √(m B))."""
    from scipy.special import erf

    return erf(np.asarray(ratio, float) / np.sqrt(2.0))


def leading_perturbation(network: "Network", batch: IntArray, radius: float, signal: bool = True) -> Any:
    """Return the leading-order ⟨eps_r, xi_k⟩ (2m, B) of active neurons; `signal=False` drops mu's term.

    For shared noise patches. Entries of inactive pairs are not meaningful.
    """
    instance, H = network.instance, network.projections()
    y, y_hat, weight = instance.labels, instance.signal_labels, instance.noise_weight
    s = 1.0 / (1.0 + np.exp(y * network.logits()))
    squared = network.squared_norms()
    active = (H[:, 1 + batch] > 0.0).sum(axis=0)
    total = weight**2 * np.sum(s[batch] ** 2 * active * squared[1 + batch])
    if signal:
        for sign in (1.0, -1.0):
            c = np.sum((s * y * y_hat)[batch][y_hat[batch] == sign])
            total += squared[0] * np.sum(sign * H[:, 0] > 0.0) * c**2
    own = network.signs[:, None] * y[batch]
    return -own * radius * weight * s[batch] * squared[1 + batch] / np.sqrt(total)


def observe_start(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """Fraction turned off at initialisation for every tau/(sigma_0 √(m B)), towards large d."""
    from simulate.conv_run import build_network
    from simulate.runner import single_threaded
    from simulate.update import Rule

    n, m, everyone = 20, 50, np.arange(20)
    fractions: dict[float, list[list[float]]] = {ratio: [] for ratio in settings["ratios"]}
    for d in settings["d"]:
        with single_threaded():
            networks = [build_network(scaled_spec(seed, n, d, m, 2, 1.0)) for seed in seeds(settings)]
        for ratio, rows in fractions.items():
            radius = ratio * scaled_init_std(n, d, 1.0) * np.sqrt(m * n)
            rows.append([network.deactivated(everyone, Rule(radius)) for network in networks])
    return {f"tau = {r:g} sigma_0 √(mB)": Samples(np.array(rows), {"ratio": r}) for r, rows in fractions.items()}


def observe_leading_order(settings: Settings, runner: Runner) -> Samples:
    """Largest error of the leading order relative to its largest value, at trained states, along d."""
    from simulate.conv_run import build_network, train_network
    from simulate.runner import single_threaded
    from simulate.update import Rule

    errors = np.empty((len(settings["d"]), settings["seeds"]))
    for row, d in zip(errors, settings["d"], strict=True):
        for k, seed in enumerate(seeds(settings)):
            # n·‖mu‖²/d fixed, so that the signal's share of the gradient stays as d grows
            spec = scaled_spec(seed, 20, d, 10, 2, np.sqrt(d / 20), rule="sgd", max_steps=30, stop_loss=0.0)
            with single_threaded():
                network: Any = build_network(spec)
                train_network(spec, network)
            batch = np.arange(10)
            exact = network.perturbation(batch, Rule(1.0))[:, 1 + batch]
            formula = leading_perturbation(network, batch, 1.0, settings.get("signal", True))
            active = network.projections()[:, 1 + batch] > 0.0
            row[k] = np.abs(exact - formula)[active].max() / np.abs(exact[active]).max()
    return Samples(errors, {"x": np.array(settings["d"], float)})


def observe_along_sam(settings: Settings, runner: Runner) -> Samples:
    """Fraction turned off, averaged over SAM's steps, one replicate a seed: (C3, seeds).

    The setting is `sam_then_sgd`'s; settings["phases"] counts lengths of its SAM phase (kappa = 1/2).
    """
    n, d, m, B, mu, eta = 20, 20_000, 10, 10, 3.0, 0.01
    steps = settings["phases"] * sam_steps(0.5, m, eta, mu, 0.1)
    specs = [
        scaled_spec(
            seed, n, d, m, 2, mu, init_std=0.001, rule="sam", radius=sam_radius(m, B, 2, 1.0, d, C3), batch_size=B,
            step_size=eta, max_steps=steps, stop_loss=0.0, record=tuple(range(0, steps, 6)),
        )
        for C3 in settings["C3"] for seed in seeds(settings)
    ]  # fmt: skip
    fractions = [np.nanmean(result.history["deactivated"]) for result in runner.run(specs)]
    given = {"trivial": 0.0, "range": (0.0, 1.0)}
    return Samples(np.reshape(fractions, (len(settings["C3"]), settings["seeds"])), given)


def _share(value: float) -> Prediction:
    return lambda samples: np.full(len(samples.observed), value)


DEMO = NOMINAL | {"d": 20_000, "mu": 3.0, "sigma_0": 0.001, "eta": 0.01, "B": 10}
LEMMA = "Chen et al. 2023, neuron-deactivation lemma behind Theorem 4.1"

ALONG_SAM: dict[str, Any] = {
    "source": LEMMA, "kind": Kind.LOWER_BOUND, "hypotheses": CONDITION, "parameters": DEMO,
    "observe": observe_along_sam, "tolerance": 0.0, "tolerance_reason": "the share is in the bound",
}  # fmt: skip

# the share of the pairs that are turned off
OFF = r"\frac{\#\{\langle w_r+\epsilon_r,\xi_k\rangle<0\}}{\#\{J_r=y_k,\ \langle w_r,\xi_k\rangle\ge0\}}"

CLAIMS = (
    Claim(
        id="chen2023/deactivation",
        title="SAM turns the noise neurons off (C3 ≤ 1/2)",
        statement="J = y_k, ⟨w, xi_k⟩ ≥ 0 ⇒ ⟨w + eps, xi_k⟩ < 0: ≥ 90 % of pairs over SAM's phase",
        formula=OFF + r"\ge0.9 \qquad C_3\le\frac12",
        predict=_share(0.9),
        control=Control("C3 = 64", changes={"C3": (64.0,)}),
        quick={"C3": (0.25, 0.5), "phases": 1, "seeds": 192},
        full={"C3": (0.125, 0.25, 0.5), "phases": 1, "seeds": 200},
        domain=Domain(
            {"C3 of tau": Range(0.01, 0.5, 0.5, log=True)},
            lambda settings, runner: observe_along_sam(settings | {"C3": (settings["C3 of tau"],)}, runner),
            settings={"seeds": 4},
            sure={"seeds": 192},
            budget=40,
        ),
        **ALONG_SAM,
    ),
    Claim(
        id="chen2023/deactivation-all",
        title="Every one of them, at C3 = 4",
        statement="J = y_k, ⟨w, xi_k⟩ ≥ 0 ⇒ ⟨w + eps, xi_k⟩ < 0 for every pair, tau = m√B/(4 P sigma_p √d)",
        formula=OFF + r"=1 \qquad \tau=\frac{m\sqrt B}{4P\sigma_p\sqrt d}",
        predict=_share(1.0),
        control=Control("C3 = 64", changes={"C3": (64.0,)}),
        twin=Control("at least 30 % of them, on the same runs", _share(0.3)),
        quick={"C3": (4.0,), "phases": 1, "seeds": 144},
        full={"C3": (4.0,), "phases": 1, "seeds": 200},
        expected=Outcome.VIOLATED,
        **ALONG_SAM,
    ),
    Claim(
        id="chen2023/deactivation-later",
        title="The noise neurons stay off past SAM's phase",
        statement="≥ 99 % of pairs are still turned off over sixteen times the length of SAM's phase, C3 = 1/2",
        formula=OFF + r"\ge0.99 \qquad C_3=\frac12",
        predict=_share(0.99),
        control=Control("C3 = 64", changes={"C3": (64.0,)}),
        twin=Control("half of them over SAM's phase itself, on the same draws", _share(0.5), {"phases": 1}),
        quick={"C3": (0.5,), "phases": 16, "seeds": 40},
        full={"C3": (0.5,), "phases": 16, "seeds": 200},
        expected=Outcome.VIOLATED,
        **ALONG_SAM,
    ),
    Claim(
        id="chen2023/deactivation-at-start",
        title="Fraction turned off at initialisation",
        statement="the fraction is erf(tau/(sigma_0 √(2mB))) as d → ∞",
        formula=OFF + r"\to\operatorname{erf}\left(\frac{\tau}{\sigma_0\sqrt{2mB}}\right) \qquad d\to\infty",
        source="derived here; " + LEMMA,
        kind=Kind.LIMIT,
        hypotheses=(),
        parameters=NOMINAL | {"m": 50, "mu": 1.0},
        observe=observe_start,
        predict=lambda samples: deactivated_at_start(samples.given["ratio"]),
        tolerance=0.03,
        tolerance_reason="|A_i| fluctuates around m by √m at finite width",
        control=Control(
            "erf(tau/(sigma_0 √(mB))), a factor √2 forgotten",
            lambda samples: deactivated_at_start(samples.given["ratio"] * np.sqrt(2.0)),
        ),
        quick={"d": (10**4, 10**7), "ratios": (0.3, 1.0), "seeds": 400},
        full={"d": (10**4, 10**6, 10**8), "ratios": (0.1, 0.3, 1.0), "seeds": 1000},
        ours=True,
    ),
    Claim(
        id="chen2023/deactivation-leading-order",
        title="Error of the leading order of ⟨eps, xi_k⟩",
        statement="the relative error of the leading-order formula falls as d^(−1/2)",
        formula=(
            r"\langle\epsilon_r,\xi_k\rangle=-\frac{J_ry_k\tau(P-1)s_k\lVert\xi_k\rVert^2}{\sqrt D}\left(1"
            r"+\Theta(d^{-1/2})\right) \qquad "
            r"D=(P-1)^2\sum_is_i^2|A_i|\lVert\xi_i\rVert^2+\lVert\mu\rVert^2(N_+c_+^2+N_-c_-^2)"
        ),
        source="derived here; " + LEMMA,
        kind=Kind.RATE,
        hypotheses=(),
        parameters=NOMINAL,
        observe=observe_leading_order,
        predict=lambda samples: -0.5,
        tolerance=0.05,
        tolerance_reason="finite d at the low end",
        control=Control("mu's term dropped: the error does not fall", changes={"signal": False}),
        quick={"d": (10**4, 10**5, 10**6, 10**7), "seeds": 64},
        full={"d": tuple(10**k for k in range(4, 12)), "seeds": 256},
        ours=True,
    ),
)

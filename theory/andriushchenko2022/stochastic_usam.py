"""Convergence of stochastic USAM under bounded variance.

Setting. x ← x − gamma g_S(x + rho g_S(x)) with the same draw of b samples twice; every stochastic gradient
beta-Lipschitz, E‖g_i − ∇f‖² ≤ s² everywhere, samples drawn with replacement.

Claims. With gamma = 1/(√T beta) and rho = 1/(T^¼ beta),

    (1/T) Σ_{t<T} E‖∇f(x_t)‖² ≤ 4 beta (f(x_0) − f*)/√T + 8 s²/(b √T),

proved for T ≥ 4 (docs/andriushchenko2022.md). Under PL, with gamma_t = min{(8t+4)/(3 mu (t+1)²), 1/(2 beta)} and
rho_t = √(gamma_t/beta),

    E[f(x_T) − f*] ≤ 3 beta² (f(x_0) − f*)/(mu² T²) + 22 beta s²/(b mu² T).

beta has to be that of each stochastic gradient: with f_± = x²/2 ± cos(10x)/10, whose mean is as smooth as a parabola
and whose variance is at most 1, the bound with beta = Lip(∇f) = 1 fails, here as a claim of its own.

Source. Andriushchenko & Flammarion 2022, Theorem 2 and Appendix B (convergence of stochastic USAM).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.types import FloatArray
from theory.claim import Claim, Control, Hypothesis, Kind, Outcome, Samples
from theory.domain import Choice, Domain, Range
from theory.finite_sums import SEARCHED, given_spec, searched
from theory.types import Numbers, Runner, Settings

if TYPE_CHECKING:
    from simulate.finite_sum_run import FiniteSumSpec
    from simulate.objective import FiniteSum
    from simulate.sampling import Sampling

SMOOTH = Hypothesis("smooth", "beta bounds Lip(g_i) of every sample", lambda a: a["beta/max Lip(g_i)"], required=1.0)
LONG = Hypothesis("steps", "T ≥ 4", lambda a: a["T"] / 4, required=1.0)


def mean_gradient_bound(beta: Numbers, delta_0: Numbers, s2: Numbers, b: Numbers, T: Numbers) -> Any:
    """Return 4 beta delta_0/√T + 8 s²/(b √T)."""
    return (4.0 * beta * delta_0 + 8.0 * s2 / b) / np.sqrt(T)


def gap_bound(beta: Numbers, mu: Numbers, delta_0: Numbers, s2: Numbers, b: Numbers, T: Numbers) -> Any:
    """Return 3 beta² delta_0/(mu² T²) + 22 beta s²/(b mu² T)."""
    return 3.0 * (beta / (mu * T)) ** 2 * delta_0 + 22.0 * beta * s2 / (b * mu**2 * T)


def centred_quadratics(rng: np.random.Generator) -> "tuple[FiniteSum, float]":
    """Return f_i = ½ (x − c_i)ᵀH(x − c_i), all of one Hessian, with s² = mean ‖H(c_i − c̄)‖², the same everywhere."""
    from simulate.objective import finite_sum

    n, d = int(rng.integers(3, 8)), int(rng.integers(1, 4))
    root = np.linalg.qr(rng.standard_normal((d, d)))[0] * np.sqrt(rng.uniform(0.1, 1.0, d))
    centres = rng.standard_normal((n, d))
    A = np.tile(np.sqrt(d) * root.T, (n, 1))
    problem = finite_sum("square", A, np.einsum("rd,rd->r", A, centres.repeat(d, axis=0)), samples=n)
    spread = (centres - centres.mean(axis=0)) @ root @ root.T
    return problem, float((spread**2).sum(axis=1).mean())


def bounded_losses(rng: np.random.Generator) -> "tuple[FiniteSum, float]":
    """Return n robust losses that can all be fitted, and s² = mean ‖a_i‖² max phi'² of them, at r² = 1/3."""
    from simulate.objective import finite_sum

    n = int(rng.integers(2, 5))
    A, x = rng.standard_normal((n, n + 1)), rng.standard_normal(n + 1)
    return finite_sum("robust", A, A @ x, minimiser=x), float((A**2).sum(axis=1).mean()) * 27.0 / 256.0


def waves(rng: np.random.Generator) -> "tuple[FiniteSum, float]":
    """Return f_± = x²/2 ± cos(10 x)/10, of variance sin²(10 x) ≤ 1."""
    from simulate.objective import finite_sum

    return finite_sum("wave", np.ones((2, 1)), np.array([1.0, -1.0]), infimum=0.0), 1.0


FAMILIES = {"quadratic": centred_quadratics, "robust": bounded_losses, "wave": waves}


def runs(
    settings: Settings, family: str, k: int,
    schedule: Callable[[float, float], dict[str, Any]], record: Sequence[int], T: int, beta: float | None = None,
) -> "tuple[FiniteSum, float, int, float, float, list[FiniteSumSpec]]":  # fmt: skip
    """Return (problem, s², b, delta_0, specifications) of random problem k; `schedule(beta, mu)` its steps."""
    from simulate.sampling import sampling
    from simulate.streams import stream

    rng = stream("usam problems", settings["seed"] + k, family=family)
    problem, s2 = FAMILIES[family](rng)
    b = int(rng.integers(1, 3)) if family != "wave" else 1
    offset = np.ones(1) if family == "wave" else 3.0 * rng.standard_normal(len(problem.anchor))
    beta = beta or float(problem.sample_lipschitz.max())
    draws = sampling("replacement", problem, b)
    gap = float(problem.measure(offset[None])[0][0])
    specs = [
        given_spec(
            problem, draws, problem.anchor + offset, normalisation=0.0, max_steps=T, record=record,
            seed=settings["seed"] + j, **schedule(beta, problem.pl_constant),
        ) for j in range(settings["seeds"])
    ]  # fmt: skip
    return problem, s2, b, beta, gap, specs


def constant_schedule(T: int) -> Callable[[float, float], dict[str, Any]]:
    """Return gamma = 1/(√T beta) and rho = 1/(T^¼ beta) of a specification by beta."""
    return lambda beta, mu: {"step_size": 1.0 / (np.sqrt(T) * beta), "radius": 1.0 / (T**0.25 * beta)}


def falling_schedule(beta: float, mu: float) -> dict[str, Any]:
    """Return gamma_t = min{(8t+4)/(3 mu (t+1)²), 1/(2 beta)} and rho_t = √(gamma_t/beta) of a specification."""
    return {
        "step_size": 0.5 / beta, "schedule": "decreasing", "decay": 4.0 / (3.0 * mu), "radii": "root",
        "radius": 1.0 / np.sqrt(beta),
    }  # fmt: skip


def observe_gradients(settings: Settings, runner: Runner) -> dict[str, Samples]:
    """(1/T) Σ_{t<T} ‖∇f(x_t)‖² (problems · T, seeds) and the bound, for every family."""
    axes = {}
    for family in settings["families"]:
        groups, bounds = [], []
        for T in settings["T"]:
            for k in range(settings["problems"]):
                _, s2, b, beta, gap, specs = runs(
                    settings, family, k, constant_schedule(T), tuple(range(T)), T, settings.get("beta")
                )
                groups.append(specs)
                bounds.append(mean_gradient_bound(beta, gap, s2, b, T))
        results = iter(runner.run([spec for group in groups for spec in group]))
        observed = [[np.mean(next(results).history["gradient_norm"][:-1] ** 2) for _ in group] for group in groups]
        axes[family] = _samples(np.array(observed), np.array(bounds))
    return axes


def observe_gaps(settings: Settings, runner: Runner) -> Samples:
    """f(x_T) − f* (problems · T, seeds) and the bound: quadratics of one Hessian, whose variance is bounded."""
    groups, bounds = [], []
    record = tuple(settings["T"])
    for k in range(settings["problems"]):
        problem, s2, b, beta, gap, specs = runs(settings, "quadratic", k, falling_schedule, record, max(record))
        groups.append(specs)
        bounds += [gap_bound(beta, problem.pl_constant, gap, s2, b, T) for T in record]
    results = iter(runner.run([spec for group in groups for spec in group]))
    observed = np.concatenate([np.array([next(results).history["gap"] for _ in group]).T for group in groups])
    return _samples(observed, np.array(bounds))


def _samples(observed: FloatArray, bound: FloatArray) -> Samples:
    ratios = bound / observed.mean(axis=1)
    notes = {"least bound/observed": float(ratios.min()), "median bound/observed": float(np.median(ratios))}
    return Samples(observed, {"bound": bound, "notes": notes})


def searched_sum(settings: Settings) -> "tuple[FiniteSum, Sampling, FloatArray, float]":
    """Return (problem, sampling, x_0 − x*, s²) by their own numbers: parabolas of one curvature, or robust losses."""
    alike = {"scales": settings["scales"][:1] * 4, "d": 1, "rows": (1.0,) * 4} if settings["family"] == "square" else {}
    problem, draws, start = searched({"sampling": "replacement", "weights": (1.0,) * 4, **settings, **alike})
    if settings["family"] == "robust":
        return problem, draws, start, float((problem.A**2).sum(axis=1).mean()) * 27.0 / 256.0
    return problem, draws, start, float(problem.A[0, 0] ** 2 * problem.targets.var())


def observe_gradients_searched(settings: Settings, runner: Runner) -> Samples:
    """(1/T) Σ_{t<T} ‖∇f(x_t)‖² (1, seeds) of one problem by its own numbers."""
    problem, draws, start, s2 = searched_sum(settings)
    return _mean_gradient(settings, runner, problem, draws, start, s2, float(problem.sample_lipschitz.max()))


def observe_waves_searched(settings: Settings, runner: Runner) -> Samples:
    """Return the same of x²/2 ± w cos(10 x)/10, w = settings["wave"], of variance at most w²; beta = 1, or 1 + 10 w."""
    from simulate.objective import finite_sum
    from simulate.sampling import sampling

    w = settings["wave"]
    problem = finite_sum("wave", np.ones((2, 1)), w * np.array([1.0, -1.0]), infimum=0.0)
    beta = 1.0 if settings["smooth"] == "mean" else 1.0 + 10.0 * w
    draws, start = sampling("replacement", problem, 1), np.array([settings["start"]])
    return _mean_gradient(settings, runner, problem, draws, start, w * w, beta)


def _mean_gradient(
    settings: Settings, runner: Runner, problem: "FiniteSum", draws: "Sampling", start: FloatArray, s2: float,
    beta: float,
) -> Samples:  # fmt: skip
    T = settings["T"]
    run = {"normalisation": 0.0, "max_steps": T, "record": tuple(range(T)), **constant_schedule(T)(beta, 0.0)}
    seeds = range(settings["seed"], settings["seed"] + settings["seeds"])
    specs = [given_spec(problem, draws, problem.anchor + start, seed=seed, **run) for seed in seeds]
    observed = [[np.mean(result.history["gradient_norm"][:-1] ** 2) for result in runner.run(specs)]]
    gap = float(problem.measure(start[None])[0][0])
    return Samples(np.array(observed), {"bound": np.array([mean_gradient_bound(beta, gap, s2, draws.batch_size, T)])})


def observe_gaps_searched(settings: Settings, runner: Runner) -> Samples:
    """Exact E[f(x_T) − f*] of parabolas of one curvature by their own numbers."""
    from simulate.finite_sum import Schedule, expected_quadratic

    problem, draws, start, s2 = searched_sum(settings)
    beta, mu, T = float(problem.sample_lipschitz.max()), problem.pl_constant, settings["T"]
    steps = falling_schedule(beta, mu)
    schedule = Schedule(steps["step_size"], steps["radius"], steps["schedule"], steps["decay"], steps["radii"])
    gaps = expected_quadratic(problem, draws, schedule, problem.anchor + start, T)
    return Samples(gaps[-1:], {"bound": np.array([gap_bound(beta, mu, gaps[0], s2, draws.batch_size, T)])})


SUM = {name: SEARCHED[name] for name in ("n", "d", "rows", "scales", "targets", "noise", "tau", "start", "distance")}
LETTERS: dict[str, Any] = {"letters": lambda settings: {"T": settings["T"]}}
FEW, MORE = {"seeds": 4}, {"seeds": 48}
GRADIENTS = Domain(
    SUM | {"family": Choice(("square", "robust")), "T": Range(1, 300, 7, log=True, integer=True)},
    observe_gradients_searched, settings=FEW, sure=MORE, budget=1000, **LETTERS,
)  # fmt: skip
WAVES = Domain(
    {
        "wave": Range(0.0, 1.0, 1.0),
        "start": Range(-3.0, 3.0, 1.0),
        "T": Range(1, 3000, 7, log=True, integer=True),
    },
    observe_waves_searched, settings={"smooth": "mean", **FEW}, sure=MORE, budget=500, **LETTERS,
    twin=Control("beta = 1 + 10 w, that of each sample", changes={"smooth": "draw"}),
)  # fmt: skip
ALIKE = Domain(
    {name: SUM[name] for name in ("n", "targets", "noise", "tau", "start", "distance")}
    | {"scales": Range(0.1, 10.0, 1.0, log=True, size=1), "T": Range(1, 1000, 7, log=True, integer=True)},
    observe_gaps_searched, settings={"family": "square"},
)  # fmt: skip


def predict(samples: Samples) -> Any:
    """Return the bound."""
    return samples.given["bound"]


COMMON: dict[str, Any] = {
    "source": "Andriushchenko & Flammarion 2022, Theorem 2",
    "kind": Kind.UPPER_BOUND,
    "predict": predict,
    "tolerance": 1e-9,
    "tolerance_reason": "rounding",
    "parameters": {"beta/max Lip(g_i)": 1.0, "T": 4},
}

CLAIMS = (
    Claim(
        id="andriushchenko2022/stochastic-usam",
        title="Stochastic USAM finds small gradients",
        statement="(1/T) Σ E‖∇f(x_t)‖² ≤ 4 beta delta_0/√T + 8 s²/(b √T), gamma = 1/(√T beta), rho = 1/(T^¼ beta)",
        formula=(
            r"\frac1T\sum_{t<T}\mathbb{E}\lVert\nabla f(x_t)\rVert^2\le\frac{4\beta\delta_0}{\sqrt T}"
            r"+\frac{8s^2}{b\sqrt T} \qquad \gamma=\frac{1}{\sqrt T\beta},\ \rho=\frac{1}{T^{1/4}\beta}"
        ),
        hypotheses=(SMOOTH, LONG),
        observe=observe_gradients,
        control=Control("a hundredth of the bound", lambda samples: 0.01 * samples.given["bound"]),
        quick={"families": ("quadratic", "robust"), "T": (4, 100, 1000), "problems": 10, "seeds": 32},
        full={"families": ("quadratic", "robust"), "T": (4, 30, 100, 1000, 10_000), "problems": 40, "seeds": 100},
        domain=GRADIENTS,
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/stochastic-usam-mean-smoothness",
        title="The same with the smoothness of f alone",
        statement="the same with beta = Lip(∇f): f_± = x²/2 ± cos(10 x)/10, beta = 1, s² = 1, x_0 = 1",
        formula=(
            r"\frac1T\sum_{t<T}\mathbb{E}\lVert\nabla f(x_t)\rVert^2\le\frac{4\beta\delta_0}{\sqrt T}"
            r"+\frac{8s^2}{b\sqrt T} \qquad \beta=\operatorname{Lip}(\nabla f)"
        ),
        hypotheses=(LONG,),
        observe=observe_gradients,
        control=Control("a tenth of the bound", lambda samples: 0.1 * samples.given["bound"]),
        twin=Control("beta = 11, that of each sample", changes={"beta": 11.0}),
        quick={"families": ("wave",), "T": (1000,), "problems": 1, "seeds": 32, "beta": 1.0},
        full={"families": ("wave",), "T": (1000, 10_000, 40_000), "problems": 1, "seeds": 100, "beta": 1.0},
        domain=WAVES,
        expected=Outcome.VIOLATED,
        **COMMON,
    ),
    Claim(
        id="andriushchenko2022/stochastic-usam-pl",
        title="Stochastic USAM under PL: rate 1/T",
        statement="E[f(x_T) − f*] ≤ 3 beta² delta_0/(mu² T²) + 22 beta s²/(b mu² T), gamma_t and rho_t falling",
        formula=r"\mathbb{E}[f(x_T)-f^*]\le\frac{3\beta^2\delta_0}{\mu^2T^2}+\frac{22\beta s^2}{b\mu^2T}",
        hypotheses=(SMOOTH,),
        observe=observe_gaps,
        control=Control("a thousandth of the bound", lambda samples: 0.001 * samples.given["bound"]),
        quick={"T": (10, 100, 1000), "problems": 20, "seeds": 96},
        full={"T": (1, 10, 100, 1000, 10_000), "problems": 100, "seeds": 100},
        domain=ALIKE,
        **COMMON,
    ),
)

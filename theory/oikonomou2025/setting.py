"""What the theorems of Oikonomou & Loizou 2025 share: constants of a sampling, caps, floors, random instances.

Letters: f = (1/n) Σ f_i with infimum f*, L_i = Lip(∇f_i), mu the PL constant (‖∇f‖² ≥ 2 mu (f − f*)); g_S an unbiased
stochastic gradient; sigma* = f* − mean inf f_i; rho radius, lam normalisation, gamma step size. Expected residual:
E‖g_S‖² ≤ 2A (f − f*) + B ‖∇f‖² + C. L must bound Lip(g_S) for every draw S, not f's own constant or max L_i alone:
the proofs compare g_S at x with g_S at the perturbed point.
"""

from dataclasses import dataclass

import numpy as np

from theory.claim import Hypothesis

NOMINAL = {"rho/rho*": 0.9, "gamma/gamma*": 0.9, "L/max Lip(g_S)": 1.0}

SMALL_RADIUS = Hypothesis("radius", "rho ≤ rho*", lambda a: 1.0 / a["rho/rho*"], required=1.0)
SMALL_STEP = Hypothesis("step", "gamma ≤ gamma*(rho)", lambda a: 1.0 / a["gamma/gamma*"], required=1.0)
SMOOTH_DRAWS = Hypothesis(
    "smooth", "L bounds Lip(∇f) and Lip(g_S) of every draw", lambda a: a["L/max Lip(g_S)"], required=1.0
)


def expected_residual(kind, n, tau, L, p=None):
    """Return (A, B) of a sampling of n functions with constants L (n,) and probabilities p (n,); C = 2 A sigma*."""
    largest = float(np.max(L))
    if kind == "full" or (kind == "nice" and tau == n):
        return 0.0, 1.0
    if kind == "nice":
        return (n - tau) * largest / (tau * (n - 1)), n * (tau - 1) / (tau * (n - 1))
    if kind == "replacement":
        return largest / tau, 1.0 - 1.0 / tau
    return float(np.max(L / (n * p))), 0.0  # importance: p ∝ L_i makes it the mean of L_i


@dataclass(frozen=True)
class Constants:
    """The constants of a problem and a sampling that bounds are made of; arrays or numbers."""

    L: float
    mu: float
    A: float
    B: float
    C: float

    @property
    def D(self):
        """B mu + A: E‖g_S‖² ≤ (D/mu) ‖∇f‖² + C under PL."""
        return self.B * self.mu + self.A

    def radius_cap(self, lam):
        """Return rho* = mu/(L (mu + 2 D (1−lam)²))."""
        return self.mu / (self.L * (self.mu + 2.0 * self.D * (1.0 - lam) ** 2))

    def step_cap(self, rho, lam):
        """Return gamma* = (mu − L rho (mu + 2 D (1−lam)²))/(2 L D (1 + 2 L² rho² (1−lam)²))."""
        free = self.mu - self.L * rho * (self.mu + 2.0 * self.D * (1.0 - lam) ** 2)
        return free / (2.0 * self.L * self.D * (1.0 + 2.0 * (self.L * rho * (1.0 - lam)) ** 2))

    def floor(self, gamma, rho, lam):
        """Return N = (L/mu) {C [gamma + rho (1−lam)² (1 + 2 L² gamma rho)] + rho lam² (1 + 2 L² gamma rho)}."""
        bent = 1.0 + 2.0 * self.L**2 * gamma * rho
        return self.L / self.mu * (self.C * (gamma + rho * (1.0 - lam) ** 2 * bent) + rho * lam**2 * bent)

    def sharper_radius_cap(self, lam):
        """Return ¾ mu/(L (1−lam)(mu + D)), where the sharper step cap is 0; infinite at lam = 1."""
        with np.errstate(divide="ignore"):
            return 0.75 * self.mu / np.asarray(self.L * (1.0 - np.asarray(lam, float)) * (self.mu + self.D))

    def sharper_step_cap(self, rho, lam):
        """Return (¾ mu − L rho (1−lam)(mu + D))/(2 L D (1 + 2 L² rho² (1−lam)²))."""
        free = 0.75 * self.mu - self.L * rho * (1.0 - lam) * (self.mu + self.D)
        return free / (2.0 * self.L * self.D * (1.0 + 2.0 * (self.L * rho * (1.0 - lam)) ** 2))

    def sharper_floor(self, gamma, rho, lam):
        """Return N' = (L/mu) {C [gamma + rho (1−lam)/2 + 2 L² gamma rho² (1−lam)²] + 2 L rho² lam² (1 + L gamma)}."""
        noise = gamma + 0.5 * rho * (1.0 - lam) + 2.0 * gamma * (self.L * rho * (1.0 - lam)) ** 2
        return self.L / self.mu * (self.C * noise + 2.0 * self.L * (rho * lam) ** 2 * (1.0 + self.L * gamma))


def constants(problem, draws, largest_sample=False) -> Constants:
    """Return the constants of a `FiniteSum` and a `Sampling`; L = max L_i, too small, with `largest_sample`."""
    L_i = problem.sample_lipschitz
    A, B = expected_residual(draws.kind, problem.samples, draws.batch_size, L_i, draws.probabilities)
    L = float(L_i.max()) if largest_sample else max(problem.lipschitz, draws.lipschitz(problem))
    return Constants(L, problem.pl_constant, A, B, 2.0 * A * problem.noise)


PL_FAMILIES = ("square", "interpolated", "ridge", "full rank", "logistic", "sine")


def random_problem(rng, family):
    """Return a small random finite sum: n = 2 … 4 functions of d = 1 … 3 variables, rows and targets Gaussian."""
    from simulate.objective import finite_sum

    n, d = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    if family in ("sine", "robust"):
        d = max(d, n)
    rows = d if family == "full rank" else 1
    A = rng.standard_normal((n * rows, d)) * np.exp(rng.uniform(-1.0, 1.0, (n, 1))).repeat(rows, 0)
    b = rng.standard_normal(n * rows)
    if family in ("interpolated", "sine", "robust"):
        x = rng.standard_normal(d)
        return finite_sum({"interpolated": "square"}.get(family, family), A, A @ x, minimiser=x)
    if family == "logistic":
        return finite_sum("logistic", A, np.where(b > 0.0, 1.0, -1.0), float(np.exp(rng.uniform(-4.0, 0.0))))
    reg = float(np.exp(rng.uniform(-4.0, 1.0))) if family == "ridge" else 0.0
    return finite_sum("square", A, b, reg, n)


def random_sampling(rng, problem):
    """Return a random sampling of a problem."""
    from simulate.sampling import SAMPLINGS, sampling

    n, kind = problem.samples, SAMPLINGS[rng.integers(len(SAMPLINGS))]
    tau = int(rng.integers(1, n)) if kind == "nice" else int(rng.integers(1, 3)) if kind == "replacement" else 1
    p = rng.dirichlet(np.ones(n)) * 0.95 + 0.05 / n if kind == "single" else None
    return sampling(kind, problem, tau, p)


def random_normalisations(rng, count):
    """Return lam (count,): 0, 1 and uniform in between, a third of each."""
    return np.where(rng.random(count) < 1 / 3, 0.0, np.where(rng.random(count) < 0.5, 1.0, rng.random(count)))


def enumerate_instances(problem, draws, starts, gammas, radii, lam, steps):
    """Return exact E[f(x_t) − f*] and E‖∇f(x_t)‖² (count, steps + 1) of constant steps: starts − x* (count, d)."""
    from simulate.finite_sum import enumerate_paths
    from simulate.lanes import padded

    count, k = len(starts), problem.rows
    V, P = draws.law()

    def all_of(array):
        return np.ascontiguousarray(np.broadcast_to(array, (count, *np.shape(array))))

    gaps, squares = np.empty((count, steps + 1)), np.empty((count, steps + 1))
    enumerate_paths(
        problem.code, all_of(problem.padded_A), all_of(problem.offsets), all_of(problem.targets), all_of(problem.reg),
        all_of(problem.padded_anchor), padded(starts), all_of(np.repeat(V, k, axis=1) / k), all_of(P),
        np.repeat(gammas[:, None], steps, axis=1), np.repeat(radii[:, None], steps, axis=1), lam,
        all_of(problem.floor), gaps, squares,
    )  # fmt: skip
    return gaps, squares


def instances(settings, families=PL_FAMILIES):
    """Yield (problem, draws, rng) of settings["problems"] random problems, each family in turn."""
    from simulate.streams import stream

    for k in range(settings["problems"]):
        rng = stream("instances", settings["seed"] + k)
        problem = random_problem(rng, families[k % len(families)])
        yield problem, random_sampling(rng, problem), rng


def given_spec(problem, draws, start, **run):
    """Return the specification of a run on a given problem and sampling from `start` (d,)."""
    from simulate.finite_sum_data import OBJECTIVES, GivenSum
    from simulate.finite_sum_run import FiniteSumSpec

    names = {loss: name for name, loss in OBJECTIVES.items()} | {"square": "ridge" if problem.reg else "quadratic"}
    rows, *vectors = (array.tolist() for array in (problem.A, problem.targets, start))
    data = GivenSum(tuple(map(tuple, rows)), *map(tuple, vectors), problem.samples)
    drawn = {"sampling": draws.kind}
    if draws.kind in ("nice", "replacement"):
        drawn["batch_size"] = draws.batch_size
    if draws.kind == "single":
        drawn["probabilities"] = tuple(draws.probabilities.tolist())
    return FiniteSumSpec(data, names[problem.loss], problem.reg, **drawn, **run)


def slack_notes(ratios, count):
    """Return what is printed of bound/observed (points,): the smallest, the median, and how many instances."""
    ratios = ratios[np.isfinite(ratios)]
    return {"least bound/observed": float(ratios.min()), "median bound/observed": float(np.median(ratios)),
            "instances": int(count)}  # fmt: skip

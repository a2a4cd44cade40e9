"""How often do the intervals of `theory.interval` miss? Counted on samples of known laws.

    python tests/interval_coverage.py [--draws 100000] [--write]

A row is an interval, a law and a number of replicates, a column a rate at which the interval is to miss; `--write` puts
the table into `docs/verdicts.md`. The exponents are fitted by `slopes` to five points over five decades, each with
lognormal noise of its own and with noise that a replicate's points share. Intervals of bounded replicates take longer,
and are counted in a twentieth of the draws.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, which has a `theory` of its own

from simulate.types import FloatArray, IntArray
from theory.interval import interval_of, slopes

X = np.geomspace(1e3, 1e8, 5)
EXPONENT = 0.25


def exponents(rng: Generator, draws: int, replicates: int) -> FloatArray:
    """Return fitted exponents of replicates of X^¼ with noise, (draws, replicates)."""
    noise = 0.3 * rng.standard_normal((5, draws * replicates)) + 0.5 * rng.standard_normal(draws * replicates)
    return slopes(X, X[:, None] ** EXPONENT * np.exp(noise)).reshape(draws, replicates)


def outliers(rng: Generator, *shape: int) -> FloatArray:
    """Return errors about 0.01, one in a hundred 0.1."""
    return np.where(rng.random(shape) < 0.01, 0.1, 0.01 + 0.0005 * rng.standard_normal(shape))


Law = tuple[Callable[[Generator, int, int], FloatArray], float]  # a draw (draws, replicates) and its mean
LAWS: dict[str, Law] = {
    "normal": (lambda rng, *shape: rng.standard_normal(shape), 0.0),
    "uniform": (lambda rng, *shape: rng.random(shape), 0.5),
    "Student's, 3 degrees": (lambda rng, *shape: rng.standard_t(3.0, shape), 0.0),
    "two values, 1 in 4": (lambda rng, *shape: 1.0 * (rng.random(shape) < 0.25), 0.25),
    "exponential": (lambda rng, *shape: rng.standard_exponential(shape), 1.0),
    "lognormal": (lambda rng, *shape: np.exp(rng.standard_normal(shape)), np.exp(0.5)),
    "rare outliers": (outliers, 0.0109),
    "exponents": (exponents, EXPONENT),
}
Given = Mapping[str, Any]  # what samples say of themselves
STUDENT: Given = {}
HOEFFDING: Given = {"range": (0.0, 1.0)}
ROWS = [("Student", STUDENT, law, R) for law in LAWS for R in (6, 12, 24, 48)]
ROWS += [("Hoeffding", HOEFFDING, law, R) for law in ("two values, 1 in 4", "rare outliers") for R in (24, 192)]
RATES = (0.05, 1e-2, 1e-3, 1e-4)
MARKS = "<!-- coverage -->", "<!-- end of coverage -->"


def missed(given: Given, law: str, replicates: int, rates: Sequence[float], draws: int, seed: int = 0) -> IntArray:
    """Return at each rate how many of the intervals of `draws` samples do not hold the law's mean."""
    draw, mean = LAWS[law]
    samples = draw(np.random.default_rng([seed, replicates]), draws, replicates)
    counts = np.zeros(len(rates), int)
    for sample in samples:
        found = [interval_of(given)(sample, rate) for rate in rates]
        counts += [not i.low <= mean <= i.high for i in found]
    return counts


def table(draws: int) -> str:
    """Return the table as Markdown: shares of intervals that miss."""
    rates = " | ".join(f"{rate:g}" for rate in RATES)
    lines = [f"| interval | law | replicates | {rates} |", "|---" * (3 + len(RATES)) + "|"]
    for name, given, law, replicates in ROWS:
        count = draws if given is STUDENT else draws // 20
        shares = missed(given, law, replicates, RATES, count) / count
        cells = " | ".join(f"{share:.2g}" for share in shares)
        lines.append(f"| {name} | {law} | {replicates} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table; see the module."""
    import verdict_table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    text = table(given.draws)
    print(text)
    if given.write:
        verdict_table.put(text, MARKS)


if __name__ == "__main__":
    main()

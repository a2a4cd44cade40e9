"""Which errors in a closed form would the checks notice? Every claim's form is mutated, and every mutant judged.

    make mutants        (python tests/mutants.py [ID or glob]… [--workers 2] [--all] [--json FILE])

A claim is observed once at quick settings. Then its prediction is mutated, as a whole (× 2, ÷ 2, the sign; an exponent
± ½; an ordering reversed) and in the source of every function that it is made of: each constant × 2 and ÷ 2, each
exponent ± ½ (a root is one), each sign flipped, each term of a sum dropped, each minimum and maximum swapped. What is
plumbing, indices, axes, shapes, guards, is left alone. A claim whose form is worked out while it is observed, because
it is judged in units of the form or decides what is run, is observed anew with mutated forms. Claims expected to fail
are judged by their twin; one that is out of its scope, where nothing has to hold, is left out.

A mutant is *killed* if the verdict is no longer the expected one. Of those that are not, *equivalent* ones predict the
same bits, and *weaker* ones are bounds that are no tighter than the claim's at any point, and so as true. The rest
survives: `mutants.toml` has the reason by claim and mutant. Exit status 1 if a survivor has none there, or a reason no
survivor.
"""

import argparse
import ast
import copy
import functools
import gc
import importlib
import inspect
import json
import resource
import signal
import sys
import time
import tomllib
import types
from collections import Counter
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, which has a `theory` of its own

from simulate.executor import executor_of
from simulate.runner import Runner, single_threaded
from simulate.store import Store
from theory.check import FALSE_ALARM, predicted
from theory.claim import Control, Kind, Outcome, Samples
from theory.registry import claims, papers, select
from theory.verdict import judge

ROOT = Path(__file__).resolve().parents[1]
REASONS = Path(__file__).with_suffix(".toml")
ENOUGH = 5  # mutants of what is predicted; with fewer the forms within the observation are mutated too
MOST = 12  # of these, evenly chosen: each observes the claim anew

FEW = 6  # of either, where a prediction is a long computation:
LONG = {
    "ours/learning-curves", "ours/symmetric-coupling", "ours/accuracy-effective", "ours/boundary-constant",
    "ours/sam-then-sgd-error", "ours/sam-steps-for-error", "ours/iid-labels", "ours/mini-batches", "ours/sam-switches",
}  # fmt: skip
CPU_SECONDS = 10.0  # for one mutant: an iteration that no longer ends is noticed as well,
MOST_BYTES = 6 << 30  # more than before, and an array that grows without measure

# the operators


EXPONENT = {"sqrt": 0.5}
SWAPS = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "fmin": "fmax", "fmax": "fmin",
         "amin": "amax", "amax": "amin"}  # fmt: skip
PLUMBING = {  # calls whose arguments are shapes, counts, axes or guards
    "len", "range", "arange", "reshape", "zeros", "ones", "full", "empty", "eye", "linspace", "geomspace", "logspace",
    "repeat", "tile", "moveaxis", "swapaxes", "isclose", "allclose", "round", "pytest", "reject", "real", "integer",
    "choice", "leggauss", "hermgauss", "hermegauss", "errstate", "standard_normal", "random", "uniform", "brentq",
    "print", "zip", "enumerate", "cumsum", "diff", "solve_ivp", "minimize", "nan_to_num", "clip", "ones_like",
}  # fmt: skip
TINY, HUGE = 1e-6, 1e6  # a constant beyond is a tolerance or a guard


def called(node):
    """Return the name of what a call calls."""
    return getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""


def is_number(node):
    """Return whether a node is a number; a minus before it is a sign of its own."""
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def variants(node):
    """Yield what the operators make of one expression."""

    def power(base, exponent):
        return ast.BinOp(base, ast.Pow(), exponent)

    def moved(exponent, by):
        if is_number(exponent):
            return ast.Constant(exponent.value + by)
        return ast.BinOp(exponent, ast.Add(), ast.Constant(by))

    if is_number(node) and node.value and TINY <= abs(node.value) <= HUGE:
        yield ast.Constant(node.value * 2)
        yield ast.Constant(node.value / 2)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        for by in (0.5, -0.5):
            yield power(node.left, moved(node.right, by))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        plus = isinstance(node.op, ast.Add)
        yield ast.BinOp(node.left, ast.Sub() if plus else ast.Add(), node.right)
        yield node.left
        yield node.right if plus else ast.UnaryOp(ast.USub(), node.right)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand
    elif called(node) == "sqrt" and len(node.args) == 1:
        for by in (0.5, -0.5):
            yield power(node.args[0], ast.Constant(0.5 + by))
    elif called(node) in SWAPS:
        swapped = copy.deepcopy(node)
        name = "attr" if isinstance(node.func, ast.Attribute) else "id"
        setattr(swapped.func, name, SWAPS[called(node)])
        yield swapped


def sites(node):
    """Yield the expressions of a function that may be mutated, plumbing left out."""
    if isinstance(node, ast.FunctionDef):
        for statement in node.body:
            yield from sites(statement)
        return
    if isinstance(node, ast.Lambda):
        yield from sites(node.body)
        return
    if isinstance(node, ast.JoinedStr | ast.Assert | ast.Raise | ast.Import | ast.ImportFrom | ast.comprehension):
        return
    if isinstance(node, ast.Subscript):
        yield from sites(node.value)
        return
    if isinstance(node, ast.With):
        for statement in node.body:
            yield from sites(statement)
        return
    if isinstance(node, ast.Compare | ast.If | ast.While):  # the branches, not the conditions
        for child in ast.iter_child_nodes(node):
            if child is not getattr(node, "test", None) and not isinstance(node, ast.Compare):
                yield from sites(child)
        return
    if isinstance(node, ast.IfExp):
        yield from sites(node.body)
        yield from sites(node.orelse)
        return
    if called(node) in PLUMBING:
        if called(node) == "full" and len(node.args) == 2:  # np.full(shape, value)
            yield from sites(node.args[1])
        return
    if isinstance(node, ast.expr):
        yield node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and is_number(node.right):
        yield from sites(node.left)
        return
    if isinstance(node, ast.Call):
        for child in (node.func, *node.args):
            yield from sites(child)
        return
    for child in ast.iter_child_nodes(node):
        yield from sites(child)


# functions of the project, by module


@functools.cache
def tree(module):
    """Return the syntax tree of a module by name."""
    return ast.parse(Path(importlib.import_module(module).__file__).read_text())


def node_of(function):
    """Return the node in `tree(function.__module__)` that a function was made of."""
    positions = function.__code__.co_positions()
    spans = [(a, c) for a, b, c, d in positions if a and c is not None and (a, c) != (b, d)]
    lines = min(a for a, _ in spans), max(a for a, _ in spans)
    lambdas = function.__code__.co_name == "<lambda>"
    found = []
    for node in ast.walk(tree(function.__module__)):
        if isinstance(node, ast.Lambda if lambdas else ast.FunctionDef):
            named = lambdas or node.name == function.__code__.co_name
            inside = node.lineno <= lines[0] and lines[1] <= node.end_lineno
            if lambdas:
                inside = inside and all(
                    (node.lineno, node.col_offset) <= at <= (node.end_lineno, node.end_col_offset) for at in spans
                )
            if named and inside:
                found.append(node)
    return min(found, key=lambda node: (node.end_lineno - node.lineno, node.end_col_offset - node.col_offset))


def unwrapped(function):
    """Return the plain functions that a prediction or an observation is made of."""
    if isinstance(function, Mapping | list | tuple):
        values = function.values() if isinstance(function, Mapping) else function
        return [one for value in values for one in unwrapped(value)]
    if isinstance(function, functools.partial):
        return unwrapped(function.func) + unwrapped(function.args)
    function = function.fget if isinstance(function, property) else function
    function = inspect.unwrap(function) if callable(function) else function  # a cached one
    return [function] if isinstance(function, types.FunctionType) and function.__module__.startswith("theory.") else []


def reached(functions):
    """Return (module, node) of every function of `theory` that calls of `functions` may reach, these first."""
    found, queue = {}, list(functions)
    while queue:
        function = queue.pop(0)
        module, node = function.__module__, node_of(function)
        if (module, id(node)) in found:
            continue
        found[module, id(node)] = function, node
        if function not in functions and any(called(one).endswith("Spec") for one in ast.walk(node)):
            continue  # how a run is set up is no part of a form
        queue += [one for cell in function.__closure__ or () for one in unwrapped(cell.cell_contents)]
        space = dict(vars(sys.modules[module]))
        for inner in ast.walk(node):
            if isinstance(inner, ast.ImportFrom) and inner.module and inner.module.startswith("theory."):
                there = importlib.import_module(inner.module)
                space |= {alias.asname or alias.name: getattr(there, alias.name) for alias in inner.names}
        classes = [one for one in space.values() if isinstance(one, type) and one.__module__.startswith("theory.")]
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and inner.id in space and not isinstance(space[inner.id], type):
                queue += unwrapped(space[inner.id])
            elif isinstance(inner, ast.Attribute):
                queue += [one for c in classes for one in unwrapped(vars(c).get(inner.attr))]
    return list(found.values())


NOT_FORMS = {
    "settings", "runner", "rng", "seed", "problem", "problems", "samples", "spec", "specs", "family", "instances",
}  # fmt: skip


SETUP = {  # how a run is set up, what is only printed, and solvers
    "minimiser", "sam_radius", "sam_steps", "scaled_init_std", "scaled_step_size", "schedule", "settings",
    "slack_notes", "_samples", "resulting_flip_rate", "climb", "build", "uv_loss", "longer", "_at_edge",
    "slopes",
}  # fmt: skip


def is_form(node):
    """Return whether a function within an observation is a closed form: of numbers and arrays alone."""
    arguments = {a.arg for a in (*node.args.args, *filter(None, [node.args.vararg]))}
    if not arguments or arguments & NOT_FORMS or getattr(node, "name", "") in SETUP:
        return False
    inner = list(ast.walk(node))
    if any(isinstance(one, ast.While | ast.Yield | ast.ListComp) for one in inner):
        return False
    return not any(isinstance(one, ast.ImportFrom) and one.module.startswith("simulate") for one in inner)


def named(functions):
    """Return (module, name, node) of functions, (function, node) as `reached` returns them, but for the set-up."""
    found = [(f.__module__, f.__qualname__.replace("<locals>.", "").replace("<lambda>", "λ"), n) for f, n in functions]
    return [one for one in found if one[1].rpartition(".")[2] not in SETUP]


def inner_forms(observe, known):
    """Return (module, name, node) of the closed forms that an observation reaches, those written inside a function too.

    `known` are nodes to leave out.
    """
    found = {}
    for module, name, node in named(reached(unwrapped(observe))):
        if node in known:
            continue
        if is_form(node):
            found[id(node)] = module, name, node
        for one in ast.walk(node):
            if one is not node and isinstance(one, ast.Lambda | ast.FunctionDef) and is_form(one):
                found.setdefault(id(one), (module, f"{name}.{getattr(one, 'name', 'λ')}", one))
    outer = list(found.values())
    return [
        (module, name, node) for module, name, node in outer
        if not any(node is not other and node in ast.walk(other) for _, _, other in outer)
    ]  # fmt: skip


# mutants


@dataclass(frozen=True)
class Mutant:
    """A described change: of an expression (its node, another in its place) of a module, or of the prediction."""

    text: str
    module: str | None = None
    site: ast.expr | None = None
    variant: ast.expr | None = None
    change: object = None

    def tree(self) -> ast.Module:
        """Return the syntax of the module as mutated."""
        return ast.fix_missing_locations(copy.deepcopy(tree(self.module), {id(self.site): self.variant}))


def of_source(forms):
    """Yield the mutants of forms, (module, name, node) as `named` and `inner_forms` return them."""
    seen = Counter()
    for module, name, node in forms:
        for site in sites(node):
            for variant in variants(site):
                text = f"{name}: {ast.unparse(site)} → {ast.unparse(variant)}"
                seen[text] += 1
                text += f" (no. {seen[text]})" if seen[text] > 1 else ""
                yield Mutant(text, module, site, variant)


def of_cells(claim, predict):
    """Yield the mutants of the numbers that a prediction is closed over, as the 0.25 of `exponent(0.25)`."""
    if not isinstance(predict, types.FunctionType) or not predict.__closure__:
        return
    for place, cell in enumerate(predict.__closure__):
        value = cell.cell_contents
        if not isinstance(value, int | float) or isinstance(value, bool) or not value:
            continue
        for other in (value * 2, value / 2):
            cells = [types.CellType(other) if k == place else c for k, c in enumerate(predict.__closure__)]
            changed = types.FunctionType(
                predict.__code__, predict.__globals__, predict.__name__, predict.__defaults__, tuple(cells)
            )
            text = f"{predict.__code__.co_freevars[place]} = {value} → {other}"
            yield Mutant(text, change=("predict", changed))


def of_values(kind):
    """Yield the mutants of a prediction as a whole."""
    if kind is Kind.ORDERING:
        yield Mutant("reversed", change=("observed", lambda x: -x))
        return
    for text, change in (("× 2", lambda x: 2.0 * x), ("÷ 2", lambda x: 0.5 * x), ("sign", lambda x: -x)):
        yield Mutant(text, change=("value", change))
    if kind in (Kind.RATE, Kind.PHASE_BOUNDARY):
        for text, change in (("+ ½", lambda x: x + 0.5), ("− ½", lambda x: x - 0.5)):
            yield Mutant(text, change=("value", change))


@functools.cache
def imports():
    """Return the modules of `theory` that each one imports, by name."""
    names = [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in (ROOT / "theory").rglob("*.py")]
    names = [name.removesuffix(".__init__") for name in names]
    return {
        name: {n.module for n in ast.walk(tree(name)) if isinstance(n, ast.ImportFrom) and n.module} for name in names
    }


@functools.cache
def dependents(module):
    """Return the modules of papers that import a module, directly or not, and itself."""
    found = {module}
    while more := {name for name, needs in imports().items() if needs & found} - found:
        found |= more
    return {name for name in found if name.count(".") >= 2 or name == module}


@contextmanager
def mutated(home, mutant):
    """Give the claims of the module `home` as they are after a mutation of source."""
    gone = {name: sys.modules.pop(name) for name in dependents(mutant.module) if name in sys.modules}
    try:
        module = types.ModuleType(mutant.module)
        module.__file__ = gone[mutant.module].__file__
        module.__package__ = mutant.module.rpartition(".")[0]
        sys.modules[mutant.module] = module
        exec(compile(mutant.tree(), module.__file__, "exec"), vars(module))
        yield {claim.id: claim for claim in importlib.import_module(home).CLAIMS}
    finally:
        for name in dependents(mutant.module):
            sys.modules.pop(name, None)
        sys.modules.update(gone)
        for name, old in gone.items():
            package, _, last = name.rpartition(".")
            setattr(sys.modules[package], last, old)


# judging them


@functools.cache
def homes():
    """Return the module of every claim by id."""
    return {
        claim.id: f"theory.{key}.{name}"
        for key in papers()
        for name in importlib.import_module(f"theory.{key}").THEOREMS
        for claim in importlib.import_module(f"theory.{key}.{name}").CLAIMS
    }


def carried(claim):
    """Return (prediction, changes to the settings, expected outcome) of what is judged: the twin, if there is one."""
    repaired = claim.twin or Control("")
    outcome = Outcome.HOLDS if claim.twin else claim.judged or claim.expected_in("quick")
    return repaired.predict or claim.predict, repaired.changes, outcome


def each(function, *observations):
    """Apply a function to one observation or to every axis of several."""
    if isinstance(observations[0], Mapping):
        return {axis: function(*(one[axis] for one in observations)) for axis in observations[0]}
    return function(*observations)


def parts(values):
    """Return the arrays of an observation or a prediction, by axis or alone."""
    values = list(values.values()) if isinstance(values, Mapping) else [values]
    return [np.asarray(value.observed if isinstance(value, Samples) else value, float) for value in values]


def same(a, b):
    """Return whether two predictions, or two observations, agree to the last bit."""
    a, b = parts(a), parts(b)
    return len(a) == len(b) and all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


def weaker(kind, old, new):
    """Return whether a bound, (samples, prediction), is at no point tighter than before, in its value or its slack.

    What an ordering predicts is a lower bound of the differences.
    """
    side = {Kind.UPPER_BOUND: 1.0, Kind.LOWER_BOUND: -1.0, Kind.ORDERING: -1.0}.get(kind)
    if side is None:
        return False

    def slack(observed, bound):
        mean = observed.mean(axis=-1) if observed.ndim > bound.ndim else observed
        return side * (bound - mean) / np.where(bound == 0.0, 1.0, np.abs(bound))

    pairs = [list(zip(parts(samples), parts(prediction), strict=True)) for samples, prediction in (old, new)]
    return all(
        (np.array_equal(seen, found) and (side * (other - bound) >= 0.0).all())
        or (seen.shape == found.shape and (slack(found, other) >= slack(seen, bound) - 1e-12).all())
        for (seen, bound), (found, other) in zip(*pairs, strict=True)
    )


def fate(claim, mutant, samples, prediction, expected, observe):
    """Return (fate, what the judge says): killed, equivalent, weaker or survived.

    `samples` and `prediction` are the claim's; `observe` observes a mutated claim, None where it need not be.
    """
    found, new = samples, prediction
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
    try:
        with np.errstate(all="ignore"):
            if mutant.module:
                with mutated(homes()[claim.id], mutant) as there:
                    other = there[claim.id]
                    found = observe(other) if observe else samples
                    new = predicted(carried(other)[0], found)
            elif mutant.change[0] == "predict":
                new = predicted(mutant.change[1], samples)
            elif mutant.change[0] == "value":
                new = each(lambda value: mutant.change[1](np.asarray(value, float)), prediction)
            else:
                found = each(lambda one: replace(one, observed=mutant.change[1](np.asarray(one.observed))), samples)
            if same(new, prediction) and same(found, samples):
                return "equivalent", ""
            verdict = judge(claim.kind, found, new, claim.tolerance, FALSE_ALARM / len(claims()))
    except Exception as error:
        return "killed", f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
    said = f"{verdict.outcome}, {verdict.measure} {verdict.value:.4g}"
    if verdict.outcome is not expected:
        return "killed", said
    return ("weaker" if weaker(claim.kind, (samples, prediction), (found, new)) else "survived"), said


def mutants(claim, predict):
    """Return (mutants of the prediction, mutants of forms within the observation) of a claim.

    The latter are wanted where the former are few, or the prediction is made of what the observation has worked out.
    """
    forms = reached(unwrapped(predict))
    source = list(of_source(named(forms)))
    first = [*of_values(claim.kind), *of_cells(claim, predict)]
    first += evenly(source, FEW) if claim.id in LONG else source
    handed = any(isinstance(one, ast.Attribute) and one.attr == "given" for _, n in forms for one in ast.walk(n))
    if len(first) >= ENOUGH and not handed:
        return first, []
    return first, list(of_source(inner_forms(claim.observe, [node for _, node in forms])))


def evenly(items, count):
    """Return `count` of the items, evenly spaced."""
    return [items[k * len(items) // count] for k in range(count)] if count < len(items) else items


def _stop(number, frame):
    raise TimeoutError(f"no end within {CPU_SECONDS:g} s")


def reserved() -> int:
    """Return the bytes that this process has reserved for data, 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


def examine(claim_id):
    """Return (id, seconds, [(mutant, fate, what the judge says)], mutants left out) of one claim."""
    signal.signal(signal.SIGVTALRM, _stop)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    claim, start = claims()[claim_id], time.perf_counter()
    predict, _, expected = carried(claim)
    with Runner(1, Store()) as runner, single_threaded():

        def observe(other):
            return other.observe({**other.quick, "seed": 0, **carried(other)[1]}, runner)

        samples = observe(claim)
        gc.collect()  # flows leave arrays in cycles, reserved and hardly touched, that would count
        bound = reserved() + MOST_BYTES  # a worker has examined other claims before
        resource.setrlimit(resource.RLIMIT_DATA, (min(bound, most) if most >= 0 else bound, most))
        prediction = predicted(predict, samples)
        baseline = judge(claim.kind, samples, prediction, claim.tolerance, FALSE_ALARM / len(claims()))
        if baseline.outcome is not expected:
            raise AssertionError(f"{claim_id}: {baseline.outcome}, not {expected}, before anything is mutated")
        first, inner = mutants(claim, predict)
        rows = [(m.text, *fate(claim, m, samples, prediction, expected, None)) for m in first]
        chosen = evenly(inner, FEW if claim_id in LONG else MOST)
        rows += [(m.text, *fate(claim, m, samples, prediction, expected, observe)) for m in chosen]
    return claim_id, time.perf_counter() - start, rows, len(inner) - len(chosen)


def reasons():
    """Return the written reasons, {glob of claim ids: {glob of mutants: reason}}."""
    return tomllib.loads(REASONS.read_text())


def explained(written, claim_id, text):
    """Return (claim glob, mutant glob) of the reason why a mutant survives; None without one."""
    for ids, by_mutant in written.items():
        if fnmatchcase(claim_id, ids):
            for glob in by_mutant:
                if text == glob or fnmatchcase(text, glob):
                    return ids, glob
    return None


def main():
    """Examine the claims named; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", metavar="ID or glob")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--all", action="store_true", help="print every mutant, not only unexplained survivors")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    chosen = [c for c in select(given.patterns) if not c.missing() and carried(c)[2] is Outcome.HOLDS]
    written, used, total, unexplained, records = reasons(), set(), Counter(), 0, []
    start = time.perf_counter()
    with executor_of(given.workers) as (pool, _):
        for claim_id, seconds, rows, left in (pool.map if pool else map)(examine, [claim.id for claim in chosen]):
            lines, count = [], Counter()
            for text, kind, said in rows:
                if kind == "survived" and (entry := explained(written, claim_id, text)):
                    used.add(entry)
                    kind = "explained"
                count[kind] += 1
                records.append((claim_id, text, kind, said))
                if kind == "survived" or given.all:
                    lines.append(f"    {kind.upper() if kind == 'survived' else kind:10}  {text}  [{said}]")
            total.update(count)
            unexplained += count["survived"]
            told = ", ".join(f"{n} {kind}" for kind, n in count.items()) + (f" ({left} left out)" if left else "")
            print(f"{claim_id:48}  {sum(count.values()):4} mutants: {told}  [{seconds:.1f} s]", flush=True)
            print("\n".join(lines), end="\n" if lines else "", flush=True)
    stale = [] if given.patterns else [
        (ids, glob) for ids, by_mutant in written.items() for glob in by_mutant if (ids, glob) not in used
    ]  # fmt: skip
    for ids, glob in stale:
        print(f"reason without a survivor: {ids}: {glob}")
    told = ", ".join(f"{n} {kind}" for kind, n in total.items())
    print(f"{len(chosen)} claims, {total.total()} mutants: {told}; {time.perf_counter() - start:.0f} s.")
    if given.json:
        Path(given.json).write_text(json.dumps(records, indent=1, ensure_ascii=False))
    sys.exit(1 if unexplained or stale else 0)


if __name__ == "__main__":
    main()

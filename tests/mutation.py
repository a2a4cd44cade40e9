"""What errors in a closed form may be: the operators on expressions, the functions a claim is made of, the mutants.

`mutants.py` judges them.
"""

import ast
import copy
import functools
import importlib
import inspect
import sys
import types
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from theory.claim import Claim, Kind

ROOT = Path(__file__).resolve().parents[1]

Node = ast.FunctionDef | ast.Lambda
Form = tuple[str, str, Node]
"""A function by its module, its name there and its node in the module's `tree`."""

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


def called(node: ast.AST) -> str:
    """Return the name of what a call calls; of anything else nothing."""
    name: str = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
    return name


def number(node: ast.AST) -> float | None:
    """Return the number that a node is, None if it is none; a minus before it is a sign of its own."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def variants(node: ast.expr) -> Iterator[ast.expr]:
    """Yield what the operators make of one expression."""

    def power(base: ast.expr, exponent: ast.expr) -> ast.expr:
        return ast.BinOp(base, ast.Pow(), exponent)

    def moved(exponent: ast.expr, by: float) -> ast.expr:
        old = number(exponent)
        return ast.BinOp(exponent, ast.Add(), ast.Constant(by)) if old is None else ast.Constant(old + by)

    if (value := number(node)) and TINY <= abs(value) <= HUGE:
        yield ast.Constant(value * 2)
        yield ast.Constant(value / 2)
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
    elif isinstance(node, ast.Call) and called(node) == "sqrt" and len(node.args) == 1:
        for by in (0.5, -0.5):
            yield power(node.args[0], ast.Constant(0.5 + by))
    elif isinstance(node, ast.Call) and called(node) in SWAPS:
        swapped = copy.deepcopy(node)
        name = "attr" if isinstance(node.func, ast.Attribute) else "id"
        setattr(swapped.func, name, SWAPS[called(node)])
        yield swapped


def sites(node: ast.AST) -> Iterator[ast.expr]:
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
        if isinstance(node, ast.Call) and called(node) == "full" and len(node.args) == 2:  # np.full(shape, value)
            yield from sites(node.args[1])
        return
    if isinstance(node, ast.expr):
        yield node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and number(node.right) is not None:
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
def tree(module: str) -> ast.Module:
    """Return the syntax tree of a module by name."""
    return ast.parse(Path(inspect.getfile(importlib.import_module(module))).read_text())


def ends(node: Node) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return where a node begins and ends, each as (line, column)."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def node_of(function: types.FunctionType) -> Node:
    """Return the node in `tree(function.__module__)` that a function was made of."""
    positions = function.__code__.co_positions()
    spans = [(a, c) for a, b, c, d in positions if a and c is not None and (a, c) != (b, d)]
    lines = min(a for a, _ in spans), max(a for a, _ in spans)
    found = []
    for node in ast.walk(tree(function.__module__)):
        if isinstance(node, Node) and getattr(node, "name", "<lambda>") == function.__code__.co_name:
            first, last = ends(node)
            inside = first[0] <= lines[0] and lines[1] <= last[0]
            if isinstance(node, ast.Lambda):
                inside = all(first <= at <= last for at in spans)
            if inside:
                found.append(((last[0] - first[0], last[1] - first[1]), node))
    return min(found, key=lambda one: one[0])[1]


def unwrapped(function: object) -> list[types.FunctionType]:
    """Return the plain functions that a prediction or an observation is made of."""
    if isinstance(function, Mapping | list | tuple):
        values = function.values() if isinstance(function, Mapping) else function
        return [one for value in values for one in unwrapped(value)]
    if isinstance(function, functools.partial):
        return unwrapped(function.func) + unwrapped(function.args)
    function = function.fget if isinstance(function, property) else function
    function = inspect.unwrap(function) if callable(function) else function  # a cached one
    return [function] if isinstance(function, types.FunctionType) and function.__module__.startswith("theory.") else []


def reached(functions: Sequence[types.FunctionType]) -> list[tuple[types.FunctionType, Node]]:
    """Return (function, node) of every function of `theory` that calls of `functions` may reach, these first."""
    found: dict[tuple[str, int], tuple[types.FunctionType, Node]] = {}
    queue = list(functions)
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


def is_form(node: Node) -> bool:
    """Return whether a function within an observation is a closed form: of numbers and arrays alone."""
    arguments = {a.arg for a in (*node.args.args, *filter(None, [node.args.vararg]))}
    if not arguments or arguments & NOT_FORMS or getattr(node, "name", "") in SETUP:
        return False
    inner = list(ast.walk(node))
    if any(isinstance(one, ast.While | ast.Yield | ast.ListComp) for one in inner):
        return False
    return not any(isinstance(one, ast.ImportFrom) and (one.module or "").startswith("simulate") for one in inner)


def named(functions: Iterable[tuple[types.FunctionType, Node]]) -> list[Form]:
    """Return (module, name, node) of functions, (function, node) as `reached` returns them, but for the set-up."""
    found = [(f.__module__, f.__qualname__.replace("<locals>.", "").replace("<lambda>", "λ"), n) for f, n in functions]
    return [one for one in found if one[1].rpartition(".")[2] not in SETUP]


def inner_forms(observe: object, known: Collection[Node]) -> list[Form]:
    """Return (module, name, node) of the closed forms that an observation reaches, those written inside a function too.

    `known` are nodes to leave out.
    """
    found: dict[int, Form] = {}
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
class OfSource:
    """A mutant by another expression in the place of one of a module."""

    text: str
    module: str
    site: ast.expr
    variant: ast.expr

    def tree(self) -> ast.Module:
        """Return the syntax of the module as mutated."""
        return ast.fix_missing_locations(copy.deepcopy(tree(self.module), {id(self.site): self.variant}))


@dataclass(frozen=True)
class OfValues:
    """A mutant by another prediction (`of` = "predict"), or by a function of the "value" predicted or "observed"."""

    text: str
    of: str
    change: Callable[[Any], Any]


Mutant = OfSource | OfValues


def of_source(forms: Iterable[Form]) -> Iterator[OfSource]:
    """Yield the mutants of forms, (module, name, node) as `named` and `inner_forms` return them."""
    seen: Counter[str] = Counter()
    for module, name, node in forms:
        for site in sites(node):
            for variant in variants(site):
                text = f"{name}: {ast.unparse(site)} → {ast.unparse(variant)}"
                seen[text] += 1
                text += f" (no. {seen[text]})" if seen[text] > 1 else ""
                yield OfSource(text, module, site, variant)


def of_cells(predict: object) -> Iterator[OfValues]:
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
            yield OfValues(text, "predict", changed)


def of_values(kind: Kind) -> Iterator[OfValues]:
    """Yield the mutants of a prediction as a whole."""
    if kind is Kind.ORDERING:
        yield OfValues("reversed", "observed", lambda x: -x)
        return
    yield OfValues("× 2", "value", lambda x: 2.0 * x)
    yield OfValues("÷ 2", "value", lambda x: 0.5 * x)
    yield OfValues("sign", "value", lambda x: -x)
    if kind in (Kind.RATE, Kind.PHASE_BOUNDARY):
        yield OfValues("+ ½", "value", lambda x: x + 0.5)
        yield OfValues("− ½", "value", lambda x: x - 0.5)


@functools.cache
def imports() -> dict[str, set[str]]:
    """Return the modules of `theory` that each one imports, by name."""
    names = [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in (ROOT / "theory").rglob("*.py")]
    names = [name.removesuffix(".__init__") for name in names]
    return {
        name: {n.module for n in ast.walk(tree(name)) if isinstance(n, ast.ImportFrom) and n.module} for name in names
    }


@functools.cache
def dependents(module: str) -> set[str]:
    """Return the modules of papers that import a module, directly or not, and itself."""
    found = {module}
    while more := {name for name, needs in imports().items() if needs & found} - found:
        found |= more
    return {name for name in found if name.count(".") >= 2 or name == module}


@contextmanager
def mutated(home: str, mutant: OfSource) -> Iterator[dict[str, Claim]]:
    """Give the claims of the module `home` as they are after a mutation of source."""
    gone = {name: sys.modules.pop(name) for name in dependents(mutant.module) if name in sys.modules}
    try:
        module = types.ModuleType(mutant.module)
        module.__file__ = file = inspect.getfile(gone[mutant.module])
        module.__package__ = mutant.module.rpartition(".")[0]
        sys.modules[mutant.module] = module
        exec(compile(mutant.tree(), file, "exec"), vars(module))
        yield {claim.id: claim for claim in importlib.import_module(home).CLAIMS}
    finally:
        for name in dependents(mutant.module):
            sys.modules.pop(name, None)
        sys.modules.update(gone)
        for name, old in gone.items():
            package, _, last = name.rpartition(".")
            setattr(sys.modules[package], last, old)

"""`plot`: a stored scan as a picture, a heat map over two letters or curves along one."""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simulate.grid import points
from simulate.parameters import reject
from theory.parameter_types import LEVEL, Level
from theory.scan_command import converter, model_options, stored

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from simulate.scan import Plan, Scan

SUFFIXES = (".png", ".svg", ".pdf")
MOST_FACETS = 8
Row = dict[str, Any]
Levels = Callable[[Mapping[str, Any]], float]  # the level at the letters of a cell

LABELS = {  # of letters and results
    "n": "samples $n$", "d": "dimension $d$", "flip_rate": "flip rate $p$", "sigma_p": r"noise $\sigma_p$",
    "sigma_0": r"initial weights $\sigma_0$", "width": "width $m$", "patches": "patches $P$", "batch": "batch size $B$",
    "eta": r"step size $\eta$", "gamma": r"step size $\gamma$", "tau": r"radius $\tau$", "tau_c3": "radius's $C_3$",
    "kappa": r"length $\kappa$ of the SAM phase", "rho": r"radius $\rho$", "mu": r"signal norm $\|\mu\|$",
    "alpha": r"initial scale $\alpha$", "sparsity": "sparsity $r$", "block": "block $m$",
    "density": r"density $\delta$", "lam": r"normalisation $\lambda$", "gap": "$f - f^*$",
    "gradient_norm": r"$\|\nabla f\|$", "distance": r"$\|x - x^*\|$", "l1_norm": r"$\|\beta\|_1$",
    "loss_integral": r"$\int L\,dt$",
}  # fmt: skip


def label(name: str) -> str:
    """Return how a letter or a result is written in a picture, its symbol with it where it has one."""
    return LABELS.get(name, name.replace("_", " "))


def _facet(name: str, value: object) -> str:
    """Return what is written over a panel or beside a curve; rules and other words speak for themselves."""
    return str(value) if isinstance(value, str) else f"{label(name)} = {_number(value)}"


def geometric(values: "Sequence[float] | np.ndarray") -> bool:
    """Return whether numbers are spaced more evenly in their logarithms than by themselves."""
    import numpy as np

    values = np.sort(np.asarray(values, float))
    if len(values) < 3 or values[0] <= 0.0:
        return len(values) == 2 and bool(values[1] > 10.0 * values[0] > 0.0)
    steps = (np.diff(scaled) / np.ptp(scaled) for scaled in (np.log(values), values))
    uneven, uneven_here = (np.ptp(each) for each in steps)
    return bool(uneven < uneven_here)


class _Axis:
    """An axis of a picture: its values in order, and where they stand: in logarithms, as they are, or one by one."""

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self.name, self.numeric = name, all(isinstance(v, int | float) for v in values)
        self.values = sorted(values) if self.numeric else list(values)
        self.log = self.numeric and geometric(self.values)
        if not self.numeric:
            self.places = [float(k) for k in range(len(values))]
        else:
            self.places = [math.log10(v) if self.log else float(v) for v in self.values]

    def edges(self) -> "np.ndarray":
        """Return the borders of the cells about the places, half-way between them."""
        import numpy as np

        at = np.array(self.places)
        if len(at) == 1:
            return np.array([at[0] - 0.5, at[0] + 0.5])
        middles = 0.5 * (at[1:] + at[:-1])
        return np.concatenate([[2.0 * at[0] - middles[0]], middles, [2.0 * at[-1] - middles[-1]]])

    def drawn(self, places: "np.ndarray") -> Any:
        """Return places in the coordinates of the picture."""
        return 10.0**places if self.log else places

    def dress(self, axis: "Axes", which: str) -> None:
        """Scale, ticks and label of the x or y axis."""
        one = axis.xaxis if which == "x" else axis.yaxis
        if self.log:
            (axis.set_xscale if which == "x" else axis.set_yscale)("log")
        if not self.numeric:
            one.set_ticks(self.places, [str(value) for value in self.values])
        elif self.log and self.places[-1] - self.places[0] < 2.0:
            _plain_ticks(one)
        one.set_label_text(label(self.name))


def _plain_ticks(one: "Axis") -> None:
    """Write 1, 2, 5, 10 … along a logarithmic axis of few decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    one.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    one.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
    one.set_minor_formatter(NullFormatter())


class Cells:
    """Means over the seeds of one result, for the points of a scan: finite values of runs that did not diverge.

    `means`, `errors` (standard errors, NaN with one run) and `counts` by the point's values of `names`; a point whose
    runs have no such value has count 0, and one without a run is not there. `dropped` counts the runs left out.
    """

    def __init__(self, rows: list[Row], names: Sequence[str], value: str) -> None:
        import numpy as np

        values: dict[tuple[Any, ...], list[float]] = {}
        for row in rows:
            kept = values.setdefault(tuple(row[name] for name in names), [])
            if row["status"] != "diverged" and row[value] is not None and math.isfinite(row[value]):
                kept.append(row[value])
        self.counts = {key: len(kept) for key, kept in values.items()}
        self.dropped = len(rows) - sum(self.counts.values())
        with np.errstate(over="ignore", invalid="ignore"):  # of huge values
            means = {key: float(np.mean(kept)) for key, kept in values.items() if kept}
            self.means = {key: mean for key, mean in means.items() if math.isfinite(mean)}
            self.errors = {key: float(np.std(values[key], ddof=1)) / math.sqrt(len(values[key]))
                           if len(values[key]) > 1 else math.nan for key in self.means}  # fmt: skip


def draw(
    scan: "Scan", x: str, y: str | None, value: str, facet: str | None = None, contour: Level | None = None,
    at: Mapping[str, Any] | None = None,
) -> "Figure":  # fmt: skip
    """Return the figure of a `Scan`: `value` against x and y, or against x, one panel or curve a value of `facet`.

    `at` {axis: value} picks from the axes that are not drawn. Cells without a run or without a finite value are
    hatched. Raises ParameterError.
    """
    import matplotlib.pyplot as plt

    from figures.style import RC

    plan = scan.plan
    rows, fixed, wanting = _chosen(scan, {"x": x, "y": y, "facet": facet}, value, at or {})
    facets = list(plan.axes[facet]) if facet else [None]
    if len(facets) > MOST_FACETS:
        reject("facet", facet, f"an axis of at most {MOST_FACETS} values")
    levels = _levels(plan, fixed, contour)
    with plt.rc_context(RC):
        panel = _Picture(plan, value, facet)
        figure = panel.map(rows, x, y, facets, levels) if y else panel.curves(rows, x, y, facets, levels)
        notes = [f"mean over {plan.seeds} seed{'s' if plan.seeds > 1 else ''}"]
        notes += [f"{wanting} runs missing"] if wanting > 0 else []
        notes += [f"{panel.dropped} runs without a finite value left out"] if panel.dropped else []
        notes += [*panel.notes, *([f"{'black' if y else 'dotted'} line: {contour}"] if contour else [])]
        letters = ", ".join(f"{name} = {_number(v)}" for name, v in fixed.items()) or "other letters at their defaults"
        width = round(20 * figure.get_figwidth())  # characters
        told = [line for text in (f"{plan.model}: {letters}", "; ".join(notes)) for line in textwrap.wrap(text, width)]
        against = label(x) + (f" and {label(y)}" if y else "")
        title = label(value)
        figure.suptitle(f"{title[0].upper()}{title[1:]} against {against}", x=0.01, ha="left", fontsize=11)
        figure.supxlabel("\n".join(told), x=0.01, ha="left", fontsize=7, color="#555555")
    return figure


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _chosen(
    scan: "Scan", drawn: Mapping[str, str | None], value: str, at: Mapping[str, Any]
) -> tuple[list[Row], Row, int]:
    """Return the rows of the table that are drawn, the letters that they share, and how many runs are missing.

    `drawn` {role: axis or None}. Raises ParameterError.
    """
    plan, names = scan.plan, [name for name in drawn.values() if name]
    for role, name in drawn.items():
        if name and name not in plan.axes:
            reject(role, name, "an axis of the scan: " + (", ".join(plan.axes) or "it has none"))
    if len(set(names)) < len(names):
        reject("x, y and facet", tuple(names), "different axes")
    for name, one in at.items():
        if name not in plan.axes or name in names:
            reject("at", name, "an axis of the scan that is not drawn: " + ", ".join(set(plan.axes) - set(names)))
        if one not in plan.axes[name]:
            reject(f"at {name}", one, "one of " + ", ".join(map(str, plan.axes[name])))
    told = {*names, *at}
    told |= {name for group in plan.zips for name in group if told & set(group)}
    free = [name for name, values in plan.axes.items() if len(values) > 1 and name not in told]
    if free:
        reject("at", ", ".join(at) or None, f"given for every axis that is not drawn ({', '.join(free)})")
    table = scan.table()
    if not table.num_rows:
        reject("scan directory", str(scan.folder), "one that holds finished runs")
    results = [n for n in table.column_names if n not in (*plan.axes, "seed", "status")]
    if value not in results:
        reject("value", value, "one of " + ", ".join(results))

    def chosen(letters: Mapping[str, Any]) -> bool:
        return all(letters[name] == one for name, one in at.items())

    rows = [row for row in table.to_pylist() if chosen(row)]
    wanting = plan.seeds * sum(1 for point in points(plan.axes, plan.zips) if chosen(point)) - len(rows)
    single = {name: values[0] for name, values in plan.axes.items() if len(values) == 1 and name not in names}
    return rows, {**plan.fixed, **single, **at}, wanting


def _levels(plan: "Plan", fixed: Mapping[str, Any], contour: Level | None) -> Levels | None:
    """Return level(letters of a cell), or None without a contour."""
    if contour is None:
        return None
    options = model_options(plan.model)
    if contour.above_flips and "flip_rate" not in options:
        reject("contour", str(contour), f"a number with {plan.model}, which has no flip rate p")
    default = options["flip_rate"].default if "flip_rate" in options else 0.0
    return lambda letters: contour.at({"flip_rate": default, **fixed, **letters}["flip_rate"])


class _Picture:
    """The drawing of one scan's means; `notes` collects what has to be said below."""

    def __init__(self, plan: "Plan", value: str, facet: str | None) -> None:
        self.plan, self.value, self.facet, self.notes, self.dropped = plan, value, facet, list[str](), 0

    def _axis(self, name: str) -> _Axis:
        return _Axis(name, self.plan.axes[name])

    def _cells(self, rows: list[Row], names: Sequence[str]) -> Cells:
        cells = Cells(rows, names, self.value)
        if not cells.means:
            reject("value", self.value, "finite somewhere")
        self.dropped = cells.dropped
        return cells

    def map(self, rows: list[Row], x: str, y: str, facets: list[Any], levels: Levels | None) -> "Figure":
        """One heat map a facet, with one scale of colours."""
        import matplotlib.pyplot as plt
        import numpy as np
        from matplotlib.colors import LogNorm, Normalize

        across, up = self._axis(x), self._axis(y)
        names = [x, y, *([self.facet] if self.facet else [])]
        cells = self._cells(rows, names)
        seen = list(cells.means.values())
        low, high = min(seen), max(seen)
        logarithmic = low > 0.0 and high > 100.0 * low and "error" not in self.value
        norm = LogNorm(low, high) if logarithmic else Normalize(low, high if high > low else low + 1.0)
        columns = 2 if len(facets) == 4 else min(len(facets), 3)
        lines = -(-len(facets) // columns)
        size = (1.6 + 3.6 * columns, 1.1 + 3.1 * lines)
        figure, axes = plt.subplots(lines, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
        panels, hatched = axes.flat[: len(facets)], set()
        for place, (panel, one) in enumerate(zip(panels, facets, strict=True)):
            extra = () if one is None else (one,)
            z = np.full((len(up.values), len(across.values)), np.nan)
            shift = np.zeros_like(z)
            for (j, v), (i, u) in ((a, b) for a in enumerate(up.values) for b in enumerate(across.values)):
                z[j, i] = cells.means.get((u, v, *extra), np.nan)
                if levels:
                    shift[j, i] = levels(dict(zip(names, (u, v, *extra), strict=True)))
            edges = across.drawn(across.edges()), up.drawn(up.edges())
            image = panel.pcolormesh(*edges, np.ma.masked_invalid(z), cmap="cividis", norm=norm, rasterized=True)
            for j, i in np.argwhere(np.isnan(z)):
                none = (across.values[i], up.values[j], *extra) not in cells.counts
                hatched.add(none)
                corners = [edges[0][i], edges[0][i + 1]], edges[1][j], edges[1][j + 1]
                panel.fill_between(*corners, facecolor="#dddddd", edgecolor="#888888", lw=0.0,
                                   hatch="///" if none else "xxx")  # fmt: skip
            if levels and min(z.shape) > 1:
                above = np.log(z) - np.log(shift) if logarithmic and (shift > 0.0).all() else z - shift
                self._contour(panel, across, up, above)
            panel.grid(False)
            across.dress(panel, "x")
            up.dress(panel, "y")
            panel.label_outer()
            if place + columns >= len(facets):  # none below
                panel.tick_params(labelbottom=True)
                panel.set_xlabel(label(x))
            if self.facet and one is not None:
                panel.set_title(_facet(self.facet, one), fontsize=10)
        for panel in axes.flat[len(facets) :]:
            panel.remove()
        figure.colorbar(image, ax=list(panels), label=label(self.value), shrink=0.95)
        self.notes += [text for none, text in ((True, "hatched ///: no run"), (False, "hatched xxx: no finite value"))
                       if none in hatched]  # fmt: skip
        return figure

    def _contour(self, panel: "Axes", across: _Axis, up: _Axis, z: "np.ndarray") -> None:
        """Draw where z is 0, between cells that both have a value, black within white: seen on every colour."""
        import matplotlib.patheffects as effects
        import numpy as np
        from contourpy import contour_generator

        lines: Any = contour_generator(across.places, up.places, np.ma.masked_invalid(z)).lines(0.0)
        for line in lines:
            around = [effects.withStroke(linewidth=3.6, foreground="white")]
            panel.plot(across.drawn(line[:, 0]), up.drawn(line[:, 1]), color="black", lw=1.6, path_effects=around)

    def curves(self, rows: list[Row], x: str, y: str | None, facets: list[Any], levels: Levels | None) -> "Figure":
        """One curve a facet, with two standard errors; a point without a value is a gap."""
        import matplotlib.pyplot as plt
        import numpy as np

        from figures.style import SERIES, Style

        across = self._axis(x)
        names = [x, *([self.facet] if self.facet else [])]
        cells = self._cells(rows, names)
        figure, axis = plt.subplots(figsize=(6.4, 4.2))
        at = across.drawn(np.array(across.places))
        for one, (colour, marker, line) in zip(facets, SERIES, strict=False):
            keys = [(u, *(() if one is None else (one,))) for u in across.values]
            means = np.array([cells.means.get(key, np.nan) for key in keys])
            spread = 2.0 * np.array([cells.errors.get(key, np.nan) for key in keys])
            style: Style = {"color": colour, "marker": marker, "ls": line, "ms": 5, "lw": 1.3, "capsize": 2.5}
            name = _facet(self.facet, one) if self.facet and one is not None else None
            axis.errorbar(at, means, np.nan_to_num(spread), label=name, **style)
        if levels:
            for one in facets:
                extra = () if one is None else (one,)
                level = [levels(dict(zip(names, (u, *extra), strict=True))) for u in across.values]
                axis.plot(at, level, color="#333333", lw=1.0, ls=(0, (1, 1.5)), zorder=1)
        across.dress(axis, "x")
        seen = list(cells.means.values())
        if min(seen) > 0.0 and max(seen) > 100.0 * min(seen) and "error" not in self.value:
            axis.set_yscale("log")
        axis.set_ylabel(label(self.value))
        if self.facet:
            axis.legend()
        self.notes.append("bars: two standard errors")
        without = sum(1 for one in facets for u in across.values
                      if (u, *(() if one is None else (one,))) not in cells.means)  # fmt: skip
        if without:
            self.notes.append(f"gaps: {without}")
        return figure


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--x", required=True, metavar="AXIS", help="The axis of the scan that goes across.")
@click.option("--y", metavar="AXIS", help="The axis that goes up: a heat map. [default: curves]")
@click.option("--value", required=True, metavar="RESULT", help="The result whose mean over the seeds is drawn.")
@click.option("--facet", metavar="AXIS", help="A panel, or a curve, for each value of this axis.")
@click.option("--at", "at", multiple=True, metavar="AXIS=VALUE", help="The value of an axis that is not drawn.")
@click.option("--contour", type=LEVEL, help="Draw where the mean is at this level; p is the flip rate.")
@click.option("--out", required=True, metavar="FILE", help="The picture: .png, .svg or .pdf.")
def plot(
    folder: str, x: str, y: str | None, value: str, facet: str | None, at: tuple[str, ...], contour: Level | None,
    out: str,
) -> None:  # fmt: skip
    """Draw a stored scan: the mean of a result over the seeds, as a heat map or as curves.

    Axes are logarithmic where the grid is. Nothing is filled in: cells without a run, or without a finite value of a
    run that did not diverge, are hatched, and the contour runs only between cells that have one.
    """
    from theory.commands import check_output, write_whole

    check_output(out)
    suffix = Path(out).suffix.lower()
    if suffix not in SUFFIXES:
        reject("out", out, "a file that ends in " + ", ".join(SUFFIXES))
    scan = stored(folder)
    convert, chosen = converter(model_options(scan.plan.model)), {}
    for text in at:
        name, equals, word = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            reject("at", text, "AXIS=VALUE")
        chosen[name] = _nearest(scan.plan.axes.get(name, ()), convert(name, word.strip()))
    names: list[Any] = [name and name.replace("-", "_") for name in (x, y, facet, value)]
    x, y, facet, value = names
    write_whole(out, _bytes(draw(scan, x, y, value, facet, contour, chosen), suffix))


def _nearest(values: Sequence[Any], wanted: Any) -> Any:
    """Return the value within a thousandth of the one wanted (a range's have many digits), or the one wanted."""
    if not isinstance(wanted, int | float):
        return wanted
    return next((v for v in values if isinstance(v, int | float) and math.isclose(v, wanted, rel_tol=1e-3)), wanted)


def _bytes(figure: "Figure", suffix: str) -> bytes:
    """Return the picture as a file's contents, the same for the same picture."""
    import io

    import matplotlib.pyplot as plt

    from figures.style import RC

    buffer, kind = io.BytesIO(), suffix[1:]
    dates = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with plt.rc_context(RC):
        figure.savefig(buffer, format=kind, metadata=dates[kind])
    plt.close(figure)
    return buffer.getvalue()

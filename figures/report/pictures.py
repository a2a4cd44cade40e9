"""The pictures of a claim's page, as SVG that takes its colours from the page."""

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from figures.style import FLOOR, RC, SAM, SGD, THEORY
from theory.claim import Kind
from theory.tables import figure as number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

Row = dict[str, Any]  # a record, or a part of one
Draw = Callable[..., str]

SIZE, FRAME = (3.6, 2.6), (0.18, 0.17, 0.79, 0.76)  # inches, which the page scales; left, bottom, width, height
INK, GRID, OBSERVED, CONTROL, OUTSIDE = THEORY, RC["grid.color"], SAM, SGD, FLOOR
COLOURS = {  # as drawn: as the page names it
    INK: "ink", GRID: "grid", OBSERVED: "observed", CONTROL: "control", OUTSIDE: "outside",
}  # fmt: skip
STYLE: dict[Any, Any] = RC | {
    "font.size": 8, "axes.labelsize": 8, "svg.fonttype": "none", "font.family": "sans-serif", "axes.edgecolor": INK,
    "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.facecolor": "none",
    "figure.facecolor": "none", "savefig.facecolor": "none", "path.simplify": True, "legend.fontsize": 7.5,
    "axes.formatter.limits": (-3, 5), "axes.formatter.useoffset": False, "figure.constrained_layout.use": False,
    "text.parse_math": False,
}  # fmt: skip
_RATES = (Kind.RATE, Kind.PHASE_BOUNDARY)
_BOUNDS = (Kind.UPPER_BOUND, Kind.LOWER_BOUND)
FEW = 8  # fewer values than that are seen one by one, and need no histogram
DECADES = 1.5  # positive values spread further than this are shown in the logarithm


def pictures(row: Row) -> dict[str, list[dict[str, str]]]:
    """Return the pictures of a record: `main`, `spread`, `control` and `twin`, one an axis, each with its caption.

    A picture is {"axis", "caption", "svg"}; what has no finite points has no picture.
    """
    found: dict[str, list[dict[str, str]]] = {"main": [], "spread": [], "control": [], "twin": []}
    parts = {"main": row["verdict"], "control": row["control"], "twin": row["twin"]}
    for name, part in parts.items():
        for axis, kept in (part or {}).get("series", {}).items():
            if kept["observed"]:
                colour = CONTROL if name == "control" else OBSERVED
                key = f"{name}{len(found[name])}"
                found[name].append(_picture(key, axis, row, part, kept, colour, _observed))
    for axis, kept in row["verdict"].get("series", {}).items():
        counted = kept["histogram"]
        if counted and len(counted["counts"]) > 1 and sum(counted["counts"]) >= FEW:
            key = f"spread{len(found['spread'])}"
            found["spread"].append(_picture(key, axis, row, row["verdict"], kept, OBSERVED, _spread))
    return found


def _picture(key: str, axis: str, row: Row, part: Row, kept: Row, colour: str, draw: Draw) -> dict[str, str]:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE)
        axes = figure.add_axes(FRAME)  # to lay every one out would take longer than to draw it
        caption = draw(axes, axis, row, part, kept, colour)
        for each in (axes.xaxis, axes.yaxis):
            if each.get_scale() == "log":
                _logarithmic(each)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc="best")
        text = io.StringIO()
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    title = f"{row['title']}{f', {axis}' if axis else ''}"
    return {"axis": axis, "caption": caption, "svg": inline(text.getvalue(), key, title, caption)}


def _logarithmic(axis: "Axis") -> None:
    """Give a logarithmic axis few labels, in plain text: the reader's own letters, and no formula to set."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axis.get_view_interval()
    narrow = np.log10(high / low) < 2.0
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=6))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: _power_of_ten(value)))


def _power_of_ten(value: float) -> str:
    if 1e-2 <= value <= 1e3:
        return f"{value:g}"
    exponent = int(np.floor(np.log10(value) + 1e-9))
    factor = round(value / 10.0**exponent)
    power = "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return power if factor == 1 else f"{factor}·{power}"


def inline(svg: str, key: str, title: str, description: str) -> str:
    """Return an SVG file's text as an element of a page: ids of its own, the page's colours, a title and a text."""
    from markupsafe import escape

    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]+>", lambda tag: re.sub(r"\d+\.\d{2,}", _short, tag[0]), svg)
    svg = re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><")
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{key}-\1"', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\1{key}-", svg)
    svg = re.sub(r" font-family: [^;\"]*;", "", re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg))
    for colour, name in COLOURS.items():
        svg = svg.replace(colour.lower(), f"var(--{name})")
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)[0]
    opening = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{key}-t {key}-d"><title id="{key}-t">'
        f'{escape(title)}</title><desc id="{key}-d">{escape(description)}</desc>'
    )
    return opening + svg[svg.index(">") + 1 :].strip()


def _short(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


def _observed(axes: "Axes", axis: str, row: Row, part: Row, kept: Row, colour: str) -> str:
    """Draw what was observed beside what is predicted; return the caption."""
    kind = Kind(row["kind"])
    if kind in _RATES:
        return _power_law(axes, axis, row, part, kept, colour)
    if kind is Kind.LIMIT:
        return _towards(axes, axis, row, part, kept, colour)
    predicted = np.array(kept["predicted"], float)
    if len(np.unique(predicted)) > 3:
        return _against(axes, kind, part, kept, colour)
    return _ranked(axes, axis, kind, part, kept, colour)


def _bars(axes: "Axes", x: np.ndarray, kept: Row, colour: str, scale: float | np.ndarray = 1.0, **style: Any) -> None:
    observed = np.array(kept["observed"], float) / scale
    if kept["low"] is not None and len(observed) <= 60:
        low, high = (np.array(kept[end], float) / scale for end in ("low", "high"))
        axes.vlines(x, low, high, color=colour, linewidth=1.0)
    size = 14 if len(observed) <= 30 else 5
    axes.scatter(x, observed, s=size, color=colour, linewidths=0, zorder=3, **style)


def _abscissa(x: np.ndarray, row: Row) -> str:
    """Return the setting that holds these values, by its name; x if there is none."""
    for name, values in row["settings"].items():
        numbers = isinstance(values, list) and all(isinstance(v, (int, float)) for v in values)
        if numbers and len(values) == len(x) and np.allclose(x, values, rtol=1e-5, atol=0.0):
            return str(name)
    return "x"


def _power_law(axes: "Axes", axis: str, row: Row, part: Row, kept: Row, colour: str) -> str:
    x = np.array(kept["x"], float)
    name = _abscissa(x, row)
    _bars(axes, x, kept, colour, label="observed")
    if "fitted" in kept:
        axes.plot(x, kept["fitted"], color=colour, linewidth=1.0, label="fitted")
        axes.plot(x, kept["predicted"], color=INK, linestyle="--", linewidth=1.2, label="predicted exponent")
    axes.set(xscale="log", yscale="log", xlabel=name, ylabel="observed")
    return (
        f"Observed geometric means at {len(x)} points along {name}, bars from the 5 % to the 95 % "
        f"replicate; the fitted power law, and one with the predicted exponent. {_figure(part, axis)}."
    )


def _towards(axes: "Axes", axis: str, row: Row, part: Row, kept: Row, colour: str) -> str:
    predicted, given = np.array(kept["predicted"], float), kept["x"]
    x = np.arange(1, len(predicted) + 1) if given is None else np.array(given, float)
    axes.axhspan(1.0 - row["tolerance"], 1.0 + row["tolerance"], color=OUTSIDE, alpha=0.3, linewidth=0)
    axes.axhline(1.0, color=INK, linestyle="--", linewidth=1.2, label="predicted")
    _bars(axes, x, kept, colour, predicted, label="observed")
    axes.plot(x, np.array(kept["observed"], float) / predicted, color=colour, linewidth=0.8)
    if given is None:
        axes.set_xticks(x)
        axes.set_xlabel("point, towards the limit")
    else:
        axes.set(xscale="log" if (x > 0).all() and x.max() > 10 * x.min() else "linear", xlabel=_abscissa(x, row))
    axes.set_ylabel("observed / predicted")
    return (
        f"Observed over predicted at {_counted(len(x))}, towards the limit, with intervals; the band is the tolerance. "
        f"{_figure(part, axis)}."
    )


def _against(axes: "Axes", kind: Kind, part: Row, kept: Row, colour: str) -> str:
    x, y = (np.array(kept[name], float) for name in ("predicted", "observed"))
    both = np.concatenate([x, y])
    log = bool((both > 0.0).all() and both.max() > 10.0**DECADES * both.min())
    low, high = both.min(), both.max()
    pad = (high / low) ** 0.05 if log else 0.05 * (high - low) or 1.0
    ends = np.array([low / pad, high * pad] if log else [low - pad, high + pad])
    name = "bound" if kind in _BOUNDS else "predicted"
    if kind in _BOUNDS:
        edge = ends[1] if kind is Kind.UPPER_BOUND else ends[0]
        axes.fill_between(ends, ends, edge, color=OUTSIDE, alpha=0.25, linewidth=0)
    axes.plot(ends, ends, color=INK, linestyle="--", linewidth=1.2, label=f"observed = {name}")
    _bars(axes, x, kept, colour)
    scale = "log" if log else "linear"
    axes.set(xscale=scale, yscale=scale, xlim=ends, ylim=ends, xlabel=name, ylabel="observed")
    shaded = "; the shaded side would break the bound" if kind in _BOUNDS else ""
    return f"Observed against {name}, {_shown(part, kept)}{shaded}."


def _ranked(axes: "Axes", axis: str, kind: Kind, part: Row, kept: Row, colour: str) -> str:
    """Draw sorted observations beside the few values that are predicted."""
    y = np.array(kept["observed"], float)
    order = np.argsort(y, kind="stable")
    few = len(y) <= 2 * FEW
    share = np.arange(1, len(y) + 1) if few else (np.arange(len(y)) + 0.5) / len(y)
    sortable = {**kept, **{k: [kept[k][i] for i in order] for k in ("observed", "low", "high") if kept[k] is not None}}
    levels = np.unique(kept["predicted"])
    log = bool((y > 0.0).all() and (levels > 0.0).all() and y.max() > 10.0**DECADES * y.min())
    name = "bound" if kind in _BOUNDS else "claimed margin" if kind is Kind.ORDERING else "predicted"
    for k, level in enumerate(levels):
        axes.axhline(level, color=INK, linestyle="--", linewidth=1.2, label=None if k else name)
    _bars(axes, share, sortable, colour)
    if kind is Kind.ORDERING:
        judged = part["details"].get(axis, part)
        axes.axhline(judged["value"], color=colour, linewidth=1.0, label="mean, with its interval")
        axes.axhspan(*judged["interval"], color=colour, alpha=0.2, linewidth=0)
    if log:
        axes.set_yscale("log")
    if kind in (*_BOUNDS, Kind.ORDERING) and len(levels) == 1:
        low, high = axes.get_ylim()
        edge = high if kind is Kind.UPPER_BOUND else low
        axes.axhspan(levels[0], edge, color=OUTSIDE, alpha=0.25, linewidth=0)
        axes.set_ylim(low, high)
    if few:
        axes.set(xticks=share[:: 1 + len(share) // 9], xlim=(0.5, len(y) + 0.5))
    label = "points, sorted" if few else "share of the points, sorted"
    axes.set(xlabel=label, ylabel="difference" if kind is Kind.ORDERING else "observed")
    if kind is Kind.ORDERING:
        return f"Paired differences, sorted, {_shown(part, kept)}; their mean is judged. {_figure(part, axis)}."
    beside = "the bound; the shaded side would break it" if kind in _BOUNDS else "what is predicted"
    return f"Observations, sorted, {_shown(part, kept)}, beside {beside}."


def _spread(axes: "Axes", axis: str, row: Row, part: Row, kept: Row, colour: str) -> str:
    """Draw the histogram of what is judged."""
    kind, counted = Kind(row["kind"]), kept["histogram"]
    axes.stairs(counted["counts"], counted["edges"], fill=True, color=colour, alpha=0.85)
    if counted["log"]:
        axes.set_xscale("log")
    edges, limit = counted["edges"], _limit_of(kind, row, part, axis)
    near = [v for v in limit if not counted["log"] or v > 0.0]
    span = edges[-1] - edges[0]
    for k, value in enumerate(near):
        if counted["log"] or edges[0] - 2.0 * span <= value <= edges[-1] + 2.0 * span:
            axes.axvline(value, color=INK, linestyle="--", linewidth=1.2, label=None if k else _LIMITS[kind])
    name, each = _OF.get(kept["of"], (kept["of"], "points"))
    axes.set(xlabel=name, ylabel=each)
    axes.ticklabel_format(axis="y", scilimits=(-3, 6))
    q = kept["quantiles"]
    spread = f"median {number(q[3])}, from {number(q[0])} to {number(q[-1])}"
    last = " (observed / predicted − 1) at the last point" if kept["of"] == "deviation" else ""
    return f"{name.capitalize()}{last}: {spread}."


_OF = {"exponent": ("exponent of a replicate", "replicates"), "deviation": ("deviation", "replicates")}
_LIMITS = {
    Kind.IDENTITY: "tolerance", Kind.UPPER_BOUND: "violated below", Kind.LOWER_BOUND: "violated below",
    Kind.RATE: "predicted", Kind.PHASE_BOUNDARY: "predicted", Kind.LIMIT: "± tolerance",
    Kind.ORDERING: "claimed margin",
}  # fmt: skip


def _limit_of(kind: Kind, row: Row, part: Row, axis: str) -> list[float]:
    """Return where the lines of the histogram stand."""
    if kind in _RATES:
        details = part["details"].get(axis, part["details"]) if axis else part["details"]
        return [] if details.get("predicted") is None else [details["predicted"]]
    if kind is Kind.ORDERING:
        claimed: list[float] = part["series"][axis]["predicted"][:1]
        return claimed
    if kind is Kind.LIMIT:
        return [-row["tolerance"], row["tolerance"]]
    return [row["tolerance"]] if kind is Kind.IDENTITY else [-row["tolerance"]]


def _shown(part: Row, kept: Row) -> str:
    total, shown = part["points"], len(kept["observed"])
    if kept["low"] is not None:
        return f"{shown} means with their intervals" if shown > 1 else "a mean with its interval"
    several = len(part["series"]) > 1
    return _counted(shown) if several or shown >= total else f"{shown} of {total} points, spread over their ranks"


def _figure(part: Row, axis: str) -> str:
    """Return value and interval in words."""
    of = part["details"].get(axis, part) if axis else part
    if of.get("value") is None:
        return str(part["measure"])
    text = f"{part['measure'].partition(' in ')[0].capitalize()} {number(of['value'])}"
    interval = of.get("interval")
    return text + (f", interval {number(interval[0])} to {number(interval[1])}" if interval else "")


def _counted(count: int) -> str:
    return "one point" if count == 1 else f"{count} points"

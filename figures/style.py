"""One style for every figure: colours that differ for every eye and in grey, no frame that says nothing."""

from typing import Any

Style = dict[str, Any]
"""How something is drawn: keywords of matplotlib's."""

SGD, SAM, THEORY, FLOOR = "#D55E00", "#0072B2", "#333333", "#999999"
GD, N_SAM, ONE_SAM = SGD, "#009E73", SAM  # one block of all n samples, and n blocks of one
BACKGROUND = "#f0f0f0"

RC: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 160,
    "svg.hashsalt": "sharpbounds",
}

TWO_PANELS: dict[Any, Any] = RC | {"font.size": 9, "axes.titlesize": 10}

SERIES = (  # colour, marker, line of curves that are told apart
    (SGD, "o", "-"), (SAM, "s", "--"), (N_SAM, "^", "-."), (THEORY, "D", ":"), ("#CC79A7", "v", "-"),
    ("#56B4E9", "P", "--"), ("#E69F00", "X", "-."), (FLOOR, "*", ":"),
)  # fmt: skip

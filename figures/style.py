"""One style for every figure: colours that differ for every eye and in grey, no frame that says nothing."""

SGD, SAM, THEORY, FLOOR = "#D55E00", "#0072B2", "#333333", "#999999"

RC = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 160,
    "svg.hashsalt": "sharpbounds",
}

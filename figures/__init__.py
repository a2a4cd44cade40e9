"""What people look at: one module per figure, from stored runs to a picture.

Each module has `compute(runner)`, which returns plain arrays, and `draw(data)`, which returns a matplotlib figure.
`python -m figures` (or `make figures`) writes them all to docs/figures.
"""

FIGURES = (
    "critical_signal", "test_loss_against_radius", "recovered_beta", "effective_alpha", "switch", "sam_floor",
    "gain_against_width", "flatness_against_width", "hessian_moments",
)  # fmt: skip

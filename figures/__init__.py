"""What people look at: one module per figure, from stored runs to a picture.

Each module has `compute(runner)`, which returns plain arrays, and `draw(data)`, which returns a matplotlib figure.
`sharpbounds figure all` (or `make figures`) writes them to docs/figures.
"""

FIGURES = (
    "critical_signal", "heat_maps", "boundaries", "data_collapse", "deactivation", "coefficient_sandwich",
    "error_curve", "learning_curves", "boundary_constant", "sam_steps",
    "test_loss_against_radius", "recovered_beta", "effective_alpha", "switch", "sam_floor", "unified_sam",
    "gain_against_width", "flatness_against_width", "hessian_moments", "star_instances",
)  # fmt: skip

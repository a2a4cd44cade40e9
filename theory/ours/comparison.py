"""What was simulated beside what `theory.ours.prediction` says of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulate.parameters import reject

if TYPE_CHECKING:
    from theory.ours.prediction import Prediction


def compared(results: Sequence[Any], prediction: "Prediction") -> list[dict[str, Any]]:
    """Return what was simulated beside what is predicted, of the runs that stopped at their loss: a row a result.

    Rows: name, simulated mean, its standard error, predicted value, its error (0 for the closed form), ratio, and
    deviation, the difference in units of both errors.
    """
    runs = [result for result in results if result.status == "stopped"]
    if len(runs) < 2:
        reject("runs that reached stop_loss", len(runs), "two at least for a comparison")
    seen = {
        "clean_error": ([run.clean_error for run in runs], np.mean([run.clean_error_se for run in runs])),
        "test_error": ([run.test_error for run in runs], np.mean([run.clean_error_se for run in runs])),
        "active_fraction": ([np.mean(run.rho[run.own_class()] > 0.0) for run in runs], 0.0),
        "margin": ([run.rho_bar_mean for run in runs], 0.0),
        "gamma": ([run.gamma.mean() for run in runs], 0.0),
        "steps": ([run.steps for run in runs], 0.0),
    }
    rows = []
    for name, (values, own) in seen.items():
        mean, error = float(np.mean(values)), float(np.hypot(np.std(values, ddof=1) / np.sqrt(len(values)), own))
        value, other = prediction.results[name]
        both = np.hypot(error, other or 0.0)
        rows.append({
            "name": name, "simulated": mean, "simulated_error": error, "predicted": value, "predicted_error": other,
            "ratio": mean / value if value else np.nan, "deviation": (mean - value) / both if both else np.nan,
        })  # fmt: skip
    return rows

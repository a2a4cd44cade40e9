"""Types that theorem files share, for signatures; those of arrays are in `simulate.types`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from simulate.runner import Runner as Runner
else:
    Runner = Any  # its module loads numba, which a declaration does without

Settings = Mapping[str, Any]
"""What an observation is told, by name: `quick` or `full` of its claim with a `seed`, or a point of its domain."""

Numbers = float | np.ndarray
"""What a closed form takes. It returns a number for numbers and an array for arrays, typed Any as numpy's own are."""

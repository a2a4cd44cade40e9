"""Named random streams."""

import hashlib
import json
from typing import Any

import numpy as np


def stream(name: str, seed: int, **shape: Any) -> np.random.Generator:
    """Return the generator of the stream `name` of run `seed`.

    `shape` holds the fields that shape this stream's draw, and no others: runs that differ in a rule, a
    step size, a signal norm or a schedule see the same numbers, and a value added to a grid moves none.
    """
    text = json.dumps([name, seed, shape], sort_keys=True)
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))

"""The two-layer convolutional ReLU network on the d-vectors themselves, in PyTorch: autograd, eager or compiled."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import softplus

from simulate.signal_noise import DenseInstance


def training(
    instance: DenseInstance, radius: float, step_size: float, dtype: type[np.floating] = np.float64,
    compiled: bool = False,
) -> Callable[[int], np.ndarray]:  # fmt: skip
    """Return train(steps) → W (2m, d): full-batch steps of SGD, or of SAM if radius > 0, from the initial weights.

    With `compiled` loss and gradient are compiled by `torch.compile` (which needs a C++ compiler).
    """
    torch.set_num_threads(1)
    kind = torch.float64 if dtype == np.float64 else torch.float32
    V, y, signal_labels = (
        torch.tensor(a, dtype=kind) for a in (instance.vectors, instance.labels, instance.signal_labels)
    )
    m = len(instance.weights) // 2
    J = torch.repeat_interleave(torch.tensor([1.0, -1.0], dtype=kind), m)

    def loss(W: torch.Tensor) -> torch.Tensor:
        H = W @ V.T
        patches = torch.relu(H[:, :1] * signal_labels) + torch.relu(H[:, 1:])
        return softplus(-y * (J @ patches / m)).mean()

    value = torch.compile(loss) if compiled else loss

    def train(steps: int) -> np.ndarray:
        W = torch.tensor(instance.weights, dtype=kind, requires_grad=True)
        for _ in range(steps):
            (G,) = torch.autograd.grad(value(W), W)
            if radius > 0:
                near = (W.detach() + radius / G.norm() * G).requires_grad_()
                (G,) = torch.autograd.grad(value(near), near)
            with torch.no_grad():
                W -= step_size * G
        found: np.ndarray = W.detach().numpy()
        return found

    return train

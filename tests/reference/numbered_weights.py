"""Weights and pictures that any library can be given: they depend on position in the state dict and on shape alone."""

import numpy as np
import torch
from torch import Tensor, nn


def numbered_array(number: int, shape: tuple[int, ...]) -> np.ndarray:
    """Entry `number`: He-sized normal for kernels, near one for vectors, one for scalars."""
    values = np.random.default_rng(number).standard_normal(shape)
    if len(shape) > 1:
        return values * (2 / np.prod(shape[1:])) ** 0.5
    return 1 + 0.1 * np.abs(values)


@torch.no_grad()
def fill_by_number(model: nn.Module) -> None:
    """Overwrite every floating-point entry of the state dict, in its order."""
    for number, value in enumerate(model.state_dict().values()):
        if value.is_floating_point():
            value.copy_(torch.from_numpy(numbered_array(number, tuple(value.shape))))


def numbered_picture(size: tuple[int, int], batch: int = 2) -> Tensor:
    """A batch of pictures ``(batch, 3, H, W)``."""
    values = np.random.default_rng(7).standard_normal((batch, 3, *size)).astype(np.float32)
    return torch.from_numpy(values)

"""channels_last, and a clear error for models that cannot be put into it."""

import torch
from torch import nn
from torch.nn.parameter import is_lazy


def to_channels_last(model: nn.Module) -> None:
    """Put the weights of `model`, in place, into channels_last.

    Raises:
        ValueError: if a layer of `model` is lazy and still without weights, or has five dimensions, as of `nn.Conv3d`.
    """
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(value):
            raise ValueError(f"{name} has no shape yet; pass a batch through the model first.")
        if value.ndim == 5:
            raise ValueError(f"{name} has five dimensions: channels_last is a layout of (N, C, H, W).")
    model.to(memory_format=torch.channels_last)

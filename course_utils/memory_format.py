"""Memory format of gradients: that of their activations."""

import torch
from torch import Tensor
from torch.utils.hooks import unserializable_hook


def match_gradient_format(x: Tensor) -> Tensor:
    """`x` itself; in bfloat16 its gradient will come back dense and in the memory format of `x`.

    The gradient of one part of a `torch.cat` is a slice of a larger tensor, and a loss may return a gradient of another
    format than it got. On a CPU, PyTorch's batch norm goes back from either by a slower way, and a copy first saves
    time in most networks (``python -m tests.benchmarks.gradient_format``). Float32 is left alone: there the order of
    sums, and with it the rounding of recorded runs, would change. So is `torch.compile`, which chooses layouts itself.
    """
    if x.dtype == torch.bfloat16 and x.requires_grad and not torch.compiler.is_compiling():
        channels_last = x.is_contiguous(memory_format=torch.channels_last)
        memory_format = torch.channels_last if channels_last else torch.contiguous_format
        # Unserializable: a tensor that is saved does without it, and torch need not warn that it is lost.
        x.register_hook(unserializable_hook(lambda grad: grad.contiguous(memory_format=memory_format)))
    return x

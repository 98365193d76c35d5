"""Refuse tensors that cannot be meant, and say what was given instead."""

from torch import Tensor


def is_batch_of_floats(x: object) -> bool:
    """Whether `x` is a tensor of floats with four dimensions, as ``(N, C, H, W)`` is."""
    return isinstance(x, Tensor) and x.ndim == 4 and x.is_floating_point()


def check_channels(logits: Tensor) -> None:
    """Raise a `ValueError` for logits ``(N, 1, H, W)``: of one channel, the first is always the largest."""
    if logits.shape[1] < 2:
        raise ValueError(
            f"the network gives {tuple(logits.shape)}, a single channel, which leaves no class to choose: build it "
            "with n_out=2, or ask yourself where model(x) > 0."
        )


def describe(x: object) -> str:
    """What was given in place of a tensor that fits, for an error message."""
    if isinstance(x, Tensor):
        return f"{x.dtype} of shape {tuple(x.shape)}"
    return f"an object of type {type(x).__name__}"

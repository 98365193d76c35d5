"""A batch of colour pictures, ``(N, 3, H, W)`` of floats, white 1 and black 0: what is one, and how bright it is."""

import torch
from torch import Tensor

from course_utils.tensor_checks import describe, is_batch_of_floats

LUMINANCE = (0.299, 0.587, 0.114)
"""Share of red, green and blue in brightness (ITU-R BT.601)."""


def luminance(pictures: Tensor) -> Tensor:
    """Luma ``(N, 1, H, W)`` of colour pictures ``(N, 3, H, W)``: the brightness Y' of ITU-R BT.601, as in JPEG.

    Raises:
        ValueError: if they are no such batch of floats.
    """
    check_floats(pictures)
    weights = torch.tensor(LUMINANCE, dtype=pictures.dtype, device=pictures.device).view(3, 1, 1)
    return (pictures * weights).sum(1, keepdim=True)


def check_floats(pictures: Tensor, network: torch.dtype | None = None) -> None:
    """Refuse what is no batch ``(N, 3, H, W)`` of floats, or float64 for a network of another type.

    Raises:
        ValueError: with what was given instead.
    """
    if not is_batch_of_floats(pictures) or pictures.shape[1] != 3:
        raise ValueError(f"got {describe(pictures)}, not floats (N, 3, H, W), white 1.")
    if network is not None and pictures.dtype == torch.float64 != network:
        raise ValueError(f"got {describe(pictures)} for a network of {network}; pass pictures.float().")


def check_pictures(pictures: Tensor) -> None:
    """Refuse what is no batch of colour pictures ``(N, 3, H, W)`` of floats from 0 (black) to 1 (white).

    Raises:
        ValueError: with what was given instead.
    """
    check_floats(pictures)
    if 0 in pictures.shape[2:]:
        raise ValueError(f"pictures of shape {tuple(pictures.shape)} hold no pixels.")
    if pictures.numel():
        low, high = pictures.min().item(), pictures.max().item()
        if not (low >= -1e-4 and high <= 1 + 1e-4):
            raise ValueError(f"pictures run from {low:.3g} to {high:.3g}, not from 0 (black) to 1 (white).")


def check_pair(prediction: Tensor, target: Tensor) -> None:
    """Refuse what cannot be compared pixel by pixel.

    Raises:
        ValueError: if the two are no tensors, differ in shape, or are empty.
    """
    for name, pictures in (("prediction", prediction), ("target", target)):
        if not isinstance(pictures, Tensor):
            raise ValueError(f"{name} is {describe(pictures)}, not a tensor of pictures.")
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape.")
    if not prediction.numel():
        raise ValueError(f"pictures of shape {tuple(prediction.shape)} hold no pixels.")

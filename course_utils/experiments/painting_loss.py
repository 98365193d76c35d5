"""The loss of a photograph that shall look like a painting: its light and shade kept, the painting's style taken on."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from course_utils.checks import is_number
from course_utils.pictures import check_floats, check_pair, luminance

BLUR = 2.5
"""Standard deviation in pixels, half the width of a stroke: coarser light and shade stay, finer ones may go."""

KERNEL = 15


class PaintingLoss(nn.Module):
    """``content·(y(p) - y(t))² + style·d(p) + smooth·|∇p|``: `y` is the blurred brightness, `d` a style's distance.

    Args:
        distance: of pictures ``(N, 3, H, W)`` from the painting's style, as `style_distance` has two.
        content, style, smooth: weights; the defaults suit `PatchDistance`, a `GramDistance` wants ``style=0.2``.

    Raises:
        ValueError: if a weight is no number of at least 0, or `distance` cannot be called.
    """

    def __init__(self, distance: nn.Module, *, content: float = 4.0, style: float = 1.0, smooth: float = 0.02) -> None:
        super().__init__()
        if not callable(distance) or isinstance(distance, type):
            raise ValueError(
                f"distance={distance!r} is no measure of pictures; give one such as PatchDistance(painting)."
            )
        weights = {"content": content, "style": style, "smooth": smooth}
        for name, weight in weights.items():
            if not is_number(weight) or not 0 <= weight < math.inf:
                raise ValueError(f"{name}={weight!r} is not a number of at least 0.")
        self.distance, self.weights = distance, weights

    def parts(self, prediction: Tensor, photograph: Tensor) -> dict[str, Tensor]:
        """The weighted summands by name, ``"content"``, ``"style"`` and ``"smooth"``; their sum is the loss."""
        check_floats(prediction)
        check_floats(photograph)
        check_pair(prediction, photograph)
        if min(prediction.shape[2:]) <= KERNEL // 2:
            raise ValueError(
                f"pictures of shape {tuple(prediction.shape)} are too small: take {KERNEL // 2 + 1} pixels or more."
            )
        rough = prediction.diff(dim=-1).abs().mean() + prediction.diff(dim=-2).abs().mean()
        found = {
            "content": F.mse_loss(_light_and_shade(prediction), _light_and_shade(photograph)),
            "style": self.distance(prediction),
            "smooth": rough,
        }
        return {name: self.weights[name] * part for name, part in found.items()}

    def forward(self, prediction: Tensor, photograph: Tensor) -> Tensor:
        """The loss of predictions for photographs, both ``(N, 3, H, W)``, white 1: a scalar."""
        return torch.stack(list(self.parts(prediction, photograph).values())).sum()


def _light_and_shade(pictures: Tensor) -> Tensor:
    return gaussian_blur(luminance(pictures), [KERNEL, KERNEL], [BLUR, BLUR])

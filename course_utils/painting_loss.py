"""The loss of a photograph that shall look like a painting: its content kept, the painting's style taken on."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.feature_network import FeatureNetwork
from course_utils.losses import StyleLoss, check_pair, gram_matrix


class Neighbourhoods(nn.Module):
    """Each pixel with its eight neighbours, at full, half and quarter size: 27 numbers at each place.

    Their Gram matrices know palette and brush strokes, and what a network that halves the grid at once overlooks: a
    mesh of single pixels.
    """

    layers = (0, 1, 2)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Pictures ``(N, 3, H, W)``, at least 12 × 12, as three tensors ``(N, 27, h, w)``."""
        if min(pictures.shape[-2:]) < 12:
            raise ValueError(f"pictures of shape {tuple(pictures.shape)} are too small: a style needs 12 × 12 pixels.")
        found = []
        for level in self.layers:
            smaller = F.avg_pool2d(pictures, 2**level)
            height, width = smaller.shape[-2:]
            found.append(F.unfold(smaller, 3).unflatten(2, (height - 2, width - 2)))
        return found


class PaintingLoss(nn.Module):
    """``content·(f(p) - f(t))² + style·Σ|G(fᵢ(p)) - G(fᵢ(painting))| + smooth·|∇p|`` (after Johnson et al. 2016).

    `f` is the last layer of the feature network; `fᵢ` are all its layers and, weighing twice, `Neighbourhoods`; `G` is
    the Gram matrix. Each term is divided by the size of what it is compared with, so that 1 is about "all wrong".
    Content is squared: the mean absolute difference has a kink at the photograph itself, and a network that starts
    there stays.

    Args:
        judge: as `course_utils.feature_network.feature_network` gives it.
        painting: ``(3, H, W)`` floats, white 1; its strokes should be as wide in pixels as those wanted.
        smooth: weight of differences between neighbours, which keeps single pixels from flickering.

    Raises:
        ValueError: if a weight is negative or not finite, or the painting is not of that shape and type, smaller than
            12 × 12, or black.
    """

    def __init__(
        self, judge: FeatureNetwork, painting: Tensor, *, content: float = 1.5, style: float = 4.0, smooth: float = 3.0
    ) -> None:
        super().__init__()
        if not all(0 <= weight < math.inf for weight in (content, style, smooth)):
            raise ValueError(f"content={content}, style={style}, smooth={smooth}: none may be negative or not finite.")
        if painting.ndim != 3 or len(painting) != 3 or not painting.is_floating_point():
            raise ValueError(
                f"the painting is {painting.dtype} of shape {tuple(painting.shape)}, not floats (3, H, W)."
            )
        self.features, self.content, self.style, self.smooth = judge.features, content, style, smooth
        stacks = ((judge.features, 1.0), (Neighbourhoods(), 2.0))
        self.styles = nn.ModuleList(_style_loss(stack, painting, weight) for stack, weight in stacks)

    def style_distance(self, pictures: Tensor) -> Tensor:
        """How far pictures ``(N, 3, H, W)`` are from the painting's style, a scalar: 0 if there is no difference."""
        return torch.stack([loss(pictures) for loss in self.styles]).sum()

    def parts(self, prediction: Tensor, photograph: Tensor) -> dict[str, Tensor]:
        """The weighted summands by name, ``"content"``, ``"style"`` and ``"smooth"``; their sum is the loss."""
        check_pair(prediction, photograph)
        found = self.features(prediction)[-1]
        with torch.no_grad():
            wanted = self.features(photograph)[-1]
        rough = prediction.diff(dim=-1).abs().mean() + prediction.diff(dim=-2).abs().mean()
        return {
            "content": self.content * F.mse_loss(found, wanted) / wanted.square().mean(),
            "style": self.style * self.style_distance(prediction),
            "smooth": self.smooth * rough,
        }

    def forward(self, prediction: Tensor, photograph: Tensor) -> Tensor:
        """The loss of predictions for photographs, both ``(N, 3, H, W)``, white 1: a scalar."""
        return torch.stack(list(self.parts(prediction, photograph).values())).sum()


def _style_loss(stack: nn.Module, painting: Tensor, weight: float) -> StyleLoss:
    """A `StyleLoss` in which every layer of `stack` weighs the same, all together `weight`."""
    with torch.no_grad():
        sizes = [gram_matrix(f).abs().mean().item() for f in stack(painting[None])]
    if 0 in sizes:
        raise ValueError("there is no style in this painting: it is black, or the feature network sees nothing in it.")
    return StyleLoss(stack, painting, [weight / (len(sizes) * size) for size in sizes])

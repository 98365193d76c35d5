"""The loss of a photograph that shall look like a painting: its content kept, the painting's style taken on."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.feature_network import FeatureNetwork
from course_utils.losses import StyleLoss, gram_matrix


class PaintingLoss(nn.Module):
    """``content·|f(p) - f(t)| + style·Σ|G(fᵢ(p)) - G(fᵢ(painting))| + smooth·|∇p|`` (Johnson et al. 2016).

    Each term is divided by the size of what it is compared with, so that 1 is about "all wrong". `f` is the last layer
    of the feature network, `fᵢ` are all of them, `G` is the Gram matrix. Call with prediction and photograph
    ``(N, 3, H, W)``, white 1; it gives a scalar.

    Args:
        judge: as `course_utils.feature_network.feature_network` gives it.
        painting: ``(3, H, W)`` floats, white 1; its strokes should be as wide in pixels as those wanted.
        smooth: weight of differences between neighbours, which keeps single pixels from flickering.
    """

    def __init__(
        self, judge: FeatureNetwork, painting: Tensor, *, content: float = 1.0, style: float = 2.0, smooth: float = 1.0
    ) -> None:
        super().__init__()
        with torch.no_grad():
            sizes = [gram_matrix(f).abs().mean().item() for f in judge.features(painting[None])]
        self.style_loss = StyleLoss(judge.features, painting, [1 / (len(sizes) * size) for size in sizes])
        self.features = judge.features
        self.content, self.style, self.smooth = content, style, smooth

    def forward(self, prediction: Tensor, photograph: Tensor) -> Tensor:
        found = self.features(prediction)[-1]
        with torch.no_grad():
            wanted = self.features(photograph)[-1]
        rough = prediction.diff(dim=-1).abs().mean() + prediction.diff(dim=-2).abs().mean()
        away = F.l1_loss(found, wanted) / wanted.abs().mean()
        return self.content * away + self.style * self.style_loss(prediction) + self.smooth * rough

"""Which pretrained network judges pictures: the best one that is at hand, and a sentence that says which."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision

from course_utils.encoders import LITE0, WeightsUnavailableError, create_encoder
from course_utils.losses import FeatureStack

VGG = "vgg16_bn"
LAYERS = {VGG: (22, 32, 42), LITE0: (1, 3, 4)}
"""For VGG-16-bn the ReLUs before three pools (Howard et al. 2019); for EfficientNet-Lite0 the ends of three grids."""

WEIGHTS = {VGG: (5.0, 15.0, 2.0), LITE0: (0.2, 0.01, 0.01)}
GRAM = {VGG: 5e3, LITE0: 100.0}
"""VGG's numbers are the lecture's; those of Lite0, whose features are larger, let each part weigh as much as pixels."""


@dataclass(frozen=True)
class FeatureNetwork:
    """A feature stack, a weight for each of its layers, the weight of the Gram matrices, and a sentence on it."""

    features: FeatureStack
    weights: tuple[float, ...]
    gram: float
    said: str


def feature_network() -> FeatureNetwork:
    """VGG-16-bn if its ImageNet weights are cached, else the embedded EfficientNet-Lite0. Nothing is downloaded.

    Raises:
        ValueError: if the cached file of VGG-16-bn is damaged; `WeightsUnavailableError` if neither is there.
    """
    path = find_vgg_weights()
    if path is not None:
        try:
            stack = FeatureStack(create_encoder(VGG, pretrained=True), LAYERS[VGG])
        except WeightsUnavailableError as error:
            raise ValueError(f"{path} is damaged; delete it to go on without VGG-16-bn, or fetch it again.") from error
        return FeatureNetwork(
            stack, WEIGHTS[VGG], GRAM[VGG], "Feature network: VGG-16-bn, ImageNet weights from the cache."
        )
    stack = FeatureStack(create_encoder(LITE0, pretrained=True), LAYERS[LITE0])
    said = "Feature network: EfficientNet-Lite0, ImageNet weights from its package; VGG-16-bn is not cached."
    return FeatureNetwork(stack, WEIGHTS[LITE0], GRAM[LITE0], said)


def find_vgg_weights() -> Path | None:
    """VGG-16-bn's file in torch's download cache, if it is there."""
    url = torchvision.models.get_model_weights(VGG).DEFAULT.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    return path if path.is_file() else None

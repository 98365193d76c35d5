"""Losses for pictures: pixels, features of a pretrained network, and Gram matrices, which know style but not place."""

import copy
import itertools
import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import is_number, is_whole
from course_utils.imagenet import IMAGENET_MEAN, IMAGENET_STD
from course_utils.pictures import check_floats, check_pair, check_pictures
from course_utils.tensor_checks import describe, is_batch_of_floats


def gram_matrix(x: Tensor) -> Tensor:
    """How strongly each pair of channels is active together: ``(N, C, H, W)`` to ``(N, C, C)``.

    ``x·xᵀ / (C·H·W)`` with `x` flattened over its grid: where something is has no part in it (Gatys et al. 2016).
    Calculated in single precision at least: a sum over the grid does not fit into 16 bits.

    Raises:
        ValueError: if `x` is not ``(N, C, H, W)`` of floats, with no side of length 0.
    """
    if not is_batch_of_floats(x) or 0 in x.shape[1:]:
        raise ValueError(f"gram_matrix needs floats (N, C, H, W), and got {describe(x)}.")
    flat = x.flatten(2).to(torch.promote_types(x.dtype, torch.float32))
    with torch.autocast(x.device.type, enabled=False):
        return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


class FeatureStack(nn.Module):
    """A frozen copy of a pretrained body that gives what it sees in a picture after some of its layers.

    Args:
        body: layers in order, as `course_utils.encoders.create_encoder` gives them; it stays as it is.
        layers: positions in `body`, rising.

    Raises:
        ValueError: if `body` is no `nn.Sequential`, a position is not in it, or they do not rise.
    """

    def __init__(self, body: nn.Sequential, layers: Sequence[int]) -> None:
        super().__init__()
        if not isinstance(body, nn.Sequential):
            raise ValueError(f"the body is a {type(body).__name__}, not an nn.Sequential; create_encoder makes one.")
        whole = isinstance(layers, Iterable) and all(map(is_whole, layers := tuple(layers)))
        rising = whole and all(a < b for a, b in itertools.pairwise(layers))
        if not layers or not rising or layers[0] < 0 or layers[-1] >= len(body):
            raise ValueError(f"layers={layers} are not rising positions from 0 to {len(body) - 1} in the body.")
        self.layers = layers
        self.body = copy.deepcopy(body[: layers[-1] + 1]).eval().requires_grad_(False)
        for module in self.body.modules():
            if getattr(module, "inplace", False):
                module.inplace = False  # it would overwrite the features that are kept
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))

    def train(self, mode: bool = True) -> "FeatureStack":
        """Stays in evaluation mode: its batch norms must not learn from the pictures it judges."""
        return super().train(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Features of pictures ``(N, 3, H, W)``, white 1, black 0: one ``(N, C, h, w)`` for each layer."""
        check_floats(pictures, self.mean.dtype)
        x = (pictures - self.mean) / self.std
        features = []
        for position, layer in enumerate(self.body):
            x = layer(x)
            if position in self.layers:
                features.append(x)
        return features


class FeatureLoss(nn.Module):
    """Pixels, features and Gram matrices of two pictures compared, each by mean absolute difference.

    ``|p - t| + Σ wᵢ·|fᵢ(p) - fᵢ(t)| + Σ wᵢ²·gram·|G(fᵢ(p)) - G(fᵢ(t))|`` (Johnson et al. 2016; the weights of
    Howard et al. 2019). Call with prediction and target ``(N, 3, H, W)``, white 1; it gives a scalar, and does
    not check the range.

    Args:
        features: as `FeatureStack`; for VGG-16-bn the lecture takes layers 22, 32, 42 with weights 5, 15, 2.
        weights: one for each of its layers.
        pixel: weight of the pixels.
        gram: weight of the Gram matrices; 0 leaves them out.

    Raises:
        ValueError: if `features` has no layers, there are not as many weights as layers, or one is no number of
            at least 0.
    """

    def __init__(
        self, features: FeatureStack, weights: Sequence[float], *, pixel: float = 1.0, gram: float = 5e3
    ) -> None:
        super().__init__()
        _check_weights(features, weights)
        if not all(is_number(weight) and 0 <= weight < math.inf for weight in (pixel, gram)):
            raise ValueError(f"pixel={pixel!r}, gram={gram!r}: both must be numbers of at least 0.")
        self.features, self.weights, self.pixel, self.gram = features, tuple(weights), pixel, gram

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return torch.stack(list(self.parts(prediction, target).values())).sum()

    def parts(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The weighted summands by name: ``"pixels"``, ``"features"``, ``"gram"``; their sum is the loss."""
        check_pair(prediction, target)
        # The layout in memory of the prediction: in another one sums run in another order, and equal pictures differ.
        target = torch.empty_like(prediction, dtype=target.dtype).copy_(target)
        found = self.features(prediction)
        with torch.no_grad():
            wanted = self.features(target)
        triples = list(zip(self.weights, found, wanted, strict=True))
        parts = {
            "pixels": self.pixel * F.l1_loss(prediction, target),
            "features": sum(weight * F.l1_loss(f, w) for weight, f, w in triples),
        }
        if self.gram:
            terms = (weight**2 * F.l1_loss(gram_matrix(f), gram_matrix(w)) for weight, f, w in triples)
            parts["gram"] = self.gram * sum(terms)
        return parts


def _check_weights(features: FeatureStack, weights: Sequence[float]) -> None:
    if not hasattr(features, "layers"):
        raise ValueError(f"features is {describe(features)}; give FeatureStack(body, layers).")
    if not isinstance(weights, Sequence) or not all(is_number(w) and 0 <= w < math.inf for w in weights):
        raise ValueError(f"weights={weights!r} is no list of numbers of at least 0.")
    if len(weights) != len(features.layers):
        raise ValueError(f"{len(weights)} weights for {len(features.layers)} layers: give one for each.")


class StyleLoss(nn.Module):
    """How far the Gram matrices of pictures are from those of one painting, whatever they show (Gatys et al. 2016).

    Args:
        features: as `FeatureStack`.
        painting: ``(3, H, W)`` floats, white 1.
        weights: one for each layer.

    Raises:
        ValueError: if the painting is none, there are not as many weights as layers, or one is no number of at least 0.
    """

    def __init__(self, features: FeatureStack, painting: Tensor, weights: Sequence[float]) -> None:
        super().__init__()
        _check_weights(features, weights)
        if not isinstance(painting, Tensor) or painting.ndim != 3:
            raise ValueError(f"the painting is {describe(painting)}, not floats (3, H, W).")
        check_pictures(painting[None])
        self.features, self.weights = features, tuple(weights)
        with torch.no_grad():
            grams = [gram_matrix(f) for f in features(painting[None])]
        for i, gram in enumerate(grams):
            self.register_buffer(f"gram_{i}", gram)

    def forward(self, pictures: Tensor) -> Tensor:
        """Weighted mean absolute difference of the Gram matrices, a scalar; `pictures` are ``(N, 3, H, W)``."""
        check_floats(pictures)
        if not pictures.numel():
            raise ValueError(f"pictures of shape {tuple(pictures.shape)} hold no pixels.")
        total = pictures.new_zeros(())
        for i, (weight, found) in enumerate(zip(self.weights, self.features(pictures), strict=True)):
            gram = gram_matrix(found)
            total = total + weight * F.l1_loss(gram, getattr(self, f"gram_{i}").expand_as(gram))
        return total

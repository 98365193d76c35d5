"""How far pictures are from the style of one painting: by Gram matrices, or by everything that small patches show."""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import check_whole
from course_utils.experiments.feature_network import FeatureNetwork
from course_utils.losses import StyleLoss, gram_matrix
from course_utils.pictures import check_floats, check_pictures
from course_utils.random_state import seeded_generator
from course_utils.tensor_checks import describe

MOST_PATCHES = 16384
"""So many patches of a painting are kept at each scale, drawn at random: 10 MB for patches of 7 pixels."""


class PatchDistance(nn.Module):
    """Sliced Wasserstein distance between the patches of pictures and those of a painting (Rabin et al. 2011).

    Each patch is a point with 3·side² coordinates. Seen along one direction, a cloud of points is a list of numbers,
    and two lists are as far apart as they are when both are sorted. The mean over random directions and over scales
    (full size, half, quarter, …) is zero only if the clouds are the same: colours, strokes, and how often each occurs.
    Elnekave and Weiss (2022) make pictures with it and without any network. Where a patch lies plays no part.

    A step in brightness of 0.1 over the whole picture is a distance of about 0.08. The painting's patches are drawn
    anew for each call, so its distance from itself is not quite zero: up to 0.01.

    Args:
        painting: ``(3, H, W)`` floats, white 1; its strokes should be as wide in pixels as those wanted.
        side: of a patch, in pixels.
        levels: scales, each half as large as the one before.
        directions: drawn for each call.

    Raises:
        ValueError: if the painting is no such picture, or smaller than one patch at the smallest scale.
    """

    def __init__(self, painting: Tensor, *, side: int = 7, levels: int = 3, directions: int = 16) -> None:
        super().__init__()
        check_whole(side=side, levels=levels, directions=directions)
        check_painting(painting)
        self.side, self.levels, self.directions = side, levels, directions
        self._check_size(painting)
        self._generator = seeded_generator(0)
        picture = painting.detach()[None].float()
        for level in range(levels):
            picture = F.avg_pool2d(picture, 2) if level else picture
            patches = picture[0].unfold(1, side, 1).unfold(2, side, 1)  # a view: all of them would not fit into memory
            rows, columns = patches.shape[1:3]
            kept = torch.randperm(rows * columns, generator=self._generator)[:MOST_PATCHES].to(picture.device)
            drawn = patches[:, kept // columns, kept % columns].transpose(0, 1).flatten(1)
            self.register_buffer(f"patches_{level}", drawn, persistent=False)

    def forward(self, pictures: Tensor, seed: int | None = None) -> Tensor:
        """Distance of pictures ``(N, 3, H, W)``, a scalar, differentiable.

        Args:
            seed: draws the same directions again, to compare; None draws new ones, to train.
        """
        check_floats(pictures)
        self._check_size(pictures)
        generator = self._generator if seed is None else seeded_generator(seed)
        total = pictures.new_zeros(())
        for level in range(self.levels):
            pictures = F.avg_pool2d(pictures, 2) if level else pictures
            directions = torch.randn(self.directions, 3 * self.side**2, generator=generator)
            directions = F.normalize(directions).to(pictures)
            shown = F.conv2d(pictures, directions.view(-1, 3, self.side, self.side)).flatten(2)
            patches = getattr(self, f"patches_{level}").to(pictures.dtype)
            drawn = torch.randint(len(patches), (shown.shape[-1],), generator=generator).to(patches.device)
            wanted = directions @ patches[drawn].T
            total = total + (_in_order(shown) - _in_order(wanted)).abs().mean()
        return total / self.levels

    def _check_size(self, pictures: Tensor) -> None:
        least = self.side * 2 ** (self.levels - 1)
        if not pictures.numel():
            raise ValueError(f"pictures of shape {tuple(pictures.shape)} hold no pixels.")
        if min(pictures.shape[-2:]) < least:
            raise ValueError(
                f"pictures of shape {tuple(pictures.shape)} are too small: patches of {self.side} pixels at "
                f"{self.levels} scales need {least} × {least}."
            )


def _in_order(values: Tensor) -> Tensor:
    """Sorted along the last axis. NumPy takes a fraction of the time, as it does not keep where each value lay."""
    if values.requires_grad or values.device.type != "cpu" or values.dtype != torch.float32:
        return values.sort(-1).values
    return torch.from_numpy(np.sort(values.numpy(), axis=-1))


@torch.no_grad()
def repeated_distance(distance: PatchDistance, pictures: Tensor, draws: int = 10) -> Tensor:
    """Distances ``(draws,)`` of pictures ``(N, 3, H, W)``, each along directions of its own, the same in every call.

    One draw says little: of a dozen pictures, two draws of 16 directions differ by some 0.006. Report the mean. To
    compare two ways of making pictures, subtract draw by draw: most of what a draw does, it does to both.

    Raises:
        ValueError: if `draws` is no whole number of at least 1, or `distance` refuses the pictures.
    """
    check_whole(draws=draws)
    return torch.stack([distance(pictures, seed=seed) for seed in range(draws)])


class GramDistance(nn.Module):
    """``Σ|G(fᵢ(p)) - G(fᵢ(painting))|`` (Gatys et al. 2016), for pictures ``(N, 3, H, W)``, a scalar.

    `fᵢ` are the layers of the feature network and, weighing twice, `Neighbourhoods`; `G` is the Gram matrix. Each term
    is divided by the size of what it is compared with: a black picture is 3 or more away.

    Args:
        judge: as `course_utils.experiments.feature_network.feature_network` gives it.
        painting: ``(3, H, W)`` floats, white 1.

    Raises:
        ValueError: if the painting is no such picture, smaller than 12 × 12, or black.
    """

    def __init__(self, judge: FeatureNetwork, painting: Tensor) -> None:
        super().__init__()
        check_painting(painting)
        if not isinstance(judge, FeatureNetwork):
            raise ValueError(f"judge is {describe(judge)}, not what feature_network() gives.")
        features = copy.deepcopy(judge.features).to(painting.device)  # others may use the judge, on another device
        stacks = ((features, 1.0), (Neighbourhoods(), 2.0))
        self.styles = nn.ModuleList(_style_loss(stack, painting, weight) for stack, weight in stacks)

    def forward(self, pictures: Tensor) -> Tensor:
        check_floats(pictures)
        if not pictures.numel():
            raise ValueError(f"pictures of shape {tuple(pictures.shape)} hold no pixels.")
        return torch.stack([loss(pictures) for loss in self.styles]).sum()


class Neighbourhoods(nn.Module):
    """Each pixel with its eight neighbours, at full, half and quarter size: 27 numbers at each place.

    Their Gram matrices know palette and brush strokes at scales that a network which halves the grid at once overlooks.
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


def check_painting(painting: Tensor) -> None:
    """Refuse what is no picture ``(3, H, W)`` of floats from 0 to 1.

    Raises:
        ValueError: with what was given instead.
    """
    if not isinstance(painting, Tensor) or painting.ndim != 3 or len(painting) != 3 or not painting.is_floating_point():
        given = f"{painting.dtype} of shape {tuple(painting.shape)}" if isinstance(painting, Tensor) else repr(painting)
        raise ValueError(f"the painting is {given}, not floats (3, H, W).")
    check_pictures(painting[None])


def _style_loss(stack: nn.Module, painting: Tensor, weight: float) -> StyleLoss:
    """A `StyleLoss` in which every layer of `stack` weighs the same, all together `weight`."""
    with torch.no_grad():
        sizes = [gram_matrix(f).abs().mean().item() for f in stack(painting[None])]
    if min(sizes) < 1e-8:
        raise ValueError(
            "there is no style in this painting: it is black or nearly so, or the feature network sees nothing in it."
        )
    return StyleLoss(stack, painting, [weight / (len(sizes) * size) for size in sizes])

"""Test-time augmentation: look at a picture several ways, and average what the network says."""

import functools
import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import check_flags, is_number
from course_utils.tensor_checks import check_channels


class AveragedViews(nn.Module):
    """A trained network asked about several views of each picture: ``(N, 3, H, W)`` to log class probabilities.

    The class probabilities of all views are averaged, at the size of the picture. It takes as many times longer as
    there are views.

    Args:
        flip: look at the mirror image too.
        scales: sizes to look at, as shares of the picture's own.

    Raises:
        ValueError: if a scale is not positive, or there is none; if `flip` is not True or False; in a call, if the
            network gives a single channel.
    """

    def __init__(self, model: nn.Module, flip: bool = True, scales: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        check_flags(flip=flip)
        shares = tuple(scales) if isinstance(scales, Iterable) else ()
        if not shares or not all(is_number(share) and 0 < share < math.inf for share in shares):
            raise ValueError(f"scales={scales!r} are not positive shares of the picture's size; (1.0,) is one.")
        self.model, self.flip, self.scales = model, flip, shares

    def forward(self, x: Tensor) -> Tensor:
        mirrored = (False, True) if self.flip else (False,)
        views = (self._log_probabilities(x, scale, mirror) for scale in self.scales for mirror in mirrored)
        # Of logarithms: what a confident network thinks impossible has no probability that a float can hold.
        return functools.reduce(torch.logaddexp, views) - math.log(len(self.scales) * len(mirrored))

    def _log_probabilities(self, x: Tensor, scale: float, mirror: bool) -> Tensor:
        size = x.shape[-2:]
        seen = x
        if scale != 1:
            new_size = [max(32, round(side * scale)) for side in size]
            seen = F.interpolate(_single(x), new_size, mode="bilinear", antialias=True).to(x.dtype)
        found = _single(self.model(seen.flip(-1)).flip(-1) if mirror else self.model(seen))
        check_channels(found)
        found = found.log_softmax(1)
        if scale == 1:
            return found
        return F.interpolate(found.exp(), size, mode="bilinear").clamp_min(torch.finfo(found.dtype).tiny).log()


def _single(x: Tensor) -> Tensor:
    """`x` in single precision at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))

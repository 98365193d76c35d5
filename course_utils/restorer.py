"""The hooked U-Net as a restorer: a picture goes in, and what comes out is the picture plus what was missing."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import check_flags, check_whole, is_whole
from course_utils.encoders import LITE0, PretrainedOption, create_encoder
from course_utils.imagenet import IMAGENET_MEAN, IMAGENET_STD
from course_utils.layers import SigmoidRange, SpectralNormConv2d, WeightNormConv2d
from course_utils.modes import evaluation_mode
from course_utils.pictures import check_floats, check_pictures
from course_utils.unet import DynamicUnet


class Restorer(nn.Module):
    """A U-Net between pictures ``(N, 3, H, W)``, white 1 and black 0.

    Args:
        unet: gets the picture less ImageNet's mean, over its spread, as torchvision's encoders were trained to see it.
            EfficientNet-Lite was trained with 0.5 for both.
        residual: add the network's output to its input; the last layer starts at zero, so that the untrained
            network gives back what it gets. Needs three output channels.
        frame: so many pixels are reflected around the picture first, and cut off in the end: from the zeros of its
            padding the network would see where the border is.

    Raises:
        ValueError: if `residual` meets another number of output channels, or a last layer that cannot give zero; if
            `frame` is negative, or, when called, not smaller than the picture.
    """

    def __init__(self, unet: DynamicUnet, residual: bool = True, frame: int = 0) -> None:
        super().__init__()
        check_whole(0, frame=frame)
        check_flags(residual=residual)
        last = [module for module in unet.head.modules() if isinstance(module, nn.Conv2d)][-1]
        self.n_out = last.out_channels // unet.fold**2
        if residual and self.n_out != 3:
            raise ValueError(f"residual=True adds to three channels, and the network gives {self.n_out}.")
        self.unet, self.residual, self.frame = unet, residual, frame
        if residual:
            _silence(unet)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        check_floats(pictures, self.mean.dtype)
        height, width = pictures.shape[-2:]
        frame = self.frame
        if frame and min(height, width) <= frame:
            raise ValueError(
                f"{height} × {width} pixels are too few to reflect a frame of {frame}; take larger pictures."
            )
        framed = F.pad(pictures, [frame] * 4, mode="reflect") if frame else pictures
        out = self.unet((framed - self.mean) / self.std)
        out = out[..., frame : frame + height, frame : frame + width]
        return pictures + out if self.residual else out

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Parameters of the encoder, then of everything else: two groups for two learning rates."""
        return self.unet.parameter_groups()


def _silence(unet: DynamicUnet) -> None:
    """Zero what scales the output of `unet` and what is added to it."""
    last, limits = unet.head[-1], unet.y_range
    if isinstance(last, SpectralNormConv2d):
        raise ValueError("norm_type='spectral' cannot be silent at the start; take another one, or residual=False.")
    if isinstance(limits, SigmoidRange) and limits.low + limits.high:
        middle = (limits.low + limits.high) / 2
        raise ValueError(
            f"y_range=({limits.low}, {limits.high}) with residual=True would add {middle} to every picture; "
            "take one round 0, as (-1, 1)."
        )
    nn.init.zeros_(last.weight_g if isinstance(last, WeightNormConv2d) else last.weight)
    if last.bias is not None:
        nn.init.zeros_(last.bias)


def make_restorer(
    size: int = 96,
    *,
    n_out: int = 3,
    residual: bool = True,
    depth: int | None = 6,
    encoder: str = LITE0,
    pretrained: PretrainedOption = "auto",
    frame: int = 0,
    **options: object,
) -> Restorer:
    """A `Restorer` on a pretrained encoder, without the expensive block at full size unless ``last_cross=True``.

    What the input picture knows is added at the very end instead.

    Args:
        size: side of the pictures it is trained on; others work as well.
        depth: so many of the encoder's layers; None takes all. Damage is seen in a small neighbourhood, and the
            first 6 of EfficientNet-Lite0, down to a sixteenth of the grid, train in a quarter of the time.
        residual, frame: as in `Restorer`.
        options: of `course_utils.unet.DynamicUnet`.

    Raises:
        ValueError: for an option out of range.
    """
    if depth is not None and (not is_whole(depth) or depth < 1):
        raise ValueError(f"depth={depth!r} is neither a whole number of at least 1 nor None.")
    options = {"last_cross": False, **options}
    check_whole(0, frame=frame)
    if frame:
        check_whole(frame + 1, size=size)
    side = size + 2 * frame if frame else size  # without a frame, DynamicUnet judges the size
    unet = DynamicUnet(create_encoder(encoder, pretrained)[:depth], n_out, (side, side), **options)
    return Restorer(unet, residual, frame)


@torch.no_grad()
def restore(model: nn.Module, pictures: Tensor) -> Tensor:
    """What `model` makes of pictures ``(N, 3, H, W)``, in evaluation mode, cut to the range from black to white.

    The model computes on its own device; the result lies where `pictures` do.

    Raises:
        ValueError: if they are no pictures, white 1 and black 0.
    """
    check_pictures(pictures)
    device = next((parameter.device for parameter in model.parameters()), pictures.device)
    with evaluation_mode(model):
        return model(pictures.to(device)).clamp(0, 1).to(pictures.device)

"""Oklab: lightness in one number and colour in two, spaced as people see them (Ottosson 2020)."""

import torch
from torch import Tensor

from course_utils.tensor_checks import describe, is_batch_of_floats

# https://bottosson.github.io/posts/oklab/: linear sRGB to cone responses, and their cube roots to L, a, b.
_TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def rgb_to_oklab(pictures: Tensor) -> Tensor:
    """sRGB pictures ``(N, 3, H, W)`` from 0 to 1 as lightness L (0 to 1), green to red a, blue to yellow b.

    Grey has a = b = 0; the colours of a screen lie within ±0.33. Calculated in single precision at least.

    Raises:
        ValueError: if the pictures are not floats ``(N, 3, H, W)``.
    """
    rgb = _checked(pictures)
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp_min(0) + 0.055) / 1.055) ** 2.4)
    cones = _mix(_TO_CONES, linear)
    roots = cones.sign() * cones.abs().clamp_min(1e-12) ** (1 / 3)  # of 0 itself the gradient would be nan
    return _mix(_TO_LAB, roots).to(pictures.dtype)


def oklab_to_rgb(lab: Tensor) -> Tensor:
    """The inverse of `rgb_to_oklab`, ``(N, 3, H, W)``; colours that no screen has are cut to 0 to 1."""
    cones = _mix(_inverse(_TO_LAB), _checked(lab)) ** 3
    linear = _mix(_inverse(_TO_CONES), cones).clamp(0, 1)
    rgb = torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055)
    return rgb.to(lab.dtype)


def _mix(matrix: object, channels: Tensor) -> Tensor:
    matrix = torch.as_tensor(matrix, dtype=channels.dtype, device=channels.device)
    with torch.autocast(channels.device.type, enabled=False):
        return torch.einsum("oc,nchw->nohw", matrix, channels)


def _inverse(matrix: object) -> Tensor:
    return torch.linalg.inv(torch.tensor(matrix, dtype=torch.float64))


def _checked(pictures: Tensor) -> Tensor:
    if not is_batch_of_floats(pictures) or pictures.shape[1] != 3:
        raise ValueError(f"got {describe(pictures)}, not floats (N, 3, H, W); divide bytes by 255.")
    return pictures.to(torch.promote_types(pictures.dtype, torch.float32))

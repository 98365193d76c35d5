"""Oklab: brightness in one number and colour in two, spaced as people see them (Ottosson 2020)."""

import torch
from torch import Tensor

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
    """sRGB pictures ``(N, 3, H, W)`` from 0 to 1 as brightness L (0 to 1), green to red a, blue to yellow b.

    Grey has a = b = 0; the colours of a screen lie within ±0.33.

    Raises:
        ValueError: if the pictures are not floats ``(N, 3, H, W)``.
    """
    _check(pictures)
    linear = torch.where(pictures <= 0.04045, pictures / 12.92, ((pictures.clamp_min(0) + 0.055) / 1.055) ** 2.4)
    cones = _mix(_TO_CONES, linear)
    return _mix(_TO_LAB, cones.sign() * cones.abs() ** (1 / 3))


def oklab_to_rgb(lab: Tensor) -> Tensor:
    """The inverse of `rgb_to_oklab`, ``(N, 3, H, W)``; colours that no screen has are cut to 0 to 1."""
    _check(lab)
    cones = _mix(_inverse(_TO_LAB), lab) ** 3
    linear = _mix(_inverse(_TO_CONES), cones).clamp(0, 1)
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055)


def _mix(matrix: object, channels: Tensor) -> Tensor:
    matrix = torch.as_tensor(matrix, dtype=channels.dtype, device=channels.device)
    return torch.einsum("oc,nchw->nohw", matrix, channels)


def _inverse(matrix: object) -> Tensor:
    return torch.linalg.inv(torch.tensor(matrix, dtype=torch.float64))


def _check(pictures: Tensor) -> None:
    if not isinstance(pictures, Tensor) or pictures.ndim != 4 or pictures.shape[1] != 3:
        found = tuple(pictures.shape) if isinstance(pictures, Tensor) else type(pictures).__name__
        raise ValueError(f"got {found}, not pictures (N, 3, H, W).")
    if not pictures.is_floating_point():
        raise ValueError(f"got {pictures.dtype}, not floats; divide bytes by 255.")

"""Sizes, zeros and overlaps of convolutions and transposed convolutions, counted without running a network.

All geometry is the same along both sides of the grid, so that one formula at a time has to be understood
(Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning").
"""

import operator

import torch
from torch import Tensor

from course_utils.tensor_checks import describe


def conv_output_size(n: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Side of the grid that a convolution makes from a side of `n` pixels.

    ``(n + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1``
    (Dumoulin & Visin 2016, relationships 6 and 15).

    Raises:
        ValueError: if an argument is out of range or the kernel spans more pixels than there are.
    """
    n, kernel_size, stride, padding, dilation = _whole_numbers(
        n=n, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation
    )
    span = dilation * (kernel_size - 1) + 1
    if span > n + 2 * padding:
        raise ValueError(
            f"kernel_size={kernel_size} with dilation={dilation} spans {span} pixels, "
            f"and n={n} with padding={padding} on both sides has only {n + 2 * padding}."
        )
    return (n + 2 * padding - span) // stride + 1


def transposed_conv_output_size(
    n: int, kernel_size: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Side of the grid that a transposed convolution makes from a side of `n` pixels.

    ``(n - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1``
    (Dumoulin & Visin 2016, relationship 14, with dilation).

    Raises:
        ValueError: if an argument is out of range or the result would be smaller than one pixel.
    """
    return _transposed_size("n", n, kernel_size, stride, padding, output_padding, dilation)


def zero_insert(x: Tensor, stride: int) -> Tensor:
    """`x` with ``stride - 1`` zeros between neighbouring pixels.

    ``(..., H, W)`` becomes ``(..., (H - 1) * stride + 1, (W - 1) * stride + 1)``, of the same type.

    Raises:
        ValueError: if `stride` is smaller than 1 or `x` has no grid of at least one pixel.
    """
    (stride,) = _whole_numbers(stride=stride)
    if not isinstance(x, Tensor) or x.ndim < 2 or 0 in x.shape[-2:]:
        raise ValueError(f"x is {describe(x)}, not a tensor (..., H, W) with sides of at least one pixel.")
    height, width = x.shape[-2:]
    spread = x.new_zeros(*x.shape[:-2], (height - 1) * stride + 1, (width - 1) * stride + 1)
    spread[..., ::stride, ::stride] = x
    return spread


def overlap_counts(
    height: int,
    width: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """How many input pixels write to each output pixel of a transposed convolution on a `height` × `width` grid.

    Counts that differ between neighbours are where checkerboards come from (Odena et al. 2016).

    Returns:
        int64 tensor (H_out, W_out); 0 where an output pixel receives nothing but the bias.

    Raises:
        ValueError: as `transposed_conv_output_size`.
    """
    geometry = (kernel_size, stride, padding, output_padding, dilation)
    rows = _counts_along_a_side("height", height, *geometry)
    columns = _counts_along_a_side("width", width, *geometry)
    return torch.outer(rows, columns)


def useful_fraction(
    height: int,
    width: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
) -> float:
    """Share of kernel products that touch a real input when a transposed convolution is drawn with inserted zeros.

    In that drawing every output pixel is a sum of ``kernel_size²`` products; all but the counted ones have a zero in
    them. Within a large grid the share is ``1 / stride²``.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: as `transposed_conv_output_size`.
    """
    counts = overlap_counts(height, width, kernel_size, stride, padding, output_padding, dilation)
    return counts.sum().item() / (counts.numel() * int(kernel_size) ** 2)


def _counts_along_a_side(
    name: str, n: int, kernel_size: int, stride: int, padding: int, output_padding: int, dilation: int
) -> Tensor:
    size = _transposed_size(name, n, kernel_size, stride, padding, output_padding, dilation)
    n, kernel_size, stride, padding, dilation = map(int, (n, kernel_size, stride, padding, dilation))
    starts = stride * torch.arange(n) - padding
    written = (starts[:, None] + dilation * torch.arange(kernel_size)).flatten()
    kept = written[(written >= 0) & (written < size)]
    return torch.bincount(kept, minlength=size)


def _transposed_size(
    name: str, n: int, kernel_size: int, stride: int, padding: int, output_padding: int, dilation: int
) -> int:
    n, kernel_size, stride, padding, output_padding, dilation = _whole_numbers(
        **{name: n},
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
    )
    # The rule is torch's: more rows than that could not have been lost by the convolution that is being undone.
    if output_padding >= max(stride, dilation):
        raise ValueError(
            f"output_padding={output_padding} must be smaller than stride={stride} or than dilation={dilation}."
        )
    uncropped = (n - 1) * stride + dilation * (kernel_size - 1) + 1 + output_padding
    size = uncropped - 2 * padding
    if size < 1:
        raise ValueError(
            f"padding={padding} takes {2 * padding} pixels from a side of {uncropped} ({name}={n}): nothing is left."
        )
    return size


def _whole_numbers(**numbers: int) -> list[int]:
    """The numbers as Python's own, which do not overflow, in their order; refused if one is out of range."""
    found = []
    for name, number in numbers.items():
        lowest = 0 if name.endswith("padding") else 1
        try:
            whole = operator.index(number)
        except TypeError:
            whole = None
        if whole is None or isinstance(number, bool):
            raise ValueError(f"{name}={number!r} must be a whole number.")
        if whole < lowest:
            raise ValueError(f"{name}={number} must be at least {lowest}.")
        found.append(whole)
    return found

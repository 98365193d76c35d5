"""Sizes, inserted zeros, overlap counts and both views of a transposed convolution, over random geometries by torch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.conv_arithmetic import (
    conv_output_size,
    overlap_counts,
    transposed_conv_output_size,
    useful_fraction,
    zero_insert,
)

numbers = st.integers
CONV = {
    "kernel_size": numbers(1, 5),
    "stride": numbers(1, 4),
    "padding": numbers(0, 6),
    "dilation": numbers(1, 3),
}
TRANSPOSED = CONV | {"output_padding": numbers(0, 4)}
conv_geometry = st.fixed_dictionaries(CONV)
transposed_geometry = st.fixed_dictionaries(TRANSPOSED)


def torch_options(geometry):
    return {name: value for name, value in geometry.items() if name != "kernel_size"}


def scatter(x, w, stride, padding, output_padding, dilation):
    """Every input pixel adds its multiple of the kernel to a canvas, which then loses its border."""
    k = len(w)
    size = [(n - 1) * stride + dilation * (k - 1) + 1 + output_padding for n in x.shape]
    canvas = torch.zeros(size, dtype=x.dtype)
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            for i in range(k):
                for j in range(k):
                    canvas[row * stride + i * dilation, column * stride + j * dilation] += x[row, column] * w[i, j]
    return canvas[padding : size[0] - padding, padding : size[1] - padding]


def gather(x, w, stride, padding, output_padding, dilation):
    """The turned kernel slides over zero-inserted, padded input; every output pixel is one window's sum."""
    reach = dilation * (len(w) - 1)
    ring = reach - padding
    grid = F.pad(zero_insert(x, stride), (ring, ring + output_padding) * 2)
    size = [side - reach for side in grid.shape]
    turned = w.flip(0, 1)
    output = torch.zeros(size, dtype=x.dtype)
    for row in range(size[0]):
        for column in range(size[1]):
            window = grid[row : row + reach + 1 : dilation, column : column + reach + 1 : dilation]
            output[row, column] = (window * turned).sum()
    return output


@given(numbers(1, 12), numbers(1, 12), conv_geometry)
@settings(max_examples=200, deadline=None)
def test_conv_size_agrees_with_torch_or_both_refuse(height, width, geometry):
    x = torch.zeros(1, 1, height, width)
    w = torch.zeros(1, 1, geometry["kernel_size"], geometry["kernel_size"])
    try:
        expected = F.conv2d(x, w, **torch_options(geometry)).shape[-2:]
    except RuntimeError:
        with pytest.raises(ValueError, match=r"spans \d+ pixels"):
            [conv_output_size(n, **geometry) for n in (height, width)]
    else:
        assert (conv_output_size(height, **geometry), conv_output_size(width, **geometry)) == expected


@given(numbers(1, 6), numbers(1, 6), transposed_geometry)
@settings(max_examples=300, deadline=None)
def test_transposed_size_and_counts_agree_with_torch_or_both_refuse(height, width, geometry):
    ones = torch.ones(1, 1, height, width)
    w = torch.ones(1, 1, geometry["kernel_size"], geometry["kernel_size"])
    try:
        expected = F.conv_transpose2d(ones, w, **torch_options(geometry))[0, 0]
    except RuntimeError:
        with pytest.raises(ValueError, match=r"output_padding=|padding="):
            [transposed_conv_output_size(n, **geometry) for n in (height, width)]
        with pytest.raises(ValueError, match=r"output_padding=|padding="):
            overlap_counts(height, width, **geometry)
        with pytest.raises(ValueError, match=r"output_padding=|padding="):
            useful_fraction(height, width, **geometry)
    else:
        sizes = tuple(transposed_conv_output_size(n, **geometry) for n in (height, width))
        counts = overlap_counts(height, width, **geometry)
        assert sizes == expected.shape
        assert counts.dtype == torch.int64
        assert torch.equal(counts, expected.round().long())
        share = useful_fraction(height, width, **geometry)
        assert share == pytest.approx(expected.mean().item() / geometry["kernel_size"] ** 2)


@st.composite
def possible_transposed(draw):
    """A geometry that exists: output padding and padding are drawn within what the rest leaves room for."""
    height, width, k = draw(numbers(1, 4)), draw(numbers(1, 4)), draw(numbers(1, 4))
    stride, dilation = draw(numbers(1, 3)), draw(numbers(1, 3))
    output_padding = draw(numbers(0, max(stride, dilation) - 1))
    shortest = (min(height, width) - 1) * stride + dilation * (k - 1) + 1 + output_padding
    padding = draw(numbers(0, (shortest - 1) // 2))
    return height, width, k, (stride, padding, output_padding, dilation)


@given(possible_transposed(), numbers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_scatter_and_gather_are_the_transposed_convolution(case, seed):
    height, width, k, (stride, padding, output_padding, dilation) = case
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(height, width, generator=generator, dtype=torch.float64)
    w = torch.randn(k, k, generator=generator, dtype=torch.float64)
    expected = F.conv_transpose2d(x[None, None], w[None, None], None, stride, padding, output_padding, 1, dilation)
    for view in (scatter, gather):
        torch.testing.assert_close(view(x, w, stride, padding, output_padding, dilation), expected[0, 0])


@given(numbers(1, 30), conv_geometry)
@settings(max_examples=200, deadline=None)
def test_output_padding_gives_back_what_the_convolution_lost(n, geometry):
    try:
        small = conv_output_size(n, **geometry)
    except ValueError:
        return
    dilation = geometry["dilation"]
    span = dilation * (geometry["kernel_size"] - 1) + 1
    lost = (n + 2 * geometry["padding"] - span) % geometry["stride"]
    assert transposed_conv_output_size(small, **geometry, output_padding=lost) == n


@given(st.lists(numbers(1, 5), min_size=2, max_size=4), numbers(1, 4))
def test_zero_insert_keeps_every_pixel_and_adds_only_zeros(shape, stride):
    x = torch.arange(1, torch.Size(shape).numel() + 1).reshape(shape)
    spread = zero_insert(x, stride)
    assert spread.shape == (*shape[:-2], *((n - 1) * stride + 1 for n in shape[-2:]))
    assert spread.dtype == x.dtype
    assert torch.equal(spread[..., ::stride, ::stride], x)
    assert spread.count_nonzero() == x.numel()


def test_the_drawing_of_the_lecture():
    assert transposed_conv_output_size(2, 3, stride=2) == 5
    assert transposed_conv_output_size(2, 3, stride=2, padding=1) == 3
    assert transposed_conv_output_size(2, 3, stride=2, padding=1, output_padding=1) == 4
    assert useful_fraction(2, 2, 3, stride=2) == 0.16
    assert useful_fraction(1000, 1000, 3, stride=2) == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize(
    ("kernel_size", "padding", "inside"), [(2, 0, {1}), (3, 1, {1, 2, 4}), (4, 1, {4}), (5, 2, {4, 6, 9})]
)
def test_counts_inside_a_large_grid(kernel_size, padding, inside):
    counts = overlap_counts(8, 8, kernel_size, stride=2, padding=padding)
    assert set(counts[4:-4, 4:-4].flatten().tolist()) == inside


@pytest.mark.parametrize("function", [overlap_counts, useful_fraction])
def test_the_side_that_is_impossible_is_named(function):
    with pytest.raises(ValueError, match="width=0 must be at least 1"):
        function(2, 0, 3)
    with pytest.raises(ValueError, match=r"padding=2 takes 4 pixels from a side of 3 \(height=1\): nothing is left"):
        function(1, 4, 3, padding=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n=0 must be at least 1"),
        ({"kernel_size": -3}, "kernel_size=-3 must be at least 1"),
        ({"stride": 0}, "stride=0 must be at least 1"),
        ({"padding": -1}, "padding=-1 must be at least 0"),
        ({"dilation": 0}, "dilation=0 must be at least 1"),
        ({"stride": 1.5}, "stride=1.5 must be a whole number"),
        ({"kernel_size": (3, 3)}, r"kernel_size=\(3, 3\) must be a whole number"),
    ],
)
@pytest.mark.parametrize("function", [conv_output_size, transposed_conv_output_size])
def test_numbers_out_of_range_are_named(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(**{"n": 8, "kernel_size": 3} | arguments)


def test_output_padding_out_of_range_is_named():
    with pytest.raises(ValueError, match="output_padding=-1 must be at least 0"):
        transposed_conv_output_size(4, 3, output_padding=-1)
    with pytest.raises(ValueError, match="output_padding=2 must be smaller than stride=2 or than dilation=1"):
        transposed_conv_output_size(4, 3, stride=2, output_padding=2)


def test_zero_insert_refuses_what_has_no_grid():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        zero_insert(torch.ones(3), 2)
    with pytest.raises(ValueError, match="type ndarray"):
        zero_insert(torch.ones(2, 2).numpy(), 2)
    with pytest.raises(ValueError, match=r"shape \(2, 0\)"):
        zero_insert(torch.ones(2, 0), 2)
    with pytest.raises(ValueError, match="stride=0"):
        zero_insert(torch.ones(2, 2), 0)


def test_numpy_numbers_do_not_overflow_and_truth_values_are_no_numbers():
    with pytest.raises(ValueError, match="nothing is left"):
        transposed_conv_output_size(*map(np.uint8, (1, 1, 1, 1)))
    assert transposed_conv_output_size(*map(np.int8, (100, 3, 2))) == 201
    assert type(conv_output_size(torch.tensor(7), np.int64(3))) is int
    with pytest.raises(ValueError, match="stride=True"):
        conv_output_size(7, 3, stride=True)


def test_a_kernel_size_of_few_bits_does_not_wrap():
    small = useful_fraction(5, 5, torch.tensor(20, dtype=torch.uint8), 2)
    assert small == useful_fraction(5, 5, 20, 2)

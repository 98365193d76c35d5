"""Convolution and gradients by one product of matrices against PyTorch's own."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.matrix_convolution import convolve, input_gradient, weight_gradient

few = st.integers(1, 7)


@settings(max_examples=80, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), few, few, few),
    out_channels=few,
    kernel_size=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 3),
    layout=st.sampled_from([torch.channels_last, torch.contiguous_format]),
    with_bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_output_and_gradients_are_those_of_the_convolution(
    shape, out_channels, kernel_size, stride, layout, with_bias, seed
):
    torch.manual_seed(seed)
    x = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    weight = torch.randn(out_channels, shape[1], kernel_size, kernel_size, dtype=torch.float64)
    weight = weight.contiguous(memory_format=layout).requires_grad_()
    bias = torch.randn(out_channels, dtype=torch.float64) if with_bias else None
    expected = F.conv2d(x, weight, bias, stride, kernel_size // 2)
    found = convolve(x, weight, bias, stride)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last) and not found.requires_grad

    grad = torch.randn(expected.shape, dtype=torch.float64).contiguous(memory_format=layout)
    of_x, of_weight = torch.autograd.grad(expected, (x, weight), grad)
    torch.testing.assert_close(input_gradient(grad, weight, x.shape, stride), of_x)
    found = weight_gradient(x, grad, kernel_size, stride)
    torch.testing.assert_close(found, of_weight)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_in_single_precision_it_errs_as_little_as_pytorch():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 512, 3, 4), torch.randn(256, 512, 3, 3)
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    error, usual = ((y - exact).abs().max() for y in (convolve(x, weight, None, 1), F.conv2d(x, weight, padding=1)))
    assert error < 4 * usual and error < 1e-5 * exact.abs().max()

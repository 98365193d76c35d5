"""Convolution and gradient by Winograd's trick against PyTorch's own."""

import contextlib

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_utils import winograd
from course_utils.winograd import convolve, weight_gradient


@pytest.fixture(params=[True, False], ids=["AVX-512", "narrower"])
def wide(request, monkeypatch):
    """Both ways to the gradient of a row's kernel, on every processor."""
    monkeypatch.setattr(winograd, "WIDE", request.param)


def expected(x: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    weight = torch.zeros(grad.shape[1], x.shape[1], 3, 3, dtype=x.dtype, requires_grad=True)
    F.conv2d(x, weight, padding=1).backward(grad)
    return weight.grad


sizes = st.integers(1, 19)


shapes = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), sizes, sizes)
layouts = st.sampled_from([torch.channels_last, torch.contiguous_format])
once = [HealthCheck.function_scoped_fixture]
"""The fixture sets a constant, which holds for all examples."""


@settings(max_examples=60, deadline=None)
@given(shapes, layouts, st.booleans(), st.integers(0, 99))
def test_it_is_the_convolution_for_every_size(shape, layout, with_bias, seed):
    torch.manual_seed(seed)
    n, channels, out_channels, height, width = shape
    x = torch.randn(n, channels, height, width, dtype=torch.float64).contiguous(memory_format=layout)
    weight = torch.randn(out_channels, channels, 3, 3, dtype=torch.float64)
    bias = torch.randn(out_channels, dtype=torch.float64) if with_bias else None
    found = convolve(x, weight, bias)
    torch.testing.assert_close(found, F.conv2d(x, weight, bias, padding=1), atol=1e-10, rtol=1e-10)
    assert found.is_contiguous(memory_format=torch.channels_last)


@settings(max_examples=60, deadline=None, suppress_health_check=once)
@given(shapes, layouts, st.integers(0, 99))
def test_it_is_the_gradient_for_every_size(wide, shape, layout, seed):
    torch.manual_seed(seed)
    n, channels, out_channels, height, width = shape
    x = torch.randn(n, channels, height, width, dtype=torch.float64)
    grad = torch.randn(n, out_channels, height, width, dtype=torch.float64)
    found = weight_gradient(x.contiguous(memory_format=layout), grad.contiguous(memory_format=layout))
    torch.testing.assert_close(found, expected(x, grad), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("chunk", [1, 4_000, 10**9])
def test_chunks_change_nothing(monkeypatch, chunk):
    monkeypatch.setattr(winograd, "CHUNK_BYTES", chunk)
    torch.manual_seed(0)
    x, grad = torch.randn(2, 5, 23, 14, dtype=torch.float64), torch.randn(2, 7, 23, 14, dtype=torch.float64)
    weight = torch.randn(7, 5, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(weight_gradient(x, grad), expected(x, grad), atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(convolve(x, weight), F.conv2d(x, weight, padding=1), atol=1e-10, rtol=1e-10)


def test_in_single_precision_the_gradient_errs_no_more_than_ten_times_as_much_as_pytorch(wide):
    torch.manual_seed(0)
    x, grad = torch.randn(2, 99, 60, 80), torch.randn(2, 99, 60, 80)
    exact = expected(x.double(), grad.double())
    error, usual = ((found - exact).abs().max() for found in (weight_gradient(x, grad), expected(x, grad)))
    assert error < 10 * usual and error < 1e-4 * exact.abs().max()


@pytest.mark.parametrize("row", range(12))
@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_what_is_not_finite_spoils_its_own_tile_of_four_rows_and_the_next_at_its_edge(row, value):
    torch.manual_seed(0)
    x, weight = torch.randn(1, 3, 12, 7), torch.randn(4, 3, 3, 3)
    clean = convolve(x, weight)
    x[0, 1, row, 3] = value
    found = convolve(x, weight)
    spoiled = {max(row - 1, 0) // 4, row // 4, min(row + 1, 11) // 4}
    for tile in range(3):
        rows = slice(4 * tile, 4 * tile + 4)
        changed = found[:, :, rows].isnan().any(0).any(0)
        assert changed[:, 2:5].all() if tile in spoiled else torch.equal(found[:, :, rows], clean[:, :, rows])
        assert not changed[:, [0, 1, 5, 6]].any()


def test_a_large_column_at_the_edge_costs_no_precision(wide):
    torch.manual_seed(0)
    x, grad = torch.randn(2, 8, 32, 33), torch.randn(2, 8, 32, 33)
    grad[..., -1] = 1e4 * (1 + torch.rand(2, 8, 32))
    x[..., -2:] = 0  # so nothing of that column reaches the weights
    exact = expected(x.double(), grad.double())
    assert (weight_gradient(x, grad) - exact).abs().max() < 1e-5 * exact.abs().max()


def test_in_single_precision_the_convolution_errs_by_a_few_millionths():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 99, 60, 80), torch.randn(99, 99, 3, 3)
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    assert (convolve(x, weight) - exact).abs().max() < 1e-5 * exact.abs().max()


def test_a_meta_tensor_leaves_nothing_behind():
    with torch.device("meta"), contextlib.suppress(RuntimeError):
        weight_gradient(torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8))
    x, grad = torch.randn(1, 2, 8, 8), torch.randn(1, 2, 8, 8)
    torch.testing.assert_close(weight_gradient(x, grad), expected(x, grad), atol=1e-4, rtol=1e-4)

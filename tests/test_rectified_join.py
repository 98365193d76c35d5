"""ReLU and concatenation in one: PyTorch's own two, with less kept for the way back."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.rectified_join import relu_then_concat


def plain(x: Tensor, other: Tensor) -> Tensor:
    return torch.cat([F.relu(x), other], dim=1)


def features(dtype: torch.dtype = torch.float32, memory_format: torch.memory_format = torch.contiguous_format):
    x, other = (torch.randn(2, channels, 3, 4, dtype=dtype) for channels in (5, 2))
    return [part.contiguous(memory_format=memory_format).requires_grad_() for part in (x, other)]


def kept(function) -> int:
    """Bytes of all tensors that wait for the way back, each counted once."""
    found = {}

    def pack(x: Tensor) -> Tensor:
        found[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        result = function()
    assert result.grad_fn is not None
    return sum(found.values())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_the_two_functions(memory_format):
    x, other = features(memory_format=memory_format)
    joined, expected = relu_then_concat(x, other), plain(x, other)
    assert torch.equal(joined, expected)
    assert joined.stride() == expected.stride()
    weights = torch.randn_like(joined)
    found, wanted = (torch.autograd.grad((out * weights).sum(), (x, other)) for out in (joined, expected))
    assert all(map(torch.equal, found, wanted))
    assert (x > 0).any() and (x < 0).any() and (other < 0).any()  # what is rectified, and what is not


def test_derivatives_of_every_kind_agree_with_finite_differences():
    x, other = features(torch.float64)
    with torch.no_grad():
        x += 0.1 * x.sign()  # away from the kink
    options = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(relu_then_concat, (x, other), **options)
    assert torch.autograd.gradgradcheck(relu_then_concat, (x, other))


def test_transforms_of_functions_work():
    x, other = (tensor.detach() for tensor in features())
    found = torch.func.vmap(lambda a, b: torch.func.grad(lambda c: relu_then_concat(c, b).square().sum())(a))(
        x.unsqueeze(1), other.unsqueeze(1)
    )
    torch.testing.assert_close(found.squeeze(1), 2 * x.relu())


def test_only_the_result_is_kept():
    x, other = features()
    result = 2 * 7 * 3 * 4 * 4
    assert kept(lambda: relu_then_concat(x, other)) == result
    assert kept(lambda: plain(x, other).sin()) == result + 2 * 5 * 3 * 4 * 4  # PyTorch's: sin's input, and the ReLU's


def test_one_that_wants_no_gradient_gets_none():
    x, other = features()
    relu_then_concat(x, other.detach()).sum().backward()
    assert torch.equal(x.grad, (x > 0).float())
    assert other.grad is None
    with torch.no_grad():
        assert relu_then_concat(x, other).grad_fn is None


def test_under_autocast_half_and_full_precision_meet_as_in_the_two_functions():
    x, other = features()
    with torch.autocast("cpu", torch.bfloat16):
        half = x.to(torch.bfloat16)
        joined, expected = relu_then_concat(half, other), plain(half, other)
    assert joined.dtype == expected.dtype
    assert torch.equal(joined, expected)
    found, wanted = (torch.autograd.grad(out.square().sum(), (x, other)) for out in (joined, expected))
    assert all(map(torch.equal, found, wanted))

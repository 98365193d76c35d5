"""One pass over weights in any memory format, against PyTorch's AdamW of many passes."""

import copy
import itertools

import pytest
import torch
from torch import nn

from course_utils.fused_adamw import FusedAdamW

FORMATS = (torch.contiguous_format, torch.channels_last)
SHAPES = ((5, 3, 3, 3), (8, 6, 1, 1), (4, 1, 3, 3), (7, 4, 2, 5), (9,), (3, 4))


def weights(memory_format, seed=0):
    generator = torch.Generator().manual_seed(seed)
    found = [torch.randn(shape, generator=generator) for shape in SHAPES]
    return [w.contiguous(memory_format=memory_format) if w.ndim == 4 else w for w in found]


def trained(kind, memory_format, grad_format, steps=4, **options):
    """Weights and the optimiser after some steps, whose gradients are in another memory format."""
    parameters = [nn.Parameter(w) for w in weights(memory_format)]
    optimizer = kind([{"params": parameters[:3]}, {"params": parameters[3:], "lr": 0.03}], lr=0.01, **options)
    for seed in range(1, steps + 1):
        for parameter, grad in zip(parameters, weights(grad_format, seed), strict=True):
            parameter.grad = grad
        optimizer.step()
    return parameters, optimizer


@pytest.mark.parametrize(("weight_format", "grad_format"), list(itertools.product(FORMATS, FORMATS)))
def test_the_steps_are_pytorchs_whatever_the_formats(weight_format, grad_format):
    options = {"betas": (0.95, 0.99), "weight_decay": 0.1}
    ours, optimizer = trained(FusedAdamW, weight_format, grad_format, **options)
    theirs, reference = trained(torch.optim.AdamW, FORMATS[0], FORMATS[0], foreach=False, **options)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-6)
        assert a.grad.shape == a.shape and torch.equal(a.grad, b.grad)
        for name, value in optimizer.state[a].items():
            torch.testing.assert_close(value, reference.state[b][name], atol=1e-6, rtol=1e-6)
            assert value.stride() == a.stride() or value.ndim == 0


def test_weights_keep_their_memory_and_their_format():
    parameters = [nn.Parameter(w) for w in weights(torch.channels_last)]
    before = [(p.data_ptr(), p.stride()) for p in parameters]
    optimizer = FusedAdamW(parameters, lr=0.01)
    sum((p**2).sum() for p in parameters).backward()
    optimizer.step()
    assert [(p.data_ptr(), p.stride()) for p in parameters] == before
    assert [p.grad.stride() for p in parameters] == [stride for _, stride in before]


def test_pytorch_sees_nothing_that_it_would_copy(monkeypatch):
    seen = []

    def step(parameters, grads, *moments, **options):
        seen.extend(tensor.is_contiguous() for tensor in (*parameters, *grads))

    monkeypatch.setattr(torch, "_fused_adamw_", step)
    trained(FusedAdamW, torch.channels_last, torch.contiguous_format, steps=1)
    assert seen == [True] * 2 * len(SHAPES)


def test_the_format_may_change_between_two_steps():
    model, plain = (nn.Conv2d(3, 5, 3) for _ in range(2))
    plain.load_state_dict(model.state_dict())
    ours, reference = FusedAdamW(model.parameters(), lr=0.01), torch.optim.AdamW(plain.parameters(), lr=0.01)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for memory_format in (*FORMATS, FORMATS[0]):
        model.to(memory_format=memory_format)
        for network, optimizer in ((model, ours), (plain, reference)):
            optimizer.zero_grad()
            (network(x) ** 2).mean().backward()
            optimizer.step()
    torch.testing.assert_close(model.weight, plain.weight, atol=1e-5, rtol=1e-5)


def test_hooks_are_called_once_and_see_the_weights_as_they_are():
    weight, shapes = nn.Parameter(weights(torch.channels_last)[0]), []
    torch.optim.AdamW([nn.Parameter(torch.ones(1))])  # from now on PyTorch calls the hooks in its own step
    optimizer = FusedAdamW([weight], lr=0.01)
    optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: shapes.append(weight.shape))
    optimizer.register_step_post_hook(lambda optimizer, args, kwargs: shapes.append(weight.grad.shape))
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert shapes == [SHAPES[0]] * 2


@pytest.mark.parametrize("saved_as", FORMATS)
def test_a_state_goes_on_where_it_stopped_whatever_its_format(saved_as):
    whole, _ = trained(FusedAdamW, torch.channels_last, torch.channels_last, steps=4)
    first, optimizer = trained(FusedAdamW, saved_as, saved_as, steps=2)
    again = [nn.Parameter(torch.empty_like(w).copy_(p.detach())) for p, w in zip(first, whole, strict=True)]
    second = FusedAdamW([{"params": again[:3]}, {"params": again[3:], "lr": 0.03}], lr=0.01)
    second.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for seed in (3, 4):
        for parameter, grad in zip(again, weights(torch.channels_last, seed), strict=True):
            parameter.grad = grad
        second.step()
    for a, b in zip(again, whole, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-6)
        assert saved_as != torch.channels_last or torch.equal(a, b)


def test_what_has_no_gradient_stays_and_a_closure_is_called_once():
    a, b = (nn.Parameter(w) for w in weights(torch.channels_last)[:2])
    optimizer, calls = FusedAdamW([a, b], lr=0.01), []

    def closure():
        calls.append(a.shape)
        optimizer.zero_grad()
        loss = (a**2).sum()
        loss.backward()
        return loss

    before = a.detach().clone(), b.detach().clone()
    assert optimizer.step(closure) == (before[0] ** 2).sum()
    assert calls == [before[0].shape] and torch.equal(b, before[1]) and not torch.equal(a, before[0])

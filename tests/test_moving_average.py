"""The moving average of weights against PyTorch's."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from course_utils.moving_average import MovingAverage


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def steps(model: nn.Module, count: int):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(count):
        optimizer.zero_grad()
        model(torch.randn(4, 3, 6, 6)).square().mean().backward()
        optimizer.step()
        yield


def test_it_is_pytorchs_average():
    model = network()
    found = MovingAverage(model, 0.9)
    expected = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in steps(model, 5):
        found.update(model)
        expected.update_parameters(model)
    named = expected.module.state_dict()
    for name, value in found.module.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, named[name], atol=0, rtol=0, msg=name)
    assert found.module[1].num_batches_tracked == model[1].num_batches_tracked == 5


def test_the_first_update_copies():
    model = network()
    average = MovingAverage(model, 0.99)
    list(steps(model, 1))
    average.update(model)
    for found, expected in zip(average.module.state_dict().values(), model.state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected, atol=0, rtol=0)


def test_it_goes_on_from_its_state_dict():
    model = network()
    average = MovingAverage(model, 0.9)
    for _ in steps(model, 3):
        average.update(model)
    resumed = MovingAverage(model, 0.9)
    resumed.load_state_dict(average.state_dict())
    for _ in steps(model, 2):
        average.update(model)
        resumed.update(model)
    for found, expected in zip(resumed.state_dict().values(), average.state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected, atol=0, rtol=0)


def test_a_network_without_buffers():
    model = nn.Linear(2, 2)
    average = MovingAverage(model, 0.5)
    average.update(model)
    assert torch.equal(average.module.weight, model.weight) and average.module.weight is not model.weight


class Replacing(nn.Module):
    """Its buffers are replaced, not changed in place; one starts at infinity, one parameter is complex."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.turn = nn.Parameter(torch.ones(2, dtype=torch.complex64))
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("least", torch.full((2,), float("inf")))

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        self.least = torch.minimum(self.least, x.amin(0))
        return self.layer(x - self.mean) * self.turn.real


def test_it_follows_tensors_that_are_replaced_or_complex_or_start_at_infinity():
    torch.manual_seed(0)
    model = Replacing()
    found = MovingAverage(model, 0.9)
    expected = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.randn(8, 2)).square().mean().backward()
        optimizer.step()
        found.update(model)
        expected.update_parameters(model)
    named = expected.module.state_dict()
    for name, value in found.module.state_dict().items():
        assert value.isfinite().all(), name
        torch.testing.assert_close(value, named[name], atol=0, rtol=0, msg=name)
    assert not torch.equal(found.module.mean, torch.zeros(2))


def test_it_goes_on_after_the_averaged_network_was_converted_and_back():
    model = network()
    plain, converted = MovingAverage(model, 0.9), MovingAverage(model, 0.9)
    for _ in steps(model, 4):
        plain.update(model)
        converted.update(model)
        converted.module.double().float()
    for found, expected in zip(converted.module.state_dict().values(), plain.module.state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected, atol=0, rtol=0)

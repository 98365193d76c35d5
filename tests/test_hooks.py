"""Hooks store what the module returned, let go of it, and leave the model as it was."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from course_utils.hooks import Hook, Hooks, activation_sizes, in_channels_of, size_change_indices


def small_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 8, 3, stride=2, padding=1)
    )


def test_stored_is_the_output_of_the_module():
    net = small_net().eval()
    x = torch.randn(1, 2, 8, 8)
    with Hook(net[0]) as hook:
        net(x)
        assert torch.equal(hook.stored, net[0](x))
    assert hook.stored is None
    assert not net[0]._forward_hooks


@pytest.mark.parametrize("detach", [True, False])
def test_detach_decides_whether_gradient_flows_through_what_is_stored(detach):
    net = small_net()
    with Hook(net[0], detach=detach) as hook:
        net(torch.randn(1, 2, 8, 8))
        assert hook.stored.requires_grad is not detach


def test_tuples_are_detached_part_by_part():
    split = Split()
    with Hook(split) as hook:
        split(torch.randn(4, requires_grad=True))
        assert [part.requires_grad for part in hook.stored] == [False, False]


class Split(nn.Module):
    def forward(self, x):
        return x[:2] * 1, x[2:] * 1


def test_removing_twice_is_harmless_and_releases_the_memory():
    net = small_net()
    hooks = Hooks(net)
    net(torch.randn(1, 2, 8, 8))
    kept = weakref.ref(hooks[0].stored)
    assert len(hooks) == 4 and kept() is not None
    hooks.remove()
    hooks.remove()
    gc.collect()
    assert kept() is None
    assert hooks.stored == [None] * 4


def test_what_is_stored_for_looking_is_safe_from_layers_that_work_in_place():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True))
    x = torch.randn(1, 1, 4, 4)
    with torch.no_grad(), Hook(net[0]) as hook:
        net(x)
        assert hook.stored.min() < 0 and torch.equal(hook.stored, net[0](x))


@pytest.mark.parametrize("detach", [True, False])
def test_a_copy_of_a_hooked_model_keeps_nothing_and_disturbs_nothing(detach):
    net, x = small_net(), torch.randn(1, 2, 8, 8)
    with Hook(net[0], detach) as hook:
        net(x)
        kept = hook.stored
        for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
            alive = []
            handle = twin[0].register_forward_hook(lambda _, __, output, alive=alive: alive.append(weakref.ref(output)))
            twin(x + 1)
            handle.remove()
            gc.collect()
            assert alive[0]() is None and hook.stored is kept
            (copied,) = (function.__self__ for function in twin[0]._forward_hooks.values())
            assert copied is not hook and copied.stored is None
            copied.remove()
    assert not net[0]._forward_hooks


def test_activation_sizes_agree_with_running_layer_by_layer():
    net = small_net()
    x = torch.zeros(1, 2, 9, 12)
    expected = []
    for layer in net:
        x = layer(x)
        expected.append(x.shape)
    assert activation_sizes(net, (9, 12)) == expected
    assert size_change_indices(expected) == [2]


def test_activation_sizes_leaves_modes_statistics_and_hooks_alone():
    net = small_net()
    net[1].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    activation_sizes(net, (8, 8))
    assert net.training and net[0].training and not net[1].training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_a_change_of_height_alone_is_a_change_of_grid():
    assert size_change_indices([(1, 3, 8, 8), (1, 3, 4, 8), (1, 3, 4, 8)]) == [0]


def test_no_convolution_is_one_sentence():
    with pytest.raises(ValueError, match=r"holds no nn\.Conv2d"):
        in_channels_of(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"holds no nn\.Conv2d"):
        activation_sizes(nn.Sequential(nn.ReLU()), (8, 8))


class SkipsOne(nn.Sequential):
    def forward(self, x):
        return self[0](x)


def test_sizes_that_cannot_be_read_off_are_one_sentence():
    for size in (8, (8,), (8, 8.5), (8, 0), (8, True)):
        with pytest.raises(ValueError, match=r"input_size=.* is not \(H, W\) in whole pixels"):
            activation_sizes(small_net(), size)
    with pytest.raises(ValueError, match=r"1 \(Flatten\) gave \(1, 675\), not \(1, C, H, W\)"):
        activation_sizes(nn.Sequential(nn.Conv2d(3, 3, 3, stride=2), nn.Flatten()), (32, 32))
    with pytest.raises(ValueError, match=r"1 \(ReLU\) did not run"):
        activation_sizes(SkipsOne(nn.Conv2d(2, 2, 1), nn.ReLU()), (8, 8))


class Named(nn.Module):
    def forward(self, x):
        return {"out": x}


def test_what_cannot_be_kept_is_named():
    module = Named()
    with Hook(module), pytest.raises(TypeError, match="Named returned no tensor"):
        module(torch.zeros(1))


def test_hooks_registers_all_or_none():
    relu = nn.ReLU()
    with pytest.raises(TypeError, match="modules only"):
        Hooks([relu, None])
    assert not relu._forward_hooks


def test_a_layer_in_two_places_is_refused_because_it_is_counted_once():
    pool = nn.MaxPool2d(2)
    net = nn.Sequential(nn.Conv2d(3, 4, 1), pool, nn.ReLU(), pool)
    with pytest.raises(ValueError, match=r"child 3 \(MaxPool2d\) is child 1 again; give each place a layer of its own"):
        activation_sizes(net, (64, 64))
    net[3] = nn.MaxPool2d(2)
    assert [tuple(size[-2:]) for size in activation_sizes(net, (64, 64))] == [(64, 64), (32, 32), (32, 32), (16, 16)]

"""Convolutions padded as TensorFlow pads: against timm's, and how long the names of their sizes become."""

import copy
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers import Conv2dSame
from torch import nn

from course_utils.same_convolution import SameConv2d, use_short_sizes

TWO = st.tuples(st.integers(1, 5), st.integers(1, 5))


@settings(max_examples=200, deadline=None)
@given(TWO, TWO, st.tuples(st.integers(1, 2), st.integers(1, 2)), st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_it_is_timms_bit_for_bit(kernel, stride, dilation, size):
    theirs = Conv2dSame(2, 3, kernel, stride, dilation=dilation)
    ours = copy.deepcopy(theirs)
    use_short_sizes(ours)
    assert type(ours) is SameConv2d and type(theirs) is Conv2dSame
    for x in (torch.randn(2, 2, *size), torch.randn(2, *size)):
        assert torch.equal(ours(x), theirs(x))


def halve_three_times(kind=SameConv2d):
    torch.manual_seed(0)
    return nn.Sequential(kind(1, 2, 3, 2), kind(2, 2, 5, 2), kind(2, 1, 3, 2))


def export_with_open_sides(model, strict=False):
    """The exported network, and how often the two sizes of its output name the sides of the picture."""
    sides = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    exported = torch.export.export(model, (torch.randn(1, 1, 40, 48),), dynamic_shapes=(sides,), strict=strict)
    *_, end = exported.graph.nodes
    return exported, [str(side).count("s") for side in end.args[0][0].meta["val"].shape[2:]]


def test_timms_sizes_grow_threefold_with_each_layer():
    """Why there is ours: should this fail one day, timm's will do."""
    assert export_with_open_sides(halve_three_times(Conv2dSame))[1] == [27, 27]


@pytest.mark.parametrize("strict", [False, True])
def test_sizes_have_short_names_where_sides_are_left_open(strict):
    model = halve_three_times()
    exported, named = export_with_open_sides(model, strict)
    assert named == [1, 1]
    for size in ((40, 48), (33, 39), (50, 81)):
        x = torch.randn(1, 1, *size)
        assert torch.equal(exported.module()(x), model(x))


@pytest.mark.parametrize("model", [halve_three_times(), SameConv2d(1, 1, 2, 4)])
def test_a_trace_takes_other_sizes(model):
    with warnings.catch_warnings(action="ignore"):
        traced = torch.jit.trace(model, torch.randn(1, 1, 40, 48))
    for size in ((40, 48), (33, 39), (50, 81)):
        x = torch.randn(1, 1, *size)
        assert torch.equal(traced(x), model(x))

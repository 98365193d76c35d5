"""A trained network in one file: its weights, and what it takes to build it again and to read its answers."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from course_utils.encoders import create_encoder
from course_utils.files import replacing
from course_utils.unet import DynamicUnet

FORMAT = "trained hooked U-Net, version 1"
_PARTS = ("block", "last_cross", "bottle", "tail", "middle")
_REMEDY = "take another copy of the file, or train again."
_OPTIONS = ("encoder", "size", "norm", *_PARTS)


@dataclass(frozen=True)
class TrainedNetwork:
    """What `load_network` reads.

    Attributes:
        model: in evaluation mode.
        size: ``(H, W)`` of the pictures that it was trained on.
        codes: name of each class.
    """

    model: DynamicUnet
    size: tuple[int, int]
    codes: tuple[str, ...]


def build_network(options: Mapping[str, Any], n_classes: int, *, pretrained: bool) -> DynamicUnet:
    """The network that the options of ``python -m course_utils.train_camvid`` describe, by their names there."""
    return DynamicUnet(
        create_encoder(options["encoder"], pretrained=pretrained),
        n_classes,
        tuple(options["size"]),
        norm_type=None if options["norm"] == "None" else options["norm"],
        **{name: options[name] for name in _PARTS},
    )


def save_network(path: Path, model: DynamicUnet, options: Mapping[str, Any], codes: Sequence[str]) -> None:
    """Write the network that `build_network` made of `options`, and the names of its classes, whole or not at all."""
    network = {name: list(value) if isinstance(value := options[name], tuple) else value for name in _OPTIONS}
    with replacing(path) as temporary:
        torch.save(
            {"format": FORMAT, "network": network, "codes": list(codes), "weights": model.state_dict()}, temporary
        )


def load_network(path: Path, device: torch.device | str = "cpu") -> TrainedNetwork:
    """Read what `save_network` wrote. Nothing in the file is executed.

    Raises:
        ValueError: if it is another kind of file, or a damaged one; `OSError` if it cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file; name one that train_camvid --save-weights has written.")
    try:
        with zipfile.ZipFile(path) as parts:
            if damaged := parts.testzip():  # reading alone does not look at the check sums
                raise zipfile.BadZipFile(f"{damaged} is not what was written")
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged zip archive or pickle raises is of a dozen kinds
        raise ValueError(f"{path} holds no weights, or is damaged ({type(error).__name__}); {_REMEDY}") from error
    if not isinstance(saved, dict) or saved.get("format") != FORMAT:
        raise ValueError(
            f"{path} does not say what network its weights are of, nor does a --checkpoint; take the file that python "
            "-m course_utils.train_camvid --save-weights FILE writes."
        )
    try:
        codes = saved["codes"]
        if not isinstance(codes, list) or len(set(codes)) < len(codes) or not all(isinstance(c, str) for c in codes):
            raise ValueError("the class names are no different words")
        model = build_network(saved["network"], len(saved["codes"]), pretrained=False)
        model.load_state_dict(saved["weights"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged, or from another version: its parts fit no network; {_REMEDY}") from error
    return TrainedNetwork(model.to(device).eval(), tuple(saved["network"]["size"]), tuple(codes))

"""Record what fastai's DynamicUnet computes, into unet.json: ``python -m tests.reference.record_unet``.

Needs fastai (recorded with 2.8.12), which is no requirement of the course.
"""

import json
from pathlib import Path

import torch
import torchvision
from torch import nn

from tests.reference.numbered_weights import fill_by_number, numbered_picture

RECORD = Path(__file__).with_name("unet.json")
CASES = {
    "defaults": {},
    "odd size": {"size": (75, 107)},
    "blur": {"blur": True},
    "blur, not the final one": {"blur": True, "blur_final": False},
    "self-attention": {"self_attention": True},
    "y_range": {"y_range": (-3.0, 3.0)},
    "no last_cross": {"last_cross": False},
    "batch norm": {"norm_type": "batch"},
    "weight norm": {"norm_type": "weight"},
    "spectral norm": {"norm_type": "spectral"},
    "all together": {"blur": True, "self_attention": True, "y_range": (0.0, 1.0), "norm_type": "batch"},
}
SIZE = (64, 96)
N_OUT = 5


def resnet_body() -> nn.Sequential:
    """ResNet-18 without its pooling and classifier."""
    return nn.Sequential(*list(torchvision.models.resnet18(weights=None).children())[:-2])


def summarise(output: torch.Tensor) -> dict:
    """Shape, moments and thirty spread-out values of a tensor: enough to tell two networks apart."""
    flat = output.double().flatten()
    picks = flat[:: max(1, len(flat) // 30)][:30]
    return {
        "shape": list(output.shape),
        "mean": flat.mean().item(),
        "std": flat.std().item(),
        "values": picks.tolist(),
    }


def main() -> None:
    import fastai
    from fastai.layers import NormType
    from fastai.vision.models.unet import DynamicUnet

    record = {"library": f"fastai {fastai.__version__}", "torch": torch.__version__, "cases": {}}
    for name, options in CASES.items():
        options = dict(options)
        size = options.pop("size", SIZE)
        if "norm_type" in options:
            options["norm_type"] = NormType[options["norm_type"].title()]
        model = DynamicUnet(resnet_body(), N_OUT, size, **options).double().eval()
        fill_by_number(model)
        model.layers = model.layers[:-1]  # the last layer only wraps the tensor, and rounds it to float32
        with torch.no_grad():
            output = model(numbered_picture(size).double())
        parameters = sum(parameter.numel() for parameter in model.parameters())
        record["cases"][name] = {
            "entries": len(model.state_dict()),
            "parameters": parameters,
            **summarise(output),
        }
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

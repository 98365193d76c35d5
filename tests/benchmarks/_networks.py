"""The networks that are compared, and the training step of each, with one change after another switched on."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_utils import fast_convolution
from course_utils.depthwise import use_float32_depthwise_gradients
from course_utils.encoders import create_encoder
from course_utils.fast_convolution import use_fast_convolutions
from course_utils.optimisation import adamw
from course_utils.unet import DynamicUnet
from tests.reference.numbered_weights import fill_by_number, numbered_picture

N_OUT = 12
LIBRARIES = ("fastai", "course", "smp")
ENCODERS = {"resnet34": "resnet34", "efficientnet_lite0": "tu-tf_efficientnet_lite0"}
"""Ours, and the name of the same network in segmentation-models-pytorch."""
NORMS = {"none": None, "batch": "batch"}
LEARNING_RATE = 1e-6  # as good as none: all contenders stay comparable while they are timed
PRECISIONS = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Contender:
    """One network, and how it is run.

    Attributes:
        library: ``"fastai"`` and ``"course"`` build the same network, ``"smp"`` its own U-Net on the same encoder.
        encoder: one of `ENCODERS`.
        norm: of the decoder, ``"none"`` or ``"batch"``; segmentation-models-pytorch's always has batch norm.
        tail, block, middle: options of the course's network.
        keep_memory: glibc keeps freed memory (`course_utils.memory`).
        autotune: cuDNN times its algorithms for each shape and keeps the fastest.
        convolutions: ``"torch"``, or, on a CPU, channels_last with those of `course_utils.fast_convolution`:
            ``"winograd"`` on fine grids only, ``"fast"`` also matrix products on coarse ones (weight gradients of 1×1
            kernels are matrix products in both).
        depthwise: gradients of depthwise convolutions in float32 (`course_utils.depthwise`), on a CPU in bfloat16.
        compile: ``""``, ``"default"`` or another mode of `torch.compile`, such as ``"reduce-overhead"`` (CUDA graphs).
        amp: ``"none"``, ``"bf16"`` or ``"fp16"``.
    """

    library: str
    encoder: str = "resnet34"
    norm: str = "none"
    tail: str = "full"
    block: str = "double_conv"
    middle: str = "double_conv"
    channels_last: bool = False
    fused: bool = False
    keep_memory: bool = False
    autotune: bool = False
    convolutions: str = "torch"
    depthwise: bool = False
    compile: str = ""
    amp: str = "none"

    @property
    def same_network(self) -> bool:
        """Whether it is the reference's network, so that its numbers can be held against the reference's."""
        ours = self.tail, self.block, self.middle
        return self.library != "smp" and ours == ("full", "double_conv", "double_conv")


def build(contender: Contender, size: tuple[int, int]) -> nn.Module:
    """The network of `contender`, every weight of it given by its number in the state dict."""
    if contender.library == "smp":
        import segmentation_models_pytorch as smp

        model = smp.Unet(ENCODERS[contender.encoder], encoder_weights=None, classes=N_OUT)
    else:
        encoder = create_encoder(contender.encoder, pretrained=False)
        if contender.library == "fastai":
            from fastai.layers import NormType
            from fastai.vision.models.unet import DynamicUnet as Reference

            model = Reference(encoder, N_OUT, size, norm_type=NormType.Batch if contender.norm == "batch" else None)
        else:
            model = DynamicUnet(
                encoder,
                N_OUT,
                size,
                norm_type=NORMS[contender.norm],
                tail=contender.tail,
                block=contender.block,
                middle=contender.middle,
            )
    fill_by_number(model)
    return model.train()


def versions(library: str) -> dict[str, str]:
    """Version of the library that a contender needs beside the course's own."""
    if library == "fastai":
        import fastai

        return {"fastai": fastai.__version__}
    if library == "smp":
        import segmentation_models_pytorch as smp

        return {"segmentation-models-pytorch": smp.__version__}
    return {}


def make_batch(batch_size: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Pictures ``(N, 3, H, W)`` and masks ``(N, H, W)``, the same for every contender."""
    masks = torch.randint(0, N_OUT, (batch_size, *size), generator=torch.Generator().manual_seed(0))
    return numbered_picture(size, batch_size), masks


class Runner:
    """A contender with its batch on a device, ready to be timed."""

    def __init__(
        self, contender: Contender, size: tuple[int, int], batch_size: int, device: torch.device | str = "cpu"
    ) -> None:
        self.contender, self.device = contender, torch.device(device)
        if contender.autotune:
            torch.backends.cudnn.benchmark = True
        model = build(contender, size).to(self.device)
        self.images, self.masks = (tensor.to(self.device) for tensor in make_batch(batch_size, size))
        fast = contender.convolutions != "torch"
        if fast:
            if contender.convolutions == "winograd":
                fast_convolution.COARSE = 0  # of this process, which runs nothing else
            use_fast_convolutions(model)
        if contender.depthwise:
            use_float32_depthwise_gradients(model)
        if contender.channels_last or fast:
            model.to(memory_format=torch.channels_last)
            self.images = self.images.contiguous(memory_format=torch.channels_last)
        self.model = model
        self.loss_fn = nn.CrossEntropyLoss()
        self.optimizer = _optimizer(model, contender.fused)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=contender.amp == "fp16")
        mode = None if contender.compile == "default" else contender.compile
        self.forward = torch.compile(model, mode=mode) if contender.compile else model

    def _loss(self) -> tuple[Tensor, Tensor]:
        dtype = PRECISIONS[self.contender.amp]
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            logits = self.forward(self.images)
            return logits, self.loss_fn(logits, self.masks)

    def train(self) -> None:
        """One training step."""
        _, loss = self._loss()
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    @torch.inference_mode()
    def infer(self) -> Tensor:
        """The class of every pixel of the batch; the model must be in evaluation mode."""
        return self._loss()[0].max(1).indices

    def fingerprint(self) -> dict[str, Tensor]:
        """What decides whether two runs do the same maths: logits, and thirty entries of every gradient, on the CPU.

        In evaluation mode: batch statistics of a few pixels on the coarsest grid would blow up the rounding of floats.
        """
        self.model.eval()
        logits, loss = self._loss()
        loss.backward()
        # In order of the state dict, in which both libraries' networks agree; parameters() need not.
        named = dict(self.model.named_parameters())
        gradients = [named[name].grad for name in self.model.state_dict() if name in named]
        picked = [grad.contiguous().flatten()[:: max(1, grad.numel() // 30)][:30] for grad in gradients]
        self.optimizer.zero_grad()
        self.model.train()
        return {"logits": _plain(logits), "gradients": _plain(torch.cat(picked))}


def _plain(x: Tensor) -> Tensor:
    return torch.as_tensor(x.detach().float().cpu().contiguous().numpy())


def _optimizer(model: nn.Module, fused: bool) -> torch.optim.Optimizer:
    if fused:
        return adamw([(list(model.parameters()), LEARNING_RATE)], weight_decay=1e-2)
    return torch.optim.AdamW(model.parameters(), LEARNING_RATE, betas=(0.95, 0.99), weight_decay=1e-2)


def difference(found: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """Largest difference of logits and gradients, each relative to the largest value of the reference."""
    return {name: ((found[name] - expected[name]).abs().max() / expected[name].abs().max()).item() for name in expected}

"""The exercises of notebook 05: sizes of the 2015 U-Net, crop and concatenate, joined kernels, hooks, tiles, blocks."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from course_utils.exercises.core import Exercise


def _unet_output_side(n: int) -> int:
    for level in range(5):
        if level:
            if n % 2:
                return 0
            n //= 2
        n -= 4
    for _ in range(4):
        n = 2 * n - 4
    return max(n, 0)


def _unet_output_side_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield from [(n,) for n in (572, 188, 204, 570, 571, 573, 580, 172, 140, 100, 16, 1024, 1020, 12)]


UNET_OUTPUT_SIDE = Exercise(
    name="unet_output_side",
    specification=(
        "unet_output_side(n) gives the side of the U-Net of 2015's output for an input side of n pixels, or 0 where a "
        "pooling would meet an odd side or nothing would be left."
    ),
    reference=_unet_output_side,
    cases=_unet_output_side_cases,
    hints=(
        "Walk: two convolutions take 4 pixels; before each of the four lower levels the side is halved.",
        "Return 0 as soon as a side is odd where it is to be halved. On the way up: double, then minus 4.",
        "Five times minus 4 with four halvings between, then four times 2 * n - 4; give max(n, 0).",
    ),
)


def _crop_and_concatenate(skip: Tensor, x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    top, left = (skip.shape[2] - height) // 2, (skip.shape[3] - width) // 2
    return torch.cat([skip[:, :, top : top + height, left : left + width], x], dim=1)


def _crop_and_concatenate_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.arange(16.0).reshape(1, 1, 4, 4), -torch.ones(1, 1, 2, 2)
    for n, c, d, (high, wide), (h, w) in [
        (1, 1, 2, (5, 5), (2, 3)),
        (2, 3, 1, (6, 9), (6, 4)),
        (2, 2, 2, (7, 8), (4, 8)),
        (1, 4, 2, (12, 10), (3, 5)),
    ]:
        yield torch.randn(n, c, high, wide, generator=generator), torch.randn(n, d, h, w, generator=generator)


CROP_AND_CONCATENATE = Exercise(
    name="crop_and_concatenate",
    specification=(
        "crop_and_concatenate(skip, x) takes (N, C, H, W) and a smaller (N, D, h, w), and gives (N, C + D, h, w): the "
        "middle of skip first, then x; the smaller half of an odd cut goes at the top or left."
    ),
    reference=_crop_and_concatenate,
    cases=_crop_and_concatenate_cases,
    hints=(
        "How many rows are too many? Half of them, rounded down, go at the top.",
        "top = (H - h) // 2, left = (W - w) // 2; slices end at top + h and left + w.",
        "torch.cat([skip[:, :, top : top + h, left : left + w], x], dim=1).",
    ),
)


def _block_diagonal(first: Tensor, second: Tensor) -> Tensor:
    (a_out, a_in, high, wide), (b_out, b_in) = first.shape, second.shape[:2]
    joined = torch.zeros(a_out + b_out, a_in + b_in, high, wide)
    joined[:a_out, :a_in] = first
    joined[a_out:, a_in:] = second
    return joined


def _block_diagonal_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.ones(1, 1, 1, 1), torch.full((1, 1, 1, 1), 2.0)
    for (a_out, a_in), (b_out, b_in), k in [((1, 2), (2, 1), 1), ((2, 3), (4, 1), 3), ((3, 3), (3, 3), 3)]:
        first = torch.randn(a_out, a_in, k, k, generator=generator)
        yield first, torch.randn(b_out, b_in, k, k, generator=generator)


BLOCK_DIAGONAL = Exercise(
    name="block_diagonal",
    specification=(
        "block_diagonal(first, second) takes kernels (A, a, K, K) and (B, b, K, K) and gives the (A + B, a + b, K, K) "
        "kernel that convolves concatenated inputs as first and second convolve them apart."
    ),
    reference=_block_diagonal,
    cases=_block_diagonal_cases,
    hints=(
        "Which output channels may read which input channels? All other weights are 0.",
        "Begin with torch.zeros(A + B, a + b, K, K) and fill two corners.",
        "joined[:A, :a] = first; joined[A:, a:] = second.",
    ),
)


class _Crossed(nn.Module):
    """Runs its layers in another order than it names them in, and no two runs alike."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first, self.norm = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
        self.runs = 0

    def forward(self, x: Tensor) -> Tensor:
        self.runs += 1
        return x + self.last(self.norm(self.first(self.runs * x)))


def _mean_activations(model: nn.Module, x: Tensor) -> Tensor:
    means = []
    leaves = [module for module in model.modules() if not list(module.children())]
    handles = [leaf.register_forward_hook(lambda *seen: means.append(seen[2].mean())) for leaf in leaves]
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(means).detach()


def _mean_activations_cases(generator: torch.Generator) -> Iterator[tuple]:
    def filled(model: nn.Module) -> nn.Module:
        for parameter in model.parameters():
            parameter.data = torch.rand(parameter.shape, generator=generator) - 0.5
        return model.eval()

    yield nn.Sequential(nn.ReLU()).eval(), torch.arange(-4.0, 4.0).reshape(1, 1, 2, 4)
    flat = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 1))
    yield filled(flat), torch.randn(1, 1, 5, 5, generator=generator)
    relu = nn.ReLU()
    nested = nn.Sequential(nn.Sequential(nn.Conv2d(2, 4, 3), relu), nn.Sequential(nn.Conv2d(4, 4, 3), relu))
    yield filled(nested), torch.randn(2, 2, 6, 6, generator=generator)
    deep = nn.Sequential(nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 1)), nn.MaxPool2d(2)), nn.Sigmoid())
    yield filled(deep), torch.randn(1, 1, 8, 8, generator=generator)
    yield filled(_Crossed()), torch.randn(2, 2, 5, 5, generator=generator)
    yield filled(nn.Conv2d(1, 2, 2)), torch.randn(1, 1, 8, 8, generator=generator)
    in_place = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(inplace=True), nn.Softplus())
    yield filled(in_place).train(), torch.randn(1, 1, 6, 6, generator=generator)


def _left_on(before: tuple, after: tuple) -> str:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = sum(len(getattr(module, kind)) for module in after[0].modules() for kind in kinds)
    if hooks:
        return f"yours leaves {hooks} hook{'s' * (hooks > 1)} on the model, the reference none"
    was, now = ([module.training for module in arguments[0].modules()] for arguments in (before, after))
    return "" if now == was else "yours leaves a layer in another mode, the reference as it was"


MEAN_ACTIVATIONS = Exercise(
    name="mean_activations",
    specification=(
        "mean_activations(model, x) runs model once and gives a 1-D tensor with the mean of the output of every layer "
        "that has no layers inside, in the order in which they ran. A layer that runs twice counts twice. No hook is "
        "left."
    ),
    reference=_mean_activations,
    cases=_mean_activations_cases,
    hints=(
        "model.modules() gives every module at every depth; a module without children() is a layer.",
        "Hang one function on all of them that appends output.mean() to a list; run the model; remove all handles.",
        "for m in model.modules(): if not list(m.children()): handles.append(m.register_forward_hook(lambda module, "
        "inputs, output: means.append(output.mean()))); then model(x), handle.remove() for each, torch.stack(means).",
    ),
    tolerance=1e-5,
    left_behind=_left_on,
)


def _tile_starts(n: int, tile: int, margin: int, stride: int) -> list[int]:
    return list(range(0, n, (tile - 2 * margin) // stride * stride))


def _tile_starts_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield from [
        (100, 572, 92, 16),
        (388, 572, 92, 16),
        (384, 572, 92, 16),
        (1000, 572, 92, 16),
        (512, 252, 92, 16),
        (64, 252, 92, 16),
        (65, 252, 92, 16),
        (10, 8, 2, 1),
        (31, 64, 10, 2),
        (300, 96, 16, 32),
        (1000, 580, 92, 16),
    ]


TILE_STARTS = Exercise(
    name="tile_starts",
    specification=(
        "tile_starts(n, tile, margin, stride) gives the rows at which the results of overlapping tiles begin, a list: "
        "each tile gives tile - 2 * margin rows, of which the largest multiple of stride is kept; the kept parts lie "
        "edge to edge from 0 on and cover all n rows, and none begins beyond them."
    ),
    reference=_tile_starts,
    cases=_tile_starts_cases,
    hints=(
        "A tile gives tile - 2 * margin rows. How far apart may tiles lie, if that has to be a multiple of stride?",
        "step = (tile - 2 * margin) // stride * stride.",
        "The starts are those of a range from 0 to n in steps of that.",
    ),
)


def _decoder_plan(shapes: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    skips = [i for i in range(len(shapes) - 1) if shapes[i][1:] != shapes[i + 1][1:]]
    below, plan = shapes[-1][0], []
    for i in reversed(skips):
        across = shapes[i][0]
        out = below // 2 + across
        if i == skips[0]:
            out //= 2
        plan.append((below, across, out))
        below = out
    return plan


def _decoder_plan_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield ([(4, 8, 8), (6, 4, 4)],)
    yield ([(4, 8, 8), (6, 8, 4), (10, 4, 4)],)  # first only the width changes, then only the height
    yield ([(4, 16, 16), (8, 16, 16), (12, 8, 8), (16, 4, 4), (20, 4, 4)],)
    yield ([(6, 33, 45), (10, 17, 23), (16, 9, 12), (16, 9, 12)],)
    yield ([(8, 32, 32), (8, 8, 8), (12, 4, 4), (18, 2, 2)],)
    resnet = [(64, 112, 112)] * 3 + [(64, 56, 56)] * 2
    yield ([*resnet, (128, 28, 28), (256, 14, 14), (512, 7, 7)],)
    dense = [(64, 56, 56), (256, 56, 56), (128, 28, 28), (512, 28, 28), (256, 14, 14), (1024, 14, 14), (512, 7, 7)]
    yield ([(64, 112, 112), *dense, (1024, 7, 7)],)


DECODER_PLAN = Exercise(
    name="decoder_plan",
    specification=(
        "decoder_plan(shapes) takes the (C, H, W) that an encoder's layers give, in order, and gives a list with a "
        "(below, across, out) for each block of the decoder, deepest first: channels that come from below, channels of "
        "the skip, and below // 2 + across; in the last block half of that, rounded down. A skip comes from the last "
        "layer on each grid but the coarsest."
    ),
    reference=_decoder_plan,
    cases=_decoder_plan_cases,
    hints=(
        "Where do skips start? Layer i gives one if layer i + 1 has another height or another width.",
        "Walk through these places backwards. The first block gets the last layer's channels from below, every other "
        "one what the block before it gives.",
        "below = shapes[-1][0]; for i in reversed(skips): out = below // 2 + shapes[i][0], halved if i == skips[0]; "
        "keep (below, shapes[i][0], out); then below = out.",
    ),
)


SKIPS_AND_HOOKS_EXERCISES = (
    UNET_OUTPUT_SIDE,
    CROP_AND_CONCATENATE,
    BLOCK_DIAGONAL,
    MEAN_ACTIVATIONS,
    TILE_STARTS,
    DECODER_PLAN,
)

"""The exercises of notebook 02: sizes, both views, overlap counts and the cure of a checkerboard."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.core import Exercise


def _double_exactly(kernel_size: int, stride: int) -> tuple[int, int]:
    padding = (kernel_size - stride + 1) // 2
    return padding, stride - kernel_size + 2 * padding


def _double_exactly_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield from [(2, 2), (3, 2), (4, 2), (5, 2), (8, 2), (3, 1), (7, 1), (3, 3), (4, 3), (6, 3), (5, 4), (9, 4), (11, 5)]


DOUBLE_EXACTLY = Exercise(
    name="double_exactly",
    specification=(
        "double_exactly(kernel_size, stride) gives (padding, output_padding), whole numbers with the smallest padding "
        "that makes a transposed convolution multiply every grid by exactly stride."
    ),
    reference=_double_exactly,
    cases=_double_exactly_cases,
    hints=(
        "Write down the size formula without dilation, and ask when it gives stride · n for every n.",
        "kernel_size - 2 * padding + output_padding = stride, and output_padding may not be negative.",
        "padding is half of kernel_size - stride, rounded up; output_padding is what the equation then leaves.",
    ),
)


def _scatter_add(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    return F.conv_transpose2d(x[None], weight, stride=stride, padding=padding)[0]


def _scatter_add_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.arange(1.0, 10.0).reshape(1, 1, 3, 3), 2, 0
    for c, d, height, width, k, stride, padding in [
        (1, 1, 2, 2, 3, 2, 1),
        (1, 1, 2, 3, 2, 3, 0),  # stamps that leave gaps
        (2, 1, 2, 2, 2, 2, 0),
        (1, 3, 3, 2, 3, 1, 1),
        (3, 2, 4, 5, 4, 2, 1),
        (1, 1, 3, 2, 5, 2, 2),
    ]:
        x = torch.randn(c, height, width, generator=generator)
        yield x, torch.randn(c, d, k, k, generator=generator), stride, padding


SCATTER_ADD = Exercise(
    name="scatter_add",
    specification=(
        "scatter_add(x, weight, stride, padding) takes x (C, H, W) and weight (C, D, K, K), lets every input pixel "
        "stamp its multiple of the kernels, cuts `padding` rows and columns off at each side, and gives (D, H_out, "
        "W_out), without convolution functions."
    ),
    reference=_scatter_add,
    cases=_scatter_add_cases,
    without=("conv",),
    hints=(
        "Begin with a canvas of zeros for the uncut result: D channels, (H - 1) * stride + K rows.",
        "At each input pixel, x[:, row, column] holds C numbers. For each of the D outputs, weigh its C kernels by "
        "these and add.",
        "stamp = torch.einsum('c,cdij->dij', x[:, row, column], weight); in the end "
        "canvas[:, padding : height - padding, padding : width - padding].",
    ),
    tolerance=1e-4,
)


def _inputs_per_kind(kernel_size: int, stride: int) -> Tensor:
    counts = torch.tensor([len(range(first, kernel_size, stride)) for first in range(stride)])
    return torch.outer(counts, counts)


def _inputs_per_kind_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield from [(1, 1), (3, 1), (2, 2), (3, 2), (4, 2), (5, 2), (1, 2), (3, 3), (4, 3), (5, 3), (2, 3), (7, 4)]


INPUTS_PER_KIND = Exercise(
    name="inputs_per_kind",
    specification=(
        "inputs_per_kind(kernel_size, stride) gives a (stride, stride) table of whole numbers: how many inputs write "
        "to each kind of output pixel, the one at which a stamp begins first; without running a convolution."
    ),
    reference=_inputs_per_kind,
    cases=_inputs_per_kind_cases,
    without=("conv",),
    hints=(
        "One side is enough: the table is an outer product. Which of the kernel's weights fall on one output pixel?",
        "On the pixel at which a stamp begins fall the weights 0, stride, 2 * stride, … of that stamp and its "
        "neighbours; on the next pixel 1, 1 + stride, …",
        "len(range(first, kernel_size, stride)) for each first below stride; then torch.outer of that with itself.",
    ),
)


def _even_out(weight: Tensor, stride: int) -> Tensor:
    even = weight.clone()
    for row in range(stride):
        for column in range(stride):
            even[row::stride, column::stride] /= weight[row::stride, column::stride].sum()
    return even


def _even_out_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.ones(2, 2), 1
    for k, stride in [(2, 2), (3, 2), (3, 1), (4, 2), (5, 3), (7, 4)]:
        yield torch.rand(k, k, generator=generator) + 0.1, stride
    yield torch.tensor([[3.0, -1.0], [-1.0, 1.0]]), 1


EVEN_OUT = Exercise(
    name="even_out",
    specification=(
        "even_out(weight, stride) gives the (K, K) kernel with each of its stride² shares, the weights that fall on "
        "one kind of output pixel, divided by the share's own sum; weight itself stays as it is."
    ),
    reference=_even_out,
    cases=_even_out_cases,
    hints=(
        "Which weights does one kind of output pixel meet? Slices with a step pick them.",
        "weight[row::stride, column::stride] is a share, for row and column from 0 to stride - 1.",
        "Clone the kernel first; then divide each share of the clone by the sum of the same share of the original.",
    ),
    tolerance=1e-5,
)


def _without_zeros(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv_transpose2d(x[None, None], weight[None, None], stride=2, padding=1)[0, 0]


def _without_zeros_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield torch.ones(1, 1), torch.arange(1.0, 17.0).reshape(4, 4)
    for height, width in [(1, 2), (2, 2), (3, 2), (4, 5), (8, 8)]:
        yield torch.randn(height, width, generator=generator), torch.randn(4, 4, generator=generator)


WITHOUT_ZEROS = Exercise(
    name="without_zeros",
    specification=(
        "without_zeros(x, weight) takes x (H, W) and a 4 × 4 weight, and gives the (2H, 2W) transposed convolution of "
        "stride 2 and padding 1, put together from four convolutions with 2 × 2 kernels, without conv_transpose2d."
    ),
    reference=_without_zeros,
    cases=_without_zeros_cases,
    without=("conv_transpose",),
    hints=(
        "Take a row alone. Output pixel 0 gets input 0 times weight 1, and input -1 (outside) times weight 3. And "
        "output pixel 1?",
        "Even output pixels q·2 meet the inputs q - 1 and q with the weights 3 and 1; odd ones the inputs q and q + 1 "
        "with the weights 2 and 0. Turned shares, as in the gather view.",
        "share = weight[1 - row :: 2, 1 - column :: 2].flip(0, 1) is 2 × 2. F.conv2d of x, padded by 1, with it has "
        "H + 1 rows and W + 1 columns: keep H from `row` and W from `column` on, for result[row::2, column::2].",
    ),
    tolerance=1e-4,
)


TRANSPOSED_CONVOLUTION_EXERCISES = (DOUBLE_EXACTLY, SCATTER_ADD, INPUTS_PER_KIND, EVEN_OUT, WITHOUT_ZEROS)

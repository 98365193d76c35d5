"""The exercises of notebook 06: what learns and how fast, where errors sit, and what chance can do."""

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from course_utils.exercises.core import Exercise


def _group_rates(highest: float, n_groups: int, factor: float) -> list[float]:
    return [highest / factor**steps for steps in reversed(range(n_groups))]


def _rate_cases(generator: torch.Generator) -> Iterator[tuple]:
    yield from [(1e-3, 1, 10.0), (5e-3, 2, 10.0), (1e-2, 3, 3.0), (2e-3, 5, 2.6)]


GROUP_RATES = Exercise(
    name="group_rates",
    specification=(
        "group_rates(highest, n_groups, factor) gives a learning rate for each group of parameters, from the first "
        "layers to the last: the last group gets `highest`, each earlier one the rate after it divided by `factor`."
    ),
    reference=_group_rates,
    cases=_rate_cases,
    hints=(
        "Two groups, factor 10: [highest / 10, highest]. What does a third group get?",
        "Group i from the left is n_groups - 1 - i steps away from the last one.",
        "[highest / factor ** (n_groups - 1 - i) for i in range(n_groups)]",
    ),
    tolerance=1e-7,
)


def _one_cycle(step: int, n_steps: int, highest: float, pct_start: float) -> float:
    peak = pct_start * n_steps - 1
    first, last = highest / 25, highest / 25 / 1e4
    if step <= peak:
        start, end, share = first, highest, step / peak
    else:
        start, end, share = highest, last, (step - peak) / (n_steps - 1 - peak)
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _cycle_cases(generator: torch.Generator) -> Iterator[tuple]:
    for n_steps, highest, pct_start in ((10, 1.0, 0.3), (20, 0.01, 0.25), (50, 1.0, 0.5), (11, 2.0, 0.3)):
        for share in (0.0, 0.1, 0.3, 0.6, 0.9):
            yield int(share * n_steps), n_steps, highest, pct_start
        yield n_steps - 1, n_steps, highest, pct_start
        yield round(pct_start * n_steps) - 1, n_steps, highest, pct_start  # the peak, if a step falls on it


ONE_CYCLE = Exercise(
    name="one_cycle",
    specification=(
        "one_cycle(step, n_steps, highest, pct_start) gives the learning rate of a step (from 0): along half a cosine "
        "from highest / 25 up to `highest` at step pct_start * n_steps - 1, then along half a cosine down to "
        "highest / 250,000 at the last step, n_steps - 1."
    ),
    reference=_one_cycle,
    cases=_cycle_cases,
    hints=(
        "Write half a cosine first: a function of start, end and share that gives start at share 0 and end at share 1.",
        "end + (start - end) * (1 + cos(pi * share)) / 2; on the way up share = step / (pct_start * n_steps - 1).",
        "With peak = pct_start * n_steps - 1, on the way down share = (step - peak) / (n_steps - 1 - peak).",
    ),
    tolerance=1e-6,
)


def _touches_another_class(mask: Tensor) -> Tensor:
    touches = torch.zeros(mask.shape, dtype=torch.bool)
    height, width = mask.shape
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            here = (slice(max(0, -down), height - max(0, down)), slice(max(0, -right), width - max(0, right)))
            there = (slice(max(0, down), height - max(0, -down)), slice(max(0, right), width - max(0, -right)))
            touches[here] |= mask[here] != mask[there]
    return touches


def _mask_cases(generator: torch.Generator) -> Iterator[tuple]:
    corner = torch.zeros(3, 3, dtype=torch.uint8)
    corner[0, 0] = 5
    yield (corner,)
    middle = torch.zeros(3, 3, dtype=torch.uint8)
    middle[1, 1] = 5  # each pixel around meets it in one direction only: none of the eight can be left out
    yield (middle,)
    for height, width in ((2, 2), (3, 5), (6, 4)):
        yield (torch.randint(2, (height, width), generator=generator, dtype=torch.uint8),)
    halves = torch.zeros(8, 8, dtype=torch.uint8)
    halves[:, 5:] = 3
    yield (halves,)
    yield (torch.arange(1, 4).expand(3, 3),)  # the mean of a pixel's neighbours may be its own number


TOUCHES_ANOTHER_CLASS = Exercise(
    name="touches_another_class",
    specification=(
        "touches_another_class(mask) takes an (H, W) mask and gives an (H, W) bool tensor: True where one of the up to "
        "eight neighbours inside the picture has another class."
    ),
    reference=_touches_another_class,
    cases=_mask_cases,
    hints=(
        "Compare the mask with itself, moved by one pixel; do that for all eight directions.",
        "Outside, take copies that add nothing new: pad by repeating the border, F.pad(..., mode='replicate').",
        "F.unfold(F.pad(mask[None, None].float(), (1, 1, 1, 1), mode='replicate'), 3) holds all nine views of it.",
    ),
)


def _is_signal(variant: list[float], recipe: list[float], spread: float) -> bool:
    differences = [new - old for new, old in zip(variant, recipe, strict=True)]
    return min(differences) > spread or max(differences) < -spread


def _signal_cases(generator: torch.Generator) -> Iterator[tuple]:
    recipe = [86.0, 87.0, 88.0]
    for differences in ((2, 2, 2), (-2, -3, -2), (4, 3, 0.5), (3, -3, 3), (0, 0, 0), (-4, -0.5, -4), (0.5, 0.5, 0.5)):
        yield [old + change for old, change in zip(recipe, differences, strict=True)], recipe, 1.0
    for limit in (1, -1):  # as much as the spread is not more
        yield [old + limit for old in recipe], recipe, 1.0
    yield [86.5, 87.5, 88.5], recipe, 0.25
    yield [90.0, 86.0, 92.0], [86.0, 91.0, 88.0], 1.0  # sorting would hide the seed that got worse


IS_SIGNAL = Exercise(
    name="is_signal",
    specification=(
        "is_signal(variant, recipe, spread) takes the results of two networks, a list with one number for each seed, "
        "seeds in the same order, and gives True where every seed moved the same way, each by more than `spread`."
    ),
    reference=_is_signal,
    cases=_signal_cases,
    hints=(
        "Pair the lists first: a difference for each seed. Means and sorted lists no longer know which seed is which.",
        "All up: even the smallest difference is above spread. All down: even the largest is below -spread.",
        "min(differences) > spread or max(differences) < -spread",
    ),
)


class _Chain(nn.Sequential):
    """Printed, it says which parameters came frozen: a learner who is shown the model cannot see that otherwise."""

    def _get_name(self) -> str:
        return "Sequential"

    def extra_repr(self) -> str:
        frozen = [name for name, parameter in self.named_parameters() if not parameter.requires_grad]
        return f"came frozen: {', '.join(frozen)}" if frozen else ""


class _Block(nn.Module):
    """A norm and a parameter of its own, not in an nn.Sequential."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.inner = nn.BatchNorm2d(channels)
        self.gain = nn.Parameter(torch.ones(channels))

    def extra_repr(self) -> str:
        return f"(gain): Parameter of {self.gain.numel()} numbers"

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gain[:, None, None] * self.inner(self.conv(x))


def _freeze_but_norms(model: nn.Module) -> int:
    model.requires_grad_(False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.requires_grad_(True)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _models(generator: torch.Generator) -> Iterator[tuple]:
    def flat(channels: int) -> nn.Sequential:
        return _Chain(nn.Conv2d(1, channels, 3), nn.BatchNorm2d(channels), nn.ReLU())

    yield (flat(2),)
    yield (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, 1)),)
    came_frozen = flat(3).requires_grad_(False)
    yield (came_frozen,)
    norm_frozen = flat(4)
    norm_frozen[1].requires_grad_(False)
    yield (norm_frozen,)
    yield (nn.Sequential(flat(2), nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4))),)
    yield (nn.Sequential(_Block(2), nn.ReLU()),)
    yield (nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2)),)
    deep = _Chain(flat(3), nn.Sequential(_Block(3), nn.Sequential(_Block(3), nn.Conv2d(3, 2, 1))))
    deep[1][0].requires_grad_(False)
    yield (deep,)


def _left_learning(before: tuple, after: tuple) -> str:
    wanted = copy.deepcopy(before[0])
    _freeze_but_norms(wanted)
    now = dict(after[0].named_parameters())
    for name, parameter in wanted.named_parameters():
        if now[name].requires_grad != parameter.requires_grad:
            yours, reference = ("learning", "frozen") if now[name].requires_grad else ("frozen", "learning")
            return f"yours leaves {name} {yours}, the reference {reference}"
    return ""


FREEZE_BUT_NORMS = Exercise(
    name="freeze_but_norms",
    specification=(
        "freeze_but_norms(model) freezes all parameters of the model that it is given but those of its batch norms, at "
        "any depth, which learn from then on even if they came frozen; and gives how many numbers, all parameters "
        "taken together, still learn."
    ),
    reference=_freeze_but_norms,
    cases=_models,
    hints=(
        "Freeze everything first: requires_grad_(False) works on a whole model. Then switch the norms on again.",
        "model.modules() gives every module at every depth; isinstance(module, nn.BatchNorm2d) tells which are norms. "
        "A parameter's shape does not: a convolution's bias has one dimension as well.",
        "module.requires_grad_(True) for each of these; then sum(p.numel() for p in model.parameters() if "
        "p.requires_grad).",
    ),
    left_behind=_left_learning,
)


UNET_TRAINING_EXERCISES = (GROUP_RATES, ONE_CYCLE, TOUCHES_ANOTHER_CLASS, IS_SIGNAL, FREEZE_BUT_NORMS)

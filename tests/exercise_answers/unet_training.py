"""Right answers to the exercises of notebook 06, written another way, and the mistakes that learners make."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.training import freeze


def group_rates(highest, n_groups, factor):
    return [highest / factor ** (n_groups - 1 - i) for i in range(n_groups)]


def one_cycle(step, n_steps, highest, pct_start):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, highest, total_steps=n_steps, pct_start=pct_start, cycle_momentum=False
    )
    for _ in range(step):
        optimizer.step()
        cycle.step()
    return optimizer.param_groups[0]["lr"]


def touches_another_class(mask):
    """With unfold: a pixel and its eight neighbours, the picture continued by its own border."""
    padded = F.pad(mask[None, None].float(), (1, 1, 1, 1), mode="replicate")
    around = F.unfold(padded, 3).view(9, *mask.shape)
    return (around != mask).any(0)


def is_signal(variant, recipe, spread):
    change = torch.tensor(variant, dtype=torch.float64) - torch.tensor(recipe, dtype=torch.float64)
    return bool((change.abs() > spread).all() and change.sign().unique().numel() == 1)


def freeze_but_norms(model):
    """The library's; counts what an optimizer changes in a copy."""
    freeze(model)
    before, after = copy.deepcopy(model), copy.deepcopy(model)
    for parameter in after.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    torch.optim.SGD(after.parameters(), lr=1.0).step()
    return sum((old != new).sum() for old, new in zip(before.parameters(), after.parameters(), strict=True))


def one_cycle_by(cos, step, n_steps, highest, pct_start):
    peak = pct_start * n_steps - 1
    start, end, share = highest / 25, highest, step / peak
    if step > peak:
        start, end, share = highest, highest / 250_000, (step - peak) / (n_steps - 1 - peak)
    return end + (start - end) * (1 + cos(share)) / 2


ALSO_RIGHT = {
    "group_rates": {
        "torch": lambda h, n, f: h * torch.tensor(f) ** torch.arange(1 - n, 1),
        "numpy": lambda h, n, f: np.geomspace(h / f ** (n - 1), h, n, dtype=np.float32),
        "numpy, even steps of the logarithm": lambda h, n, f: np.exp(
            np.linspace(*np.log(np.float32([h / f ** (n - 1), h])), n, dtype=np.float32)
        ),
    },
    "one_cycle": {
        "math": lambda *case: one_cycle_by(lambda share: math.cos(math.pi * share), *case),
        "numpy": lambda *case: one_cycle_by(lambda share: np.cos(np.pi * share), *case),
        "torch": lambda *case: one_cycle_by(lambda share: torch.cos(torch.tensor(torch.pi * share)), *case),
    },
}

RIGHT = {f.__name__: f for f in (group_rates, one_cycle, touches_another_class, is_signal)}
RIGHT["freeze_but_norms"] = freeze_but_norms


def shifted(mask, steps):
    """True where a neighbour at one of the offsets inside the picture has another class."""
    height, width = mask.shape
    rows = [
        [
            any(0 <= i + a < height and 0 <= j + b < width and mask[i + a, j + b] != mask[i, j] for a, b in steps)
            for j in range(width)
        ]
        for i in range(height)
    ]
    return torch.tensor(rows)


ALL_EIGHT = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]


def without(forgotten):
    """Compares with all neighbours but one."""
    return lambda mask: shifted(mask, [step for step in ALL_EIGHT if step != forgotten])


def neighbours_minus_eight(mask):
    """Not 0 where the neighbours' mean is another number; replicated borders add nothing."""
    padded = F.pad(mask[None, None].double(), (1, 1, 1, 1), mode="replicate")
    return (9 * F.avg_pool2d(padded, 3, stride=1)[0, 0] - 9 * mask).abs() > 1e-6


def cosine(start, end, share):
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def cycle(step, n_steps, highest, pct_start, shape=cosine, start=25.0, last=1e4, off=1):
    peak = pct_start * n_steps - off
    if step <= peak:
        return shape(highest / start, highest, step / peak if peak else 1.0)
    return shape(highest, highest / start / last, (step - peak) / (n_steps - 1 - peak))


def learning(model):
    return [p for p in model.parameters() if p.requires_grad]


def count(parameters):
    return sum(p.numel() for p in parameters)


def switched(model, on):
    """Everything frozen but the parameters `on`."""
    model.requires_grad_(False)
    for parameter in on:
        parameter.requires_grad_(True)
    return count(learning(model))


def norms(modules, kinds=nn.BatchNorm2d):
    return [module for module in modules if isinstance(module, kinds)]


def parameters_of(modules):
    return [p for module in modules for p in module.parameters()]


def through_sequentials(module):
    """Modules that are reached through nothing but nn.Sequential."""
    if not isinstance(module, nn.Sequential):
        return [module]
    return [found for child in module for found in through_sequentials(child)]


def only_frozen(model):
    """Freezes what is no norm, and leaves the norms as they came."""
    kept = {id(p) for p in parameters_of(norms(model.modules()))}
    for parameter in model.parameters():
        if id(parameter) not in kept:
            parameter.requires_grad_(False)
    return count(learning(model))


def counted_before(model):
    already = {id(p) for p in learning(model)}
    freeze(model)
    return count(p for p in learning(model) if id(p) in already)


def convolutions_frozen(model):
    for layer in norms(model.modules(), nn.Conv2d | nn.Linear):
        layer.requires_grad_(False)
    for layer in norms(model.modules()):
        layer.requires_grad_(True)
    return count(learning(model))


def and_then(change, model):
    number = freeze_but_norms(model)
    change(model)
    return number


WRONG = {
    "group_rates": {
        "highest first": lambda h, n, f: group_rates(h, n, f)[::-1],
        "even steps": lambda h, n, f: torch.linspace(h / f ** (n - 1), h, n, dtype=torch.float64),
        "one step too many": lambda h, n, f: [h / f ** (n - i) for i in range(n)],
        "multiplies": lambda h, n, f: [h * f**i for i in range(n)],
    },
    "one_cycle": {
        "straight lines": lambda *a: cycle(*a, shape=lambda s, e, t: s + (e - s) * t),
        "starts from nought": lambda *a: cycle(*a, start=1e12),
        "ends where it began": lambda *a: cycle(*a, last=1.0),
        "peaks a step late": lambda *a: cycle(*a, off=0),
        "falls only": lambda k, n, h, p: cosine(h, h / 25e4, k / (n - 1)),
        "ends at nought": lambda *a: cycle(*a, last=1e12),
        "forgets the highest": lambda k, n, h, p: one_cycle(k, n, 1.0, p),
        "twice as high at the peak": lambda k, n, h, p: one_cycle(k, n, h, p) * (2 if k == p * n - 1 else 1),
        "rounds the peak down": lambda k, n, h, p: cycle(k, n, h, int(p * n) / n),
        "rounds the peak up": lambda k, n, h, p: cycle(k, n, h, math.ceil(p * n) / n),
    },
    "touches_another_class": {
        "four neighbours": lambda m: shifted(m, [(0, 1), (1, 0), (0, -1), (-1, 0)]),
        "looks right and down only": lambda m: shifted(m, [(0, 1), (1, 0), (1, 1)]),
        "wraps round the picture": lambda m: torch.stack(
            [m.roll((a, b), (0, 1)) != m for a in (-1, 0, 1) for b in (-1, 0, 1)]
        ).any(0),
        "the border of the picture counts": lambda m: (
            F.unfold(F.pad(m[None, None].float(), (1, 1, 1, 1), value=-1), 3).view(9, *m.shape) != m
        ).any(0),
        "the other way round": lambda m: ~touches_another_class(m),
        "calculates with class numbers": neighbours_minus_eight,
        "larger neighbours only": lambda m: (
            F.max_pool2d(F.pad(m[None, None].float(), (1, 1, 1, 1), mode="replicate"), 3, stride=1)[0, 0] > m
        ),
        "numbers instead of True and False": lambda m: touches_another_class(m).byte(),
        **{f"forgets the neighbour at {step}": without(step) for step in ALL_EIGHT},
    },
    "is_signal": {
        "the mean is enough": lambda v, r, s: abs(sum(v) - sum(r)) / len(v) > s,
        "any direction": lambda v, r, s: all(abs(a - b) > s for a, b in zip(v, r, strict=True)),
        "better only": lambda v, r, s: all(a - b > s for a, b in zip(v, r, strict=True)),
        "one seed is enough": lambda v, r, s: any(abs(a - b) > s for a, b in zip(v, r, strict=True)),
        "sorted before they are paired": lambda v, r, s: is_signal(sorted(v), sorted(r), s),
        "as much as the spread": lambda v, r, s: is_signal(v, r, s - 1e-9),
        "forgets the spread": lambda v, r, s: is_signal(v, r, 0.0),
    },
    "freeze_but_norms": {
        "everything frozen": lambda m: switched(m, []),
        "everything frozen after it counted": lambda m: and_then(lambda model: model.requires_grad_(False), m),
        "empties the model": lambda m: and_then(lambda model: [p.data.zero_() for p in model.parameters()], m),
        "nothing frozen": lambda m: count(parameters_of(norms(m.modules()))),
        "nothing frozen or counted": lambda m: count(learning(m)),
        "direct children only": lambda m: switched(m, parameters_of(norms(m.children()))),
        "through nn.Sequential only": lambda m: switched(m, parameters_of(norms(through_sequentials(m)))),
        "every one-dimensional parameter": lambda m: switched(m, [p for p in m.parameters() if p.ndim == 1]),
        "every bias": lambda m: switched(m, [p for name, p in m.named_parameters() if "bias" in name]),
        "by name": lambda m: switched(m, [p for name, p in m.named_parameters() if "norm" in name]),
        "every kind of norm": lambda m: switched(m, parameters_of(norms(m.modules(), nn.BatchNorm2d | nn.GroupNorm))),
        "scales alone": lambda m: switched(m, [norm.weight for norm in norms(m.modules())]),
        "shifts alone": lambda m: switched(m, [norm.bias for norm in norms(m.modules())]),
        "norms as they came": only_frozen,
        "counts what learned before": counted_before,
        "freezes convolutions and linear layers": convolutions_frozen,
        "counts tensors": lambda m: (freeze_but_norms(m), len(learning(m)))[1],
        "counts norms": lambda m: (freeze_but_norms(m), len(norms(m.modules())))[1],
        "counts what is frozen": lambda m: count(m.parameters()) - freeze_but_norms(m),
        "counts everything": lambda m: (freeze_but_norms(m), count(m.parameters()))[1],
        "counts running statistics": lambda m: freeze_but_norms(m) + count(m.buffers()),
        "freezes a copy": lambda m: freeze_but_norms(copy.deepcopy(m)),
        "breaks the model": lambda m: and_then(lambda model: model.__dict__.pop("_modules"), m),
    },
}

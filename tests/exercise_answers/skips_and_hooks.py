"""Right answers to the exercises of notebook 05, written another way, and the mistakes that learners make."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from course_utils.hooks import Hooks, size_change_indices
from course_utils.unet2015 import centre_crop
from course_utils.unet_block import UnetBlock


def unet_output_side(n):
    return n - 184 if n >= 188 and n % 16 == 12 else 0


def crop_and_concatenate(skip, x):
    return torch.cat([centre_crop(skip, x.shape[2:]), x], 1)


def block_diagonal(first, second):
    left = F.pad(first, (0, 0, 0, 0, 0, second.shape[1]))
    right = F.pad(second, (0, 0, 0, 0, first.shape[1], 0))
    return torch.cat([left, right])


def mean_activations(model, x):
    """By a hook that PyTorch calls for every module there is."""
    means = []

    def note(module, inputs, output):
        if not list(module.children()):
            means.append(output.mean())

    handle = register_module_forward_hook(note)
    model(x)
    handle.remove()
    return torch.stack(means)


def global_hook_stays(model, x):
    means = []

    def note(module, inputs, output):
        if not list(module.children()):
            means.append(output.mean())

    register_module_forward_hook(note, always_call=True)
    model(x)
    return torch.stack(means)


def tile_starts(n, tile, margin, stride):
    step = tile - 2 * margin
    step -= step % stride
    return [i * step for i in range(-(-n // step))]


def decoder_plan(shapes):
    """Asks the library's blocks how wide they are, without memory for their weights."""
    below, plan = shapes[-1][0], []
    indices = size_change_indices([(1, *shape) for shape in shapes])
    for index in reversed(indices):
        across = shapes[index][0]
        with torch.device("meta"):
            out = UnetBlock(below, across, halve=index == indices[0]).out_channels
        plan.append([below, across, out])
        below = out
    return torch.tensor(plan)


RIGHT = {f.__name__: f for f in (unet_output_side, crop_and_concatenate, block_diagonal, mean_activations, tile_starts)}
RIGHT["decoder_plan"] = decoder_plan


def cut(skip, x, place, first="skip"):
    height, width = x.shape[2:]
    high, wide = skip.shape[2] - height, skip.shape[3] - width
    top, left = {"corner": (0, 0), "end": (high, wide), "up": (-(-high // 2), -(-wide // 2))}[place]
    part = skip[:, :, top : top + height, left : left + width]
    return torch.cat([part, x] if first == "skip" else [x, part], 1)


def with_hooks(model, x, modules):
    with Hooks(modules) as hooks:
        model(x)
        return torch.tensor([stored.mean() for stored in hooks.stored])


def without_hooks(model, x):
    """Layer by layer, as if every module were a chain."""
    means = []

    def walk(module, x):
        children = list(module.children())
        if not children:
            x = module(x)
            means.append(x.mean())
        for child in children:
            x = walk(child, x)
        return x

    walk(model, x)
    return torch.stack(means)


def hooks_stay(model, x):
    means = []
    for layer in model.modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda module, inputs, output: means.append(output.mean()))
    model(x)
    return torch.stack(means)


def after(change, model, x):
    change(model)
    return mean_activations(model, x)


def means_of_kept_outputs(model, x):
    """A layer that works in place has overwritten what the layer before it gave."""
    outputs, leaves = [], [m for m in model.modules() if not list(m.children())]
    handles = [m.register_forward_hook(lambda module, inputs, output: outputs.append(output)) for m in leaves]
    model(x)
    for handle in handles:
        handle.remove()
    return torch.stack([output.mean() for output in outputs])


def of_kinds(model, x, *kinds):
    """As the right answer, of the layers of these kinds alone."""
    means, leaves = [], [m for m in model.modules() if isinstance(m, kinds)]
    handles = [m.register_forward_hook(lambda module, inputs, output: means.append(output.mean())) for m in leaves]
    model(x)
    for handle in handles:
        handle.remove()
    return torch.stack(means)


def inputs_instead(model, x):
    means = []
    leaves = [m for m in model.modules() if not list(m.children())]
    handles = [m.register_forward_pre_hook(lambda module, inputs: means.append(inputs[0].mean())) for m in leaves]
    model(x)
    for handle in handles:
        handle.remove()
    return torch.stack(means)


def changes(shapes, different=lambda a, b: a[1:] != b[1:]):
    return [i for i in range(len(shapes) - 1) if different(shapes[i], shapes[i + 1])]


def first_on_each_grid(shapes):
    return [0, *(i + 1 for i in changes(shapes))][:-1]


def plan_of(shapes, places, out=lambda below, across, last: (below // 2 + across) // (2 if last else 1), below=None):
    """As the right answer, with skips from other places or with another width."""
    below, plan = below or shapes[-1][0], []
    for i in reversed(places):
        across = shapes[i][0]
        plan.append((below, across, out(below, across, i == places[0])))
        below = plan[-1][2]
    return plan


WRONG = {
    "unet_output_side": {
        "never asks whether it fits": lambda n: max(n - 184, 0),
        "rounds odd sides down": lambda n: max(((n - 124) // 16) * 16 - 60, 0) if n > 124 else 0,
        "forgets the small ones": lambda n: n - 184 if n % 16 == 12 else 0,
        "one convolution a level": lambda n: n - 92 if n % 16 == 12 and n >= 188 else 0,
        "asks for a multiple of 16": lambda n: n - 184 if n % 16 == 0 and n >= 188 else 0,
    },
    "crop_and_concatenate": {
        "crops from the corner": lambda s, x: cut(s, x, "corner"),
        "crops the far end": lambda s, x: cut(s, x, "end"),
        "larger half first": lambda s, x: cut(s, x, "up"),
        "x first": lambda s, x: torch.cat([x, centre_crop(s, x.shape[2:])], 1),
        "resizes": lambda s, x: torch.cat([F.interpolate(s, x.shape[2:]), x], 1),
        "adds": lambda s, x: centre_crop(s, x.shape[2:])[:, :1] + x,
        "pads x": lambda s, x: torch.cat([s, F.interpolate(x, s.shape[2:])], 1),
    },
    "block_diagonal": {
        "beside each other": lambda a, b: torch.cat([a[:1], b[:1]], 1),
        "above each other": lambda a, b: torch.cat([a[:, :1], b[:, :1]], 0),
        "the other diagonal": lambda a, b: block_diagonal(a, b).flip(1),
        "second first": lambda a, b: block_diagonal(b, a),
        "inputs and outputs swapped": lambda a, b: block_diagonal(a, b).transpose(0, 1),
    },
    "mean_activations": {
        "children only": lambda m, x: with_hooks(m, x, list(m.children())),
        "containers too": lambda m, x: with_hooks(m, x, list(m.modules())),
        "inputs": inputs_instead,
        "last output only": lambda m, x: m(x).mean()[None],
        "backwards": lambda m, x: mean_activations(m, x).flip(0),
        "walks a chain": without_hooks,
        "hooks stay": hooks_stay,
        "trains": lambda m, x: after(lambda model: model.train(), m, x),
        "leaves it in training mode": lambda m, x: (mean_activations(m, x), m.train())[0],
        "leaves a layer in training mode": lambda m, x: (mean_activations(m, x), next(m.children()).train())[0],
        "another hook stays": lambda m, x: (mean_activations(m, x), m.register_forward_pre_hook(print))[0],
        "a hook for all modules stays": global_hook_stays,
        "a backward hook stays": lambda m, x: (mean_activations(m, x), m.register_full_backward_hook(print))[0],
        "empties the model": lambda m, x: (mean_activations(m, x), [p.data.zero_() for p in m.parameters()])[0],
        "leaves it in evaluation mode": lambda m, x: (mean_activations(m, x), m.eval())[0],
        "means of overwritten outputs": means_of_kept_outputs,
        "knows some kinds only": lambda m, x: of_kinds(
            m, x, nn.Conv2d, nn.ReLU, nn.BatchNorm2d, nn.MaxPool2d, nn.Sigmoid
        ),
        "never the model itself": lambda m, x: with_hooks(
            m, x, [k for k in list(m.modules())[1:] if not list(k.children())]
        ),
        "breaks the model": lambda m, x: (mean_activations(m, x), m.__dict__.pop("_modules"))[0],
        "runs twice": lambda m, x: after(lambda model: model(x), m, x),
        "each layer once": lambda m, x: with_hooks(m, x, [k for k in m.modules() if not list(k.children())]),
    },
    "tile_starts": {
        "tiles do not overlap": lambda n, t, m, s: list(range(0, n, t)),
        "out of step": lambda n, t, m, s: list(range(0, n, t - 2 * m)),
        "one margin": lambda n, t, m, s: list(range(0, n, (t - m) // s * s)),
        "one tile too many": lambda n, t, m, s: [*tile_starts(n, t, m, s), n],
        "whole tiles only": lambda n, t, m, s: list(range(0, max(n - (t - 2 * m), 0) + 1, (t - 2 * m) // s * s)),
        "rounds up": lambda n, t, m, s: list(range(0, n, -(-(t - 2 * m) // s) * s)),
        "rounds to the nearest": lambda n, t, m, s: list(range(0, n, round((t - 2 * m) / s) * s)),
        "with the margin": lambda n, t, m, s: [start - m for start in tile_starts(n, t, m, s)],
    },
    "decoder_plan": {
        "first layer on each grid": lambda s: plan_of(s, first_on_each_grid(s)),
        "layer that begins a change": lambda s: plan_of(s, [i + 1 for i in changes(s)]),
        "a skip of the coarsest grid too": lambda s: plan_of(s, [*changes(s), len(s) - 1]),
        "every layer but the last": lambda s: plan_of(s, range(len(s) - 1)),
        "compares heights": lambda s: plan_of(s, changes(s, lambda a, b: a[1] != b[1])),
        "compares widths": lambda s: plan_of(s, changes(s, lambda a, b: a[2] != b[2])),
        "compares channels": lambda s: plan_of(s, changes(s, lambda a, b: a[0] != b[0])),
        "compares channels too": lambda s: plan_of(s, changes(s, lambda a, b: a != b)),
        "expects exact halves": lambda s: plan_of(s, changes(s, lambda a, b: a[1] == 2 * b[1] or a[2] == 2 * b[2])),
        "finest first": lambda s: decoder_plan(s).flip(0),
        "walks the wrong way": lambda s: plan_of(s, changes(s)[::-1]),
        "forgets the halving": lambda s: plan_of(s, changes(s), lambda below, across, last: below // 2 + across),
        "halves every block": lambda s: plan_of(s, changes(s), lambda below, across, last: (below // 2 + across) // 2),
        "halves all but the last": lambda s: plan_of(
            s, changes(s), lambda below, across, last: (below // 2 + across) // (1 if last else 2)
        ),
        "rounds up": lambda s: plan_of(
            s, changes(s), lambda below, across, last: -(-(below // 2 + across) // (2 if last else 1))
        ),
        "all from below": lambda s: plan_of(s, changes(s), lambda below, across, last: (below + across) // (1 + last)),
        "halves what meets": lambda s: plan_of(s, changes(s), lambda below, across, last: (below + across) // 2),
        "no channels across": lambda s: plan_of(s, changes(s), lambda below, across, last: below // (2 + 2 * last)),
        "below is always the encoder's": lambda s: [
            (s[-1][0], across, out) for _, across, out in plan_of(s, changes(s))
        ],
        "below is the next layer's": lambda s: plan_of(s, changes(s), below=s[changes(s)[-1] + 1][0]),
    },
}

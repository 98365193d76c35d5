"""Look inside a network while it runs: forward hooks that keep, and let go of, what a module returned."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from course_utils.checks import check_flags, check_sides
from course_utils.modes import evaluation_mode


class Hook:
    """Keeps the last output of `module` in ``.stored`` until it is removed.

    Use it as a context manager: leaving the block removes the hook and drops what it stored. Removing twice is fine.
    Copying or pickling the model takes a hook along that stores nothing: nobody could remove it.

    Args:
        module: any module that returns a tensor (or a tuple of tensors).
        detach: store a copy, cut from the graph (right for looking, wrong for training through it). Otherwise it is
            the tensor itself, which a layer that works in place, such as ``nn.ReLU(inplace=True)``, overwrites.
    """

    def __init__(self, module: nn.Module, detach: bool = True) -> None:
        check_flags(detach=detach)
        if not isinstance(module, nn.Module):
            raise TypeError(f"Hook takes a module, and {module!r:.60} is none.")
        self.detach = detach
        self.stored: Tensor | tuple[Tensor, ...] | None = None
        self._handle: RemovableHandle | None = module.register_forward_hook(self._store)

    def __getstate__(self) -> dict[str, object]:
        return {"detach": self.detach, "stored": None, "_handle": None}

    def _store(self, module: nn.Module, inputs: tuple, output: Tensor | tuple[Tensor, ...]) -> None:
        if self._handle is None:
            return
        parts = (output,) if isinstance(output, Tensor) else output
        if not isinstance(parts, tuple) or not all(isinstance(part, Tensor) for part in parts):
            raise TypeError(f"{type(module).__name__} returned no tensor or tuple of tensors, which is all Hook keeps.")
        if self.detach:
            copies = tuple(part.detach().clone() for part in parts)
            output = copies[0] if isinstance(output, Tensor) else copies
        self.stored = output

    def remove(self) -> None:
        """Take the hook off the module and release what it stored."""
        if self._handle is not None:
            self._handle.remove()
        self.stored = None

    def __enter__(self) -> "Hook":
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class Hooks:
    """One `Hook` for each of several modules; ``.stored`` is the list of what they stored, in the same order.

    Raises:
        TypeError: if something else than modules is given.
    """

    def __init__(self, modules: Iterable[nn.Module], detach: bool = True) -> None:
        modules = list(modules)
        if not all(isinstance(module, nn.Module) for module in modules):
            odd = next(module for module in modules if not isinstance(module, nn.Module))
            raise TypeError(f"Hooks takes modules only, and {odd!r:.60} is none.")
        self.hooks = [Hook(module, detach) for module in modules]

    @property
    def stored(self) -> list[Tensor | tuple[Tensor, ...] | None]:
        return [hook.stored for hook in self.hooks]

    def remove(self) -> None:
        """Take every hook off its module; harmless when done twice."""
        for hook in self.hooks:
            hook.remove()

    def __len__(self) -> int:
        return len(self.hooks)

    def __getitem__(self, index: int) -> Hook:
        return self.hooks[index]

    def __iter__(self) -> Iterator[Hook]:
        return iter(self.hooks)

    def __enter__(self) -> "Hooks":
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def in_channels_of(model: nn.Module) -> int:
    """Channels that the first convolution of `model` expects.

    Raises:
        ValueError: if `model` holds no convolution.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    raise ValueError(f"{type(model).__name__} holds no nn.Conv2d, so its number of input channels cannot be read off.")


def activation_sizes(model: nn.Module, input_size: tuple[int, int]) -> list[torch.Size]:
    """Shape ``(1, C, H, W)`` that each child of `model` returns for one picture of `input_size` ``(H, W)``.

    The picture is all zeros, no gradient is kept, and every module is back in its own train/eval mode afterwards.

    Raises:
        ValueError: if `model` holds no convolution or the same child twice, `input_size` is no pair of sides, or a
            child does not run.
        TypeError: if a child returns something else than tensors.
    """
    channels = in_channels_of(model)
    check_sides(input_size=input_size)
    _check_places(model)
    picture = next(model.parameters()).new_zeros(1, channels, *input_size)
    with torch.no_grad(), evaluation_mode(model), Hooks(model.children()) as hooks:
        model(picture)
        for (name, child), stored in zip(model.named_children(), hooks.stored, strict=True):
            if not isinstance(stored, Tensor):
                did = "did not run" if stored is None else "gave several tensors"
                raise ValueError(f"{name} ({type(child).__name__}) {did}, so its size cannot be read off.")
            if stored.ndim != 4:
                raise ValueError(f"{name} ({type(child).__name__}) gave {tuple(stored.shape)}, not (1, C, H, W).")
        return [stored.shape for stored in hooks.stored]


def _check_places(model: nn.Module) -> None:
    """Refuse a child in two places: a hook keeps one output of it, and `children` counts it once."""
    places: dict[int, str] = {}
    for name, child in model._modules.items():
        if child is not None and places.setdefault(id(child), name) != name:
            raise ValueError(
                f"child {name} ({type(child).__name__}) is child {places[id(child)]} again; give each place a layer "
                "of its own."
            )


def size_change_indices(sizes: Sequence[torch.Size]) -> list[int]:
    """Indices ``i`` where the grid of entry ``i`` differs from that of entry ``i + 1``: the last layer on each grid.

    These are the places whose outputs a U-Net carries across to its decoder.
    """
    return [i for i in range(len(sizes) - 1) if sizes[i][-2:] != sizes[i + 1][-2:]]

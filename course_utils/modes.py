"""Run a network in evaluation mode, and give every module its own mode back."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """While the block runs, `model` is in evaluation mode; afterwards each of its modules is in the mode it had.

    ``model.train()`` would not do: it wakes up batch norms that ``model.encoder.eval()`` had put to sleep.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode

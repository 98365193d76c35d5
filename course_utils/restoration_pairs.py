"""Training pairs made on the fly: what the network gets, and what it should give back."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from course_utils.checks import check_whole, is_whole
from course_utils.restoration import Degradation, check_step
from course_utils.tensor_checks import describe

Target = Callable[[Tensor], Tensor]


class Pairs:
    """Batches of a damaged picture and its target: a pure function of seed, epoch and position, as `fit` wants them.

    Iterating yields inputs ``(B, 3, H, W)``, white 1 and black 0, and targets as `target` makes them. Each epoch
    brings another order, other mirror images and another damage; `set_epoch` says which.

    Args:
        pictures: ``(N, 3, H, W)`` uint8, on the device on which the pairs are made.
        degrade: makes the input from the picture.
        target: makes the target from the picture; None takes the picture itself.

    Raises:
        ValueError: if the pictures are not colour bytes, there are fewer than a batch, or another argument is none.
    """

    def __init__(
        self,
        pictures: Tensor,
        degrade: Degradation,
        batch_size: int,
        *,
        target: Target | None = None,
        seed: int = 0,
    ) -> None:
        fit = isinstance(pictures, Tensor) and pictures.ndim == 4 and pictures.dtype == torch.uint8
        if not fit or pictures.shape[1] != 3:
            raise ValueError(f"pictures are {describe(pictures)}, not uint8 (N, 3, H, W).")
        check_step("degrade", degrade)
        if target is not None:
            check_step("target", target)
        check_whole(0, seed=seed)
        if not is_whole(batch_size) or not 1 <= batch_size <= len(pictures):
            raise ValueError(f"batch_size={batch_size!r} is not a whole number from 1 to {len(pictures)} pictures.")
        self.pictures, self.degrade, self.target = pictures, degrade, target
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order and the damage of the next pass."""
        check_whole(0, epoch=epoch)
        self.epoch = epoch

    def __len__(self) -> int:
        """Whole batches in one pass; a rest is left out."""
        return len(self.pictures) // self.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order, seeds = np.random.SeedSequence([self.seed, self.epoch]).generate_state(2)
        generator = torch.Generator().manual_seed(int(order))
        chosen = torch.randperm(len(self.pictures), generator=generator)
        for i in range(len(self)):
            batch = chosen[i * self.batch_size : (i + 1) * self.batch_size].to(self.pictures.device)
            pictures = self.pictures[batch].float() / 255
            mirrored = torch.rand(len(pictures), 1, 1, 1, generator=generator).to(pictures.device) < 0.5
            pictures = torch.where(mirrored, pictures.flip(-1), pictures)
            yield self.degrade(pictures, int(seeds) + i), pictures if self.target is None else self.target(pictures)

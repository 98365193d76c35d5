"""What a batch must be for a training step: refused in one sentence, where torch would fail deep inside the network."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.tensor_checks import describe


class CheckedBatches:
    """Looks at each batch of a run, and at the scores that the model gives for it.

    Types and shapes are known without waiting. Codes are looked at on the CPU; on a GPU, which would have to finish its
    work first, in the first batch only.

    Args:
        loss_fn: if it is an `nn.CrossEntropyLoss`, it is known what it takes; other losses speak for themselves.
        amp: as in `course_utils.training.fit`.
    """

    def __init__(self, model: nn.Module, loss_fn: Callable[[Tensor, Tensor], Tensor], amp: torch.dtype | None) -> None:
        self.loss_fn, self.amp = loss_fn, amp
        self.dtypes = list(dict.fromkeys(parameter.dtype for parameter in model.parameters()))
        self.cross_entropy = type(loss_fn) is nn.CrossEntropyLoss
        self.first = True
        self.codes: Tensor | None = None

    def look_at(self, x: Tensor, y: Tensor) -> None:
        """Refuse a batch, still where `batches` put it, that no step can use.

        Raises:
            ValueError: if it is empty.
        """
        if not x.numel():
            raise ValueError(f"batches yielded an empty batch, x {describe(x)}; look at what selects its pictures.")
        self.codes = y if y.device.type == "cpu" or self.first else None
        self.first = False

    def loss(self, forward: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
        """What `loss_fn` gives for ``forward(x)`` and `y`.

        Raises:
            ValueError: if the model cannot take the type of `x`, or `y` has no class code for each pixel of its scores.
        """
        try:
            scores = forward(x)
        except RuntimeError as error:
            if x.dtype in self.dtypes or (self.amp is not None and x.is_floating_point()):
                raise
            raise ValueError(
                f"the model, of {self.dtypes[0]}, fails on x {describe(x)} ({str(error).splitlines()[0]}): normalise "
                f"bytes, and yield x.to({self.dtypes[0]})."
            ) from error
        if self.cross_entropy and isinstance(scores, Tensor) and scores.ndim > 2:
            self._check_codes(scores, y)
        return self.loss_fn(scores, y)

    def _check_codes(self, scores: Tensor, y: Tensor) -> None:
        if y.is_floating_point() and y.shape == scores.shape:
            return  # probabilities
        if y.shape != (len(scores), *scores.shape[2:]):
            raise ValueError(
                f"the model gives scores {tuple(scores.shape)} and y is {describe(y)}: they must be (N, C, H, W) and "
                "codes (N, H, W) of one size."
            )
        if y.dtype != torch.int64:
            raise ValueError(f"y is {y.dtype}, and nn.CrossEntropyLoss takes codes as torch.int64: yield y.long().")
        n_classes, void = scores.shape[1], self.loss_fn.ignore_index
        if self.codes is not None and not 0 <= int(self.codes.min()) <= int(self.codes.max()) < n_classes:
            wrong = self.codes[((self.codes < 0) | (self.codes >= n_classes)) & (self.codes != void)]
            if wrong.numel():
                raise ValueError(
                    f"y holds the code {int(wrong[0])}, which is neither one of {n_classes} classes, 0 to "
                    f"{n_classes - 1}, nor ignore_index={void}: mend the masks, build the model with more outputs, or, "
                    f"if that code is void, give the loss ignore_index={int(wrong[0])}."
                )

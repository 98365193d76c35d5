"""AdamW in one pass over weights in any memory format."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


class FusedAdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` with ``fused=True``, made quicker and safer for weights in channels_last on a CPU.

    There PyTorch's fused step (still in 2.15) copies each gradient that is not contiguous, and then does not use the
    copy. And it walks weight, gradient and moments side by side in memory, which is silently wrong where their formats
    differ. Here it sees each such weight in the order in which it lies in memory; a gradient, or a loaded moment, in
    another format is first copied into the weight's.
    """

    def __init__(self, params: Any, lr: float | Tensor = 1e-3, **options: Any) -> None:
        super().__init__(params, lr, fused=True, **options)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        parameters = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        with contextlib.ExitStack() as stack:
            for parameter in parameters:
                if parameter.device.type == "cpu":
                    stack.enter_context(_in_order_of_memory(parameter, self.state[parameter]))
            super().step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for parameter, moments in self.state.items():
            for name, value in moments.items():
                if value.shape == parameter.shape:
                    moments[name] = torch.empty_like(parameter).copy_(value)


@contextlib.contextmanager
def _in_order_of_memory(parameter: nn.Parameter, state: dict[str, Any]) -> Iterator[None]:
    """Let a weight ``(D, C, h, w)`` in channels_last, its gradient and moments be ``(D, h, w, C)``: the same memory."""
    data, grad = parameter.data, parameter.grad
    if grad.stride() != data.stride():
        grad = torch.empty_like(data).copy_(grad)
        parameter.grad = grad
    if parameter.ndim != 4 or data.is_contiguous() or not data.is_contiguous(memory_format=torch.channels_last):
        yield
        return
    try:
        _turn(parameter, data.permute(0, 2, 3, 1), grad.permute(0, 2, 3, 1), state, (0, 2, 3, 1))
        yield
    finally:
        _turn(parameter, data, grad, state, (0, 3, 1, 2))


def _turn(parameter: nn.Parameter, data: Tensor, grad: Tensor, state: dict[str, Any], order: tuple[int, ...]) -> None:
    parameter.grad = None  # which must have the shape of the data
    parameter.data, parameter.grad = data, grad
    for name, value in state.items():
        if isinstance(value, Tensor) and value.ndim == 4:
            state[name] = value.permute(order)

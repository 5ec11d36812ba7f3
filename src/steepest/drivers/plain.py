"""One gradient, one step; and what every driver needs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.module import register_module_forward_pre_hook

from steepest.core.errors import SteepestError
from steepest.core.knob import Settings

Closure = Callable[[], Tensor]


class Plain(Settings):
    """The usual step: zero, loss, backward, step."""

    use = "Nearly always."

    def step(self, optimizer: Any, closure: Closure) -> Tensor:
        """Step on the loss that `closure()` computes, without calling backward itself; returns that loss."""
        optimizer.zero_grad()
        loss = backward(closure)
        optimizer.step()
        return loss


def backward(closure: Closure) -> Tensor:
    """Add the gradient of the loss to the parameters'; the loss comes back detached."""
    if torch.is_grad_enabled():  # nearly always; entering a context costs more than the question
        loss = as_loss(closure())
    else:
        with torch.enable_grad():
            loss = as_loss(closure())
    loss.backward()
    return loss.detach()


def as_loss(loss: Any) -> Tensor:
    if not isinstance(loss, Tensor):
        raise SteepestError(f"closure() returned {type(loss).__name__}; it must return the loss as a tensor")
    if loss.numel() != 1:
        raise SteepestError(f"closure() returned a tensor of shape {tuple(loss.shape)}; reduce the losses to one number")
    if not loss.requires_grad:
        raise SteepestError("closure() returned a loss that depends on no parameter; let it compute one, without detach() or no_grad()")
    return loss


def parameters(optimizer: Any) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]


@contextmanager
def running_statistics_kept() -> Iterator[None]:
    """Within: batch and instance norms that run leave their running statistics as they were."""
    kept: dict[Tensor, Tensor] = {}

    def keep(module: torch.nn.Module, inputs: Any) -> None:
        if isinstance(module, _NormBase):
            for buffer in module.buffers(recurse=False):
                kept.setdefault(buffer, buffer.clone())

    hook = register_module_forward_pre_hook(keep)
    try:
        yield
    finally:
        hook.remove()
        with torch.no_grad():
            for buffer, value in kept.items():
                buffer.copy_(value)

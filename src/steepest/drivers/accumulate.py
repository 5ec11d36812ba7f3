"""Many small batches, one step: the gradient of the whole batch, with the memory of a part."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from steepest.core.errors import SteepestError
from steepest.core.knob import Settings
from steepest.drivers.plain import as_loss, parameters


class Accumulate(Settings):
    """The exact gradient of the mean over all micro-batches, whatever their sizes: sums are added, and divided once.

    (Averaging the means of unequal batches weighs the samples of the small ones more.)
    """

    use = "When the batch you want does not fit into memory."

    def step(self, optimizer: Any, closures: Iterable[Callable[[], tuple[Tensor, float]]]) -> Tensor:
        """Each closure returns the sum of its losses and how many they are; returns the mean loss."""
        optimizer.zero_grad()
        losses, count = [], 0.0
        for closure in closures:
            with torch.enable_grad():
                loss, n = _pair(closure())
            loss.backward()
            losses.append(loss.detach())
            count += n
        if not losses:
            raise SteepestError("Accumulate.step got no closures; give one per micro-batch")
        for p in parameters(optimizer):
            if p.grad is not None:
                p.grad.div_(count)
        optimizer.step()
        return sum(losses[1:], losses[0]) / count


def _pair(returned: Any) -> tuple[Tensor, float]:
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise SteepestError(f"closure() returned {type(returned).__name__}; it must return (sum of losses, count)")
    loss, n = returned
    if not n > 0:
        raise SteepestError(f"closure() counted {n!r} losses; a micro-batch has at least one")
    return as_loss(loss), float(n)

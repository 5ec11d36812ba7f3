"""What every trial needs: batches again and again, and the gradient of some of them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, IterableDataset

from steepest.core.errors import ParameterError, SettingError, nearest
from steepest.core.objectives import LOSSES
from steepest.init.batch import arguments

# The loss of a batch: its mean, or (sum, how many); or a name of LOSSES, for batches (inputs, targets).
BatchLoss = str | Callable[[nn.Module, Any], Any]
Summed = Callable[[nn.Module, Any], tuple[Tensor, float]]


def summed(loss: BatchLoss) -> Summed:
    """The sum of a batch's losses, and how many they are: what adds up over micro-batches of unequal size."""
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise SettingError(f"unknown loss {loss!r}{nearest(loss, LOSSES)}")
        known = LOSSES[loss]

        def named(model: nn.Module, batch: Any) -> tuple[Tensor, float]:
            if not isinstance(batch, (tuple, list)) or len(batch) != 2:
                raise ParameterError(f"a loss by name needs batches (inputs, targets), not {type(batch).__name__}; give loss(model, batch)")
            inputs, target = batch
            args, kwargs = arguments(inputs)
            n = known.terms(target, None)
            return known.mean(model(*args, **kwargs), target, None) * n, n

        return named

    def given(model: nn.Module, batch: Any) -> tuple[Tensor, float]:
        value = loss(model, batch)
        if isinstance(value, tuple):
            return value
        n = float(samples(batch))
        return value * n, n

    return given


def samples(batch: Any) -> int:
    """The length of the first tensor in it."""
    found = next((x for x in tree_leaves(batch) if isinstance(x, Tensor) and x.ndim), None)
    return 1 if found is None else len(found)


def feed(batches: Any) -> Iterator[Any]:
    """Batch after batch without an end: from a list, a DataLoader, or a function that makes an iterator of an epoch."""
    if isinstance(batches, Iterator):
        raise ParameterError("batches are an iterator, which cannot be put back where it was; give a list, a DataLoader, or a function")
    while True:
        epoch = once(batches) if isinstance(batches, DataLoader) else begun(batches)
        batch = next(epoch, None)
        if batch is None:
            raise ParameterError("there is no batch in the batches")
        while batch is not None:
            yield batch
            batch = next(epoch, None)


def begun(batches: Any) -> Iterator[Any]:
    epoch: Any = batches() if callable(batches) else batches
    return iter(epoch)


def once(loader: DataLoader) -> Iterator[Any]:
    """A loader's epoch, read in this process: its own iterator, once made, would restart its persistent workers."""
    if isinstance(loader.dataset, IterableDataset):
        raise ParameterError("a DataLoader over an IterableDataset cannot be put back where it was; give a list of its batches")
    dataset: Any = loader.dataset
    order: Any = loader.batch_sampler if loader.batch_sampler is not None else loader.sampler
    for rows in order:
        yield loader.collate_fn([dataset[i] for i in rows] if isinstance(rows, (list, tuple)) else dataset[rows])


def gradient(model: nn.Module, batch: Any, loss: Summed) -> tuple[list[Tensor], float]:
    """The gradient of a batch's mean loss in all parameters that want one, and of how many losses it is the mean. `.grad` is left alone."""
    parameters = wanting(model.parameters())
    with torch.enable_grad():
        total, n = loss(model, batch)
        found = torch.autograd.grad(total / n, parameters, allow_unused=True)
    grads: list[Tensor | None] = list(found)  # torch's own type leaves the None out
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, grads, strict=True)], n


def wanting(parameters: Iterable[Tensor]) -> list[Tensor]:
    found = [p for p in parameters if p.requires_grad]
    if not found:
        raise ParameterError("the model has no parameter that wants a gradient")
    return found

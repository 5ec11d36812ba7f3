"""The loss of a batch, as the task and its regularizers ask for it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from steepest.core.errors import SteepestError
from steepest.core.objectives import LOSSES
from steepest.core.task import Task
from steepest.data.parts import Batch, columns
from steepest.regularizers.base import Mixed, Penalty, TargetChange, mixed_loss
from steepest.regularizers.targets import changed


class Objective:
    """What is minimized. `loss(model, batch)` is a mean; `count(batch)` of how many, so that micro-batches add up exactly."""

    def __init__(self, task: Task, weight: Tensor | None) -> None:
        self.task, self.weight = task, weight
        self.named = LOSSES[task.loss] if isinstance(task.loss, str) else None
        # Of (output, target): the loss by name or the caller's own. What changes targets (label smoothing) adds settings.
        self.base: Callable[..., Tensor] = partial(self.named.mean, weight=weight) if self.named else task.loss  # type: ignore[assignment]
        self.regularize((), ())

    def regularize(self, targets: Sequence[TargetChange], penalties: Sequence[Penalty]) -> None:
        """What training adds."""
        self.targets, self.penalties = targets, penalties
        self.changed = changed(self.base, *targets)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """In training: with everything that the recipe adds."""
        loss = self.plain(model, batch, changed=self.changed)
        for penalty in self.penalties:
            loss = loss + penalty.loss(model)
        return loss

    def plain(self, model: nn.Module, batch: Batch, output: Any = None, changed: Any = None) -> Tensor:
        """The task's own loss, which evaluation reports."""
        if self.task.batch_loss:
            return self.task.batch_loss(model, batch)
        inputs, target = columns(batch)
        if target is None:
            raise SteepestError("the data has inputs alone, and a loss by name needs targets; give (x, y), or batch_loss(model, batch)")
        return mixed_loss(changed or self.base, model(*inputs) if output is None else output, target)

    def count(self, batch: Batch) -> float:
        """How many terms the loss of a batch is the mean of."""
        inputs, target = columns(batch)
        if self.named is not None and not self.task.batch_loss and target is not None:
            return self.named.terms(target.a if isinstance(target, Mixed) else target, self.weight)
        return float(len(inputs[0]))

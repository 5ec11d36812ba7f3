"""What a regularizer is, by the place where the training loop calls it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from steepest.core.errors import SteepestError
from steepest.core.knob import Settings

# What a loss is here: of the model's output and a target, a number to minimize.
Loss = Callable[..., Tensor]


class BatchError(SteepestError, ValueError):
    """Inputs or targets that a regularizer cannot work on."""


class Regularizer(Settings):
    """Base of all regularizers: knobs and options, and the card that `steepest explain` prints.

    Nothing is computed from knobs beforehand, so that a schedule may `bind` them anew at each step.
    """

    # The setting that a recipe's shorthand gives: `dropout = 0.1`.
    main: ClassVar[str] = ""
    # One sentence each: when it helps and what to set first; when it hurts; what it costs; what was measured here ("": nothing).
    use: ClassVar[str] = ""
    hurts: ClassVar[str] = ""
    cost: ClassVar[str] = ""
    measured: ClassVar[str] = ""
    paper: ClassVar[str] = ""


class Penalty(Regularizer):
    """A term that is added to the loss."""

    def loss(self, model: nn.Module) -> Tensor:
        raise NotImplementedError


class Projection(Regularizer):
    """Brings the weights back, in place, after a step."""

    def project(self, model: nn.Module) -> None:
        raise NotImplementedError


class BatchChange(Regularizer):
    """Another batch in place of the one at hand: augmentation, mixing, noise. Draws from the generator it is given, and from no other."""

    def change(self, x: Tensor, y: Any, generator: torch.Generator) -> tuple[Tensor, Any]:
        raise NotImplementedError


class TargetChange(Regularizer):
    """Another way to compute a classification loss.

    `base(logits, target)` is the loss without it. Extra `settings` are handed on to base, so that several nest in any order.
    """

    def loss(self, logits: Tensor, target: Tensor, base: Loss, **settings: Any) -> Tensor:
        raise NotImplementedError


class GradientChange(Regularizer):
    """Changes the gradients, in place, before step k (from 0)."""

    def change(self, grads: Sequence[Tensor], generator: torch.Generator, k: int) -> None:
        raise NotImplementedError


class Surgery(Regularizer):
    """Changes the model, in place, before training begins; an error leaves it unchanged."""

    def build(self, model: nn.Module) -> nn.Module:
        """The model with its new layers: the one that was given, unless that was a single layer."""
        raise NotImplementedError

    def set(self, model: nn.Module) -> None:
        """Writes the present values of the knobs into a model that was built."""
        raise NotImplementedError


class Adversarial(Regularizer):
    """Worse inputs in place of those at hand. The model's gradients and buffers stay as they are."""

    def change(self, model: nn.Module, loss: Loss, x: Tensor, y: Any, generator: torch.Generator) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class Mixed:
    """Two targets for one batch: the loss is weight * loss(a) + (1 - weight) * loss(b)."""

    a: Any
    b: Any
    weight: float


def mixed_loss(loss: Loss, output: Any, target: Any) -> Tensor:
    """The loss of a target that may be mixed; works for every loss, since losses are mixed, not targets."""
    if isinstance(target, Mixed):
        return target.weight * loss(output, target.a) + (1 - target.weight) * loss(output, target.b)
    return loss(output, target)

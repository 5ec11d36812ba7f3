"""A task: what is to be learned. The model's factory, the data, the loss, the metrics; nothing about how."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import Parameter, signature
from typing import Any, Self

from torch import Tensor, nn

from steepest.core.errors import SettingError, nearest
from steepest.core.objectives import LOSSES, METRICS

Factory = Callable[..., nn.Module]
# What a player of several minimizes: which parameters are its own (a pattern over names), and its loss of a batch.
Player = tuple[str, Callable[[nn.Module, Any], Tensor]]


@dataclass(frozen=True)
class Task:
    """What is to be learned.

    `model` is a factory whose keyword arguments are knobs of the recipe's [model] section, or several by name.
    `data` is `(x, y)`, `(train, valid[, test])` of such pairs, Datasets or DataLoaders, or a function that gives one of these.
    `loss` is a name of LOSSES or a function of (output, target). Instead of it `batch_loss(model, batch)` may compute
    everything, and `losses = {"critic": ("critic.*", fn), ...}` makes several players, each with parameters and a loss of its own.
    `preprocess` is fitted on the training part alone, and is saved with the run. `folds` > 1 allows cross-validation.
    """

    model: Factory | Mapping[str, Factory]
    data: Any
    loss: str | Callable[[Any, Any], Tensor] = "cross_entropy"
    metrics: Sequence[str | Callable[[Tensor, Tensor], Any]] = ()
    batch_loss: Callable[[nn.Module, Any], Any] | None = None
    losses: Mapping[str, Player] = field(default_factory=dict)
    preprocess: Sequence[Any] = ()
    class_weights: Sequence[float] | str | None = None
    folds: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.loss, str) and self.loss not in LOSSES:
            raise SettingError(f"Task.loss: unknown loss {self.loss!r}{nearest(self.loss, LOSSES)}")
        for metric in self.metrics:
            if isinstance(metric, str) and metric not in METRICS:
                raise SettingError(f"Task.metrics: unknown metric {metric!r}{nearest(metric, METRICS)}")
        for name, factory in self.factories.items():
            if not callable(factory):
                raise SettingError(f"Task.model: {name} is {type(factory).__name__}; give a function that makes the model")
            if isinstance(factory, nn.Module):
                raise SettingError(f"Task.model: {name} is a finished module; give a function that makes one, so that each run starts anew")
        if isinstance(self.class_weights, str) and self.class_weights != "balanced":
            raise SettingError(f'Task.class_weights = {self.class_weights!r}; give one number per class, or "balanced"')
        if self.folds == 1 or self.folds < 0:
            raise SettingError(f"Task.folds = {self.folds}; cross-validation needs at least 2, and 0 is none")
        if self.losses and self.batch_loss:
            raise SettingError("Task has batch_loss and losses; several players have a loss each, and none in common")

    @property
    def factories(self) -> dict[str, Factory]:
        """The model factories by name; the only one is called "model"."""
        if isinstance(self.model, Mapping):
            if not self.model:
                raise SettingError("Task.model names no factory")
            return dict(self.model)
        return {"model": self.model}

    def replace(self, **changes: Any) -> Self:
        return replace(self, **changes)


def keywords(factory: Factory) -> dict[str, Any]:
    """The keyword arguments of a factory and their defaults: the knobs of the model. An argument without a default is required: `...`."""
    taken = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return {name: ... if p.default is p.empty else p.default for name, p in signature(factory).parameters.items() if p.kind in taken}

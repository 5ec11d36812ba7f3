"""A task: what is to be learned. The model's factory, the data, the loss, the metrics; nothing about how."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import Parameter, signature
from math import inf
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
    `pictures(model)` gives images in [0, 1], (N, channels, rows, columns), that a finished run shows beside its weights.
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
    pictures: Callable[[nn.Module], Tensor] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _check_named("loss", "loss", self.loss, LOSSES)
        if isinstance(self.loss, type):
            raise SettingError(f"Task.loss: {self.loss.__name__} is a class; give an object, {self.loss.__name__}()")
        for name in ("metrics", "preprocess"):
            if isinstance(getattr(self, name), str):
                raise SettingError(f"Task.{name} = {getattr(self, name)!r}; give a list, [{getattr(self, name)!r}]")
        for metric in self.metrics:
            _check_named("metrics", "metric", metric, METRICS)
        names = ["loss", *(x if isinstance(x, str) else getattr(x, "__name__", "") for x in self.metrics)]
        if twice := [name for name in names if name and names.count(name) > 1]:
            raise SettingError(f"Task.metrics: {twice[0]} is there twice (the loss always is); each needs a name of its own")
        for name, factory in self.factories.items():
            if isinstance(factory, nn.Module):
                raise SettingError(f"Task.model: {name} is a finished module; give a function that makes one, so that each run starts anew")
            if not callable(factory):
                raise SettingError(f"Task.model: {name} is {type(factory).__name__}; give a function that makes the model")
        self._check_weights()
        if not isinstance(self.folds, int) or isinstance(self.folds, bool) or self.folds == 1 or self.folds < 0:
            raise SettingError(f"Task.folds = {self.folds}; cross-validation needs at least 2, and 0 is none")
        if self.losses and self.batch_loss:
            raise SettingError("Task has batch_loss and losses; several players have a loss each, and none in common")
        for name, player in self.losses.items():
            if not (isinstance(player, (tuple, list)) and len(player) == 2 and isinstance(player[0], str) and callable(player[1])):
                raise SettingError(f'Task.losses: {name} must be (pattern, function of (model, batch)), such as ("{name}.*", loss)')
        if self.metrics and (self.batch_loss or self.losses):
            given = "batch_loss does" if self.batch_loss else "players do"
            raise SettingError(f"Task.metrics are of outputs and targets, which {given} not give; leave metrics out")

    def _check_weights(self) -> None:
        given = self.class_weights
        if given is None:
            return
        if isinstance(given, str):
            if given != "balanced":
                raise SettingError(f'Task.class_weights = {given!r}; give one number per class, or "balanced"')
        elif not len(given) or not all(0 <= float(x) < inf for x in given) or not any(given):
            raise SettingError(f"Task.class_weights = {list(given)}; they are numbers from 0 on, and not all 0")
        if not isinstance(self.loss, str) or self.batch_loss or self.losses:
            raise SettingError("Task.class_weights are for losses by name; a loss of your own weighs as it likes")

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


def _check_named(field: str, kind: str, given: Any, known: Mapping[str, Any]) -> None:
    if isinstance(given, str) and given not in known:
        raise SettingError(f"Task.{field}: unknown {kind} {given!r}{nearest(given, known)}")
    if not isinstance(given, str) and not callable(given):
        raise SettingError(f"Task.{field}: {given!r} is neither a name ({', '.join(known)}) nor a function of (output, target)")


def keywords(factory: Factory) -> dict[str, Any]:
    """The keyword arguments of a factory and their defaults: the knobs of the model. An argument without a default is required: `...`."""
    taken = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return {name: ... if p.default is p.empty else p.default for name, p in signature(factory).parameters.items() if p.kind in taken}

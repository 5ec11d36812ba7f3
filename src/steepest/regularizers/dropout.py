"""Dropout and drop path: put into a model, and their rates by schedule."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from steepest.core.errors import ParameterError, SettingError
from steepest.core.knob import knob, option
from steepest.regularizers.base import Surgery
from steepest.regularizers.surgery import head, named, replace, row, some

# After these, dropout hides a unit; a sigmoid or softmax is a gate or an answer and is left alone.
ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Softplus, nn.Hardswish, nn.Tanh, nn.Hardtanh,
)  # fmt: skip


def drop_path(x: Tensor, rate: float) -> Tensor:  # (N, ...)
    """x * keep / (1 - rate) with keep 0 or 1 for each sample, 1 with probability 1 - rate"""
    keep = torch.rand((len(x), *[1] * (x.ndim - 1)), device=x.device) >= rate
    return x * keep / (1 - rate)


def rate(default: float, meaning: str) -> Any:
    return knob(default, meaning, valid=(0, 1), search=(0.0, 0.5))


class Inserted(nn.Dropout):
    """A dropout that was put into the model, so that its rate can be found again."""


class PathDropout(nn.Module):
    """The output of a residual branch, for some samples zero in training: its share of the greatest rate, and its present rate."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share, self.rate = share, 0.0

    def forward(self, x: Any) -> Any:
        if not self.training or not self.rate:
            return x
        if isinstance(x, tuple):  # attention also gives its weights
            return (drop_path(x[0], self.rate), *x[1:])
        return drop_path(x, self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"


class Dropout(Surgery):
    """Each value is zero with probability `rate` in training, the others divided by 1 - rate (Srivastava et al., 2014).

    place: "head", before the last linear layer; "activations", after each activation module but those after the head;
    "existing", the rates of the model's own dropout layers; "auto", existing where there are any, otherwise head. The rates
    inside of attention and recurrent layers are not modules and stay as they are.
    """

    paper = "Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, JMLR 15, 2014"
    use = "Models that fit the training data far better than the rest; set rate (0.1 to 0.5), and train longer."
    hurts = "Before batch norm, whose statistics then differ in evaluation (Li et al., 2019); models too small to overfit."
    cost = "One random number per value where it stands, in training only."
    measured = (
        "On 200 digits (0.3 after each activation, n = 20 seeds) test accuracy did not change distinguishably: +0.1 points [-0.2, "
        "+0.4] over all combinations with L2, augmentation and early stopping. At its defaults: +0.45 points of accuracy [-0.69, "
        "+1.60] on 200 digits with a small convolutional network (92.0 % without it, n = 20 seeds), not distinguishable; 1.01 times "
        "the step."
    )
    main = "rate"

    rate: float = rate(0.1, "probability that a value is dropped")
    place: str = option("auto", "where it stands", choices=("auto", "head", "activations", "existing"))

    def build(self, model):
        existing = _dropouts(model)
        place = ("existing" if existing else "head") if self.place == "auto" else self.place
        if place == "existing":
            if not existing:
                raise ParameterError(f"{type(model).__name__} has no dropout layer whose rate could be set; use place = 'head'")
            self.set(model)
            return model
        if place == "head":
            last = model.get_submodule(head(model))
            return replace(model, {last: row(dropout=Inserted(self.rate), layer=last)})
        return replace(model, {m: row(layer=m, dropout=Inserted(self.rate)) for m in _activations(model)})

    def set(self, model):
        found = _dropouts(model)
        for module in [m for m in found if isinstance(m, Inserted)] or found:
            module.p = float(self.rate)


def _dropouts(model: nn.Module) -> list[_DropoutNd]:
    return [module for module in model.modules() if isinstance(module, _DropoutNd)]


def _activations(model: nn.Module) -> list[nn.Module]:
    modules = list(model.modules())
    found: list[nn.Module] = [m for m in modules[: modules.index(model.get_submodule(head(model)))] if isinstance(m, ACTIVATIONS)]
    if not found:
        raise ParameterError(
            f"{type(model).__name__} has no activation module before its head (functions are not seen); use place = 'head'"
        )
    return found


class DropPath(Surgery):
    """Stochastic depth: a residual branch is left out for a sample with probability `rate` in training (Huang et al., 2016).

    `match` is a pattern over names and kinds of modules whose output is added to what passes by: the branch or its last module, never
    the block that contains the sum. With rule "linear", branch l of L in the model's order has rate l / L * rate, as in the paper.
    The first dimension is the sample.
    """

    paper = "Huang et al., Deep Networks with Stochastic Depth, ECCV 2016; arXiv:1603.09382"
    use = "Deep residual networks and transformers, the deeper the more; set match, then rate (0.1 to 0.5)."
    hurts = "Shallow models, and short training."
    cost = "One random number per sample and branch; the branch is computed all the same."
    measured = (
        "At its defaults: -0.05 points of accuracy [-0.82, +0.72] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds), not distinguishable; 1.11 times the step."
    )
    main = "rate"

    rate: float = rate(0.1, "probability that the last branch is left out")
    match: str = option("", "which modules are branches: a pattern over their names and kinds")
    rule: str = option("linear", "how the rate grows with depth", choices=("linear", "constant"))

    def build(self, model):
        if not self.match:
            raise SettingError("DropPath.match is needed: a pattern for the residual branches, such as '*.mlp|*.attention'")
        found = named(model, self.match)
        if not found:
            names = [name for name, _ in model.named_modules() if name]
            raise ParameterError(f"DropPath.match = {self.match!r} matches no module; the model has {some(names)}")
        for outer, module in found.items():
            inner = next((name for name, other in found.items() if other is not module and any(other is m for m in module.modules())), None)
            if inner is not None:
                raise ParameterError(
                    f"DropPath.match = {self.match!r} matches {outer or 'the model itself'} and {inner} inside of it; name one"
                )
        changes: dict[nn.Module, nn.Module] = {}
        for place, module in enumerate(found.values(), start=1):
            share = place / len(found) if self.rule == "linear" else 1.0
            changes[module] = row(layer=module, drop_path=PathDropout(share))
        built = replace(model, changes)
        self.set(built)
        return built

    def set(self, model):
        for module in model.modules():
            if isinstance(module, PathDropout):
                module.rate = float(self.rate) * module.share

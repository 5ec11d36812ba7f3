"""Normalization put into a model that has none."""

import re
from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from steepest.core.errors import ParameterError, SettingError
from steepest.core.knob import knob, option
from steepest.regularizers.base import Surgery
from steepest.regularizers.surgery import head, kind, layers, named, replace, row, some

# Also what is not torch's own: LayerNorm2d, FrozenBatchNorm2d; but not Normalize, which standardizes inputs.
NORM = re.compile(r"Norm(\dd)?$")


class RowsBatchNorm(nn.BatchNorm1d):
    """Batch norm over the last dimension, where a linear layer gives its features: every place of (N, T, C) is a sample."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        return super().forward(input.reshape(-1, input.shape[-1])).view(input.shape)


class RowsGroupNorm(nn.GroupNorm):
    """Group norm over the last dimension, each place of (N, T, C) by itself."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        return super().forward(input.reshape(-1, input.shape[-1])).view(input.shape)


class Norm(Surgery):
    """A norm after each layer that `match` names, except for the head."""

    kinds: ClassVar[tuple[type[nn.Module], ...]] = ()

    match: str = option("Conv*|Linear", "which layers: a pattern over their names and kinds")

    def after(self, name: str, layer: Any) -> Callable[..., nn.Module]:
        """The norm for one layer, to be called with its device and dtype."""
        raise NotImplementedError

    def build(self, model):
        present = [name for name, module in model.named_modules() if NORM.search(kind(module))]
        if present:
            raise ParameterError(f"{type(model).__name__} has norms already ({some(present)}); {type(self).__name__} is for models without")
        matched, last = named(model, self.match), head(model)
        found = {name: layer for name, layer in layers(model).items() if name in matched and name != last}
        if not found:
            raise ParameterError(
                f"{type(self).__name__}.match = {self.match!r} matches no linear or convolutional layer besides the head "
                f"({last or 'the model itself'})"
            )
        makers = {name: self.after(name, layer) for name, layer in found.items()}
        new = {name: make(device=found[name].weight.device, dtype=found[name].weight.dtype) for name, make in makers.items()}
        return replace(model, {layer: row(layer=layer, norm=new[name]) for name, layer in found.items()})

    def set(self, model):
        for module in model.modules():
            if isinstance(module, self.kinds):
                for name in self.own_knobs():
                    setattr(module, name, float(getattr(self, name)))


def eps() -> Any:
    return knob(1e-5, "added to the variance", valid=(0, 1), search=(1e-8, 1e-2), log=True)


def refuse_lone(norm: str, name: str, together: int) -> None:
    if together < 2:
        raise ParameterError(f"{norm} after {name} would be over one feature alone, which makes it constant; leave it out with match")


def channels(layer: Any) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


class BatchNorm(Norm):
    """(x - mean) / sqrt(variance + eps) * weight + bias, over the batch, for each channel (Ioffe & Szegedy, 2015, Algorithm 1).

    In evaluation mean and variance are running averages that take up a share `momentum` of each batch's.
    """

    paper = "Ioffe & Szegedy, Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift, ICML 2015; arXiv:1502.03167"  # noqa: E501
    use = "Convolutional networks with batches of 32 and more; raise the learning rate with it; set momentum higher for short training."
    hurts = "Small batches, sequences, and batches that differ in kind between training and use; a batch of one cannot be trained on."
    cost = "Two passes over each layer's output, and two numbers per channel."
    measured = (
        "At its defaults: +0.43 points of accuracy [-0.36, +1.22] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds), not distinguishable; 1.23 times the step."
    )
    main = "momentum"
    kinds = (nn.modules.batchnorm._BatchNorm,)

    momentum: float = knob(0.1, "share of the present batch in the running averages", valid=(0, 1), closed=True, search=(0.01, 0.5))
    eps: float = eps()

    def after(self, name, layer):
        rank = kind(layer)[-2:]
        cls = RowsBatchNorm if isinstance(layer, nn.Linear) else getattr(nn, f"BatchNorm{rank}")
        return lambda **where: cls(channels(layer), eps=self.eps, momentum=self.momentum, **where)


class LayerNorm(Norm):
    """(x - mean) / sqrt(variance + eps) * weight + bias, over the features of each sample (Ba et al., 2016).

    After a convolution over channels and space together, which is group norm with one group.
    """

    paper = "Ba, Kiros & Hinton, Layer Normalization, 2016; arXiv:1607.06450"
    use = "Sequences, small batches, batches of one; nothing to set first."
    hurts = "Convolutional networks with large batches, where batch norm learns faster."
    cost = "Two passes over each layer's output; nothing depends on other samples."
    measured = (
        "At its defaults: +0.03 points of accuracy [-0.54, +0.60] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds), not distinguishable; 1.13 times the step."
    )
    main = "eps"
    kinds = (nn.LayerNorm, nn.GroupNorm)

    eps: float = eps()

    def after(self, name, layer):
        if isinstance(layer, nn.Linear):
            refuse_lone("LayerNorm", name, layer.out_features)
            return lambda **where: nn.LayerNorm(layer.out_features, eps=self.eps, **where)
        return lambda **where: nn.GroupNorm(1, layer.out_channels, eps=self.eps, **where)


class GroupNorm(Norm):
    """(x - mean) / sqrt(variance + eps) * weight + bias, over groups of channels of each sample (Wu & He, 2018)."""

    paper = "Wu & He, Group Normalization, ECCV 2018; arXiv:1803.08494"
    use = "Convolutional networks with small batches, where batch norm fails; set groups, which must divide every layer's channels."
    hurts = "Against batch norm with large batches, where it was slightly less accurate in the paper."
    cost = "Two passes over each layer's output; nothing depends on other samples."
    measured = (
        "At its defaults: -0.37 points of accuracy [-1.03, +0.30] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds), not distinguishable; 1.17 times the step."
    )
    main = "groups"
    kinds = (nn.GroupNorm,)

    groups: int = option(8, "groups of channels; must divide the channels of every layer it follows")
    eps: float = eps()

    def check(self) -> None:
        if self.groups < 1:
            raise SettingError(f"GroupNorm.groups = {self.groups} is less than 1")

    def after(self, name, layer):
        if channels(layer) % self.groups:
            raise ParameterError(f"GroupNorm.groups = {self.groups} does not divide the {channels(layer)} channels of {name}")
        if isinstance(layer, nn.Linear):
            refuse_lone("GroupNorm", name, channels(layer) // self.groups)
        cls = RowsGroupNorm if isinstance(layer, nn.Linear) else nn.GroupNorm
        return lambda **where: cls(self.groups, channels(layer), eps=self.eps, **where)

"""What is known of a model's layers."""

from dataclasses import dataclass, field
from functools import cached_property

from torch import nn
from torch.nn.parameter import UninitializedParameter

from steepest.core.errors import ParameterError


@dataclass
class Layer:
    """One module with parameters.

    `nonlinearity` is what follows it (None: nothing before the next layer or the output); `depth` counts weight layers from
    the input. `fed_by` names the one layer whose output, through its nonlinearity and nothing that mixes, is the input.
    """

    name: str
    module: nn.Module
    kind: str
    nonlinearity: str | None = None
    depth: int = 0
    ends_residual: bool = False
    in_residual: bool = False
    head: bool = False
    parameters: dict[str, float] = field(default_factory=dict)
    normalized: bool = False
    fed_by: str | None = None
    known: bool = False

    @property
    def weighs(self) -> bool:
        return weighs(self.module)


@dataclass
class Structure:
    layers: list[Layer]
    unclassified: list[str]
    how: str

    @cached_property
    def by_name(self) -> dict[str, Layer]:
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def ends(self) -> list[Layer]:
        return [layer for layer in self.layers if layer.ends_residual]


def kind_of(module: nn.Module) -> str:
    """The name of the class; for a parametrized module, and for attention's output projection, that of the class behind it."""
    cls = type(module)
    hidden = cls.__name__ == "NonDynamicallyQuantizableLinear" or "parametrizations" in module._modules
    return cls.__mro__[1].__name__ if hidden else cls.__name__


def weighs(module: nn.Module) -> bool:
    """Whether it is a layer of weights: it mixes what comes in. A norm or PReLU only scales."""
    own = [name for name, p in module._parameters.items() if p is not None] + list(getattr(module, "parametrizations", ()))
    kind = type(module).__name__
    return bool(own) and "Norm" not in kind and kind != "PReLU"


def refuse_lazy(model: nn.Module) -> None:
    for name, p in model.named_parameters():
        if isinstance(p, UninitializedParameter):
            owner = model.get_submodule(name.rpartition(".")[0])
            raise ParameterError(f"{name} of {type(owner).__name__} has no shape yet: run the model once on an input, then initialize it")


def owns(module: nn.Module) -> bool:
    if type(module).__name__ in ("ParametrizationList", "ModuleList", "Sequential"):
        return False
    return any(p is not None for p in module._parameters.values()) or "parametrizations" in module._modules

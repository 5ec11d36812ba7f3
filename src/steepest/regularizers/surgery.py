"""Layers put into a model that exists: where to, and how, so that names tell what was done (`conv1.layer`, `conv1.norm`)."""

from collections import OrderedDict
from collections.abc import Iterator
from fnmatch import fnmatchcase

from torch import nn

from steepest.core.errors import ParameterError

# Their forward reads the weights of these parts and does not call them: what is put around a part would be passed by.
CLOSED = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def kind(module: nn.Module) -> str:
    """The name of the class; for a parametrized module that of the class behind it."""
    cls = type(module)
    return cls.__mro__[1].__name__ if "parametrizations" in module._modules else cls.__name__


def named(model: nn.Module, pattern: str) -> dict[str, nn.Module]:
    """The modules whose full name or kind matches; `|` separates alternatives. A shared module once, the model itself never by name."""
    parts = pattern.split("|")
    return {
        name: module
        for name, module in model.named_modules()
        if any((name and fnmatchcase(name, part)) or fnmatchcase(kind(module), part) for part in parts)
    }


def layers(model: nn.Module) -> dict[str, nn.Module]:
    """Linear and convolutional layers in the model's order, those apart that are read and not called."""
    closed = {id(part) for module in model.modules() if isinstance(module, CLOSED) for part in module.children()}
    return {n: m for n, m in model.named_modules() if isinstance(m, (nn.Linear, *CONVOLUTIONS)) and id(m) not in closed}


def head(model: nn.Module) -> str:
    """The name of the last linear layer, or of the last convolution where there is none."""
    found = layers(model)
    linear = [name for name, module in found.items() if isinstance(module, nn.Linear)]
    if not found:
        raise ParameterError(f"{type(model).__name__} has no Linear or convolutional layer to be its head")
    return (linear or list(found))[-1]


def row(**parts: nn.Module) -> nn.Sequential:
    """A layer and new parts, one after the other in the order given: `row(layer=conv, norm=BatchNorm2d(8))`; in the layer's mode."""
    built = nn.Sequential(OrderedDict(parts))
    for module in (built, *(part for name, part in parts.items() if name != "layer")):
        module.training = parts["layer"].training
    return built


def replace(model: nn.Module, changes: dict[nn.Module, nn.Module]) -> nn.Module:
    """`model` with each module of `changes` replaced wherever it stands; the new one if that is the model itself."""
    for parent, name, child in list(_places(model)):
        if child in changes:
            setattr(parent, name, changes[child])
    return changes.get(model, model)


def _places(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    for parent in model.modules():
        for name, child in parent._modules.items():
            if child is not None:
                yield parent, name, child


def some(names: list[str], most: int = 8) -> str:
    return ", ".join(name or "the model itself" for name in names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

"""What a model is made of: its layers in order, what follows each, and where residual branches end."""

from typing import Any

from torch import nn

from steepest.init.layers import Layer, Structure, kind_of, owns, refuse_lazy
from steepest.init.reader import Reader
from steepest.init.record import record


def structure(model: nn.Module, sample: Any = None) -> Structure:
    """The structure of `model`, which is left as it was. `sample`: an input, or a tuple or dict of inputs."""
    refuse_lazy(model)
    parts = dict(model.named_modules())
    owners = [name for name, m in parts.items() if owns(m)]
    found, how = record(model, sample)
    if found is None:
        layers = [Layer(name, parts[name], kind_of(parts[name])) for name in owners]
        return Structure(layers, [f"{layer.name}: {how}" for layer in layers if layer.weighs], how)
    reader = Reader(found, parts)
    called = [name for name in dict.fromkeys(e.name for e in found.events if e.name is not None) if name in owners]
    unclassified: list[str] = []
    layers = [reader.layer(name, unclassified) for name in called]
    for name in owners:
        if name not in called:
            layers.append(Layer(name, parts[name], kind_of(parts[name])))
            if layers[-1].weighs:
                unclassified.append(f"{name}: it was not called as a module")
    return Structure(layers, unclassified, how)

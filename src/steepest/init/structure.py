"""What a model is made of: its layers in order, what follows each, and where residual branches end."""

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import or_
from typing import Any

from torch import nn
from torch.nn.parameter import UninitializedParameter

from steepest.core.errors import ParameterError
from steepest.init.gains import GAINS
from steepest.init.record import Event, Record, record

# How modules and functions are called, lower case and without underscores: the nonlinearity's name in GAINS.
NONLINEAR = {name.replace("_", ""): name for name in GAINS if name not in ("linear", "reglu", "geglu", "swiglu")} | {
    "clampmin": "relu", "rrelu": "leaky_relu", "swish": "silu", "threshold": "relu",
}  # fmt: skip
# What the output of a gate makes of the product with another tensor.
GATED = {"sigmoid": "glu", "relu": "reglu", "gelu": "geglu", "silu": "swiglu"}
# What leaves values, or their sums and choices, as they are.
TRANSPARENT = {
    "view", "reshape", "flatten", "unflatten", "permute", "transpose", "t", "contiguous", "chunk", "split", "getitem", "cat", "concat",
    "concatenate", "stack", "squeeze", "unsqueeze", "expand", "expandas", "repeat", "narrow", "select", "indexselect", "unbind", "movedim",
    "swapaxes", "float", "to", "type", "typeas", "clone", "detach", "alias", "add", "sub", "rsub", "neg", "mul", "div", "truediv",
    "mean", "sum", "max", "amax", "pad", "interpolate", "upsample", "roll", "identity", "pixelshuffle", "pixelunshuffle", "channelshuffle",
    "maskedfill",
    "rtruediv", "viewas", "reshapeas", "flip", "half", "bfloat16", "double", "gather", "where",
}  # fmt: skip
TRANSPARENT_PARTS = ("pool", "dropout", "upsampl", "pad", "norm", "fold")
# Where a signal is used up as it is: a matrix product between signals, a distribution.
CONSUMERS = {
    "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "linear", "bilinear", "conv1d", "conv2d", "conv3d", "softmax", "softmax2d",
    "logsoftmax", "scaleddotproductattention", "attention", "crossentropy",
}  # fmt: skip


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


def structure(model: nn.Module, sample: Any = None) -> Structure:
    """The structure of `model`, which is left as it was. `sample`: an input, or a tuple or dict of inputs."""
    refuse_lazy(model)
    parts = dict(model.named_modules())
    owners = [name for name, m in parts.items() if _owns(m)]
    found, how = record(model, sample)
    if found is None:
        layers = [Layer(name, parts[name], kind_of(parts[name])) for name in owners]
        return Structure(layers, [f"{layer.name}: {how}" for layer in layers if layer.weighs], how)
    reader = _Reader(found, parts)
    called = [name for name in dict.fromkeys(e.name for e in found.events if e.name is not None) if name in owners]
    unclassified: list[str] = []
    layers = [reader.layer(name, unclassified) for name in called]
    for name in owners:
        if name not in called:
            layers.append(Layer(name, parts[name], kind_of(parts[name])))
            if layers[-1].weighs:
                unclassified.append(f"{name}: it was not called as a module")
    return Structure(layers, unclassified, how)


def refuse_lazy(model: nn.Module) -> None:
    for name, p in model.named_parameters():
        if isinstance(p, UninitializedParameter):
            owner = model.get_submodule(name.rpartition(".")[0])
            raise ParameterError(f"{name} of {type(owner).__name__} has no shape yet: run the model once on an input, then initialize it")


def _owns(module: nn.Module) -> bool:
    if type(module).__name__ in ("ParametrizationList", "ModuleList", "Sequential"):
        return False
    return any(p is not None for p in module._parameters.values()) or "parametrizations" in module._modules


class _Reader:
    """Questions to a record."""

    def __init__(self, found: Record, parts: dict[str, nn.Module]) -> None:
        self.events, self.parts, self.outputs = found.events, parts, found.outputs
        self.consumers: list[list[int]] = [[] for _ in self.events]  # that the output depends on
        self.above: list[int] = []  # bit i: event i is among what led to this one, itself included
        self.depth: list[int] = []
        for i, event in enumerate(self.events):
            mask = 1 << i
            for x in event.inputs:
                mask |= self.above[x]
            self.above.append(mask)
            self.depth.append(max((self.depth[x] for x in event.inputs), default=0) + self.is_weight(event))
        live = reduce(or_, (self.above[x] for x in self.outputs), 0) or -1  # an output of an unknown kind: everything
        for i, event in enumerate(self.events):
            for x in event.inputs if live >> i & 1 else ():
                self.consumers[x].append(i)
        self.weights = sum(1 << i for i, event in enumerate(self.events) if self.is_weight(event))
        self.ends: set[str] = set()
        self.inner = 0
        for event in self.events:
            if _plain(event.op) == "add" and len(event.inputs) == 2:
                self.residual(*event.inputs)

    def is_weight(self, event: Event) -> bool:
        return event.name is not None and weighs(self.parts[event.name])

    def layer(self, name: str, unclassified: list[str]) -> Layer:
        places = [i for i, e in enumerate(self.events) if e.name == name]
        module = self.parts[name]
        layer = Layer(name, module, kind_of(module), depth=self.depth[places[0]], known=True)
        layer.ends_residual = name in self.ends
        layer.in_residual = any(self.inner >> i & 1 for i in places)
        if not layer.weighs:
            return layer
        follows = {self.follows(i) for i in places}
        if len(follows) > 1 or "?" in next(iter(follows))[0]:
            seen = sorted(f[0].replace("?", "") or "nothing" for f in follows)
            unclassified.append(f"{name}: followed by {' and '.join(seen)}" + (", which has no gain" if len(follows) == 1 else ""))
            layer.known = False
        else:
            nonlinearity, normalized, numbers = follows.pop()
            layer.nonlinearity, layer.normalized, layer.parameters = nonlinearity or None, normalized, dict(numbers)
        after = any(self.above[j] >> i & 1 for i in places for j in range(i + 1, len(self.events)) if self.weights >> j & 1)
        layer.head = not after and layer.nonlinearity in (None, "sigmoid")
        layer.fed_by = self.source(places[0]) if len(places) == 1 else None
        return layer

    def follows(self, start: int) -> tuple[str, bool, tuple[tuple[str, float], ...]]:
        """The nearest nonlinearity behind a layer ("": none before the next layer), whether a norm lies between, its numbers.

        A name with a "?" is something that cannot be told: an operation without a gain, or two answers equally near.
        """
        queue, seen, answers = deque([(start, 0, False)]), {start}, {}
        nearest = None
        while queue:
            place, distance, normalized = queue.popleft()
            if nearest is not None and distance >= nearest:
                break
            if place in self.outputs:
                answers[("", normalized, ())] = nearest = distance
            for c in self.consumers[place]:
                event = self.events[c]
                if self.passes(event):
                    if c not in seen:
                        seen.add(c)
                        queue.append((c, distance + 1, normalized or self.is_norm(event)))
                else:
                    answers[(self.answer(c, place), normalized, self.numbers(event))] = nearest = distance + 1
        if not answers:
            return "", False, ()
        least = min(answers.values())
        best = [answer for answer, distance in answers.items() if distance == least]
        names = sorted({answer[0] for answer in best})
        if len(names) > 1 and "" in names:  # used as it is and behind a nonlinearity: the nonlinearity decides
            names.remove("")
        if len(names) > 1:
            return "?" + " or ".join(names), False, ()
        return next(answer for answer in best if answer[0] == names[0])

    def passes(self, event: Event) -> bool:
        plain = _plain(event.op)
        if plain in NONLINEAR or self.is_weight(event):
            return False
        if plain == "mul" and len(event.inputs) == 2 and self.gate(event):
            return False
        return plain in TRANSPARENT or any(part in plain for part in TRANSPARENT_PARTS)

    def answer(self, place: int, before: int) -> str:
        event = self.events[place]
        plain = _plain(event.op)
        if self.is_weight(event) or plain in CONSUMERS:
            return ""
        if plain == "mul":
            return self.gate(event)
        if plain not in NONLINEAR:
            return f"?{event.op}"
        for c in self.consumers[place]:  # a nonlinearity whose output gates another signal
            if _plain(self.events[c].op) == "mul" and (gate := self.gate(self.events[c])):
                return gate
        return NONLINEAR[plain]

    def gate(self, event: Event) -> str:
        """What a product of two signals is: swiglu for silu(a) * b, silu for x * sigmoid(x), "" for no gate."""
        if len(event.inputs) != 2:
            return ""
        for this, other in (event.inputs, event.inputs[::-1]):
            name = NONLINEAR.get(_plain(self.events[this].op))
            if name in GATED:
                return "silu" if name == "sigmoid" and self.events[this].inputs == (other,) else GATED[name]
        return ""

    def numbers(self, event: Event) -> tuple[tuple[str, float], ...]:
        """The slope of leaky_relu, the alpha of elu, where they are not the default."""
        name = NONLINEAR.get(_plain(event.op))
        module = self.parts[event.name] if event.name is not None else None
        setting = {"leaky_relu": ("slope", "negative_slope"), "elu": ("alpha", "alpha"), "celu": ("alpha", "alpha")}.get(name or "")
        if not setting:
            return ()
        given = (x for x in event.numbers if not isinstance(x, bool))
        value = getattr(module, setting[1], None) if module is not None else next(given, None)
        return ((setting[0], float(value)),) if value is not None else ()

    def is_norm(self, event: Event) -> bool:
        return "norm" in _plain(event.op) and "softmax" not in event.op

    def residual(self, a: int, b: int) -> None:
        """A sum of a branch and what passed it by: the one side has layers that the other has not."""
        common = self.above[a] & self.above[b]
        only_a, only_b = self.above[a] & ~common, self.above[b] & ~common
        (passed, _), (crossed, (branch, end)) = sorted(
            ((side & self.weights).bit_count(), (side, place)) for side, place in ((only_a, a), (only_b, b))
        )
        if common and (crossed >= 1 if not passed else passed == 1 and crossed >= 2):
            self.inner |= branch
            self.ends |= self.last(end, branch)

    def last(self, place: int, branch: int) -> set[str]:
        """The layers, norms included, that a branch ends with."""
        event = self.events[place]
        if not branch >> place & 1:
            return set()
        if event.name is not None and _owns(self.parts[event.name]) and type(self.parts[event.name]).__name__ != "PReLU":
            return {event.name}
        inputs = event.inputs
        if _plain(event.op) == "mul" and len(inputs) == 2:  # a gate does not carry the signal
            inputs = tuple(x for x in inputs if _plain(self.events[x].op) not in NONLINEAR)[:1] or inputs[:1]
        return set().union(*(self.last(x, branch) for x in inputs)) if inputs else set()

    def source(self, place: int) -> str | None:
        """The layer whose output is this one's input, each channel by itself, with no norm between."""
        while len(inputs := self.events[place].inputs) == 1:
            (place,) = inputs
            event = self.events[place]
            plain = _plain(event.op)
            if self.is_weight(event):
                return event.name
            kept = plain in NONLINEAR or plain in ("flatten", "identity", "contiguous") or "dropout" in plain or "pool" in plain
            if not kept or len(self.consumers[place]) > 1:
                return None
        return None


def _plain(op: str) -> str:
    """`leaky_relu_`, `LeakyReLU` and `__iadd__` in one spelling."""
    plain = op.lower().replace("_", "")
    return {"iadd": "add", "radd": "add", "imul": "mul", "rmul": "mul", "multiply": "mul", "isub": "sub"}.get(plain, plain)

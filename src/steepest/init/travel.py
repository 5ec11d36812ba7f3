"""One forward and one backward pass of a model, watched: what each layer gives, what its nonlinearity lets through, what comes back."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite, nan
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from steepest.init.batch import floats

# Nonlinearities as torch names their functions, in place or not. The number is the steepest slope of those that are bounded on both sides.
CURVES: dict[str, float | None] = dict.fromkeys(
    ("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "softplus", "threshold")
)
CURVES |= {"tanh": 1.0, "sigmoid": 0.25, "softsign": 1.0, "hardtanh": 1.0, "hardsigmoid": 1 / 6}
ADDITIONS = ("add", "add_")  # also what + and += are called here
# A slope this far below the steepest is flat; below DEAD nothing gets through.
FLAT, DEAD = 0.05, 1e-6


@dataclass(eq=False)
class Stop:
    """One call of one layer, while it is measured. `ends`: the value is added to a residual stream, which is measured instead."""

    layer: str
    call: int
    kind: str
    ends: bool
    activation: float = nan
    gradient: float = nan
    curve: str = ""
    dead: float = nan
    saturated: float = nan
    measured: int = 0

    def measure(self, x: Tensor) -> None:
        self.activation = std(x)
        self.measured += 1
        if x.requires_grad:
            # A hook is of this version of x: what is later written over it does not matter.
            x.register_hook(partial(self._back, self.measured))

    def _back(self, measured: int, g: Tensor) -> None:
        if measured == self.measured:
            self.gradient = std(g)

    def bend(self, func: Callable, x: Tensor, rest: tuple[Any, ...], settings: dict[str, Any]) -> None:
        """The slopes of the nonlinearity where this layer's values fall on it."""
        self.curve = func.__name__.rstrip("_")
        with torch.enable_grad():
            at = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(func(at.clone(), *rest, **settings).sum(), at)
        steepest = CURVES[self.curve]
        unit = 1 if self.kind.startswith("Conv") and x.ndim > 2 else x.ndim - 1
        per_unit = slope.abs().movedim(unit, 0).flatten(1)
        self.dead = (per_unit.amax(1) < DEAD).double().mean().item()
        if steepest is not None:
            self.saturated = (per_unit < FLAT * steepest).double().mean().item()


class Watch(TorchFunctionMode):
    """Follows values from layer to layer through whatever functions lie between, whether modules call them or not."""

    def __init__(self) -> None:
        super().__init__()
        self.stops: list[Stop] = []
        self.anchors: list[Tensor] = []
        self._calls = Counter[str]()
        self._origin = WeakIdKeyDictionary()  # value -> the stops it comes from without another layer in between

    def begin(self, inputs: list[Tensor]) -> None:
        for x in inputs:
            self._origin[x] = frozenset({None})

    def hook(self, name: str, kind: str, ends: bool) -> Callable[[nn.Module, Any, Any], Any]:
        def passed(module: nn.Module, args: Any, output: Any) -> Any:
            if not (found := floats(output)):
                return None
            x = found[0]
            self._calls[name] += 1
            stop = Stop(name, self._calls[name], kind, ends)
            replaced = None
            if torch.is_grad_enabled() and not x.requires_grad and x is output:
                replaced = x = x.detach().requires_grad_()  # behind frozen layers gradients are measured all the same
                self.anchors.append(x)
            self.stops.append(stop)
            self._origin[x] = frozenset({stop})
            stop.measure(x)
            return replaced

        return passed

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        known = [self._origin[x] for x in tensors((args, kwargs)) if x in self._origin]
        if not known:
            return func(*args, **kwargs)
        sources = frozenset[Stop | None]().union(*known)
        name = getattr(func, "__name__", "")
        if name.rstrip("_") in CURVES:
            for stop in sources:
                if stop is not None and not stop.curve:
                    stop.bend(func, args[0], args[1:], kwargs)
        out = func(*args, **kwargs)
        for x in tensors(out):
            self._origin[x] = sources
        if name in ADDITIONS and len(known) > 1 and known[0] != known[1]:
            for stop in sources:
                if stop is not None and stop.ends:
                    stop.ends = False
                    stop.measure(out)
        return out


def tensors(value: Any) -> list[Tensor]:
    return [x for x in tree_leaves(value) if isinstance(x, Tensor)]


def std(x: Tensor) -> float:
    """Infinite if anything in x is. In float64 on the CPU: squares of what explodes overflow float32, and not every device has float64."""
    found = x.detach().to("cpu", torch.float64).std(correction=0).item()
    return found if isfinite(found) else inf

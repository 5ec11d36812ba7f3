"""The mathematics of rules, on numbers, tensors and symbols alike.

Numbers go to `math`, tensors to `torch`, and anything with a `__maths__` method (a symbol of a trace)
is asked itself. `total` is the one operation that looks beyond an element: an engine maps, reduces,
and maps again.
"""

import math
import operator
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor

Over = Literal["unit", "tensor", "model"]


def _sign(x: float) -> float:
    return math.copysign(1.0, x) if x else 0.0


def _where(condition: bool, a: Any, b: Any) -> Any:
    return a if condition else b


NUMBERS: dict[str, Callable] = {
    "sqrt": math.sqrt, "abs": abs, "sign": _sign, "exp": math.exp, "log": math.log,
    "minimum": min, "maximum": max, "where": _where,
}  # fmt: skip
TENSORS: dict[str, Callable] = {
    "sqrt": torch.sqrt, "abs": torch.abs, "sign": torch.sign, "exp": torch.exp, "log": torch.log,
    "minimum": lambda a, b: torch.minimum(*_pair(a, b)), "maximum": lambda a, b: torch.maximum(*_pair(a, b)),
    "where": torch.where,
}  # fmt: skip


def _pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Numbers beside tensors, as tensors: 0-D, so that they never change the other's dtype."""
    like = a if isinstance(a, Tensor) else b
    return tuple(x if isinstance(x, Tensor) else torch.full((), x, dtype=like.dtype, device=like.device) for x in (a, b))  # type: ignore[return-value]


def apply(name: str, *args: Any) -> Any:
    for x in args:
        if hasattr(x, "__maths__"):
            return x.__maths__(name, *args)
    if any(isinstance(x, Tensor) for x in args):
        return _where(*args) if isinstance(args[0], bool) else TENSORS[name](*args)
    return NUMBERS[name](*args)


def sqrt(x: Any) -> Any:
    return apply("sqrt", x)


def abs(x: Any) -> Any:  # noqa: A001 - the paper's name
    return apply("abs", x)


def sign(x: Any) -> Any:
    return apply("sign", x)


def exp(x: Any) -> Any:
    return apply("exp", x)


def log(x: Any) -> Any:
    return apply("log", x)


def minimum(a: Any, b: Any) -> Any:
    return apply("minimum", a, b)


def maximum(a: Any, b: Any) -> Any:
    return apply("maximum", a, b)


def where(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, else `b`: how a rule chooses between values."""
    return apply("where", condition, a, b)


def lerp(a: Any, b: Any, weight: Any) -> Any:
    """From `a` a step of `weight` towards `b`: the exponential average `(1 - w) a + w b`."""
    if isinstance(a, Tensor) and isinstance(b, Tensor) and isinstance(weight, float) and a.dtype == b.dtype:
        return torch.lerp(a, b, weight)  # the same in one pass
    return a + (b - a) * weight


def debias(average: Any, beta: Any, t: Any) -> Any:
    """Undo the pull towards zero of an exponential average that started there."""
    return average / (1 - beta**t)


def square(x: Any) -> Any:
    return x * x


# --- state -----------------------------------------------------------------------------------------


def zeros_like(p: Tensor) -> Tensor:
    return torch.zeros_like(p)


def full_like(p: Tensor, value: Any) -> Tensor:
    return torch.zeros_like(p) + value


def copy(p: Tensor) -> Tensor:
    return p.detach().clone()


def scalar(value: float, like: Tensor) -> Tensor:
    """One number of state per parameter, 0-D and in double precision where the device has it."""
    return torch.full((), value, dtype=scalar_dtype(like), device=like.device)


def scalar_dtype(like: Tensor) -> torch.dtype:
    return torch.float32 if like.device.type == "mps" else torch.float64


# --- sums ------------------------------------------------------------------------------------------


class Pending(Exception):
    """A total over the model that is not known yet: its name and this parameter's share."""

    def __init__(self, name: str, share: Any) -> None:
        self.name, self.share = name, share


class Totals(threading.local):
    """What is known of totals over the model while rules are called: `None`, or sums by name and occurrence.

    Left at `None`, the tensor at hand is the whole model.
    """

    known: dict[str, Any] | None = None
    seen: dict[str, int]

    def ask(self, name: str, share: Any) -> Any:
        if self.known is None:
            return share
        self.seen[name] = self.seen.get(name, 0) + 1
        key = f"{name}#{self.seen[name]}"
        if key not in self.known:
            raise Pending(key, share)
        return self.known[key]


TOTALS = Totals()


@contextmanager
def model_totals(known: dict[str, Any]) -> Iterator[None]:
    """Within: `total(..., over="model")` answers from `known`, or raises `Pending`."""
    TOTALS.known = known
    try:
        yield
    finally:
        TOTALS.known = None


def total(x: Any, over: Over, name: str = "") -> Any:
    """The sum of `x` over a unit (one output row of a weight), a tensor, or all parameters of the model.

    A total over the model has a name, so that groups of parameters that run different programs
    (Muon here, AdamW there, one clip around both) add into the same sum.
    """
    if over == "model" and not name:
        raise ValueError("a total over the model needs a name")
    if hasattr(x, "__maths__"):
        return x.__maths__("total", x, over, name)
    if over == "unit" and x.ndim > 1:
        return x.sum(dim=tuple(range(1, x.ndim)), keepdim=True)
    share = x.sum()
    return TOTALS.ask(name, share) if over == "model" else share


def norm(x: Any, over: Over, name: str = "") -> Any:
    return sqrt(total(x * x, over, name))


def size(x: Any, over: Literal["unit", "tensor"]) -> Any:
    """How many elements a unit or the tensor has."""
    if hasattr(x, "__maths__"):
        return x.__maths__("size", x, over)
    return x.numel() // x.shape[0] if over == "unit" and x.ndim > 1 and x.numel() else max(x.numel(), 1)


def mean(x: Any, over: Literal["unit", "tensor"]) -> Any:
    return total(x, over) / size(x, over)


OPERATORS: dict[str, Callable] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
    "and": operator.and_,
}  # fmt: skip

"""What an engine is given and what it must do."""

import warnings
from collections.abc import Generator, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from steepest.core.errors import ParameterError
from steepest.core.rule import Rule, flatten


class Cell(NamedTuple):
    """One parameter in training. `state` is live: the engine reads and writes the tensors in it.

    `keys` says under which key each of the rule's state paths lies; "step" and, for low-precision parameters
    that keep one, "master" lie beside them.
    """

    name: str
    parameter: Tensor
    state: dict[str, Any]
    keys: dict[str, str]
    group: int = 0


# One row of knob values per group, in the order of `rule.knobs()`.
Knobs = Sequence[tuple[float, ...]]
# An engine's step yields its shares of totals over the model by name, and is sent the sums back.
Stepping = Generator[dict[str, Any], dict[str, Any], None]


class Engine(Protocol):
    """Executes one rule over some parameters (same structure, dtype and device).

    `step` looks at what it is given at once, and returns what will do the work: all engines of an optimizer have
    looked before one of them writes.
    """

    name: str

    def __init__(self, rule: Rule, cells: Sequence[Cell]) -> None: ...

    def step(self, grads: Sequence[Tensor], knobs: Knobs) -> Stepping: ...


HALF = (torch.bfloat16, torch.float16)


def piece(p: Tensor, rule: Rule) -> Tensor:
    """The parameter as its rule asks for it: flattened to a matrix, and in float32 where it is stored in less.

    0-D becomes (1,), so that 0-D numbers never change its dtype.
    """
    p = p.detach()
    p = p.float() if p.dtype in HALF else p
    if rule.scope == "matrix" and p.ndim > 2:
        return p.reshape(p.shape[0], -1)
    return p.reshape(1) if p.ndim == 0 else p


def lifted(x: Tensor, p: Tensor) -> Tensor:
    """State of a 0-D parameter as its rule asks for it; float64 scalars of a float32 parameter stay 0-D."""
    return x.reshape(1) if p.ndim == 0 and x.dtype == (torch.float32 if p.dtype in HALF else p.dtype) else x


def check_gradient(name: str, p: Tensor, g: Tensor, rule: Rule) -> None:
    if g.is_sparse and not rule.sparse:
        raise ParameterError(
            f"the gradient of {name} is sparse, and {rule.structure()!r} has no sparse form; "
            "use SGD, Adagrad or SparseAdam, without weight_decay"
        )
    if g.shape != p.shape or g.dtype != p.dtype or g.device != p.device:
        raise ParameterError(
            f"the gradient of {name} is {_described(g)}, but the parameter is {_described(p)}; give it one of its own kind"
        )


def _described(x: Tensor) -> str:
    return f"{str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape)} on {x.device}"


def paths(rule: Rule, p: Tensor) -> list[str]:
    """The names of the rule's state for this parameter."""
    return list(flatten(rule.init(piece(p, rule).to("meta"))))


def initial(rule: Rule, p: Tensor, keys: dict[str, str], master: bool = False) -> dict[str, Tensor]:
    """The state of a parameter before its first step, under the keys it is stored by."""
    step = torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32
    state: dict[str, Tensor] = {"step": torch.zeros((), dtype=step)}
    if master and p.dtype in HALF:
        state["master"] = p.detach().float()
    declared = flatten(rule.init(piece(state.get("master", p), rule)))
    # A 0-D parameter is (1,) to its rule; its state is stored 0-D, as torch has it.
    return state | {keys[path]: value.reshape(()) if p.ndim == 0 else value for path, value in declared.items()}


def advance(steps: Sequence[Stepping]) -> None:
    """Run engines side by side, adding up what they ask over the whole model: map, reduce, map."""
    asked = [(step, shares) for step in steps if (shares := next(step, None)) is not None]
    while asked:
        totals: dict[str, Any] = {}
        for _, shares in asked:
            for name, share in shares.items():
                totals[name] = totals[name] + share if name in totals else share
        asked = [(step, shares) for step, _ in asked if (shares := _answered(step, totals)) is not None]


def _answered(step: Stepping, totals: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return step.send(totals)
    except StopIteration:
        return None


@cache
def _warn_once(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)


def fallback(name: str, problem: BaseException) -> None:
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    reason = next((line for line in lines if not line.endswith(":")), lines[0])  # "backend='inductor' raised:" says nothing yet
    _warn_once(f"the {name} engine is not available ({reason}); the reference engine does the work, correctly and slower")

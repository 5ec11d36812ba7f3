"""Fans: how many numbers flow into one output of a layer, and how many outputs one input reaches."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from torch import nn

from steepest.core.errors import ParameterError

# Gates in one matrix, in torch's order. LSTM: input, forget, cell, output. GRU: reset, update, new.
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3, "RNNCell": 1, "LSTMCell": 4, "GRUCell": 3}


class Fans(NamedTuple):
    fan_in: float
    fan_out: float


def fans(shape: Sequence[int], kind: str = "Linear", groups: int = 1, stride: int | Sequence[int] = 1) -> Fans:
    """The fans of a weight of this shape in a layer of this kind.

    A transposed convolution spreads its taps over `stride` outputs per dimension, so that one output sees so many fewer.
    """
    shape = tuple(shape)
    if len(shape) < 2 or 0 in shape:
        why = "it has a dimension of 0" if 0 in shape else "they need at least two dimensions"
        raise ParameterError(f"a parameter of shape {shape} has no fans: {why}")
    if kind == "Embedding" or kind == "EmbeddingBag":
        return Fans(1.0, float(shape[1]))  # one row is looked up, none is summed
    if kind == "Bilinear":
        return Fans(float(shape[1] * shape[2]), float(shape[0]))
    taps = prod(shape[2:])
    if kind.startswith("ConvTranspose"):  # (in, out / groups, *kernel)
        strides = (stride,) * (len(shape) - 2) if isinstance(stride, int) else stride
        return Fans(shape[0] / groups * taps / prod(strides), float(shape[1] * taps))
    return Fans(float(shape[1] * taps), shape[0] / groups * taps)  # (out, in / groups, *kernel)


def fans_of(module: nn.Module, kind: str, shape: Sequence[int]) -> Fans:
    return fans(shape, kind, getattr(module, "groups", 1), getattr(module, "stride", 1) if "Transpose" in kind else 1)


def blocks(module: nn.Module, name: str) -> list[slice]:
    """The rows of a packed parameter that are a matrix (or bias) each: gates, or query, key and value."""
    parameter = getattr(module, name)
    parts = 1
    if isinstance(module, nn.MultiheadAttention) and name.startswith("in_proj"):
        parts = 3
    elif isinstance(module, (nn.RNNBase, nn.RNNCellBase)) and not name.startswith("weight_hr"):  # the projection of an LSTM is one matrix
        parts = next((n for cls in type(module).__mro__ for kind, n in GATES.items() if cls.__name__ == kind), 1)
    rows = parameter.shape[0] // parts if parameter.ndim else 0
    return [slice(i * rows, (i + 1) * rows) for i in range(parts)] if parts > 1 else [slice(None)]


def forget_gate(module: nn.Module, name: str) -> slice | None:
    """The rows of the forget gate in an LSTM's bias. The two biases are added, so only the first counts."""
    if isinstance(module, (nn.LSTM, nn.LSTMCell)) and name.startswith("bias_ih"):
        return blocks(module, name)[1]
    return None

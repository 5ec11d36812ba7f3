"""Initializers: pure functions of (shape, fans, generator), in order of increasing complexity. Drawn on the CPU.

Without a generator they look at shape and settings, and stop with `Rehearsed` before the first random number.
Those that fill a tensor number by number take an `out`, as torch's functions do: fresh memory costs a third of the time.
"""

from collections.abc import Callable

from torch import Tensor

from steepest.init.draws import Rehearsed
from steepest.init.matrices import delta_orthogonal, dirac, identity, looks_linear, orthogonal, sparse
from steepest.init.scales import (
    constant,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    ones,
    truncated_normal,
    uniform,
    variance_scaling,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from steepest.init.zero import zer_o

__all__ = ["FILLS", "INITIALIZERS", "Rehearsed"]

INITIALIZERS: dict[str, Callable[..., Tensor]] = {
    "zeros": zeros,
    "ones": ones,
    "constant": constant,
    "normal": normal,
    "uniform": uniform,
    "truncated_normal": truncated_normal,
    "variance_scaling": variance_scaling,
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "orthogonal": orthogonal,
    "looks_linear": looks_linear,
    "delta_orthogonal": delta_orthogonal,
    "dirac": dirac,
    "identity": identity,
    "sparse": sparse,
    "zer_o": zer_o,
}

# These take an `out`.
FILLS = {
    "normal", "uniform", "truncated_normal", "variance_scaling", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal",
    "lecun_uniform", "lecun_normal",
}  # fmt: skip

"""Gains: by how much the weights before a nonlinearity must be larger, so that the second moment of what comes out is 1."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from math import pi, sqrt

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from steepest.core.errors import SettingError, nearest

# Every nonlinearity as a function of what comes in. Of a gated unit a * f(b), the f.
GAINS: dict[str, Callable[..., Tensor]] = {
    "linear": lambda z: z,
    "relu": F.relu,
    "leaky_relu": lambda z, slope=0.01: F.leaky_relu(z, slope),
    "prelu": lambda z, slope=0.25: F.leaky_relu(z, slope),
    "relu6": F.relu6,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "hardswish": F.hardswish,
    "elu": lambda z, alpha=1.0: F.elu(z, alpha),
    "celu": lambda z, alpha=1.0: F.celu(z, alpha),
    "selu": F.selu,
    "softplus": F.softplus,
    "tanh": torch.tanh,
    "hardtanh": F.hardtanh,
    "softsign": F.softsign,
    "sigmoid": torch.sigmoid,
    "hardsigmoid": F.hardsigmoid,
    "glu": torch.sigmoid,  # from here on gated
    "reglu": F.relu,
    "geglu": F.gelu,
    "swiglu": F.silu,
}

GATED = {"glu", "reglu", "geglu", "swiglu"}

# How far from zero those that saturate would reach their bounds, if they kept the slope that they have there.
REACH = {"tanh": 1.0, "hardtanh": 1.0, "softsign": 1.0, "sigmoid": 2.0, "hardsigmoid": 3.0}

# Piecewise, so that no kink of the above lies inside a piece; beyond 14 the normal density is below 1e-43.
PIECES = (-14, -6, -3, -1, 0, 1, 3, 6, 14)


def gain(nonlinearity: str, **parameters: float) -> float:
    """1 / sqrt(E[f(z)^2]) for a standard normal z, by Gauss-Legendre quadrature between the kinks.

    `slope` for leaky_relu and prelu, `alpha` for elu and celu. In a gated unit a * f(b) both a and b come from weights with
    the gain: it is the g with g^2 E[f(g z)^2] = 1.
    """
    f = function(nonlinearity, **parameters)
    if nonlinearity in GATED:
        return sqrt(_root(lambda variance: variance * moment(f, variance) - 1))
    return 1 / sqrt(moment(f))


def function(nonlinearity: str, **parameters: float) -> Callable[[Tensor], Tensor]:
    if nonlinearity not in GAINS:
        raise SettingError(f"no gain is known for {nonlinearity!r}{nearest(str(nonlinearity), GAINS)}")
    known = (GAINS[nonlinearity].__defaults__ and GAINS[nonlinearity].__code__.co_varnames[1:]) if _ours(nonlinearity) else ()
    for name in parameters:
        if name not in (known or ()):
            raise SettingError(f"{nonlinearity} has no parameter {name!r}{nearest(name, known or ())}")
    return lambda z: GAINS[nonlinearity](z, **parameters)


def _ours(nonlinearity: str) -> bool:
    return getattr(GAINS[nonlinearity], "__name__", "") == "<lambda>"


def moment(f: Callable[[Tensor], Tensor], variance: float = 1.0) -> float:
    """E[f(z)^2] for z normal with this variance."""
    z, weight = _nodes()
    return float(weight @ f(z * sqrt(variance)).square())


def slope(f: Callable[[Tensor], Tensor], variance: float = 1.0) -> float:
    """E[f'(z)^2]: what a gradient's second moment is multiplied by on its way back through f."""
    z, weight = _nodes()
    with torch.enable_grad():
        x = (z * sqrt(variance)).requires_grad_()
        (derivative,) = torch.autograd.grad(f(x).sum(), x)
    return float(weight @ derivative.square())


@cache
def critical(nonlinearity: str, layers: int) -> tuple[float, float]:
    """The gain and the deviation of biases with which a function that saturates passes signals on through so many layers.

    The gain of the second moment (1.59 for tanh) is chaotic: gradients grow 60-fold in 50 layers; at 1 activations fade. Between
    them lies the edge of chaos (Poole et al., 2016; Schoenholz et al., 2017): gain^2 E[f'^2] = 1, and biases make up for what the
    gain leaves short. Of its points this is the one where 0.75 of the function's reach arrive before it: less would fade; more
    needs larger biases, which all samples share, so that narrow layers differ by chance.

    Here it is 1 + 1/layers, at most 13/12, and gradients grow by sqrt(e) on the whole way: about what the first layers take from
    them while a signal of deviation 1 falls to its level. Few layers do well without the biases.
    """
    f = function(nonlinearity)
    rest = f(torch.zeros(1, dtype=torch.float64))
    variance = (0.75 * REACH[nonlinearity]) ** 2
    factor = (1 + 1 / max(layers, 12)) / slope(f, variance)
    return sqrt(factor), sqrt(variance - factor * moment(lambda z: f(z) - rest, variance))


def _root(f: Callable[[float], float]) -> float:
    """Where an increasing function of a variance is zero."""
    low, high = 1e-6, 1e3
    for _ in range(100):
        middle = sqrt(low * high)
        low, high = (middle, high) if f(middle) < 0 else (low, middle)
    return low


@cache
def _nodes() -> tuple[Tensor, Tensor]:
    x, w = np.polynomial.legendre.leggauss(60)
    ends = list(pairwise(PIECES))
    z = np.concatenate([(b - a) / 2 * x + (a + b) / 2 for a, b in ends])
    weight = np.concatenate([(b - a) / 2 * w for a, b in ends]) * np.exp(-(z**2) / 2) / sqrt(2 * pi)
    return torch.from_numpy(z), torch.from_numpy(weight)

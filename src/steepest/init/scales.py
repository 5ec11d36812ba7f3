"""Initializers in which each number stands for itself: all the same, or independent with a deviation that may follow the fans."""

from math import erf, sqrt
from typing import Any

import torch
from torch import Generator, Tensor

from steepest.core.errors import SettingError
from steepest.init.draws import Shape, draw_normal, draw_uniform, empty, fan_of, gain_of, no_such, number
from steepest.init.fans import Fans

# The deviation of a standard normal cut at two: what is drawn must be larger by its inverse.
CUT_AT_TWO = 0.8796256610342398


def zeros(shape: Shape, fans: Fans | None, generator: Generator | None, *, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


def ones(shape: Shape, fans: Fans | None, generator: Generator | None, *, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.ones(shape, dtype=dtype)


def constant(shape: Shape, fans: Fans | None, generator: Generator | None, *, value: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.full(shape, number("constant.value", value), dtype=dtype)


def normal(
    shape: Shape,
    fans: Fans | None,
    generator: Generator | None,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    dtype: torch.dtype = torch.float32,
    out: Tensor | None = None,
) -> Tensor:
    mean, std = number("normal.mean", mean), number("normal.std", std, low=0)
    return draw_normal(empty(shape, dtype, out), generator, mean, std)


def uniform(
    shape: Shape,
    fans: Fans | None,
    generator: Generator | None,
    *,
    low: float = -1.0,
    high: float = 1.0,
    dtype: torch.dtype = torch.float32,
    out: Tensor | None = None,
) -> Tensor:
    if number("uniform.low", low) > number("uniform.high", high):
        raise SettingError(f"uniform.low = {low:g} is above uniform.high = {high:g}")
    return draw_uniform(empty(shape, dtype, out), generator, low, high)


def truncated_normal(
    shape: Shape,
    fans: Fans | None,
    generator: Generator | None,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    cut: float = 2.0,
    dtype: torch.dtype = torch.float32,
    out: Tensor | None = None,
) -> Tensor:
    """A normal cut at `cut` deviations on both sides. `std` is that of the normal before it is cut."""
    mean, std, cut = (
        number("truncated_normal.mean", mean),
        number("truncated_normal.std", std, low=0),
        number("truncated_normal.cut", cut, low=0),
    )
    # By the inverse of the distribution function: erf(cut / sqrt 2) is the mass that is kept.
    mass = erf(cut / sqrt(2))
    drawn = draw_uniform(empty(shape, dtype, out), generator, -mass, mass)
    return drawn.erfinv_().mul_(std * sqrt(2)).add_(mean).clamp_(mean - cut * std, mean + cut * std)


def variance_scaling(
    shape: Shape,
    fans: Fans | None,
    generator: Generator | None,
    *,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "normal",
    **where: Any,
) -> Tensor:
    """Variance scale / fan. The one function behind Xavier, He and LeCun."""
    scale = number("variance_scaling.scale", scale, low=0)
    std = sqrt(scale / fan_of(shape, fans, mode))
    if distribution == "normal":
        return normal(shape, fans, generator, std=std, **where)
    if distribution == "uniform":
        return uniform(shape, fans, generator, low=-sqrt(3) * std, high=sqrt(3) * std, **where)
    if distribution == "truncated_normal":
        return truncated_normal(shape, fans, generator, std=std / CUT_AT_TWO, **where)
    raise no_such("distribution", distribution, ("normal", "uniform", "truncated_normal"))


def xavier_uniform(shape: Shape, fans: Fans | None, generator: Generator | None, *, gain: float | str = 1.0, **where: Any) -> Tensor:
    """Variance gain^2 * 2 / (fan_in + fan_out) (Glorot & Bengio, 2010, eq. 16)."""
    return variance_scaling(shape, fans, generator, scale=gain_of(gain) ** 2, mode="fan_avg", distribution="uniform", **where)


def xavier_normal(shape: Shape, fans: Fans | None, generator: Generator | None, *, gain: float | str = 1.0, **where: Any) -> Tensor:
    """Variance gain^2 * 2 / (fan_in + fan_out) (Glorot & Bengio, 2010, eq. 12)."""
    return variance_scaling(shape, fans, generator, scale=gain_of(gain) ** 2, mode="fan_avg", distribution="normal", **where)


def he_uniform(
    shape: Shape,
    fans: Fans | None,
    generator: Generator | None,
    *,
    mode: str = "fan_in",
    gain: float | str = "relu",
    **where: Any,
) -> Tensor:
    """Variance gain^2 / fan: 2 / fan_in for ReLU (He et al., 2015, eq. 10)."""
    return variance_scaling(shape, fans, generator, scale=gain_of(gain) ** 2, mode=mode, distribution="uniform", **where)


def he_normal(
    shape: Shape,
    fans: Fans | None,
    generator: Generator | None,
    *,
    mode: str = "fan_in",
    gain: float | str = "relu",
    **where: Any,
) -> Tensor:
    """Variance gain^2 / fan: 2 / fan_in for ReLU, or 2 / fan_out (He et al., 2015, eqs. 10 and 14)."""
    return variance_scaling(shape, fans, generator, scale=gain_of(gain) ** 2, mode=mode, distribution="normal", **where)


def lecun_uniform(shape: Shape, fans: Fans | None, generator: Generator | None, **where: Any) -> Tensor:
    """Variance 1 / fan_in (LeCun et al., 1998, section 4.6)."""
    return variance_scaling(shape, fans, generator, distribution="uniform", **where)


def lecun_normal(shape: Shape, fans: Fans | None, generator: Generator | None, **where: Any) -> Tensor:
    """Variance 1 / fan_in (LeCun et al., 1998, section 4.6)."""
    return variance_scaling(shape, fans, generator, distribution="normal", **where)

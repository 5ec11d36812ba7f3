"""Initializers: pure functions of (shape, fans, generator), in order of increasing complexity. Drawn on the CPU.

Without a generator they look at shape and settings, and stop with `Rehearsed` before the first random number.
Those that fill a tensor number by number take an `out`, as torch's functions do: fresh memory costs a third of the time.
"""

from collections.abc import Callable
from math import erf, inf, prod, sqrt
from typing import Any

import torch
from torch import Generator, Tensor

from steepest.core.errors import ParameterError, SettingError, nearest
from steepest.init.fans import Fans, fans
from steepest.init.gains import gain
from steepest.init.zero import zer_o

Shape = tuple[int, ...]
# The deviation of a standard normal cut at two: what is drawn must be larger by its inverse.
CUT_AT_TWO = 0.8796256610342398


def zeros(shape: Shape, fans: Fans | None, generator: Generator | None, *, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


def ones(shape: Shape, fans: Fans | None, generator: Generator | None, *, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.ones(shape, dtype=dtype)


def constant(shape: Shape, fans: Fans | None, generator: Generator | None, *, value: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.full(shape, _number("constant.value", value), dtype=dtype)


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
    mean, std = _number("normal.mean", mean), _number("normal.std", std, low=0)
    return _normal(_empty(shape, dtype, out), generator, mean, std)


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
    if _number("uniform.low", low) > _number("uniform.high", high):
        raise SettingError(f"uniform.low = {low:g} is above uniform.high = {high:g}")
    return _uniform(_empty(shape, dtype, out), generator, low, high)


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
        _number("truncated_normal.mean", mean),
        _number("truncated_normal.std", std, low=0),
        _number("truncated_normal.cut", cut, low=0),
    )
    # By the inverse of the distribution function: erf(cut / sqrt 2) is the mass that is kept.
    mass = erf(cut / sqrt(2))
    drawn = _uniform(_empty(shape, dtype, out), generator, -mass, mass)
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
    scale = _number("variance_scaling.scale", scale, low=0)
    std = sqrt(scale / _fan(shape, fans, mode))
    if distribution == "normal":
        return normal(shape, fans, generator, std=std, **where)
    if distribution == "uniform":
        return uniform(shape, fans, generator, low=-sqrt(3) * std, high=sqrt(3) * std, **where)
    if distribution == "truncated_normal":
        return truncated_normal(shape, fans, generator, std=std / CUT_AT_TWO, **where)
    raise _no_such("distribution", distribution, ("normal", "uniform", "truncated_normal"))


def xavier_uniform(shape: Shape, fans: Fans | None, generator: Generator | None, *, gain: float | str = 1.0, **where: Any) -> Tensor:
    """Variance gain^2 * 2 / (fan_in + fan_out) (Glorot & Bengio, 2010, eq. 16)."""
    return variance_scaling(shape, fans, generator, scale=_gain(gain) ** 2, mode="fan_avg", distribution="uniform", **where)


def xavier_normal(shape: Shape, fans: Fans | None, generator: Generator | None, *, gain: float | str = 1.0, **where: Any) -> Tensor:
    """Variance gain^2 * 2 / (fan_in + fan_out) (Glorot & Bengio, 2010, eq. 12)."""
    return variance_scaling(shape, fans, generator, scale=_gain(gain) ** 2, mode="fan_avg", distribution="normal", **where)


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
    return variance_scaling(shape, fans, generator, scale=_gain(gain) ** 2, mode=mode, distribution="uniform", **where)


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
    return variance_scaling(shape, fans, generator, scale=_gain(gain) ** 2, mode=mode, distribution="normal", **where)


def lecun_uniform(shape: Shape, fans: Fans | None, generator: Generator | None, **where: Any) -> Tensor:
    """Variance 1 / fan_in (LeCun et al., 1998, section 4.6)."""
    return variance_scaling(shape, fans, generator, distribution="uniform", **where)


def lecun_normal(shape: Shape, fans: Fans | None, generator: Generator | None, **where: Any) -> Tensor:
    """Variance 1 / fan_in (LeCun et al., 1998, section 4.6)."""
    return variance_scaling(shape, fans, generator, distribution="normal", **where)


def orthogonal(
    shape: Shape, fans: Fans | None, generator: Generator | None, *, gain: float | str = 1.0, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Rows or columns orthonormal, whichever are fewer, times gain (Saxe et al., 2014). A kernel is flattened to (out, in * taps)."""
    if len(shape) < 2:
        raise ParameterError(f"a parameter of shape {tuple(shape)} has no rows and columns to make orthogonal")
    factor, rows, columns = _gain(gain), shape[0], prod(shape[1:])
    x = _normal(torch.empty(max(rows, columns), min(rows, columns), dtype=dtype), generator)
    q, r = torch.linalg.qr(x)
    q *= torch.where(r.diagonal() < 0, -1.0, 1.0).to(dtype)  # uniform over all orthogonal matrices (Mezzadri, 2007)
    return (q if rows >= columns else q.T).mul(factor).reshape(shape)


def looks_linear(
    shape: Shape,
    fans: Fans | None,
    generator: Generator | None,
    *,
    gain: float | str = "relu",
    inputs: bool = True,
    outputs: bool = True,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """[[A, -A], [-A, A]] with A orthogonal (rows of length 1): behind ReLUs the halves add up to what a linear network gives.

    Signals and gradients pass any depth unchanged (Balduzzi et al., 2017). `inputs` or `outputs` false: that side is not
    mirrored (the first and the last layer). A kernel has A at its center, zero elsewhere.
    """
    factor, (rows, columns, *taps) = _gain(gain), shape
    if (rows % 2 and outputs) or (columns % 2 and inputs):
        raise ParameterError(f"a parameter of shape {tuple(shape)} cannot be mirrored: a mirrored side must be even")
    rows, columns = rows // 2 if outputs else rows, columns // 2 if inputs else columns
    a = orthogonal((rows, columns), fans, generator, gain=sqrt(max(1.0, rows / columns)), dtype=dtype)
    a = torch.cat([a, -a], dim=1) / sqrt(2) if inputs else a
    a = torch.cat([a, -a]) if outputs else a
    return _at_center(a * factor, taps)


def delta_orthogonal(
    shape: Shape,
    fans: Fans | None,
    generator: Generator | None,
    *,
    gain: float | str = 1.0,
    groups: int = 1,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """A kernel with an orthogonal matrix (per group) at its center, zero elsewhere (Xiao et al., 2018, Algorithm 1)."""
    _kernel(shape, "delta_orthogonal")
    rows = shape[0] // groups
    centers = [orthogonal((rows, shape[1]), fans, generator, gain=gain, dtype=dtype) for _ in range(groups)]
    return _at_center(torch.cat(centers), shape[2:])


def dirac(shape: Shape, fans: Fans | None, generator: Generator | None, *, groups: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    """A kernel that passes channel i to channel i, within each group."""
    _kernel(shape, "dirac")
    return _at_center(torch.eye(shape[0] // groups, shape[1], dtype=dtype).repeat(groups, 1), shape[2:])


def identity(
    shape: Shape, fans: Fans | None, generator: Generator | None, *, gain: float | str = 1.0, dtype: torch.dtype = torch.float32
) -> Tensor:
    if len(shape) != 2:
        raise ParameterError(f"identity is for matrices, not for shape {tuple(shape)}; for a kernel there is dirac")
    return torch.eye(*shape, dtype=dtype) * _gain(gain)


def sparse(
    shape: Shape,
    fans: Fans | None,
    generator: Generator | None,
    *,
    connections: int = 15,
    std: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Each output sees this many inputs, with normal weights, and no others (Martens, 2010, section 5)."""
    if len(shape) < 2:
        raise ParameterError(f"a parameter of shape {tuple(shape)} has no inputs to choose from")
    if isinstance(connections, bool) or not isinstance(connections, int) or connections < 1:
        raise SettingError(f"sparse.connections = {connections!r} must be a whole number of at least 1")
    std = _number("sparse.std", std, low=0)
    flat = torch.zeros(shape[0], prod(shape[1:]), dtype=dtype)
    chosen = _uniform(torch.empty(flat.shape), generator, 0.0, 1.0).topk(min(connections, flat.shape[1]), dim=1).indices
    drawn = normal(tuple(chosen.shape), fans, generator, std=std, dtype=dtype)
    return flat.scatter_(1, chosen, drawn).reshape(shape)


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


def _empty(shape: Shape, dtype: torch.dtype, out: Tensor | None) -> Tensor:
    return torch.empty(shape, dtype=dtype) if out is None else out


class Rehearsed(Exception):
    """All that could be wrong was looked at; the next step would have been to draw."""


def _normal(x: Tensor, generator: Generator | None, mean: float = 0.0, std: float = 1.0) -> Tensor:
    if generator is None:
        raise Rehearsed
    return x.normal_(mean, std, generator=generator)


def _uniform(x: Tensor, generator: Generator | None, low: float, high: float) -> Tensor:
    if generator is None:
        raise Rehearsed
    return x.uniform_(low, high, generator=generator)


def _fan(shape: Shape, given: Fans | None, mode: str) -> float:
    fan_in, fan_out = given or fans(shape)
    modes = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    if mode not in modes:
        raise _no_such("mode", mode, tuple(modes))
    return modes[mode]


def _gain(value: float | str) -> float:
    return gain(value) if isinstance(value, str) else _number("gain", value)


def _at_center(matrix: Tensor, taps: Any) -> Tensor:
    if not taps:
        return matrix
    kernel = torch.zeros(*matrix.shape, *taps, dtype=matrix.dtype)
    kernel[(..., *(k // 2 for k in taps))] = matrix
    return kernel


def _kernel(shape: Shape, name: str) -> None:
    if len(shape) < 3:
        raise ParameterError(f"{name} is for the kernel of a convolution, not for shape {tuple(shape)}")


def _number(name: str, value: Any, low: float = -inf) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise SettingError(f"{name} = {value!r} is not a number")
    if not low <= value < inf or value == -inf:
        raise SettingError(f"{name} = {value:g} is outside {'[' if low > -inf else '('}{low:g}, inf)")
    return float(value)


def _no_such(setting: str, value: Any, known: tuple[str, ...]) -> SettingError:
    return SettingError(f"{setting} = {value!r} is unknown{nearest(str(value), known)}")

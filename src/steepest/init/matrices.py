"""Initializers of whole matrices: rotations, mirrored blocks, identities, and rows with few inputs."""

from math import prod, sqrt
from typing import Any

import torch
from torch import Generator, Tensor

from steepest.core.errors import ParameterError, SettingError
from steepest.init.draws import Shape, draw_normal, draw_uniform, gain_of, number
from steepest.init.fans import Fans
from steepest.init.scales import normal


def orthogonal(
    shape: Shape,
    fans: Fans | None,
    generator: Generator | None,
    *,
    gain: float | str = 1.0,
    centered: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Rows or columns orthonormal, whichever are fewer, times gain (Saxe et al., 2014). A kernel is flattened to (out, in * taps).

    `centered`: then the mean of each row is taken off, so that a number which all inputs have in common does not pass.
    """
    if len(shape) < 2:
        raise ParameterError(f"a parameter of shape {tuple(shape)} has no rows and columns to make orthogonal")
    factor, rows, columns = gain_of(gain), shape[0], prod(shape[1:])
    x = draw_normal(torch.empty(max(rows, columns), min(rows, columns), dtype=dtype), generator)
    q, r = torch.linalg.qr(x)
    q *= torch.where(r.diagonal() < 0, -1.0, 1.0).to(dtype)  # uniform over all orthogonal matrices (Mezzadri, 2007)
    q = q if rows >= columns else q.T
    if centered:
        q = q - q.mean(1, keepdim=True)
    return q.mul(factor).reshape(shape)


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
    factor, (rows, columns, *taps) = gain_of(gain), shape
    if (rows % 2 and outputs) or (columns % 2 and inputs):
        raise ParameterError(f"a parameter of shape {tuple(shape)} cannot be mirrored: a mirrored side must be even")
    rows, columns = rows // 2 if outputs else rows, columns // 2 if inputs else columns
    a = orthogonal((rows, columns), fans, generator, gain=sqrt(max(1.0, rows / columns)), dtype=dtype)
    a = torch.cat([a, -a], dim=1) / sqrt(2) if inputs else a
    a = torch.cat([a, -a]) if outputs else a
    return at_center(a * factor, taps)


def delta_orthogonal(
    shape: Shape,
    fans: Fans | None,
    generator: Generator | None,
    *,
    gain: float | str = 1.0,
    centered: bool = False,
    groups: int = 1,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """A kernel with an orthogonal matrix (per group) at its center, zero elsewhere (Xiao et al., 2018, Algorithm 1).

    `centered` as in `orthogonal`.
    """
    _kernel(shape, "delta_orthogonal")
    rows = shape[0] // groups
    centers = [orthogonal((rows, shape[1]), fans, generator, gain=gain, centered=centered, dtype=dtype) for _ in range(groups)]
    return at_center(torch.cat(centers), shape[2:])


def dirac(shape: Shape, fans: Fans | None, generator: Generator | None, *, groups: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    """A kernel that passes channel i to channel i, within each group."""
    _kernel(shape, "dirac")
    return at_center(torch.eye(shape[0] // groups, shape[1], dtype=dtype).repeat(groups, 1), shape[2:])


def identity(
    shape: Shape, fans: Fans | None, generator: Generator | None, *, gain: float | str = 1.0, dtype: torch.dtype = torch.float32
) -> Tensor:
    if len(shape) != 2:
        raise ParameterError(f"identity is for matrices, not for shape {tuple(shape)}; for a kernel there is dirac")
    return torch.eye(*shape, dtype=dtype) * gain_of(gain)


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
    std = number("sparse.std", std, low=0)
    flat = torch.zeros(shape[0], prod(shape[1:]), dtype=dtype)
    chosen = draw_uniform(torch.empty(flat.shape), generator, 0.0, 1.0).topk(min(connections, flat.shape[1]), dim=1).indices
    drawn = normal(tuple(chosen.shape), fans, generator, std=std, dtype=dtype)
    return flat.scatter_(1, chosen, drawn).reshape(shape)


def at_center(matrix: Tensor, taps: Any) -> Tensor:
    if not taps:
        return matrix
    kernel = torch.zeros(*matrix.shape, *taps, dtype=matrix.dtype)
    kernel[(..., *(k // 2 for k in taps))] = matrix
    return kernel


def _kernel(shape: Shape, name: str) -> None:
    if len(shape) < 3:
        raise ParameterError(f"{name} is for the kernel of a convolution, not for shape {tuple(shape)}")

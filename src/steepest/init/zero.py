"""ZerO: a start without chance, from zeros and ones."""

from math import ceil, log2

import torch
from torch import Generator, Tensor

from steepest.core.errors import ParameterError
from steepest.init.fans import Fans


def zer_o(shape: tuple[int, ...], fans: Fans | None, generator: Generator, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The identity where a layer narrows or keeps its width, a piece of a Hadamard matrix where it widens (Zhao et al., 2022).

    A kernel has it at its center, zero elsewhere. The scale 2^(-m/2) is that of the authors' code: a whole Hadamard matrix is orthogonal.
    """
    if len(shape) < 2:
        raise ParameterError(f"a parameter of shape {tuple(shape)} has no rows and columns for the identity")
    rows, columns, *taps = shape
    matrix = torch.eye(rows, columns, dtype=dtype) if rows <= columns else hadamard(rows, columns, dtype)
    kernel = torch.zeros(shape, dtype=dtype)
    kernel[(..., *(k // 2 for k in taps))] = matrix
    return kernel


def hadamard(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The upper left piece of the orthogonal Hadamard matrix of order 2^m >= rows (Sylvester's construction)."""
    m = ceil(log2(rows))
    matrix = torch.ones(1, 1, dtype=dtype)
    for _ in range(m):
        top = torch.cat([matrix, matrix], dim=1)
        matrix = torch.cat([top, torch.cat([matrix, -matrix], dim=1)])
    return matrix[:rows, :columns] * 2 ** (-m / 2)

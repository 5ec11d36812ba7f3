"""Random numbers. A generator starts a stream for each change, in which sample i has its own row, however many samples there are."""

from math import prod

import numpy as np
import torch
from torch import Tensor

# SplitMix64 (Steele, Lea & Flood, 2014): what it adds for each number, and what it multiplies by.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
# Half of the 32-bit numbers; the others mean the same on the other side of 0.
LEVELS = 2**31 - 1


def stream(generator: torch.Generator) -> torch.Generator:
    return torch.Generator(generator.device).manual_seed(key(generator, 63))


def key(draws: torch.Generator, size: int = 53) -> int:
    """A whole number of so many bits; 53 are what a float holds."""
    return int(torch.randint(2**size - 1, (), generator=draws, device=draws.device))


def uniform(n: int, k: int, draws: torch.Generator) -> Tensor:  # (k, n)
    """k numbers from [0, 1) for each of n samples: row by row, so that more samples change none."""
    return torch.rand(n, k, generator=draws, dtype=torch.float64, device=draws.device).T


def drawn(n: int, k: int, draws: torch.Generator) -> np.ndarray:  # (k, n)
    """The same in NumPy, where small things are done in half the time."""
    return np.ascontiguousarray(uniform(n, k, draws).cpu().numpy())


def bits(key: int, n: int, size: int) -> np.ndarray:  # (n, size) of uint32
    """Numbers of 32 bits, by counting: number t of row i is half of what SplitMix64 makes of its count. So a loop needs no state."""
    start = mixed(np.uint64(key) + np.arange(n, dtype=np.uint64))
    wide = mixed(start[:, None] + np.arange((size + 1) // 2, dtype=np.uint64) * GOLDEN)
    return wide.view(np.uint32)[:, :size]


def mixed(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * MIX[0]
    z = (z ^ (z >> np.uint64(27))) * MIX[1]
    return z ^ (z >> np.uint64(31))


def normal(shape: tuple[int, ...], draws: torch.Generator) -> Tensor:
    return normals(key(draws), shape)


def normals(key: int, shape: tuple[int, ...]) -> Tensor:
    """Normal numbers in float32, sample by sample: the normal quantile of 32 random bits, which lies within 6.3."""
    drawn = bits(key, shape[0], prod(shape[1:]))
    levels = (drawn & LEVELS | 1).astype(np.float32)
    j = (levels.view(np.int32) >> 17) - PIECE
    found = QUANTILE[0][j] + QUANTILE[1][j] * levels
    return torch.from_numpy(np.where(drawn > LEVELS, -found, found).reshape(shape))


def _quantile() -> np.ndarray:  # (2, pieces): where each begins at level 0, and its slope
    """The normal quantile of level / 2^32 in straight pieces: 64 between each power of two and the next, off by 1.3e-5 at most.

    A piece's number is the first bits of a level as a float: its exponent, and six digits after the point.
    """
    edges = (np.arange(PIECE, PIECE + 31 * 64 + 1, dtype=np.int32) << 17).view(np.float32).astype(np.float64)
    values = torch.special.ndtri(torch.from_numpy(edges / 2**32)).numpy()
    slopes = np.diff(values) / np.diff(edges)
    starts = values[:-1] - slopes * edges[:-1]
    # The highest level is rounded up to one half, whose quantile is 0.
    return np.array([[*starts, 0], [*slopes, 0]], np.float32)


PIECE = 127 << 6  # that of level 1
QUANTILE = _quantile()

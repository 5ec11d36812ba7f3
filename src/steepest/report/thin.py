"""Long curves with few points: nothing is left out without being said."""

from collections.abc import Sequence
from math import ceil, inf, isfinite, nan
from statistics import fmean
from typing import NamedTuple, TypeVar

Point = tuple[float, float]
T = TypeVar("T")


class Bin(NamedTuple):
    """Neighbors together: the first step, the mean, the least and the greatest value. Where one is not finite, the mean is not."""

    step: int
    mean: float
    low: float
    high: float


def binned(points: Sequence[tuple[int, float]], most: int) -> tuple[list[Bin], int]:
    """At most so many bins, each of as many neighbors; and how many that is."""
    size = max(ceil(len(points) / most), 1)
    return [gathered(points[i : i + size]) for i in range(0, len(points), size)], size


def gathered(points: Sequence[tuple[int, float]]) -> Bin:
    values = [y for _, y in points]
    finite = [y for y in values if isfinite(y)]
    mean = fmean(values) if len(finite) == len(values) else nan
    return Bin(points[0][0], mean, min(finite, default=nan), max(finite, default=nan))


def spread(points: Sequence[T], most: int) -> list[T]:
    """About so many of them, evenly, as they are; the last is among them."""
    every = max(ceil(len(points) / most), 1)
    return [*points[:-1:every], *points[-1:]]


def grid(end: int, most: int) -> list[int]:
    """Round steps from which on the values of several runs are laid side by side; the last at `end` or beyond."""
    every = nice(end / most)
    return [every * i for i in range(1, ceil(max(end, 1) / every) + 1)]


def nice(x: float) -> int:
    """1, 2 or 5 times a power of ten, no less than x."""
    size = 1
    while True:
        for digit in (1, 2, 5):
            if digit * size >= x:
                return digit * size
        size *= 10


def laid(points: Sequence[Point], steps: Sequence[int]) -> list[float | None]:
    """The mean of the values up to each step of the grid and after the one before; None where there are none."""
    found: list[float | None] = []
    i, before = 0, -inf
    for step in steps:
        inside = []
        while i < len(points) and points[i][0] <= step:
            if points[i][0] > before:
                inside.append(points[i][1])
            i += 1
        found.append(gathered([(0, y) for y in inside]).mean if inside else None)
        before = step
    return found

"""Where to look next: samplers of a space. Each is pure in (space, seed, i, what is seen)."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from math import isfinite
from typing import Any, Protocol

import torch

from steepest.core.errors import SettingError, nearest
from steepest.core.rng import generator, seed_of
from steepest.search.dimension import Dimension
from steepest.search.jobs import Point
from steepest.search.space import Space

# Points and the score that is to be minimized: inf where there was none.
Scored = Sequence[tuple[Point, float]]


class Sampler(Protocol):
    """Proposal i, knowing the points seen so far; None when there is none left."""

    name: str

    def propose(self, i: int, seen: Scored) -> Point | None: ...


class Random:
    """Every place alike, every choice alike."""

    name, looks = "random", False

    def __init__(self, space: Space, seed: int = 0) -> None:
        self.space, self.seed = space, seed

    def propose(self, i: int, seen: Scored) -> Point:
        u = torch.rand(len(self.space.dimensions), generator=generator(self.seed, "random", i), dtype=torch.float64)
        return self.space.at(dict(zip(self.space.by_name, u.tolist(), strict=True)))


class Sobol:
    """Low discrepancy: fewer holes and fewer neighbors than chance leaves (Sobol, 1967; scrambled as by Owen, 1998)."""

    name, looks = "sobol", False

    def __init__(self, space: Space, seed: int = 0) -> None:
        self.space, self.seed = space, seed

    def propose(self, i: int, seen: Scored) -> Point:
        from scipy.stats.qmc import Sobol as Sequence

        sequence = Sequence(len(self.space.dimensions), rng=seed_of(self.seed, "sobol"))
        if i:  # SciPy cannot go forward by 0
            sequence.fast_forward(i)
        return self.space.at(dict(zip(self.space.by_name, sequence.random()[0].tolist(), strict=True)))


class Grid:
    """Every combination once, the last dimension changing fastest. A range needs its number of `points`."""

    name, looks = "grid", False

    def __init__(self, space: Space, seed: int = 0) -> None:
        self.space = space
        for d in space.dimensions:
            grid_of(d)

    def propose(self, i: int, seen: Scored) -> Point | None:
        while len(self._points) <= i:
            point = next(self._walk, None)
            if point is None:
                return None
            self._points.append(point)
        return self._points[i]

    @cached_property
    def _points(self) -> list[Point]:
        return []

    @cached_property
    def _walk(self) -> Iterator[Point]:
        return grid(self.space)


def grid(space: Space) -> Iterator[Point]:
    """All points, by an odometer whose wheels are the dimensions that a walk meets."""
    wheels: list[list[int]] = []  # [position, how many]
    while True:
        met = 0

        def choose(d: Dimension) -> Any:
            nonlocal met
            values = grid_of(d)
            if met == len(wheels):
                wheels.append([0, len(values)])
            met += 1
            return values[wheels[met - 1][0]]

        yield space.draw(choose)
        while wheels and wheels[-1][0] == wheels[-1][1] - 1:
            wheels.pop()
        if not wheels:
            return
        wheels[-1][0] += 1


def grid_of(d: Dimension) -> list[Any]:
    if d.choices:
        return list(d.choices)
    if d.points is None:
        raise SettingError(f"grid: {d.name} is a range; say how many of it: {{ low = {d.low:g}, high = {d.high:g}, points = 5 }}")
    places = [k / (d.points - 1) for k in range(d.points)]
    return list(dict.fromkeys(d.at(u) for u in places))


def worst(seen: Scored) -> list[float]:
    """The scores, all finite: what diverged counts as the worst that did not."""
    most = max((score for _, score in seen if isfinite(score)), default=0.0)
    return [score if isfinite(score) else most for _, score in seen]


def _modeled(name: str) -> Callable[..., Sampler]:
    def made(space: Space, seed: int = 0) -> Sampler:
        from steepest.search.modeled import MODELED  # Optuna: only who asks for it waits

        return MODELED[name](space, seed)

    return made


SAMPLERS: dict[str, Callable[..., Sampler]] = {
    "grid": Grid,
    "random": Random,
    "sobol": Sobol,
    "tpe": _modeled("tpe"),
    "gp": _modeled("gp"),
    "cmaes": _modeled("cmaes"),
}


def sampler(name: str, space: Space, seed: int = 0) -> Sampler:
    if name not in SAMPLERS:
        raise SettingError(f"unknown sampler {name!r}{nearest(name, SAMPLERS)}")
    return SAMPLERS[name](space, seed)

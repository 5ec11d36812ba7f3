"""What initializers share: numbers drawn into fresh or given memory, and settings that are looked at before."""

from math import inf
from typing import Any

import torch
from torch import Generator, Tensor

from steepest.core.errors import SettingError, nearest
from steepest.init.fans import Fans, fans
from steepest.init.gains import gain

Shape = tuple[int, ...]


class Rehearsed(Exception):
    """All that could be wrong was looked at; the next step would have been to draw."""


def empty(shape: Shape, dtype: torch.dtype, out: Tensor | None) -> Tensor:
    return torch.empty(shape, dtype=dtype) if out is None else out


def draw_normal(x: Tensor, generator: Generator | None, mean: float = 0.0, std: float = 1.0) -> Tensor:
    if generator is None:
        raise Rehearsed
    return x.normal_(mean, std, generator=generator)


def draw_uniform(x: Tensor, generator: Generator | None, low: float, high: float) -> Tensor:
    if generator is None:
        raise Rehearsed
    return x.uniform_(low, high, generator=generator)


def fan_of(shape: Shape, given: Fans | None, mode: str) -> float:
    fan_in, fan_out = given or fans(shape)
    modes = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    if mode not in modes:
        raise no_such("mode", mode, tuple(modes))
    return modes[mode]


def gain_of(value: float | str) -> float:
    return gain(value) if isinstance(value, str) else number("gain", value)


def number(name: str, value: Any, low: float = -inf) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise SettingError(f"{name} = {value!r} is not a number")
    if not low <= value < inf or value == -inf:
        raise SettingError(f"{name} = {value:g} is outside {'[' if low > -inf else '('}{low:g}, inf)")
    return float(value)


def no_such(setting: str, value: Any, known: tuple[str, ...]) -> SettingError:
    return SettingError(f"{setting} = {value!r} is unknown{nearest(str(value), known)}")

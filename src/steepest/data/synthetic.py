"""Problems made up from a seed: what they ask of a model is known exactly."""

from collections.abc import Callable
from math import pi

import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.core.objectives import IGNORED
from steepest.core.rng import generator
from steepest.data.parts import Arrays
from steepest.data.split import Data

# A test part of so many times the training part.
TEST = 0.25


def drawn(name: str, n: int, seed: int, draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]]) -> Data:
    """Training and test samples, `draw(n, dice)` each, from streams of their own."""
    if n < 8:
        raise SettingError(f"{name} of n = {n}: at least 8")
    parts = {"train": n, "test": max(4, round(n * TEST))}
    return Data(**{part: Arrays(draw(count, generator(seed, name, part))) for part, count in parts.items()})


def two_moons(n: int, noise: float, seed: int) -> Data:
    """Two half circles that reach into each other."""

    def draw(n: int, dice: torch.Generator) -> tuple[Tensor, Tensor]:
        y = torch.arange(n) % 2
        angle = pi * torch.rand(n, generator=dice)
        x = torch.stack([angle.cos(), angle.sin()], 1)
        x = torch.where(y.unsqueeze(1) == 1, torch.tensor([1.0, 0.5]) - x, x)
        return x + noise * torch.randn(n, 2, generator=dice), y

    return drawn("two_moons", n, seed, draw)


def teacher_student(n: int, inputs: int, width: int, noise: float, seed: int) -> Data:
    """What a random network of one hidden layer of tanh says, and noise: a student of that width can know it all but the noise."""
    dice = generator(seed, "teacher_student", "teacher")
    first, second = (torch.randn(a, b, generator=dice) / a**0.5 for a, b in ((inputs, width), (width, 1)))

    def draw(n: int, dice: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randn(n, inputs, generator=dice)
        y = ((2 * x @ first).tanh() @ second).squeeze(1)
        return x, y + noise * torch.randn(n, generator=dice)

    return drawn("teacher_student", n, seed, draw)


def copy(n: int, length: int, symbols: int, delay: int, seed: int) -> Data:
    """Symbols 1 to `symbols`, blanks (0), a marker (`symbols` + 1), blanks in which to say the symbols again.

    Hochreiter & Schmidhuber (1997), in the form of Arjovsky et al. (2016), but that before the marker nothing is asked.
    """
    if length < 1 or symbols < 2 or delay < 0:
        raise SettingError(f"copy(length={length}, symbols={symbols}, delay={delay}): at least 1, 2 and 0")

    def draw(n: int, dice: torch.Generator) -> tuple[Tensor, Tensor]:
        said = torch.randint(1, symbols + 1, (n, length), generator=dice)
        x = torch.zeros(n, 2 * length + delay, dtype=torch.int64)
        x[:, :length] = said
        x[:, length + delay] = symbols + 1
        y = torch.full_like(x, IGNORED)
        y[:, length + delay :] = said
        return x, y

    return drawn("copy", n, seed, draw)


def parity(n: int, bits: int, seed: int) -> Data:
    """Bits of 0 and 1, and whether an odd number of them is 1: no bit less than all of them says anything about it."""
    if bits < 1:
        raise SettingError(f"parity(bits={bits}): at least 1")

    def draw(n: int, dice: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randint(0, 2, (n, bits), generator=dice)
        return x.to(torch.get_default_dtype()), x.sum(1) % 2

    return drawn("parity", n, seed, draw)

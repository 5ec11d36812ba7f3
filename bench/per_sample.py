"""The transforms of one sample, as a careful user writes them in a Dataset: images (C, H, W), waves, spectrograms, tokens.

Python's random numbers, which are faster than torch's for one number.
"""

import math
import random
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from steepest.regularizers.augment import policies as names


def none(x: Tensor) -> Tensor:
    return x


def flip(x: Tensor) -> Tensor:
    return x.flip(-1) if random.random() < 0.5 else x


def crop(x: Tensor) -> Tensor:
    height, width = x.shape[1:]
    top, left = random.randint(0, 8), random.randint(0, 8)
    return F.pad(x, (4, 4, 4, 4))[:, top : top + height, left : left + width]


def floats(x: Tensor) -> Tensor:
    return x.float() / 255 if x.dtype == torch.uint8 else x


def warp(x: Tensor, a: float, b: float, d: float, e: float, c: float = 0.0, f: float = 0.0) -> Tensor:
    grid = F.affine_grid(torch.tensor([[[a, b, c], [d, e, f]]]), [1, *x.shape], align_corners=False)
    return F.grid_sample(floats(x)[None], grid, align_corners=False)[0]


def rotate(x: Tensor, degrees: float = 10.0) -> Tensor:
    angle = math.radians(random.uniform(-degrees, degrees))
    return warp(x, math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle))


def affine(x: Tensor) -> Tensor:
    """Rotation, scale, translation and shear, in one matrix: the careful user's way."""
    angle, k = math.radians(random.uniform(-10, 10)), math.tan(math.radians(random.uniform(-15, 15)))
    s, right, down = 1.2 ** random.uniform(-1, 1), random.uniform(-0.2, 0.2), random.uniform(-0.2, 0.2)
    cos, sin = math.cos(angle) / s, math.sin(angle) / s
    return warp(x, cos, -k * cos - sin, sin, cos - k * sin, right, down)


def brightness(x: Tensor) -> Tensor:
    return (floats(x) * random.uniform(0.8, 1.2)).clamp(0, 1)


def contrast(x: Tensor) -> Tensor:
    x = floats(x)
    mean = gray(x).mean()
    return ((x - mean) * random.uniform(0.8, 1.2) + mean).clamp(0, 1)


def gray(x: Tensor) -> Tensor:
    return 0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2] if x.shape[0] == 3 else x[0]


def erase(x: Tensor) -> Tensor:
    if random.random() >= 0.5:
        return x
    height, width = x.shape[1:]
    area, ratio = random.uniform(0.02, 0.33) * height * width, 3.3 ** random.uniform(-1, 1)
    tall, wide = (min(max(round(math.sqrt(v)), 1), n) for v, n in ((area * ratio, height), (area / ratio, width)))
    top, left = random.randint(0, height - tall), random.randint(0, width - wide)
    x = x.clone()
    x[:, top : top + tall, left : left + wide] = 0
    return x


def blend(start: Tensor, x: Tensor, s: float) -> Tensor:
    return (start + (1 + 0.9 * s) * (x - start)).clamp(0, 1)


def blurred(x: Tensor) -> Tensor:
    kernel = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]]).expand(len(x), 1, 3, 3) / 13
    out = x.clone()
    out[:, 1:-1, 1:-1] = F.conv2d(x[None], kernel, groups=len(x))[0]
    return out


def posterized(x: Tensor, s: float) -> Tensor:
    step = 2 ** (8 - (8 - round(4 * abs(s))))
    return ((x * 255).round() / step).floor() * step / 255


def stretched(x: Tensor) -> Tensor:
    low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    return torch.where(high > low, (x - low) / (high - low).clamp(min=1e-12), x)


def equalized(x: Tensor) -> Tensor:
    out = []
    for channel in (x * 255).round().long():
        share = channel.flatten().bincount(minlength=256).cumsum(0) / channel.numel()
        lowest = share[channel.min()]
        out.append((share[channel] - lowest) / (1 - lowest) if lowest < 1 else channel / 255)
    return torch.stack(out)


PER_SAMPLE: dict[str, Callable[[Tensor, float], Tensor]] = {
    "identity": lambda x, s: x,
    "rotate": lambda x, s: warp(x, math.cos(s * 0.5236), -math.sin(s * 0.5236), math.sin(s * 0.5236), math.cos(s * 0.5236)),
    "shear_x": lambda x, s: warp(x, 1, -0.3 * s, 0, 1),
    "shear_y": lambda x, s: warp(x, 1, 0, -0.3 * s, 1),
    "translate_x": lambda x, s: warp(x, 1, 0, 0, 1, -2 * s * names.SHARE, 0),
    "translate_y": lambda x, s: warp(x, 1, 0, 0, 1, 0, -2 * s * names.SHARE),
    "brightness": lambda x, s: (x * (1 + 0.9 * s)).clamp(0, 1),
    "contrast": lambda x, s: blend(gray(x).mean(), x, s),
    "saturation": lambda x, s: blend(gray(x), x, s) if len(x) == 3 else x,
    "sharpness": lambda x, s: blend(blurred(x), x, s),
    "solarize": lambda x, s: torch.where(x >= 1 - abs(s), 1 - x, x),
    "posterize": posterized,
    "stretch": lambda x, s: stretched(x),
    "equalize": lambda x, s: equalized(x),
}


def randaugment(x: Tensor) -> Tensor:
    x = floats(x)
    for _ in range(2):
        x = random.choice(list(PER_SAMPLE.values()))(x, random.choice((-0.3, 0.3)))
    return x


# --- sound and text: (T,), (mel, T), (T,) -------------------------------------------------------------


def time_shift(x: Tensor) -> Tensor:
    most = round(0.1 * len(x))
    steps = random.randint(-most, most)
    return F.pad(x, (steps, -steps))


def gain(x: Tensor) -> Tensor:
    return x * 10 ** (random.uniform(-6, 6) / 20)


def audio_noise(x: Tensor) -> Tensor:
    noise = torch.randn_like(x)
    share = 10 ** (-random.uniform(10, 40) / 10)
    return x + noise * (share * x.square().mean() / noise.square().mean()).sqrt()


def specaugment(x: Tensor) -> Tensor:
    x = x.clone()
    for axis, share in ((0, 0.3), (1, 0.1)):
        for _ in range(2):
            width = random.randint(0, int(share * x.shape[axis]))
            x.narrow(axis, random.randint(0, x.shape[axis] - width), width).zero_()
    return x


def token_dropout(x: Tensor) -> Tensor:
    return x.masked_fill((torch.rand(len(x)) < 0.1) & (x != 0), 1)


def token_swap(x: Tensor) -> Tensor:
    chosen = ((torch.rand(len(x)) < 0.1) & (x != 0)).nonzero().flatten()
    chosen = chosen[torch.randperm(len(chosen))]
    first, second = chosen[: len(chosen) // 2], chosen[len(chosen) // 2 : len(chosen) // 2 * 2]
    x = x.clone()
    x[first], x[second] = x[second], x[first]
    return x


def several(*steps: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return partial(each, steps)


def each(steps: tuple[Callable[[Tensor], Tensor], ...], x: Tensor) -> Tensor:
    for step in steps:
        x = step(x)
    return x

"""Brightness, contrast and their relatives: what happens to each pixel's value. Images are floats in [0, 1], or bytes that become so."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steepest.core.knob import knob
from steepest.regularizers.augment.common import Augmentation, as_light, floats_like, passes, per_sample, refuse_but_light, spread
from steepest.regularizers.augment.draws import drawn
from steepest.regularizers.pixels import as_numbers

# How bright red, green and blue appear (ITU-R 601).
LUMA = (0.299, 0.587, 0.114)


def brightness(x: Tensor, factor: Tensor | float) -> Tensor:
    """factor * x, into [0, 1]."""
    refuse_but_light(x, "brightness")
    if fast := passes(x):
        return shade(fast, x, factor, ())
    x = as_numbers(x)
    return (x * spread(per_sample(factor, x, "factors"), x)).clamp_(0, 1)


def contrast(x: Tensor, factor: Tensor | float) -> Tensor:
    """Away from the image's mean gray, or towards it: mean + factor * (x - mean), into [0, 1]."""
    refuse_but_light(x, "contrast")
    if fast := passes(x):
        return shade(fast, x, factor, shares(x))
    x = as_numbers(x)
    return blend(gray(x.mean((2, 3), keepdim=True)), x, factor)  # the mean gray is the gray of the means


def shade(fast: Any, x: Tensor, factor: Tensor | float, weights: Sequence[float]) -> Tensor:
    """Both, read once and written once: away from the mean gray in these weights, or without weights from black."""
    found = floats_like(x)
    number = found.numpy().dtype.type
    factors, unit = per_sample(factor, x, "factors").to(found.dtype).contiguous().numpy(), number(1 / 255 if x.dtype == torch.uint8 else 1)
    gray = np.array(weights, number)
    fast.shade(x.contiguous().flatten(2).numpy(), found.flatten(2).numpy(), factors, gray, unit, number(0), number(1))
    return found


def saturation(x: Tensor, factor: Tensor | float) -> Tensor:
    """Away from gray, or towards it. What has other than three channels has no color, and stays."""
    x = as_light(x, "saturation")
    return blend(gray(x), x, factor) if x.shape[1] == 3 else x


def sharpness(x: Tensor, factor: Tensor | float) -> Tensor:
    """Away from the blurred image, or towards it; the outermost pixels stay (as PIL's ImageEnhance does it)."""
    x = as_light(x, "sharpness")
    if min(x.shape[2:]) < 3:
        return x
    lines = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]
    squares = lines[..., :-2] + lines[..., 1:-1] + lines[..., 2:]
    blurred = x.clone()  # the weights are 1, and 5 in the middle
    blurred[:, :, 1:-1, 1:-1] = (squares + 4 * x[:, :, 1:-1, 1:-1]) / 13
    return blend(blurred, x, factor)


def solarize(x: Tensor, threshold: Tensor | float) -> Tensor:
    """Inverted from the threshold upwards."""
    x = as_light(x, "solarize")
    return x + (x >= spread(per_sample(threshold, x, "thresholds"), x)) * (1 - 2 * x)


def posterize(x: Tensor, bits: Tensor | float) -> Tensor:
    """The first `bits` of 8 bits alone."""
    x = as_light(x, "posterize")
    step = 2.0 ** (8 - spread(per_sample(bits, x, "bits"), x))
    return ((x * 255).round_() / step).floor_() * step / 255


def stretch(x: Tensor) -> Tensor:
    """Each channel from its own darkest and brightest to [0, 1] (autocontrast); one of a single value stays."""
    x = as_light(x, "stretch")
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    varied = high > low
    return (x - low * varied) / torch.where(varied, high - low, 1.0)


def equalize(x: Tensor) -> Tensor:
    """Each channel so that its 256 values are spread evenly: v becomes (c(v) - c(low)) / (1 - c(low)), c the share of pixels up to v."""
    x = as_light(x, "equalize")
    levels = (x * 255).round().long().flatten(2)
    counts = torch.zeros(*levels.shape[:2], 256, dtype=torch.int64, device=x.device).scatter_add_(2, levels, torch.ones_like(levels))
    share = counts.cumsum(2).to(x.dtype) / levels.shape[2]
    lowest = torch.where(counts > 0, share, 1.0).amin(2, keepdim=True)
    same = torch.arange(256, dtype=x.dtype, device=x.device) / 255
    table = torch.where(lowest < 1, (share - lowest) / (1 - lowest).clamp(min=1e-12), same)
    return table.gather(2, levels).view_as(x)


def gray(x: Tensor) -> Tensor:
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    red, green, blue = (x[:, k : k + 1] * share for k, share in enumerate(LUMA))
    return red + green + blue


def shares(x: Tensor) -> Sequence[float]:
    """What each channel gives to gray."""
    return LUMA if x.shape[1] == 3 else [1 / x.shape[1]] * x.shape[1]


def blend(start: Tensor, x: Tensor, factor: Tensor | float) -> Tensor:
    """start + factor * (x - start), into [0, 1]; beyond x where factor > 1."""
    factors = spread(per_sample(factor, x, "factors"), x)
    return (x * factors).add_(start * (1 - factors)).clamp_(0, 1)


class Brightness(Augmentation):
    """Each image times a factor from [1 - strength, 1 + strength]."""

    use = "Photographs in changing light; set strength (0.2 to 0.4)."
    hurts = "Where brightness is the measurement, as in X-rays; drawings and digits gain nothing."
    cost = "One pass over the batch."
    measured = (
        "At its defaults: +0.44 points of accuracy [+0.05, +0.82] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds); 1.09 times the step."
    )
    main = "strength"

    strength: float = knob(0.2, "largest change of the factor", valid=(0, 1), closed=True, search=(0.05, 0.5))

    def augment(self, x, draws):
        return brightness(x, around_one(x, self.strength, draws))


class Contrast(Augmentation):
    """Each image's distance from its own mean gray times a factor from [1 - strength, 1 + strength]."""

    use = "Photographs in changing light and weather, with Brightness; set strength (0.2 to 0.4)."
    hurts = "Where faint differences tell the class."
    cost = "One pass over the batch, each image read twice."
    measured = (
        "At its defaults: +0.29 points of accuracy [-0.17, +0.76] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds), not distinguishable; 1.10 times the step."
    )
    main = "strength"

    strength: float = knob(0.2, "largest change of the factor", valid=(0, 1), closed=True, search=(0.05, 0.5))

    def augment(self, x, draws):
        return contrast(x, around_one(x, self.strength, draws))


def around_one(x: Tensor, strength: float, draws: torch.Generator) -> Tensor:
    (u,) = drawn(len(x), 1, draws)
    return torch.from_numpy(1 + (2 * u - 1) * strength)

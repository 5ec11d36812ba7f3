"""Random choices among fourteen changes: RandAugment and TrivialAugment."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.core.knob import knob, option
from steepest.regularizers.augment import light
from steepest.regularizers.augment.common import Augmentation, passes, refuse_but_light, whole
from steepest.regularizers.augment.draws import uniform
from steepest.regularizers.augment.geometry import affine, warp
from steepest.regularizers.base import BatchError
from steepest.regularizers.pixels import as_numbers

# What a strength of 1 means, as in the paper's code: slopes, shares of the side, degrees.
SLOPE, SHARE, DEGREES = 0.3, 150 / 331, 30.0
PLACES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
# The changes of light by a number for each image, and that number by a signed strength s from [-1, 1].
LIGHTS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Any], Any]]] = {
    "brightness": (light.brightness, lambda s: 1 + 0.9 * s),
    "contrast": (light.contrast, lambda s: 1 + 0.9 * s),
    "saturation": (light.saturation, lambda s: 1 + 0.9 * s),
    "sharpness": (light.sharpness, lambda s: 1 + 0.9 * s),
    "solarize": (light.solarize, lambda s: 1 - abs(s)),
    "posterize": (light.posterize, lambda s: 8 - (4 * abs(s)).round()),
    "stretch": (lambda x, _: light.stretch(x), lambda s: 0 * s),
    "equalize": (lambda x, _: light.equalize(x), lambda s: 0 * s),
}
CHANGES = ("identity", *PLACES, *LIGHTS)
FIRST_LIGHT = 1 + len(PLACES)


def apply(x: Tensor, choices: Tensor, strengths: Tensor) -> Tensor:
    """Round by round, change `choices[i, k]` (its place in CHANGES) at the signed strength `strengths[i, k]` to image i.

    Changes of place come first, composed and sampled once; those of light follow, each on its own images alone.
    """
    refuse_but_light(x, "a policy")
    if choices.shape != strengths.shape or choices.shape[:1] != x.shape[:1]:
        raise BatchError(
            f"{len(x)} images with choices {tuple(choices.shape)} and strengths {tuple(strengths.shape)}: a row for each image"
        )
    moved = ((choices > 0) & (choices < FIRST_LIGHT)).any(1)
    if fast := passes(x):
        rows, codes, s = moved.nonzero().flatten(), whole(choices) - FIRST_LIGHT, strengths.cpu().numpy()
        numbers = np.choose(np.maximum(codes, 0), [number(s) for _, number in LIGHTS.values()])
        x = x.contiguous()
        found = x.clone() if x.is_floating_point() else as_numbers(x)
        found.index_copy_(0, rows, warp(x.index_select(0, rows), places(x, choices[rows], strengths[rows])))
        fast.lights(found.numpy(), codes, numbers, np.array(light.shares(x)))
        return found
    x = only(as_numbers(x), moved.long(), {1: lambda part, rows: warp(part, places(part, choices[rows], strengths[rows]))})
    for choice, s in zip(choices.T, strengths.T, strict=True):
        serve = {
            CHANGES.index(name): lambda part, rows, change=change, number=number, s=s: change(part, number(s[rows]))
            for name, (change, number) in LIGHTS.items()
        }
        x = only(x, choice, serve)
    return x


def places(x: Tensor, choices: Tensor, strengths: Tensor) -> Tensor:  # (N, 3, 3)
    """All rounds in one matrix. Those that were not chosen have strength 0."""
    height, width = x.shape[2:]
    s, choice = strengths.cpu().numpy(), choices.cpu().numpy()
    turn, slant, slope, right, down = (s * (choice == 1 + k) for k in range(len(PLACES)))
    angle = np.deg2rad(turn * DEGREES)
    cos, sin = np.cos(angle), np.sin(angle)
    # Rotation, shear and translation in one matrix, since of the five one at most is not 0.
    steps = affine(cos, -sin - slant * SLOPE, -right * SHARE * width, sin - slope * SLOPE, cos, -down * SHARE * height)
    return reduce(torch.matmul, steps.unbind(1))


def only(x: Tensor, kinds: Tensor, serve: dict[int, Callable[[Tensor, Tensor], Tensor]]) -> Tensor:
    """x, and `serve[kind](images, rows)` in place of the images of that kind: sorted by kind, so that each lies in one piece."""
    order = kinds.argsort(stable=True)
    counts = kinds.bincount(minlength=1 + max(serve)).tolist()
    there = order.to(x.device)
    pieces = [
        serve[kind](part, rows) if kind in serve and len(rows) else part
        for kind, (part, rows) in enumerate(zip(x.index_select(0, there).split(counts), order.split(counts), strict=True))
    ]
    back = torch.empty_like(there).scatter_(0, there, torch.arange(len(x), device=x.device))
    return torch.cat(pieces).index_select(0, back)


class RandAugment(Augmentation):
    """`count` changes out of fourteen for each image, all of one magnitude (Cubuk et al., 2020).

    Changes of place are composed and come before those of light, so that an image is resampled once at most; the paper
    applies them in the order drawn. Signs are random where a change has two sides.
    """

    paper = "Cubuk et al., RandAugment: Practical automated data augmentation, CVPR Workshops 2020; arXiv:1909.13719"
    use = "Photographs and long training, after flip and crop; set magnitude (5 to 15), leave count at 2."
    hurts = "Short training and small models; digits and gray images, for which half of the changes mean nothing."
    cost = "One resampling of half of the images, and up to five passes over an image, in the cache, for each of count."
    measured = (
        "At its defaults: +1.19 points of accuracy [+0.04, +2.35] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds); 1.94 times the step."
    )
    main = "magnitude"

    magnitude: float = knob(9.0, "how strong, on the paper's scale", valid=(0, 30), closed=True, search=(3.0, 20.0))
    count: int = option(2, "changes for each image")

    def check(self):
        if self.count < 1:
            raise SettingError(f"RandAugment.count = {self.count} is below 1")

    def augment(self, x, draws):
        strength = self.magnitude / 30
        u = uniform(len(x), 2 * self.count, draws)
        choices, signs = u[: self.count].T, u[self.count :].T
        return apply(x, (choices * len(CHANGES)).long(), torch.where(signs < 0.5, -strength, strength))


class TrivialAugment(Augmentation):
    """One change out of fourteen for each image, of a random strength (Müller & Hutter, 2021), on the ranges of RandAugment."""

    paper = "Müller & Hutter, TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation, ICCV 2021; arXiv:2103.10158"
    use = "As RandAugment, where nothing is to be tuned; leave strength."
    hurts = "As RandAugment; it is milder, since one image in fourteen stays as it is and most strengths are small."
    cost = "One resampling of a third of the images, and up to five passes over each of the others, in the cache."
    measured = (
        "At its defaults: +1.22 points of accuracy [+0.41, +2.03] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds); 1.62 times the step."
    )
    main = "strength"

    strength: float = knob(1.0, "largest strength, as a share of RandAugment's magnitude 30", valid=(0, 1), closed=True, search=(0.3, 1.0))

    def augment(self, x, draws):
        choice, sign = uniform(len(x), 2, draws)[:, :, None]
        return apply(x, (choice * len(CHANGES)).long(), (2 * sign - 1) * self.strength)

"""Images moved by whole pixels, and parts of them hidden. Bytes stay bytes."""

from math import inf

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from steepest.core.errors import SettingError, nearest
from steepest.core.knob import knob, option
from steepest.regularizers.augment.common import Augmentation, hide, passes, refuse_but_images, shift, spread, windows
from steepest.regularizers.augment.draws import drawn
from steepest.regularizers.base import BatchError

# What lies beyond the edge, and torch's name for it.
BORDERS = {"zeros": "constant", "edge": "replicate", "reflect": "reflect"}


def flip(x: Tensor, chosen: Tensor, axis: int = -1) -> Tensor:
    """The chosen images mirrored: left and right (axis -1), or top and bottom (-2)."""
    refuse_but_images(x)
    if chosen.dtype != torch.bool or chosen.shape != (len(x),):
        raise BatchError(f"flip of {len(x)} images needs as many booleans, not {tuple(chosen.shape)} of {chosen.dtype}")
    if fast := passes(x):
        found, none = torch.empty(x.shape, dtype=x.dtype), np.zeros(len(x), np.bool_)
        fast.mirror(x.contiguous().numpy(), found.numpy(), *(chosen.cpu().numpy(), none)[:: 1 if axis in (-1, 3) else -1])
        return found
    mirrored = x.flip(axis)
    if x.is_floating_point():
        return torch.lerp(x, mirrored, spread(chosen, x))  # at weights 0 and 1 it is exact, and far faster than where
    return torch.cat([x, mirrored]).index_select(0, torch.arange(len(x), device=x.device) + len(x) * chosen.to(x.device))


def crop(x: Tensor, top: Tensor, left: Tensor, height: int, width: int, padding: int = 0, border: str = "zeros") -> Tensor:
    """Windows (N, C, height, width), their corners counted from the corner of the padded image."""
    refuse_but_images(x)
    if border not in BORDERS:
        raise SettingError(f"unknown border {border!r}{nearest(border, BORDERS)}")
    rows, columns = (n + 2 * padding for n in x.shape[2:])
    if height > rows or width > columns:
        raise BatchError(
            f"a crop of {height}x{width} is larger than the image of {x.shape[2]}x{x.shape[3]} padded by {padding} ({rows}x{columns})"
        )
    if border == "reflect" and padding >= min(x.shape[2:]):
        raise BatchError(
            f"an image of {x.shape[2]}x{x.shape[3]} reflects less than {min(x.shape[2:])} pixels, not {padding}; try border='edge'"
        )
    for corner, n in ((top, rows - height), (left, columns - width)):
        low, high = (int(v) for v in corner.aminmax()) if corner.numel() else (0, 0)
        if corner.shape != (len(x),) or not 0 <= low <= high <= n:
            raise BatchError(
                f"a crop of {height}x{width} out of {rows}x{columns} needs {len(x)} corners from 0 to {n}, not {corner.tolist()!s:.60}"
            )
    if border == "zeros" and (height, width) == x.shape[2:]:
        return shift(x, top - padding, left - padding)
    padded = F.pad(x, (padding,) * 4, mode=BORDERS[border]) if padding and len(x) else F.pad(x, (padding,) * 4)
    return windows(padded, top, left, height, width)


def erase(x: Tensor, top: Tensor, bottom: Tensor, left: Tensor, right: Tensor, value: float = 0.0) -> Tensor:
    """x, and `value` where top <= row < bottom and left <= column < right. Bytes count as [0, 1]."""
    refuse_but_images(x)
    return hide(x, torch.stack([top, bottom, left, right], -1)[:, None], level(value, x))


def level(value: float, x: Tensor) -> Tensor:  # (N,)
    """An amount of light as x counts it."""
    return torch.full((len(x),), min(max(round(255 * value), 0), 255) if x.dtype == torch.uint8 else value, dtype=x.dtype)


class Flip(Augmentation):
    """Mirrors images, each with a probability of its own."""

    use = "Where a mirrored image means the same: natural images, horizontally; views from above, also vertically. First to try."
    hurts = "Digits, letters, road signs, left and right hands: the label changes with the mirror."
    cost = "One copy of the batch for each axis."
    measured = (
        "At its defaults: -2.42 points of accuracy [-3.34, -1.50] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds); 1.06 times the step."
    )
    main = "horizontal"

    horizontal: float = knob(0.5, "probability of left for right", valid=(0, 1), closed=True, search=(0.0, 0.5))
    vertical: float = knob(0.0, "probability of top for bottom", valid=(0, 1), closed=True, search=(0.0, 0.5))

    def augment(self, x, draws):
        refuse_but_images(x)
        across, down = drawn(len(x), 2, draws)
        if self.horizontal:
            x = flip(x, torch.from_numpy(across < self.horizontal))
        if self.vertical:
            x = flip(x, torch.from_numpy(down < self.vertical), -2)
        return x


class Crop(Augmentation):
    """A random window of the padded image; every place is equally likely (He et al., 2016, for CIFAR-10)."""

    paper = "He et al., Deep Residual Learning for Image Recognition, CVPR 2016; arXiv:1512.03385"
    use = "Nearly all image classification; set padding to an eighth of the side (4 for CIFAR-10, 2 to 3 for MNIST)."
    hurts = "Where the place in the image means something, or where what matters lies at the edge."
    cost = "One copy of the batch; three with another border or size."
    measured = (
        "With padding 1: +0.11 points of accuracy [-0.81, +1.02] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds), not distinguishable; 1.08 times the step."
    )
    main = "padding"

    padding: int = option(4, "pixels added at each side")
    size: int = option(0, "side of the window; 0: the image's own")
    border: str = option("zeros", "what is added", choices=tuple(BORDERS))

    def check(self):
        for name in ("padding", "size"):
            if getattr(self, name) < 0:
                raise SettingError(f"Crop.{name} = {getattr(self, name)} is below 0")

    def augment(self, x, draws):
        refuse_but_images(x)
        height, width = (self.size or n for n in x.shape[2:])
        # One more than the largest corner: how many places there are. Below one, crop says what is wrong.
        places = (n + 2 * self.padding - side + 1 for n, side in zip(x.shape[2:], (height, width), strict=True))
        top, left = (torch.from_numpy((u * n).astype(np.int64)) for u, n in zip(drawn(len(x), 2, draws), places, strict=True))
        return crop(x, top, left, height, width, self.padding, self.border)


class Erase(Augmentation):
    """A rectangle of random area and shape is hidden in some images (Zhong et al., 2020, Algorithm 1).

    One that would not fit is cut to the image's side; the paper draws again. Filled with one value; the paper: with noise.
    """

    paper = "Zhong et al., Random Erasing Data Augmentation, AAAI 2020; arXiv:1708.04896"
    use = "Long training on images with occlusion, after flip and crop; set probability (0.25 to 0.5), then largest."
    hurts = "Small objects, which vanish; short training. Leave out Cutout, which does the same."
    cost = "One pass over the batch."
    measured = (
        "At its defaults: -1.73 points of accuracy [-2.85, -0.60] on 200 digits with a small convolutional network (92.0 % without it, "
        "n = 20 seeds); 1.10 times the step."
    )
    main = "probability"

    probability: float = knob(0.5, "share of images that lose a part", valid=(0, 1), closed=True, search=(0.0, 0.6))
    smallest: float = knob(0.02, "least area, as a share of the image's", valid=(0, 1), closed=True)
    largest: float = knob(0.33, "greatest area, as a share of the image's", valid=(0, 1), closed=True, search=(0.1, 0.5))
    aspect: float = knob(3.3, "height over width lies between 1 / aspect and aspect", valid=(1, inf))
    fill: float = knob(0.0, "value of the hidden part; bytes count as [0, 1]", valid=(-inf, inf))

    def check(self):
        if self.smallest > self.largest:
            raise SettingError(f"Erase.smallest = {self.smallest:g} is above Erase.largest = {self.largest:g}; exchange them")

    def augment(self, x, draws):
        refuse_but_images(x)
        if x.dtype == torch.uint8 and not 0 <= self.fill <= 1:
            raise BatchError(f"Erase.fill = {self.fill:g} is outside [0, 1], and the images are bytes")
        height, width = x.shape[2:]
        chance, area, shape, down, across = drawn(len(x), 5, draws)
        area = (self.smallest + area * (self.largest - self.smallest)) * height * width
        ratio = self.aspect ** (2 * shape - 1)
        tall, wide = (np.clip(np.rint(np.sqrt(a)), 1, n) for a, n in ((area * ratio, height), (area / ratio, width)))
        wide *= chance < self.probability
        top, left = np.floor(down * (height - tall + 1)), np.floor(across * (width - wide + 1))
        boxes = torch.from_numpy(np.stack([top, top + tall, left, left + wide], -1)[:, None])
        return hide(x, boxes, level(self.fill, x))

"""Sound: waves (N, T) or (N, C, T), and their spectrograms (N, mel, T) or (N, C, mel, T)."""

from math import inf

import numpy as np
import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.core.knob import knob, option
from steepest.regularizers.augment.common import (
    Augmentation,
    hide,
    passes,
    per_sample,
    refuse_but,
    refuse_but_floats,
    shift,
    spread,
    windows,
)
from steepest.regularizers.augment.draws import QUANTILE, drawn, key, normals
from steepest.regularizers.base import BatchError


def time_shift(x: Tensor, steps: Tensor, wrap: bool = False) -> Tensor:
    """Later by `steps` samples (earlier where negative); silence comes in, or with `wrap` what went out."""
    refuse_but_waves(x)
    if steps.shape != (len(x),) or steps.is_floating_point():
        raise BatchError(f"time_shift of {len(x)} sounds needs as many whole numbers, not {tuple(steps.shape)} of {steps.dtype}")
    length = x.shape[-1]
    lines = x.reshape(len(x), x.shape[1:-1].numel(), 1, length)
    none = torch.zeros_like(steps)
    if not wrap:
        return shift(lines, none, -steps).view_as(x)
    steps = steps % length
    reach = int(steps.max()) if len(x) else 0
    return windows(torch.cat([lines[..., length - reach :], lines], -1), none, reach - steps, 1, length).view_as(x)


def gain(x: Tensor, decibels: Tensor | float) -> Tensor:
    """Louder by so many decibels: x * 10^(decibels / 20). Nothing is clipped."""
    refuse_but_waves(x)
    return x * spread(10 ** (per_sample(decibels, x, "decibels") / 20), x)


def add_noise(x: Tensor, noise: Tensor, decibels: Tensor | float) -> Tensor:
    """x + noise, each sound's own power so many decibels above that of its noise. Silence stays silent."""
    refuse_but_waves(x)
    power = x.square().flatten(1).mean(1), noise.square().flatten(1).mean(1)
    size = (power[0] / power[1].clamp(min=1e-30)).sqrt() * 10 ** (-per_sample(decibels, x, "decibels").to(x.device) / 20)
    return x + noise * spread(size, x)


def mask_bands(x: Tensor, start: Tensor, width: Tensor, axis: int, value: Tensor | float = 0.0) -> Tensor:
    """x, and `value` where start <= position < start + width along the axis; several bands per sample: (N, k)."""
    lines = axis in (-2, x.ndim - 2)
    values = torch.as_tensor(value, dtype=x.dtype, device=x.device).flatten().expand(len(x))
    return hide(pictures(x), torch.from_numpy(band(start.cpu().numpy(), width.cpu().numpy(), lines, max(x.shape[-2:]))), values).view_as(x)


def band(start: np.ndarray, width: np.ndarray, lines: bool, size: int) -> np.ndarray:  # (N, k) -> (N, k, 4)
    """Boxes over some lines or columns of what is nowhere larger than size."""
    found = np.zeros((*start.shape, 4), np.int64)
    mine, other = (0, 2) if lines else (2, 0)
    found[..., mine], found[..., mine + 1], found[..., other + 1] = start, start + width, size
    return found


def pictures(x: Tensor) -> Tensor:  # (N, mel, T) or (N, C, mel, T) -> (N, C, mel, T)
    return x.reshape(len(x), x.shape[1:-2].numel(), *x.shape[-2:])


def refuse_but_waves(x: Tensor) -> None:
    refuse_but(x, (2, 3), "waves (N, T) or (N, C, T)")
    refuse_but_floats(x, "waves")


class TimeShift(Augmentation):
    """Each sound earlier or later by up to a share of its length."""

    use = "Commands and events whose start is not known exactly; set share (0.1)."
    hurts = "Where a sound's beginning is cut off and told the class; less with fill = 'wrap', which suits steady sounds."
    cost = "One copy of the batch; three with fill = 'wrap'."
    measured = (
        "At its defaults: +3.23 points of accuracy [+1.89, +4.57] on the waves of 1,000 spoken digits (70.5 % without it, n = 20 "
        "seeds); 1.05 times the step."
    )
    main = "share"

    share: float = knob(0.1, "largest way, as a share of the length", valid=(0, 1), closed=True, search=(0.02, 0.3))
    fill: str = option("silence", "what comes in", choices=("silence", "wrap"))

    def augment(self, x, draws):
        refuse_but_waves(x)
        (u,) = drawn(len(x), 1, draws)
        steps = np.rint((2 * u - 1) * self.share * x.shape[-1]).astype(np.int64)
        return time_shift(x, torch.from_numpy(steps), self.fill == "wrap")


class Gain(Augmentation):
    """Each sound louder or softer by up to so many decibels."""

    use = "Recordings at several distances and levels; set decibels (6). Nothing to gain where features are normalized per sound."
    hurts = "Where loudness tells the class."
    cost = "One pass over the batch."
    measured = (
        "At its defaults: -1.07 points of accuracy [-2.17, +0.03] on the waves of 1,000 spoken digits (70.5 % without it, n = 20 "
        "seeds), not distinguishable; 1.06 times the step."
    )
    main = "decibels"

    decibels: float = knob(6.0, "largest change, either way", valid=(0, 120), closed=True, search=(1.0, 18.0))

    def augment(self, x, draws):
        refuse_but_waves(x)
        (u,) = drawn(len(x), 1, draws)
        return gain(x, torch.from_numpy((2 * u - 1) * self.decibels))


class AudioNoise(Augmentation):
    """White noise, at a ratio of signal to noise from [lowest, highest] decibels."""

    use = "Recordings from quiet rooms that must work in others; set lowest (10), the loudest noise."
    hurts = "Below about 5 decibels, and where faint sounds tell the class."
    cost = "A normal number for each sample of sound: the costliest change of sound here."
    measured = (
        "At its defaults: -0.16 points of accuracy [-0.93, +0.62] on the waves of 1,000 spoken digits (70.5 % without it, n = 20 "
        "seeds), not distinguishable; 1.25 times the step."
    )
    main = "lowest"

    lowest: float = knob(10.0, "least ratio of signal to noise, in decibels", valid=(-inf, inf), search=(0.0, 30.0))
    highest: float = knob(40.0, "greatest ratio of signal to noise, in decibels", valid=(-inf, inf))

    def check(self):
        if self.lowest > self.highest:
            raise SettingError(f"AudioNoise.lowest = {self.lowest:g} is above AudioNoise.highest = {self.highest:g}; exchange them")

    def augment(self, x, draws):
        refuse_but_waves(x)
        counted, (u,) = key(draws), drawn(len(x), 1, draws)
        decibels = torch.from_numpy(self.lowest + u * (self.highest - self.lowest))
        if fast := passes(x):
            found = torch.empty(x.shape, dtype=x.dtype)
            sizes = 10 ** (-decibels.numpy() / 20)
            fast.noise(x.contiguous().flatten(1).numpy(), found.flatten(1).numpy(), np.uint64(counted), sizes, QUANTILE)
            return found
        return add_noise(x, normals(counted, tuple(x.shape)).to(x.device, x.dtype), decibels)


class SpecAugment(Augmentation):
    """Bands of frequency and of time are hidden in each spectrogram (Park et al., 2019); without time warping.

    A band's width is uniform from 0 to its share of the axis, its place uniform among those where it fits.
    """

    paper = (
        "Park et al., SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition, Interspeech 2019; arXiv:1904.08779"
    )
    use = "Speech and sounds as spectrograms; set frequency (0.3), then time (0.1 to 0.25)."
    hurts = "Short sounds, of which little remains; spectrograms in decibels, whose zero is loud: use fill = 'mean'."
    cost = "One pass over the batch."
    measured = (
        "At its defaults: -4.37 points of accuracy [-5.38, -3.36] on the spectrograms of 1,000 spoken digits (91.8 % without it, n = "
        "20 seeds); 1.13 times the step."
    )
    main = "frequency"

    frequency: float = knob(0.3, "widest band of frequencies, as a share of them", valid=(0, 1), closed=True, search=(0.1, 0.5))
    time: float = knob(0.1, "longest band of time, as a share of the length", valid=(0, 1), closed=True, search=(0.05, 0.3))
    frequency_bands: int = option(2, "how many bands of frequencies")
    time_bands: int = option(2, "how many bands of time")
    fill: str = option("zero", "what hides: zero, or each spectrogram's mean", choices=("zero", "mean"))

    def check(self):
        for name in ("frequency_bands", "time_bands"):
            if getattr(self, name) < 0:
                raise SettingError(f"SpecAugment.{name} = {getattr(self, name)} is below 0")

    def augment(self, x, draws):
        refuse_but(x, (3, 4), "spectrograms (N, mel, T) or (N, C, mel, T)")
        refuse_but_floats(x, "spectrograms")
        values = x.mean(tuple(range(1, x.ndim))) if self.fill == "mean" else x.new_zeros(len(x))
        bands = self.frequency_bands, self.time_bands
        u = drawn(len(x), 2 * sum(bands), draws).T  # both axes at once: a sample's row holds all of its numbers
        boxes = []
        for axis, share, k, mine in zip((-2, -1), (self.frequency, self.time), bands, np.split(u, [2 * bands[0]], 1), strict=True):
            width = (mine[:, :k] * (int(share * x.shape[axis]) + 1)).astype(np.int64)
            start = (mine[:, k:] * (x.shape[axis] - width + 1)).astype(np.int64)
            boxes.append(band(start, width, axis == -2, max(x.shape[-2:])))
        return hide(pictures(x), torch.from_numpy(np.concatenate(boxes, 1)), values).view_as(x)

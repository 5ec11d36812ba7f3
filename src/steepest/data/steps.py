"""Steps of preprocessing: what each learns from training inputs, and what it does to a batch."""

from math import inf

import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.core.knob import Settings, knob, option
from steepest.data import audio
from steepest.data.parts import DataError


class Step(Settings):
    """One step of preprocessing: what it learns from training inputs, and what it does to a batch of inputs."""

    def fit(self, x: Tensor) -> dict[str, Tensor]:
        return {}

    def apply(self, x: Tensor, fitted: dict[str, Tensor]) -> Tensor:
        raise NotImplementedError


class Scale(Step):
    """Into [0, 1]: bytes by 255, other numbers by the smallest and largest of the training data."""

    def fit(self, x: Tensor) -> dict[str, Tensor]:
        if x.dtype == torch.uint8:
            return {"low": torch.tensor(0.0), "range": torch.tensor(255.0)}
        low, high = fractions(x.min()), fractions(x.max())
        return {"low": low, "range": torch.where(high > low, high - low, 1.0)}

    def apply(self, x: Tensor, fitted: dict[str, Tensor]) -> Tensor:
        x = fractions(x)
        return x / fitted["range"] if not fitted["low"] else (x - fitted["low"]) / fitted["range"]


class Standardize(Step):
    """Mean 0 and deviation 1, for each channel of images and sound, for each column of a table."""

    def fit(self, x: Tensor) -> dict[str, Tensor]:
        x = fractions(x)
        dims = [d for d in range(x.ndim) if d != 1] if x.ndim > 1 else [0]
        deviation, mean = torch.std_mean(x, dim=dims, keepdim=True, correction=0)
        return {"mean": mean[0], "deviation": torch.where(deviation > 0, deviation, 1.0)[0]}

    def apply(self, x: Tensor, fitted: dict[str, Tensor]) -> Tensor:
        mean = fitted["mean"]
        # Checked, since numbers of another shape might be stretched to this one without a word.
        if x.ndim != mean.ndim + 1 or x.shape[1:2] != mean.shape[:1]:
            learned = ", ".join(["N", *map(str, mean.shape[:1]), *["..."] * (mean.ndim - 1)])
            raise DataError(f"inputs of shape {tuple(x.shape)} cannot be standardized: what was learned is for ({learned})")
        return (fractions(x) - mean) / fitted["deviation"]


class Level(Step):
    """Sound to a common level: the root mean square of the training data, or of each sample, becomes `level`."""

    level: float = knob(0.1, "root mean square afterwards", valid=(1e-6, inf))
    each: bool = option(False, "bring each sample to the level, rather than all by one factor")

    def fit(self, x: Tensor) -> dict[str, Tensor]:
        return {"rms": fractions(x).square().mean().sqrt().clamp(min=1e-8)}

    def apply(self, x: Tensor, fitted: dict[str, Tensor]) -> Tensor:
        x = fractions(x)
        if not self.each:
            return x * (self.level / fitted["rms"])
        rms = x.square().mean(dim=tuple(range(1, x.ndim)), keepdim=True).sqrt()
        return x * (self.level / rms.clamp(min=1e-8))


# Sounds at a time: what lies between waves and features is many times as large as either.
SOUNDS = 256


class Spectrogram(Step):
    """Sound (N, T) as features (N, F, frames): decibels in bands, or cepstral coefficients; below them their changes."""

    kind: str = option("mfcc", "cepstral coefficients, or decibels in bands", choices=("mfcc", "logmel"))
    rate: int = option(8000, "samples in a second")
    window: int = option(256, "samples in a frame")
    hop: int = option(80, "samples from one frame to the next")
    bands: int = option(40, "bands of frequency, at equal distances to the ear")
    coefficients: int = option(13, "how many cepstral coefficients, of as many as there are bands")
    deltas: int = option(0, "changes, and changes of changes, over 9 frames, as further features", choices=(0, 1, 2))

    def check(self) -> None:
        if min(self.rate, self.hop, self.bands, self.coefficients) < 1 or self.window < 2:
            raise SettingError(f"{self!r}: rate, hop, bands and coefficients are at least 1, and window 2")
        if self.kind == "mfcc" and self.coefficients > self.bands:
            raise SettingError(f"Spectrogram.coefficients = {self.coefficients} are more than the {self.bands} bands they are made of")
        empty = (audio.mel_filters(self.rate, self.window, self.bands).amax(1) == 0).sum()
        if empty:
            raise SettingError(f"{self!r}: {int(empty)} bands are narrower than what the window tells apart; use fewer, or a longer window")

    def apply(self, x: Tensor, fitted: dict[str, Tensor]) -> Tensor:
        if x.ndim != 2:
            raise DataError(f"a spectrogram is made of sound (N, T), not of {tuple(x.shape)}")
        return torch.cat([self._features(fractions(some)) for some in x.split(SOUNDS)])

    def _features(self, x: Tensor) -> Tensor:
        shape = self.rate, self.window, self.hop, self.bands
        found = audio.log_mel(x, *shape) if self.kind == "logmel" else audio.mfcc(x, *shape, self.coefficients)
        return torch.cat([found, *(audio.delta(found, order) for order in range(1, self.deltas + 1))], 1)


def fractions(x: Tensor) -> Tensor:
    return x.to(torch.get_default_dtype())


PREPROCESS: dict[str, type[Step]] = {"scale": Scale, "standardize": Standardize, "level": Level, "spectrogram": Spectrogram}

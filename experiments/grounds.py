"""Small tasks to measure regularizers on: digits, sounds, reviews, each with a network that learns it in a second. Not a library."""

import os
import re
import tarfile
import wave
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from runs import plain
from sklearn.datasets import load_digits
from torch import Tensor, nn

import steepest as sp
from steepest.core.rng import generator
from steepest.data.vocabulary import Vocabulary

Parts = tuple[tuple[Tensor, Tensor], ...]


@dataclass(frozen=True)
class Ground:
    """A small task: its samples, how many are learned from and how many stopped by (the rest judge), its model and recipe."""

    about: str
    samples: Callable[[], tuple[Tensor, Tensor]]
    learn: int
    model: Callable[[], nn.Module]
    recipe: sp.Recipe
    stop: int = 100

    def parts(self, seed: int) -> Parts:
        """To learn from, to stop by, to judge by: others for each seed."""
        x, y = drawn(self.samples)
        order = torch.randperm(len(y), generator=generator(seed, "parts"))
        return tuple((x[i], y[i]) for i in order.split([self.learn, self.stop, len(y) - self.learn - self.stop]))

    def task(self, parts: Parts) -> sp.Task:
        return sp.Task(model=self.model, data=parts[:2], metrics=["accuracy"])


@cache
def drawn(samples: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return samples()


def stored(name: str) -> Path:
    path = Path(os.environ.get("STEEPEST_DATA", "")) / name
    if "STEEPEST_DATA" not in os.environ or not path.is_file():
        raise FileNotFoundError(f"$STEEPEST_DATA/{name}")
    return path


def digits() -> tuple[Tensor, Tensor]:
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x / 16, dtype=torch.float32).view(-1, 1, 8, 8), torch.tensor(y)


@cache
def waves() -> tuple[Tensor, Tensor]:
    """3,000 spoken digits: the first half second of each, at 8 kHz."""
    found = []
    with tarfile.open(stored("fsdd/recordings.tar")) as tar:
        for member in sorted((m for m in tar if m.name.endswith(".wav")), key=lambda m: m.name):
            with wave.open(tar.extractfile(member)) as sound:  # type: ignore[arg-type]
                heard = np.frombuffer(sound.readframes(4096), dtype="<i2") / 32768
            found.append((np.pad(heard, (0, 4096 - len(heard))), int(Path(member.name).name[0])))
    x, y = zip(*found, strict=True)
    return torch.tensor(np.array(x), dtype=torch.float32), torch.tensor(y)


def spectrograms() -> tuple[Tensor, Tensor]:
    """Their logarithmic power in 32 bands of equal width, (N, 32, 33); each with mean 0 and deviation 1."""
    x, y = waves()
    power = torch.stft(x, 256, 128, window=torch.hann_window(256), return_complex=True)[:, 1:].abs().square()
    z = (power.unflatten(1, (32, 4)).mean(2) + 1e-6).log()
    return (z - z.mean((1, 2), keepdim=True)) / z.std((1, 2), keepdim=True), y


def reviews() -> tuple[Tensor, Tensor]:
    """4,000 reviews of IMDb's training part, 200 tokens of the 5,000 most frequent."""
    texts: dict[int, list[str]] = {0: [], 1: []}
    with tarfile.open(stored("imdb/aclImdb_labeled.tar.xz"), "r|xz") as tar:
        for member in tar:
            if kind := re.search(r"train/(neg|pos)/\d+_\d+\.txt$", member.name):
                mine = texts[int(kind[1] == "pos")]
                if len(mine) < 2000:
                    mine.append(tar.extractfile(member).read().decode().replace("<br />", " "))  # type: ignore[union-attr]
                elif all(len(some) == 2000 for some in texts.values()):
                    break
    both = texts[0] + texts[1]
    return Vocabulary(size=5000, length=200).fit(both)(both), torch.tensor([0] * len(texts[0]) + [1] * len(texts[1]))


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def image_model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), Residual(16), nn.MaxPool2d(2), Residual(16), Residual(16),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def wave_model() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 16, 64, 16), nn.ReLU(), nn.Conv1d(16, 32, 9, 4), nn.ReLU(),
        nn.Conv1d(32, 64, 9, 4), nn.ReLU(), nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip


def sound_model() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 32)), nn.Conv2d(1, 16, 3, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip


class Words(nn.Module):
    """Embeddings, a convolution over three words, its largest answer anywhere (Kim, 2014): order matters."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.conv, self.head = nn.Embedding(5000, 32, padding_idx=0), nn.Conv1d(32, 64, 3), nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(self.embed(x).mT).relu().amax(2))


def adam(epochs: int) -> sp.Recipe:
    return plain(optimizer={"rule": "adamw", "lr": 3e-3}, batch={"size": 50}, stop={"epochs": epochs})


MOMENTUM = plain(optimizer={"rule": "momentum", "lr": 0.03}, batch={"size": 32}, stop={"epochs": 80})
GROUNDS = {
    "digits": Ground("200 digits with a small convolutional network", digits, 200, image_model, MOMENTUM),
    "waves": Ground("the waves of 1,000 spoken digits", waves, 1000, wave_model, adam(20)),
    "spectrograms": Ground("the spectrograms of 1,000 spoken digits", spectrograms, 1000, sound_model, adam(20)),
    "reviews": Ground("1,900 reviews", reviews, 1900, Words, adam(8)),
}

"""Sound: WAV files of any kind as mono of one rate, and spoken digits by name."""

import io
import re
import warnings
from collections import Counter
from math import gcd
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.data.archive import members
from steepest.data.parts import DataError
from steepest.data.places import File, find, obtain, remembered
from steepest.data.split import Data, labelled

# The whole range of each kind of sample; bytes are counted from 128.
RANGE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63}

# Samples in a second, from a bad telephone to what bats are recorded with.
RATES = (1000, 768_000)


def read_wav(raw: bytes, name: str) -> tuple[np.ndarray, int]:
    """Samples in [-1, 1] as float32, channels averaged, and how many there are in a second. PCM of 8 to 32 bits, or fractions."""
    from scipy.io import wavfile  # these take a while, and only here

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", category=wavfile.WavFileWarning)  # a file that ends early
            warnings.filterwarnings("ignore", message="Chunk .non-data. not understood", category=wavfile.WavFileWarning)
            rate, samples = wavfile.read(io.BytesIO(raw))
    except (ValueError, wavfile.WavFileWarning) as problem:
        raise DataError(f"{name} is no WAV file that can be read: {' '.join(str(problem).split())}") from None
    except Exception:  # of what kind depends on where the file is damaged
        raise DataError(f"{name} is no WAV file that can be read: its header is damaged") from None
    if samples.size == 0:
        raise DataError(f"{name} has no samples")
    if not RATES[0] <= rate <= RATES[1]:
        raise DataError(f"{name} says that it has {rate:,} samples in a second; they are {RATES[0]:,} to {RATES[1]:,}")
    if not np.isfinite(samples).all():
        raise DataError(f"{name} holds NaN or Inf")
    kind = samples.dtype.str[1:]
    x = samples.astype(np.float64) - (128 if kind == "u1" else 0)
    return ((x.mean(1) if x.ndim > 1 else x) / RANGE.get(kind, 1.0)).astype(np.float32), rate


def resampled(x: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """The same sound with another number of samples in a second."""
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    return resample_poly(x, wanted // common, rate // common).astype(np.float32) if rate != wanted else x


def fitted(x: np.ndarray, length: int) -> np.ndarray:
    """Cut at the end, or silence added there."""
    return np.pad(x[:length], (0, max(0, length - len(x))))


FSDD = File(
    "free-spoken-digit-dataset-1.0.10.tar.gz",
    (
        "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz",
        "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/heads/master.tar.gz",
    ),
)
RECORDING = re.compile(r"recordings/(\d)_([^/_]+)_(\d+)\.wav$")


def fsdd(seconds: float, rate: int) -> Data:
    """Free Spoken Digit Dataset (Jackson et al.): `recordings/{digit}_{speaker}_{index}.wav`; the test part is index 0 to 4."""
    if not 0 < seconds <= 60 or not RATES[0] <= rate <= RATES[1]:
        raise SettingError(f"fsdd(seconds={seconds:g}, rate={rate}): above 0 and at most 60, and {RATES[0]:,} to {RATES[1]:,}")
    path = find("fsdd", [FSDD.name, "recordings.tar", "free-spoken-digit-dataset-master", "recordings"]) or obtain("fsdd", [FSDD])[0]
    parts = remembered(f"fsdd-{seconds:g}-{rate}", [path], lambda: _recordings(path, round(seconds * rate), rate))
    # Two bytes a sample on disk; fractions from here on.
    train, test = ((parts[f"{part}.x"].float() / RANGE["i2"], parts[f"{part}.y"]) for part in ("train", "test"))
    return labelled("fsdd", train, test, 10)


def _recordings(path: Path, length: int, rate: int) -> dict[str, Tensor]:
    found: dict[str, list] = {f"{part}.{what}": [] for part in ("train", "test") for what in "xy"}
    others: Counter[int] = Counter()
    for name, raw in members(path, lambda name: RECORDING.search(name) is not None):
        digit, _, index = RECORDING.search(name).groups()  # type: ignore[union-attr]
        x, own = read_wav(raw, f"{name} of {path}")
        others[own] += own != rate
        part = "test" if int(index) < 5 else "train"
        loud = np.clip(np.round(fitted(resampled(x, own, rate), length) * RANGE["i2"]), -RANGE["i2"], RANGE["i2"] - 1)
        found[f"{part}.x"].append(loud.astype(np.int16))
        found[f"{part}.y"].append(int(digit))
    if not found["train.x"] or not found["test.x"]:
        raise DataError(f"{path} has no recordings/{{digit}}_{{speaker}}_{{index}}.wav with index 0 to 4, and from 5 on")
    for own, count in others.items():
        if count:
            warnings.warn(f"{count} recordings of {path.name} were resampled from {own:,} to {rate:,} Hz", RuntimeWarning, stacklevel=2)
    return {key: torch.from_numpy(np.stack(x)) if key.endswith("x") else torch.tensor(x) for key, x in found.items()}

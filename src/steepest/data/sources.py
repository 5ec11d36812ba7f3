"""Named data sets. Read when first asked for, from `$STEEPEST_DATA/<name>/` where they are not part of a package."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steepest.data.idx import read_idx
from steepest.data.parts import Arrays, DataError
from steepest.data.split import Data, carve


@dataclass(frozen=True)
class Source:
    """A data set by name, read when called."""

    name: str
    read: Callable[[], Data]

    def __call__(self) -> Data:
        return self.read()


def digits() -> Source:
    """1,797 digits of 8 x 8 from scikit-learn: one in five is the test part. Always there."""
    return Source("digits", _digits)


def mnist() -> Source:
    """60,000 + 10,000 digits of 28 x 28 (LeCun et al., 1998): the four original files under `$STEEPEST_DATA/mnist/`."""
    return Source("mnist", _mnist)


SOURCES: dict[str, Callable[[], Source]] = {"digits": digits, "mnist": mnist}


def _digits() -> Data:
    from sklearn.datasets import load_digits  # seconds, and only here

    bunch: Any = load_digits()
    x = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
    y = torch.from_numpy(bunch.target).long()
    test, train = carve(len(y), y, 0.2)
    whole = Arrays((x, y))
    return Data(whole.subset(train), test=whole.subset(test))


def _mnist() -> Data:
    def images(part: str) -> Tensor:
        return read_idx(file("mnist", f"{part}-images-idx3-ubyte")).unsqueeze(1)

    def labels(part: str) -> Tensor:
        return read_idx(file("mnist", f"{part}-labels-idx1-ubyte")).long()

    return Data(Arrays((images("train"), labels("train"))), test=Arrays((images("t10k"), labels("t10k"))))


def file(source: str, name: str) -> Path:
    """A file of a data set, packed or not, with `.` or `-` before what it is."""
    root = os.environ.get("STEEPEST_DATA")
    if not root:
        raise DataError(f"{source} is looked for in $STEEPEST_DATA/{source}/, and STEEPEST_DATA is not set; put {name}[.gz] there")
    folder = Path(root) / source
    names = [name, name.replace("-idx", ".idx")]
    for path in (folder / f"{n}{suffix}" for n in names for suffix in ("", ".gz")):
        if path.is_file():
            return path
    raise DataError(f"{source} is not complete: {folder} holds no {name} (packed as .gz or not)")

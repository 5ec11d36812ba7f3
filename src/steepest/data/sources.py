"""Named data sets. Read when first asked for, from `$STEEPEST_DATA/<name>/` where they are not part of a package."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from steepest.data.idx import read_idx
from steepest.data.parts import Arrays, DataError, Part, part
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
    names = [f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
    paths = files("mnist", names)
    train, test = (_images_and_labels(*paths[k : k + 2]) for k in (0, 2))
    return Data(train, test=test)


def _images_and_labels(images: Path, labels: Path) -> Part:
    x, y = read_idx(images), read_idx(labels)
    if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
        raise DataError(f"{images} and {labels} hold {tuple(x.shape)} and {tuple(y.shape)}; they must be (N, rows, columns) and (N,)")
    return part((x.unsqueeze(1), y.long()), images.name)


def files(source: str, names: Sequence[str]) -> list[Path]:
    """The files of a data set, packed or not, with `.` or `-` before what they are; or which to put where."""
    root = os.environ.get("STEEPEST_DATA")
    if not root:
        raise DataError(
            f"{source} is read from $STEEPEST_DATA/{source}/, and STEEPEST_DATA is not set; "
            f"set it to a folder, and put there, in {source}/: {', '.join(names)} (packed as .gz or not)"
        )
    folder = Path(root) / source
    found = {name: _file(folder, name) for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise DataError(f"{source} is not complete: put {', '.join(missing)} (packed as .gz or not) into {folder}")
    return [path for path in found.values() if path]


def _file(folder: Path, name: str) -> Path | None:
    spelled = (folder / f"{stem}{suffix}" for stem in (name, name.replace("-idx", ".idx")) for suffix in ("", ".gz"))
    return next((path for path in spelled if path.is_file()), None)

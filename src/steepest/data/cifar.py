"""CIFAR from its binary records, or from JPEG: bytes (N, 3, 32, 32)."""

import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steepest.data.archive import members, unpacked
from steepest.data.parts import DataError
from steepest.data.places import File, find, obtain, remembered
from steepest.data.split import Data, labelled

CIFAR10 = File(
    "cifar-10-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz"),
    "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
CIFAR100 = File(
    "cifar-100-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "https://cave.cs.toronto.edu/kriz/cifar-100-binary.tar.gz"),
    "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
)

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]


def cifar10(pixels: str) -> Data:
    """Exact pixels where they are, else those from JPEG, which is said, else the exact ones are downloaded."""
    if pixels == "part":
        paths = obtain("cifar10", [File("data_batch_1.first4000.bin"), File("test_batch.first1000.bin")])
        train, test = (read_cifar(unpacked(path), str(path)) for path in paths)
        return labelled("cifar10", train, test, 10)
    exact, jpeg = _exact_cifar10(), find("cifar10", ["CIFAR-10-images.tar.xz", "CIFAR-10-images"])
    if pixels == "jpeg" or (pixels == "any" and not exact and jpeg):
        if jpeg is None:
            (jpeg,) = obtain("cifar10", [File("CIFAR-10-images.tar.xz")])
        if pixels == "any":
            warnings.warn(
                "cifar10 is read from JPEG, which is not exact: figures are not comparable with published ones",
                RuntimeWarning,
                stacklevel=2,
            )
        return _of_batches("cifar10", remembered("cifar10-jpeg", [jpeg], lambda: _from_jpeg(jpeg)))
    paths = exact or obtain("cifar10", [CIFAR10])
    return _of_batches("cifar10", remembered("cifar10", paths, lambda: _from_records(paths, BATCHES[:-1], BATCHES[-1:], 1)))


def cifar100() -> Data:
    found = find("cifar100", ["cifar-100-binary"])
    paths = [found] if found else obtain("cifar100", [CIFAR100])
    return _of_batches("cifar100", remembered("cifar100", paths, lambda: _from_records(paths, ["train.bin"], ["test.bin"], 2)), 100)


def read_cifar(raw: bytes, name: str, labels: int = 1) -> tuple[Tensor, Tensor]:
    """Records of one label byte (CIFAR-100: a coarse one and a fine one, which counts), 1,024 of red, of green, of blue."""
    size = labels + 3072
    if not raw or len(raw) % size:
        raise DataError(f"{name} has {len(raw)} bytes, which are no whole number of records of {size}")
    table = torch.from_numpy(np.frombuffer(raw, np.uint8).reshape(-1, size).copy())
    return table[:, labels:].reshape(-1, 3, 32, 32).contiguous(), table[:, labels - 1].long()


def _exact_cifar10() -> list[Path]:
    """The archive, the folder that it unpacks to, or its files."""
    whole = find("cifar10", [CIFAR10.name, "cifar-10-batches-bin"])
    loose = [find("cifar10", [name]) for name in BATCHES]
    return [whole] if whole else [path for path in loose if path] if all(loose) else []


def _from_records(paths: Sequence[Path], train: Sequence[str], test: Sequence[str], labels: int) -> dict[str, Tensor]:
    batches: dict[str, bytes] = {}
    for path in paths:
        name = path.name.removesuffix(".gz")
        if name in (*train, *test):
            batches[name] = unpacked(path)
        else:
            batches |= {Path(member).name: raw for member, raw in members(path, lambda member: Path(member).name in (*train, *test))}
    missing = [name for name in (*train, *test) if name not in batches]
    if missing:
        raise DataError(f"{paths[0]} has no {', '.join(missing)}")
    parts = {}
    for part, names in (("train", train), ("test", test)):
        pairs = [read_cifar(batches[name], f"{name} of {paths[0]}", labels) for name in names]
        parts |= {f"{part}.x": torch.cat([x for x, _ in pairs]), f"{part}.y": torch.cat([y for _, y in pairs])}
    return parts


JPEG = re.compile(r"(train|test)/([a-z]+)/[^/]+\.jpe?g$")


def _from_jpeg(path: Path) -> dict[str, Tensor]:
    """A folder for each part, and in it one for each class."""
    from PIL import Image, UnidentifiedImageError  # only here

    found: dict[str, list[Any]] = {f"{part}.{what}": [] for part in ("train", "test") for what in "xy"}
    for name, raw in members(path, lambda name: JPEG.search(name) is not None):
        part, label = JPEG.search(name).groups()  # type: ignore[union-attr]
        try:
            pixels = np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"))
        except (UnidentifiedImageError, OSError) as problem:
            raise DataError(f"{name} of {path} is no image: {problem}") from None
        if label not in CIFAR10_CLASSES or pixels.shape != (32, 32, 3):
            raise DataError(f"{name} of {path} is {label!r} of {pixels.shape}; wanted are (32, 32, 3) and {', '.join(CIFAR10_CLASSES)}")
        found[f"{part}.x"].append(pixels.transpose(2, 0, 1))
        found[f"{part}.y"].append(CIFAR10_CLASSES.index(label))
    if not found["train.x"] or not found["test.x"]:
        raise DataError(f"{path} has no images under train/ and test/, in a folder for each class")
    return {key: torch.from_numpy(np.ascontiguousarray(np.stack(x))) if key.endswith("x") else torch.tensor(x) for key, x in found.items()}


def _of_batches(name: str, parts: dict[str, Tensor], classes: int = 10) -> Data:
    return labelled(name, (parts["train.x"], parts["train.y"]), (parts["test.x"], parts["test.y"]), classes)

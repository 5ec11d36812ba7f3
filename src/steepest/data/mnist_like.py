"""Images of digits, and of what was made in their image: bytes (N, 1, rows, columns)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steepest.data.idx import read_idx
from steepest.data.parts import Arrays, DataError
from steepest.data.places import File, obtain
from steepest.data.split import Data, carve, labelled

IDX = [f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]

MIRRORS = {
    "mnist": ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    "fashion_mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    "kmnist": ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/", "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
}

# sha256, in the order of IDX.
CHECKSUMS = {
    "mnist": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    "fashion_mnist": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    "kmnist": (
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
}


def idx_files(name: str) -> list[File]:
    return [
        File(file, tuple(mirror + file for mirror in MIRRORS[name]), f"sha256:{checksum}")
        for file, checksum in zip(IDX, CHECKSUMS[name], strict=True)
    ]


def read(name: str) -> Data:
    """The four files of MNIST, or of what was made in its image."""
    paths = obtain(name, idx_files(name))
    train, test = (_images_and_labels(*paths[k : k + 2]) for k in (0, 2))
    return labelled(name, train, test, 10)


def _images_and_labels(images: Path, labels: Path) -> tuple[Tensor, Tensor]:
    x, y = read_idx(images), read_idx(labels)
    if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
        raise DataError(f"{images} and {labels} hold {tuple(x.shape)} and {tuple(y.shape)}; they must be (N, rows, columns) and (N,)")
    return x.unsqueeze(1), y.long()


def digits() -> Data:
    from sklearn.datasets import load_digits  # seconds, and only here

    bunch: Any = load_digits()
    x = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
    y = torch.from_numpy(bunch.target).long()
    test, train = carve(len(y), y, 0.2)
    whole = Arrays((x, y))
    return Data(whole.subset(train), test=whole.subset(test))

"""Texts with their classes: film reviews and news."""

import re

import numpy as np
import torch
from torch import Tensor

from steepest.data.archive import members, text, unpacked
from steepest.data.delimited import rows
from steepest.data.parts import DataError
from steepest.data.places import File, find, obtain, remembered
from steepest.data.split import Data, labelled

IMDB = File(
    "aclImdb_v1.tar.gz",
    ("https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",),
    "sha256:c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
)
REVIEW = re.compile(r"(?:^|/)(train|test)/(neg|pos)/[^/]+\.txt$")
BREAK = re.compile(r"\s*<br\s*/?>\s*")


def imdb() -> Data:
    """aclImdb: a folder for each part, and in it one for each verdict. `<br />`, which reviews are full of, becomes a line break."""
    path = find("imdb", [IMDB.name, "aclImdb_labeled.tar.xz", "aclImdb.tar.gz", "aclImdb.tar", "aclImdb"])
    path = path or obtain("imdb", [IMDB])[0]

    def decode() -> dict[str, Tensor]:
        texts: dict[str, list[str]] = {"train": [], "test": []}
        labels: dict[str, list[int]] = {"train": [], "test": []}
        for name, raw in members(path, lambda name: REVIEW.search(name) is not None):
            part, verdict = REVIEW.search(name).groups()  # type: ignore[union-attr]
            texts[part].append(BREAK.sub("\n", text(raw, f"{name} of {path}")))
            labels[part].append(int(verdict == "pos"))
        if not texts["train"] or not texts["test"]:
            raise DataError(f"{path} has no reviews under train/ and test/, in neg/ and pos/")
        return _packed(texts, labels)

    return _classified("imdb", remembered("imdb", [path], decode), 2)


NEWS = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
AG_NEWS = [
    File("train.csv", (NEWS + "train.csv",), "md5:b1a00f826fdfbd249f79597b59e1dc12"),
    File("test.csv", (NEWS + "test.csv",), "md5:d52ea96a97a2d943681189a97654912d"),
]


def ag_news() -> Data:
    """Rows of class (1 world, 2 sports, 3 business, 4 science), title, description; the classes are numbered from 0."""
    paths = obtain("ag_news", AG_NEWS)

    def decode() -> dict[str, Tensor]:
        tables = [rows(text(unpacked(path), str(path)), str(path), 3) for path in paths]
        labels = [[_whole(row[0], str(path)) - 1 for row in table] for path, table in zip(paths, tables, strict=True)]
        texts = [[f"{title} {description}" for _, title, description in table] for table in tables]
        return _packed(dict(zip(("train", "test"), texts, strict=True)), dict(zip(("train", "test"), labels, strict=True)))

    return _classified("ag_news", remembered("ag_news", paths, decode), 4)


SST2 = File("SST-2.zip", ("https://dl.fbaipublicfiles.com/glue/data/SST-2.zip",), "md5:9f81648d4199384278b86e315dac217c")


def sst2() -> Data:
    """train.tsv, and as the test part dev.tsv, since the labels of test.tsv were never published."""
    path = find("sst2", [SST2.name, "SST-2"]) or obtain("sst2", [SST2])[0]

    def decode() -> dict[str, Tensor]:
        files = {"train": "SST-2/train.tsv", "test": "SST-2/dev.tsv"}
        found = dict(members(path, lambda name: name in files.values()))
        if len(found) < 2:
            raise DataError(f"{path} has no {' and '.join(files.values())}")
        # The first row names the columns.
        tables = {part: rows(text(found[name], f"{name} of {path}"), f"{name} of {path}", 2, "\t")[1:] for part, name in files.items()}
        labels = {part: [_whole(label, f"{part} of {path}") for _, label in table] for part, table in tables.items()}
        return _packed({part: [sentence.strip() for sentence, _ in table] for part, table in tables.items()}, labels)

    return _classified("sst2", remembered("sst2", [path], decode), 2)


def _whole(said: str, name: str) -> int:
    try:
        return int(said)
    except ValueError:
        raise DataError(f"{name}: the class {said!r} is no whole number") from None


def _packed(texts: dict[str, list[str]], labels: dict[str, list[int]]) -> dict[str, Tensor]:
    """Texts as one run of bytes and where each ends: what plain tensors can hold."""
    found = {}
    for part, each in texts.items():
        encoded = [x.encode() for x in each]
        found[f"{part}.bytes"] = torch.from_numpy(np.frombuffer(b"".join(encoded), np.uint8).copy())
        found[f"{part}.ends"] = torch.tensor([len(x) for x in encoded]).cumsum(0)
        found[f"{part}.y"] = torch.tensor(labels[part])
    return found


def _unpacked(parts: dict[str, Tensor], part: str) -> list[str]:
    whole, ends = parts[f"{part}.bytes"].numpy().tobytes(), parts[f"{part}.ends"].tolist()
    return [whole[lo:hi].decode() for lo, hi in zip([0, *ends[:-1]], ends, strict=True)]


def _classified(name: str, parts: dict[str, Tensor], classes: int) -> Data:
    train, test = ((_unpacked(parts, part), parts[f"{part}.y"]) for part in ("train", "test"))
    return labelled(name, train, test, classes)

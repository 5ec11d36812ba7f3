"""Tables by name: numbers as they are, and of words one column for each that the training rows have."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from steepest.data.archive import members, text, unpacked
from steepest.data.delimited import numbers, rows
from steepest.data.parts import Arrays, DataError
from steepest.data.places import File, find, obtain
from steepest.data.split import Data, carve, labelled

HOUSING = File(
    "cal_housing.tgz",
    ("https://ndownloader.figshare.com/files/5976036", "https://www.dcc.fc.up.pt/~ltorgo/Regression/cal_housing.tgz"),
    "sha256:aaa5c9a6afe2225cc2aed2723682ae403280c4a3695a2ddda4ffb5d8215ea681",
)


def california_housing() -> Data:
    """8 features as scikit-learn derives them, and the median value of a house in 100,000 dollars (Pace & Barry, 1997)."""
    path = find("california_housing", [HOUSING.name, "CaliforniaHousing", "cal_housing.data"])
    path = path or obtain("california_housing", [HOUSING])[0]
    if path.is_file() and path.name.startswith("cal_housing.data"):
        raw = unpacked(path)
    else:
        raw = next((raw for _, raw in members(path, lambda name: name.endswith("cal_housing.data"))), None)
    if raw is None:
        raise DataError(f"{path} has no cal_housing.data")
    table = numbers(rows(text(raw, str(path)), str(path), 9), str(path))
    longitude, latitude, age, rooms, bedrooms, people, households, income, value = table.T
    features = [income, age, rooms / households, bedrooms / households, people, people / households, latitude, longitude]
    x, y = torch.from_numpy(np.stack(features, 1)).float(), torch.from_numpy(value / 100_000).float()
    test, train = carve(len(y), None, 0.2)
    whole = Arrays((x, y))
    return Data(whole.subset(train), test=whole.subset(test))


UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/"
ADULT = [
    File("adult.data", (UCI + "adult.data",), "sha256:5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d"),
    File("adult.test", (UCI + "adult.test",), "sha256:a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05"),
]

# age, fnlwgt, education-num, capital-gain, capital-loss, hours-per-week; the other eight are words.
NUMERIC = (0, 2, 4, 10, 11, 12)
WORDS = tuple(k for k in range(14) if k not in NUMERIC)


def adult() -> Data:
    """Whether somebody earned more than 50,000 dollars in 1994 (Kohavi, 1996). What is unknown, "?", is a word like others."""
    paths = obtain("adult", ADULT)
    tables = []
    for path in paths:
        lines = text(unpacked(path), str(path)).splitlines()
        tables.append(rows("\n".join(line for line in lines if not line.startswith("|")), str(path), 15))
    known = [sorted({row[k] for row in tables[0]}) for k in WORDS]
    parts = []
    for path, table in zip(paths, tables, strict=True):
        numeric = torch.from_numpy(numbers([[row[k] for k in NUMERIC] for row in table], str(path))).float()
        x = torch.cat([numeric, *(one_hot([row[k] for row in table], words) for k, words in zip(WORDS, known, strict=True))], 1)
        parts.append((x, torch.tensor([_earns(row[14], str(path)) for row in table])))
    return labelled("adult", parts[0], parts[1], 2)


def _earns(said: str, name: str) -> int:
    verdict = said.removesuffix(".")
    if verdict not in ("<=50K", ">50K"):
        raise DataError(f"{name}: the income {said!r} is neither <=50K nor >50K")
    return int(verdict == ">50K")


def one_hot(column: Sequence[str], words: Sequence[str]) -> Tensor:  # (N, len(words))
    """A column for each known word; a word that is not known has none."""
    place = {word: k for k, word in enumerate(words)}
    found = torch.zeros(len(column), len(words))
    for row, word in enumerate(column):
        if word in place:
            found[row, place[word]] = 1
    return found

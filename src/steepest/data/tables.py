"""Tables by name: numbers as they are, and of words one column for each that the training rows have."""

import numpy as np
import torch

from steepest.data.archive import members, text, unpacked
from steepest.data.columns import Columns
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

# The words of each column, as adult.names lists them, and ? for what is unknown; none of a column of numbers.
WORDS = {
    "age": "",
    "workclass": "? Federal-gov Local-gov Never-worked Private Self-emp-inc Self-emp-not-inc State-gov Without-pay",
    "fnlwgt": "",
    "education": (
        "10th 11th 12th 1st-4th 5th-6th 7th-8th 9th Assoc-acdm Assoc-voc Bachelors Doctorate HS-grad Masters Preschool "
        "Prof-school Some-college"
    ),
    "education-num": "",
    "marital-status": "Divorced Married-AF-spouse Married-civ-spouse Married-spouse-absent Never-married Separated Widowed",
    "occupation": (
        "? Adm-clerical Armed-Forces Craft-repair Exec-managerial Farming-fishing Handlers-cleaners Machine-op-inspct "
        "Other-service Priv-house-serv Prof-specialty Protective-serv Sales Tech-support Transport-moving"
    ),
    "relationship": "Husband Not-in-family Other-relative Own-child Unmarried Wife",
    "race": "Amer-Indian-Eskimo Asian-Pac-Islander Black Other White",
    "sex": "Female Male",
    "capital-gain": "",
    "capital-loss": "",
    "hours-per-week": "",
    "native-country": (
        "? Cambodia Canada China Columbia Cuba Dominican-Republic Ecuador El-Salvador England France Germany Greece Guatemala "
        "Haiti Holand-Netherlands Honduras Hong Hungary India Iran Ireland Italy Jamaica Japan Laos Mexico Nicaragua "
        "Outlying-US(Guam-USVI-etc) Peru Philippines Poland Portugal Puerto-Rico Scotland South Taiwan Thailand Trinadad&Tobago "
        "United-States Vietnam Yugoslavia"
    ),
}
PEOPLE = Columns([words.split() for words in WORDS.values()])


def adult() -> Data:
    """Whether somebody earned more than 50,000 dollars in 1994 (Kohavi, 1996)."""
    parts = []
    for path in obtain("adult", ADULT):
        lines = text(unpacked(path), str(path)).splitlines()
        table = rows("\n".join(line for line in lines if not line.startswith("|")), str(path), len(WORDS) + 1)
        x = PEOPLE.encoded([row[:-1] for row in table], str(path))
        parts.append((x, torch.tensor([_earns(row[-1], str(path)) for row in table])))
    return labelled("adult", parts[0], parts[1], 2)


def _earns(said: str, name: str) -> int:
    verdict = said.removesuffix(".")
    if verdict not in ("<=50K", ">50K"):
        raise DataError(f"{name}: the income {said!r} is neither <=50K nor >50K")
    return int(verdict == ">50K")

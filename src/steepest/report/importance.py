"""How much each choice of a study went with what came of it."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

Point = Mapping[str, Any]
# Numbers are put into so many groups of equal size.
GROUPS = 4


def importance(points: Sequence[Point], values: Sequence[float]) -> list[tuple[str, float]]:
    """Each choice with its share, the largest first."""
    ranks = ranked(values)
    names = dict.fromkeys(name for point in points for name in point)
    found = [(name, share(grouped([point.get(name) for point in points]), ranks)) for name in names]
    return sorted(found, key=lambda row: -row[1])


def ranked(values: Sequence[float]) -> list[float]:
    places: dict[float, list[int]] = {}
    for place, x in enumerate(sorted(values)):
        places.setdefault(x, []).append(place)
    return [fmean(places[x]) for x in values]


def grouped(values: Sequence[Any]) -> list[str]:
    """Which group each belongs to: quarters of numbers, and whatever else is alike."""
    numbers = sorted(float(x) for x in values if is_number(x))
    if len(set(numbers)) <= GROUPS:
        return [repr(x) for x in values]
    return [str(numbers.index(float(x)) * GROUPS // len(numbers)) if is_number(x) else repr(x) for x in values]


def is_number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool)


def share(groups: Sequence[str], ranks: Sequence[float]) -> float:
    """The correlation ratio, adjusted for the number of groups as R squared is for that of variables."""
    n, k, mean = len(ranks), len(set(groups)), fmean(ranks)
    total = sum((x - mean) ** 2 for x in ranks)
    if k < 2 or n <= k or not total:
        return 0.0
    members = [[x for g, x in zip(groups, ranks, strict=True) if g == one] for one in set(groups)]
    within = sum((x - fmean(xs)) ** 2 for xs in members for x in xs)
    return max(1 - within / total * (n - 1) / (n - k), 0.0)

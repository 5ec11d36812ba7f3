"""Each method by itself: its mean over the seeds, and how sure that is."""

from dataclasses import asdict, dataclass
from math import nan
from typing import Any

import numpy as np

from steepest.compare.scores import Scores, floored, sign_of, table
from steepest.compare.statistics import interval


@dataclass(frozen=True)
class Standing:
    """The mean over `n` seeds, which lies in [low, high] with 95 %.

    Where runs missed, they count as the worst score of any method: the truth may be worse than `mean`, and has no interval.
    """

    method: str
    n: int
    missed: int
    mean: float
    low: float = nan
    high: float = nan

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def standings(scores: Scores, direction: str, seed: int = 0) -> list[Standing]:
    """The best first. Each method's own seeds count, also where others are not yet that far."""
    own = {method: table({method: runs}, direction).values[0] for method, runs in scores.items()}
    bounded = floored(np.concatenate([*own.values(), np.empty(0)]))
    ends = np.cumsum([len(x) for x in own.values()])[:-1]
    rows = zip(own, own.values(), np.split(bounded, ends), strict=True)
    found = [standing(method, raw, x, direction, np.random.default_rng([seed, i])) for i, (method, raw, x) in enumerate(rows)]
    return sorted(found, key=lambda row: -np.nan_to_num(sign_of(direction) * row.mean, nan=-np.inf))


def standing(method: str, raw: np.ndarray, x: np.ndarray, direction: str, rng: np.random.Generator) -> Standing:
    sign, missed = sign_of(direction), int(np.isinf(raw).sum())
    mean = float(sign * x.mean()) if x.size else nan
    if missed or x.size < 2:
        return Standing(method, x.size, missed, mean)
    low, high = sorted(float(end) for end in interval(sign * x, rng))
    return Standing(method, x.size, missed, mean, low, high)

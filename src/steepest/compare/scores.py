"""What is compared: a score for each method and seed, as plain dicts, and as an array in which more is better."""

from collections.abc import Mapping
from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np

from steepest.core.errors import SettingError, nearest

# By method and seed. A run that diverged has None (or NaN, or an infinity): it is a miss, the worst that can be. One that is not
# there was not made, or not yet.
Scores = Mapping[str, Mapping[int, float | None]]
Array = np.ndarray[Any, np.dtype[np.float64]]
SIGNS = {"max": 1.0, "min": -1.0}


class Table(NamedTuple):
    """Methods in rows, the seeds that all of them have in columns; more is better, and a miss is minus infinity."""

    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    values: Array


def sign_of(direction: str) -> float:
    if direction not in SIGNS:
        raise SettingError(f"direction = {direction!r} is neither max nor min{nearest(str(direction), SIGNS)}")
    return SIGNS[direction]


def better_is_more(values: Any, direction: str) -> Array:
    """Numbers and Nones as an array in which more is better."""
    sign = sign_of(direction)
    return np.array([sign * x if x is not None and isfinite(x) else -inf for x in values], dtype=float)


def table(scores: Scores, direction: str) -> Table:
    sign_of(direction)
    seeds = sorted(set.intersection(*(set(runs) for runs in scores.values()))) if scores else []
    rows = [better_is_more((runs[seed] for seed in seeds), direction) for runs in scores.values()]
    return Table(tuple(scores), tuple(seeds), np.array(rows).reshape(len(rows), len(seeds)))


def floored(values: Array) -> Array:
    """With every miss at the worst finite score there is, so that a mean exists: it is at least as bad as that. NaN if all missed."""
    finite = values[np.isfinite(values)]
    return np.where(np.isfinite(values), values, finite.min() if finite.size else np.nan)

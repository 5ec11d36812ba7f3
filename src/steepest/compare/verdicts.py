"""Pairs of methods: which of the two is better, or that this cannot be told, and what it would take."""

from dataclasses import asdict, dataclass, replace
from itertools import combinations
from math import isfinite, nan
from typing import Any, Literal, NamedTuple

import numpy as np

from steepest.compare.power import seeds_for
from steepest.compare.scores import Array, Scores, table
from steepest.compare.statistics import differences, holm, improvement, paired, signed_ranks
from steepest.core.errors import SettingError

# better: the first is, with the error that alpha allows; open: not distinguishable; same: equal in every seed; waiting: for a second seed
# that both have.
Kind = Literal["better", "open", "same", "waiting"]


@dataclass(frozen=True)
class Verdict:
    """On two methods; where one scored better, it is the first.

    `difference` is the mean over the `n` common seeds in favor of the first, and `low` and `high` hold it with probability 1 - alpha; where
    a run missed, they are unknown. `p` is after Holm's correction for `tests`, `single` before it.
    `wins`: how probable it is that the first is better in a seed. `more` seeds would settle a difference of `size` with
    probability 0.8; None: there is nothing to settle, or it would take more than 1,000.
    """

    first: str
    second: str
    kind: Kind
    n: int
    missed: tuple[int, int]
    tests: int
    alpha: float
    difference: float = nan
    low: float = nan
    high: float = nan
    p: float = 1.0
    single: float = 1.0
    wins: float = nan
    wins_low: float = nan
    wins_high: float = nan
    size: float = nan
    more: int | None = None

    def facts(self) -> dict[str, Any]:
        return asdict(self)


class Pair(NamedTuple):
    """Two methods, the better one first; more is better. `tested` are the numbers whose mean the test is about."""

    first: str
    second: str
    a: Array
    b: Array
    tested: Array


def verdicts(scores: Scores, direction: str, *, matters: float | None = None, alpha: float = 0.05, seed: int = 0) -> list[Verdict]:
    """On every pair of methods, in their order. `matters` is the smallest difference worth knowing; if left out, the one that was seen.

    A method is better if the test says so after Holm's correction. Where a run missed, the test goes by ranks, in which a miss is below
    everything, and nothing is said of the size of the difference, which is not known.
    """
    if len(scores) < 2:
        raise SettingError(f"a comparison needs two methods or more, not {len(scores)}")
    if not 0 < alpha < 1:
        raise SettingError(f"alpha = {alpha!r} is outside (0, 1); it is how often equal methods may be told apart")
    if matters is not None and not (isfinite(matters) and matters > 0):
        raise SettingError(f"matters = {matters!r} must be a difference above 0")
    names = [*combinations(scores, 2)]
    found = [one(pair(scores, direction, a, b), len(names), alpha, np.random.default_rng([seed, i])) for i, (a, b) in enumerate(names)]
    raised = holm([x.single for x in found])
    found = [replace(x, p=float(p)) for x, p in zip(found, raised, strict=True)]
    found = [replace(x, kind="better") if x.kind == "open" and x.p <= alpha else x for x in found]
    left = sum(x.kind != "better" for x in found)
    return [outlook(x, pair(scores, direction, x.first, x.second), left, matters) for x in found]


def pair(scores: Scores, direction: str, first: str, second: str) -> Pair:
    a, b = table({first: scores[first], second: scores[second]}, direction).values
    d = differences(a, b)
    tested = d if np.isfinite([a, b]).all() else signed_ranks(d)
    return Pair(second, first, b, a, -tested) if tested.sum() < 0 else Pair(first, second, a, b, tested)


def one(pair: Pair, tests: int, alpha: float, rng: np.random.Generator) -> Verdict:
    """The verdict on a pair for itself."""
    first, second, a, b, tested = pair
    missed = (int(np.isinf(a).sum()), int(np.isinf(b).sum()))
    verdict = Verdict(first, second, "waiting" if len(a) < 2 else "open" if tested.any() else "same", len(a), missed, tests, alpha)
    if len(a) < 2:
        return verdict
    share, between = improvement(a, b, 1 - alpha)
    verdict = replace(verdict, wins=share, wins_low=between.low, wins_high=between.high)
    p, reach = paired(tested, rng, alpha)
    if not any(missed):
        verdict = replace(verdict, difference=float(tested.mean()), low=float(reach.low), high=float(reach.high))
    return replace(verdict, single=float(p))


def outlook(verdict: Verdict, pair: Pair, left: int, matters: float | None) -> Verdict:
    """How many more seeds would settle it: Holm grants the most significant of the pairs that are left alpha over their number."""
    if verdict.kind != "open":
        return verdict
    tested, level = pair.tested, verdict.alpha / left
    by_rank = any(verdict.missed)
    mean = float(tested.mean())
    mean = 0.0 if abs(mean) < 1e-9 * float(np.abs(tested).max()) else mean  # what rounding leaves of equal sums
    size = mean if by_rank or matters is None else matters
    needed = seeds_for(size, float(tested.std(ddof=1)), level)
    more = None if needed is None else max(needed - verdict.n, 1)
    return replace(verdict, size=nan if by_rank else size, more=more)

"""What the search of a method shows of its budget and its ranges."""

from collections.abc import Sequence
from math import isfinite, nan
from statistics import fmean, stdev

import numpy as np

from steepest.compare.budget import expected_best
from steepest.compare.entry import Entry, value
from steepest.compare.flags import Flag, climbing, edges
from steepest.compare.plan import Comparison
from steepest.compare.training import Training
from steepest.train.recipe import Recipe


def expected(trials: Sequence[Training], method: Entry, plan: Comparison) -> list[float | None]:
    """What the best of 1, 2, ... trials of a study is on average: the first are the defaults, the others come in any order."""
    studies = [[x.score for x in trials if x.slot.study == k] for k in range(method.studies)]
    rows = [of_study(own, plan.direction) for own in studies]
    return [fmean(column) if all(map(isfinite, column)) else None for column in zip(*rows, strict=True)]


def of_study(scores: Sequence[float | None], direction: str) -> list[float]:
    first, *others = scores
    better = max if direction == "max" else min
    held = [x if first is None else first if x is None else better(x, first) for x in others]
    return [nan if first is None else first, *expected_best(held, direction).tolist()] if held else [nan if first is None else first]


def flagged(
    plan: Comparison, name: str, trials: Sequence[Training], fresh: Sequence[Training], curve: Sequence[float | None]
) -> list[Flag]:
    method = plan.by_name[name]
    recipe = Recipe.parse(method.recipe, name)
    ranges = {d.name: d.facts() for d in method.dimensions}
    usual = {d.name: x for d in method.dimensions if d.has(x := value(recipe, d))}
    points = [(usual if x.slot.trial == 0 else x.job.point, x.score) for x in trials]
    best = np.array([nan if x is None else x for x in curve])
    return [*edges(name, points, ranges, plan.direction), *climbing(name, best, noise(fresh))]


def noise(fresh: Sequence[Training]) -> float | None:
    """How much seeds differ, within studies."""
    studies: dict[int, list[float]] = {}
    for x in fresh:
        if x.score is not None:
            studies.setdefault(x.slot.study, []).append(x.score)
    spreads = [stdev(own) for own in studies.values() if len(own) > 1]
    return fmean(spreads) if spreads else None

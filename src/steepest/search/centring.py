"""A space whose rates lie around what this model bears: each rule's range of lr, cut to a decade on either side of a range test."""

from collections.abc import Iterator
from dataclasses import replace

from steepest.core.errors import SettingError
from steepest.core.task import Task
from steepest.search.dimension import Dimension
from steepest.search.jobs import Point
from steepest.search.portfolio import usual
from steepest.search.space import Space
from steepest.train.finding import begun, find_rate
from steepest.train.recipe import Recipe

# The test was off by less than 5 wherever it was tried (docs/finders.md). It may look further up than the range goes.
REACH = 10.0


def centred(space: Space, task: Task, base: Recipe) -> tuple[Space, list[str], float]:
    """The space with its rates so centred, of each what was found, in words, and how many epochs that took."""
    if not any(is_rate(d) for d in space.dimensions):
        raise SettingError("the space has no range of optimizer.lr whose logarithm is searched; there is nothing to centre")
    with begun(task, base) as session:
        epochs = (session.course.length.epochs or 0.0) / session.steps
    found = list(_looked(space, task, base))
    return Space(d for d, _, _ in found), [said for _, said, _ in found if said], epochs * sum(steps for _, _, steps in found)


def is_rate(d: Dimension) -> bool:
    return d.path == "optimizer.lr" and d.log


def _looked(space: Space, task: Task, base: Recipe) -> Iterator[tuple[Dimension, str, int]]:
    for d in space.dimensions:
        if not is_rate(d):
            yield d, "", 0
            continue
        low, high = d.range
        test = find_rate(task, space.recipe(base, _leading(space, d)), low=low, high=high * REACH)
        if test.suggestion is None:
            yield d, f"{d.name} stays within {low:g} and {high:g}: {test.reason}", len(test.rates)
            continue
        middle = min(max(test.suggestion, low), high)
        cut = replace(d, low=max(low, middle / REACH), high=min(high, middle * REACH))
        yield replace(cut, usual=usual(cut)), f"{d.name} lies around {middle:.2g}: {test.reason}", len(test.rates)


def _leading(space: Space, d: Dimension) -> Point:
    """A point as usual in which this dimension is there."""
    wanted = {name: values[0] for name, values in d.when}
    return space.draw(lambda x: wanted.get(x.name, usual(x)))

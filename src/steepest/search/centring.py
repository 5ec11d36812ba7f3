"""A space whose rates lie around what this model bears: each rule's range of lr, cut to a decade on either side of a range test."""

from collections.abc import Iterator
from dataclasses import replace

from steepest.core.errors import SteepestError
from steepest.core.task import Task
from steepest.search.dimension import Dimension
from steepest.search.jobs import Point
from steepest.search.portfolio import usual
from steepest.search.space import Space
from steepest.train.finding import find_rate
from steepest.train.recipe import Recipe

# The test was off by less than 5 wherever it was tried (docs/finders.md).
REACH = 10.0
STEPS = 100


def rates(space: Space) -> list[Dimension]:
    """The ranges of lr that there are: one for each rule."""
    return [d for d in space.dimensions if d.path == "optimizer.lr" and d.log]


def centred(space: Space, task: Task, base: Recipe) -> Iterator[tuple[str, Dimension]]:
    """Of each range of lr what was found, in words, and what it becomes; the recipe around it is as usual."""
    for d in rates(space):
        low, high = d.range
        try:
            found = find_rate(task, space.recipe(base, leading(space, d)), low=low, high=high, steps=STEPS)
        except SteepestError as error:
            yield f"{d.name}: {error}", d
            continue
        if found.suggestion is None:
            yield f"{d.name} stays within {low:g} and {high:g}: {found.reason}", d
            continue
        made = replace(d, low=max(low, found.suggestion / REACH), high=min(high, found.suggestion * REACH))
        kept = replace(made, usual=made.within(d.usual)) if isinstance(d.usual, (int, float)) else made
        yield f"{d.name} lies around {found.suggestion:.2g}: {found.reason}", kept


def leading(space: Space, d: Dimension) -> Point:
    """A point as usual in which this dimension is there."""
    wanted = {name: values[0] for name, values in d.when}
    return space.draw(lambda x: wanted.get(x.name, usual(x)))

"""Recipes that were measured before, in the order in which they are worth a try.

`portfolio.json` holds recipes as changes that make sense for any task, and the validation loss of each on some tasks. The order is
greedy: each next one is that which most improves the best of those before it, in the mean over tasks, and over what a task of another
kind may like. A task's own family is left out when a built-in task is tuned, so that figures on it are honest. What has not been measured
stands in the order of the file.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from math import exp, inf, isfinite, log, log10
from statistics import median
from typing import Any

from steepest.search.dimension import Dimension, text
from steepest.search.jobs import Point
from steepest.search.space import Space
from steepest.train.recipe import Recipe

# One task on which a recipe fails shall not decide the order alone.
WORST = 1.0
# The recipe that a search began with comes behind so many: what two trainings promise is the portfolio's promise.
FIRST = 2


@dataclass(frozen=True)
class Measured:
    """What the recipes came to on a task: mean validation losses over seeds, None where a recipe was not measured or broke."""

    family: str
    losses: tuple[float | None, ...]


@dataclass(frozen=True)
class Portfolio:
    names: tuple[str, ...]
    recipes: tuple[dict[str, Any], ...]
    tasks: Mapping[str, Measured]
    # Built-in tasks by family: none of them learns from its kin.
    families: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def without(self, task: str) -> "Portfolio":
        """As it would be had no task of this one's family been measured."""
        family = next((family for family, names in self.families.items() if task in names), None)
        return replace(self, tasks={name: x for name, x in self.tasks.items() if x.family != family})

    def order(self, among: Sequence[int]) -> list[int]:
        """Of some of the recipes: what cannot be tried shall not keep its likes behind.

        Families count alike, and so does one more that nobody has measured, of which any recipe may be the best. (Each family left out
        in turn, the loss after four recipes is 1.14 times the best of all recipes with it and 1.20 times without.)
        """
        size = Counter(x.family for x in self.tasks.values())
        rows = [regrets([x.losses[k] for k in among]) for x in self.tasks.values()]
        weights = [1 / size[x.family] for x in self.tasks.values()]
        for best in among:
            rows.append([apart(self.recipes[k], self.recipes[best]) for k in among])
            weights.append(1 / len(among))
        return [among[k] for k in greedy(rows, len(among), weights)]


def of_facts(facts: Mapping[str, Any]) -> Portfolio:
    recipes = facts["recipes"]
    tasks = {name: Measured(x["family"], tuple(x["losses"])) for name, x in facts["tasks"].items()}
    return Portfolio(tuple(x["name"] for x in recipes), tuple(x["changes"] for x in recipes), tasks, facts["families"])


@cache
def portfolio() -> Portfolio:
    return of_facts(json.loads(files("steepest.search").joinpath("portfolio.json").read_text(encoding="utf-8")))


def regrets(losses: Sequence[float | None]) -> list[float]:
    """From 0 for the task's best recipe to WORST for its median one, by the logarithms of losses; what is worse still counts no more.

    So each task says as much as any other, whether its losses span a tenth or a decade.
    """
    logs = [log(x) for x in losses if x is not None and isfinite(x) and x > 0]
    if not logs:
        return [WORST] * len(losses)
    best, span = min(logs), median(logs) - min(logs)
    scaled = [log(max(x, exp(best))) - best if x is not None and isfinite(x) else inf for x in losses]
    return [min(x / span, WORST) if span else WORST * (x > 0) for x in scaled]


def apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """A guess at the regret of a recipe where another is the best: WORST for another rule, or where rates are a decade apart."""
    if one["optimizer.rule"] != other["optimizer.rule"]:
        return WORST
    return min(abs(log10(one["optimizer.lr"] / other["optimizer.lr"])), WORST)


def greedy(regrets: Sequence[Sequence[float]], count: int, weights: Sequence[float] | None = None) -> list[int]:
    """An order of recipes: each next one makes the mean over tasks of the best so far as low as it can be. Among equals the first."""
    weights = weights or [1.0] * len(regrets)
    # Where nothing improves the best any more, the better recipe by itself.
    alone = [sum(w * row[k] for w, row in zip(weights, regrets, strict=True)) for k in range(count)]
    best = [WORST] * len(regrets)
    left, found = list(range(count)), []
    while left:
        gained = {k: sum(w * min(b, row[k]) for w, b, row in zip(weights, best, regrets, strict=True)) for k in left}
        k = min(left, key=lambda k, gained=gained: (gained[k], alone[k]))
        found.append(k)
        left.remove(k)
        best = [min(b, row[k]) for b, row in zip(best, regrets, strict=True)]
    return found


def points(space: Space, base: Recipe, task: str = "") -> list[tuple[str, Point]]:
    """The portfolio within a space, in order, each with its name. Recipes that become equal there are one.

    The recipe that the search began with is among them: early if somebody has said something in it, else at the end.
    """
    chosen = portfolio().without(task)
    brought = [(lost(space, point, x), k, point) for k, x in enumerate(chosen.recipes) if (point := within(space, base, x)) is not None]
    # Of recipes that become equal there the one counts that loses least of what was measured: the last of a key.
    there = dict({text(point): (k, point) for _, k, point in sorted(brought, key=lambda x: x[:2], reverse=True)}.values())
    found = [(f"portfolio: {chosen.names[k]}", there[k]) for k in chosen.order(sorted(there))]
    own = space.draw(usual)
    place = FIRST if any(said(base.changes(), d.path) is not ... for d in space.dimensions) else len(found)
    rest = [x for x in found if text(x[1]) != text(own)]
    return [*rest[:place], ("the recipe as it was", own), *rest[place:]]


def lost(space: Space, point: Point, changes: Mapping[str, Any]) -> int:
    """How much of what a recipe says a point of the space does not: a choice that is not there, a rate out of its range."""
    leaves = sum(len(x) if path == "schedule.lr" and isinstance(x, Mapping) else 1 for path, x in changes.items())
    return leaves - sum(said(changes, space.by_name[name].path) == value for name, value in point.items())


def within(space: Space, base: Recipe, changes: Mapping[str, Any]) -> Point | None:
    """The point of a space that is nearest to a recipe; None where the recipe's rule may not be chosen: its rate is no other rule's."""
    rules = next((d.choices for d in space.dimensions if d.path == "optimizer.rule"), (base["optimizer.rule"],))
    if changes.get("optimizer.rule", rules[0]) not in rules and any(d.path.startswith("optimizer.") for d in space.dimensions):
        return None
    return space.draw(lambda d: nearest_in(d, changes))


def nearest_in(d: Dimension, changes: Mapping[str, Any]) -> Any:
    value = said(changes, d.path)
    if value is ...:
        return usual(d)
    if not d.choices:
        return d.within(value) if isinstance(value, (int, float)) else usual(d)
    if d.has(value):
        return value
    numbers = [x for x in d.choices if isinstance(x, (int, float)) and not isinstance(x, bool)]
    if isinstance(value, (int, float)) and numbers and len(numbers) == len(d.choices):
        return min(numbers, key=lambda x: (abs(log(x / value)) if min(x, value) > 0 else abs(x - value), x))
    return usual(d)


def usual(d: Dimension) -> Any:
    """Where nobody chooses: what the recipe has, or the middle of the range, or the first choice."""
    if d.choices:
        return d.usual if d.has(d.usual) else d.choices[0]
    return d.within(d.usual) if isinstance(d.usual, (int, float)) else d.at(0.5)


def said(changes: Mapping[str, Any], path: str) -> Any:
    """What changes say of a path, also inside a table; `...` if nothing."""
    if path in changes:
        return changes[path]
    table, _, key = path.rpartition(".")
    inside = changes.get(table)
    return inside[key] if isinstance(inside, Mapping) and key in inside else ...

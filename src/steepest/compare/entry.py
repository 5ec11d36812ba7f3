"""A method with all that a comparison needs of it, as its record keeps it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from steepest.compare.methods import Method
from steepest.core.errors import SettingError
from steepest.core.task import Task
from steepest.rules import RULES
from steepest.search.defaults import space_of
from steepest.search.dimension import Dimension, text
from steepest.search.jobs import Point
from steepest.search.plan import full_of
from steepest.search.space import Space
from steepest.search.told import flat, load_table, read_space
from steepest.train.recipe import Recipe, located

# The dimension by which a point says whose it is.
METHOD = "method"
# What is searched where nobody says more: the knobs. Model, batch and schedule are the same for all, and less depends on luck: in six
# searches of 6 trials, 5 rules on digits, the rules' mean on fresh seeds varied from search to search by 0.2 points; by 1.0 where the whole
# default space was searched, which was no better (98.2 % and 97.9 %: not distinguishable).
SEARCHED = ("optimizer",)


@dataclass(frozen=True)
class Entry:
    """`recipe` is the text of its defaults, `space` what is searched (nothing: it is compared as it is), `full` the epochs of a training.

    In each of `studies` it has so many `trials`, the first of which are its defaults.
    """

    name: str
    recipe: str
    full: int
    axes: Mapping[str, str] = field(default_factory=dict)
    decides: tuple[str, ...] = ()
    space: tuple[Mapping[str, Any], ...] = ()
    trials: int = 0
    studies: int = 1

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        return cls(**{**facts, "decides": tuple(facts["decides"]), "space": tuple(facts["space"])})

    def facts(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def dimensions(self) -> list[Dimension]:
        return [Dimension.of_facts(facts) for facts in self.space]

    def point(self, places: Mapping[str, float]) -> Point:
        """By places in [0, 1]; of none its defaults."""
        return {METHOD: self.name, **(Space(self.dimensions).at(places) if places else {})}

    def at(self, point: Point) -> Recipe:
        """The recipe of one of its points."""
        base = Recipe.parse(self.recipe, self.name)
        own = {name: value for name, value in point.items() if name != METHOD}
        return Space(self.dimensions).recipe(base, own) if own else base


def entry(method: Method, axes: Mapping[str, str], task: Task, space: Path | None = None) -> Entry:
    """The method with its own space: the knobs of its rule, and what a file says, without what makes it this method."""
    recipe, rule = method.recipe, method.recipe["optimizer.rule"]
    whole, said = space_of(task, recipe, (rule,)), set[str]()
    if space:
        table = own_part(load_table(space), rule)
        said = {key for key, _ in flat(table)}
        with located(str(space)):
            whole = read_space({**table, "optimizer.rule": rule}, task, recipe)
    mine = [d for d in whole.dimensions if not method.decides(d.path) and (d.name in said or d.path.partition(".")[0] in SEARCHED)]
    if fixed := [replace(d, when=()) for d in mine if len(d.choices) == 1]:
        recipe = Space(fixed).recipe(recipe, {d.name: d.choices[0] for d in fixed})
    searched = [d for d in mine if len(d.choices) != 1]
    settled = {d.name: value(recipe, d) for d in whole.dimensions if d not in searched}
    return Entry(method.name, recipe.toml(), full_of(recipe), dict(axes), method.decided, (*remaining(searched, settled),))


def remaining(dimensions: Sequence[Dimension], settled: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Those that exist where so much is settled, and depend on nothing that is."""
    for d in dimensions:
        known = [(name, values) for name, values in d.when if name in settled]
        if all(text(settled[name]) in map(text, values) for name, values in known):
            yield replace(d, when=tuple(x for x in d.when if x not in known)).facts()


def own_part(table: Mapping[str, Any], rule: str) -> dict[str, Any]:
    """`"lion.lr"` is about lion alone."""
    return {key: x for key, x in table.items() if (of := key.partition(".")[0]) not in RULES or of == rule}


def value(recipe: Recipe, d: Dimension) -> Any:
    """What the recipe says, or leaves as usual."""
    try:
        return recipe[d.path]
    except SettingError:
        return d.usual

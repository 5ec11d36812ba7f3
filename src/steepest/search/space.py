"""What may be chosen: dimensions in an order, some of which exist only under a choice made before."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Self

from steepest.core.errors import SettingError, nearest
from steepest.search.dimension import Dimension, text
from steepest.search.jobs import Point
from steepest.train.recipe import Recipe
from steepest.train.toml import shown


class Space:
    """The dimensions of a study, held against each other. `draw` is the one way through them."""

    def __init__(self, dimensions: Iterable[Dimension]) -> None:
        self.dimensions = tuple(dimensions)
        if not self.dimensions:
            raise SettingError("space: it is empty; name at least one value to choose")
        seen: dict[str, Dimension] = {}
        for d in self.dimensions:
            if d.name in seen:
                raise SettingError(f"space: {d.name} is there twice")
            for name, values in d.when:
                if name not in seen:
                    raise SettingError(f"space: {d.name} depends on {name!r}, which does not come before it{nearest(name, seen)}")
                if not values or not all(seen[name].has(x) for x in values):
                    raise SettingError(f"space: {d.name} depends on {name} = {shown(list(values))}, which {name} never is")
            for other in seen.values():
                if entangled(d.path, other.path) and not _apart(d, other):
                    raise SettingError(f"space: {other.name} and {d.name} contradict each other: both decide {d.path}")
            seen[d.name] = d

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.dimensions == other.dimensions

    def __hash__(self) -> int:
        return hash(repr(self.dimensions))

    @cached_property
    def by_name(self) -> dict[str, Dimension]:
        return {d.name: d for d in self.dimensions}

    def draw(self, choose: Callable[[Dimension], Any]) -> Point:
        """A point: of each dimension that exists under what was chosen before, what `choose` says."""
        point: Point = {}
        for d in self.dimensions:
            if d.applies(point):
                point[d.name] = value = choose(d)
                if not d.has(value):
                    raise SettingError(f"space: {d.name} = {shown(value)} is not in it")
        return point

    def at(self, places: Mapping[str, float]) -> Point:
        return self.draw(lambda d: d.at(places[d.name]))

    def places(self, point: Mapping[str, Any]) -> dict[str, float]:
        """The places of all dimensions; of those that do not exist here the middle."""
        return {d.name: d.place(point[d.name]) if d.name in point else 0.5 for d in self.dimensions}

    # --- with a recipe ------------------------------------------------------------------------------

    def changes(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """What a point says of a recipe, by path. The keys of a schedule are said together with its shape, as one table."""
        unknown = next((name for name in point if name not in self.by_name), None)
        if unknown is not None:
            raise SettingError(f"space: it has no {unknown!r}{nearest(unknown, self.by_name)}")
        shaped = {d.path.removesuffix(".shape") for d in self.dimensions if d.path.startswith("schedule.") and d.path.endswith(".shape")}
        found: dict[str, Any] = {}
        for d in self.dimensions:
            if d.name in point:
                table, _, key = d.path.rpartition(".")
                if table in shaped:
                    found.setdefault(table, {})[key] = point[d.name]
                else:
                    found[d.path] = point[d.name]
        return found

    def recipe(self, base: Recipe, point: Mapping[str, Any]) -> Recipe:
        """The recipe of a point. Another rule than the base's leaves the base's knobs behind."""
        changes = self.changes(point)
        if changes.get("optimizer.rule", base["optimizer.rule"]) != base["optimizer.rule"]:
            changes = dict.fromkeys(_knobs_said(base)) | changes
        return base.replace(changes)

    def check(self, base: Recipe, factories: Any = None) -> None:
        """Whether points make recipes: the ends of each dimension, and some points of the whole space."""
        for point in [*self._corners(), *(self._spread(k) for k in range(16))]:
            try:
                recipe = self.recipe(base, point)
                if factories is not None:
                    recipe.check(factories)
            except SettingError as error:
                raise SettingError(f"space: {str(error).removeprefix(f'{base.source}: ')}") from None

    def _corners(self) -> Iterable[Point]:
        for d in self.dimensions:
            for value in d.choices or (d.low, d.high):
                wanted = self._leading_to(d) | {d.name: value}
                yield self.draw(lambda x, wanted=wanted: wanted.get(x.name, x.at(0.0)))

    def _leading_to(self, d: Dimension) -> dict[str, Any]:
        wanted: dict[str, Any] = {}
        for name, values in d.when:
            wanted |= self._leading_to(self.by_name[name]) | {name: values[0]}
        return wanted

    def _spread(self, k: int) -> Point:
        """Spread without chance: the golden ratio's multiples, another for each dimension."""
        return self.draw(lambda d: d.at((0.5 + 0.618034 * (k + 1) * (1 + self.dimensions.index(d))) % 1.0))

    # --- as text ------------------------------------------------------------------------------------

    def facts(self) -> list[dict[str, Any]]:
        return [d.facts() for d in self.dimensions]

    @classmethod
    def of_facts(cls, facts: Iterable[Mapping[str, Any]]) -> Self:
        return cls(map(Dimension.of_facts, facts))


def entangled(a: str, b: str) -> bool:
    return a == b or a.startswith(f"{b}.") or b.startswith(f"{a}.")


def _apart(a: Dimension, b: Dimension) -> bool:
    """Never both there: some earlier choice that each wants otherwise."""
    wanted = dict(b.when)
    return any(name in wanted and not {*map(text, values)} & {*map(text, wanted[name])} for name, values in a.when)


def _knobs_said(base: Recipe) -> list[str]:
    from steepest.rules import RULES

    own = RULES[base["optimizer.rule"]]
    settings = {*own.own_knobs(), *own.own_options()}
    return [f"optimizer.{key}" for key in base.tables().get("optimizer", {}) if key in settings]

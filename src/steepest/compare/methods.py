"""What is compared, by name: rules, starts, schedules, models or whole recipes, or two of these crossed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from steepest.core.errors import SettingError, nearest
from steepest.init import INITIALIZERS, PLANS
from steepest.rules import ALIASES, RULES
from steepest.schedules.reading import ALIASES as SCHEDULE_ALIASES
from steepest.schedules.reading import PREFIX, SCHEDULES, of
from steepest.train.factories import Factories
from steepest.train.optimizing import OWN
from steepest.train.readers import READERS
from steepest.train.recipe import Recipe, located

# What an initializer by name leaves to the plan: of these, all starts are the same.
SETTLED = "*Norm*|*bias*|PReLU|Embedding*"
# What of [optimizer] belongs to no rule.
COMMON = ("wrap", "group", *OWN)


@dataclass(frozen=True)
class Method:
    """A name, a recipe, and the paths that make it this method: a search leaves alone what begins with one of `decided`."""

    name: str
    recipe: Recipe
    decided: tuple[str, ...]

    def decides(self, path: str) -> bool:
        return any(path == own or path.startswith(f"{own}.") for own in self.decided)


# --- axes: what a name changes -----------------------------------------------------------------------


def model(name: str, base: Recipe, factories: Factories) -> dict[str, Any]:
    """Another factory, with its own defaults: what [model] says is about the one that it names."""
    known_name(name, factories if isinstance(factories, Mapping) else {"model": factories}, "models", "model of the task")
    return {} if base.tables().get("model", {}).get("name") == name else {"model": None, "model.name": name}


def rule(name: str, base: Recipe, factories: Factories) -> dict[str, Any]:
    """A rule with its own defaults, also the recipe's own rule: nobody starts from settings that were made for one of them."""
    known_name(name, [*RULES, *ALIASES], "rules", "rule")
    cls = RULES[ALIASES.get(name, name)]
    canonical = {kind: key for key, kind in RULES.items()}[cls]  # adam and adamw are one
    settings = [key for key in base.tables().get("optimizer", {}) if key not in COMMON]
    plan = {"optimizer.plan": "muon"} if canonical == "muon" else {}
    return {**{f"optimizer.{key}": None for key in settings}, "optimizer.rule": canonical, **plan}


def start(name: str, base: Recipe, factories: Factories) -> dict[str, Any]:
    """A plan; or an initializer for every weight, the rest as the default plan has it."""
    known_name(name, [*PLANS, *INITIALIZERS], "inits", "plan or initializer")
    if name in PLANS:
        return {"init": None, "init.plan": name}
    return {"init": None, f"init.{SETTLED}": "auto", "init.*weight*": name}


def schedule(name: str, base: Recipe, factories: Factories) -> dict[str, Any]:
    """A shape of lr, with its own defaults. Schedules of other knobs stay."""
    shapes = [*SCHEDULES, *SCHEDULE_ALIASES, *(PREFIX + shape for shape in SCHEDULES)]
    known_name(name, shapes, "schedules", "schedule")
    with located(f"--schedules: {name}"):
        of(name, {})
    return {"schedule.lr": {"shape": name}}


Axis = Callable[[str, Recipe, Factories], dict[str, Any]]
AXES: dict[str, tuple[Axis, str]] = {
    "models": (model, "model.name"),
    "rules": (rule, "optimizer.rule"),
    "inits": (start, "init"),
    "schedules": (schedule, "schedule.lr"),
}


def known_name(name: str, known: Any, axis: str, noun: str) -> None:
    if name not in known:
        raise SettingError(f"--{axis}: unknown {noun} {name!r}{nearest(name, known)}")


# --- methods -----------------------------------------------------------------------------------------


def methods(base: Recipe, factories: Factories, *, recipes: Sequence[str | Path] = (), **axes: Sequence[str]) -> list[Method]:
    """`methods(base, task.factories, rules=["adamw", "lion"], inits=["he", "orthogonal"])`: four methods, "adamw+he" the first.

    `recipes` are files; each takes the place of `base`, and is compared as it is: what it is not crossed with is not searched.
    """
    for axis in axes:
        known_name(axis, AXES, "methods", "axis")
    said = {axis: list(names) for axis, names in {"recipes": recipes, **{axis: axes.get(axis, ()) for axis in AXES}}.items() if names}
    check(said)
    files = [Method(name, Recipe.load(path), tuple(READERS)) for name, path in named_files(said.pop("recipes", []))]
    found = [
        crossed(origin, dict(zip(said, names, strict=True)), factories)
        for origin in files or [Method("", base, ())]
        for names in product(*said.values())
    ]
    return distinct(found)


def check(said: Mapping[str, Sequence[Any]]) -> None:
    options = ", ".join(f"--{axis}" for axis in ("rules", "inits", "schedules", "models"))
    if not said:
        raise SettingError(f"there is nothing to compare: name methods by {options} or --recipes")
    if len(said) > 2:
        raise SettingError(f"{', '.join(f'--{axis}' for axis in said)}: at most two of these can be crossed")
    if all(len(names) == 1 for names in said.values()):
        named = " and ".join(f"--{axis} {names[0]}" for axis, names in said.items())
        raise SettingError(f"{named} is one method only; name another to compare it with")


def named_files(paths: Sequence[str | Path]) -> list[tuple[str, str | Path]]:
    """By the stem of the file, or the whole path where two have the same."""
    stems = [Path(path).stem for path in paths]
    return [(stem if stems.count(stem) == 1 else str(path), path) for stem, path in zip(stems, paths, strict=True)]


def crossed(origin: Method, names: Mapping[str, str], factories: Factories) -> Method:
    name = "+".join(filter(None, [origin.name, *names.values()]))
    changes: dict[str, Any] = {}
    for axis, said in names.items():
        changes |= AXES[axis][0](said, origin.recipe, factories)
    own = tuple(AXES[axis][1] for axis in names)
    sections = {path.partition(".")[0] for path in own}
    with located(name):
        recipe = origin.recipe.replace(changes)
        recipe.check(factories)
    return Method(name, recipe, (*(path for path in origin.decided if path not in sections), *own))


def distinct(found: list[Method]) -> list[Method]:
    """The methods, if no two of them are one."""
    for i, one in enumerate(found):
        for other in found[:i]:
            if other.name == one.name:
                raise SettingError(f"{one.name} is there twice; name each method once")
            if decide_the_same(other.recipe, one.recipe):
                raise SettingError(f"{other.name} and {one.name} are the same method under two names; leave one out")
    return found


def decide_the_same(a: Recipe, b: Recipe) -> bool:
    """Equal, also where a schedule has two names."""
    unsaid = {"schedule.lr": None}
    return a.replace(unsaid) == b.replace(unsaid) and a.schedules() == b.schedules()

"""A recipe: every decision about how a task is learned, as one frozen value and one small TOML file."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from steepest.core.errors import SettingError, SteepestError, nearest
from steepest.core.knob import Settings
from steepest.core.rule import Rule
from steepest.drivers import DRIVERS
from steepest.train.contents import read_all, write_all
from steepest.train.factories import Factories, checked, made
from steepest.train.optimizing import Rules
from steepest.train.paths import first_key, flat, put, value_of
from steepest.train.reading import Part, Table
from steepest.train.sections import Batch, Run, Stop
from steepest.train.toml import plain, read, shown, written_key

if TYPE_CHECKING:
    from torch import nn

    from steepest.init.report import Report
    from steepest.optim.lbfgs import LBFGS
    from steepest.optim.optimizer import Optimizer
    from steepest.regularizers.base import Regularizer
    from steepest.schedules import Length, Schedule


class Recipe:
    """`Recipe()` is the default one; `Recipe({"optimizer": {"lr": 3e-3}})` differs in one thing; `Recipe.load(path)` reads a file.

    A recipe is checked when it is made and never changes. What equals its default is as good as unsaid: two recipes are
    equal when they decide the same. `str(recipe)` is the file, with every decision in it; `repr` shows what is not default.
    """

    source: str
    _parts: dict[str, Part]

    def __init__(self, tables: Mapping[str, Any] | None = None, source: str = "") -> None:
        object.__setattr__(self, "source", source)
        with located(source):
            parts = read_all(plain(tables or {}))
        object.__setattr__(self, "_parts", parts)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a recipe is frozen; recipe.replace({{{name!r}: ...}}) makes another")

    # --- text ---------------------------------------------------------------------------------------

    @classmethod
    def parse(cls, text: str, source: str = "recipe") -> Self:
        with located(source):
            tables = read(text)
        return cls(tables, source)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise SettingError(f"{path}: {error.strerror or error}") from None
        except ValueError:
            raise SettingError(f"{path}: this is not text in UTF-8") from None
        return cls.parse(text, str(path))

    def toml(self) -> str:
        """The whole recipe as text, defaults included: it decides the same when they have changed."""
        return write_all(self._parts)

    def save(self, path: str | Path) -> None:
        Path(path).write_text(self.toml(), encoding="utf-8", newline="\n")

    __str__ = toml

    # --- a value ------------------------------------------------------------------------------------

    @cached_property
    def _canonical(self) -> str:
        return json.dumps({name: part.whole for name, part in self._parts.items()})

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits that are the same wherever the same is decided."""
        return hashlib.sha256(self._canonical.encode()).hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self._canonical == other._canonical

    def __hash__(self) -> int:
        return hash(self._canonical)

    def __reduce__(self) -> Any:
        return type(self), (self.tables(), self.source)

    def __repr__(self) -> str:
        said = [f"{path if path.isprintable() else shown(path)}={shown(x)}" for path, x in self.changes().items()]
        return f"Recipe({', '.join(said)})"

    def tables(self) -> dict[str, Table]:
        """What differs from the defaults, as sections."""
        return {name: deepcopy(part.said) for name, part in self._parts.items() if part.said}

    def changes(self) -> dict[str, Any]:
        """What differs from the defaults, by path: `{"optimizer.lr": 0.003}`. `Recipe().replace(...)` of it is this recipe."""
        return {path: deepcopy(x) for name, part in self._parts.items() for path, x in flat(name, part.said)}

    def __getitem__(self, path: str) -> Any:
        """`recipe["optimizer.lr"]`: any value by its path, defaults included."""
        section, _, rest = path.partition(".")
        value: Any = self._section(section).whole
        while rest:
            key, rest = first_key(value, rest, section)
            if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            elif isinstance(value, Mapping) and key in value:
                value = value[key]
            else:
                raise SettingError(f"{path}: this recipe says nothing of it")
        return deepcopy(value)

    def replace(self, changes: Mapping[str, Any]) -> Self:
        """Another recipe: `recipe.replace({"optimizer.lr": 3e-3})`. None takes a key back to its default."""
        return type(self)(self._changed(changes), self.source)

    def set_text(self, settings: Sequence[str]) -> Self:
        """The same from a command line: `["optimizer.lr=3e-3", "optimizer.rule=lion"]`.

        What is not TOML is text, and nothing at all is the default.
        """
        changes: dict[str, Any] = {}
        for setting in settings:
            path, equals, text = setting.partition("=")
            if not equals:
                raise SettingError(f"--set {setting!r} must be PATH=VALUE, such as optimizer.lr=3e-3")
            changes[path.strip()] = value_of(text.strip())
        with located(f"--set {' '.join(settings)!r}"):
            tables = type(self)(self._changed(changes)).tables()
        return type(self)(tables, self.source)

    def _changed(self, changes: Mapping[str, Any]) -> dict[str, Table]:
        tables: dict[str, Any] = self.tables()
        for path, value in changes.items():
            section, _, rest = path.partition(".")
            self._section(section)
            put(tables if not rest else tables.setdefault(section, {}), rest or section, value, section, path)
        return tables

    def _section(self, name: str) -> Part:
        if name not in self._parts:
            raise SettingError(f"{written_key(name)}: unknown section{nearest(name, self._parts)}")
        return self._parts[name]

    # --- what it says -------------------------------------------------------------------------------

    @property
    def batch(self) -> Batch:
        return self._parts["batch"].made

    @property
    def stop(self) -> Stop:
        return self._parts["stop"].made

    @property
    def run(self) -> Run:
        return self._parts["run"].made

    @property
    def rules(self) -> Rules:
        """The rules of all groups, and how they are given to parameters."""
        return self._parts["optimizer"].made

    def rule(self) -> Rule:
        """The rule in its wrappers."""
        return self.rules.rule

    def driver(self) -> Settings:
        """What asks for gradients. With batch.micro that is `Accumulate`."""
        return DRIVERS["accumulate"]() if self.batch.micro else self._parts["driver"].made

    def regularizers(self) -> "dict[str, Regularizer]":
        return dict(self._parts["regularize"].made)

    def schedules(self, length: "Length | None" = None) -> "dict[str, Schedule]":
        """The factor on each knob, by the knob's path; with the length of a run, ready to be asked.

        "batch" counts in samples, and decides how many steps a run has: without a length it goes to `schedules.batch_sizes`.
        """
        found: dict[str, Schedule] = dict(self._parts["schedule"].made)
        if length:
            for path, schedule in found.items():
                with located(self.source), located(f"schedule.{path}"):
                    found[path] = schedule.resolve(length)
        return found

    # --- with a model -------------------------------------------------------------------------------

    def check(self, factories: Factories) -> None:
        """Whether [model] names a factory of the task, and arguments that it has."""
        with located(self.source):
            checked(self._parts["model"].said, factories)

    def model(self, factories: Factories) -> "nn.Module":
        """The model, as its factory makes it."""
        with located(self.source):
            factory = checked(self._parts["model"].said, factories)
            return made(factory, deepcopy(self._parts["model"].made))

    def initialize(self, model: "nn.Module", sample: Any = None, *names: str) -> "Report":
        """Initialize the model by [init], from the run's seed; `names` tell parts of a model apart that are initialized alone.

        Parameters of the model's own, for which the plan has no rule, stay as the model made them.
        """
        from steepest.core.rng import seed_of
        from steepest.init import apply

        seed = seed_of(self.run.seed, *names) if names else self.run.seed
        return apply(model, self._parts["init"].made, sample=sample, seed=seed, keep=True)

    @property
    def pretrained(self) -> str | None:
        return self._parts["init"].said.get("pretrained")

    def optimizer(self, model: "nn.Module", multipliers: Mapping[str, float] | None = None, only: str = "*") -> "Optimizer | LBFGS":
        """The optimizer of this model, or of the parameters that the patterns `only` match.

        `multipliers` are those of lr that the model's initialization asks for, by parameter: `Report.lr_multipliers`.
        """
        from steepest.train.building import optimizer

        with located(self.source):
            return optimizer(self.rules, model, multipliers or {}, only)


@contextmanager
def located(where: str) -> Iterator[None]:
    """Within, errors begin with where the mistake stands."""
    try:
        yield
    except SteepestError as error:
        if not where:
            raise
        raise type(error)(f"{where}: {error}") from None

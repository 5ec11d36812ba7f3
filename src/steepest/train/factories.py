"""The section [model] against the task: which factory makes the model, and whether it takes these arguments."""

from collections.abc import Mapping
from inspect import signature
from math import isnan
from typing import Any

from steepest.core.errors import SettingError, SteepestError, nearest
from steepest.core.task import Factory, keywords
from steepest.train.reading import Table, without
from steepest.train.toml import shown

Factories = Factory | Mapping[str, Factory]


def checked(table: Table, factories: Factories) -> Factory:
    """The factory that [model] means, if it takes what [model] says."""
    factory = chosen(table.get("name"), factories)
    given, known = without(table, "name"), keywords(factory)
    name = getattr(factory, "__name__", type(factory).__name__)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature(factory).parameters.values())
    for key, value in given.items():
        if key in known:
            same_kind(f"model.{key}", value, known[key])
        elif not takes_any:
            raise SettingError(f"model.{key}: unknown argument of {name}{nearest(key, known)}")
    for key, default in known.items():
        if default is ... and key not in given:
            raise SettingError(f"model.{key} must be said: {name} has no default for it")
    return factory


def made(factory: Factory, settings: Table) -> Any:
    """What the factory makes of these settings. What it cannot make anything of is somebody's mistake, and says where."""
    try:
        return factory(**settings)
    except SteepestError:
        raise
    except Exception as error:
        given = ", ".join(f"{key}={value!r}" for key, value in settings.items())
        name = getattr(factory, "__name__", type(factory).__name__)
        raise SettingError(f"model: {name}({given}) failed: {type(error).__name__}: {' '.join(str(error).split())}") from error


def chosen(name: str | None, factories: Factories) -> Factory:
    named = factories if isinstance(factories, Mapping) else {"model": factories}
    if name is None and len(named) > 1:
        raise SettingError(f"model.name must say which model: {', '.join(named)}")
    if name is not None and name not in named:
        raise SettingError(f"model.name = {shown(name)}: the task has no such model{nearest(name, named)}")
    return named[name or next(iter(named))]


def same_kind(where: str, value: Any, default: Any) -> None:
    """A factory's default says what its argument is; of None and of objects nothing is known."""
    if isinstance(value, float) and isnan(value):
        raise SettingError(f"{where} = nan is not a number")
    kinds = (int, float) if type(default) is float else (type(default),)
    if isinstance(default, (bool, int, float, str)) and type(value) not in kinds:
        raise SettingError(f"{where} = {shown(value)} must be of the kind of its default, {shown(default)}")

"""What all readers of sections need: from tables to objects, with errors that speak of the recipe's keys."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from steepest.core.errors import SettingError, nearest
from steepest.core.knob import Option, Settings
from steepest.core.rule import Rule
from steepest.train.kinds import Section, defaults, specs
from steepest.train.toml import joined, shown

Table = dict[str, Any]
S = TypeVar("S", bound=Settings)
# Types as one says them to someone who writes TOML.
PLAIN = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text", "tuple": "a list"}


class Part(NamedTuple):
    """A section that was read: what differs from the defaults, everything, and the object that it makes."""

    said: Table
    whole: Table
    made: Any


def section(cls: type[Section], name: str) -> Callable[[Table], Part]:
    """The reader of a section that is one class."""

    def read(table: Table) -> Part:
        made = built(cls, table, name, "key")
        return Part(said_of(made, table), whole_of(made), made)

    return read


def built(cls: type[S], settings: Table, where: str, noun: str, *, also: Iterable[str] = (), short: str = "", **inner: Rule) -> S:
    """The object that settings say. `short` is the setting that a lone value stands for: errors leave its name out."""
    known = specs(cls)
    for name in settings:
        if name not in known:
            raise SettingError(f"{joined(where, name)}: unknown {noun}{nearest(name, [*known, *also])}")
    try:
        return cls(**{name: converted(x, known[name]) for name, x in settings.items()}, **inner)
    except SettingError as error:
        raise SettingError(turned(str(error), cls.__name__, where, short)) from None


def turned(message: str, cls: str, where: str, short: str = "") -> str:
    """ "Adam.lr = -1 is outside [0, inf)" as "optimizer.lr = -1 is outside [0, inf)"."""
    message = re.sub(r" must be (bool|int|float|str|tuple)$", lambda found: f" must be {PLAIN[found[1]]}", message)
    if not message.startswith(f"{cls}."):
        return f"{where}: {message}"
    message = message.removeprefix(cls)
    return where + (message.removeprefix(f".{short}") if short else message)


def converted(value: Any, spec: Any) -> Any:
    """TOML's types as an option wants them: a list as a tuple, a whole number as a float where floats are meant."""
    default = spec.default if isinstance(spec, Option) else None
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if isinstance(default, tuple) and isinstance(value, list):
        items = tuple(float(x) if type(x) is int and any(isinstance(d, float) for d in default) else x for x in value)
        return items if not default or {*map(type, items)} <= {*map(type, default)} else value
    return value


def whole_of(made: Settings) -> Table:
    """Every setting that has a value, as it is written."""
    values = {name: getattr(made, name) for name in specs(type(made))}
    return {name: list(x) if isinstance(x, tuple) else x for name, x in values.items() if x is not None}


def said_of(made: Settings, settings: Table) -> Table:
    """The settings that differ from what they are when not said."""
    usual = made.usual(settings) if isinstance(made, Section) else defaults(type(made))
    return {name: x for name, x in whole_of(made).items() if name in settings and getattr(made, name) != usual[name]}


def without(table: Mapping[str, Any], *names: str) -> Table:
    return {key: x for key, x in table.items() if key not in names}


def chosen(registry: Iterable[str], name: Any, where: str, noun: str) -> str:
    if not isinstance(name, str):
        raise SettingError(f"{where} = {shown(name)} must be the name of a {noun}")
    if name not in registry:
        said = f"unknown {noun}" if where.endswith(joined("", name)) else f"unknown {noun} {shown(name)}"
        raise SettingError(f"{where}: {said}{nearest(name, registry)}")
    return name


def table_at(value: Any, where: str) -> Table:
    if not isinstance(value, Mapping):
        raise SettingError(f"{where} = {shown(value)} must be a table")
    return dict(value)

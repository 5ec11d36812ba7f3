"""Paths into a recipe: "optimizer.lr", "optimizer.group.0.weight_decay", "schedule.clip.norm.end"."""

from collections.abc import Iterator, Mapping
from typing import Any

from steepest.core.errors import SettingError
from steepest.train.reading import Table
from steepest.train.toml import read, shown

# Sections whose keys are patterns and knobs, and hold dots themselves.
DOTTED = ("init", "schedule")


def flat(path: str, table: Table) -> Iterator[tuple[str, Any]]:
    """Every value by its path. In [init] and [schedule] a key holds dots, and its table is one value."""
    for key, x in table.items():
        if isinstance(x, Mapping) and x and path not in DOTTED:
            yield from flat(f"{path}.{key}", dict(x))
        else:
            yield f"{path}.{key}", x


def first_key(table: Any, path: str, section: str) -> tuple[str, str]:
    """The first key of a path, and the rest: the longest key that is there, for keys may hold dots."""
    there = [key for key in table if path == key or path.startswith(f"{key}.")] if isinstance(table, Mapping) else []
    if there:
        key = max(there, key=len)
        return key, path[len(key) + 1 :]
    if section in DOTTED and isinstance(table, Mapping):
        return path, ""
    key, _, rest = path.partition(".")
    return key, rest


def put(table: Any, path: str, value: Any, section: str, whole: str) -> None:
    key, rest = first_key(table, path, section)
    place: Any = key
    if isinstance(table, list):
        if not (key.isdecimal() and int(key) < len(table)):
            raise SettingError(f"{whole}: {shown(key)} must be the number of one of {len(table)} tables, from 0 on")
        place = int(key)
    elif not isinstance(table, dict):
        raise SettingError(f"{whole}: there is no table at this place, but {shown(table)}")
    if rest:
        if place not in (range(len(table)) if isinstance(table, list) else table):
            table[place] = {}
        put(table[place], rest, value, section, whole)
    elif value is None and isinstance(table, dict):
        table.pop(place, None)
    else:
        table[place] = value


def value_of(text: str) -> Any:
    try:
        tables = read(f"value = {text}") if text else {"value": None}
    except SettingError:
        return text
    return tables["value"] if [*tables] == ["value"] else text

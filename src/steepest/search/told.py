"""[space]: what a user says of the space, in place of the default's dimensions or beside them.

[space]
only = true                                                   # nothing of the default space
"optimizer.lr" = { low = 1e-4, high = 1e-1, log = true }      # a range
"batch.size" = [32, 64, 128]                                  # choices; "off" is none
"model.width" = 64                                            # fixed
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from steepest.core.errors import SettingError, nearest
from steepest.core.task import Task, keywords
from steepest.rules import RULES
from steepest.search.defaults import space_of, usual_rules
from steepest.search.dimension import Dimension
from steepest.search.space import Space, entangled
from steepest.train.optimizing import OWN
from steepest.train.readers import READERS
from steepest.train.recipe import Recipe, located
from steepest.train.toml import plain, read, shown

KEYS = ("low", "high", "log", "integer", "choices", "points", "when")
# What decides between others comes before them.
FIRST = ("model.name", "optimizer.rule")


def load_space(path: str | Path, task: Task, base: Recipe) -> Space:
    table = load_table(path)
    with located(str(path)):
        return read_space(table, task, base)


def load_table(path: str | Path) -> Any:
    """What a TOML file says of the space: its table [space], or the whole file."""
    try:
        said = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise SettingError(f"{path}: {getattr(error, 'strerror', None) or 'this is not text in UTF-8'}") from None
    with located(str(path)):
        tables = read(said)
    return tables.get("space", tables)


def read_space(table: Any, task: Task, base: Recipe) -> Space:
    """The space that is meant by what is said, checked by making recipes of it."""
    if not isinstance(table, Mapping):
        raise SettingError(f"space = {shown(table)} must be a table")
    only = table.get("only", False)
    if not isinstance(only, bool):
        raise SettingError(f"space.only = {shown(only)} must be true or false")
    said = dict(flat({key: x for key, x in plain(table).items() if key != "only"}))
    rules = said.get("optimizer.rule", base["optimizer.rule"] if only else usual_rules(task, base))
    rules = rules.get("choices", ()) if isinstance(rules, Mapping) else rules
    rules = (rules,) if isinstance(rules, str) else tuple(rules)
    for rule in rules:
        if rule not in RULES:
            raise SettingError(f"space: optimizer.rule = {shown(rule)}: unknown rule{nearest(str(rule), RULES)}")
    default = space_of(task, base, rules)
    mine = [_dimension(key, x, default, rules, task, base) for key, x in said.items()]
    space = Space(sorted(_together([] if only else list(default.dimensions), mine), key=lambda d: d.path not in FIRST))
    space.check(base, task.factories)
    return space


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`[space.optimizer] lr = ...` says the same as `"optimizer.lr" = ...`."""
    for key, x in table.items():
        if isinstance(x, Mapping) and not x.keys() & {*KEYS}:
            yield from flat(x, f"{prefix}{key}.")
        else:
            yield prefix + key, x


def _together(default: list[Dimension], mine: list[Dimension]) -> Iterator[Dimension]:
    """What the user says in the default's places; behind it what the default does not know. What has become impossible is left out."""
    said = {d.name: d for d in mine}
    fixed = {d.name: d.choices for d in mine if d.choices}
    for d in default:
        if d.name in said:
            yield said.pop(d.name)
        elif not any(entangled(d.path, m.path) and m.name not in {x.name for x in default} for m in mine):
            possible = tuple((name, tuple(x for x in values if x in fixed.get(name, values))) for name, values in d.when)
            if all(values for _, values in possible):
                yield replace(d, when=possible)
    yield from said.values()


def _dimension(key: str, said: Any, default: Space, rules: tuple[str, ...], task: Task, base: Recipe) -> Dimension:
    like = default.by_name.get(key) or next((d for d in default.dimensions if d.path == key), None)
    path = like.path if like else key
    section = path.partition(".")[0]
    if section not in READERS:
        raise SettingError(f"space: unknown {key!r}{nearest(key, [*default.by_name, *(d.path for d in default.dimensions)])}")
    if section == "run" or path in ("stop.epochs", "stop.steps"):
        raise SettingError(f"space: {path} is no choice of a search: every training of it is judged at the same length; leave it out")
    when = like.when if like and key == like.name else _rules_with(path, rules)
    if not isinstance(said, Mapping):
        choices = _values(said)
        return Dimension(key, path, choices=choices, when=when, usual=_kept(like, choices))
    for name in said:
        if name not in KEYS:
            raise SettingError(f"space: {key}.{name}: unknown key of a range{nearest(name, KEYS)}")
    facts: dict[str, Any] = {name: x for name, x in said.items() if name not in ("when", "choices")}
    if "when" in said:
        if not isinstance(said["when"], Mapping):
            raise SettingError(f'space: {key}.when = {shown(said["when"])} must be a table, such as {{ "optimizer.rule" = "adamw" }}')
        when = tuple((name, _values(x)) for name, x in said["when"].items())
    if "choices" in said:
        if not isinstance(said["choices"], list):
            raise SettingError(f"space: {key}.choices = {shown(said['choices'])} must be a list")
        return Dimension(key, path, **facts, choices=_values(said["choices"]), when=when)
    facts = {"log": bool(like and like.log), "integer": _whole(path, said, task, base)} | facts
    made = Dimension(key, path, **facts, when=when)
    usual = like.usual if like else None
    return replace(made, usual=made.within(usual)) if isinstance(usual, (int, float)) else made


def _values(said: Any) -> tuple[Any, ...]:
    """One or several; "off" is none."""
    return tuple(None if x == "off" else x for x in (said if isinstance(said, list) else [said]))


def _kept(like: Dimension | None, choices: tuple[Any, ...]) -> Any:
    return like.usual if like and like.usual in choices else None


def _rules_with(path: str, rules: tuple[str, ...]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """A knob that some of the rules have, and others not, exists with those."""
    section, _, knob = path.partition(".")
    if section != "optimizer" or "." in knob or knob in ("rule", *OWN) or len(rules) < 2:
        return ()
    having = tuple(rule for rule in rules if knob in {*RULES[rule].own_knobs(), *RULES[rule].own_options()})
    return (("optimizer.rule", having),) if 0 < len(having) < len(rules) else ()


def _whole(path: str, said: Mapping[str, Any], task: Task, base: Recipe) -> bool:
    """Whether the values between are whole: as the recipe's own value is, or else as the ends are."""
    try:
        now = base[path]
    except SettingError:
        arguments = [keywords(factory) for factory in task.factories.values()]
        now = next((some[path[6:]] for some in arguments if path.startswith("model.") and path[6:] in some), None)
    whole = type(said.get("low")) is int and type(said.get("high")) is int
    return whole and not isinstance(now, float)

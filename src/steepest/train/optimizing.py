"""The section [optimizer]: a rule, its wrappers, and the groups of parameters that are treated in another way."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from steepest.core.errors import SettingError
from steepest.core.rule import Rule
from steepest.rules import ALIASES, RULES, WRAPPERS, Wrapper
from steepest.train.kinds import specs
from steepest.train.reading import Part, Table, built, chosen, said_of, table_at, whole_of, without
from steepest.train.sections import Optimizing
from steepest.train.toml import joined, shown

USUAL = "adamw"
OWN = tuple(specs(Optimizing))


@dataclass(frozen=True)
class Rules:
    """The rule in its wrappers, those of the groups by their patterns, the one beside Muon, and how they are given out.

    `knobs` are all that a schedule may name: "lr", "clip.norm".
    """

    rule: Rule
    groups: tuple[tuple[str, Rule], ...]
    others: Rule | None
    how: Optimizing
    knobs: tuple[str, ...]


def optimizer(table: Table) -> Part:
    own = {key: table[key] for key in OWN if key in table}
    how = built(Optimizing, own, "optimizer", "key")
    main = leaf(without(table, "wrap", "group", "others", *OWN), "optimizer", also=("wrap", "group", "others", *OWN))
    groups = [group(x, f"optimizer.group.{i}", main) for i, x in enumerate(_list(table.get("group", [])))]
    others = _others(table, how)
    wraps = {name: table_at(x, joined("optimizer.wrap", name)) for name, x in table_at(table.get("wrap", {}), "optimizer.wrap").items()}
    if main.made.scope == "flat" and (wraps or groups or how.plan != "plain" or how.layerwise_decay != 1):
        name = main.whole["rule"]
        raise SettingError(
            f"optimizer.rule: {name} sees all parameters as one vector, and goes without wrap, group, plan and layerwise_decay"
        )

    rule = wrapped(main.made, wraps)
    if how.plan == "decay" and not any(knob in ("weight_decay", "coefficient") for knob in map(last, rule.knobs())):
        raise SettingError(f'optimizer.plan = "decay" needs a weight decay to take away, and {main.whole["rule"]} has none')
    around = dict(zip(wraps, layers(rule), strict=False))
    rules = Rules(
        rule=rule,
        groups=tuple((part.whole["match"], wrapped(part.made, wraps)) for part in groups),
        others=wrapped(others.made, wraps) if others else None,
        how=how,
        knobs=knobs(wraps, [part.made for part in (main, *groups, *([others] if others else []))]),
    )
    said = {**main.said, **said_of(how, own), "wrap": {name: said_of(around[name], wraps[name]) for name in wraps}}
    whole = {**main.whole, **whole_of(how), "wrap": {name: whole_of(around[name]) for name in wraps}}
    for text, beside in ((said, others.said if others else {}), (whole, others.whole if others else {})):
        text |= {"others": beside, "group": [part.said for part in groups]}
    return Part({key: x for key, x in said.items() if x not in ({}, [])}, {key: x for key, x in whole.items() if x not in ({}, [])}, rules)


def leaf(table: Table, where: str, also: tuple[str, ...] = ()) -> Part:
    """A rule without wrappers: its name and its settings."""
    said = table.get("rule", USUAL)
    name = chosen(RULES, ALIASES.get(said, said) if isinstance(said, str) else said, f"{where}.rule", "rule")
    settings = without(table, "rule")
    made = built(RULES[name], settings, where, f"knob of {name}", also=("rule", *also))
    return Part({**({"rule": name} if name != USUAL else {}), **said_of(made, settings)}, {"rule": name, **whole_of(made)}, made)


def group(value: object, where: str, main: Part) -> Part:
    """A pattern and what is different there: settings of the optimizer's rule, or a rule of its own with that one's defaults."""
    table = table_at(value, where)
    if not isinstance(table.get("match"), str):
        raise SettingError(f'{where}.match must say which parameters, by patterns such as "*.bias|*norm*"')
    settings = without(table, "match")
    part = leaf(settings if "rule" in table else {**main.whole, **settings}, where, also=("match",))
    if part.made.scope == "flat":
        raise SettingError(f"{where}: {type(part.made).__name__} sees all parameters as one vector, and cannot have some of them")
    said = {"match": table["match"], **{key: x for key, x in part.whole.items() if key in settings}}
    return Part(said, said, part.made)


def _others(table: Table, how: Optimizing) -> Part | None:
    if how.plan == "muon":
        return leaf(table_at(table.get("others", {}), "optimizer.others"), "optimizer.others")
    if "others" in table:
        raise SettingError('optimizer.others is for plan = "muon"; for some of the parameters, say [[optimizer.group]]')
    return None


def _list(value: object) -> list:
    if not isinstance(value, list):
        raise SettingError(f"optimizer.group = {shown(value)} must be a list of tables, each [[optimizer.group]]")
    return value


def last(path: str) -> str:
    return path.rpartition(".")[2]


# --- wrappers ---------------------------------------------------------------------------------------


def wrapped(rule: Rule, wraps: Mapping[str, Table]) -> Rule:
    """The first wrapper of the file is the outermost: it is the first to see the gradient, and the last to see the change."""
    for name, settings in reversed([*wraps.items()]):
        where = joined("optimizer.wrap", name)
        rule = built(WRAPPERS[chosen(WRAPPERS, name, where, "wrapper")], settings, where, f"knob of {name}", inner=rule)
    return rule


def layers(rule: Rule) -> Iterator[Wrapper]:
    while isinstance(rule, Wrapper):
        yield rule
        rule = rule.inner


def knobs(wraps: Iterable[str], leaves: Iterable[Rule]) -> tuple[str, ...]:
    own = [knob for rule in leaves for knob in type(rule).own_knobs()]
    return tuple(dict.fromkeys(own + [f"{name}.{knob}" for name in wraps for knob in WRAPPERS[name].own_knobs()]))

"""The readers of all sections, by name, in the order of a recipe."""

from collections.abc import Callable, Collection, Iterator, Mapping
from inspect import Parameter, signature
from typing import Any

from steepest.core.errors import ParameterError, SettingError, nearest
from steepest.core.plan import Slot
from steepest.drivers import DRIVERS
from steepest.train.optimizing import Rules, optimizer
from steepest.train.reading import Part, Table, built, chosen, said_of, section, turned, whole_of, without
from steepest.train.sections import Batch, Run, Stop
from steepest.train.toml import joined, shown, written_key

# What `steepest.init.apply` gives an initializer besides its settings.
HIDDEN = ("dtype", "groups", "out")


def model(table: Table) -> Part:
    """Arguments of the model's factory. Which ones there are is the task's business: see `Recipe.check`."""
    if not isinstance(table.get("name", ""), str):
        raise SettingError(f"model.name = {shown(table['name'])} must be text: the name of one of the task's factories")
    for key in table:
        if not key.isidentifier():
            raise SettingError(f"{joined('model', key)}: no factory can have an argument of this name")
    said = tidy(table)
    return Part(said, said, without(said, "name"))


def init(table: Table) -> Part:
    """A plan by name, before it patterns over names and kinds of layers; and a file of weights to go on from."""
    plan = table.get("plan", "auto")
    if plan != "auto":  # the room is not asked for without need
        from steepest.init import PLANS

        chosen(PLANS, plan, "init.plan", "plan")
    if not isinstance(table.get("pretrained", ""), str):
        raise SettingError(f"init.pretrained = {shown(table['pretrained'])} must be text: the path of a file of weights")
    patterns = without(table, "plan", "pretrained")
    for pattern, value in patterns.items():
        initializer(value, joined("init", pattern))
    whole = {"plan": plan, **{key: tidy(table[key]) for key in ("pretrained", *patterns) if key in table}}
    made = (*patterns.items(), (everything, plan)) if patterns else plan
    return Part(without(whole, "plan") if plan == "auto" else whole, whole, made)


def everything(slot: Slot) -> bool:
    return True


def initializer(value: Any, where: str) -> None:
    """Check what a pattern is given by trying it out, which stops before the first number is drawn."""
    from steepest.init import INITIALIZERS, PLANS
    from steepest.init.initializers import Rehearsed

    if isinstance(value, Mapping) and "name" not in value:
        raise SettingError(f'{where} needs a name, as in {{ name = "normal", std = 0.02 }}; a pattern with a dot in it stands in quotes')
    settings = without(value, "name") if isinstance(value, Mapping) else {}
    name = chosen([*INITIALIZERS, *PLANS], value["name"] if isinstance(value, Mapping) else value, where, "initializer")
    if name not in INITIALIZERS and settings:
        raise SettingError(f"{where}: {name} is a plan, and has no settings")
    if name in INITIALIZERS:
        takes = {p.name: p for p in signature(INITIALIZERS[name]).parameters.values() if p.kind is p.KEYWORD_ONLY and p.name not in HIDDEN}
        for setting in settings:
            if setting not in takes:
                raise SettingError(f"{joined(where, setting)}: unknown setting of {name}{nearest(setting, takes)}")
        for setting, parameter in takes.items():
            if parameter.default is Parameter.empty and setting not in settings:
                raise SettingError(f"{where}: {name} needs {setting}")
        try:
            INITIALIZERS[name]((4, 4), None, None, **settings)
        except (Rehearsed, ParameterError):  # only drawing is left; or it is for another shape
            pass
        except SettingError as error:
            raise SettingError(turned(str(error), name, where)) from None
        except TypeError:
            raise SettingError(f"{where} = {shown(value)}: a setting is of the wrong type") from None


def schedule(table: Table, knobs: Collection[str]) -> Part:
    """Shapes over knobs. `clip.norm = ...` and `"clip.norm" = ...` are the same."""
    if not table:
        return Part({}, {}, {})
    from steepest.schedules import read

    said = dict(_flat(table, knobs))
    made = {}
    for path, value in said.items():
        where = ".".join(["schedule", *map(written_key, path.split("."))])
        if path not in knobs:
            raise SettingError(f"{where}: this recipe has no such knob{nearest(path, knobs)}")
        try:
            made[path] = read(value)
        except SettingError as error:
            raise SettingError(f"{where}: {error}") from None
    said = {path: tidy(said[path]) for path in knobs if path in said}
    return Part(said, said, {path: made[path] for path in said})


def _flat(table: Table, knobs: Collection[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and "shape" not in value and prefix + key not in knobs:
            yield from _flat(dict(value), knobs, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def driver(table: Table) -> Part:
    name = chosen(DRIVERS, table.get("name", "plain"), "driver.name", "driver")
    settings = without(table, "name")
    made = built(DRIVERS[name], settings, "driver", f"setting of {name}", also=("name",))
    return Part({**({"name": name} if name != "plain" else {}), **said_of(made, settings)}, {"name": name, **whole_of(made)}, made)


def regularize(table: Table) -> Part:
    """Each is a table of settings, or a lone value for its main one."""
    if not table:
        return Part({}, {}, {})
    from steepest.regularizers import REGULARIZERS

    said, whole, made = {}, {}, {}
    for name, value in table.items():
        where = joined("regularize", name)
        if name == "early_stopping":
            raise SettingError(f"{where}: a recipe says this as stop.patience, stop.minimum and stop.metric")
        cls = REGULARIZERS[chosen(REGULARIZERS, name, where, "regularizer")]
        if not isinstance(value, Mapping) and not cls.main:
            raise SettingError(f"{where} = {shown(value)} must be a table of settings, such as {name} = {{}}")
        short = "" if isinstance(value, Mapping) else cls.main
        settings = {short: value} if short else dict(value)
        made[name] = one = built(cls, settings, where, f"setting of {name}", short=short)
        said[name], whole[name] = said_of(one, settings), whole_of(one)
    return Part(said, whole, made)


def tidy(value: Any) -> Any:
    """Tables whose order means nothing, in one order: shapes and names first."""
    if isinstance(value, Mapping):
        return {key: tidy(value[key]) for key in sorted(value, key=lambda key: (key not in ("shape", "name"), key))}
    return [tidy(x) for x in value] if isinstance(value, list) else value


def knobs(rules: Rules, regularizers: Mapping[str, Any]) -> list[str]:
    """Everything that a schedule can move, by the path it has in [schedule]."""
    inside = [f"regularize.{name}.{knob}" for name, one in regularizers.items() for knob in type(one).own_knobs()]
    return [*rules.knobs, "batch", "length", *inside]


READERS: dict[str, Callable[..., Part]] = {
    "model": model,
    "init": init,
    "optimizer": optimizer,
    "schedule": schedule,
    "batch": section(Batch, "batch"),
    "driver": driver,
    "regularize": regularize,
    "stop": section(Stop, "stop"),
    "run": section(Run, "run"),
}

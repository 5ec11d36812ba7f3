"""From a row of the table to a class with torch's signature."""

from collections.abc import Mapping
from dataclasses import replace
from inspect import Parameter, Signature
from typing import Any

from steepest.core.errors import SettingError, nearest
from steepest.optim.optimizer import Optimizer
from steepest.optim.row import Row
from steepest.optim.state_dict import TORCH_ONLY, refuse_torch_only
from steepest.rules.wrapper import Wrapper

BESIDES = """

    torch's arguments where torch has the class; `engine`, `check` and `master_weights` are those of `Optimizer`.
    """
OURS = dict(maximize=False, engine="auto", check=False, master_weights=False)


def face(name: str, row: Row) -> type[Optimizer]:
    """The class of this name: torch's arguments in torch's order, then ours by keyword."""
    rule = row.built({"maximize": False, **row.defaults})
    while isinstance(rule, Wrapper):
        rule = rule.inner

    def __init__(self: Any, params: Any, *args: Any, **given: Any) -> None:
        mine, ours = settled(name, row, args, given)
        Optimizer.__init__(self, params, mine, **ours)

    __init__.__signature__ = signature(row)
    return type(name, (Optimizer,), {"__init__": __init__, "__doc__": f"{rule.__doc__}{BESIDES}", "__module__": "steepest.optim"})


def signature(row: Row, **more: Any) -> Signature:
    ordinary = [Parameter(key, Parameter.POSITIONAL_OR_KEYWORD, default=value) for key, value in row.defaults.items()]
    ours = [Parameter(key, Parameter.KEYWORD_ONLY, default=value) for key, value in {**more, **OURS}.items()]
    self_and_params = [Parameter(key, Parameter.POSITIONAL_OR_KEYWORD) for key in ("self", "params")]
    return Signature([*self_and_params, *ordinary, *ours])


def settled(name: str, row: Row, args: tuple[Any, ...], given: Mapping[str, Any]) -> tuple[Row, dict[str, Any]]:
    """The row with what was given as its defaults, and what is ours; a name that does not exist is an error that says which was meant."""
    settings = {**row.defaults, **OURS}
    if len(args) > len(row.defaults):
        raise SettingError(f"{name} takes at most {len(row.defaults)} settings by position: {', '.join(row.defaults)}")
    by_place = dict(zip(row.defaults, args, strict=False))
    for key, value in given.items():
        if key in TORCH_ONLY:
            refuse_torch_only(name, key, value)
        elif key not in settings:
            raise SettingError(f"{name} has no setting {key!r}{nearest(key, settings)}")
        elif key in by_place:
            raise SettingError(f"{name}.{key} is given twice, by position and by name")
        else:
            settings[key] = value
    settings |= by_place
    row.check(name, settings)
    ours = {key: settings.pop(key) for key in OURS if key != "maximize"}
    return replace(row, defaults=settings), ours

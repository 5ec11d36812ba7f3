"""Schedules from what a recipe says: a name, a table, or a list of tables."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from steepest.core.errors import SettingError, nearest
from steepest.schedules.base import Schedule
from steepest.schedules.compose import Inverse, Product, Sequence, Warmup
from steepest.schedules.cycles import CosineRestarts, OneCycle, Triangular
from steepest.schedules.decays import Constant, Cosine, Exponential, InverseSqrt, InverseTime, Linear, Polynomial, StableDecay
from steepest.schedules.plateau import Plateau
from steepest.schedules.steps import Piecewise, Staircase, Step

SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "linear": Linear,
    "polynomial": Polynomial,
    "cosine": Cosine,
    "exponential": Exponential,
    "inverse_time": InverseTime,
    "inverse_sqrt": InverseSqrt,
    "stable_decay": StableDecay,
    "step": Step,
    "multi_step": Step,
    "staircase": Staircase,
    "piecewise": Piecewise,
    "cosine_restarts": CosineRestarts,
    "triangular": Triangular,
    "one_cycle": OneCycle,
    "plateau": Plateau,
    "warmup": Warmup,
    "sequence": Sequence,
    "product": Product,
    "inverse": Inverse,
}

ALIASES = {"wsd": "warmup_stable_decay", "onecycle": "one_cycle"}
PREFIX = "warmup_"


def of(shape: str, settings: Mapping[str, Any]) -> Schedule:
    """`of("warmup_cosine", {"warmup": "10%"})`. Of `warmup_X`, warmup and start are the warmup's, all else is X's."""
    name = ALIASES.get(shape, shape)
    if name.startswith(PREFIX):
        own = {key: settings[key] for key in ("warmup", "start") if key in settings}
        rest = {key: value for key, value in settings.items() if key not in own}
        if name == "warmup_inverse_sqrt":
            rest = {"timescale": own.get("warmup", Warmup(inner=Constant()).warmup), **rest}
        return Warmup(inner=of(name.removeprefix(PREFIX), rest), **own)
    if name not in SCHEDULES:
        raise SettingError(f"there is no schedule {shape!r}{nearest(shape, [*SCHEDULES, *ALIASES, *(PREFIX + x for x in SCHEDULES)])}")
    return SCHEDULES[name](**{key: _part(key, value) for key, value in settings.items()})


def read(said: Any) -> Schedule:
    """A schedule as it is, by name, as a table `{"shape": ...}`, as a factor, or as a list of tables with `until`: a sequence."""
    if isinstance(said, Schedule):
        return said
    if isinstance(said, str):
        return of(said, {})
    if isinstance(said, (int, float)) and not isinstance(said, bool):
        return Constant(factor=said)
    if isinstance(said, Mapping):
        if not isinstance(said.get("shape"), str):
            raise SettingError(f'a schedule needs a shape, as in {{shape = "cosine"}}; this one says {dict(said)!r}')
        return of(said["shape"], {key: value for key, value in said.items() if key != "shape"})
    if isinstance(said, (list, tuple)) and said:
        return _sequence(said)
    raise SettingError(f"{said!r} is not a schedule; say a name, a table with a shape, or a list of tables")


def said(schedule: Schedule) -> dict[str, Any]:
    """What a recipe says of it: the table that `read` makes the same schedule of."""
    values = {f.name: getattr(schedule, f.name) for f in fields(schedule)}
    different = {f.name: values[f.name] for f in fields(schedule) if values[f.name] != f.default}
    shape = next(name for name, cls in SCHEDULES.items() if cls is type(schedule))
    return {"shape": shape} | {name: _written(x) for name, x in different.items()}


def _written(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_written(x) for x in value]
    return said(value) if isinstance(value, Schedule) else value


def _sequence(said: list[Any] | tuple[Any, ...]) -> Sequence:
    parts = [{"shape": x} if isinstance(x, str) else x for x in said]
    for i, part in enumerate(parts):
        if not isinstance(part, Mapping):
            raise SettingError(f"part {i + 1} of a sequence must be a table with a shape, not {part!r}")
        if i < len(parts) - 1 and "until" not in part:
            raise SettingError(f'part {i + 1} of a sequence must say where it ends, as in until = "10%"')
    if "until" in parts[-1]:
        raise SettingError("the last part of a sequence ends with the run; leave out until")
    until = [part["until"] for part in parts[:-1]]
    return Sequence(parts=tuple(read({k: v for k, v in part.items() if k != "until"}) for part in parts), until=until)


def _part(key: str, value: Any) -> Any:
    if key == "inner":
        return read(value)
    return [read(x) for x in value] if key == "parts" and isinstance(value, (list, tuple)) else value

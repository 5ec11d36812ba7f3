"""Schedules at work: what is scheduled is set before each step."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from steepest.core.errors import SettingError, nearest
from steepest.core.rule import Rule
from steepest.optim import Optimizer
from steepest.optim.row import read, split
from steepest.rules import WRAPPERS
from steepest.schedules.base import Schedule
from steepest.schedules.plateau import Plateau, plateau_of
from steepest.schedules.span import Length

# A param_group, the entry of it that a knob is read from, and the value there when the run began.
Seat = tuple[dict[str, Any], str, float]


class Scheduled:
    """One knob under a schedule; `turn(factor)` sets it to its base value times the factor."""

    def __init__(self, path: str, schedule: Schedule, length: Length, turn: Callable[[float], None]) -> None:
        self.path, self.schedule, self.length, self.turn = path, schedule, length, turn
        self.plateau: Plateau | None = plateau_of(schedule)
        self.seen: Any = self.plateau.start() if self.plateau else ()

    def factor(self, k: int) -> float:
        value = self.schedule(self.length.progress(k))
        return value * self.plateau.factor(self.seen) if self.plateau else value

    def observe(self, value: float, more: bool) -> None:
        """A measured metric, and whether more of it is better. A plateau that looks the other way gets it with the other sign."""
        if self.plateau:
            self.seen = self.plateau.observe(self.seen, value if more == (self.plateau.mode == "max") else -value)


class Dial:
    """One knob in all groups that have it. `turn(factor)` sets it to its base value times the factor."""

    def __init__(self, optimizers: Sequence[Any], path: str) -> None:
        self.seats = [seat for optimizer in optimizers for seat in seats(optimizer, path)]
        self.factor = 1.0
        if not self.seats:
            known = sorted({name for optimizer in optimizers for name in knobs(optimizer)})
            raise SettingError(f"schedule.{path}: no rule of this run has such a knob{nearest(path, known)}")

    def turn(self, factor: float) -> None:
        if factor != self.factor:
            for group, source, base in self.seats:
                write(group, source, base * factor)
            self.factor = factor

    def read(self) -> float:
        """The value in the first group."""
        group, source, _ = self.seats[0]
        return float(read(group, source))


def seats(optimizer: Any, path: str) -> list[Seat]:
    found = []
    for group, rule, sources in groups(optimizer):
        for at, source in sources.items():
            if source and said(rule, at) == path:
                found.append((group, source, float(read(group, source))))
    return found


def knobs(optimizer: Any) -> set[str]:
    return {said(rule, at) for _, rule, sources in groups(optimizer) for at in sources}


def groups(optimizer: Any) -> list[tuple[dict[str, Any], Rule, Mapping[str, str | None]]]:
    """Each param_group with its rule, and where each knob of the rule is read from."""
    if not isinstance(optimizer, Optimizer):  # L-BFGS has one group, and knobs under their own names
        group = optimizer.param_groups[0]
        return [(group, optimizer.rule, {at: at for at in optimizer.rule.knobs() if at in group})]
    rules = [row.built(group) for row, group in zip(optimizer.rows, optimizer.param_groups, strict=True)]
    return [(g, rule, row.sources(rule)) for g, rule, row in zip(optimizer.param_groups, rules, optimizer.rows, strict=True)]


def said(rule: Rule, path: str) -> str:
    """A knob's path as a recipe says it: "lr" for the rule's own, "clip.norm" for a wrapper's."""
    prefix, _, knob = path.rpartition(".")
    level: Any = rule
    for name in prefix.split(".") if prefix else ():
        level = getattr(level, name)
    if not level.nested():
        return knob
    return f"{next(name for name, cls in WRAPPERS.items() if type(level) is cls)}.{knob}"


def write(group: dict[str, Any], source: str, value: float) -> None:
    name, index = split(source)
    group[name] = value if index is None else (*group[name][:index], value, *group[name][index + 1 :])

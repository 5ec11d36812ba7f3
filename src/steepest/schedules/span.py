"""Spans of a run: "10%", 0.1, "3 epochs", "500 steps", "60000 samples", "1e6 tokens"; and the length that makes them shares."""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from steepest.core.errors import SettingError, nearest
from steepest.core.knob import Knob, Option, as_number

UNITS = ("epochs", "steps", "samples", "tokens")
# Steps of a run are farther apart than this; quotients that mean the same step are nearer.
TINY = 1e-12

Span = float | str
SHARE = Knob(0.0, "a share of the run", 0, 1, True, None, False)
_SAID = re.compile(r"\s*([^\s%a-z]+(?:e[+-]?\d+)?)\s*(%|[a-z]*)\s*", re.IGNORECASE)


def duration(default: float, meaning: str, *, search: tuple[float, float] | None = None, log: bool = False) -> Any:
    """A field that says how long something lasts. Held as a share, or as the text that needs a `Length`."""
    return field(default=default, metadata={"knob": Knob(default, meaning, 0, 1, True, search, log), "span": "duration"})


def moments(default: tuple[float, ...], meaning: str) -> Any:
    """A field that says when: one span or several, counted from the start of the run."""
    return field(default=default, metadata={"option": Option(default, meaning, ()), "span": "moments"})


@dataclass(frozen=True)
class Length:
    """How long a run is. Step k of `steps` has progress k / (steps - 1), so that the last step has progress 1.

    Where the batch grows, `starts` are the first steps of the epochs. Progress then counts epochs, by as much as each step takes of its
    own: so an epoch is as long wherever it begins. A number of steps lasts so many steps only from the first one on.
    """

    steps: int
    epochs: float | None = None
    samples: float | None = None
    tokens: float | None = None
    starts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise SettingError(f"Length.steps = {self.steps!r} must be a whole number, at least 1")
        for unit in ("epochs", "samples", "tokens"):
            total = getattr(self, unit)
            if total is not None and not (isfinite(total) and total > 0):
                raise SettingError(f"Length.{unit} = {total!r} must be above 0")

    @property
    def last(self) -> int:
        """The step whose progress is 1. (A run of one step has progress 0 alone.)"""
        return max(self.steps - 1, 1)

    def progress(self, k: float) -> float:
        return min(self.place(k) / self.place(self.last), 1.0)

    def place(self, k: float) -> float:
        """Where a run is before step k: in steps, or in epochs where these are not alike."""
        if not self.starts:
            return k
        epoch = bisect_right(self.starts, k) - 1
        begin, whole = self.starts[epoch], epoch + 1 < len(self.starts)
        end = self.starts[epoch + 1] if whole else self.steps
        share = 1.0 if whole else (self.epochs or len(self.starts)) - epoch
        return epoch + share * (k - begin) / (end - begin)

    def share(self, where: str, said: str, *, moment: bool = False) -> float:
        """The span as a share of progress. A moment must lie within the run, a duration may fill it."""
        amount, unit = parse(where, said)
        total = getattr(self, unit)
        if total is None:
            raise SettingError(f"{where} = {said!r} needs the {unit} of the run: Length(steps={self.steps}, {unit}=...)")
        if amount > total * (1 + TINY):
            raise SettingError(f"{where} = {said!r} is longer than the run of {total:g} {unit}")
        place = self.place(amount) if unit == "steps" else amount / total * self.place(self.steps)
        end = self.place(self.last)
        if moment and place > end * (1 + TINY):
            raise SettingError(f"{where} = {said!r} lies after the last of {self.steps} steps, which are numbered from 0")
        return min(place / end, 1.0)


def parse(where: str, said: str) -> tuple[float, str]:
    """ "3 epochs" as (3.0, "epochs"); a percentage as (0.1, "%")."""
    match = _SAID.fullmatch(said)
    try:
        amount = float(match[1] if match else said)
    except ValueError:
        raise SettingError(f'{where} = {said!r} is not a span; say "10%", "3 epochs" or "500 steps"') from None
    if not match or not match[2]:
        raise SettingError(f'{where} = {said!r} has no unit; say "10%", "3 epochs" or "500 steps"')
    if not isfinite(amount) or amount < 0:
        raise SettingError(f"{where} = {said!r} must be finite and not negative")
    unit = match[2].lower()
    if unit in ("%", "percent"):
        if amount > 100:
            raise SettingError(f"{where} = {said!r} is more than 100%")
        return amount / 100, "%"
    unit = unit if unit.endswith("s") else f"{unit}s"
    if unit not in UNITS:
        raise SettingError(f"{where} = {said!r} has an unknown unit{nearest(unit, [*UNITS, 'percent'])}")
    return amount, unit


def as_span(where: str, value: Any) -> Span:
    """A share as a float, anything else as the text that was said; or the error."""
    if isinstance(value, str):
        amount, unit = parse(where, value)
        return amount if unit == "%" else " ".join(value.split())
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 1:
        raise SettingError(f'{where} = {value:g} is outside [0, 1]; say "{value:g}%", "{value:g} epochs" or "{value:g} steps"')
    return as_number(where, value, SHARE)


def share(span: Span) -> float:
    if isinstance(span, str):
        raise SettingError(f"{span!r} needs the length of the run: schedule.resolve(Length(steps=..., epochs=...))")
    return span


def percent(x: float) -> str:
    return f"{100 * x:.6g}%"


def reached(x: float, moment: float) -> bool:
    return x >= moment - TINY


def within(x: float, start: float, end: float) -> float:
    """How far x is from start to end, in [0, 1]. Nothing at all is over at once."""
    return min(max((x - start) / (end - start), 0.0), 1.0) if end - start > TINY else 1.0

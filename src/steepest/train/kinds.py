"""What a key of a recipe may be, beside knobs and options: whole numbers, and spans in words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf
from typing import Any, NamedTuple

from steepest.core.errors import SettingError
from steepest.core.knob import Settings
from steepest.train.toml import shown


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` on, or one of `words`. Where it may be left unsaid, that is None."""

    default: int | str | None
    meaning: str
    low: int
    words: tuple[str, ...]

    @property
    def says(self) -> str:
        return " or ".join([f"a whole number from {self.low} on", *(f'"{word}"' for word in self.words)])

    def checked(self, where: str, value: Any) -> int | str | None:
        if value is None or (isinstance(value, str) and value in self.words) or (type(value) is int and value >= self.low):
            return value
        raise SettingError(f"{where} = {shown(value)} must be {self.says}")


@dataclass(frozen=True)
class Every:
    """A span of a run in words: "500 steps", "1 epoch", "never"."""

    default: str
    meaning: str
    units: tuple[str, ...]

    @property
    def says(self) -> str:
        return f'a number of {", ".join(self.units[:-1])} or {self.units[-1]}, such as "{self.default}", or "never"'

    def checked(self, where: str, value: Any) -> str:
        found = span(value) if isinstance(value, str) else None
        if found and (found.unit in self.units or found.amount == inf):
            return value
        raise SettingError(f"{where} = {shown(value)} must be {self.says}")


class Span(NamedTuple):
    """How long: `Span(5.0, "minutes")`. "never" is an infinite number of steps."""

    amount: float
    unit: str


def span(text: str) -> Span | None:
    """ "1 epoch" as (1.0, "epochs"); None if it is no span."""
    if text == "never":
        return Span(inf, "steps")
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) *(step|epoch|second|minute|hour)s?", text)
    return Span(float(found[1]), f"{found[2]}s") if found and float(found[1]) > 0 else None


def duration(text: str) -> Span:
    """A span that was checked when the recipe was read."""
    found = span(text)
    assert found
    return found


def whole(default: int | str | None, meaning: str, *, low: int = 1, words: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"kind": Whole(default, meaning, low, words)})


def every(default: str, meaning: str, *units: str) -> Any:
    return field(default=default, metadata={"kind": Every(default, meaning, units)})


class Section(Settings):
    """Settings that may also be whole numbers and spans."""

    @classmethod
    def usual(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """What each key is when it is not said beside those that are."""
        return defaults(cls)

    def __init__(self, **given: Any) -> None:
        super().__init__(**(self.usual(given) | given))

    def _checked(self, name: str, value: Any) -> Any:
        spec = specs(type(self))[name]
        if isinstance(spec, (Whole, Every)):
            return spec.checked(f"{type(self).__name__}.{name}", value)
        return super()._checked(name, value)


def specs(cls: type[Settings]) -> dict[str, Any]:
    """What may be said about each key of a class: a Knob, Option, Whole or Every. Nested settings are no keys."""
    return {f.name: next(iter(f.metadata.values())) for f in fields(cls) if f.metadata}  # type: ignore[arg-type]


def defaults(cls: type[Settings]) -> dict[str, Any]:
    return {f.name: f.default for f in fields(cls) if f.metadata}  # type: ignore[arg-type]

"""One decision of a search: a range or some choices, and the way between its values and places in [0, 1]."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from math import exp, floor, isfinite, log
from typing import Any, Self

from steepest.core.errors import SettingError
from steepest.train.toml import shown


def text(value: Any) -> str:
    """Values as they are compared: 1, 1.0 and true are three, and tables count too."""
    return json.dumps(value, sort_keys=True)


@dataclass(frozen=True)
class Dimension:
    """One decision: a number of a range, or one of `choices`; of the recipe's value at `path`.

    `when` names earlier dimensions and the values they may have; otherwise this one does not exist. `usual` is what it is where
    nobody chooses, `points` the number of values that a grid takes of a range.
    """

    name: str
    path: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    integer: bool = False
    choices: tuple[Any, ...] = ()
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    usual: Any = None
    points: int | None = None

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None) or (self.low is None) == (not self.choices):
            raise SettingError(f"space: {self.name} needs low and high, or choices that are not empty")
        if self.choices:
            written = [text(x) for x in self.choices]
            if twice := next((x for x in written if written.count(x) > 1), None):
                raise SettingError(f"space: {self.name} has the choice {twice} twice")
        else:
            self._check_range(self.name, self.low, self.high)
        if self.points is not None and (self.choices or type(self.points) is not int or self.points < 2):
            raise SettingError(
                f"space: {self.name}.points = {shown(self.points)}; it is how many values of a range a grid takes, 2 or more"
            )

        for said in ("log", "integer"):
            if not isinstance(getattr(self, said), bool):
                raise SettingError(f"space: {self.name}.{said} = {shown(getattr(self, said))} must be true or false")

    def _check_range(self, name: str, low: Any, high: Any) -> None:
        for said, x in (("low", low), ("high", high)):
            if isinstance(x, bool) or not isinstance(x, (int, float)) or not isfinite(x):
                raise SettingError(f"space: {name}.{said} = {shown(x)} is not a finite number")
            if self.integer and x != int(x):
                raise SettingError(f"space: {name}.{said} = {x:g} must be whole, as the values between are")
        if low > high:
            raise SettingError(f"space: {name}.low = {low:g} is above high = {high:g}")
        if low == high:
            raise SettingError(f"space: {name} has low = high = {low:g}; a fixed value is said without a range: {name} = {low:g}")
        if self.log and low <= 0:
            raise SettingError(f"space: {name}.low = {low:g} has no logarithm; take low above 0, or log = false")

    @property
    def range(self) -> tuple[float, float]:
        """Of a dimension without choices."""
        assert self.low is not None and self.high is not None
        return self.low, self.high

    @property
    def fading(self) -> bool:
        """Of decays, such as 0.9 to 0.9999, what is missing to 1 counts by factors: 0.99 lies between 0.9 and 0.999."""
        return self.log and not self.integer and self.range[0] >= 0.5 and self.range[1] < 1

    @property
    def ends(self) -> tuple[float, float]:
        """The range as places see it: of whole numbers each has the same share."""
        half = 0.5 if self.integer else 0.0
        return self._seen(self.range[0] - half), self._seen(self.range[1] + half)

    def _seen(self, x: float) -> float:
        return -log(1 - x) if self.fading else log(x) if self.log else x

    def at(self, u: float) -> Any:
        """The value at a place in [0, 1]. Three digits of a number are enough, and a recipe is easier to read with them."""
        if self.choices:
            return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]
        low, high = self.ends
        x = low + u * (high - low)
        return self.within(1 - exp(-x) if self.fading else exp(x) if self.log else x)

    def within(self, x: float) -> float | int:
        """The nearest number that may be chosen."""
        low, high = self.range
        near = floor(x + 0.5) if self.integer else round(1 - float(f"{1 - x:.3g}"), 12) if self.fading else float(f"{x:.3g}")
        inside = min(max(near, low), high)
        return int(inside) if self.integer else float(inside)

    def place(self, value: Any) -> float:
        """Where in [0, 1] a value lies: the inverse of `at`."""
        if self.choices:
            return (self.index(value) + 0.5) / len(self.choices)
        low, high = self.ends
        return min(max((self._seen(value) - low) / (high - low), 0.0), 1.0)

    def index(self, value: Any) -> int:
        return [text(x) for x in self.choices].index(text(value))

    def has(self, value: Any) -> bool:
        if self.choices:
            return text(value) in map(text, self.choices)
        number = isinstance(value, int if self.integer else (int, float)) and not isinstance(value, bool)
        return number and self.range[0] <= value <= self.range[1]

    def applies(self, point: Mapping[str, Any]) -> bool:
        return all(name in point and text(point[name]) in map(text, values) for name, values in self.when)

    def facts(self) -> dict[str, Any]:
        """What is said of it; `of_facts` is the inverse, also of what JSON makes of it."""
        said = {f.name: getattr(self, f.name) for f in fields(self)}
        return {f.name: said[f.name] for f in fields(self) if f.default is MISSING or text(said[f.name]) != text(f.default)}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        when = tuple((name, tuple(values)) for name, values in facts.get("when", ()))
        return cls(**{**facts, "choices": tuple(facts.get("choices", ())), "when": when})

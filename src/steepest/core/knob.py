"""Settings: what an algorithm can be told, declared once as fields of a frozen class.

A *knob* is a number that may be scheduled, searched and vectorized. An *option* is anything else
(bool, int, str): it selects a program. From the declaration come the constructor with its errors,
`repr`, equality, hash, the search space, and the names in checkpoints.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from math import inf, isnan
from numbers import Real
from typing import Any, Self, dataclass_transform

from steepest.core.errors import SettingError, nearest


@dataclass(frozen=True)
class Knob:
    """What may be said about one number: `low <= x < high` (`<=` if `closed`)."""

    default: float
    meaning: str
    low: float
    high: float
    closed: bool
    search: tuple[float, float] | None
    log: bool

    def __contains__(self, value: float) -> bool:
        return self.low <= value < self.high or (self.closed and value == self.high)

    @property
    def interval(self) -> str:
        return f"[{self.low:g}, {self.high:g}{']' if self.closed else ')'}"


@dataclass(frozen=True)
class Option:
    """A field that selects a program: its default, its meaning, and what else it may be."""

    default: Any
    meaning: str
    choices: tuple[Any, ...]


def knob(
    default: float,
    meaning: str,
    *,
    valid: tuple[float, float] = (-inf, inf),
    closed: bool = False,
    search: tuple[float, float] | None = None,
    log: bool = False,
) -> Any:
    spec = Knob(default, meaning, *valid, closed, search, log)
    return field(default=default, metadata={"knob": spec})


def option(default: Any, meaning: str, *, choices: tuple[Any, ...] = ()) -> Any:
    return field(default=default, metadata={"option": Option(default, meaning, choices)})


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Settings:
    """Base of everything configurable. A field without a default holds other settings (`inner`)."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(frozen=True, init=False, repr=False, eq=True)(cls)

    def __init__(self, **given: Any) -> None:
        declared = {f.name: f for f in fields(self)}  # type: ignore[arg-type]
        for name in given.keys() - declared.keys():
            raise SettingError(f"{type(self).__name__} has no setting {name!r}{nearest(name, declared)}")
        for name, spec in declared.items():
            if name in given:
                value = self._checked(name, given[name])
            elif spec.default is not MISSING:
                value = spec.default
            else:
                raise SettingError(f"{type(self).__name__} needs {name}=...")
            object.__setattr__(self, name, value)
        self.check()

    def check(self) -> None:
        """Rules between several settings; raise SettingError."""

    def _checked(self, name: str, value: Any) -> Any:
        cls = type(self)
        if name in cls.own_knobs():
            return as_number(f"{cls.__name__}.{name}", value, cls.own_knobs()[name])
        if name in cls.own_options():
            return _as_option(f"{cls.__name__}.{name}", value, cls.own_options()[name])
        if not isinstance(value, Settings):
            raise SettingError(f"{cls.__name__}.{name} must be a rule, not {value!r}")
        return value

    @classmethod
    def own_knobs(cls) -> dict[str, Knob]:
        """The knobs this class declares, those of nested settings apart."""
        return {f.name: f.metadata["knob"] for f in fields(cls) if "knob" in f.metadata}  # type: ignore[arg-type]

    @classmethod
    def own_options(cls) -> dict[str, Option]:
        return {f.name: f.metadata["option"] for f in fields(cls) if "option" in f.metadata}  # type: ignore[arg-type]

    def nested(self) -> dict[str, "Settings"]:
        return {f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), Settings)}  # type: ignore[arg-type]

    def walk(self, prefix: str = "") -> Iterator[tuple[str, "Settings"]]:
        """Every level with its path prefix: ("", self), ("inner.", self.inner), ..."""
        yield prefix, self
        for name, child in self.nested().items():
            yield from child.walk(f"{prefix}{name}.")

    def specs(self) -> dict[str, Knob]:
        """Every knob by path: `{"lr": Knob, "inner.beta1": Knob}`."""
        return {prefix + name: spec for prefix, level in self.walk() for name, spec in level.own_knobs().items()}

    def knobs(self) -> dict[str, Any]:
        """Every knob's value by path."""
        return {prefix + name: getattr(level, name) for prefix, level in self.walk() for name in level.own_knobs()}

    def bind(self, values: Mapping[str, Any]) -> Self:
        """A copy in which knobs hold what an engine computes with: numbers, tensors or symbols, unchecked."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        for path, value in values.items():
            name, _, rest = path.partition(".")
            if rest:
                copy.__dict__[name] = copy.__dict__[name].bind({rest: value})
            else:
                copy.__dict__[name] = value
        return copy

    def replace(self, **changes: Any) -> Self:
        """A checked copy with some settings changed."""
        return type(self)(**{f.name: getattr(self, f.name) for f in fields(self)} | changes)  # type: ignore[arg-type]

    def structure(self) -> Self:
        """This with every number at its default: two rules with equal structure run one program."""
        return self.bind({path: spec.default for path, spec in self.specs().items()})

    def __repr__(self) -> str:
        parts = []
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if f.default is MISSING or value != f.default:
                parts.append(f"{f.name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


def as_number(where: str, value: Any, spec: Knob) -> float:
    """The value as a float inside its interval, or the error that says what would be right."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SettingError(f"{where} = {value!r} is not a number")
    number = float(value)
    if isnan(number):
        raise SettingError(f"{where} = nan is not a number")
    if number not in spec:
        raise SettingError(f"{where} = {number:g} is outside {spec.interval}")
    return number


def _as_option(where: str, value: Any, spec: Option) -> Any:
    if spec.choices and value not in spec.choices:
        raise SettingError(f"{where} = {value!r} is not one of {', '.join(map(repr, spec.choices))}")
    if not spec.choices and type(value) is not type(spec.default):
        raise SettingError(f"{where} = {value!r} must be {type(spec.default).__name__}")
    return value

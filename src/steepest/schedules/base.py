"""What a schedule is: a factor as a function of progress on [0, 1]."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, ClassVar, Self

from steepest.core.errors import SettingError
from steepest.core.knob import Settings
from steepest.schedules.span import Length, as_span, within


class Schedule(Settings):
    """A factor on a knob's base value. Abstract: say `shape`, or `value` where spans of the run are needed.

    Every span is one of the whole run, wherever it stands: a schedule inside another gets a part of the run to fill, and
    "50%" or "30 epochs" means the same moment in it as outside.
    """

    paper: ClassVar[str] = ""
    use: ClassVar[str] = ""

    def __call__(self, x: float) -> float:
        """The factor at progress x; before 0 and after 1 it stands still."""
        return self.value(min(max(x, 0.0), 1.0), 0.0, 1.0)

    def value(self, x: float, start: float, end: float) -> float:
        """The factor at progress x of the run, when this schedule has the part from start to end."""
        return self.shape(within(x, start, end))

    def shape(self, u: float) -> float:
        """The factor at progress u of the part."""
        raise NotImplementedError

    def fit(self, start: float, end: float) -> None:
        """Raise SettingError where the spans do not fit into the part from start to end."""

    def resolve(self, length: Length) -> Self:
        """The same schedule with every span a share of progress."""
        return self.replace(**{f.name: self._resolved(f, getattr(self, f.name), length) for f in fields(self)})

    def levels(self) -> Iterator["Schedule"]:
        """This and every schedule inside."""
        yield self
        for value in self._values(""):
            if isinstance(value, Schedule):
                yield from value.levels()

    def unresolved(self) -> Iterator[str]:
        """Every span, here and inside, that needs a `Length`."""
        for level in self.levels():
            yield from (value for value in level._values("span") if isinstance(value, str))

    def check(self) -> None:
        if not any(self.unresolved()):
            self.fit(0.0, 1.0)

    def _values(self, kind: str) -> Iterator[Any]:
        """The values of all fields, or of those that are spans; of a tuple each."""
        for f in fields(self):
            if not kind or kind in f.metadata:
                value = getattr(self, f.name)
                yield from value if isinstance(value, tuple) else (value,)

    def _resolved(self, of: Any, value: Any, length: Length) -> Any:
        if isinstance(value, tuple):
            return tuple(self._resolved(of, x, length) for x in value)
        if isinstance(value, Schedule):
            return value.resolve(length)
        if isinstance(value, str) and "span" in of.metadata:
            return length.share(f"{type(self).__name__}.{of.name}", value, moment=of.metadata["span"] == "moments")
        return value

    def _checked(self, name: str, value: Any) -> Any:
        spec = next(f for f in fields(self) if f.name == name)
        where = f"{type(self).__name__}.{name}"
        if spec.metadata.get("span") == "moments":
            return tuple(as_span(where, x) for x in (value if isinstance(value, (list, tuple)) else (value,)))
        if "span" in spec.metadata:
            return as_span(where, value)
        if spec.metadata:
            return super()._checked(name, value)
        wanted = value if isinstance(value, (list, tuple)) and name == "parts" else (value,)
        for one in wanted:
            if not isinstance(one, Schedule):
                raise SettingError(f"{where} must be {'schedules' if name == 'parts' else 'a schedule'}, not {one!r}")
        return tuple(wanted) if name == "parts" else value

"""What every network asks of its settings."""

from collections.abc import Iterable
from typing import Any

from steepest.core.errors import SettingError, nearest


def counts(model: str, **given: Any) -> None:
    """How many of something there are: whole numbers from 1 on."""
    for name, value in given.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SettingError(f"{model}: {name} = {value!r} is no whole number from 1 on")


def shares(model: str, **given: Any) -> None:
    """What is left out, as a share."""
    for name, value in given.items():
        if not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise SettingError(f"{model}: {name} = {value!r} is outside [0, 1)")


def one_of(model: str, known: Iterable[str], **given: Any) -> None:
    known = tuple(known)
    for name, value in given.items():
        if value not in known:
            raise SettingError(f"{model}: unknown {name} {value!r}{nearest(str(value), known)}")

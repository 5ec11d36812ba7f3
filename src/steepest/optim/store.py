"""State by parameter, as `optimizer.state` shows it. It notices when something is put in or taken out."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any


class Note:
    """Whether anything was replaced since an engine last looked. Shared by a store and its entries."""

    up = True


def _noting(method: Callable) -> Callable:
    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.note.up = True
        return method(self, *args, **kwargs)

    return noted


CHANGES = ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update")


class Entry(dict):
    """The state of one parameter."""

    def __init__(self, note: Note, values: Mapping[str, Any]) -> None:
        self.note = note
        super().__init__(values)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


class Store(defaultdict):
    """The state of all parameters. A plain dict that is put in becomes an entry."""

    def __init__(self, values: Mapping[Any, Mapping[str, Any]] | None = None) -> None:
        self.note = Note()
        super().__init__(None, {key: Entry(self.note, value) for key, value in (values or {}).items()})

    def __missing__(self, key: Any) -> Entry:
        self[key] = {}
        return self[key]

    def __setitem__(self, key: Any, value: Mapping[str, Any]) -> None:
        self.note.up = True
        super().__setitem__(key, Entry(self.note, value))

    def __reduce__(self) -> Any:
        return Store, (dict(self),)


for _name in CHANGES:
    setattr(Entry, _name, _noting(getattr(dict, _name)))
    if _name != "__setitem__":
        setattr(Store, _name, _noting(getattr(dict, _name)))

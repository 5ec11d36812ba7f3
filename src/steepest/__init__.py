"""steepest finds, explains and proves the training recipe for a PyTorch model, and trains the model with it.

A shop window: names are looked up when first asked for, so that `import steepest` imports nothing else.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# name -> the module that defines it, or that it is
_WHERE = {
    "Recipe": "steepest.train",
    "Study": "steepest.search.own",
    "Task": "steepest.core.task",
    "compare": "steepest.compare",
    "core": "steepest.core",
    "data": "steepest.data",
    "drivers": "steepest.drivers",
    "engines": "steepest.engines",
    "fit": "steepest.train",
    "init": "steepest.init",
    "load": "steepest.train",
    "models": "steepest.models",
    "optim": "steepest.optim",
    "regularizers": "steepest.regularizers",
    "rules": "steepest.rules",
    "resume": "steepest.train",
    "schedules": "steepest.schedules",
    "search": "steepest.search",
    "tasks": "steepest.tasks",
    "train": "steepest.train",
    "tune": "steepest.search.planning",
    "watch": "steepest.watch",
}

__all__ = [*_WHERE]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'steepest' has no attribute {name!r}")
    module = import_module(_WHERE[name])
    found = globals()[name] = module if module.__name__ == f"steepest.{name}" else getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

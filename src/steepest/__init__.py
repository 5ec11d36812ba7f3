"""steepest: optimizers for PyTorch, each written once as its paper reads, and engines that run them fast.

A shop window: names are looked up when first asked for, so that `import steepest` imports nothing else.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# name -> the module that defines it, or that it is
_WHERE = {
    "core": "steepest.core",
    "drivers": "steepest.drivers",
    "engines": "steepest.engines",
    "init": "steepest.init",
    "optim": "steepest.optim",
    "rules": "steepest.rules",
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

"""Comparison: which method is better, how sure that is, and what it would take to know.

`steepest.compare` is a room, and also what one does: `steepest.compare("digits-mlp", rules=["sgd", "adamw"])`.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steepest.compare.compared import Compared


class _Room(ModuleType):
    def __call__(self, *arguments: Any, **settings: Any) -> "Compared":
        from steepest.compare.compared import compare  # with it comes torch, and statistics do without

        return compare(*arguments, **settings)


sys.modules[__name__].__class__ = _Room

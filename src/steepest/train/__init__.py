"""Training: a task, a recipe, a run that never loses work.

`steepest.train` is a room, and also what one does: `for step in steepest.train(task, recipe): ...`.
"""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from steepest.train.fit import fit
from steepest.train.loop import Step
from steepest.train.recipe import Recipe
from steepest.train.run import resume, train
from steepest.train.trained import Model, load

__all__ = ["Model", "Recipe", "Step", "fit", "load", "resume", "train"]


class _Room(ModuleType):
    def __call__(self, *arguments: Any, **settings: Any) -> Iterator[Step]:
        return train(*arguments, **settings)


sys.modules[__name__].__class__ = _Room

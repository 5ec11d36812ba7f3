"""Several changes, one after the other."""

from typing import Any

import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.core.knob import option
from steepest.regularizers.augment.draws import stream
from steepest.regularizers.augment.geometry import Geometric, sample
from steepest.regularizers.base import BatchChange


class Chain(BatchChange):
    """Changes in their order, drawing what each would draw alone; neighboring changes of place are sampled once."""

    use = "Wherever two or more changes of a batch follow each other."
    cost = "The sum of its parts, one resampling for neighboring rotation, scale, translation and shear."
    main = "parts"

    parts: tuple[BatchChange, ...] = option((), "the changes, first to last")

    def check(self):
        for part in self.parts:
            if not isinstance(part, BatchChange):
                raise SettingError(f"Chain.parts holds {part!r}, which changes no batch; an object is needed, as Flip()")

    def change(self, x: Tensor, y: Any, generator: torch.Generator):
        for group in self.groups():
            first = group[0]
            if isinstance(first, Geometric):
                x = sample(x, group, [stream(generator) for _ in group])
            else:
                x, y = first.change(x, y, generator)
        return x, y

    def groups(self) -> list[list[Any]]:
        """Neighbors that are sampled together; the others alone."""
        found: list[list[Any]] = []
        for part in self.parts:
            last = found[-1][-1] if found else None
            if isinstance(part, Geometric) and isinstance(last, Geometric) and part.border == last.border:
                found[-1].append(part)
            else:
                found.append([part])
        return found

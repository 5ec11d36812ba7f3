"""A part of the data (training, validation, test), whatever it is held in: batches are asked for by index."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset, default_collate

from steepest.core.errors import SteepestError

# One batch: inputs, and last the target where there is one.
Batch = tuple[Any, ...]


class DataError(SteepestError, ValueError):
    """Data that cannot be learned from as it is."""


@dataclass(frozen=True)
class Arrays:
    """Tensors (or arrays on disk, memory-mapped) of equal length: a batch is a selection of their rows."""

    columns: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.columns[0])

    def take(self, index: Tensor) -> Batch:
        return tuple([x.index_select(0, index) if isinstance(x, Tensor) else _rows(x, index) for x in self.columns])

    def subset(self, index: Tensor) -> "Arrays":
        return Arrays(self.take(index))

    def to(self, device: torch.device) -> "Arrays":
        return Arrays(tuple(x.to(device) if isinstance(x, Tensor) else x for x in self.columns))

    @property
    def target(self) -> Tensor | None:
        return self.columns[-1] if len(self.columns) > 1 and isinstance(self.columns[-1], Tensor) else None


@dataclass(frozen=True)
class Samples:
    """A torch Dataset with places: one Python call per sample, and a collate, as its author wanted it."""

    dataset: Any
    collate: Callable[[list], Any] = default_collate
    places: Tensor | None = None

    def __len__(self) -> int:
        return len(self.dataset) if self.places is None else len(self.places)

    def take(self, index: Tensor) -> Batch:
        index = index if self.places is None else self.places[index]
        return as_batch(self.collate([self.dataset[i] for i in index.tolist()]))

    def subset(self, index: Tensor) -> "Samples":
        return Samples(self.dataset, self.collate, index if self.places is None else self.places[index])

    def to(self, device: torch.device) -> "Samples":
        return self

    target = None


@dataclass(frozen=True)
class Loader:
    """The user's own DataLoader, or any iterable of batches with a length: its order and its workers are its own."""

    batches: Any

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return map(as_batch, self.batches)

    def to(self, device: torch.device) -> "Loader":
        return self

    target = None


Part = Arrays | Samples | Loader


def part(given: Any, name: str = "data") -> Part:
    """What someone gave for a part, as one of the three."""
    if isinstance(given, (Arrays, Samples, Loader)):
        found: Part = given
    elif isinstance(given, TensorDataset):
        found = Arrays(given.tensors)
    elif isinstance(given, DataLoader):
        found = Loader(given)
    elif isinstance(given, Dataset) and hasattr(given, "__getitem__") and hasattr(given, "__len__"):
        found = Samples(given)
    elif is_array(given):
        found = Arrays((column(given, name),))
    elif isinstance(given, (tuple, list)) and given and all(is_array(x) or is_text(x) for x in given):
        found = Arrays(tuple(column(x, name) for x in given))
    elif hasattr(given, "__iter__") and hasattr(given, "__len__") and not isinstance(given, (str, bytes, dict)):
        found = Loader(given)
    else:
        raise DataError(f"{name} is {type(given).__name__}; give arrays, tensors, a Dataset, a DataLoader, or a name of SOURCES")
    _check(found, name)
    return found


def column(x: Any, name: str) -> Any:
    """One column: tensors as they are, arrays without a copy, memory maps left on disk, texts as they are."""
    if isinstance(x, (Tensor, np.memmap)) or is_text(x):
        return x
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} holds {array.dtype}, which is no number; give numbers, or a list of str for text")
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        array = array.astype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(array))


def is_array(x: Any) -> bool:
    return isinstance(x, (Tensor, np.ndarray)) or (isinstance(x, (list, tuple)) and len(x) > 0 and isinstance(x[0], (int, float, bool)))


def is_text(x: Any) -> bool:
    return isinstance(x, (list, tuple)) and len(x) > 0 and isinstance(x[0], str)


def as_batch(given: Any) -> Batch:
    return tuple(given) if isinstance(given, (tuple, list)) else (given,)


def _rows(x: Any, index: Tensor) -> Any:
    if is_text(x):
        return [x[i] for i in index.tolist()]
    return torch.from_numpy(np.ascontiguousarray(x[index.cpu().numpy()]))


def _check(found: Part, name: str) -> None:
    if (not isinstance(found, Loader) or hasattr(found.batches, "__len__")) and len(found) == 0:
        raise DataError(f"{name} is empty")
    if not isinstance(found, Arrays):
        return
    lengths = [len(x) for x in found.columns]
    if len(set(lengths)) > 1:
        raise DataError(f"{name} has columns of {' and '.join(map(str, lengths))} rows; each sample needs one of each")
    for k, x in enumerate(found.columns):
        if isinstance(x, Tensor) and x.is_floating_point() and not bool(torch.isfinite(x).all()):
            rows = (~torch.isfinite(x)).reshape(len(x), -1).any(1).nonzero().flatten()
            what = "targets" if 0 < k == len(found.columns) - 1 else "inputs"
            raise DataError(f"the {what} of {name} hold NaN or Inf in {len(rows)} samples, first in sample {int(rows[0])}")


def columns(batch: Batch) -> tuple[Sequence[Any], Any]:
    """Inputs, and the target or None."""
    return (batch, None) if len(batch) == 1 else (batch[:-1], batch[-1])

"""A part of the data (training, validation, test), whatever it is held in: batches are asked for by index."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
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
class Rows:
    """Rows of an array on disk (a memory map), which stays there: a batch reads the rows it asks for, and nothing else is read."""

    array: Any
    places: Tensor | None = None
    device: torch.device | str = "cpu"

    def __len__(self) -> int:
        return len(self.array) if self.places is None else len(self.places)

    @property
    def dtype(self) -> torch.dtype:
        return self.take(torch.arange(1)).dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.array.shape[1:])

    def take(self, index: Tensor) -> Tensor:
        return numbers(_from_numpy(self.array[self._at(index).numpy()])).to(self.device)

    def subset(self, index: Tensor) -> "Rows":
        return replace(self, places=self._at(index))

    def to(self, device: torch.device) -> "Rows":
        return replace(self, device=device)

    def _at(self, index: Tensor) -> Tensor:
        return index.cpu() if self.places is None else self.places[index.cpu()]


@dataclass(frozen=True)
class Arrays:
    """Tensors, arrays on disk, or texts, of equal length: a batch is a selection of their rows."""

    columns: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.columns[0])

    def take(self, index: Tensor) -> Batch:
        return tuple([_chosen(x, index) for x in self.columns])

    def subset(self, index: Tensor) -> "Arrays":
        return Arrays(tuple(x.subset(index) if isinstance(x, Rows) else _chosen(x, index) for x in self.columns))

    def to(self, device: torch.device) -> "Arrays":
        return Arrays(tuple(x.to(device) if isinstance(x, (Tensor, Rows)) else x for x in self.columns))

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


def part(given: Any, name: str = "the data") -> Part:
    """What someone gave for a part, as one of the three."""
    if isinstance(given, (Arrays, Samples, Loader)):
        found: Part = given
    elif isinstance(given, TensorDataset):
        found = _arrays(given.tensors, name)
    elif isinstance(given, DataLoader):
        found = Loader(given)
    elif isinstance(given, Dataset) and hasattr(given, "__getitem__") and hasattr(given, "__len__"):
        found = Samples(given)
    elif is_array(given) or is_text(given):
        found = _arrays((given,), name)
    elif isinstance(given, (tuple, list)) and any(is_array(x) or is_text(x) for x in given):
        found = _arrays(given, name)
    elif hasattr(given, "__iter__") and hasattr(given, "__len__") and not isinstance(given, (str, bytes, dict)):
        found = Loader(given)
    else:
        raise DataError(f"{name} is {type(given).__name__}; give arrays, tensors, a Dataset, a DataLoader, or the name of a data set")
    _check(found, name)
    return found


def _arrays(given: Sequence[Any], name: str) -> Arrays:
    """Inputs, and last the targets. Those that are one number per sample are wanted as a whole, for splits and weights, also from disk."""
    *inputs, last = given
    if inputs and _is_mapped(last) and last.ndim == 1:
        last = np.array(last)
    return Arrays(tuple(column(x, name) for x in (*inputs, last)))


def column(x: Any, name: str) -> Any:
    """One column: a tensor of numbers as models take them, rows of an array left on disk, or texts."""
    if is_text(x):
        strange = next((k for k, text in enumerate(x) if not isinstance(text, str)), None)
        if strange is not None:
            raise DataError(f"{name} holds texts, and text {strange} is {type(x[strange]).__name__}; give a list of str")
        return x
    if not is_array(x):
        raise DataError(f"{name} holds {type(x).__name__} beside arrays; give arrays, tensors or lists of equal length")
    if not isinstance(x, Tensor):
        try:
            x = x if _is_mapped(x) else np.asarray(x)
        except ValueError:
            raise DataError(f"{name} holds lists of unequal length; each sample needs as many numbers as the others") from None
        if x.dtype.kind == "U":
            return x.tolist()
        if x.dtype.kind not in "biuf":
            raise DataError(f"{name} holds {x.dtype}, which is no number; give numbers, or a list of str for text")
    if x.ndim == 0:
        raise DataError(f"{name} holds a single number; give an array with a row per sample")
    return Rows(x) if _is_mapped(x) else numbers(x if isinstance(x, Tensor) else _from_numpy(x))


def numbers(x: Tensor) -> Tensor:
    """As models take them: fractions in torch's default precision, whole numbers as int64. Bytes stay bytes until they are used."""
    if x.is_floating_point():
        return x.to(torch.get_default_dtype())
    return x if x.dtype in (torch.int64, torch.uint8, torch.bool) or x.is_complex() else x.long()


def is_array(x: Any) -> bool:
    """Tensors, NumPy's arrays, what turns into one (data frames), numbers in a list or tuple, and lists of such."""
    if isinstance(x, (list, tuple)):
        return len(x) > 0 and (isinstance(x[0], (int, float, np.number, np.bool_)) or (isinstance(x, list) and _is_row(x[0])))
    return isinstance(x, (Tensor, np.ndarray)) or (hasattr(x, "__array__") and hasattr(x, "__len__"))


def is_text(x: Any) -> bool:
    return isinstance(x, (list, tuple)) and len(x) > 0 and isinstance(x[0], str)


def as_batch(given: Any) -> Batch:
    return tuple(numbers(x) if isinstance(x, Tensor) else x for x in (given if isinstance(given, (tuple, list)) else (given,)))


def _is_row(x: Any) -> bool:
    return isinstance(x, (list, tuple)) and is_array(x)


def _is_mapped(x: Any) -> bool:
    return isinstance(x, np.memmap)


def _from_numpy(array: np.ndarray) -> Tensor:
    """Without a copy where torch can look into it: bytes in this machine's order, and memory that may be written."""
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    if array.dtype.kind == "f" and array.itemsize > 8:
        array = array.astype(np.float64)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _chosen(x: Any, index: Tensor) -> Any:
    if isinstance(x, Tensor):
        return x.index_select(0, index if index.device == x.device else index.to(x.device))
    return x.take(index) if isinstance(x, Rows) else [x[i] for i in index.tolist()]


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

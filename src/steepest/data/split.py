"""Data as a task names it, cut into training, validation and test. Test data is never chosen by, and never carved from."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from steepest.core.errors import SteepestError, nearest
from steepest.core.objectives import IGNORED
from steepest.core.rng import generator
from steepest.data.fixed import fixed
from steepest.data.parts import Arrays, DataError, Loader, Part, Rows, is_array, is_text, part

# The split is the same for every run of a task: runs that differ in their seed are compared on the same data.
SPLIT_SEED = 0


@dataclass(frozen=True)
class Data:
    train: Part
    valid: Part | None = None
    test: Part | None = None

    def counts(self) -> dict[str, int]:
        """Samples of each part that knows how many it has: a stream does not."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: len(part) for name, part in parts.items() if part is not None and not isinstance(part, Loader)}


def gather(given: Any, valid: float = 0.1) -> Data:
    """Whatever a task gives as data, in parts. Without validation data a share of the training part becomes it, stratified by class."""
    if isinstance(given, str):
        given = named(given)
    if callable(given) and not hasattr(given, "__getitem__") and not hasattr(given, "__iter__"):
        return gather(_called(given), valid)
    data = _parts(given)
    _check_alike(data)
    if data.valid is not None or not valid:
        return data
    if isinstance(data.train, Loader):
        return data  # nothing can be carved from a stream without reading it
    held, kept = carve(len(data.train), data.train.target, valid)
    return replace(data, train=data.train.subset(kept), valid=data.train.subset(held))


def _called(function: Callable[[], Any]) -> Any:
    try:
        with fixed():
            return function()
    except SteepestError:
        raise
    except Exception as error:  # the user's function: its mistake is the user's to mend, and is said in a line
        name = getattr(function, "__name__", type(function).__name__)
        raise DataError(f"the data: {name}() failed: {type(error).__name__}: {error}") from error


def named(name: str) -> Any:
    from steepest.data.sources import SOURCES  # which are made of parts and splits

    if name not in SOURCES:
        raise DataError(f"unknown data set {name!r}{nearest(name, SOURCES)}")
    return SOURCES[name]()


def fold(data: Data, folds: int, number: int) -> Data:
    """The data with fold `number` of `folds` as its validation part; test data stays apart."""
    if folds < 2 or not 0 <= number < folds:
        raise DataError(f"fold {number} of {folds}: there are at least 2, numbered from 0")
    if isinstance(data.train, Loader):
        raise DataError("folds need data by index, and a DataLoader gives its own batches; give the Dataset instead")
    whole: Any = data.train if data.valid is None else _joined(data.train, data.valid)
    if len(whole) < folds:
        raise DataError(f"{len(whole)} samples are too few for {folds} folds")
    place = strata(len(whole), whole.target) % folds
    return replace(
        data, train=whole.subset((place != number).nonzero().flatten()), valid=whole.subset((place == number).nonzero().flatten())
    )


def carve(n: int, target: Tensor | None, share: float) -> tuple[Tensor, Tensor]:
    """Which samples are held out, and which are kept: `share` of each class, at least one sample of all."""
    rank = strata(n, target)
    every = max(2, round(1 / share))
    held = rank % every == every - 1
    if not held.any():
        held = rank == n - 1
    if held.all() or n < 2:
        raise DataError(f"{n} samples are too few to hold out a share of {share:g} for validation; give validation data")
    return held.nonzero().flatten(), (~held).nonzero().flatten()


def strata(n: int, target: Tensor | None) -> Tensor:
    """A random rank for each sample such that every stretch of ranks holds about its share of each class."""
    shuffled = torch.randperm(n, generator=generator(SPLIT_SEED, "split"))
    if target is not None and target.ndim == 1 and not target.is_floating_point():
        shuffled = shuffled[torch.argsort(target.cpu()[shuffled], stable=True)]
    rank = torch.empty(n, dtype=torch.int64)
    rank[shuffled] = torch.arange(n)
    return rank


def _joined(a: Part, b: Part) -> Part:
    if not isinstance(a, Arrays) or not isinstance(b, Arrays):
        raise DataError("folds of a Dataset with validation data of its own are not made; give one Dataset, or arrays")
    if any(isinstance(x, Rows) for x in (*a.columns, *b.columns)):
        raise DataError("folds of arrays on disk with validation data of its own are not made; give one array")
    return Arrays(tuple(torch.cat([x, y]) if isinstance(x, Tensor) else [*x, *y] for x, y in zip(a.columns, b.columns, strict=True)))


def _parts(given: Any) -> Data:
    """`(train, valid[, test])` of parts, or a single part."""
    if isinstance(given, Data):
        given = {name: x for name, x in vars(given).items() if x is not None}
    several = isinstance(given, (tuple, list)) and 2 <= len(given) <= 3 and not any(is_array(x) or is_text(x) for x in given)
    if isinstance(given, dict):
        unknown = given.keys() - {"train", "valid", "test"}
        if unknown or "train" not in given:
            raise DataError(f"data has the parts {', '.join(map(repr, given))}; they are train, and if you like valid and test")
        return Data(**{name: part(value, f"the {name} data") for name, value in given.items() if value is not None})
    if several:
        names = ("train", "valid", "test")
        return Data(**{name: part(x, f"the {name} data") for name, x in zip(names, given, strict=False) if x is not None})
    return Data(part(given, "the data"))


def _check_alike(data: Data) -> None:
    """What the training part teaches must be of use for the others."""
    for name, other in (("validation", data.valid), ("test", data.test)):
        if isinstance(data.train, Arrays) and isinstance(other, Arrays):
            ours, theirs = _looks(data.train), _looks(other)
            if ours != theirs:
                raise DataError(f"the {name} data look like {theirs}, and the training data like {ours}; they must be alike")


def _looks(data: Arrays) -> str:
    """Each column's dimensions and type, and how many features or channels: "(N, 1, ...) float32, (N,) int64"."""
    return ", ".join("text" if is_text(x) else _look(x.shape, x.dtype) for x in data.columns)


def _look(shape: Sequence[int], dtype: torch.dtype) -> str:
    # Images may be of another size, and lists of tokens of another length.
    sizes = ["N", *map(str, shape[1:2] if dtype.is_floating_point else ())]
    sizes += ["..."] * (len(shape) - len(sizes))
    return f"({', '.join(sizes)}) {str(dtype).removeprefix('torch.')}"


def classes(data: Part) -> int | None:
    """How many classes the targets name, where they are class numbers."""
    y = data.target
    if y is None or y.is_floating_point() or y.numel() == 0:
        return None
    return int(y.max()) + 1


def labelled(name: str, train: tuple[Any, Tensor], test: tuple[Any, Tensor], count: int) -> Data:
    """Samples with their classes, of which each must be there to be learned."""
    for kind, (_, y) in (("training", train), ("test", test)):
        if len(y) == 0:
            raise DataError(f"{name} has no {kind} samples")
        if int(y.min()) < 0 or int(y.max()) >= count:
            raise DataError(f"the {kind} labels of {name} go from {int(y.min())} to {int(y.max())}; they must be 0 to {count - 1}")
    counts = torch.bincount(train[1], minlength=count)
    if (counts == 0).any():
        raise DataError(f"class {int((counts == 0).nonzero()[0])} of {name} has no training sample; the files are not complete")
    return Data(Arrays(train), test=Arrays(test))


def balanced(data: Part) -> Tensor:
    """A weight per class, in inverse proportion to its share: all classes together weigh as much as before."""
    y = data.target
    if y is not None and y.is_floating_point() and y.numel() == len(y) and bool(((y == 0) | (y == 1)).all()):
        y = y.long()
    if y is None or y.is_floating_point():
        raise DataError('class_weights = "balanced" needs targets that are class numbers, in memory')
    y = y[y != IGNORED].flatten()
    counts = torch.bincount(y)
    if (counts == 0).any():
        raise DataError(f"class {int((counts == 0).nonzero()[0])} has no training sample; balanced weights would be infinite")
    return y.numel() / (len(counts) * counts.to(torch.get_default_dtype()))


def order(n: int, seed: int, epoch: int) -> Tensor:
    """The permutation of one epoch: known from the seed and its number alone."""
    return torch.randperm(n, generator=generator(seed, "order", epoch))


def steps_per_epoch(n: int, size: int, keep_last: bool) -> int:
    return math.ceil(n / size) if keep_last else n // size

"""The course of a run: which samples each step sees, and where epochs end. Known from the seed and the recipe alone."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.data.parts import Batch, Loader, Part
from steepest.data.split import order
from steepest.schedules.base import Schedule
from steepest.schedules.batches import Batches, batch_sizes
from steepest.schedules.span import Length
from steepest.train.feed import is_tokens

# Steps whose samples are cut out of the permutation together: one at a time each costs twice as much.
TOGETHER = 100


class Course:
    """Steps 0 to `steps` - 1 over a part that gives batches by index; `tokens` are those of a sample, where all have as many."""

    def __init__(
        self,
        part: Part,
        size: int | str,
        seed: int,
        *,
        epochs: int | None,
        steps: int | None,
        drop_last: bool,
        growth: Schedule | None,
        tokens: int | None = None,
    ) -> None:
        self.part, self.seed, self.tokens = part, seed, tokens
        n = len(part)
        whole = n if size == "full" else int(size)
        if drop_last and whole > n:
            raise SettingError(f'batch.size = {whole} is more than the {n} training samples, and batch.last = "drop" leaves no step')
        if growth is not None and epochs is None:
            raise SettingError("a schedule of the batch counts in samples: say stop.epochs, not stop.steps alone")
        if epochs is None:
            per_epoch = n // whole if drop_last else math.ceil(n / whole)
            epochs = math.ceil((steps or 1) / per_epoch)
        self.batches: Batches = batch_sizes(whole, n, epochs, growth, drop_last=drop_last)
        self.base = whole
        self.steps = min(len(self.batches), steps or len(self.batches))
        # The epoch at hand: its number, its first step and the one after its last, its permutation, and how that is cut.
        self._epoch, self._first, self._end = -1, 0, 0
        self._order, self._starts = torch.empty(0, dtype=torch.int64), [0]
        # The samples of some steps of it, from a place on.
        self._cut, self._from = (), 0

    @property
    def length(self) -> Length:
        full = self.batches.length()
        epochs = full.place(self.steps) if full.starts else self.batches.epochs * self.steps / full.steps
        samples = epochs * self.batches.samples
        starts = tuple(start for start in full.starts if start < self.steps)
        return Length(self.steps, epochs, samples, samples * self.tokens if self.tokens else None, starts)

    def epoch(self, k: int) -> int:
        return self._epoch if self._first <= k < self._end else self.batches.epoch(k)

    def at(self, k: int) -> tuple[int, int, bool]:
        """Of step k: its epoch, its samples, and whether it is the last of its epoch, or of the run."""
        place = self._place(k)
        return self._epoch, self._starts[place + 1] - self._starts[place], k + 1 == self._end or k + 1 == self.steps

    def ends_epoch(self, k: int) -> bool:
        return self.at(k)[2]

    def index(self, k: int) -> Tensor:
        """Which samples step k sees."""
        place = self._place(k)
        if not 0 <= place - self._from < len(self._cut):
            starts = self._starts[place : place + 1 + TOGETHER]
            self._from, self._cut = place, self._order[starts[0] : starts[-1]].split([end - start for start, end in pairwise(starts)])
        return self._cut[place - self._from]

    def batch(self, k: int) -> Batch:
        return self.part.take(self.index(k))  # type: ignore[union-attr]

    def size(self, k: int) -> int:
        return self.at(k)[1]

    def _place(self, k: int) -> int:
        """Which step of its epoch step k is, counted from 0; that epoch is the one at hand from now on."""
        if not self._first <= k < self._end:
            self._turn_to(self.batches.epoch(k))
        return k - self._first

    def _turn_to(self, epoch: int) -> None:
        self._order = order(len(self.part), self.seed, epoch)
        first = getattr(self.part, "columns", (None,))[0]
        if isinstance(first, Tensor):
            self._order = self._order.to(first.device)
        self._starts, self._cut = list(accumulate(self.batches.of_epoch(epoch), initial=0)), ()
        self._epoch, self._first = epoch, self.batches.begins(epoch)
        self._end = self._first + len(self._starts) - 1


class Streamed:
    """Steps over the user's own DataLoader: its batches come in its order, and a run resumes at the start of an epoch."""

    def __init__(self, part: Loader, *, epochs: int | None, steps: int | None) -> None:
        self.part, self.per_epoch = part, len(part)
        self.steps = min(x for x in (steps, epochs and epochs * self.per_epoch) if x)
        self.base = int(getattr(part.batches, "batch_size", None) or 1)
        self._running: Iterator[Batch] = iter(())
        self._next = -1

    @property
    def length(self) -> Length:
        return Length(self.steps, self.steps / self.per_epoch)

    def epoch(self, k: int) -> int:
        return k // self.per_epoch

    def at(self, k: int) -> tuple[int, int, bool]:
        return k // self.per_epoch, self.base, k + 1 == self.steps or (k + 1) % self.per_epoch == 0

    def ends_epoch(self, k: int) -> bool:
        return self.at(k)[2]

    def batch(self, k: int) -> Batch:
        if k != self._next or k % self.per_epoch == 0:
            self._running, self._next = iter(self.part), k
        self._next += 1
        try:
            return next(self._running)
        except StopIteration:
            raise SettingError(f"the DataLoader says it has {self.per_epoch} batches, and ended before") from None

    def size(self, k: int) -> int:
        return self.base


def course_of(part: Part, recipe: Any) -> Course | Streamed:
    stop, batch, schedules = recipe.stop, recipe.batch, recipe.schedules()
    growth = schedules.get("batch")
    if isinstance(part, Loader):
        if growth is not None:
            raise SettingError("schedule.batch: a DataLoader makes its own batches; give the Dataset instead")
        return Streamed(part, epochs=stop.epochs, steps=stop.steps)
    tokens = None if "length" in schedules else tokens_of(part)  # with it a step has as many as the schedule says
    drop = batch.last == "drop"
    return Course(part, batch.size, recipe.run.seed, epochs=stop.epochs, steps=stop.steps, drop_last=drop, growth=growth, tokens=tokens)


def tokens_of(part: Part) -> int | None:
    """How many tokens a sample has, padding included, where inputs are rows of whole numbers."""
    first = getattr(part, "columns", (None,))[0]
    return first.shape[1] if isinstance(first, Tensor) and is_tokens(first) else None


def micro(batch: Batch, size: int) -> Sequence[Batch]:
    """A batch in parts of at most `size` samples."""
    n = len(batch[0])
    return [tuple(_cut(x, lo, lo + size) for x in batch) for lo in range(0, n, size)]


def _cut(x: Any, lo: int, hi: int) -> Any:
    if hasattr(x, "weight") and hasattr(x, "a"):
        return type(x)(_cut(x.a, lo, hi), _cut(x.b, lo, hi), x.weight)
    return x[lo:hi]

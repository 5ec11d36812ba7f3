"""From the data of a task to what the model sees: on the device, preprocessed, in training augmented and changed."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from steepest.core.errors import SettingError
from steepest.core.task import Task
from steepest.data.parts import Arrays, Batch, Loader, Part, is_text
from steepest.data.preprocess import fit
from steepest.data.split import Data
from steepest.regularizers.augment import Augmentation, Chain
from steepest.regularizers.base import BatchChange, Regularizer
from steepest.schedules.batches import whole


class Feed:
    """The parts of the data, and what is done to their batches."""

    def __init__(
        self, task: Task, data: Data, regularizers: Iterable[Regularizer], device: torch.device, generator: torch.Generator
    ) -> None:
        self.device, self.generator = device, generator
        self.preprocess = fit(task.preprocess, data.train).to(device)
        self.sort(regularizers)
        self.length = 1.0  # the share of a sequence that training sees: what schedule.length turns
        parts = [part for part in (data.train, data.valid, data.test) if part is not None]
        # How many steps of preprocessing the data in memory have behind them: bytes stay bytes until they are used, and
        # augmentation comes before all but scaling, so that what it adds at borders is black.
        self.early = (self.preprocess.scaled if self.augmentations else len(self.preprocess.steps)) if all(map(_is_numbers, parts)) else 0
        self.ready = isinstance(data.train, Arrays) and self.early == len(self.preprocess.steps)
        self.data = Data(self._placed(data.train), *(part and self._placed(part) for part in (data.valid, data.test)))

    def sort(self, regularizers: Iterable[Regularizer]) -> None:
        """Augmentation comes before the rest of preprocessing, mixing and noise after it."""
        changes = [r for r in regularizers if isinstance(r, BatchChange)]
        augmentations = [r for r in changes if isinstance(r, (Augmentation, Chain))]
        self.changes = [r for r in changes if r not in augmentations]
        # In a chain, geometric neighbors sample the image once.
        self.augmentations = [Chain(parts=tuple(augmentations))] if augmentations else []

    def _placed(self, part: Part) -> Part:
        if not isinstance(part, Arrays):
            return part
        first, *rest = part.columns
        if is_text(first):
            first = self.preprocess(first, stop=0)
        if self.early:
            first = self.preprocess(first.to(self.device), stop=self.early)
        return Arrays((first, *rest)).to(self.device)

    def prepared(self, batch: Batch, stop: int | None = None) -> Batch:
        """On the device and preprocessed, or as far as `stop`."""
        if self.ready:
            return batch
        if not isinstance(self.data.train, Arrays):
            batch = tuple(x.to(self.device) if isinstance(x, Tensor) else x for x in batch)
        if self.early < len(self.preprocess.steps):
            batch = (self.preprocess(batch[0], self.early, stop), *batch[1:])
        return batch

    def training(self, batch: Batch) -> Batch:
        """Cut, preprocessed, augmented in between, and mixed."""
        if self.length < 1:
            batch = shortened(batch, self.length)
        if self.augmentations:
            # Bytes are a quarter of the memory; those that are only moved become floats afterwards, others on the way.
            scaled = 0 if is_bytes(batch[0]) else self.preprocess.scaled
            batch = self._changed(self.prepared(batch, scaled), self.augmentations)
            done = 0 if is_bytes(batch[0]) else max(self.preprocess.scaled, self.early)
            batch = (self.preprocess(batch[0], done), *batch[1:])
        else:
            batch = self.prepared(batch)
        return self._changed(batch, self.changes) if self.changes else batch

    def _changed(self, batch: Batch, changes: Sequence[BatchChange]) -> Batch:
        for change in changes:
            x, y = change.change(batch[0], batch[-1] if len(batch) > 1 else None, self.generator)
            batch = (x, *batch[1:-1], y) if len(batch) > 1 else (x,)
        return batch

    def first(self, course: Any, most: int) -> Batch:
        """Some samples as the model will see them; no random number is drawn."""
        train = self.data.train
        batch = self.prepared(next(iter(train)) if isinstance(train, Loader) else course.batch(0))
        return tuple(x[:most] for x in batch)

    def refill(self, size: int) -> Iterator[Batch]:
        """Training batches for BatchNorm's statistics: always the same, and no random number drawn."""
        from steepest.train.evaluation import REFILL, batches

        for number, batch in enumerate(batches(self.data.train, size)):
            if number == REFILL:
                return
            yield self.prepared(batch)


def is_bytes(x: Any) -> bool:
    """Whether these inputs are images of bytes, (N, C, H, W)."""
    return isinstance(x, Tensor) and x.dtype == torch.uint8 and x.ndim == 4


def is_tokens(x: Any) -> bool:
    """Whether these inputs are sequences of tokens, (N, T)."""
    return isinstance(x, Tensor) and x.dtype == torch.int64 and x.ndim == 2


def shortened(batch: Batch, share: float) -> Batch:
    """The beginnings of sequences of tokens, and of what goes with each token: targets, masks."""
    first = batch[0]
    if not is_tokens(first):
        looks = (
            f"shape {tuple(first.shape)}, {str(first.dtype).removeprefix('torch.')}" if isinstance(first, Tensor) else type(first).__name__
        )
        raise SettingError(f"schedule.length cuts sequences of tokens, whole numbers (N, T); these inputs are {looks}")
    long, short = first.shape[1], whole(first.shape[1], share)
    return tuple(x[:, :short] if isinstance(x, Tensor) and x.ndim > 1 and x.shape[1] == long else x for x in batch)


def _is_numbers(part: Part) -> bool:
    """Numbers in memory that are not bytes: they may be preprocessed once for all."""
    if not isinstance(part, Arrays):
        return False
    first = part.columns[0]
    return is_text(first) or (isinstance(first, Tensor) and first.dtype != torch.uint8)

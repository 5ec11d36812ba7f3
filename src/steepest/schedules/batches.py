"""Whole numbers that follow a schedule: the batch size, step by step, and the sequence length."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, overload

from steepest.core.errors import SettingError
from steepest.schedules.base import Schedule
from steepest.schedules.compose import Inverse, Product, Warmup
from steepest.schedules.decays import Constant
from steepest.schedules.reading import read, said
from steepest.schedules.span import Length, parse

Pieces = tuple[tuple[int, int], ...]  # how many steps of which size, in order


def whole(base: float, factor: float, multiple: int = 1) -> int:
    """base times factor as the nearest multiple, at least one of it; a half goes up."""
    return max(int(base * factor / multiple + 0.5), 1) * multiple


def grow_batch(schedule: Any, keep: str = "lr", most: float = inf) -> dict[str, Any]:
    """What [schedule] says of lr and batch so that their ratio follows `schedule` (Smith et al., 2018). `keep` says which of the two stays.

    Kept lr: the batch grows by 1 / factor up to `most` times, and lr falls by what is left then. A warmup stays with lr.
    """
    if keep not in ("lr", "batch"):
        raise SettingError(f'grow_batch(keep={keep!r}) must be "lr" or "batch"')
    made = read(schedule)
    lr, batch = (made, Constant()) if keep == "batch" else _grown(made, most)
    return {"lr": said(lr), "batch": said(batch)}


def _grown(schedule: Schedule, most: float) -> tuple[Schedule, Schedule]:
    if isinstance(schedule, Warmup):
        lr, batch = _grown(schedule.inner, most)
        return schedule.replace(inner=lr), schedule.replace(inner=batch, start=1.0)
    grown = Inverse(inner=schedule, most=most)
    return Product(parts=(schedule, grown)) if most < inf else Constant(), grown


@dataclass(frozen=True)
class Block:
    """Epochs that are alike."""

    epoch: int
    epochs: int
    step: int
    pieces: Pieces

    @property
    def per_epoch(self) -> int:
        return sum(count for count, _ in self.pieces)


@dataclass(frozen=True)
class Batches(Sequence[int]):
    """The size of the batch at each step of a run; a sequence of `len(batches)` integers, held as blocks of epochs alike."""

    samples: int
    epochs: int
    blocks: tuple[Block, ...]

    def __len__(self) -> int:
        last = self.blocks[-1]
        return last.step + last.epochs * last.per_epoch

    @overload
    def __getitem__(self, k: int) -> int: ...
    @overload
    def __getitem__(self, k: slice) -> list[int]: ...
    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return [self[i] for i in range(*k.indices(len(self)))]
        block, inside = self._place(range(len(self))[k])
        for count, size in block.pieces:
            if inside < count:
                return size
            inside -= count
        raise AssertionError

    def epoch(self, k: int) -> int:
        """The epoch, from 0, that step k belongs to."""
        block, _ = self._place(range(len(self))[k])
        return block.epoch + (k % len(self) - block.step) // block.per_epoch

    def begins(self, epoch: int) -> int:
        """The first step of an epoch."""
        block = self.blocks[bisect_right(self.blocks, range(self.epochs)[epoch], key=lambda b: b.epoch) - 1]
        return block.step + (epoch % self.epochs - block.epoch) * block.per_epoch

    def of_epoch(self, epoch: int) -> Iterator[int]:
        """The sizes within an epoch, in order: how its permutation of the samples is cut."""
        block, _ = self._place(self.begins(epoch))
        for count, size in block.pieces:
            yield from (size for _ in range(count))

    def length(self, tokens: float | None = None) -> Length:
        """For the other schedules of the run. Epochs need not be alike: "3 epochs" is where the fourth begins."""
        starts = tuple(map(self.begins, range(self.epochs))) if len(self.blocks) > 1 else ()
        return Length(len(self), self.epochs, self.samples * self.epochs, tokens, starts)

    def _place(self, k: int) -> tuple[Block, int]:
        block = self.blocks[bisect_right(self.blocks, k, key=lambda b: b.step) - 1]
        return block, (k - block.step) % block.per_epoch


def batch_sizes(base: int, samples: int, epochs: int, schedule: Any = None, *, drop_last: bool = False) -> Batches:
    """The batch sizes of `epochs` passes over `samples`: base times the schedule's factor, rounded, at least 1.

    Progress is counted in samples: the schedule is asked before each step with the share of all samples that went before.
    Each epoch's last batch is what is left of the epoch, or dropped where that is less than was asked.
    """
    for name, value in (("base", base), ("samples", samples), ("epochs", epochs)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SettingError(f"batch_sizes: {name} = {value!r} must be a whole number, at least 1")
    schedule = None if schedule is None else read(schedule)
    if schedule is None or isinstance(schedule, Constant):
        size = whole(base, schedule.factor if schedule else 1.0)
        full, left = divmod(samples, size)
        pieces = ((full, size),) * (full > 0) + ((1, left),) * (left > 0 and not drop_last)
        return Batches(samples, epochs, (Block(0, epochs, 0, _some(pieces, size, samples)),))
    factor = _in_samples(schedule, samples, epochs)
    blocks: list[Block] = []
    step = 0
    for epoch in range(epochs):
        pieces = _epoch(factor, base, epoch * samples, samples, samples * epochs, drop_last)
        if blocks and blocks[-1].pieces == pieces:
            alike = blocks.pop()
            blocks.append(Block(alike.epoch, alike.epochs + 1, alike.step, pieces))
        else:
            blocks.append(Block(epoch, 1, step, pieces))
        step += blocks[-1].per_epoch
    return Batches(samples, epochs, tuple(blocks))


def _epoch(factor: Schedule, base: int, before: int, samples: int, total: int, drop_last: bool) -> Pieces:
    pieces: list[tuple[int, int]] = []
    count, last, seen, wanted = 0, 0, 0, base
    while seen < samples:
        wanted = whole(base, factor((before + seen) / total))
        size = min(wanted, samples - seen)
        if drop_last and size < wanted:
            break
        if size != last:
            if count:
                pieces.append((count, last))
            count, last = 0, size
        count += 1
        seen += size
    if count:
        pieces.append((count, last))
    return _some(tuple(pieces), wanted, samples)


def _some(pieces: Pieces, size: int, samples: int) -> Pieces:
    if not pieces:
        raise SettingError(f"a batch of {size} is more than the {samples} samples, and drop_last leaves no step")
    return pieces


def _in_samples(schedule: Schedule, samples: int, epochs: int) -> Schedule:
    """The schedule with its spans as shares of all samples. Steps are not known yet: they are what the sizes decide."""
    total = samples * epochs
    for span in schedule.unresolved():
        if parse("batch", span)[1] in ("steps", "tokens"):
            raise SettingError(f"a batch schedule counts in samples: {span!r} must be said in percent, epochs or samples")
    return schedule.resolve(Length(total + 1, epochs * (total + 1) / total, total + 1))

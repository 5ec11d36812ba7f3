"""The largest batch that fits into memory, found by trying."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from steepest.core.errors import SettingError
from steepest.drivers.accumulate import Accumulate
from steepest.train.memory import available, highest, out_of_memory, release, reset_highest, resident, said
from steepest.train.trial import BatchLoss, samples, summed
from steepest.train.untouched import untouched

# No batch beyond this is tried unless it is asked for.
CEILING = 2**20
# The search ends when no size between the largest that fits and the smallest that does not is more than this share away.
CLOSE = 1 / 32
# Of the free memory of the machine, a process may take this share when no budget is given.
SHARE = 0.8


@dataclass(frozen=True)
class Trial:
    """One size: whether it fits, why not, and the peak of the process's resident memory in bytes (None: not known)."""

    batch: int
    fits: bool
    why: str
    peak: int | None


@dataclass(frozen=True)
class BatchResult:
    """`batch` ran twice, whole steps, within memory; None: not even 1 does. `refused` is the smallest size that does not fit, if any."""

    batch: int | None
    refused: int | None
    budget: int | None
    reason: str
    trials: tuple[Trial, ...]


def full_step(model: nn.Module, optimizer: Any, loss: BatchLoss, example: Any, accumulate: int = 1) -> Callable[[int], None]:
    """`run` for `largest_batch`: a step as training makes it, forward, backward and optimizer, on n samples repeated from an example.

    Under accumulation n is the size of a micro-batch; two of them reach the peak: the second's activations beside the first's gradients.
    """
    have, total = samples(example), summed(loss)

    def grow(n: int, x: Any) -> Any:
        return x[torch.arange(n, device=x.device) % have] if isinstance(x, Tensor) and x.ndim and len(x) == have else x

    def run(n: int) -> None:
        batch = tree_map(partial(grow, n), example)
        Accumulate().step(optimizer, [partial(total, model, batch)] * min(accumulate, 2))

    return run


def largest_batch(
    run: Callable[[int], Any], start: int = 1, limit: int | None = None, *, keep: Sequence[Any] = (), memory: int | None = None
) -> BatchResult:
    """Double the batch until a step does not fit, then halve the interval, down to 3 %.

    `run(n)` makes one whole training step of n samples, backward and optimizer included (`full_step` makes such a function). Every
    size runs twice: only then does the optimizer's state lie beside the activations. `keep`: the models and optimizers that `run`
    writes to; they are put back, with all random states.

    On an accelerator a size does not fit when its allocator says so. In a computer's main memory nothing says so (the system ends the
    process), therefore there is a budget: a size does not fit if the process is ever larger than `memory` bytes, by default what it has
    and 80 % of what is free. That is measured on Linux only; elsewhere `limit` is all there is. A size that, by those before it, would
    take more than the machine has is not run and counts as too large.
    """
    if start < 1 or (limit is not None and limit < start):
        raise SettingError(f"largest_batch: start = {start}, limit = {limit}; they must be 1 or more, and limit not below start")
    if memory is not None and (highest() is None or not reset_highest()):
        raise SettingError("largest_batch: memory=... is measured on Linux only; give limit=... here")
    if memory is None and limit is None and highest() is None and not torch.accelerator.is_available():
        raise SettingError("largest_batch: nothing tells how full memory is on this system; give limit=...")
    with untouched(*keep) as kept:
        room = Room(memory, kept.bytes)
        trials: list[Trial] = []
        low, high = 0, None
        n, ceiling = start, limit or max(CEILING, start)
        while high is None or high - low > max(1, low * CLOSE):
            trials.append(room.attempt(run, n))
            if trials[-1].fits:
                low = n
            else:
                high = n
            if low == ceiling:
                break
            n = min(2 * low, ceiling) if high is None else (low + high) // 2
    return BatchResult(low or None, high, room.budget, reason(low, high, ceiling, trials), tuple(trials))


class Room:
    """The budget of main memory, and what was seen of it. The copies that the search itself keeps do not count."""

    def __init__(self, budget: int | None, kept: int) -> None:
        release()
        here, free = resident(), available()
        self.kept, self.start = kept, here
        self.budget = budget if budget is not None or here is None or free is None else here - kept + int(SHARE * free)
        self.line: tuple[int, int] | None = None  # a size that fits, and how far above the start its peak was

    def attempt(self, run: Callable[[int], Any], n: int) -> Trial:
        free = available()
        if self.line and free is not None and n > self.line[0] and (need := self.line[1] * n // self.line[0]) > free:
            return Trial(n, False, f"would need about {said(need)}, and {said(free)} are free; not run", None)
        counted = reset_highest()
        failed = ""
        try:
            run(n)
            run(n)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            error.__traceback__ = None  # it holds the frames, and they the tensors
            failed = f"out of memory: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        top = highest() if counted else None
        if failed:
            gc.collect()
        peak = None if top is None else top - self.kept
        if not failed and peak is not None and self.budget is not None and peak > self.budget:
            failed = f"the process grew to {said(peak)}, over the budget of {said(self.budget)}"
        if not failed and top is not None and self.start is not None:
            self.line = n, max(top - self.start, 0)
        return Trial(n, not failed, failed, peak)


def reason(low: int, high: int | None, ceiling: int, trials: list[Trial]) -> str:
    if high is None:
        return f"nothing bounded it up to {ceiling}: more may fit"
    why = next(trial.why for trial in reversed(trials) if trial.batch == high)
    return f"{high} does not fit: {why}" if low else f"not even {high} fits: {why}"

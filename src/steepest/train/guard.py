"""What goes wrong in a step, how it is noticed, and what was decided about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from steepest.core.errors import ParameterError, SteepestError

# How often a run goes back to one moment before it gives up.
TRIES = 5
# What a rollback leaves of the rate.
LOWER = 0.5


class TrainingError(SteepestError):
    """Training that cannot go on."""


class Bad(Exception):
    """A step that must not be made: because of its `inputs`, `loss`, `gradient`, the `weights` it leaves, or a `spike`; and where."""

    def __init__(self, cause: str, where: str = "") -> None:
        super().__init__(where)
        self.cause, self.where = cause, where

    def __str__(self) -> str:
        return f"the loss rose to {self.where}" if self.cause == "spike" else f"NaN or Inf in {self.where or 'the loss'}"


@dataclass
class Guard:
    """What was decided about bad steps, and the averages by which a spike is known. Plain numbers, and part of a checkpoint."""

    skip: set[int] = field(default_factory=set)
    rate: float = 1.0
    tries: int = 0
    # Of the loss: how often it was seen, its exponential average, that of its distance from there, and the largest early one.
    seen: int = 0
    mean: float = 0.0
    spread: float = 0.0
    start: float = 0.0
    # Of the loss since the last evaluation, or of the last 50 steps: how many steps, and its average.
    fresh: int = 0
    recent: float = 0.0

    WARM = 50
    FAR = 20.0

    def judge(self, loss: float, spikes: bool) -> Bad | None:
        """What is wrong with a loss; one with which nothing is wrong is taken into the averages.

        A spike is 20 average distances above the average, and twice as bad as the untrained model: the second keeps a small
        loss from looking large beside smaller ones.
        """
        if not isfinite(loss):
            return Bad("loss")
        mean, away = self.mean, abs(loss - self.mean)
        if spikes and self.seen >= self.WARM and loss > mean + self.FAR * self.spread and loss > self.start + abs(self.start):
            return Bad("spike", f"{loss:.4g}")
        self.seen = seen = self.seen + 1
        self.fresh = fresh = self.fresh + 1
        self.recent += (loss - self.recent) / min(fresh, self.WARM)
        if seen <= self.WARM:
            self.start = loss if seen == 1 else max(self.start, loss)
        if seen > 1:
            self.spread += (away - self.spread) / min(seen, self.WARM)
        self.mean = mean + (loss - mean) / min(seen, self.WARM)
        return None

    @property
    def decided(self) -> dict[str, Any]:
        return dict(skip=sorted(self.skip), rate=self.rate, tries=self.tries)

    @property
    def facts(self) -> dict[str, Any]:
        return self.__dict__ | self.decided

    def restore(self, facts: dict[str, Any]) -> None:
        self.__dict__.update(facts | {"skip": set(facts["skip"])})


@contextmanager
def checked(optimizers: dict[str, Any]) -> Iterator[None]:
    """Within: a gradient with NaN or Inf is refused by name before anything is written."""
    for optimizer in optimizers.values():
        optimizer.check = True
    try:
        yield
    except ParameterError as error:
        raise Bad("gradient", str(error).split(" holds")[0]) from None
    finally:
        for optimizer in optimizers.values():
            optimizer.check = False

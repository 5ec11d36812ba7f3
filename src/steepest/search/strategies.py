"""Strategies that take any sampler: each trial in full, or stopped where it is worse than half."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from math import inf
from statistics import median

from steepest.core.errors import SettingError
from steepest.search.history import History, Replay
from steepest.search.jobs import WAIT, Answer, Job, Seen, Wait
from steepest.search.naming import named
from steepest.search.samplers import Sampler
from steepest.search.space import Space


@dataclass(frozen=True)
class Setup:
    """What all strategies go by: the epochs of a `full` training, the study's seed and logical width; its budget in epochs, if known.

    `later` are budgets that were given afterwards, each with the decision from which it counts.
    """

    space: Space
    full: int
    seed: int = 0
    width: int = 4
    budget: int | None = None
    later: tuple[tuple[int, int | None], ...] = ()

    def budget_at(self, decision: int) -> int | None:
        return next((budget for start, budget in reversed(self.later) if decision >= start), self.budget)

    def __post_init__(self) -> None:
        for name in ("full", "width"):
            if getattr(self, name) < 1:
                raise SettingError(f"search: {name} = {getattr(self, name)}; it is a whole number from 1 on")
        if self.budget is not None and self.budget < 1:
            raise SettingError(f"search: a budget of {self.budget} epochs buys nothing; give at least 1")


class Deciding(ABC):
    """Abstract: a strategy by its `next`."""

    setup: Setup

    @abstractmethod
    def next(self, history: History) -> Job | Wait | None:
        """The next job of this history."""

    @property
    def width(self) -> int:
        return self.setup.width

    @cached_property
    def _replay(self) -> Replay:
        return Replay(self)

    def decide(self, i: int, seen: Seen) -> Job | Wait | None:
        return self._replay.decide(i, seen)

    def best(self, seen: Seen) -> Answer | None:
        return named(seen)


class Sampling(Deciding):
    """Abstract: points come from a sampler."""

    def __init__(self, setup: Setup, sampler: Sampler) -> None:
        self.setup, self.sampler = setup, sampler

    def explored(self, history: History, stop: int) -> Job | None:
        i = len(history.trials)
        # Gathering them takes time that grows with the study: only who looks at them is given any.
        point = self.sampler.propose(i, history.scored() if getattr(self.sampler, "looks", True) else ())
        return None if point is None else history.explore(point, self.setup.seed, stop, f"{self.sampler.name} {i}")


class Plain(Sampling):
    """Each trial in full."""

    def next(self, history: History) -> Job | None:
        return self.explored(history, self.setup.full)


class Median(Sampling):
    """A trial pauses at each quarter, and goes on if it is no worse there than half of the others (Golovin et al., 2017, 3.2).

    One that was stopped goes on after all when more has been seen, and half is worse.
    """

    # So many must have come as far before anyone is stopped.
    least = 5

    def next(self, history: History) -> Job | Wait | None:
        stops = quarters(self.setup.full)
        bars = self._bars(history)
        for trial in history.trials.values():
            if trial.waiting and trial.epochs < self.setup.full and trial.score <= bars[trial.epochs]:
                return history.promote(trial, next(stop for stop in stops if stop > trial.epochs))
        job = self.explored(history, stops[0])
        return WAIT if job is None and history.pending else job

    def _bars(self, history: History) -> dict[int, float]:
        """The median of scores by epochs; infinite while they are few."""
        scores: dict[int, list[float]] = {}
        for trial in history.trials.values():
            for epochs, score in trial.scores.items():
                scores.setdefault(epochs, []).append(score)
        return {epochs: median(some) if len(some) >= self.least else inf for epochs, some in scores.items()}


def quarters(full: int) -> list[int]:
    return sorted({-(-full * k // 4) for k in range(1, 5)})

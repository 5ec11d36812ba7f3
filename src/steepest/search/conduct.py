"""A study at work: decisions are made, workers carry them out, and whoever looks on is told."""

from collections.abc import Callable, Iterator
from math import inf
from typing import NamedTuple

from steepest.search.decisions import Decisions
from steepest.search.jobs import Job, Result
from steepest.search.log import Log
from steepest.search.pool import Order, Pool, Told


class Begun(NamedTuple):
    job: Job


class Going(NamedTuple):
    """How many epochs the job's trial has behind it."""

    job: Job
    epochs: float


class Ended(NamedTuple):
    job: Job
    result: Result
    seconds: float


class Note(NamedTuple):
    text: str


Event = Begun | Going | Ended | Note


def conduct(
    decisions: Decisions, log: Log, pool: Pool, order: Callable[[Job], Order], left: Callable[[], float] = lambda: inf
) -> Iterator[Event]:
    """Carry out one decision after another, until there is none, or no time is left. Interrupted, every job is left where it is.

    Time that runs out changes no decision: what stands is a beginning of what more time would have given.
    """
    at: dict[int, Job] = {}
    try:
        while True:
            while pool.free and isinstance(job := decisions.next(), Job):
                if job.number not in log.jobs:
                    log.job(job)
                at[job.number] = job
                pool.give({"do": "train", "number": job.number, "job": job.facts(), **order(job)})
                yield Begun(job)
            if not at:
                return
            seconds = left()
            if seconds <= 0:
                for told in pool.leave():
                    yield _taken(told, at, decisions, log)
                if at:
                    yield Note(f"time is up; left unfinished: trials {', '.join(str(job.trial) for job in at.values())}")
                return
            for told in pool.wait(min(seconds, 1.0)):
                yield Going(at[told.number], told.facts["epochs"]) if told.said == "going" else _taken(told, at, decisions, log)
    except (KeyboardInterrupt, GeneratorExit):
        for told in pool.leave():
            _taken(told, at, decisions, log)
        raise


def _taken(told: Told, at: dict[int, Job], decisions: Decisions, log: Log) -> Ended:
    job, result = at.pop(told.number), Result.of_facts(told.facts["result"])
    log.result(job.number, result, told.facts["seconds"])
    decisions.take(job.number, result)
    return Ended(job, result, told.facts["seconds"])


class Clock:
    """The time that a study has, and what of it must be kept for the end: to train the trial that would be named to its end."""

    # Leaving what is under way, the test part, writing: a second, and a share of the whole.
    SPARE, SHARE = 1.0, 0.02

    def __init__(self, log: Log, decisions: Decisions, seconds: float, full: int, workers: int) -> None:
        self.log, self.decisions, self.seconds, self.full, self.workers = log, decisions, seconds, full, workers
        self._known, self._reserve = -1, 0.0
        self.spent, self.epochs = sum(log.seconds.values()), sum(result.epochs for result in log.results.values())

    def add(self, ended: Ended) -> None:
        self.spent += ended.seconds
        self.epochs += ended.result.epochs

    def left(self) -> float:
        if self.seconds == inf:
            return inf
        if len(self.decisions.seen) != self._known:
            self._known, self._reserve = len(self.decisions.seen), self._needed()
        return self.seconds - self.log.elapsed - self._reserve

    def _needed(self) -> float:
        answer = self.decisions.best()
        if answer is None or not self.epochs:
            return 0.0
        done = max(job.start + result.epochs for job, result in self.decisions.seen if job.trial == answer.trial)
        return self.SPARE + self.SHARE * self.seconds + (self.full - done) * self.spent / self.epochs

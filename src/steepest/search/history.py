"""What a strategy goes by: the decisions so far, and of some of them what came of it. Decisions are replayed, never remembered."""

from collections import defaultdict
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from steepest.search.dimension import text
from steepest.search.jobs import WAIT, Job, Kind, Point, Result, Seen, Wait


@dataclass
class Trial:
    """One point with one seed, as far as it has come. `stop` is decided, `epochs` is seen; `scores` by epochs."""

    number: int
    point: Point
    seed: int
    origin: str
    kind: Kind
    stop: int = 0
    epochs: int = 0
    scores: dict[int, float] = field(default_factory=dict)
    over: bool = False

    @property
    def waiting(self) -> bool:
        """All that was decided of it is seen, and it could go on."""
        return not self.over and self.epochs == self.stop

    @property
    def score(self) -> float:
        """The last one; inf if it has none, or broke later."""
        return inf if self.over else self.scores.get(self.epochs, inf)


class History:
    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.known = 0  # so many of them, from the first on
        self.trials: dict[int, Trial] = {}
        # How many seeds a point was given, by its text.
        self.seeds: dict[str, int] = defaultdict(int)
        # What the decisions cost: the epochs that were trained, and of what is not seen yet those that shall be.
        self.spent = 0

    @property
    def number(self) -> int:
        """Of the next decision."""
        return len(self.jobs)

    @property
    def pending(self) -> int:
        """Decisions whose results are not seen."""
        return self.number - self.known

    def decided(self, job: Job) -> None:
        self.jobs.append(job)
        if job.trial not in self.trials:
            self.trials[job.trial] = Trial(job.trial, job.point, job.seed, job.origin, job.kind)
            self.seeds[text(job.point)] += 1
        self.trials[job.trial].stop = job.stop
        self.spent += job.epochs

    def learned(self, result: Result) -> None:
        """The result of the first job that had none."""
        job = self.jobs[self.known]
        self.known += 1
        trial = self.trials[job.trial]
        self.spent += result.epochs - job.epochs
        if result.done:
            trial.epochs = job.stop
            trial.scores[job.stop] = result.score
        else:
            trial.over = True

    # --- the next job -------------------------------------------------------------------------------

    def explore(self, point: Point, seed: int, stop: int, origin: str, kind: Kind = "explore") -> Job:
        return Job(self.number, len(self.trials), point, seed, 0, stop, kind, origin)

    def promote(self, trial: Trial, stop: int) -> Job:
        return Job(self.number, trial.number, trial.point, trial.seed, trial.epochs, stop, "promote", trial.origin)

    # --- what is known ------------------------------------------------------------------------------

    def scored(self, least: int = 10) -> list[tuple[Point, float]]:
        """Points and scores to model: those after the most epochs that at least `least` trials have seen (as BOHB does).

        A trial that broke counts there too. Where no length has so many, the longest.
        """
        ended = [t for t in self.trials.values() if t.over]
        lengths = sorted({epochs for t in self.trials.values() for epochs in t.scores}, reverse=True)
        for length in lengths:
            found = [(t.point, t.scores[length]) for t in self.trials.values() if length in t.scores]
            if len(found) + len(ended) >= least or length == lengths[-1]:
                return found + [(t.point, inf) for t in ended if length not in t.scores]
        return [(t.point, inf) for t in ended]


class Decider(Protocol):
    """What a strategy adds: the next job from a history. It decides the same for the same history."""

    @property
    def width(self) -> int: ...

    def next(self, history: History) -> Job | Wait | None: ...


class Replay:
    """`decide` for a `next`: each decision is made from the fewest results that it can be made from, whatever more is shown.

    So it does not matter which results arrived in truth. The decisions of before are cached; another past begins anew.
    """

    def __init__(self, decider: Decider) -> None:
        self.decider = decider
        self._begin()

    def _begin(self) -> None:
        self.history = History()
        self.past: list[tuple[Job, Result]] = []
        self.decisions: list[Job | None] = []
        self.shown: list[int] = []  # how many results each decision was made from

    def decide(self, i: int, seen: Seen) -> Job | Wait | None:
        seen = seen if isinstance(seen, list) else list(seen)
        if self.past[: len(seen)] != seen[: len(self.past)]:
            self._begin()
        while len(self.decisions) <= i and (not self.decisions or self.decisions[-1] is not None):
            if not self._decided(seen):
                return WAIT
        last = min(i, len(self.decisions) - 1)
        return self.decisions[last] if self.shown[last] <= len(seen) else WAIT

    def _decided(self, seen: Seen) -> bool:
        """Make the next decision; False if it wants to see more than there is."""
        history = self.history
        while len(self.past) < history.number - self.decider.width + 1:
            if not self._learned(seen):
                return False
        while isinstance(decision := self.decider.next(history), Wait):
            if not self._learned(seen):
                return False
        self.decisions.append(decision)
        self.shown.append(len(self.past))
        if decision is not None:
            history.decided(decision)
        return True

    def _learned(self, seen: Seen) -> bool:
        k = len(self.past)
        if k >= len(seen) or k >= self.history.number:
            return False
        self.past.append(seen[k])
        self.history.learned(seen[k][1])
        return True


def history_of(seen: Seen) -> History:
    """A history of finished jobs alone."""
    history = History()
    for job, result in seen:
        history.decided(job)
        history.learned(result)
    return history

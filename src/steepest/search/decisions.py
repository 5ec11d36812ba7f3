"""Which job comes next: the same for any number of workers, and again after whatever happened."""

import json
from collections.abc import Mapping
from math import inf

from steepest.search.jobs import WAIT, Answer, Job, Result, Strategy, Wait
from steepest.search.log import StudyError

# So many first jobs that fail are enough to know that all will.
HOPELESS = 8
# So many knobs are named where a study cannot be resumed.
TOLD = 3


class Decisions:
    """A strategy, asked in order. Decision i sees the results of decisions 0 .. i - width, and more where it has to wait for them.

    `epochs` is what all jobs may cost. A job counts as planned until its result is seen, then as what it took: so the budget ends at
    the same decision whoever carries them out. `jobs` and `results` of an earlier process are taken as they come up again.
    """

    def __init__(
        self,
        strategy: Strategy,
        width: int,
        epochs: float = inf,
        jobs: Mapping[int, Job] | None = None,
        results: Mapping[int, Result] | None = None,
    ) -> None:
        self.strategy, self.width, self.epochs = strategy, width, epochs
        self._logged, self._known = dict(jobs or {}), dict(results or {})
        self.jobs: list[Job] = []
        self.results: dict[int, Result] = {}
        self.seen: list[tuple[Job, Result]] = []
        # Why there is no further job, once there is none.
        self.over = ""
        self._shown = 0
        self._spent = Sums()
        self._planned = Sums()

    def next(self) -> Job | Wait | None:
        """The next job that is to be carried out; WAIT where a result must come first; None where there is no more."""
        while True:
            job = self._decide()
            if not isinstance(job, Job):
                return job
            self._accept(job)
            if job.number not in self._known:
                return job
            self.take(job.number, self._known[job.number])

    def take(self, number: int, result: Result) -> None:
        self.results[number] = result
        while (n := len(self.seen)) in self.results:
            self.seen.append((self.jobs[n], self.results[n]))
            self._spent.add(self.results[n].epochs)

    def waiting(self) -> list[Job]:
        """Jobs without a result."""
        return [job for job in self.jobs[len(self.seen) :] if job.number not in self.results]

    def best(self) -> Answer | None:
        """By the results that stand without a gap: those that every number of workers would have seen by then."""
        return self.strategy.best(self.seen)

    @property
    def spent(self) -> float:
        """Epochs that were trained, or are being trained."""
        return self._cost(len(self.seen))

    def _decide(self) -> Job | Wait | None:
        i = len(self.jobs)
        self._shown = max(self._shown, i - self.width + 1)
        while not self.over:
            if self._shown > len(self.seen):
                return WAIT
            job = self.strategy.decide(i, self.seen[: self._shown])
            if job is None:
                self.over = "finished"
            elif self._hopeless():
                self.over = "failed"
            elif isinstance(job, Job) and self._cost(self._shown) + job.epochs <= self.epochs:
                return job
            elif self._shown < i:
                self._shown += 1
            else:
                self.over = "budget" if isinstance(job, Job) else "finished"
        return None

    def _accept(self, job: Job) -> None:
        logged = self._logged.get(job.number)
        if logged is not None and _text(logged) != _text(job):
            raise StudyError(
                f"decision {job.number} was to train {_told(logged, job)}, and would now be to train {_told(job, logged)}: "
                "the study is of another version or other settings; start a new one"
            )
        self.jobs.append(job)
        self._planned.add(job.epochs)

    def _cost(self, seen: int) -> float:
        return self._spent[seen] + self._planned[len(self.jobs)] - self._planned[seen]

    def _hopeless(self) -> bool:
        """That the default goes, which has no point of the space, is no hope for the space."""
        first = [result for job, result in self.seen[: min(self._shown, HOPELESS + 1)] if job.point][:HOPELESS]
        return len(first) == HOPELESS and all(result.status == "failed" for result in first)


class Sums:
    """The sum of the first n numbers, for each n."""

    def __init__(self) -> None:
        self._sums = [0.0]

    def add(self, x: float) -> None:
        self._sums.append(self._sums[-1] + x)

    def __getitem__(self, n: int) -> float:
        return self._sums[n]


def _text(job: Job) -> str:
    """What of a job decides, as JSON keeps it: its origin is told to people."""
    return json.dumps({**job.facts(), "origin": ""}, sort_keys=True)


def _told(job: Job, other: Job) -> str:
    """A job, in so far as it is not the other: a recipe has dozens of knobs."""
    theirs = {**other.facts(), **other.point}
    own = {name: x for name, x in {"seed": job.seed, "kind": job.kind, **job.point}.items() if theirs.get(name, ...) != x}
    said = [f"{name} = {x}" for name, x in own.items()][:TOLD] + [f"{len(own) - TOLD} more"] * (len(own) > TOLD)
    return f"trial {job.trial} from epoch {job.start} to {job.stop}" + f" with {', '.join(said)}" * bool(own)

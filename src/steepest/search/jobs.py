"""What a study decides (jobs), what it learns (results), and the protocol of whoever decides."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf, isfinite
from typing import Any, Literal, NamedTuple, Protocol, Self

# A value for each dimension that applies, by the dimension's name. JSON-able.
Point = dict[str, Any]
Kind = Literal["explore", "promote", "repeat"]
Status = Literal["done", "diverged", "failed", "lost"]


@dataclass(frozen=True)
class Job:
    """Decision `number` of a study: train `trial` from epoch `start`, where it stands, to epoch `stop`.

    A trial is one point with one seed: one run directory. A promoted trial goes on from its last epoch under its old number.
    A repeat is a new trial, of a known point with another seed. `origin` is for people: "portfolio 3", "refined from 7".
    """

    number: int
    trial: int
    point: Point
    seed: int
    start: int
    stop: int
    kind: Kind
    origin: str = ""

    @property
    def epochs(self) -> int:
        """What the job costs."""
        return self.stop - self.start

    def facts(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        return cls(**facts)


@dataclass(frozen=True)
class Result:
    """What became of a job. `score` is to be minimized: inf unless done. `epochs` were trained in this job, whatever came of them.

    A trial that diverged or failed is over. One that is lost (its worker died, hung, or ran out of memory) is, too.
    """

    status: Status
    score: float = inf
    metrics: Mapping[str, float] = field(default_factory=dict)
    epochs: int = 0
    error: str = ""

    @property
    def done(self) -> bool:
        return self.status == "done" and isfinite(self.score)

    def facts(self) -> dict[str, Any]:
        """JSON knows no infinity: a score that is none is None."""
        return {**asdict(self), "score": self.score if self.done else None, "metrics": dict(self.metrics)}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        score = facts.get("score")
        return cls(**{**facts, "score": inf if score is None else score})


class Wait:
    """Said instead of a job: show one more result before this decision."""

    def __repr__(self) -> str:
        return "WAIT"


WAIT = Wait()
# The results of decisions 0, 1, ..., without a gap.
Seen = Sequence[tuple[Job, Result]]


class Answer(NamedTuple):
    """The trial to name, the score it is named for, over how many seeds that is the mean, and why it is this one."""

    trial: int
    point: Point
    score: float
    seeds: int
    why: str


class Strategy(Protocol):
    """Decides. Both methods are pure in (settings, i, seen): asked again, or by another process, they say the same.

    Decision i is asked with the results of decisions 0 .. i - width, where width is the study's logical width; after `WAIT`
    with one more. None: there is nothing more to do. `best` answers for any prefix; None when nothing is done.
    """

    def decide(self, i: int, seen: Seen) -> Job | Wait | None: ...

    def best(self, seen: Seen) -> Answer | None: ...

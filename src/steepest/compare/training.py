"""A training of a comparison that was carried out, and what it scored."""

from dataclasses import dataclass

from steepest.compare.laying import Slot
from steepest.search.jobs import Job, Result


@dataclass(frozen=True)
class Training:
    """One that was carried out. `score` is in the objective's own direction; None is a miss."""

    slot: Slot
    job: Job
    result: Result
    score: float | None

    @property
    def lost(self) -> bool:
        """For a cause that is no method's: it counts as not made."""
        return self.result.status == "lost"

"""What anyone would have used: torch's default AdamW, as one trial of a study, so that the answer can be held against it."""

import re
from dataclasses import replace

from steepest.search.jobs import Answer, Job, Result, Seen, Strategy, Wait
from steepest.train.recipe import Recipe

# Its decision. What comes first is the strategy's own best guess, and whoever buys two trainings gets nothing worse than the default.
PLACE = 1
ORIGIN = "default AdamW"
# "refined from 7", "again, as trial 7"
TRIAL = re.compile(r"(?<=from )\d+|(?<=trial )\d+")
# torch.optim.AdamW's.
ADAMW = {"rule": "adamw", "lr": 1e-3, "weight_decay": 1e-2}


def is_baseline(job: Job) -> bool:
    """A point of a space is never empty."""
    return not job.point


def baseline(base: Recipe) -> Recipe:
    """The base with that optimizer and torch's start, and with nothing else that a search decides: no schedule, no regularizer."""
    said = {name: table for name, table in base.tables().items() if name not in ("optimizer", "schedule", "regularize", "driver")}
    return Recipe({"init": {"plan": "torch_default"}} | said | {"optimizer": ADAMW}, base.source)


class WithBaseline:
    """A strategy with one decision more, which it does not see."""

    def __init__(self, inner: Strategy, full: int, seed: int) -> None:
        self.inner, self.full, self.seed = inner, full, seed
        self._taken = 0
        self._mapped: list[tuple[Job, Result]] = []

    def decide(self, i: int, seen: Seen) -> Job | Wait | None:
        if i == PLACE:
            return Job(i, i, {}, self.seed, 0, self.full, "explore", ORIGIN)
        found = self.inner.decide(i - (i > PLACE), self._inner(seen))
        if not isinstance(found, Job):
            return found
        origin = TRIAL.sub(lambda theirs: str(_later(int(theirs[0]))), found.origin)
        return replace(found, number=i, trial=_later(found.trial), origin=origin)

    def best(self, seen: Seen) -> Answer | None:
        """The default may be it."""
        return self.inner.best(seen)

    def _inner(self, seen: Seen) -> list[tuple[Job, Result]]:
        """What the inner strategy sees: its own decisions, by its own numbers."""
        for job, result in seen[self._taken :]:
            self._taken += 1
            if not is_baseline(job):
                own = replace(job, number=job.number - (job.number > PLACE), trial=job.trial - (job.trial > PLACE))
                self._mapped.append((own, result))
        return self._mapped[: len(seen) - (len(seen) > PLACE)]


def _later(theirs: int) -> int:
    """Their trials count from 0 without a gap."""
    return theirs + (theirs >= PLACE)

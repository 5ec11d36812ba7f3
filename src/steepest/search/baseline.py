"""What anyone would have used: torch's default AdamW, as one trial of a study, so that the answer can be held against it."""

from dataclasses import replace

from steepest.search.jobs import Answer, Job, Result, Seen, Strategy, Wait
from steepest.train.recipe import Recipe

# It comes when so many full trainings were seen: an eighth of the cost at most. A smaller study does without.
AFTER = 7
ORIGIN = "default AdamW"
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
    """A strategy with one decision more. Its place follows from what was seen, as all decisions do."""

    def __init__(self, inner: Strategy, full: int, width: int, seed: int) -> None:
        self.inner, self.full, self.width, self.seed = inner, full, width, seed
        self._epochs = self._counted = self._taken = 0
        self._place: int | None = None
        self._mapped: list[tuple[Job, Result]] = []

    def decide(self, i: int, seen: Seen) -> Job | Wait | None:
        place = self._find(seen)
        if i == place:
            return Job(i, i, {}, self.seed, 0, self.full, "explore", ORIGIN)
        before = i if place is None or i < place else i - 1
        found = self.inner.decide(before, self._inner(seen))
        return self._outer(found, i) if isinstance(found, Job) else found

    def best(self, seen: Seen) -> Answer | None:
        return self.inner.best(seen)

    def _find(self, seen: Seen) -> int | None:
        """The first decision that sees enough."""
        while self._place is None and self._counted < len(seen):
            self._epochs += seen[self._counted][1].epochs
            self._counted += 1
            if self._epochs >= AFTER * self.full:
                self._place = self._counted + self.width - 1
        return self._place

    def _outer(self, job: Job, number: int) -> Job:
        """Trials are numbered anew: that of the baseline is left out."""
        place = self._place
        return replace(job, number=number, trial=job.trial if place is None or job.trial < place else job.trial + 1)

    def _inner(self, seen: Seen) -> list[tuple[Job, Result]]:
        """What the inner strategy sees: its own decisions, by its own numbers."""
        for job, result in seen[self._taken :]:
            self._taken += 1
            if not is_baseline(job):
                self._mapped.append((self._unmapped(job), result))
        return self._mapped[: len(seen) - (self._place is not None and len(seen) > self._place)]

    def _unmapped(self, job: Job) -> Job:
        place = self._place
        if place is None:
            return job
        return replace(job, number=job.number - (job.number > place), trial=job.trial - (job.trial > place))

"""A study from its first line to its answer: what is put together for it, and what is told on the way."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any

from steepest import records
from steepest.core.task import Task
from steepest.data.split import gather
from steepest.records.studies import NAME
from steepest.search.asked import Asked
from steepest.search.budget import Budget
from steepest.search.conduct import Clock, Ended, Event, Note, conduct
from steepest.search.decisions import Decisions
from steepest.search.finish import nothing
from steepest.search.log import Log, StudyError
from steepest.search.making import USUAL
from steepest.search.plan import Plan
from steepest.search.pool import Here, Pool, Processes
from steepest.search.shared import lay
from steepest.search.training import Training
from steepest.train import taskfile

# Seconds without a step after which a worker is taken to hang.
SILENCE = 600.0


class Search:
    """A study at work in its folder. `run()` is everything; `decisions`, `log` and `plan` may be looked at meanwhile.

    `task` is given where only this process knows it; then nothing is trained elsewhere.
    """

    def __init__(
        self, plan: Asked, folder: Path, *, workers: int = 1, task: Task | None = None, silence: float | None = None, fresh: bool = True
    ) -> None:
        self.plan, self.workers, self.silence = plan, max(1, min(workers, plan.width)), silence
        if fresh:
            refuse(folder, plan.verb)
        self.task = task
        decider = plan.decider()  # a mistake in the plan leaves no folder behind
        self.log = Log(folder)
        try:
            if not self.log.begin:
                about = {"task": plan.name, "objective": plan.objective, "better": plan.better}
                self.log.write("study", 0, version=records.VERSION, **about, **plan.head())
            self.decisions = Decisions(decider, plan.width, plan.epochs, self.log.jobs, self.log.results)
        except BaseException:
            self.log.close()
            raise
        self.clock = Clock(self.log, self.decisions, plan.seconds, plan.full, self.workers)

    def run(self) -> Iterator[Event | Any]:
        """All that happens; the last is the answer."""
        pool: Pool | None = None
        try:
            pool = self._pool()
            if self.log.results:
                yield Note(f"{len(self.log.results)} results of before")
            for event in conduct(self.decisions, self.log, pool, lambda job: self.plan.order(job, self.log.folder), self.clock.left):
                if isinstance(event, Ended):
                    self.clock.add(event)
                yield event
            if self.decisions.over == "failed":
                raise StudyError(nothing(self.decisions))
            found = self.plan.finish(self.decisions, self.log, pool)
            self.log.end(self.decisions.over or "time is up")
            yield found
        finally:
            if pool:
                pool.close()
            with suppress(OSError):
                shutil.rmtree(self.log.folder / "data")
            self.log.close()

    def _pool(self) -> Pool:
        folder, setup, threads = self.log.folder / "workers", self.plan.setup(), self.plan.threads
        if setup["kind"] == "script":
            # A program says nothing before its end.
            return Processes(self.workers, setup, folder, threads=threads, silence=self.silence or inf, grace=0.0)
        if self.task is not None:
            return Here(Training(setup, self.task).carry_out)
        task, changed = taskfile.again(self.plan.task or {})
        if changed:
            raise StudyError(f"{changed}; what was measured then and now cannot be compared: start a new study")
        data = gather(task.data, **({"valid": 0.0} if setup["folds"] else {}))
        setup["data"] = lay(data, self.log.folder / "data")
        del data
        return Processes(self.workers, setup, folder, threads=threads, silence=self.silence or SILENCE)


def resumed(folder: Path, budget: str | None = None, **settings: Any) -> Search:
    """A study that goes on, as its record says; a larger `budget` counts from its next decision on."""
    found = records.study(folder)
    if not found.begin:
        raise StudyError(f"{folder} has not begun; remove it, and start anew")
    if found.is_comparison:
        raise StudyError(f"{folder} is a comparison; steepest compare --resume {folder} goes on with it")
    before = tuple((line["decisions"], line["budget"]) for line in found.events if {"budget", "decisions"} <= line.keys())
    plan = Plan.begun(found.begin).replace(later=before)
    if not budget or Budget.parse(budget) == plan.limits[-1]:
        return Search(plan, folder, fresh=False, **settings)
    decisions = sum(bool(line["point"]) for line in found.jobs.values())  # the strategy's own
    changed = plan.replace(later=(*before, (decisions, budget)))
    now, then = plan.limits[-1], changed.limits[-1]
    other = (now.unit == "seconds") != (then.unit == "seconds")
    if plan.strategy == USUAL and other:
        counted = "by the clock" if now.unit == "seconds" else f"in {now.unit}"
        raise StudyError(f"{folder} has a budget of {now}, and its decisions go by that: give it more, counted {counted} again")
    if changed.epochs < plan.epochs and not other:
        raise StudyError(f"{folder} has a budget of {now} already; {then} is less")
    search = Search(changed, folder, fresh=False, **settings)
    search.log.event("changed", f"resumed with a budget of {then}", budget=budget, decisions=decisions)
    return search


def refuse(folder: Path, verb: str) -> None:
    """A folder that holds something is not written to."""
    if folder.exists() and (not folder.is_dir() or any(x.name != "lock" for x in folder.iterdir())):
        what = f"; go on with it: steepest {verb} --resume {folder}" if (folder / NAME).exists() else ""
        raise StudyError(f"{folder} exists already{what}; or choose another folder")

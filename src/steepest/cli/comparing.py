"""A comparison as it goes: a row to each method, how far all is, and how long it will take."""

from statistics import fmean, median
from typing import Any

from rich.table import Table
from rich.text import Text

from steepest.cli.progress import clock, digits, say
from steepest.cli.trials import Trials
from steepest.cli.verdicts import show_verdicts
from steepest.cli.words import told

# The dimension that says whose a point is.
METHOD = "method"


class Methods(Trials):
    """`close` shows what came of it."""

    def __enter__(self) -> "Methods":
        plan, search = self.plan, self.search
        workers = f"{search.workers} worker{'s' * (search.workers > 1)}"
        say(self.out, f"{search.log.folder}: {plan.name} by {plan.objective}, {plan.words}, {workers}")
        for sentence in [*([plan.unequal] if plan.unequal else []), *plan.about]:
            say(self.out, sentence)
        self.seconds: list[float] = []
        if self.live:
            self.live.start()
        return self

    def close(self) -> None:
        show_verdicts(self.search.log.folder)

    def _usual(self) -> dict[str, Any]:
        return {d["name"]: d["usual"] for method in self.plan.methods for d in method.space if "usual" in d}

    def _ended(self, event: Any) -> None:
        super()._ended(event)
        self.seconds.append(event.seconds)
        if len(self.seconds) == 1 and not self.live and (left := self._left()) is not None:
            took = f"the first training took {event.seconds:.2g} s, with all that is loaded once"
            say(self.out, f"{took}; were the others the same, it would be {clock(left)} to the end")

    def _cells(self, job: Any, result: Any, seconds: float) -> list[str]:
        cells = super()._cells(job, result, seconds)
        return [*cells[:-1], self._told(job)]

    def _told(self, job: Any) -> str:
        return told({name: x for name, x in job.point.items() if name != METHOD}, self.usual)

    # --- how far ------------------------------------------------------------------------------------

    def _pace(self) -> float:
        """Seconds of a training. The first few take longer."""
        return median([*self.search.log.seconds.values(), *self.seconds])

    def _left(self) -> float | None:
        done, total = len(self.search.decisions.results), len(self.plan.layout.slots)
        return self._pace() * (total - done) / min(self.search.workers, max(total - done, 1)) if done else None

    def _used(self) -> tuple[float, str]:
        done, total, left = len(self.search.decisions.results), len(self.plan.layout.slots), self._left()
        return done / total, f"{done} of {total} trainings" + (f", about {clock(left)} left" if left is not None else "")

    def _head(self) -> Text:
        """The bar; which of all scores is the best says nothing of methods, and that most end well is expected."""
        self.best, self.counts["done"] = None, 0
        return super()._head()

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for name in ("method", "best trial", "trials", "fresh mean", "fresh", "at work"):
            right = name in ("trials", "fresh")
            table.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis", min_width=min(len(name), 8))
        for method in self.plan.methods:
            table.add_row(*self._method(method))
        return table

    def _method(self, method: Any) -> list[Text]:
        decisions = self.search.decisions
        mine = [
            (job, decisions.results[job.number])
            for job in decisions.jobs
            if job.point[METHOD] == method.name and job.number in decisions.results
        ]
        trials = [result for job, result in mine if job.kind == "explore"]
        fresh = [result for job, result in mine if job.kind == "repeat"]
        scores = [self._value(result) for result in trials if result.done]
        known = [self._value(result) for result in fresh if result.done]
        best = digits((max if self.plan.more else min)(scores)).strip() if scores else ""
        missed = len(fresh) - len(known)
        middle = f"{digits(fmean(known)).strip()}{f' ({missed} missed)' if missed else ''}" if known else "missed" if missed else ""
        now = ", ".join(f"{job.origin.rpartition(', ')[2]} {epochs:.0f}/{method.full}" for job, epochs in self._at(method))
        return [
            Text(method.name, "cyan"), Text(best), Text(f"{len(trials)}/{method.trials * method.studies}"), Text(middle, "bold"),
            Text(f"{len(fresh)}/{self.plan.preset.fresh * method.studies}"), Text(now, "dim"),
        ]  # fmt: skip

    def _at(self, method: Any) -> list[tuple[Any, float]]:
        return [(job, epochs) for job, epochs in self.at.values() if job.point[METHOD] == method.name]

"""A study as it goes: a table that lives on a terminal, a line per finished trial elsewhere; and the words at its end."""

from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from steepest.cli.console import READABLE, show
from steepest.cli.progress import BAR, clock, digits, say
from steepest.cli.studies import best_so_far
from steepest.cli.words import told
from steepest.records import study

# Rows of the table: those at work, and the last that ended.
ROWS = 12
LOOK = 0.1
# Characters that a column keeps on a narrow terminal; those not named here keep a number.
LEAST = {"trial": 5, "epochs": 6, "time": 5, "from": 14, "values": 20}
STYLES = {"done": "green", "diverged": "yellow", "failed": "red", "lost": "bold red", "at work": "cyan"}


class Trials:
    """What is told of a search. `finished` is its answer, once there is one."""

    def __init__(self, out: Console, search: Any) -> None:
        self.out, self.search, self.plan = out, search, search.plan
        self.live = Live(console=out, transient=True, auto_refresh=False) if out.is_terminal else None
        self.at: dict[int, tuple[Any, float]] = {}
        self.ended: deque[tuple[Any, Any, float]] = deque(maxlen=ROWS)
        self.counts = {"done": 0, "diverged": 0, "failed": 0, "lost": 0}
        self.best: Any = None
        for number, result in search.log.results.items():
            if number in search.log.jobs:
                self._count(search.log.jobs[number], result)
        self.shown = 0.0
        self.finished: Any = None
        self.failed = False
        self.usual = self._usual()

    def _usual(self) -> dict[str, Any]:
        return usual_of(self.plan)

    def __enter__(self) -> "Trials":
        plan, n = self.plan, len(self.plan.space)
        workers = f"{self.search.workers} worker{'s' * (self.search.workers > 1)}"
        what = "the command" if plan.command else plan.name
        how = f"{plan.strategy} with {plan.stopper}" if plan.stopper else plan.strategy
        say(self.out, f"{self.search.log.folder}: {what}, {n} choices, {plan.limits[-1]}, {how}, {workers}")
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.live:
            self.live.stop()

    def close(self) -> None:
        """The last words; before them, where somebody looks on, what was found by when."""
        if self.out.is_terminal and self.finished is not None:
            show(self.out, *best_so_far(study(self.search.log.folder)), "")
        for line in closing_words(self.search, self.finished):
            say(self.out, line)

    def show(self, event: Any) -> None:
        name = type(event).__name__
        if name == "Begun":
            self.at[event.job.number] = (event.job, event.job.start)
        elif name == "Going":
            self.at[event.job.number] = (event.job, event.epochs)
        elif name == "Ended":
            self._ended(event)
        elif name == "Note":
            say(self.out, event.text, "yellow")
        else:
            self.finished = event
        if self.live and monotonic() - self.shown > LOOK:
            self.live.update(Group(self._head(), self._table()), refresh=True)
            self.shown = monotonic()

    def _ended(self, event: Any) -> None:
        job, result = event.job, event.result
        self.at.pop(job.number, None)
        self.ended.append((job, result, event.seconds))
        self._count(job, result)
        if result.status == "lost" or (result.status == "failed" and not self.failed):
            # The first failure is shown, the others are counted; what was lost says something of the machine, and always is.
            say(self.out, f"trial {job.trial} {result.status}: {result.error}", "red")
            self.failed |= result.status == "failed"
        if not self.live:
            say(self.out, "  ".join(cell for cell in self._cells(job, result, event.seconds) if cell))

    def _count(self, job: Any, result: Any) -> None:
        self.counts[result.status] += 1
        if result.done and (self.best is None or result.score < self.best[1].score):
            self.best = (job, result)

    def _cells(self, job: Any, result: Any, seconds: float) -> list[str]:
        value = f"{self.plan.objective} {digits(self._value(result)).strip()}" if result.done else result.status
        epochs = "" if self.plan.full == 1 else f"epochs {job.start}-{job.stop}/{self.plan.full}"
        return [f"trial {job.trial}", epochs, value, f"{seconds:.1f} s", job.origin, told(job.point, self.usual)]

    def _value(self, result: Any) -> float:
        return -result.score if self.plan.more else result.score

    def _head(self) -> Text:
        """How much of the budget is used, and what was found with it."""
        share, text = self._used()
        filled = min(int(BAR * share), BAR)
        line = Text.assemble(("━" * filled, "green"), ("━" * (BAR - filled), "bright_black"), f" {text}")
        counts = ", ".join(f"{n} {name}" for name, n in self.counts.items() if n)
        line.append(f"  {counts}" if counts else "")
        if self.best:
            line.append(f"  best {self.plan.objective} {digits(self._value(self.best[1])).strip()}", "bold green")
        return line

    def _used(self) -> tuple[float, str]:
        return used(self.search)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        names = ("trial", *(() if self.plan.full == 1 else ("epochs",)), self.plan.objective, "time", "from", "values")
        for name in names:
            right = name in ("trial", "epochs", "time")
            table.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis", min_width=LEAST.get(name, 7))
        for job, epochs in self.at.values():
            self._row(table, job, f"{epochs:.0f}/{self.plan.full}", "...", "", "cyan")
        for job, result, seconds in list(reversed(self.ended))[: max(ROWS - len(self.at), 3)]:
            value = digits(self._value(result)).strip() if result.done else result.status
            best = self.best and self.best[0].number == job.number
            style = "bold green" if best else "" if result.done else STYLES[result.status]
            self._row(table, job, f"{job.stop}/{self.plan.full}", value, clock(seconds), style)
        return table

    def _row(self, table: Table, job: Any, epochs: str, value: str, time: str, style: str) -> None:
        shown = told(job.point, self.usual)[: max(self.out.width, READABLE) - 40]
        cells = [str(job.trial), epochs, value, time, job.origin, shown]
        if self.plan.full == 1:
            del cells[1]
        table.add_row(*(Text(cell, style) for cell in cells))


def usual_of(plan: Any) -> dict[str, Any]:
    return {d["name"]: d.get("usual") for d in plan.space if "usual" in d or not plan.command}


def used(search: Any) -> tuple[float, str]:
    """The share of the budget that is used, and that in words."""
    plan, decisions = search.plan, search.decisions
    limit, done = plan.limits[-1], decisions.spent * max(plan.folds, 1)
    if limit.unit == "seconds":
        return search.log.elapsed / limit.amount, f"{clock(search.log.elapsed)} of {limit}"
    amount = done / plan.full if limit.unit == "runs" else done
    return amount / limit.amount, f"{amount:.3g} of {limit}"


def closing_words(search: Any, found: Any) -> Iterator[str]:
    """The answer, where it lies, what it is worth, and what it took."""
    plan, folder = search.plan, search.log.folder
    if found is None:
        return
    names = list(dict.fromkeys([*(name for name in found.metrics if name != "loss"), plan.objective, "loss"]))
    known = [name for name in names if name in found.metrics]
    yield f"best recipe: val {', '.join(_beside(name, found.metrics, found.default) for name in known)}"
    if found.default is None and not plan.command:
        yield "the default AdamW was left out: it is a trial of studies of at least 2 full trainings"
    yield f"trial {found.answer.trial} ({told(found.answer.point, usual_of(plan)) or 'the default'}): {found.answer.why}"
    if found.more:
        yield f"it was trained to its end: {found.more} epochs more"
    if found.test:
        again = "" if not found.before else f"; for other answers of this study it had been looked at {found.before} times before"
        metrics = ", ".join(f"{name} {x:.4g}" for name, x in found.test.items())
        yield f"test {metrics}: measured once, at the end; nothing was chosen by it{again}"
    if plan.others:
        names = (plan.objective, *plan.others)
        yield f"beaten by no other trial in all of {', '.join(names)}:"
        for job, metrics in plan.front(search.decisions.seen):
            yield f"  trial {job.trial}: {', '.join(f'{name} {metrics[name]:.4g}' for name in names)}"
    yield from failures(search)
    yield from (f"advice: {line}" for line in found.advice.sentences)
    yield cost(search)
    if plan.command:
        yield f"{found.folder} holds its output"
    else:
        yield f"{folder}/recipe.toml is the recipe; {found.folder}/model.safetensors holds the weights; steepest show {folder}"


def _beside(name: str, metrics: dict[str, float], default: dict[str, float] | None) -> str:
    return f"{name} {metrics[name]:.4g}" + (f" (default AdamW {default[name]:.4g})" if default and name in default else "")


def failures(search: Any) -> Iterator[str]:
    """Each way to fail once, with the count."""
    for status in ("failed", "diverged", "lost"):
        wrong = [result for _, result in search.decisions.seen if result.status == status]
        if wrong:
            yield f"{len(wrong)} of {len(search.decisions.seen)} {status}; the first: {wrong[0].error}"


def cost(search: Any) -> str:
    _, budget = used(search)
    epochs = sum(result.epochs for result in search.decisions.results.values()) * max(search.plan.folds, 1)
    seconds = search.clock.spent * search.plan.threads
    return f"cost: {budget}, {epochs} epochs in {clock(search.log.elapsed)}, {seconds:,.0f} core-seconds"

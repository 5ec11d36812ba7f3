"""A search for one's own code: ask for values, train by whatever means, tell what came of it."""

import json
from collections.abc import Iterator, Mapping
from math import isfinite, nan
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from steepest import records
from steepest.core.errors import SettingError
from steepest.records.card import table
from steepest.search.budget import Budget
from steepest.search.decisions import Decisions
from steepest.search.dimension import Dimension
from steepest.search.jobs import Answer, Job, Result
from steepest.search.log import Log, StudyError
from steepest.search.making import strategy as strategy_of
from steepest.search.space import Space
from steepest.search.strategies import Setup
from steepest.search.told import load_table
from steepest.train.recipe import Recipe, located
from steepest.train.toml import plain, shown

RANGE = ("low", "high", "log", "integer", "points", "when")


def own_space(table: Mapping[str, Any]) -> Space:
    """`{"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "width": [16, 32]}`: names that mean something to their owner alone."""
    if not isinstance(table, Mapping):
        raise SettingError(f"space = {shown(table)} must be a table of names and what each may be")
    return Space(_dimension(name, said) for name, said in table.items())


def load_own_space(path: str | Path) -> Space:
    said = load_table(path)
    with located(str(path)):
        return own_space(plain(said))


def _dimension(name: str, said: Any) -> Dimension:
    if not isinstance(said, Mapping):
        return Dimension(name, name, choices=tuple(said) if isinstance(said, (list, tuple)) else (said,))
    for key in said:
        if key not in (*RANGE, "choices"):
            raise SettingError(f"space: {name}.{key}: a range has {', '.join(RANGE)}; or say choices")
    facts: dict[str, Any] = {key: x for key, x in said.items() if key not in ("when", "choices")}
    when = tuple((other, tuple(x) if isinstance(x, (list, tuple)) else (x,)) for other, x in said.get("when", {}).items())
    if "choices" in said:
        return Dimension(name, name, choices=tuple(said["choices"]), when=when)
    whole = type(said.get("low")) is int and type(said.get("high")) is int
    facts = {"integer": whole} | facts
    return Dimension(name, name, **facts, when=when)


class Trial:
    """Values to train with, from epoch `start` to `stop`; `trial["lr"]` is one of them. The same `number` is asked for again where
    a trial that was paused is worth going on with: `start` says where it stood."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.number, self.values, self.seed, self.start, self.stop = job.trial, dict(job.point), job.seed, job.start, job.stop
        self.epochs, self.last = job.start, nan

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def should_stop(self, epoch: int, value: float) -> bool:
        """After each epoch, counted from 0: whether that is enough for now. A value that is no finite number ends it."""
        self.epochs, self.last = epoch + 1, float(value)
        return epoch + 1 >= self.stop or not isfinite(value)

    def __repr__(self) -> str:
        return f"Trial({self.number}, {self.values}, epochs {self.start} to {self.stop})"


class Study:
    """`for trial in study: ...; study.tell(trial, loss)`. With a folder nothing that was told is lost, and a study made again goes on.

    `epochs` is the length of a full training; a stopper pauses trials before. Up to `width` trials may be asked for before one is told:
    1 is the most that a single process needs, and lets every decision see all that is known. Less is better, unless `maximize`.
    """

    def __init__(
        self, space: Space | Mapping[str, Any], folder: str | Path | None = None, *, budget: str = "16runs", epochs: int = 1,
        strategy: str = "tpe", stopper: str = "", seed: int = 0, width: int = 1, maximize: bool = False,
    ) -> None:  # fmt: skip
        self.space = space if isinstance(space, Space) else own_space(space)
        limit = Budget.parse(budget)
        self.seconds, self.sign = limit.seconds, -1 if maximize else 1
        cost = limit.epochs(epochs)
        setup = Setup(self.space, epochs, seed, width, int(cost) if isfinite(cost) else None)
        self.log = Log(Path(folder)) if folder is not None else None
        jobs, results = (self.log.jobs, self.log.results) if self.log else ({}, {})
        self.decisions = Decisions(strategy_of(setup, Recipe(), strategy, stopper), width, cost, jobs, results)
        self._open: dict[int, Job] = {}
        if self.log:
            settings = {"space": self.space.facts(), "epochs": epochs, "strategy": strategy, "stopper": stopper}
            settings |= {"seed": seed, "width": width}
            self._begin(self.log, json.loads(json.dumps(settings)), "higher" if maximize else "lower")

    def _begin(self, log: Log, settings: dict[str, Any], better: str) -> None:
        before = log.begin.get("settings")
        if before is None:
            log.write("study", 0, version=records.VERSION, task=log.folder.name, objective="value", better=better, settings=settings)
        elif before != settings or log.begin["better"] != better:
            log.close()
            raise StudyError(f"{log.folder} holds a study with other settings: {_difference(before, settings)}; choose another folder")

    def ask(self) -> Trial | None:
        """The next trial; None when the budget is used up or nothing is left to try."""
        if self.log and self.log.elapsed > self.seconds:
            return None
        job = self.decisions.next()
        if job is None:
            return None
        if not isinstance(job, Job):
            raise StudyError(f"{len(self._open)} trials were asked for and not told; tell one first, or make the study with a larger width")
        if self.log and job.number not in self.log.jobs:
            self.log.job(job)
        self._open[job.number] = job
        return Trial(job)

    def tell(self, trial: Trial, value: float | None = None, *, error: str = "", **metrics: float) -> None:
        """What came of a trial: the value that counts (left out: the last that `should_stop` was told), or why there is none."""
        job = self._open.pop(trial.job.number, None)
        if job is None:
            raise StudyError(f"trial {trial.number} was told already, or is of another study")
        score = trial.last if value is None else float(value)
        epochs = max(trial.epochs - job.start, 1) if trial.epochs > job.start else job.epochs
        if error:
            result = Result("failed", epochs=epochs, error=error)
        elif not isfinite(score):
            result = Result("diverged", metrics=metrics, epochs=epochs, error=f"value = {score}")
        else:
            result = Result("done", self.sign * score, {"value": score, **metrics}, epochs)
        if self.log:
            self.log.result(job.number, result, 0.0)
        self.decisions.take(job.number, result)

    def __iter__(self) -> Iterator[Trial]:
        while (trial := self.ask()) is not None:
            yield trial

    @property
    def best(self) -> Answer | None:
        """The trial to name, its point, and why it is this one. `score` is negative where more is better."""
        return self.decisions.best()

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        best = self.best
        found = (
            {"best value": f"{self.sign * best.score:.5g}", "trial": str(best.trial), "point": best.point, "why": best.why} if best else {}
        )
        return table({"study": self.log.folder.name if self.log else "", "results": str(len(self.decisions.results))} | found)

    def close(self) -> None:
        if self.log:
            if self.decisions.over:
                self.log.end(self.decisions.over)
            self.log.close()
            self.log = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} was {shown(before.get(key))}" for key in now if before.get(key) != now[key]) or "its direction"

"""Comparing methods on a task: what is asked, carried out, and given back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from steepest import records
from steepest.compare.budgets import shared
from steepest.compare.entry import Entry, entry
from steepest.compare.methods import AXES, methods, named_files
from steepest.compare.plan import Comparison
from steepest.core.errors import SettingError
from steepest.core.task import Task
from steepest.search.log import StudyError
from steepest.search.plan import objectives
from steepest.search.planning import known
from steepest.search.tune import Search
from steepest.train.evaluation import watched
from steepest.train.recipe import Recipe

# Metrics that are shares: their differences are said in points of a hundred.
SHARES = ("accuracy", "error", "top5")


@dataclass(frozen=True)
class Wanted:
    """What somebody wants to have compared. `axes` are names, by rules, inits, schedules, models or recipes; two may be crossed.

    `base`, with `changes` as of --set, is what all methods have in common. With a `budget` each method has so many
    trainings, otherwise as many as the preset says.
    """

    axes: Mapping[str, Sequence[str]]
    preset: str = "quick"
    budget: str | None = None
    fresh: int | None = None
    unequal: bool = False
    base: Recipe | None = None
    space: Path | None = None
    objective: str = ""
    target: float | None = None
    seed: int = 0
    width: int = 4
    threads: int = 1
    changes: Sequence[str] = ()

    def plan(self, task: Task, facts: dict[str, Any], base: Recipe) -> Comparison:
        """All that decisions follow from. Every mistake is found here, before anything is begun."""
        objective = objectives(task, self.objective or watched(task, "auto")[0])
        if objective.pop("others") or objective.pop("higher"):
            raise SettingError(f"objective = {self.objective!r}: methods are compared by one metric; name one")
        made, preset, said, unequal = shared(self.entries(task, base), self.preset, self.budget, self.fresh, unequal=self.unequal)
        plan = Comparison(
            name=facts["name"], task=facts if "builtin" in facts or "file" in facts else None, methods=tuple(made), preset=preset,
            said=said, full=max(method.full for method in made), points=objective["objective"] in SHARES, target=self.target,
            unequal=unequal, axes=self.named(), seed=self.seed, width=self.width, threads=self.threads, budget="1runs", **objective,
        )  # fmt: skip
        return plan.replace(budget=f"{len(plan.layout.slots)}runs")

    def entries(self, task: Task, base: Recipe) -> list[Entry]:
        axes = {axis: names for axis, names in self.axes.items() if names}
        found = methods(base, task.factories, **axes)
        return [entry(method, at, task, self.space) for method, at in zip(found, self.places(), strict=True)]

    def named(self) -> dict[str, list[str]]:
        """Files by the names that methods have of them; in the order in which axes are crossed."""
        known = {axis: list(self.axes.get(axis, ())) for axis in ("recipes", *AXES)}
        known["recipes"] = [name for name, _ in named_files(known["recipes"])]
        return {axis: names for axis, names in known.items() if names}

    def places(self) -> list[dict[str, str]]:
        named = self.named()
        return [dict(zip(named, names, strict=True)) for names in product(*named.values())]


def asked(wanted: Wanted, said: str | Task) -> tuple[Comparison, Task | None]:
    """What a task by its name, or file, is asked; with the task where only this process knows it."""
    task, facts, base = known(said, wanted.base, wanted.changes)
    return wanted.plan(task, facts, base), task if isinstance(said, Task) else None


def resumed(folder: Path, **settings: Any) -> Search:
    """One that goes on, as its record says."""
    found = records.study(folder)
    if not found.begin:
        raise StudyError(f"{folder} has not begun; remove it, and start anew")
    if not found.is_comparison:
        raise StudyError(f"{folder} is no comparison; steepest tune --resume {folder} goes on with it")
    return Search(Comparison.begun(found.begin), folder, fresh=False, **settings)

"""All that the decisions of a study follow from, as one value that its record keeps."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import ceil, isfinite
from pathlib import Path
from typing import Any, Self

from steepest.core.errors import SettingError, nearest
from steepest.core.task import Task
from steepest.search.baseline import AFTER, WithBaseline, baseline, is_baseline
from steepest.search.budget import Budget
from steepest.search.jobs import Job, Strategy
from steepest.search.making import USUAL, strategy
from steepest.search.space import Space
from steepest.search.strategies import Setup
from steepest.search.trial import COSTS, place_of, trial_recipe
from steepest.train.evaluation import name_of, watched
from steepest.train.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """`task` says how the task is found again, `base` is the recipe that points change, `full` the epochs of a full training.

    `command` and `regex` are there instead of a task where somebody's own program is the trial. `others` are metrics for a front.
    """

    name: str
    space: tuple[dict[str, Any], ...]
    budget: str
    full: int
    task: dict[str, Any] | None = None
    base: str = ""
    command: tuple[str, ...] = ()
    regex: str | None = None
    strategy: str = USUAL
    stopper: str = ""
    patient: bool = False
    objective: str = "loss"
    better: str = "lower"
    others: tuple[str, ...] = ()
    # Of those, the ones of which more is better.
    higher: tuple[str, ...] = ()
    seed: int = 0
    width: int = 4
    folds: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for field, least in (("width", 1), ("threads", 1), ("full", 1), ("folds", 0)):
            if getattr(self, field) < least:
                raise SettingError(f"{field} = {getattr(self, field)}; it is a whole number from {least} on")
        if self.folds == 1:
            raise SettingError("folds = 1; cross-validation needs at least 2, and 0 is none")
        self.limit  # noqa: B018 (a budget that cannot be is said before anything begins)

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        values: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in facts.items()}
        return cls(**values)

    def facts(self) -> dict[str, Any]:
        return asdict(self)

    def replace(self, **changes: Any) -> Self:
        return replace(self, **changes)

    @cached_property
    def limit(self) -> Budget:
        return Budget.parse(self.budget)

    @property
    def more(self) -> bool:
        return self.better == "higher"

    @property
    def epochs(self) -> float:
        """What may be trained. An epoch of k folds is k epochs."""
        return self.limit.epochs(self.full) / max(self.folds, 1)

    @cached_property
    def spaces(self) -> Space:
        return Space.of_facts(self.space)

    @cached_property
    def recipe(self) -> Recipe:
        return Recipe.parse(self.base, "the study's recipe")

    @property
    def compares(self) -> bool:
        """Whether there is a default to hold the answer against, and budget enough for it."""
        return not self.command and self.epochs >= (AFTER + 1) * self.full

    def decider(self) -> Strategy:
        """The strategy, with the default as a trial of its own."""
        epochs = self.epochs - self.full * self.compares
        setup = Setup(self.spaces, self.full, self.seed, self.width, ceil(epochs) if isfinite(epochs) else None)
        made = strategy(setup, self.recipe, self.strategy, self.stopper, self.name, self.patient)
        return WithBaseline(made, self.full, self.width, self.seed) if self.compares else made

    @property
    def costs(self) -> list[str]:
        return [name for name in self.others if name in COSTS]

    # --- jobs ---------------------------------------------------------------------------------------

    def order(self, job: Job, folder: Path) -> dict[str, Any]:
        """What a worker needs to know of a job."""
        place = str(place_of(folder, job.trial))
        return {"folder": place} if self.command else {"folder": place, "recipe": self.trial(job).toml()}

    def trial(self, job: Job) -> Recipe:
        made = baseline(self.recipe) if is_baseline(job) else self.spaces.recipe(self.recipe, job.point)
        return trial_recipe(made, job.seed, self.objective, self.threads)


def objectives(task: Task, said: str) -> dict[str, Any]:
    """ "accuracy,parameters": the objective, whether lower or higher is better, and what else is weighed. Unsaid: the loss.

    The loss says more than the share of right answers among a few samples.
    """
    first, *others = [name.strip() for name in (said or "loss").split(",")]
    known = ["loss", *map(name_of, task.metrics)]
    for name, names in ((first, known), *((other, [*known, *COSTS]) for other in others)):
        if name not in names:
            raise SettingError(f"objective = {name!r} is none of the task's{nearest(name, names)}")
    higher = tuple(name for name in others if name not in COSTS and watched(task, name)[1])
    return {"objective": first, "better": "higher" if watched(task, first)[1] else "lower", "others": tuple(others), "higher": higher}


def full_of(recipe: Recipe) -> int:
    if recipe.stop.epochs is None:
        raise SettingError("a search counts in epochs, and the recipe says stop.steps; say stop.epochs instead")
    return recipe.stop.epochs

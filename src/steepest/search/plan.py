"""All that the decisions of a study follow from, as one value that its record keeps."""

from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, isfinite
from pathlib import Path
from typing import Any, ClassVar

from steepest.core.errors import SettingError, nearest
from steepest.core.task import Task
from steepest.search.asked import Asked
from steepest.search.baseline import WithBaseline, baseline, is_baseline
from steepest.search.budget import Budget
from steepest.search.decisions import Decisions
from steepest.search.finish import Finished, finish
from steepest.search.jobs import Job, Seen, Strategy
from steepest.search.log import Log
from steepest.search.making import USUAL, strategy
from steepest.search.pareto import front
from steepest.search.pool import Pool
from steepest.search.space import Space
from steepest.search.strategies import Setup
from steepest.search.trial import COSTS, place_of, trial_recipe
from steepest.tasks import TASKS, recipe_text
from steepest.train.evaluation import name_of, watched
from steepest.train.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Plan(Asked):
    """A search for the best recipe. `base` is the recipe that points change.

    `command` and `regex` are there instead of a task where somebody's own program is the trial. `others` are metrics for a front.
    """

    verb: ClassVar[str] = "tune"
    space: tuple[dict[str, Any], ...]
    base: str = ""
    command: tuple[str, ...] = ()
    regex: str | None = None
    strategy: str = USUAL
    stopper: str = ""
    patient: bool = False
    others: tuple[str, ...] = ()
    # Of those, the ones of which more is better.
    higher: tuple[str, ...] = ()
    folds: int = 0
    # Of range tests that centred the rates before the study began: their `words`, and the `epochs` and `seconds` that they took.
    centred: dict[str, Any] = field(default_factory=dict)
    # Budgets that it was given later, each with the strategy's decision from which it counts.
    later: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folds < 0 or self.folds == 1:
            raise SettingError(f"folds = {self.folds}; cross-validation needs at least 2, and 0 is none")

    @property
    def limits(self) -> list[Budget]:
        return [self.limit, *(Budget.parse(text) for _, text in self.later)]

    @property
    def epochs(self) -> float:
        """What may be trained. An epoch of k folds is k epochs."""
        return self._epochs(self.limits[-1])

    def _epochs(self, limit: Budget) -> float:
        return (limit.epochs(self.full) - self.centred.get("epochs", 0.0)) / max(self.folds, 1)

    @property
    def seconds(self) -> float:
        return self.limits[-1].seconds - self.centred.get("seconds", 0.0)

    @cached_property
    def spaces(self) -> Space:
        return Space.of_facts(self.space)

    @cached_property
    def recipe(self) -> Recipe:
        return Recipe.parse(self.base, "the study's recipe")

    @property
    def compares(self) -> bool:
        """Whether there is a default to hold the answer against, and from the beginning budget enough for it."""
        return not self.command and self._epochs(self.limit) >= 2 * self.full

    def decider(self) -> Strategy:
        """The strategy, with the default as a trial of its own."""
        epochs = [self._epochs(limit) - self.full * self.compares for limit in self.limits]
        first, *later = [ceil(x) if isfinite(x) else None for x in epochs]
        starts = [start for start, _ in self.later]
        setup = Setup(self.spaces, self.full, self.seed, self.width, first, tuple(zip(starts, later, strict=True)))
        made = strategy(setup, self.recipe, self.strategy, self.stopper, self.name, self.patient)
        return WithBaseline(made, self.full, self.seed) if self.compares else made

    # --- jobs ---------------------------------------------------------------------------------------

    def setup(self) -> dict[str, Any]:
        if self.command:
            return {"kind": "script", "command": self.command, "objective": self.objective, "more": self.more, "regex": self.regex}
        return {"kind": "task", "task": self.task, "folds": self.folds, "costs": [name for name in self.others if name in COSTS]}

    def order(self, job: Job, folder: Path) -> dict[str, Any]:
        """What a worker needs to know of a job."""
        place = str(place_of(folder, job.trial))
        return {"folder": place} if self.command else {"folder": place, "recipe": self.trial(job).toml()}

    def trial(self, job: Job) -> Recipe:
        made = baseline(self.recipe) if is_baseline(job) else self.spaces.recipe(self.recipe, job.point)
        return trial_recipe(made, job.seed, self.objective, self.threads)

    # --- the end ------------------------------------------------------------------------------------

    def finish(self, decisions: Decisions, log: Log, pool: Pool) -> Finished:
        return finish(self, decisions, log, pool)

    def front(self, seen: Seen) -> list[tuple[Job, dict[str, float]]]:
        """The trials in full that nothing else beats in the objective and in all that is weighed against it."""
        full = [(job, dict(result.metrics)) for job, result in seen if result.done and job.stop == self.full]
        signs = {self.objective: -1 if self.more else 1} | {name: -1 if name in self.higher else 1 for name in self.others}
        return [full[k] for k in front([[sign * metrics[name] for name, sign in signs.items()] for _, metrics in full])]


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


def usual_base(task: str) -> Recipe:
    """What is not searched where nobody says it: of a built-in task the length and the batches of its plain recipe, and nothing tuned."""
    text = recipe_text(task, "plain") if task in TASKS else None
    plain = Recipe.parse(text).tables() if text else {}
    return Recipe({name: plain[name] for name in ("batch", "stop") if name in plain})

"""From what somebody says of a task to a study of it."""

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from steepest.core.errors import SettingError
from steepest.core.task import Task
from steepest.records.folders import free
from steepest.search.centring import centred
from steepest.search.defaults import space_of
from steepest.search.finish import Finished
from steepest.search.plan import Plan, full_of, objectives, usual_base
from steepest.search.space import Space
from steepest.search.told import load_space, read_space
from steepest.search.tune import Search
from steepest.train import taskfile
from steepest.train.recipe import Recipe

FOLDER = Path("studies")


def tune(
    task: str | Task,
    *,
    budget: str = "16runs",
    recipe: Recipe | None = None,
    space: str | Path | Mapping[str, Any] | None = None,
    objective: str = "",
    folder: str | Path | None = None,
    workers: int = 1,
    **settings: Any,
) -> Finished:
    """Search for a better recipe, as `steepest tune` does, and give back what was found; `.folder` is the run of the best.

    `task` is a Task, the name of a built-in one, or a file. A Task is known to this process alone, which then trains everything itself.
    `recipe` is what stays as it is where the space says nothing; `space` a file, or the table [space] itself; `settings` are a Plan's.
    """
    plan, own = planned(task, base=recipe, space=space, objective=objective, budget=budget, **settings)
    search = Search(plan, Path(folder) if folder else free(FOLDER, plan.name), workers=workers, task=own)
    (found,) = deque[Any](search.run(), maxlen=1)
    return found


def planned(
    said: str | Task,
    *,
    base: Recipe | None = None,
    changes: Sequence[str] = (),
    space: str | Path | Mapping[str, Any] | None = None,
    objective: str = "",
    centre: bool = False,
    **settings: Any,
) -> tuple[Plan, Task | None]:
    """The plan, and the task if only this process knows it. Every mistake is found here, before anything is begun.

    `centre`: each range of lr is cut to what a range test says of this model, at the cost of 100 steps for each rule.
    """
    task, facts, base = known(said, base, changes)
    found = spaced(space, task, base)
    if centre:
        began = perf_counter()
        found, words, epochs = centred(found, task, base)
        settings["centred"] = {"words": words, "epochs": epochs, "seconds": perf_counter() - began}
    plan = Plan(
        name=facts["name"], task=facts if task is not said else None, base=base.toml(), full=full_of(base), space=tuple(found.facts()),
        **objectives(task, objective), **settings,
    )  # fmt: skip
    if centre and plan.epochs < plan.full:
        took = f"range tests took {plan.centred['epochs']:.2g} epochs"
        raise SettingError(f"budget = {plan.budget!r}: {took}, and a training of {plan.full} is not left; give more, or leave centre out")
    return plan, task if task is said else None


def known(said: str | Task, base: Recipe | None, changes: Sequence[str]) -> tuple[Task, dict[str, Any], Recipe]:
    """A task by its name, its file, or itself; how it is found again; and the recipe around which is searched."""
    if isinstance(said, Task):
        task, facts, base = said, {"name": said.name or "task"}, base or Recipe()
    else:
        task, facts = taskfile.find(said)
        base = base or usual_base(said)
    base = base.set_text(changes)
    base.check(task.factories)
    return task, facts, base


def spaced(said: str | Path | Mapping[str, Any] | None, task: Task, base: Recipe) -> Space:
    if said is None:
        return space_of(task, base)
    return read_space(dict(said), task, base) if isinstance(said, Mapping) else load_space(Path(said), task, base)

"""What a worker knows of a task: it is found and its data are read once, for all jobs."""

import warnings
from pathlib import Path
from typing import Any

from steepest.core.task import Task
from steepest.data.split import Data, gather
from steepest.search.jobs import Job
from steepest.search.shared import lift
from steepest.search.trial import Alive, carry_out
from steepest.train import taskfile
from steepest.train.recipe import Recipe
from steepest.train.use import measure

Order = dict[str, Any]


class Training:
    """Orders about a task carried out. `setup` says how the task is found, or is given it."""

    def __init__(self, setup: Order, task: Task | None = None, data: Data | None = None) -> None:
        self.folds, self.costs, self.facts = int(setup["folds"]), setup.get("costs", ()), setup.get("task")
        self.task = task or taskfile.again(setup["task"])[0]
        self.data = data or (lift(setup["data"]) if setup.get("data") else gather(self.task.data, **{"valid": 0} if self.folds else {}))
        # A trial's warnings would be those of hundreds; they are about settings that nobody has chosen yet.
        warnings.simplefilter("ignore")

    def carry_out(self, order: Order, alive: Alive) -> dict[str, Any]:
        folder = Path(order["folder"])
        if order["do"] == "test":
            return {"metrics": self.test(folder)}
        recipe = Recipe.parse(order["recipe"], "")
        job, whole = Job.of_facts(order["job"]), order.get("whole")
        data = gather(self.task.data) if whole and self.folds else self.data
        folds = 0 if whole else self.folds
        result = carry_out(job, recipe, self.task, data, folder, alive, folds=folds, costs=self.costs, facts=self.facts)
        return {"result": result.facts()}

    def test(self, folder: Path) -> dict[str, float] | None:
        """The test part, which nothing was chosen by; None where the task has none."""
        return None if self.data.test is None else measure(folder, "test", self.task, data=self.data)[0]

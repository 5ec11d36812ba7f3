"""Training from beginning to end in one call, for those who have nothing to say in between."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steepest.core.errors import SettingError
from steepest.core.task import Task
from steepest.data.split import Data, fold, gather
from steepest.train.recipe import Recipe
from steepest.train.run import described, train
from steepest.train.trained import Model


@dataclass(frozen=True)
class Trained:
    """What came of a run: the model with its best weights behind its preprocessing, in eval mode, and how good it is."""

    model: Model
    metrics: dict[str, float]
    steps: int
    folder: Path | None


def fit(task: Task, recipe: Recipe | None = None, *, folder: str | Path | None = None, **settings: Any) -> Trained:
    """Train to the end; the metrics are those of the best weights on validation data."""
    (last,) = deque(train(task, recipe, folder=folder, **settings), maxlen=1)
    return Trained(Model(last.model, last.session.preprocess), last.session.best, last.number + 1, Path(folder) if folder else None)


def folds(task: Task, recipe: Recipe | None = None, *, folder: str | Path | None = None) -> list[Trained]:
    """Cross-validation: as many runs as the task has folds, each validated on another part. Test data stays apart."""
    whole = described(task)
    return [fit(task, recipe, folder=path, data=data, facts=whole | facts) for path, data, facts in each_fold(task, folder)]


def each_fold(task: Task, folder: str | Path | None = None) -> Iterator[tuple[Path | None, Data, dict[str, Any]]]:
    """Of each fold: where its run goes, its data, and the facts by which they are found again."""
    if not task.folds:
        raise SettingError("Task.folds = 0: say in how many parts the data is cut, 5 or 10")
    data = gather(task.data, valid=0)
    for number in range(task.folds):
        path = Path(folder) / f"fold-{number}" if folder else None
        yield path, fold(data, task.folds, number), {"fold": {"number": number, "of": task.folds}}

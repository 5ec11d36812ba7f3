"""One job carried out: a run that is trained, or trained further, as far as the job says, and left where it can go on."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from math import inf
from pathlib import Path
from statistics import fmean
from time import monotonic, sleep
from typing import Any

import torch

from steepest import records
from steepest.core.errors import SteepestError
from steepest.core.rng import untouched
from steepest.core.task import Task
from steepest.data.split import Data, fold, gather
from steepest.search.jobs import Job, Result
from steepest.train.evaluation import watched
from steepest.train.folder import RunError, locked
from steepest.train.guard import TrainingError
from steepest.train.recipe import Recipe
from steepest.train.run import described, resume, train

# Told how many epochs of the job are done; it may raise to end the job.
Alive = Callable[[float], None]
# Seconds for a killed worker's run to be free again.
PATIENCE = 10.0


def trial_recipe(recipe: Recipe, seed: int, objective: str, threads: int) -> Recipe:
    """What is the same in all trials of a study: they are looked at after every epoch, by the study's objective."""
    changes = {"run.seed": seed, "run.threads": threads, "run.evaluate_every": "1 epoch", "run.keep": 1, "stop.metric": objective}
    return recipe.replace(changes)


def place_of(folder: Path, trial: int) -> Path:
    return folder / "trials" / f"{trial:04d}"


def carry_out(
    job: Job,
    recipe: Recipe,
    task: Task,
    data: Data | None,
    folder: Path,
    alive: Alive,
    *,
    folds: int = 0,
    costs: Sequence[str] = (),
    facts: dict[str, Any] | None = None,
) -> Result:
    """Train the trial of a job to its epoch `stop`. Whatever goes wrong with it is its result. `facts`: how others find the task again."""
    try:
        metrics, epochs = _trained(job, recipe, task, data, folder, alive, folds, facts)
    except Diverged as error:
        return Result("diverged", epochs=max(error.epochs - job.start, 1), error=str(error))
    except Exception as error:  # the task is the user's, and so is the model
        if _is_memory(error):
            return Result("lost", epochs=job.epochs, error=f"out of memory: {told(error)}")
        return Result("failed", epochs=1, error=told(error))
    metrics |= {name: COSTS[name](recipe, task, folder) for name in costs}
    metric, more = watched(task, recipe.stop.metric)
    score = -metrics[metric] if more else metrics[metric]
    if not abs(score) < inf:
        return Result("diverged", metrics=metrics, epochs=job.epochs, error=f"{metric} = {metrics[metric]}")
    return Result("done", score, metrics, max(epochs - job.start, 0))


def _trained(
    job: Job, recipe: Recipe, task: Task, data: Data | None, folder: Path, alive: Alive, folds: int, facts: dict[str, Any] | None
) -> tuple[dict[str, float], int]:
    """Metrics, and how many epochs the trial has; of folds their means."""
    if not folds:
        return go_to(job.stop, folder, recipe, task, data, alive, facts)
    found = []
    for k in range(folds):
        part = fold(data or gather(task.data, valid=0), folds, k)
        known = (facts or described(task)) | {"fold": {"number": k, "of": folds}}

        def going(done: float, k: int = k) -> None:
            alive((k * job.stop + done) / folds)

        found.append(go_to(job.stop, folder / f"fold-{k}", recipe, task, part, going, known))
    return {name: fmean(metrics[name] for metrics, _ in found) for name in found[0][0]}, max(epochs for _, epochs in found)


def _parameters(recipe: Recipe, task: Task, folder: Path) -> float:
    with untouched():
        return float(sum(p.numel() for p in recipe.model(task.factories).parameters()))


def _seconds(recipe: Recipe, task: Task, folder: Path) -> float:
    """Of training, by the records: the only metric that is not the same twice."""
    return sum(records.run(run).summary.seconds for run in [*folder.glob("fold-*")] or [folder])


# What may be weighed against a metric of the task.
COSTS: dict[str, Callable[[Recipe, Task, Path], float]] = {"parameters": _parameters, "seconds": _seconds}


def _is_memory(error: BaseException | None) -> bool:
    """Also where another error was made of it. On a CPU torch raises a plain RuntimeError."""
    while error is not None:
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


class Diverged(SteepestError):
    """Training that left the finite numbers, in that epoch (from 1)."""

    def __init__(self, message: str, epochs: int) -> None:
        super().__init__(message)
        self.epochs = epochs


def go_to(
    stop: int, folder: Path, recipe: Recipe, task: Task, data: Data | None, alive: Alive, facts: dict[str, Any] | None = None
) -> tuple[dict[str, float], int]:
    """Train the run in a folder until epoch `stop`; the metrics of its best epoch so far, and how many epochs it has."""
    steps = _steps(folder, recipe, task, data, facts)
    if steps is not None:
        try:
            with closing(steps):
                _go(steps, stop, alive)
        except Diverged:
            # The checkpoint knows which step to leave out next time. There is to be none: it would not be the recipe that was asked for.
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            raise
    return _found(folder, stop, task, recipe)


def _go(steps: Iterator[Any], stop: int, alive: Alive) -> None:
    epoch = 0
    try:
        for step in steps:
            epoch, course = step.epoch, step.session.course
            if step.event and step.event["cause"] != "spike":
                raise Diverged(step.event["message"], epoch + 1)
            if epoch >= stop:  # it had been there already
                return
            alive(epoch)
            if epoch + 1 == stop and course.ends_epoch(step.number) and step.number + 1 < course.steps:
                # One step more: a moment to come back to is taken before a step, and this one is to be kept.
                with suppress(SteepestError):
                    next(steps, None)
                return
    except TrainingError as error:
        raise Diverged(str(error), epoch + 1) from None


def _steps(folder: Path, recipe: Recipe, task: Task, data: Data | None, facts: dict[str, Any] | None) -> Any:
    """The steps of a new run, or of one to go on with; None if there is nothing left to do.

    A run that was left before its first line reached the disk is begun anew.
    """
    if folder.exists():
        _wait_for(folder)
        run = records.run(folder) if records.is_run(folder) else None
        if run and run.summary.state not in ("unfinished", "not begun") and (folder / "model.safetensors").exists():
            return None
        if run and any((folder / "checkpoints").glob("step-*")):
            return resume(folder, task, data=data, health=0)
        shutil.rmtree(folder)
    return train(task, recipe, folder=folder, data=data, health=0, facts=facts)


def _wait_for(folder: Path) -> None:
    """Until no killed worker holds the run any more."""
    until = monotonic() + PATIENCE
    while True:
        try:
            return locked(folder).close()
        except RunError:
            if monotonic() > until:
                raise
            sleep(0.05)


def _found(folder: Path, stop: int, task: Task, recipe: Recipe) -> tuple[dict[str, float], int]:
    """By the record, so that a run that was left, or has gone further, says the same."""
    metric, more = watched(task, recipe.stop.metric)
    lines = [line["metrics"] for line in records.run(folder).evaluations() if line.get("split", "valid") == "valid"][:stop]
    metrics = [{name: records.number(x) for name, x in line.items()} for line in lines]
    if not metrics:
        raise SteepestError("the task has no validation data, and a search needs some to choose by")
    return _best(metrics, metric, more), len(metrics)


def _best(metrics: Iterable[dict[str, float]], metric: str, more: bool) -> dict[str, float]:
    """The first of the best; a NaN is worse than anything."""

    def badness(found: dict[str, float]) -> float:
        x = -found[metric] if more else found[metric]
        return x if x == x else inf

    return min(metrics, key=badness)


def told(error: BaseException) -> str:
    """In a line, with the place in the user's code where there is one."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, SteepestError) else f"{type(error).__name__}: {text}"
